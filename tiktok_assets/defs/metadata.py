"""Build the metadata of assets and materializations, and record partitions as they are written."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from tiktok_assets.api.errors import DailyQuotaError
from tiktok_assets.defs.partitions import build_partition_tags, format_partition_key
from tiktok_assets.defs.plots import build_preview, build_spend_line
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.settings import Settings
from tiktok_assets.spec.ads_manager import ads_manager_campaigns_url
from tiktok_assets.spec.columns import Column
from tiktok_assets.storage.hive_store import HiveStore, Partition

_TYPES = {
    "id": "string",
    "text": "string",
    "money": "decimal(18,4)",
    "count": "bigint",
    "rate": "double",
    "ratio": "double",
    "day": "date",
    "hour": "bigint",
    "instant": "timestamp (UTC)",
    "epoch": "timestamp (UTC)",
    "flag": "boolean",
    "json": "string (JSON)",
}
_UNITS = {"money": " In the account's currency.", "rate": " In percent."}

# Dagster records an output's partitions when the step ends, each with the same metadata. We record each as it
# lands, with its own, so that a killed run keeps what it finished; this marker (of Dagster's own observable
# sources) tells it that the events are there already. `test_streaming.py` holds it to one event a partition.
_ALREADY_RECORDED = {"__source_asset_observation__": True}


def build_column_schema(columns: Iterable[Column]) -> dg.TableSchema:
    """The columns of a table for the catalogue: type, meaning and unit."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                _TYPES[column.kind],
                description=column.meaning[0].upper() + column.meaning[1:] + "." + _UNITS.get(column.kind, ""),
            )
            for column in columns
        ]
    )


def build_table_metadata(columns: Iterable[Column]) -> dict[str, Any]:
    """The metadata of an asset that fills a table with these columns."""
    return {"dagster/column_schema": build_column_schema(columns)}


def build_partition_metadata(landed: WrittenPartition) -> Mapping[str, Any]:
    """The metadata of one materialized partition: the same keys for every asset.

    Requests, pages, retries, seconds and megabytes are those of the reading, which may fill several partitions;
    `window` says which.
    """
    story = landed.stats
    facts: dict[str, Any] = {
        # Dagster sums the rows of partitions only under this name.
        ("dagster/row_count" if landed.partition == Partition() else "dagster/partition_row_count"): landed.rows,
        "rows": landed.rows,
    }
    for currency, spend in landed.spend.items():
        # A plot needs a number and Dagster has only floats; the table keeps the exact amount. One name is one
        # plot of all accounts, so that yen and dollars must have names of their own.
        facts[f"spend_{currency}"] = dg.MetadataValue.float(float(spend))
        facts["currency"] = currency
    if landed.preview is not None:
        facts.update(build_preview(landed.preview))
    if story.window:
        facts["window"] = str(story.window)
    facts["fetched_at"] = dg.MetadataValue.timestamp(landed.fetched_at)
    if landed.partition.advertiser_id:
        facts["ads_manager"] = dg.MetadataValue.url(ads_manager_campaigns_url(landed.partition.advertiser_id))
    facts |= {
        "requests": story.requests,
        "pages": story.pages,
        "retries": story.retries,
        "seconds": story.seconds,
        "megabytes": story.megabytes,
        "kilobytes_stored": round(landed.bytes / 1e3, 1),
    }
    if landed.new_versions is not None:
        facts["new_versions"] = landed.new_versions
    if landed.malformed_values:
        facts["malformed_values"] = landed.malformed_values
    if story.unknown_fields:
        facts["unknown_fields"] = escape_control_characters(", ".join(story.unknown_fields))
    if story.refused_metrics:
        facts["withdrawn_metrics"] = ", ".join(story.refused_metrics)
    return facts


ALL_METRICS_SERVED_CHECK = "all_metrics_served"


def record_materializations(
    context: dg.AssetExecutionContext,
    outcomes: Iterable[WrittenPartition | FailedPartitions],
    *,
    has_metrics: bool = False,
) -> dg.MaterializeResult:
    """Record each partition as it lands; raise at the end for those that failed.

    Args:
        context: of the step.
        outcomes: taken one by one.
        has_metrics: whether the asset has the check `ALL_METRICS_SERVED`, which then gets its result.

    Raises:
        dagster.Failure: naming each failed stretch with its error and mend; all others are recorded.
    """
    withdrawn = record_partitions(context, outcomes)
    check = dg.AssetCheckResult(
        passed=not withdrawn,
        check_name=ALL_METRICS_SERVED_CHECK,
        severity=dg.AssetCheckSeverity.WARN,
        description=describe_refused_metrics(withdrawn) if withdrawn else None,
        metadata={"withdrawn_metrics": ", ".join(sorted(withdrawn))} if withdrawn else {},
    )
    days = context.assets_def.partitions_def
    if isinstance(days, dg.MultiPartitionsDefinition):
        # Dagster counts which days are there when it is asked; a page that asks first after years waits for it.
        context.instance.get_status_by_partition(context.asset_key, [], days)
    return dg.MaterializeResult(metadata=_ALREADY_RECORDED, check_results=[check] if has_metrics else [])


def describe_refused_metrics(metrics: Iterable[str]) -> str:
    """Return which metrics were refused, what that means, and what to do."""
    names = ", ".join(sorted(metrics))
    return (
        f"TikTok refuses {names}: the column is empty. Take it out of TIKTOK_METRICS, or wait until it is served."
    )


def record_partitions(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    outcomes: Iterable[WrittenPartition | FailedPartitions],
) -> set[str]:
    """Record each partition of whichever table as it lands; returns the metrics the API withdrew.

    Raises:
        dagster.Failure: at the end, naming each failed stretch with its error and mend.
    """
    failures: list[FailedPartitions] = []
    withdrawn: set[str] = set()
    landed: Counter[str] = Counter()
    spend_by_day: dict[tuple[str, str | None], dict[date, float]] = {}
    for outcome in outcomes:
        if isinstance(outcome, FailedPartitions) and outcome.is_not_offered:
            context.log.warning("%s, and is left out.", outcome)
            continue
        if isinstance(outcome, FailedPartitions):
            context.log.error("%s %s", outcome, outcome.fix)
            failures.append(outcome)
            continue
        landed[outcome.table] += 1
        withdrawn.update(outcome.stats.refused_metrics)
        facts = dict(build_partition_metadata(outcome))
        whose = (outcome.table, outcome.partition.advertiser_id)
        facts.update(_build_spend_plot(outcome, spend_by_day.setdefault(whose, {})))
        context.log_event(
            dg.AssetMaterialization(
                outcome.table,
                partition=format_partition_key(outcome.partition),
                metadata=facts,
                tags=build_partition_tags(outcome.partition),
            )
        )
    if failures:
        raise build_failure(failures, sum(landed[table] for table in {failure.table for failure in failures}))
    return withdrawn


def write_export(
    context: dg.OpExecutionContext, store: HiveStore, table: str, advertiser_id: str, rows: pl.DataFrame
) -> None:
    """Bring an account's partition of a table that exports the state up to date, from a job beside its asset."""
    written = store.write(table, Partition(advertiser_id), rows)
    facts: dict[str, Any] = {"rows": written.rows, **build_preview(rows)}
    context.log_event(dg.AssetMaterialization(table, partition=advertiser_id, metadata=facts))


def _build_spend_plot(landed: WrittenPartition, spend_by_day: dict[date, float]) -> Mapping[str, Any]:
    """A line of the days this run has read of an account, on the last day of each reading.

    One picture a reading and not one a day: every byte of it stays in the event log.
    """
    day, window = landed.partition.day, landed.stats.window
    if day is None or window is None or not landed.spend:
        return {}
    spend_by_day[day] = float(sum(landed.spend.values()))
    whole = day == window.last and window.first < window.last
    return {"spend_by_day": build_spend_line(spend_by_day)} if whole else {}


def build_failure(failures: list[FailedPartitions], landed: int) -> dg.Failure:
    """Make the one failure that tells of all of them.

    Args:
        failures: what was not read; a quota that is used up is told once, for it keeps all the rest away.
        landed: the partitions of the same tables that were read.
    """
    used_up = [failure for failure in failures if isinstance(failure.error, DailyQuotaError)]
    others = [failure for failure in failures if failure not in used_up]
    told = "; ".join(f"{failure} {failure.fix}".rstrip() for failure in [*others, *used_up[:1]])
    lost = len({(failure.table, partition) for failure in failures for partition in failure.partitions})
    return dg.Failure(
        f"{lost} of {lost + landed} partitions failed: {told}",
        metadata={
            "failed": [format_partition_key(p) for failure in failures for p in failure.partitions],
            "landed": landed,
        },
        allow_retries=False,
    )


OWNERS = ("team:marketing",)
"""Nobody in particular: a project of your own overrides it with `dg.map_asset_specs`."""


def add_owners_and_tags(assets: Iterable[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets with owners, and each report with the tags `level` and `cadence`."""
    tags = {
        report.table: {"level": report.level.name, "cadence": report.cadence} for report in settings.chosen_reports
    }
    return [asset.map_asset_specs(lambda spec: _add_to_spec(spec, tags)) for asset in assets]


def _add_to_spec(spec: dg.AssetSpec, tags: Mapping[str, Mapping[str, str]]) -> dg.AssetSpec:
    return spec.merge_attributes(owners=OWNERS, tags=tags.get(spec.key.path[-1], {}))

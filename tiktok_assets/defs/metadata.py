"""Build the metadata of assets and materializations, and record partitions as they are written."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from tiktok_assets.api import BudgetUnavailableError, DailyQuotaError
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.partitions import build_partition_tags, format_partition_key
from tiktok_assets.defs.plots import build_preview, build_spend_line
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.ingest import FailedPartitions, WrittenPartition
from tiktok_assets.spec import Column, ads_manager_campaigns_url
from tiktok_assets.storage import Partition

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

# Dagster records the partitions of an output when the step ends, all with the same metadata. We record each
# partition when it is written, with its own metadata, so that a killed run keeps its finished partitions. This
# marker, which Dagster uses for observable sources, makes it skip its own events; `test_materializations.py`
# checks that.
ALREADY_RECORDED = {"__source_asset_observation__": True}


def build_column_schema(columns: Iterable[Column]) -> dg.TableSchema:
    """Build the column schema of a table, with type, description and unit of each column."""
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
    """Build the definition metadata of an asset with these columns."""
    return {"dagster/column_schema": build_column_schema(columns)}


def build_partition_metadata(written: WrittenPartition) -> Mapping[str, Any]:
    """Build the metadata of one materialized partition, with the same keys for every asset.

    Requests, pages, retries, seconds and megabytes are those of the whole request, which can fill several
    partitions; `window` holds its days.
    """
    stats = written.stats
    metadata: dict[str, Any] = {
        # Dagster sums the rows of partitions only under this key.
        ("dagster/row_count" if written.partition == Partition() else "dagster/partition_row_count"): written.rows,
        "rows": written.rows,
    }
    for currency, spend in written.spend.items():
        # Dagster plots only floats; the table keeps the exact amount. Dagster draws one plot per key for all
        # accounts, so each currency needs its own key.
        metadata[f"spend_{currency}"] = dg.MetadataValue.float(float(spend))
        metadata["currency"] = currency
    if written.preview is not None:
        metadata.update(build_preview(written.preview))
    if stats.window:
        metadata["window"] = str(stats.window)
    metadata["fetched_at"] = dg.MetadataValue.timestamp(written.fetched_at)
    if written.partition.advertiser_id:
        metadata["ads_manager"] = dg.MetadataValue.url(ads_manager_campaigns_url(written.partition.advertiser_id))
    metadata |= {
        "requests": stats.requests,
        "pages": stats.pages,
        "retries": stats.retries,
        "seconds": stats.seconds,
        "megabytes": stats.megabytes,
        "kilobytes_stored": round(written.bytes / 1e3, 1),
    }
    if written.new_versions is not None:
        metadata["new_versions"] = written.new_versions
    if written.thumbnails is not None:
        metadata["thumbnails"], metadata["thumbnail_bytes"] = written.thumbnails
    findings = {
        "malformed_values": written.malformed_values,
        "unknown_fields": escape_control_characters(", ".join(stats.unknown_fields)),
        "read_by": escape_control_characters(stats.read_by),
        "withdrawn_metrics": ", ".join(stats.refused_metrics),
    }
    return metadata | {name: found for name, found in findings.items() if found}


MAX_FAILED_EVENTS = 31
"""Of a range that fails as a whole, how many of its newest partitions get an event."""

ALL_METRICS_SERVED_CHECK = "all_metrics_served"


def record_materializations(
    context: dg.AssetExecutionContext,
    names: Names,
    outcomes: Iterable[WrittenPartition | FailedPartitions],
    *,
    has_metrics: bool = False,
) -> dg.MaterializeResult:
    """Record each partition when it is written, and raise at the end if any failed.

    Args:
        context: the context of the step.
        names: of the assets.
        outcomes: consumed one by one.
        has_metrics: whether the asset has the check `ALL_METRICS_SERVED_CHECK`, which then gets its result.

    Raises:
        dagster.Failure: with the error and the fix of each failed range; all other partitions are recorded.
    """
    refused = record_partitions(context, names, outcomes)
    check = dg.AssetCheckResult(
        passed=not refused,
        check_name=ALL_METRICS_SERVED_CHECK,
        severity=dg.AssetCheckSeverity.WARN,
        description=describe_refused_metrics(refused) if refused else None,
        metadata={"withdrawn_metrics": ", ".join(sorted(refused))} if refused else {},
    )
    days = context.assets_def.partitions_def
    if isinstance(days, dg.MultiPartitionsDefinition):
        # Fill Dagster's cache of materialized partitions here; the first page that needs it would wait for it.
        context.instance.get_status_by_partition(context.asset_key, [], days)
    return dg.MaterializeResult(metadata=ALREADY_RECORDED, check_results=[check] if has_metrics else [])


def describe_refused_metrics(metrics: Iterable[str]) -> str:
    """Describe which metrics TikTok refused, the effect, and the fix."""
    names = ", ".join(sorted(metrics))
    return (
        f"TikTok refuses {names}: the column is empty. Remove it from TIKTOK_METRICS, or wait until TikTok"
        " returns it."
    )


def record_partitions(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    names: Names,
    outcomes: Iterable[WrittenPartition | FailedPartitions],
) -> set[str]:
    """Record each partition of any table when it is written, and return the metrics TikTok refused.

    Raises:
        dagster.Failure: at the end, with the error and the fix of each failed range.
    """
    failures: list[FailedPartitions] = []
    refused: set[str] = set()
    written: Counter[str] = Counter()
    spend_by_day: dict[tuple[str, str | None], dict[date, float]] = {}
    for outcome in outcomes:
        if isinstance(outcome, FailedPartitions) and outcome.is_not_offered:
            context.log.warning("%s, so it is skipped.", outcome)
            continue
        if isinstance(outcome, FailedPartitions):
            context.log.error("%s %s", outcome, outcome.fix)
            _record_failed_partitions(context, names, outcome)
            failures.append(outcome)
            continue
        written[outcome.table] += 1
        refused.update(outcome.stats.refused_metrics)
        metadata = dict(build_partition_metadata(outcome))
        key = (outcome.table, outcome.partition.advertiser_id)
        metadata.update(_build_spend_plot(outcome, spend_by_day.setdefault(key, {})))
        context.log_event(
            dg.AssetMaterialization(
                names.key(outcome.table),
                partition=format_partition_key(outcome.partition),
                metadata=metadata,
                tags=build_partition_tags(outcome.partition),
            )
        )
    if failures:
        raise build_failure(failures, sum(written[table] for table in {failure.table for failure in failures}))
    return refused


def _record_failed_partitions(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, names: Names, failed: FailedPartitions
) -> None:
    """Record why partitions failed, as an observation of each of the newest: Dagster has no event for them."""
    error = failed.error
    metadata: dict[str, Any] = {
        "error": str(error),
        "fix": failed.fix,
        "failed_partitions": len(failed.partitions),
        "api_code": getattr(error, "code", None),
        "request_id": getattr(error, "request_id", None),
    }
    for partition in failed.partitions[-MAX_FAILED_EVENTS:]:
        context.log_event(
            dg.AssetObservation(
                names.key(failed.table),
                partition=format_partition_key(partition) if partition.advertiser_id else None,
                metadata={name: value for name, value in metadata.items() if value not in (None, "")},
                tags=build_partition_tags(partition),
            )
        )


def write_export(
    context: dg.OpExecutionContext, names: Names, table: str, advertiser_id: str, rows: pl.DataFrame
) -> None:
    """Write and record an account's partition of a table that exports the state, from a job outside the asset."""
    written = names.session(context).store.write(table, Partition(advertiser_id), rows)
    metadata: dict[str, Any] = {"rows": written.rows, **build_preview(rows)}
    context.log_event(dg.AssetMaterialization(names.key(table), partition=advertiser_id, metadata=metadata))


def _build_spend_plot(written: WrittenPartition, spend_by_day: dict[date, float]) -> Mapping[str, Any]:
    """Build the plot of an account's spend by day in this run, on the last day of each request's window.

    Days before the last get no plot, because every byte of it stays in the event log.
    """
    day, window = written.partition.day, written.stats.window
    if day is None or window is None or not written.spend:
        return {}
    spend_by_day[day] = float(sum(written.spend.values()))
    is_last = day == window.last and window.first < window.last
    return {"spend_by_day": build_spend_line(spend_by_day)} if is_last else {}


def build_failure(failures: list[FailedPartitions], written: int) -> dg.Failure:
    """Combine the failures of a step into one.

    Args:
        failures: the partitions that were not read; what stops all requests of the app is named only once.
        written: the number of partitions of the same tables that were written.
    """
    of_the_app = [one for one in failures if isinstance(one.error, DailyQuotaError | BudgetUnavailableError)]
    others = [failure for failure in failures if failure not in of_the_app]
    reasons = "; ".join(f"{failure} {failure.fix}".rstrip() for failure in [*others, *of_the_app[:1]])
    failed = len({(failure.table, partition) for failure in failures for partition in failure.partitions})
    return dg.Failure(
        f"{failed} of {failed + written} partitions failed: {reasons}",
        metadata={
            "failed": [format_partition_key(p) for failure in failures for p in failure.partitions],
            "landed": written,
        },
        allow_retries=False,
    )

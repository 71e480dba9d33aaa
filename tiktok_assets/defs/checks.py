"""Define the asset checks of every table, one step per table, and the job `check_tables` that runs them."""

import time
from collections.abc import Iterable, Iterator, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; Dagster exports no name for it
)

from tiktok_assets.defs.table_catalog import get_stored_tables, get_table_keys
from tiktok_assets.escaping import disable_links, escape_control_characters, escape_markdown
from tiktok_assets.ingest.lookback import GAP_SEARCH_DAYS
from tiktok_assets.quality.checked_table import CheckedTable, build_checked_tables
from tiktok_assets.quality.checks import Check, evaluate_checks, select_checks
from tiktok_assets.quality.outcome import CheckOutcome, Row
from tiktok_assets.quality.table_reader import CheckContext
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings

CHECK_TABLES_JOB = "check_tables"
"""The job that runs them all."""


def get_checked_days(settings: Settings) -> int:
    """How many days of daily reports are looked at: all that a refresh can have rewritten."""
    return max(GAP_SEARCH_DAYS, settings.lookback_days, settings.sweep_days) + 2


_SEVERITIES = {"error": dg.AssetCheckSeverity.ERROR, "warning": dg.AssetCheckSeverity.WARN}


def get_check_step_name(table: str) -> str:
    """The step that checks a table."""
    return f"check_{table}"


def build_all_checked_tables(settings: Settings) -> dict[str, CheckedTable]:
    """Every stored table as the checks see it."""
    return build_checked_tables(
        get_stored_tables(settings), get_table_keys(settings), settings.chosen_reports, settings.chosen_metrics
    )


TableChecks = Sequence[dg.AssetChecksDefinition]
"""The checks of all tables: made once, since they are a large part of what a location is made of."""


def build_table_checks(settings: Settings) -> TableChecks:
    """The checks of every stored table, a step each."""
    return [_build_table_check(settings, subject) for subject in build_all_checked_tables(settings).values()]


def build_check_job(settings: Settings, checks: TableChecks) -> UnresolvedAssetJobDefinition:
    """The job of all checks; launched by `refresh_sequence` and `sync` after a refresh."""
    return dg.define_asset_job(
        CHECK_TABLES_JOB,
        selection=dg.AssetSelection.checks(*checks),
        description=f"Looks at every table, and at the last {get_checked_days(settings)} days of the daily ones.",
    )


def _build_table_check(settings: Settings, subject: CheckedTable) -> dg.AssetChecksDefinition:
    checks = {check.name: check for check in select_checks(subject)}

    # Not a partition each: an evaluation costs two events, and its findings name the partitions.
    @dg.multi_asset_check(
        name=get_check_step_name(subject.table),
        specs=[
            dg.AssetCheckSpec(check.name, asset=subject.table, description=check.description)
            for check in checks.values()
        ],
        can_subset=True,
        config_schema={
            "days": dg.Field(
                int,
                default_value=get_checked_days(settings),
                description="days of daily reports to look at; 0 for all",
            )
        },
    )
    def _check(
        context: dg.AssetCheckExecutionContext, tiktok: dg.ResourceParam[Session]
    ) -> Iterator[dg.AssetCheckResult]:
        began = time.monotonic()
        asked = {key.name for key in context.selected_asset_check_keys}
        archive = build_check_context(settings, tiktok, int(context.op_execution_context.op_config["days"]))
        chosen = {name: check for name, check in checks.items() if name in asked}
        looked = evaluate_checks(archive, subject.table, chosen)
        context.log.info(
            "%s: %s checks of %s rows in %s partitions took %.2f s",
            subject.table,
            len(chosen),
            looked.rows,
            looked.partitions,
            time.monotonic() - began,
        )
        for name, finding in looked.outcomes.items():
            yield build_check_result(subject.table, checks[name], finding)

    return _check


def select_job_tables(job: dg.JobDefinition, tables: Iterable[str]) -> dg.JobDefinition:
    """A part of a job: these tables with the checks their steps make; without tables, the job.

    Dagster's own selection of assets would bring every check of them along.
    """
    keys = {dg.AssetKey(table) for table in tables}
    if not keys:
        return job
    own = {key for key in job.asset_layer.asset_graph.asset_check_keys if key.asset_key in keys}
    return job.get_subset(asset_selection=keys, asset_check_selection=own)


def build_check_context(settings: Settings, session: Session, days: int) -> CheckContext:
    """What the checks read: the store, as of the host's clock."""
    return CheckContext(
        session.store,
        build_all_checked_tables(settings),
        settings.advertiser_ids,
        settings.account_timezone,
        settings.account_currency,
        settings.start_date,
        session.now(),
        settings.reconciliation_tolerance,
        days,
    )


def build_check_result(table: str, check: Check, finding: CheckOutcome) -> dg.AssetCheckResult:
    """Make the result Dagster records of what a check found; names in it are text."""
    metadata: dict[str, dg.MetadataValue] = {"faults": dg.MetadataValue.int(finding.count)}
    for name, rows in (("first_faults", finding.faults), ("figures", finding.figures)):
        if rows:
            metadata[name] = _build_table_metadata(rows)
    if finding.notes:
        metadata["notes"] = dg.MetadataValue.md(
            "\n".join(f"- {escape_markdown(note)}" for note in finding.notes[:20])
        )
    return dg.AssetCheckResult(
        asset_key=table,
        check_name=check.name,
        passed=finding.passed,
        severity=_SEVERITIES[check.severity],
        description=summarize_outcome(finding),
        metadata=metadata,
    )


def summarize_outcome(finding: CheckOutcome) -> str | None:
    """What was found, in one line; None where there is nothing to say."""
    if finding.passed:
        return "; ".join(finding.notes[:3]) or None
    first = ", ".join(f"{name} {disable_links(value)}" for name, value in finding.faults[0].items() if value)
    return f"{finding.count} found; the first: {first}"


def describe_evaluation(evaluation: dg.AssetCheckEvaluation) -> str:
    """What a check that did not pass says, in one line that names the table."""
    return f"{evaluation.asset_key.path[-1]}, {evaluation.check_name}: {evaluation.description}"


def _build_table_metadata(rows: tuple[Row, ...]) -> dg.TableMetadataValue:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord({name: escape_control_characters(row.get(name, "")) for name in names}) for row in rows
        ],
        schema=dg.TableSchema([dg.TableColumn(name, "string") for name in names]),
    )

"""Define the asset checks of every table, one step per table, and the job `check_tables` that runs them."""

import time
from collections.abc import Iterable, Iterator, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; Dagster exports no name for it
)

from tiktok_assets.defs.names import Names
from tiktok_assets.defs.table_catalog import get_stored_tables, get_table_keys
from tiktok_assets.escaping import disable_links, escape_control_characters, escape_markdown
from tiktok_assets.ingest import GAP_SEARCH_DAYS
from tiktok_assets.quality import (
    Check,
    CheckContext,
    CheckedTable,
    CheckOutcome,
    Row,
    build_checked_tables,
    evaluate_checks,
    select_checks,
)
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings

CHECK_TABLES_JOB = "check_tables"
"""The job that runs all checks."""


def get_checked_days(settings: Settings) -> int:
    """Return how many days of daily reports are checked: all that a refresh can have rewritten."""
    return max(GAP_SEARCH_DAYS, settings.lookback_days, settings.sweep_days) + 2


_SEVERITIES = {"error": dg.AssetCheckSeverity.ERROR, "warning": dg.AssetCheckSeverity.WARN}


def get_check_step_name(settings: Settings, table: str) -> str:
    """Return the name of the step that checks a table."""
    return Names(settings).name(f"check_{table}")


def build_all_checked_tables(settings: Settings) -> dict[str, CheckedTable]:
    """Build the description of every stored table that the checks use."""
    return build_checked_tables(
        get_stored_tables(settings), get_table_keys(settings), settings.chosen_reports, settings.chosen_metrics
    )


TableChecks = Sequence[dg.AssetChecksDefinition]
"""The checks of all tables; they are built only once because they take a large part of the load time."""


def build_table_checks(settings: Settings) -> TableChecks:
    """Build the checks of every stored table, one step per table."""
    return [_build_table_check(settings, table) for table in build_all_checked_tables(settings).values()]


def build_check_job(
    settings: Settings, checks: TableChecks, executor: dg.ExecutorDefinition = dg.in_process_executor
) -> UnresolvedAssetJobDefinition:
    """Build the job of all checks, which `refresh_sequence` and `sync` launch after a refresh."""
    return dg.define_asset_job(
        Names(settings).name(CHECK_TABLES_JOB),
        executor_def=executor,
        selection=dg.AssetSelection.checks(*checks),
        description=f"Checks every table, and the last {get_checked_days(settings)} days of daily reports.",
    )


def _build_table_check(settings: Settings, checked_table: CheckedTable) -> dg.AssetChecksDefinition:
    checks = {check.name: check for check in select_checks(checked_table)}
    names = Names(settings)
    key = names.key(checked_table.table)

    # The checks are not partitioned: each evaluation costs two events, and its outcome names the partitions.
    @dg.multi_asset_check(
        name=get_check_step_name(settings, checked_table.table),
        specs=[
            dg.AssetCheckSpec(check.name, asset=key, description=check.description) for check in checks.values()
        ],
        can_subset=True,
        required_resource_keys=names.required_resources,
        config_schema={
            "days": dg.Field(
                int,
                default_value=get_checked_days(settings),
                description="days of daily reports to check; 0 for all",
            )
        },
    )
    def _check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        tiktok = names.session(context.op_execution_context)
        started = time.monotonic()
        requested = {key.name for key in context.selected_asset_check_keys}
        check_context = build_check_context(settings, tiktok, int(context.op_execution_context.op_config["days"]))
        selected = {name: check for name, check in checks.items() if name in requested}
        result = evaluate_checks(check_context, checked_table.table, selected)
        context.log.info(
            "%s: %s checks of %s rows in %s partitions took %.2f s",
            checked_table.table,
            len(selected),
            result.rows,
            result.partitions,
            time.monotonic() - started,
        )
        for name, outcome in result.outcomes.items():
            yield build_check_result(key, checks[name], outcome)

    return _check


def select_job_tables(job: dg.JobDefinition, settings: Settings, tables: Iterable[str]) -> dg.JobDefinition:
    """Return the part of a job with these tables and the checks their steps evaluate; the job without tables.

    Dagster's own asset selection would include every check of the tables.
    """
    keys = set(Names(settings).keys(tables))
    if not keys:
        return job
    check_keys = {key for key in job.asset_layer.asset_graph.asset_check_keys if key.asset_key in keys}
    return job.get_subset(asset_selection=keys, asset_check_selection=check_keys)


def build_check_context(settings: Settings, session: Session, days: int) -> CheckContext:
    """Build the context of the checks: the store, the settings and the current time."""
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


def build_check_result(key: dg.AssetKey, check: Check, outcome: CheckOutcome) -> dg.AssetCheckResult:
    """Build Dagster's result of a check from its outcome, with all names as plain text."""
    metadata: dict[str, dg.MetadataValue] = {"faults": dg.MetadataValue.int(outcome.count)}
    for name, rows in (("first_faults", outcome.faults), ("figures", outcome.figures)):
        if rows:
            metadata[name] = _build_table_metadata(rows)
    if outcome.notes:
        metadata["notes"] = dg.MetadataValue.md(
            "\n".join(f"- {escape_markdown(note)}" for note in outcome.notes[:20])
        )
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=check.name,
        passed=outcome.passed,
        severity=_SEVERITIES[check.severity],
        description=summarize_outcome(outcome),
        metadata=metadata,
    )


def summarize_outcome(outcome: CheckOutcome) -> str | None:
    """Summarize the outcome in one line; None if the check passed without notes."""
    if outcome.passed:
        return "; ".join(outcome.notes[:3]) or None
    if outcome.summary:
        return outcome.summary
    first = ", ".join(f"{name} {disable_links(value)}" for name, value in outcome.faults[0].items() if value)
    return f"{outcome.count} found; the first: {first}"


def describe_evaluation(evaluation: dg.AssetCheckEvaluation) -> str:
    """Describe a failed evaluation in one line that names the table and the check."""
    return f"{evaluation.asset_key.path[-1]}, {evaluation.check_name}: {evaluation.description}"


def _build_table_metadata(rows: tuple[Row, ...]) -> dg.TableMetadataValue:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord({name: escape_control_characters(row.get(name, "")) for name in names}) for row in rows
        ],
        schema=dg.TableSchema([dg.TableColumn(name, "string") for name in names]),
    )

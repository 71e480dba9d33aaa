"""Run the `sync` command: run the refresh jobs in this process and record ordinary materializations."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from tiktok_assets.alerts import DUPLICATE_JOB
from tiktok_assets.api import QUOTA_USED_UP_MESSAGE, DailyQuotaError, DateWindow
from tiktok_assets.cli.arguments import parse_window, select_advertisers, select_tables, split_window_by_account
from tiktok_assets.cli.sync_result import NO_PROGRESS, ProgressListener, SyncRequest, SyncResult
from tiktok_assets.definitions import build_definitions
from tiktok_assets.defs import (
    AD_TAG,
    BACKFILL_HISTORY_JOB,
    CHECK_TABLES_JOB,
    DERIVED_JOB,
    DUPLICATION_KEY_TAG,
    FLAG_JOB,
    TOP_SPENDERS,
    UNPARTITIONED_DERIVED_TABLES,
    BackfillChoice,
    Names,
    OwnRuns,
    PartitionRange,
    RankingEvaluation,
    RefreshStage,
    add_advertiser_partitions,
    build_all_checked_tables,
    build_duplication_runs,
    describe_evaluation,
    evaluate_rankings,
    find_unfinished_requests,
    get_advertiser_keys,
    get_check_step_name,
    get_daily_reports,
    get_derived_tables,
    get_latest_ranking_cursor,
    get_publish_job,
    get_stage_tables,
    get_step_failure_reason,
    plan_stage_ranges,
    queue_and_deliver_failures,
    select_job_tables,
    split_into_ranges,
)
from tiktok_assets.ingest import describe_forbidden_endpoints, describe_missing_endpoints, load_accounts
from tiktok_assets.instance import open_instance
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec import describe_undocumented_metrics
from tiktok_assets.storage import utc_now
from tiktok_assets.tables import Account

RESULT_EVENTS = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.STEP_FAILURE}
DAILY_STAGE: RefreshStage = "refresh_daily"
QUIET_LOGGING = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class _JobRun:
    """A run to execute: a job, the tables of it to refresh (empty for all), its tags and its run config.

    What fails in a run that `only_warns` does not fail the sync.
    """

    job: str
    tables: Sequence[str]
    tags: Mapping[str, str]
    description: str
    config: Mapping[str, Any] = field(default_factory=dict)
    only_warns: bool = False


@dataclass(frozen=True, slots=True)
class _Runner:
    """The definitions, the instance and the names of the runs of a sync."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    names: Names

    def get_job(self, name: str) -> dg.JobDefinition:
        """Return a job by its name without prefix."""
        return self.definitions.resolve_job_def(self.names.name(name))


@dataclass(frozen=True, slots=True)
class _ChosenDays:
    """The accounts and days of a sync.

    Attributes:
        advertisers: the advertiser ids.
        window: the days of --from and --to; None without them.
        windows: the same for each account; None for the days that need a refresh.
        missing_columns: whether stored days that lack a selected column are read instead.
    """

    advertisers: Sequence[str]
    window: DateWindow | None
    windows: Mapping[str, DateWindow] | None
    missing_columns: bool


def run_sync(
    settings: Settings,
    session: Session,
    request: SyncRequest,
    log: Callable[[str], None],
    listener: ProgressListener = NO_PROGRESS,
) -> SyncResult:
    """Refresh entities, daily and lifetime reports, and then the tables derived from them.

    Args:
        settings: the accounts and tables.
        session: an open session; all runs use its connection.
        request: the options that narrow the refresh.
        log: receives one line of progress at a time.
        listener: receives the start of each stage and the end of each run.

    Raises:
        UsageError: if an option is invalid; no report was requested then.
        TikTokError: if the accounts cannot be listed, or none is granted.
        StoreError: if the tables cannot be written.
    """
    start = time.monotonic()
    stages = _list_stages(settings, request)
    all_tables = [table for names in stages.values() for table in names]
    tables = select_tables(request.select, [*all_tables, CHECK_TABLES_JOB])
    session.store.check_writable()
    advertisers = select_advertisers(request.advertisers, session.advertiser_ids)
    window = parse_window(request.first, request.last, start=settings.start_date, now=session.now())
    has_daily_tables = any(table in tables for table in stages.get(DAILY_STAGE, ()))
    windows = _requested_windows(session, advertisers, window, request) if has_daily_tables else None
    days = _ChosenDays(advertisers, window, windows, request.missing_columns)
    result, started_at = SyncResult(), utc_now()
    with open_instance(settings) as instance:
        add_advertiser_partitions(instance, session.advertiser_ids, settings)
        runner = _Runner(build_definitions(settings, session=session), instance, Names(settings))
        if request.select is None and not request.missing_columns:
            for run in _unfinished_duplication_runs(settings, session, instance, advertisers):
                _execute_run(runner, run, result, log)
        cursor = get_latest_ranking_cursor(instance, settings)
        for stage, names in stages.items():
            selected = [name for name in names if name in tables]
            runs = _plan_runs(stage, selected, runner, session, days) if selected else []
            listener.start_stage(stage, len(runs))
            for run in runs:
                if not session.quota_error or stage == DERIVED_JOB:  # every request would be refused
                    _execute_run(runner, run, result, log)
                listener.finish_run()
        if TOP_SPENDERS in tables:
            for run in _flag_runs(evaluate_rankings(instance, session, cursor), tables, log):
                _execute_run(runner, run, result, log)
        # A selection without the checks is a quick refresh of a few tables: compared with tables that were not
        # refreshed, they would seem wrong.
        if CHECK_TABLES_JOB in tables and not session.quota_error:
            checked = [name for name in build_all_checked_tables(settings) if name in tables]
            steps = [get_check_step_name(settings, name) for name in checked]
            _run_quality_checks(runner, steps, result, log)
        _publish_changes(runner, request, result, log)
        own = OwnRuns.find(runner.definitions)
        if message := queue_and_deliver_failures(settings, session.state, instance, started_at, own):
            log(message)
    _add_summary(session, result, log)
    result.requests = session.total.requests
    result.retries = session.total.retries
    result.megabytes = round(session.total.bytes / 1e6, 2)
    result.seconds = round(time.monotonic() - start, 2)
    return result


def _add_summary(session: Session, result: SyncResult, log: Callable[[str], None]) -> None:
    """Add what concerns the whole sync: undocumented metrics, endpoints the host does not have, a used-up quota.

    The message about the quota replaces the message of each request that was refused for it.
    """
    if message := describe_undocumented_metrics(session.settings.chosen_metrics):
        result.warnings.append(f"{message}.")
        log(f"warning: {result.warnings[-1]}")
    if session.missing_paths:
        result.warnings.append(f"{describe_missing_endpoints(session.missing_paths)}.")
        log(f"warning: {result.warnings[-1]}")
    if session.forbidden_paths:
        result.warnings.append(f"{describe_forbidden_endpoints(session.forbidden_paths)}.")
        log(f"warning: {result.warnings[-1]}")
    if session.quota_error:
        result.failures = [failure for failure in result.failures if QUOTA_USED_UP_MESSAGE not in failure]
        result.failures.append(_describe_used_up_quota(session.quota_error, result))


def _describe_used_up_quota(error: DailyQuotaError, result: SyncResult) -> str:
    """Return when the daily quota is refilled and what was stored before it was used up."""
    partitions, rows = sum(result.partitions.values()), sum(result.rows.values())
    stored = f"{partitions} partitions of {len(result.partitions)} tables with {rows:,} rows are stored"
    return f"{error}. Until then {stored}; the next sync after that reads what is missing."


def _list_stages(settings: Settings, request: SyncRequest) -> dict[str, list[str]]:
    """Return the tables of each stage; only daily reports can lack columns in days that are stored."""
    stages = {str(stage): names for stage, names in get_stage_tables(settings).items()}
    if request.missing_columns:
        stages = {DAILY_STAGE: get_daily_reports(settings)}
    return stages | {DERIVED_JOB: get_derived_tables(settings)}


def _plan_runs(
    stage: str, tables: Sequence[str], runner: _Runner, session: Session, days: _ChosenDays
) -> list[_JobRun]:
    """Return the runs of a stage; the days that need a refresh depend on what the stages before have stored."""
    if stage == DAILY_STAGE and days.missing_columns:
        choice = BackfillChoice(days.missing_columns, days.window, days.advertisers, tables)
        config = choice.to_run_config(runner.names)
        return [_JobRun(BACKFILL_HISTORY_JOB, (), {}, "stored days that lack a selected column", config)]
    chunks = _stage_chunks(stage, runner.instance, session, days.advertisers, days.windows)
    return list(_stage_runs(stage, tables, chunks))


def _stage_runs(stage: str, tables: Sequence[str], chunks: Sequence[PartitionRange]) -> Iterator[_JobRun]:
    """Yield one run for each chunk of partitions."""
    for number, chunk in enumerate(chunks):
        # Unpartitioned tables are refreshed once: the accounts in the first run, summaries in the last.
        run_numbers = {"advertisers": 0, **dict.fromkeys(UNPARTITIONED_DERIVED_TABLES, len(chunks) - 1)}
        selected = [table for table in tables if run_numbers.get(table, number) == number]
        days = f", {chunk.window}" if chunk.window else ""
        yield _JobRun(stage, selected, chunk.tags, f"{len(chunk.advertiser_ids)} advertisers{days}")


def _flag_runs(
    evaluation: RankingEvaluation, tables: Sequence[str], log: Callable[[str], None]
) -> Iterator[_JobRun]:
    """Yield the runs that the sensor would request, and one that rebuilds summary tables with the flags."""
    for line in evaluation.messages[1:]:
        log(line)
    for request in evaluation.requests:
        yield _JobRun(FLAG_JOB, (), request.tags, f"ad {request.tags[AD_TAG]}", request.run_config)
    if evaluation.requests and (selected := [table for table in UNPARTITIONED_DERIVED_TABLES if table in tables]):
        yield _JobRun(DERIVED_JOB, selected, {}, "with the flags")


def _publish_changes(
    runner: _Runner, request: SyncRequest, sync_result: SyncResult, log: Callable[[str], None]
) -> None:
    """Publish to each destination; one that is down adds a warning, and does not fail the refresh."""
    for name in runner.names.settings.destinations if request.select is None else ():
        _execute_run(
            runner, _JobRun(get_publish_job(name), (), {}, "what changed", only_warns=True), sync_result, log
        )


def _unfinished_duplication_runs(
    settings: Settings, session: Session, instance: dg.DagsterInstance, advertisers: Sequence[str]
) -> Iterator[_JobRun]:
    """Yield the runs that the sensor `finish_duplications` would request: duplications that were started live."""
    if settings.scaling_mode == "alert":
        return
    unfinished = [one for one in find_unfinished_requests(session.state) if one.advertiser_id in advertisers]
    for request in build_duplication_runs(instance, settings, unfinished):
        key = request.tags[Names(settings).tag(DUPLICATION_KEY_TAG)]
        yield _JobRun(DUPLICATE_JOB, (), request.tags, f"finishes {key}", request.run_config)


def _requested_windows(
    session: Session, advertisers: Sequence[str], window: DateWindow | None, request: SyncRequest
) -> Mapping[str, DateWindow] | None:
    """Return the days of each account; one whose time zone cannot be read gets UTC, and fails in its own run."""
    if window is None or request.missing_columns:
        return None
    if request.last:
        return dict.fromkeys(advertisers, window)
    accounts, _ = load_accounts(session.reader, session.store, session.settings, advertisers)
    unknown_ids = set(advertisers) - {account.advertiser_id for account in accounts}
    unknown = [Account(advertiser_id, "", "UTC") for advertiser_id in unknown_ids]
    return split_window_by_account(window, [*accounts, *unknown], session.now(), is_end_named=False)


def _stage_chunks(
    stage: str,
    instance: dg.DagsterInstance,
    session: Session,
    advertisers: Sequence[str],
    requested: Mapping[str, DateWindow] | None,
) -> list[PartitionRange]:
    """Split the partitions of a stage into ranges, one for each run.

    Args:
        stage: the refresh stage.
        instance: the Dagster instance with the advertiser partitions.
        session: an open session.
        advertisers: the advertiser ids to refresh.
        requested: the days of each account given by options; None for the days that need a refresh.
    """
    order = get_advertiser_keys(instance, session.settings)
    if stage == DAILY_STAGE and requested is not None:
        return split_into_ranges(order, requested)
    if stage == DAILY_STAGE:
        chunks = plan_stage_ranges(DAILY_STAGE, instance, session.store, session.settings, session.now())
        windows = {
            advertiser_id: chunk.window
            for chunk in chunks
            for advertiser_id in chunk.advertiser_ids
            if advertiser_id in advertisers
        }
        return split_into_ranges(order, windows)
    return split_into_ranges(order, dict.fromkeys(advertisers))


def _execute_run(
    runner: _Runner,
    run: _JobRun,
    sync_result: SyncResult,
    log: Callable[[str], None],
) -> None:
    """Execute a run in this process and add its rows, partitions, failures and warnings to the result."""
    start = time.monotonic()
    result = select_job_tables(runner.get_job(run.job), runner.names.settings, run.tables).execute_in_process(
        instance=runner.instance,
        tags=dict(run.tags),
        run_config={**QUIET_LOGGING, **run.config},
        raise_on_error=False,
    )
    rows = 0
    counted_tables: set[str] = set()
    # Read from the instance: the result of a failed step does not have the events recorded before the failure.
    for entry in runner.instance.all_logs(result.run_id, of_type=RESULT_EVENTS):
        event = entry.get_dagster_event()
        if event.is_step_materialization and event.asset_key:
            table = runner.names.table(event.asset_key)
            metadata = event.step_materialization_data.materialization.metadata
            count = _count_rows(metadata, is_counted=table in counted_tables)
            counted_tables.add(table)
            rows += count
            sync_result.rows[table] = sync_result.rows.get(table, 0) + count
            sync_result.partitions[table] = sync_result.partitions.get(table, 0) + 1
        elif event.is_step_failure:
            failure = _describe_failure(event)
            if dg.DagsterExecutionInterruptedError.__name__ in failure:
                raise KeyboardInterrupt  # Dagster reports Ctrl-C as a failure of the step
            (sync_result.warnings if run.only_warns else sync_result.failures).append(failure)
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed:
            sync_result.warnings.append(describe_evaluation(evaluation))
            sync_result.not_passed += 1
    sync_result.runs += 1
    outcome = "" if result.success else ", FAILED in part"
    log(f"{run.job}: {run.description}, {rows:,} rows in {time.monotonic() - start:.1f} s{outcome}")


def _count_rows(metadata: Mapping[str, dg.MetadataValue[Any]], *, is_counted: bool) -> int:
    """Return the rows of one materialization.

    A table without row counts of its partitions has the rows of its whole run at each of them; they count once.
    """
    count = metadata.get("rows") or (None if is_counted else metadata.get("rows_of_run"))
    return count.value if count and isinstance(count.value, int) else 0


def _run_quality_checks(
    runner: _Runner,
    steps: Sequence[str],
    sync_result: SyncResult,
    log: Callable[[str], None],
) -> None:
    """Check the refreshed tables; a check of severity ERROR fails the sync, any other adds a warning."""
    if not steps:
        return
    start = time.monotonic()
    result = runner.get_job(CHECK_TABLES_JOB).execute_in_process(
        instance=runner.instance, op_selection=list(steps), run_config=QUIET_LOGGING, raise_on_error=False
    )
    sync_result.failures += [_describe_failure(event) for event in result.all_events if event.is_step_failure]
    evaluations = result.get_asset_check_evaluations()
    failed = [evaluation for evaluation in evaluations if not evaluation.passed]
    for evaluation in failed:
        is_error = evaluation.severity == dg.AssetCheckSeverity.ERROR
        (sync_result.failures if is_error else sync_result.warnings).append(describe_evaluation(evaluation))
    sync_result.runs += 1
    log(
        f"{CHECK_TABLES_JOB}: {len(evaluations)} checks of {len(steps)} tables,"
        f" {sync_result.not_passed + len(failed)} not passed, in {time.monotonic() - start:.1f} s"
    )
    for warning in sync_result.warnings:
        log(f"warning: {warning}")


def _describe_failure(event: dg.DagsterEvent) -> str:
    """Return the failed step and the reason."""
    return f"{event.step_key}: {get_step_failure_reason(event)}"

"""Run the `sync` command: run the refresh jobs in this process and record ordinary materializations."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from tiktok_assets.alerts.dagster_urls import DUPLICATE_JOB
from tiktok_assets.api.errors import QUOTA_USED_UP_MESSAGE, DailyQuotaError
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.arguments import parse_window, select_advertisers, select_tables, split_window_by_account
from tiktok_assets.definitions import build_definitions
from tiktok_assets.defs.account_assets import add_advertiser_partitions
from tiktok_assets.defs.alert_sensors import get_step_failure_reason, queue_and_deliver_failures
from tiktok_assets.defs.checks import (
    CHECK_TABLES_JOB,
    build_all_checked_tables,
    describe_evaluation,
    get_check_step_name,
    select_job_tables,
)
from tiktok_assets.defs.duplication_sensors import (
    DUPLICATION_KEY_TAG,
    build_duplication_runs,
    find_unfinished_requests,
)
from tiktok_assets.defs.jobs import DERIVED_JOB, UNPARTITIONED_DERIVED_TABLES, get_derived_tables, get_stage_tables
from tiktok_assets.defs.refresh_stages import (
    PartitionRange,
    RefreshStage,
    get_advertiser_keys,
    plan_stage_ranges,
    split_into_ranges,
)
from tiktok_assets.defs.scaling_sensors import (
    AD_TAG,
    FLAG_JOB,
    RankingEvaluation,
    evaluate_rankings,
    get_latest_ranking_cursor,
)
from tiktok_assets.defs.table_catalog import TOP_SPENDERS
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.writer import describe_missing_endpoints
from tiktok_assets.instance import open_instance
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.metrics import describe_undocumented_metrics
from tiktok_assets.storage.state import utc_now
from tiktok_assets.tables.account_calendar import Account

RESULT_EVENTS = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.STEP_FAILURE}
DAILY_STAGE: RefreshStage = "refresh_daily"
QUIET_LOGGING = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What `sync` was asked for; empty means everything."""

    advertisers: Sequence[str] = ()
    first: str | None = None
    last: str | None = None
    select: str | None = None


@dataclass(slots=True)
class SyncResult:
    """What a `sync` did: rows by table, what it cost, one sentence for each failure and each check that warns."""

    rows: dict[str, int] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    requests: int = 0
    retries: int = 0
    megabytes: float = 0.0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    not_passed: int = 0


@dataclass(frozen=True, slots=True)
class _JobRun:
    job: str
    tables: Sequence[str]
    tags: Mapping[str, str]
    what: str
    config: Mapping[str, Any] = field(default_factory=dict)


class ProgressListener:
    """Who follows the stages of a sync; this one does not look."""

    def begin(self, stage: str, runs: int) -> None:
        """A stage of so many runs begins."""

    def advance(self) -> None:
        """One of them ended."""


NO_PROGRESS = ProgressListener()


def run_sync(
    settings: Settings,
    session: Session,
    asked: SyncRequest,
    tell: Callable[[str], None],
    watcher: ProgressListener = NO_PROGRESS,
) -> SyncResult:
    """Refresh hierarchy, daily and lifetime reports, then what is derived from them.

    Args:
        settings: whose accounts and tables.
        session: an open one; its connection serves every run.
        asked: what to narrow it to.
        tell: takes one line of progress at a time.
        watcher: is told of each stage and run.

    Raises:
        WrongUsage: if what was asked for makes no sense; nothing was sent for it.
        TikTokError: if the accounts cannot be listed, or none is granted.
        StoreError: if the tables cannot be written.
    """
    began = time.monotonic()
    stages = {str(stage): names for stage, names in get_stage_tables(settings).items()}
    stages[DERIVED_JOB] = get_derived_tables(settings)
    every = [table for names in stages.values() for table in names]
    tables = select_tables(asked.select, [*every, CHECK_TABLES_JOB])
    session.store.check_writable()
    advertisers = select_advertisers(asked.advertisers, session.advertiser_ids)
    window = parse_window(asked.first, asked.last, start=settings.start_date, now=session.now())
    reads_days = any(table in tables for table in stages.get(DAILY_STAGE, ()))
    days = _requested_windows(session, advertisers, window, asked) if window and reads_days else None
    synced, started = SyncResult(), utc_now()
    with open_instance(settings) as instance:
        add_advertiser_partitions(instance, session.advertiser_ids)
        definitions = build_definitions(settings, session=session)
        if asked.select is None:
            for run in _unfinished_duplication_runs(settings, session, instance, advertisers):
                _execute_run(definitions, instance, run, synced, tell)
        newest = get_latest_ranking_cursor(instance)
        for stage, names in stages.items():
            chosen = [name for name in names if name in tables]
            # Cut only now: which days are needed depends on what the stage before has stored.
            chunks = _stage_chunks(stage, instance, session, advertisers, days) if chosen else []
            runs = list(_stage_runs(stage, chosen, chunks))
            watcher.begin(stage, len(runs))
            for run in runs:
                if not session.used_up or stage == DERIVED_JOB:  # it would only be refused
                    _execute_run(definitions, instance, run, synced, tell)
                watcher.advance()
        if TOP_SPENDERS in tables:
            for run in _flag_runs(evaluate_rankings(instance, session, newest), tables, tell):
                _execute_run(definitions, instance, run, synced, tell)
        # A selection without them is about a few tables, quickly; half a refresh would only seem to be wrong.
        if CHECK_TABLES_JOB in tables and not session.used_up:
            read = [name for name in build_all_checked_tables(settings) if name in tables]
            _run_quality_checks(definitions, instance, [get_check_step_name(name) for name in read], synced, tell)
        if told := queue_and_deliver_failures(settings, session.state, instance, started):
            tell(told)
    _add_summary(session, synced, tell)
    synced.requests = session.total.requests
    synced.retries = session.total.retries
    synced.megabytes = round(session.total.bytes / 1e6, 2)
    synced.seconds = round(time.monotonic() - began, 2)
    return synced


def _add_summary(session: Session, synced: SyncResult, tell: Callable[[str], None]) -> None:
    """Say once what the host does not have, and that the quota of the day is used up, in place of each refusal."""
    if doubt := describe_undocumented_metrics(session.settings.chosen_metrics):
        synced.warnings.append(f"{doubt}.")
        tell(f"warning: {synced.warnings[-1]}")
    if session.not_offered:
        synced.warnings.append(f"{describe_missing_endpoints(session.not_offered)}.")
        tell(f"warning: {synced.warnings[-1]}")
    if session.used_up:
        synced.failures = [one for one in synced.failures if QUOTA_USED_UP_MESSAGE not in one]
        synced.failures.append(_describe_used_up_quota(session.used_up, synced))


def _describe_used_up_quota(error: DailyQuotaError, synced: SyncResult) -> str:
    """Say when the quota of the day is refilled, and what was stored until it was used up."""
    partitions, rows = sum(synced.partitions.values()), sum(synced.rows.values())
    stored = f"{partitions} partitions of {len(synced.partitions)} tables with {rows:,} rows are stored"
    return f"{error}. Until then {stored}; the next sync after that reads what is missing."


def _stage_runs(stage: str, tables: Sequence[str], chunks: Sequence[PartitionRange]) -> Iterator[_JobRun]:
    for number, chunk in enumerate(chunks):
        # Tables without partitions come with the first run, or with the last where they sum up the others.
        whole = {"advertisers": 0, **dict.fromkeys(UNPARTITIONED_DERIVED_TABLES, len(chunks) - 1)}
        chosen = [table for table in tables if whole.get(table, number) == number]
        days = f", {chunk.window}" if chunk.window else ""
        yield _JobRun(stage, chosen, chunk.tags, f"{len(chunk.advertiser_ids)} advertisers{days}")


def _flag_runs(seen: RankingEvaluation, tables: Sequence[str], tell: Callable[[str], None]) -> Iterator[_JobRun]:
    """The runs the sensor would ask for; what sums up the tables is then built again, with the flags in it."""
    for line in seen.told[1:]:
        tell(line)
    for request in seen.requests:
        yield _JobRun(FLAG_JOB, (), request.tags, f"ad {request.tags[AD_TAG]}", request.run_config)
    if seen.requests and (whole := [table for table in UNPARTITIONED_DERIVED_TABLES if table in tables]):
        yield _JobRun(DERIVED_JOB, whole, {}, "with the flags")


def _unfinished_duplication_runs(
    settings: Settings, session: Session, instance: dg.DagsterInstance, advertisers: Sequence[str]
) -> Iterator[_JobRun]:
    """The runs `finish_duplications` would ask for: of what a person began live, and nothing new."""
    if settings.scaling_mode == "alert":
        return
    begun = [wish for wish in find_unfinished_requests(session.state) if wish.advertiser_id in advertisers]
    for request in build_duplication_runs(instance, begun):
        yield _JobRun(
            DUPLICATE_JOB, (), request.tags, f"finishes {request.tags[DUPLICATION_KEY_TAG]}", request.run_config
        )


def _requested_windows(
    session: Session, advertisers: Sequence[str], window: DateWindow, asked: SyncRequest
) -> Mapping[str, DateWindow]:
    """Cut the days that were asked for by account; an account nobody can tell the zone of fails in its own run."""
    if asked.last:
        return dict.fromkeys(advertisers, window)
    known, _ = load_accounts(session.reader, session.store, session.settings, advertisers)
    unknown = [Account(one, "", "UTC") for one in set(advertisers) - {one.advertiser_id for one in known}]
    return split_window_by_account(window, [*known, *unknown], session.now(), is_end_named=False)


def _stage_chunks(
    stage: str,
    instance: dg.DagsterInstance,
    session: Session,
    advertisers: Sequence[str],
    asked: Mapping[str, DateWindow] | None,
) -> list[PartitionRange]:
    order = get_advertiser_keys(instance)
    if stage == DAILY_STAGE and asked is not None:
        return split_into_ranges(order, asked)
    if stage == DAILY_STAGE:
        needed = plan_stage_ranges(DAILY_STAGE, instance, session.store, session.settings, session.now())
        days = {one: chunk.window for chunk in needed for one in chunk.advertiser_ids if one in advertisers}
        return split_into_ranges(order, days)
    return split_into_ranges(order, dict.fromkeys(advertisers))


def _execute_run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    run: _JobRun,
    synced: SyncResult,
    tell: Callable[[str], None],
) -> None:
    began = time.monotonic()
    result = select_job_tables(definitions.resolve_job_def(run.job), run.tables).execute_in_process(
        instance=instance,
        tags=dict(run.tags),
        run_config={**QUIET_LOGGING, **run.config},
        raise_on_error=False,
    )
    rows = 0
    whole_told: set[str] = set()
    # The result forgets what a failed step had recorded before it failed; the instance does not.
    for entry in instance.all_logs(result.run_id, of_type=RESULT_EVENTS):
        event = entry.get_dagster_event()
        if event.is_step_materialization and event.asset_key:
            table = event.asset_key.path[-1]
            count = _count_rows(event.step_materialization_data.materialization.metadata, told=table in whole_told)
            whole_told.add(table)
            rows += count
            synced.rows[table] = synced.rows.get(table, 0) + count
            synced.partitions[table] = synced.partitions.get(table, 0) + 1
        elif event.is_step_failure:
            failure = _describe_failure(event)
            if dg.DagsterExecutionInterruptedError.__name__ in failure:
                raise KeyboardInterrupt  # Dagster took Ctrl-C for a failure of the step
            synced.failures.append(failure)
    for one in result.get_asset_check_evaluations():
        if not one.passed:
            synced.warnings.append(describe_evaluation(one))
            synced.not_passed += 1
    synced.runs += 1
    outcome = "" if result.success else ", FAILED in part"
    tell(f"{run.job}: {run.what}, {rows:,} rows in {time.monotonic() - began:.1f} s{outcome}")


def _count_rows(landed: Mapping[str, dg.MetadataValue[Any]], *, told: bool) -> int:
    """The rows of one materialization; what tells those of its whole run is counted once."""
    count = landed.get("rows") or (None if told else landed.get("rows_of_run"))
    return count.value if count and isinstance(count.value, int) else 0


def _run_quality_checks(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    steps: Sequence[str],
    synced: SyncResult,
    tell: Callable[[str], None],
) -> None:
    """Look at the tables just read. A check that finds an error fails the sync, one that warns only tells."""
    if not steps:
        return
    began = time.monotonic()
    result = definitions.resolve_job_def(CHECK_TABLES_JOB).execute_in_process(
        instance=instance, op_selection=list(steps), run_config=QUIET_LOGGING, raise_on_error=False
    )
    synced.failures += [_describe_failure(event) for event in result.all_events if event.is_step_failure]
    evaluations = result.get_asset_check_evaluations()
    for one in [one for one in evaluations if not one.passed]:
        graver = one.severity == dg.AssetCheckSeverity.ERROR
        (synced.failures if graver else synced.warnings).append(describe_evaluation(one))
    synced.runs += 1
    failing = synced.not_passed + sum(not one.passed for one in evaluations)
    tell(
        f"{CHECK_TABLES_JOB}: {len(evaluations)} checks of {len(steps)} tables,"
        f" {failing} not passed, in {time.monotonic() - began:.1f} s"
    )
    for warning in synced.warnings:
        tell(f"warning: {warning}")


def _describe_failure(event: dg.DagsterEvent) -> str:
    """What failed, and why."""
    return f"{event.step_key}: {get_step_failure_reason(event)}"

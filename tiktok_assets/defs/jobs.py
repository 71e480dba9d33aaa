"""Define the jobs of a refresh, of the derived tables and of the history backfill."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; Dagster exports no name for it
)

from tiktok_assets.api.errors import TikTokError, suggest_fix
from tiktok_assets.defs.account_assets import ACCOUNT_ASSETS, add_advertiser_partitions
from tiktok_assets.defs.checks import CHECK_TABLES_JOB, TableChecks, build_check_job
from tiktok_assets.defs.metadata import record_partitions
from tiktok_assets.defs.progress import describe_plan, log_progress
from tiktok_assets.defs.refresh_stages import (
    REFRESH_STAGES,
    PartitionRange,
    RefreshStage,
    find_advertisers_to_refresh,
    plan_stage_ranges,
)
from tiktok_assets.defs.report_assets import get_daily_reports, get_daily_tables, read_report_partitions
from tiktok_assets.defs.schedules import REFRESH_TAG, explain_short_cron
from tiktok_assets.defs.table_catalog import (
    ACCOUNT_OVERVIEW,
    AD_DUPLICATIONS,
    DUPLICATION_CANDIDATES,
    DUPLICATION_RESULTS,
    TOP_SPENDERS,
    get_stored_tables,
)
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.lookback import find_missing_days
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.ingest.restatements import refresh_restatements
from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.reports import Report
from tiktok_assets.storage.hive_store import Partition
from tiktok_assets.storage.state import utc_now
from tiktok_assets.tables.account_calendar import Account

STAGE_RUN_COUNT_TAG = "tiktok_assets/runs_of_stage"
"""How many runs the stage of a refresh has: the first may end before the daemon has submitted the last."""

UNFINISHED_STATUSES = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

SUPERSEDES_TAG = "tiktok_assets/supersedes"
"""The earlier refresh that stopped half way and whose place this one takes."""

STALLED_AFTER = timedelta(minutes=10)
"""`refresh_sequence` looks every few seconds: a refresh without a run for so long is not carried on by anyone."""

HUNG_AFTER = timedelta(days=1)
"""A run that changed its state no more for so long is not waited for."""

HOUR_SECONDS = 3600

SEQUENCE_INTERVAL_SECONDS = 4
"""At each turn of the daemon, which comes every five seconds: between two stages nothing is asked of the API."""


def get_stage_tables(settings: Settings) -> dict[RefreshStage, list[str]]:
    """The tables each stage of a refresh fills; a stage without tables is left out."""
    reports = settings.chosen_reports
    tables: dict[RefreshStage, list[str]] = {
        "refresh_accounts": [spec.key.path[-1] for asset in ACCOUNT_ASSETS for spec in asset.specs],
        "refresh_daily": get_daily_tables(settings),
        "refresh_lifetime": [report.table for report in reports if report.cadence == "lifetime"],
    }
    return {stage: names for stage, names in tables.items() if names}


DERIVED_JOB = "refresh_derived"
UNPARTITIONED_DERIVED_TABLES = (ACCOUNT_OVERVIEW, "warehouse")
"""What has no partitions and sums up all the others."""

DERIVED_TABLES = (
    TOP_SPENDERS,
    DUPLICATION_CANDIDATES,
    AD_DUPLICATIONS,
    DUPLICATION_RESULTS,
    *UNPARTITIONED_DERIVED_TABLES,
)


def get_derived_tables(settings: Settings) -> list[str]:
    """What is computed from the stored tables; ranking and candidates only where their sources were chosen."""
    return [
        table
        for table in DERIVED_TABLES
        if table in UNPARTITIONED_DERIVED_TABLES or table in get_stored_tables(settings)
    ]


_JOB_DESCRIPTIONS: dict[RefreshStage, str] = {
    "refresh_accounts": "Accounts, campaigns, ad groups and ads as they stand.",
    "refresh_daily": "The daily reports of a range of days.",
    "refresh_lifetime": "The lifetime reports.",
}


def build_refresh_jobs(settings: Settings, checks: TableChecks) -> dict[str, UnresolvedAssetJobDefinition]:
    """The jobs of the refresh, and the one that then checks; one job cannot hold different partitions."""
    stages: dict[str, UnresolvedAssetJobDefinition] = {
        stage: dg.define_asset_job(
            stage, selection=_select_without_checks(tables, checks), description=_JOB_DESCRIPTIONS[stage]
        )
        for stage, tables in get_stage_tables(settings).items()
    }
    return stages | {CHECK_TABLES_JOB: build_check_job(settings, checks)}


def _select_without_checks(tables: Sequence[str], checks: TableChecks) -> dg.AssetSelection:
    """Assets without the checks that have a job of their own: each run of a stage would repeat them."""
    return dg.AssetSelection.assets(*tables) - dg.AssetSelection.checks(*checks)


def build_derived_job(settings: Settings, checks: TableChecks) -> UnresolvedAssetJobDefinition:
    """What the reports' tables give, for those who want it now; otherwise `derived_assets` does it."""
    return dg.define_asset_job(
        DERIVED_JOB,
        selection=_select_without_checks(get_derived_tables(settings), checks),
        description="Top spenders, overview and warehouse, from what is stored.",
    )


def build_run_requests(stage: RefreshStage, refresh: str, chunks: list[PartitionRange]) -> Iterator[dg.RunRequest]:
    """The run requests of a stage; asked for twice, they are launched once."""
    for number, chunk in enumerate(chunks):
        # The accounts themselves have no partitions: the first run of the stage reads them for all.
        assets = [spec.key for asset in ACCOUNT_ASSETS[1 if number else 0 :] for spec in asset.specs]
        own = [key for asset in ACCOUNT_ASSETS[1 if number else 0 :] for key in asset.check_keys]
        yield dg.RunRequest(
            run_key=f"{refresh}:{stage}:{chunk.name}",
            job_name=stage,
            tags={REFRESH_TAG: refresh, STAGE_RUN_COUNT_TAG: str(len(chunks)), **chunk.tags},
            asset_selection=assets if stage == "refresh_accounts" else None,
            # Those the steps make themselves; Dagster would add every check of a selected asset.
            asset_check_keys=own if stage == "refresh_accounts" else None,
        )


def build_daily_refresh_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """`daily_refresh`: each morning the first stage; `refresh_sequence` asks for the others."""

    @dg.schedule(
        name="daily_refresh",
        cron_schedule=settings.refresh_cron,
        execution_timezone="UTC",
        job_name="refresh_accounts",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Hierarchy, then yesterday with the lookback and every hole of 30 days, then lifetime totals.",
    )
    def _daily_refresh(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        at = context.scheduled_execution_time
        refresh = at.astimezone(UTC).isoformat()
        earlier = find_unfinished_refresh(context.instance)
        if earlier and earlier.refresh != refresh and not earlier.may_be_superseded:
            yield _explain_skipped_refresh(context.instance, earlier.refresh, settings.refresh_cron, at)
            return
        supersedes = earlier.refresh if earlier and earlier.refresh != refresh else None
        with open_session(settings) as session:
            chunks = plan_stage_ranges("refresh_accounts", context.instance, session.store, settings, at)
        if not chunks:
            yield dg.SkipReason("No advertisers yet: the sensor advertiser_partitions adds them.")
        for request in build_run_requests("refresh_accounts", refresh, chunks):
            yield request.with_replaced_attrs(
                tags={**request.tags, **({SUPERSEDES_TAG: supersedes} if supersedes else {})}
            )

    return _daily_refresh


def _explain_skipped_refresh(instance: dg.DagsterInstance, refresh: str, cron: str, at: datetime) -> dg.SkipReason:
    """Why a tick begins no refresh, and whether the cron is too short for one, as far as that is known."""
    known = explain_short_cron(instance, cron, at)
    hint = (
        f"The cron is shorter than a refresh: {known}; choose a longer one."
        if known
        else f"Where this is said often, TIKTOK_REFRESH_CRON, {cron!r}, is shorter than a refresh takes: choose a"
        " longer one."
    )
    return dg.SkipReason(
        f"Refresh {refresh} is still under way; it is finished first; the next tick looks again. {hint}"
    )


def build_refresh_sequence_sensor(
    settings: Settings, jobs: dict[str, UnresolvedAssetJobDefinition]
) -> dg.SensorDefinition:
    """`refresh_sequence`: when all runs of a stage have ended, well or badly, asks for the next."""

    @dg.sensor(
        name="refresh_sequence",
        jobs=[job for stage, job in jobs.items() if stage != REFRESH_STAGES[0]],
        minimum_interval_seconds=SEQUENCE_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for the daily, then the lifetime reports of the refresh under way, then for the checks.",
    )
    def _refresh_sequence(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        refresh = find_latest_refresh(context.instance)
        if not refresh or refresh == context.cursor:
            return dg.SkipReason("No refresh is under way.")
        for stage in [stage for stage in REFRESH_STAGES[1:] if stage in jobs]:
            mine = context.instance.get_runs(dg.RunsFilter(tags={REFRESH_TAG: refresh}))
            if any(run.status in UNFINISHED_STATUSES for run in mine) or _has_unsubmitted_runs(mine):
                return dg.SkipReason(f"The runs of refresh {refresh} have not all ended.")
            if any(run.job_name == stage for run in mine):
                continue
            with open_session(settings) as session:
                now = datetime.fromisoformat(refresh)
                chunks = plan_stage_ranges(stage, context.instance, session.store, settings, now)
            if chunks:
                return dg.SensorResult(run_requests=list(build_run_requests(stage, refresh, chunks)))
        checks = dg.RunRequest(
            run_key=f"{refresh}:{CHECK_TABLES_JOB}", job_name=CHECK_TABLES_JOB, tags={REFRESH_TAG: refresh}
        )
        return dg.SensorResult(run_requests=[checks], cursor=refresh)

    return _refresh_sequence


def _has_unsubmitted_runs(runs: Sequence[dg.DagsterRun]) -> bool:
    """Whether a stage has fewer runs yet than it was asked for; a run launched again counts once."""
    keys: dict[str, set[str]] = {}
    for run in runs:
        keys.setdefault(run.job_name, set()).add(run.tags.get("dagster/run_key", run.run_id))
    return any(len(keys[run.job_name]) < int(run.tags.get(STAGE_RUN_COUNT_TAG, 0)) for run in runs)


@dataclass(frozen=True, slots=True)
class UnfinishedRefresh:
    """A refresh whose checks have not ended yet, and whether nobody carries it on any more."""

    refresh: str
    may_be_superseded: bool


def find_unfinished_refresh(instance: dg.DagsterInstance) -> UnfinishedRefresh | None:
    """Find the newest refresh, unless its last stage, the checks, has ended."""
    refresh = find_latest_refresh(instance)
    if not refresh:
        return None
    records = instance.get_run_records(dg.RunsFilter(tags={REFRESH_TAG: refresh}))
    # In earlier releases the checks had no tag of their refresh, only their run key.
    records = [
        *records,
        *instance.get_run_records(
            dg.RunsFilter(tags={"dagster/run_key": f"{refresh}:{CHECK_TABLES_JOB}"}), limit=1
        ),
    ]
    runs = [record.dagster_run for record in records]
    is_running = any(run.status in UNFINISHED_STATUSES for run in runs)
    if not is_running and any(run.job_name == CHECK_TABLES_JOB for run in runs):
        return None
    changed = max(record.update_timestamp.replace(tzinfo=UTC) for record in records)
    return UnfinishedRefresh(refresh, utc_now() - changed > (HUNG_AFTER if is_running else STALLED_AFTER))


def find_latest_refresh(instance: dg.DagsterInstance) -> str | None:
    """The newest refresh a schedule asked for, or None."""
    runs = instance.get_runs(dg.RunsFilter(job_name=REFRESH_STAGES[0]), limit=100)
    return max((run.tags[REFRESH_TAG] for run in runs if REFRESH_TAG in run.tags), default=None)


def build_advertiser_partitions_sensor(settings: Settings) -> dg.SensorDefinition:
    """`advertiser_partitions`: makes every granted account a partition; removes none."""

    @dg.sensor(
        name="advertiser_partitions",
        target="advertisers",
        minimum_interval_seconds=HOUR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks for newly granted ad accounts every hour and adds them as partitions.",
    )
    def _advertiser_partitions(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            with open_session(settings) as session:
                ids = session.advertiser_ids
        except TikTokError as error:
            return dg.SkipReason(f"The accounts cannot be listed. {str(error).rstrip('.')}. {suggest_fix(error)}")
        new = add_advertiser_partitions(context.instance, ids)
        told = f"Added {', '.join(new)}." if new else "Nothing new."
        return dg.SkipReason(f"{len(ids)} advertisers are granted or named. {told}")

    return _advertiser_partitions


def build_derived_assets_sensor(settings: Settings) -> dg.AutomationConditionSensorDefinition:
    """`derived_assets`: rebuilds what depends on the reports once they are quiet."""
    return dg.AutomationConditionSensorDefinition(
        "derived_assets",
        target=dg.AssetSelection.assets(*get_derived_tables(settings)),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Ranks the top spenders and rebuilds overview and warehouse after their sources changed.",
    )


def build_backfill_history_job(settings: Settings) -> dg.JobDefinition:
    """The job; killed and launched again, it goes on with the days still missing."""
    reports = [report for report in settings.chosen_reports if report.cadence == "daily"]

    @dg.op(name="read_missing_days", description="Reads what was never read, windows of thirty days at a time.")
    def _read_missing_days(context: dg.OpExecutionContext, tiktok: dg.ResourceParam[Session]) -> None:
        ids = find_advertisers_to_refresh(context.instance, tiktok.store, settings)
        holes = list(_find_missing_partitions(tiktok, reports, ids, settings))
        days = {partition for _, partitions in holes for partition in partitions}
        try:
            record_partitions(context, _read_missing_partitions(context, tiktok, holes))
        finally:  # also where an account failed: those of the others have landed
            record_partitions(
                context, refresh_restatements(tiktok.store, get_daily_reports(settings), sorted(days))
            )

    @dg.job(
        name="backfill_history",
        description="Reads every day since TIKTOK_START_DATE that was never read, for every daily report.",
    )
    def _backfill_history() -> None:
        _read_missing_days()

    return _backfill_history


def _read_missing_partitions(
    context: dg.OpExecutionContext, session: Session, holes: Iterable[tuple[Report, list[Partition]]]
) -> Iterator[WrittenPartition | FailedPartitions]:
    for report, partitions in holes:
        context.log.info(describe_plan(session, partitions, [report.table]))
        outcomes = read_report_partitions(session, report, partitions)
        yield from log_progress(context, session, report.table, outcomes, len(partitions))


def _find_missing_partitions(
    session: Session, reports: Sequence[Report], advertiser_ids: Sequence[str], settings: Settings
) -> Iterator[tuple[Report, list[Partition]]]:
    accounts, refused = load_accounts(session.reader, session.store, settings, advertiser_ids)
    # Nobody knows their zone, but reading them fails by name; leaving them out would look like success.
    accounts += [Account(advertiser_id, "", "UTC") for advertiser_id in refused]
    for report in reports:
        holes = [
            Partition(account.advertiser_id, day)
            for account in accounts
            for day in find_missing_days(
                session.store, report.table, account, session.now(), start=settings.start_date
            )
        ]
        if holes:
            yield report, holes

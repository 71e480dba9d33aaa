"""What happens by itself: the jobs of the refresh, its schedule, and the sensors that keep it going."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; Dagster exports no name for it
)

from tiktok_assets.api.errors import TikTokError, mend_of
from tiktok_assets.defs.account import ACCOUNT_ASSETS, add_advertisers
from tiktok_assets.defs.catalogue import CANDIDATES, DUPLICATIONS, OVERVIEW, RANKING, RESULTS, stored_tables
from tiktok_assets.defs.checks import CHECK_TABLES, Checks, check_job
from tiktok_assets.defs.chunks import Chunk
from tiktok_assets.defs.refresh_times import REFRESH_TAG, too_short
from tiktok_assets.defs.restatements import daily_tables
from tiktok_assets.defs.stages import STAGES, Stage, chunks_of_stage
from tiktok_assets.session import open_session
from tiktok_assets.settings import Settings
from tiktok_assets.storage.state import utc_now

RUNS_TAG = "tiktok_assets/runs_of_stage"
"""How many runs the stage of a refresh has: the first may end before the daemon has submitted the last."""

UNFINISHED = [
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

HOURLY = 3600

SEQUENCE_SECONDS = 4
"""At each turn of the daemon, which comes every five seconds: between two stages nothing is asked of the API."""


def stage_tables(settings: Settings) -> dict[Stage, list[str]]:
    """The tables each stage of a refresh fills; a stage without tables is left out."""
    reports = settings.chosen_reports
    tables: dict[Stage, list[str]] = {
        "refresh_accounts": [spec.key.path[-1] for asset in ACCOUNT_ASSETS for spec in asset.specs],
        "refresh_daily": daily_tables(settings),
        "refresh_lifetime": [report.table for report in reports if report.cadence == "lifetime"],
    }
    return {stage: names for stage, names in tables.items() if names}


DERIVED = "refresh_derived"
WHOLE = (OVERVIEW, "warehouse")
"""What has no partitions and sums up all the others."""

DERIVED_TABLES = (RANKING, CANDIDATES, DUPLICATIONS, RESULTS, *WHOLE)


def derived_tables(settings: Settings) -> list[str]:
    """What is computed from the stored tables; ranking and candidates only where their sources were chosen."""
    return [table for table in DERIVED_TABLES if table in WHOLE or table in stored_tables(settings)]


_MEANINGS: dict[Stage, str] = {
    "refresh_accounts": "Accounts, campaigns, ad groups and ads as they stand.",
    "refresh_daily": "The daily reports of a range of days.",
    "refresh_lifetime": "The lifetime reports.",
}


def refresh_jobs(settings: Settings, checks: Checks) -> dict[str, UnresolvedAssetJobDefinition]:
    """The jobs of the refresh, and the one that then checks; one job cannot hold different partitions."""
    stages: dict[str, UnresolvedAssetJobDefinition] = {
        stage: dg.define_asset_job(stage, selection=_unchecked(tables, checks), description=_MEANINGS[stage])
        for stage, tables in stage_tables(settings).items()
    }
    return stages | {CHECK_TABLES: check_job(settings, checks)}


def _unchecked(tables: Sequence[str], checks: Checks) -> dg.AssetSelection:
    """Assets without the checks that have a job of their own: each run of a stage would repeat them."""
    return dg.AssetSelection.assets(*tables) - dg.AssetSelection.checks(*checks)


def derived_job(settings: Settings, checks: Checks) -> UnresolvedAssetJobDefinition:
    """What the reports' tables give, for those who want it now; otherwise `derived_assets` does it."""
    return dg.define_asset_job(
        DERIVED,
        selection=_unchecked(derived_tables(settings), checks),
        description="Top spenders, overview and warehouse, from what is stored.",
    )


def requests_of(stage: Stage, refresh: str, chunks: list[Chunk]) -> Iterator[dg.RunRequest]:
    """The run requests of a stage; asked for twice, they are launched once."""
    for number, chunk in enumerate(chunks):
        # The accounts themselves have no partitions: the first run of the stage reads them for all.
        assets = [spec.key for asset in ACCOUNT_ASSETS[1 if number else 0 :] for spec in asset.specs]
        own = [key for asset in ACCOUNT_ASSETS[1 if number else 0 :] for key in asset.check_keys]
        yield dg.RunRequest(
            run_key=f"{refresh}:{stage}:{chunk.name}",
            job_name=stage,
            tags={REFRESH_TAG: refresh, RUNS_TAG: str(len(chunks)), **chunk.tags},
            asset_selection=assets if stage == "refresh_accounts" else None,
            # Those the steps make themselves; Dagster would add every check of a selected asset.
            asset_check_keys=own if stage == "refresh_accounts" else None,
        )


def daily_refresh_schedule(settings: Settings) -> dg.ScheduleDefinition:
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
        earlier = unfinished_refresh(context.instance)
        if earlier and earlier.refresh != refresh and not earlier.may_be_superseded:
            yield _still_under_way(context.instance, earlier.refresh, settings.refresh_cron, at)
            return
        supersedes = earlier.refresh if earlier and earlier.refresh != refresh else None
        with open_session(settings) as session:
            chunks = chunks_of_stage("refresh_accounts", context.instance, session.store, settings, at)
        if not chunks:
            yield dg.SkipReason("No advertisers yet: the sensor advertiser_partitions adds them.")
        for request in requests_of("refresh_accounts", refresh, chunks):
            yield request.with_replaced_attrs(
                tags={**request.tags, **({SUPERSEDES_TAG: supersedes} if supersedes else {})}
            )

    return _daily_refresh


def _still_under_way(instance: dg.DagsterInstance, refresh: str, cron: str, at: datetime) -> dg.SkipReason:
    """Why a tick begins no refresh, and whether the cron is too short for one, as far as that is known."""
    known = too_short(instance, cron, at)
    hint = (
        f"The cron is shorter than a refresh: {known}; choose a longer one."
        if known
        else f"Where this is said often, TIKTOK_REFRESH_CRON, {cron!r}, is shorter than a refresh takes: choose a"
        " longer one."
    )
    return dg.SkipReason(
        f"Refresh {refresh} is still under way; it is finished first; the next tick looks again. {hint}"
    )


def refresh_sequence_sensor(
    settings: Settings, jobs: dict[str, UnresolvedAssetJobDefinition]
) -> dg.SensorDefinition:
    """`refresh_sequence`: when all runs of a stage have ended, well or badly, asks for the next."""

    @dg.sensor(
        name="refresh_sequence",
        jobs=[job for stage, job in jobs.items() if stage != STAGES[0]],
        minimum_interval_seconds=SEQUENCE_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for the daily, then the lifetime reports of the refresh under way, then for the checks.",
    )
    def _refresh_sequence(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        refresh = latest_refresh(context.instance)
        if not refresh or refresh == context.cursor:
            return dg.SkipReason("No refresh is under way.")
        for stage in [stage for stage in STAGES[1:] if stage in jobs]:
            mine = context.instance.get_runs(dg.RunsFilter(tags={REFRESH_TAG: refresh}))
            if any(run.status in UNFINISHED for run in mine) or _still_submitting(mine):
                return dg.SkipReason(f"The runs of refresh {refresh} have not all ended.")
            if any(run.job_name == stage for run in mine):
                continue
            with open_session(settings) as session:
                now = datetime.fromisoformat(refresh)
                chunks = chunks_of_stage(stage, context.instance, session.store, settings, now)
            if chunks:
                return dg.SensorResult(run_requests=list(requests_of(stage, refresh, chunks)))
        checks = dg.RunRequest(
            run_key=f"{refresh}:{CHECK_TABLES}", job_name=CHECK_TABLES, tags={REFRESH_TAG: refresh}
        )
        return dg.SensorResult(run_requests=[checks], cursor=refresh)

    return _refresh_sequence


def _still_submitting(runs: Sequence[dg.DagsterRun]) -> bool:
    """Whether a stage has fewer runs yet than it was asked for; a run launched again counts once."""
    keys: dict[str, set[str]] = {}
    for run in runs:
        keys.setdefault(run.job_name, set()).add(run.tags.get("dagster/run_key", run.run_id))
    return any(len(keys[run.job_name]) < int(run.tags.get(RUNS_TAG, 0)) for run in runs)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A refresh whose checks have not ended yet, and whether nobody carries it on any more."""

    refresh: str
    may_be_superseded: bool


def unfinished_refresh(instance: dg.DagsterInstance) -> Unfinished | None:
    """Find the newest refresh, unless its last stage, the checks, has ended."""
    refresh = latest_refresh(instance)
    if not refresh:
        return None
    records = instance.get_run_records(dg.RunsFilter(tags={REFRESH_TAG: refresh}))
    # In earlier releases the checks had no tag of their refresh, only their run key.
    records = [
        *records,
        *instance.get_run_records(dg.RunsFilter(tags={"dagster/run_key": f"{refresh}:{CHECK_TABLES}"}), limit=1),
    ]
    runs = [record.dagster_run for record in records]
    is_running = any(run.status in UNFINISHED for run in runs)
    if not is_running and any(run.job_name == CHECK_TABLES for run in runs):
        return None
    changed = max(record.update_timestamp.replace(tzinfo=UTC) for record in records)
    return Unfinished(refresh, utc_now() - changed > (HUNG_AFTER if is_running else STALLED_AFTER))


def latest_refresh(instance: dg.DagsterInstance) -> str | None:
    """The newest refresh a schedule asked for, or None."""
    runs = instance.get_runs(dg.RunsFilter(job_name=STAGES[0]), limit=100)
    return max((run.tags[REFRESH_TAG] for run in runs if REFRESH_TAG in run.tags), default=None)


def advertiser_partitions_sensor(settings: Settings) -> dg.SensorDefinition:
    """`advertiser_partitions`: makes every granted account a partition; removes none."""

    @dg.sensor(
        name="advertiser_partitions",
        target="advertisers",
        minimum_interval_seconds=HOURLY,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks for newly granted ad accounts every hour and adds them as partitions.",
    )
    def _advertiser_partitions(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            with open_session(settings) as session:
                ids = session.advertiser_ids
        except TikTokError as error:
            return dg.SkipReason(f"The accounts cannot be listed. {str(error).rstrip('.')}. {mend_of(error)}")
        new = add_advertisers(context.instance, ids)
        told = f"Added {', '.join(new)}." if new else "Nothing new."
        return dg.SkipReason(f"{len(ids)} advertisers are granted or named. {told}")

    return _advertiser_partitions


def derived_assets_sensor(settings: Settings) -> dg.AutomationConditionSensorDefinition:
    """`derived_assets`: rebuilds what depends on the reports once they are quiet."""
    return dg.AutomationConditionSensorDefinition(
        "derived_assets",
        target=dg.AssetSelection.assets(*derived_tables(settings)),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Ranks the top spenders and rebuilds overview and warehouse after their sources changed.",
    )

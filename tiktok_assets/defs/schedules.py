"""Define the schedule `daily_refresh`, and find whether an earlier refresh is unfinished or its cron too short."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from statistics import median

import dagster as dg
from dagster._utils.schedules import cron_string_iterator  # how the daemon reads a cron; Dagster exports no name

from tiktok_assets.defs.checks import CHECK_TABLES_JOB
from tiktok_assets.defs.jobs import build_run_requests
from tiktok_assets.defs.refresh_stages import (
    REFRESH_STAGES,
    plan_stage_ranges,
)
from tiktok_assets.defs.runs import REFRESH_TAG, SUPERSEDES_TAG, UNFINISHED_STATUSES
from tiktok_assets.session import open_session
from tiktok_assets.settings import Settings
from tiktok_assets.storage.state import utc_now

MAX_MEASURED_REFRESHES = 5
"""How many refreshes say how long one takes: one that was held up by a stop of the daemon says nothing."""

_MAX_TICKS = 60
"""How many ticks show the shortest pause of a cron."""


def measure_usual_refresh(instance: dg.DagsterInstance) -> timedelta | None:
    """Return how long the last whole refreshes took, the middle one of them; None where there was none."""
    ended = instance.get_run_records(dg.RunsFilter(job_name=CHECK_TABLES_JOB), limit=4 * MAX_MEASURED_REFRESHES)
    refreshes = [
        (record.dagster_run.tags[REFRESH_TAG], record.end_time)
        for record in ended
        if REFRESH_TAG in record.dagster_run.tags and record.end_time
    ]
    seconds = [end - _get_start_time(instance, refresh) for refresh, end in refreshes[:MAX_MEASURED_REFRESHES]]
    return timedelta(seconds=median(seconds)) if seconds else None


def _get_start_time(instance: dg.DagsterInstance, refresh: str) -> float:
    """When the first run of a refresh was made, in epoch seconds."""
    filters = dg.RunsFilter(tags={REFRESH_TAG: refresh})
    (first,) = instance.get_run_records(filters, limit=1, order_by="id", ascending=True)
    return first.create_timestamp.replace(tzinfo=UTC).timestamp()


def find_shortest_interval(cron: str, now: datetime) -> timedelta:
    """Return the shortest time between two of the next ticks of a cron, in UTC."""
    ticks = islice(cron_string_iterator(now.timestamp(), cron, "UTC"), _MAX_TICKS)
    return min(later - earlier for earlier, later in pairwise(ticks))


def explain_short_cron(instance: dg.DagsterInstance, cron: str, now: datetime) -> str:
    """Return what makes a cron too short for a refresh, as a clause with both times; "" where nothing does."""
    takes, leaves = measure_usual_refresh(instance), find_shortest_interval(cron, now)
    if takes is None or takes <= leaves:
        return ""
    fires = f"TIKTOK_REFRESH_CRON, {cron!r}, fires after {_format_minutes(leaves)}"
    return f"a refresh takes about {_format_minutes(takes)}, and {fires}"


def _format_minutes(time: timedelta) -> str:
    minutes = max(round(time.total_seconds() / 60), 1)
    return f"{minutes} minute{'s' * (minutes > 1)}"


STALLED_AFTER = timedelta(minutes=10)
"""`refresh_sequence` looks every few seconds: a refresh without a run for so long is not carried on by anyone."""

HUNG_AFTER = timedelta(days=1)
"""A run that changed its state no more for so long is not waited for."""


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

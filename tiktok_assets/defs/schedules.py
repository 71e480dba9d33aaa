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
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.refresh_stages import REFRESH_STAGES, plan_stage_ranges
from tiktok_assets.defs.run_tags import REFRESH_TAG, SUPERSEDES_TAG, UNFINISHED_STATUSES
from tiktok_assets.session import open_session
from tiktok_assets.settings import Settings
from tiktok_assets.storage import utc_now

MAX_MEASURED_REFRESHES = 5
"""How many refreshes the median duration is taken from; one alone could include a stop of the daemon."""

STALLED_AFTER = timedelta(minutes=10)
"""`refresh_sequence` runs every few seconds: a refresh whose runs did not change for so long has stopped."""

HUNG_AFTER = timedelta(days=1)
"""A run whose status did not change for so long is not waited for."""

_MAX_TICKS = 60
"""How many ticks are compared to find the shortest interval of a cron."""


def measure_usual_refresh(instance: dg.DagsterInstance, settings: Settings) -> timedelta | None:
    """Return the median duration of the last complete refreshes, or None if there was none."""
    names = Names(settings)
    ended = instance.get_run_records(
        dg.RunsFilter(job_name=names.name(CHECK_TABLES_JOB)), limit=4 * MAX_MEASURED_REFRESHES
    )
    tag = names.tag(REFRESH_TAG)
    refreshes = [
        (record.dagster_run.tags[tag], record.end_time)
        for record in ended
        if tag in record.dagster_run.tags and record.end_time
    ]
    seconds = [
        end - _get_start_time(instance, names, refresh) for refresh, end in refreshes[:MAX_MEASURED_REFRESHES]
    ]
    return timedelta(seconds=median(seconds)) if seconds else None


def _get_start_time(instance: dg.DagsterInstance, names: Names, refresh: str) -> float:
    """Return when the first run of a refresh was created, in epoch seconds."""
    filters = dg.RunsFilter(tags={names.tag(REFRESH_TAG): refresh})
    (first,) = instance.get_run_records(filters, limit=1, order_by="id", ascending=True)
    return first.create_timestamp.replace(tzinfo=UTC).timestamp()


def find_shortest_interval(cron: str, now: datetime) -> timedelta:
    """Return the shortest interval between the next ticks of a cron in UTC."""
    ticks = islice(cron_string_iterator(now.timestamp(), cron, "UTC"), _MAX_TICKS)
    return min(later - earlier for earlier, later in pairwise(ticks))


def explain_short_cron(instance: dg.DagsterInstance, settings: Settings, now: datetime) -> str:
    """Explain with both durations that a cron is shorter than a refresh; empty if it is not."""
    cron = settings.refresh_cron
    duration, interval = measure_usual_refresh(instance, settings), find_shortest_interval(cron, now)
    if duration is None or duration <= interval:
        return ""
    fires = f"TIKTOK_REFRESH_CRON, {cron!r}, fires after {_format_minutes(interval)}"
    return f"a refresh takes about {_format_minutes(duration)}, and {fires}"


def _format_minutes(duration: timedelta) -> str:
    minutes = max(round(duration.total_seconds() / 60), 1)
    return f"{minutes} minute{'s' * (minutes > 1)}"


def build_daily_refresh_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Build the schedule `daily_refresh`, which requests the first stage of a refresh."""
    names = Names(settings)

    @dg.schedule(
        name=names.name("daily_refresh"),
        cron_schedule=settings.refresh_cron,
        execution_timezone="UTC",
        job_name=names.name("refresh_accounts"),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Refreshes accounts and ads, then the lookback and the missing days of the last 30, then the"
        " lifetime reports.",
    )
    def _daily_refresh(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        scheduled_at = context.scheduled_execution_time
        refresh = scheduled_at.astimezone(UTC).isoformat()
        earlier = find_unfinished_refresh(context.instance, names)
        if earlier and earlier.refresh != refresh and not earlier.may_be_superseded:
            yield _explain_skipped_refresh(context.instance, earlier.refresh, settings, scheduled_at)
            return
        supersedes = earlier.refresh if earlier and earlier.refresh != refresh else None
        with open_session(settings) as session:
            ranges = plan_stage_ranges("refresh_accounts", context.instance, session.store, settings, scheduled_at)
        if not ranges:
            yield dg.SkipReason("There are no advertisers yet; the sensor advertiser_partitions adds them.")
        for request in build_run_requests(settings, "refresh_accounts", refresh, ranges):
            yield request.with_replaced_attrs(
                tags={**request.tags, **({SUPERSEDES_TAG: supersedes} if supersedes else {})}
            )

    return _daily_refresh


def _explain_skipped_refresh(
    instance: dg.DagsterInstance, refresh: str, settings: Settings, now: datetime
) -> dg.SkipReason:
    """Explain why a tick starts no refresh, and whether the cron is shorter than a refresh if that is known."""
    reason = explain_short_cron(instance, settings, now)
    hint = (
        f"The cron is shorter than a refresh: {reason}; choose a longer interval."
        if reason
        else f"If this message is frequent, TIKTOK_REFRESH_CRON, {settings.refresh_cron!r}, is shorter than a"
        " refresh: choose a longer interval."
    )
    return dg.SkipReason(
        f"Refresh {refresh} is still in progress, so none is started; the next tick checks again. {hint}"
    )


@dataclass(frozen=True, slots=True)
class UnfinishedRefresh:
    """A refresh whose checks have not ended yet.

    Attributes:
        refresh: the scheduled time that identifies it.
        may_be_superseded: whether it has stopped, so that a new refresh can replace it.
    """

    refresh: str
    may_be_superseded: bool


def find_unfinished_refresh(instance: dg.DagsterInstance, names: Names) -> UnfinishedRefresh | None:
    """Find the newest refresh, unless its last stage, the checks, has ended."""
    refresh = find_latest_refresh(instance, names)
    if not refresh:
        return None
    records = instance.get_run_records(dg.RunsFilter(tags={names.tag(REFRESH_TAG): refresh}))
    # Earlier releases did not tag the run of the checks with its refresh; it has only its run key.
    records = [
        *records,
        *instance.get_run_records(
            dg.RunsFilter(tags={"dagster/run_key": f"{refresh}:{CHECK_TABLES_JOB}"}), limit=1
        ),
    ]
    runs = [record.dagster_run for record in records]
    is_running = any(run.status in UNFINISHED_STATUSES for run in runs)
    if not is_running and any(run.job_name == names.name(CHECK_TABLES_JOB) for run in runs):
        return None
    changed_at = max(record.update_timestamp.replace(tzinfo=UTC) for record in records)
    return UnfinishedRefresh(refresh, utc_now() - changed_at > (HUNG_AFTER if is_running else STALLED_AFTER))


def find_latest_refresh(instance: dg.DagsterInstance, names: Names) -> str | None:
    """Return the newest refresh that a schedule requested, or None."""
    runs = instance.get_runs(dg.RunsFilter(job_name=names.name(REFRESH_STAGES[0])), limit=100)
    tag = names.tag(REFRESH_TAG)
    return max((run.tags[tag] for run in runs if tag in run.tags), default=None)

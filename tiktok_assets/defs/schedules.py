"""Measure how long refreshes take and compare it with the interval of their schedule."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from statistics import median

import dagster as dg
from dagster._utils.schedules import cron_string_iterator  # how the daemon reads a cron; Dagster exports no name

from tiktok_assets.defs.checks import CHECK_TABLES_JOB

REFRESH_TAG = "tiktok_assets/refresh"
"""Which refresh a run belongs to: the instant its schedule fired."""

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

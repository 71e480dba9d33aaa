"""Failed runs: each is told of once, and those that fail together in one message."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from tiktok_assets.scaling.outbox import Alert, Destination, put_for, withdraw_unsent
from tiktok_assets.scaling.run_alerts import FailedRun, run_failure_alert, single_alert_id
from tiktok_assets.settings import Settings
from tiktok_assets.storage.state import outbox, told_runs

GATHERING = timedelta(seconds=100)
"""How long a message waits after its first run failed: a minute, the pause between two ticks, and a slow tick."""


def tell_of_runs(
    connection: sa.Connection,
    runs: Sequence[FailedRun],
    settings: Settings,
    destinations: Iterable[Destination],
    now: datetime,
    *,
    gathering: timedelta = GATHERING,
) -> Alert | None:
    """Put the runs nobody was told of into one message, together with those whose message was not sent yet.

    All of it is written in the caller's transaction: whatever is killed or read again, a run is in one message.

    Args:
        connection: of `State.transaction()`; nothing is told before its commit.
        runs: failed runs; those told of before are left out.
        settings: for the links.
        destinations: to whom, see `destinations_of`.
        now: aware.
        gathering: how long the message waits for further runs.

    Returns:
        The message, or None if every run was told of before.
    """
    told = runs_told_of(connection, [run.run_id for run in runs])
    new = list({run.run_id: run for run in runs if run.run_id not in told}.values())
    if not new:
        return None
    unsent = withdraw_unsent(connection, sa.select(told_runs.c.alert_id))
    earlier = sa.select(told_runs).where(told_runs.c.alert_id.in_(unsent))
    together = [
        FailedRun(row.run_id, row.job, row.reason, row.failed_at, row.step) for row in connection.execute(earlier)
    ] + new
    alert = run_failure_alert(together, settings)
    values = [
        {
            "run_id": run.run_id,
            "alert_id": alert.alert_id,
            "job": run.job,
            "step": run.step,
            "reason": run.reason,
            "failed_at": run.failed_at,
        }
        for run in new
    ]
    connection.execute(sa.insert(told_runs), values)
    moved = sa.update(told_runs).where(told_runs.c.alert_id.in_(unsent))
    connection.execute(moved.values(alert_id=alert.alert_id))
    keys = {destination.key for destination in destinations}.union(*unsent.values())
    first = min(run.failed_at for run in together)
    put_for(connection, alert, keys, now, min(max(now, first + gathering), now + gathering))
    return alert


def runs_told_of(connection: sa.Connection, run_ids: Collection[str]) -> set[str]:
    """Return those of the runs that were told of, by an earlier release too, which kept their alerts alone."""
    told = sa.select(told_runs.c.run_id).where(told_runs.c.run_id.in_(run_ids))
    singles = {single_alert_id(run_id): run_id for run_id in run_ids}
    before = sa.select(outbox.c.alert_id).where(outbox.c.alert_id.in_(singles))
    return set(connection.scalars(told)) | {singles[alert_id] for alert_id in connection.scalars(before)}

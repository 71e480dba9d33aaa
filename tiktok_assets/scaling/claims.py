"""The rows of the outbox while they are delivered: which are due, who sends them, and what comes next for each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from tiktok_assets.scaling.outbox import DELIVERED, DELIVERED_UNKNOWN, FOLDER, GIVEN_UP, SENDING, WAITING
from tiktok_assets.scaling.receivers import Outcome
from tiktok_assets.storage.state import State, outbox

SENDING_SECONDS = 120
"""A row that has been `sending` for longer was left by a process that died."""
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=6)
MOST_ATTEMPTS = 22
"""With the pauses above: about three days."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One row that is being sent, by whoever holds this."""

    alert_id: str
    kind: str
    message: dict[str, Any]
    destination: str
    attempts: int
    repeat: bool


def with_due_rows(state: State, now: datetime) -> set[str]:
    """The destinations for which something is due."""
    with state.transaction() as connection:
        return set(connection.scalars(sa.select(outbox.c.destination).where(_due(now)).distinct()))


def _due(now: datetime) -> sa.ColumnElement[bool]:
    died = now - timedelta(seconds=SENDING_SECONDS)
    return sa.or_(
        sa.and_(outbox.c.status == WAITING, outbox.c.next_at <= now),
        sa.and_(outbox.c.status == SENDING, outbox.c.sending_since <= died),
    )


def claimed(state: State, key: str, now: datetime, tell_unconfirmed: Callable[[], None]) -> Claim | None:
    """The next due row of a destination, marked as being sent; the commit comes before the first byte leaves."""
    with state.transaction() as connection:
        while True:
            row = connection.execute(
                sa.select(outbox)
                .where(outbox.c.destination == key, _due(now))
                .order_by(outbox.c.created_at, outbox.c.alert_id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if row is None:
                return None
            # A file written again is the same file: only a receiver can be told twice.
            unknown = row.unknown_outcomes + (row.status == SENDING and key != FOLDER)
            change: dict[str, Any] = {"unknown_outcomes": unknown}
            if unknown > 1:
                change |= {"status": DELIVERED_UNKNOWN, "delivered_at": now, "sending_since": None}
                change["last_error"] = "the process ended while it sent"
                _change(connection, row, change)
                tell_unconfirmed()
                continue
            change |= {"status": SENDING, "sending_since": now, "attempts": row.attempts + 1}
            _change(connection, row, change)
            return Claim(row.alert_id, row.kind, row.message, key, row.attempts + 1, unknown > 0)


def settle(state: State, claim: Claim, outcome: Outcome, now: datetime) -> str:
    """Record one outcome; a success always, anything else only while the row is still ours."""
    mine = (outbox.c.alert_id == claim.alert_id, outbox.c.destination == claim.destination)
    with state.transaction() as connection:
        row = connection.execute(sa.select(outbox).where(*mine).with_for_update()).one()
        ours = row.status == SENDING and row.attempts == claim.attempts
        change: dict[str, Any] = {"last_error": outcome.reason, "sending_since": None}
        if outcome.result == "delivered":
            change |= {"status": DELIVERED, "delivered_at": now}
        elif not ours:
            return str(row.status)
        elif outcome.result == "unknown":
            change["unknown_outcomes"] = row.unknown_outcomes + 1
            if row.unknown_outcomes:
                change |= {"status": DELIVERED_UNKNOWN, "delivered_at": now}
            else:
                change |= {"status": WAITING, "next_at": now + pause_after(claim.attempts, claim.alert_id)}
        elif claim.attempts >= MOST_ATTEMPTS:
            change["status"] = GIVEN_UP
        else:
            change |= {"status": WAITING, "next_at": now + pause_after(claim.attempts, claim.alert_id)}
        _change(connection, row, change)
        return str(change["status"])


def _change(connection: sa.Connection, row: sa.Row[Any], values: dict[str, Any]) -> None:
    """Change a row; one that will never be sent again keeps its title and facts, not the text with the code."""
    if values.get("status") in {DELIVERED, DELIVERED_UNKNOWN, GIVEN_UP}:
        values = {**values, "message": {name: row.message[name] for name in ("title", "facts")}}
    mine = (outbox.c.alert_id == row.alert_id, outbox.c.destination == row.destination)
    connection.execute(sa.update(outbox).where(*mine).values(**values))


def pause_after(attempts: int, alert_id: str) -> timedelta:
    """How long to wait after so many attempts: doubling, bounded, and spread by up to a fifth either way."""
    pause = min(FIRST_PAUSE.total_seconds() * 2 ** min(attempts - 1, 20), LONGEST_PAUSE.total_seconds())
    spread = int(sha256(f"{alert_id}{attempts}".encode()).hexdigest()[:8], 16) / 2**32
    return timedelta(seconds=pause * (0.8 + 0.4 * spread))

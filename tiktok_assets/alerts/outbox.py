"""Store alerts in the outbox table and claim its due rows for delivery (transactional outbox pattern)."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import scrypt, sha256
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.dialects import postgresql, sqlite

from tiktok_assets.alerts.channels import SendOutcome, list_recipients
from tiktok_assets.settings import Settings
from tiktok_assets.storage.state import State, outbox

WAITING, SENDING = "waiting", "sending"
DELIVERED, DELIVERED_UNKNOWN, GIVEN_UP = "delivered", "delivered_unknown", "given_up"

FOLDER_KEY = "folder"
"""The destination every alert has: a file below `TIKTOK_STATE_DIR/alerts`."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One message, in the three forms receivers take; may hold an approval code, and so goes to those told only.

    Args:
        alert_id: at most 64 characters; one event has one id however often it is told of (a flag's: `flag_id`).
        kind: `new_top_spender`, `run_failure`, `check_failure`.
        title: one line of plain text.
        text, markdown, html: the body; foreign names are escaped for the form.
        brief: a few lines of plain text, for receivers that take no more.
        facts: what it is about, as JSON values, for the file and for webhooks.
    """

    alert_id: str
    kind: str
    title: str
    text: str
    markdown: str
    html: str
    brief: str
    facts: dict[str, Any]

    @property
    def message(self) -> dict[str, Any]:
        """What the outbox keeps until it is delivered, as JSON values; then the title and the facts."""
        return {name: value for name, value in asdict(self).items() if name not in {"alert_id", "kind"}}


@dataclass(frozen=True, slots=True)
class Channel:
    """One receiver; the URL is a secret, the key is what may be stored and shown."""

    key: str
    url: SecretStr
    target: int | None = None

    @property
    def name(self) -> str:
        """How to speak of it: the kind of service and the beginning of the key."""
        return f"{self.url.get_secret_value().partition(':')[0].lower()} {self.key[:8]}"

    def __repr__(self) -> str:
        return f"Destination({self.name})"


def list_channels(settings: Settings) -> list[Channel]:
    """The receivers of the settings, each once; a URL with several recipients is several destinations."""
    return [
        Channel(_compute_channel_key(url, recipient), SecretStr(url), None if recipient is None else number)
        for url in dict.fromkeys(url.get_secret_value() for url in settings.alert_urls)
        for number, recipient in enumerate(_cached_recipients(url))
    ]


def enqueue(connection: sa.Connection, alert: Alert, destinations: Iterable[Channel], now: datetime) -> int:
    """Write one row a destination, and one for the folder, inside the caller's transaction.

    Idempotent per alert and destination: a row that stands stays as it is.

    Args:
        connection: of `State.transaction()`; nothing is told before its commit.
        alert: what to tell.
        destinations: to whom, see `destinations_of`; may be empty.
        now: aware.

    Returns:
        How many rows are new.
    """
    return enqueue_for_keys(connection, alert, {destination.key for destination in destinations}, now, now)


def enqueue_for_keys(
    connection: sa.Connection, alert: Alert, keys: Iterable[str], now: datetime, due: datetime
) -> int:
    """As `put`, for destinations given by their keys, and handed over from `due` on."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {
        "alert_id": alert.alert_id,
        "kind": alert.kind,
        "message": alert.message,
        "created_at": now,
        "status": WAITING,
        "attempts": 0,
        "unknown_outcomes": 0,
        "next_at": due,
    }
    rows = [
        insert(outbox).values(**row, destination=key).on_conflict_do_nothing()
        for key in sorted({FOLDER_KEY, *keys})
    ]
    return sum(connection.execute(one).rowcount for one in rows)


def remove_unsent_alerts(connection: sa.Connection, alert_ids: sa.Select[tuple[str]]) -> dict[str, set[str]]:
    """Delete those of the alerts that were sent nowhere yet, so that others can take their place.

    Args:
        connection: of `State.transaction()`; in the same one the caller puts what replaces them.
        alert_ids: which alerts.

    Returns:
        By alert id, the keys of the destinations it was for.
    """
    begun = sa.or_(outbox.c.status != WAITING, outbox.c.attempts > 0)
    wanted = sa.select(outbox.c.alert_id, outbox.c.destination).where(
        outbox.c.alert_id.in_(alert_ids),
        outbox.c.alert_id.not_in(sa.select(outbox.c.alert_id).where(begun)),
    )
    found: dict[str, set[str]] = {}
    for alert_id, key in connection.execute(wanted):
        found.setdefault(alert_id, set()).add(key)
    connection.execute(sa.delete(outbox).where(outbox.c.alert_id.in_(found)))
    return found


_cached_recipients = cache(list_recipients)


@cache
def _compute_channel_key(url: str, recipient: str | None) -> str:
    """A hash that is slow to guess a password from."""
    told = f"{url}\n{recipient or ''}".encode()
    return scrypt(told, salt=b"tiktok_assets outbox", n=2**14, r=8, p=1, dklen=16).hex()


CLAIM_TIMEOUT_SECONDS = 120
"""A row that has been `sending` for longer was left by a process that died."""
MIN_BACKOFF = timedelta(seconds=30)
MAX_BACKOFF = timedelta(hours=6)
MAX_ATTEMPTS = 22
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


def find_due_channel_keys(state: State, now: datetime) -> set[str]:
    """The destinations for which something is due."""
    with state.transaction() as connection:
        return set(connection.scalars(sa.select(outbox.c.destination).where(_is_due(now)).distinct()))


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    died = now - timedelta(seconds=CLAIM_TIMEOUT_SECONDS)
    return sa.or_(
        sa.and_(outbox.c.status == WAITING, outbox.c.next_at <= now),
        sa.and_(outbox.c.status == SENDING, outbox.c.sending_since <= died),
    )


def claim_next(state: State, key: str, now: datetime, tell_unconfirmed: Callable[[], None]) -> Claim | None:
    """The next due row of a destination, marked as being sent; the commit comes before the first byte leaves."""
    with state.transaction() as connection:
        while True:
            row = connection.execute(
                sa.select(outbox)
                .where(outbox.c.destination == key, _is_due(now))
                .order_by(outbox.c.created_at, outbox.c.alert_id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if row is None:
                return None
            # A file written again is the same file: only a receiver can be told twice.
            unknown = row.unknown_outcomes + (row.status == SENDING and key != FOLDER_KEY)
            change: dict[str, Any] = {"unknown_outcomes": unknown}
            if unknown > 1:
                change |= {"status": DELIVERED_UNKNOWN, "delivered_at": now, "sending_since": None}
                change["last_error"] = "the process ended while it sent"
                _update_row(connection, row, change)
                tell_unconfirmed()
                continue
            change |= {"status": SENDING, "sending_since": now, "attempts": row.attempts + 1}
            _update_row(connection, row, change)
            return Claim(row.alert_id, row.kind, row.message, key, row.attempts + 1, unknown > 0)


def record_outcome(state: State, claim: Claim, outcome: SendOutcome, now: datetime) -> str:
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
                change |= {"status": WAITING, "next_at": now + compute_backoff(claim.attempts, claim.alert_id)}
        elif claim.attempts >= MAX_ATTEMPTS:
            change["status"] = GIVEN_UP
        else:
            change |= {"status": WAITING, "next_at": now + compute_backoff(claim.attempts, claim.alert_id)}
        _update_row(connection, row, change)
        return str(change["status"])


def _update_row(connection: sa.Connection, row: sa.Row[Any], values: dict[str, Any]) -> None:
    """Change a row; one that will never be sent again keeps its title and facts, not the text with the code."""
    if values.get("status") in {DELIVERED, DELIVERED_UNKNOWN, GIVEN_UP}:
        values = {**values, "message": {name: row.message[name] for name in ("title", "facts")}}
    mine = (outbox.c.alert_id == row.alert_id, outbox.c.destination == row.destination)
    connection.execute(sa.update(outbox).where(*mine).values(**values))


def compute_backoff(attempts: int, alert_id: str) -> timedelta:
    """How long to wait after so many attempts: doubling, bounded, and spread by up to a fifth either way."""
    pause = min(MIN_BACKOFF.total_seconds() * 2 ** min(attempts - 1, 20), MAX_BACKOFF.total_seconds())
    spread = int(sha256(f"{alert_id}{attempts}".encode()).hexdigest()[:8], 16) / 2**32
    return timedelta(seconds=pause * (0.8 + 0.4 * spread))

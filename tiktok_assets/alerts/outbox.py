"""Store alerts in the outbox table and claim its due rows for delivery (transactional outbox pattern).

An alert is written in the transaction that decides on it and delivered afterwards, one row for each channel.
"""

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
from tiktok_assets.alerts.formatters import Message
from tiktok_assets.alerts.picture import AlertPicture
from tiktok_assets.settings import Settings
from tiktok_assets.storage import State, outbox

WAITING, SENDING = "waiting", "sending"
DELIVERED, DELIVERED_UNKNOWN, GIVEN_UP = "delivered", "delivered_unknown", "given_up"

FOLDER_KEY = "folder"
"""The destination that every alert has: files below `TIKTOK_STATE_DIR/alerts`."""

CLAIM_TIMEOUT_SECONDS = 120
"""A row that has been `sending` for longer was left behind by a process that ended."""
MIN_BACKOFF = timedelta(seconds=30)
MAX_BACKOFF = timedelta(hours=6)
MAX_ATTEMPTS = 22
"""With the backoff above: about three days."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One message in all formats; it may contain an approval code, so it goes to the configured channels only.

    Attributes:
        alert_id: at most 64 characters; the idempotency key of the event (a flag's: `flag_id`).
        kind: `new_top_spender`, `run_failure`, `check_failure`.
        title: one line of plain text.
        text, markdown, html: the body; untrusted names are escaped for the format.
        compact: Markdown without facts and chart, for chats that take too little for the whole of it.
        brief: a few lines of plain text, for channels with short messages.
        facts: the data of the event as JSON values, for the file.
        picture: `alt` and `file_name` of its picture, whose file is beside the alert's page; None without one.
    """

    alert_id: str
    kind: str
    title: str
    text: str
    markdown: str
    html: str
    compact: str
    brief: str
    facts: dict[str, Any]
    picture: dict[str, str] | None = None

    @property
    def payload(self) -> dict[str, Any]:
        """The column `message` of the outbox until delivery, as JSON values; then it keeps title and facts."""
        return {name: value for name, value in asdict(self).items() if name not in {"alert_id", "kind"}}


def build_alert(
    alert_id: str, kind: str, message: Message, facts: dict[str, Any], picture: AlertPicture | None = None
) -> Alert:
    """Build an alert from a message in all its formats; its picture is written by `write_picture`."""
    formats = (message.subject, message.text, message.markdown, message.html, message.compact, message.brief)
    described = {"alt": picture.alt, "file_name": picture.file_name} if picture else None
    return Alert(alert_id, kind, *formats, facts, described)


@dataclass(frozen=True, slots=True)
class Channel:
    """One recipient of alerts.

    Attributes:
        key: identifies the channel; may be stored and shown.
        url: the Apprise URL, a secret.
        recipient_index: index of the recipient among those of the URL; None for a URL with one recipient.
    """

    key: str
    url: SecretStr
    recipient_index: int | None = None

    @property
    def name(self) -> str:
        """The kind of service and the first characters of the key."""
        return f"{self.url.get_secret_value().partition(':')[0].lower()} {self.key[:8]}"

    def __repr__(self) -> str:
        return f"Channel({self.name})"


def list_channels(settings: Settings) -> list[Channel]:
    """List the channels of TIKTOK_ALERT_URLS, each once; a URL with several recipients gives several channels."""
    return [
        Channel(_compute_channel_key(url, recipient), SecretStr(url), None if recipient is None else number)
        for url in dict.fromkeys(url.get_secret_value() for url in settings.alert_urls)
        for number, recipient in enumerate(_cached_recipients(url))
    ]


_cached_recipients = cache(list_recipients)


@cache
def _compute_channel_key(url: str, recipient: str | None) -> str:
    """Compute a key by a hash that is slow enough to keep a password in the URL from being guessed."""
    secret = f"{url}\n{recipient or ''}".encode()
    return scrypt(secret, salt=b"tiktok_assets outbox", n=2**14, r=8, p=1, dklen=16).hex()


def enqueue(connection: sa.Connection, alert: Alert, channels: Iterable[Channel], now: datetime) -> int:
    """Write one row for each channel and one for the folder, in the caller's transaction.

    Idempotent for alert and channel: an existing row stays as it is.

    Args:
        connection: of `State.transaction()`; nothing is delivered before its commit.
        alert: the alert.
        channels: see `list_channels`; may be empty.
        now: aware.

    Returns:
        The number of new rows.
    """
    return enqueue_for_keys(connection, alert, {channel.key for channel in channels}, now, now)


def enqueue_for_keys(
    connection: sa.Connection, alert: Alert, keys: Iterable[str], now: datetime, due: datetime
) -> int:
    """Write rows as `enqueue` does, for channels given by their keys, to be delivered from `due` on."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {
        "alert_id": alert.alert_id,
        "kind": alert.kind,
        "message": alert.payload,
        "created_at": now,
        "status": WAITING,
        "attempts": 0,
        "unknown_outcomes": 0,
        "next_at": due,
    }
    statements = [
        insert(outbox).values(**row, destination=key).on_conflict_do_nothing()
        for key in sorted({FOLDER_KEY, *keys})
    ]
    return sum(connection.execute(statement).rowcount for statement in statements)


def remove_unsent_alerts(connection: sa.Connection, alert_ids: sa.Select[tuple[str]]) -> dict[str, set[str]]:
    """Delete those alerts of which no delivery was attempted yet, so that the caller can replace them.

    Args:
        connection: of `State.transaction()`; the caller writes the replacement in the same transaction.
        alert_ids: selects the alerts.

    Returns:
        By id of each deleted alert, the keys of its channels.
    """
    attempted = sa.or_(outbox.c.status != WAITING, outbox.c.attempts > 0)
    unsent = sa.select(outbox.c.alert_id, outbox.c.destination).where(
        outbox.c.alert_id.in_(alert_ids),
        outbox.c.alert_id.not_in(sa.select(outbox.c.alert_id).where(attempted)),
    )
    removed: dict[str, set[str]] = {}
    for alert_id, key in connection.execute(unsent):
        removed.setdefault(alert_id, set()).add(key)
    connection.execute(sa.delete(outbox).where(outbox.c.alert_id.in_(removed)))
    return removed


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of the outbox that this process sends.

    Attributes:
        alert_id: the alert.
        kind: as in the outbox.
        payload: the column `message`.
        channel_key: the channel.
        attempts: the number of this attempt, from 1.
        repeat: whether an earlier attempt may have been delivered.
    """

    alert_id: str
    kind: str
    payload: dict[str, Any]
    channel_key: str
    attempts: int
    repeat: bool


def find_due_channel_keys(state: State, now: datetime) -> set[str]:
    """Return the keys of the channels with due rows."""
    with state.transaction() as connection:
        return set(connection.scalars(sa.select(outbox.c.destination).where(_is_due(now)).distinct()))


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    expired = now - timedelta(seconds=CLAIM_TIMEOUT_SECONDS)
    return sa.or_(
        sa.and_(outbox.c.status == WAITING, outbox.c.next_at <= now),
        sa.and_(outbox.c.status == SENDING, outbox.c.sending_since <= expired),
    )


def claim_next(state: State, key: str, now: datetime, on_unconfirmed: Callable[[], None]) -> Claim | None:
    """Claim a channel's next due row; the claim is committed before anything is sent.

    Args:
        state: the state database.
        key: of the channel.
        now: aware.
        on_unconfirmed: called for each row that is closed because its second delivery was not confirmed either.
    """
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
            # A file written twice is the same file; only another channel can receive a message twice.
            unknown = row.unknown_outcomes + (row.status == SENDING and key != FOLDER_KEY)
            change: dict[str, Any] = {"unknown_outcomes": unknown}
            if unknown > 1:
                change |= {"status": DELIVERED_UNKNOWN, "delivered_at": now, "sending_since": None}
                change["last_error"] = "the process ended while sending"
                _update_row(connection, row, change)
                on_unconfirmed()
                continue
            change |= {"status": SENDING, "sending_since": now, "attempts": row.attempts + 1}
            _update_row(connection, row, change)
            return Claim(row.alert_id, row.kind, row.message, key, row.attempts + 1, unknown > 0)


def record_outcome(state: State, claim: Claim, outcome: SendOutcome, now: datetime) -> str:
    """Record the outcome of a claim; unless it is a success, only while no other process has claimed the row.

    Returns:
        The row's new status.
    """
    is_same_row = (outbox.c.alert_id == claim.alert_id, outbox.c.destination == claim.channel_key)
    with state.transaction() as connection:
        row = connection.execute(sa.select(outbox).where(*is_same_row).with_for_update()).one()
        is_still_claimed = row.status == SENDING and row.attempts == claim.attempts
        change: dict[str, Any] = {"last_error": outcome.reason, "sending_since": None}
        if outcome.result == "delivered":
            change |= {"status": DELIVERED, "delivered_at": now}
        elif not is_still_claimed:
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
    """Update a row; a final status removes the body, which may contain an approval code, from the payload."""
    if values.get("status") in {DELIVERED, DELIVERED_UNKNOWN, GIVEN_UP}:
        values = {**values, "message": {name: row.message[name] for name in ("title", "facts")}}
    is_same_row = (outbox.c.alert_id == row.alert_id, outbox.c.destination == row.destination)
    connection.execute(sa.update(outbox).where(*is_same_row).values(**values))


def compute_backoff(attempts: int, alert_id: str) -> timedelta:
    """Compute the delay after so many attempts: doubling, bounded, with a jitter of up to a fifth either way."""
    delay = min(MIN_BACKOFF.total_seconds() * 2 ** min(attempts - 1, 20), MAX_BACKOFF.total_seconds())
    jitter = int(sha256(f"{alert_id}{attempts}".encode()).hexdigest()[:8], 16) / 2**32
    return timedelta(seconds=delay * (0.8 + 0.4 * jitter))

"""The outbox: what is to be told to whom, written in the transaction that decided it and delivered afterwards."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from hashlib import scrypt
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.dialects import postgresql, sqlite

from tiktok_assets.scaling.receivers import recipients
from tiktok_assets.settings import Settings
from tiktok_assets.storage.state import outbox

WAITING, SENDING = "waiting", "sending"
DELIVERED, DELIVERED_UNKNOWN, GIVEN_UP = "delivered", "delivered_unknown", "given_up"

FOLDER = "folder"
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
class Destination:
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


def destinations_of(settings: Settings) -> list[Destination]:
    """The receivers of the settings, each once; a URL with several recipients is several destinations."""
    return [
        Destination(_key_of(url, recipient), SecretStr(url), None if recipient is None else number)
        for url in dict.fromkeys(url.get_secret_value() for url in settings.alert_urls)
        for number, recipient in enumerate(_recipients(url))
    ]


def put(connection: sa.Connection, alert: Alert, destinations: Iterable[Destination], now: datetime) -> int:
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
    return put_for(connection, alert, {destination.key for destination in destinations}, now, now)


def put_for(connection: sa.Connection, alert: Alert, keys: Iterable[str], now: datetime, due: datetime) -> int:
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
        insert(outbox).values(**row, destination=key).on_conflict_do_nothing() for key in sorted({FOLDER, *keys})
    ]
    return sum(connection.execute(one).rowcount for one in rows)


def withdraw_unsent(connection: sa.Connection, alert_ids: sa.Select[tuple[str]]) -> dict[str, set[str]]:
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


_recipients = cache(recipients)


@cache
def _key_of(url: str, recipient: str | None) -> str:
    """A hash that is slow to guess a password from."""
    told = f"{url}\n{recipient or ''}".encode()
    return scrypt(told, salt=b"tiktok_assets outbox", n=2**14, r=8, p=1, dklen=16).hex()

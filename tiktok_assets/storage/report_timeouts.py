"""Record report timeouts in the state, so that no process repeats a report another saw time out (API notes 4.3)."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from tiktok_assets.api.rate_limit.backoff import MAX_TIMEOUTS_PER_REPORT, TIMEOUT_MEMORY_SECONDS

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tiktok_assets.storage.state import State

_TIMEOUT_MEMORY = timedelta(seconds=TIMEOUT_MEMORY_SECONDS)
_SQLITE_PREFIX = "sqlite:///"


class StoredTimeouts:
    """Counts time-outs in the table `report_timeouts`, by the wall clock; safe to share between threads.

    Args:
        address: of the state. An SQLite file nobody has written to for ten minutes holds no time-out that counts,
            and is not opened: a command that only reads costs two looks at a folder.
        open_state: opens the state; called when there is something to know or to note.
    """

    def __init__(self, address: str, open_state: Callable[[], "State"]) -> None:
        self._file = Path(address.removeprefix(_SQLITE_PREFIX)) if address.startswith(_SQLITE_PREFIX) else None
        self._open_state = open_state
        self._lock = Lock()
        self._granted: dict[str, datetime] = {}

    def begin(self, identity: str) -> float | None:
        """Leave to send a report, or the seconds to stay away from it; see `api.timeouts.Timeouts`."""
        if not self._may_know():
            return None
        with self._lock, self._open_state().transaction() as connection:
            now = datetime.now(UTC)
            if seconds := self._barred(connection, identity, now):
                return seconds
            if self._recent(connection, identity, now):
                self._granted[identity] = now
                self._insert(connection, identity, now)
        return None

    def end(self, identity: str, *, timed_out: bool) -> float | None:
        """What became of a report that had leave; returns the seconds to stay away from it now."""
        granted = self._granted.pop(identity, None)
        if not timed_out and granted is None:
            return None
        with self._lock, self._open_state().transaction() as connection:
            now = datetime.now(UTC)
            self._forget(connection, identity, granted, now)
            if timed_out:
                self._insert(connection, identity, now)
            return self._barred(connection, identity, now)

    def _may_know(self) -> bool:
        """Whether anybody has written to the state so lately that it may hold a time-out."""
        if self._file is None:
            return True
        for file in (self._file, self._file.with_name(f"{self._file.name}-wal")):
            with suppress(OSError):
                if time.time() - file.stat().st_mtime < TIMEOUT_MEMORY_SECONDS:
                    return True
        return False

    def _barred(self, connection: "sa.Connection", identity: str, now: datetime) -> float | None:
        recent = self._recent(connection, identity, now)
        if len(recent) < MAX_TIMEOUTS_PER_REPORT:
            return None
        return (recent[-MAX_TIMEOUTS_PER_REPORT] + _TIMEOUT_MEMORY - now).total_seconds()

    @staticmethod
    def _recent(connection: "sa.Connection", identity: str, now: datetime) -> list[datetime]:
        """The instants that still count, oldest first."""
        import sqlalchemy as sa  # noqa: PLC0415 - `get` needs no database

        from tiktok_assets.storage.state import report_timeouts  # noqa: PLC0415 - the same

        counted = (report_timeouts.c.query == identity) & (report_timeouts.c.at > now - _TIMEOUT_MEMORY)
        return list(
            connection.scalars(sa.select(report_timeouts.c.at).where(counted).order_by(report_timeouts.c.at))
        )

    @staticmethod
    def _insert(connection: "sa.Connection", identity: str, at: datetime) -> None:
        from tiktok_assets.storage.state import report_timeouts  # noqa: PLC0415 - the same

        connection.execute(report_timeouts.insert().values(query=identity, at=at))

    @staticmethod
    def _forget(connection: "sa.Connection", identity: str, granted: datetime | None, now: datetime) -> None:
        """Take back what leave had noted beforehand, and everything that counts no longer."""
        from tiktok_assets.storage.state import report_timeouts  # noqa: PLC0415 - the same

        mine = (report_timeouts.c.query == identity) & (report_timeouts.c.at == granted)
        connection.execute(report_timeouts.delete().where(mine | (report_timeouts.c.at <= now - _TIMEOUT_MEMORY)))

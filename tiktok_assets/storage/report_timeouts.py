"""Store report timeouts in the state, so that no process repeats a report that timed out twice (API notes 4.3)."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from tiktok_assets.api import MAX_TIMEOUTS_PER_REPORT, TIMEOUT_MEMORY_SECONDS

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tiktok_assets.storage.state import State

_TIMEOUT_MEMORY = timedelta(seconds=TIMEOUT_MEMORY_SECONDS)
_SQLITE_PREFIX = "sqlite:///"


class StoredTimeouts:
    """A `TimeoutStore` in the table `report_timeouts` of the state; safe to share between threads.

    Timeouts count by the wall clock. An SQLite file that was not written to for ten minutes has no timeouts that
    still count, and is not opened, so that a command that only reads does not load the database library.

    Args:
        address: the database URL of the state.
        open_state: opens the state; called only if there is something to read or write.
    """

    def __init__(self, address: str, open_state: Callable[[], "State"]) -> None:
        self._file = Path(address.removeprefix(_SQLITE_PREFIX)) if address.startswith(_SQLITE_PREFIX) else None
        self._open_state = open_state
        self._lock = Lock()
        self._permitted: dict[str, datetime] = {}

    def begin(self, identity: str) -> float | None:
        """Return None if a report may be sent now, else the seconds until it may be; see `TimeoutStore`."""
        if not self._may_have_timeouts():
            return None
        with self._lock, self._open_state().transaction() as connection:
            now = datetime.now(UTC)
            recent = self._recent_timeouts(connection, identity, now)
            if seconds := _count_blocked_seconds(recent, now):
                return seconds
            if recent:
                self._permitted[identity] = now
                self._insert(connection, identity, now)
        return None

    def end(self, identity: str, *, timed_out: bool) -> float | None:
        """Record the result of a permitted report; return the seconds until it may be sent again, if any."""
        permitted_at = self._permitted.pop(identity, None)
        if not timed_out and permitted_at is None:
            return None
        with self._lock, self._open_state().transaction() as connection:
            now = datetime.now(UTC)
            self._delete(connection, identity, permitted_at, now)
            if timed_out:
                self._insert(connection, identity, now)
            return _count_blocked_seconds(self._recent_timeouts(connection, identity, now), now)

    def _may_have_timeouts(self) -> bool:
        """Return whether the state was written to so recently that it may contain timeouts that still count."""
        if self._file is None:
            return True
        for file in (self._file, self._file.with_name(f"{self._file.name}-wal")):
            with suppress(OSError):
                if time.time() - file.stat().st_mtime < TIMEOUT_MEMORY_SECONDS:
                    return True
        return False

    @staticmethod
    def _recent_timeouts(connection: "sa.Connection", identity: str, now: datetime) -> list[datetime]:
        """Return the timeouts that still count, oldest first."""
        import sqlalchemy as sa  # noqa: PLC0415 - imported late, because reading commands do not need a database

        from tiktok_assets.storage.state import report_timeouts  # noqa: PLC0415 - as above

        is_recent = (report_timeouts.c.query == identity) & (report_timeouts.c.at > now - _TIMEOUT_MEMORY)
        return list(
            connection.scalars(sa.select(report_timeouts.c.at).where(is_recent).order_by(report_timeouts.c.at))
        )

    @staticmethod
    def _insert(connection: "sa.Connection", identity: str, at: datetime) -> None:
        from tiktok_assets.storage.state import report_timeouts  # noqa: PLC0415 - as above

        connection.execute(report_timeouts.insert().values(query=identity, at=at))

    @staticmethod
    def _delete(connection: "sa.Connection", identity: str, permitted_at: datetime | None, now: datetime) -> None:
        """Delete the row that `begin` inserted, and all rows that no longer count."""
        from tiktok_assets.storage.state import report_timeouts  # noqa: PLC0415 - as above

        inserted = (report_timeouts.c.query == identity) & (report_timeouts.c.at == permitted_at)
        connection.execute(
            report_timeouts.delete().where(inserted | (report_timeouts.c.at <= now - _TIMEOUT_MEMORY))
        )


def _count_blocked_seconds(recent: list[datetime], now: datetime) -> float | None:
    """Return the seconds until a report with these timeouts may be sent; None if it may be sent now."""
    if len(recent) < MAX_TIMEOUTS_PER_REPORT:
        return None
    return (recent[-MAX_TIMEOUTS_PER_REPORT] + _TIMEOUT_MEMORY - now).total_seconds()

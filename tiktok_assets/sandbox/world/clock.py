"""A clock that is fixed or follows the wall clock, and never passes it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def wall_clock() -> datetime:
    """Return the real time, as an aware UTC instant."""
    return datetime.fromtimestamp(time.time(), tz=UTC)


class ClockError(ValueError):
    """The clock cannot be set: the instant is in the real future, or has no time zone."""


class Clock:
    """The world's clock.

    Args:
        start: Its first instant; aware.
        running: Whether it follows the wall clock.
        wall: Returns the real time; tests pass their own.

    Raises:
        ClockError: `start` has no time zone or is after the wall clock.
    """

    def __init__(
        self, start: datetime, *, running: bool = False, wall: Callable[[], datetime] = wall_clock
    ) -> None:
        self._wall = wall
        self.running = running
        self._instant = start
        self._set_at = wall()
        self.set(start)

    def now(self) -> datetime:
        """Return the current instant of the world."""
        if not self.running:
            return self._instant
        return self._instant + max(self._wall() - self._set_at, timedelta())

    def set(self, instant: datetime) -> None:
        """Set the clock to an instant, earlier or later.

        Raises:
            ClockError: The instant has no time zone or is after the wall clock; the clock is unchanged.
        """
        if instant.tzinfo is None:
            raise ClockError("The clock needs an instant with a time zone, such as 2026-11-09T18:00:00Z.")
        wall = self._wall()
        if instant > wall:
            raise ClockError(
                f"The world's clock never passes the wall clock: {instant.isoformat()} is after "
                f"{wall.isoformat(timespec='seconds')}."
            )
        self._instant, self._set_at = instant.astimezone(UTC), wall

    def advance(self, seconds: float) -> None:
        """Advance the clock by seconds, which may be negative.

        Raises:
            ClockError: The new instant is after the wall clock; the clock is unchanged.
        """
        self.set(self.now() + timedelta(seconds=seconds))

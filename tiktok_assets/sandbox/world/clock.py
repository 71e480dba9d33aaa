"""A clock that is fixed or follows the wall clock, and never passes it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def wall_clock() -> datetime:
    """Return the real time, as an aware UTC instant."""
    return datetime.fromtimestamp(time.time(), tz=UTC)


class ClockError(ValueError):
    """The asked-for instant lies in the real future, or has no time zone."""


class Clock:
    """Tells the world's time.

    Args:
        start: The instant the world begins at; aware.
        running: Whether the world's time passes with the wall clock.
        wall: The real time; passed in so that tests own it.
    """

    def __init__(
        self, start: datetime, *, running: bool = False, wall: Callable[[], datetime] = wall_clock
    ) -> None:
        self._wall = wall
        self.running = running
        self._shown = start
        self._set_at = wall()
        self.set(start)

    def now(self) -> datetime:
        """Return the world's present instant."""
        if not self.running:
            return self._shown
        return self._shown + max(self._wall() - self._set_at, timedelta())

    def set(self, instant: datetime) -> None:
        """Move the world to an instant, back or forth.

        Raises:
            ClockError: The instant has no zone or lies after the wall clock; the clock is unchanged.
        """
        if instant.tzinfo is None:
            raise ClockError("The clock needs an instant with a time zone, such as 2026-11-09T18:00:00Z.")
        wall = self._wall()
        if instant > wall:
            raise ClockError(
                f"The world's clock never passes the wall clock: {instant.isoformat()} is after "
                f"{wall.isoformat(timespec='seconds')}."
            )
        self._shown, self._set_at = instant.astimezone(UTC), wall

    def advance(self, seconds: float) -> None:
        """Move the world forward (or back) by a number of seconds; fails as `set` does."""
        self.set(self.now() + timedelta(seconds=seconds))

"""Virtual time: the clocks and sleeps of the whole process, so that a year takes seconds.

`time_machine` sets what `datetime.now` and `time.time` return; sleeping moves the virtual clock and returns at
once. The host's clock is the true one. The clock of our machine differs from it by a skew, which can jump.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import time_machine

_REAL_MONOTONIC = time.monotonic


class VirtualClock:
    """The true time, the wrong time of this machine, and a monotonic clock.

    Args:
        start: the first instant; aware.

    Attributes:
        skew: by how much the clock of this machine is ahead of the true time.
        sleeps: number of sleeps so far.
    """

    def __init__(self, start: datetime) -> None:
        self._true = start.astimezone(UTC)
        self._monotonic = 1_000_000.0
        self._traveller: time_machine.Traveller | None = None
        self.skew = timedelta()
        self.sleeps = 0

    def now(self) -> datetime:
        """Return the true time, which is the host's."""
        return self._true

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds > 0:
            self._true += timedelta(seconds=seconds)
            self._monotonic += seconds
            self._apply()

    def set_skew(self, skew: timedelta) -> None:
        """Set the clock of this machine, forward or back."""
        self.skew = skew
        self._apply()

    def sleep(self, seconds: float) -> None:
        """Sleep without waiting."""
        self.sleeps += 1
        self.advance(max(seconds, 0.000001))

    def _apply(self) -> None:
        if self._traveller:
            self._traveller.move_to(self._true + self.skew)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make it the time of this process in this context."""
        sleep, monotonic = time.sleep, time.monotonic
        with time_machine.travel(self._true + self.skew, tick=False) as traveller:
            self._traveller = traveller
            time.sleep, time.monotonic = self.sleep, self.monotonic  # type: ignore[assignment] # of any number
            try:
                yield
            finally:
                time.sleep, time.monotonic = sleep, monotonic
                self._traveller = None


def real_seconds() -> float:
    """Return seconds of the real monotonic clock."""
    return _REAL_MONOTONIC()

"""The request budget of the app, shared by every process that uses the same state folder."""

import time
from pathlib import Path
from threading import Lock
from typing import Protocol

from pyrate_limiter import Limiter, Rate, SQLiteBucket

HEADROOM = 1.05
"""We stay 5 % under the limit: our clock and TikTok's windows never agree to the millisecond."""

_SPACED_UP_TO = 50
"""Requests a second up to which they are spaced evenly; the highest tier. Above, a second's worth at once."""


class Budget(Protocol):
    """Leave to send requests."""

    def acquire(self) -> None:
        """Wait until one request may be sent."""


class Unlimited:
    """A budget that never waits, for tests and for hosts without a limit."""

    def acquire(self) -> None:
        """Return at once."""


class SharedBudget:
    """Requests a second and a minute, counted in one file for all processes of the app.

    An in-memory limiter would let four processes send four times the limit. Requests are spaced evenly, so
    that no one-second window of TikTok's, wherever it begins, holds more than the tier allows.
    """

    def __init__(self, path: Path, per_second: float, per_minute: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rates = _rates(per_second, per_minute)
        self._pause_seconds = min(rates[0].interval / 1000 / 4, 0.05)
        bucket = SQLiteBucket.init_from_file(rates, db_path=str(path), use_file_lock=True)
        self._limiter = Limiter(bucket)
        # The file lock polls; one thread of the process at a time keeps the others from polling with it.
        self._turn = Lock()

    def acquire(self) -> None:
        """Wait until one request may be sent; the wait is measured when leave is given, not when asked."""
        with self._turn:
            while not self._limiter.try_acquire("app", blocking=False):
                time.sleep(self._pause_seconds)


def _rates(per_second: float, per_minute: int) -> list[Rate]:
    """The limits that bind, both less the headroom; pyrate-limiter refuses one beside a tighter one."""
    if per_second <= _SPACED_UP_TO:
        short = Rate(1, max(1, round(1000 * HEADROOM / per_second)))
    else:
        short = Rate(int(per_second / HEADROOM), 1000)
    minute = Rate(max(1, int(per_minute / HEADROOM)), 60_000)
    if minute.limit * short.interval >= minute.interval * short.limit:
        return [short]
    return [short, minute] if minute.limit > short.limit else [minute]

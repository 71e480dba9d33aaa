"""Limit the requests per second and minute of the app, across all processes that share a state folder."""

import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from threading import Lock, local
from typing import Protocol

from pyrate_limiter import AbstractBucket, Limiter, Rate, RateItem, SQLiteBucket

from tiktok_assets.api.rate_limit.cooldown import BUDGET_CLOSED_MESSAGE, Cooldown, FileCooldownStore

HEADROOM = 1.05
"""We stay 5 % under the limit: our clock and TikTok's windows never agree to the millisecond."""

_MAX_EVENLY_SPACED_QPS = 50
"""Requests a second up to which they are spaced evenly; the highest tier. Above, a second's worth at once."""


_MAX_SLEEP_SECONDS = 0.05
"""A wait is cut into pieces of this length, so that nobody waits long for a budget that was closed."""


class RequestBudget(Protocol):
    """Leave to send requests."""

    def acquire(self) -> None:
        """Wait until one request may be sent.

        Raises:
            ThrottledError: if the app stays over its limit, with the time to come back.
        """

    def breached(self, *, first_seconds: float, then_seconds: float, memory_seconds: float) -> float | None:
        """Make everyone wait, because the thread's last request was refused; see `Pauses.breached`."""

    def use_up(self, refilled_in_seconds: float) -> None:
        """Have nobody send anything until the quota of the day is refilled."""

    def close(self) -> None:
        """Let go of files and threads."""


class UnlimitedBudget:
    """A budget that waits only after a refusal, for tests and for hosts without a limit."""

    def __init__(self, pauses: Cooldown | None = None) -> None:
        self._pauses = pauses or Cooldown()
        self._leave = local()

    def acquire(self) -> None:
        """Return at once, unless there is a pause."""
        waited = True
        while waited:
            self._take()
            self._leave.at = self._pauses.now()
            waited = self._pauses.wait()

    def breached(self, *, first_seconds: float, then_seconds: float, memory_seconds: float) -> float | None:
        """Make everyone wait who shares the pauses."""
        return self._pauses.breached(
            self._leave.at,
            first_seconds=first_seconds,
            then_seconds=then_seconds,
            memory_seconds=memory_seconds,
        )

    def use_up(self, refilled_in_seconds: float) -> None:
        """Have nobody send anything who shares the pauses."""
        self._pauses.use_up(refilled_in_seconds)

    def close(self) -> None:
        """Wake who waits for the end of a pause."""
        self._pauses.close()

    def _take(self) -> None:
        """Nothing to take."""


class RateLimitedBudget(UnlimitedBudget):
    """Requests a second and a minute, counted in a bucket that all processes of the app share.

    An in-memory limiter would let four processes send four times the limit. Requests are spaced evenly, so
    that no one-second window of TikTok's, wherever it begins, holds more than the tier allows.

    Args:
        bucket: where requests are counted; see `rates_of`.
        pauses: when nobody may ask.
    """

    def __init__(self, bucket: AbstractBucket, pauses: Cooldown) -> None:
        super().__init__(pauses)
        self._bucket = bucket
        self._limiter = Limiter(bucket)
        # Who waits asks again; one thread of the process at a time keeps the others from asking with it.
        self._turn = Lock()
        self._closed = False

    def acquire(self) -> None:
        """Wait until one request may be sent; the wait is measured when leave is given, not when asked."""
        with self._turn:
            super().acquire()

    def close(self) -> None:
        """Close the bucket, and end the thread that forgets old requests; it would write there for ever."""
        self._closed = True
        super().close()  # whoever waits out a pause holds the turn
        with self._turn:
            self._limiter.close()

    def _take(self) -> None:
        while not self._closed and not self._limiter.try_acquire("app", blocking=False):
            time.sleep(self._due_in())
        if self._closed:
            raise RuntimeError(BUDGET_CLOSED_MESSAGE)

    def _due_in(self) -> float:
        """Seconds until the bucket may have room; another process may take it first, or `close` be called."""
        asked = RateItem("app", self._bucket.now())  # type: ignore[no-untyped-call] # the library's own
        told = self._bucket.waiting(asked)
        assert isinstance(told, int)  # noqa: S101 - a bucket that is awaited is not used here
        return min(max(told, 1) / 1000, _MAX_SLEEP_SECONDS)


class PathBudgets:
    """Budgets of single paths beside that of the app, each opened when its path is first asked.

    Args:
        opened: the budget of a path; None where it has no limit of its own.
    """

    def __init__(self, opened: Callable[[str], RequestBudget | None] = lambda _: None) -> None:
        self._opened = opened
        self._budgets: dict[str, RequestBudget | None] = {}
        self._lock = Lock()

    def acquire(self, path: str) -> None:
        """Wait until one request to the path may be sent."""
        with self._lock:
            if path not in self._budgets:
                self._budgets[path] = self._opened(path)
            budget = self._budgets[path]
        if budget:
            budget.acquire()

    def close(self) -> None:
        """Close those that were opened."""
        with self._lock:
            budgets, self._budgets = list(self._budgets.values()), {}
        for budget in budgets:
            if budget:
                budget.close()


class SqliteBudget(RateLimitedBudget):
    """A budget in one file, for all processes that share a folder."""

    def __init__(self, path: Path, per_second: float, per_minute: int, *, patience_seconds: float = inf) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        bucket = SQLiteBucket.init_from_file(
            build_rates(per_second, per_minute), db_path=str(path), use_file_lock=True
        )
        super().__init__(
            bucket, Cooldown(FileCooldownStore(path.with_suffix(".pause")), patience_seconds=patience_seconds)
        )


def build_rates(per_second: float, per_minute: int) -> list[Rate]:
    """The limits that bind, both less the headroom; pyrate-limiter refuses one beside a tighter one."""
    if per_second <= _MAX_EVENLY_SPACED_QPS:
        short = Rate(1, max(1, round(1000 * HEADROOM / per_second)))
    else:
        short = Rate(int(per_second / HEADROOM), 1000)
    minute = Rate(max(1, int(per_minute / HEADROOM)), 60_000)
    if minute.limit * short.interval >= minute.interval * short.limit:
        return [short]
    return [short, minute] if minute.limit > short.limit else [minute]

"""Limit the requests per second and minute of the app, across all processes that share a state folder."""

import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from threading import Lock, local
from typing import Protocol

from pyrate_limiter import AbstractBucket, Limiter, Rate, RateItem, SingleBucketFactory, SQLiteBucket

from tiktok_assets.api.rate_limit.cooldown import BUDGET_CLOSED_MESSAGE, Cooldown, FileCooldownStore

HEADROOM = 1.05
"""Factor by which requests stay below the limit, because our clock and TikTok's windows differ by milliseconds."""

_MAX_EVENLY_SPACED_QPS = 50
"""Requests per second up to which they are evenly spaced (the highest tier); above it they are sent in bursts."""

_MAX_SLEEP_SECONDS = 0.05
"""The longest sleep at a time while waiting for the bucket, so that `close` ends a wait soon."""

_CLEANING_INTERVAL_SECONDS = 60
"""How often a process deletes the requests from the bucket that no window contains any more. Meanwhile the other
processes wait, and what they send late is closer to the next request."""


class RequestBudget(Protocol):
    """A rate limiter that permits requests one by one."""

    def acquire(self) -> None:
        """Wait until one request may be sent.

        Raises:
            ThrottledError: if the app stays over its rate limit; it has the seconds until a retry.
        """

    def record_breach(self, *, first_seconds: float, long_seconds: float, memory_seconds: float) -> float | None:
        """Start a cooldown because this thread's last request was rejected; see `Cooldown.record_breach`."""

    def block_until_refill(self, seconds_until_refill: float) -> None:
        """Permit no request until the daily quota is refilled."""

    def close(self) -> None:
        """Close files, and end background threads and waits."""


class UnlimitedBudget:
    """A request budget that waits for cooldowns only; for tests and for hosts without a rate limit."""

    def __init__(self, cooldown: Cooldown | None = None) -> None:
        self._cooldown = cooldown or Cooldown()
        self._permit = local()

    def acquire(self) -> None:
        """Wait while a cooldown is in force."""
        must_repeat = True
        while must_repeat:
            self._take()
            self._permit.at = self._cooldown.now()
            must_repeat = self._cooldown.wait()

    def record_breach(self, *, first_seconds: float, long_seconds: float, memory_seconds: float) -> float | None:
        """Start a cooldown because this thread's last request was rejected; see `Cooldown.record_breach`."""
        return self._cooldown.record_breach(
            self._permit.at,
            first_seconds=first_seconds,
            long_seconds=long_seconds,
            memory_seconds=memory_seconds,
        )

    def block_until_refill(self, seconds_until_refill: float) -> None:
        """Permit no request until the daily quota is refilled."""
        self._cooldown.block_until_refill(seconds_until_refill)

    def close(self) -> None:
        """Wake all threads that wait for the end of a cooldown."""
        self._cooldown.close()

    def _take(self) -> None:
        """Take one request from the budget; there is nothing to take here."""


class RateLimitedBudget(UnlimitedBudget):
    """A request budget whose requests are counted in a bucket that all processes of the app share.

    An in-memory limiter would let four processes send four times the limit. Requests are evenly spaced, so that
    none of TikTok's one-second windows, wherever it begins, holds more than the tier allows.

    Args:
        bucket: where requests are counted; see `build_rates`.
        cooldown: when no request may be sent.
    """

    def __init__(self, bucket: AbstractBucket, cooldown: Cooldown) -> None:
        super().__init__(cooldown)
        self._bucket = bucket
        # The library's background thread would still use the bucket's file after `close`, so this class cleans it.
        self._limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False))
        self._clean()
        # A waiting thread polls the bucket; only one thread of the process does so at a time.
        self._turn = Lock()
        self._closed = False

    def acquire(self) -> None:
        """Wait until one request may be sent; its time is taken when it is permitted, not when it is requested."""
        with self._turn:
            self._acquire_in_turn()

    def _acquire_in_turn(self) -> None:
        """Acquire while no other thread of the process does."""
        super().acquire()

    def close(self) -> None:
        """Close the bucket, and end all waits."""
        self._closed = True
        super().close()  # first, because a thread that waits for a cooldown holds the lock
        with self._turn:
            self._limiter.close()

    def _take(self) -> None:
        if not self._closed and time.monotonic() >= self._next_cleaning:
            self._clean()
        while not self._closed and not self._limiter.try_acquire("app", blocking=False):
            time.sleep(self._seconds_until_free())
        if self._closed:
            raise RuntimeError(BUDGET_CLOSED_MESSAGE)

    def _clean(self) -> None:
        self._next_cleaning = time.monotonic() + _CLEANING_INTERVAL_SECONDS
        self._bucket.leak(self._bucket.now())  # type: ignore[no-untyped-call] # the library's own

    def _seconds_until_free(self) -> float:
        """Return the seconds until the bucket may have capacity; another process may take it first."""
        item = RateItem("app", self._bucket.now())  # type: ignore[no-untyped-call] # the library's own
        milliseconds = self._bucket.waiting(item)
        assert isinstance(milliseconds, int)  # noqa: S101 - only asynchronous buckets return an awaitable
        return min(max(milliseconds, 1) / 1000, _MAX_SLEEP_SECONDS)


class PathBudgets:
    """Request budgets of single endpoint paths, in addition to that of the app; each is opened on first use.

    Args:
        open_budget: returns the budget of a path, or None if the path has no limit of its own.
    """

    def __init__(self, open_budget: Callable[[str], RequestBudget | None] = lambda _: None) -> None:
        self._open_budget = open_budget
        self._budgets: dict[str, RequestBudget | None] = {}
        self._lock = Lock()

    def acquire(self, path: str) -> None:
        """Wait until one request to the path may be sent.

        Raises:
            ThrottledError: if the app stays over its rate limit; it has the seconds until a retry.
        """
        with self._lock:
            if path not in self._budgets:
                self._budgets[path] = self._open_budget(path)
            budget = self._budgets[path]
        if budget:
            budget.acquire()

    def close(self) -> None:
        """Close the budgets that were opened."""
        with self._lock:
            budgets, self._budgets = list(self._budgets.values()), {}
        for budget in budgets:
            if budget:
                budget.close()


class SqliteBudget(RateLimitedBudget):
    """A request budget kept in one SQLite file, shared by all processes that use the folder."""

    def __init__(
        self, path: Path, per_second: float, per_minute: int, *, max_cooldown_wait_seconds: float = inf
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        bucket = SQLiteBucket.init_from_file(
            build_rates(per_second, per_minute), db_path=str(path), use_file_lock=True
        )
        store = FileCooldownStore(path.with_suffix(".pause"))
        super().__init__(bucket, Cooldown(store, max_cooldown_wait_seconds=max_cooldown_wait_seconds))


def build_rates(per_second: float, per_minute: int) -> list[Rate]:
    """Return the limits that can be reached, less the headroom.

    pyrate-limiter rejects a list in which one rate makes another one unreachable.
    """
    if per_second <= _MAX_EVENLY_SPACED_QPS:
        short = Rate(1, max(1, round(1000 * HEADROOM / per_second)))
    else:
        short = Rate(int(per_second / HEADROOM), 1000)
    minute = Rate(max(1, int(per_minute / HEADROOM)), 60_000)
    if minute.limit * short.interval >= minute.interval * short.limit:
        return [short]
    return [short, minute] if minute.limit > short.limit else [minute]

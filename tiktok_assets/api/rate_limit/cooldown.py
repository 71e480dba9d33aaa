"""Stop all requests of the app for a while after TikTok reports that its rate limit is exceeded."""

import time
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path
from threading import Event, Lock
from typing import Final, Protocol

import msgspec
from filelock import FileLock

from tiktok_assets.api.errors import ThrottledError, build_daily_quota_error

MAX_BREACHES = 3
"""The breach after which no request waits any longer: neither the short nor the long cooldown has helped."""

BUDGET_CLOSED_MESSAGE = "the request budget is closed because its session is closed"


class _CooldownState(msgspec.Struct, frozen=True):
    """The shared record of a cooldown, stored as JSON; other running processes read and write the same keys.

    Attributes:
        breaches: number of recent breaches of the rate limit in a row.
        began: start of the cooldown, in epoch seconds.
        until: end of the cooldown, in epoch seconds.
        of_the_day: whether the app's daily quota is used up.
    """

    breaches: int = 0
    began: float = 0.0
    until: float = 0.0
    of_the_day: bool = False


_NO_COOLDOWN: Final = _CooldownState()


class CooldownStore(Protocol):
    """A place that holds the cooldown record for all processes that share it."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Return the lock to hold while the record is read and replaced."""

    def read(self) -> bytes | None:
        """Return the record, or None if there is none."""

    def write(self, record: bytes) -> None:
        """Replace the record atomically: concurrent readers get either the old or the new one."""

    def now(self) -> float:
        """Return the current time in epoch seconds, by the clock that all sharing processes use."""


class MemoryCooldownStore:
    """A cooldown record in memory, shared by the threads of one process."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._record: bytes | None = None

    def read(self) -> bytes | None:
        """Return the record, or None if there is none."""
        return self._record

    def write(self, record: bytes) -> None:
        """Replace the record."""
        self._record = record

    def now(self) -> float:
        """Return the current time of this machine in epoch seconds."""
        return time.time()


class FileCooldownStore:
    """A cooldown record in a file, shared by all processes that use the folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lock = FileLock(f"{path}.lock")

    def read(self) -> bytes | None:
        """Return the record, or None if there is none."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, record: bytes) -> None:
        """Replace the file by renaming a new one over it."""
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(record)
        temporary.replace(self._path)

    def now(self) -> float:
        """Return the current time of this machine in epoch seconds."""
        return time.time()


class Cooldown:
    """A period in which no process of the app may send a request.

    The first breach of the rate limit starts a cooldown of seconds, a second one soon after it a long cooldown.
    After a third breach, requests fail with the time to retry at instead of waiting.

    Args:
        store: where the cooldown is recorded; in memory by default.
        max_cooldown_wait_seconds: a cooldown longer than this is not waited for; requests fail instead.
    """

    def __init__(self, store: CooldownStore | None = None, *, max_cooldown_wait_seconds: float = inf) -> None:
        self._store = store or MemoryCooldownStore()
        self._max_wait = max_cooldown_wait_seconds
        self._closed = Event()

    def close(self) -> None:
        """Wake all waiting threads; their requests are not sent."""
        self._closed.set()

    def now(self) -> float:
        """Return the current time in epoch seconds, by the clock in which cooldowns are recorded."""
        return self._store.now()

    def wait(self) -> bool:
        """Wait until no cooldown is in force, and return whether there was one.

        Raises:
            ThrottledError: if cooldowns have not helped or take too long; it has the seconds until a retry.
            RuntimeError: if `close` was called meanwhile.
        """
        has_waited = False
        while (remaining := self._remaining_seconds(state := self._read())) > 0:
            if state.of_the_day:
                raise build_daily_quota_error(remaining)
            if state.breaches >= MAX_BREACHES or remaining > self._max_wait:
                has_given_up = state.breaches >= MAX_BREACHES
                error = ThrottledError(
                    "the app is still over its rate limit after a long cooldown; if its daily quota is used up,"
                    " TikTok refills it at 00:00 UTC"
                    if has_given_up
                    else "the app is over its rate limit and in a cooldown"
                )
                error.retry_after_seconds = remaining
                raise error
            if self._closed.wait(remaining):
                raise RuntimeError(BUDGET_CLOSED_MESSAGE)
            has_waited = True
        return has_waited

    def record_breach(
        self, permitted_at: float, *, first_seconds: float, long_seconds: float, memory_seconds: float
    ) -> float | None:
        """Record a breach of the rate limit, and start a cooldown.

        Args:
            permitted_at: when the rejected request was permitted, in epoch seconds; if that was before the current
                cooldown began, the rejection is part of the same breach.
            first_seconds: length of the first cooldown.
            long_seconds: length of the next ones.
            memory_seconds: how long after a cooldown another breach still counts as its successor.

        Returns:
            The seconds after which to retry, if cooldowns have not helped or take too long; else None.
        """
        with self._store.lock:
            before, now = self._read(), self.now()
            if permitted_at <= before.began <= now:
                return None
            is_next = now < before.until + memory_seconds and not before.of_the_day
            breaches = before.breaches + 1 if is_next else 1
            seconds = first_seconds if breaches == 1 else long_seconds
            state = _CooldownState(min(breaches, MAX_BREACHES), now, now + seconds)
            self._store.write(msgspec.json.encode(state))
        return seconds if breaches >= MAX_BREACHES or seconds > self._max_wait else None

    def block_until_refill(self, seconds_until_refill: float) -> None:
        """Record that the daily quota is used up: no request is sent until it is refilled."""
        with self._store.lock:
            now = self.now()
            state = _CooldownState(MAX_BREACHES, now, now + seconds_until_refill, of_the_day=True)
            self._store.write(msgspec.json.encode(state))

    def _remaining_seconds(self, state: _CooldownState) -> float:
        if state is _NO_COOLDOWN:
            return 0.0
        now = self.now()
        # A cooldown that begins in the future means that the clock was set back; waiting for it could take hours.
        return state.until - now if state.began <= now else 0.0

    def _read(self) -> _CooldownState:
        record = self._store.read()
        try:
            return msgspec.json.decode(record, type=_CooldownState) if record else _NO_COOLDOWN
        except msgspec.DecodeError:
            return _NO_COOLDOWN

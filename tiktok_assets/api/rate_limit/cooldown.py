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
"""The breach after which nobody waits any longer: a short pause and the long one did not help."""

BUDGET_CLOSED_MESSAGE = "the request budget is closed, and so is its session"


class _CooldownState(msgspec.Struct, frozen=True):
    """How often the limit was breached of late, and the instants (epoch) between which nobody asks.

    `of_the_day` says that the quota of the day is used up.
    """

    breaches: int = 0
    began: float = 0.0
    until: float = 0.0
    of_the_day: bool = False


_NO_COOLDOWN: Final = _CooldownState()


class CooldownStore(Protocol):
    """Where the note lies for all who share it."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held while the note is read and replaced."""

    def read(self) -> bytes | None:
        """The note, if there is one."""

    def write(self, note: bytes) -> None:
        """Replace the note; whoever reads meanwhile gets the old one or the new one."""

    def now(self) -> float:
        """The instant (epoch) by the one clock of all who share it."""


class MemoryCooldownStore:
    """For the threads of one process."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._note: bytes | None = None

    def read(self) -> bytes | None:
        """The note."""
        return self._note

    def write(self, note: bytes) -> None:
        """Replace it."""
        self._note = note

    def now(self) -> float:
        """By this machine's clock."""
        return time.time()


class FileCooldownStore:
    """For all processes that share a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lock = FileLock(f"{path}.lock")

    def read(self) -> bytes | None:
        """The note."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, note: bytes) -> None:
        """Replace it, by way of a file beside it."""
        beside = self._path.with_suffix(".new")
        beside.write_bytes(note)
        beside.replace(self._path)

    def now(self) -> float:
        """By this machine's clock."""
        return time.time()


class Cooldown:
    """When nobody of the app may ask.

    The first breach is a pause of seconds, a second one soon after it the long pause; after a third all who
    ask are told when to come back instead of waiting.

    Args:
        shelf: where it is noted; in memory if not given.
        patience_seconds: a longer pause is not waited for: who asks is told when to come back.
    """

    def __init__(self, shelf: CooldownStore | None = None, *, patience_seconds: float = inf) -> None:
        self._shelf = shelf or MemoryCooldownStore()
        self._patience = patience_seconds
        self._closed = Event()

    def close(self) -> None:
        """Wake all who wait; what they wanted to ask is asked no more."""
        self._closed.set()

    def now(self) -> float:
        """The instant (epoch) by which pauses begin and end."""
        return self._shelf.now()

    def wait(self) -> bool:
        """Wait until no pause is in force; tells whether there was one.

        Raises:
            ThrottledError: if the pauses did not help or take too long, with the time to come back.
            RuntimeError: if it was closed meanwhile.
        """
        waited = False
        while (left := self._left(pause := self._read())) > 0:
            if pause.of_the_day:
                raise build_daily_quota_error(left)
            if pause.breaches >= MAX_BREACHES or left > self._patience:
                helped = pause.breaches < MAX_BREACHES
                error = ThrottledError(
                    "the app is over its limit and pauses"
                    if helped
                    else "the app is still over its limit after a long pause; where that is its quota of the day,"
                    " TikTok refills it at 00:00 UTC"
                )
                error.retry_after_seconds = left
                raise error
            if self._closed.wait(left):
                raise RuntimeError(BUDGET_CLOSED_MESSAGE)
            waited = True
        return waited

    def breached(
        self, asked_at: float, *, first_seconds: float, then_seconds: float, memory_seconds: float
    ) -> float | None:
        """Note a breach; returns after how many seconds to come back if pauses have not helped, or take too long.

        Args:
            asked_at: when the refused request was given leave; one from before a pause is no breach of its own.
            first_seconds: the first pause.
            then_seconds: the long one.
            memory_seconds: how long after a pause the next breach counts as its successor.
        """
        with self._shelf.lock:
            before, now = self._read(), self.now()
            if asked_at <= before.began <= now:
                return None
            is_next = now < before.until + memory_seconds and not before.of_the_day
            breaches = before.breaches + 1 if is_next else 1
            seconds = first_seconds if breaches == 1 else then_seconds
            pause = _CooldownState(min(breaches, MAX_BREACHES), now, now + seconds)
            self._shelf.write(msgspec.json.encode(pause))
        return seconds if breaches >= MAX_BREACHES or seconds > self._patience else None

    def use_up(self, refilled_in_seconds: float) -> None:
        """Note that the quota of the day is used up: nothing is sent until it is refilled."""
        with self._shelf.lock:
            now = self.now()
            pause = _CooldownState(MAX_BREACHES, now, now + refilled_in_seconds, of_the_day=True)
            self._shelf.write(msgspec.json.encode(pause))

    def _left(self, pause: _CooldownState) -> float:
        if pause is _NO_COOLDOWN:
            return 0.0
        now = self.now()
        return pause.until - now if pause.began <= now else 0.0  # a clock that was set back waits for nothing

    def _read(self) -> _CooldownState:
        note = self._shelf.read()
        try:
            return msgspec.json.decode(note, type=_CooldownState) if note else _NO_COOLDOWN
        except msgspec.DecodeError:
            return _NO_COOLDOWN

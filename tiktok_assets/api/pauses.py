"""The pause of the whole app after TikTok said it is too fast: one small file tells every process of it."""

import time
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec
from filelock import FileLock

from tiktok_assets.api.errors import ThrottledError

GIVES_UP_AT = 3
"""The breach after which nobody waits any longer: a short pause and the long one did not help."""


class _Pause(msgspec.Struct, frozen=True):
    """How often the limit was breached of late, and the instants (epoch) between which nobody asks."""

    breaches: int = 0
    began: float = 0.0
    until: float = 0.0


_NONE: Final = _Pause()


class Pauses:
    """When nobody of the app may ask; kept in a file, or in memory where there is none.

    The first breach is a pause of seconds, a second one soon after it the long pause; after a third all who
    ask are told when to come back instead of waiting.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._kept = _NONE
        self._lock: Lock | FileLock = FileLock(f"{path}.lock") if path else Lock()

    def wait(self) -> bool:
        """Wait until no pause is in force; tells whether there was one.

        Raises:
            ThrottledError: if the pauses did not help, with the time to come back.
        """
        waited = False
        while (left := self._left(pause := self._read())) > 0:
            if pause.breaches >= GIVES_UP_AT:
                error = ThrottledError("the app is still over its limit after a long pause")
                error.retry_after_seconds = left
                raise error
            time.sleep(left)
            waited = True
        return waited

    def breached(
        self, asked_at: float, *, first_seconds: float, then_seconds: float, memory_seconds: float
    ) -> float | None:
        """Note a breach; returns after how many seconds to come back if pauses have not helped.

        Args:
            asked_at: when the refused request was given leave; one from before a pause is no breach of its own.
            first_seconds: the first pause.
            then_seconds: the long one.
            memory_seconds: how long after a pause the next breach counts as its successor.
        """
        with self._lock:
            before, now = self._read(), time.time()
            if asked_at <= before.began <= now:
                return None
            breaches = before.breaches + 1 if now < before.until + memory_seconds else 1
            seconds = first_seconds if breaches == 1 else then_seconds
            self._write(_Pause(min(breaches, GIVES_UP_AT), now, now + seconds))
        return seconds if breaches >= GIVES_UP_AT else None

    @staticmethod
    def _left(pause: _Pause) -> float:
        now = time.time()
        return pause.until - now if pause.began <= now else 0.0  # a clock that was set back waits for nothing

    def _read(self) -> _Pause:
        if not self._path:
            return self._kept
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Pause)
        except (FileNotFoundError, msgspec.DecodeError):
            return _NONE

    def _write(self, pause: _Pause) -> None:
        self._kept = pause
        if self._path:
            beside = self._path.with_suffix(".new")
            beside.write_bytes(msgspec.json.encode(pause))
            beside.replace(self._path)

"""The request budget of the app in Redis, for processes on several hosts."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from math import inf

from pyrate_limiter import Rate, RateItem
from pyrate_limiter.buckets.redis_bucket import LuaScript, RedisBucket

from tiktok_assets.api.errors import RetryLaterError, TikTokError
from tiktok_assets.api.limiter import Counted, rates_of
from tiktok_assets.api.pauses import Pauses

try:
    import redis
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry
except ImportError:  # pragma: no cover - the tests have it
    redis = None  # type: ignore[assignment] # told when it is asked for

PREFIX = "tiktok-assets"
_COUNTS = "'ZCOUNT', bucket, window_start, {}"
COUNTING = LuaScript.PUT_ITEM.replace(_COUNTS.format("now"), _COUNTS.format("'+inf'"))
"""pyrate-limiter 4.5 counts what is not later than the caller's instant, and so misses who was told the time after
it and came first: two at once were admitted. What lies ahead counts as well."""

_LOCK_SECONDS, _PATIENCE_SECONDS = 10.0, 10.0
_TRIES = 3
"""A connection that was lost is made anew; a request counted twice is only a little late."""


class RedisBudget(Counted):
    """Requests a second and a minute of all hosts that name the same Redis, by its clock.

    Args:
        url: `redis://…`, `rediss://…` or `unix://…`; may hold a password, and is never shown.
        app: whose budget it is; the same text on every host.
        per_second: requests a second.
        per_minute: requests a minute.
        patience_seconds: see `Pauses`.

    Raises:
        TikTokError: if Redis cannot be reached, or its driver is not installed.
    """

    def __init__(
        self, url: str, app: str, per_second: float, per_minute: int, *, patience_seconds: float = inf
    ) -> None:
        if redis is None:  # pragma: no cover - the same
            raise TikTokError("TIKTOK_LIMITER_URL needs the extra `redis`: pip install 'tiktok-assets[redis]'")
        key = f"{PREFIX}:{hashlib.sha256(app.encode()).hexdigest()[:16]}"
        with reached():
            client = redis.Redis.from_url(
                url,
                socket_timeout=_PATIENCE_SECONDS,
                health_check_interval=30,
                retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), _TRIES),
            )
            bucket = _Bucket.of(client, f"{key}:requests", rates_of(per_second, per_minute))
        self._redis = client
        super().__init__(bucket, Pauses(_RedisShelf(client, f"{key}:pause"), patience_seconds=patience_seconds))

    def close(self) -> None:
        """Close the connections; but not under a thread that forgets old requests at this very moment."""
        super().close()
        self._redis.connection_pool.disconnect(inuse_connections=False)

    def _take(self) -> None:
        with reached():
            super()._take()


class _Bucket(RedisBucket):
    """Counts by the clock of Redis: those of several hosts may differ by more than a window."""

    @classmethod
    def of(cls, client: "redis.Redis", key: str, rates: list[Rate]) -> "_Bucket":
        return cls(rates, client, key, cls._loaded(client))

    @staticmethod
    def _loaded(client: "redis.Redis") -> str:
        return str(client.script_load(COUNTING))

    def put(self, item: RateItem) -> bool:
        """Count a request if there is room; a Redis that was started anew is told the script again."""
        try:
            return bool(super().put(item))
        except redis.exceptions.NoScriptError:
            self.script_hash = self._loaded(self.redis)  # type: ignore[arg-type] # the same
            return bool(super().put(item))

    def now(self) -> int:
        """Milliseconds by the clock of Redis."""
        seconds, micros = self.redis.time()  # type: ignore[misc] # the driver types both its faces at once
        return int(seconds) * 1000 + int(micros) // 1000


class _RedisShelf:
    """The note of a pause, for all hosts."""

    def __init__(self, client: "redis.Redis", key: str) -> None:
        self._redis, self._key = client, key

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held by one process at a time; one that was killed loses it after seconds."""
        return _held(self._redis, f"{self._key}:lock")

    def read(self) -> bytes | None:
        """The note."""
        with reached():
            note = self._redis.get(self._key)
        return note if isinstance(note, bytes) else None

    def write(self, note: bytes) -> None:
        """Replace it."""
        with reached():
            self._redis.set(self._key, note)

    def now(self) -> float:
        """By the clock of Redis."""
        with reached():
            seconds, micros = self._redis.time()
        return float(seconds) + float(micros) / 1e6


@contextmanager
def _held(client: "redis.Redis", name: str) -> Iterator[object]:
    with reached(), client.lock(name, timeout=_LOCK_SECONDS, blocking_timeout=_PATIENCE_SECONDS) as lock:
        yield lock


@contextmanager
def reached() -> Iterator[None]:
    """Name what goes wrong between us and Redis, without its address, which may hold a password.

    Raises:
        RetryLaterError: for whatever Redis or its driver raised.
    """
    try:
        yield
    except (redis.RedisError, ValueError) as error:
        raise RetryLaterError(
            f"the request budget cannot be reached ({type(error).__name__}); check TIKTOK_LIMITER_URL"
        ) from None

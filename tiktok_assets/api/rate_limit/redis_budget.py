"""Limit the requests of the app through Redis, for processes on several hosts."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from math import inf

from pyrate_limiter import Rate, RateItem
from pyrate_limiter.buckets.redis_bucket import LuaScript, RedisBucket

from tiktok_assets.api.errors import RetryLaterError, TikTokError
from tiktok_assets.api.rate_limit.budget import RateLimitedBudget, build_rates
from tiktok_assets.api.rate_limit.cooldown import Cooldown

try:
    import redis
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry
except ImportError:  # pragma: no cover - the tests have it
    redis = None  # type: ignore[assignment] # told when it is asked for

KEY_PREFIX = "tiktok-assets"
_COUNT_CALL = "'ZCOUNT', bucket, window_start, {}"
PUT_ITEM_SCRIPT = LuaScript.PUT_ITEM.replace(_COUNT_CALL.format("now"), _COUNT_CALL.format("'+inf'"))
"""pyrate-limiter 4.5 counts what is not later than the caller's instant, and so misses who was told the time after
it and came first: two at once were admitted. What lies ahead counts as well."""

_LOCK_SECONDS, _SOCKET_TIMEOUT_SECONDS = 10.0, 10.0
_MAX_CONNECTION_ATTEMPTS = 3
"""A connection that was lost is made anew; a request counted twice is only a little late."""


class RedisBudget(RateLimitedBudget):
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
        key = f"{KEY_PREFIX}:{hashlib.sha256(app.encode()).hexdigest()[:16]}"
        with translate_redis_errors():
            client = redis.Redis.from_url(
                url,
                socket_timeout=_SOCKET_TIMEOUT_SECONDS,
                health_check_interval=30,
                retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), _MAX_CONNECTION_ATTEMPTS),
            )
            bucket = _RedisClockBucket.of(client, f"{key}:requests", build_rates(per_second, per_minute))
        self._redis = client
        super().__init__(
            bucket, Cooldown(_RedisCooldownStore(client, f"{key}:pause"), patience_seconds=patience_seconds)
        )

    def close(self) -> None:
        """Close the connections; but not under a thread that forgets old requests at this very moment."""
        super().close()
        self._redis.connection_pool.disconnect(inuse_connections=False)

    def _take(self) -> None:
        with translate_redis_errors():
            super()._take()


class _RedisClockBucket(RedisBucket):
    """Counts by the clock of Redis: those of several hosts may differ by more than a window."""

    @classmethod
    def of(cls, client: "redis.Redis", key: str, rates: list[Rate]) -> "_RedisClockBucket":
        return cls(rates, client, key, cls._loaded(client))

    @staticmethod
    def _loaded(client: "redis.Redis") -> str:
        return str(client.script_load(PUT_ITEM_SCRIPT))

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


class _RedisCooldownStore:
    """The note of a pause, for all hosts."""

    def __init__(self, client: "redis.Redis", key: str) -> None:
        self._redis, self._key = client, key

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held by one process at a time; one that was killed loses it after seconds."""
        return _hold_lock(self._redis, f"{self._key}:lock")

    def read(self) -> bytes | None:
        """The note."""
        with translate_redis_errors():
            note = self._redis.get(self._key)
        return note if isinstance(note, bytes) else None

    def write(self, note: bytes) -> None:
        """Replace it."""
        with translate_redis_errors():
            self._redis.set(self._key, note)

    def now(self) -> float:
        """By the clock of Redis."""
        with translate_redis_errors():
            seconds, micros = self._redis.time()
        return float(seconds) + float(micros) / 1e6


@contextmanager
def _hold_lock(client: "redis.Redis", name: str) -> Iterator[object]:
    with (
        translate_redis_errors(),
        client.lock(name, timeout=_LOCK_SECONDS, blocking_timeout=_SOCKET_TIMEOUT_SECONDS) as lock,
    ):
        yield lock


@contextmanager
def translate_redis_errors() -> Iterator[None]:
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

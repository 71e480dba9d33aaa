"""Limit the requests of the app through Redis, for processes on several hosts."""

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from math import inf

from pyrate_limiter import Rate, RateItem
from pyrate_limiter.buckets.redis_bucket import LuaScript, RedisBucket

from tiktok_assets.api.errors import BudgetUnavailableError, TikTokError
from tiktok_assets.api.rate_limit.cooldown import Cooldown
from tiktok_assets.api.rate_limit.rate_limiter import RateLimitedBudget, build_rates

try:
    import redis
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry
except ImportError:  # pragma: no cover - the tests have it
    redis = None  # type: ignore[assignment] # `RedisBudget` raises an error that names the extra

KEY_PREFIX = "tiktok-assets"
_COUNT_CALL = "'ZCOUNT', bucket, window_start, {}"
PUT_ITEM_SCRIPT = LuaScript.PUT_ITEM.replace(_COUNT_CALL.format("now"), _COUNT_CALL.format("'+inf'"))
"""The Lua script of pyrate-limiter 4.5, changed to count entries that are later than the caller's time as well.

The original counts entries up to the caller's time only. It misses a request whose caller read the clock later but
reached Redis first, and so permits two requests at once.
"""

_LOCK_SECONDS, _SOCKET_TIMEOUT_SECONDS = 10.0, 10.0
_MAX_CONNECTION_ATTEMPTS = 3
"""Attempts to reconnect to Redis; a request that is counted twice because of them is only a little later."""

OUTAGE_SECONDS = 60.0
"""How long requests wait for a Redis that went away; a restart takes seconds, a failover less than a minute."""

_POLL_SECONDS = 1.0

_LOG = logging.getLogger(__name__)


class RedisBudget(RateLimitedBudget):
    """A request budget kept in Redis, shared by all hosts that use the same Redis; its clock counts.

    If Redis goes away, the requests of the process wait for it together. After the wait they fail at once, except
    one at a time that asks Redis again, so that a refresh ends soon and goes on if Redis is back.

    Args:
        url: `redis://…`, `rediss://…` or `unix://…`; it may hold a password and is never shown.
        app: whose budget it is; the same text on every host.
        per_second: the limit of requests per second.
        per_minute: the limit of requests per minute.
        max_cooldown_wait_seconds: see `Cooldown`.
        outage_seconds: how long requests wait for a Redis that went away.

    Raises:
        TikTokError: if Redis cannot be reached, or its driver is not installed.
    """

    def __init__(
        self,
        url: str,
        app: str,
        per_second: float,
        per_minute: int,
        *,
        max_cooldown_wait_seconds: float = inf,
        outage_seconds: float = OUTAGE_SECONDS,
    ) -> None:
        if redis is None:  # pragma: no cover - the tests have it
            raise TikTokError("TIKTOK_LIMITER_URL needs the extra `redis`: pip install 'tiktok-assets[redis]'")
        key = f"{KEY_PREFIX}:{hashlib.sha256(app.encode()).hexdigest()[:16]}"
        with translate_redis_errors():
            client = redis.Redis.from_url(
                url,
                socket_timeout=_SOCKET_TIMEOUT_SECONDS,
                health_check_interval=30,
                retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), _MAX_CONNECTION_ATTEMPTS),
            )
            bucket = _RedisClockBucket.create(client, f"{key}:requests", build_rates(per_second, per_minute))
            store = _RedisCooldownStore(client, f"{key}:pause")
            super().__init__(bucket, Cooldown(store, max_cooldown_wait_seconds=max_cooldown_wait_seconds))
        self._redis = client
        self._outage_seconds = outage_seconds
        self._outage: _Outage | None = None

    def close(self) -> None:
        """Close the idle connections, but not one that another thread is using."""
        super().close()
        self._redis.connection_pool.disconnect(inuse_connections=False)

    def _acquire_in_turn(self) -> None:
        if self._outage and self._outage.is_to_be_failed():
            raise BudgetUnavailableError(self._outage.message)
        while True:
            try:
                super()._acquire_in_turn()
            except BudgetUnavailableError as error:
                self._outage = self._outage or _Outage(str(error), self._outage_seconds)
                if self._closed or self._outage.is_over():
                    raise
                time.sleep(_POLL_SECONDS)
            else:
                self._outage = None
                return

    def _take(self) -> None:
        with translate_redis_errors():
            super()._take()


class _Outage:
    """A time without Redis: how long requests wait, and when one asks it again afterwards.

    Args:
        message: of the first error.
        seconds: how long requests wait.
    """

    def __init__(self, message: str, seconds: float) -> None:
        self.message = message
        self._seconds = seconds
        self._ends = time.monotonic() + seconds
        self._next_attempt = 0.0
        _LOG.warning("%s. Requests wait for it for up to %.0f seconds.", message, seconds)

    def is_over(self) -> bool:
        """Return whether requests have waited long enough; then the next attempt is due some time from now."""
        now = time.monotonic()
        if now < self._ends:
            return False
        self._next_attempt = now + self._seconds / 2
        return True

    def is_to_be_failed(self) -> bool:
        """Return whether a request fails without asking Redis, which may take long to time out."""
        return time.monotonic() < self._next_attempt


class _RedisClockBucket(RedisBucket):
    """A bucket that uses the clock of Redis, because the clocks of hosts may differ by more than a window."""

    @classmethod
    def create(cls, client: "redis.Redis", key: str, rates: list[Rate]) -> "_RedisClockBucket":
        return cls(rates, client, key, cls._load_script(client))

    @staticmethod
    def _load_script(client: "redis.Redis") -> str:
        return str(client.script_load(PUT_ITEM_SCRIPT))

    def put(self, item: RateItem) -> bool:
        """Count a request if the rates allow it, and return whether they do.

        A Redis server that was restarted has lost the script; it is loaded again.
        """
        try:
            return bool(super().put(item))
        except redis.exceptions.NoScriptError:
            self.script_hash = self._load_script(self.redis)  # type: ignore[arg-type] # as in `now`
            return bool(super().put(item))

    def now(self) -> int:
        """Return the time of Redis in epoch milliseconds."""
        seconds, micros = self.redis.time()  # type: ignore[misc] # typed as synchronous or asynchronous
        return int(seconds) * 1000 + int(micros) // 1000


class _RedisCooldownStore:
    """A cooldown record in Redis, shared by all hosts."""

    def __init__(self, client: "redis.Redis", key: str) -> None:
        self._redis, self._key = client, key

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Return a lock that expires after seconds, in case its process is killed."""
        return _hold_lock(self._redis, f"{self._key}:lock")

    def read(self) -> bytes | None:
        """Return the record, or None if there is none."""
        with translate_redis_errors():
            record = self._redis.get(self._key)
        return record if isinstance(record, bytes) else None

    def write(self, record: bytes) -> None:
        """Replace the record."""
        with translate_redis_errors():
            self._redis.set(self._key, record)

    def now(self) -> float:
        """Return the time of Redis in epoch seconds."""
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
    """Raise errors of Redis as ours, without its address, which may hold a password.

    Raises:
        BudgetUnavailableError: for any error of Redis or its driver.
    """
    try:
        yield
    except (redis.RedisError, ValueError) as error:
        raise BudgetUnavailableError(
            f"the request budget in Redis cannot be reached ({type(error).__name__}); check TIKTOK_LIMITER_URL"
        ) from None

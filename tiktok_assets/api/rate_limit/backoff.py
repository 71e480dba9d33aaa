"""Slow down after a rejection: the app, one path, one account at a path, or reports that time out."""

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from threading import Condition, Lock
from typing import Protocol

from tiktok_assets.api.errors import (
    AdvertiserError,
    CredentialsError,
    DailyQuotaError,
    NotOfferedError,
    ThrottledError,
    TimedOutError,
    build_daily_quota_error,
    lacks_permission,
)
from tiktok_assets.api.rate_limit.rate_limiter import RequestBudget
from tiktok_assets.spec import ADVERTISER_PATH_THROTTLING_CODES, PATH_THROTTLING_CODES, Endpoint

MAX_TIMEOUTS_PER_REPORT = 2
"""Timeouts of one report after which it is no longer sent; after a third, TikTok blocks it for the whole app."""

TIMEOUT_MEMORY_SECONDS = 600.0
"""How long TikTok counts the timeout of a report, by the wall clock."""

MAX_TIMEOUTS_IN_WINDOW = 9
"""Report timeouts TikTok allows within ten seconds; the tenth slows the app for five minutes (API notes 4.3)."""

_INITIAL_REQUESTS_PER_COOLDOWN = 50
"""Requests sent to a throttled path per length of a cooldown at first; each further rejection halves them."""

ThrottleKey = tuple[str, str]
"""An advertiser id, or `ANY_ACCOUNT`, and an endpoint path."""

ANY_ACCOUNT = "*"


class TimeoutStore(Protocol):
    """The recent timeouts of reports, shared by all processes that use the same state."""

    def begin(self, identity: str) -> float | None:
        """Return None if a report may be sent now, else the seconds until it may be.

        From `begin` to `end`, a report that timed out once before counts as timed out again. So only one of two
        concurrent processes sends it, and the request of a process that was killed is counted.

        Args:
            identity: the hash of the request; see `hash_request`.
        """

    def end(self, identity: str, *, timed_out: bool) -> float | None:
        """Record the result of a report that was permitted by `begin`.

        Returns:
            The seconds until the report may be sent again, or None if it may be sent at once.
        """


def hash_request(url: str, query: Mapping[str, str]) -> str:
    """Return a hash that is the same for equal requests from any process, and does not reveal the request.

    >>> hash_request("u", {"a": "1", "b": "2"}) == hash_request("u", {"b": "2", "a": "1"})
    True
    """
    return hashlib.sha256(json.dumps([url, sorted(query.items())]).encode()).hexdigest()


@contextmanager
def track_timeouts(timeouts: TimeoutStore, identity: str) -> Iterator[None]:
    """Record whether the report that is sent in this context times out.

    Raises:
        TimedOutError: if it timed out twice already; it is not sent, and the error has the seconds to wait.
    """
    if seconds := timeouts.begin(identity):
        error = TimedOutError(
            "this report timed out twice within ten minutes and was not sent; TikTok blocks it after a third"
        )
        error.retry_after_seconds = seconds
        raise error
    timed_out = False
    try:
        yield
    except TimedOutError as error:
        timed_out = True
        error.retry_after_seconds = timeouts.end(identity, timed_out=True)
        raise
    finally:
        if not timed_out:
            timeouts.end(identity, timed_out=False)


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """Cooldowns and time windows of a client; see the fields of the same names in `RetryPolicy`."""

    first_cooldown_seconds: float
    long_cooldown_seconds: float
    cooldown_memory_seconds: float
    timeout_window_seconds: float


class Backoff:
    """Delays requests after rejections; safe to share between threads.

    Args:
        budget: the request budget of the app, which starts cooldowns.
        policy: lengths of cooldowns and windows.
        timeouts: where timeouts of reports are recorded; None records none.
        now: returns the current time by the host's clock.

    Attributes:
        throttled_count: number of responses in which the host rejected a request because of a rate limit.
        missing_paths: the endpoint paths that this host does not offer.
        forbidden_paths: the paths of optional endpoints that the token lacks the permission for.
    """

    def __init__(
        self,
        budget: RequestBudget,
        policy: BackoffPolicy,
        timeouts: TimeoutStore | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._budget = budget
        self._timeouts = timeouts
        self._policy = policy
        self._path_throttle = _PathThrottle(policy.first_cooldown_seconds)
        self._timeout_limiter = _TimeoutLimiter(policy.timeout_window_seconds)
        self._now = now
        self.throttled_count = 0
        self.missing_paths: set[str] = set()
        self.forbidden_paths: set[str] = set()
        self._quota_error: tuple[DailyQuotaError, float] | None = None
        self._count_lock = Lock()

    @property
    def quota_error(self) -> DailyQuotaError | None:
        """Return the error of the used-up daily quota, from its first occurrence until the quota is refilled."""
        error, refilled_at = self._quota_error or (None, 0.0)
        return error if time.monotonic() < refilled_at else None

    @contextmanager
    def limit(self, endpoint: Endpoint, advertiser_id: str, identity: str = "") -> Iterator[None]:
        """Wait until a request may be sent, and slow down according to the error it raises in this context.

        Args:
            endpoint: the endpoint of the request.
            advertiser_id: the account of the request.
            identity: the hash of the request if TikTok blocks repeated timeouts of it; see `hash_request`.

        Raises:
            TimedOutError: if the report timed out twice recently; it is not sent.
        """
        account_key, path_key = (advertiser_id, endpoint.path), (ANY_ACCOUNT, endpoint.path)
        self._path_throttle.wait(path_key)
        self._path_throttle.wait(account_key)
        tracking = track_timeouts(self._timeouts, identity) if self._timeouts and identity else nullcontext()
        with tracking, self._timeout_limiter.slot() if endpoint.penalizes_repeats else nullcontext():
            try:
                yield
            except NotOfferedError:
                self.missing_paths.add(endpoint.path)
                raise
            except (AdvertiserError, CredentialsError) as error:
                if endpoint.is_optional and lacks_permission(error):
                    self.forbidden_paths.add(endpoint.path)
                raise
            except DailyQuotaError as error:
                quota_error = error if error.retry_after_seconds else self._handle_used_up_quota(error)
                self._quota_error = quota_error, time.monotonic() + (quota_error.retry_after_seconds or 0.0)
                raise quota_error from error.__cause__
            except ThrottledError as error:
                if error.code in ADVERTISER_PATH_THROTTLING_CODES | PATH_THROTTLING_CODES:
                    self._count_throttled()
                    self._path_throttle.slow_down(path_key if error.code in PATH_THROTTLING_CODES else account_key)
                elif error.retry_after_seconds is None:
                    self._count_throttled()
                    error.retry_after_seconds = self._budget.record_breach(
                        first_seconds=self._policy.first_cooldown_seconds,
                        long_seconds=self._policy.long_cooldown_seconds,
                        memory_seconds=self._policy.cooldown_memory_seconds,
                    )
                raise

    def _handle_used_up_quota(self, response_error: DailyQuotaError) -> DailyQuotaError:
        self._count_throttled()
        seconds = seconds_until_quota_refill(self._now())
        self._budget.block_until_refill(seconds)
        return build_daily_quota_error(seconds, response_error=response_error)

    def _count_throttled(self) -> None:
        with self._count_lock:
            self.throttled_count += 1


def seconds_until_quota_refill(now: datetime) -> float:
    """Return the seconds until 00:00 UTC, when TikTok refills daily quotas (API notes 4.1)."""
    tomorrow = now.astimezone(UTC).date() + timedelta(1)
    return (datetime.combine(tomorrow, time_of_day(), UTC) - now).total_seconds()


class _PathThrottle:
    """Spaces requests to throttled paths, or of accounts at a path: a cooldown, then one request at a time."""

    def __init__(self, cooldown_seconds: float) -> None:
        self._cooldown_seconds = cooldown_seconds
        self._gaps: dict[ThrottleKey, float] = {}
        self._next: dict[ThrottleKey, float] = {}
        self._lock = Lock()

    def slow_down(self, key: ThrottleKey) -> None:
        """Start a cooldown, and double the gap between the requests after it, up to the cooldown's length."""
        with self._lock:
            gap = self._gaps.get(key, self._cooldown_seconds / _INITIAL_REQUESTS_PER_COOLDOWN / 2) * 2
            self._gaps[key] = min(gap, self._cooldown_seconds)
            self._next[key] = max(self._next.get(key, 0.0), time.monotonic() + self._cooldown_seconds)

    def wait(self, key: ThrottleKey) -> None:
        """Wait until the next request may be sent."""
        if key not in self._gaps:
            return
        with self._lock:
            at = max(self._next[key], time.monotonic())
            self._next[key] = at + self._gaps[key]
        time.sleep(max(0.0, at - time.monotonic()))


class _TimeoutLimiter:
    """Limits the reports in flight, so that TikTok's limit of timeouts holds even if all of them time out."""

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._timeouts: deque[float] = deque()
        self._in_flight = 0
        self._changed = Condition()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait until one more report may be in flight, and record whether it times out."""
        with self._changed:
            while (seconds := self._seconds_to_wait()) != 0:
                self._changed.wait(seconds)
            self._in_flight += 1
        timed_out = False
        try:
            yield
        except TimedOutError:
            timed_out = True
            raise
        finally:
            with self._changed:
                self._in_flight -= 1
                if timed_out:
                    self._timeouts.append(time.monotonic())
                self._changed.notify_all()

    def _seconds_to_wait(self) -> float | None:
        """Return 0 if one more may be sent, else seconds until a timeout expires; None until a report returns."""
        now = time.monotonic()
        while self._timeouts and now - self._timeouts[0] >= self._window_seconds:
            self._timeouts.popleft()
        if len(self._timeouts) + self._in_flight < MAX_TIMEOUTS_IN_WINDOW:
            return 0
        return self._timeouts[0] + self._window_seconds - now if self._timeouts else None

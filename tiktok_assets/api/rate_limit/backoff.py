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
    DailyQuotaError,
    NotOfferedError,
    ThrottledError,
    TimedOutError,
    build_daily_quota_error,
)
from tiktok_assets.api.rate_limit.budget import RequestBudget
from tiktok_assets.spec.endpoints import Endpoint
from tiktok_assets.spec.error_codes import ADVERTISER_PATH_THROTTLING_CODES, PATH_THROTTLING_CODES

MAX_TIMEOUTS_PER_REPORT = 2
"""The third has TikTok block the report, for every process and every host of the app."""

TIMEOUT_MEMORY_SECONDS = 600.0
"""How long TikTok counts a time-out, by the wall clock."""


class TimeoutStore(Protocol):
    """What is remembered of reports that timed out, by all processes that share the state."""

    def begin(self, identity: str) -> float | None:
        """Ask leave to send a report: None, or the seconds to stay away from it.

        A report that timed out once counts as timed out again until `end` is called, so that of two processes
        that ask at the same moment one is sent, and a killed one is not forgotten.
        """

    def end(self, identity: str, *, timed_out: bool) -> float | None:
        """Say what became of a report that had leave; returns the seconds to stay away from it now."""


def hash_request(url: str, query: Mapping[str, str]) -> str:
    """The same for the same question to the same host, whoever asks; reveals nothing of it.

    >>> identity_of("u", {"a": "1", "b": "2"}) == identity_of("u", {"b": "2", "a": "1"})
    True
    """
    return hashlib.sha256(json.dumps([url, sorted(query.items())]).encode()).hexdigest()


@contextmanager
def track_timeouts(timeouts: TimeoutStore, identity: str) -> Iterator[None]:
    """Around the sending of one report.

    Raises:
        TimedOutError: instead of a third time-out, with the seconds after which it may be sent again.
    """
    if seconds := timeouts.begin(identity):
        error = TimedOutError("this report timed out twice within ten minutes; a third time would have it blocked")
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


MAX_TIMEOUTS_IN_WINDOW = 9
"""Time-outs TikTok lets pass within ten seconds; the tenth slows the whole app for five minutes (dossier 4.3)."""

_INITIAL_RATE_DIVISOR = 50
"""What was too fast at a path goes on with this many requests to the length of the pause, then half."""

Key = tuple[str, str]
"""An account and a path."""

ANY_ACCOUNT = "*"


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """The pauses of a client: the fields of its policy of the same names."""

    throttle_seconds: float
    shared_pause_seconds: float
    breach_memory_seconds: float
    timeouts_within_seconds: float


class Backoff:
    """Holds requests back after refusals; safe to share between threads.

    Attributes:
        refusals: how often the host said that we are too fast.
        not_offered: the paths this host said it does not have.
    """

    def __init__(
        self,
        budget: RequestBudget,
        rhythm: BackoffPolicy,
        timeouts: TimeoutStore | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._budget = budget
        self._timeouts = timeouts
        self._rhythm = rhythm
        self._slow = _PathThrottle(rhythm.throttle_seconds)
        self._brake = _TimeoutLimiter(rhythm.timeouts_within_seconds)
        self._now = now
        self.refusals = 0
        self.not_offered: set[str] = set()
        self._used_up: tuple[DailyQuotaError, float] | None = None
        self._counting = Lock()

    @property
    def used_up(self) -> DailyQuotaError | None:
        """Give the error of the quota of the day, from when it was met until it is refilled."""
        error, refilled_at = self._used_up or (None, 0.0)
        return error if time.monotonic() < refilled_at else None

    @contextmanager
    def turn(self, endpoint: Endpoint, advertiser_id: str, identity: str = "") -> Iterator[None]:
        """Around one request and the judgement of its answer: waits before, and learns from its error.

        Args:
            endpoint: what is asked.
            advertiser_id: for whom.
            identity: of the question, where TikTok punishes repeats; see `timeouts.identity_of`.

        Raises:
            TimedOutError: if it timed out twice of late; nothing is sent then.
        """
        own, whole = (advertiser_id, endpoint.path), (ANY_ACCOUNT, endpoint.path)
        self._slow.wait(whole)
        self._slow.wait(own)
        counted = track_timeouts(self._timeouts, identity) if self._timeouts and identity else nullcontext()
        with counted, self._brake.held() if endpoint.punishes_repeats else nullcontext():
            try:
                yield
            except NotOfferedError:
                self.not_offered.add(endpoint.path)
                raise
            except DailyQuotaError as error:
                named = error if error.retry_after_seconds else self._quota_used_up(error)
                self._used_up = named, time.monotonic() + (named.retry_after_seconds or 0.0)
                raise named from error.__cause__
            except ThrottledError as error:
                if error.code in ADVERTISER_PATH_THROTTLING_CODES | PATH_THROTTLING_CODES:
                    self._refused()
                    self._slow.slower(whole if error.code in PATH_THROTTLING_CODES else own)
                elif error.retry_after_seconds is None:
                    self._refused()
                    error.retry_after_seconds = self._budget.breached(
                        first_seconds=self._rhythm.throttle_seconds,
                        then_seconds=self._rhythm.shared_pause_seconds,
                        memory_seconds=self._rhythm.breach_memory_seconds,
                    )
                raise

    def _quota_used_up(self, said: DailyQuotaError) -> DailyQuotaError:
        self._refused()
        seconds = seconds_until_quota_refill(self._now())
        self._budget.use_up(seconds)
        return build_daily_quota_error(seconds, said=said)

    def _refused(self) -> None:
        with self._counting:
            self.refusals += 1


def seconds_until_quota_refill(now: datetime) -> float:
    """Tell the seconds until 00:00 UTC, when quotas of the day are refilled (tiktok_api.md section 4.1)."""
    tomorrow = now.astimezone(UTC).date() + timedelta(1)
    return (datetime.combine(tomorrow, time_of_day(), UTC) - now).total_seconds()


class _PathThrottle:
    """Paths, or accounts at a path, that were too fast: a pause, then one request after the other."""

    def __init__(self, pause_seconds: float) -> None:
        self._pause = pause_seconds
        self._gaps: dict[Key, float] = {}
        self._next: dict[Key, float] = {}
        self._lock = Lock()

    def slower(self, key: Key) -> None:
        with self._lock:
            gap = self._gaps.get(key, self._pause / _INITIAL_RATE_DIVISOR / 2) * 2
            self._gaps[key] = min(gap, self._pause)
            self._next[key] = max(self._next.get(key, 0.0), time.monotonic() + self._pause)

    def wait(self, key: Key) -> None:
        if key not in self._gaps:
            return
        with self._lock:
            at = max(self._next[key], time.monotonic())
            self._next[key] = at + self._gaps[key]
        time.sleep(max(0.0, at - time.monotonic()))


class _TimeoutLimiter:
    """Never has more report queries under way than may time out without a penalty."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeouts: deque[float] = deque()
        self._under_way = 0
        self._changed = Condition()

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._changed:
            while (left := self._wait_seconds()) != 0:
                self._changed.wait(left)
            self._under_way += 1
        timed_out = False
        try:
            yield
        except TimedOutError:
            timed_out = True
            raise
        finally:
            with self._changed:
                self._under_way -= 1
                if timed_out:
                    self._timeouts.append(time.monotonic())
                self._changed.notify_all()

    def _wait_seconds(self) -> float | None:
        """0 if one more may go, seconds until a time-out is forgotten, or None: until one comes back."""
        now = time.monotonic()
        while self._timeouts and now - self._timeouts[0] >= self._seconds:
            self._timeouts.popleft()
        if len(self._timeouts) + self._under_way < MAX_TIMEOUTS_IN_WINDOW:
            return 0
        return self._timeouts[0] + self._seconds - now if self._timeouts else None

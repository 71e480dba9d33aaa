"""How fast a client may go on after a refusal: the app, a path, one account at a path, reports that time out."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from threading import Condition, Lock

from tiktok_assets.api.errors import (
    NotOfferedError,
    RetryTomorrowError,
    ThrottledError,
    TimedOutError,
    quota_used_up,
)
from tiktok_assets.api.limiter import Budget
from tiktok_assets.api.timeouts import Timeouts, watched
from tiktok_assets.spec.endpoints import Endpoint
from tiktok_assets.spec.error_codes import OF_ONE_ADVERTISER_AND_PATH, OF_ONE_PATH

MOST_TIMEOUTS = 9
"""Time-outs TikTok lets pass within ten seconds; the tenth slows the whole app for five minutes (dossier 4.3)."""

_GAPS_IN_A_PAUSE = 50
"""What was too fast at a path goes on with this many requests to the length of the pause, then half."""

Key = tuple[str, str]
"""An account and a path."""

ANY_ACCOUNT = "*"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The pauses of a client: the fields of its policy of the same names."""

    throttle_seconds: float
    shared_pause_seconds: float
    breach_memory_seconds: float
    timeouts_within_seconds: float


class Pace:
    """Holds requests back after refusals; safe to share between threads.

    Attributes:
        refusals: how often the host said that we are too fast.
        not_offered: the paths this host said it does not have.
    """

    def __init__(
        self,
        budget: Budget,
        rhythm: Rhythm,
        timeouts: Timeouts | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._budget = budget
        self._timeouts = timeouts
        self._rhythm = rhythm
        self._slow = _Slow(rhythm.throttle_seconds)
        self._brake = _Brake(rhythm.timeouts_within_seconds)
        self._now = now
        self.refusals = 0
        self.not_offered: set[str] = set()
        self._used_up: tuple[RetryTomorrowError, float] | None = None
        self._counting = Lock()

    @property
    def used_up(self) -> RetryTomorrowError | None:
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
        counted = watched(self._timeouts, identity) if self._timeouts and identity else nullcontext()
        with counted, self._brake.held() if endpoint.punishes_repeats else nullcontext():
            try:
                yield
            except NotOfferedError:
                self.not_offered.add(endpoint.path)
                raise
            except RetryTomorrowError as error:
                named = error if error.retry_after_seconds else self._quota_used_up(error)
                self._used_up = named, time.monotonic() + (named.retry_after_seconds or 0.0)
                raise named from error.__cause__
            except ThrottledError as error:
                if error.code in OF_ONE_ADVERTISER_AND_PATH | OF_ONE_PATH:
                    self._refused()
                    self._slow.slower(whole if error.code in OF_ONE_PATH else own)
                elif error.retry_after_seconds is None:
                    self._refused()
                    error.retry_after_seconds = self._budget.breached(
                        first_seconds=self._rhythm.throttle_seconds,
                        then_seconds=self._rhythm.shared_pause_seconds,
                        memory_seconds=self._rhythm.breach_memory_seconds,
                    )
                raise

    def _quota_used_up(self, said: RetryTomorrowError) -> RetryTomorrowError:
        self._refused()
        seconds = until_refill(self._now())
        self._budget.use_up(seconds)
        return quota_used_up(seconds, said=said)

    def _refused(self) -> None:
        with self._counting:
            self.refusals += 1


def until_refill(now: datetime) -> float:
    """Tell the seconds until 00:00 UTC, when quotas of the day are refilled (tiktok_api.md section 4.1)."""
    tomorrow = now.astimezone(UTC).date() + timedelta(1)
    return (datetime.combine(tomorrow, time_of_day(), UTC) - now).total_seconds()


class _Slow:
    """Paths, or accounts at a path, that were too fast: a pause, then one request after the other."""

    def __init__(self, pause_seconds: float) -> None:
        self._pause = pause_seconds
        self._gaps: dict[Key, float] = {}
        self._next: dict[Key, float] = {}
        self._lock = Lock()

    def slower(self, key: Key) -> None:
        with self._lock:
            gap = self._gaps.get(key, self._pause / _GAPS_IN_A_PAUSE / 2) * 2
            self._gaps[key] = min(gap, self._pause)
            self._next[key] = max(self._next.get(key, 0.0), time.monotonic() + self._pause)

    def wait(self, key: Key) -> None:
        if key not in self._gaps:
            return
        with self._lock:
            at = max(self._next[key], time.monotonic())
            self._next[key] = at + self._gaps[key]
        time.sleep(max(0.0, at - time.monotonic()))


class _Brake:
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
        if len(self._timeouts) + self._under_way < MOST_TIMEOUTS:
            return 0
        return self._timeouts[0] + self._seconds - now if self._timeouts else None

"""What TikTok does to report queries that time out: slower, then refused (dossier 4.3)."""

from collections import deque
from collections.abc import Callable, Mapping

from tiktok_assets.sandbox.errors import ApiError

TIMEOUT_CODES = frozenset((50002, 51010))  # dossier 3.2
WINDOW_SECONDS, BLOCKED_SECONDS, SAME_QUERY = 600, 600, 3  # three times in ten minutes: ten minutes out
BURST_SECONDS, SLOW_SECONDS = 10, 300
# so many time-outs within ten seconds -> so many queries a second for five minutes.
SLOWER = ((30, 0), (20, 1), (10, 5))


class Penalties:
    """Counts time-outs of report queries in real seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._by_query: dict[str, deque[float]] = {}
        self._blocked: dict[str, float] = {}
        self._burst: deque[float] = deque()
        self._slow_until = 0.0
        self._qps = 0
        self._asked: deque[float] = deque()

    def reset(self) -> None:
        """Forget every time-out."""
        self._by_query.clear()
        self._blocked.clear()
        self._burst.clear()
        self._slow_until = 0.0

    def admit(self, query: Mapping[str, str], code: int) -> None:
        """Let a query pass, or refuse it."""
        now = self._monotonic()
        if now < self._blocked.get(_key(query), 0.0):
            raise ApiError(code, "This query has timed out repeatedly and is temporarily blocked.")
        if now >= self._slow_until:
            return
        while self._asked and now - self._asked[0] >= 1:
            self._asked.popleft()
        if len(self._asked) >= self._qps:
            raise ApiError.of(40100)
        self._asked.append(now)

    def timed_out(self, query: Mapping[str, str]) -> None:
        """Note that a query has timed out."""
        now, key = self._monotonic(), _key(query)
        same = self._by_query.setdefault(key, deque())
        for times, seconds in ((same, WINDOW_SECONDS), (self._burst, BURST_SECONDS)):
            times.append(now)
            while now - times[0] >= seconds:
                times.popleft()
        if len(same) >= SAME_QUERY:
            self._blocked[key] = now + BLOCKED_SECONDS
        for count, qps in SLOWER:
            if len(self._burst) >= count:
                self._slow_until, self._qps = now + SLOW_SECONDS, qps
                break


def _key(query: Mapping[str, str]) -> str:
    return repr(sorted(query.items()))

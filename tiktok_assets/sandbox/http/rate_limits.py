"""Rate limits by app, endpoint and account, and penalties for timed-out report queries (API notes 4.1, 4.3)."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from tiktok_assets.sandbox.http.errors import ApiError


@dataclass(kw_only=True)
class Limits:
    """Request limits; None for no limit. The defaults are those of the basic tier (API notes 4.1).

    Attributes:
        qps: Requests of an app per second.
        qpm: Requests of an app per minute.
        qpd: Requests of an app per day (UTC, world's clock).
        advertiser_qps: Requests per second, account and endpoint; not published.
        path_qps: Requests per second and endpoint, as in TikTok's own sandbox.
        path_qpm: Requests per minute and endpoint.
        tier: The tier of the app for the limits of single endpoints: basic, advanced, premium or ultimate.
        minute_pause_seconds: How long all requests fail after `qpm` was exceeded.
    """

    qps: int | None = 10
    qpm: int | None = 600
    qpd: int | None = 864_000
    advertiser_qps: int | None = None
    path_qps: int | None = None
    path_qpm: int | None = None
    tier: str = "basic"
    minute_pause_seconds: float = 300.0


NO_LIMITS = (None, None, None)
# Limits of single endpoints per second, minute and day, by tier: TikTok's page on rate limits, from
# api-evangelist/tiktok-ads (rate-limits/, 2026-08-13), and mengxingxinqing/tiktok_ads,
# run_a_gmv_max_campaign_report. Those of ad/create are published for the basic tier only.
ENDPOINT_LIMITS: dict[str, dict[str, tuple[int, int, int | None]]] = {
    "ad/create": dict.fromkeys(("basic", "advanced", "premium", "ultimate"), (5, 150, None)),
    # 1 a second by the page of the endpoint, 2 a second and 4,500 a day by the page on rate limits.
    "report/task/create": dict.fromkeys(("basic", "advanced", "premium", "ultimate"), (1, 60, 4_500)),
    "gmv_max/report/get": {
        "basic": (8, 240, 20_000),
        "advanced": (12, 360, 30_000),
        "premium": (20, 600, 50_000),
        "ultimate": (20, 600, 50_000),
    },
}


class Limiter:
    """A rate limiter with sliding windows of real time.

    Args:
        limits: The limits; they may be changed at any time.
        monotonic: Returns real seconds.
        today: Returns the world's day in UTC; a new day resets the daily count.
    """

    def __init__(
        self, limits: Limits, monotonic: Callable[[], float], today: Callable[[], date] = lambda: date.min
    ) -> None:
        self.limits = limits
        self._monotonic = monotonic
        self._admitted: deque[float] = deque()
        self._by_account_and_path: dict[tuple[str, str], deque[float]] = {}
        self._by_endpoint: dict[str, deque[float]] = {}
        self._paused_until = 0.0
        self._today = today
        self._day = date.min
        self._count_today = 0
        self._endpoints_today: dict[str, int] = {}

    def reset(self) -> None:
        """Reset all counts."""
        self._admitted.clear()
        self._by_account_and_path.clear()
        self._by_endpoint.clear()
        self._paused_until = 0.0
        self._count_today = 0
        self._endpoints_today = {}

    def admit(self, path: str, advertiser_id: str | None) -> None:
        """Count a request.

        Raises:
            ApiError: 40100, 40016 or 40133, a limit of the app, the endpoint or the account is exceeded.
        """
        now = self._monotonic()
        self._admit_day()
        if now < self._paused_until:
            raise ApiError.from_code(40100)
        while self._admitted and now - self._admitted[0] >= 60:
            self._admitted.popleft()
        if self.limits.qpm is not None and len(self._admitted) >= self.limits.qpm:
            self._paused_until = now + self.limits.minute_pause_seconds
            raise ApiError.from_code(40100)
        if self.limits.qps is not None and _count_last_second(self._admitted, now) >= self.limits.qps:
            raise ApiError.from_code(40100)
        self._admit_endpoint(path, now)
        self._admit_account(path, advertiser_id, now)
        self._admitted.append(now)
        self._count_today += 1

    def _admit_day(self) -> None:
        if self._day != self._today():
            self._day, self._count_today, self._endpoints_today = self._today(), 0, {}
        if self.limits.qpd is not None and self._count_today >= self.limits.qpd:
            # The text is not published; the code is that of all limits of an app (API notes 4.1).
            raise ApiError(40100, f"Too many requests. The app reaches its QPD limit {self.limits.qpd}.")

    def _admit_endpoint(self, path: str, now: float) -> None:
        """Count a request of an endpoint, or raise ApiError 40016 (api-evangelist/tiktok-ads errors/)."""
        own = (
            NO_LIMITS
            if self.limits.qps is None
            else ENDPOINT_LIMITS.get(path, {}).get(self.limits.tier, NO_LIMITS)
        )
        if own[2] is not None:
            self._endpoints_today[path] = self._endpoints_today.get(path, 0) + 1
            if self._endpoints_today[path] > own[2]:
                raise ApiError.from_code(40016)
        seconds = [one for one in (own[0], self.limits.path_qps) if one is not None]
        minutes = [one for one in (own[1], self.limits.path_qpm) if one is not None]
        if not seconds and not minutes:
            return
        seen = self._by_endpoint.setdefault(path, deque())
        while seen and now - seen[0] >= 60:
            seen.popleft()
        if len(seen) >= min(minutes, default=len(seen) + 1):
            raise ApiError.from_code(40016)
        if seconds and _count_last_second(seen, now) >= min(seconds):
            raise ApiError.from_code(40016)
        seen.append(now)

    def _admit_account(self, path: str, advertiser_id: str | None, now: float) -> None:
        limit = self.limits.advertiser_qps
        if limit is None or advertiser_id is None:
            return
        seen = self._by_account_and_path.setdefault((advertiser_id, path), deque())
        while seen and now - seen[0] >= 1:
            seen.popleft()
        if len(seen) >= limit:
            raise ApiError.from_code(40133, advertiser_id=advertiser_id, seen=len(seen) + 1, limit=limit)
        seen.append(now)


def _count_last_second(admitted: deque[float], now: float) -> int:
    count = 0
    for instant in reversed(admitted):
        if now - instant >= 1:
            break
        count += 1
    return count


TIMEOUT_CODES = frozenset((50002, 51010))  # API notes 3.2
WINDOW_SECONDS, BLOCKED_SECONDS, MAX_QUERY_TIMEOUTS = 600, 600, 3  # three in ten minutes block for ten minutes
BURST_SECONDS, SLOW_SECONDS = 10, 300
# (time-outs within ten seconds, queries a second that are allowed for the next five minutes)
SLOWDOWN_STEPS = ((30, 0), (20, 1), (10, 5))


class Penalties:
    """Slows down and blocks report queries after time-outs, in real time (API notes 4.3)."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._by_query: dict[str, deque[float]] = {}
        self._blocked: dict[str, float] = {}
        self._burst: deque[float] = deque()
        self._slow_until = 0.0
        self._qps = 0
        self._admitted: deque[float] = deque()

    def reset(self) -> None:
        """Reset all counts and blocks."""
        self._by_query.clear()
        self._blocked.clear()
        self._burst.clear()
        self._slow_until = 0.0

    def check(self, query: Mapping[str, str], code: int) -> None:
        """Count a query.

        Raises:
            ApiError: With `code`, the query is blocked; 40100, queries are slowed down.
        """
        now = self._monotonic()
        if now < self._blocked.get(_query_key(query), 0.0):
            raise ApiError(code, "This query has timed out repeatedly and is temporarily blocked.")
        if now >= self._slow_until:
            return
        while self._admitted and now - self._admitted[0] >= 1:
            self._admitted.popleft()
        if len(self._admitted) >= self._qps:
            raise ApiError.from_code(40100)
        self._admitted.append(now)

    def record_timeout(self, query: Mapping[str, str]) -> None:
        """Record that a query has timed out."""
        now, key = self._monotonic(), _query_key(query)
        same = self._by_query.setdefault(key, deque())
        for times, seconds in ((same, WINDOW_SECONDS), (self._burst, BURST_SECONDS)):
            times.append(now)
            while now - times[0] >= seconds:
                times.popleft()
        if len(same) >= MAX_QUERY_TIMEOUTS:
            self._blocked[key] = now + BLOCKED_SECONDS
        for count, qps in SLOWDOWN_STEPS:
            if len(self._burst) >= count:
                self._slow_until, self._qps = now + SLOW_SECONDS, qps
                break


def _query_key(query: Mapping[str, str]) -> str:
    return repr(sorted(query.items()))

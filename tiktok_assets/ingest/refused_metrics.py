"""Remember the limits of reports for one run, and find the refused metrics when a refusal names none.

The limits are the longest accepted window and the refused metrics of each report table. Refused metrics that the
refusal does not name are found by bisection with one-row requests.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from tiktok_assets.api import DateWindow, RequestError, TikTokError, TooLargeError, split_into_batches
from tiktok_assets.spec import Metric

_METRICS_PATTERN = re.compile(r"\bmetrics?\b", re.IGNORECASE)
"""Matches a refusal about metrics that may name none, such as "Conflict occurs. The input params including metrics
and dimensions have no relation."."""

_INVALID_METRICS_PATTERN = re.compile(r"Invalid metric fields: \[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class ReportLimits:
    """By report table: the longest accepted window, and the metrics TikTok refuses.

    Both hold for the rest of the run; the next run tries again.
    """

    _max_days: dict[str, int] = field(default_factory=dict)
    _refused: dict[str, set[str]] = field(default_factory=dict)
    _unexplained: set[str] = field(default_factory=set)

    def split_window(self, table: str, window: DateWindow) -> list[DateWindow]:
        """Return the window, or the fewest windows that cover its days and are not known to be too large."""
        batches = split_into_batches(window.days, self._max_days.get(table, len(window.days)))
        return [DateWindow(days[0], days[-1]) for days in batches]

    def record_refusal(
        self, table: str, window: DateWindow | None, requested: tuple[Metric, ...], error: TikTokError
    ) -> bool:
        """Record a refusal, and return whether the query should be sent again in another way.

        Args:
            table: the report table.
            window: the days that were requested.
            requested: the metrics that were requested.
            error: the refusal.
        """
        if isinstance(error, TooLargeError):
            return window is not None and self._record_too_large(table, window)
        return isinstance(error, RequestError) and self._record_refused_metrics(table, error, requested)

    def needs_search(self, table: str, error: TikTokError, requested: Iterable[Metric]) -> bool:
        """Return whether a refusal is about metrics, names no requested one, and no search has failed before."""
        if table in self._unexplained:
            return False
        text = str(error)
        is_named = any(re.search(rf"\b{re.escape(metric.api_name)}\b", text) for metric in requested)
        return isinstance(error, RequestError) and bool(_METRICS_PATTERN.search(text)) and not is_named

    def find_suspects(self, table: str, requested: tuple[Metric, ...]) -> set[str]:
        """Return the requested metrics that another report was refused for, unless these are all of them."""
        elsewhere = set().union(*(names for other, names in self._refused.items() if other != table))
        names = {metric.api_name for metric in requested}
        return elsewhere & names if not elsewhere >= names else set()

    def stop_searching(self, table: str) -> None:
        """Do not search for refused metrics of this report again."""
        self._unexplained.add(table)

    def has_refused(self, table: str, requested: Iterable[Metric]) -> bool:
        """Return whether one of the metrics is known to be refused, which was found after the query was sent."""
        return bool(self._refused.get(table, set()) & {metric.api_name for metric in requested})

    def exclude_metrics(self, table: str, names: Iterable[str]) -> None:
        """Exclude metrics from all later queries of this report."""
        self._refused.setdefault(table, set()).update(names)

    def select_metrics(self, table: str, metrics: Iterable[Metric]) -> tuple[Metric, ...]:
        """Return the metrics to request: those that were not refused."""
        refused = self._refused.get(table, set())
        return tuple(metric for metric in metrics if metric.api_name not in refused)

    def _record_too_large(self, table: str, window: DateWindow) -> bool:
        halves = window.halve()
        if halves:
            max_days = len(halves[0].days)
            self._max_days[table] = min(max_days, self._max_days.get(table, max_days))
        return halves is not None

    def _record_refused_metrics(self, table: str, error: TikTokError, requested: Iterable[Metric]) -> bool:
        found = _INVALID_METRICS_PATTERN.search(str(error))
        named = {name.strip(" '\"") for name in found[1].split(",")} if found else set()
        names = [metric.api_name for metric in requested]
        if not named & set(names) or named >= set(names):
            return False
        self._refused.setdefault(table, set()).update(named)
        return True


Metrics = tuple[Metric, ...]
IsServed = Callable[[Metrics], bool]

MAX_REFUSED_METRICS = 20
"""If more metrics than this are refused, the cause is something else, and the search ends."""

PROBE_METRICS = 2
"""Number of metrics requested alone before a search. Every report serves spend and impressions, which come first:
if neither is served, the refusal is about something else, such as the dimensions, the level or the account."""


def exclude_refused_metrics(
    limits: ReportLimits, table: str, requested: Metrics, error: TikTokError, is_served: IsServed
) -> bool:
    """Find the refused metrics and exclude them for the rest of the run; return whether any was found.

    The metrics another report was refused for are tried first, so each metric is searched only once per run: a
    search takes about log2(number of metrics) requests, each further report one refused request.

    Args:
        limits: the limits found so far in this run; updated.
        table: the report table.
        requested: the metrics that were requested.
        error: the refusal.
        is_served: sends the same query for one row with some of the metrics; raises TikTokError if the result says
            nothing about the metrics.
    """
    if not limits.needs_search(table, error, requested):
        return False
    if limits.has_refused(table, requested):
        return True
    found = limits.find_suspects(table, requested)
    if not found:
        found = _search_refused_metrics(requested, is_served)
    if not found:
        limits.stop_searching(table)
        return False
    limits.exclude_metrics(table, found)
    return True


def _search_refused_metrics(requested: Metrics, is_served: IsServed) -> set[str]:
    """Return the metrics without which the report is served; empty if metrics are not the cause."""
    try:
        if not any(is_served((metric,)) for metric in requested[:PROBE_METRICS]):
            return set()
        refused = list(islice(_bisect_refused_metrics(requested, is_served), MAX_REFUSED_METRICS + 1))
        rest = tuple(metric for metric in requested if metric not in refused)
        if len(refused) > MAX_REFUSED_METRICS or not rest or not is_served(rest):
            return set()
    except TikTokError:
        return set()
    return {metric.api_name for metric in refused}


def _bisect_refused_metrics(metrics: Metrics, is_served: IsServed) -> Iterator[Metric]:
    """Yield the refused metrics of a list that is refused, by halving it."""
    if len(metrics) == 1:
        yield metrics[0]
        return
    first, second = metrics[: len(metrics) // 2], metrics[len(metrics) // 2 :]
    if is_served(first):
        yield from _bisect_refused_metrics(second, is_served)
        return
    yield from _bisect_refused_metrics(first, is_served)
    if not is_served(second):
        yield from _bisect_refused_metrics(second, is_served)

"""Remember what TikTok refused for each report, and find the refused metrics when a refusal names none.

What is remembered holds for one run: the longest accepted window and the refused metrics of each report table. A
refusal that names no metric is searched by bisection with requests for one row.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from tiktok_assets.api.errors import RequestError, TikTokError, TooLargeError
from tiktok_assets.api.request_plan import DateWindow, split_into_batches
from tiktok_assets.spec.endpoints import MAX_DAYS_PER_REPORT
from tiktok_assets.spec.metric_catalogue import Metric

_METRICS_PATTERN = re.compile(r"\bmetrics?\b", re.IGNORECASE)
"""What the text of a refusal has that is about metrics but names none, as "Conflict occurs. The input params
including metrics and dimensions have no relation." does."""

_INVALID_METRICS_PATTERN = re.compile(r"Invalid metric fields: \[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class ReportLimits:
    """By report table: the longest window that is asked for, and the metrics TikTok serves no longer.

    Both hold for the rest of the run; the next run tries again.
    """

    _most_days: dict[str, int] = field(default_factory=dict)
    _withdrawn: dict[str, set[str]] = field(default_factory=dict)
    _searched_in_vain: set[str] = field(default_factory=set)

    def windows(self, table: str, window: DateWindow) -> list[DateWindow]:
        """The window, or the fewest that hold its days and are not known to be too large."""
        batches = split_into_batches(window.days, self._most_days.get(table, MAX_DAYS_PER_REPORT))
        return [DateWindow(days[0], days[-1]) for days in batches]

    def learned(
        self, table: str, window: DateWindow | None, asked: tuple[Metric, ...], error: TikTokError
    ) -> bool:
        """Take note of a refusal; whether the question is worth asking in another way.

        Args:
            table: of which report.
            window: the days that were asked for.
            asked: the metrics that were asked for.
            error: the refusal.
        """
        if isinstance(error, TooLargeError):
            return window is not None and self._too_large(table, window)
        return isinstance(error, RequestError) and self._withdrawn_by(table, error, asked)

    def must_search(self, table: str, error: TikTokError, asked: Iterable[Metric]) -> bool:
        """Return whether a refusal is about metrics, names none that was asked for, and is worth a search."""
        if table in self._searched_in_vain:
            return False
        text = str(error)
        is_named = any(re.search(rf"\b{re.escape(metric.api_name)}\b", text) for metric in asked)
        return isinstance(error, RequestError) and bool(_METRICS_PATTERN.search(text)) and not is_named

    def suspects(self, table: str, asked: tuple[Metric, ...]) -> set[str]:
        """Return the metrics refused for any other report that were asked for here too, but not all of them."""
        elsewhere = set().union(*(names for other, names in self._withdrawn.items() if other != table))
        names = {metric.api_name for metric in asked}
        return elsewhere & names if not elsewhere >= names else set()

    def give_up_search(self, table: str) -> None:
        """Search for the refused metrics of this report no more."""
        self._searched_in_vain.add(table)

    def is_known(self, table: str, asked: Iterable[Metric]) -> bool:
        """Return whether a refusal of this report was explained since the question was asked."""
        return bool(self._withdrawn.get(table, set()) & {metric.api_name for metric in asked})

    def leave_out(self, table: str, names: Iterable[str]) -> None:
        """Ask this report for these metrics no more."""
        self._withdrawn.setdefault(table, set()).update(names)

    def asked(self, table: str, metrics: Iterable[Metric]) -> tuple[Metric, ...]:
        """The metrics to ask for: those that were not refused."""
        gone = self._withdrawn.get(table, set())
        return tuple(metric for metric in metrics if metric.api_name not in gone)

    def _too_large(self, table: str, window: DateWindow) -> bool:
        halves = window.halves()
        if halves:
            most = len(halves[0].days)
            self._most_days[table] = min(most, self._most_days.get(table, most))
        return halves is not None

    def _withdrawn_by(self, table: str, error: TikTokError, asked: Iterable[Metric]) -> bool:
        found = _INVALID_METRICS_PATTERN.search(str(error))
        named = {name.strip(" '\"") for name in found[1].split(",")} if found else set()
        names = [metric.api_name for metric in asked]
        if not named & set(names) or named >= set(names):
            return False
        self._withdrawn.setdefault(table, set()).update(named)
        return True


Metrics = tuple[Metric, ...]
IsServed = Callable[[Metrics], bool]

MAX_REFUSED_METRICS = 20
"""Where more than this are refused, something else is wrong, and the search ends."""

PROBE_METRICS = 2
"""Metrics asked for by themselves before any search. Every report serves spend and impressions, which stand
first: where neither is, the refusal is about something else, such as the dimensions, the level or the account."""


def exclude_refused_metrics(
    lessons: ReportLimits, table: str, asked: Metrics, error: TikTokError, is_served: IsServed
) -> bool:
    """Return whether a refusal is explained by metrics, which are then left out for the rest of the run.

    What was found for another report is tried first, so that one metric is searched for once a run: the search
    takes about the logarithm of the number of metrics, every further report one refused request.

    Args:
        lessons: what the run has learned, and where the answer goes.
        table: of which report.
        asked: the metrics that were asked for.
        error: the refusal.
        is_served: asks the same for one row with some of the metrics; raises TikTokError if that tells nothing.
    """
    if not lessons.must_search(table, error, asked):
        return False
    if lessons.is_known(table, asked):
        return True
    found = lessons.suspects(table, asked)
    if not found:
        found = _search_refused_metrics(asked, is_served)
    if not found:
        lessons.give_up_search(table)
        return False
    lessons.leave_out(table, found)
    return True


def _search_refused_metrics(asked: Metrics, is_served: IsServed) -> set[str]:
    """Return the metrics without which the report is served; none if that is not what is wrong."""
    try:
        if not any(is_served((metric,)) for metric in asked[:PROBE_METRICS]):
            return set()
        refused = list(islice(_bisect_refused_metrics(asked, is_served), MAX_REFUSED_METRICS + 1))
        rest = tuple(metric for metric in asked if metric not in refused)
        if len(refused) > MAX_REFUSED_METRICS or not rest or not is_served(rest):
            return set()
    except TikTokError:
        return set()
    return {metric.api_name for metric in refused}


def _bisect_refused_metrics(metrics: Metrics, is_served: IsServed) -> Iterator[Metric]:
    """Yield the metrics for which a list that is refused is refused, by halving it."""
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

"""What a run learns of its reports from their refusals, so that no lesson is paid for twice."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tiktok_assets.api.errors import RequestError, TikTokError, TooLargeError
from tiktok_assets.api.plan import Window, batches_of
from tiktok_assets.spec.endpoints import MAX_DAYS_PER_REPORT
from tiktok_assets.spec.metrics import Metric

_ABOUT_METRICS = re.compile(r"\bmetrics?\b", re.IGNORECASE)
"""What the text of a refusal has that is about metrics but names none, as "Conflict occurs. The input params
including metrics and dimensions have no relation." does."""

_INVALID_METRICS = re.compile(r"Invalid metric fields: \[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class Lessons:
    """By report table: the longest window that is asked for, and the metrics TikTok serves no longer.

    Both hold for the rest of the run; the next run tries again.
    """

    _most_days: dict[str, int] = field(default_factory=dict)
    _withdrawn: dict[str, set[str]] = field(default_factory=dict)
    _searched_in_vain: set[str] = field(default_factory=set)

    def windows(self, table: str, window: Window) -> list[Window]:
        """The window, or the fewest that hold its days and are not known to be too large."""
        batches = batches_of(window.days, self._most_days.get(table, MAX_DAYS_PER_REPORT))
        return [Window(days[0], days[-1]) for days in batches]

    def learned(self, table: str, window: Window | None, asked: tuple[Metric, ...], error: TikTokError) -> bool:
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
        return isinstance(error, RequestError) and bool(_ABOUT_METRICS.search(text)) and not is_named

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

    def _too_large(self, table: str, window: Window) -> bool:
        halves = window.halves()
        if halves:
            most = len(halves[0].days)
            self._most_days[table] = min(most, self._most_days.get(table, most))
        return halves is not None

    def _withdrawn_by(self, table: str, error: TikTokError, asked: Iterable[Metric]) -> bool:
        found = _INVALID_METRICS.search(str(error))
        named = {name.strip(" '\"") for name in found[1].split(",")} if found else set()
        names = [metric.api_name for metric in asked]
        if not named & set(names) or named >= set(names):
            return False
        self._withdrawn.setdefault(table, set()).update(named)
        return True

"""Find the metrics a report is refused for, where the refusal names none, with few one-row requests."""

from collections.abc import Callable, Iterator
from itertools import islice

from tiktok_assets.api.errors import TikTokError
from tiktok_assets.refresh.lessons import Lessons
from tiktok_assets.spec.metrics import Metric

Metrics = tuple[Metric, ...]
IsServed = Callable[[Metrics], bool]

MOST_REFUSED = 20
"""Where more than this are refused, something else is wrong, and the search ends."""

TRIED_FIRST = 2
"""Metrics asked for by themselves before any search. Every report serves spend and impressions, which stand
first: where neither is, the refusal is about something else, such as the dimensions, the level or the account."""


def is_explained(lessons: Lessons, table: str, asked: Metrics, error: TikTokError, is_served: IsServed) -> bool:
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
        found = _searched(asked, is_served)
    if not found:
        lessons.give_up_search(table)
        return False
    lessons.leave_out(table, found)
    return True


def _searched(asked: Metrics, is_served: IsServed) -> set[str]:
    """Return the metrics without which the report is served; none if that is not what is wrong."""
    try:
        if not any(is_served((metric,)) for metric in asked[:TRIED_FIRST]):
            return set()
        refused = list(islice(_refused(asked, is_served), MOST_REFUSED + 1))
        rest = tuple(metric for metric in asked if metric not in refused)
        if len(refused) > MOST_REFUSED or not rest or not is_served(rest):
            return set()
    except TikTokError:
        return set()
    return {metric.api_name for metric in refused}


def _refused(metrics: Metrics, is_served: IsServed) -> Iterator[Metric]:
    """Yield the metrics for which a list that is refused is refused, by halving it."""
    if len(metrics) == 1:
        yield metrics[0]
        return
    first, second = metrics[: len(metrics) // 2], metrics[len(metrics) // 2 :]
    if is_served(first):
        yield from _refused(second, is_served)
        return
    yield from _refused(first, is_served)
    if not is_served(second):
        yield from _refused(second, is_served)

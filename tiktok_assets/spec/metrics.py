"""The metrics by name: which of them a wish chooses, which may be summed, which follow from sums."""

from collections.abc import Iterable

from tiktok_assets.spec.endpoints import MAX_METRICS_PER_REPORT
from tiktok_assets.spec.metric import Metric
from tiktok_assets.spec.metric_rows import METRICS

__all__ = [
    "METRICS",
    "METRICS_BY_API_NAME",
    "METRICS_BY_NAME",
    "MOST_CHOSEN",
    "STANDARD_METRICS",
    "Metric",
    "TooManyMetricsError",
    "UnknownMetricError",
    "chosen_metrics",
    "recomputable",
    "summable",
]

METRICS_BY_API_NAME = {metric.api_name: metric for metric in METRICS}
METRICS_BY_NAME = {metric.name: metric for metric in METRICS}
STANDARD_METRICS = tuple(metric for metric in METRICS if metric.standard)

MOST_CHOSEN = MAX_METRICS_PER_REPORT - 5
"""Metrics one may choose: names and parents of an ad are asked for as metrics too, five of them."""


class UnknownMetricError(ValueError):
    """A metric was named that the catalogue does not have."""


class TooManyMetricsError(ValueError):
    """More metrics were chosen than one report should ask for."""


def chosen_metrics(wish: str) -> tuple[Metric, ...]:
    """The metrics `TIKTOK_METRICS` asks for, in catalogue order and each once; `spend` always among them.

    Args:
        wish: "" for the standard set, "+a,+b" to add to it, "a,b" to replace it; API names.

    Raises:
        UnknownMetricError: naming the first metric that is not in the catalogue.
        TooManyMetricsError: saying how many there may be.

    >>> [metric.name for metric in chosen_metrics("impressions")]
    ['spend', 'impressions']
    """
    names = [name.strip() for name in wish.split(",") if name.strip()]
    plain = {name.removeprefix("+") for name in names}
    if unknown := sorted(plain - METRICS_BY_API_NAME.keys()):
        raise UnknownMetricError(
            f"there is no metric {unknown[0]!r}; the metrics are: {', '.join(METRICS_BY_API_NAME)}"
        )
    replaces = bool(names) and not all(name.startswith("+") for name in names)
    chosen = tuple(
        metric
        for metric in METRICS
        if metric.api_name == "spend" or metric.api_name in plain or (metric.standard and not replaces)
    )
    if len(chosen) > MOST_CHOSEN:
        raise TooManyMetricsError(
            f"{len(chosen)} metrics are chosen, and a report takes at most {MOST_CHOSEN}; name fewer"
            " (a plain list, without +, replaces the standard set)"
        )
    return chosen


def summable(columns: Iterable[str]) -> tuple[str, ...]:
    """Those of the columns that may be summed over days, ads and levels, in their order.

    Whoever adds up rows of a report takes its columns from here: a sum of reach, of a rate or of a result counts
    people twice or means nothing. Amounts of two currencies are still not to be added.

    >>> summable(["ad_id", "spend", "reach", "ctr", "clicks"])
    ('spend', 'clicks')
    """
    return tuple(name for name in columns if name in METRICS_BY_NAME and METRICS_BY_NAME[name].additive)


def recomputable(columns: Iterable[str]) -> tuple[Metric, ...]:
    """The rates, ratios and cost-pers that can be had from sums of these columns, in catalogue order.

    >>> [metric.name for metric in recomputable(["spend", "clicks", "reach", "impressions"])]
    ['ctr', 'cpc', 'cpm']
    """
    sums = set(summable(columns))
    return tuple(
        metric
        for metric in METRICS
        if metric.quotient
        and METRICS_BY_API_NAME[metric.quotient.top].name in sums
        and METRICS_BY_API_NAME[metric.quotient.bottom].name in sums
    )

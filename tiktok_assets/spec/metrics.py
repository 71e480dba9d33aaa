"""The metrics by name: which of them a wish chooses, which may be summed, which follow from sums."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from tiktok_assets.spec.documented_metrics import bare_metric, documented_metrics
from tiktok_assets.spec.endpoints import MAX_METRICS_PER_REPORT
from tiktok_assets.spec.metric import Metric
from tiktok_assets.spec.metric_rows import METRICS

__all__ = [
    "METRICS",
    "METRICS_BY_API_NAME",
    "METRICS_BY_NAME",
    "MOST_CHOSEN",
    "RESERVED_NAMES",
    "STANDARD_METRICS",
    "Metric",
    "TooManyMetricsError",
    "UnknownMetricError",
    "chosen_metrics",
    "doubtful_in_words",
    "recomputable",
    "summable",
]

METRICS_BY_API_NAME = {metric.api_name: metric for metric in METRICS}
METRICS_BY_NAME = {metric.name: metric for metric in METRICS}
STANDARD_METRICS = tuple(metric for metric in METRICS if metric.standard)

MOST_CHOSEN = MAX_METRICS_PER_REPORT - 5
"""Metrics one may choose: names and parents of an ad are asked for as metrics too, five of them."""


RESERVED_NAMES = frozenset(
    [
        *("advertiser_id", "campaign_id", "adgroup_id", "ad_group_id", "ad_id", "ad_id_v2"),
        *("advertiser_name", "campaign_name", "adgroup_name", "ad_group_name", "ad_name"),
        *("date", "hour", "stat_time_day", "stat_time_hour", "currency", "timezone"),
        *("age", "gender", "country_code", "platform", "language", "interest_category", "interest_category_v2"),
        *("fetched_at", "is_complete", "is_settled", "extra"),
    ]
)
"""Names of other columns of a report, which no metric may have."""

_NAME = re.compile(r"[a-z][a-z0-9_]{1,99}")


class UnknownMetricError(ValueError):
    """A metric was named that TikTok cannot have."""


class TooManyMetricsError(ValueError):
    """More metrics were chosen than one report should ask for."""


def chosen_metrics(wish: str) -> tuple[Metric, ...]:
    """Return the metrics `TIKTOK_METRICS` asks for, each once; `spend` always among them.

    Those of the catalogue come first, in its order, then others TikTok documents, then names nobody documents,
    which are kept as text.

    Args:
        wish: "" for the standard set, "+a,+b" to add to it, "a,b" to replace it; API names.

    Raises:
        UnknownMetricError: naming the first that cannot be a metric.
        TooManyMetricsError: saying how many there may be.

    >>> [metric.name for metric in chosen_metrics("impressions")]
    ['spend', 'impressions']
    """
    names = [name.strip() for name in wish.split(",") if name.strip()]
    plain = {name.removeprefix("+"): None for name in names}
    for name in plain:
        _check_name(name)
    replaces = bool(names) and not all(name.startswith("+") for name in names)
    further = {name: None for name in plain if name not in METRICS_BY_API_NAME}
    documented = documented_metrics() if further else {}
    chosen = (
        *(
            metric
            for metric in METRICS
            if metric.api_name == "spend" or metric.api_name in plain or (metric.standard and not replaces)
        ),
        *(metric for name, metric in documented.items() if name in further),
        *(bare_metric(name, "text") for name in further if name not in documented),
    )
    if len(chosen) > MOST_CHOSEN:
        raise TooManyMetricsError(
            f"{len(chosen)} metrics are chosen, and a report takes at most {MOST_CHOSEN}; name fewer"
            " (a plain list, without +, replaces the standard set)"
        )
    return chosen


def _check_name(name: str) -> None:
    ours = METRICS_BY_NAME.get(name)
    if ours and ours.api_name != name:
        raise UnknownMetricError(f"{name!r} is our name of a metric; TikTok calls it {ours.api_name!r}")
    if name in RESERVED_NAMES:
        raise UnknownMetricError(f"{name!r} is no metric, but a column that reports have anyway; leave it out")
    if not _NAME.fullmatch(name):
        raise UnknownMetricError(f"{name!r} is no name of a metric: small letters, digits and underscores only")


def doubtful_in_words(metrics: Iterable[Metric]) -> str:
    """Return the sentence that warns of metrics no document names, with what may be meant; "" without any."""
    doubtful = [metric.api_name for metric in metrics if metric.kind == "text"]
    if not doubtful:
        return ""
    known = [*METRICS_BY_API_NAME, *documented_metrics()]
    alike = {name: get_close_matches(name, known, 1) for name in doubtful}
    named = [f"{name} (perhaps {found[0]} is meant)" if found else name for name, found in alike.items()]
    verb = "is" if len(named) == 1 else "are"
    return (
        f"no document of TikTok's that is known here names {', '.join(named)}, which {verb} asked for all the same"
        " and kept as text; where TikTok refuses it, the column stays empty"
    )


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

"""Look up metrics by name, select metrics for reports, and list those that can be summed or recomputed."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import get_args

from tiktok_assets.spec.endpoints import MAX_METRICS_PER_REPORT
from tiktok_assets.spec.metric_catalogue import METRICS, Metric, MetricKind

DOCUMENTED_METRICS_FILE = Path(__file__).with_name("documented_metrics.txt")
"""A line a metric: the API's name and its kind. The file's head names its sources."""

_KINDS: dict[str, MetricKind] = {kind: kind for kind in get_args(MetricKind)}

_MEANINGS: dict[MetricKind, str] = {
    "money": "an amount TikTok documents",
    "count": "a count TikTok documents",
    "rate": "a percentage TikTok documents",
    "ratio": "a ratio TikTok documents",
    "text": "not known from any document; kept as TikTok writes it",
}


@cache
def documented_metrics() -> dict[str, Metric]:
    """Return them by the API's name, in the order of the file."""
    lines = [
        line.split()
        for line in DOCUMENTED_METRICS_FILE.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    return {name: minimal_metric(name, _KINDS[kind]) for name, kind in lines}


def minimal_metric(api_name: str, kind: MetricKind) -> Metric:
    """Return a metric of which only name and kind are known: it is never summed, nor asked of audiences."""
    return Metric(
        api_name,
        kind,
        additive=False,
        meaning=_MEANINGS[kind],
        name=api_name,
        standard=False,
        counts_people=False,
        quotient=None,
        served="everywhere",
    )


__all__ = [
    "MAX_CHOSEN_METRICS",
    "METRICS",
    "METRICS_BY_API_NAME",
    "METRICS_BY_NAME",
    "RESERVED_NAMES",
    "STANDARD_METRICS",
    "Metric",
    "TooManyMetricsError",
    "UnknownMetricError",
    "describe_undocumented_metrics",
    "recomputable_metrics",
    "select_metrics",
    "summable_columns",
]

METRICS_BY_API_NAME = {metric.api_name: metric for metric in METRICS}
METRICS_BY_NAME = {metric.name: metric for metric in METRICS}
STANDARD_METRICS = tuple(metric for metric in METRICS if metric.standard)

MAX_CHOSEN_METRICS = MAX_METRICS_PER_REPORT - 5
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

_METRIC_NAME = re.compile(r"[a-z][a-z0-9_]{1,99}")


class UnknownMetricError(ValueError):
    """A metric was named that TikTok cannot have."""


class TooManyMetricsError(ValueError):
    """More metrics were chosen than one report should ask for."""


def select_metrics(wish: str) -> tuple[Metric, ...]:
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
        _validate_metric_name(name)
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
        *(minimal_metric(name, "text") for name in further if name not in documented),
    )
    if len(chosen) > MAX_CHOSEN_METRICS:
        raise TooManyMetricsError(
            f"{len(chosen)} metrics are chosen, and a report takes at most {MAX_CHOSEN_METRICS}; name fewer"
            " (a plain list, without +, replaces the standard set)"
        )
    return chosen


def _validate_metric_name(name: str) -> None:
    ours = METRICS_BY_NAME.get(name)
    if ours and ours.api_name != name:
        raise UnknownMetricError(f"{name!r} is our name of a metric; TikTok calls it {ours.api_name!r}")
    if name in RESERVED_NAMES:
        raise UnknownMetricError(f"{name!r} is no metric, but a column that reports have anyway; leave it out")
    if not _METRIC_NAME.fullmatch(name):
        raise UnknownMetricError(f"{name!r} is no name of a metric: small letters, digits and underscores only")


def describe_undocumented_metrics(metrics: Iterable[Metric]) -> str:
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


def summable_columns(columns: Iterable[str]) -> tuple[str, ...]:
    """Those of the columns that may be summed over days, ads and levels, in their order.

    Whoever adds up rows of a report takes its columns from here: a sum of reach, of a rate or of a result counts
    people twice or means nothing. Amounts of two currencies are still not to be added.

    >>> summable(["ad_id", "spend", "reach", "ctr", "clicks"])
    ('spend', 'clicks')
    """
    return tuple(name for name in columns if name in METRICS_BY_NAME and METRICS_BY_NAME[name].additive)


def recomputable_metrics(columns: Iterable[str]) -> tuple[Metric, ...]:
    """The rates, ratios and cost-pers that can be had from sums of these columns, in catalogue order.

    >>> [metric.name for metric in recomputable(["spend", "clicks", "reach", "impressions"])]
    ['ctr', 'cpc', 'cpm']
    """
    sums = set(summable_columns(columns))
    return tuple(
        metric
        for metric in METRICS
        if metric.quotient
        and METRICS_BY_API_NAME[metric.quotient.numerator].name in sums
        and METRICS_BY_API_NAME[metric.quotient.denominator].name in sums
    )

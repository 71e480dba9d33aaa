"""Look up metrics by name, select metrics for reports, and list those that can be summed or recomputed."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import get_args

from tiktok_assets.spec.endpoints import MAX_METRICS_PER_REPORT
from tiktok_assets.spec.metric_catalog import METRICS, Metric, MetricKind
from tiktok_assets.spec.reports import REPORTS, report_columns

DOCUMENTED_METRICS_FILE = Path(__file__).with_name("documented_metrics.txt")
"""One metric per line: the API's name and its kind. The head of the file lists its sources."""

_KINDS: dict[str, MetricKind] = {kind: kind for kind in get_args(MetricKind)}

_MEANINGS: dict[MetricKind, str] = {
    "money": "an amount of money documented by TikTok",
    "count": "a count documented by TikTok",
    "rate": "a percentage documented by TikTok",
    "ratio": "a ratio documented by TikTok",
    "text": "not documented by TikTok; stored as TikTok returns it",
}


@cache
def documented_metrics() -> dict[str, Metric]:
    """Return the metrics of the file that are not in the catalog, by the API's name, in the file's order."""
    lines = [
        line.split()
        for line in DOCUMENTED_METRICS_FILE.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    return {name: minimal_metric(name, _KINDS[kind]) for name, kind in lines if name not in METRICS_BY_API_NAME}


def minimal_metric(api_name: str, kind: MetricKind) -> Metric:
    """Return a metric with a known name and kind only; it is never summed, and not requested for audiences."""
    return Metric(
        api_name,
        kind,
        is_additive=False,
        meaning=_MEANINGS[kind],
        name=api_name,
        is_standard=False,
        counts_people=False,
        quotient=None,
        served="everywhere",
    )


METRICS_BY_API_NAME = {metric.api_name: metric for metric in METRICS}
METRICS_BY_NAME = {metric.name: metric for metric in METRICS}
STANDARD_METRICS = tuple(metric for metric in METRICS if metric.is_standard)

MAX_CHOSEN_METRICS = MAX_METRICS_PER_REPORT - 5
"""How many metrics can be chosen; five more are requested for the names and parents of an ad."""


RESERVED_NAMES = frozenset(
    [
        *("ad_id_v2", "advertiser_name", "timezone"),
        *(name for report in REPORTS for c in report_columns(report, ()) for name in (c.name, c.api_name) if name),
    ]
)
"""Names of other columns of a report, which a metric cannot have."""

_METRIC_NAME = re.compile(r"[a-z][a-z0-9_]{1,99}")


class UnknownMetricError(ValueError):
    """A name cannot be a metric of TikTok."""


class TooManyMetricsError(ValueError):
    """More metrics were chosen than one report should request."""


def select_metrics(choice: str) -> tuple[Metric, ...]:
    """Return the metrics that a value of `TIKTOK_METRICS` selects; `spend` is always one of them.

    The order is: metrics of the catalogue, other metrics documented by TikTok, undocumented names, which are
    stored as text.

    Args:
        choice: "" for the standard set, "+a,+b" to add to it, "a,b" to replace it; the API's names.

    Raises:
        UnknownMetricError: for the first name that cannot be a metric.
        TooManyMetricsError: if there are more than `MAX_CHOSEN_METRICS`.

    >>> [metric.name for metric in select_metrics("impressions")]
    ['spend', 'impressions']
    """
    names = [name.strip() for name in choice.split(",") if name.strip()]
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
            if metric.api_name == "spend" or metric.api_name in plain or (metric.is_standard and not replaces)
        ),
        *(metric for name, metric in documented.items() if name in further),
        *(minimal_metric(name, "text") for name in further if name not in documented),
    )
    if len(chosen) > MAX_CHOSEN_METRICS:
        raise TooManyMetricsError(
            f"{len(chosen)} metrics are selected, but a report can have at most {MAX_CHOSEN_METRICS}; select fewer"
            " (a list without + replaces the standard set)"
        )
    return chosen


def _validate_metric_name(name: str) -> None:
    known = METRICS_BY_NAME.get(name)
    if known and known.api_name != name:
        raise UnknownMetricError(
            f"{name!r} is the column's name of a metric; use the API's name {known.api_name!r}"
        )
    if name in RESERVED_NAMES:
        raise UnknownMetricError(f"{name!r} is not a metric but a column that every report has; remove it")
    if not _METRIC_NAME.fullmatch(name):
        raise UnknownMetricError(
            f"{name!r} is not a valid name of a metric; use lower-case letters, digits and underscores only"
        )


def describe_undocumented_metrics(metrics: Iterable[Metric]) -> str:
    """Return a warning about undocumented metrics, with similar documented names; "" if there are none."""
    undocumented = [metric.api_name for metric in metrics if metric.kind == "text"]
    if not undocumented:
        return ""
    known = [*METRICS_BY_API_NAME, *documented_metrics()]
    similar = {name: get_close_matches(name, known, 1) for name in undocumented}
    named = [f"{name} (did you mean {found[0]}?)" if found else name for name, found in similar.items()]
    verb = "is" if len(named) == 1 else "are"
    return (
        f"{', '.join(named)} {verb} not in the known documents of TikTok; requested anyway and stored as text; if"
        " TikTok rejects a metric, its column stays empty"
    )


def summable_columns(columns: Iterable[str]) -> tuple[str, ...]:
    """Return those of the columns that can be summed over days, ads and levels, in their order.

    Code that sums rows of a report takes its columns from here: a sum of reach or results counts people several
    times, and a sum of rates has no meaning. Amounts of different currencies must not be added either.

    >>> summable_columns(["ad_id", "spend", "reach", "ctr", "clicks"])
    ('spend', 'clicks')
    """
    return tuple(name for name in columns if name in METRICS_BY_NAME and METRICS_BY_NAME[name].is_additive)


def recomputable_metrics(columns: Iterable[str]) -> tuple[Metric, ...]:
    """Return the rates, ratios and costs that can be recomputed from sums of these columns, in catalogue order.

    >>> [metric.name for metric in recomputable_metrics(["spend", "clicks", "reach", "impressions"])]
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

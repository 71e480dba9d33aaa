"""The metrics TikTok documents beside the rows of `metric_rows`, from a file of names and kinds."""

from functools import cache
from pathlib import Path
from typing import get_args

from tiktok_assets.spec.metric import Metric, MetricKind

FILE = Path(__file__).with_suffix(".txt")
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
    lines = [line.split() for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {name: bare_metric(name, _KINDS[kind]) for name, kind in lines}


def bare_metric(api_name: str, kind: MetricKind) -> Metric:
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

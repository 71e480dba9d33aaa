"""The endpoints of reports, and how a request to each of them is written.

Sources of the creative reports of Upgraded Smart+: mengxingxinqing/tiktok_ads, pages
run_an_upgraded_smart_creative_overview_report, run_an_upgraded_smart_creative_breakdown_report and
supported_ad-level_metrics_for_upgraded_smart_creative_repor.
"""

from dataclasses import dataclass
from pathlib import Path

from tiktok_assets.spec.endpoints import (
    CREATIVE_BREAKDOWN,
    CREATIVE_OVERVIEW,
    MAX_DAYS_PER_REPORT,
    MAX_PAGE_SIZE,
    REPORT,
    Endpoint,
)

CREATIVE_METRICS_FILE = Path(__file__).with_name("creative_metrics.txt")
"""One metric per line, by the API's name."""


def _creative_metrics() -> frozenset[str]:
    lines = CREATIVE_METRICS_FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


@dataclass(frozen=True, slots=True)
class ReportSource:
    """An endpoint of reports, and how a request to it is written.

    Attributes:
        endpoint: the endpoint.
        page_size: how many rows a page can have.
        window_days: how many days a query by day can cover, both ends included.
        order_field: the name of the parameter with the metric to sort by.
        order_type: the name of the parameter with the direction.
        has_filter_conditions: whether `filtering` is a list of conditions, each with the name of its field; it is
            an object otherwise.
        metrics: the metrics it serves, by the API's names; None if the kind of report decides.
    """

    endpoint: Endpoint
    page_size: int = MAX_PAGE_SIZE
    window_days: int = MAX_DAYS_PER_REPORT
    order_field: str = "order_field"
    order_type: str = "order_type"
    has_filter_conditions: bool = True
    metrics: frozenset[str] | None = None


INTEGRATED = ReportSource(REPORT)

_CREATIVE_PAGE_SIZE = 100
_CREATIVE_WINDOW_DAYS = 365
"""The documented difference of 365 days between the ends would be 366 days."""

OVERVIEW = ReportSource(
    CREATIVE_OVERVIEW,
    _CREATIVE_PAGE_SIZE,
    _CREATIVE_WINDOW_DAYS,
    "sort_field",
    "sort_type",
    False,
    _creative_metrics(),
)
BREAKDOWN = ReportSource(
    CREATIVE_BREAKDOWN,
    _CREATIVE_PAGE_SIZE,
    _CREATIVE_WINDOW_DAYS,
    "sort_field",
    "sort_type",
    False,
    OVERVIEW.metrics,
)

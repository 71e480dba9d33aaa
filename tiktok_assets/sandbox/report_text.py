"""Writes the metrics of a report's rows as text: "-" where nothing is known yet (dossier 6.5, 7)."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from tiktok_assets.sandbox.columns import IMPRESSIONS, REACH
from tiktok_assets.sandbox.delivery import Vector
from tiktok_assets.sandbox.levels import Owner
from tiktok_assets.sandbox.metrics import ABSENT, ACCOUNT_ONLY, NUMERIC, is_numeric, renderer
from tiktok_assets.sandbox.report_rows import Row
from tiktok_assets.sandbox.world import Ad, AdGroup, Advertiser, Campaign

RESULTS = frozenset(name for name in NUMERIC if "result" in name)


@dataclass(frozen=True)
class Writer:
    """Writes one metric: from the row's figures alone where that is enough, which is faster."""

    name: str
    render: Callable[[Vector], str] | None
    write: Callable[[Row], str]


def written(row: Row, writers: list[Writer]) -> dict[str, str]:
    """Return the metrics of a row, by name."""
    vector = row.vector
    return {one.name: one.render(vector) if one.render else one.write(row) for one in writers}


def writer(name: str, advertiser: Advertiser) -> Writer:
    """Return what writes one metric in an account's currency."""
    if not is_numeric(name):
        return Writer(name, None, lambda row: row.attributes.get(name, ABSENT))
    render = renderer(name, advertiser.currency.decimals)
    metric = NUMERIC.get(name)
    late = name in ACCOUNT_ONLY or (metric is not None and metric.unique_users)
    if late:  # 16 hours late, "-" until then (dossier 7, 6.5)
        return Writer(
            name,
            lambda vector: ABSENT if _waiting(vector) else render(vector),
            lambda row: ABSENT if _waiting(row.vector) else render(row.vector),
        )
    if name in RESULTS:  # unique users too where the goal is reach (dossier 7)
        return Writer(
            name,
            None,
            lambda row: ABSENT if _waiting(row.vector) and _counts_reach(row.owner) else render(row.vector),
        )
    return Writer(name, render, lambda row: render(row.vector))


def _waiting(vector: Vector) -> bool:
    return vector[REACH] == 0 and vector[IMPRESSIONS] > 0


def _counts_reach(owner: Owner) -> bool:
    if isinstance(owner, Campaign):
        return owner.objective.goal == "REACH"
    return isinstance(owner, Ad | AdGroup) and owner.campaign.objective.goal == "REACH"


def sortable(text: str) -> Decimal:
    """Return a metric's text as a number; what is not known yet comes last."""
    return Decimal(-1) if text == ABSENT else Decimal(text)

"""Compute how much of its budget each active campaign has spent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from tiktok_assets.overview.loader import OverviewTables
from tiktok_assets.spec.derived_tables import DELETED_SUFFIX
from tiktok_assets.spec.money import DAILY_BUDGET, DYNAMIC_DAILY_BUDGET, TOTAL_BUDGET

_DAILY_MODES = (DAILY_BUDGET, DYNAMIC_DAILY_BUDGET)


@dataclass(frozen=True, slots=True)
class BudgetUsage:
    """A campaign's budget as it stands, and what it spent of it.

    Attributes:
        budget: in the account's currency.
        is_daily: a budget a day, else one in total.
        of_ad_groups: whether it is the sum of its ad groups' budgets.
        spent: on the account's latest complete day, or in the whole life.
        day: that day; None for a total.
    """

    campaign_id: str
    campaign_name: str
    budget: Decimal
    is_daily: bool
    of_ad_groups: bool
    spent: Decimal
    day: date | None

    @property
    def share(self) -> float:
        """Spent divided by the budget; may pass one, since TikTok evens daily budgets out over a week."""
        return float(self.spent / self.budget)


def compute_budget_usage(stored: OverviewTables) -> Mapping[str, Sequence[BudgetUsage]]:
    """The budgets of the campaigns that are switched on, by account, the most used first.

    A campaign without a budget of its own has that of its ad groups, unless they are of different kinds. One whose
    spend was read in another currency than the account has now is left out: its budget is in the new one.
    """
    now = dict(stored.of("advertisers").select("advertiser_id", "currency").iter_rows())
    groups = _sum_ad_group_budgets(stored.of("ad_groups"))
    yesterday = {(row["campaign_id"], row["date"]): row for row in stored.of("campaign_report_daily").to_dicts()}
    lifetime = {row["campaign_id"]: row for row in stored.of("campaign_report_lifetime").to_dicts()}
    uses: dict[str, list[BudgetUsage]] = {}
    for row in stored.of("campaigns").filter(_is_active()).to_dicts():
        campaign, owner = row["campaign_id"], row["advertiser_id"]
        own = (row["budget_mode"], row["budget"]) if row["budget"] else None
        mode, budget = own or groups.get(campaign) or ("", None)
        fresh = stored.freshness.get(owner)
        day = fresh.complete_day if fresh else None
        is_daily = mode in _DAILY_MODES
        if not budget or not (mode == TOTAL_BUDGET or (is_daily and day)):
            continue
        read = (yesterday.get((campaign, day)) if is_daily and day else lifetime.get(campaign)) or {}
        if read and now.get(owner) and read["currency"] != now[owner]:
            continue
        spent = read.get("spend")
        name = row["campaign_name"] or campaign
        use = BudgetUsage(
            campaign, name, budget, is_daily, own is None, spent or Decimal(0), day if is_daily else None
        )
        uses.setdefault(owner, []).append(use)
    return {owner: sorted(mine, key=lambda use: (-use.share, use.campaign_id)) for owner, mine in uses.items()}


def _is_active() -> pl.Expr:
    deleted = pl.col("secondary_status").fill_null("").str.ends_with(DELETED_SUFFIX)
    return (pl.col("operation_status") == "ENABLE") & ~deleted


def _sum_ad_group_budgets(ad_groups: pl.DataFrame) -> Mapping[str, tuple[str, Decimal]]:
    with_budget = ad_groups.filter(_is_active() & (pl.col("budget") > 0)).with_columns(
        is_daily=pl.col("budget_mode").is_in(_DAILY_MODES)
    )
    sums = with_budget.group_by("campaign_id").agg(
        pl.col("budget").sum(), pl.col("is_daily").first(), pl.col("is_daily").n_unique().alias("kinds")
    )
    return {
        row["campaign_id"]: (DAILY_BUDGET if row["is_daily"] else TOTAL_BUDGET, row["budget"])
        for row in sums.filter(pl.col("kinds") == 1).to_dicts()
    }

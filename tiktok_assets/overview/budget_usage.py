"""Compute how much of its budget each active campaign has spent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from tiktok_assets.overview.loader import OverviewTables
from tiktok_assets.spec import DAILY_BUDGET, DELETED_SUFFIX, DYNAMIC_DAILY_BUDGET, TOTAL_BUDGET

_DAILY_MODES = (DAILY_BUDGET, DYNAMIC_DAILY_BUDGET)


@dataclass(frozen=True, slots=True)
class BudgetUsage:
    """A campaign's current budget and what it spent of it.

    Attributes:
        budget: in the account's currency.
        is_daily: whether the budget is per day; otherwise it is a total.
        is_from_ad_groups: whether it is the sum of the ad groups' budgets.
        spent: on the account's latest complete day, or lifetime spend for a total budget.
        day: that day; None for a total budget.
    """

    campaign_id: str
    campaign_name: str
    budget: Decimal
    is_daily: bool
    is_from_ad_groups: bool
    spent: Decimal
    day: date | None

    @property
    def share(self) -> float:
        """Spend divided by budget; can exceed 1, because TikTok balances daily budgets over a week."""
        return float(self.spent / self.budget)


def compute_budget_usage(tables: OverviewTables) -> Mapping[str, Sequence[BudgetUsage]]:
    """Compute the budget usage of the active campaigns by account, highest share first.

    A campaign without its own budget has the sum of its ad groups' budgets, unless they mix daily and total
    budgets. A campaign whose spend was read in another currency than the account's current one is left out:
    its budget is in the current currency.
    """
    currencies = dict(tables.get("advertisers").select("advertiser_id", "currency").iter_rows())
    ad_group_budgets = _sum_ad_group_budgets(tables.get("ad_groups"))
    newest = {one.complete_day for one in tables.freshness.values() if one.complete_day}
    daily = tables.get("campaign_report_daily").filter(pl.col("date").is_in(newest))
    daily_spend = {(row["campaign_id"], row["date"]): row for row in daily.to_dicts()}
    lifetime_spend = {row["campaign_id"]: row for row in tables.get("campaign_report_lifetime").to_dicts()}
    usage_by_account: dict[str, list[BudgetUsage]] = {}
    for row in tables.get("campaigns").filter(_is_active()).to_dicts():
        campaign_id, advertiser_id = row["campaign_id"], row["advertiser_id"]
        own = (row["budget_mode"], row["budget"]) if row["budget"] else None
        mode, budget = own or ad_group_budgets.get(campaign_id) or ("", None)
        freshness = tables.freshness.get(advertiser_id)
        day = freshness.complete_day if freshness else None
        is_daily = mode in _DAILY_MODES
        if not budget or not (mode == TOTAL_BUDGET or (is_daily and day)):
            continue
        report = (
            daily_spend.get((campaign_id, day)) if is_daily and day else lifetime_spend.get(campaign_id)
        ) or {}
        currency = currencies.get(advertiser_id)
        if report and currency and report["currency"] != currency:
            continue
        spent = report.get("spend")
        name = row["campaign_name"] or campaign_id
        usage = BudgetUsage(
            campaign_id, name, budget, is_daily, own is None, spent or Decimal(0), day if is_daily else None
        )
        usage_by_account.setdefault(advertiser_id, []).append(usage)
    return {
        advertiser_id: sorted(usages, key=lambda usage: (-usage.share, usage.campaign_id))
        for advertiser_id, usages in usage_by_account.items()
    }


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

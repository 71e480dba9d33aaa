"""Compare the spend of the month with what the daily budgets allow."""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import polars as pl

from tiktok_assets.overview.budget_usage import BudgetUsage
from tiktok_assets.overview.loader import DAYS_COMPARED, Freshness


@dataclass(frozen=True, slots=True)
class MonthPacing:
    """What an account spent of its month, up to its latest complete day.

    Attributes:
        last: the latest complete day.
        days: how many days of the month, up to `last`, are compared.
        spend: of all campaigns on those days; None if no row has a value.
        projected: the month's spend if each remaining day costs as much as the mean of the last seven.
        daily_budget: the sum of the daily budgets of the active campaigns today; None without one.
        budgeted_spend: what those campaigns spent on those days.
        month_days: how many days the month has.
    """

    last: date
    days: int
    spend: Decimal | None
    projected: Decimal | None
    daily_budget: Decimal | None
    budgeted_spend: Decimal
    month_days: int

    @property
    def allowed(self) -> Decimal | None:
        """Today's daily budgets times the compared days."""
        return None if self.daily_budget is None else self.daily_budget * self.days

    @property
    def month_budget(self) -> Decimal | None:
        """Today's daily budgets times the days of the month."""
        return None if self.daily_budget is None else self.daily_budget * self.month_days

    @property
    def pace(self) -> float | None:
        """The spend of the campaigns with a daily budget, divided by what those budgets allow up to `last`."""
        return float(self.budgeted_spend / self.allowed) if self.allowed else None


def compute_pacing(
    freshness: Freshness | None, daily: pl.DataFrame, campaigns: pl.DataFrame, budgets: Sequence[BudgetUsage]
) -> MonthPacing | None:
    """Compute the pacing of an account in the month of its latest complete day.

    Days before the first stored one are not compared. Budgets are those of today: TikTok's lists have no history
    of them.

    Args:
        freshness: of the account.
        daily: its rows of the daily report.
        campaigns: its rows of the daily campaign report.
        budgets: the budgets of its active campaigns.
    """
    if freshness is None or freshness.complete_day is None:
        return None
    last = freshness.complete_day
    first = max(last.replace(day=1), freshness.first_day or last)
    in_month = pl.col("date").is_between(first, last)
    spend = _sum_spend(daily.filter(in_month))
    week = _sum_spend(daily.filter(pl.col("date").is_between(last - timedelta(DAYS_COMPARED - 1), last)))
    month_days = monthrange(last.year, last.month)[1]
    projected = None if spend is None else spend + (week or Decimal(0)) / DAYS_COMPARED * (month_days - last.day)
    by_day = {one.campaign_id: one.budget for one in budgets if one.is_daily}
    budgeted = _sum_spend(campaigns.filter(in_month & pl.col("campaign_id").is_in(list(by_day))))
    return MonthPacing(
        last=last,
        days=(last - first).days + 1,
        spend=spend,
        projected=projected,
        daily_budget=sum(by_day.values(), Decimal(0)) if by_day else None,
        budgeted_spend=budgeted or Decimal(0),
        month_days=month_days,
    )


def _sum_spend(frame: pl.DataFrame) -> Decimal | None:
    found: Decimal | None = frame.select(pl.when(pl.col("spend").count() > 0).then(pl.col("spend").sum())).item()
    return found

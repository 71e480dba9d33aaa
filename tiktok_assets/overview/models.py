"""Define the contents of the overview page: totals, rankings and sections by currency and account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tiktok_assets.ingest import UnreportedSpend
from tiktok_assets.overview.budget_usage import BudgetUsage
from tiktok_assets.overview.loader import Freshness

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MetricTotals:
    """The sums of additive metrics over some rows; None if no row has a value."""

    spend: Decimal | None = None
    impressions: int | None = None
    clicks: int | None = None
    conversion: int | None = None

    @property
    def cost_per_conversion(self) -> Decimal | None:
        """Spend divided by conversions, or None."""
        return self.spend / self.conversion if self.spend is not None and self.conversion else None

    @property
    def click_rate(self) -> float | None:
        """Clicks divided by impressions, or None."""
        return self.clicks / self.impressions if self.clicks is not None and self.impressions else None


@dataclass(frozen=True, slots=True)
class RankedRow:
    """A campaign or an ad with its rank by lifetime spend.

    Attributes:
        totals: its lifetime totals.
        share: its share of the spend of the account or currency, from 0 to 1.
    """

    rank: int
    id: str
    name: str
    advertiser_name: str
    campaign_name: str
    status: str | None
    totals: MetricTotals
    share: float | None


@dataclass(frozen=True, slots=True)
class AccountSection:
    """One account in one currency.

    Attributes:
        week: totals of the seven days up to the latest complete one; `week_before`: of the seven days before.
        daily: rows of `date`, `spend`, `conversion`, `is_complete`, oldest first.
        campaign_count: how many campaigns have spend; `campaigns` holds the first of them. The same for ads.
        top_spenders: rows of `top_spenders`.
        new_leaders: rows of `duplication_candidates`: ads that became top spender, flagged or held back.
        restated_days: the changes of days that were read again, newest first.
        unreported: spend that the tables do not hold.
    """

    advertiser_id: str
    name: str
    company: str
    timezone: str
    currency: str
    is_granted: bool
    balance: Decimal | None
    freshness: Freshness | None
    week: MetricTotals
    week_before: MetricTotals
    lifetime: MetricTotals
    daily: Sequence[Row]
    campaigns: Sequence[RankedRow]
    campaign_count: int
    ads: Sequence[RankedRow]
    ad_count: int
    budgets: Sequence[BudgetUsage]
    top_spenders: Sequence[Row]
    new_leaders: Sequence[Row]
    restated_days: Sequence[Row]
    unreported: Sequence[UnreportedSpend]

    @property
    def growth(self) -> Decimal | None:
        """The relative change of the week's spend against the week before."""
        return compute_growth(self.week, self.week_before)


@dataclass(frozen=True, slots=True)
class CurrencySection:
    """All accounts of one currency.

    Attributes:
        chart_rows: rows of `date`, `series`, `spend`, `conversion`, `is_complete`.
    """

    currency: str
    accounts: Sequence[AccountSection]
    week: MetricTotals
    week_before: MetricTotals
    lifetime: MetricTotals
    chart_rows: Sequence[Row]
    campaigns: Sequence[RankedRow]
    ads: Sequence[RankedRow]

    @property
    def growth(self) -> Decimal | None:
        """The relative change of the week's spend against the week before."""
        return compute_growth(self.week, self.week_before)


@dataclass(frozen=True, slots=True)
class Overview:
    """The contents of the whole page; no currency if nothing was read yet."""

    built_at: datetime
    currencies: Sequence[CurrencySection]

    @property
    def accounts(self) -> Sequence[AccountSection]:
        """All accounts, ordered by currency."""
        return [account for currency in self.currencies for account in currency.accounts]

    @property
    def new_leaders(self) -> Sequence[Row]:
        """All new top spenders, ordered by account."""
        return [row for account in self.accounts for row in account.new_leaders]


def compute_growth(current: MetricTotals, previous: MetricTotals) -> Decimal | None:
    """Compute the relative change of spend; None without spend before."""
    return current.spend / previous.spend - 1 if current.spend is not None and previous.spend else None

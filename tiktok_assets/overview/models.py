"""Define the contents of the overview page: totals, rankings and sections by currency and account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tiktok_assets.overview.budgets import BudgetUsage
from tiktok_assets.overview.loader import Freshness

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MetricTotals:
    """What some rows add up to; None where no row says."""

    spend: Decimal | None = None
    impressions: int | None = None
    clicks: int | None = None
    conversion: int | None = None

    @property
    def cost_per_conversion(self) -> Decimal | None:
        """Spend divided by conversions."""
        return self.spend / self.conversion if self.spend is not None and self.conversion else None

    @property
    def click_rate(self) -> float | None:
        """Clicks divided by impressions."""
        return self.clicks / self.impressions if self.clicks is not None and self.impressions else None


@dataclass(frozen=True, slots=True)
class RankedRow:
    """A campaign or an ad in its rank."""

    rank: int
    id: str
    name: str
    advertiser_name: str
    campaign_name: str
    status: str | None
    sums: MetricTotals
    share: float | None


@dataclass(frozen=True, slots=True)
class AccountSection:
    """One account in one currency.

    Attributes:
        week: sums of the seven days up to the latest complete one; `week_before` of the seven before.
        daily: rows of `date`, `spend`, `conversion`, `is_complete`, oldest first.
        campaigns_in_all: how many have spent anything; `campaigns` are the first of them. Ads alike.
        leaders: rows of `top_spenders`.
        newcomers: rows of `duplication_candidates`: ads that overtook, flagged or held back.
        restated: what readings of days already stored changed, newest first.
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
    campaigns_in_all: int
    ads: Sequence[RankedRow]
    ads_in_all: int
    budgets: Sequence[BudgetUsage]
    leaders: Sequence[Row]
    newcomers: Sequence[Row]
    restated: Sequence[Row]

    @property
    def growth(self) -> Decimal | None:
        """By which share the week's spend is above the week before."""
        return compute_growth(self.week, self.week_before)


@dataclass(frozen=True, slots=True)
class CurrencySection:
    """Every account of one currency.

    Attributes:
        lines: rows of `date`, `series`, `spend`, `conversion`, `is_complete`.
    """

    currency: str
    accounts: Sequence[AccountSection]
    week: MetricTotals
    week_before: MetricTotals
    lifetime: MetricTotals
    lines: Sequence[Row]
    campaigns: Sequence[RankedRow]
    ads: Sequence[RankedRow]

    @property
    def growth(self) -> Decimal | None:
        """By which share the week's spend is above the week before."""
        return compute_growth(self.week, self.week_before)


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole page; no currency where nothing was read yet."""

    built_at: datetime
    currencies: Sequence[CurrencySection]

    @property
    def accounts(self) -> Sequence[AccountSection]:
        """Every account, currency by currency."""
        return [account for currency in self.currencies for account in currency.accounts]

    @property
    def newcomers(self) -> Sequence[Row]:
        """Every ad that overtook, account by account."""
        return [row for account in self.accounts for row in account.newcomers]


def compute_growth(now: MetricTotals, before: MetricTotals) -> Decimal | None:
    """By which share spend is above what it was, or None where there was none."""
    return now.spend / before.spend - 1 if now.spend is not None and before.spend else None

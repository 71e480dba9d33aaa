"""Define the contents of the overview page: totals, rankings and sections by currency and account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tiktok_assets.ingest import UnreportedSpend
from tiktok_assets.overview.budget_usage import BudgetUsage
from tiktok_assets.overview.changes import Change
from tiktok_assets.overview.loader import Freshness
from tiktok_assets.overview.pacing import MonthPacing
from tiktok_assets.overview.wall import Creative

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MetricTotals:
    """The sums of additive metrics over some rows; None if no row has a value."""

    spend: Decimal | None = None
    impressions: int | None = None
    clicks: int | None = None
    conversion: int | None = None
    total_complete_payment_value: Decimal | None = None
    total_onsite_shopping_value: Decimal | None = None

    @property
    def value(self) -> Decimal | None:
        """The value of the purchases on the website and in TikTok Shop, or None."""
        values = [
            one for one in (self.total_complete_payment_value, self.total_onsite_shopping_value) if one is not None
        ]
        return sum(values, Decimal(0)) if values else None

    @property
    def roas(self) -> float | None:
        """The value of the purchases divided by spend; None without spend or without value.

        A value of zero is no result but an account that reports none.
        """
        return float(self.value / self.spend) if self.value and self.spend else None

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
class CampaignWeek:
    """A campaign's latest seven complete days beside the seven before.

    Attributes:
        budget: its budget and what it spent of it; None without a budget or if it is off.
    """

    advertiser_id: str
    advertiser_name: str
    id: str
    name: str
    status: str | None
    week: MetricTotals
    week_before: MetricTotals
    budget: BudgetUsage | None

    @property
    def growth(self) -> Decimal | None:
        """The relative change of the week's spend against the week before."""
        return compute_growth(self.week, self.week_before)


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
        pacing: the month's spend beside the daily budgets; None before the first complete day.
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
    pacing: MonthPacing | None

    @property
    def growth(self) -> Decimal | None:
        """The relative change of the week's spend against the week before."""
        return compute_growth(self.week, self.week_before)


@dataclass(frozen=True, slots=True)
class CurrencySection:
    """All accounts of one currency.

    Attributes:
        chart_rows: rows of `date`, `series`, `spend`, `conversion`, `is_complete`.
        compared: campaigns with spend in the last two weeks, the largest spend first; `compared_count`: how many
            there are.
        wall: the creatives with the largest spend, largest first.
    """

    currency: str
    accounts: Sequence[AccountSection]
    week: MetricTotals
    week_before: MetricTotals
    lifetime: MetricTotals
    chart_rows: Sequence[Row]
    campaigns: Sequence[RankedRow]
    ads: Sequence[RankedRow]
    compared: Sequence[CampaignWeek]
    compared_count: int
    wall: Sequence[Creative]

    @property
    def has_roas(self) -> bool:
        """Whether a compared campaign reports the value of purchases."""
        return any(one.week.roas is not None or one.week_before.roas is not None for one in self.compared)

    @property
    def growth(self) -> Decimal | None:
        """The relative change of the week's spend against the week before."""
        return compute_growth(self.week, self.week_before)


@dataclass(frozen=True, slots=True)
class Overview:
    """The contents of the whole page; no currency if nothing was read yet.

    Attributes:
        changes: what happened since yesterday; what to act on first.
        only_account: the name of the account that the page is limited to; empty if it has all.
    """

    built_at: datetime
    currencies: Sequence[CurrencySection]
    changes: Sequence[Change] = ()
    only_account: str = ""

    @property
    def accounts(self) -> Sequence[AccountSection]:
        """All accounts, ordered by currency."""
        return [account for currency in self.currencies for account in currency.accounts]

    @property
    def has_compared(self) -> bool:
        """Whether a campaign has spend in the last two weeks."""
        return any(currency.compared for currency in self.currencies)

    @property
    def has_wall(self) -> bool:
        """Whether a creative has spend."""
        return any(currency.wall for currency in self.currencies)

    @property
    def has_roas(self) -> bool:
        """Whether an account reports the value of purchases."""
        return any(account.week.roas is not None for account in self.accounts)

    @property
    def new_leaders(self) -> Sequence[Row]:
        """All new top spenders, ordered by account."""
        return [row for account in self.accounts for row in account.new_leaders]


def compute_growth(current: MetricTotals, previous: MetricTotals) -> Decimal | None:
    """Compute the relative change of spend; None without spend before."""
    return current.spend / previous.spend - 1 if current.spend is not None and previous.spend else None

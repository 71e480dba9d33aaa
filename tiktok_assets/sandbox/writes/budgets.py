"""Rules of budgets: minima by currency, precision, allowed modes and spend (API notes 8.6)."""

from decimal import Decimal
from typing import Any

from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING
from tiktok_assets.sandbox.world.ad_delivery import SPEND
from tiktok_assets.sandbox.world.local_days import local_ordinal
from tiktok_assets.sandbox.world.model import AdGroup, Advertiser, Campaign

INFINITE, TOTAL, DAY = "BUDGET_MODE_INFINITE", "BUDGET_MODE_TOTAL", "BUDGET_MODE_DAY"
DYNAMIC = "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"
MIN_CAMPAIGN_BUDGET, MIN_AD_GROUP_BUDGET, MIN_STORE_BUDGET = 50, 20, 10  # in units of the base currency
MAX_BUDGET = 10_000_000
# The factor of the limits above in each currency of this world: from the page on budget verification ratios
# (mengxingxinqing/tiktok_ads, 2026-04-18), as are the currencies whose budgets have no decimals.
BUDGET_RATIOS = {
    **dict.fromkeys(("USD", "EUR", "GBP", "AUD", "CAD", "BRL"), 1),
    "TWD": 10,
    **dict.fromkeys(("JPY", "INR"), 100),
    "KRW": 1000,
}
WHOLE_UNIT_CURRENCIES = {"JPY", "KRW", "TWD"}
# The budget modes that ad groups may have, by that of their campaign.
ALLOWED_AD_GROUP_MODES = {INFINITE: (TOTAL, DAY, DYNAMIC), TOTAL: (TOTAL, DAY, DYNAMIC), DAY: (DAY, DYNAMIC)}
MIN_BUDGET_TO_SPEND_RATIO = Decimal("1.05")


def to_minor_units(advertiser: Advertiser, amount: float, path: str) -> int:
    """Convert an amount to minor units.

    Raises:
        ApiError: 40002, the amount has more decimals than the currency.
    """
    exact = Decimal(str(amount)) * advertiser.currency.minor_per_unit
    if exact != exact.to_integral_value():
        raise bad_parameter(path, f"{advertiser.account.currency} has {advertiser.currency.decimals} decimals.")
    return int(exact)


def parse_budget(advertiser: Advertiser, amount: float, minimum: int, path: str = "budget") -> int:
    """Validate a budget in [minimum, 10,000,000) of the base currency, and convert it to minor units.

    Raises:
        ApiError: 40002, the budget is out of range or has too many decimals.
    """
    ratio = BUDGET_RATIOS[advertiser.account.currency]
    if not minimum * ratio <= amount < MAX_BUDGET * ratio:  # the minimum itself is accepted (API notes 0.1 #13)
        raise bad_parameter(
            path,
            f"The budget must be at least {minimum * ratio} and less than {MAX_BUDGET * ratio} "
            f"{advertiser.account.currency}.",
        )
    if advertiser.account.currency in WHOLE_UNIT_CURRENCIES and amount != int(amount):
        raise bad_parameter(path, f"A budget in {advertiser.account.currency} has 0 decimals.")
    return to_minor_units(advertiser, amount, path)


def min_campaign_budget(fields: dict[str, Any]) -> int:
    """Return the minimum budget of a campaign."""
    is_store = fields.get("campaign_product_source") == "STORE" and fields["objective_type"] == "PRODUCT_SALES"
    return MIN_STORE_BUDGET if is_store else MIN_CAMPAIGN_BUDGET


def min_ad_group_budget(mode: str, product_source: str | None, days: int) -> int:
    """Return the minimum budget of an ad group; for a lifetime budget that is one for each scheduled day."""
    minimum = MIN_STORE_BUDGET if product_source in ("STORE", "SHOWCASE") else MIN_AD_GROUP_BUDGET
    return minimum * max(days, 1) if mode == TOTAL else minimum


def ad_group_budget(campaign: Campaign, fields: dict[str, Any], days: int) -> int:
    """Return the budget of a new ad group in minor units; 0 with CBO, where the field is ignored."""
    if campaign.budget_optimize_on:
        return 0
    for name in ("budget_mode", "budget"):
        if fields.get(name) is None:
            raise bad_parameter(name, MISSING)
    mode = fields["budget_mode"]
    allowed = ALLOWED_AD_GROUP_MODES[campaign.budget_mode]
    if mode not in allowed:
        raise bad_parameter(
            "budget_mode",
            f"{mode} does not go with a campaign in {campaign.budget_mode}; use {' or '.join(allowed)}.",
        )
    if mode == TOTAL and fields["schedule_type"] == "SCHEDULE_FROM_NOW":  # API notes 8.6, last line
        raise bad_parameter("budget_mode", "SCHEDULE_FROM_NOW needs a daily budget.")
    minimum = min_ad_group_budget(mode, fields.get("product_source"), days)
    return parse_budget(campaign.advertiser, fields["budget"], minimum)


def refuse_below_spend(context: Context, entity: Campaign | AdGroup, mode: str, minor: int) -> None:
    """Raise ApiError 40002 for a budget below 105 % of the spend: of today, or in total (API notes 8.5)."""
    ads = entity.ads if isinstance(entity, AdGroup) else [ad for group in entity.ad_groups for ad in group.ads]
    advertiser = entity.advertiser if isinstance(entity, Campaign) else entity.campaign.advertiser
    today = local_ordinal(advertiser.zone, context.now)
    spent = 0
    for ad in ads:
        for ordinal in context.facts.possible_days(ad, context.now):
            if mode != TOTAL and ordinal != today:
                continue
            vector = context.facts.day(ad, ordinal, context.now)
            spent += vector[SPEND] if vector else 0
    if minor and minor < spent * MIN_BUDGET_TO_SPEND_RATIO:
        raise ApiError(40002, "budget: The budget must be at minimum 105% of the current spend.")

"""The rules of budgets: minima by currency, precision, the matrix of modes, what is spent (dossier 8.6)."""

from decimal import Decimal
from typing import Any

from tiktok_assets.sandbox.columns import SPEND
from tiktok_assets.sandbox.context import Context
from tiktok_assets.sandbox.days import local_ordinal
from tiktok_assets.sandbox.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.params import MISSING
from tiktok_assets.sandbox.world import AdGroup, Advertiser, Campaign

INFINITE, TOTAL, DAY = "BUDGET_MODE_INFINITE", "BUDGET_MODE_TOTAL", "BUDGET_MODE_DAY"
DYNAMIC = "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"
CAMPAIGN_MINIMUM, AD_GROUP_MINIMUM, STORE_MINIMUM = 50, 20, 10  # of the base currency
MAXIMUM = 10_000_000
# How many times the figures above an amount is in a currency, and which take no decimals in a budget: the page on
# budget verification ratios (mengxingxinqing/tiktok_ads, 2026-04-18), for the currencies of this world.
RATIO = {
    **dict.fromkeys(("USD", "EUR", "GBP", "AUD", "CAD", "BRL"), 1),
    "TWD": 10,
    **dict.fromkeys(("JPY", "INR"), 100),
    "KRW": 1000,
}
WHOLE = {"JPY", "KRW", "TWD"}
# campaign mode -> the ad group modes allowed under it.
ALLOWED = {INFINITE: (TOTAL, DAY, DYNAMIC), TOTAL: (TOTAL, DAY, DYNAMIC), DAY: (DAY, DYNAMIC)}
OVER_SPEND = Decimal("1.05")


def minor_units(advertiser: Advertiser, amount: float, path: str) -> int:
    """Return an amount in minor units; more decimals than the currency has are refused."""
    exact = Decimal(str(amount)) * advertiser.currency.minor
    if exact != exact.to_integral_value():
        raise bad_parameter(path, f"{advertiser.account.currency} has {advertiser.currency.decimals} decimals.")
    return int(exact)


def checked_budget(advertiser: Advertiser, amount: float, least: int, path: str = "budget") -> int:
    """Return a budget within [least, 10,000,000) of the base currency, in minor units."""
    ratio = RATIO[advertiser.account.currency]
    if not least * ratio <= amount < MAXIMUM * ratio:  # the minimum itself is accepted (dossier 0.1 #13)
        raise bad_parameter(
            path,
            f"The budget must be at least {least * ratio} and less than {MAXIMUM * ratio} "
            f"{advertiser.account.currency}.",
        )
    if advertiser.account.currency in WHOLE and amount != int(amount):
        raise bad_parameter(path, f"A budget in {advertiser.account.currency} has 0 decimals.")
    return minor_units(advertiser, amount, path)


def campaign_minimum(fields: dict[str, Any]) -> int:
    """Return the least budget of a campaign."""
    store = fields.get("campaign_product_source") == "STORE" and fields["objective_type"] == "PRODUCT_SALES"
    return STORE_MINIMUM if store else CAMPAIGN_MINIMUM


def ad_group_minimum(mode: str, product_source: str | None, days: int) -> int:
    """Return the least budget of an ad group; a lifetime one needs the minimum for each scheduled day."""
    least = STORE_MINIMUM if product_source in ("STORE", "SHOWCASE") else AD_GROUP_MINIMUM
    return least * max(days, 1) if mode == TOTAL else least


def ad_group_budget(campaign: Campaign, fields: dict[str, Any], days: int) -> int:
    """Return the budget a new ad group gets; under CBO whatever was sent is ignored and it reads 0.0."""
    if campaign.budget_optimize_on:
        return 0
    for name in ("budget_mode", "budget"):
        if fields.get(name) is None:
            raise bad_parameter(name, MISSING)
    mode = fields["budget_mode"]
    allowed = ALLOWED[campaign.budget_mode]
    if mode not in allowed:
        raise bad_parameter(
            "budget_mode",
            f"{mode} does not go with a campaign in {campaign.budget_mode}; use {' or '.join(allowed)}.",
        )
    if mode == TOTAL and fields["schedule_type"] == "SCHEDULE_FROM_NOW":  # dossier 8.6, last line
        raise bad_parameter("budget_mode", "SCHEDULE_FROM_NOW needs a daily budget.")
    least = ad_group_minimum(mode, fields.get("product_source"), days)
    return checked_budget(campaign.advertiser, fields["budget"], least)


def refuse_below_spend(context: Context, owner: Campaign | AdGroup, mode: str, minor: int) -> None:
    """Refuse a new budget below 105 % of what is spent: today, or ever for a total (dossier 8.5)."""
    ads = owner.ads if isinstance(owner, AdGroup) else [ad for group in owner.ad_groups for ad in group.ads]
    advertiser = owner.advertiser if isinstance(owner, Campaign) else owner.campaign.advertiser
    today = local_ordinal(advertiser.zone, context.now)
    spent = 0
    for ad in ads:
        for ordinal in context.facts.days_of(ad, context.now):
            if mode != TOTAL and ordinal != today:
                continue
            vector = context.facts.day(ad, ordinal, context.now)
            spent += vector[SPEND] if vector else 0
    if minor and minor < spent * OVER_SPEND:
        raise ApiError(40002, "budget: The budget must be at least 105% of the current spend.")

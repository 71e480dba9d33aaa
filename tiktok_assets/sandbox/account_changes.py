"""An account that changes its time zone or its currency: from then on every answer is in the new one."""

from dataclasses import replace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tiktok_assets.sandbox.facts import Facts
from tiktok_assets.sandbox.names import CURRENCIES
from tiktok_assets.sandbox.world import Advertiser, World


def change_account(
    world: World, facts: Facts, advertiser: Advertiser, *, timezone: str | None, currency: str | None
) -> None:
    """Give an account another time zone or currency, for its past days too.

    Days are cut anew in the new zone; budgets, bids and what was spent are converted at the rates of `names`. That
    the past is converted is our guess: nobody has told what TikTok does.

    Raises:
        ValueError: for a zone or a currency this world does not know; nothing is changed then.
    """
    new = advertiser.account
    if timezone is not None:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, OSError) as error:
            raise ValueError(f"There is no time zone {timezone!r}.") from error
        new = replace(new, timezone=timezone, display_timezone=timezone)
    if currency is not None:
        if currency not in CURRENCIES:
            raise ValueError(f"currency must be one of {', '.join(CURRENCIES)}.")
        new = replace(new, currency=currency)
    old, advertiser.account = advertiser.currency, new
    now = advertiser.currency
    _convert(advertiser, now.per_dollar * now.minor / (old.per_dollar * old.minor))
    facts.forget()
    world.version += 1


def _convert(advertiser: Advertiser, rate: float) -> None:
    def converted(minor: int) -> int:
        return round(minor * rate)

    for campaign in advertiser.campaigns:
        campaign.budget = converted(campaign.budget)
    for ad_group in advertiser.ad_groups:
        ad_group.budget, ad_group.bid = converted(ad_group.budget), converted(ad_group.bid)
        if ad_group.scheduled:
            instant, budget = ad_group.scheduled
            ad_group.scheduled = instant, converted(budget)
    for ad in advertiser.ads:
        ad.daily, ad.cap = converted(ad.daily), converted(ad.cap)
        ad.script = tuple((since, until, converted(minor)) for since, until, minor in ad.script)

"""Compute what an ad finally delivers on a day, from the seed, the ad and the day only.

The delivery of a day is a `Vector`: one integer for each of `COLUMNS`, money in minor units.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, Final

from tiktok_assets.sandbox.world.local_days import local_ordinal
from tiktok_assets.sandbox.world.model import Ad

COLUMNS: Final = (
    "spend",
    "impressions",
    "gross_impressions",
    "clicks",
    "conversion",
    "real_time_conversion",
    "video_play_actions",
    "video_watched_2s",
    "video_watched_6s",
    "video_views_p25",
    "video_views_p50",
    "video_views_p75",
    "video_views_p100",
    "play_seconds",
    "engaged_view",
    "engaged_view_15s",
    "likes",
    "comments",
    "shares",
    "follows",
    "profile_visits",
    "clicks_on_music_disc",
    "engagements",
    "complete_payment",
    "total_complete_payment_rate",
    "onsite_shopping",
    "total_onsite_shopping_value",
    "initiate_checkout",
    "web_event_add_to_cart",
    "total_landing_page_view",
    "page_content_view_events",
    "vta_conversion",
    "cta_conversion",
    "voucher_spend",
    "result",
    "real_time_result",
    "reach",
)
POSITION: Final = {name: position for position, name in enumerate(COLUMNS)}
REACH: Final = POSITION["reach"]
SPEND: Final = POSITION["spend"]
IMPRESSIONS: Final = POSITION["impressions"]
RESULT: Final = POSITION["result"]
REAL_TIME_RESULT: Final = POSITION["real_time_result"]

# Corrected slightly on the next day (API notes 7, "Spend/impressions").
CORRECTED_COLUMNS: Final = tuple(POSITION[name] for name in ("spend", "impressions", "gross_impressions"))
# Attributed to the day of the interaction, so they grow for up to 28 days (API notes 7, "Restatement").
ATTRIBUTED_COLUMNS: Final = tuple(
    POSITION[name]
    for name in (
        "conversion",
        "complete_payment",
        "total_complete_payment_rate",
        "onsite_shopping",
        "total_onsite_shopping_value",
        "initiate_checkout",
        "web_event_add_to_cart",
        "vta_conversion",
        "cta_conversion",
    )
)
# Attributed to the day of the conversion, so they are final after the next day's correction (API notes 7).
SETTLING_COLUMNS: Final = (POSITION["real_time_conversion"],)
# Available 16 hours after the day (API notes 7).
LATE_COLUMNS: Final = (POSITION["voucher_spend"],)


if TYPE_CHECKING:
    Vector = array[int]
else:  # Python 3.11 cannot subscript array at run time
    Vector = array

WEEKDAY_THOUSANDTHS = (960, 940, 950, 980, 1060, 1150, 1120)  # Monday first
RAMP_THOUSANDTHS = (250, 450, 650, 820, 930)  # of an ad's first days
IDLE_DAY_INTERVAL = 40  # an ordinary ad delivers nothing on one day in this many
VOUCHER_DIVISOR = 12  # one twelfth of the spend is paid with vouchers

_RANDOM_PARTS = Struct("<16H")


@dataclass(frozen=True)
class AdProfile:
    """The constants of an ad's delivery, computed once."""

    ad: Ad
    number: int
    first_day: int
    anchor_day: int
    seed: int
    minor_per_dollar: float
    cpm_cents: int
    ctr_per_10k: int
    conversions_per_10k: int
    order_value: int  # minor units

    @classmethod
    def from_ad(cls, ad: Ad, seed: int, anchor: int) -> "AdProfile":
        """Compute the constants of an ad; `anchor` is the plan's, in epoch seconds."""
        advertiser = ad.campaign.advertiser
        objective = ad.campaign.objective
        currency = advertiser.currency
        number = int(ad.id)
        per_dollar = currency.units_per_dollar * currency.minor_per_unit
        return cls(
            ad=ad,
            number=number,
            first_day=local_ordinal(advertiser.zone, ad.created),
            anchor_day=local_ordinal(advertiser.zone, anchor),
            seed=seed,
            minor_per_dollar=per_dollar,
            cpm_cents=objective.cpm_cents,
            ctr_per_10k=70 + number % 97,
            conversions_per_10k=objective.conversions_per_10k_clicks,
            order_value=int((28 + number % 31) * per_dollar),
        )


def final_delivery(profile: AdProfile, ordinal: int) -> Vector | None:
    """Return the delivery of a whole day after all corrections, or None for no delivery."""
    ad = profile.ad
    if ad.in_review or ordinal < profile.first_day:
        return None
    randoms = _RANDOM_PARTS.unpack(
        blake2b(b"%d:%d:%d" % (profile.seed, profile.number, ordinal), digest_size=32).digest()
    )
    spend = _scripted_spend(profile, ordinal) if ad.spend_script else _ordinary_spend(profile, ordinal, randoms)
    if spend <= 0:
        return None
    dollars_1000 = spend * 1000 / profile.minor_per_dollar
    impressions = int(dollars_1000 * 100_000 / (profile.cpm_cents * (700 + randoms[1] % 600))) + 1
    kept = ad.wear.kept(profile.anchor_day - ordinal) if ad.wear else 1000
    return _funnel(profile, spend, impressions, randoms, kept)


def _scripted_spend(profile: AdProfile, ordinal: int) -> int:
    """Return the spend of a scripted ad on a day, in minor units."""
    days_before = profile.anchor_day - ordinal
    return next((cents for since, until, cents in profile.ad.spend_script if until <= days_before <= since), 0)


def _ordinary_spend(profile: AdProfile, ordinal: int, randoms: tuple[int, ...]) -> int:
    """Return the spend of an ordinary ad on a day, in minor units; `randoms` belong to the day."""
    ad = profile.ad
    if not ad.never_idle and randoms[0] % IDLE_DAY_INTERVAL == 0:
        return 0
    age = ordinal - profile.first_day
    ramp = RAMP_THOUSANDTHS[age] if age < len(RAMP_THOUSANDTHS) else 1000
    freshness = max(1000_000 // (1000 + age * ad.fatigue), ad.fatigue_floor)
    # The same for all ads of a campaign.
    campaign_factor = 850 + (int(ad.campaign.id) ^ ordinal * 2_654_435_761) % 301
    noise = 800 + randoms[2] % 401
    weekday = WEEKDAY_THOUSANDTHS[date.fromordinal(ordinal).weekday()]
    level = (
        ad.daily_target * ramp * freshness // 1_000_000 * weekday // 1000 * campaign_factor // 1000 * noise // 1000
    )
    return max(min(level, ad.daily_cap), 1 if ad.daily_target else 0)


def _funnel(profile: AdProfile, spend: int, impressions: int, randoms: tuple[int, ...], kept: int) -> Vector:
    """Derive all columns of a day from its spend and impressions; `kept` (thousandths) is what wear leaves."""
    share: Callable[[int, int, int], int] = lambda whole, per_10k, random: (  # noqa: E731  # used often below
        whole * per_10k * (32_768 + random) // 655_360_000
    )
    clicks = share(impressions, profile.ctr_per_10k, randoms[3]) * kept // 1000
    conversion = (
        clicks * profile.conversions_per_10k * (32_768 + randoms[4]) // 65_536 + randoms[15] % 10_000
    ) // 10_000
    conversion = min(conversion, clicks)
    plays = impressions * (9300 + randoms[5] % 600) // 10_000
    two = plays * (3200 + randoms[6] % 1500) // 10_000 * kept // 1000
    six = two * (2800 + randoms[7] % 1500) // 10_000
    p25 = two * (5200 + randoms[8] % 2000) // 10_000
    p50, p75 = p25 * 52 // 100, p25 * 31 // 100
    full = p75 * (5500 + randoms[9] % 2000) // 10_000
    likes = share(impressions, 60, randoms[10])
    comments, shares = likes // 19, likes // 27
    follows, visits = share(impressions, 6, randoms[11]), share(impressions, 22, randoms[12])
    paid = conversion * (70 + randoms[13] % 31) // 100
    value = paid * (profile.order_value * (80 + randoms[14] % 41) // 100)
    onsite = paid // 7
    reach = max(impressions * 1000 // (1080 + randoms[13] % 420), 1)
    landing = clicks * (78 + randoms[9] % 15) // 100
    view_through = conversion * (randoms[6] % 40) // 100
    return array(
        "q",
        (
            spend,
            impressions,
            impressions + impressions * (randoms[2] % 30) // 1000,
            clicks,
            conversion,
            conversion * (85 + randoms[11] % 31) // 100,
            plays,
            two,
            six,
            p25,
            p50,
            p75,
            full,
            two * 4 + six * 5 + plays,
            six,
            six * 4 // 10,
            likes,
            comments,
            shares,
            follows,
            visits,
            likes // 31,
            clicks + likes + comments + shares + follows,
            paid,
            value,
            onsite,
            onsite * profile.order_value,
            paid + conversion // 3,
            paid + conversion,
            landing,
            landing + landing // 5,
            view_through,
            conversion - view_through,
            spend // VOUCHER_DIVISOR,
            0,  # result and real_time_result depend on the objective: facts.py sets them
            0,
            reach,
        ),
    )

"""Compute the final delivery of an ad on a day from the seed, the ad and the day."""

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

# Lightly corrected the next day (dossier 7, "Spend/impressions").
CORRECTED_COLUMNS: Final = tuple(POSITION[name] for name in ("spend", "impressions", "gross_impressions"))
# Credited to the day of the interaction: they grow for up to 28 days (dossier 7, "Restatement").
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
# Credited to the day of the conversion: settled with the next day's correction (dossier 7).
SETTLING_COLUMNS: Final = (POSITION["real_time_conversion"],)
# 16 hours late (dossier 7).
LATE_COLUMNS: Final = (POSITION["voucher_spend"],)


if TYPE_CHECKING:
    Vector = array[int]
else:  # Python 3.11 cannot subscript array at run time
    Vector = array

WEEKDAY_THOUSANDTHS = (960, 940, 950, 980, 1060, 1150, 1120)  # thousandths, Monday first
RAMP_THOUSANDTHS = (250, 450, 650, 820, 930)  # thousandths on an ad's first days
IDLE_DAY_INTERVAL = 40  # an ordinary ad skips one day in so many
VOUCHER_DIVISOR = 12  # one twelfth of the spend is paid by voucher

_RANDOM_PARTS = Struct("<16H")


@dataclass(frozen=True)
class AdProfile:
    """An ad's constants, looked up once."""

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
    def of(cls, ad: Ad, seed: int, anchor: int) -> "AdProfile":
        """Return the constants of an ad."""
        advertiser = ad.campaign.advertiser
        objective = ad.campaign.objective
        currency = advertiser.currency
        number = int(ad.id)
        per_dollar = currency.per_dollar * currency.minor
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


def final_delivery(shape: AdProfile, ordinal: int) -> Vector | None:
    """Return what the ad has delivered on a whole day once nothing moves any more, or None for nothing."""
    ad = shape.ad
    if ad.in_review or ordinal < shape.first_day:
        return None
    chances = _RANDOM_PARTS.unpack(
        blake2b(b"%d:%d:%d" % (shape.seed, shape.number, ordinal), digest_size=32).digest()
    )
    spend = _scripted_spend(shape, ordinal) if ad.script else _ordinary_spend(shape, ordinal, chances)
    if spend <= 0:
        return None
    dollars_1000 = spend * 1000 / shape.minor_per_dollar
    impressions = int(dollars_1000 * 100_000 / (shape.cpm_cents * (700 + chances[1] % 600))) + 1
    return _funnel(shape, spend, impressions, chances)


def _scripted_spend(shape: AdProfile, ordinal: int) -> int:
    before = shape.anchor_day - ordinal
    return next((cents for since, until, cents in shape.ad.script if until <= before <= since), 0)


def _ordinary_spend(shape: AdProfile, ordinal: int, chances: tuple[int, ...]) -> int:
    ad = shape.ad
    if not ad.always and chances[0] % IDLE_DAY_INTERVAL == 0:
        return 0
    age = ordinal - shape.first_day
    ramp = RAMP_THOUSANDTHS[age] if age < len(RAMP_THOUSANDTHS) else 1000
    fresh = max(1000_000 // (1000 + age * ad.fatigue), ad.fatigue_floor)
    mood = 850 + (int(ad.campaign.id) ^ ordinal * 2_654_435_761) % 301  # shared by the whole campaign
    noise = 800 + chances[2] % 401
    weekday = WEEKDAY_THOUSANDTHS[date.fromordinal(ordinal).weekday()]
    level = ad.daily * ramp * fresh // 1_000_000 * weekday // 1000 * mood // 1000 * noise // 1000
    return max(min(level, ad.cap), 1 if ad.daily else 0)


def _funnel(shape: AdProfile, spend: int, impressions: int, chances: tuple[int, ...]) -> Vector:
    part: Callable[[int, int, int], int] = lambda whole, per_10k, chance: (  # noqa: E731  # one phrase, many uses
        whole * per_10k * (32_768 + chance) // 655_360_000
    )
    clicks = part(impressions, shape.ctr_per_10k, chances[3])
    conversion = (
        clicks * shape.conversions_per_10k * (32_768 + chances[4]) // 65_536 + chances[15] % 10_000
    ) // 10_000
    conversion = min(conversion, clicks)
    plays = impressions * (9300 + chances[5] % 600) // 10_000
    two = plays * (3200 + chances[6] % 1500) // 10_000
    six = two * (2800 + chances[7] % 1500) // 10_000
    p25 = two * (5200 + chances[8] % 2000) // 10_000
    p50, p75 = p25 * 52 // 100, p25 * 31 // 100
    full = p75 * (5500 + chances[9] % 2000) // 10_000
    likes = part(impressions, 60, chances[10])
    comments, shares = likes // 19, likes // 27
    follows, visits = part(impressions, 6, chances[11]), part(impressions, 22, chances[12])
    paid = conversion * (70 + chances[13] % 31) // 100
    value = paid * (shape.order_value * (80 + chances[14] % 41) // 100)
    onsite = paid // 7
    reach = max(impressions * 1000 // (1080 + chances[13] % 420), 1)
    landing = clicks * (78 + chances[9] % 15) // 100
    view_through = conversion * (chances[6] % 40) // 100
    return array(
        "q",
        (
            spend,
            impressions,
            impressions + impressions * (chances[2] % 30) // 1000,
            clicks,
            conversion,
            conversion * (85 + chances[11] % 31) // 100,
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
            onsite * shape.order_value,
            paid + conversion // 3,
            paid + conversion,
            landing,
            landing + landing // 5,
            view_through,
            conversion - view_through,
            spend // VOUCHER_DIVISOR,
            0,  # result and real_time_result follow from the goal, in facts.py
            0,
            reach,
        ),
    )

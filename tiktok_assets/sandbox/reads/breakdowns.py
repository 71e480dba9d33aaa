"""Split an ad's delivery by audience or country (API notes 6.2)."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass

from tiktok_assets.sandbox.world.ad_delivery import IMPRESSIONS, REACH, Vector
from tiktok_assets.sandbox.world.model import Ad
from tiktok_assets.sandbox.world.seed_data import Account

Weights = dict[str, int]
# The label of a part that the API omits, so that these breakdowns do not sum to the total (API notes 6.5).
OMITTED_LABEL = ""


@dataclass(frozen=True)
class Breakdown:
    """A breakdown dimension.

    Attributes:
        weights: Returns the weight of each label for an account.
        is_immediate: Whether its data are available like other data, and not 16 hours later (API notes 7).
        allows_days: Whether it can be combined with `stat_time_day` (API notes 6.2).
    """

    weights: Callable[[Account], Weights]
    is_immediate: bool = False
    allows_days: bool = True


def _countries(account: Account) -> Weights:
    return {account.country: 900, "US" if account.country != "US" else "CA": 70, OMITTED_LABEL: 30}


def _languages(account: Account) -> Weights:
    return {account.language: 880, "en" if account.language != "en" else "es": 120}


# States of the countries in which the sandbox's accounts deliver, by their ids of geonames.org, and markets of the
# United States by Nielsen's codes; TikTok's own ids are not documented.
PROVINCES = {
    "US": {"5332921": 420, "4736286": 310, "5128638": 200},
    "JP": {"1850144": 520, "1853904": 330},
    "DE": {"2951839": 380, "2861876": 360, "2950157": 150},
}
MARKETS: Weights = {"803": 400, "501": 350, "602": 200}


def _provinces(account: Account) -> Weights:
    return _within_countries(account, PROVINCES)


def _markets(account: Account) -> Weights:
    return _within_countries(account, {"US": MARKETS})


def _within_countries(account: Account, places: dict[str, Weights]) -> Weights:
    """Return the weights of places in the countries of an account; the rest of each country is omitted."""
    weights: Weights = {}
    rest = 0
    for country, weight in _countries(account).items():
        total = 1000
        for label, share in places.get(country, {}).items():
            weights[label] = weight * share
            total -= share
        rest += weight * total
    return weights | {OMITTED_LABEL: rest}


# Only the labels of gender are in the API notes; the others are uncertain.
AGES: Weights = {
    "AGE_13_17": 20,
    "AGE_18_24": 310,
    "AGE_25_34": 330,
    "AGE_35_44": 190,
    "AGE_45_54": 90,
    "AGE_55_100": 45,
    "NONE": 15,
}
BREAKDOWNS = {
    "age": Breakdown(lambda _: AGES),
    "gender": Breakdown(lambda _: {"FEMALE": 560, "MALE": 425, "NONE": 15}),
    "country_code": Breakdown(_countries, is_immediate=True),
    "platform": Breakdown(lambda _: {"ANDROID": 455, "IPHONE": 490, "IPAD": 40, "PC": 15}),
    "language": Breakdown(_languages),
    "interest_category": Breakdown(
        lambda _: {"26100": 300, "11100": 240, "18100": 150, "22100": 110, OMITTED_LABEL: 200}, allows_days=False
    ),
    "province_id": Breakdown(_provinces),
    "dma_id": Breakdown(_markets),
    "placement": Breakdown(
        lambda _: {"PLACEMENT_TIKTOK": 870, "PLACEMENT_PANGLE": 90, "PLACEMENT_GLOBAL_APP_BUNDLE": 40},
        is_immediate=True,
    ),
    "device_brand_id": Breakdown(lambda _: {"1": 510, "2": 270, "3": 130, "4": 75, "NONE": 15}, allows_days=False),
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The metrics of AUDIENCE reports: from the official page on country_code (mengxingxinqing/tiktok_ads,
# supported_metrics_for_a_dimension_in_audience_reports) and the requests of estuary/connectors on 2026-08-13.
AUDIENCE_METRICS = _names(
    """
    spend cpc cpm impressions clicks ctr conversion cost_per_conversion conversion_rate
    real_time_conversion real_time_cost_per_conversion real_time_conversion_rate result cost_per_result
    result_rate real_time_result real_time_cost_per_result real_time_result_rate video_play_actions
    video_watched_2s video_watched_6s average_video_play video_views_p25 video_views_p50 video_views_p75
    video_views_p100 profile_visits profile_visits_rate likes comments shares follows clicks_on_music_disc
    total_landing_page_view cost_per_landing_page_view landing_page_view_rate conversion_rate_v2
    real_time_conversion_rate_v2
    """
)
EXTRA_METRICS = {"country_code": frozenset({"gross_impressions", "reach", "frequency"})}
# Dimensions of the API (API notes 6.2) that the sandbox does not imitate.
UNSUPPORTED_AUDIENCE_DIMENSIONS = frozenset(
    [
        *("ac", "behavior_id", "contextual_tag", "hashtag", "audience_tags"),
        *("interest_category_tier2", "interest_category_tier3"),
        "interest_category_tier4",
    ]
)


def split_delivery(vector: Vector, ad: Ad, dimensions: tuple[str, ...]) -> list[tuple[tuple[str, ...], Vector]]:
    """Return the parts of a delivery with their labels, one label for each dimension.

    The parts are exact and fixed for each ad; parts without delivery and omitted ones are not returned.
    """
    parts: list[tuple[tuple[str, ...], Vector]] = [((), vector)]
    for dimension in dimensions:
        parts = [
            ((*labels, label), part)
            for labels, whole in parts
            for label, part in _split_by(whole, ad, dimension)
            if label != OMITTED_LABEL and any(part)
        ]
    return parts


def _split_by(vector: Vector, ad: Ad, dimension: str) -> list[tuple[str, Vector]]:
    weights = BREAKDOWNS[dimension].weights(ad.campaign.advertiser.account)
    # Each ad has its own audience: its weights vary by up to a tenth.
    ad_weights = {
        label: weight * (95 + (int(ad.id) >> position) % 11) // 100 + 1
        for position, (label, weight) in enumerate(weights.items())
    }
    total = sum(ad_weights.values())
    start, parts = 0, []
    for label, weight in ad_weights.items():
        end = start + weight
        part = array("q", (value * end // total - value * start // total for value in vector))
        if vector[REACH] and part[IMPRESSIONS]:
            part[REACH] = max(part[REACH], 1)
        parts.append((label, part))
        start = end
    return parts

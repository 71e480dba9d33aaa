"""Define the four data levels of reports: ids, entities and attribute metrics (API notes 6.1, 6.6)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tiktok_assets.sandbox.world.api_objects import ad_item
from tiktok_assets.sandbox.world.metrics import format_decimal
from tiktok_assets.sandbox.world.model import Ad, AdGroup, Advertiser, Campaign, Entity, SmartPlusAd

LevelEntity = Entity | Advertiser  # what a report has rows for


@dataclass(frozen=True)
class DataLevel:
    """A data level.

    Attributes:
        name: The API's name.
        id_dimensions: The id dimensions of the level; all but `ad_id_v2` are the level's own id.
        status_field: The status field of report filters at this level (API notes 6.4).
        entity_kind: The kind of entity, as in `SECONDARY_STATUSES`.
        entities: Returns the entities of an account.
        ads: Returns the ads whose delivery is summed for an entity.
        attributes: Returns the attribute metrics of an entity.
    """

    name: str
    id_dimensions: tuple[str, ...]
    status_field: str | None
    entity_kind: str | None
    entities: Callable[[Advertiser], Sequence[LevelEntity]]
    ads: Callable[[LevelEntity], list[Ad]]
    attributes: Callable[[LevelEntity], dict[str, str]]


def _account_attributes(entity: LevelEntity) -> dict[str, str]:
    assert isinstance(entity, Advertiser)  # noqa: S101  # by the level
    return {
        "advertiser_id": entity.id,
        "advertiser_name": entity.account.name,
        "currency": entity.account.currency,
        "timezone": entity.account.display_timezone,
    }


def _campaign_attributes(entity: LevelEntity) -> dict[str, str]:
    assert isinstance(entity, Campaign)  # noqa: S101  # by the level
    return {
        **_account_attributes(entity.advertiser),
        "campaign_id": entity.id,
        "campaign_name": entity.name,
        "objective_type": entity.objective_type,
        "campaign_budget": _format_amount(entity.advertiser, entity.budget),
        "split_test": "-",
        # These two and dpa_target_audience_type are not in the API notes, but tap-tiktok-ads requests them.
        "campaign_dedicate_type": "-",
        "rf_campaign_type": "-",
        "app_promotion_type": "-",
        "campaign_automation_type": entity.automation,
    }


def _ad_group_attributes(entity: LevelEntity) -> dict[str, str]:
    assert isinstance(entity, AdGroup)  # noqa: S101  # by the level
    objective = entity.campaign.objective
    return {
        **_campaign_attributes(entity.campaign),
        "adgroup_id": entity.id,
        "adgroup_name": entity.name,
        "placement_type": "Select Placement",
        "promotion_type": objective.promotion_type,
        "opt_status": "0",
        "budget": _format_amount(entity.campaign.advertiser, entity.budget),
        "smart_target": objective.optimization_goal,
        "billing_event": objective.billing_event,
        "bid_strategy": "Bid Cap" if objective.billing_event == "CPC" else "Maximum Delivery",
        "bid": _format_amount(entity.campaign.advertiser, entity.bid),
        "bid_secondary_goal": "-",
        "aeo_type": "-",
        "dpa_target_audience_type": "-",
    }


def _ad_attributes(entity: LevelEntity) -> dict[str, str]:
    if isinstance(entity, SmartPlusAd):
        return {
            **_ad_group_attributes(entity.ad_group),
            "ad_id_v2": entity.id,
            "ad_name": entity.name,
            "tt_app_id": "0",
            "is_aco": "false",
            "is_smart_creative": "false",
        }
    assert isinstance(entity, Ad)  # noqa: S101  # by the level
    account = entity.campaign.advertiser.account
    return {
        **_ad_group_attributes(entity.ad_group),
        "ad_id": entity.id,
        "ad_id_v2": entity.ad_id_v2,
        "ad_name": entity.name,
        "ad_text": entity.text,
        "call_to_action": entity.call_to_action,
        "ad_url": account.website,
        "ad_profile_image": f"{account.website}profile.jpeg",
        "image_mode": "Single video",
        "tt_app_id": "0",
        "tt_app_name": "-",
        "mobile_app_id": "-",
        "is_aco": "false",
        "is_smart_creative": "false",
        # Marks the row of a creative; the row of its ad has UPGRADED_SMART_PLUS (API notes 5.7).
        "campaign_automation_type": entity.campaign.automation + ("_CREATIVE" if entity.smart_plus_ad_id else ""),
    }


IMAGE_MODES = {"SINGLE_VIDEO": "Single video", "CAROUSEL_ADS": "Carousel", "CATALOG_CAROUSEL": "Catalog carousel"}


def list_attributes(ad: SmartPlusAd, now: int) -> dict[str, list[str]]:
    """Return the attributes that an Upgraded Smart+ ad has as lists, by the name of the metric that requests them.

    Each is returned under the name with `_list` (mengxingxinqing/tiktok_ads, run_a_synchronous_report).
    """
    account = ad.campaign.advertiser.account
    fields = ad.smart_plus_fields
    formats = (ad_item(one, now)["ad_format"] for one in ad.creatives)
    return {
        "ad_text": [one["ad_text"] for one in fields.get("ad_text_list", ())],
        "call_to_action": [one["call_to_action"] for one in fields.get("call_to_action_list", ())],
        "ad_url": [one["landing_page_url"] for one in fields.get("landing_page_url_list", ())],
        "ad_profile_image": [f"{account.website}profile.jpeg"],
        "image_mode": list(dict.fromkeys(IMAGE_MODES.get(one, one) for one in formats)),
    }


def _format_amount(advertiser: Advertiser, minor: int) -> str:
    return format_decimal(minor, advertiser.currency.decimals)


def _ads_of(entity: LevelEntity) -> list[Ad]:
    if isinstance(entity, Ad):
        return [entity]
    if isinstance(entity, SmartPlusAd):
        return entity.creatives
    if isinstance(entity, Campaign):
        return [ad for ad_group in entity.ad_groups for ad in ad_group.ads]
    assert isinstance(entity, Advertiser | AdGroup)  # noqa: S101  # no other type has ads
    return entity.ads


LEVELS = {
    level.name: level
    for level in (
        DataLevel(
            "AUCTION_ADVERTISER",
            ("advertiser_id",),
            None,
            None,
            lambda advertiser: [advertiser],
            _ads_of,
            _account_attributes,
        ),
        DataLevel(
            "AUCTION_CAMPAIGN",
            ("campaign_id",),
            "campaign_status",
            "campaign",
            lambda advertiser: advertiser.campaigns,
            _ads_of,
            _campaign_attributes,
        ),
        DataLevel(
            "AUCTION_ADGROUP",
            ("adgroup_id",),
            "adgroup_status",
            "ad_group",
            lambda advertiser: advertiser.ad_groups,
            _ads_of,
            _ad_group_attributes,
        ),
        DataLevel(
            "AUCTION_AD",
            ("ad_id", "ad_id_v2"),
            "ad_status",
            "ad",
            lambda advertiser: advertiser.ads,
            _ads_of,
            _ad_attributes,
        ),
    )
}
_CAMPAIGN_ATTRIBUTES = frozenset(
    [
        "advertiser_id",
        "advertiser_name",
        "currency",
        "campaign_id",
        "campaign_name",
        "objective_type",
        "campaign_budget",
        "split_test",
        "app_promotion_type",
        "campaign_automation_type",
        "campaign_dedicate_type",
        "rf_campaign_type",
    ]
)
_AD_GROUP_ATTRIBUTES = _CAMPAIGN_ATTRIBUTES | frozenset(
    [
        "adgroup_name",
        "placement_type",
        "promotion_type",
        "opt_status",
        "budget",
        "smart_target",
        "billing_event",
        "bid_strategy",
        "bid",
        "bid_secondary_goal",
        "aeo_type",
        "dpa_target_audience_type",
        "adgroup_id",
    ]
)
# The attribute metrics of each level (API notes 6.6).
ATTRIBUTES = {
    "AUCTION_ADVERTISER": frozenset({"advertiser_id", "advertiser_name", "currency", "timezone"}),
    "AUCTION_CAMPAIGN": _CAMPAIGN_ATTRIBUTES | {"timezone"},
    "AUCTION_ADGROUP": _AD_GROUP_ATTRIBUTES | {"timezone"},
    "AUCTION_AD": _AD_GROUP_ATTRIBUTES
    | frozenset(
        [
            "timezone",
            "ad_name",
            "ad_id",
            "ad_id_v2",
            "ad_text",
            "call_to_action",
            "ad_url",
            "ad_profile_image",
            "image_mode",
            "tt_app_id",
            "tt_app_name",
            "mobile_app_id",
            "is_aco",
            "is_smart_creative",
        ]
    ),
}

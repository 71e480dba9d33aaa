"""Define the four data levels of reports: ids, members and attribute metrics (API notes 6.1, 6.6)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tiktok_assets.sandbox.world.metrics import format_decimal
from tiktok_assets.sandbox.world.model import Ad, AdGroup, Advertiser, Campaign, Entity

Owner = Entity | Advertiser


@dataclass(frozen=True)
class DataLevel:
    """One data level.

    Attributes:
        name: The API's name.
        id_dimensions: The id dimensions that match it; all but `ad_id_v2` mean the level's own id.
        status_field: The status field a report filter may use here (dossier 6.4).
        members: The entities of an account.
        ads: The ads an entity's facts are the sum of.
        attributes: The attribute metrics of an entity.
    """

    name: str
    id_dimensions: tuple[str, ...]
    status_field: str | None
    kind: str | None
    members: Callable[[Advertiser], Sequence[Owner]]
    ads: Callable[[Owner], list[Ad]]
    attributes: Callable[[Owner], dict[str, str]]


def _account_attributes(owner: Owner) -> dict[str, str]:
    assert isinstance(owner, Advertiser)  # noqa: S101  # the level's members are advertisers
    return {
        "advertiser_id": owner.id,
        "advertiser_name": owner.account.name,
        "currency": owner.account.currency,
        "timezone": owner.account.display_timezone,
    }


def _campaign_attributes(owner: Owner) -> dict[str, str]:
    assert isinstance(owner, Campaign)  # noqa: S101  # the level's members are campaigns
    return {
        **_account_attributes(owner.advertiser),
        "campaign_id": owner.id,
        "campaign_name": owner.name,
        "objective_type": owner.objective_type,
        "campaign_budget": _format_amount(owner.advertiser, owner.budget),
        "split_test": "-",
        # These two and dpa_target_audience_type: not in the dossier, but asked for by tap-tiktok-ads.
        "campaign_dedicate_type": "-",
        "rf_campaign_type": "-",
        "app_promotion_type": "-",
        "campaign_automation_type": owner.automation,
    }


def _ad_group_attributes(owner: Owner) -> dict[str, str]:
    assert isinstance(owner, AdGroup)  # noqa: S101  # the level's members are ad groups
    objective = owner.campaign.objective
    return {
        **_campaign_attributes(owner.campaign),
        "adgroup_id": owner.id,
        "adgroup_name": owner.name,
        "placement_type": "Select Placement",
        "promotion_type": objective.promotion_type,
        "opt_status": "0",
        "budget": _format_amount(owner.campaign.advertiser, owner.budget),
        "smart_target": objective.goal,
        "billing_event": objective.billing_event,
        "bid_strategy": "Bid Cap" if objective.billing_event == "CPC" else "Maximum Delivery",
        "bid": _format_amount(owner.campaign.advertiser, owner.bid),
        "bid_secondary_goal": "-",
        "aeo_type": "-",
        "dpa_target_audience_type": "-",
    }


def _ad_attributes(owner: Owner) -> dict[str, str]:
    assert isinstance(owner, Ad)  # noqa: S101  # the level's members are ads
    account = owner.campaign.advertiser.account
    return {
        **_ad_group_attributes(owner.ad_group),
        "ad_id": owner.id,
        "ad_id_v2": owner.ad_id_v2,
        "ad_name": owner.name,
        "ad_text": owner.text,
        "call_to_action": owner.call_to_action,
        "ad_url": account.site,
        "ad_profile_image": f"{account.site}profile.jpeg",
        "image_mode": "Single video",
        "tt_app_id": "0",
        "tt_app_name": "-",
        "mobile_app_id": "-",
        "is_aco": "false",
        "is_smart_creative": "false",
        # The marker of a creative's row; a row of the ad reads UPGRADED_SMART_PLUS (dossier 5.7).
        "campaign_automation_type": owner.campaign.automation + ("_CREATIVE" if owner.asset_group else ""),
    }


def _format_amount(advertiser: Advertiser, minor: int) -> str:
    return format_decimal(minor, advertiser.currency.decimals)


def _ads_of(owner: Owner) -> list[Ad]:
    if isinstance(owner, Ad):
        return [owner]
    if isinstance(owner, Campaign):
        return [ad for ad_group in owner.ad_groups for ad in ad_group.ads]
    assert isinstance(owner, Advertiser | AdGroup)  # noqa: S101  # nothing else has ads
    return owner.ads


LEVELS = {
    level.name: level
    for level in (
        DataLevel(
            "AUCTION_ADVERTISER", ("advertiser_id",), None, None, lambda one: [one], _ads_of, _account_attributes
        ),
        DataLevel(
            "AUCTION_CAMPAIGN",
            ("campaign_id",),
            "campaign_status",
            "campaign",
            lambda one: one.campaigns,
            _ads_of,
            _campaign_attributes,
        ),
        DataLevel(
            "AUCTION_ADGROUP",
            ("adgroup_id",),
            "adgroup_status",
            "ad_group",
            lambda one: one.ad_groups,
            _ads_of,
            _ad_group_attributes,
        ),
        DataLevel(
            "AUCTION_AD", ("ad_id", "ad_id_v2"), "ad_status", "ad", lambda one: one.ads, _ads_of, _ad_attributes
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
# Which attribute metrics may be asked for at a level (dossier 6.6).
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

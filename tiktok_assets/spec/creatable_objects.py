"""Declare the objects that a duplication creates: how each is created, listed, found, switched off and deleted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tiktok_assets.spec.create_fields import CampaignKind
from tiktok_assets.spec.endpoints import (
    AD_CREATE,
    AD_GROUP_CREATE,
    AD_GROUP_LIST,
    AD_GROUP_STATUS,
    AD_LIST,
    AD_STATUS,
    MAX_PAGE_SIZE,
    SMART_PLUS_AD_CREATE,
    SMART_PLUS_AD_GROUP_CREATE,
    SMART_PLUS_AD_GROUP_LIST,
    SMART_PLUS_AD_GROUP_STATUS,
    SMART_PLUS_AD_LIST,
    SMART_PLUS_AD_STATUS,
    SMART_PLUS_CAMPAIGN_LIST,
    Endpoint,
)


@dataclass(frozen=True, slots=True)
class CreatableObject:
    """An ad group or an ad of a kind of campaign.

    Attributes:
        create: creates one.
        endpoint: lists them.
        key: the field of its id in the list; with an s also the filter by id and the field of a status update.
        page_size: how many rows a page of the list can have.
        parent_field: the field of the parent's id; with an s also the filter by it.
        name_field: the field of the name.
        status: switches several on or off, or deletes them.
        report_dimension: the dimension by which reports have its spend.
        report_level: the data level of these reports.
        created_id: where the response of `create` has its id.
    """

    create: Endpoint
    endpoint: Endpoint
    key: str
    page_size: int
    parent_field: str
    name_field: str
    status: Endpoint
    report_dimension: str
    report_level: str
    created_id: tuple[str | int, ...]

    def read_id(self, data: Any) -> object:  # noqa: ANN401 - JSON is anything
        """Read the id of the created object from the data of a response.

        Raises:
            KeyError, IndexError, TypeError: if it is not there.
        """
        for name in self.created_id:
            data = data[name]
        return data


MANUAL_AD_GROUP = CreatableObject(
    AD_GROUP_CREATE,
    AD_GROUP_LIST,
    "adgroup_id",
    MAX_PAGE_SIZE,
    "campaign_id",
    "adgroup_name",
    AD_GROUP_STATUS,
    "adgroup_id",
    "AUCTION_ADGROUP",
    ("adgroup_id",),
)
MANUAL_AD = CreatableObject(
    AD_CREATE,
    AD_LIST,
    "ad_id",
    MAX_PAGE_SIZE,
    "adgroup_id",
    "ad_name",
    AD_STATUS,
    "ad_id",
    "AUCTION_AD",
    ("ad_ids", 0),
)
SMART_PLUS_AD_GROUP = CreatableObject(
    SMART_PLUS_AD_GROUP_CREATE,
    SMART_PLUS_AD_GROUP_LIST,
    "adgroup_id",
    MAX_PAGE_SIZE,
    "campaign_id",
    "adgroup_name",
    SMART_PLUS_AD_GROUP_STATUS,
    "adgroup_id",
    "AUCTION_ADGROUP",
    ("adgroup_id",),
)
SMART_PLUS_AD = CreatableObject(
    SMART_PLUS_AD_CREATE,
    SMART_PLUS_AD_LIST,
    "smart_plus_ad_id",
    100,
    "adgroup_id",
    "ad_name",
    SMART_PLUS_AD_STATUS,
    "ad_id_v2",  # ad_id is a creative of the ad
    "AUCTION_AD",
    ("smart_plus_ad_id",),
)

AD_GROUPS_BY_KIND: Mapping[CampaignKind, CreatableObject] = {
    "manual": MANUAL_AD_GROUP,
    "smart_plus": SMART_PLUS_AD_GROUP,
}
ADS_BY_KIND: Mapping[CampaignKind, CreatableObject] = {"manual": MANUAL_AD, "smart_plus": SMART_PLUS_AD}

UPGRADED_SMART_PLUS = "UPGRADED_SMART_PLUS"
"""The automation type of campaigns that only the Upgraded Smart+ endpoints write to.

Source: mengxingxinqing/tiktok_ads, compatibility_changes_for_upgraded_smart_campaigns.
"""
LEGACY_SMART_PLUS = "SMART_PLUS"
"""The automation type of the older campaigns, in which nothing new can be created since 31 March 2026."""

SMART_PLUS_OBJECTIVES = ("APP_PROMOTION", "LEAD_GENERATION", "WEB_CONVERSIONS")
MAX_SMART_PLUS_AD_GROUPS, MAX_SMART_PLUS_ADS = 30, 30
"""The limits of ad groups in a campaign, and of ads in an ad group (create_an_upgraded_smart_ad_group, _ad)."""

SMART_PLUS_AD_GROUP_VALUES: Mapping[str, frozenset[str]] = {
    "promotion_type": frozenset(
        {
            *("APP_ANDROID", "APP_IOS", "WEBSITE", "MINI_APP", "MINI_GAME", "LEAD_GENERATION"),
            *("LEAD_GEN_CLICK_TO_TT_DIRECT_MESSAGE", "LEAD_GEN_CLICK_TO_SOCIAL_MEDIA_APP_MESSAGE"),
            "LEAD_GEN_CLICK_TO_CALL",
        }
    ),
    "optimization_goal": frozenset(
        {
            *("CLICK", "INSTALL", "IN_APP_EVENT", "VALUE", "CONVERT", "TRAFFIC_LANDING_PAGE_VIEW", "CONVERSATION"),
            "LEAD_GENERATION",
        }
    ),
    "billing_event": frozenset({"OCPM", "CPC"}),
}
"""The values that an Upgraded Smart+ ad group accepts, of fields that a manual one may have with others.

Source: mengxingxinqing/tiktok_ads, create_an_upgraded_smart_ad_group.
"""

SHARED_BY_SMART_PLUS_AD_GROUPS = {
    True: (
        *("promotion_type", "promotion_target_type", "optimization_goal", "optimization_event", "billing_event"),
        *("bid_type", "bid_price", "conversion_bid_price", "deep_bid_type", "vbo_window", "roas_bid"),
    ),
    False: ("bid_type", "deep_bid_type", "vbo_window", "budget_mode"),
}
"""The fields that all ad groups of an Upgraded Smart+ campaign share, by whether the campaign has the budget.

Source: mengxingxinqing/tiktok_ads, create_an_upgraded_smart_ad_group.
"""

AGE_GROUPS_OF_SMART_PLUS_AGES = {
    "18+": ("AGE_18_24", "AGE_25_34", "AGE_35_44", "AGE_45_54", "AGE_55_100"),
    "25+": ("AGE_25_34", "AGE_35_44", "AGE_45_54", "AGE_55_100"),
    # The page's example has names where its table has signs.
    "OVER_EIGHTEEN": ("AGE_18_24", "AGE_25_34", "AGE_35_44", "AGE_45_54", "AGE_55_100"),
    "OVER_TWENTY_FIVE": ("AGE_25_34", "AGE_35_44", "AGE_45_54", "AGE_55_100"),
}
"""The age groups of `spc_audience_age`; ALL has no limit."""

SMART_PLUS_SUGGESTIONS = (
    *("age_groups", "gender", "audience_ids", "interest_category_ids", "interest_keyword_ids"),
    *("purchase_intention_keyword_ids", "actions"),
)
"""Targeting that is only a suggestion if `suggestion_audience_enabled` (create_an_upgraded_smart_ad_group)."""


@dataclass(frozen=True, slots=True)
class ObjectList:
    """A list of objects that a duplication only reads; see `CreatableObject`."""

    endpoint: Endpoint
    key: str
    page_size: int


SMART_PLUS_CAMPAIGNS = ObjectList(SMART_PLUS_CAMPAIGN_LIST, "campaign_id", MAX_PAGE_SIZE)

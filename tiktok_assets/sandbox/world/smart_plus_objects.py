"""Convert Upgraded Smart+ entities to the objects of the `smart_plus/` endpoints.

Reads and writes return the same objects (mengxingxinqing/tiktok_ads: get_upgraded_smart_campaigns, _ad_groups and
_ads, create_an_upgraded_smart_campaign, _ad_group and _ad). A field without a value is absent, as in the examples of
those pages.
"""

from typing import Any

from tiktok_assets.sandbox.world.api_objects import (
    CUSTOM_IDENTITY,
    Item,
    ad_group_item,
    ad_item,
    campaign_item,
)
from tiktok_assets.sandbox.world.model import Ad, AdGroup, Campaign, SmartPlusAd, format_utc
from tiktok_assets.sandbox.world.status import operation_status, secondary_status

_CAMPAIGN_FIELDS = (
    "advertiser_id campaign_id campaign_name create_time modify_time objective_type app_promotion_type"
    " sales_destination campaign_type app_id catalog_enabled special_industries budget_mode budget operation_status"
    " secondary_status po_number rta_id postback_window_mode"
).split()
_AD_GROUP_FIELDS = (
    "advertiser_id campaign_id campaign_name adgroup_id adgroup_name promotion_type app_id optimization_goal pixel_id"
    " optimization_event bid_type billing_event click_attribution_window view_attribution_window"
    " engaged_view_attribution_window attribution_event_count budget schedule_type schedule_start_time"
    " schedule_end_time dayparting pacing placement_type placements search_result_enabled comment_disabled"
    " share_disabled video_download_disabled skip_learning_phase operation_status secondary_status create_time"
    " modify_time"
).split()
TARGETING_FIELDS = (
    "location_ids zipcode_ids languages operating_systems excluded_audience_ids age_groups gender audience_ids"
    " interest_category_ids interest_keyword_ids actions device_model_ids network_types carrier_ids isp_ids"
    " device_price_ranges"
).split()  # of a targeting_spec, as far as adgroup/get has them too
_LISTS_OF_AN_AD = ("deeplink_list", "interactive_add_on_list", "page_list", "call_to_action_list")
NO_BUSINESS_CENTER = "0"


def material_id_of(creative: Ad) -> str:
    """Return the id of a creative's material in its ad, which is not the creative's `ad_id`."""
    return f"17{int(creative.id) % 10**17:017d}"


def _without_none(item: Item) -> Item:
    return {name: value for name, value in item.items() if value is not None}


def smart_plus_campaign_item(campaign: Campaign, now: int) -> Item:
    """Return the object of an Upgraded Smart+ campaign."""
    item = campaign_item(campaign, now)
    return _without_none(
        {
            **{name: item.get(name) for name in _CAMPAIGN_FIELDS},
            "budget_optimize_on": campaign.budget_optimize_on,
            "smart_plus_adgroup_mode": "MULTIPLE",
            "special_industries": item["special_industries"] or None,
            "catalog_enabled": item["catalog_enabled"] or None,
            **campaign.smart_plus_fields,
        }
    )


def smart_plus_ad_group_item(ad_group: AdGroup, now: int) -> Item:
    """Return the object of an Upgraded Smart+ ad group; with CBO its budget is 0 without a limit, as in the page."""
    item = ad_group_item(ad_group, now)
    has_own_budget = not ad_group.campaign.budget_optimize_on
    targeting: dict[str, Any] = {name: item[name] or None for name in TARGETING_FIELDS}
    return _without_none(
        {
            **{name: item.get(name) for name in _AD_GROUP_FIELDS},
            "budget_mode": item["budget_mode"] if has_own_budget else "BUDGET_MODE_INFINITE",
            "min_budget": 0.0,
            "deep_bid_type": item["deep_bid_type"] or "DEFAULT",
            "bid_price": item["bid_price"] or None,
            "conversion_bid_price": item["conversion_bid_price"] or None,
            "targeting_optimization_mode": "AUTOMATIC",
            "targeting_spec": _without_none({"actions": [], "spending_power": "ALL", **targeting}),
            **ad_group.smart_plus_fields,
        }
    )


def smart_plus_ad_item(ad: SmartPlusAd, now: int) -> Item:
    """Return the object of an Upgraded Smart+ ad; `smart_plus_fields` override what follows from its creatives."""
    texts = dict.fromkeys(one.text for one in ad.creatives if one.text)
    links = dict.fromkeys(ad_item(one, now)["landing_page_url"] for one in ad.creatives)
    modified = max([ad.modified_at(now), *(one.modified_at(now) for one in ad.creatives if one.exists(now))])
    return {
        "advertiser_id": ad.campaign.advertiser.id,
        "campaign_id": ad.campaign.id,
        "campaign_name": ad.campaign.name,
        "adgroup_id": ad.ad_group.id,
        "adgroup_name": ad.ad_group.name,
        "smart_plus_ad_id": ad.id,
        "ad_name": ad.name,
        "operation_status": operation_status(ad, now),
        "secondary_status": secondary_status(ad, now),
        "create_time": format_utc(ad.created),
        "modify_time": format_utc(modified),
        "creative_list": [_creative_item(one, now) for one in ad.creatives if one.exists(now)],
        "ad_text_list": [{"ad_text": text} for text in list(texts)[:5]],
        "landing_page_url_list": [{"landing_page_url": link} for link in list(links)[:1]],
        **{name: [] for name in _LISTS_OF_AN_AD},
        **ad.smart_plus_fields,
        "ad_configuration": {
            "tracking_info": {},
            "utm_params": [],
            **ad.smart_plus_fields.get("ad_configuration", {}),
        },
    }


def _creative_item(creative: Ad, now: int) -> Item:
    return {
        "ad_material_id": material_id_of(creative),
        "material_operation_status": operation_status(creative, now),
        "creative_info": _creative_info(creative, ad_item(creative, now)),
    }


def _creative_info(creative: Ad, item: Item) -> Item:
    """Return the information of a creative; a post has neither video nor images, a custom identity is the ad's."""
    info: Item = {"ad_format": item["ad_format"]}
    if item["identity_type"] and item["identity_type"] != CUSTOM_IDENTITY:
        info |= {
            "identity_type": item["identity_type"],
            "identity_id": item["identity_id"],
            "identity_authorized_bc_id": item["identity_authorized_bc_id"] or NO_BUSINESS_CENTER,
        }
    if item["tiktok_item_id"] and not item["video_id"] and not item["image_ids"]:
        return info | {"tiktok_item_id": item["tiktok_item_id"]}
    info["material_name"] = creative.fields.get("material_name", "")
    if item["video_id"]:
        info["video_info"] = {"video_id": item["video_id"], "file_name": ""}
    if item["image_ids"]:
        info["image_info"] = [{"web_uri": image} for image in item["image_ids"]]
    if item["music_id"]:
        info["music_info"] = {"music_id": item["music_id"]}
    if disclosure := creative.fields.get("aigc_disclosure_type"):
        info["aigc_disclosure_type"] = disclosure
    return info

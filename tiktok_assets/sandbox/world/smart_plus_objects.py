"""Convert the entities of Upgraded Smart+ campaigns to the objects of the lists under /smart_plus/.

Sources: mengxingxinqing/tiktok_ads, pages get_upgraded_smart_campaigns, get_upgraded_smart_ad_groups and
get_upgraded_smart_ads. Their examples leave out a field without a value instead of showing null; so do these
objects.
"""

from typing import Any

from tiktok_assets.sandbox.world.api_objects import (
    CUSTOM_IDENTITY,
    Item,
    ad_group_item,
    ad_item,
    campaign_item,
    stable_id,
)
from tiktok_assets.sandbox.world.model import Ad, AdGroup, Campaign, SmartPlusAd, format_utc
from tiktok_assets.sandbox.world.status import operation_status, secondary_status

UPGRADED = "UPGRADED_SMART_PLUS"
NO_BUSINESS_CENTER = "0"  # of an identity without one, by the example of get_upgraded_smart_ads


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CAMPAIGN_FIELDS = _names(
    """
    advertiser_id campaign_id create_time modify_time objective_type app_promotion_type sales_destination
    campaign_type app_id gaming_ad_compliance_agreement is_advanced_dedicated_campaign disable_skan_campaign
    bid_align_type campaign_app_profile_page_state catalog_enabled catalog_type campaign_name special_industries
    budget_optimize_on budget_mode budget_auto_adjust_strategy budget current_budget operation_status
    secondary_status smart_plus_adgroup_mode postback_window_mode po_number is_promotional_campaign rta_id
    rta_bid_enabled rta_product_selection_enabled
    """
)
# operation_status, secondary_status and product_source are in the page's example only.
AD_GROUP_FIELDS = _names(
    """
    advertiser_id campaign_id campaign_name adgroup_id adgroup_name catalog_id catalog_authorized_bc_id
    promotion_type app_id gaming_ad_compliance_agreement promotion_website_type optimization_goal pixel_id
    app_config minis_id optimization_event custom_conversion_id deep_funnel_optimization_status
    deep_funnel_event_source deep_funnel_event_source_id deep_funnel_optimization_event identity_id identity_type
    identity_authorized_bc_id messaging_app_type zalo_id_type messaging_app_account_id message_event_set_id
    phone_info bid_type bid_price conversion_bid_price deep_bid_type roas_bid incentive_offer_type vbo_window
    click_attribution_window engaged_view_attribution_window view_attribution_window attribution_event_count
    billing_event pacing budget_mode budget_auto_adjust_strategy budget current_budget min_budget schedule_type
    schedule_start_time schedule_end_time movie_premiere_date dayparting targeting_optimization_mode
    suggestion_audience_enabled targeting_spec is_hfss is_lhf_compliance placement_type placements
    search_result_enabled comment_disabled share_disabled video_download_disabled skip_learning_phase create_time
    modify_time operation_status secondary_status product_source
    """
)
TARGETING_FIELDS = _names(
    """
    app_targeting_type location_ids zipcode_ids spc_audience_age languages operating_systems excluded_audience_ids
    age_groups gender audience_ids shopping_ads_retargeting_type shopping_ads_retargeting_actions_days
    included_custom_actions excluded_custom_actions shopping_ads_retargeting_custom_audience_relation
    included_pangle_audience_package_ids excluded_pangle_audience_package_ids interest_category_ids
    interest_keyword_ids purchase_intention_keyword_ids actions smart_interest_behavior_enabled
    smart_audience_enabled spending_power household_income min_android_version min_ios_version device_model_ids
    network_types carrier_ids isp_ids device_price_ranges saved_audience_id blocked_pangle_app_ids
    brand_safety_type category_exclusion_ids
    """
)
AD_FIELDS = _names(
    """
    advertiser_id campaign_id campaign_name adgroup_id adgroup_name smart_plus_ad_id ad_name operation_status
    secondary_status create_time modify_time creative_list ad_text_list auto_message_list call_to_action_list
    interactive_add_on_list page_list landing_page_url_list custom_product_page_list deeplink_list disclaimer
    ad_configuration
    """
)
AD_CONFIGURATION_FIELDS = _names(
    """
    identity_type identity_id identity_authorized_bc_id dark_post_status product_specific_type product_set_id
    product_info_enabled product_ids catalog_creative_toggle catalog_creative_info creative_auto_add_toggle
    creative_auto_enhancement_strategy_list deeplink_utm_params end_card_cta product_display_field_list
    auto_disclaimer_types utm_params fallback_type product_info call_to_action_id phone_info tracking_info
    """
)
LIMITED_AD_FIELDS = _names(
    """
    advertiser_id campaign_id campaign_name adgroup_id adgroup_name ad_id_v2 ad_name campaign_automation_type
    operation_status secondary_status create_time modify_time
    """
)
ALL_AGE_GROUPS = ["AGE_18_24", "AGE_25_34", "AGE_35_44", "AGE_45_54", "AGE_55_100"]  # by the page's example
# Not in the page's example unless they have a value.
_OPTIONAL_NUMBERS = _names("bid_price deep_cpa_bid roas_bid")


def smart_plus_campaign_item(campaign: Campaign, now: int) -> Item:
    """Return the object of smart_plus/campaign/get."""
    item = {
        "budget_optimize_on": campaign.budget_optimize_on,
        "smart_plus_adgroup_mode": "MULTIPLE",
        **campaign_item(campaign, now),
        **campaign.smart_plus_fields,
    }
    return _with_values(item, CAMPAIGN_FIELDS)


def smart_plus_ad_group_item(ad_group: AdGroup, now: int) -> Item:
    """Return the object of smart_plus/adgroup/get, whose targeting is an object of its own."""
    flat = ad_group_item(ad_group, now)
    given = ad_group.smart_plus_fields
    audience = {"spc_audience_age": "OVER_EIGHTEEN", "spending_power": "ALL"}
    spec = {**audience, **flat, **given.get("targeting_spec", {})}
    spec["age_groups"] = spec["age_groups"] or ALL_AGE_GROUPS  # null without restriction in adgroup/get
    item = {
        "targeting_optimization_mode": "AUTOMATIC",
        "promotion_website_type": "UNSET",
        **{name: value for name, value in flat.items() if not (name in _OPTIONAL_NUMBERS and not value)},
        **given,
        "targeting_spec": _with_values(spec, TARGETING_FIELDS),
    }
    return _with_values(item, AD_GROUP_FIELDS)


def smart_plus_ad_item(ad: SmartPlusAd, now: int) -> Item:
    """Return the object of smart_plus/ad/get."""
    campaign = ad.campaign
    item = {
        "ad_text_list": [],
        "ad_configuration": {},
        **ad.smart_plus_fields,
        "advertiser_id": campaign.advertiser.id,
        "campaign_id": campaign.id,
        "campaign_name": campaign.name,
        "adgroup_id": ad.ad_group.id,
        "adgroup_name": ad.ad_group.name,
        "smart_plus_ad_id": ad.id,
        "ad_name": ad.name,
        "operation_status": operation_status(ad, now),
        "secondary_status": secondary_status(ad, now),
        "create_time": format_utc(ad.created),
        "modify_time": format_utc(ad.modified_at(now)),
        "creative_list": [
            creative_item(one, now) for one in ad.creatives if one.exists(now) and not one.is_deleted(now)
        ],
    }
    return {name: item[name] for name in AD_FIELDS if name in item}


def ad_item_v2(ad: Ad | SmartPlusAd, now: int) -> Item:
    """Return the object of ad/get with the filter `ad_ids_v2`.

    Of an Upgraded Smart+ ad it has limited data (retrieve_data_for_upgrade_smart_smart_and_manual_campaigns, which
    does not say which): those of the hierarchy, times and status are our choice.
    """
    if isinstance(ad, Ad):
        return ad_item(ad, now)
    item = smart_plus_ad_item(ad, now) | {"ad_id_v2": ad.id, "campaign_automation_type": UPGRADED}
    return {name: item[name] for name in LIMITED_AD_FIELDS}


def creative_item(ad: Ad, now: int) -> Item:
    """Return one element of `creative_list`."""
    return {
        "ad_material_id": ad_material_id(ad),
        "material_operation_status": operation_status(ad, now),
        "creative_info": creative_info(ad_item(ad, now), ad.smart_plus_fields),
    }


def ad_material_id(ad: Ad) -> str:
    """Return the id of a creative as used in its ad; the same video has another one in another ad."""
    return stable_id("ad material", ad.id)


def creative_info(shown: Item, given: Item) -> Item:
    """Return the `creative_info` of a creative.

    A pulled post has only its id and its identity, a pushed video or carousel its media and its identity. A custom
    identity is here too, by the example of the page, although its table says `ad_configuration`.

    Args:
        shown: The object of ad/get of the creative.
        given: Fields of `creative_info` that ad/get does not have.
    """
    info: Item = {"ad_format": shown["ad_format"]}
    if shown["ad_format"] == "CATALOG_CAROUSEL":
        return info | given
    info |= {"identity_type": shown["identity_type"], "identity_id": shown["identity_id"]}
    if shown["identity_type"] != CUSTOM_IDENTITY:
        info["identity_authorized_bc_id"] = shown["identity_authorized_bc_id"] or NO_BUSINESS_CENTER
    if not shown["video_id"] and not shown["image_ids"]:
        return info | {"tiktok_item_id": shown["tiktok_item_id"]} | given
    info |= {"material_name": "", "image_info": [{"web_uri": image} for image in shown["image_ids"]]}
    if shown["video_id"]:
        info["video_info"] = {"video_id": shown["video_id"], "file_name": ""}
    if shown["music_id"]:
        info["music_info"] = {"music_id": shown["music_id"]}
    return info | given


def _with_values(item: dict[str, Any], names: tuple[str, ...]) -> Item:
    """Return the named fields that have a value."""
    return {name: item[name] for name in names if item.get(name) is not None and item[name] != []}

"""Schemas of the bodies of the Upgraded Smart+ write endpoints.

Sources: mengxingxinqing/tiktok_ads, create_an_upgraded_smart_campaign, create_an_upgraded_smart_ad_group,
create_an_upgraded_smart_ad and update_the_operation_statuses_of_upgraded_smart_campaigns, _ad_groups, _ads.
Fields whose values nothing here depends on are only checked for their type.
"""

from tiktok_assets.sandbox.writes.request_schemas import ADVERTISER, OPERATION_STATUSES, named_fields
from tiktok_assets.sandbox.writes.schema import Field, Schema

MAX_NAME_LENGTH = 512
MAX_STATUS_IDS = 20
SPARK_IDENTITIES = ("AUTH_CODE", "TT_USER", "BC_AUTH_TT")
GOALS = (
    *("CLICK", "INSTALL", "IN_APP_EVENT", "VALUE", "CONVERT", "TRAFFIC_LANDING_PAGE_VIEW"),
    *("CONVERSATION", "LEAD_GENERATION"),
)
_ON_OFF = ("ON", "OFF")
_CLICK_WINDOWS = (
    *("OFF", "ONE_DAY", "SEVEN_DAYS", "FOURTEEN_DAYS", "TWENTY_EIGHT_DAYS"),
    *("THIRTY_DAYS", "THIRTY_TWO_DAYS", "ONE_HUNDRED_EIGHTY_DAYS"),
)
_POSTBACK_WINDOWS = tuple(f"POSTBACK_WINDOW_MODE{number}" for number in (1, 2, 3))
_NAME = Field("text", required=True, max_length=MAX_NAME_LENGTH)
_STATUS = Field("choice", values=OPERATION_STATUSES)

CAMPAIGN_CREATE: Schema = {
    **ADVERTISER,
    "request_id": Field("id", required=True),
    "operation_status": _STATUS,
    "objective_type": Field(
        "choice", required=True, values=("APP_PROMOTION", "WEB_CONVERSIONS", "LEAD_GENERATION")
    ),
    "app_promotion_type": Field("choice", values=("APP_INSTALL", "APP_RETARGETING", "MINIS")),
    "sales_destination": Field("choice", values=("WEBSITE", "APP", "WEB_AND_APP")),
    "catalog_type": Field("choice", values=("ECOMMERCE", "TRAVEL_ENTERTAINMENT", "MINI_SERIES")),
    "campaign_type": Field("choice", values=("REGULAR_CAMPAIGN", "IOS14_CAMPAIGN")),
    "campaign_name": Field("text", required=True),
    "special_industries": Field("texts", values=("HOUSING", "EMPLOYMENT", "CREDIT")),
    "budget_mode": Field(
        "choice",
        values=(
            *("BUDGET_MODE_DYNAMIC_DAILY_BUDGET", "BUDGET_MODE_TOTAL"),
            *("BUDGET_MODE_INFINITE", "BUDGET_MODE_DAY"),
        ),
    ),
    "budget_auto_adjust_strategy": Field("choice", values=("AUTO_BUDGET_INCREASE",)),
    "budget": Field("number"),
    "postback_window_mode": Field("choice", values=_POSTBACK_WINDOWS),
    **named_fields("choice", "gaming_ad_compliance_agreement campaign_app_profile_page_state", values=_ON_OFF),
    **named_fields("text", "app_id po_number rta_id"),
    **named_fields("boolean", "catalog_enabled is_promotional_campaign disable_skan_campaign budget_optimize_on"),
    **named_fields("boolean", "rta_bid_enabled rta_product_selection_enabled"),
}

TARGETING_SPEC: Schema = {
    "app_targeting_type": Field("choice", values=("PROSPECT", "RETARGETING")),
    **named_fields("ids", "location_ids zipcode_ids", max_items=3000),
    # The table of the page has 18+ and 25+, its examples have OVER_EIGHTEEN; all are accepted.
    "spc_audience_age": Field("choice", values=("ALL", "18+", "25+", "OVER_EIGHTEEN", "OVER_TWENTY_FIVE")),
    "operating_systems": Field("texts", values=("ANDROID", "IOS"), max_items=1),
    "age_groups": Field(
        "texts",
        values=(*("AGE_13_17", "AGE_18_24", "AGE_25_34", "AGE_35_44"), *("AGE_45_54", "AGE_55_100")),
    ),
    "gender": Field("choice", values=("GENDER_FEMALE", "GENDER_MALE", "GENDER_UNLIMITED")),
    "spending_power": Field("choice", values=("ALL", "HIGH")),
    "household_income": Field("texts", values=("TOP5", "TOP10", "TOP10_25", "TOP25_50")),
    "device_price_ranges": Field("numbers"),
    **named_fields("texts", "languages excluded_audience_ids audience_ids interest_category_ids"),
    **named_fields("texts", "interest_keyword_ids purchase_intention_keyword_ids device_model_ids network_types"),
    **named_fields("texts", "included_pangle_audience_package_ids excluded_pangle_audience_package_ids"),
    **named_fields("texts", "carrier_ids isp_ids blocked_pangle_app_ids"),
    **named_fields("text", "min_android_version min_ios_version saved_audience_id"),
    **named_fields("text", "shopping_ads_retargeting_type shopping_ads_retargeting_custom_audience_relation"),
    "shopping_ads_retargeting_actions_days": Field("integer"),
    **named_fields("boolean", "smart_interest_behavior_enabled smart_audience_enabled"),
    **named_fields("dicts", "actions included_custom_actions excluded_custom_actions"),
}
AD_GROUP_CREATE: Schema = {
    **ADVERTISER,
    "request_id": Field("id", required=True),
    "campaign_id": Field("id", required=True),
    "operation_status": _STATUS,
    "adgroup_name": _NAME,
    "promotion_type": Field(
        "choice",
        required=True,
        values=(
            *("APP_ANDROID", "APP_IOS", "WEBSITE", "MINI_APP", "MINI_GAME", "LEAD_GENERATION"),
            *("LEAD_GEN_CLICK_TO_TT_DIRECT_MESSAGE", "LEAD_GEN_CLICK_TO_SOCIAL_MEDIA_APP_MESSAGE"),
            "LEAD_GEN_CLICK_TO_CALL",
        ),
    ),
    "promotion_target_type": Field("choice", values=("INSTANT_PAGE", "EXTERNAL_WEBSITE")),
    "optimization_goal": Field("choice", required=True, values=GOALS),
    "app_config": Field("objects", min_items=1, max_items=2, schema={"app_id": Field("id", required=True)}),
    "bid_type": Field("choice", required=True, values=("BID_TYPE_NO_BID", "BID_TYPE_CUSTOM")),
    **named_fields("bid", "bid_price conversion_bid_price roas_bid"),
    "deep_bid_type": Field("choice", values=("DEFAULT", "AEO", "VO_MIN_ROAS", "VO_HIGHEST_VALUE")),
    "vbo_window": Field("choice", values=("SEVEN_DAYS", "ZERO_DAY")),
    "click_attribution_window": Field("choice", values=_CLICK_WINDOWS),
    "engaged_view_attribution_window": Field("choice", values=_CLICK_WINDOWS[:5]),
    "view_attribution_window": Field("choice", values=_CLICK_WINDOWS[:3]),
    "attribution_event_count": Field("choice", values=("UNSET", "EVERY", "ONCE")),
    "billing_event": Field("choice", required=True, values=("OCPM", "CPC")),
    "targeting_optimization_mode": Field("choice", values=("AUTOMATIC", "MANUAL")),
    "targeting_spec": Field("object", required=True, schema=TARGETING_SPEC),
    "budget_mode": Field("choice", values=("BUDGET_MODE_TOTAL", "BUDGET_MODE_DYNAMIC_DAILY_BUDGET")),
    "budget_auto_adjust_strategy": Field("choice", values=("AUTO_BUDGET_INCREASE", "UNSET")),
    **named_fields("number", "budget min_budget"),
    "schedule_type": Field("choice", required=True, values=("SCHEDULE_FROM_NOW", "SCHEDULE_START_END")),
    "schedule_start_time": Field("time", required=True),
    "schedule_end_time": Field("time"),
    "dayparting": Field("text", max_length=336),
    "placement_type": Field("choice", values=("PLACEMENT_TYPE_AUTOMATIC", "PLACEMENT_TYPE_NORMAL")),
    "placements": Field(
        "texts", values=("PLACEMENT_TIKTOK", "PLACEMENT_PANGLE", "PLACEMENT_GLOBAL_APP_BUNDLE"), min_items=1
    ),
    "deep_funnel_event_source": Field("choice", values=("PIXEL", "OFFLINE", "CRM")),
    "messaging_app_type": Field("choice", values=("MESSENGER", "WHATSAPP", "ZALO", "LINE", "IM_URL")),
    "zalo_id_type": Field("choice", values=("ZALO_OFFICIAL_ACCOUNT", "ZALO_PHONE_ACCOUNT")),
    "identity_type": Field("choice", values=("TT_USER", "BC_AUTH_TT")),
    "phone_info": Field("dict"),
    **named_fields("choice", "gaming_ad_compliance_agreement deep_funnel_optimization_status", values=_ON_OFF),
    **named_fields("id", "catalog_id catalog_authorized_bc_id app_id pixel_id"),
    **named_fields("text", "minis_id optimization_event custom_conversion_id deep_funnel_event_source_id"),
    **named_fields("text", "deep_funnel_optimization_event identity_id identity_authorized_bc_id"),
    **named_fields("text", "messaging_app_account_id message_event_set_id movie_premiere_date"),
    **named_fields("boolean", "suggestion_audience_enabled is_hfss is_lhf_compliance comment_disabled"),
    **named_fields("boolean", "share_disabled video_download_disabled"),
}

CREATIVE_INFO: Schema = {
    "ad_format": Field("choice", required=True, values=("SINGLE_VIDEO", "CAROUSEL_ADS", "CATALOG_CAROUSEL")),
    "video_info": Field("object", schema={"video_id": Field("text", required=True), "file_name": Field("text")}),
    "image_info": Field("objects", schema={"web_uri": Field("text", required=True)}),
    "music_info": Field("object", schema={"music_id": Field("text", required=True)}),
    "aigc_disclosure_type": Field("choice", values=("SELF_DISCLOSURE", "NOT_DECLARED")),
    "identity_type": Field("choice", values=SPARK_IDENTITIES),
    **named_fields("text", "tiktok_item_id identity_id"),
    "identity_authorized_bc_id": Field("id"),
}
_UTM: Schema = {"key": Field("text", max_length=100), "value": Field("text", max_length=600)}
AD_CONFIGURATION: Schema = {
    "identity_type": Field("choice", values=("CUSTOMIZED_USER", "TT_USER", "BC_AUTH_TT")),
    "identity_id": Field("text"),
    "identity_authorized_bc_id": Field("id"),
    "dark_post_status": Field("choice", values=_ON_OFF),
    "product_specific_type": Field("choice", values=("ALL", "PRODUCT_SET", "CUSTOMIZED_PRODUCTS")),
    "product_set_id": Field("text"),
    "product_ids": Field("texts", max_items=20),
    **named_fields("boolean", "catalog_creative_toggle creative_auto_add_toggle"),
    **named_fields("dict", "catalog_creative_info product_info tracking_info"),
    "creative_auto_enhancement_strategy_list": Field(
        "texts",
        values=("TRANSLATE_AND_DUB", "MUSIC_REFRESH", "VIDEO_QUALITY", "IMAGE_QUALITY", "IMAGE_RESIZE"),
    ),
    **named_fields("objects", "utm_params deeplink_utm_params", max_items=14, schema=_UTM),
    **named_fields("text", "end_card_cta call_to_action_id"),
    "product_display_field_list": Field("texts", max_items=2),
    "auto_disclaimer_types": Field("texts", values=("EMISSION", "DISCOUNT"), max_items=1),
    "fallback_type": Field("choice", values=("WEBSITE",)),
    "product_info_enabled": Field("choice", values=("UNSET", "NON_CATALOG", "CATALOG")),
    "phone_info": Field(
        "object",
        schema=named_fields("text", "phone_region_code phone_region_calling_code phone_number", required=True),
    ),
}
_DEEPLINK: Schema = {
    "deeplink": Field("text"),
    "deeplink_type": Field("choice", values=("DEFERRED_DEEPLINK", "NORMAL")),
}


def _list_of(name: str, max_items: int, *, required: bool = True) -> Field:
    """Return a list of objects with one text."""
    return Field("objects", max_items=max_items, schema={name: Field("text", required=required)})


AD_CREATE: Schema = {
    **ADVERTISER,
    "adgroup_id": Field("id", required=True),
    "ad_name": Field("text"),
    "operation_status": _STATUS,
    "creative_list": Field(
        "objects",
        required=True,
        min_items=1,
        max_items=50,
        schema={"creative_info": Field("object", required=True, schema=CREATIVE_INFO)},
    ),
    "ad_text_list": _list_of("ad_text", 5),
    "auto_message_list": _list_of("auto_message_id", 1),
    "call_to_action_list": _list_of("call_to_action", 3),
    "interactive_add_on_list": _list_of("card_id", 1, required=False),
    "page_list": _list_of("page_id", 3, required=False),
    "landing_page_url_list": _list_of("landing_page_url", 1),
    "custom_product_page_list": _list_of("custom_product_page_url", 1, required=False),
    "deeplink_list": Field("objects", max_items=1, schema=_DEEPLINK),
    "disclaimer": Field("dict"),
    "ad_configuration": Field("object", schema=AD_CONFIGURATION),
}

_STATUS_UPDATE: Schema = {
    **ADVERTISER,
    "operation_status": Field("choice", required=True, values=(*OPERATION_STATUSES, "DELETE")),
}
_IDS = Field("ids", required=True, min_items=1, max_items=MAX_STATUS_IDS)
CAMPAIGN_STATUS: Schema = {
    **_STATUS_UPDATE,
    "campaign_ids": _IDS,
    "postback_window_mode": Field("choice", values=_POSTBACK_WINDOWS),
}
AD_GROUP_STATUS: Schema = {**_STATUS_UPDATE, "adgroup_ids": _IDS}
AD_STATUS: Schema = {**_STATUS_UPDATE, "smart_plus_ad_ids": _IDS}

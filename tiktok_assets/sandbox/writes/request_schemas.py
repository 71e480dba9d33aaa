"""Schemas of the bodies of the write endpoints (API notes 8.1-8.4)."""

from tiktok_assets.sandbox.reads.entity_filters import OBJECTIVE_TYPES
from tiktok_assets.sandbox.writes.schema import Field, Schema

MAX_BATCH = 20  # ids or creatives of one request (API notes 8.1)
MAX_NAME_LENGTH = 512  # API notes 5.4, 8.2, 8.3
BUDGET_MODES = (
    "BUDGET_MODE_INFINITE",
    "BUDGET_MODE_TOTAL",
    "BUDGET_MODE_DAY",
    "BUDGET_MODE_DYNAMIC_DAILY_BUDGET",
)  # API notes 5.6
OPERATION_STATUSES = ("ENABLE", "DISABLE")
BILLING_EVENT_OF_GOAL = {  # the billing event of each goal (API notes 8.2, where the map is uncertain)
    **dict.fromkeys(("CLICK", "PAGE_VISIT"), "CPC"),
    **dict.fromkeys(
        ("CONVERT", "INSTALL", "IN_APP_EVENT", "TRAFFIC_LANDING_PAGE_VIEW", "LEAD_GENERATION"), "OCPM"
    ),
    **dict.fromkeys(("CONVERSATION", "FOLLOWERS", "VALUE", "AUTOMATIC_VALUE_OPTIMIZATION"), "OCPM"),
    **dict.fromkeys(("PRODUCT_CLICK_IN_LIVE", "MT_LIVE_ROOM", "DESTINATION_VISIT"), "OCPM"),
    **dict.fromkeys(("SHOW", "REACH"), "CPM"),
    **dict.fromkeys(("ENGAGED_VIEW", "ENGAGED_VIEW_FIFTEEN"), "CPV"),
}


def named_fields(kind: str, names: str, **options: object) -> dict[str, Field]:
    """Return equal fields of several names."""
    return {name: Field(kind, **options) for name in names.split()}  # type: ignore[arg-type]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ADVERTISER: Schema = {"advertiser_id": Field("id", required=True)}

CAMPAIGN_UPDATE: Schema = {
    **ADVERTISER,
    "campaign_id": Field("id", required=True),
    "campaign_name": Field("text", max_length=MAX_NAME_LENGTH),
    "special_industries": Field("texts", values=("HOUSING", "EMPLOYMENT", "CREDIT")),
    "budget": Field("number"),
    "po_number": Field("text"),
}
CAMPAIGN_CREATE: Schema = {
    **{name: field for name, field in CAMPAIGN_UPDATE.items() if name != "campaign_id"},
    "objective_type": Field("choice", required=True, values=tuple(OBJECTIVE_TYPES)),
    "campaign_name": Field("text", required=True, max_length=MAX_NAME_LENGTH),
    "budget_mode": Field("choice", required=True, values=BUDGET_MODES),
    "request_id": Field("id"),
    "budget_optimize_on": Field("boolean"),
    "operation_status": Field("choice", values=OPERATION_STATUSES),
    "app_promotion_type": Field("choice", values=("APP_INSTALL", "APP_RETARGETING", "APP_PREREGISTRATION")),
    "virtual_objective_type": Field("choice", values=("SALES",)),
    "sales_destination": Field("choice", values=("TIKTOK_SHOP", "WEBSITE", "APP", "WEB_AND_APP")),
    "campaign_type": Field("choice", values=("REGULAR_CAMPAIGN", "IOS14_CAMPAIGN")),
    "campaign_product_source": Field("choice", values=("CATALOG", "STORE")),
    "postback_window_mode": Field("choice", values=tuple(f"POSTBACK_WINDOW_MODE{number}" for number in (1, 2, 3))),
    "rf_campaign_type": Field("choice", values=("STANDARD", "PULSE")),
    **named_fields("text", "app_id rta_id"),
    **named_fields(
        "boolean", "is_search_campaign is_advanced_dedicated_campaign disable_skan_campaign catalog_enabled"
    ),
    **named_fields("boolean", "rta_bid_enabled"),
}

AD_GROUP_UPDATE: Schema = {
    **ADVERTISER,
    "adgroup_id": Field("id", required=True),
    "adgroup_name": Field("text", max_length=MAX_NAME_LENGTH),
    "budget": Field("number"),
    "schedule_type": Field("choice", values=("SCHEDULE_START_END", "SCHEDULE_FROM_NOW")),
    **named_fields("time", "schedule_start_time schedule_end_time"),
    "dayparting": Field("text", max_length=336),
    **named_fields("bid", "bid_price conversion_bid_price deep_cpa_bid roas_bid"),
    "bid_type": Field("choice", values=("BID_TYPE_NO_BID", "BID_TYPE_CUSTOM")),
    "deep_bid_type": Field("choice"),
    "pacing": Field("choice", values=("PACING_MODE_SMOOTH", "PACING_MODE_FAST")),
    "gender": Field("choice", values=("GENDER_FEMALE", "GENDER_MALE", "GENDER_UNLIMITED")),
    "location_ids": Field("ids", max_items=3000),
    "zipcode_ids": Field("texts", max_items=3000),
    **named_fields(
        "texts", "languages age_groups operating_systems network_types device_model_ids carrier_ids isp_ids"
    ),
    **named_fields("texts", "audience_ids excluded_audience_ids interest_category_ids interest_keyword_ids"),
    **named_fields("texts", "category_exclusion_ids"),
    **named_fields("dicts", "actions included_custom_actions excluded_custom_actions"),
    "device_price_ranges": Field("numbers"),
    **named_fields(
        "boolean", "comment_disabled share_disabled search_result_enabled auto_targeting_enabled is_hfss"
    ),
    "brand_safety_type": Field(
        "choice",
        values=(
            "NO_BRAND_SAFETY",
            "EXPANDED_INVENTORY",
            "STANDARD_INVENTORY",
            "LIMITED_INVENTORY",
            "THIRD_PARTY",
        ),
    ),
    "secondary_optimization_event": Field("text"),
    **named_fields("number", "frequency next_day_retention"),
    "frequency_schedule": Field("integer"),
}
AD_GROUP_CREATE: Schema = {
    **{name: field for name, field in AD_GROUP_UPDATE.items() if name != "adgroup_id"},
    "campaign_id": Field("id", required=True),
    "adgroup_name": Field("text", required=True, max_length=MAX_NAME_LENGTH),
    "request_id": Field("id"),
    "promotion_type": Field("choice"),
    "placement_type": Field("choice", values=("PLACEMENT_TYPE_AUTOMATIC", "PLACEMENT_TYPE_NORMAL")),
    "placements": Field("texts"),
    "budget_mode": Field("choice", values=BUDGET_MODES),  # required without CBO: see `budgets`
    "schedule_type": Field("choice", required=True, values=("SCHEDULE_START_END", "SCHEDULE_FROM_NOW")),
    "schedule_start_time": Field("time", required=True),
    "optimization_goal": Field("choice", required=True, values=tuple(BILLING_EVENT_OF_GOAL)),
    "billing_event": Field("choice", required=True, values=("CPC", "CPM", "CPV", "OCPM", "OCPC", "GD")),
    "pacing": Field("choice", required=True, values=("PACING_MODE_SMOOTH", "PACING_MODE_FAST")),
    "pixel_id": Field("id"),
    "optimization_event": Field("text"),
    "operation_status": Field("choice", values=OPERATION_STATUSES),
    "app_id": Field("id"),
    "product_source": Field("choice", values=("UNSET", "CATALOG", "STORE", "SHOWCASE")),
    **named_fields("boolean", "video_download_disabled"),
    "click_attribution_window": Field(
        "choice", values=("OFF", "ONE_DAY", "SEVEN_DAYS", "FOURTEEN_DAYS", "TWENTY_EIGHT_DAYS")
    ),
    "view_attribution_window": Field("choice", values=("OFF", "ONE_DAY", "SEVEN_DAYS")),
    "engaged_view_attribution_window": Field("choice", values=("ONE_DAY", "SEVEN_DAYS")),
    "attribution_event_count": Field("choice", values=("UNSET", "EVERY", "ONCE")),
    "bid_display_mode": Field("choice", values=("CPMV", "CPV")),
    "creative_material_mode": Field("choice", values=("CUSTOM",)),
    "saved_audience_id": Field("id"),
    "targeting_expansion": Field("dict"),
    "skip_learning_phase": Field("boolean"),
    "statistic_type": Field("text"),
    "brand_safety_partner": Field("choice", values=("IAS", "OPEN_SLATE")),
}

IDENTITIES = ("CUSTOMIZED_USER", "AUTH_CODE", "TT_USER", "BC_AUTH_TT")  # API notes 5.6
_CREATIVE: Schema = {
    "ad_name": Field("text", max_length=MAX_NAME_LENGTH),
    "identity_type": Field("choice", values=IDENTITIES),
    "identity_id": Field("text"),
    "identity_authorized_bc_id": Field("id"),
    "ad_format": Field(
        "choice", values=("SINGLE_IMAGE", "SINGLE_VIDEO", "LIVE_CONTENT", "CAROUSEL_ADS", "CATALOG_CAROUSEL")
    ),
    **named_fields("text", "video_id ad_text music_id tiktok_item_id call_to_action_id card_id creative_type"),
    **named_fields(
        "text", "app_name display_name avatar_icon_web_uri tracking_app_id tracking_message_event_set_id"
    ),
    "call_to_action": Field("choice"),
    **named_fields("texts", "image_ids ad_texts tracking_offline_event_set_ids"),
    **named_fields("link", "deeplink landing_page_url impression_tracking_url click_tracking_url playable_url"),
    "deeplink_type": Field("choice", values=("NORMAL", "DEFERRED_DEEPLINK")),
    "fallback_type": Field("choice", values=("APP_INSTALL", "WEBSITE", "UNSET")),
    "page_id": Field("integer"),
    "tracking_pixel_id": Field("pixel"),
    "utm_params": Field("dicts"),
    "viewability_postbid_partner": Field("choice", values=("MOAT", "DOUBLE_VERIFY", "IAS")),
    "brand_safety_postbid_partner": Field("choice", values=("DOUBLE_VERIFY", "IAS", "ZEFR")),
    **named_fields("boolean", "promotional_music_disabled creative_authorized"),
    "dark_post_status": Field("choice", values=("ON", "OFF")),
    "aigc_disclosure_type": Field("choice", values=("SELF_DISCLOSURE", "NOT_DECLARED")),
    **named_fields("choice", "item_duet_status item_stitch_status", values=OPERATION_STATUSES),
}
# The required fields of a creative (API notes 8.3).
_REQUIRED_CREATIVE_FIELDS = ("ad_name", "identity_type", "identity_id", "ad_format")
NEW_CREATIVE: Schema = {
    **_CREATIVE,
    **{name: Field(**{**vars(_CREATIVE[name]), "required": True}) for name in _REQUIRED_CREATIVE_FIELDS},
    "operation_status": Field("choice", values=OPERATION_STATUSES),
}
# The fields that patch_update may change; other changes need the full creative (API notes 8.3).
PATCHABLE_FIELDS = _names(
    "ad_id ad_name identity_id identity_type identity_authorized_bc_id video_id image_ids music_id tiktok_item_id "
    "ad_text ad_texts"
)
_AD_ID = {"ad_id": Field("id", required=True)}
_CREATIVES = {**ADVERTISER, "adgroup_id": Field("id", required=True)}
AD_CREATE: Schema = {
    **_CREATIVES,
    "creatives": Field("objects", required=True, min_items=1, max_items=MAX_BATCH, schema=NEW_CREATIVE),
}
AD_UPDATE: Schema = {
    **_CREATIVES,
    "patch_update": Field("boolean"),
    "creatives": Field(
        "objects", required=True, min_items=1, max_items=MAX_BATCH, schema={**NEW_CREATIVE, **_AD_ID}
    ),
}
AD_PATCH: Schema = {
    **AD_UPDATE,
    "creatives": Field("objects", required=True, min_items=1, max_items=MAX_BATCH, schema={**_CREATIVE, **_AD_ID}),
}

_STATUS: Schema = {
    **ADVERTISER,
    "operation_status": Field("choice", required=True, values=(*OPERATION_STATUSES, "DELETE")),
}
_IDS = Field("ids", required=True, min_items=1, max_items=MAX_BATCH)
CAMPAIGN_STATUS: Schema = {**_STATUS, "campaign_ids": _IDS}
AD_GROUP_STATUS: Schema = {**_STATUS, "adgroup_ids": _IDS, "allow_partial_success": Field("boolean")}
AD_STATUS: Schema = {
    **_STATUS,
    **{name: Field("ids", min_items=1, max_items=MAX_BATCH) for name in ("ad_ids", "aco_ad_ids")},
}
AD_GROUP_BUDGET: Schema = {
    **ADVERTISER,
    **{
        name: Field(
            "objects",
            min_items=1,
            max_items=MAX_BATCH,
            schema={"adgroup_id": Field("id", required=True), name: Field("number", required=True)},
        )
        for name in ("budget", "scheduled_budget")
    },
}

# Read-only fields (API notes 8.4).
READ_ONLY_FIELDS = {
    "campaign/create": _names(
        "campaign_id create_time modify_time secondary_status objective is_new_structure bid_type deep_bid_type "
        "is_smart_performance_campaign campaign_automation_type roas_bid optimization_goal bid_align_type "
        "campaign_system_origin"
    ),
    "adgroup/create": _names(
        "adgroup_id campaign_name create_time modify_time secondary_status campaign_system_origin app_type "
        "is_smart_performance_campaign app_download_url cpv_video_duration delivery_mode feed_type "
        "inventory_filter_enabled ios14_quota_type is_new_structure purchased_impression purchased_reach "
        "rf_estimated_cpr rf_estimated_frequency rf_purchased_type schedule_infos schedule_id scheduled_budget "
        "conversion_window"
    ),
    "ad/create": _names(
        "ad_id campaign_id campaign_name adgroup_name create_time modify_time secondary_status is_aco "
        "is_new_structure optimization_event profile_image_url vast_moat_enabled branded_content_disabled "
        "campaign_system_origin landing_page_urls"
    ),
}

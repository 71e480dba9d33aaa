"""Classify the fields of an ad group: copied, translated, left out or refused when it is duplicated.

Sources: mengxingxinqing/tiktok_ads, create_an_ad_group, get_ad_groups, create_an_upgraded_smart_ad_group and
get_upgraded_smart_ad_groups, with the models of TikTok's SDK 1.1.3.
"""

from tiktok_assets.spec.create_fields import (
    READ_ONLY,
    CreateField,
    alike,
    both,
    manual_only,
    read_only_in_smart_plus,
    smart_plus_only,
)

_TARGETING = "targeting_spec."
_CATALOGUE = "the ad group sells from a catalogue or a shop"
_NAME_AD_GROUP = "name an ad group with --ad-group"
_NO_KEYWORDS = f"an ad group of Upgraded Smart+ cannot target search keywords; {_NAME_AD_GROUP}"
_NO_SUCH_TARGETING = f"an ad group of Upgraded Smart+ has no such targeting; {_NAME_AD_GROUP}"
_NO_MINIS = "a manual ad group cannot promote TikTok Minis"
_BRAND_SAFETY = "creation in Upgraded Smart+ accepts no brand safety settings; set them in Ads Manager"
_AUTOMATED = "Upgraded Smart+ decides this itself"

AD_GROUP_CREATE_FIELDS: tuple[CreateField, ...] = (
    *alike("advertiser_id", treatment="translated", note="the account of the ad"),
    *alike("campaign_id", treatment="translated", note="the target campaign"),
    *alike("adgroup_name", treatment="translated", note="without emoji, with the marker of the duplication"),
    *alike("request_id", treatment="translated", note="computed from the duplication's key"),
    *alike("operation_status", treatment="translated", note="DISABLE unless `enable` is requested"),
    *alike("budget", treatment="translated", note="the original's or the requested budget"),
    *alike(
        "budget_mode", treatment="translated", note="dynamic where the objective or Upgraded Smart+ requires it"
    ),
    *alike("schedule_start_time", treatment="translated", note="now, if the original's start is past"),
    *alike("schedule_type"),
    *alike("schedule_end_time", treatment="translated", note="left out where the schedule has no end"),
    *alike(
        "promotion_type promotion_target_type app_id pixel_id optimization_goal optimization_event"
        " custom_conversion_id deep_funnel_optimization_status deep_funnel_event_source"
        " deep_funnel_event_source_id deep_funnel_optimization_event identity_id identity_type"
        " identity_authorized_bc_id messaging_app_type messaging_app_account_id message_event_set_id"
        " bid_price conversion_bid_price deep_bid_type roas_bid vbo_window click_attribution_window"
        " engaged_view_attribution_window view_attribution_window attribution_event_count billing_event"
        " dayparting is_hfss is_lhf_compliance placement_type placements comment_disabled share_disabled"
        " video_download_disabled"
    ),
    *alike("bid_type", treatment="translated", note="BID_TYPE_NO_BID if the original has none"),
    *both("app_config", "app_config", parts="app_id"),
    *alike("phone_region_code phone_region_calling_code phone_number", "phone_info."),
    # Targeting
    *alike(
        "location_ids zipcode_ids languages operating_systems excluded_audience_ids gender audience_ids"
        " included_pangle_audience_package_ids excluded_pangle_audience_package_ids interest_category_ids"
        " interest_keyword_ids purchase_intention_keyword_ids smart_interest_behavior_enabled"
        " smart_audience_enabled spending_power household_income min_android_version min_ios_version"
        " device_model_ids network_types carrier_ids isp_ids device_price_ranges blocked_pangle_app_ids"
        " shopping_ads_retargeting_type shopping_ads_retargeting_actions_days"
        " shopping_ads_retargeting_custom_audience_relation",
        _TARGETING,
    ),
    *both(
        "age_groups",
        f"{_TARGETING}age_groups",
        "in a manual ad group also from spc_audience_age",
        treatment="translated",
    ),
    *both(
        "actions",
        f"{_TARGETING}actions",
        parts="action_scene action_period video_user_actions action_category_ids",
    ),
    *both("included_custom_actions", f"{_TARGETING}included_custom_actions", parts="code days"),
    *both("excluded_custom_actions", f"{_TARGETING}excluded_custom_actions", parts="code days"),
    *both(
        "saved_audience_id",
        f"{_TARGETING}saved_audience_id",
        "it cannot be sent along with the targeting that it consists of, which is copied",
        treatment="left out",
    ),
    *smart_plus_only(
        "targeting_optimization_mode",
        treatment="translated",
        note="MANUAL for the targeting of a manual ad group, which is ignored otherwise",
        across_note="suggestions to automatic targeting are left out, audience controls are copied",
    ),
    *smart_plus_only(
        "suggestion_audience_enabled",
        across_note="suggestions to automatic targeting are left out, audience controls are copied",
    ),
    *smart_plus_only(f"{_TARGETING}spc_audience_age", "translated", "the age groups that it includes"),
    *smart_plus_only(f"{_TARGETING}app_targeting_type", "refused", "a manual ad group has no such targeting"),
    *read_only_in_smart_plus("brand_safety_type category_exclusion_ids", _BRAND_SAFETY, _TARGETING),
    # Upgraded Smart+ alone
    *smart_plus_only("minis_id", "refused", _NO_MINIS),
    *smart_plus_only("zalo_id_type", "refused", "a manual ad group cannot be contacted by Zalo"),
    *smart_plus_only("gaming_ad_compliance_agreement", across_note="a manual ad group has no such agreement"),
    *smart_plus_only("movie_premiere_date", across_note="a manual ad group has no release date"),
    *smart_plus_only(
        "budget_auto_adjust_strategy",
        treatment="left out",
        note="a budget that grows by itself could exceed TIKTOK_MAX_ADDED_BUDGET; switch it on in Ads Manager",
    ),
    *smart_plus_only("min_budget", treatment="left out", note="a copy gets no guaranteed part of the budget"),
    # Manual alone
    *manual_only(
        "tiktok_subplacements adgroup_app_profile_page_state secondary_optimization_event next_day_retention"
        " statistic_type deep_cpa_bid",
        across_note=_AUTOMATED,
    ),
    *read_only_in_smart_plus(
        "promotion_website_type skip_learning_phase pacing search_result_enabled", _AUTOMATED
    ),
    *manual_only(
        "bid_display_mode",
        across_note=_AUTOMATED,
        treatment="translated",
        note="sent for bids by view alone; others are returned with CPMV, which creation refuses",
    ),
    *manual_only("automated_keywords_enabled", across_note=_NO_KEYWORDS),
    *manual_only(
        "search_keywords", "refused", _NO_KEYWORDS, parts="keyword match_type keyword_bid_type keyword_bid"
    ),
    *manual_only(
        "audience_rule audience_type contextual_tag_ids ios14_targeting frequency frequency_schedule",
        "refused",
        _NO_SUCH_TARGETING,
    ),
    *manual_only(
        "brand_safety_partner vertical_sensitivity_id",
        across_note=_BRAND_SAFETY,
    ),
    *manual_only(
        "creative_material_mode",
        across_note="Upgraded Smart+ combines the creatives of an ad, of which a copy has one",
    ),
    # A catalogue or a shop
    *alike("catalog_id catalog_authorized_bc_id product_source", treatment="refused", note=_CATALOGUE),
    *manual_only(
        "shopping_ads_type store_id store_authorized_bc_id",
        "refused",
        treatment="refused",
        note=_CATALOGUE,
    ),
    # Only read
    *alike(
        "adgroup_id campaign_name secondary_status create_time modify_time", treatment="left out", note=READ_ONLY
    ),
    *smart_plus_only("current_budget incentive_offer_type", treatment="left out", note=READ_ONLY),
    *manual_only("search_keywords.audit_status search_keywords.reject_info", treatment="left out", note=READ_ONLY),
    *manual_only(
        "app_download_url app_type campaign_automation_type campaign_system_origin cpv_video_duration"
        " delivery_mode feed_type inventory_filter_enabled ios14_quota_type is_new_structure"
        " is_smart_performance_campaign schedule_id schedule_infos scheduled_budget conversion_window",
        treatment="left out",
        note=READ_ONLY,
    ),
    *manual_only(
        "auto_targeting_enabled targeting_expansion category_id keywords pre_discount_cpm cpm discount_type"
        " discount_amount discount_percentage pre_discount_budget",
        treatment="left out",
        note="deprecated; creation does not accept it",
    ),
    *manual_only(
        "predict_impression purchased_impression purchased_reach rf_estimated_cpr rf_estimated_frequency"
        " rf_purchased_type split_test_group_id split_test_status topview_reach_range",
        treatment="left out",
        note="of a reservation or a split test, which are not duplicated",
    ),
)

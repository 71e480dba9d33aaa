"""Fields and enumeration values that TikTok documents.

Fields without a column of their own are kept in `extra`; a check reports fields and values that are not listed
here. Transcribed from the field tables of TikTok's documents (API notes 5.3, 5.4 and 5.6); tests compare them with
the API contracts. Sources for Upgraded Smart+: mengxingxinqing/tiktok_ads, pages get_upgraded_smart_ads (statuses
of an ad, FROZEN) and retrieve_data_for_upgrade_smart_smart_and_manual_campaigns (automation type of a creative).
"""

from collections.abc import Mapping

_FIELDS = {
    "advertisers": """
        address brand cellphone_number company_name_editable contacter description email license_city
        license_no license_province license_url promotion_area promotion_center_city
        promotion_center_province telephone_number
    """,
    "campaigns": """
        app_id app_promotion_type bid_align_type bid_type campaign_app_profile_page_state
        campaign_product_source campaign_system_origin catalog_enabled deep_bid_type
        disable_skan_campaign is_advanced_dedicated_campaign is_new_structure is_search_campaign
        objective optimization_goal po_number postback_window_mode rf_campaign_type rta_bid_enabled
        rta_id rta_product_selection_enabled sales_destination virtual_objective_type
    """,
    "ad_groups": """
        actions adgroup_app_profile_page_state app_config app_download_url app_id app_type
        attribution_event_count audience_rule audience_type auto_targeting_enabled
        automated_keywords_enabled bid_display_mode blocked_pangle_app_ids brand_safety_partner
        brand_safety_type campaign_automation_type campaign_system_origin carrier_ids
        catalog_authorized_bc_id catalog_id category_exclusion_ids category_id comment_disabled
        contextual_tag_ids conversion_window cpm cpv_video_duration custom_conversion_id deep_bid_type
        deep_funnel_event_source deep_funnel_event_source_id deep_funnel_optimization_event
        deep_funnel_optimization_status delivery_mode device_model_ids device_price_ranges
        discount_amount discount_percentage discount_type engaged_view_attribution_window
        excluded_custom_actions excluded_pangle_audience_package_ids feed_type frequency
        frequency_schedule household_income identity_authorized_bc_id identity_id identity_type
        included_custom_actions included_pangle_audience_package_ids interest_keyword_ids
        inventory_filter_enabled ios14_quota_type ios14_targeting is_hfss is_lhf_compliance
        is_new_structure is_smart_performance_campaign isp_ids keywords message_event_set_id
        messaging_app_account_id messaging_app_type min_android_version min_ios_version network_types
        next_day_retention phone_number phone_region_calling_code phone_region_code pre_discount_budget
        pre_discount_cpm predict_impression product_source promotion_target_type promotion_website_type
        purchase_intention_keyword_ids purchased_impression purchased_reach rf_estimated_cpr
        rf_estimated_frequency rf_purchased_type saved_audience_id schedule_infos search_keywords
        search_result_enabled secondary_optimization_event share_disabled
        shopping_ads_retargeting_actions_days shopping_ads_retargeting_custom_audience_relation
        shopping_ads_retargeting_type shopping_ads_type smart_audience_enabled
        smart_interest_behavior_enabled spending_power split_test_group_id split_test_status
        statistic_type store_authorized_bc_id store_id targeting_expansion tiktok_subplacements
        topview_reach_range vbo_window vertical_sensitivity_id video_download_disabled zipcode_ids
    """,
    "ads": """
        aigc_disclosure_type app_name auto_disclaimer_types auto_message_id avatar_icon_web_uri
        brand_safety_postbid_partner brand_safety_vast_url branded_content_disabled
        campaign_system_origin card_id carousel_image_index catalog_id click_tracking_url cpp_url
        creative_authorized creative_type dark_post_status deeplink_format_type deeplink_type
        deeplink_utm_params disclaimer_clickable_texts disclaimer_text disclaimer_type
        dynamic_destination dynamic_format end_card_cta fallback_type
        impression_tracking_url is_new_structure item_duet_status item_group_ids item_stitch_status
        landing_page_urls optimization_event page_id phone_number phone_region_calling_code
        phone_region_code playable_url product_display_field_list product_set_id product_specific_type
        profile_image_url promotional_music_disabled shopping_ads_deeplink_type
        shopping_ads_fallback_type shopping_ads_video_package_id showcase_products sku_ids
        tiktok_page_category tracking_app_id tracking_message_event_set_id tracking_offline_event_set_ids
        tracking_pixel_id vast_moat_enabled vehicle_ids vertical_video_strategy
        viewability_postbid_partner viewability_vast_url
    """,
    "smart_plus_ads": "",
    "smart_plus_creative_report_daily": "interactive_add_on_id multi_name",
    "smart_plus_creative_report_lifetime": """
        ad_material_id interactive_add_on_id material_primary_status material_second_status_list operation_status
    """,
}

DOCUMENTED_FIELDS: Mapping[str, frozenset[str]] = {
    table: frozenset(text.split()) for table, text in _FIELDS.items()
}


def _values(text: str, prefix: str = "") -> frozenset[str]:
    return frozenset(prefix + word for word in text.split())


_ACCOUNT_LIMITS = _values("ADVERTISER_ACCOUNT_INVALID ADVERTISER_ACCOUNT_PUNISH ADVERTISER_CONTRACT_PENDING")
"""Limits of the account, which appear as status at every level."""

_OPERATION = _values("ENABLE DISABLE FROZEN")
_BUDGET_MODES = _values("INFINITE TOTAL DAY DYNAMIC_DAILY_BUDGET", "BUDGET_MODE_")
_AUTOMATION = _values("MANUAL SMART_PLUS UPGRADED_SMART_PLUS")

_CAMPAIGNS_SECONDARY = _values(
    """
        ADVERTISER_AUDIT ADVERTISER_AUDIT_DENY AD_UNAVAILABLE AWAITING_RELEASE BUDGET_EXCEED DELETE
        DISABLE ENABLE IDENTITY_USED_BY_GMV_MAX_AD IDENTITY_USED_BY_LIVE_GMV_MAX
        LIVE_GMV_MAX_AUTHORIZATION_CANCEL PRODUCT_GMV_MAX_AUTHORIZATION_CANCEL PRODUCT_UNAVAILABLE
        PRODUCT_USED_BY_PRODUCT_GMV_MAX REVIEW_DISAPPROVED TIKTOK_SHOP_UNAVAILABLE
        TTS_ACCOUNT_BALANCE_INSUFFICIENT TTS_TT_ASSET_UNAVAILABLE TTS_TT_IDENTITY_UNAVAILABLE
    """,
    "CAMPAIGN_STATUS_",
)
_AD_GROUPS_SECONDARY = _values(
    """
        ADGROUP_PRE_ONLINE ADGROUP_QUOTA_LIMIT ADVERTISER_AUDIT ADVERTISER_AUDIT_DENY
        ASSET_AUTHORIZATION_LOST AUDIT AUDIT_DENY BALANCE_EXCEED BUDGET_EXCEED CAMPAIGN_DELETE
        CAMPAIGN_DISABLE CAMPAIGN_EXCEED CREATE DELETE DELIVERY_OK DISABLE FROZEN
        IDENTITY_USED_BY_GMV_MAX_AD INDUSTRY_QUALIFICATION_DENY INDUSTRY_QUALIFICATION_EXPIRED
        INDUSTRY_QUALIFICATION_MISSING LIVE_NOT_START NOT_START PARTIAL_AUDIT_DELIVERY_OK
        PARTIAL_AUDIT_NO_DELIVERY PIXEL_UNBIND PROMOTE_AD_NOT_APPROVED PROMOTE_WITHDRAW_ORDER REAUDIT
        REVIEW_PARTIALLY_APPROVED RF_ADGROUP_INVALID RF_AD_AUDIT_DENY RF_BOOKING RF_CLOSED_OTHERS
        RF_DEDUCTION_FAILED RF_NO_DELIVERY_CREATIVE RF_NO_VALID_CREATIVE RF_SCHEDULE RF_SHORT_BALANCE
        RF_TERMINATE RF_TIME_DONE RF_WITHDRAW_ORDER SEARCH_KEYWORDS_IN_REVIEW
        SEARCH_KEYWORDS_NOT_AVAILABLE SEARCH_KEYWORDS_PARTIAL_APPROVED SHADOW_ADGROUP_REAUDIT TIME_DONE
        TRANSCODING_FAIL
    """,
    "ADGROUP_STATUS_",
)
_ADS_SECONDARY = _values(
    """
        ADGROUP_ASSET_AUTHORIZATION_LOST ADGROUP_AUDIT_DENY ADGROUP_DELETE ADGROUP_DISABLE
        ADGROUP_INDUSTRY_QUALIFICATION_DENY ADGROUP_INDUSTRY_QUALIFICATION_EXPIRED
        ADGROUP_INDUSTRY_QUALIFICATION_MISSING ADGROUP_PARTIAL_AUDIT_NO_DELIVERY ADVERTISER_AUDIT
        ADVERTISER_AUDIT_DENY AD_PRE_ONLINE AD_QUOTA_LIMIT ANCHOR_UNAVAILABLE ASSET_AUTHORIZATION_LOST
        AUDIT AUDIT_DENY BALANCE_EXCEED BUDGET_EXCEED CAMPAIGN_DELETE CAMPAIGN_DISABLE CAMPAIGN_EXCEED
        COLLECTION_TOGGLED_OFF DELETE DELIVERY_AND_REAUDIT DELIVERY_AND_TRANSCODING_FAIL DELIVERY_OK
        DISABLE DONE LIVE_OFFLINE MUSIC_AUTHORIZATION_MISSING NOT_START NO_AUTHORIZATION_OF_SHOWCASE
        PARTIAL_AUDIT_DELIVERY_OK PARTIAL_AUDIT_NO_DELIVERY PIXEL_UNBIND PRIVACY_POLICY_AUDIT
        PRIVACY_POLICY_REJECTED PROCESS_AUDIO PRODUCT_UNAVAILABLE PROMOTE_ADGROUP_CLOSED
        PROMOTE_AD_OFFLINE_AUDIT REAUDIT REVIEW_PARTIALLY_APPROVED RF_ADGROUP_CLOSED TRANSCODING_FAIL
    """,
    "AD_STATUS_",
)

ENUMERATIONS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "advertisers": {
        "status": _values(
            """
            ENABLE DISABLE LIMIT PENDING_CONFIRM PENDING_VERIFIED CONFIRM_FAIL CONFIRM_FAIL_END
            PENDING_CONFIRM_MODIFY CONFIRM_MODIFY_FAIL WAIT_FOR_BPM_AUDIT WAIT_FOR_PUBLIC_AUTH
            SELF_SERVICE_UNAUDITED CONTRACT_PENDING
            """,
            "STATUS_",
        ),
        "advertiser_account_type": _values("AUCTION RESERVATION"),
    },
    "campaigns": {
        "operation_status": _OPERATION,
        "secondary_status": _CAMPAIGNS_SECONDARY | _ACCOUNT_LIMITS,
        "objective_type": _values(
            """
            REACH TRAFFIC VIDEO_VIEWS ENGAGEMENT APP_PROMOTION LEAD_GENERATION WEB_CONVERSIONS PRODUCT_SALES
            RF_REACH TOPVIEW_REACH BRAND_CONSIDERATION
            APP_INSTALL CONVERSIONS CATALOG_SALES SHOP_PURCHASES
            """
        ),
        "campaign_type": _values("REGULAR_CAMPAIGN IOS14_CAMPAIGN"),
        "campaign_automation_type": _AUTOMATION,
        "budget_mode": _BUDGET_MODES,
    },
    "ad_groups": {
        "operation_status": _OPERATION,
        "secondary_status": _AD_GROUPS_SECONDARY | _ACCOUNT_LIMITS,
        "placement_type": _values("PLACEMENT_TYPE_AUTOMATIC PLACEMENT_TYPE_NORMAL"),
        "gender": _values("GENDER_FEMALE GENDER_MALE GENDER_UNLIMITED"),
        "budget_mode": _BUDGET_MODES,
        "bid_type": _values("BID_TYPE_NO_BID BID_TYPE_CUSTOM"),
    },
    "ads": {
        "operation_status": _OPERATION,
        # An ad of a frozen ad group has the ad group's status; one status is misspelt in TikTok's document.
        "secondary_status": _ADS_SECONDARY | _ACCOUNT_LIMITS | {"ADGROUP_STATUS_FROZEN", "AD_STAUS_PIXEL_UNBIND"},
        "ad_format": _values("SINGLE_IMAGE SINGLE_VIDEO LIVE_CONTENT CAROUSEL_ADS CATALOG_CAROUSEL"),
        "identity_type": _values("CUSTOMIZED_USER AUTH_CODE TT_USER BC_AUTH_TT UNSET"),
        "campaign_automation_type": _AUTOMATION | {"UPGRADED_SMART_PLUS_CREATIVE"},
    },
    "smart_plus_ads": {
        "operation_status": _OPERATION,
        "secondary_status": _ADS_SECONDARY | _ACCOUNT_LIMITS | {"ADGROUP_STATUS_FROZEN"},
    },
}
"""The documented values, by table and column."""

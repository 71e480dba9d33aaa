"""The fields TikTok documents beside those we keep columns for: they go to `extra` without being news.

Transcribed from the field tables of the same documents as the contracts (dossier sections 5.3 and 5.4); a test
holds both against each other. A field named neither here nor in `entities` is new, and a check says so.
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
        dynamic_destination dynamic_format end_card_cta fallback_type identity_authorized_bc_id
        impression_tracking_url is_new_structure item_duet_status item_group_ids item_stitch_status
        landing_page_urls optimization_event page_id phone_number phone_region_calling_code
        phone_region_code playable_url product_display_field_list product_set_id product_specific_type
        profile_image_url promotional_music_disabled shopping_ads_deeplink_type
        shopping_ads_fallback_type shopping_ads_video_package_id showcase_products sku_ids
        tiktok_page_category tracking_app_id tracking_message_event_set_id tracking_offline_event_set_ids
        tracking_pixel_id vast_moat_enabled vehicle_ids vertical_video_strategy
        viewability_postbid_partner viewability_vast_url
    """,
}

DOCUMENTED_FIELDS: Mapping[str, frozenset[str]] = {
    table: frozenset(text.split()) for table, text in _FIELDS.items()
}

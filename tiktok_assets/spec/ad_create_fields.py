"""Classify the fields of an ad: copied, translated, left out or refused when it is duplicated.

Sources: mengxingxinqing/tiktok_ads, create_an_upgraded_smart_ad, get_upgraded_smart_ads and
upgraded_smart_ad_creative_combinations_by_identity_and_ad_t; OPS `Create_ads` and `Get_ads` for manual ads; the
models of TikTok's SDK 1.1.3.
"""

from tiktok_assets.spec.create_fields import READ_ONLY, CreateField, alike, both, manual_only, smart_plus_only

_CREATIVE = "creative_list[].creative_info"
_SETTINGS = "ad_configuration"
_CATALOGUE = "the ad is made from a catalogue or a shop"
_MEASUREMENT = "Upgraded Smart+ accepts no such measurement partner or event source; the pixel is the ad group's"
_POST_SETTINGS = "Upgraded Smart+ has no such setting of a new post"

AD_CREATE_FIELDS: tuple[CreateField, ...] = (
    *alike("advertiser_id", treatment="translated", note="the account of the ad"),
    *alike("adgroup_id", treatment="translated", note="the ad group of the copy"),
    *alike("ad_name", treatment="translated", note="without emoji, with the marker of the duplication"),
    *alike("operation_status", treatment="translated", note="DISABLE unless `enable` is requested"),
    *both("ad_format", f"{_CREATIVE}.ad_format"),
    *both(
        "video_id",
        f"{_CREATIVE}.video_info.video_id",
        "left out where the copy shows a post",
        treatment="translated",
    ),
    *both(
        "image_ids",
        f"{_CREATIVE}.image_info[].web_uri",
        "images of the library; left out where the copy shows a post",
        treatment="translated",
        is_list=True,
    ),
    *both(
        "music_id",
        f"{_CREATIVE}.music_info.music_id",
        "the music of a carousel; left out where the copy shows a post",
        treatment="translated",
    ),
    *both("tiktok_item_id", f"{_CREATIVE}.tiktok_item_id", "the post that the copy shows", treatment="translated"),
    *both("identity_type", f"{_CREATIVE}.identity_type", "the copy's identity", treatment="translated"),
    *both("identity_id", f"{_CREATIVE}.identity_id", "the copy's identity", treatment="translated"),
    *both(
        "identity_authorized_bc_id",
        f"{_CREATIVE}.identity_authorized_bc_id",
        "the copy's identity",
        treatment="translated",
    ),
    *smart_plus_only(
        f"{_SETTINGS}.identity_type {_SETTINGS}.identity_id {_SETTINGS}.identity_authorized_bc_id",
        "translated",
        treatment="translated",
        note="a custom identity, which is given here and not with the creative",
    ),
    *both(
        "aigc_disclosure_type",
        f"{_CREATIVE}.aigc_disclosure_type",
        "only for a custom identity",
        treatment="translated",
    ),
    *both(
        "dark_post_status",
        f"{_SETTINGS}.dark_post_status",
        "ON where the copy makes a new post",
        treatment="translated",
    ),
    *both(
        "ad_text",
        "ad_text_list[].ad_text",
        "a list in Upgraded Smart+; left out where the copy shows a post",
        treatment="translated",
    ),
    *both(
        "ad_texts",
        "ad_text_list[].ad_text",
        "in a manual ad only for a custom identity",
        treatment="translated",
        is_list=True,
    ),
    *both(
        "call_to_action",
        "call_to_action_list[].call_to_action",
        "left out where there is a call_to_action_id, which Upgraded Smart+ requires for posts on TikTok",
        treatment="translated",
    ),
    *both("call_to_action_id", f"{_SETTINGS}.call_to_action_id"),
    *both("landing_page_url", "landing_page_url_list[].landing_page_url"),
    *both(
        "page_id",
        "page_list[].page_id",
        "left out in an Upgraded Smart+ web campaign, which accepts a landing page alone",
        treatment="translated",
    ),
    *both("cpp_url", "custom_product_page_list[].custom_product_page_url"),
    *both("deeplink", "deeplink_list[].deeplink"),
    *both(
        "deeplink_type", "deeplink_list[].deeplink_type", "left out without a deep link", treatment="translated"
    ),
    *both(
        "card_id",
        "interactive_add_on_list[].card_id",
        "left out in an Upgraded Smart+ web campaign, which accepts no add-ons",
        treatment="translated",
    ),
    *both("auto_message_id", "auto_message_list[].auto_message_id"),
    *both("disclaimer_type", "disclaimer.disclaimer_type"),
    *both("disclaimer_text", "disclaimer.disclaimer_text", parts="text"),
    *both("disclaimer_clickable_texts", "disclaimer.disclaimer_clickable_texts", parts="text url"),
    *both("utm_params", f"{_SETTINGS}.utm_params", parts="key value"),
    *both("deeplink_utm_params", f"{_SETTINGS}.deeplink_utm_params", parts="key value"),
    *both("fallback_type", f"{_SETTINGS}.fallback_type"),
    *alike("phone_region_code phone_region_calling_code phone_number", f"{_SETTINGS}.phone_info."),
    *alike(
        "impression_tracking_url click_tracking_url tracking_app_id tracking_message_event_set_id",
        f"{_SETTINGS}.tracking_info.",
    ),
    # Upgraded Smart+ alone
    *smart_plus_only(
        f"{_SETTINGS}.tracking_info.app_tracking_info_list",
        across_note="a manual ad has no tracking per app",
        parts="app_type app_id impression_tracking_url click_tracking_url",
    ),
    *smart_plus_only(
        f"{_SETTINGS}.creative_auto_add_toggle",
        treatment="translated",
        note="false in a copy, which has this one creative, where TikTok's default could add others",
        across_note="TikTok adds no creatives to a manual ad",
    ),
    *smart_plus_only(
        f"{_SETTINGS}.creative_auto_enhancement_strategy_list",
        across_note="a manual ad takes some of these strategies in some campaigns only (automatic_enhancements)",
    ),
    *smart_plus_only(
        f"{_SETTINGS}.product_info.product_titles {_SETTINGS}.product_info.selling_points"
        f" {_SETTINGS}.product_info.catalog_tag_list {_SETTINGS}.product_info_enabled",
        across_note="a manual ad has no product information",
    ),
    *smart_plus_only(
        f"{_SETTINGS}.product_info.product_image_list",
        across_note="a manual ad has no product information",
        parts="web_uri",
    ),
    *smart_plus_only(
        f"{_SETTINGS}.product_info.promo_info_list",
        across_note="a manual ad has no product information",
        parts="discount_type discount_value discount_currency promo_code minimum_purchase_type"
        " minimum_purchase_value minimum_purchase_currency valid_start_time valid_end_time",
    ),
    *smart_plus_only(f"{_CREATIVE}.video_info.file_name", treatment="left out", note="the video has its own name"),
    *smart_plus_only(
        f"{_SETTINGS}.utm_params.field",
        treatment="left out",
        note="read as `key`, the name in the page's table, where its example has `field`",
    ),
    # Manual alone
    *manual_only(
        "display_name avatar_icon_web_uri app_name",
        across_note="an ad in Upgraded Smart+ takes name and picture from its identity or app",
    ),
    *manual_only(
        "promotional_music_disabled item_duet_status item_stitch_status",
        across_note=_POST_SETTINGS,
    ),
    *manual_only(
        "tracking_pixel_id tracking_offline_event_set_ids video_view_tracking_url viewability_postbid_partner"
        " viewability_vast_url brand_safety_postbid_partner brand_safety_vast_url",
        across_note=_MEASUREMENT,
    ),
    *manual_only("playable_url", "refused", "Upgraded Smart+ accepts no playable ads"),
    *manual_only(
        "carousel_image_index creative_authorized creative_type deeplink_format_type dynamic_format"
        " page_image_index tiktok_page_category vertical_video_strategy instant_product_page_used",
        across_note="Upgraded Smart+ has no such setting",
    ),
    # A catalogue or a shop
    *manual_only(
        "catalog_id item_group_ids sku_ids vehicle_ids showcase_products dynamic_destination"
        " shopping_ads_deeplink_type shopping_ads_fallback_type shopping_ads_video_package_id",
        "refused",
        treatment="refused",
        note=_CATALOGUE,
    ),
    *both("product_specific_type", f"{_SETTINGS}.product_specific_type", _CATALOGUE, treatment="refused"),
    *both("product_set_id", f"{_SETTINGS}.product_set_id", _CATALOGUE, treatment="refused"),
    *alike(
        "end_card_cta product_display_field_list auto_disclaimer_types",
        f"{_SETTINGS}.",
        treatment="refused",
        note=_CATALOGUE,
    ),
    *smart_plus_only(
        f"{_SETTINGS}.product_ids {_SETTINGS}.catalog_creative_toggle"
        f" {_SETTINGS}.catalog_creative_info.catalog_media_settings"
        f" {_SETTINGS}.catalog_creative_info.catalog_template_video_id",
        "refused",
        treatment="refused",
        note=_CATALOGUE,
    ),
    # Only read
    *alike(
        "campaign_id campaign_name adgroup_name secondary_status create_time modify_time",
        treatment="left out",
        note=READ_ONLY,
    ),
    *both("smart_plus_ad_id", "smart_plus_ad_id", READ_ONLY, treatment="left out"),
    *manual_only(
        "ad_id ad_id_v2 campaign_automation_type campaign_system_origin is_aco is_new_structure optimization_event"
        " profile_image_url schedule_id",
        treatment="left out",
        note=READ_ONLY,
    ),
    *manual_only(
        "branded_content_disabled vast_moat_enabled",
        treatment="left out",
        note="deprecated; creation does not accept it",
    ),
    *manual_only(
        "landing_page_urls", treatment="left out", note="for automated creatives; landing_page_url is copied"
    ),
    *smart_plus_only(
        f"creative_list[].ad_material_id creative_list[].material_operation_status {_CREATIVE}.material_name",
        treatment="left out",
        note=READ_ONLY,
    ),
)

"""What TikTok's SDK and OpenAPI documents do not know or contradict, and why; the tests expect exactly this."""

from collections.abc import Mapping

NOT_IN_THE_SDK: Mapping[str, str] = {
    "adgroup/budget/update": "the SDK changes a budget by adgroup/update",
    "file/video/suggestcover": "the SDK has uploads, searches and details of videos only",
    "gmv_max/campaign/get": "the SDK has the details of one campaign only, campaign/gmv_max/info",
    "report/task/download": "the SDK creates, checks and cancels report tasks, and downloads none",
    "oauth/token": "the SDK exchanges codes by oauth2/access_token",
    "oauth2/revoke_token": "the SDK has no operation that ends a token",
    "user/info": "the SDK has no operation about the user",
}
"""Operations of the client or the sandbox that the SDK does not have."""

_NEWER = "the page is newer than the OpenAPI document"
_NEWER_AD_GROUP = "newer than the SDK; documented in create_an_upgraded_smart_ad_group"
_NEWER_AD = "newer than the SDK; documented in create_an_upgraded_smart_ad"
_AD_GROUP_FIELDS = {
    f"{name} is unknown": _NEWER_AD_GROUP
    for name in (
        *("app_config", "gaming_ad_compliance_agreement", "is_hfss", "is_lhf_compliance", "minis_id"),
        "targeting_spec.app_targeting_type",
        "targeting_spec.excluded_custom_actions",
        "targeting_spec.included_custom_actions",
        "targeting_spec.shopping_ads_retargeting_actions_days",
        "targeting_spec.shopping_ads_retargeting_custom_audience_relation",
        "targeting_spec.shopping_ads_retargeting_type",
    )
}
_AD_FIELDS = {
    f"{name} is unknown": _NEWER_AD
    for name in (
        *("custom_product_page_list", "disclaimer", "ad_configuration.creative_auto_add_toggle"),
        "ad_configuration.creative_auto_enhancement_strategy_list",
        "ad_configuration.deeplink_utm_params",
        "ad_configuration.identity_authorized_bc_id",
        "ad_configuration.product_info",
        "ad_configuration.product_info_enabled",
        "ad_configuration.tracking_info.app_tracking_info_list",
    )
}
_SENT_AD_FIELD, _SENT_AD_GROUP_FIELD = "ad_configuration.creative_auto_add_toggle", "is_hfss"

_NEWER_POSTS = "newer than the SDK; documented in get_info_about_tiktok_posts"

REQUESTS: Mapping[str, Mapping[str, str]] = {
    "gmv_max/report/get": {
        "dimensions: list should have at most 3 items after validation, not 4.": (
            "the fourth is the day of a post, new on 2026-04-03 (metrics_in_gmv_max_campaign_reports)"
        ),
    },
    "identity/video/info": {
        "item_type is unknown": _NEWER_POSTS,
        "item_ids is unknown": _NEWER_POSTS,
        "item_id is missing": _NEWER_POSTS,
    },
    "smart_plus/ad/create": {
        f"{_SENT_AD_FIELD} is unknown": _NEWER_AD,
        f"{_SENT_AD_FIELD} is not known.": f"{_NEWER} (create_an_upgraded_smart_ad)",
    },
    "smart_plus/adgroup/create": {
        f"{_SENT_AD_GROUP_FIELD} is unknown": _NEWER_AD_GROUP,
        f"{_SENT_AD_GROUP_FIELD} is not known.": f"{_NEWER} (create_an_upgraded_smart_ad_group)",
    },
}
"""Objections of the SDK or OpenAPI to the client's requests, by operation, with the reason to send them anyway."""

FULL_PAYLOADS: Mapping[str, Mapping[str, str]] = {
    "smart_plus/ad/create": _AD_FIELDS,
    "smart_plus/adgroup/create": _AD_GROUP_FIELDS,
}
"""Objections of the SDK to a copy that has every documented field of its source."""

RESPONSES: Mapping[str, Mapping[str, str]] = {
    "smart_plus/ad/get": {
        "list[].ad_configuration.identity_type has the unknown value TT_USER": (
            f"{_NEWER}: Spark Ads of a catalogue (get_upgraded_smart_ads)"
        ),
        f"list[].{_SENT_AD_FIELD} is unknown": f"{_NEWER} (get_upgraded_smart_ads)",
    },
    "smart_plus/adgroup/create": {"is_hfss is unknown": f"{_NEWER} (create_an_upgraded_smart_ad_group)"},
    "smart_plus/adgroup/get": {"list[].is_hfss is unknown": f"{_NEWER} (get_upgraded_smart_ad_groups)"},
    "smart_plus/campaign/create": {"rta_bid_enabled is unknown": f"{_NEWER} (create_an_upgraded_smart_campaign)"},
    "smart_plus/campaign/get": {
        "list[].budget_mode has the unknown value BUDGET_MODE_INFINITE": (
            f"{_NEWER}: campaigns without budget_optimize_on (get_upgraded_smart_campaigns)"
        ),
        "list[].rta_bid_enabled is unknown": f"{_NEWER} (get_upgraded_smart_campaigns)",
    },
}
"""Objections to the sandbox's responses, by operation, with the reason to send them anyway."""

ACCEPTED: Mapping[str, Mapping[str, str]] = {}
"""Objections to requests that the sandbox accepts, by operation, with the reason to accept them."""

OPTIONAL: Mapping[str, Mapping[str, str]] = {
    "smart_plus/ad/create": {
        "ad_name": "SDK and OpenAPI require the key, the page does not (create_an_upgraded_smart_ad)",
    },
}
"""Parameters that the SDK or OpenAPI requires and the sandbox does not, by operation, with the reason."""

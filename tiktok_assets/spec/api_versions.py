"""Translations between API v1.2 and v1.3, one entry per endpoint; applied by the API client.

Covers reads only, as far as the v1.2 documents go: lists and reports (API notes 1.3 and 1.4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiktok_assets.spec.endpoints import AD_GROUP_LIST, AD_LIST, ADVERTISER_INFO, CAMPAIGN_LIST, REPORT
from tiktok_assets.spec.metric_catalog import Metric


@dataclass(frozen=True, slots=True)
class EndpointTranslation:
    """The translation of one endpoint between v1.3 and an older version.

    Attributes:
        path: the older version's path of the endpoint.
        parameters: the older version's parameter by the v1.3 name; None where it has no such parameter.
        fields: the v1.3 name of each field of the response's rows by the older name.
        row_objects: the objects inside a row that contain its fields; empty if the row itself does.
    """

    path: str
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    row_objects: tuple[str, ...] = ()


_STATUS_FIELDS = {"opt_status": "operation_status", "status": "secondary_status"}

V1_2_TRANSLATIONS: Mapping[str, EndpointTranslation] = {
    ADVERTISER_INFO.path: EndpointTranslation(
        ADVERTISER_INFO.path,
        fields={
            "id": "advertiser_id",
            "reason": "rejection_reason",
            "phonenumber": "cellphone_number",
            "telephone": "telephone_number",
        },
    ),
    CAMPAIGN_LIST.path: EndpointTranslation(
        CAMPAIGN_LIST.path,
        fields={
            **_STATUS_FIELDS,
            "industry_types": "special_industries",
            "budget_optimize_switch": "budget_optimize_on",
            "optimize_goal": "optimization_goal",
        },
    ),
    AD_GROUP_LIST.path: EndpointTranslation(
        AD_GROUP_LIST.path,
        fields={
            **_STATUS_FIELDS,
            "placement": "placements",
            "location": "location_ids",
            "age": "age_groups",
            "operation_system": "operating_systems",
            "connection_type": "network_types",
            "device_price": "device_price_ranges",
            "external_type": "promotion_type",
            "external_action": "optimization_event",
            "deep_external_action": "secondary_optimization_event",
            "optimize_goal": "optimization_goal",
            "bid": "bid_price",
            "conversion_bid": "conversion_bid_price",
            "deep_cpabid": "deep_cpa_bid",
            "audience": "audience_ids",
            "excluded_audience": "excluded_audience_ids",
            "interest_category_v2": "interest_category_ids",
            "interest_keywords": "interest_keyword_ids",
            "action_v2": "actions",
            "is_comment_disable": "comment_disabled",
            "video_download": "video_download_disabled",
            "is_share_disable": "share_disabled",
            "brand_safety": "brand_safety_type",
            "display_mode": "delivery_mode",
            "automated_targeting": "auto_targeting_enabled",
            "exclude_custom_actions": "excluded_custom_actions",
        },
    ),
    AD_LIST.path: EndpointTranslation(
        "ads/get/",  # as in TikTok's tutorial; other clients of the time used ad/get/ (API notes 0.1 #1)
        fields={
            **_STATUS_FIELDS,
            "profile_image": "profile_image_url",
            "open_url": "deeplink",
            "open_url_type": "deeplink_type",
            "vast_moat": "vast_moat_enabled",
            "is_creative_authorized": "creative_authorized",
        },
    ),
    REPORT.path: EndpointTranslation(
        "reports/integrated/get/",
        parameters={
            "filtering": "filters",
            "query_lifetime": "lifetime",
            # The available documents of v1.2 have no parameters for sorting.
            "order_field": None,
            "order_type": None,
        },
        row_objects=("dimensions", "metrics"),
    ),
}
"""The translations of v1.2 by the v1.3 path; an endpoint that is not listed is the same in both versions."""

TRANSLATIONS: Mapping[str, Mapping[str, EndpointTranslation]] = {"v1.3": {}, "v1.2": V1_2_TRANSLATIONS}

NUMERIC_ID_FIELDS = frozenset(
    (
        "advertiser_id",
        "campaign_id",
        "adgroup_id",
        "ad_id",
        "pixel_id",
        "location_ids",
        "audience_ids",
        "excluded_audience_ids",
        "interest_category_ids",
        "interest_keyword_ids",
    )
)
"""Fields, by their v1.3 name, that contain numbers in v1.2 and text in v1.3; some contain lists."""

VALUE_TRANSLATIONS: Mapping[str, Mapping[str | int, str | bool]] = {
    "objective_type": {"CONVERSIONS": "WEB_CONVERSIONS"},
    "optimization_goal": {"VIDEO_VIEW": "ENGAGED_VIEW"},
    "budget_optimize_on": {0: False, 1: True},
    "comment_disabled": {0: False, 1: True},
    "video_download_disabled": {"ALLOW_DOWNLOAD": False, "PREVENT_DOWNLOAD": True},
}
"""Values of v1.2 with their v1.3 equivalent, by the v1.3 name of their field."""

_METRICS_BY_VERSION: Mapping[str, frozenset[str]] = {"v1.2": frozenset(("spend", "impressions"))}
"""The metrics that the documents of an older version mention."""


def metrics_for_version(version: str, chosen: tuple[Metric, ...]) -> tuple[Metric, ...]:
    """Return the chosen metrics that can be requested from a version of the API; `spend` always can."""
    known = _METRICS_BY_VERSION.get(version)
    return tuple(metric for metric in chosen if known is None or metric.api_name in known)

"""Translate v1.2 requests and responses to and from v1.3 (API notes 1.3, 1.4)."""

import json
from collections.abc import Callable

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.params import Params

Handler = Callable[[Context], ResponseData]
DEPRECATION_HEADER = "X-Api-Deprecation-Info"  # API notes 1.2
DEPRECATION_TEXT = "v1.2 is deprecated. Please use v1.3."

# Names of v1.3 -> names of v1.2 (API notes 1.4).
COMMON_NAMES = {"operation_status": "opt_status", "secondary_status": "status"}
CAMPAIGN_NAMES = {
    **COMMON_NAMES,
    "special_industries": "industry_types",
    "budget_optimize_on": "budget_optimize_switch",
    "optimization_goal": "optimize_goal",
}
AD_GROUP_NAMES = {
    **COMMON_NAMES,
    "placements": "placement",
    "location_ids": "location",
    "age_groups": "age",
    "operating_systems": "operation_system",
    "network_types": "connection_type",
    "device_price_ranges": "device_price",
    "promotion_type": "external_type",
    "optimization_event": "external_action",
    "secondary_optimization_event": "deep_external_action",
    "optimization_goal": "optimize_goal",
    "bid_price": "bid",
    "conversion_bid_price": "conversion_bid",
    "deep_cpa_bid": "deep_cpabid",
    "audience_ids": "audience",
    "excluded_audience_ids": "excluded_audience",
    "interest_category_ids": "interest_category_v2",
    "interest_keyword_ids": "interest_keywords",
    "actions": "action_v2",
    "comment_disabled": "is_comment_disable",
    "video_download_disabled": "video_download",
    "share_disabled": "is_share_disable",
    "brand_safety_type": "brand_safety",
    "delivery_mode": "display_mode",
    "auto_targeting_enabled": "automated_targeting",
    "excluded_custom_actions": "exclude_custom_actions",
}
AD_NAMES = {
    **COMMON_NAMES,
    "profile_image_url": "profile_image",
    "deeplink": "open_url",
    "deeplink_type": "open_url_type",
    "vast_moat_enabled": "vast_moat",
    "creative_authorized": "is_creative_authorized",
}
ADVERTISER_NAMES = {
    "advertiser_id": "id",
    "rejection_reason": "reason",
    "cellphone_number": "phonenumber",
    "telephone_number": "telephone",
}
# Fields whose values, or items of lists, are numbers in v1.2.
NUMERIC_NAMES = frozenset(
    (
        "advertiser_id",
        "campaign_id",
        "adgroup_id",
        "ad_id",
        "id",
        "location",
        "audience",
        "excluded_audience",
        "pixel_id",
        "interest_category_v2",
        "interest_keywords",
    )
)
NUMERIC_FLAGS = frozenset(("is_comment_disable", "budget_optimize_switch"))  # booleans as 0 and 1
OLD_VALUES = {"WEB_CONVERSIONS": "CONVERSIONS", "ENGAGED_VIEW": "VIDEO_VIEW"}  # of enums (API notes 1.4)
RENAMED_ENUMS = frozenset(("objective_type", "optimize_goal"))
EXTRA_FIELDS: dict[str, ResponseData] = {
    "campaign": {"split_test_variable": None}
}  # of the campaign in the tutorial
DOWNLOAD_VALUES = {False: "ALLOW_DOWNLOAD", True: "PREVENT_DOWNLOAD"}
FILTER_NAMES = {  # of the filtering object
    "create_start_time": "creation_filter_start_time",
    "create_end_time": "creation_filter_end_time",
    "status": "secondary_status",
}
V13_ONLY_FIELDS = frozenset(("ad_id_v2", "smart_plus_ad_id", "campaign_automation_type"))


def translate_list(kind: str, names: dict[str, str], handler: Handler) -> Handler:
    """Wrap a v1.3 list endpoint as the v1.2 one; `names` maps its fields from v1.3 to v1.2."""
    new_names = {old: new for new, old in names.items()}

    def endpoint(context: Context) -> ResponseData:
        values = context.params.values()
        if "filtering" in values:
            values["filtering"] = _translate_filtering(values["filtering"])
        if "fields" in values:
            values["fields"] = _rename_all(values["fields"], new_names)
        context.params = Params(values)
        data = handler(context)
        extra = {} if "fields" in values else EXTRA_FIELDS.get(kind, {})
        return data | {"list": [extra | _translate_item(item, names) for item in data["list"]]}

    return endpoint


def translate_report(handler: Handler) -> Handler:
    """Wrap the v1.3 report endpoint as the v1.2 one: `filters`, `lifetime` and numeric ids."""

    def endpoint(context: Context) -> ResponseData:
        values = context.params.values()
        for old, new in (("filters", "filtering"), ("lifetime", "query_lifetime")):
            values.pop(new, None)
            if old in values:
                values[new] = values.pop(old)
        if "metrics" in values:
            values["metrics"] = _rename_all(values["metrics"], {"placement": "placement_type"})
        context.params = Params(values)
        data = handler(context)
        rows = [
            {
                "metrics": {("placement" if k == "placement_type" else k): v for k, v in row["metrics"].items()},
                "dimensions": {
                    k: _to_number(v) if k in NUMERIC_NAMES else v for k, v in row["dimensions"].items()
                },
            }
            for row in data["list"]
        ]
        return data | {"list": rows}

    return endpoint


def _translate_item(item: ResponseData, names: dict[str, str]) -> ResponseData:
    return {
        names.get(name, name): _translate_value(names.get(name, name), value)
        for name, value in item.items()
        if name not in V13_ONLY_FIELDS
    }


def _translate_value(name: str, value: object) -> object:
    if name in NUMERIC_NAMES:
        return [_to_number(one) for one in value] if isinstance(value, list) else _to_number(value)
    if name in RENAMED_ENUMS:
        return OLD_VALUES.get(str(value), value)
    if name == "video_download":
        return DOWNLOAD_VALUES[bool(value)]
    return int(bool(value)) if name in NUMERIC_FLAGS else value


def _to_number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdigit() else value


def _translate_filtering(text: str) -> str:
    """Translate a v1.2 filtering object to v1.3; text that is not such an object stays as it is."""
    try:
        given = json.loads(text)
    except ValueError:
        return text
    if not isinstance(given, dict):
        return text
    renamed = {FILTER_NAMES.get(str(name), str(name)): value for name, value in given.items()}
    for name, value in renamed.items():  # v1.2 accepts ids as numbers
        if name.endswith("_ids") and isinstance(value, list):
            renamed[name] = [str(one) if isinstance(one, int) else one for one in value]
    return json.dumps(renamed)


def _rename_all(text: str, names: dict[str, str]) -> str:
    try:
        given = json.loads(text)
    except ValueError:
        return text
    return json.dumps([names.get(one, one) if isinstance(one, str) else one for one in given])

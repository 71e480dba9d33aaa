"""Parse the `filtering` object of campaign/get, adgroup/get and ad/get (API notes 5.2)."""

from collections.abc import Callable, Mapping
from typing import Any

from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import parse_choice, parse_id, parse_texts, parse_time
from tiktok_assets.sandbox.world.status import (
    ADS_PLATFORM,
    DEFAULT_BUYING_TYPES,
    DEFAULT_ORIGINS,
    PRIMARY_STATUSES,
    PROMOTE,
    SECONDARY_STATUSES,
    matches_status,
)

FilterValues = Mapping[str, Any]
Predicate = Callable[[FilterValues], bool]
Rule = Callable[[object, str, str], Predicate]  # (value, path, kind of entity) -> predicate

MAX_IDS = 100  # API notes 5.1
OBJECTIVE_TYPES = [
    "REACH",
    "TRAFFIC",
    "VIDEO_VIEWS",
    "ENGAGEMENT",
    "APP_PROMOTION",
    "LEAD_GENERATION",
    "WEB_CONVERSIONS",
    "PRODUCT_SALES",
    "RF_REACH",
    "TOPVIEW_REACH",
    "BRAND_CONSIDERATION",
    "APP_INSTALL",
    "CONVERSIONS",
    "CATALOG_SALES",
    "SHOP_PURCHASES",
]  # API notes 5.6
OBJECTIVE_ALIASES = {"CONVERSIONS": "WEB_CONVERSIONS"}  # a filter by either returns both (API notes 1.4)
BUYING_TYPES = ("AUCTION", "RESERVATION_RF", "RESERVATION_TOP_VIEW")
AUTOMATION_TYPES = ("MANUAL", "SMART_PLUS", "UPGRADED_SMART_PLUS")


def parse_ids(value: object, path: str, limit: int = MAX_IDS) -> list[str]:
    """Check that a value is a list of at most `limit` ids, and return it (API notes 5.1).

    Raises:
        ApiError: 40002, it is no list of ids; 40011, it has too many.
    """
    if not isinstance(value, list):
        raise bad_parameter(path, "Not a valid list.")
    if len(value) > limit:
        raise ApiError.from_code(40011, path=path, limit=limit)
    return [parse_id(item, f"{path}.{index}") for index, item in enumerate(value)]


def _ids(field: str) -> Rule:
    def rule(value: object, path: str, _: str) -> Predicate:
        wanted = frozenset(parse_ids(value, path))
        return lambda values: values.get(field) in wanted

    return rule


def _contains(field: str) -> Rule:
    def rule(value: object, path: str, _: str) -> Predicate:
        if not isinstance(value, str):
            raise bad_parameter(path, "Not a valid string.")
        wanted = value.casefold()
        return lambda values: wanted in values[field].casefold()

    return rule


def _choice(field: str, allowed: tuple[str, ...] | list[str]) -> Rule:
    def rule(value: object, path: str, _: str) -> Predicate:
        wanted = parse_choice(value, path, allowed)
        wanted = OBJECTIVE_ALIASES.get(wanted, wanted)
        return lambda values: values[field] == wanted

    return rule


def _equal(field: str) -> Rule:
    return lambda value, _path, _level: lambda values: values.get(field) == value


def _one_of(field: str) -> Rule:
    def rule(value: object, path: str, _: str) -> Predicate:
        wanted = frozenset(parse_texts(value, path))
        return lambda values: values.get(field) in wanted

    return rule


def _buying_types(value: object, path: str, _: str) -> Predicate:
    wanted = [
        parse_choice(item, f"{path}.{index}", BUYING_TYPES) for index, item in enumerate(parse_texts(value, path))
    ]
    if "RESERVATION_TOP_VIEW" in wanted and len(wanted) > 1:  # API notes 3.3, 5.1
        raise ApiError(
            40002,
            f"Invalid param: '{path}'. The value 'RESERVATION_TOP_VIEW' cannot be combined with other "
            "enum values.",
        )
    return lambda values: values["buying_type"] in wanted


def _origins(value: object, path: str, _: str) -> Predicate:
    wanted = [
        parse_choice(item, f"{path}.{index}", (PROMOTE, ADS_PLATFORM))
        for index, item in enumerate(parse_texts(value, path))
    ]
    return lambda values: values["campaign_system_origin"] in wanted


def _primary(value: object, path: str, _: str) -> Predicate:
    wanted = parse_choice(value, path, PRIMARY_STATUSES)
    return lambda values: matches_status(values["secondary_status"], wanted)


def _secondary(value: object, path: str, kind: str) -> Predicate:
    wanted = parse_choice(value, path, SECONDARY_STATUSES[kind])
    return lambda values: matches_status(values["secondary_status"], wanted)


def _time(field: str, *, after: bool) -> Rule:
    def rule(value: object, path: str, _: str) -> Predicate:
        limit = parse_time(value, path)
        if after:
            return lambda values: bool(values.get(field, "") >= limit)  # Smart+ ads have no modify_time
        return lambda values: bool(values[field] <= limit)

    return rule


COMMON: dict[str, Rule] = {
    "campaign_ids": _ids("campaign_id"),
    "primary_status": _primary,
    "secondary_status": _secondary,
    "objective_type": _choice("objective_type", OBJECTIVE_TYPES),
    "optimization_goal": _equal("optimization_goal"),
    "buying_types": _buying_types,
    "campaign_automation_type": _choice("campaign_automation_type", AUTOMATION_TYPES),
    "campaign_system_origins": _origins,
    "creation_filter_start_time": _time("create_time", after=True),
    "creation_filter_end_time": _time("create_time", after=False),
}
FILTERS: dict[str, dict[str, Rule]] = {
    "campaign": {
        **COMMON,
        "campaign_name": _contains("campaign_name"),
        "sales_destination": _equal("sales_destination"),
        "campaign_type": _choice("campaign_type", ("REGULAR_CAMPAIGN", "IOS14_CAMPAIGN")),
        "is_smart_performance_campaign": _equal("is_smart_performance_campaign"),
        "creative_campaign_type": _choice("creative_campaign_type", ("SPC", "SEARCH_CAMPAIGN", "OTHER")),
        "split_test_enabled": _equal("split_test_enabled"),
        "campaign_product_source": _equal("campaign_product_source"),
    },
    "ad_group": {
        **COMMON,
        "adgroup_ids": _ids("adgroup_id"),
        "adgroup_name": _contains("adgroup_name"),
        "promotion_type": _equal("promotion_type"),
        "bid_strategy": _equal("bid_strategy"),
        "creative_material_mode": _equal("creative_material_mode"),
        "billing_events": _one_of("billing_event"),
        "split_test_enabled": _equal("split_test_enabled"),
    },
    "ad": {
        **COMMON,
        "adgroup_ids": _ids("adgroup_id"),
        "ad_ids": _ids("ad_id"),
        "ad_ids_v2": _ids("ad_id_v2"),
        "ad_name": _contains("ad_name"),
        "creative_material_mode": _equal("creative_material_mode"),
        "destination": _equal("destination"),
        "modified_after": _time("modify_time", after=True),  # only here (API notes 5.1)
    },
}
SMART_PLUS_OBJECTIVES = ["APP_PROMOTION", "WEB_CONVERSIONS", "LEAD_GENERATION"]
SALES_DESTINATIONS = ["WEBSITE", "APP", "WEB_AND_APP"]
# The filters of the lists under /smart_plus/ (mengxingxinqing/tiktok_ads, get_upgraded_smart_campaigns,
# get_upgraded_smart_ad_groups, get_upgraded_smart_ads).
SMART_PLUS_COMMON: dict[str, Rule] = {
    "campaign_ids": _ids("campaign_id"),
    "primary_status": _primary,
    "secondary_status": _secondary,
    "objective_type": _choice("objective_type", SMART_PLUS_OBJECTIVES),
    "sales_destination": _choice("sales_destination", SALES_DESTINATIONS),
}
CREATION_TIMES: dict[str, Rule] = {
    "creation_filter_start_time": _time("create_time", after=True),
    "creation_filter_end_time": _time("create_time", after=False),
}
FILTERS |= {
    "smart_plus_campaign": {
        **SMART_PLUS_COMMON,
        **CREATION_TIMES,
        "campaign_name": _contains("campaign_name"),
        "objective_type": _choice("objective_type", OBJECTIVE_TYPES),
    },
    "smart_plus_ad_group": {
        **SMART_PLUS_COMMON,
        "adgroup_ids": _ids("adgroup_id"),
        "adgroup_name": _contains("adgroup_name"),
        "promotion_type": _equal("promotion_type"),
        "optimization_goal": _equal("optimization_goal"),
    },
    "smart_plus_ad": {
        **SMART_PLUS_COMMON,
        **CREATION_TIMES,
        "adgroup_ids": _ids("adgroup_id"),
        "smart_plus_ad_ids": _ids("smart_plus_ad_id"),
        "optimization_goal": _equal("optimization_goal"),
        "modified_after": _time("modify_time", after=True),
    },
}


def parse_filtering(filtering: Mapping[str, object] | None, kind: str) -> list[Predicate]:
    """Return the predicates of a `filtering` object, all of which must hold (API notes 5.1).

    Deleted entities are excluded unless there is a status filter, TopView and Promote campaigns unless there is a
    filter for them. Unknown keys are ignored.
    """
    given = {key: value for key, value in (filtering or {}).items() if value is not None}
    rules = FILTERS[kind]
    predicates = [rules[key](value, f"filtering.{key}", kind) for key, value in given.items() if key in rules]
    if "primary_status" not in given and "secondary_status" not in given:
        predicates.append(lambda values: matches_status(values["secondary_status"], "STATUS_NOT_DELETE"))
    if "buying_types" not in given:
        predicates.append(lambda values: values["buying_type"] in DEFAULT_BUYING_TYPES)
    if "campaign_system_origins" not in given:
        predicates.append(lambda values: values["campaign_system_origin"] in DEFAULT_ORIGINS)
    return predicates

"""Build the bodies with which a duplication creates copies of objects that have every documented field."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Any, get_args

from tiktok_assets.api.creatives import Identity
from tiktok_assets.duplication.copy_rules import CopyMethod
from tiktok_assets.duplication.field_selection import flatten_object
from tiktok_assets.duplication.payloads import (
    AdGroupPlacement,
    CopiedCreative,
    build_ad_group_payload,
    build_ad_payload,
)
from tiktok_assets.duplication.smart_plus_payloads import build_smart_plus_ad, build_smart_plus_ad_group
from tiktok_assets.duplication.sources import build_source_ad_group
from tiktok_assets.spec.ad_create_fields import AD_CREATE_FIELDS
from tiktok_assets.spec.currencies import DAILY_BUDGET
from tiktok_assets.spec.endpoints import (
    AD_CREATE,
    AD_GROUP_CREATE,
    AD_GROUP_LIST,
    AD_LIST,
    SMART_PLUS_AD_CREATE,
    SMART_PLUS_AD_GROUP_CREATE,
    SMART_PLUS_AD_GROUP_LIST,
    SMART_PLUS_AD_LIST,
    Endpoint,
)
from tiktok_assets_tests.contracts.contract import FieldRule, load_contract

PLACEMENT = AdGroupPlacement(
    "1", "key", "[tta]", DAILY_BUDGET, Decimal(50), enable=False, now=datetime(2026, 11, 9, tzinfo=UTC)
)
CALLS_TO_ACTION = ("call_to_action", "call_to_action_id")
"""Of which an ad has one."""


def operation_name(endpoint: Endpoint) -> str:
    """Return the name of an operation as in the contracts."""
    return endpoint.path.strip("/")


def build_full_payloads(*, typed: bool) -> dict[str, list[dict[str, Any]]]:
    """Build the bodies that copy every documented field, with values of the documented types or with any value."""
    smart_plus_group = build_source_ad_group(_build_nested_object(SMART_PLUS_AD_GROUP_LIST))
    smart_plus_ad = flatten_object(_build_nested_object(SMART_PLUS_AD_LIST), AD_CREATE_FIELDS, "smart_plus")
    return {
        operation_name(AD_GROUP_CREATE): [
            build_ad_group_payload(_build_full_object(AD_GROUP_LIST, typed=typed), PLACEMENT)
        ],
        operation_name(AD_CREATE): list(_build_ads(_build_full_object(AD_LIST, typed=typed))),
        operation_name(SMART_PLUS_AD_GROUP_CREATE): [
            build_smart_plus_ad_group({**smart_plus_group, "advertiser_id": "1"}, PLACEMENT)
        ],
        operation_name(SMART_PLUS_AD_CREATE): list(_build_smart_plus_ads(smart_plus_ad)),
    }


def _list_creatives() -> Iterator[tuple[str, CopiedCreative]]:
    for method, ad_format in product(get_args(CopyMethod), ("SINGLE_VIDEO", "CAROUSEL_ADS")):
        identity = "CUSTOMIZED_USER" if method == "custom" else "BC_AUTH_TT"
        yield ad_format, CopiedCreative(method, Identity(identity, "1", "1"), ("1",))


def _build_ads(source: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for ad_format, shown in _list_creatives():
        for absent in CALLS_TO_ACTION:
            some = {name: value for name, value in source.items() if name != absent} | {"ad_format": ad_format}
            yield build_ad_payload(
                {**some, "promotional_music_disabled": False}, "1", "[tta]", shown, enable=False
            )


def _build_smart_plus_ads(source: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for ad_format, shown in _list_creatives():
        for call_to_action_id, objective in ((None, "APP_PROMOTION"), ("1", "WEB_CONVERSIONS")):
            yield build_smart_plus_ad(
                {**source, "ad_format": ad_format, "advertiser_id": "1"},
                "1",
                "[tta]",
                shown,
                objective=objective,
                call_to_action_id=call_to_action_id,
                enable=False,
            )


def _build_full_object(endpoint: Endpoint, *, typed: bool) -> dict[str, Any]:
    """Build an object with every documented field."""
    row = build_sample(load_contract(operation_name(endpoint)).response, "data.list[]")
    copied = {name: value if typed else [{"value": "1"}] for name, value in row.items()}
    return copied | {"advertiser_id": "1"}


def _build_nested_object(endpoint: Endpoint) -> dict[str, Any]:
    row: dict[str, Any] = build_sample(load_contract(operation_name(endpoint)).response, "data.list[]")
    return row


def build_sample(rules: Mapping[str, FieldRule], path: str) -> Any:  # noqa: ANN401 - any JSON
    """Build a value of the documented type at a path, with every field of an object and one element of a list."""
    kind = next((one for one in rules[path].types if one != "null"), "null")
    if kind == "object":
        below = [name.removeprefix(f"{path}.") for name in rules if name.startswith(f"{path}.")]
        names = [name for name in below if "." not in name and "[" not in name and name != "*"]
        return {name: build_sample(rules, f"{path}.{name}") for name in names}
    if kind == "array":
        return [build_sample(rules, f"{path}[]")] if f"{path}[]" in rules else []
    text = (rules[path].values or ["1"])[-1]  # the first value of some enumerations means that nothing is set
    return {"string": text, "integer": 1, "number": 1, "boolean": True, "null": None}[kind]

"""Build the bodies with which a duplication creates copies of objects that have every documented field."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Any, get_args

from tiktok_assets.api.creatives import Identity
from tiktok_assets.duplication.copy_rules import CopyMethod
from tiktok_assets.duplication.payloads import (
    READ_ONLY_AD_FIELDS,
    READ_ONLY_AD_GROUP_FIELDS,
    AdGroupPlacement,
    CopiedCreative,
    build_ad_group_payload,
    build_ad_payload,
)
from tiktok_assets.spec.currencies import DAILY_BUDGET
from tiktok_assets.spec.endpoints import AD_CREATE, AD_GROUP_CREATE, Endpoint
from tiktok_assets.spec.entities import AD_GROUPS, ADS
from tiktok_assets_tests.contracts.contract import FieldRule, load_contract


def operation_name(endpoint: Endpoint) -> str:
    """Return the name of an operation as in the contracts."""
    return endpoint.path.strip("/")


def build_full_payloads(*, typed: bool) -> dict[str, list[dict[str, Any]]]:
    """Build the bodies that copy every documented field, with values of the documented types or with any value."""
    groups, ads = (
        _build_full_object(operation_name(entity.endpoint), not_taken, typed=typed)
        for entity, not_taken in ((AD_GROUPS, READ_ONLY_AD_GROUP_FIELDS), (ADS, READ_ONLY_AD_FIELDS))
    )
    return {
        operation_name(AD_GROUP_CREATE): [_build_ad_group(groups)],
        operation_name(AD_CREATE): list(_build_ads(ads)),
    }


def _build_ad_group(source: Mapping[str, Any]) -> dict[str, Any]:
    placed = AdGroupPlacement("1", "key", "[tta]", DAILY_BUDGET, Decimal(50), enable=False, now=datetime.now(UTC))
    return build_ad_group_payload(source, placed)


def _build_ads(source: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for method, ad_format in product(get_args(CopyMethod), ("SINGLE_VIDEO", "CAROUSEL_ADS")):
        shown = CopiedCreative(method, Identity("BC_AUTH_TT", "1", "1"), ("1",))
        source["ad_format"] = ad_format
        for absent in ("call_to_action", "call_to_action_id"):  # an ad has one of the two
            some = {name: value for name, value in source.items() if name != absent}
            yield build_ad_payload(
                {**some, "promotional_music_disabled": False}, "1", "[tta]", shown, enable=False
            )


def _build_full_object(operation: str, not_taken: Iterable[str], *, typed: bool) -> dict[str, Any]:
    """Build an object with every documented field that is copied."""
    row = build_sample(load_contract(operation).response, "data.list[]")
    copied = {name: value if typed else [{"value": "1"}] for name, value in row.items()}
    return {name: value for name, value in copied.items() if name not in set(not_taken)} | {"advertiser_id": "1"}


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

"""Detect the kinds of ads, ad groups and campaigns that cannot be read and created again (API notes 5.7, 8.7)."""

from collections.abc import Callable

from tiktok_assets.duplication.ad_formats import JsonObject


def find_uncopyable_kind(row: JsonObject) -> str:
    """Return the kind of an object that cannot be copied, or "" if it can be copied (API notes 5.7, 8.7)."""
    for kind, fields in _UNCOPYABLE:
        for name, matches in fields.items():
            if name in row and matches(row[name]):
                return kind
    return ""


def has_value(value: object) -> bool:
    """Return whether a field of a response has a value."""
    return bool(value) and value not in ("UNSET", "0")


def _is_not(*values: object) -> Callable[[object], bool]:
    return lambda value: bool(value) and value not in values


def _is(*values: str) -> Callable[[object], bool]:
    return lambda value: value in values


def _starts_with(*prefixes: str) -> Callable[[object], bool]:
    return lambda value: str(value or "").startswith(prefixes)


_UNCOPYABLE: tuple[tuple[str, dict[str, Callable[[object], bool]]], ...] = (
    (
        "Smart+",
        {
            "campaign_automation_type": _is_not("MANUAL"),
            "is_smart_performance_campaign": has_value,
            "smart_plus_ad_id": has_value,
        },
    ),
    (
        "automated creative optimisation",
        {"is_aco": has_value, "creative_material_mode": _is("DYNAMIC", "SMART_CREATIVE")},
    ),
    (
        "bought by reservation",
        {
            "objective_type": _starts_with("RF_", "TOPVIEW_"),
            "billing_event": _is("GD"),
            "buying_type": _starts_with("RESERVATION_"),
            "rf_purchased_type": has_value,
        },
    ),
    (
        "made from a catalogue or a shop",
        {
            "objective_type": _is("PRODUCT_SALES", "CATALOG_SALES", "SHOP_PURCHASES"),
            "ad_format": _is("CATALOG_CAROUSEL"),
            "product_source": has_value,
            "shopping_ads_type": has_value,
            "catalog_id": has_value,
            "store_id": has_value,
            "catalog_enabled": has_value,
            "campaign_product_source": has_value,
        },
    ),
    ("a live broadcast", {"ad_format": _is("LIVE_CONTENT")}),
    ("part of a split test", {"split_test_enabled": has_value, "split_test_group_id": has_value}),
    ("made by Promote", {"campaign_system_origin": _starts_with("PROMOTE")}),
)

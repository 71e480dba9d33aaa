"""The kinds of ads, ad groups and campaigns that cannot be read and created again (dossier 5.7, 8.7)."""

from collections.abc import Callable

from tiktok_assets.scaling.drafts import Object


def uncopyable_kind(row: Object) -> str:
    """Of which kind an object is that cannot be copied; "" where it can (dossier 5.7, 8.7)."""
    for kind, fields in _UNCOPYABLE:
        for name, wrong in fields.items():
            if name in row and wrong(row[name]):
                return kind
    return ""


def is_set(value: object) -> bool:
    """Whether a field of an answer names something."""
    return bool(value) and value not in ("UNSET", "0")


def _is_not(*usual: object) -> Callable[[object], bool]:
    return lambda value: bool(value) and value not in usual


def _is(*kinds: str) -> Callable[[object], bool]:
    return lambda value: value in kinds


def _begins(*starts: str) -> Callable[[object], bool]:
    return lambda value: str(value or "").startswith(starts)


_UNCOPYABLE: tuple[tuple[str, dict[str, Callable[[object], bool]]], ...] = (
    (
        "Smart+",
        {
            "campaign_automation_type": _is_not("MANUAL"),
            "is_smart_performance_campaign": is_set,
            "smart_plus_ad_id": is_set,
        },
    ),
    (
        "automated creative optimisation",
        {"is_aco": is_set, "creative_material_mode": _is("DYNAMIC", "SMART_CREATIVE")},
    ),
    (
        "bought by reservation",
        {
            "objective_type": _begins("RF_", "TOPVIEW_"),
            "billing_event": _is("GD"),
            "buying_type": _begins("RESERVATION_"),
            "rf_purchased_type": is_set,
        },
    ),
    (
        "made from a catalogue or a shop",
        {
            "objective_type": _is("PRODUCT_SALES", "CATALOG_SALES", "SHOP_PURCHASES"),
            "ad_format": _is("CATALOG_CAROUSEL"),
            "product_source": is_set,
            "shopping_ads_type": is_set,
            "catalog_id": is_set,
            "store_id": is_set,
            "catalog_enabled": is_set,
            "campaign_product_source": is_set,
        },
    ),
    ("a live broadcast", {"ad_format": _is("LIVE_CONTENT")}),
    ("part of a split test", {"split_test_enabled": is_set, "split_test_group_id": is_set}),
    ("made by Promote", {"campaign_system_origin": _begins("PROMOTE")}),
)

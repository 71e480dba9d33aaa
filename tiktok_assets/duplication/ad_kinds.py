"""Say of which kind an ad is, whether a copy of it can be created, and what to do by hand where it cannot.

The table `AD_KINDS` lists the kinds in order of precedence: an ad of several kinds is named by the first. Only
`explain_duplication` decides whether an ad can be duplicated; whether it is news is another question, which the
guardrails of `tiktok_assets.top_spenders` answer.

The functions take an object as the API returns it, or its stored row, whose column `extra` has the other fields.

Sources: API notes 5.7 and 8.7; mengxingxinqing/tiktok_ads, pages
retrieve_data_for_upgrade_smart_smart_and_manual_campaigns (the kinds of Smart+), 01_upgraded_smart_plus_overview
(the older Smart+ has ended), smart_creative, get_ad_groups and migrate_to_gmv_max_campaigns (catalogue and shop),
copy_a_campaign (live), use_split_tests, promote_campaign.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tiktok_assets.spec import DELETED_SUFFIX, UPGRADED_SMART_PLUS

JsonObject = Mapping[str, Any]
Predicate = Callable[[object], bool]
Answer = Literal["yes", "by hand", "no"]

_USE_IN_NEW_AD = "in Ads Manager, use its video or post in a new ad of the scaling campaign"
_CHOOSE_TARGET = "name another campaign in TIKTOK_SCALING_CAMPAIGNS, or copy the ad in Ads Manager"
_HOW_POST = "with the same post, its likes and comments"
_HOW_MEDIA = "with the same media, text and landing page"
_HOW_SMART_PLUS = "as an Upgraded Smart+ ad with this creative alone, with its text and landing page"


@dataclass(frozen=True, slots=True)
class AdKind:
    """A kind of ad.

    Attributes:
        name: as stored in tables.
        label: as shown to people, in the middle of a sentence.
        phrase: completes "the ad is ..." and "its campaign is ..."; "" where copies can be created.
        reason: why no copy can be created, as a clause; "" where copies can be created.
        manual_steps: what to do in Ads Manager instead, as a clause in the imperative.
        fields: how it is recognised: a field of the ad, its ad group or its campaign, with the values.
    """

    name: str
    label: str
    phrase: str
    reason: str
    manual_steps: str
    fields: Mapping[str, Predicate]

    def matches(self, row: JsonObject) -> bool:
        """Return whether a field of an object has one of the values of this kind."""
        return any(name in row and predicate(row[name]) for name, predicate in self.fields.items())


@dataclass(frozen=True, slots=True)
class Duplicability:
    """Whether and how an ad can be duplicated.

    Attributes:
        kind: of the ad.
        can_be_duplicated: whether a duplication can create a copy; the checks of the dry run still apply.
        reason: why it cannot be duplicated, as a clause; else with what, as a phrase that begins so.
        manual_steps: what to do by hand, as a clause in the imperative; "" if nothing can be done, or need be.
    """

    kind: AdKind
    can_be_duplicated: bool
    reason: str
    manual_steps: str = ""

    @property
    def answer(self) -> Answer:
        """The answer in a word: yes, by hand, or no."""
        if self.can_be_duplicated:
            return "yes"
        return "by hand" if self.manual_steps else "no"


def explain_duplication(
    ad: JsonObject | None,
    ad_group: JsonObject | None,
    campaign: JsonObject | None,
    target_campaign: JsonObject | None = None,
) -> Duplicability:
    """Explain whether and how an ad can be duplicated.

    Args:
        ad: the ad; None where TikTok does not list it.
        ad_group: its ad group, or None.
        campaign: its campaign, or None.
        target_campaign: the campaign to duplicate it into; None if that is not decided or not known.
    """
    kinds = find_kinds(ad, ad_group, campaign)
    kind = kinds[0]
    if is_deleted(ad or {}):
        return Duplicability(kind, False, "it is deleted, so there is nothing left to duplicate")
    if blocking := next((one for one in kinds if one.phrase), None):
        return Duplicability(kind, False, blocking.reason, blocking.manual_steps)
    if ad is None:
        return Duplicability(kind, False, "TikTok's list of ads does not contain it, so it cannot be read")
    target = _merge_extra(target_campaign)
    if is_deleted(target):
        return Duplicability(kind, False, "the scaling campaign is deleted", _CHOOSE_TARGET)
    if phrase := find_uncopyable_kind(target):
        reason = f"the scaling campaign is {phrase}, in which no copies are created"
        return Duplicability(kind, False, reason, _CHOOSE_TARGET)
    how = _HOW_POST if has_value(ad.get("tiktok_item_id")) else _HOW_MEDIA
    is_smart_plus = target.get("campaign_automation_type") == UPGRADED_SMART_PLUS
    return Duplicability(kind, True, _HOW_SMART_PLUS if is_smart_plus else how)


def find_kinds(
    ad: JsonObject | None, ad_group: JsonObject | None, campaign: JsonObject | None
) -> tuple[AdKind, ...]:
    """Find the kinds of an ad, the one that names it first: `manual` if none other, `unknown` without its row."""
    rows = [_merge_extra(row) for row in (ad, ad_group, campaign)]
    found = tuple(kind for kind in AD_KINDS if any(kind.matches(row) for row in rows))
    return found or (MANUAL if ad else UNKNOWN,)


def find_uncopyable_kind(row: JsonObject) -> str:
    """Return the phrase of the kind of an object that cannot be copied, or "" if it can be copied."""
    return next((kind.phrase for kind in AD_KINDS if kind.phrase and kind.matches(_merge_extra(row))), "")


def is_deleted(row: JsonObject) -> bool:
    """Return whether an object or one of its parents is deleted."""
    return (
        str(row.get("secondary_status") or "").endswith(DELETED_SUFFIX) or row.get("operation_status") == "DELETE"
    )


def has_value(value: object) -> bool:
    """Return whether a field of a response has a value."""
    return bool(value) and value not in ("UNSET", "0")


def _merge_extra(row: JsonObject | None) -> dict[str, Any]:
    """Return an object's fields, of a stored row also those in its column `extra`."""
    fields = dict(row or {})
    return {**fields, **json.loads(fields.get("extra") or "{}")}


def _is(*values: str) -> Predicate:
    return lambda value: value in values


def _starts_with(*prefixes: str) -> Predicate:
    return lambda value: str(value or "").startswith(prefixes)


def _is_other_automation(value: object) -> bool:
    """Return whether a type of automation is none that is known: a copy of such an ad could be anything."""
    return bool(value) and value not in ("MANUAL", "SMART_PLUS") and not _UPGRADED(value)


_UPGRADED = _starts_with("UPGRADED_SMART_PLUS")

AD_KINDS: tuple[AdKind, ...] = (
    AdKind(
        "promote",
        "Promote ad",
        "made by Promote",
        "it was made by Promote in the TikTok app, whose ads the API only reads",
        "authorise its post for ads in the TikTok app and run it as a Spark ad in the scaling campaign",
        {"campaign_system_origin": _starts_with("PROMOTE")},
    ),
    AdKind(
        "reservation",
        "ad bought by reservation",
        "bought by reservation",
        "it was bought by reservation, and its delivery and price are those of the booking",
        _USE_IN_NEW_AD,
        {
            "objective_type": _starts_with("RF_", "TOPVIEW_"),
            "billing_event": _is("GD"),
            "buying_type": _starts_with("RESERVATION_"),
            "rf_purchased_type": has_value,
        },
    ),
    AdKind(
        "upgraded_smart_plus",
        "Upgraded Smart+ creative",
        "",
        "",
        "",
        {"campaign_automation_type": _UPGRADED, "smart_plus_ad_id": has_value},
    ),
    AdKind(
        "smart_plus",
        "ad of the older Smart+",
        "Smart+ of the older type",
        "it belongs to a Smart+ campaign of the older type, of which TikTok creates no new ones",
        _USE_IN_NEW_AD,
        {"campaign_automation_type": _is("SMART_PLUS"), "is_smart_performance_campaign": has_value},
    ),
    AdKind(
        "other_automation",
        "automated ad of a new type",
        "automated in a way this release does not know",
        "its campaign is automated in a way this release does not know",
        "copy it in Ads Manager, and look for a newer release of this project",
        {"campaign_automation_type": _is_other_automation},
    ),
    AdKind(
        "automated_creative",
        "Smart Creative ad",
        "automated creative optimisation",
        "TikTok combines it from the videos and texts of its ad group (Smart Creative), so it is no ad of its own",
        _USE_IN_NEW_AD,
        {"is_aco": has_value, "creative_material_mode": _is("DYNAMIC", "SMART_CREATIVE")},
    ),
    AdKind(
        "live",
        "live broadcast",
        "a live broadcast",
        "it shows a live broadcast, which a copy could not show again",
        "create a new ad for the next broadcast in Ads Manager",
        {
            "ad_format": _is("LIVE_CONTENT"),
            "promotion_type": _is("LIVE_SHOPPING"),
            "shopping_ads_type": _is("LIVE"),
        },
    ),
    AdKind(
        "shop",
        "TikTok Shop ad",
        "made from a shop",
        "it sells from a TikTok Shop or showcase, for which TikTok accepts new ads in GMV Max campaigns",
        "add its video or post to a GMV Max campaign of the shop in Ads Manager",
        {
            "objective_type": _is("SHOP_PURCHASES"),
            "product_source": _is("STORE", "SHOWCASE"),
            "store_id": has_value,
            "campaign_product_source": _is("STORE"),
        },
    ),
    AdKind(
        "catalogue",
        "catalogue ad",
        "made from a catalogue",
        "it is made from a catalogue, and its products and templates cannot be read and created again",
        "copy the ad in Ads Manager, choose the scaling campaign, and check the product set there",
        {
            # PRODUCT_SALES sells from a catalogue, unless a field above names a shop.
            "objective_type": _is("PRODUCT_SALES", "CATALOG_SALES"),
            "ad_format": _is("CATALOG_CAROUSEL"),
            "product_source": has_value,
            "shopping_ads_type": has_value,
            "catalog_id": has_value,
            "catalog_enabled": has_value,
            "campaign_product_source": has_value,
        },
    ),
    AdKind(
        "split_test",
        "ad in a split test",
        "part of a split test",
        "it is part of a split test, whose result a copy would change",
        "wait for the end of the test, or copy the ad in Ads Manager",
        {"split_test_enabled": has_value, "split_test_group_id": has_value},
    ),
    AdKind("spark", "Spark ad", "", "", "", {"tiktok_item_id": has_value}),
)
"""The kinds in order of precedence; `manual` is what is left."""

MANUAL = AdKind("manual", "manual ad", "", "", "", {})
UNKNOWN = AdKind("unknown", "ad of unknown kind", "", "", "", {})

_LABELS: Mapping[str, str] = {kind.name: kind.label for kind in (*AD_KINDS, MANUAL, UNKNOWN)}


def format_kind(name: str | None, *, is_deleted: bool | None = False) -> str:
    """Format the kind of an ad, as stored, for people; "" if it is not known.

    >>> format_kind("spark"), format_kind("catalogue", is_deleted=True), format_kind(None)
    ('Spark ad', 'catalogue ad, deleted', '')
    """
    label = _LABELS.get(name or "", name or "")
    return ", ".join([*([label] if label else []), *(["deleted"] if is_deleted else [])])

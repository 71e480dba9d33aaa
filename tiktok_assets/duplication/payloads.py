"""Build the create requests of a duplication from the objects that were read (API notes 8.4)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec

from tiktok_assets.api.creatives import Identity
from tiktok_assets.duplication.ad_formats import CopyMethod, build_creative_fields
from tiktok_assets.duplication.emoji_text import remove_emoji
from tiktok_assets.spec.money import DAILY_BUDGET, DYNAMIC_BUDGET_OBJECTIVES, DYNAMIC_DAILY_BUDGET, TOTAL_BUDGET

JsonObject = Mapping[str, Any]
Payload = dict[str, Any]

MAX_NAME_LENGTH = 512
"""Characters a name may have (dossier 8.2, 8.3)."""

FROM_NOW = "SCHEDULE_FROM_NOW"
COST_PER_VIEW = "CPV"

_OLD_MARKER = re.compile(r" ?\[tta-[0-9a-f]{12}\]$")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EVERYWHERE = _names(
    "advertiser_id campaign_id adgroup_id ad_id campaign_name adgroup_name ad_name create_time modify_time"
    " operation_status secondary_status is_new_structure campaign_system_origin campaign_automation_type"
    " is_smart_performance_campaign"
)
READ_ONLY_AD_GROUP_FIELDS = _EVERYWHERE | _names(
    "app_download_url app_type cpv_video_duration delivery_mode feed_type inventory_filter_enabled"
    " ios14_quota_type schedule_infos schedule_id scheduled_budget conversion_window"
    # Deprecated; and a saved audience, whose parts are returned beside it and refused with it: the parts stay.
    " auto_targeting_enabled targeting_expansion saved_audience_id"
    " category_id keywords pre_discount_cpm cpm discount_type discount_amount discount_percentage"
    " pre_discount_budget"
)
READ_ONLY_AD_FIELDS = _EVERYWHERE | _names(
    "is_aco optimization_event profile_image_url vast_moat_enabled branded_content_disabled landing_page_urls"
    " smart_plus_ad_id ad_id_v2"
)
_NOT_TAKEN_FAMILIES = ("predict_", "purchased_", "rf_", "split_test_", "topview_")
"""Beginnings of such names. A field nobody listed is sent on: what the API does not take it refuses or ignores,
while leaving out a field it takes could silently widen what a copy aims at."""
_NOT_TAKEN_INSIDE = {"search_keywords": _names("audit_status reject_info")}

_DECODER = msgspec.json.Decoder(Payload, float_hook=Decimal)


def decode_payload(text: str) -> Payload:
    """A body kept as text, with exact numbers."""
    return _DECODER.decode(text)


def remove_read_only_fields(row: JsonObject, not_taken: frozenset[str]) -> Payload:
    """The fields of an object that creation takes and that say something."""
    return {
        name: _stripped_inside(name, value)
        for name, value in row.items()
        if name not in not_taken and not name.startswith(_NOT_TAKEN_FAMILIES) and not is_placeholder(value)
    }


def _stripped_inside(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON is anything
    inner = _NOT_TAKEN_INSIDE.get(name)
    if not inner:
        return value
    return [{key: one for key, one in item.items() if key not in inner} for item in value]


def is_placeholder(value: object) -> bool:
    """Whether a value of an answer stands for nothing: null, "", UNSET, an empty list, a bid of 0.

    >>> [is_placeholder(one) for one in (None, "", "UNSET", [], 0, "0", False, 0.5)]
    [True, True, True, True, True, False, False, False]
    """
    if value is None or value in ([], {}):
        return True
    if isinstance(value, str):
        return value in {"", "UNSET"} or value.endswith("_UNSET")
    return not isinstance(value, bool) and value == 0


def build_copy_name(name: str, marker: str) -> str:
    """Return a name without emoji that ends with a marker; too long a name is cut, the marker never.

    Args:
        name: of the original; the marker of an earlier copy is left off.
        marker: to end with.
    """
    kept = remove_emoji(_OLD_MARKER.sub("", name))
    return f"{kept.strip()[: MAX_NAME_LENGTH - len(marker) - 1].rstrip()} {marker}".lstrip()


def has_marker(name: str) -> bool:
    """Whether a name says that a duplication made its object."""
    return bool(_OLD_MARKER.search(name))


def compute_request_id(key: str, step: str) -> str:
    """The `request_id` of a step, the text of a 64-bit integer (dossier 8.5).

    Every attempt has the same: should an earlier one be done late, within ten seconds of its successor, the API
    refuses one of the two.
    """
    return str(int.from_bytes(sha256(f"{key}:{step}".encode()).digest()[:8]) >> 1)


@dataclass(frozen=True, slots=True)
class AdGroupPlacement:
    """Where and how an ad group is made.

    Attributes:
        campaign_id: in which campaign.
        key: of the duplication.
        marker: of the duplication.
        mode: its budget mode.
        budget: None where nothing need be said.
        enable: whether it shall deliver.
        now: by the host's clock.
    """

    campaign_id: str
    key: str
    marker: str
    mode: str
    budget: Decimal | None
    enable: bool
    now: datetime


def build_ad_group_payload(source: JsonObject, placed: AdGroupPlacement) -> Payload:
    """The body of `adgroup/create` for a copy of an ad group (dossier 8.2)."""
    fields = remove_read_only_fields(source, READ_ONLY_AD_GROUP_FIELDS)
    for name in ("budget", "schedule_start_time"):
        fields.pop(name, None)
    if fields.get("bid_display_mode") != COST_PER_VIEW:  # CPMV stands on others, and creation refuses it
        fields.pop("bid_display_mode", None)
    if fields.get("schedule_type") == FROM_NOW:
        fields.pop("schedule_end_time", None)  # it reads as ten years later; TikTok sets it anew
    fields.setdefault("bid_type", "BID_TYPE_NO_BID")  # needed where the campaign spreads the budget
    return {
        "advertiser_id": source["advertiser_id"],
        "campaign_id": placed.campaign_id,
        "adgroup_name": build_copy_name(str(source.get("adgroup_name") or ""), placed.marker),
        "request_id": compute_request_id(placed.key, "ad_group"),
        "operation_status": "ENABLE" if placed.enable else "DISABLE",
        **fields,
        "budget_mode": placed.mode,
        **({} if placed.budget is None else {"budget": placed.budget}),
        "schedule_start_time": compute_start_time(source.get("schedule_start_time"), placed.now),
    }


@dataclass(frozen=True, slots=True)
class CopiedCreative:
    """How a copied ad is shown: by which method, as whom, and with which images of the library."""

    method: CopyMethod
    identity: Identity
    images: tuple[str, ...] = ()


def build_ad_payload(
    source: JsonObject,
    ad_group_id: str | None,
    marker: str,
    shown: CopiedCreative,
    *,
    enable: bool,
    plain_text: bool = False,
) -> Payload:
    """Return the body of `ad/create` for a copy of an ad (dossier 8.3); the ad group may be filled in later.

    Args:
        source: the ad, as it was read.
        ad_group_id: None until it is known.
        marker: of the duplication.
        shown: how the copy is shown.
        enable: whether it shall deliver.
        plain_text: cut emoji from the ad's texts.
    """
    fields = remove_read_only_fields(source, READ_ONLY_AD_FIELDS)
    fields = build_creative_fields(fields, shown.method, shown.identity, shown.images)
    if plain_text:
        fields |= {name: remove_emoji(text) for name, text in fields.items() if name == "ad_text"}
        fields |= {name: [*map(remove_emoji, texts)] for name, texts in fields.items() if name == "ad_texts"}
    if "deeplink" not in fields:
        fields.pop("deeplink_type", None)
    if "call_to_action_id" in fields:  # the id wins
        fields.pop("call_to_action", None)
    creative = {
        "ad_name": build_copy_name(str(source.get("ad_name") or ""), marker),
        "operation_status": "ENABLE" if enable else "DISABLE",
        **fields,
    }
    return {"advertiser_id": source["advertiser_id"], "adgroup_id": ad_group_id, "creatives": [creative]}


def compute_start_time(planned: object, now: datetime) -> str:
    """When a copy starts: as its original if that is still to come, else now (dossier 8.2: not long past)."""
    present = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return max(str(planned or ""), present)


def choose_budget_mode(source: JsonObject, target: JsonObject) -> str:
    """Return the budget mode of a copy: the original's, or a daily one where its campaign spread the budget (8.6).

    Where the page asks for a dynamic daily budget, that is what a daily one becomes.
    """
    daily = DYNAMIC_DAILY_BUDGET if target.get("objective_type") in DYNAMIC_BUDGET_OBJECTIVES else DAILY_BUDGET
    mode = str(source.get("budget_mode") or DAILY_BUDGET)
    if (
        mode == TOTAL_BUDGET
        and has_campaign_budget_optimization(target)
        and source.get("schedule_type") == FROM_NOW
    ):
        return daily
    if mode == DYNAMIC_DAILY_BUDGET and source.get("budget"):
        return DYNAMIC_DAILY_BUDGET
    return TOTAL_BUDGET if mode == TOTAL_BUDGET else daily


def has_campaign_budget_optimization(campaign: JsonObject) -> bool:
    """Whether a campaign spreads its budget over its ad groups by itself, so that theirs are ignored."""
    return bool(campaign.get("budget_optimize_on")) or campaign.get("budget_mode") == DYNAMIC_DAILY_BUDGET

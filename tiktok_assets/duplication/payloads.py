"""Build the create requests for manual campaigns from the objects that were read (API notes 8.4).

The fields are those that `tiktok_assets.spec` classifies as copied or translated; the latter are set here.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec

from tiktok_assets.api import Identity
from tiktok_assets.duplication.copy_rules import CopyMethod, JsonObject, build_creative_fields, remove_emoji
from tiktok_assets.duplication.field_selection import build_fields
from tiktok_assets.spec import (
    AD_CREATE_FIELDS,
    AD_GROUP_CREATE_FIELDS,
    DAILY_BUDGET,
    DYNAMIC_BUDGET_OBJECTIVES,
    DYNAMIC_DAILY_BUDGET,
    TOTAL_BUDGET,
)

Payload = dict[str, Any]

MAX_NAME_LENGTH = 512
"""The maximum length of a name in characters (API notes 8.2, 8.3)."""

FROM_NOW = "SCHEDULE_FROM_NOW"
COST_PER_VIEW = "CPV"

_MARKER_PATTERN = re.compile(r" ?\[tta-[0-9a-f]{12}\]$")


_DECODER = msgspec.json.Decoder(Payload, float_hook=Decimal)


def decode_payload(text: str) -> Payload:
    """Decode a payload from JSON text, with exact decimals."""
    return _DECODER.decode(text)


def build_copy_name(name: str, marker: str) -> str:
    """Build the name of a copy: the original's without emoji, cut to fit, and the marker.

    Args:
        name: of the original; the marker of an earlier copy is removed.
        marker: see `build_marker`.
    """
    plain = remove_emoji(_MARKER_PATTERN.sub("", name))
    return f"{plain.strip()[: MAX_NAME_LENGTH - len(marker) - 1].rstrip()} {marker}".lstrip()


def has_marker(name: str) -> bool:
    """Return whether a name ends with a marker, so that a duplication created its object."""
    return bool(_MARKER_PATTERN.search(name))


def compute_request_id(key: str, step: str) -> str:
    """Compute the `request_id` of a step, the text of a 64-bit integer (API notes 8.5).

    It is the same for every attempt, so the API refuses one of two attempts that it executes within ten seconds.
    """
    return str(int.from_bytes(sha256(f"{key}:{step}".encode()).digest()[:8]) >> 1)


@dataclass(frozen=True, slots=True)
class AdGroupPlacement:
    """Where and how a copied ad group is created.

    Attributes:
        campaign_id: the campaign to create it in.
        key: of the duplication.
        marker: of the duplication.
        budget_mode: its budget mode.
        budget: None to send none.
        enable: whether it is switched on.
        now: by the clock of TikTok's server.
    """

    campaign_id: str
    key: str
    marker: str
    budget_mode: str
    budget: Decimal | None
    enable: bool
    now: datetime


def build_ad_group_payload(source: JsonObject, placement: AdGroupPlacement) -> Payload:
    """Build the body of `adgroup/create` for a copy of an ad group (API notes 8.2)."""
    fields = build_fields(source, AD_GROUP_CREATE_FIELDS, "manual")
    fields.pop("budget", None)
    if fields.get("bid_display_mode") != COST_PER_VIEW:  # others are returned with CPMV, which creation refuses
        fields.pop("bid_display_mode", None)
    if fields.get("schedule_type") == FROM_NOW:
        fields.pop("schedule_end_time", None)  # it is returned as ten years later; TikTok sets it again
    fields.setdefault("bid_type", "BID_TYPE_NO_BID")  # required under campaign budget optimization
    return override_fields(fields, build_placed_fields(source, placement))


def build_placed_fields(source: JsonObject, placement: AdGroupPlacement) -> Payload:
    """Build the fields of a copied ad group that are not copied."""
    return {
        "advertiser_id": source["advertiser_id"],
        "campaign_id": placement.campaign_id,
        "adgroup_name": build_copy_name(str(source.get("adgroup_name") or ""), placement.marker),
        "request_id": compute_request_id(placement.key, "ad_group"),
        "operation_status": "ENABLE" if placement.enable else "DISABLE",
        "budget_mode": placement.budget_mode,
        **({} if placement.budget is None else {"budget": placement.budget}),
        "schedule_start_time": compute_start_time(source.get("schedule_start_time"), placement.now),
    }


def override_fields(copied: Payload, own: Payload) -> Payload:
    """Return all fields, the own ones first and instead of copied ones with the same name."""
    return {**own, **{name: value for name, value in copied.items() if name not in own}}


@dataclass(frozen=True, slots=True)
class CopiedCreative:
    """The creative of a copied ad: the method, the identity, and the images of the asset library."""

    method: CopyMethod
    identity: Identity
    images: tuple[str, ...] = ()


def build_ad_payload(
    source: JsonObject,
    ad_group_id: str | None,
    marker: str,
    creative: CopiedCreative,
    *,
    enable: bool,
    without_emoji: bool = False,
) -> Payload:
    """Build the body of `ad/create` for a copy of an ad (API notes 8.3); the ad group may be filled in later.

    Args:
        source: the ad as it was read.
        ad_group_id: None until it is known.
        marker: of the duplication.
        creative: of the copy.
        enable: whether it is switched on.
        without_emoji: remove emoji from the ad's texts.
    """
    fields = build_fields(source, AD_CREATE_FIELDS, "manual")
    for name in ("advertiser_id", "adgroup_id"):  # beside the creatives, not inside
        fields.pop(name, None)
    fields = build_creative_fields(fields, creative.method, creative.identity, creative.images)
    if without_emoji:
        fields |= {name: remove_emoji(text) for name, text in fields.items() if name == "ad_text"}
        fields |= {name: [*map(remove_emoji, texts)] for name, texts in fields.items() if name == "ad_texts"}
    if "deeplink" not in fields:
        fields.pop("deeplink_type", None)
    if str(fields.get("page_id", "")).isdecimal():  # a number here, text in Upgraded Smart+
        fields["page_id"] = int(fields["page_id"])
    if "call_to_action_id" in fields:  # the id takes precedence
        fields.pop("call_to_action", None)
    named = {
        "ad_name": build_copy_name(str(source.get("ad_name") or ""), marker),
        "operation_status": "ENABLE" if enable else "DISABLE",
    }
    creative_payload = override_fields(fields, named)
    return {"advertiser_id": source["advertiser_id"], "adgroup_id": ad_group_id, "creatives": [creative_payload]}


def compute_start_time(original_start: object, now: datetime) -> str:
    """Compute a copy's start: the original's if it is in the future, else now (API notes 8.2: not long past)."""
    present = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return max(str(original_start or ""), present)


def choose_budget_mode(source: JsonObject, target: JsonObject) -> str:
    """Choose a copy's budget mode: the original's, or daily where its campaign had the budget (API notes 8.6).

    A daily budget becomes a dynamic daily one where the objective requires that.
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
    """Return whether a campaign distributes its own budget, so that the budgets of its ad groups are ignored."""
    return bool(campaign.get("budget_optimize_on")) or campaign.get("budget_mode") == DYNAMIC_DAILY_BUDGET

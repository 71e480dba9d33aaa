"""Validate what only duplications from or into Upgraded Smart+ campaigns need.

Each check returns the reason for refusal and what to do about it, or "" if it passes.

Sources: mengxingxinqing/tiktok_ads, create_an_upgraded_smart_ad_group, create_an_upgraded_smart_ad,
get_upgraded_smart_campaigns and 01_upgraded_smart_plus_overview.
"""

from decimal import Decimal
from typing import Any

from tiktok_assets.duplication.copy_rules import JsonObject
from tiktok_assets.duplication.field_selection import is_placeholder
from tiktok_assets.duplication.payloads import FROM_NOW
from tiktok_assets.duplication.snapshot import Snapshot
from tiktok_assets.duplication.sources import is_legacy_smart_plus
from tiktok_assets.spec import (
    DYNAMIC_DAILY_BUDGET,
    MAX_SMART_PLUS_AD_GROUPS,
    SHARED_BY_SMART_PLUS_AD_GROUPS,
    SMART_PLUS_AD_GROUP_VALUES,
    SMART_PLUS_OBJECTIVES,
    TOTAL_BUDGET,
)

_NAME_AD_GROUP = "name an ad group with --ad-group"
_SHARED_DEFAULTS = {"bid_type": "BID_TYPE_NO_BID", "deep_bid_type": "DEFAULT"}
_SINGLE = "SINGLE"


def check_creative_listed(snapshot: Snapshot) -> str:
    """Check that the creative is still part of its Upgraded Smart+ ad, whose settings a copy takes over."""
    if snapshot.is_creative_listed or not snapshot.is_source_copyable:
        return ""
    ad_id = (snapshot.ad or {}).get("smart_plus_ad_id")
    return f"the creative is no longer part of its Upgraded Smart+ ad {ad_id}; choose another creative"


def check_target_type(snapshot: Snapshot) -> str:
    """Check that new ads can be created in a campaign of the target's type."""
    target = snapshot.target_campaign or {}
    campaign = f"campaign {snapshot.request.campaign_id}"
    if is_legacy_smart_plus(target):
        return (
            f"{campaign} is an older Smart+ campaign, in which nothing new can be created since 31 March 2026;"
            " name another with --to"
        )
    if snapshot.kind == "smart_plus" and snapshot.objective not in SMART_PLUS_OBJECTIVES:
        allowed = ", ".join(SMART_PLUS_OBJECTIVES)
        return (
            f"{campaign} has the objective {snapshot.objective}, and Upgraded Smart+ accepts {allowed} alone; name"
            " another with --to"
        )
    return ""


def check_fields(snapshot: Snapshot) -> str:
    """Check that no field of the source is one that the target cannot have and that a copy must not lose."""
    notes = [note for note in snapshot.field_notes if note.treatment == "refused"]
    if not notes:
        return ""
    advice = "" if ";" in notes[0].reason else "; create the copy in Ads Manager"
    return f"the source's {notes[0].name} cannot be copied: {notes[0].reason}{advice}"


def check_call_to_action(snapshot: Snapshot) -> str:
    """Check that there is a set of calls to action where TikTok requires one."""
    if snapshot.forbidden_endpoint or not snapshot.is_creative_listed or not snapshot.is_source_copyable:
        return ""  # another check refuses
    if not snapshot.needs_call_to_action_id or snapshot.call_to_action_id:
        return ""
    return (
        "TikTok requires a set of call-to-action buttons (call_to_action_id) for posts in Upgraded Smart+, and"
        f" neither the source nor an ad of campaign {snapshot.request.campaign_id} has one; create one ad of that"
        " campaign in Ads Manager, whose set is then used"
    )


def check_values(snapshot: Snapshot) -> str:
    """Check that Upgraded Smart+ has the promotion type, the goal and the billing of the ad group to copy."""
    if snapshot.kind != "smart_plus" or not snapshot.copies_ad_group:
        return ""
    for name, accepted in SMART_PLUS_AD_GROUP_VALUES.items():
        value = snapshot.copied_ad_group.get(name)
        if not is_placeholder(value) and value not in accepted:
            return f"Upgraded Smart+ accepts no ad group with {name} {value}; {_NAME_AD_GROUP}"
    return ""


def check_matches_first(snapshot: Snapshot) -> str:
    """Check that the copied ad group has what all ad groups of an Upgraded Smart+ campaign share."""
    if not snapshot.copies_ad_group or snapshot.first_ad_group is None:
        return ""
    own: dict[str, Any] = {**snapshot.copied_ad_group, "budget_mode": snapshot.budget_mode}
    for name in SHARED_BY_SMART_PLUS_AD_GROUPS[snapshot.has_campaign_budget]:
        values = [_shared_value(row, name) for row in (own, snapshot.first_ad_group)]
        if values[0] != values[1]:
            return (
                f"the ad groups of campaign {snapshot.request.campaign_id} need the {name} of its first,"
                f" {values[1] or 'none'}, and the ad's ad group has {values[0] or 'none'}; {_NAME_AD_GROUP}"
            )
    return ""


def _shared_value(row: JsonObject, name: str) -> object:
    value = row.get(name)
    if is_placeholder(value):
        return _SHARED_DEFAULTS.get(name)
    return Decimal(str(value)) if isinstance(value, int | float | Decimal) else value


def check_ad_group_limit(snapshot: Snapshot) -> str:
    """Check that the campaign may have another ad group."""
    count, campaign_id = snapshot.ad_group_count, snapshot.request.campaign_id
    mode = (snapshot.target_campaign or {}).get("smart_plus_adgroup_mode")
    if mode == _SINGLE and count:
        return f"campaign {campaign_id} may have one ad group only; {_NAME_AD_GROUP}"
    if count >= MAX_SMART_PLUS_AD_GROUPS:
        return (
            f"campaign {campaign_id} has {count} ad groups, and {MAX_SMART_PLUS_AD_GROUPS} are the limit of"
            f" Upgraded Smart+; {_NAME_AD_GROUP}"
        )
    return ""


def check_budget_mode(snapshot: Snapshot) -> str:
    """Check that schedule and bid fit the budget modes of Upgraded Smart+."""
    group = snapshot.copied_ad_group
    modes = {(snapshot.target_campaign or {}).get("budget_mode")}
    modes |= set() if snapshot.has_campaign_budget else {snapshot.budget_mode}
    if DYNAMIC_DAILY_BUDGET in modes:
        return ""
    if group.get("schedule_type") == FROM_NOW:
        return f"Upgraded Smart+ needs a dynamic daily budget for a schedule without an end; {_NAME_AD_GROUP}"
    if group.get("bid_type") == "BID_TYPE_CUSTOM":
        return f"Upgraded Smart+ needs a dynamic daily budget for a bid; {_NAME_AD_GROUP}"
    return ""


def check_budget_fits_campaign(snapshot: Snapshot) -> str:
    """Check that a budget for the whole schedule is not put into a campaign with a daily one."""
    campaign_mode = (snapshot.target_campaign or {}).get("budget_mode")
    if snapshot.budget_mode == TOTAL_BUDGET and campaign_mode == "BUDGET_MODE_DAY":
        return f"a budget for the whole schedule is not possible in a campaign with a daily one; {_NAME_AD_GROUP}"
    return ""

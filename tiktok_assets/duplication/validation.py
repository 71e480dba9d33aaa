"""Validate a duplication before anything is written.

Each check returns the reason for refusal and what to do about it, or "" if it passes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tiktok_assets.duplication.ad_kinds import find_uncopyable_kind, is_deleted
from tiktok_assets.duplication.budget_validation import check_added_budget, check_budget, check_schedule
from tiktok_assets.duplication.copy_rules import JsonObject
from tiktok_assets.duplication.creative_validation import (
    check_ai_label,
    check_format,
    check_identity,
    check_lookup_permission,
    check_media,
    check_text,
)
from tiktok_assets.duplication.smart_plus_validation import (
    check_ad_group_limit,
    check_call_to_action,
    check_creative_listed,
    check_fields,
    check_matches_first,
    check_target_type,
    check_values,
)
from tiktok_assets.duplication.snapshot import Snapshot
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.spec import (
    MAX_AD_GROUPS_PER_CAMPAIGN,
    MAX_ADS_PER_AD_GROUP,
    MAX_SMART_PLUS_ADS,
)

SECONDS_PER_DAY = 86_400

MEDIA_CHECK = "media_usable"
"""The check that refuses while a video is still processed, which a live run waits for."""

_CHOOSE_AD_GROUP = "name another with --ad-group, or none for a copy of the source's"


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The result of one check; the reason is "" if it passed."""

    check: str
    reason: str = ""


def validate(snapshot: Snapshot) -> list[ValidationResult]:
    """Run every check in order; if an object is missing, no further check can run."""
    missing = [
        ValidationResult("objects_exist", escape_control_characters(one)) for one in _find_missing(snapshot)
    ]
    if missing:
        return missing
    results = [
        ValidationResult(name, escape_control_characters(check(snapshot))) for name, check in CHECKS.items()
    ]
    return [ValidationResult("objects_exist"), *results]


def list_refusals(results: Iterable[ValidationResult]) -> list[str]:
    """List the reasons of the checks that refuse."""
    return [result.reason for result in results if result.reason]


def _find_missing(snapshot: Snapshot) -> list[str]:
    request, owner = snapshot.request, snapshot.request.advertiser_id
    where = f"is not in account {owner}; an ad can only be duplicated within its own account"
    reasons = []
    if snapshot.ad is None or snapshot.ad_group is None or snapshot.campaign is None:
        reasons.append(f"ad {request.ad_id} {where}")
    if snapshot.target_campaign is None:
        reasons.append(f"campaign {request.campaign_id} {where}")
    if request.ad_group_id and snapshot.target_ad_group is None:
        reasons.append(f"ad group {request.ad_group_id} {where}")
    return reasons


def _object(row: JsonObject | None) -> JsonObject:
    return row or {}


def check_source_not_deleted(snapshot: Snapshot) -> str:
    """Check that the ad, its ad group and its campaign are not deleted."""
    rows = {
        "the ad": snapshot.ad,
        "the ad's ad group": snapshot.ad_group,
        "the ad's campaign": snapshot.campaign,
    }
    deleted = [name for name, row in rows.items() if is_deleted(_object(row))]
    return f"{deleted[0]} is deleted; there is nothing left to duplicate" if deleted else ""


def check_source_copyable(snapshot: Snapshot) -> str:
    """Check that the source is of a kind that can be read and created again."""
    rows = (("ad", snapshot.ad), ("ad group", snapshot.ad_group), ("campaign", snapshot.campaign))
    for owner, row in rows:
        if kind := find_uncopyable_kind(_object(row)):
            reason = f"the source's {owner} is {kind}, which cannot be read and created again"
            return f"{reason}; create the copy in Ads Manager"
    return ""


def check_fields_of_copyable(snapshot: Snapshot) -> str:
    """Check the fields of a source whose kind is not refused already."""
    return "" if check_source_copyable(snapshot) or check_target_campaign(snapshot) else check_fields(snapshot)


def check_source_original(snapshot: Snapshot) -> str:
    """Check that the ad is not itself a copy, unless `again` shows that this is intended."""
    if snapshot.original_id is None or snapshot.request.again:
        return ""
    advice = (
        f"duplicate the original, {snapshot.original_id}," if snapshot.original_id else "duplicate its original"
    )
    return f"the ad is itself a copy; {advice} or add --again to duplicate this one"


def check_target_campaign(snapshot: Snapshot) -> str:
    """Check that the target campaign is not deleted and accepts ads."""
    target = _object(snapshot.target_campaign)
    if is_deleted(target):
        return f"campaign {snapshot.request.campaign_id} is deleted; name another with --to"
    if reason := check_target_type(snapshot):
        return reason
    kind = find_uncopyable_kind(target)
    return (
        f"campaign {snapshot.request.campaign_id} is {kind}, and accepts no ads here; name another with --to"
        if kind
        else ""
    )


_MATCHING_CAMPAIGN_FIELDS = (
    "objective_type",
    "app_promotion_type",
    "app_id",
    "sales_destination",
    "virtual_objective_type",
    "campaign_type",
)


def check_objective(snapshot: Snapshot) -> str:
    """Check that both campaigns have the same objective."""
    own, target = _object(snapshot.campaign), _object(snapshot.target_campaign)
    for name in _MATCHING_CAMPAIGN_FIELDS:
        # Where only one kind of campaign has the field, or shows it, there is nothing to compare.
        if snapshot.kind != snapshot.source_kind and not (own.get(name) and target.get(name)):
            continue
        if (own.get(name) or None) != (target.get(name) or None):
            return (
                f"campaign {snapshot.request.campaign_id} has {name} {target.get(name)}, the ad's campaign"
                f" {own.get(name)}; choose a campaign of the same kind"
            )
    return ""


def check_target_ad_group(snapshot: Snapshot) -> str:
    """Check that the target ad group is in the campaign, not deleted, and promotes the same."""
    if snapshot.copies_ad_group:
        return ""
    group, request = _object(snapshot.target_ad_group), snapshot.request
    if str(group.get("campaign_id")) != request.campaign_id:
        return (
            f"ad group {request.ad_group_id} is not in campaign {request.campaign_id}, but in"
            f" {group.get('campaign_id')}; {_CHOOSE_AD_GROUP}"
        )
    if is_deleted(group):
        return f"ad group {request.ad_group_id} is deleted; {_CHOOSE_AD_GROUP}"
    if kind := find_uncopyable_kind(group):
        return f"ad group {request.ad_group_id} is {kind}, and accepts no ads here; {_CHOOSE_AD_GROUP}"
    own = _object(snapshot.ad_group).get("promotion_type")
    promoted = group.get("promotion_type")
    if promoted != own:
        return f"ad group {request.ad_group_id} promotes {promoted}, the ad {own}; {_CHOOSE_AD_GROUP}"
    return ""


_FIELDS_SHARED_UNDER_CBO = {
    "optimization_goal": None,
    "bid_type": "BID_TYPE_NO_BID",
    "optimization_event": None,
}
"""Fields that all ad groups share under campaign budget optimization, with their defaults.

Source: mengxingxinqing/tiktok_ads campaign_budget_optimization.
"""


def check_matches_first_ad_group(snapshot: Snapshot) -> str:
    """Check that under campaign budget optimization goal, bid type and event are those of the first ad group."""
    if check_target_campaign(snapshot) or check_objective(snapshot):
        return ""  # one reason is enough, and another ad group of that campaign would not help
    if snapshot.kind == "smart_plus":
        return check_values(snapshot) or check_matches_first(snapshot)
    if not snapshot.copies_ad_group or not snapshot.has_campaign_budget or snapshot.first_ad_group is None:
        return ""
    own, first = _object(snapshot.ad_group), snapshot.first_ad_group
    for name, default in _FIELDS_SHARED_UNDER_CBO.items():
        own_value, first_value = own.get(name) or default, first.get(name) or default
        if own_value != first_value:
            return (
                f"campaign {snapshot.request.campaign_id} uses campaign budget optimization, so its ad groups need"
                f" the {name} of the first, {first_value}, and the ad's ad group has {own_value}; name an ad group"
                " with --ad-group"
            )
    return ""


def check_ad_capacity(snapshot: Snapshot) -> str:
    """Check that the target ad group has fewer ads than 50, in Upgraded Smart+ than 30 (API notes 5.7)."""
    maximum = MAX_SMART_PLUS_ADS if snapshot.kind == "smart_plus" else MAX_ADS_PER_AD_GROUP
    if snapshot.ad_count >= maximum:
        limit = f"{maximum} are the limit"
        return (
            f"ad group {snapshot.request.ad_group_id} has {snapshot.ad_count} ads, and {limit}; {_CHOOSE_AD_GROUP}"
        )
    return ""


def check_ad_group_capacity(snapshot: Snapshot) -> str:
    """Check the limit of 999 ad groups in a campaign and the account's quota of active ones (API notes 5.7)."""
    if snapshot.kind == "smart_plus" and (reason := check_ad_group_limit(snapshot)):
        return reason
    if snapshot.ad_group_count >= MAX_AD_GROUPS_PER_CAMPAIGN:
        return (
            f"campaign {snapshot.request.campaign_id} has {snapshot.ad_group_count} ad groups, and"
            f" {MAX_AD_GROUPS_PER_CAMPAIGN} are the limit; name one of them with --ad-group"
        )
    quota = snapshot.ad_group_quota
    if quota == (0, 0):
        return (
            "TikTok allows this account no active ad group, which means that it is punished; Ads Manager shows"
            " why and what to do"
        )
    if quota and quota[0] >= quota[1]:
        return f"the account's quota of {quota[1]} active ad groups is used up; switch some off"
    return ""


CHECKS: dict[str, Callable[[Snapshot], str]] = {
    "source_not_deleted": check_source_not_deleted,
    "source_copyable": check_source_copyable,
    "source_is_original": check_source_original,
    "creative_listed": check_creative_listed,
    "fields_fit": check_fields_of_copyable,
    "lookups_allowed": check_lookup_permission,
    "format_fits": check_format,
    "identity_usable": check_identity,
    "ai_label_kept": check_ai_label,
    MEDIA_CHECK: check_media,
    "text_taken": check_text,
    "call_to_action_usable": check_call_to_action,
    "target_usable": check_target_campaign,
    "objective_fits": check_objective,
    "ad_group_usable": check_target_ad_group,
    "like_the_first": check_matches_first_ad_group,
    "room_for_ad": check_ad_capacity,
    "room_for_ad_group": check_ad_group_capacity,
    "schedule_lasts": check_schedule,
    "budget_fits": check_budget,
    "within_added_budget": check_added_budget,
}
"""The checks by their names in the output of dry runs, in the order of the output."""

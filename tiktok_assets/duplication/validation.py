"""Validate a duplication before anything is written.

Each check returns the reason for refusal and what to do about it, or "" if it passes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tiktok_assets.duplication.ad_kinds import find_uncopyable_kind, is_deleted
from tiktok_assets.duplication.copy_rules import JsonObject
from tiktok_assets.duplication.creative_validation import (
    check_ai_label,
    check_format,
    check_identity,
    check_lookup_permission,
    check_media,
    check_text,
)
from tiktok_assets.duplication.payloads import FROM_NOW
from tiktok_assets.duplication.snapshot import Snapshot
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.spec import (
    AD_GROUP_BUDGET_MODES,
    BUDGET_LIMIT,
    BUDGET_RULES,
    MAX_AD_GROUPS_PER_CAMPAIGN,
    MAX_ADS_PER_AD_GROUP,
    MIN_AD_GROUP_BUDGET,
    TOTAL_BUDGET,
)
from tiktok_assets.tables import parse_instant

SECONDS_PER_DAY = 86_400

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
    """Check that the target ad group has fewer than 50 ads (API notes 5.7)."""
    if snapshot.ad_count >= MAX_ADS_PER_AD_GROUP:
        limit = f"{MAX_ADS_PER_AD_GROUP} are the limit"
        return (
            f"ad group {snapshot.request.ad_group_id} has {snapshot.ad_count} ads, and {limit}; {_CHOOSE_AD_GROUP}"
        )
    return ""


def check_ad_group_capacity(snapshot: Snapshot) -> str:
    """Check the limit of 999 ad groups in a campaign and the account's quota of active ones (API notes 5.7)."""
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


def check_schedule(snapshot: Snapshot) -> str:
    """Check that a copied schedule has not ended."""
    end = _schedule_end(snapshot)
    if snapshot.copies_ad_group and end and end <= snapshot.now:
        return f"the ad group's schedule ended at {end:%Y-%m-%d %H:%M} UTC; name an ad group with --ad-group"
    return ""


def check_budget(snapshot: Snapshot) -> str:
    """Check that the copied ad group's budget fits its campaign and its currency (API notes 8.6)."""
    is_requested = snapshot.request.budget is not None
    if not snapshot.copies_ad_group:
        return "an existing ad group keeps its budget; leave --budget out" if is_requested else ""
    if snapshot.has_campaign_budget:
        reason = "the campaign uses campaign budget optimization, so a budget would be ignored; leave --budget out"
        return reason if is_requested else ""
    campaign_mode = _object(snapshot.target_campaign).get("budget_mode")
    allowed = AD_GROUP_BUDGET_MODES.get(str(campaign_mode), ())
    if snapshot.budget_mode not in allowed:
        return (
            f"{snapshot.budget_mode} is not possible in a campaign with {campaign_mode}; name an ad group with"
            " --ad-group"
        )
    if snapshot.budget_mode == TOTAL_BUDGET and _object(snapshot.ad_group).get("schedule_type") == FROM_NOW:
        return "a budget for the whole schedule needs a schedule with an end; name an ad group with --ad-group"
    if snapshot.budget is None:
        return "the ad's ad group has no budget of its own; give one with --budget"
    return _check_amount(snapshot, snapshot.budget)


def _check_amount(snapshot: Snapshot, budget: Decimal) -> str:
    currency = snapshot.account.currency
    rules = BUDGET_RULES.get(currency)
    if budget <= 0:
        return f"a budget of {budget:f} {currency} is not more than 0; give one with --budget"
    if rules is None:  # not in TikTok's list of currencies: left to TikTok's response
        return ""
    digits = f"at most {rules.decimals}" if rules.decimals else "no"
    minimum, limit = _minimum_in_dollars(snapshot) * rules.ratio, BUDGET_LIMIT * rules.ratio
    allowed = f"must be at least {minimum:f} {currency} and below {limit:f} {currency}"
    if budget != round(budget, rules.decimals):
        return f"a budget in {currency} has {digits} digits after the point, unlike {budget:f}, and {allowed}"
    if not minimum <= budget < limit:
        return (
            f"a budget of {budget:f} {currency} is outside TikTok's limits; it {allowed}, with {digits} digits"
            " after the point"
        )
    bid = _object(snapshot.ad_group).get("conversion_bid_price")
    if bid and Decimal(str(bid)) >= budget:
        return f"a budget of {budget:f} {currency} does not exceed the bid of {bid}; give more with --budget"
    return ""


def _minimum_in_dollars(snapshot: Snapshot) -> Decimal:
    """Return the minimum budget in dollars; a budget for the whole schedule needs it for each day."""
    end = _schedule_end(snapshot)
    if snapshot.budget_mode != TOTAL_BUDGET or end is None:
        return MIN_AD_GROUP_BUDGET
    planned = parse_instant(_object(snapshot.ad_group).get("schedule_start_time"))
    start = max(planned or snapshot.now, snapshot.now)
    days = -(-int((end - start).total_seconds()) // SECONDS_PER_DAY)
    return MIN_AD_GROUP_BUDGET * max(days, 1)


def check_added_budget(snapshot: Snapshot) -> str:
    """Check that the budgets added to the account within 24 hours stay within TIKTOK_MAX_ADDED_BUDGET."""
    account, addition = snapshot.account, snapshot.budget_to_add
    limit, added = account.max_added_budget, account.added_budget
    if limit is None or not addition:
        return ""
    if others := [f"{amount:f} {code}" for code, amount in added.items() if code != account.currency]:
        return (
            f"{' and '.join(others)} of the last 24 hours cannot be added to {account.currency}, the present"
            " currency of TIKTOK_MAX_ADDED_BUDGET; wait until they are older"
        )
    before = added.get(account.currency, Decimal(0))
    if before + addition <= limit:
        return ""
    return (
        f"it would add {addition:f} {account.currency} to {before:f} of the last 24 hours, over"
        f" TIKTOK_MAX_ADDED_BUDGET={limit:f}; wait, raise it, or give a smaller --budget"
    )


def _schedule_end(snapshot: Snapshot) -> datetime | None:
    group = _object(snapshot.ad_group)
    return None if group.get("schedule_type") == FROM_NOW else parse_instant(group.get("schedule_end_time"))


CHECKS: dict[str, Callable[[Snapshot], str]] = {
    "source_not_deleted": check_source_not_deleted,
    "source_copyable": check_source_copyable,
    "source_is_original": check_source_original,
    "lookups_allowed": check_lookup_permission,
    "format_fits": check_format,
    "identity_usable": check_identity,
    "ai_label_kept": check_ai_label,
    "media_usable": check_media,
    "text_taken": check_text,
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

"""Validate a duplication before anything is written; each check returns its reason for refusal."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tiktok_assets.duplication.copyability import find_uncopyable_kind
from tiktok_assets.duplication.creative_validation import (
    ai_label_kept,
    format_fits,
    identity_usable,
    lookups_allowed,
    media_usable,
    text_taken,
)
from tiktok_assets.duplication.payloads import FROM_NOW, JsonObject
from tiktok_assets.duplication.snapshot import Snapshot, is_deleted
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.spec.money import (
    AD_GROUP_BUDGET_MODES,
    BUDGET_LIMIT,
    BUDGET_RULES,
    MAX_AD_GROUPS_PER_CAMPAIGN,
    MAX_ADS_PER_AD_GROUP,
    MIN_AD_GROUP_BUDGET,
    TOTAL_BUDGET,
)
from tiktok_assets.tables.cells import parse_instant

SECONDS_A_DAY = 86_400

_ANOTHER = "name another with --ad-group, or none for a copy of the source's"


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What one check found; the reason is "" where it holds."""

    check: str
    reason: str = ""


def validate(sources: Snapshot) -> list[ValidationResult]:
    """Every check in order. Where an object is missing nothing else can be said, and the list ends there."""
    missing = [
        ValidationResult("objects_exist", escape_control_characters(reason)) for reason in _missing(sources)
    ]
    if missing:
        return missing
    return [
        ValidationResult("objects_exist"),
        *(ValidationResult(name, escape_control_characters(check(sources))) for name, check in CHECKS.items()),
    ]


def list_refusals(verdicts: Iterable[ValidationResult]) -> list[str]:
    """The reasons of the checks that refuse."""
    return [verdict.reason for verdict in verdicts if verdict.reason]


def _missing(found: Snapshot) -> list[str]:
    wish, owner = found.wish, found.wish.advertiser_id
    where = f"is not in account {owner}; an ad can only be duplicated within its own account"
    told = []
    if found.ad is None or found.ad_group is None or found.campaign is None:
        told.append(f"ad {wish.ad_id} {where}")
    if found.target is None:
        told.append(f"campaign {wish.campaign_id} {where}")
    if wish.ad_group_id and found.target_ad_group is None:
        told.append(f"ad group {wish.ad_group_id} {where}")
    return told


def _object(row: JsonObject | None) -> JsonObject:
    return row or {}


def source_not_deleted(found: Snapshot) -> str:
    """The ad, its ad group and its campaign are still there."""
    rows = {"the ad": found.ad, "the ad's ad group": found.ad_group, "the ad's campaign": found.campaign}
    gone = [name for name, row in rows.items() if is_deleted(_object(row))]
    return f"{gone[0]} is deleted; there is nothing left to duplicate" if gone else ""


def source_copyable(found: Snapshot) -> str:
    """The source is of a kind that can be read and created again."""
    for owner, row in (("ad", found.ad), ("ad group", found.ad_group), ("campaign", found.campaign)):
        if kind := find_uncopyable_kind(_object(row)):
            told = f"the source's {owner} is {kind}, which cannot be read and created again"
            return f"{told}; make the copy in Ads Manager"
    return ""


def source_is_original(found: Snapshot) -> str:
    """The ad is no copy of ours; one is only copied when `again` says that this is meant."""
    if found.copy_of is None or found.wish.again:
        return ""
    better = f"duplicate the original, {found.copy_of}," if found.copy_of else "duplicate its original"
    return f"the ad is itself a copy; {better} or say with --again that you mean this one"


def target_usable(found: Snapshot) -> str:
    """The campaign is not deleted, and of a kind that ads can be added to."""
    target = _object(found.target)
    if is_deleted(target):
        return f"campaign {found.wish.campaign_id} is deleted; name another with --to"
    kind = find_uncopyable_kind(target)
    return (
        f"campaign {found.wish.campaign_id} is {kind}, and takes nothing from here; name another with --to"
        if kind
        else ""
    )


_FITTING = (
    "objective_type",
    "app_promotion_type",
    "app_id",
    "sales_destination",
    "virtual_objective_type",
    "campaign_type",
)


def objective_fits(found: Snapshot) -> str:
    """Both campaigns are bought for the same."""
    own, target = _object(found.campaign), _object(found.target)
    for name in _FITTING:
        if (own.get(name) or None) != (target.get(name) or None):
            return (
                f"campaign {found.wish.campaign_id} has {name} {target.get(name)}, the ad's campaign"
                f" {own.get(name)}; choose a campaign of the same kind"
            )
    return ""


def ad_group_usable(found: Snapshot) -> str:
    """The ad group named is of the campaign, not deleted, and promotes the same thing."""
    if found.copies_ad_group:
        return ""
    group, wish = _object(found.target_ad_group), found.wish
    if str(group.get("campaign_id")) != wish.campaign_id:
        return (
            f"ad group {wish.ad_group_id} is not of campaign {wish.campaign_id}, but of"
            f" {group.get('campaign_id')}; {_ANOTHER}"
        )
    if is_deleted(group):
        return f"ad group {wish.ad_group_id} is deleted; {_ANOTHER}"
    if kind := find_uncopyable_kind(group):
        return f"ad group {wish.ad_group_id} is {kind}, and takes no ad from here; {_ANOTHER}"
    own = _object(found.ad_group).get("promotion_type")
    if group.get("promotion_type") != own:
        return f"ad group {wish.ad_group_id} promotes {group.get('promotion_type')}, the ad {own}; {_ANOTHER}"
    return ""


def like_the_first(found: Snapshot) -> str:
    """Under campaign budget optimisation goal, bid type and event are those of the campaign's first ad group."""
    if not found.copies_ad_group or not found.is_spread or found.first_ad_group is None:
        return ""
    own, first = _object(found.ad_group), found.first_ad_group
    for name, usual in _SAME_UNDER_CBO.items():
        here, there = own.get(name) or usual, first.get(name) or usual
        if here != there:
            return (
                f"campaign {found.wish.campaign_id} spreads its budget, so its ad groups need the {name} of the"
                f" first, {there}, and the ad's ad group has {here}; name an ad group with --ad-group"
            )
    return ""


_SAME_UNDER_CBO = {"optimization_goal": None, "bid_type": "BID_TYPE_NO_BID", "optimization_event": None}
"""The fields, and what a missing one means (mengxingxinqing/tiktok_ads, campaign_budget_optimization)."""


def room_for_ad(found: Snapshot) -> str:
    """An ad group holds fifty ads (dossier 5.7)."""
    if found.ads >= MAX_ADS_PER_AD_GROUP:
        limit = f"{MAX_ADS_PER_AD_GROUP} are the limit"
        return f"ad group {found.wish.ad_group_id} holds {found.ads} ads, and {limit}; {_ANOTHER}"
    return ""


def room_for_ad_group(found: Snapshot) -> str:
    """A campaign holds 999 ad groups, and an account so many active ones as its quota says (dossier 5.7)."""
    if found.ad_groups >= MAX_AD_GROUPS_PER_CAMPAIGN:
        return (
            f"campaign {found.wish.campaign_id} holds {found.ad_groups} ad groups, and"
            f" {MAX_AD_GROUPS_PER_CAMPAIGN} are the limit; name one of them with --ad-group"
        )
    if found.quota == (0, 0):
        return (
            "TikTok allows this account no active ad group at all, which means that it is punished; Ads Manager"
            " says why and what to do"
        )
    if found.quota and found.quota[0] >= found.quota[1]:
        return f"the account's quota of {found.quota[1]} active ad groups is used up; switch some off"
    return ""


def schedule_lasts(found: Snapshot) -> str:
    """A copied schedule has not ended."""
    end = _end(found)
    if found.copies_ad_group and end and end <= found.now:
        return f"the ad group's schedule ended at {end:%Y-%m-%d %H:%M} UTC; name an ad group with --ad-group"
    return ""


def budget_fits(found: Snapshot) -> str:
    """The copied ad group has a budget its campaign allows and its currency can hold (dossier 8.6)."""
    if not found.copies_ad_group:
        wished = found.wish.budget is not None
        return "an ad group that exists keeps its budget; leave --budget out" if wished else ""
    if found.is_spread:
        wished = found.wish.budget is not None
        return "the campaign spreads its budget by itself; leave --budget out" if wished else ""
    allowed = AD_GROUP_BUDGET_MODES.get(str(_object(found.target).get("budget_mode")), ())
    if found.mode not in allowed:
        of_campaign = _object(found.target).get("budget_mode")
        return f"{found.mode} does not go with a campaign in {of_campaign}; name an ad group with --ad-group"
    if found.mode == TOTAL_BUDGET and _object(found.ad_group).get("schedule_type") == FROM_NOW:
        return "a budget for the whole schedule needs a schedule with an end; name an ad group with --ad-group"
    if found.budget is None:
        return "the ad's ad group has no budget of its own; give one with --budget"
    return _amount_fits(found, found.budget)


def _amount_fits(found: Snapshot, budget: Decimal) -> str:
    currency = found.account.currency
    rules = BUDGET_RULES.get(currency)
    if budget <= 0:
        return f"a budget of {budget:f} {currency} is not more than 0; give one with --budget"
    if rules is None:  # TikTok's list of currencies does not have it: its own answer decides
        return ""
    digits = f"at most {rules.decimals}" if rules.decimals else "no"
    least, limit = _least(found) * rules.ratio, BUDGET_LIMIT * rules.ratio
    allowed = f"begins at {least:f} {currency} and ends below {limit:f} {currency}"
    if budget != round(budget, rules.decimals):
        return f"a budget in {currency} has {digits} digits after the point, not as in {budget:f}, and {allowed}"
    if not least <= budget < limit:
        return (
            f"a budget of {budget:f} {currency} is outside what TikTok allows, which {allowed}, with {digits}"
            " digits after the point"
        )
    bid = _object(found.ad_group).get("conversion_bid_price")
    if bid and Decimal(str(bid)) >= budget:
        return f"a budget of {budget:f} {currency} does not exceed the bid of {bid}; give more with --budget"
    return ""


def _least(found: Snapshot) -> Decimal:
    """The minimum in dollars; a budget for the whole schedule needs it for each day."""
    end = _end(found)
    if found.mode != TOTAL_BUDGET or end is None:
        return MIN_AD_GROUP_BUDGET
    start = max(parse_instant(_object(found.ad_group).get("schedule_start_time")) or found.now, found.now)
    days = -(-int((end - start).total_seconds()) // SECONDS_A_DAY)
    return MIN_AD_GROUP_BUDGET * max(days, 1)


def within_added_budget(found: Snapshot) -> str:
    """What duplications add to an account's budgets within 24 hours stays within the setting."""
    limit, adds, added = found.account.max_added_budget, found.adds_budget, found.account.added_budget
    if limit is None or not adds:
        return ""
    if others := [f"{amount:f} {code}" for code, amount in added.items() if code != found.account.currency]:
        return (
            f"{' and '.join(others)} of the last 24 hours cannot be added to {found.account.currency}, in which"
            " TIKTOK_MAX_ADDED_BUDGET is now; wait until they have passed"
        )
    before = added.get(found.account.currency, Decimal(0))
    if before + adds <= limit:
        return ""
    return (
        f"it would add {adds:f} {found.account.currency} to {before:f} of the last 24 hours, over"
        f" TIKTOK_MAX_ADDED_BUDGET={limit:f}; wait, raise it, or give a smaller --budget"
    )


def _end(found: Snapshot) -> datetime | None:
    group = _object(found.ad_group)
    return None if group.get("schedule_type") == FROM_NOW else parse_instant(group.get("schedule_end_time"))


CHECKS: dict[str, Callable[[Snapshot], str]] = {
    check.__name__: check
    for check in (
        source_not_deleted,
        source_copyable,
        source_is_original,
        lookups_allowed,
        format_fits,
        identity_usable,
        ai_label_kept,
        media_usable,
        text_taken,
        target_usable,
        objective_fits,
        ad_group_usable,
        like_the_first,
        room_for_ad,
        room_for_ad_group,
        schedule_lasts,
        budget_fits,
        within_added_budget,
    )
}
"""By the names they are shown under, in the order in which they are told."""

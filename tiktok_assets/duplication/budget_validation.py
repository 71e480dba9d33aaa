"""Validate schedule and budget of a copied ad group.

Each check returns the reason for refusal and what to do about it, or "" if it passes.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from tiktok_assets.duplication.payloads import FROM_NOW
from tiktok_assets.duplication.smart_plus_validation import check_budget_fits_campaign, check_budget_mode
from tiktok_assets.duplication.snapshot import Snapshot
from tiktok_assets.spec import (
    AD_GROUP_BUDGET_MODES,
    BUDGET_LIMIT,
    BUDGET_RULES,
    MIN_AD_GROUP_BUDGET,
    TOTAL_BUDGET,
)
from tiktok_assets.tables import parse_instant

SECONDS_PER_DAY = 86_400


def _row(row: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return row or {}


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
    if reason := _check_budget_mode(snapshot):
        return reason
    if snapshot.has_campaign_budget:
        reason = "the campaign uses campaign budget optimization, so a budget would be ignored; leave --budget out"
        return reason if is_requested else ""
    if snapshot.budget_mode == TOTAL_BUDGET and _row(snapshot.ad_group).get("schedule_type") == FROM_NOW:
        return "a budget for the whole schedule needs a schedule with an end; name an ad group with --ad-group"
    if snapshot.budget is None:
        return "the ad's ad group has no budget of its own; give one with --budget"
    return _check_amount(snapshot, snapshot.budget)


def _check_budget_mode(snapshot: Snapshot) -> str:
    if snapshot.kind == "smart_plus":
        return check_budget_mode(snapshot) or check_budget_fits_campaign(snapshot)
    if snapshot.has_campaign_budget:
        return ""
    campaign_mode = _row(snapshot.target_campaign).get("budget_mode")
    if snapshot.budget_mode in AD_GROUP_BUDGET_MODES.get(str(campaign_mode), ()):
        return ""
    return (
        f"{snapshot.budget_mode} is not possible in a campaign with {campaign_mode}; name an ad group with"
        " --ad-group"
    )


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
    bid = _row(snapshot.ad_group).get("conversion_bid_price")
    if bid and Decimal(str(bid)) >= budget:
        return f"a budget of {budget:f} {currency} does not exceed the bid of {bid}; give more with --budget"
    return ""


def _minimum_in_dollars(snapshot: Snapshot) -> Decimal:
    """Return the minimum budget in dollars; a budget for the whole schedule needs it for each day."""
    end = _schedule_end(snapshot)
    if snapshot.budget_mode != TOTAL_BUDGET or end is None:
        return MIN_AD_GROUP_BUDGET
    planned = parse_instant(_row(snapshot.ad_group).get("schedule_start_time"))
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
    group = _row(snapshot.ad_group)
    return None if group.get("schedule_type") == FROM_NOW else parse_instant(group.get("schedule_end_time"))

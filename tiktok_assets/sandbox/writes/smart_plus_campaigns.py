"""Create Upgraded Smart+ campaigns and ad groups."""

from collections.abc import Container, Mapping
from typing import Any

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.world.default_fields import AD_GROUP, CAMPAIGN
from tiktok_assets.sandbox.world.model import AdGroup, Campaign, format_utc
from tiktok_assets.sandbox.world.smart_plus_objects import smart_plus_ad_group_item, smart_plus_campaign_item
from tiktok_assets.sandbox.writes.budgets import (
    DAY,
    DYNAMIC,
    INFINITE,
    TOTAL,
    min_ad_group_budget,
    min_campaign_budget,
    parse_budget,
    to_minor_units,
)
from tiktok_assets.sandbox.writes.campaigns import DAY_SECONDS, MAX_CAMPAIGNS, initial_status_changes
from tiktok_assets.sandbox.writes.rules import UPGRADED, find_entity, parse_schedule
from tiktok_assets.sandbox.writes.smart_plus_rules import (
    Body,
    campaign_budget_mode,
    check_allow_list,
    check_bidding,
    check_campaign,
    check_name,
    check_optimization,
    check_placements,
    check_same_settings,
    effective_targeting,
    require,
)
from tiktok_assets.sandbox.writes.smart_plus_schemas import AD_GROUP_CREATE, CAMPAIGN_CREATE
from tiktok_assets.sandbox.writes.steps import mark_written, read_body, run_idempotent

MAX_AD_GROUPS = 30  # of a campaign
# Fields that are attributes of the model, are ignored, or are stored by the code below.
_MODEL_FIELDS = frozenset(
    (
        *("advertiser_id", "campaign_id", "request_id", "operation_status", "campaign_name", "adgroup_name"),
        *("objective_type", "budget", "budget_mode", "budget_optimize_on", "targeting_spec"),
    )
)
# The fields of adgroup/get; those that are not in its defaults follow from the objective or the schedule.
_MANUAL_AD_GROUP_FIELDS = frozenset(AD_GROUP) | frozenset(
    (
        *("promotion_type", "optimization_goal", "optimization_event", "billing_event", "pixel_id"),
        *("bid_type", "bid_price", "location_ids", "age_groups", "schedule_start_time", "schedule_end_time"),
    )
)
_CATALOG_OBJECTIVES = {"WEB_CONVERSIONS", "LEAD_GENERATION"}
_AUTOMATIC = "PLACEMENT_TYPE_AUTOMATIC"
_ALL_PLACEMENTS = ["PLACEMENT_TIKTOK", "PLACEMENT_GLOBAL_APP_BUNDLE", "PLACEMENT_PANGLE"]


def split_fields(fields: Mapping[str, Any], known: Container[str]) -> tuple[Body, Body]:
    """Split fields into those that the manual lists have too (`known`) and those of Upgraded Smart+ only."""
    stored = {name: value for name, value in fields.items() if name not in _MODEL_FIELDS}
    shared = {name: value for name, value in stored.items() if name in known}
    return shared, {name: value for name, value in stored.items() if name not in known}


def create_campaign(context: Context) -> ResponseData:
    """Answer smart_plus/campaign/create."""
    body = read_body(context, CAMPAIGN_CREATE)
    advertiser = context.advertiser(body["advertiser_id"])
    check_allow_list(context, advertiser)
    check_campaign(body)
    mode = campaign_budget_mode(body)
    budget = 0 if mode == INFINITE else parse_budget(advertiser, body["budget"], min_campaign_budget(body))
    existing = [one for one in advertiser.campaigns if one.exists(context.now) and not one.is_deleted(context.now)]
    if len(existing) >= MAX_CAMPAIGNS:
        raise ApiError(40002, f"An account may hold at most {MAX_CAMPAIGNS} campaigns.")
    if body["objective_type"] not in _CATALOG_OBJECTIVES:  # "valid only" for these
        body.pop("catalog_enabled", None)
    if body.get("operation_status") != "DISABLE":  # ignored, as the page says
        body.pop("postback_window_mode", None)
    fields, smart_plus_fields = split_fields(body, CAMPAIGN)

    def create() -> ResponseData:
        campaign = Campaign(
            id=context.world.ids.entity(context.now),
            name=body["campaign_name"],
            created=context.now,
            advertiser=advertiser,
            objective_type=body["objective_type"],
            budget_mode=mode,
            budget=budget,
            budget_optimize_on=body.get("budget_optimize_on", True),
            status_changes=initial_status_changes(body, context.now),
            fields=fields | {"campaign_automation_type": UPGRADED},
            smart_plus_fields=smart_plus_fields,
        )
        advertiser.campaigns.append(campaign)
        context.created_ids.append(campaign.id)
        mark_written(context)
        return smart_plus_campaign_item(campaign, context.now)

    return run_idempotent(context, create)


def create_ad_group(context: Context) -> ResponseData:
    """Answer smart_plus/adgroup/create."""
    body = read_body(context, AD_GROUP_CREATE)
    check_name(body["adgroup_name"], "adgroup_name")
    require(body, "adgroup_name")
    advertiser = context.advertiser(body["advertiser_id"])
    check_allow_list(context, advertiser)
    campaign = find_entity(advertiser.campaigns, body["campaign_id"], "campaign_id", context.now, UPGRADED)
    if campaign.budget_optimize_on:  # ignored, as the page says
        body.pop("budget", None)
        body.pop("budget_mode", None)
    else:
        require(body, "budget_mode", "budget")
    check_optimization(campaign, body)
    check_bidding(campaign, body)
    check_placements(body)
    targeting = effective_targeting(campaign, body)
    existing = [one for one in campaign.ad_groups if not one.is_deleted(context.now)]
    first = min(existing, key=lambda one: one.created, default=None)
    check_same_settings(campaign, smart_plus_ad_group_item(first, context.now) if first else None, body)
    start, end = _schedule(context, campaign, body)
    budget = _ad_group_budget(campaign, body, -(-(end - start) // DAY_SECONDS))
    if len(existing) >= MAX_AD_GROUPS:
        raise ApiError(40002, f"An Upgraded Smart+ campaign may hold at most {MAX_AD_GROUPS} ad groups.")
    fields, smart_plus_fields = _stored_fields(campaign, body, targeting)
    fields |= {"schedule_start_time": format_utc(start), "schedule_end_time": format_utc(end)}

    def create() -> ResponseData:
        ad_group = AdGroup(
            id=context.world.ids.entity(context.now),
            name=body["adgroup_name"],
            created=context.now,
            campaign=campaign,
            budget=budget,
            bid=to_minor_units(advertiser, body.get("bid_price", 0), "bid_price"),
            starts_at=start,
            ends_at=end,
            status_changes=initial_status_changes(body, context.now),
            fields=fields,
            smart_plus_fields=smart_plus_fields,
        )
        campaign.ad_groups.append(ad_group)
        context.created_ids.append(ad_group.id)
        mark_written(context)
        return smart_plus_ad_group_item(ad_group, context.now)

    return run_idempotent(context, create)


def _schedule(context: Context, campaign: Campaign, body: Body) -> tuple[int, int]:
    """Validate the schedule of a new ad group; without an end its budget must be daily."""
    is_daily = DYNAMIC in (campaign.budget_mode, body.get("budget_mode"))
    if body["schedule_type"] == "SCHEDULE_FROM_NOW" and not is_daily:
        raise bad_parameter("schedule_type", f"SCHEDULE_FROM_NOW needs the budget mode {DYNAMIC}.")
    return parse_schedule(body, context.now)


def _ad_group_budget(campaign: Campaign, body: Body, days: int) -> int:
    """Return the budget of a new ad group in minor units; 0 with CBO."""
    if campaign.budget_optimize_on:
        return 0
    mode = body["budget_mode"]
    if mode == TOTAL and campaign.budget_mode == DAY:
        raise bad_parameter("budget_mode", f"Must be {DYNAMIC} in a campaign in {DAY}.")
    return parse_budget(campaign.advertiser, body["budget"], min_ad_group_budget(mode, None, days))


def _stored_fields(campaign: Campaign, body: Body, targeting: Body) -> tuple[Body, Body]:
    """Return the fields of a new ad group for the manual lists and for those of Upgraded Smart+.

    With automatic placement adgroup/get shows no placements (seen live: contract of adgroup/get), and
    smart_plus/adgroup/get the selected ones (here all, as in the page's example).
    """
    shared, own = split_fields(body, _MANUAL_AD_GROUP_FIELDS)
    shared = {"pixel_id": None, "optimization_event": None, "bid_price": 0.0, **shared}
    shared |= {"location_ids": [], "age_groups": None}
    shared |= {name: value for name, value in targeting.items() if name in _MANUAL_AD_GROUP_FIELDS}
    own |= {
        "targeting_optimization_mode": body.get("targeting_optimization_mode", "AUTOMATIC"),
        "targeting_spec": targeting,
        "min_budget": body.get("min_budget", 0.0),
        "deep_bid_type": body.get("deep_bid_type", "DEFAULT"),
    }
    if body.get("placement_type", _AUTOMATIC) == _AUTOMATIC:
        shared |= {"placement_type": _AUTOMATIC, "placements": None}
        own["placements"] = list(_ALL_PLACEMENTS)
    if campaign.budget_optimize_on:  # as in the page's example
        own |= {"budget_mode": INFINITE, "budget": 0.0}
    else:
        shared["budget_mode"] = body["budget_mode"]
    return shared, own

"""Create and update campaigns and ad groups (API notes 8.1, 8.2)."""

from typing import Any

from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING
from tiktok_assets.sandbox.world.api_objects import ad_group_item, campaign_item
from tiktok_assets.sandbox.world.model import AdGroup, Campaign, format_utc
from tiktok_assets.sandbox.writes.budgets import (
    DYNAMIC,
    INFINITE,
    ad_group_budget,
    min_ad_group_budget,
    min_campaign_budget,
    parse_budget,
    refuse_below_spend,
    to_minor_units,
)
from tiktok_assets.sandbox.writes.common import (
    Answer,
    mark_written,
    read_body,
    refuse_empty_update,
    run_idempotent,
    write_response,
)
from tiktok_assets.sandbox.writes.request_schemas import (
    AD_GROUP_CREATE,
    AD_GROUP_UPDATE,
    CAMPAIGN_CREATE,
    CAMPAIGN_UPDATE,
)
from tiktok_assets.sandbox.writes.rules import (
    check_bid,
    check_budget_mode,
    check_deprecated_fields,
    check_goal,
    check_location_and_placement,
    check_name,
    check_same_as_first_ad_group,
    find_entity,
    parse_schedule,
)

MAX_CAMPAIGNS, MAX_AD_GROUPS = 999, 999  # dossier 5.7
# Kept on the entity itself rather than as a field of its object.
_MODEL_FIELDS = frozenset(
    (
        "advertiser_id",
        "campaign_id",
        "adgroup_id",
        "request_id",
        "operation_status",
        "campaign_name",
        "budget",
        "adgroup_name",
        "budget_mode",
        "budget_optimize_on",
        "objective_type",
    )
)
DAY_SECONDS = 86_400


def _api_fields(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in _MODEL_FIELDS}


def initial_switches(given: dict[str, Any], now: int) -> list[tuple[int, bool]]:
    """Return the switch a new entity starts with; ENABLE unless asked otherwise (dossier 8.1)."""
    return [(now, False)] if given.get("operation_status") == "DISABLE" else []


def create_campaign(context: Context) -> Answer:
    """Answer campaign/create."""
    given = read_body(context, CAMPAIGN_CREATE)
    advertiser = context.advertiser(given["advertiser_id"])
    mode = given["budget_mode"]
    optimized = given.get("budget_optimize_on", False) or mode == DYNAMIC  # the matrix of dossier 8.6
    if mode == INFINITE and optimized:
        raise bad_parameter("budget_mode", "Campaign budget optimization needs a budget.")
    if mode != INFINITE and given.get("budget") is None:
        raise bad_parameter("budget", MISSING)
    budget = 0 if mode == INFINITE else parse_budget(advertiser, given["budget"], min_campaign_budget(given))
    live = [one for one in advertiser.campaigns if one.exists(context.now) and not one.is_deleted(context.now)]
    if len(live) >= MAX_CAMPAIGNS:
        raise ApiError(40002, f"An account may hold at most {MAX_CAMPAIGNS} campaigns.")
    name = given["campaign_name"]
    taken = name in {one.name for one in live}
    if taken and "request_id" not in given and context.switches.unique_campaign_names:  # dossier 8.5, uncertain
        raise bad_parameter("campaign_name", "Campaign name already exists.")
    if not name:
        raise bad_parameter("campaign_name", MISSING)

    def make() -> Answer:
        campaign = Campaign(
            id=context.world.ids.entity(context.now),
            name=name,
            created=context.now,
            advertiser=advertiser,
            objective_type=given["objective_type"],
            budget_mode=mode,
            budget=budget,
            budget_optimize_on=optimized,
            switched=initial_switches(given, context.now),
            fields=_api_fields(given),
        )
        advertiser.campaigns.append(campaign)
        context.created.append(campaign.id)
        mark_written(context)
        return write_response(campaign_item(campaign, context.now))

    return run_idempotent(context, make)


def update_campaign(context: Context) -> Answer:
    """Answer campaign/update."""
    given = read_body(context, CAMPAIGN_UPDATE)
    advertiser = context.advertiser(given["advertiser_id"])
    campaign = find_entity(advertiser.campaigns, given["campaign_id"], "campaign_id", context.now)
    refuse_empty_update(given, "advertiser_id", "campaign_id")
    if "budget" in given:
        if campaign.budget_mode == INFINITE:
            raise bad_parameter("budget", "This campaign has no budget.")
        traits = {"objective_type": campaign.objective_type, **campaign.fields}
        budget = parse_budget(advertiser, given["budget"], min_campaign_budget(traits))
        refuse_below_spend(context, campaign, campaign.budget_mode, budget)
        campaign.budget = budget
    campaign.name = given.get("campaign_name") or campaign.name
    campaign.fields.update(_api_fields(given))
    mark_written(context, campaign)
    return write_response(campaign_item(campaign, context.now))


def create_ad_group(context: Context) -> Answer:
    """Answer adgroup/create."""
    given = read_body(context, AD_GROUP_CREATE)
    check_name(given["adgroup_name"], "adgroup_name")
    advertiser = context.advertiser(given["advertiser_id"])
    campaign = find_entity(advertiser.campaigns, given["campaign_id"], "campaign_id", context.now)
    check_location_and_placement(given)
    check_goal(campaign, given)
    check_bid(given, cbo=campaign.budget_optimize_on)
    check_deprecated_fields(given)
    check_budget_mode(campaign, given)
    live = [one for one in campaign.ad_groups if not one.is_deleted(context.now)]
    first = min(live, key=lambda one: one.created, default=None)
    check_same_as_first_ad_group(campaign, ad_group_item(first, context.now) if first else None, given)
    start, end = parse_schedule(given, context.now)
    budget = ad_group_budget(campaign, given, -(-(end - start) // DAY_SECONDS))
    if len(live) >= MAX_AD_GROUPS:
        raise ApiError(40002, f"A campaign may hold at most {MAX_AD_GROUPS} ad groups.")
    fields = {
        **_api_fields(given),
        "schedule_start_time": format_utc(start),
        "schedule_end_time": format_utc(end),
        "pixel_id": given.get("pixel_id"),
        "optimization_event": given.get("optimization_event"),
        "bid_type": given.get("bid_type", "BID_TYPE_NO_BID"),
        "bid_price": given.get("bid_price", 0.0),
    }
    if not campaign.budget_optimize_on:
        fields["budget_mode"] = given["budget_mode"]
    if given.get("placement_type") == "PLACEMENT_TYPE_AUTOMATIC":
        fields["placements"] = None  # seen live (contract of adgroup/get)
    for name in ("location_ids", "age_groups"):
        fields[name] = given.get(name) or ([] if name == "location_ids" else None)

    def make() -> Answer:
        ad_group = AdGroup(
            id=context.world.ids.entity(context.now),
            name=given["adgroup_name"],
            created=context.now,
            campaign=campaign,
            budget=budget,
            bid=to_minor_units(advertiser, given.get("bid_price", 0), "bid_price"),
            starts=start,
            ends=end,
            switched=initial_switches(given, context.now),
            fields=fields,
        )
        campaign.ad_groups.append(ad_group)
        context.created.append(ad_group.id)
        mark_written(context)
        return write_response(ad_group_item(ad_group, context.now), smart=False)

    return run_idempotent(context, make)


def update_ad_group(context: Context) -> Answer:
    """Answer adgroup/update; a daily budget changed here counts at once."""
    given = read_body(context, AD_GROUP_UPDATE)
    advertiser = context.advertiser(given["advertiser_id"])
    ad_group = find_entity(advertiser.ad_groups, given["adgroup_id"], "adgroup_id", context.now)
    refuse_empty_update(given, "advertiser_id", "adgroup_id")
    if "adgroup_name" in given:
        check_name(given["adgroup_name"], "adgroup_name")
    now = {**ad_group_item(ad_group, context.now), **given}
    if {"bid_type", "bid_price", "conversion_bid_price"} & set(given):
        check_bid(now, cbo=ad_group.campaign.budget_optimize_on)
    fields = _api_fields(given)
    if {"schedule_type", "schedule_start_time", "schedule_end_time"} & set(given):
        moved = "schedule_start_time" in given
        start, end = parse_schedule(now, context.now if moved else 0)
        fields |= {"schedule_start_time": format_utc(start), "schedule_end_time": format_utc(end)}
        ad_group.starts, ad_group.ends = (start if moved else ad_group.starts), end
    if "budget" in given and not ad_group.campaign.budget_optimize_on:
        ad_group.budget = parse_ad_group_budget(context, ad_group, given["budget"], "budget")
    ad_group.name = given.get("adgroup_name", ad_group.name)
    ad_group.fields.update(fields)
    mark_written(context, ad_group)
    return write_response(ad_group_item(ad_group, context.now), smart=False) | {"need_audit": False}


def parse_ad_group_budget(context: Context, ad_group: AdGroup, amount: float, path: str) -> int:
    """Return the new budget of an ad group in minor units, if it may have it."""
    item = ad_group_item(ad_group, context.now)
    mode = item["budget_mode"]
    days = -(-((ad_group.ends or 0) - (ad_group.starts or 0)) // DAY_SECONDS)
    least = min_ad_group_budget(mode, item.get("product_source"), days)
    budget = parse_budget(ad_group.campaign.advertiser, amount, least, path)
    refuse_below_spend(context, ad_group, mode, budget)
    return budget

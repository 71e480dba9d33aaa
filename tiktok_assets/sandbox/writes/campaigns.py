"""Create and update campaigns and ad groups (API notes 8.1, 8.2)."""

from typing import Any

from tiktok_assets.sandbox.http.context import Context, ResponseData
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
    check_manual_campaign_creation,
    check_manual_creation,
    check_name,
    check_same_as_first_ad_group,
    find_entity,
    parse_schedule,
)
from tiktok_assets.sandbox.writes.steps import (
    mark_written,
    read_body,
    refuse_empty_update,
    run_idempotent,
    write_response,
)

MAX_CAMPAIGNS, MAX_AD_GROUPS = 999, 999  # API notes 5.7
# Fields that are attributes of the model, and not in `Entity.fields`.
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


def _api_fields(body: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a body that are stored in `Entity.fields`."""
    return {name: value for name, value in body.items() if name not in _MODEL_FIELDS}


def initial_status_changes(body: dict[str, Any], now: int) -> list[tuple[int, bool]]:
    """Return the status changes of a new entity, which is enabled unless the body says DISABLE (API notes 8.1)."""
    return [(now, False)] if body.get("operation_status") == "DISABLE" else []


def create_campaign(context: Context) -> ResponseData:
    """Answer campaign/create."""
    body = read_body(context, CAMPAIGN_CREATE)
    advertiser = context.advertiser(body["advertiser_id"])
    check_manual_campaign_creation(context)
    mode = body["budget_mode"]
    is_optimized = body.get("budget_optimize_on", False) or mode == DYNAMIC  # by the matrix of API notes 8.6
    if mode == INFINITE and is_optimized:
        raise bad_parameter("budget_mode", "Campaign budget optimization needs a budget.")
    if mode != INFINITE and body.get("budget") is None:
        raise bad_parameter("budget", MISSING)
    budget = 0 if mode == INFINITE else parse_budget(advertiser, body["budget"], min_campaign_budget(body))
    existing = [one for one in advertiser.campaigns if one.exists(context.now) and not one.is_deleted(context.now)]
    if len(existing) >= MAX_CAMPAIGNS:
        raise ApiError(40002, f"An account may hold at most {MAX_CAMPAIGNS} campaigns.")
    name = body["campaign_name"]
    is_taken = name in {one.name for one in existing}
    if (
        is_taken and "request_id" not in body and context.switches.unique_campaign_names
    ):  # API notes 8.5, uncertain
        raise bad_parameter("campaign_name", "Campaign name already exists.")
    if not name:
        raise bad_parameter("campaign_name", MISSING)

    def create() -> ResponseData:
        campaign = Campaign(
            id=context.world.ids.entity(context.now),
            name=name,
            created=context.now,
            advertiser=advertiser,
            objective_type=body["objective_type"],
            budget_mode=mode,
            budget=budget,
            budget_optimize_on=is_optimized,
            status_changes=initial_status_changes(body, context.now),
            fields=_api_fields(body),
        )
        advertiser.campaigns.append(campaign)
        context.created_ids.append(campaign.id)
        mark_written(context)
        return write_response(campaign_item(campaign, context.now))

    return run_idempotent(context, create)


def update_campaign(context: Context) -> ResponseData:
    """Answer campaign/update."""
    body = read_body(context, CAMPAIGN_UPDATE)
    advertiser = context.advertiser(body["advertiser_id"])
    campaign = find_entity(advertiser.campaigns, body["campaign_id"], "campaign_id", context.now)
    refuse_empty_update(body, "advertiser_id", "campaign_id")
    if "budget" in body:
        if campaign.budget_mode == INFINITE:
            raise bad_parameter("budget", "This campaign has no budget.")
        current = {"objective_type": campaign.objective_type, **campaign.fields}
        budget = parse_budget(advertiser, body["budget"], min_campaign_budget(current))
        refuse_below_spend(context, campaign, campaign.budget_mode, budget)
        campaign.budget = budget
    campaign.name = body.get("campaign_name") or campaign.name
    campaign.fields.update(_api_fields(body))
    mark_written(context, campaign)
    return write_response(campaign_item(campaign, context.now))


def create_ad_group(context: Context) -> ResponseData:
    """Answer adgroup/create."""
    body = read_body(context, AD_GROUP_CREATE)
    check_name(body["adgroup_name"], "adgroup_name")
    advertiser = context.advertiser(body["advertiser_id"])
    campaign = find_entity(advertiser.campaigns, body["campaign_id"], "campaign_id", context.now)
    check_manual_creation(context)
    check_location_and_placement(body)
    check_goal(campaign, body)
    check_bid(body, cbo=campaign.budget_optimize_on)
    check_deprecated_fields(body)
    check_budget_mode(campaign, body)
    existing = [one for one in campaign.ad_groups if not one.is_deleted(context.now)]
    first = min(existing, key=lambda one: one.created, default=None)
    check_same_as_first_ad_group(campaign, ad_group_item(first, context.now) if first else None, body)
    start, end = parse_schedule(body, context.now)
    budget = ad_group_budget(campaign, body, -(-(end - start) // DAY_SECONDS))
    if len(existing) >= MAX_AD_GROUPS:
        raise ApiError(40002, f"A campaign may hold at most {MAX_AD_GROUPS} ad groups.")
    fields = {
        **_api_fields(body),
        "schedule_start_time": format_utc(start),
        "schedule_end_time": format_utc(end),
        "pixel_id": body.get("pixel_id"),
        "optimization_event": body.get("optimization_event"),
        "bid_type": body.get("bid_type", "BID_TYPE_NO_BID"),
        "bid_price": body.get("bid_price", 0.0),
    }
    if not campaign.budget_optimize_on:
        fields["budget_mode"] = body["budget_mode"]
    if body.get("placement_type") == "PLACEMENT_TYPE_AUTOMATIC":
        fields["placements"] = None  # seen live (contract of adgroup/get)
    for name in ("location_ids", "age_groups"):
        fields[name] = body.get(name) or ([] if name == "location_ids" else None)

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
        )
        campaign.ad_groups.append(ad_group)
        context.created_ids.append(ad_group.id)
        mark_written(context)
        return write_response(ad_group_item(ad_group, context.now), is_campaign=False)

    return run_idempotent(context, create)


def update_ad_group(context: Context) -> ResponseData:
    """Answer adgroup/update; a new daily budget takes effect at once."""
    body = read_body(context, AD_GROUP_UPDATE)
    advertiser = context.advertiser(body["advertiser_id"])
    ad_group = find_entity(advertiser.ad_groups, body["adgroup_id"], "adgroup_id", context.now)
    refuse_empty_update(body, "advertiser_id", "adgroup_id")
    if "adgroup_name" in body:
        check_name(body["adgroup_name"], "adgroup_name")
    updated = {**ad_group_item(ad_group, context.now), **body}
    if {"bid_type", "bid_price", "conversion_bid_price"} & set(body):
        check_bid(updated, cbo=ad_group.campaign.budget_optimize_on)
    fields = _api_fields(body)
    if {"schedule_type", "schedule_start_time", "schedule_end_time"} & set(body):
        is_moved = "schedule_start_time" in body
        start, end = parse_schedule(updated, context.now if is_moved else 0)
        fields |= {"schedule_start_time": format_utc(start), "schedule_end_time": format_utc(end)}
        ad_group.starts_at, ad_group.ends_at = (start if is_moved else ad_group.starts_at), end
    if "budget" in body and not ad_group.campaign.budget_optimize_on:
        ad_group.budget = parse_ad_group_budget(context, ad_group, body["budget"], "budget")
    ad_group.name = body.get("adgroup_name", ad_group.name)
    ad_group.fields.update(fields)
    mark_written(context, ad_group)
    return write_response(ad_group_item(ad_group, context.now), is_campaign=False) | {"need_audit": False}


def parse_ad_group_budget(context: Context, ad_group: AdGroup, amount: float, path: str) -> int:
    """Validate the new budget of an ad group, and return it in minor units.

    Raises:
        ApiError: 40002, the budget is out of range or below 105 % of the spend.
    """
    item = ad_group_item(ad_group, context.now)
    mode = item["budget_mode"]
    days = -(-((ad_group.ends_at or 0) - (ad_group.starts_at or 0)) // DAY_SECONDS)
    minimum = min_ad_group_budget(mode, item.get("product_source"), days)
    budget = parse_budget(ad_group.campaign.advertiser, amount, minimum, path)
    refuse_below_spend(context, ad_group, mode, budget)
    return budget

"""Business rules of writes: existence, schedules, bids, goals and names (API notes 8.2-8.5)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING
from tiktok_assets.sandbox.world.api_objects import DEFAULT_SCHEDULE_SECONDS
from tiktok_assets.sandbox.world.model import Ad, AdGroup, Campaign, Entity, SmartPlusAd, format_utc
from tiktok_assets.sandbox.writes.creative_rules import EMOJI
from tiktok_assets.sandbox.writes.request_schemas import BILLING_EVENT_OF_GOAL

E = TypeVar("E", bound=Entity)
HOUR_SECONDS = 3600
LATEST_START, LATEST_END = "2028-01-01 00:00:00", "2038-01-01 00:00:00"  # API notes 8.2
MAX_START_AGE_SECONDS = 12 * HOUR_SECONDS
# The goals that fit an objective (required by API notes 8.2; the table itself is uncertain).
GOALS_OF_OBJECTIVE = {
    "REACH": ("REACH", "SHOW"),
    "TRAFFIC": ("CLICK", "TRAFFIC_LANDING_PAGE_VIEW", "DESTINATION_VISIT"),
    "VIDEO_VIEWS": ("ENGAGED_VIEW", "ENGAGED_VIEW_FIFTEEN"),
    "LEAD_GENERATION": ("LEAD_GENERATION", "CONVERT", "CLICK", "CONVERSATION", "TRAFFIC_LANDING_PAGE_VIEW"),
    "WEB_CONVERSIONS": ("CONVERT", "CLICK", "VALUE", "TRAFFIC_LANDING_PAGE_VIEW"),
    "PRODUCT_SALES": ("CONVERT", "CLICK", "VALUE", "PRODUCT_CLICK_IN_LIVE", "MT_LIVE_ROOM"),
    "ENGAGEMENT": ("FOLLOWERS", "PAGE_VISIT", "MT_LIVE_ROOM"),
    "APP_PROMOTION": ("CLICK", "INSTALL", "IN_APP_EVENT", "VALUE", "AUTOMATIC_VALUE_OPTIMIZATION"),
}
PIXEL_GOALS = ("CONVERT", "VALUE")  # API notes 8.2
ENTITY_NAMES = {Campaign: "campaign", AdGroup: "ad group", Ad: "ad", SmartPlusAd: "ad"}
MANUAL, UPGRADED = "MANUAL", "UPGRADED_SMART_PLUS"


def find_entity(entities: Sequence[E], entity_id: str, path: str, now: int, automation: str = MANUAL) -> E:
    """Return an existing entity by its id.

    Raises:
        ApiError: 40002, it does not exist, is or has a deleted parent, or its campaign is of another automation
            type than the endpoint is for (API notes 5.7, 8.5).
    """
    for one in entities:
        if one.id == entity_id and one.exists(now):
            check_is_writable(one, now, automation)
            return one
    raise bad_parameter(path, f"{entity_id} does not exist in this account.")


def check_is_writable(entity: Entity, now: int, automation: str = MANUAL) -> None:
    """Raise ApiError 40002 for a deleted entity or parent, and for the other automation type.

    Sources: API notes 3.3, 5.7, 8.5; mengxingxinqing/tiktok_ads,
    compatibility_changes_for_upgraded_smart_campaigns.
    That page does not say what the manual status endpoints do with Upgraded Smart+; they are refused too.
    """
    ancestors: list[Entity] = [entity]
    if isinstance(entity, Ad | SmartPlusAd):
        ancestors = [entity.campaign, entity.ad_group, entity]
    elif isinstance(entity, AdGroup):
        ancestors = [entity.campaign, entity]
    for ancestor in ancestors:
        if ancestor.is_deleted(now):
            raise ApiError(40002, f"This {ENTITY_NAMES[type(ancestor)]} has been deleted.")
    campaign = ancestors[0]
    if isinstance(campaign, Campaign) and campaign.automation != automation:
        kind = "Upgraded Smart+" if automation == MANUAL else "Manual"
        raise ApiError(40002, f"{kind} campaigns cannot be changed through this endpoint.")


def check_manual_campaign_creation(context: Context) -> None:
    """Raise ApiError 40002 if no manual campaign can be created any more (the code is our assumption)."""
    end = context.switches.manual_campaigns_end
    if end and format_utc(context.now) >= end:
        raise ApiError(40002, "Manual Campaigns can no longer be created; use /smart_plus/campaign/create/.")


def check_manual_creation(context: Context) -> None:
    """Raise ApiError 40002 if nothing can be created in manual campaigns any more (the code is our assumption)."""
    end = context.switches.manual_ads_end
    if end and format_utc(context.now) >= end:
        raise ApiError(40002, "Nothing can be created in Manual Campaigns any more; use Upgraded Smart+.")


def parse_instant(text: str) -> int:
    """Convert UTC time text to epoch seconds."""
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp())


def parse_schedule(fields: dict[str, Any], now: int) -> tuple[int, int]:
    """Validate a schedule, and return its start and end in epoch seconds (API notes 8.2)."""
    start = fields["schedule_start_time"]
    begin = parse_instant(start)
    if begin < now - MAX_START_AGE_SECONDS:
        raise bad_parameter("schedule_start_time", "Must not be more than 12 hours in the past.")
    if start > LATEST_START:
        raise bad_parameter("schedule_start_time", f"Must not be later than {LATEST_START}.")
    end = fields.get("schedule_end_time")
    needs_end = fields["schedule_type"] == "SCHEDULE_START_END" or fields.get("budget_mode") == "BUDGET_MODE_TOTAL"
    if not needs_end:
        return begin, begin + DEFAULT_SCHEDULE_SECONDS
    if end is None:
        raise bad_parameter("schedule_end_time", MISSING)
    if end > LATEST_END or parse_instant(end) <= begin:
        raise bad_parameter("schedule_end_time", f"Must be later than schedule_start_time, until {LATEST_END}.")
    return begin, parse_instant(end)


def check_goal(campaign: Campaign, fields: dict[str, Any]) -> None:
    """Check that goal, billing event, pixel and objective fit each other (API notes 8.2)."""
    goal, billing_event = fields["optimization_goal"], fields["billing_event"]
    allowed = GOALS_OF_OBJECTIVE.get(campaign.objective_type)
    if allowed is not None and goal not in allowed:
        raise bad_parameter("optimization_goal", f"{goal} does not fit the objective {campaign.objective_type}.")
    if billing_event != BILLING_EVENT_OF_GOAL[goal]:
        raise bad_parameter(
            "billing_event", f"{billing_event} does not fit {goal}; use {BILLING_EVENT_OF_GOAL[goal]}."
        )
    for name in ("pixel_id", "optimization_event"):
        if goal in PIXEL_GOALS and fields.get(name) is None:
            raise bad_parameter(name, MISSING)
        if goal not in PIXEL_GOALS and fields.get(name) is not None:
            raise bad_parameter(name, f"Not supported with optimization_goal {goal}.")


# Objectives that need a dynamic budget instead of a daily one (mengxingxinqing/tiktok_ads, create_an_ad_group).
DYNAMIC_BUDGET_OBJECTIVES = {"TRAFFIC", "APP_PROMOTION", "WEB_CONVERSIONS", "LEAD_GENERATION"}
# Fields of a saved audience, which cannot be combined with it (create_an_ad_group).
TARGETING_FIELDS = (
    *("zipcode_ids", "age_groups", "gender", "languages", "operating_systems", "audience_ids"),
    *("excluded_audience_ids", "interest_category_ids", "interest_keyword_ids", "actions", "device_model_ids"),
    *("device_price_ranges", "network_types", "carrier_ids", "isp_ids", "spending_power", "household_income"),
)
SHARED_CBO_FIELDS = ("optimization_goal", "bid_type", "optimization_event")


def check_deprecated_fields(fields: dict[str, Any]) -> None:
    """Raise ApiError 40002 for deprecated fields and for a second audience (create_an_ad_group)."""
    if fields.get("bid_display_mode") == "CPMV":
        raise bad_parameter("bid_display_mode", "CPMV is deprecated.")
    for name in ("auto_targeting_enabled", "targeting_expansion"):
        if name in fields:
            raise bad_parameter(name, "This field is deprecated.")
    if fields.get("saved_audience_id"):
        for name in TARGETING_FIELDS:
            if fields.get(name):
                raise bad_parameter(name, "Conflicts with the audience targeting of saved_audience_id.")


def check_budget_mode(campaign: Campaign, fields: dict[str, Any]) -> None:
    """Raise ApiError 40002 for a daily budget with an objective that needs a dynamic one."""
    daily = fields.get("budget_mode") == "BUDGET_MODE_DAY" and not campaign.budget_optimize_on
    if daily and campaign.objective_type in DYNAMIC_BUDGET_OBJECTIVES:
        raise bad_parameter(
            "budget_mode", f"Use BUDGET_MODE_DYNAMIC_DAILY_BUDGET for the objective {campaign.objective_type}."
        )


def check_same_as_first_ad_group(campaign: Campaign, first: dict[str, Any] | None, fields: dict[str, Any]) -> None:
    """Check that goal, bid type and event are those of the first ad group; required with CBO."""
    if not campaign.budget_optimize_on or first is None:
        return
    for name in SHARED_CBO_FIELDS:
        if (fields.get(name) or None) != (first.get(name) or None):
            raise bad_parameter(name, f"Must be {first.get(name)}, as in the campaign's first ad group.")


def check_bid(fields: dict[str, Any], *, cbo: bool) -> None:
    """Check that a custom bid has a price, which must be below the budget (API notes 8.2)."""
    if cbo and fields.get("bid_type") is None:
        raise bad_parameter("bid_type", MISSING)
    if fields.get("bid_type") != "BID_TYPE_CUSTOM":
        return
    name = "conversion_bid_price" if fields["billing_event"] in ("OCPM", "OCPC") else "bid_price"
    if fields.get(name) is None:
        raise bad_parameter(name, MISSING)
    budget = fields.get("budget") or 0
    if name == "conversion_bid_price" and not cbo and budget and fields[name] >= budget:
        raise bad_parameter(name, "Must be less than the budget.")


def check_location_and_placement(fields: dict[str, Any]) -> None:
    """Check that there is a location, and a placement if it is not automatic (API notes 8.2)."""
    if not fields.get("location_ids") and not fields.get("zipcode_ids"):
        raise bad_parameter("location_ids", MISSING)
    is_manual = fields.get("placement_type", "PLACEMENT_TYPE_NORMAL") == "PLACEMENT_TYPE_NORMAL"
    if is_manual and not fields.get("placements"):
        raise bad_parameter("placements", MISSING)


def check_name(name: str, path: str) -> None:
    """Raise ApiError 40002 for an ad group's name that is empty or contains emoji (API notes 8.2)."""
    if not name or EMOJI.search(name):
        raise bad_parameter(path, "Must not be empty nor contain emoji.")

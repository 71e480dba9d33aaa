"""Rules of Upgraded Smart+ campaigns and ad groups (create_an_upgraded_smart_campaign and _ad_group)."""

import re
from typing import Any

from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING
from tiktok_assets.sandbox.world.model import Advertiser, Campaign
from tiktok_assets.sandbox.writes.budgets import DAY, DYNAMIC, INFINITE, TOTAL
from tiktok_assets.sandbox.writes.creative_rules import EMOJI
from tiktok_assets.sandbox.writes.smart_plus_schemas import MAX_NAME_LENGTH

Body = dict[str, Any]
# Chinese and Japanese characters, which count two in names.
_WIDE = re.compile(
    "[\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)


def check_allow_list(context: Context, advertiser: Advertiser) -> None:
    """Raise ApiError 40118 for an account that may not write Upgraded Smart+ (upgraded_smart_campaign)."""
    if advertiser.id in context.switches.not_allowed_smart_plus:
        raise ApiError(40118, "The advertiser is not on the allowlist for accessing the feature.")


def check_name(name: str, path: str) -> None:
    """Raise ApiError 40002 for a name with emoji or more than 512 characters, of which wide ones count two."""
    if EMOJI.search(name):
        raise bad_parameter(path, "Must not contain emoji.")
    if len(name) + len(_WIDE.findall(name)) > MAX_NAME_LENGTH:
        raise bad_parameter(path, f"Longer than maximum length {MAX_NAME_LENGTH}.")


def require(fields: Body, *names: str) -> None:
    """Raise ApiError 40002 for the first of some fields that is missing or empty."""
    for name in names:
        if fields.get(name) in (None, "", []):
            raise bad_parameter(name, MISSING)


def check_campaign(fields: Body) -> None:
    """Check the combinations of objective, destination, catalogue and app of a new campaign."""
    check_name(fields["campaign_name"], "campaign_name")
    require(fields, "campaign_name")
    objective, is_dedicated = fields["objective_type"], fields.get("campaign_type") == "IOS14_CAMPAIGN"
    if objective == "APP_PROMOTION":
        require(fields, "app_promotion_type")
    if objective == "WEB_CONVERSIONS":
        _check_destination(fields)
    is_install = objective == "APP_PROMOTION" and fields["app_promotion_type"] == "APP_INSTALL"
    is_to_app = objective == "WEB_CONVERSIONS" and fields["sales_destination"] == "APP"
    if is_dedicated and (is_install or is_to_app):
        require(fields, "app_id")
    if fields.get("campaign_app_profile_page_state") == "ON" and not (
        objective == "APP_PROMOTION" and is_dedicated
    ):
        raise bad_parameter("campaign_app_profile_page_state", "Only for iOS 14 Dedicated Campaigns.")
    is_retargeting = objective == "APP_PROMOTION" and fields["app_promotion_type"] == "APP_RETARGETING"
    for name, is_possible in (
        ("rta_bid_enabled", is_to_app or is_retargeting),
        ("rta_product_selection_enabled", is_to_app),
    ):
        if fields.get(name) and not (is_possible and fields.get("rta_id")):
            raise bad_parameter(name, "Not supported with these campaign settings.")


def _check_destination(fields: Body) -> None:
    require(fields, "sales_destination")
    if fields["sales_destination"] == "APP" and not fields.get("catalog_enabled"):
        raise bad_parameter("catalog_enabled", "Must be true when sales_destination is APP.")
    if fields.get("catalog_enabled"):
        require(fields, "catalog_type")
        if fields["sales_destination"] == "APP" and fields["catalog_type"] == "MINI_SERIES":
            raise bad_parameter("catalog_type", "MINI_SERIES does not fit the sales destination APP.")


# The budget modes of a campaign, the default one first.
OPTIMIZED_MODES, UNOPTIMIZED_MODES = (DYNAMIC, TOTAL), (INFINITE, DAY, TOTAL)


def campaign_budget_mode(fields: Body) -> str:
    """Return the budget mode of a new campaign, which has a budget of its own by default."""
    allowed = OPTIMIZED_MODES if fields.get("budget_optimize_on", True) else UNOPTIMIZED_MODES
    mode = str(fields.get("budget_mode", allowed[0]))
    if mode not in allowed:
        raise bad_parameter("budget_mode", f"Must be one of: {', '.join(allowed)}.")
    if mode != INFINITE:
        require(fields, "budget")
    return mode


_APP_TYPES, _MINI_TYPES = ("APP_ANDROID", "APP_IOS"), ("MINI_APP", "MINI_GAME")
_LEAD_TYPES = (
    "LEAD_GENERATION",
    "LEAD_GEN_CLICK_TO_TT_DIRECT_MESSAGE",
    "LEAD_GEN_CLICK_TO_SOCIAL_MEDIA_APP_MESSAGE",
    "LEAD_GEN_CLICK_TO_CALL",
)
_APP_GOALS = ("CLICK", "INSTALL", "IN_APP_EVENT", "VALUE")
# The goals of a promotion type, as far as a page lists them (create_a_regular_upgraded_smart_web_campaign,
# create_an_upgraded_smart_non-dc_app_campaign).
_GOALS = {
    "WEBSITE": ("CLICK", "CONVERT", "TRAFFIC_LANDING_PAGE_VIEW", "VALUE"),
    **dict.fromkeys(_APP_TYPES, _APP_GOALS),
}


def promotion_types(campaign: Campaign) -> tuple[str, ...]:
    """Return the promotion types that fit a campaign."""
    if campaign.objective_type == "LEAD_GENERATION":
        return _LEAD_TYPES
    if campaign.objective_type == "APP_PROMOTION":
        return _MINI_TYPES if campaign.fields.get("app_promotion_type") == "MINIS" else _APP_TYPES
    # WEB_AND_APP: create_upgraded_smart_non-catalog_ads_with_website_and_app_o.
    return _APP_TYPES if campaign.fields.get("sales_destination") == "APP" else ("WEBSITE",)


def check_optimization(campaign: Campaign, fields: Body) -> None:
    """Check that promotion type, goal, pixel, app and billing event of a new ad group fit its campaign."""
    kind, goal = fields["promotion_type"], fields["optimization_goal"]
    if kind not in promotion_types(campaign):
        raise bad_parameter("promotion_type", f"{kind} does not fit the campaign.")
    if goal not in _GOALS.get(kind, (goal,)):
        raise bad_parameter("optimization_goal", f"{goal} does not fit the promotion type {kind}.")
    if kind == "LEAD_GENERATION":  # the other lead types have no such location, so it is required of this one only
        require(fields, "promotion_target_type")
    billing_event = "CPC" if goal == "CLICK" else "OCPM"
    if fields["billing_event"] != billing_event:
        raise bad_parameter("billing_event", f"Must be {billing_event} when optimization_goal is {goal}.")
    _check_sources(campaign, fields)


def _check_sources(campaign: Campaign, fields: Body) -> None:
    """Check that the pixel, event, app, TikTok Mini and catalogue of a new ad group are given where needed."""
    kind, goal = fields["promotion_type"], fields["optimization_goal"]
    if kind not in (*_APP_TYPES, *_MINI_TYPES) and goal in {"CONVERT", "VALUE"}:
        require(fields, "pixel_id")
    if goal in {*_APP_GOALS, "TRAFFIC_LANDING_PAGE_VIEW"} - {"VALUE"} and "pixel_id" in fields:
        raise bad_parameter("pixel_id", f"Not supported when optimization_goal is {goal}.")
    if "pixel_id" in fields or "minis_id" in fields or goal in {"IN_APP_EVENT", "VALUE"}:
        require(fields, "optimization_event")
    if kind in _MINI_TYPES:
        require(fields, "minis_id")
    is_dedicated = campaign.fields.get("campaign_type") == "IOS14_CAMPAIGN"
    if kind in _APP_TYPES and not is_dedicated:
        require(fields, "app_id")
    if campaign.fields.get("sales_destination") == "WEB_AND_APP":
        require(fields, "app_config")
    if campaign.fields.get("catalog_enabled"):
        require(fields, "catalog_id", "catalog_authorized_bc_id")


def check_bidding(campaign: Campaign, fields: Body) -> None:
    """Check the bid strategy and the attribution windows of a new ad group."""
    goal, is_custom = fields["optimization_goal"], fields["bid_type"] == "BID_TYPE_CUSTOM"
    is_daily = DYNAMIC in (campaign.budget_mode, fields.get("budget_mode"))
    if goal == "VALUE":
        require(fields, "deep_bid_type")
    is_roas = fields.get("deep_bid_type") == "VO_MIN_ROAS"
    for name, needs_daily in (("bid_type", is_custom), ("deep_bid_type", is_roas)):
        if needs_daily and not is_daily:
            raise bad_parameter(name, f"{fields[name]} needs the budget mode {DYNAMIC}.")
    if is_roas:
        require(fields, "roas_bid")
        if not 0.01 <= fields["roas_bid"] <= 1000:
            raise bad_parameter("roas_bid", "Must be between 0.01 and 1000.")
    if is_custom and goal in {"CLICK", "CONVERT", "TRAFFIC_LANDING_PAGE_VIEW", "INSTALL", "IN_APP_EVENT"}:
        name = "bid_price" if goal == "CLICK" else "conversion_bid_price"
        require(fields, name)
        own_budget = fields.get("budget")
        decimals = campaign.advertiser.currency.minor_per_unit
        budget = campaign.budget / decimals if campaign.budget_optimize_on else own_budget
        if budget and fields[name] >= budget:
            raise bad_parameter(name, "Must be lower than the budget.")
    both = ("click_attribution_window", "view_attribution_window")
    if any(name in fields for name in (*both, "engaged_view_attribution_window")):
        require(fields, *both)


_SHARED_WITH_CBO = (
    *("promotion_type", "promotion_target_type", "optimization_goal", "optimization_event", "billing_event"),
    *("bid_type", "bid_price", "conversion_bid_price", "deep_bid_type", "vbo_window", "roas_bid"),
)
_SHARED_WITHOUT_CBO = ("bid_type", "deep_bid_type", "vbo_window", "budget_mode")


def check_same_settings(campaign: Campaign, first: Body | None, fields: Body) -> None:
    """Check that the settings which all ad groups of a campaign share, if given, are those of the first one."""
    for name in _SHARED_WITH_CBO if campaign.budget_optimize_on else _SHARED_WITHOUT_CBO:
        if first and fields.get(name) and first.get(name) and fields[name] != first[name]:
            raise bad_parameter(name, f"Must be {first[name]}, as in the other ad groups of the campaign.")


def check_placements(fields: Body) -> None:
    """Check that selected placements are given, and fit the goal."""
    if fields.get("placement_type") != "PLACEMENT_TYPE_NORMAL":
        return
    require(fields, "placements")
    is_page_view = fields["optimization_goal"] == "TRAFFIC_LANDING_PAGE_VIEW"
    if is_page_view and "PLACEMENT_GLOBAL_APP_BUNDLE" in fields["placements"]:
        raise bad_parameter("placements", "PLACEMENT_GLOBAL_APP_BUNDLE does not fit the optimization goal.")


_CONTROLS = ("location_ids", "zipcode_ids", "spc_audience_age", "languages", "excluded_audience_ids")
_SUGGESTIONS = (
    *("age_groups", "gender", "audience_ids", "interest_category_ids", "interest_keyword_ids"),
    *("purchase_intention_keyword_ids", "actions"),
)


def effective_targeting(campaign: Campaign, fields: Body) -> Body:
    """Check the targeting of a new ad group, and return the settings that its mode uses; others are ignored."""
    spec: Body = fields["targeting_spec"]
    is_to_app = campaign.fields.get("sales_destination") == "APP"
    has_zipcodes = campaign.smart_plus_fields.get("catalog_type") == "TRAVEL_ENTERTAINMENT"
    if not spec.get("location_ids") and not (has_zipcodes and spec.get("zipcode_ids")):
        raise bad_parameter("targeting_spec.location_ids", MISSING)
    if spec.get("zipcode_ids") and not has_zipcodes:
        raise bad_parameter("targeting_spec.zipcode_ids", "Not supported in this type of campaign.")
    for one, other in (
        ("device_model_ids", "device_price_ranges"),
        ("included_pangle_audience_package_ids", "excluded_pangle_audience_package_ids"),
    ):
        if spec.get(one) and spec.get(other):
            raise bad_parameter(f"targeting_spec.{one}", f"Must not be set together with {other}.")
    if "AGE_13_17" in spec.get("age_groups", ()) and campaign.objective_type != "APP_PROMOTION":
        raise bad_parameter("targeting_spec.age_groups", "AGE_13_17 is for app promotion only.")
    has_app_targeting = is_to_app and fields["optimization_goal"] in {"CLICK", "IN_APP_EVENT", "VALUE"}
    if has_app_targeting and not spec.get("app_targeting_type"):
        raise bad_parameter("targeting_spec.app_targeting_type", MISSING)
    if fields.get("suggestion_audience_enabled") and (is_to_app or campaign.fields.get("rta_id")):
        raise bad_parameter("suggestion_audience_enabled", "Not supported with these campaign settings.")
    if fields.get("targeting_optimization_mode") == "MANUAL":
        return {name: value for name, value in spec.items() if name != "spc_audience_age"}
    names: set[str] = {*_CONTROLS, "app_targeting_type"}
    names |= {"audience_ids", "gender"} if is_to_app else {"operating_systems"}
    names |= set(_SUGGESTIONS) if fields.get("suggestion_audience_enabled") else set()
    return {name: value for name, value in spec.items() if name in names}

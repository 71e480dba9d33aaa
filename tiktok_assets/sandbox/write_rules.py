"""The rules of writes beyond shape: existence, schedule, bids, goals, names, media (dossier 8.2-8.5)."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from tiktok_assets.sandbox.context import Context
from tiktok_assets.sandbox.entities import TEN_YEARS, ad_item
from tiktok_assets.sandbox.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.params import MISSING
from tiktok_assets.sandbox.world import Ad, AdGroup, Advertiser, Campaign, Entity
from tiktok_assets.sandbox.write_shapes import GOALS

E = TypeVar("E", bound=Entity)
HOUR = 3600
LATEST_START, LATEST_END = "2028-01-01 00:00:00", "2038-01-01 00:00:00"  # dossier 8.2
OLDEST_START = 12 * HOUR
# Which goals an objective takes (dossier 8.2 says that they must fit; the table itself is uncertain).
FITTING_GOALS = {
    "REACH": ("REACH", "SHOW"),
    "TRAFFIC": ("CLICK", "TRAFFIC_LANDING_PAGE_VIEW", "DESTINATION_VISIT"),
    "VIDEO_VIEWS": ("ENGAGED_VIEW", "ENGAGED_VIEW_FIFTEEN"),
    "LEAD_GENERATION": ("LEAD_GENERATION", "CONVERT", "CLICK", "CONVERSATION", "TRAFFIC_LANDING_PAGE_VIEW"),
    "WEB_CONVERSIONS": ("CONVERT", "CLICK", "VALUE", "TRAFFIC_LANDING_PAGE_VIEW"),
    "PRODUCT_SALES": ("CONVERT", "CLICK", "VALUE", "PRODUCT_CLICK_IN_LIVE", "MT_LIVE_ROOM"),
    "ENGAGEMENT": ("FOLLOWERS", "PAGE_VISIT", "MT_LIVE_ROOM"),
    "APP_PROMOTION": ("CLICK", "INSTALL", "IN_APP_EVENT", "VALUE", "AUTOMATIC_VALUE_OPTIMIZATION"),
}
PIXEL_GOALS = ("CONVERT", "VALUE")  # dossier 8.2
NAMES = {Campaign: "campaign", AdGroup: "ad group", Ad: "ad"}
# Characters that are emoji by Unicode (emoji-data.txt, from U+2300), with their selector, keycap and flag letters.
# The document only says that there may be none; where TikTok draws the line is uncertain.
EMOJI = re.compile(
    "[\U0001f000-\U0001faff\ufe0f\u20e3"
    "\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe"
    "\u2600-\u2604\u260e\u2611\u2614\u2615\u2618\u261d\u2620\u2622\u2623\u2626\u262a\u262e\u262f\u2638-\u263a"
    "\u2640\u2642\u2648-\u2653\u265f\u2660\u2663\u2665\u2666\u2668\u267b\u267e\u267f\u2692-\u2697\u2699\u269b"
    "\u269c\u26a0\u26a1\u26a7\u26aa\u26ab\u26b0\u26b1\u26bd\u26be\u26c4\u26c5\u26c8\u26ce\u26cf\u26d1\u26d3"
    "\u26d4\u26e9\u26ea\u26f0-\u26f5\u26f7-\u26fa\u26fd\u2702\u2705\u2708-\u270d\u270f\u2712\u2714\u2716"
    "\u271d\u2721\u2728\u2733\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763\u2764\u2795-\u2797\u27a1"
    "\u27b0\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299"
    "]"
)


def found(members: Sequence[E], entity_id: str, path: str, now: int) -> E:
    """Return a member that exists and is not deleted, nor anything above it (dossier 8.5)."""
    for one in members:
        if one.id == entity_id and one.exists(now):
            refuse_deleted(one, now)
            return one
    raise bad_parameter(path, f"{entity_id} does not exist in this account.")


def refuse_deleted(entity: Entity, now: int) -> None:
    """Raise "This campaign has been deleted." and its kin (dossier 3.3, 8.5)."""
    owners: list[Entity] = [entity]
    if isinstance(entity, Ad):
        owners = [entity.campaign, entity.ad_group, entity]
    elif isinstance(entity, AdGroup):
        owners = [entity.campaign, entity]
    for owner in owners:
        if owner.is_deleted(now):
            raise ApiError(40002, f"This {NAMES[type(owner)]} has been deleted.")
    campaign = owners[0]
    if isinstance(campaign, Campaign) and campaign.automation != "MANUAL":  # dossier 5.7
        raise ApiError(40002, "Upgraded Smart+ campaigns cannot be changed through this endpoint.")


def instant(text: str) -> int:
    """Return a UTC time text as epoch seconds."""
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp())


def checked_schedule(fields: dict[str, Any], now: int) -> tuple[int, int]:
    """Return the start and the end of a schedule (dossier 8.2)."""
    start = fields["schedule_start_time"]
    begin = instant(start)
    if begin < now - OLDEST_START:
        raise bad_parameter("schedule_start_time", "Must not be more than 12 hours in the past.")
    if start > LATEST_START:
        raise bad_parameter("schedule_start_time", f"Must not be later than {LATEST_START}.")
    end = fields.get("schedule_end_time")
    needs_end = fields["schedule_type"] == "SCHEDULE_START_END" or fields.get("budget_mode") == "BUDGET_MODE_TOTAL"
    if not needs_end:
        return begin, begin + TEN_YEARS
    if end is None:
        raise bad_parameter("schedule_end_time", MISSING)
    if end > LATEST_END or instant(end) <= begin:
        raise bad_parameter("schedule_end_time", f"Must be later than schedule_start_time, until {LATEST_END}.")
    return begin, instant(end)


def check_goal(campaign: Campaign, fields: dict[str, Any]) -> None:
    """Check goal, billing event, pixel and objective against each other (dossier 8.2)."""
    goal, billing = fields["optimization_goal"], fields["billing_event"]
    fitting = FITTING_GOALS.get(campaign.objective_type)
    if fitting is not None and goal not in fitting:
        raise bad_parameter("optimization_goal", f"{goal} does not fit the objective {campaign.objective_type}.")
    if billing != GOALS[goal]:
        raise bad_parameter("billing_event", f"{billing} does not fit {goal}; use {GOALS[goal]}.")
    for name in ("pixel_id", "optimization_event"):
        if goal in PIXEL_GOALS and fields.get(name) is None:
            raise bad_parameter(name, MISSING)
        if goal not in PIXEL_GOALS and fields.get(name) is not None:
            raise bad_parameter(name, f"Not supported with optimization_goal {goal}.")


def check_bid(fields: dict[str, Any], *, cbo: bool) -> None:
    """Check that a custom bid has its price, and that the price stays below the budget (dossier 8.2)."""
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


def check_place(fields: dict[str, Any]) -> None:
    """Check that there is a location, and placements where they are chosen by hand (dossier 8.2)."""
    if not fields.get("location_ids") and not fields.get("zipcode_ids"):
        raise bad_parameter("location_ids", MISSING)
    by_hand = fields.get("placement_type", "PLACEMENT_TYPE_NORMAL") == "PLACEMENT_TYPE_NORMAL"
    if by_hand and not fields.get("placements"):
        raise bad_parameter("placements", MISSING)


def check_name(name: str, path: str) -> None:
    """Refuse emoji and an empty name in an ad group's name (dossier 8.2)."""
    if not name or EMOJI.search(name):
        raise bad_parameter(path, "Must not be empty nor contain emoji.")


def check_texts(fields: dict[str, Any], path: str) -> None:
    """Refuse emoji in an ad's name and texts (OPS `Create_ads`)."""
    texts = {"ad_name": fields.get("ad_name"), "ad_text": fields.get("ad_text")}
    texts |= {f"ad_texts.{index}": text for index, text in enumerate(fields.get("ad_texts") or ())}
    for name, text in texts.items():
        if text and EMOJI.search(text):
            raise bad_parameter(f"{path}{name}", "Must not contain emoji.")


def media_of(context: Context, advertiser: Advertiser) -> frozenset[str]:
    """Return the videos and images uploaded to an account: those of the ads it was built with."""
    kept = context.world.media
    if advertiser.id not in kept:
        items = [ad_item(ad, context.now) for ad in advertiser.ads]
        kept[advertiser.id] = frozenset(
            medium for item in items for medium in (item["video_id"], *item["image_ids"]) if medium
        )
    return kept[advertiser.id]


def check_creative(context: Context, ad_group: AdGroup, fields: dict[str, Any], path: str) -> None:
    """Check what a full creative needs by format and identity (dossier 8.3)."""
    check_texts(fields, path)
    spark = fields["identity_type"] != "CUSTOMIZED_USER"
    if fields["identity_type"] == "BC_AUTH_TT" and not fields.get("identity_authorized_bc_id"):
        raise bad_parameter(f"{path}identity_authorized_bc_id", MISSING)
    if fields["ad_format"] == "SINGLE_VIDEO" and not fields.get("video_id") and not fields.get("tiktok_item_id"):
        raise bad_parameter(f"{path}video_id", MISSING)
    if not spark and not fields.get("image_ids"):
        raise bad_parameter(f"{path}image_ids", MISSING)
    if not fields.get("ad_text") and not fields.get("ad_texts") and not fields.get("tiktok_item_id"):
        raise bad_parameter(f"{path}ad_text", MISSING)
    if not fields.get("call_to_action") and not fields.get("call_to_action_id"):
        raise bad_parameter(f"{path}call_to_action", MISSING)
    website = ad_group.fields.get("promotion_type", ad_group.campaign.objective.promotion_type) == "WEBSITE"
    if website and not any(
        fields.get(name) for name in ("landing_page_url", "page_id", "deeplink", "tiktok_item_id")
    ):
        raise bad_parameter(f"{path}landing_page_url", MISSING)
    check_media(context, ad_group.campaign.advertiser, fields, path)


def check_media(context: Context, advertiser: Advertiser, fields: dict[str, Any], path: str) -> None:
    """Refuse a video or an image of another account (dossier 8.3: media belong to one account)."""
    known = media_of(context, advertiser)
    video = fields.get("video_id")
    if video and video not in known:
        raise ApiError(40053, f"{path}video_id: The video {video} does not exist in this account.")
    for index, image in enumerate(fields.get("image_ids", ())):
        if image not in known:
            raise bad_parameter(f"{path}image_ids.{index}", f"The image {image} does not exist in this account.")

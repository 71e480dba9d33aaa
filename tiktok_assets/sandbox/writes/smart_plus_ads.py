"""Create Upgraded Smart+ ads and their creatives (create_an_upgraded_smart_ad)."""

from typing import Any

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import ApiError
from tiktok_assets.sandbox.world.api_objects import post_of
from tiktok_assets.sandbox.world.model import Ad, AdGroup, SmartPlusAd
from tiktok_assets.sandbox.world.smart_plus_objects import smart_plus_ad_item
from tiktok_assets.sandbox.writes.ads import new_ad_budget
from tiktok_assets.sandbox.writes.campaigns import initial_status_changes
from tiktok_assets.sandbox.writes.rules import UPGRADED, find_entity
from tiktok_assets.sandbox.writes.smart_plus_creatives import check_ad
from tiktok_assets.sandbox.writes.smart_plus_rules import Body, check_allow_list
from tiktok_assets.sandbox.writes.smart_plus_schemas import AD_CREATE
from tiktok_assets.sandbox.writes.steps import mark_written, read_body

MAX_ADS = 30  # of an ad group
_MODEL_FIELDS = frozenset(("advertiser_id", "adgroup_id", "ad_name", "operation_status", "creative_list"))
_ALWAYS_RETURNED = (
    *("ad_text_list", "call_to_action_list", "deeplink_list", "interactive_add_on_list"),
    *("landing_page_url_list", "page_list"),
)


def create_ad(context: Context) -> ResponseData:
    """Answer smart_plus/ad/create: one ad with all its creatives, or nothing.

    There is no `request_id`, so an equal request creates another ad.
    """
    body = read_body(context, AD_CREATE)
    advertiser = context.advertiser(body["advertiser_id"])
    check_allow_list(context, advertiser)
    ad_group = find_entity(advertiser.ad_groups, body["adgroup_id"], "adgroup_id", context.now, UPGRADED)
    check_ad(context, ad_group, body)
    existing = [one for one in ad_group.smart_plus_ads if not one.is_deleted(context.now)]
    if len(existing) >= MAX_ADS:
        raise ApiError(40502, f"An Upgraded Smart+ ad group may hold at most {MAX_ADS} ads.")
    ad_id = context.world.ids.entity(context.now)
    ad = SmartPlusAd(
        id=ad_id,
        name=body.get("ad_name") or ad_id,  # an empty name becomes the ad's id
        created=context.now,
        ad_group=ad_group,
        status_changes=initial_status_changes(body, context.now),
        smart_plus_fields=_ad_fields(body),
    )
    ad_group.smart_plus_ads.append(ad)
    context.created_ids.append(ad.id)
    for row in body["creative_list"]:
        creative = _create_creative(context, ad, row["creative_info"], body)
        context.created_ids.append(creative.id)
    mark_written(context)
    return smart_plus_ad_item(ad, context.now)


def _ad_fields(body: Body) -> Body:
    """Return the lists and the configuration of an ad, with the empty ones that the page's example shows."""
    given = {name: value for name, value in body.items() if name not in _MODEL_FIELDS}
    configuration = {"tracking_info": {}, **given.pop("ad_configuration", {})}
    return {**{name: [] for name in _ALWAYS_RETURNED}, **given, "ad_configuration": configuration}


def _create_creative(context: Context, ad: SmartPlusAd, info: Body, body: Body) -> Ad:
    """Create one creative, which ad/get and reports show as an ad; that its name is the ad's is our assumption."""
    ad_group = ad.ad_group
    daily = new_ad_budget(ad_group, context.now)
    creative = Ad(
        id=context.world.ids.entity(context.now),
        name=ad.name,
        created=context.now,
        ad_group=ad_group,
        daily_target=daily,
        daily_cap=daily * 13 // 10,
        fatigue=8,
        fatigue_floor=100,
        never_idle=True,
        smart_plus_ad=ad,
        text=_text_of(ad_group, info, body),
        reviews=[(context.now, context.now + context.switches.review_seconds)],
        fields=_creative_fields(info, body),
        smart_plus_fields={name: info[name] for name in ("aigc_disclosure_type",) if name in info},
    )
    ad_group.ads.append(creative)
    return creative


def _text_of(ad_group: AdGroup, info: Body, body: Body) -> str:
    """Return the text of a creative: that of its post, or the first one of the ad."""
    if post := info.get("tiktok_item_id"):
        return next((one.text for one in ad_group.campaign.advertiser.ads if post_of(one) == post), "")
    return next((str(row["ad_text"]) for row in body.get("ad_text_list", ())), "")


def _creative_fields(info: Body, body: Body) -> dict[str, Any]:
    """Return the fields of a creative in ad/get: its own, and the first of each list of the ad."""
    configuration = body.get("ad_configuration", {})
    identity = info if info.get("identity_type") else configuration
    fields: dict[str, Any] = {
        "ad_format": info["ad_format"],
        "identity_type": identity.get("identity_type", "UNSET"),  # of a catalogue carousel without an identity
        "identity_id": identity.get("identity_id", ""),
        "identity_authorized_bc_id": identity.get("identity_authorized_bc_id"),
        "video_id": info.get("video_info", {}).get("video_id"),
        "image_ids": [image["web_uri"] for image in info.get("image_info", ())],
        "music_id": info.get("music_info", {}).get("music_id"),
        "landing_page_url": _first(body, "landing_page_url") or "",  # text in ad/get, never null
        "deeplink": _first(body, "deeplink") or "",
        "utm_params": configuration.get("utm_params", []),
        "dark_post_status": configuration.get("dark_post_status", "ON"),
    }
    if info.get("tiktok_item_id"):
        fields["tiktok_item_id"] = info["tiktok_item_id"]
    if configuration.get("call_to_action_id"):
        fields["call_to_action_id"] = configuration["call_to_action_id"]
    elif call := _first(body, "call_to_action"):
        fields["call_to_action"] = call
    return fields


def _first(body: Body, name: str) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the first value of one of the lists of an ad, such as `landing_page_url_list`."""
    return next((row.get(name) for row in body.get(f"{name}_list", ())), None)

"""Create and update ads, which are reviewed before they deliver (API notes 8.3, 8.5)."""

from typing import Any

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.world.api_objects import ad_item, post_of
from tiktok_assets.sandbox.world.model import Ad, AdGroup
from tiktok_assets.sandbox.world.seed_data import Currency
from tiktok_assets.sandbox.writes.campaigns import initial_status_changes
from tiktok_assets.sandbox.writes.creative_rules import check_creative, check_media
from tiktok_assets.sandbox.writes.request_schemas import AD_CREATE, AD_PATCH, AD_UPDATE, PATCHABLE_FIELDS
from tiktok_assets.sandbox.writes.rules import check_manual_creation, find_entity
from tiktok_assets.sandbox.writes.steps import mark_written, read_body, refuse_empty_update, write_response

MAX_ADS = 50  # of an ad group (API notes 5.7; RF_REACH and stores, which have 20, are not imitated)
MAX_NEW_AD_DOLLARS, MIN_NEW_AD_DOLLARS = 9, 2  # of a new ad a day; our choice
_MODEL_FIELDS = frozenset(("ad_id", "ad_name", "operation_status"))
_FIELDS_WITHOUT_REVIEW = _MODEL_FIELDS | {"tracking_pixel_id", "utm_params"}


def create_ads(context: Context) -> ResponseData:
    """Answer ad/create: create all ads or none."""
    body = read_body(context, AD_CREATE)
    advertiser = context.advertiser(body["advertiser_id"])
    ad_group = find_entity(advertiser.ad_groups, body["adgroup_id"], "adgroup_id", context.now)
    check_manual_creation(context)
    creatives = body["creatives"]
    for index, creative in enumerate(creatives):
        check_creative(context, ad_group, creative, f"creatives.{index}.")
    existing = [one for one in ad_group.ads if not one.is_deleted(context.now)]
    if len(existing) + len(creatives) > MAX_ADS:
        raise ApiError(40502, f"An ad group may hold at most {MAX_ADS} ads.")
    ads = [_create_ad(context, ad_group, creative) for creative in creatives]
    mark_written(context)
    return _response(context, ads)


def _create_ad(context: Context, ad_group: AdGroup, body: dict[str, Any]) -> Ad:
    ad_id = context.world.ids.entity(context.now)
    daily = new_ad_budget(ad_group, context.now)
    ad = Ad(
        id=ad_id,
        name=body["ad_name"] or ad_id,  # an empty name becomes the ad's id (API notes 8.3)
        created=context.now,
        ad_group=ad_group,
        daily_target=daily,
        daily_cap=daily * 13 // 10,
        fatigue=8,
        fatigue_floor=100,
        never_idle=True,
        status_changes=initial_status_changes(body, context.now),
        reviews=[(context.now, context.now + context.switches.review_seconds)],
    )
    _set_fields(ad, body)
    ad_group.ads.append(ad)
    context.created_ids.append(ad.id)
    return ad


def _set_fields(ad: Ad, body: dict[str, Any]) -> None:
    """Set the fields of an ad from a creative."""
    ad.fields.update({name: value for name, value in body.items() if name not in _MODEL_FIELDS})
    ad.text = body.get("ad_text", ad.text)
    if post := body.get("tiktok_item_id"):  # the text is that of the post
        ad.text = next((one.text for one in ad.campaign.advertiser.ads if post_of(one) == post), ad.text)
    ad.call_to_action = body.get("call_to_action", ad.call_to_action)
    ad.fields.setdefault("image_ids", [])
    ad.fields.setdefault("video_id", None)
    if ad.fields.get("call_to_action_id"):  # the id takes precedence (API notes 8.3)
        ad.fields.pop("call_to_action", None)


def new_ad_budget(ad_group: AdGroup, now: int) -> int:
    """Return the daily target of a new ad in minor units: half of the rest of its ad group's budget."""
    currency: Currency = ad_group.campaign.advertiser.currency
    dollar = currency.units_per_dollar * currency.minor_per_unit
    used = sum(ad.daily_cap for ad in ad_group.ads if not ad.is_deleted(now))
    left = max(ad_group.budget - used, 0) // 2
    return max(int(MIN_NEW_AD_DOLLARS * dollar), min(int(MAX_NEW_AD_DOLLARS * dollar), left))


def update_ads(context: Context) -> ResponseData:
    """Answer ad/update: with all fields, or with patch_update only some (API notes 8.3)."""
    is_patch = context.body.get("patch_update") is True
    body = read_body(context, AD_PATCH if is_patch else AD_UPDATE)
    advertiser = context.advertiser(body["advertiser_id"])
    ad_group = find_entity(advertiser.ad_groups, body["adgroup_id"], "adgroup_id", context.now)
    ads = [
        find_entity(ad_group.ads, creative["ad_id"], f"creatives.{index}.ad_id", context.now)
        for index, creative in enumerate(body["creatives"])
    ]
    creatives = [
        _patchable_fields(context, creative, f"creatives.{index}.") if is_patch else creative
        for index, creative in enumerate(body["creatives"])
    ]
    for index, creative in enumerate(creatives):
        path = f"creatives.{index}."
        if is_patch:
            check_media(context, advertiser, creative, path)
        else:
            check_creative(context, ad_group, creative, path)
    for ad, creative in zip(ads, creatives, strict=True):
        ad.name = creative.get("ad_name") or ad.name
        if set(creative) - _FIELDS_WITHOUT_REVIEW:
            ad.reviews.append((context.now, context.now + context.switches.review_seconds))
        before = ad_item(ad, context.now)
        _set_fields(ad, {"video_id": before["video_id"], "image_ids": before["image_ids"], **creative})
    mark_written(context, *ads)
    return _response(context, ads)


def _patchable_fields(context: Context, creative: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the fields of a creative that a patch may change."""
    others = [name for name in creative if name not in PATCHABLE_FIELDS]
    if others and context.switches.patch_refuses_others:
        raise bad_parameter(f"{path}{others[0]}", "Not supported when patch_update is true.")
    allowed = {name: value for name, value in creative.items() if name in PATCHABLE_FIELDS}
    refuse_empty_update(allowed, "ad_id")
    return allowed


def _response(context: Context, ads: list[Ad]) -> ResponseData:
    return {
        "ad_ids": [ad.id for ad in ads],
        "need_audit": any(ad.is_in_review(context.now) for ad in ads),
        "creatives": [write_response(ad_item(ad, context.now), is_campaign=False) for ad in ads],
    }

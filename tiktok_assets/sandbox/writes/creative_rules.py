"""Check the creatives of ads: format, identity, post, media and texts (API notes 8.3)."""

import re
from collections.abc import Mapping
from typing import Any

from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING
from tiktok_assets.sandbox.reads.media import library_of, video_state
from tiktok_assets.sandbox.reads.posts import is_post_authorized
from tiktok_assets.sandbox.world.api_objects import (
    CUSTOM_IDENTITY,
    PUSH_IDENTITY_TYPES,
    Identity,
    ad_group_item,
    identities_of,
)
from tiktok_assets.sandbox.world.model import DELETED, TRANSCODING, AdGroup, Advertiser

# Objectives that still allow a custom identity (mengxingxinqing/tiktok_ads, migrate_to_spark_ads); Branded Mission
# and Smart Creative are not imitated.
_CUSTOM_IDENTITY_OBJECTIVES = {"PRODUCT_SALES"}
_NOT_WITH_POST = ("video_id", "image_ids", "ad_text", "ad_texts", "music_id")
# The maximum number of images of a format (ckr2436/Tiktok-OPS `Create_ads`), 1 for the others; and the formats
# that are limited to some placements (create_carousel_ads, create_single_image_ads).
MEDIA_FIELDS = {"video_id": "video_id", "image_ids": "image_ids"}
MAX_IMAGES = {"CAROUSEL_ADS": 35}
_TIKTOK_ONLY_FORMATS, _NON_TIKTOK_FORMATS = {"CAROUSEL_ADS"}, {"SINGLE_IMAGE"}

# Characters that are emoji by Unicode (emoji-data.txt, from U+2300), with the variation selector, the keycap and
# flag letters. The documentation only forbids emoji; which characters TikTok refuses is uncertain.
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


def check_texts(fields: dict[str, Any], path: str) -> None:
    """Raise ApiError 40002 for emoji in an ad's name or texts (ckr2436/Tiktok-OPS `Create_ads`)."""
    texts = {"ad_name": fields.get("ad_name"), "ad_text": fields.get("ad_text")}
    texts |= {f"ad_texts.{index}": text for index, text in enumerate(fields.get("ad_texts") or ())}
    for name, text in texts.items():
        if text and EMOJI.search(text):
            raise bad_parameter(f"{path}{name}", "Must not contain emoji.")


def check_creative(context: Context, ad_group: AdGroup, fields: dict[str, Any], path: str) -> None:
    """Check a full creative: with a custom identity, a new post (push) or an existing one (pull)."""
    check_texts(fields, path)
    _check_format(context, ad_group, fields, path)
    if fields["identity_type"] == "BC_AUTH_TT" and not fields.get("identity_authorized_bc_id"):
        raise bad_parameter(f"{path}identity_authorized_bc_id", MISSING)
    if fields["identity_type"] == CUSTOM_IDENTITY:
        _check_custom(context, ad_group, fields, path)
    elif fields.get("tiktok_item_id"):
        _check_pull(context, ad_group.campaign.advertiser, fields, path)
    else:
        _check_push(ad_group.campaign.advertiser, fields, path)
    if not fields.get("call_to_action") and not fields.get("call_to_action_id"):
        raise bad_parameter(f"{path}call_to_action", MISSING)
    needs_website = ad_group.fields.get("promotion_type", ad_group.campaign.objective.promotion_type) == "WEBSITE"
    if needs_website and not any(
        fields.get(name) for name in ("landing_page_url", "page_id", "deeplink", "tiktok_item_id")
    ):
        raise bad_parameter(f"{path}landing_page_url", MISSING)
    check_media(context, ad_group.campaign.advertiser, fields, path)


def includes_tiktok(context: Context, ad_group: AdGroup) -> bool:
    """Return whether the placements of an ad group include TikTok."""
    item = ad_group_item(ad_group, context.now)
    return item["placement_type"] == "PLACEMENT_TYPE_AUTOMATIC" or "PLACEMENT_TIKTOK" in item["placements"]


def _check_format(context: Context, ad_group: AdGroup, fields: dict[str, Any], path: str) -> None:
    ad_format, images = fields["ad_format"], fields.get("image_ids") or []
    if ad_format in (_NON_TIKTOK_FORMATS if includes_tiktok(context, ad_group) else _TIKTOK_ONLY_FORMATS):
        raise bad_parameter(f"{path}ad_format", f"{ad_format} is not supported on the placements of the ad group.")
    if fields.get("video_id") and ad_format in {"SINGLE_IMAGE", "CAROUSEL_ADS"}:
        raise bad_parameter(f"{path}video_id", f"Not supported when ad_format is {ad_format}.")
    if len(images) > MAX_IMAGES.get(ad_format, 1):
        raise bad_parameter(f"{path}image_ids", f"Longer than maximum length {MAX_IMAGES.get(ad_format, 1)}.")


def _check_custom(context: Context, ad_group: AdGroup, fields: dict[str, Any], path: str) -> None:
    if fields.get("tiktok_item_id"):
        raise bad_parameter(f"{path}tiktok_item_id", "Not supported when identity_type is CUSTOMIZED_USER.")
    if includes_tiktok(context, ad_group) and ad_group.campaign.objective_type not in _CUSTOM_IDENTITY_OBJECTIVES:
        raise bad_parameter(
            f"{path}identity_type",
            "CUSTOMIZED_USER is no longer supported on automatic placement or where TikTok is included.",
        )
    _require_media(fields, path)


def _check_pull(context: Context, advertiser: Advertiser, fields: dict[str, Any], path: str) -> None:
    for name in _NOT_WITH_POST:
        if fields.get(name):
            raise bad_parameter(f"{path}{name}", "Not supported together with tiktok_item_id.")
    identity = find_identity(advertiser, fields, path)
    can_pull = identity.can_pull or identity.identity_type == "AUTH_CODE"
    if not can_pull or not is_post_authorized(context, advertiser, fields):
        raise bad_parameter(f"{path}tiktok_item_id", "The post is not authorized for this identity.")


def _check_push(advertiser: Advertiser, fields: dict[str, Any], path: str) -> None:
    identity = find_identity(advertiser, fields, path)
    if identity.identity_type not in PUSH_IDENTITY_TYPES or not identity.can_push:
        raise bad_parameter(f"{path}identity_id", "This identity cannot push posts; give tiktok_item_id.")
    if fields["ad_format"] not in {"SINGLE_VIDEO", "CAROUSEL_ADS"}:
        raise bad_parameter(f"{path}ad_format", "Only videos and carousels can be pushed as posts.")
    if not fields.get("ad_text"):  # `ad_texts` are not for Spark Ads
        raise bad_parameter(f"{path}ad_text", MISSING)
    _require_media(fields, path)


def _require_media(fields: dict[str, Any], path: str) -> None:
    if fields["ad_format"] == "SINGLE_VIDEO" and not fields.get("video_id"):
        raise bad_parameter(f"{path}video_id", MISSING)
    if not fields.get("image_ids"):
        raise bad_parameter(f"{path}image_ids", MISSING)
    if fields["ad_format"] == "CAROUSEL_ADS" and not fields.get("music_id"):
        raise bad_parameter(f"{path}music_id", MISSING)
    if not fields.get("ad_text") and not fields.get("ad_texts"):
        raise bad_parameter(f"{path}ad_text", MISSING)


def find_identity(advertiser: Advertiser, fields: dict[str, Any], path: str) -> Identity:
    """Return the identity of a creative, which must be usable for Spark Ads."""
    for one in identities_of(advertiser):
        if (one.identity_type, one.identity_id) == (fields["identity_type"], fields["identity_id"]):
            if one.is_political:  # get_the_identity_list
                raise bad_parameter(f"{path}identity_id", "The TikTok account cannot be used to create Spark Ads.")
            if one.status in {"", "AVAILABLE"}:
                return one
            raise bad_parameter(f"{path}identity_id", f"The identity is not available: {one.status}.")
    raise bad_parameter(f"{path}identity_id", "The identity does not exist in this account.")


def check_media(
    context: Context,
    advertiser: Advertiser,
    fields: dict[str, Any],
    path: str,
    names: Mapping[str, str] = MEDIA_FIELDS,
) -> None:
    """Raise ApiError for a video or image that is not in the account's library (API notes 8.3).

    Args:
        context: The context of the request.
        advertiser: The account.
        fields: Its `video_id` and `image_ids` are checked.
        path: The prefix of field names in errors.
        names: The names of these fields in errors.
    """
    library = library_of(context, advertiser)
    if video := fields.get("video_id"):
        name, state = f"{path}{names['video_id']}", video_state(context, advertiser, video)
        if state == DELETED:
            raise ApiError(40053, f"{name}: The video {video} does not exist in this account.")
        if state == TRANSCODING:  # api-evangelist/tiktok-ads errors/
            raise ApiError(40901, f"{name}: The video {video} is still being transcoded.")
    for index, image in enumerate(fields.get("image_ids") or ()):
        if image not in library.images:
            name = f"{path}{names['image_ids']}.{index}"
            raise bad_parameter(name, f"The image {image} does not exist in this account.")

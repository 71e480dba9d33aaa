"""Answer identity/get and identity/video/info: identities and authorized posts."""

from typing import Any

from tiktok_assets.sandbox.http.content import content_url
from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import bad_parameter
from tiktok_assets.sandbox.http.params import MISSING, cut_page
from tiktok_assets.sandbox.world.api_objects import CUSTOM_IDENTITY, Identity, ad_item, identities_of
from tiktok_assets.sandbox.world.model import Ad, Advertiser, format_utc

IDENTITY_TYPES = (CUSTOM_IDENTITY, "AUTH_CODE", "TT_USER", "BC_AUTH_TT", "TTS_TT")
MAX_POSTS = 20  # of one request
AUTHORIZATION_SECONDS = 365 * 86_400  # of a creator's post; our assumption
POST_URL_SECONDS = 6 * 3600  # how long URLs are good; our assumption, as for videos
_ZERO_PAGE_INFO = {"page": 0, "page_size": 0, "total_number": 0, "total_page": 0}


def identity_list(context: Context) -> ResponseData:
    """Answer identity/get (get_the_identity_list)."""
    params = context.params
    advertiser = context.advertiser(params.identifier("advertiser_id"))
    identity_type = params.choice("identity_type", IDENTITY_TYPES) if params.text("identity_type") else None
    page, page_size = params.integer("page", 1, 1), params.integer("page_size", 20, 1, 100)
    identities = [one for one in identities_of(advertiser) if identity_type in {None, one.identity_type}]
    if identity_type == "BC_AUTH_TT" and (owner := params.text("identity_authorized_bc_id")):
        identities = [one for one in identities if one.bc_id == owner]
    rows, info = cut_page([_identity_item(one, advertiser) for one in identities], page, page_size)
    if identity_type == "BC_AUTH_TT":  # as in the example of create_spark_ads
        info = _ZERO_PAGE_INFO
    return {"identity_list": rows, "page_info": info}


def _identity_item(one: Identity, advertiser: Advertiser) -> ResponseData:
    return {
        "identity_id": one.identity_id,
        "identity_type": one.identity_type,
        "identity_authorized_bc_id": one.bc_id,
        "display_name": advertiser.account.company,
        "username": None,
        "profile_image": f"{advertiser.account.website}profile.jpeg",
        "available_status": one.status or None,
        "ads_only_mode": False if one.identity_type == "BC_AUTH_TT" else None,
        "is_gpppa": one.is_political,
        "can_push_video": one.can_push,
        "can_pull_video": one.can_pull,
        "can_use_live_ads": False,
        "can_manage_message": False,
    }


def post_info(context: Context) -> ResponseData:
    """Answer identity/video/info (get_info_about_tiktok_posts).

    A post of another identity is refused if it is requested alone, and left out of several; neither is
    documented.
    """
    params = context.params
    advertiser = context.advertiser(params.identifier("advertiser_id"))
    identity_type = params.choice("identity_type", ("AUTH_CODE", "TT_USER", "BC_AUTH_TT"))
    identity_id = params.required("identity_id")
    if identity_type == "BC_AUTH_TT":
        params.required("identity_authorized_bc_id")
    is_carousel = params.choice("item_type", ("VIDEO", "CAROUSEL"), "VIDEO") == "CAROUSEL"
    posts = {
        item["tiktok_item_id"]: _post_item(context, ad, item)
        for ad, item in _ads_with_posts(context, advertiser)
        if (item["identity_type"], item["identity_id"]) == (identity_type, identity_id)
        and (item["ad_format"] == "CAROUSEL_ADS") == is_carousel
    }
    if post_ids := params.texts("item_ids"):
        if len(post_ids) > MAX_POSTS:
            raise bad_parameter("item_ids", f"The number of ids exceeds the limit of {MAX_POSTS}.")
        return {"video_details": [posts[post] for post in post_ids if post in posts]}
    post_id = params.text("item_id")
    if post_id is None:
        raise bad_parameter("item_id", MISSING)
    if post_id not in posts:
        raise bad_parameter("item_id", f"The post {post_id} is not associated with this identity.")
    return {"video_detail": posts[post_id]}


def is_post_authorized(context: Context, advertiser: Advertiser, fields: dict[str, Any]) -> bool:
    """Return whether the post of a creative belongs to its identity and may be used in ads now."""
    post = fields["tiktok_item_id"]
    owner = (fields["identity_type"], fields["identity_id"])
    return any(
        (item["tiktok_item_id"], item["identity_type"], item["identity_id"]) == (post, *owner)
        and context.now < _authorization_end(context, ad, item)
        for ad, item in _ads_with_posts(context, advertiser)
    )


def _ads_with_posts(context: Context, advertiser: Advertiser) -> list[tuple[Ad, ResponseData]]:
    """Return the ads with a post and their objects, without withdrawn posts of the account's own identities."""
    items = ((ad, ad_item(ad, context.now)) for ad in advertiser.ads if ad.exists(context.now))
    return [
        (ad, item)
        for ad, item in items
        if item.get("tiktok_item_id")
        and (item["identity_type"] == "AUTH_CODE" or context.now < _authorization_end(context, ad, item))
    ]


def _authorization_end(context: Context, ad: Ad, item: ResponseData) -> float:
    """Return when the authorization of an ad's post ends, in epoch seconds."""
    post = item["tiktok_item_id"]
    default_end = float("inf") if item["identity_type"] != "AUTH_CODE" else ad.created + AUTHORIZATION_SECONDS
    return context.world.withdrawn_posts.get(post, default_end)


def _post_item(context: Context, ad: Ad, item: ResponseData) -> ResponseData:
    is_carousel = item["ad_format"] == "CAROUSEL_ADS"
    return {
        "item_id": item["tiktok_item_id"],
        "item_type": "CAROUSEL" if is_carousel else "VIDEO",
        "status": "ITEM_STATUS_HESITATE_RECOMMEND",
        "text": ad.text,
        "anchor_list": None,
        "auth_info": _authorization(context, ad, item),
        "video_info": None if is_carousel else _video(context, ad),
        "carousel_info": {"image_info": [], "music_info": None} if is_carousel else None,
    }


def _authorization(context: Context, ad: Ad, item: ResponseData) -> ResponseData | None:
    if item["identity_type"] != "AUTH_CODE":
        return None
    ends = int(_authorization_end(context, ad, item))
    return {
        "ad_auth_status": "AUTHORIZED",  # the only value in the documentation
        "auth_start_time": format_utc(ad.created),
        "auth_end_time": format_utc(ends),
        "invite_start_time": format_utc(ad.created),
    }


def _video(context: Context, ad: Ad) -> ResponseData:
    until, seed = int(context.now) + POST_URL_SECONDS, context.world.plan.seed
    return {
        "url": content_url(context.base_url, f"post{ad.id}.mp4", until, seed),
        "poster_url": content_url(context.base_url, f"post{ad.id}.image", until, seed),
        "bit_rate": 1_223_985,
        "duration": 9.8,
        "format": "mp4",
        "size": 244_797,
        "width": 720,
        "height": 1280,
        "signature": "0" * 32,
    }

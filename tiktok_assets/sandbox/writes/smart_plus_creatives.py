"""Check an Upgraded Smart+ ad: its creatives, identities, texts, links and calls to action.

Sources: mengxingxinqing/tiktok_ads, create_an_upgraded_smart_ad and, for the combinations of identity and media,
upgraded_smart_ad_creative_combinations_by_identity_and_ad_t.
"""

from typing import Any

from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.errors import bad_parameter
from tiktok_assets.sandbox.http.params import MISSING
from tiktok_assets.sandbox.reads.posts import is_post_authorized
from tiktok_assets.sandbox.world.api_objects import CUSTOM_IDENTITY, PUSH_IDENTITY_TYPES
from tiktok_assets.sandbox.world.model import AdGroup
from tiktok_assets.sandbox.writes.creative_rules import MAX_IMAGES, check_media, find_identity, includes_tiktok
from tiktok_assets.sandbox.writes.smart_plus_rules import Body, check_name, require

VIDEO, CAROUSEL, CATALOG_CAROUSEL = "SINGLE_VIDEO", "CAROUSEL_ADS", "CATALOG_CAROUSEL"
_MEDIA = ("video_info", "image_info", "music_info")


def check_ad(context: Context, ad_group: AdGroup, body: Body) -> None:
    """Check the body of a new ad; emoji in its texts are not checked, because the page forbids them in names only.

    Raises:
        ApiError: 40002, a rule is broken; 40053 or 40901, a video cannot be used.
    """
    check_name(body.get("ad_name", ""), "ad_name")
    configuration = body.get("ad_configuration", {})
    is_from_catalog = bool(configuration.get("catalog_creative_toggle"))
    _check_configuration(ad_group, configuration)
    for index, row in enumerate(body["creative_list"]):
        path = f"creative_list.{index}.creative_info."
        _check_creative(context, ad_group, row["creative_info"], configuration, path)
    infos = [row["creative_info"] for row in body["creative_list"]]
    is_all_posts = all(info.get("tiktok_item_id") for info in infos)
    if is_all_posts and body.get("ad_text_list"):
        raise bad_parameter("ad_text_list", "Not supported when all creatives are TikTok posts.")
    if not is_all_posts:
        require(body, "ad_text_list")
    _check_calls_to_action(context, ad_group, body, is_spark=any(info.get("identity_type") for info in infos))
    _check_destination(ad_group, body, is_from_catalog=is_from_catalog)


def _check_configuration(ad_group: AdGroup, configuration: Body) -> None:
    """Check the products, the catalogue and the phone number of an ad."""
    campaign = ad_group.campaign
    path = "ad_configuration."
    if campaign.fields.get("catalog_enabled"):
        kind = configuration.get("product_specific_type")
        needed = {"PRODUCT_SET": "product_set_id", "CUSTOMIZED_PRODUCTS": "product_ids"}
        for name in ("product_specific_type", *((needed[kind],) if kind in needed else ())):
            if not configuration.get(name):
                raise bad_parameter(f"{path}{name}", MISSING)
    elif configuration.get("catalog_creative_toggle"):
        raise bad_parameter(f"{path}catalog_creative_toggle", "The campaign does not use a catalog.")
    promotion_type = ad_group.fields.get("promotion_type")
    if promotion_type == "LEAD_GEN_CLICK_TO_CALL" and not configuration.get("phone_info"):
        raise bad_parameter(f"{path}phone_info", MISSING)
    if configuration.get("identity_type") == "BC_AUTH_TT" and not configuration.get("identity_authorized_bc_id"):
        raise bad_parameter(f"{path}identity_authorized_bc_id", MISSING)


def _check_creative(context: Context, ad_group: AdGroup, info: Body, configuration: Body, path: str) -> None:
    """Check one creative: of a catalogue, with a custom identity, a new post (push) or an existing one (pull)."""
    if info["ad_format"] == CATALOG_CAROUSEL:
        _check_catalog_carousel(ad_group, info, configuration, path)
    elif configuration.get("identity_type") == CUSTOM_IDENTITY:
        _check_custom(context, ad_group, info, configuration, path)
    elif info.get("tiktok_item_id"):
        _check_pull(context, ad_group, info, configuration, path)
    else:
        _check_push(ad_group, info, configuration, path)
    media = {
        "video_id": info.get("video_info", {}).get("video_id"),
        "image_ids": [image["web_uri"] for image in info.get("image_info", ())],
    }
    names = {"video_id": "video_info.video_id", "image_ids": "image_info"}
    check_media(context, ad_group.campaign.advertiser, media, path, names)


def _check_catalog_carousel(ad_group: AdGroup, info: Body, configuration: Body, path: str) -> None:
    if not configuration.get("catalog_creative_toggle"):
        raise bad_parameter(f"{path}ad_format", "CATALOG_CAROUSEL needs catalog_creative_toggle.")
    _require(info, "music_info", path)
    if ad_group.campaign.objective_type == "WEB_CONVERSIONS":
        _refuse(info, ("video_info", "image_info", "tiktok_item_id"), path, "in a catalog carousel")
        return
    _refuse(info, ("video_info", "tiktok_item_id"), path, "in a catalog carousel")
    if len(info.get("image_info", ())) != 1:  # the end card
        raise bad_parameter(f"{path}image_info", "One image is needed as the end card.")


def _check_custom(context: Context, ad_group: AdGroup, info: Body, configuration: Body, path: str) -> None:
    """Check a creative with a custom identity, which TikTok's own placement no longer supports."""
    if includes_tiktok(context, ad_group):
        raise bad_parameter(
            "ad_configuration.identity_type",
            "CUSTOMIZED_USER is no longer supported on automatic placement or where TikTok is included.",
        )
    find_identity(ad_group.campaign.advertiser, configuration, "ad_configuration.")
    # That a creative has no second identity beside the ad's custom one follows from the table of combinations.
    _refuse(info, ("tiktok_item_id", "identity_type"), path, "when the identity is CUSTOMIZED_USER")
    _require_media(info, path)


def _check_pull(context: Context, ad_group: AdGroup, info: Body, configuration: Body, path: str) -> None:
    """Check an existing post.

    The page requires music for photo posts, the table of combinations forbids it; both are accepted.
    """
    if configuration.get("catalog_creative_toggle"):
        raise bad_parameter(f"{path}tiktok_item_id", "Not supported when catalog_creative_toggle is true.")
    is_photo = info["ad_format"] == CAROUSEL
    _refuse(info, _MEDIA[:2] if is_photo else _MEDIA, path, "together with tiktok_item_id")
    identity = _spark_identity(ad_group, info, path)
    can_pull = identity.can_pull or identity.identity_type == "AUTH_CODE"
    if not can_pull or not is_post_authorized(context, ad_group.campaign.advertiser, info):
        raise bad_parameter(f"{path}tiktok_item_id", "The post is not authorized for this identity.")


def _check_push(ad_group: AdGroup, info: Body, configuration: Body, path: str) -> None:
    """Check a video or carousel that becomes a post; with catalogue creatives the identity is the ad's."""
    if configuration.get("catalog_creative_toggle") and not info.get("identity_type"):
        identity = find_identity(ad_group.campaign.advertiser, _given(configuration), "ad_configuration.")
    else:
        identity = _spark_identity(ad_group, info, path)
    if identity.identity_type not in PUSH_IDENTITY_TYPES or not identity.can_push:
        raise bad_parameter(f"{path}identity_id", "This identity cannot push posts; give tiktok_item_id.")
    _require_media(info, path)


def _given(configuration: Body) -> Body:
    for name in ("identity_type", "identity_id"):
        _require(configuration, name, "ad_configuration.")
    return configuration


def _spark_identity(ad_group: AdGroup, info: Body, path: str) -> Any:  # noqa: ANN401  # an Identity
    for name in ("identity_type", "identity_id"):
        _require(info, name, path)
    if info["identity_type"] == "BC_AUTH_TT":
        _require(info, "identity_authorized_bc_id", path)
    return find_identity(ad_group.campaign.advertiser, info, path)


def _require_media(info: Body, path: str) -> None:
    """Require a video with one cover, or the images and the music of a carousel."""
    if info["ad_format"] == VIDEO:
        _require(info, "video_info", path)
        _refuse(info, ("music_info",), path, "in a video")
    else:
        _refuse(info, ("video_info",), path, "in a carousel")
        _require(info, "music_info", path)
    _require(info, "image_info", path)
    most = MAX_IMAGES.get(info["ad_format"], 1)
    if len(info["image_info"]) > most:
        raise bad_parameter(f"{path}image_info", f"Longer than maximum length {most}.")


def _require(info: Body, name: str, path: str) -> None:
    if not info.get(name):
        raise bad_parameter(f"{path}{name}", MISSING)


def _refuse(info: Body, names: tuple[str, ...], path: str, where: str) -> None:
    for name in names:
        if info.get(name):
            raise bad_parameter(f"{path}{name}", f"Not supported {where}.")


def _check_calls_to_action(context: Context, ad_group: AdGroup, body: Body, *, is_spark: bool) -> None:
    """Check that an ad on TikTok has a dynamic call to action: for leads always, else with a Spark identity.

    Whether the portfolio exists is not checked: portfolios are not imitated.
    """
    needs_id = includes_tiktok(context, ad_group) and (
        is_spark or ad_group.campaign.objective_type == "LEAD_GENERATION"
    )
    if not needs_id:
        return
    if body.get("call_to_action_list"):
        raise bad_parameter("call_to_action_list", "Not supported here; use call_to_action_id.")
    if not body.get("ad_configuration", {}).get("call_to_action_id"):
        raise bad_parameter("ad_configuration.call_to_action_id", MISSING)


def _check_destination(ad_group: AdGroup, body: Body, *, is_from_catalog: bool) -> None:
    """Check the links of an ad (create_a_regular_upgraded_smart_web_campaign for websites)."""
    campaign = ad_group.campaign
    if ad_group.fields.get("promotion_type") == "WEBSITE" and not is_from_catalog:
        require(body, "landing_page_url_list")
    if campaign.objective_type == "WEB_CONVERSIONS" and any(
        row.get("card_id") for row in body.get("interactive_add_on_list", ())
    ):
        raise bad_parameter("interactive_add_on_list", "Not supported for Upgraded Smart+ Web Campaigns.")
    for index, row in enumerate(body.get("deeplink_list", ())):
        for name, other in (("deeplink_type", "deeplink"), ("deeplink", "deeplink_type")):
            if row.get(other) and not row.get(name):
                raise bad_parameter(f"deeplink_list.{index}.{name}", MISSING)
    if ad_group.fields.get("promotion_type") == "LEAD_GEN_CLICK_TO_TT_DIRECT_MESSAGE":
        require(body, "auto_message_list")

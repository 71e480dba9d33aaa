"""Choose how the copy of an ad is shown, and select the creative fields that this way of showing takes.

Sources: OPS `Create_ads` and `Get_ads`, mengxingxinqing/tiktok_ads create_spark_ads and migrate_to_spark_ads.

pull    an existing TikTok post: its id and an identity, no media or text; likes and comments are kept
push    a video or a carousel of which TikTok makes a new post, which no profile shows
custom  a custom name and picture, where TikTok itself is not among the placements
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tiktok_assets.api.creatives import Identity

JsonObject = Mapping[str, Any]
CopyMethod = Literal["pull", "push", "custom"]

CUSTOM_IDENTITY = "CUSTOMIZED_USER"
POSTING_IDENTITY_TYPES = frozenset({"TT_USER", "BC_AUTH_TT"})
"""The kinds of identities that posts can be pushed to."""

VIDEO, IMAGE, CAROUSEL = "SINGLE_VIDEO", "SINGLE_IMAGE", "CAROUSEL_ADS"
POST_FORMATS = frozenset({VIDEO, CAROUSEL})
"""What a TikTok post can be: a video or photos (create_spark_ads)."""

MAX_IMAGES = {CAROUSEL: 35}
"""How many images a format takes; any other takes one (OPS `Create_ads`)."""

AI_LABEL = "SELF_DISCLOSURE"
"""What `aigc_disclosure_type` says of an ad that is labelled as made by AI."""

_AUTOMATIC, _TIKTOK = "PLACEMENT_TYPE_AUTOMATIC", "PLACEMENT_TIKTOK"
_IDENTITY = ("identity_type", "identity_id", "identity_authorized_bc_id")
_OF_THE_POST = ("video_id", "image_ids", "ad_text", "ad_texts", "music_id")
_OF_SPARK = (
    *("tiktok_item_id", "dark_post_status", "promotional_music_disabled"),
    *("item_duet_status", "item_stitch_status"),
)
_OF_A_FORMAT = {"video_id": VIDEO, "music_id": CAROUSEL}
_OF_THE_MUSIC = ("item_duet_status", "item_stitch_status")
_OF_CUSTOM = ("display_name", "avatar_icon_web_uri", "aigc_disclosure_type")


def get_identity(ad: JsonObject) -> Identity:
    """Return the identity an ad has."""
    bc_id = ad.get("identity_authorized_bc_id")
    return Identity(
        str(ad.get("identity_type") or ""), str(ad.get("identity_id") or ""), str(bc_id) if bc_id else None
    )


def parse_identities(told: Mapping[str, str]) -> dict[str, Identity]:
    """Return the identities of the setting TIKTOK_SCALING_IDENTITY by account.

    >>> identities_of({"7001": "BC_AUTH_TT:88:99"})
    {'7001': Identity(identity_type='BC_AUTH_TT', identity_id='88', bc_id='99')}
    """
    parts = {owner: text.split(":") for owner, text in told.items()}
    return {owner: Identity(kind, one, *rest) for owner, (kind, one, *rest) in parts.items()}


def is_on_tiktok(ad_group: JsonObject) -> bool:
    """Return whether an ad group delivers to TikTok itself, as far as it says."""
    placements = ad_group.get("placements")
    if ad_group.get("placement_type") == _AUTOMATIC or not isinstance(placements, list):
        return True
    return _TIKTOK in placements


def choose_copy_method(ad: JsonObject, ad_group: JsonObject, chosen: Identity | None) -> CopyMethod:
    """Return how a copy of an ad is shown.

    Args:
        ad: as it was read. A pushed ad shows a post too once it is reviewed: that post is then pulled.
        ad_group: in which the copy will be, or whose copy it will be in.
        chosen: an identity of the account, for ads whose custom one cannot be used again.
    """
    if ad.get("identity_type") == CUSTOM_IDENTITY:
        return "push" if chosen and is_on_tiktok(ad_group) else "custom"
    return "pull" if ad.get("tiktok_item_id") else "push"


def hide_new_post_from_profiles(creative: JsonObject) -> dict[str, Any]:
    """Return a creative whose new post, if it makes one, shows on no profile; an earlier version said nothing."""
    is_new = creative.get("identity_type") != CUSTOM_IDENTITY and not creative.get("tiktok_item_id")
    return {**creative, **({"dark_post_status": "ON"} if is_new else {})}


def build_creative_fields(
    fields: JsonObject, method: CopyMethod, identity: Identity, images: Sequence[str]
) -> dict[str, Any]:
    """Return the fields of a creative as its method takes them.

    Args:
        fields: those of the original that creation takes.
        method: how the copy is shown.
        identity: whose it is.
        images: those in the asset library that it uses.
    """
    left_out = {
        "pull": {*_IDENTITY, *_OF_THE_POST, *_OF_CUSTOM, "dark_post_status"},
        "push": {*_IDENTITY, *_OF_CUSTOM, "tiktok_item_id", "image_ids", "dark_post_status", "ad_texts"},
        "custom": {*_IDENTITY, *_OF_SPARK, "image_ids"},
    }[method] | {name for name, ad_format in _OF_A_FORMAT.items() if fields.get("ad_format") != ad_format}
    kept = {name: value for name, value in fields.items() if name not in left_out}
    if kept.get("promotional_music_disabled") is not False:  # only then do these two mean anything
        kept = {name: value for name, value in kept.items() if name not in _OF_THE_MUSIC}
    own: dict[str, Any] = {"identity_type": identity.identity_type, "identity_id": identity.identity_id}
    if identity.bc_id:
        own["identity_authorized_bc_id"] = identity.bc_id
    if method != "pull":
        own["image_ids"] = list(images)[: MAX_IMAGES.get(str(fields.get("ad_format")), 1)]
    return hide_new_post_from_profiles({**kept, **own})

"""Decide what can be copied and how, by TikTok's rules for creating ads.

Two rules: how the copy of an ad is shown, and emoji, which TikTok accepts neither in names nor in ad texts. The
kinds of ads of which no copy can be created are in `ad_kinds`.

A copy is shown in one of three ways:

pull    an existing TikTok post: its id and an identity, no media or text; likes and comments are kept
push    a video or a carousel of which TikTok makes a new post, which no profile shows
custom  a custom name and picture, where TikTok itself is not among the placements

An emoji is what Unicode lists as one, sequences included, as the `emoji` package ships the list: flags, keycaps,
families, characters with the selector U+FE0F. Digits, © and ™ by themselves are not.

Sources: OPS `Create_ads` and `Get_ads`, mengxingxinqing/tiktok_ads create_spark_ads and migrate_to_spark_ads.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import emoji

from tiktok_assets.api import Identity
from tiktok_assets.duplication.ad_kinds import has_value

JsonObject = Mapping[str, Any]
CopyMethod = Literal["pull", "push", "custom"]

CUSTOM_IDENTITY = "CUSTOMIZED_USER"
POSTING_IDENTITY_TYPES = frozenset({"TT_USER", "BC_AUTH_TT"})
"""The identity types under which a new post can be created."""

VIDEO, IMAGE, CAROUSEL = "SINGLE_VIDEO", "SINGLE_IMAGE", "CAROUSEL_ADS"
POST_FORMATS = frozenset({VIDEO, CAROUSEL})
"""What a TikTok post can be: a video or photos (create_spark_ads)."""

MAX_IMAGES = {CAROUSEL: 35}
"""The maximum number of images by format; other formats take one (OPS `Create_ads`)."""

AI_LABEL = "SELF_DISCLOSURE"
"""The value of `aigc_disclosure_type` of an ad that is labelled as AI-generated."""

_AUTOMATIC, _TIKTOK = "PLACEMENT_TYPE_AUTOMATIC", "PLACEMENT_TIKTOK"
_IDENTITY_FIELDS = ("identity_type", "identity_id", "identity_authorized_bc_id")
_POST_FIELDS = ("video_id", "image_ids", "ad_text", "ad_texts", "music_id")
_SPARK_FIELDS = (
    *("tiktok_item_id", "dark_post_status", "promotional_music_disabled"),
    *("item_duet_status", "item_stitch_status"),
)
_FORMAT_OF_FIELD = {"video_id": VIDEO, "music_id": CAROUSEL}
_MUSIC_FIELDS = ("item_duet_status", "item_stitch_status")
_CUSTOM_FIELDS = ("display_name", "avatar_icon_web_uri", "aigc_disclosure_type")


def get_identity(ad: JsonObject) -> Identity:
    """Return the identity of an ad."""
    bc_id = ad.get("identity_authorized_bc_id")  # "0" for none in Upgraded Smart+
    return Identity(
        str(ad.get("identity_type") or ""),
        str(ad.get("identity_id") or ""),
        str(bc_id) if has_value(bc_id) else None,
    )


def parse_identities(setting: Mapping[str, str]) -> dict[str, Identity]:
    """Parse the setting TIKTOK_SCALING_IDENTITY into identities by account.

    >>> parse_identities({"7001": "BC_AUTH_TT:88:99"})
    {'7001': Identity(identity_type='BC_AUTH_TT', identity_id='88', bc_id='99')}
    """
    parts = {owner: text.split(":") for owner, text in setting.items()}
    return {owner: Identity(kind, one, *rest) for owner, (kind, one, *rest) in parts.items()}


def is_on_tiktok(ad_group: JsonObject) -> bool:
    """Return whether TikTok itself is among an ad group's placements, or its placements are unknown."""
    placements = ad_group.get("placements")
    if ad_group.get("placement_type") == _AUTOMATIC or not isinstance(placements, list):
        return True
    return _TIKTOK in placements


def choose_copy_method(ad: JsonObject, ad_group: JsonObject, configured: Identity | None) -> CopyMethod:
    """Choose how a copy of an ad is shown.

    Args:
        ad: as it was read. A pushed ad has a post once it is reviewed; a copy then pulls that post.
        ad_group: of the copy, or its original.
        configured: an identity of the account, for ads whose custom identity cannot be used again.
    """
    if ad.get("identity_type") == CUSTOM_IDENTITY:
        return "push" if configured and is_on_tiktok(ad_group) else "custom"
    return "pull" if ad.get("tiktok_item_id") else "push"


def hide_new_post_from_profiles(creative: JsonObject) -> dict[str, Any]:
    """Set `dark_post_status` if a creative creates a post, so that no profile shows it."""
    # Also applied to payloads that an earlier version planned without it.
    is_new = creative.get("identity_type") != CUSTOM_IDENTITY and not creative.get("tiktok_item_id")
    return {**creative, **({"dark_post_status": "ON"} if is_new else {})}


def build_creative_fields(
    fields: JsonObject, method: CopyMethod, identity: Identity, images: Sequence[str]
) -> dict[str, Any]:
    """Select the fields of a creative that its method accepts.

    Args:
        fields: those of the original that creation accepts.
        method: how the copy is shown.
        identity: of the copy.
        images: ids in the asset library.
    """
    excluded = {
        "pull": {*_IDENTITY_FIELDS, *_POST_FIELDS, *_CUSTOM_FIELDS, "dark_post_status"},
        "push": {
            *_IDENTITY_FIELDS,
            *_CUSTOM_FIELDS,
            "tiktok_item_id",
            "image_ids",
            "dark_post_status",
            "ad_texts",
        },
        "custom": {*_IDENTITY_FIELDS, *_SPARK_FIELDS, "image_ids"},
    }[method] | {name for name, ad_format in _FORMAT_OF_FIELD.items() if fields.get("ad_format") != ad_format}
    kept = {name: value for name, value in fields.items() if name not in excluded}
    if kept.get("promotional_music_disabled") is not False:  # the music fields apply only then
        kept = {name: value for name, value in kept.items() if name not in _MUSIC_FIELDS}
    added: dict[str, Any] = {"identity_type": identity.identity_type, "identity_id": identity.identity_id}
    if identity.bc_id:
        added["identity_authorized_bc_id"] = identity.bc_id
    if method != "pull":
        added["image_ids"] = list(images)[: MAX_IMAGES.get(str(fields.get("ad_format")), 1)]
    return hide_new_post_from_profiles({**kept, **added})


_FIRST_SYMBOL = "\u2300"
"""A single listed character below this, such as © ® ™ ↔, is text unless the selector U+FE0F follows."""

_PICTURES = re.compile("[\U0001f000-\U0001faff]")
"""The range that Unicode reserves for emoji, including those of later versions."""

_JOINERS = re.compile("[\ufe0f\u20e3\u200d]+")
_REPEATED_SPACES = re.compile(r"[ \t]{2,}")


def find_emoji(text: str) -> list[str]:
    """Find the emoji of a text in order, each sequence as a whole.

    >>> find_emoji("Sale ✅ 50 % ©"), find_emoji("1 # ™")
    (['✅'], [])
    """
    listed = [one["emoji"] for one in emoji.emoji_list(text) if not _is_text(one["emoji"])]
    return listed or _PICTURES.findall(text)


def remove_emoji(text: str) -> str:
    """Remove the emoji of a text, and the repeated spaces that remain.

    >>> remove_emoji("Hook 🔥 now"), remove_emoji("❤️")
    ('Hook now', '')
    """
    if not find_emoji(text):
        return text
    plain = emoji.replace_emoji(text, lambda found, _: found if _is_text(found) else "")
    plain = _JOINERS.sub("", _PICTURES.sub("", plain))
    return "\n".join(_REPEATED_SPACES.sub(" ", line).strip() for line in plain.split("\n"))


def _is_text(found: str) -> bool:
    return len(found) == 1 and found < _FIRST_SYMBOL

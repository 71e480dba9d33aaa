"""Validate the creative of a copy: identity, post or media, format and texts."""

from collections.abc import Mapping
from typing import Any

from tiktok_assets.duplication.ad_formats import (
    AI_LABEL,
    CAROUSEL,
    CUSTOM_IDENTITY,
    IMAGE,
    MAX_IMAGES,
    POST_FORMATS,
    POSTING_IDENTITY_TYPES,
    VIDEO,
    is_on_tiktok,
)
from tiktok_assets.duplication.copyability import find_uncopyable_kind, has_value
from tiktok_assets.duplication.emoji_text import find_emoji, remove_emoji
from tiktok_assets.duplication.snapshot import Snapshot
from tiktok_assets.spec.endpoints import IDENTITIES

_CUSTOM_ON_TIKTOK = (
    "TikTok takes no custom identity (CUSTOMIZED_USER) any more where an ad group delivers to TikTok itself; set"
    " TIKTOK_SCALING_IDENTITY={owner}:TT_USER:<identity_id> to post the copy's video as an identity of the account"
)
_BY_HAND = "; make the copy in Ads Manager"
_OTHER_GROUP = "; name another with --ad-group (in the job `ad_group_id`)"
_WEBSITE = ("landing_page_url", "page_id", "deeplink")


def _ad(found: Snapshot) -> Mapping[str, Any]:
    return found.ad or {}


def _is_settled(found: Snapshot) -> bool:
    """Return whether another check tells why: the kind of ad, or a permission the token lacks."""
    return bool(found.forbidden) or any(
        find_uncopyable_kind(row or {}) for row in (found.ad, found.ad_group, found.campaign)
    )


def lookups_allowed(found: Snapshot) -> str:
    """The token may look up identities, posts and covers."""
    if not found.forbidden:
        return ""
    return (
        f"the token lacks the permission for {found.forbidden}, so what a copy needs cannot be looked up; tick"
        f" {IDENTITIES.permission} on the app's page, and once it is approved run `tiktok-assets auth` again"
    )


def format_fits(found: Snapshot) -> str:
    """The format runs on the placements, and as what is shown (create_carousel_ads, create_single_image_ads)."""
    ad_format = _ad(found).get("ad_format")
    if _is_settled(found):
        return ""
    if not has_value(ad_format):
        return f"the ad shows no format that a copy could use{_BY_HAND}"
    if ad_format == IMAGE and is_on_tiktok(found.home):
        return (
            "TikTok takes single images on Pangle and the Global App Bundle alone, and the ad group has"
            f" TikTok{_OTHER_GROUP}"
        )
    if ad_format == CAROUSEL and not is_on_tiktok(found.home):
        return f"TikTok takes carousels on TikTok alone, and the ad group leaves it out{_OTHER_GROUP}"
    if ad_format not in POST_FORMATS and found.shown.method != "custom":
        return f"an ad in the format {ad_format} cannot be posted, and has no custom identity{_BY_HAND}"
    return ""


def identity_usable(found: Snapshot) -> str:
    """The copy has an identity that new ads may use, and that can show what the copy shows."""
    if _is_settled(found) or format_fits(found):
        return ""  # one reason is enough
    shown, owner = found.shown, found.wish.advertiser_id
    identity = shown.identity
    if shown.method == "custom" and is_on_tiktok(found.home):
        return _CUSTOM_ON_TIKTOK.format(owner=owner)
    named = f"identity {identity.identity_id} ({identity.identity_type})"
    if not has_value(identity.identity_type) or not has_value(identity.identity_id):
        return f"the ad shows no identity that a copy could use{_BY_HAND}"
    if identity.identity_type == "BC_AUTH_TT" and not identity.bc_id:
        return f"{named} belongs to a business centre that the ad does not show, so a copy cannot use it{_BY_HAND}"
    return "" if shown.method == "custom" else _able(found, named)


def _able(found: Snapshot, named: str) -> str:
    able, shown, owner = found.abilities, found.shown, found.wish.advertiser_id
    if able is None:
        return f"{named} is not among those of account {owner}; authorise it for the account again"
    if able.is_political:
        return (
            f"{named} is of a government, a politician or a party, and TikTok takes no ads of their posts; choose"
            " another ad"
        )
    if not able.is_available:
        return f"{named} cannot be used now: {able.status}; authorise it for the account again"
    if shown.method == "pull":
        refusal = found.post_refusal
        return f"post {_ad(found).get('tiktok_item_id')} of {named} {refusal}" if refusal else ""
    if shown.identity.identity_type not in POSTING_IDENTITY_TYPES or not able.can_push:
        return f"{named} cannot post the ad's media, and the ad shows no post yet; try again once it is reviewed"
    return ""


def ai_label_kept(found: Snapshot) -> str:
    """A label that says made by AI stays on the copy; only a custom identity takes it (OPS `Create_ads`)."""
    ad = _ad(found)
    lost = not found.forbidden and found.shown.method != "custom" and ad.get("identity_type") == CUSTOM_IDENTITY
    if not lost or ad.get("aigc_disclosure_type") != AI_LABEL:
        return ""
    return f"the ad is labelled as made by AI, and TikTok takes no such label for a post{_BY_HAND}"


def media_usable(found: Snapshot) -> str:
    """Everything a creative needs is there, and its media are in the account's library (dossier 8.3)."""
    if _is_settled(found) or format_fits(found) or identity_usable(found):
        return ""
    ad, method = _ad(found), found.shown.method
    own = method != "pull"
    ad_format = ad.get("ad_format")
    website = found.home.get("promotion_type") == "WEBSITE"
    wanted = (
        ("video", not own or ad_format != VIDEO or ad.get("video_id")),
        ("music", not own or ad_format != CAROUSEL or ad.get("music_id")),
        ("text", not own or _has_text(found)),
        ("call to action", ad.get("call_to_action") or ad.get("call_to_action_id")),
        ("landing page", not own or not website or any(has_value(ad.get(name)) for name in _WEBSITE)),
    )
    lacking = [name for name, there in wanted if not there]
    if lacking:
        return f"the ad shows no {' and no '.join(lacking)} that a copy could use{_BY_HAND}"
    return _in_library(found) if own else ""


def _has_text(found: Snapshot) -> bool:
    """Return whether a text is left of the ad; several texts are for ads with a custom identity alone."""
    ad = _ad(found)
    texts = [ad.get("ad_text")]
    if found.shown.method == "custom" and isinstance(ad.get("ad_texts"), list):
        texts += ad["ad_texts"]
    told = [text for text in texts if isinstance(text, str) and text]
    return any(remove_emoji(text) for text in told) if found.wish.without_emoji else bool(told)


def _in_library(found: Snapshot) -> str:
    ad_format = str(_ad(found).get("ad_format"))
    if not found.video_there:
        return "TikTok does not offer the ad's video to this account now; upload it there, or try again later"
    if ad_format == VIDEO and not found.images:
        return "TikTok suggests no cover for the ad's video, and its own is not in its library; try later"
    if not found.images:
        return "the ad's images are not in the account's asset library; upload them there"
    most = MAX_IMAGES.get(ad_format, 1)
    if ad_format == CAROUSEL and len(found.images) > most:
        return f"the ad shows {len(found.images)} images, and a carousel holds {most}{_BY_HAND}"
    return ""


def text_taken(found: Snapshot) -> str:
    """The ad's texts hold no emoji, which TikTok refuses; names lose theirs by themselves."""
    ad, method = _ad(found), found.shown.method
    listed = ad.get("ad_texts")
    if method == "pull" or found.forbidden:
        return ""  # a post has its own words
    texts = [ad.get("ad_text"), *(listed if isinstance(listed, list) and method == "custom" else [])]
    emoji = [one for text in texts if isinstance(text, str) for one in find_emoji(text)]
    if not emoji or found.wish.without_emoji:
        return ""
    return (
        f"TikTok takes no emoji in an ad's text, and this one has {' '.join(dict.fromkeys(emoji))}; say"
        " --without-emoji (in the job `without_emoji: true`) to leave them out"
    )

"""Validate the creative of a copy: identity, post or media, format and texts.

Each check returns the reason for refusal, or "" if it passes.
"""

from collections.abc import Mapping
from typing import Any

from tiktok_assets.duplication.ad_kinds import has_value
from tiktok_assets.duplication.copy_rules import (
    AI_LABEL,
    CAROUSEL,
    CUSTOM_IDENTITY,
    IMAGE,
    MAX_IMAGES,
    POST_FORMATS,
    POSTING_IDENTITY_TYPES,
    VIDEO,
    find_emoji,
    is_on_tiktok,
    remove_emoji,
)
from tiktok_assets.duplication.smart_plus_payloads import choose_texts
from tiktok_assets.duplication.snapshot import Snapshot
from tiktok_assets.spec import IDENTITIES

_CUSTOM_ON_TIKTOK = (
    "TikTok accepts no custom identity (CUSTOMIZED_USER) any more where an ad group delivers to TikTok itself; set"
    " TIKTOK_SCALING_IDENTITY={owner}:TT_USER:<identity_id> to post the copy's video as an identity of the account"
)
_COPY_MANUALLY = "; create the copy in Ads Manager"
_CHOOSE_AD_GROUP = "; name another with --ad-group (in the job `ad_group_id`)"
_WEBSITE_FIELDS = ("landing_page_url", "page_id", "deeplink")


def _ad(snapshot: Snapshot) -> Mapping[str, Any]:
    return snapshot.ad or {}


def _is_refused_elsewhere(snapshot: Snapshot) -> bool:
    """Return whether another check refuses: for the kind of ad, or for a permission that the token lacks."""
    return bool(snapshot.forbidden_endpoint) or not snapshot.is_creative_listed or not snapshot.is_source_copyable


def check_lookup_permission(snapshot: Snapshot) -> str:
    """Check that the token has the permission to look up identities, posts and covers."""
    if not snapshot.forbidden_endpoint:
        return ""
    return (
        f"the token lacks the permission for {snapshot.forbidden_endpoint}, so what a copy needs cannot be looked"
        f" up; tick {IDENTITIES.permission} on the app's page, and once it is approved run `tiktok-assets auth`"
    )


def check_format(snapshot: Snapshot) -> str:
    """Check that the format fits placements and copy method (create_carousel_ads, create_single_image_ads)."""
    ad_format = _ad(snapshot).get("ad_format")
    if _is_refused_elsewhere(snapshot):
        return ""
    if not has_value(ad_format):
        return f"the ad has no format that a copy could use{_COPY_MANUALLY}"
    return _check_known_format(snapshot, str(ad_format))


def _check_known_format(snapshot: Snapshot, ad_format: str) -> str:
    if snapshot.kind == "smart_plus" and ad_format not in POST_FORMATS:
        return f"Upgraded Smart+ accepts videos and carousels, and the ad is of the format {ad_format}"
    if ad_format == IMAGE and is_on_tiktok(snapshot.effective_ad_group):
        return (
            "TikTok accepts single images on Pangle and the Global App Bundle alone, and the ad group includes"
            f" TikTok{_CHOOSE_AD_GROUP}"
        )
    if ad_format == CAROUSEL and not is_on_tiktok(snapshot.effective_ad_group):
        return f"TikTok accepts carousels on TikTok alone, and the ad group excludes it{_CHOOSE_AD_GROUP}"
    if ad_format not in POST_FORMATS and snapshot.creative.method != "custom":
        return f"an ad in the format {ad_format} cannot be posted, and has no custom identity{_COPY_MANUALLY}"
    return ""


def check_identity(snapshot: Snapshot) -> str:
    """Check that the copy has an identity that new ads may use and that can show the copy's post or media."""
    if _is_refused_elsewhere(snapshot) or check_format(snapshot):
        return ""  # one reason is enough
    creative, owner = snapshot.creative, snapshot.request.advertiser_id
    identity = creative.identity
    if creative.method == "custom" and is_on_tiktok(snapshot.effective_ad_group):
        return _CUSTOM_ON_TIKTOK.format(owner=owner)
    label = f"identity {identity.identity_id} ({identity.identity_type})"
    if not has_value(identity.identity_type) or not has_value(identity.identity_id):
        return f"the ad has no identity that a copy could use{_COPY_MANUALLY}"
    if identity.identity_type == "BC_AUTH_TT" and not identity.bc_id:
        return f"{label} belongs to a business centre that is not known, so a copy cannot use it{_COPY_MANUALLY}"
    return "" if creative.method == "custom" else _check_identity_status(snapshot, label)


def _check_identity_status(snapshot: Snapshot, label: str) -> str:
    status, creative, owner = snapshot.identity_status, snapshot.creative, snapshot.request.advertiser_id
    if status is None:
        return f"{label} is not among those of account {owner}; authorise it for the account again"
    if status.is_political:
        return (
            f"{label} is of a government, a politician or a party, and TikTok accepts no ads of their posts;"
            " choose another ad"
        )
    if not status.is_available:
        return f"{label} cannot be used now: {status.status}; authorise it for the account again"
    if creative.method == "pull":
        refusal = snapshot.post_refusal
        return f"post {_ad(snapshot).get('tiktok_item_id')} of {label} {refusal}" if refusal else ""
    if creative.identity.identity_type not in POSTING_IDENTITY_TYPES or not status.can_push:
        return f"{label} cannot post the ad's media, and the ad has no post yet; try again once it is reviewed"
    return ""


def check_ai_label(snapshot: Snapshot) -> str:
    """Check that a label as AI-generated stays on the copy; only a custom identity has it (OPS `Create_ads`)."""
    ad = _ad(snapshot)
    loses_label = (
        not snapshot.forbidden_endpoint
        and snapshot.creative.method != "custom"
        and ad.get("identity_type") == CUSTOM_IDENTITY
    )
    if not loses_label or ad.get("aigc_disclosure_type") != AI_LABEL:
        return ""
    return f"the ad is labelled as made by AI, and TikTok accepts no such label for a post{_COPY_MANUALLY}"


def check_media(snapshot: Snapshot) -> str:
    """Check that the creative is complete and its media are in the account's library (API notes 8.3)."""
    if _is_refused_elsewhere(snapshot) or check_format(snapshot) or check_identity(snapshot):
        return ""
    ad, method = _ad(snapshot), snapshot.creative.method
    has_own_media = method != "pull"
    ad_format = ad.get("ad_format")
    is_website = snapshot.effective_ad_group.get("promotion_type") == "WEBSITE"
    # A manual post may do without a link; an Upgraded Smart+ web ad needs a landing page, whatever it shows
    # (create_a_regular_upgraded_smart_web_campaign).
    is_smart_plus = snapshot.kind == "smart_plus"
    needs_page = is_website and (has_own_media or is_smart_plus)
    page_fields = _WEBSITE_FIELDS[:1] if is_smart_plus else _WEBSITE_FIELDS
    parts = (
        ("video", not has_own_media or ad_format != VIDEO or ad.get("video_id")),
        ("music", not has_own_media or ad_format != CAROUSEL or ad.get("music_id")),
        ("text", not has_own_media or _has_text(snapshot)),
        ("call to action", ad.get("call_to_action") or ad.get("call_to_action_id")),
        ("landing page", not needs_page or any(has_value(ad.get(name)) for name in page_fields)),
    )
    missing = [name for name, is_present in parts if not is_present]
    if missing:
        return f"the ad has no {' and no '.join(missing)} that a copy could use{_COPY_MANUALLY}"
    return _check_library(snapshot) if has_own_media else ""


def _has_text(snapshot: Snapshot) -> bool:
    """Return whether the copy has a text; several texts are for ads with a custom identity only."""
    ad = _ad(snapshot)
    if snapshot.kind == "smart_plus":
        return any(choose_texts(ad, without_emoji=snapshot.request.without_emoji))
    values = [ad.get("ad_text")]
    if snapshot.creative.method == "custom" and isinstance(ad.get("ad_texts"), list):
        values += ad["ad_texts"]
    texts = [text for text in values if isinstance(text, str) and text]
    return any(remove_emoji(text) for text in texts) if snapshot.request.without_emoji else bool(texts)


def _check_library(snapshot: Snapshot) -> str:
    ad_format = str(_ad(snapshot).get("ad_format"))
    if snapshot.is_video_processing:
        return "TikTok still processes the ad's video, which takes up to five minutes after its upload; try again"
    if not snapshot.is_video_available:
        return "TikTok does not offer the ad's video to this account now; upload it there, or try again later"
    if ad_format == VIDEO and not snapshot.images:
        return "TikTok suggests no cover for the ad's video, and its own is not in its library; try again later"
    if not snapshot.images:
        return "the ad's images are not in the account's asset library; upload them there"
    limit = MAX_IMAGES.get(ad_format, 1)
    if ad_format == CAROUSEL and len(snapshot.images) > limit:
        return f"the ad has {len(snapshot.images)} images, and the limit of a carousel is {limit}{_COPY_MANUALLY}"
    return ""


def check_text(snapshot: Snapshot) -> str:
    """Check that the ad's texts contain no emoji, which TikTok refuses; those of names are removed."""
    ad, method = _ad(snapshot), snapshot.creative.method
    listed = ad.get("ad_texts")
    if method == "pull" or snapshot.forbidden_endpoint or snapshot.kind == "smart_plus":
        return ""  # a post keeps its text, and Upgraded Smart+ forbids emoji in names alone
    texts = [ad.get("ad_text"), *(listed if isinstance(listed, list) and method == "custom" else [])]
    emoji = [one for text in texts if isinstance(text, str) for one in find_emoji(text)]
    if not emoji or snapshot.request.without_emoji:
        return ""
    return (
        f"TikTok accepts no emoji in an ad's text, and this one has {' '.join(dict.fromkeys(emoji))}; add"
        " --without-emoji (in the job `without_emoji: true`) to remove them"
    )

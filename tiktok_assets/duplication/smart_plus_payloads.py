"""Build the create requests for Upgraded Smart+ campaigns.

The fields are those that `tiktok_assets.spec` classifies as copied or translated; the latter are set here. A copy
has one creative, and is switched off outright, because Upgraded Smart+ switches new objects on by default.

Sources: mengxingxinqing/tiktok_ads, create_an_upgraded_smart_ad_group, create_an_upgraded_smart_ad and
upgraded_smart_ad_creative_combinations_by_identity_and_ad_t.
"""

from typing import Any

from tiktok_assets.duplication.copy_rules import (
    CAROUSEL,
    CUSTOM_IDENTITY,
    MAX_IMAGES,
    VIDEO,
    JsonObject,
    is_on_tiktok,
    remove_emoji,
)
from tiktok_assets.duplication.field_selection import build_fields
from tiktok_assets.duplication.payloads import (
    FROM_NOW,
    AdGroupPlacement,
    CopiedCreative,
    Payload,
    build_copy_name,
    build_placed_fields,
    override_fields,
)
from tiktok_assets.spec import AD_CREATE_FIELDS, AD_GROUP_CREATE_FIELDS, DYNAMIC_DAILY_BUDGET, TOTAL_BUDGET

MAX_TEXTS = 5
_WEB = "WEB_CONVERSIONS"
_POST_FIELDS = (
    "video_id",
    "image_ids",
    "music_id",
    "ad_text",
    "ad_texts",
    "aigc_disclosure_type",
    "dark_post_status",
)
_ADDITIONS = "ad_configuration.creative_auto_add_toggle"


def choose_smart_plus_budget_mode(source: JsonObject) -> str:
    """Choose the budget mode of an ad group: for the whole schedule like the original, else dynamic daily."""
    return TOTAL_BUDGET if source.get("budget_mode") == TOTAL_BUDGET else DYNAMIC_DAILY_BUDGET


def build_smart_plus_ad_group(source: JsonObject, placement: AdGroupPlacement) -> Payload:
    """Build the body of `smart_plus/adgroup/create` for a copy of an ad group of either kind.

    Args:
        source: its row, with the targeting of an Upgraded Smart+ ad group; see `sources.convert_targeting`.
        placement: where and how it is created. Its times are in UTC, as TikTok returns and expects them.
    """
    fields = build_fields(source, AD_GROUP_CREATE_FIELDS, "smart_plus")
    fields.pop("budget", None)
    if fields.get("schedule_type") == FROM_NOW:
        fields.pop("schedule_end_time", None)  # it is returned as ten years later; TikTok sets it again
    if fields.get("placement_type") != "PLACEMENT_TYPE_NORMAL":
        fields.pop("placements", None)  # TikTok chooses them
    fields.setdefault("bid_type", "BID_TYPE_NO_BID")
    fields.setdefault("targeting_spec", {})
    return override_fields(fields, build_placed_fields(source, placement))


def choose_texts(source: JsonObject, *, without_emoji: bool = False) -> list[str]:
    """Return the texts of an ad, at most as many as an Upgraded Smart+ ad may have."""
    listed = source.get("ad_texts")
    texts = [one for one in (listed if isinstance(listed, list) else []) if isinstance(one, str) and one]
    texts = texts or [str(source["ad_text"])] if texts or source.get("ad_text") else []
    return [remove_emoji(one) if without_emoji else one for one in texts[:MAX_TEXTS]]


def needs_call_to_action_id(creative: CopiedCreative, ad_group: JsonObject, objective: object) -> bool:
    """Return whether TikTok requires a set of calls to action instead of one.

    It does for posts in app and web campaigns, and for every ad for leads, where TikTok is among the placements.
    """
    is_post = creative.identity.identity_type != CUSTOM_IDENTITY
    return is_on_tiktok(ad_group) and (
        objective == "LEAD_GENERATION" or (is_post and objective in {"APP_PROMOTION", _WEB})
    )


def build_smart_plus_ad(
    source: JsonObject,
    ad_group_id: str | None,
    marker: str,
    creative: CopiedCreative,
    *,
    objective: object,
    call_to_action_id: str | None,
    enable: bool,
    without_emoji: bool = False,
) -> Payload:
    """Build the body of `smart_plus/ad/create` for a copy of an ad or a creative, with this creative alone.

    Args:
        source: its row.
        ad_group_id: None until it is known.
        marker: of the duplication.
        creative: of the copy.
        objective: of the target campaign.
        call_to_action_id: the set of calls to action; None if the source's call to action is sent.
        enable: whether it is switched on.
        without_emoji: remove emoji from the ad's texts.
    """
    flat = dict(source)
    texts = choose_texts(source, without_emoji=without_emoji)
    for name in _POST_FIELDS if creative.method == "pull" else ("tiktok_item_id", "image_ids", "ad_text"):
        flat.pop(name, None)
    if creative.method != "pull":
        flat |= {"ad_texts": texts, **_select_media(flat, creative)}
    flat |= _select_identity(creative)
    if creative.method != "custom":
        flat.pop("aigc_disclosure_type", None)
        flat["dark_post_status"] = "ON" if creative.method == "push" else None
    flat["call_to_action_id"] = call_to_action_id
    if call_to_action_id:
        flat.pop("call_to_action", None)
    if not flat.get("deeplink"):
        flat.pop("deeplink_type", None)
    if flat.get("page_id"):  # a number in manual ads, text here (create_an_upgraded_smart_ad)
        flat["page_id"] = str(flat["page_id"])
    if objective == _WEB:
        flat.pop("card_id", None)  # "not supported for Upgraded Smart+ Web Campaigns"
        flat.pop("page_id", None)  # "page_list: Not specified" (create_a_regular_upgraded_smart_web_campaign)
    has_setting = _ADDITIONS in source or (objective == _WEB and flat.get("landing_page_url"))
    flat[_ADDITIONS] = False if has_setting else None
    named = {
        "advertiser_id": source["advertiser_id"],
        "adgroup_id": ad_group_id,
        "ad_name": build_copy_name(str(source.get("ad_name") or ""), marker),
        "operation_status": "ENABLE" if enable else "DISABLE",
    }
    return override_fields(build_fields(flat, AD_CREATE_FIELDS, "smart_plus"), named)


def _select_media(flat: JsonObject, creative: CopiedCreative) -> dict[str, Any]:
    ad_format = str(flat.get("ad_format"))
    return {
        "image_ids": list(creative.images)[: MAX_IMAGES.get(ad_format, 1)],
        "video_id": flat.get("video_id") if ad_format == VIDEO else None,
        "music_id": flat.get("music_id") if ad_format == CAROUSEL else None,
    }


def _select_identity(creative: CopiedCreative) -> dict[str, Any]:
    """Return the identity; a custom one is among the ad's settings, another with the creative."""
    identity = creative.identity
    values = {
        "identity_type": identity.identity_type,
        "identity_id": identity.identity_id,
        "identity_authorized_bc_id": identity.bc_id,
    }
    none = dict.fromkeys(values)
    is_custom = identity.identity_type == CUSTOM_IDENTITY
    settings = {f"ad_configuration.{name}": value for name, value in (values if is_custom else none).items()}
    return {**(none if is_custom else values), **settings}

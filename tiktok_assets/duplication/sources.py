"""Bring the objects that a duplication reads into one form, whatever kind of campaign they are in.

An ad of an Upgraded Smart+ campaign has several creatives, and one of them is duplicated: `ad/get` has it under an
id of its own, `smart_plus/ad/get` as an element of the ad's `creative_list`. The row of a source has the manual
names; a field that manual campaigns lack has its dotted name, see `field_selection`.

Sources: mengxingxinqing/tiktok_ads, get_upgraded_smart_ads, get_upgraded_smart_ad_groups and
retrieve_data_for_upgrade_smart_smart_and_manual_campaigns.
"""

from collections.abc import Mapping
from typing import Any

from tiktok_assets.duplication.field_selection import flatten_object
from tiktok_assets.spec import (
    AD_CREATE_FIELDS,
    AD_GROUP_CREATE_FIELDS,
    AGE_GROUPS_OF_SMART_PLUS_AGES,
    LEGACY_SMART_PLUS,
    SMART_PLUS_SUGGESTIONS,
    UPGRADED_SMART_PLUS,
    CampaignKind,
)

JsonObject = Mapping[str, Any]

AUTOMATIC_TARGETING = "AUTOMATIC"
AGES = "targeting_spec.spc_audience_age"
_KEPT_FROM_AD_GET = (
    "ad_id",
    "smart_plus_ad_id",
    "campaign_automation_type",
    "tiktok_item_id",
    "ad_text",
    "ad_format",
)
_SETTINGS = "ad_configuration"


def kind_of_campaign(row: JsonObject | None) -> CampaignKind:
    """Return the kind of a campaign, or of the campaign of an ad group or ad, by its automation type."""
    automation = str((row or {}).get("campaign_automation_type") or "")
    return "smart_plus" if automation.startswith(UPGRADED_SMART_PLUS) else "manual"


def is_legacy_smart_plus(row: JsonObject | None) -> bool:
    """Return whether a campaign is of the older Smart+, in which nothing new can be created."""
    return (row or {}).get("campaign_automation_type") == LEGACY_SMART_PLUS


def select_creative(smart_plus_ad: JsonObject, creative: JsonObject) -> JsonObject | None:
    """Return a Smart+ ad with one of its creatives alone; None if that is no longer part of it.

    The creative of a posted video has the post in `ad/get` and may have the video alone in the ad.

    Args:
        smart_plus_ad: as `smart_plus/ad/get` returns it.
        creative: as `ad/get` returns it.
    """
    listed = smart_plus_ad.get("creative_list")
    creatives = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    for matches in (_has_same_post, _has_same_video, _has_same_images):
        for one in creatives:
            if matches(one.get("creative_info") or {}, creative):
                return {**smart_plus_ad, "creative_list": [one]}
    return None


def _has_same_post(info: JsonObject, creative: JsonObject) -> bool:
    post = creative.get("tiktok_item_id")
    return bool(post) and info.get("tiktok_item_id") == post


def _has_same_video(info: JsonObject, creative: JsonObject) -> bool:
    video = creative.get("video_id")
    return bool(video) and (info.get("video_info") or {}).get("video_id") == video


def _has_same_images(info: JsonObject, creative: JsonObject) -> bool:
    images = creative.get("image_ids")
    own = [one.get("web_uri") for one in info.get("image_info") or ()]
    return not creative.get("video_id") and bool(images) and own == images


def build_source_ad(smart_plus_ad: JsonObject, creative: JsonObject) -> dict[str, Any]:
    """Build the row of a Smart+ creative, with the settings of its Smart+ ad.

    Args:
        smart_plus_ad: with this creative alone, see `select_creative`.
        creative: as `ad/get` returns it; its text is the one of the ad's texts that this creative was shown with.
    """
    flat = flatten_object(smart_plus_ad, AD_CREATE_FIELDS, "smart_plus")
    if parameters := (smart_plus_ad.get(_SETTINGS) or {}).get("utm_params"):
        flat["utm_params"] = [_read_url_parameter(one) for one in parameters]
    if has_custom_identity := f"{_SETTINGS}.identity_type" in flat:
        for name in ("identity_type", "identity_id", "identity_authorized_bc_id"):
            if f"{_SETTINGS}.{name}" in flat:
                flat[name] = flat.pop(f"{_SETTINGS}.{name}")
    flat |= {name: creative[name] for name in _KEPT_FROM_AD_GET if creative.get(name) and not has_custom_identity}
    return {**flat, **{name: creative.get(name) for name in ("ad_id", "campaign_automation_type")}}


def _read_url_parameter(parameter: JsonObject) -> dict[str, Any]:
    """Return a URL parameter as creation accepts it; get_upgraded_smart_ads has `field` in its example."""
    return {"key": parameter.get("key") or parameter.get("field"), "value": parameter.get("value")}


def build_source_ad_group(smart_plus_ad_group: JsonObject) -> dict[str, Any]:
    """Build the row of an Upgraded Smart+ ad group."""
    flat = flatten_object(smart_plus_ad_group, AD_GROUP_CREATE_FIELDS, "smart_plus")
    return {**flat, "campaign_automation_type": UPGRADED_SMART_PLUS}


def convert_targeting(ad_group: JsonObject, target: CampaignKind) -> dict[str, Any]:
    """Return the row of an ad group whose targeting means the same in the other kind of campaign.

    In Upgraded Smart+ the targeting of a manual ad group is ignored, without an error, unless the mode is MANUAL.
    In a manual campaign, what only suggests an audience to automatic targeting would restrict delivery to it.
    """
    row = dict(ad_group)
    if target == kind_of_campaign(ad_group):
        return row
    if target == "smart_plus":
        return {**row, "targeting_optimization_mode": "MANUAL"}
    ages = row.pop(AGES, None)
    if row.get("targeting_optimization_mode", AUTOMATIC_TARGETING) == AUTOMATIC_TARGETING:
        for name in SMART_PLUS_SUGGESTIONS:
            row.pop(name, None)
        if groups := AGE_GROUPS_OF_SMART_PLUS_AGES.get(str(ages or "18+")):
            row["age_groups"] = list(groups)
    return row

"""Compute the status of entities, and which campaigns lists show by default (API notes 5.6).

TopView and Promote campaigns are listed only on request. Sources: mengxingxinqing/tiktok_ads, pages get_campaigns
and get_ad_groups (`buying_types`, `campaign_system_origins`, at most 100 TopView campaigns a page, the fields of
Promote), promote_campaign, run_a_synchronous_report.
"""

from typing import Any

from tiktok_assets.sandbox.world.model import Ad, AdGroup, Campaign, Entity, SmartPlusAd

TOP_VIEW, PROMOTE = "RESERVATION_TOP_VIEW", "PROMOTE"
ADS_PLATFORM = "TT_ADS_PLATFORM"
DEFAULT_BUYING_TYPES = ("AUCTION", "RESERVATION_RF")  # the default of `buying_types`
DEFAULT_ORIGINS = (ADS_PLATFORM,)  # the default of `campaign_system_origins`

_PROMOTE_FIELDS = {
    "campaign": "advertiser_id campaign_id campaign_name create_time operation_status secondary_status",
    "ad_group": (
        "advertiser_id campaign_id campaign_name adgroup_id adgroup_name create_time budget schedule_type"
        " schedule_start_time schedule_end_time operation_status secondary_status"
    ),
    # The page on ads is not available to us; assumed to be as for its parents.
    "ad": (
        "advertiser_id campaign_id campaign_name adgroup_id adgroup_name ad_id ad_id_v2 ad_name create_time"
        " operation_status secondary_status"
    ),
}


def visibility_of(entity: Entity) -> dict[str, str]:
    """Return the buying type and the origin of an entity's campaign, by which lists filter."""
    campaign = entity if isinstance(entity, Campaign) else entity.campaign  # type: ignore[attr-defined]
    return {
        "buying_type": str(campaign.fields.get("buying_type", "AUCTION")),
        "campaign_system_origin": str(campaign.fields.get("campaign_system_origin") or ADS_PLATFORM),
    }


def is_listed_by_default(campaign: Campaign) -> bool:
    """Return whether lists and reports include a campaign when no filter asks for its kind."""
    values = visibility_of(campaign)
    return values["buying_type"] in DEFAULT_BUYING_TYPES and values["campaign_system_origin"] in DEFAULT_ORIGINS


def without_hidden_fields(level: str, entity: Entity, item: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an object that lists show: for Promote only a few and the origin."""
    if visibility_of(entity)["campaign_system_origin"] != PROMOTE:
        return {name: value for name, value in item.items() if name != "buying_type"}
    kept = {name: value for name, value in item.items() if name in _PROMOTE_FIELDS[level].split()}
    return kept | {"campaign_system_origin": PROMOTE}


PRIMARY_STATUSES = (
    "STATUS_ALL",
    "STATUS_NOT_DELETE",
    "STATUS_DELETE",
    "STATUS_DELIVERY_OK",
    "STATUS_NOT_DELIVERY",
    "STATUS_DISABLE",
    "STATUS_TIME_DONE",
    "STATUS_RF_CLOSED",
    "STATUS_FROZEN",
)


def _with_prefix(prefix: str, names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names.split())


SECONDARY_STATUSES = {
    "campaign": (
        *_with_prefix(
            "CAMPAIGN_STATUS_",
            "ENABLE DISABLE DELETE BUDGET_EXCEED ADVERTISER_AUDIT ADVERTISER_AUDIT_DENY AWAITING_RELEASE "
            "ALL NOT_DELETE",
        ),
        "ADVERTISER_CONTRACT_PENDING",
        "ADVERTISER_ACCOUNT_PUNISH",
    ),
    "ad_group": _with_prefix(
        "ADGROUP_STATUS_",
        "DELIVERY_OK PARTIAL_AUDIT_DELIVERY_OK CREATE DISABLE DELETE CAMPAIGN_DISABLE CAMPAIGN_DELETE "
        "CAMPAIGN_EXCEED BUDGET_EXCEED BALANCE_EXCEED NOT_START TIME_DONE AUDIT AUDIT_DENY REAUDIT FROZEN "
        "PIXEL_UNBIND ADGROUP_QUOTA_LIMIT TRANSCODING_FAIL ALL NOT_DELETE",
    ),
    "ad": _with_prefix(
        "AD_STATUS_",
        "DELIVERY_OK PARTIAL_AUDIT_DELIVERY_OK DISABLE DELETE ADGROUP_DISABLE ADGROUP_DELETE CAMPAIGN_DISABLE "
        "CAMPAIGN_DELETE CAMPAIGN_EXCEED BUDGET_EXCEED BALANCE_EXCEED AUDIT AUDIT_DENY REAUDIT NOT_START DONE "
        "TRANSCODING_FAIL AD_QUOTA_LIMIT ALL NOT_DELETE",
    ),
}
# The lists of /smart_plus/ take the same ones, for ads also these (get_upgraded_smart_ads).
SECONDARY_STATUSES |= {
    "smart_plus_campaign": SECONDARY_STATUSES["campaign"],
    "smart_plus_ad_group": SECONDARY_STATUSES["ad_group"],
    "smart_plus_ad": (
        *SECONDARY_STATUSES["ad"],
        *_with_prefix(
            "AD_STATUS_",
            "DELIVERY_AND_REAUDIT DELIVERY_AND_TRANSCODING_FAIL REVIEW_PARTIALLY_APPROVED COLLECTION_TOGGLED_OFF "
            "PRIVACY_POLICY_REJECTED PRIVACY_POLICY_AUDIT",
        ),
    ),
}


def secondary_status(entity: Entity, now: int) -> str:
    """Return the secondary status, which depends on the parents too (API notes 5.6, the tutorial)."""
    if isinstance(entity, Ad | SmartPlusAd):
        return "AD_STATUS_" + _ad_status(entity, now)
    if isinstance(entity, AdGroup):
        return "ADGROUP_STATUS_" + _ad_group_status(entity, now)
    own = _own_status(entity, now)
    return "CAMPAIGN_STATUS_" + (own or "ENABLE")


def _own_status(entity: Entity, now: int) -> str:
    """Return the ending of an entity's own status; empty if it is enabled."""
    if entity.is_deleted(now):
        return "DELETE"
    return "DISABLE" if entity.is_paused(now) else ""


def _campaign_status(campaign: Campaign, now: int) -> str:
    """Return the status that children inherit from a campaign; empty if it is enabled."""
    own = _own_status(campaign, now)
    return f"CAMPAIGN_{own}" if own else ""


def _ad_group_status(ad_group: AdGroup, now: int) -> str:
    if ad_group.is_deleted(now):
        return "DELETE"
    return (
        _campaign_status(ad_group.campaign, now)
        or _own_status(ad_group, now)
        or _schedule_status(ad_group, now)
        or "DELIVERY_OK"
    )


def _schedule_status(ad_group: AdGroup, now: int) -> str:
    """Return the status of an ad group's schedule; empty within it."""
    if ad_group.starts_at is not None and now < ad_group.starts_at:
        return "NOT_START"
    return "TIME_DONE" if ad_group.ends_at is not None and ad_group.ends_at <= now else ""


def _ad_status(ad: Ad | SmartPlusAd, now: int) -> str:
    """Return the ending of an ad's status; a creative has that of its Upgraded Smart+ ad too."""
    parent = ad.smart_plus_ad if isinstance(ad, Ad) else None
    if ad.is_deleted(now) or (parent is not None and parent.is_deleted(now)):
        return "DELETE"
    group_status = _own_status(ad.ad_group, now)
    schedule = _schedule_status(ad.ad_group, now).removeprefix("TIME_")  # AD_STATUS_NOT_START, AD_STATUS_DONE
    switched_off = _own_status(ad, now) or (_own_status(parent, now) if parent else "")
    own = switched_off or _review_status(ad, now) or schedule or "DELIVERY_OK"
    return _campaign_status(ad.campaign, now) or (f"ADGROUP_{group_status}" if group_status else "") or own


def _review_status(ad: Ad | SmartPlusAd, now: int) -> str:
    """Return the ending of the status of an ad's review; empty if nothing is in review.

    An Upgraded Smart+ ad whose creatives are in part reviewed delivers already (get_upgraded_smart_ads).
    """
    creatives = [ad] if isinstance(ad, Ad) else [one for one in ad.creatives if not one.is_deleted(now)]
    in_review = [one.is_in_review(now) for one in creatives]
    if any(in_review):
        return "AUDIT" if all(in_review) else "REVIEW_PARTIALLY_APPROVED"
    return ""


def operation_status(entity: Entity, now: int) -> str:
    """Return the entity's own operation status, ENABLE or DISABLE, whatever its parents are."""
    return "DISABLE" if entity.is_paused(now) or entity.is_deleted(now) else "ENABLE"


def matches_status(status: str, wanted: str) -> bool:
    """Return whether a secondary status belongs to a primary status, or equals a secondary one.

    A child of a deleted parent counts as deleted (our reading of API notes 5.1, 5.6).

    Args:
        status: The secondary status of an entity.
        wanted: A primary status, such as STATUS_NOT_DELETE, or a secondary one.
    """
    deleted = status.endswith("_DELETE")
    delivering = status.endswith(("DELIVERY_OK", "CAMPAIGN_STATUS_ENABLE"))
    primary = {
        "STATUS_ALL": True,
        "STATUS_NOT_DELETE": not deleted,
        "STATUS_DELETE": deleted,
        "STATUS_DELIVERY_OK": delivering,
        "STATUS_NOT_DELIVERY": not delivering and not deleted,
        "STATUS_DISABLE": status.endswith("_DISABLE"),
        "STATUS_TIME_DONE": status.endswith(("TIME_DONE", "STATUS_DONE")),
        "STATUS_RF_CLOSED": False,
        "STATUS_FROZEN": status.endswith("_FROZEN"),
    }
    if wanted in primary:
        return primary[wanted]
    if wanted.endswith("_STATUS_ALL"):
        return True
    if wanted.endswith("_STATUS_NOT_DELETE"):
        return not deleted
    return status == wanted

"""Secondary and primary status of campaigns, ad groups and ads, with inheritance (dossier 5.6)."""

from tiktok_assets.sandbox.world import Ad, AdGroup, Campaign, Entity

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


def _named(prefix: str, names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names.split())


SECONDARY_STATUSES = {
    "campaign": (
        *_named(
            "CAMPAIGN_STATUS_",
            "ENABLE DISABLE DELETE BUDGET_EXCEED ADVERTISER_AUDIT ADVERTISER_AUDIT_DENY AWAITING_RELEASE "
            "ALL NOT_DELETE",
        ),
        "ADVERTISER_CONTRACT_PENDING",
        "ADVERTISER_ACCOUNT_PUNISH",
    ),
    "ad_group": _named(
        "ADGROUP_STATUS_",
        "DELIVERY_OK PARTIAL_AUDIT_DELIVERY_OK CREATE DISABLE DELETE CAMPAIGN_DISABLE CAMPAIGN_DELETE "
        "CAMPAIGN_EXCEED BUDGET_EXCEED BALANCE_EXCEED NOT_START TIME_DONE AUDIT AUDIT_DENY REAUDIT FROZEN "
        "PIXEL_UNBIND ADGROUP_QUOTA_LIMIT TRANSCODING_FAIL ALL NOT_DELETE",
    ),
    "ad": _named(
        "AD_STATUS_",
        "DELIVERY_OK PARTIAL_AUDIT_DELIVERY_OK DISABLE DELETE ADGROUP_DISABLE ADGROUP_DELETE CAMPAIGN_DISABLE "
        "CAMPAIGN_DELETE CAMPAIGN_EXCEED BUDGET_EXCEED BALANCE_EXCEED AUDIT AUDIT_DENY REAUDIT NOT_START DONE "
        "TRANSCODING_FAIL AD_QUOTA_LIMIT ALL NOT_DELETE",
    ),
}


def secondary(entity: Entity, now: int) -> str:
    """Return the secondary status: what a parent suffers shows in its children (dossier 5.6, SEED)."""
    if isinstance(entity, Ad):
        return "AD_STATUS_" + _ad(entity, now)
    if isinstance(entity, AdGroup):
        return "ADGROUP_STATUS_" + _ad_group(entity, now)
    own = _own(entity, now)
    return "CAMPAIGN_STATUS_" + (own or "ENABLE")


def _own(entity: Entity, now: int) -> str:
    if entity.is_deleted(now):
        return "DELETE"
    return "DISABLE" if entity.is_paused(now) else ""


def _inherited(campaign: Campaign, now: int) -> str:
    own = _own(campaign, now)
    return f"CAMPAIGN_{own}" if own else ""


def _ad_group(ad_group: AdGroup, now: int) -> str:
    if ad_group.is_deleted(now):
        return "DELETE"
    return _inherited(ad_group.campaign, now) or _own(ad_group, now) or _when(ad_group, now) or "DELIVERY_OK"


def _when(ad_group: AdGroup, now: int) -> str:
    if ad_group.starts is not None and now < ad_group.starts:
        return "NOT_START"
    return "TIME_DONE" if ad_group.ends is not None and ad_group.ends <= now else ""


def _ad(ad: Ad, now: int) -> str:
    if ad.is_deleted(now):
        return "DELETE"
    of_group = _own(ad.ad_group, now)
    when = _when(ad.ad_group, now).removeprefix("TIME_")  # AD_STATUS_NOT_START, AD_STATUS_DONE
    own = _own(ad, now) or ("AUDIT" if ad.is_in_review(now) else when or "DELIVERY_OK")
    return _inherited(ad.campaign, now) or (f"ADGROUP_{of_group}" if of_group else "") or own


def operation(entity: Entity, now: int) -> str:
    """Return the entity's own switch: ENABLE or DISABLE, whatever its parents are."""
    return "DISABLE" if entity.is_paused(now) or entity.is_deleted(now) else "ENABLE"


def matches(shown: str, wanted: str) -> bool:
    """Say whether a secondary status falls under a primary one, or is the wanted secondary one.

    A child of something deleted counts as deleted itself (our reading of dossier 5.1, 5.6).
    """
    deleted = shown.endswith("_DELETE")
    delivering = shown.endswith(("DELIVERY_OK", "CAMPAIGN_STATUS_ENABLE"))
    answers = {
        "STATUS_ALL": True,
        "STATUS_NOT_DELETE": not deleted,
        "STATUS_DELETE": deleted,
        "STATUS_DELIVERY_OK": delivering,
        "STATUS_NOT_DELIVERY": not delivering and not deleted,
        "STATUS_DISABLE": shown.endswith("_DISABLE"),
        "STATUS_TIME_DONE": shown.endswith(("TIME_DONE", "STATUS_DONE")),
        "STATUS_RF_CLOSED": False,
        "STATUS_FROZEN": shown.endswith("_FROZEN"),
    }
    if wanted in answers:
        return answers[wanted]
    if wanted.endswith("_STATUS_ALL"):
        return True
    if wanted.endswith("_STATUS_NOT_DELETE"):
        return not deleted
    return shown == wanted

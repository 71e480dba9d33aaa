"""Convert entities to the API's v1.3 objects, with their identities and posts (API notes 5.3-5.5)."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tiktok_assets.sandbox.world.default_fields import AD, AD_GROUP, ADVERTISER, CAMPAIGN
from tiktok_assets.sandbox.world.model import Ad, AdGroup, Advertiser, Campaign, Entity, format_utc
from tiktok_assets.sandbox.world.status import operation_status, secondary_status, without_hidden_fields

Item = dict[str, Any]
DEFAULT_SCHEDULE_SECONDS = 3650 * 86_400  # SCHEDULE_FROM_NOW ends that much later (API notes 8.2)
CUSTOM_IDENTITY = "CUSTOMIZED_USER"
PUSH_IDENTITY_TYPES = ("TT_USER", "BC_AUTH_TT")
OWNER_BC_ID = "7000000000000000009"

# The source of a generated ad follows from the hook in its name: these show a creator's post (pull) or have a
# custom identity; all others were pushed as posts of the brand's account.
_PULLED_HOOKS = ("Unboxing UGC", "Street interview", "Customer review")
_CUSTOM_IDENTITY_HOOKS = ("Founder story", "Before and after")


@dataclass(frozen=True)
class Identity:
    """An identity of an account, with the fields of identity/get."""

    identity_id: str
    identity_type: str
    bc_id: str | None = None
    can_push: bool = False
    can_pull: bool = False
    status: str = "AVAILABLE"
    is_political: bool = False


def identities_of(advertiser: Advertiser) -> list[Identity]:
    """Return an account's identities: a brand's, a creator's, a business center's, a custom and two unusable ones.

    The documentation defines `can_push` and `can_pull` for TT_USER and BC_AUTH_TT only (get_the_identity_list);
    they are false for a creator.
    """
    first = int(advertiser.id)
    return [
        Identity(str(first + 1), "TT_USER", can_push=True, can_pull=True),
        Identity(str(first + 2), "AUTH_CODE", status=""),
        Identity(str(first + 3), "BC_AUTH_TT", OWNER_BC_ID, can_push=True, can_pull=True),
        Identity(str(first + 4), CUSTOM_IDENTITY),
        Identity(str(first + 5), "TT_USER", status="NO_VALID_BIND_ACCOUNT"),
        Identity(str(first + 6), "TT_USER", can_push=True, can_pull=True, is_political=True),
    ]


def ad_source(ad: Ad) -> str:
    """Return the source of a generated ad: `pull`, `push` or `custom`."""
    if ad.name.startswith(_PULLED_HOOKS):
        return "pull"
    return "custom" if ad.name.startswith(_CUSTOM_IDENTITY_HOOKS) else "push"


def video_of(ad: Ad) -> str:
    """Return the id of a generated ad's video."""
    return f"v10044g50000c{int(ad.id):020d}"


def shown_video(ad: Ad) -> str | None:
    """Return the id of the video that the account has for an ad; None for a generated ad of a creator's post."""
    given = ad.fields.get("video_id")
    return str(given) if given else None if ad_source(ad) == "pull" else video_of(ad)


def stable_id(kind: str, *parts: str) -> str:
    """Return an id of 19 digits that follows from its parts, for objects that the world does not store."""
    digest = blake2b(":".join((kind, *parts)).encode(), digest_size=8).digest()
    return f"7{int.from_bytes(digest) % 10**18:018d}"


def post_of(ad: Ad) -> str:
    """Return the id of the post of an ad: the one it shows (pull), or the one created from it (push)."""
    given = ad.fields.get("tiktok_item_id")
    return str(given) if given else f"7{int(ad.id) % 10**18:018d}"


def to_api_amount(advertiser: Advertiser, minor: int) -> float:
    """Convert minor units to the API's JSON number (API notes 5.4: a budget is a float)."""
    return minor / advertiser.currency.minor_per_unit


def _status_and_times(entity: Entity, now: int) -> Item:
    """Return the fields of status and times, which all entities have."""
    return {
        "operation_status": operation_status(entity, now),
        "secondary_status": secondary_status(entity, now),
        "create_time": format_utc(entity.created),
        "modify_time": format_utc(entity.modified_at(now)),
    }


def advertiser_item(advertiser: Advertiser, _: int) -> Item:
    """Return the object of advertiser/info, whose create_time is epoch seconds (API notes 5.3)."""
    account = advertiser.account
    return {
        **ADVERTISER,
        "advertiser_id": advertiser.id,
        "name": account.name,
        "company": account.company,
        "timezone": account.timezone,
        "display_timezone": account.display_timezone,
        "currency": account.currency,
        "country": account.country,
        "language": account.language,
        "balance": to_api_amount(advertiser, 532_543),
        "create_time": advertiser.created,
    }


def campaign_item(campaign: Campaign, now: int) -> Item:
    """Return the object of campaign/get (API notes 5.4)."""
    item = {
        **CAMPAIGN,
        "advertiser_id": campaign.advertiser.id,
        "campaign_id": campaign.id,
        "campaign_name": campaign.name,
        "objective_type": campaign.objective_type,
        "budget_mode": campaign.budget_mode,
        "budget": to_api_amount(campaign.advertiser, campaign.budget),
        **campaign.fields,
        **_status_and_times(campaign, now),
    }
    if campaign.budget_optimize_on:  # present only with CBO (API notes 5.4)
        item["budget_optimize_on"] = True
    return without_hidden_fields("campaign", campaign, item)


def ad_group_item(ad_group: AdGroup, now: int) -> Item:
    """Return the object of adgroup/get (API notes 5.4); with CBO its budget is 0.0 (8.6)."""
    campaign = ad_group.campaign
    advertiser, objective = campaign.advertiser, campaign.objective
    is_cpc = objective.billing_event == "CPC"
    item = {
        **AD_GROUP,
        "advertiser_id": advertiser.id,
        "campaign_id": campaign.id,
        "adgroup_id": ad_group.id,
        "campaign_name": campaign.name,
        "adgroup_name": ad_group.name,
        "campaign_automation_type": campaign.automation,
        "promotion_type": objective.promotion_type,
        "location_ids": [advertiser.account.location_id],
        "age_groups": ad_group.age_groups,
        "budget_mode": "BUDGET_MODE_DYNAMIC_DAILY_BUDGET" if campaign.budget_optimize_on else "BUDGET_MODE_DAY",
        "budget": to_api_amount(advertiser, ad_group.budget),
        "scheduled_budget": 0.0,
        "schedule_start_time": format_utc(ad_group.created),
        "schedule_end_time": format_utc(ad_group.created + DEFAULT_SCHEDULE_SECONDS),
        "optimization_goal": objective.optimization_goal,
        "optimization_event": objective.optimization_event,
        "billing_event": objective.billing_event,
        "bid_type": "BID_TYPE_CUSTOM" if is_cpc else "BID_TYPE_NO_BID",
        "bid_price": to_api_amount(advertiser, ad_group.bid) if is_cpc else 0.0,
        "pixel_id": str(int(advertiser.id) + 7) if objective.optimization_event else None,
        **ad_group.fields,
        **_scheduled_budget(ad_group, now),
        **_status_and_times(ad_group, now),
    }
    return without_hidden_fields("ad_group", ad_group, item)


def _scheduled_budget(ad_group: AdGroup, now: int) -> Item:
    """Return the budget fields that a scheduled budget changes."""
    if ad_group.scheduled is None:
        return {}
    instant, minor = ad_group.scheduled
    amount = to_api_amount(ad_group.campaign.advertiser, minor)
    return {"scheduled_budget": amount} if now < instant else {"budget": amount}


def _creative(ad: Ad, now: int) -> Item:
    """Return the identity, post and media of an ad; `Ad.fields` overrides them for an ad created by a request.

    A pull ad has neither video nor images; a push ad has its post once it is reviewed
    (ckr2436/Tiktok-OPS `Get_ads`).
    """
    first = int(ad.campaign.advertiser.id)
    is_created_by_request = "identity_type" in ad.fields
    identity = ad.fields.get("identity_type")
    is_pull = bool(ad.fields.get("tiktok_item_id")) if is_created_by_request else ad_source(ad) == "pull"
    is_custom = identity == CUSTOM_IDENTITY if is_created_by_request else ad_source(ad) == "custom"
    identities = {
        "pull": ("AUTH_CODE", first + 2),
        "push": ("TT_USER", first + 1),
        "custom": (CUSTOM_IDENTITY, first + 4),
    }
    kind, identity_id = identities[ad_source(ad)]
    return {
        "identity_type": kind,
        "identity_id": str(identity_id),
        "video_id": None if is_pull else video_of(ad),
        "image_ids": [] if is_pull else [f"tos-alisg-p-0051c001-sg/{int(ad.id):032x}"],
        "tiktok_item_id": None if is_custom or (not is_pull and ad.is_in_review(now)) else post_of(ad),
    }


def ad_item(ad: Ad, now: int) -> Item:
    """Return the object of ad/get (API notes 5.4)."""
    campaign = ad.campaign
    account = campaign.advertiser.account
    low = int(ad.id) & 0xFFFFF
    item = {
        **AD,
        "advertiser_id": campaign.advertiser.id,
        "campaign_id": campaign.id,
        "adgroup_id": ad.ad_group.id,
        "ad_id": ad.id,
        "ad_id_v2": ad.ad_id_v2,
        "smart_plus_ad_id": ad.smart_plus_ad_id,
        "campaign_automation_type": campaign.automation,
        "campaign_name": campaign.name,
        "adgroup_name": ad.ad_group.name,
        "ad_name": ad.name,
        **_creative(ad, now),
        "ad_text": ad.text,
        "call_to_action": ad.call_to_action,
        "landing_page_url": f"{account.website}?ref={low}",
        "display_name": account.company,
        "profile_image_url": f"{account.website}profile.jpeg",
        "optimization_event": campaign.objective.optimization_event,
        **ad.fields,
        **_status_and_times(ad, now),
    }
    # API notes 5.4, 9 #2; mengxingxinqing/tiktok_ads retrieve_data_for_upgrade_smart_smart_and_manual_campaigns.
    if ad.smart_plus_ad_id:
        del item["modify_time"]
        item["campaign_automation_type"] = f"{campaign.automation}_CREATIVE"
    if ad.fields.get("call_to_action_id"):  # call_to_action is absent then, not null (seen live)
        del item["call_to_action"]
    return without_hidden_fields("ad", ad, item)

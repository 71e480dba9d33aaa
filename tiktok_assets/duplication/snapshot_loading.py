"""Load the snapshot of a duplication from the API and the ledger."""

from dataclasses import dataclass, replace
from typing import Any

from tiktok_assets.api import (
    AdvertiserError,
    Client,
    Fetcher,
    IdentityStatus,
    Post,
    are_images_in_library,
    is_video_listed,
    list_objects,
    read_ad_group_quota,
    read_identity_status,
    read_post,
    read_suggested_covers,
)
from tiktok_assets.duplication.ad_kinds import has_value, is_deleted
from tiktok_assets.duplication.copy_rules import CAROUSEL, VIDEO, JsonObject, choose_copy_method
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.duplication.payloads import has_marker
from tiktok_assets.duplication.snapshot import AccountContext, Snapshot
from tiktok_assets.duplication.sources import (
    build_source_ad,
    build_source_ad_group,
    kind_of_campaign,
    select_creative,
)
from tiktok_assets.spec import (
    AD_GROUPS_BY_KIND,
    ADS,
    ADS_BY_KIND,
    CAMPAIGNS,
    SMART_PLUS_AD,
    SMART_PLUS_CAMPAIGNS,
    CampaignKind,
)


@dataclass(frozen=True, slots=True)
class _Source:
    """The ad to duplicate: its row, what it was read from, and whether its creative is part of its ad."""

    ad: JsonObject | None
    read_objects: dict[str, JsonObject]
    is_creative_listed: bool = True


def load_snapshot(
    client: Client, fetcher: Fetcher, ledger: Ledger, request: DuplicationRequest, account: AccountContext
) -> Snapshot:
    """Read the snapshot from the API and the ledger, deleted objects included.

    Raises:
        TikTokError: if something cannot be read.
    """
    reader = _Reader(fetcher, request)
    source = reader.read_source()
    ad, read_objects = source.ad, dict(source.read_objects)
    own_campaign = str(ad["campaign_id"]) if ad else None
    campaigns = reader.read_campaigns({one for one in (own_campaign, request.campaign_id) if one})
    campaign, target = campaigns.get(own_campaign or ""), campaigns.get(request.campaign_id)
    target_kind = kind_of_campaign(target)
    ad_group = reader.read_ad_group(str(ad["adgroup_id"]), kind_of_campaign(ad)) if ad else None
    target_ad_group = reader.read_ad_group(request.ad_group_id, target_kind) if request.ad_group_id else None
    roles = {
        "campaign": campaign,
        "target_campaign": target,
        "ad_group": ad_group,
        "target_ad_group": target_ad_group,
    }
    read_objects |= {role: row for role, row in roles.items() if row}
    siblings: list[JsonObject] = []
    ads: list[JsonObject] = []
    quota = None
    if target and ad and request.ad_group_id is None:
        siblings = reader.list_siblings(target_kind)
        quota = read_ad_group_quota(client, request.advertiser_id)
    elif target and ad and target_ad_group:
        ads = reader.list_ads(target_kind, "adgroup_ids", str(request.ad_group_id))
    snapshot = Snapshot(
        request=request,
        account=account,
        ad=ad,
        ad_group=_to_row(ad_group, kind_of_campaign(ad)),
        campaign=campaign,
        target_campaign=target,
        target_ad_group=_to_row(target_ad_group, target_kind),
        ad_group_count=sum(not is_deleted(row) for row in siblings),
        ad_count=sum(not is_deleted(row) for row in ads),
        ad_group_quota=quota,
        original_id=_find_original(ledger, request, ad),
        now=client.now(),
        first_ad_group=_to_row(
            min((row for row in siblings if not is_deleted(row)), key=_creation_order, default=None), target_kind
        ),
        is_creative_listed=source.is_creative_listed,
        read_objects=read_objects,
    )
    if not ad or not target or not snapshot.effective_ad_group or not source.is_creative_listed:
        return snapshot
    try:
        snapshot = _load_creative(client, snapshot)
    except AdvertiserError as error:  # the account was read just now, so the endpoint is what is refused
        return replace(snapshot, forbidden_endpoint=error.endpoint)
    if snapshot.needs_call_to_action_id and not snapshot.call_to_action_id:
        campaign_ads = ads or reader.list_ads(target_kind, "campaign_ids", request.campaign_id)
        return replace(snapshot, campaign_call_to_action_id=_find_call_to_action_id(campaign_ads))
    return snapshot


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the objects of a duplication from the lists of their kind of campaign."""

    fetcher: Fetcher
    request: DuplicationRequest

    def read_source(self) -> _Source:
        """Read the ad to duplicate; of an Upgraded Smart+ creative also its ad."""
        owner = self.request.advertiser_id
        row = next(iter(list_objects(self.fetcher, ADS, owner, {"ad_ids": [self.request.ad_id]})), None)
        if row is None:
            return _Source(None, {})
        smart_plus_ad_id = row.get("smart_plus_ad_id")
        if kind_of_campaign(row) != "smart_plus" or not has_value(smart_plus_ad_id):
            return _Source(row, {"ad": row})
        filters = {"smart_plus_ad_ids": [str(smart_plus_ad_id)]}
        ad = next(iter(list_objects(self.fetcher, SMART_PLUS_AD, owner, filters)), None)
        chosen = select_creative(ad, row) if ad else None
        if not ad or not chosen:
            return _Source(row, {"ad": row, **({"smart_plus_ad": ad} if ad else {})}, is_creative_listed=False)
        return _Source(build_source_ad(chosen, row), {"ad": row, "smart_plus_ad": chosen})

    def read_campaigns(self, campaign_ids: set[str]) -> dict[str, JsonObject]:
        """Read campaigns by id; an Upgraded Smart+ one with the fields that only its own list has."""
        owner, filters = self.request.advertiser_id, {"campaign_ids": sorted(campaign_ids)}
        rows = {str(row["campaign_id"]): row for row in list_objects(self.fetcher, CAMPAIGNS, owner, filters)}
        target = rows.get(self.request.campaign_id)
        if target and kind_of_campaign(target) == "smart_plus":
            own = {"campaign_ids": [self.request.campaign_id]}
            for row in list_objects(self.fetcher, SMART_PLUS_CAMPAIGNS, owner, own):
                rows[self.request.campaign_id] = {**target, **row}
        return rows

    def read_ad_group(self, ad_group_id: str, kind: CampaignKind) -> JsonObject | None:
        """Read an ad group by id."""
        filters = {"adgroup_ids": [ad_group_id]}
        rows = list_objects(self.fetcher, AD_GROUPS_BY_KIND[kind], self.request.advertiser_id, filters)
        return next(iter(rows), None)

    def list_siblings(self, kind: CampaignKind) -> list[JsonObject]:
        """List the ad groups of the target campaign."""
        filters = {"campaign_ids": [self.request.campaign_id]}
        return [*list_objects(self.fetcher, AD_GROUPS_BY_KIND[kind], self.request.advertiser_id, filters)]

    def list_ads(self, kind: CampaignKind, name: str, parent_id: str) -> list[JsonObject]:
        """List the ads of an ad group or a campaign; those of Upgraded Smart+ as ads, not as creatives."""
        return [*list_objects(self.fetcher, ADS_BY_KIND[kind], self.request.advertiser_id, {name: [parent_id]})]


def _to_row(ad_group: JsonObject | None, kind: CampaignKind) -> JsonObject | None:
    return build_source_ad_group(ad_group) if ad_group and kind == "smart_plus" else ad_group


def _find_original(ledger: Ledger, request: DuplicationRequest, ad: JsonObject | None) -> str | None:
    ids = {request.ad_id, str((ad or {}).get("smart_plus_ad_id") or "")}
    found = (ledger.find_original(request.advertiser_id, one) for one in sorted(ids) if one)
    original = next((one for one in found if one), None)
    is_marked = bool(ad) and has_marker(str((ad or {}).get("ad_name") or ""))
    return original or ("" if is_marked else None)


def _find_call_to_action_id(ads: list[JsonObject]) -> str | None:
    """Return the set of calls to action of the newest ad that is not deleted."""
    existing = sorted((row for row in ads if not is_deleted(row)), key=_creation_order, reverse=True)
    settings: list[dict[str, Any]] = [row.get("ad_configuration") or {} for row in existing]
    found = (one.get("call_to_action_id") for one in settings)
    return next((str(one) for one in found if has_value(one)), None)


def _load_creative(client: Client, snapshot: Snapshot) -> Snapshot:
    """Read the identity status, post and media that the copy's creative needs."""
    owner, ad = snapshot.request.advertiser_id, snapshot.ad or {}
    identity = snapshot.creative.identity
    method = choose_copy_method(ad, snapshot.effective_ad_group, snapshot.account.identity)
    status: IdentityStatus | None = None
    post: Post | None = None
    if method != "custom" and identity.identity_id:
        status = read_identity_status(client, owner, identity)
    if method == "pull" and status and status.can_pull:
        carousel = ad.get("ad_format") == CAROUSEL
        post = read_post(client, owner, identity, str(ad["tiktok_item_id"]), carousel=carousel)
    snapshot = replace(snapshot, identity_status=status, post=post)
    return snapshot if snapshot.creative.method == "pull" else _load_media(client, snapshot, ad)


def _load_media(client: Client, snapshot: Snapshot, ad: JsonObject) -> Snapshot:
    """Read whether the video is available, and choose the images: the ad's if in the library, else covers."""
    owner, listed = snapshot.request.advertiser_id, ad.get("image_ids")
    video = ad.get("video_id") if ad.get("ad_format") == VIDEO else None
    ids = tuple(str(one) for one in listed if one) if isinstance(listed, list) else ()
    is_in_library = are_images_in_library(
        client, owner, ids
    )  # first: its refusal can only be a missing permission
    covers = read_suggested_covers(client, owner, str(video)) if video else ()
    images = ids if is_in_library else (covers or ())
    is_processing = covers is None and is_video_listed(client, owner, str(video))
    return replace(
        snapshot, images=images, is_video_available=covers is not None, is_video_processing=is_processing
    )


def _creation_order(row: JsonObject) -> tuple[str, int, str]:
    ad_group_id = str(row.get("adgroup_id") or "")
    return (str(row.get("create_time") or ""), len(ad_group_id), ad_group_id)

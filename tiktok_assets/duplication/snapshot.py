"""Load everything a duplication needs to read before it writes: ad, ad group, campaigns, limits and creative."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from tiktok_assets.api import (
    AdvertiserError,
    Client,
    Fetcher,
    Identity,
    IdentityStatus,
    Post,
    are_images_in_library,
    list_objects,
    read_ad_group_quota,
    read_identity_status,
    read_post,
    read_suggested_covers,
)
from tiktok_assets.duplication.ad_kinds import is_deleted
from tiktok_assets.duplication.copy_rules import (
    CAROUSEL,
    CUSTOM_IDENTITY,
    POSTING_IDENTITY_TYPES,
    VIDEO,
    JsonObject,
    choose_copy_method,
    get_identity,
)
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.duplication.payloads import (
    CopiedCreative,
    choose_budget_mode,
    has_campaign_budget_optimization,
    has_marker,
)
from tiktok_assets.spec import AD_GROUPS, ADS, CAMPAIGNS, DAILY_BUDGET


@dataclass(frozen=True, slots=True)
class AccountContext:
    """The account's currency, limits and configured identity.

    Attributes:
        currency: ISO 4217.
        added_budget: what duplications added to the account's budgets within a day, by currency.
        max_added_budget: the limit for it; None for no limit.
        identity: of TIKTOK_SCALING_IDENTITY, for copies of ads whose own identity cannot be used again.
    """

    currency: str
    added_budget: Mapping[str, Decimal]
    max_added_budget: Decimal | None
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The input of validation and payloads; an object is None where the account does not have it.

    Attributes:
        request: the duplication.
        account: its account.
        ad, ad_group, campaign: the ad to duplicate and its parents.
        target_campaign, target_ad_group: into which it is duplicated.
        ad_group_count: ad groups of the target campaign that are not deleted; 0 if none is created.
        ad_count: ads of the target ad group that are not deleted; 0 if an ad group is created.
        ad_group_quota: active ad groups of the account and their limit; None if none is created.
        original_id: the original if the ad is a copy; "" if only its name shows that; None if it is no copy.
        now: by the clock of TikTok's server.
        first_ad_group: the oldest of the target campaign; None if none is created or there is none.
        identity_status: of the copy's identity; None if the account does not have it, or none is needed.
        post: the ad's post, if its identity still has it; None also if the copy needs no post.
        images: ids in the asset library that the copy uses.
        is_video_available: whether the account can use the ad's video.
        forbidden_endpoint: the endpoint that refused the token; "" for none.
    """

    request: DuplicationRequest
    account: AccountContext
    ad: JsonObject | None
    ad_group: JsonObject | None
    campaign: JsonObject | None
    target_campaign: JsonObject | None
    target_ad_group: JsonObject | None
    ad_group_count: int
    ad_count: int
    ad_group_quota: tuple[int, int] | None
    original_id: str | None
    now: datetime
    first_ad_group: JsonObject | None = None
    identity_status: IdentityStatus | None = None
    post: Post | None = None
    images: tuple[str, ...] = ()
    is_video_available: bool = True
    forbidden_endpoint: str = ""

    @property
    def creative(self) -> CopiedCreative:
        """How the copy is shown."""
        ad, configured = self.ad or {}, self.account.identity
        method = choose_copy_method(ad, self.effective_ad_group, configured)
        if method == "pull" and self.post_refusal and self._can_post_again:
            method = "push"
        replacement = configured if method == "push" and ad.get("identity_type") == CUSTOM_IDENTITY else None
        return CopiedCreative(method, replacement or get_identity(ad), self.images)

    @property
    def post_refusal(self) -> str:
        """Why the ad's post cannot be shown again, as a phrase that follows its name; "" if it can."""
        if self.identity_status and not self.identity_status.can_pull:
            return "may not be shown, as its account does not allow it; ask its owner, or choose another ad"
        if self.post is None:
            reason = (
                "is not among the posts TikTok lists for this identity; it was deleted or withdrawn by its owner"
            )
            return f"{reason}, so choose another ad"
        refusal = self.post.explain_unavailability(self.now)
        return f"cannot be shown, as {refusal}; ask for a new authorisation code" if refusal else ""

    @property
    def _can_post_again(self) -> bool:
        """Whether the ad has its own media, which its identity can post again."""
        ad, status = self.ad or {}, self.identity_status
        media = {VIDEO: ad.get("video_id"), CAROUSEL: ad.get("image_ids")}.get(str(ad.get("ad_format")))
        return bool(status and status.can_push and media and ad.get("identity_type") in POSTING_IDENTITY_TYPES)

    @property
    def effective_ad_group(self) -> JsonObject:
        """The ad group of the copy, or the original of that ad group."""
        return (self.ad_group if self.copies_ad_group else self.target_ad_group) or {}

    @property
    def copies_ad_group(self) -> bool:
        """Whether an ad group is created too."""
        return self.request.ad_group_id is None

    @property
    def budget_mode(self) -> str:
        """The budget mode of the copied ad group."""
        if not self.copies_ad_group:
            return DAILY_BUDGET
        return choose_budget_mode(self.ad_group or {}, self.target_campaign or {})

    @property
    def has_campaign_budget(self) -> bool:
        """Whether the target campaign distributes its own budget (campaign budget optimization)."""
        return has_campaign_budget_optimization(self.target_campaign or {})

    @property
    def budget(self) -> Decimal | None:
        """The budget of the copied ad group: the requested one, else the original's; None if it has none."""
        if self.request.budget is not None:
            return self.request.budget
        budget = (self.ad_group or {}).get("budget")
        return Decimal(str(budget)) if budget else None

    @property
    def budget_to_add(self) -> Decimal:
        """What counts against the account's limit: the copied ad group's budget, or 0 where it is ignored.

        A budget for the whole schedule counts in full.
        """
        has_own_budget = self.copies_ad_group and not self.has_campaign_budget
        return (self.budget or Decimal(0)) if has_own_budget else Decimal(0)


def load_snapshot(
    client: Client, fetcher: Fetcher, ledger: Ledger, request: DuplicationRequest, account: AccountContext
) -> Snapshot:
    """Read the snapshot from the API and the ledger, deleted objects included.

    Raises:
        TikTokError: if something cannot be read.
    """
    owner = request.advertiser_id
    ad = next(iter(list_objects(fetcher, ADS, owner, {"ad_ids": [request.ad_id]})), None)
    own_group = str(ad["adgroup_id"]) if ad else None
    ad_group_ids = sorted({one for one in (own_group, request.ad_group_id) if one})
    rows = list_objects(fetcher, AD_GROUPS, owner, {"adgroup_ids": ad_group_ids}) if ad_group_ids else []
    ad_groups = {str(row["adgroup_id"]): row for row in rows}
    own_campaign = str(ad["campaign_id"]) if ad else None
    ids = sorted({one for one in (own_campaign, request.campaign_id) if one})
    campaigns = {
        str(row["campaign_id"]): row for row in list_objects(fetcher, CAMPAIGNS, owner, {"campaign_ids": ids})
    }
    target = campaigns.get(request.campaign_id)
    siblings: list[JsonObject] = []
    ads: list[JsonObject] = []
    quota = None
    if target and ad and request.ad_group_id is None:
        siblings = [*list_objects(fetcher, AD_GROUPS, owner, {"campaign_ids": [request.campaign_id]})]
        quota = read_ad_group_quota(client, owner)
    elif target and ad and request.ad_group_id in ad_groups:
        ads = [*list_objects(fetcher, ADS, owner, {"adgroup_ids": [str(request.ad_group_id)]})]
    original = ledger.find_original(owner, request.ad_id)
    is_marked = bool(ad) and has_marker(str((ad or {}).get("ad_name") or ""))
    snapshot = Snapshot(
        request=request,
        account=account,
        ad=ad,
        ad_group=ad_groups.get(own_group or ""),
        campaign=campaigns.get(own_campaign or ""),
        target_campaign=target,
        target_ad_group=ad_groups.get(request.ad_group_id or ""),
        ad_group_count=sum(not is_deleted(row) for row in siblings),
        ad_count=sum(not is_deleted(row) for row in ads),
        ad_group_quota=quota,
        original_id=original or ("" if is_marked else None),
        now=client.now(),
        first_ad_group=min((row for row in siblings if not is_deleted(row)), key=_creation_order, default=None),
    )
    if not ad or not target or not snapshot.effective_ad_group:
        return snapshot
    try:
        return _load_creative(client, snapshot)
    except AdvertiserError as error:  # the account was read just now, so the endpoint is what is refused
        return replace(snapshot, forbidden_endpoint=error.endpoint)


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
    return replace(snapshot, images=images, is_video_available=covers is not None)


def _creation_order(row: JsonObject) -> tuple[str, int, str]:
    ad_group_id = str(row.get("adgroup_id") or "")
    return (str(row.get("create_time") or ""), len(ad_group_id), ad_group_id)

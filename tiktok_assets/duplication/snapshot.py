"""Load everything a duplication needs to read before it writes: ad, ad group, campaigns, limits and creative."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from tiktok_assets.api.client import Client
from tiktok_assets.api.creatives import (
    Identity,
    IdentityStatus,
    Post,
    are_images_in_library,
    read_identity_status,
    read_post,
    read_suggested_covers,
)
from tiktok_assets.api.errors import AdvertiserError
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.writes import list_objects, read_ad_group_quota
from tiktok_assets.duplication.ad_formats import (
    CAROUSEL,
    CUSTOM_IDENTITY,
    POSTING_IDENTITY_TYPES,
    VIDEO,
    choose_copy_method,
    get_identity,
)
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.duplication.payloads import (
    CopiedCreative,
    JsonObject,
    choose_budget_mode,
    has_campaign_budget_optimization,
    has_marker,
)
from tiktok_assets.spec.derived_tables import DELETED_SUFFIX
from tiktok_assets.spec.entities import AD_GROUPS, ADS, CAMPAIGNS
from tiktok_assets.spec.money import DAILY_BUDGET


@dataclass(frozen=True, slots=True)
class AccountContext:
    """What is known of the account from elsewhere.

    Attributes:
        currency: ISO 4217.
        added_budget: what duplications added to its budgets within a day, by the currency it had then.
        max_added_budget: what they may; None for no limit.
        identity: of the settings, for copies of ads whose own identity cannot be used again.
    """

    currency: str
    added_budget: Mapping[str, Decimal]
    max_added_budget: Decimal | None
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the checks and the requests are made of; None is an object the account does not have.

    Attributes:
        ad_groups: the ad groups of the target campaign that are not deleted; 0 where none is made.
        ads: the ads of the ad group named that are not deleted; 0 where none is named.
        quota: active ad groups of the account and how many may be; None where none is made.
        copy_of: the original, where the ad is one of our copies; "" where only its name says so.
        now: by the host's clock.
        first_ad_group: of the target campaign, by age; None where none is made or there is none.
        abilities: of the identity the copy needs; None where the account has it not, or none is needed.
        post: that of the ad, if its identity has it now; None where the copy needs none, too.
        images: those the copy uses, of the asset library.
        video_there: whether TikTok offers the account the ad's video now.
        forbidden: the endpoint that was refused when this was read; "" for none.
    """

    wish: DuplicationRequest
    account: AccountContext
    ad: JsonObject | None
    ad_group: JsonObject | None
    campaign: JsonObject | None
    target: JsonObject | None
    target_ad_group: JsonObject | None
    ad_groups: int
    ads: int
    quota: tuple[int, int] | None
    copy_of: str | None
    now: datetime
    first_ad_group: JsonObject | None = None
    abilities: IdentityStatus | None = None
    post: Post | None = None
    images: tuple[str, ...] = ()
    video_there: bool = True
    forbidden: str = ""

    @property
    def shown(self) -> CopiedCreative:
        """How the copy is shown."""
        ad, group = self.ad or {}, self.home
        method = choose_copy_method(ad, group, self.account.identity)
        if method == "pull" and self.post_refusal and self._can_post_again:
            method = "push"
        chosen = self.account.identity if method == "push" and ad.get("identity_type") == CUSTOM_IDENTITY else None
        return CopiedCreative(method, chosen or get_identity(ad), self.images)

    @property
    def post_refusal(self) -> str:
        """Why the ad's post cannot be shown again, in words that follow its name; "" where it can."""
        if self.abilities and not self.abilities.can_pull:
            return "may not be shown, as its account does not allow it; ask its owner, or choose another ad"
        if self.post is None:
            told = "is not among the posts TikTok shows this identity; it was deleted, or its owner took it back"
            return f"{told}, so choose another ad"
        refusal = self.post.refusal(self.now)
        return f"cannot be shown, as {refusal}; ask for a new authorisation code" if refusal else ""

    @property
    def _can_post_again(self) -> bool:
        """Whether the ad has media of its own that its identity can post once more."""
        ad, able = self.ad or {}, self.abilities
        media = {VIDEO: ad.get("video_id"), CAROUSEL: ad.get("image_ids")}.get(str(ad.get("ad_format")))
        return bool(able and able.can_push and media and ad.get("identity_type") in POSTING_IDENTITY_TYPES)

    @property
    def home(self) -> JsonObject:
        """The ad group the copy will be in, or whose copy it will be in."""
        return (self.ad_group if self.copies_ad_group else self.target_ad_group) or {}

    @property
    def copies_ad_group(self) -> bool:
        """Whether an ad group is made too."""
        return self.wish.ad_group_id is None

    @property
    def mode(self) -> str:
        """The budget mode of the copied ad group."""
        return choose_budget_mode(self.ad_group or {}, self.target or {}) if self.copies_ad_group else DAILY_BUDGET

    @property
    def is_spread(self) -> bool:
        """Whether the target campaign spreads its budget by itself."""
        return has_campaign_budget_optimization(self.target or {})

    @property
    def budget(self) -> Decimal | None:
        """The budget of the copied ad group: the one wished for, else the original's; None where it has none."""
        if self.wish.budget is not None:
            return self.wish.budget
        told = (self.ad_group or {}).get("budget")
        return Decimal(str(told)) if told else None

    @property
    def adds_budget(self) -> Decimal:
        """What the duplication adds for the cap: the copied ad group's budget; nothing where that is ignored.

        A budget for the whole schedule counts whole.
        """
        own = self.copies_ad_group and not self.is_spread
        return (self.budget or Decimal(0)) if own else Decimal(0)


def is_deleted(row: JsonObject) -> bool:
    """Whether an object, or what it stands in, is deleted."""
    return (
        str(row.get("secondary_status") or "").endswith(DELETED_SUFFIX) or row.get("operation_status") == "DELETE"
    )


def load_snapshot(
    client: Client, fetcher: Fetcher, ledger: Ledger, wish: DuplicationRequest, account: AccountContext
) -> Snapshot:
    """Read all of it, deleted objects included.

    Raises:
        TikTokError: if something cannot be read.
    """
    owner = wish.advertiser_id
    ad = next(iter(list_objects(fetcher, ADS, owner, {"ad_ids": [wish.ad_id]})), None)
    own_group = str(ad["adgroup_id"]) if ad else None
    wanted = sorted({one for one in (own_group, wish.ad_group_id) if one})
    found = list_objects(fetcher, AD_GROUPS, owner, {"adgroup_ids": wanted}) if wanted else []
    ad_groups = {str(row["adgroup_id"]): row for row in found}
    own_campaign = str(ad["campaign_id"]) if ad else None
    ids = sorted({one for one in (own_campaign, wish.campaign_id) if one})
    campaigns = {
        str(row["campaign_id"]): row for row in list_objects(fetcher, CAMPAIGNS, owner, {"campaign_ids": ids})
    }
    target = campaigns.get(wish.campaign_id)
    siblings: list[JsonObject] = []
    ads: list[JsonObject] = []
    quota = None
    if target and ad and wish.ad_group_id is None:
        siblings = [*list_objects(fetcher, AD_GROUPS, owner, {"campaign_ids": [wish.campaign_id]})]
        quota = read_ad_group_quota(client, owner)
    elif target and ad and wish.ad_group_id in ad_groups:
        ads = [*list_objects(fetcher, ADS, owner, {"adgroup_ids": [str(wish.ad_group_id)]})]
    original = ledger.original_of(owner, wish.ad_id)
    marked = bool(ad) and has_marker(str((ad or {}).get("ad_name") or ""))
    found_so_far = Snapshot(
        wish=wish,
        account=account,
        ad=ad,
        ad_group=ad_groups.get(own_group or ""),
        campaign=campaigns.get(own_campaign or ""),
        target=target,
        target_ad_group=ad_groups.get(wish.ad_group_id or ""),
        ad_groups=sum(not is_deleted(row) for row in siblings),
        ads=sum(not is_deleted(row) for row in ads),
        quota=quota,
        copy_of=original or ("" if marked else None),
        now=client.now(),
        first_ad_group=min((row for row in siblings if not is_deleted(row)), key=_age, default=None),
    )
    if not ad or not target or not found_so_far.home:
        return found_so_far
    try:
        return _with_creative(client, found_so_far)
    except AdvertiserError as error:  # the account was read just now, so it is the endpoint that is refused
        return replace(found_so_far, forbidden=error.endpoint)


def _with_creative(client: Client, found: Snapshot) -> Snapshot:
    """Read what the copy's creative needs beside the ad."""
    owner, ad = found.wish.advertiser_id, found.ad or {}
    identity, method = found.shown.identity, choose_copy_method(ad, found.home, found.account.identity)
    abilities: IdentityStatus | None = None
    post: Post | None = None
    if method != "custom" and identity.identity_id:
        abilities = read_identity_status(client, owner, identity)
    if method == "pull" and abilities and abilities.can_pull:
        carousel = ad.get("ad_format") == CAROUSEL
        post = read_post(client, owner, identity, str(ad["tiktok_item_id"]), carousel=carousel)
    found = replace(found, abilities=abilities, post=post)
    return found if found.shown.method == "pull" else _with_media(client, found, ad)


def _with_media(client: Client, found: Snapshot, ad: JsonObject) -> Snapshot:
    """Read whether the ad's video is there, and its images: its own where the library has them, else a cover."""
    owner, listed = found.wish.advertiser_id, ad.get("image_ids")
    video = ad.get("video_id") if ad.get("ad_format") == VIDEO else None
    ids = tuple(str(one) for one in listed if one) if isinstance(listed, list) else ()
    known = are_images_in_library(client, owner, ids)  # first, as its refusal means the permission alone
    covers = read_suggested_covers(client, owner, str(video)) if video else ()
    images = ids if known else (covers or ())
    return replace(found, images=images, video_there=covers is not None)


def _age(row: JsonObject) -> tuple[str, int, str]:
    told = str(row.get("adgroup_id") or "")
    return (str(row.get("create_time") or ""), len(told), told)

"""Hold everything a duplication reads before it writes: ad, ad group, campaigns, limits and creative."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tiktok_assets.api import Identity, IdentityStatus, Post
from tiktok_assets.duplication.ad_kinds import find_uncopyable_kind
from tiktok_assets.duplication.copy_rules import (
    CAROUSEL,
    CUSTOM_IDENTITY,
    POSTING_IDENTITY_TYPES,
    VIDEO,
    JsonObject,
    choose_copy_method,
    get_identity,
)
from tiktok_assets.duplication.field_selection import FieldNote, find_field_notes
from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.duplication.payloads import (
    CopiedCreative,
    choose_budget_mode,
    has_campaign_budget_optimization,
)
from tiktok_assets.duplication.smart_plus_payloads import choose_smart_plus_budget_mode, needs_call_to_action_id
from tiktok_assets.duplication.sources import convert_targeting, kind_of_campaign
from tiktok_assets.spec import AD_CREATE_FIELDS, AD_GROUP_CREATE_FIELDS, DAILY_BUDGET, CampaignKind


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

    Ads and ad groups have the form of `sources`: the manual names, whatever kind of campaign they are in.

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
        is_video_processing: whether the account has the video, and TikTok still processes it.
        forbidden_endpoint: the endpoint that refused the token; "" for none.
        is_creative_listed: whether the creative is part of its Upgraded Smart+ ad; true for any other ad.
        campaign_call_to_action_id: the set of calls to action of an ad of the target campaign, if needed.
        read_objects: what was read, as TikTok returned it, by role: `ad`, `ad_group`, `campaign`, ...
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
    is_video_processing: bool = False
    forbidden_endpoint: str = ""
    is_creative_listed: bool = True
    campaign_call_to_action_id: str | None = None
    read_objects: Mapping[str, JsonObject] = field(default_factory=dict)

    @property
    def kind(self) -> CampaignKind:
        """The kind of campaign that the copy is created in."""
        return kind_of_campaign(self.target_campaign)

    @property
    def source_kind(self) -> CampaignKind:
        """The kind of campaign of the ad."""
        return kind_of_campaign(self.ad)

    @property
    def objective(self) -> str:
        """The objective of the target campaign."""
        return str((self.target_campaign or {}).get("objective_type") or "")

    @property
    def is_source_copyable(self) -> bool:
        """Whether the ad, its ad group and its campaign are of kinds of which copies can be created."""
        return not any(find_uncopyable_kind(row or {}) for row in (self.ad, self.ad_group, self.campaign))

    @property
    def copied_ad_group(self) -> JsonObject:
        """The ad group to copy, with targeting that means the same in the target campaign."""
        return convert_targeting(self.ad_group or {}, self.kind)

    @property
    def field_notes(self) -> list[FieldNote]:
        """The fields of the source that are unknown, refused, or left out because the target's kind lacks them."""
        ad = self.read_objects.get("smart_plus_ad") or self.read_objects.get("ad") or {}
        notes = find_field_notes(ad, AD_CREATE_FIELDS, self.source_kind, self.kind)
        if self.kind == "smart_plus" and self.campaign_call_to_action_id:
            reason = "TikTok requires a set of them here; the copy gets that of the campaign's newest ad"
            notes.append(FieldNote("call_to_action", "left out", reason))
        if self.copies_ad_group:
            group = self.read_objects.get("ad_group") or {}
            notes += find_field_notes(group, AD_GROUP_CREATE_FIELDS, self.source_kind, self.kind)
        return notes

    @property
    def call_to_action_id(self) -> str | None:
        """The set of calls to action of a copy; None if it has a single one, or none is known."""
        own = (self.ad or {}).get("call_to_action_id")
        if own or not self.needs_call_to_action_id:
            return str(own) if own else None
        return self.campaign_call_to_action_id

    @property
    def needs_call_to_action_id(self) -> bool:
        """Whether TikTok requires a set of calls to action for the copy."""
        return self.kind == "smart_plus" and needs_call_to_action_id(
            self.creative, self.effective_ad_group, self.objective
        )

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
        return self.copied_ad_group if self.copies_ad_group else (self.target_ad_group or {})

    @property
    def copies_ad_group(self) -> bool:
        """Whether an ad group is created too."""
        return self.request.ad_group_id is None

    @property
    def budget_mode(self) -> str:
        """The budget mode of the copied ad group."""
        if not self.copies_ad_group:
            return DAILY_BUDGET
        if self.kind == "smart_plus":
            return choose_smart_plus_budget_mode(self.ad_group or {})
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

"""Define the plan, the ids and the entities of the sandbox's world.

Instants are epoch seconds, and amounts of money are minor units of the account's currency.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tiktok_assets.sandbox.world.seed_data import CURRENCIES, OBJECTIVES, Account, Currency, Objective

if TYPE_CHECKING:
    from tiktok_assets.sandbox.world.gmv_max import Shop


class IdGenerator:
    """Generates unique ids that contain their creation time, as TikTok's do (API notes 1.5)."""

    def __init__(self) -> None:
        self._count = 0

    def entity(self, created: int) -> str:
        """Return the next id of a campaign, ad group or ad: 16 digits, epoch seconds x 2^20 + low bits."""
        self._count += 1
        return str((created << 20) | (self._count * 1031 % (1 << 20)))

    @staticmethod
    def account(created: int, low: int) -> str:
        """Return the id of an account or app: 19 digits, epoch seconds x 2^32 + low bits."""
        return str((created << 32) | low)


DEFAULT_ANCHOR = datetime(2026, 11, 9, 18, 0, tzinfo=UTC)
MIN_SCENARIO_DAYS = 75  # history before the anchor that the scenario needs


@dataclass(frozen=True, kw_only=True)
class WorldPlan:
    """The complete description of a world: equal plans give equal worlds.

    Attributes:
        seed: The seed of every generated value.
        anchor: The "now" of the scenario; campaigns and spend are generated backwards from it.
        days: Days of history before the anchor.
        advertisers: Number of accounts: Los Angeles, Tokyo, Berlin, one without campaigns, one not granted, more.
        campaigns: Campaigns of each account that has any; None for 4-6.
        ad_groups: Ad groups of each such account, over all its campaigns; None for 2-3 a campaign.
        ads: Ads of each such account, over all its ad groups; None for 3-5 an ad group.
        smart_plus: Whether the third account has an Upgraded Smart+ campaign; never in a dense world.
        smart_plus_story: Whether the first account has an Upgraded Smart+ campaign whose leading creative changes
            when the leading ad of the scenario does, one to scale it in, and others with creatives of each format;
            never in a dense world.
        gmv_max: Whether the first account has a TikTok Shop with GMV Max campaigns.
        worn_creatives: Whether the first account has a campaign with a creative whose 2-second views and clicks
            per impression decay, a steady one, and a new one; never in a dense world.
        hidden_campaigns: Whether the first account has a TopView and a Promote campaign, which lists and reports
            include on request only.
        dense: Whether every ad delivers on every day, nothing is deleted and there is no scenario.
    """

    seed: int = 7
    anchor: datetime = DEFAULT_ANCHOR
    days: int = 180
    advertisers: int = 5
    campaigns: int | None = None
    ad_groups: int | None = None
    ads: int | None = None
    smart_plus: bool = True
    smart_plus_story: bool = False
    gmv_max: bool = False
    worn_creatives: bool = False
    hidden_campaigns: bool = False
    dense: bool = False

    def __post_init__(self) -> None:
        if self.anchor.tzinfo is None:
            raise ValueError("WorldPlan.anchor needs a time zone.")
        if not self.dense and self.days < MIN_SCENARIO_DAYS:
            raise ValueError(
                f"WorldPlan.days must be at least {MIN_SCENARIO_DAYS}: the scenario needs that history."
            )
        for name in ("days", "advertisers", "campaigns", "ad_groups", "ads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"WorldPlan.{name} must be at least 1, not {value}.")


@dataclass(kw_only=True)
class Entity:
    """The attributes that campaigns, ad groups and ads share.

    Attributes:
        id: The API's id.
        name: The current name; earlier names are not kept.
        created: When it was created.
        paused: When the generator paused it; None for never.
        deleted: When it was deleted; None for never.
        edited: When it was last edited; None for never.
        status_changes: Status updates by requests, as (instant, enabled), oldest first.
        fields: Fields of the API object that differ from the defaults.
        smart_plus_fields: Fields that only the object of /smart_plus/ has.
    """

    id: str
    name: str
    created: int
    paused: int | None = None
    deleted: int | None = None
    edited: int | None = None
    status_changes: list[tuple[int, bool]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    smart_plus_fields: dict[str, Any] = field(default_factory=dict)

    def exists(self, now: int) -> bool:
        """Return whether the entity has been created."""
        return self.created <= now

    def is_deleted(self, now: int) -> bool:
        """Return whether the entity itself is deleted, whatever its parents are."""
        return self.deleted is not None and self.deleted <= now

    def is_paused(self, now: int) -> bool:
        """Return whether the entity itself is paused, whatever its parents are."""
        states = [enabled for instant, enabled in self.status_history() if instant <= now]
        return bool(states) and not states[-1]

    def status_history(self) -> list[tuple[int, bool]]:
        """Return the entity's own status changes as (instant, enabled), oldest first."""
        built = [] if self.paused is None else [(self.paused, False)]
        return sorted(built + self.status_changes, key=lambda change: change[0])

    def modified_at(self, now: int) -> int:
        """Return the last instant up to `now` at which the entity changed."""
        changes = (self.created, self.paused, self.deleted, self.edited, *(at for at, _ in self.status_changes))
        return max(instant for instant in changes if instant is not None and instant <= now)


@dataclass(kw_only=True)
class Campaign(Entity):
    """A campaign; `budget` is in minor units."""

    advertiser: "Advertiser" = field(repr=False)
    objective_type: str
    budget_mode: str = "BUDGET_MODE_INFINITE"
    budget: int = 0
    budget_optimize_on: bool = False
    ad_groups: list["AdGroup"] = field(default_factory=list, repr=False)

    @property
    def automation(self) -> str:
        """Return MANUAL or UPGRADED_SMART_PLUS (API notes 5.7)."""
        return str(self.fields.get("campaign_automation_type", "MANUAL"))

    @property
    def objective(self) -> Objective:
        """Return the defaults that follow from the objective."""
        return OBJECTIVES[self.objective_type]


@dataclass(kw_only=True)
class AdGroup(Entity):
    """An ad group; `budget` and `bid` are in minor units.

    Attributes:
        starts_at: The start of its schedule; None for its creation.
        ends_at: The end of its schedule; None for no end.
        scheduled: A budget that takes effect later, as (instant, minor units).
    """

    campaign: Campaign = field(repr=False)
    budget: int = 0
    bid: int = 0
    age_groups: list[str] | None = None
    starts_at: int | None = None
    ends_at: int | None = None
    scheduled: tuple[int, int] | None = None
    ads: list["Ad"] = field(default_factory=list, repr=False)
    smart_plus_ads: list["SmartPlusAd"] = field(default_factory=list, repr=False)


@dataclass(kw_only=True)
class SmartPlusAd(Entity):
    """An ad of an Upgraded Smart+ campaign, whose creatives are the `Ad`s that refer to it (API notes 5.7).

    `smart_plus_fields` has the lists and the `ad_configuration` of its API object (get_upgraded_smart_ads).
    """

    ad_group: AdGroup = field(repr=False)

    @property
    def campaign(self) -> Campaign:
        """Return the campaign of the ad."""
        return self.ad_group.campaign

    @property
    def creatives(self) -> list["Ad"]:
        """Return the creatives of the ad."""
        return [ad for ad in self.ad_group.ads if ad.smart_plus_ad is self]


@dataclass(frozen=True)
class Wear:
    """How an ad's creative wears out: its 2-second views and clicks per impression decay.

    Attributes:
        since: The first day with less, in days before the anchor.
        days: Within how many days the loss grows to its full size.
        loss: The part that is lost then, in thousandths.
    """

    since: int
    days: int
    loss: int

    def kept(self, days_before: int) -> int:
        """Return the part that is left on a day, in thousandths."""
        worn = self.since - days_before + 1
        return 1000 - self.loss * min(max(worn, 0), self.days) // self.days


@dataclass(kw_only=True)
class Ad(Entity):
    """An ad, with the parameters of its delivery.

    In an Upgraded Smart+ campaign an `Ad` is one creative of its `smart_plus_ad` (API notes 5.7).

    Attributes:
        daily_target: The spend a day it aims at, in minor units.
        daily_cap: The most it spends a day, in minor units.
        fatigue: How much slower it spends each day, in thousandths.
        fatigue_floor: The part of its target that it keeps, in thousandths.
        never_idle: Whether it delivers on every day.
        in_review: Whether it stays in review for good.
        wear: How its creative wears out; None if it does not.
        spend_script: The exact spend instead, as (from days before the anchor, to days before it, cents a day).
        smart_plus_ad: In Smart+ campaigns the ad that this creative belongs to.
        reviews: Reviews, as (start, end).
    """

    ad_group: AdGroup = field(repr=False)
    daily_target: int = 0
    daily_cap: int = 0
    fatigue: int = 0
    fatigue_floor: int = 0
    never_idle: bool = False
    in_review: bool = False
    spend_script: tuple[tuple[int, int, int], ...] = ()
    wear: Wear | None = None
    smart_plus_ad: SmartPlusAd | None = field(default=None, repr=False)
    call_to_action: str = "LEARN_MORE"
    text: str = ""
    reviews: list[tuple[int, int]] = field(default_factory=list)

    @property
    def smart_plus_ad_id(self) -> str | None:
        """Return the id of the Upgraded Smart+ ad; None for a manual ad."""
        return self.smart_plus_ad.id if self.smart_plus_ad else None

    @property
    def ad_id_v2(self) -> str:
        """Return the id of the ad: in Smart+ campaigns of the ad, not of the creative (API notes 5.7)."""
        return self.smart_plus_ad_id or self.id

    @property
    def campaign(self) -> Campaign:
        """Return the campaign of the ad."""
        return self.ad_group.campaign

    def is_in_review(self, now: int) -> bool:
        """Return whether the ad is in review (API notes 8.5)."""
        return self.in_review or any(begin <= now < end for begin, end in self.reviews)


@dataclass(kw_only=True)
class Advertiser:
    """An advertiser account with its campaigns; `granted` is whether the tokens may use it."""

    id: str
    account: Account
    created: int
    granted: bool
    campaigns: list[Campaign] = field(default_factory=list, repr=False)
    shops: list["Shop"] = field(default_factory=list, repr=False)

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of the account's days (API notes 7)."""
        return ZoneInfo(self.account.display_timezone)

    @property
    def currency(self) -> Currency:
        """Return the account's currency."""
        return CURRENCIES[self.account.currency]

    @property
    def ad_groups(self) -> list[AdGroup]:
        """Return every ad group of the account."""
        return [ad_group for campaign in self.campaigns for ad_group in campaign.ad_groups]

    @property
    def ads(self) -> list[Ad]:
        """Return every ad of the account."""
        return [ad for ad_group in self.ad_groups for ad in ad_group.ads]

    @property
    def smart_plus_ads(self) -> list[SmartPlusAd]:
        """Return every Upgraded Smart+ ad of the account."""
        return [ad for ad_group in self.ad_groups for ad in ad_group.smart_plus_ads]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The ids of the leader change that happens between `t1` and `t2`.

    In an Upgraded Smart+ campaign the two ads are creatives.
    """

    advertiser_id: str
    campaign_id: str
    old_leader_ad_id: str
    new_leader_ad_id: str
    scaling_campaign_id: str
    t1: datetime
    t2: datetime


READY, TRANSCODING, DELETED = "ready", "transcoding", "deleted"
VIDEO_STATES = (READY, TRANSCODING, DELETED)


@dataclass(kw_only=True)
class World:
    """Everything that exists, whatever the server shows of it.

    Attributes:
        plan: The plan it was generated from.
        advertisers: The accounts, by id.
        scenario: The leader change, if the plan has one.
        smart_plus_scenario: The leader change of creatives in an Upgraded Smart+ campaign, if the plan has one.
        other_token: A valid token of another app.
        media_libraries: The media of each account, computed on first use.
        video_states: The state of a video by its id, one of `VIDEO_STATES`; READY for all others.
        withdrawn_posts: When the authorization of a post ended, by its id.
        request_ids: When each request id was last used, in monotonic seconds.
        version: Grows with every write, so that cached results become stale.
    """

    plan: WorldPlan
    advertisers: dict[str, Advertiser]
    scenario: Scenario | None
    smart_plus_scenario: Scenario | None = None
    token: str
    app_id: str
    secret: str
    other_token: str
    other_app_id: str
    other_secret: str
    ids: IdGenerator = field(default_factory=IdGenerator)
    media_libraries: dict[str, Any] = field(default_factory=dict)
    video_states: dict[str, str] = field(default_factory=dict)
    withdrawn_posts: dict[str, int] = field(default_factory=dict)
    request_ids: dict[str, float] = field(default_factory=dict)
    version: int = 0


def epoch_seconds(instant: datetime) -> int:
    """Convert an aware instant to whole epoch seconds."""
    return int(instant.timestamp())


def format_utc(seconds: int) -> str:
    """Format an instant as the API does the times of entities: UTC text (API notes 5.4, 7)."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")

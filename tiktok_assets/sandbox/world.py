"""The seeded world: accounts, campaigns, ad groups and ads with the instants at which they change."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tiktok_assets.sandbox.names import CURRENCIES, OBJECTIVES, Account, Currency, Objective
from tiktok_assets.sandbox.plan import WorldPlan


@dataclass(kw_only=True)
class Entity:
    """What campaigns, ad groups and ads share; the instants are epoch seconds, None = never."""

    id: str
    name: str
    created: int
    paused: int | None = None
    deleted: int | None = None
    edited: int | None = None

    def exists(self, now: int) -> bool:
        """Say whether the entity has come into being."""
        return self.created <= now

    def is_deleted(self, now: int) -> bool:
        """Say whether the entity itself has been deleted."""
        return self.deleted is not None and self.deleted <= now

    def is_paused(self, now: int) -> bool:
        """Say whether the entity itself has been switched off."""
        return self.paused is not None and self.paused <= now

    def modified(self, now: int) -> int:
        """Return the last instant at which the entity changed, as known now."""
        changes = (self.created, self.paused, self.deleted, self.edited)
        return max(instant for instant in changes if instant is not None and instant <= now)


@dataclass(kw_only=True)
class Campaign(Entity):
    """A campaign; `budget` is in minor units of the account's currency."""

    advertiser: "Advertiser" = field(repr=False)
    objective_type: str
    budget_mode: str = "BUDGET_MODE_INFINITE"
    budget: int = 0
    budget_optimize_on: bool = False
    ad_groups: list["AdGroup"] = field(default_factory=list, repr=False)

    @property
    def objective(self) -> Objective:
        """Return the traits that follow from the objective."""
        return OBJECTIVES[self.objective_type]


@dataclass(kw_only=True)
class AdGroup(Entity):
    """An ad group; `budget` and `bid` are in minor units."""

    campaign: Campaign = field(repr=False)
    budget: int = 0
    bid: int = 0
    age_groups: list[str] | None = None
    ads: list["Ad"] = field(default_factory=list, repr=False)


@dataclass(kw_only=True)
class Ad(Entity):
    """An ad with the shape of its delivery.

    `daily` and `cap` are minor units a day; `script` maps days before the anchor to an exact spend.
    """

    ad_group: AdGroup = field(repr=False)
    daily: int = 0
    cap: int = 0
    fatigue: int = 0  # parts per thousand lost a day, roughly
    fatigue_floor: int = 0  # parts per thousand that remain
    always: bool = False  # never idle for a day
    in_review: bool = False
    script: tuple[tuple[int, int, int], ...] = ()
    call_to_action: str = "LEARN_MORE"
    text: str = ""

    @property
    def campaign(self) -> Campaign:
        """Return the campaign the ad is under."""
        return self.ad_group.campaign

    def stop(self) -> int | None:
        """Return the instant from which the ad no longer delivers, if there is one."""
        owners: tuple[Entity, ...] = (self, self.ad_group, self.campaign)
        ends = [end for owner in owners for end in (owner.paused, owner.deleted) if end is not None]
        return min(ends, default=None)


@dataclass(kw_only=True)
class Advertiser:
    """An advertiser account with all it holds."""

    id: str
    account: Account
    created: int
    granted: bool
    campaigns: list[Campaign] = field(default_factory=list, repr=False)

    @property
    def zone(self) -> ZoneInfo:
        """Return the zone in which the account's days are counted (dossier 7)."""
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


@dataclass(frozen=True, kw_only=True)
class Story:
    """The one leader change of the world, between `t1` and `t2`."""

    advertiser_id: str
    campaign_id: str
    old_leader_ad_id: str
    new_leader_ad_id: str
    scaling_campaign_id: str
    t1: datetime
    t2: datetime


@dataclass(kw_only=True)
class World:
    """Everything that is true, whatever the server says about it."""

    plan: WorldPlan
    advertisers: dict[str, Advertiser]
    story: Story | None
    token: str
    app_id: str
    secret: str
    version: int = 0  # grows with every write, so that nothing kept outlives it


def epoch(instant: datetime) -> int:
    """Return an aware instant as whole epoch seconds."""
    return int(instant.timestamp())


def utc_text(seconds: int) -> str:
    """Return an instant as the API writes entity times: UTC text (dossier 5.4, 7)."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")

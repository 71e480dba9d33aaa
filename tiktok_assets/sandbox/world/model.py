"""Define the entities of the sandbox's world, its plan and its ids."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tiktok_assets.sandbox.world.seed_data import CURRENCIES, OBJECTIVES, Account, Currency, Objective


class IdGenerator:
    """Hands out identifiers, each once."""

    def __init__(self) -> None:
        self._count = 0

    def entity(self, created: int) -> str:
        """Return 16 digits: unix seconds x 2^20 + low bits."""
        self._count += 1
        return str((created << 20) | (self._count * 1031 % (1 << 20)))

    @staticmethod
    def account(created: int, low: int) -> str:
        """Return 19 digits: unix seconds x 2^32 + low bits."""
        return str((created << 32) | low)


DEFAULT_ANCHOR = datetime(2026, 11, 9, 18, 0, tzinfo=UTC)
MIN_SCENARIO_DAYS = 75  # the story needs this much history before the anchor


@dataclass(frozen=True, kw_only=True)
class WorldPlan:
    """The complete description of a world: equal plans give equal worlds.

    Attributes:
        seed: Every made-up value follows from it.
        anchor: The "now" of the story; campaigns, spend and story are laid out backwards from it.
        days: Days of history before the anchor.
        advertisers: 1 Los Angeles, 2 Tokyo, 3 Berlin, 4 without campaigns, 5 without its grant, then more.
        campaigns: Campaigns of each live advertiser; None takes a handful.
        ad_groups: Ad groups of each live advertiser, over all its campaigns; None takes 2-3 a campaign.
        ads: Ads of each live advertiser, over all its ad groups; None takes 3-5 an ad group.
        smart_plus: The third account has an Upgraded Smart+ campaign, unless the world is dense.
        hidden_campaigns: The first account has a TopView and a Promote campaign, which lists and reports leave
            out unless they are asked for.
        dense: Every ad delivers on every day, nothing is deleted, and there is no story.
    """

    seed: int = 7
    anchor: datetime = DEFAULT_ANCHOR
    days: int = 180
    advertisers: int = 5
    campaigns: int | None = None
    ad_groups: int | None = None
    ads: int | None = None
    smart_plus: bool = True
    hidden_campaigns: bool = False
    dense: bool = False

    def __post_init__(self) -> None:
        if self.anchor.tzinfo is None:
            raise ValueError("WorldPlan.anchor needs a time zone.")
        if not self.dense and self.days < MIN_SCENARIO_DAYS:
            raise ValueError(f"WorldPlan.days must be at least {MIN_SCENARIO_DAYS}: the story needs that history.")
        for name in ("days", "advertisers", "campaigns", "ad_groups", "ads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"WorldPlan.{name} must be at least 1, not {value}.")


@dataclass(kw_only=True)
class Entity:
    """What campaigns, ad groups and ads share; the instants are epoch seconds, None = never.

    `switched` and `fields` come from writes: (instant, on) in order, and values of the API's object.
    """

    id: str
    name: str
    created: int
    paused: int | None = None
    deleted: int | None = None
    edited: int | None = None
    switched: list[tuple[int, bool]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)

    def exists(self, now: int) -> bool:
        """Say whether the entity has come into being."""
        return self.created <= now

    def is_deleted(self, now: int) -> bool:
        """Say whether the entity itself has been deleted."""
        return self.deleted is not None and self.deleted <= now

    def is_paused(self, now: int) -> bool:
        """Say whether the entity itself has been switched off."""
        states = [on for instant, on in self.toggles() if instant <= now]
        return bool(states) and not states[-1]

    def toggles(self) -> list[tuple[int, bool]]:
        """Return when the entity's own switch was turned, and to what."""
        built = [] if self.paused is None else [(self.paused, False)]
        return sorted(built + self.switched, key=lambda turn: turn[0])

    def modified(self, now: int) -> int:
        """Return the last instant at which the entity changed, as known now."""
        changes = (self.created, self.paused, self.deleted, self.edited, *(at for at, _ in self.switched))
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
    def automation(self) -> str:
        """Return MANUAL or UPGRADED_SMART_PLUS (dossier 5.7)."""
        return str(self.fields.get("campaign_automation_type", "MANUAL"))

    @property
    def objective(self) -> Objective:
        """Return the traits that follow from the objective."""
        return OBJECTIVES[self.objective_type]


@dataclass(kw_only=True)
class AdGroup(Entity):
    """An ad group; `budget` and `bid` are in minor units.

    `starts` and `ends` bound its delivery; `scheduled` is a budget with the instant it takes effect.
    """

    campaign: Campaign = field(repr=False)
    budget: int = 0
    bid: int = 0
    age_groups: list[str] | None = None
    starts: int | None = None
    ends: int | None = None
    scheduled: tuple[int, int] | None = None
    ads: list["Ad"] = field(default_factory=list, repr=False)


@dataclass(kw_only=True)
class Ad(Entity):
    """An ad with the shape of its delivery.

    In an Upgraded Smart+ campaign this is one creative, and `asset_group` the ad (dossier 5.7).
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
    asset_group: str | None = None
    call_to_action: str = "LEARN_MORE"
    text: str = ""
    reviews: list[tuple[int, int]] = field(default_factory=list)

    @property
    def ad_id_v2(self) -> str:
        """Return the id of the ad, which is the creative's own but in Smart+ (dossier 5.7)."""
        return self.asset_group or self.id

    @property
    def campaign(self) -> Campaign:
        """Return the campaign the ad is under."""
        return self.ad_group.campaign

    def is_in_review(self, now: int) -> bool:
        """Say whether a review of the ad is under way (dossier 8.5)."""
        return self.in_review or any(begin <= now < end for begin, end in self.reviews)


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
class Scenario:
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
    story: Scenario | None
    token: str
    app_id: str
    secret: str
    other_token: str  # valid, but of another app
    other_app_id: str
    other_secret: str
    ids: IdGenerator = field(default_factory=IdGenerator)
    media: dict[str, Any] = field(default_factory=dict)  # by account, once asked for
    withdrawn: dict[str, int] = field(default_factory=dict)  # posts no longer authorised, and since when
    request_ids: dict[str, float] = field(default_factory=dict)  # when each was last used, wall seconds
    version: int = 0  # grows with every write, so that nothing kept outlives it


def epoch_seconds(instant: datetime) -> int:
    """Return an aware instant as whole epoch seconds."""
    return int(instant.timestamp())


def format_utc(seconds: int) -> str:
    """Return an instant as the API writes entity times: UTC text (dossier 5.4, 7)."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")

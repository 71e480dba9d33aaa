"""What to build: the seed and the sizes of a world."""

from dataclasses import dataclass
from datetime import UTC, datetime

DEFAULT_ANCHOR = datetime(2026, 11, 9, 18, 0, tzinfo=UTC)
STORY_DAYS = 75  # the story needs this much history before the anchor


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
        if not self.dense and self.days < STORY_DAYS:
            raise ValueError(f"WorldPlan.days must be at least {STORY_DAYS}: the story needs that history.")
        for name in ("days", "advertisers", "campaigns", "ad_groups", "ads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"WorldPlan.{name} must be at least 1, not {value}.")

"""Build the campaigns, ad groups and ads of one account."""

from dataclasses import dataclass
from datetime import timedelta
from random import Random

from tiktok_assets.sandbox.world.model import (
    Ad,
    AdGroup,
    Advertiser,
    Campaign,
    IdGenerator,
    Scenario,
    WorldPlan,
    epoch_seconds,
)
from tiktok_assets.sandbox.world.seed_data import AGE_GROUPS, AUDIENCES, CALLS_TO_ACTION, HOOKS

DAY_SECONDS = 86_400
LEADER_CHANGE_WINDOW = timedelta(days=3)  # between `Scenario.t1` and `Scenario.t2`
LEADER_WEIGHT = 2.2  # a fixed leader outspends each sibling on every day


@dataclass
class Builder:
    """Builds the entities of one account; `random` is the account's own random generator."""

    plan: WorldPlan
    ids: IdGenerator
    random: Random

    @property
    def anchor(self) -> int:
        """Return the plan's anchor as epoch seconds."""
        return epoch_seconds(self.plan.anchor)

    def campaign(self, advertiser: Advertiser, name: str, objective_type: str, days_before: float) -> Campaign:
        """Add a campaign created that many days before the anchor."""
        created = self.anchor - int(days_before * DAY_SECONDS)
        campaign = Campaign(
            id=self.ids.entity(created),
            name=name,
            created=created,
            advertiser=advertiser,
            objective_type=objective_type,
        )
        advertiser.campaigns.append(campaign)
        return campaign

    def ad_group(self, campaign: Campaign, name: str, created: int) -> AdGroup:
        """Add an ad group."""
        ad_group = AdGroup(
            id=self.ids.entity(created),
            name=name,
            created=created,
            campaign=campaign,
            age_groups=self.random.choice(AGE_GROUPS),
            bid=self.to_minor_units(campaign, 0.15),
        )
        campaign.ad_groups.append(ad_group)
        return ad_group

    def ad(self, ad_group: AdGroup, name: str, created: int, dollars_a_day: float) -> Ad:
        """Add an ad with ordinary delivery."""
        daily = self.to_minor_units(ad_group.campaign, dollars_a_day)
        ad = Ad(
            id=self.ids.entity(created),
            name=name,
            created=created,
            ad_group=ad_group,
            daily_target=daily,
            daily_cap=daily * 13 // 10,
            fatigue=self.random.randint(4, 30),
            fatigue_floor=100,
            call_to_action=self.random.choice(CALLS_TO_ACTION),
            text=f"{name.split(' | ', maxsplit=1)[0]}: try it today.",
        )
        ad_group.ads.append(ad)
        return ad

    @staticmethod
    def dollar(advertiser: Advertiser) -> float:
        """Return one US dollar in minor units of the account's currency."""
        return advertiser.currency.units_per_dollar * advertiser.currency.minor_per_unit

    @staticmethod
    def to_minor_units(campaign: Campaign, dollars: float) -> int:
        """Convert dollars to minor units of the campaign's currency."""
        currency = campaign.advertiser.currency
        return int(dollars * currency.units_per_dollar * currency.minor_per_unit)

    def make_leader(self, ad: Ad) -> None:
        """Make an ad spend steadily, so that it stays its campaign's leader."""
        ad.fatigue, ad.fatigue_floor, ad.never_idle = 2, 700, True

    def fill_campaign(self, campaign: Campaign, ad_groups: int, ads: list[int]) -> None:
        """Add ad groups and ads; the first ad of the first ad group leads from the first day."""
        base = self.random.uniform(14, 45)
        for index in range(ad_groups):
            span = max(self.anchor - campaign.created - 30 * DAY_SECONDS, DAY_SECONDS)
            delay = 600 if index == 0 else self.random.randint(DAY_SECONDS, max(span // 2, DAY_SECONDS + 1))
            ad_group = self.ad_group(campaign, AUDIENCES[index % len(AUDIENCES)], campaign.created + delay)
            for number in range(ads[index]):
                is_leader = index == 0 and number == 0
                ad_delay = 900 if is_leader else 900 + self.random.randint(0, span // 3)
                weight = LEADER_WEIGHT if is_leader else self.random.uniform(0.15, 0.9)
                hook = HOOKS[(campaign.created // DAY_SECONDS + index * 5 + number) % len(HOOKS)]
                name = f"{hook} | v{number + 1}"
                ad = self.ad(ad_group, name, ad_group.created + ad_delay + number, base * weight)
                if is_leader:
                    self.make_leader(ad)
            self.set_budget(ad_group)

    def set_budget(self, ad_group: AdGroup) -> None:
        """Set a daily budget that covers the caps of the ad group's ads (minimum: API notes 8.6)."""
        minimum = self.to_minor_units(ad_group.campaign, 20)
        ad_group.budget = (
            0
            if ad_group.campaign.budget_optimize_on
            else max(minimum, -(-sum(ad.daily_cap for ad in ad_group.ads) // 100) * 100)
        )

    def scenario(self, testing: Campaign, scaling: Campaign, old: Ad, new: Ad) -> Scenario:
        """Return the ids of a leader change between two ads of a campaign."""
        return Scenario(
            advertiser_id=testing.advertiser.id,
            campaign_id=testing.id,
            old_leader_ad_id=old.id,
            new_leader_ad_id=new.id,
            scaling_campaign_id=scaling.id,
            t1=self.plan.anchor - LEADER_CHANGE_WINDOW,
            t2=self.plan.anchor,
        )

    def days_ago(self, days: float) -> int:
        """Return the instant that many days before the anchor."""
        return self.anchor - int(days * DAY_SECONDS)

    def add_status_changes(self, advertiser: Advertiser) -> None:
        """Pause, delete or review some entities, but never a campaign's leader."""
        *_, paused, deleted = advertiser.campaigns
        paused.paused, deleted.deleted = self.days_ago(31.2), self.days_ago(44.6)
        for index, campaign in enumerate(advertiser.campaigns[1:]):
            last = campaign.ad_groups[-1]
            if len(campaign.ad_groups) > 1 and index % 3 == 1:
                last.deleted = self.days_ago(19.4)
            elif len(campaign.ad_groups) > 1 and index % 3 == 2:
                last.paused = self.days_ago(12.7)
            siblings = campaign.ad_groups[0].ads[1:]
            if siblings:
                siblings[-1].deleted = max(self.days_ago(23.3 - index), siblings[-1].created + 2 * DAY_SECONDS)
            if len(siblings) > 1:
                siblings[0].paused = max(self.days_ago(9.1), siblings[0].created + 2 * DAY_SECONDS)
        first = advertiser.campaigns[0]
        review = self.ad(first.ad_groups[-1], "New edit | in review", self.days_ago(1.9), 0)
        review.in_review = True
        first.edited = self.days_ago(5.5)

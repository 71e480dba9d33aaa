"""Build campaigns, ad groups and ads of one account."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from random import Random

from tiktok_assets.sandbox.world.model import (
    Ad,
    AdGroup,
    Advertiser,
    Campaign,
    IdGenerator,
    Scenario,
    World,
    WorldPlan,
    epoch_seconds,
)
from tiktok_assets.sandbox.world.scenario import add_scenario
from tiktok_assets.sandbox.world.seed_data import ACCOUNTS, AGE_GROUPS, AUDIENCES, CALLS_TO_ACTION, HOOKS, THEMES
from tiktok_assets.sandbox.world.status import add_hidden_campaigns

DAY_SECONDS = 86_400
LEADER_WEIGHT = 2.2  # a campaign's fixed leader outspends each sibling on every single day


@dataclass
class Builder:
    """Builds one account's tree; `random` is that account's own generator."""

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
            bid=self.minor(campaign, 0.15),
        )
        campaign.ad_groups.append(ad_group)
        return ad_group

    def ad(self, ad_group: AdGroup, name: str, created: int, dollars_a_day: float) -> Ad:
        """Add an ad with an ordinary shape of delivery."""
        daily = self.minor(ad_group.campaign, dollars_a_day)
        ad = Ad(
            id=self.ids.entity(created),
            name=name,
            created=created,
            ad_group=ad_group,
            daily=daily,
            cap=daily * 13 // 10,
            fatigue=self.random.randint(4, 30),
            fatigue_floor=100,
            call_to_action=self.random.choice(CALLS_TO_ACTION),
            text=f"{name.split(' | ', maxsplit=1)[0]}: try it today.",
        )
        ad_group.ads.append(ad)
        return ad

    @staticmethod
    def minor(campaign: Campaign, dollars: float) -> int:
        """Return an amount of dollars in minor units of the campaign's currency."""
        currency = campaign.advertiser.currency
        return int(dollars * currency.per_dollar * currency.minor)

    def lead(self, ad: Ad) -> None:
        """Make an ad its campaign's leader for good: heavier, never idle, slow to tire."""
        ad.fatigue, ad.fatigue_floor, ad.always = 2, 700, True

    def ordinary(self, campaign: Campaign, ad_groups: int, ads: list[int]) -> None:
        """Fill a campaign: the first ad of the first ad group is its leader from the first day."""
        base = self.random.uniform(14, 45)
        for index in range(ad_groups):
            room = max(self.anchor - campaign.created - 30 * DAY_SECONDS, DAY_SECONDS)
            wait = 600 if index == 0 else self.random.randint(DAY_SECONDS, max(room // 2, DAY_SECONDS + 1))
            ad_group = self.ad_group(campaign, AUDIENCES[index % len(AUDIENCES)], campaign.created + wait)
            for number in range(ads[index]):
                leads = index == 0 and number == 0
                later = 900 if leads else 900 + self.random.randint(0, room // 3)
                weight = LEADER_WEIGHT if leads else self.random.uniform(0.15, 0.9)
                hook = HOOKS[(campaign.created // DAY_SECONDS + index * 5 + number) % len(HOOKS)]
                name = f"{hook} | v{number + 1}"
                ad = self.ad(ad_group, name, ad_group.created + later + number, base * weight)
                if leads:
                    self.lead(ad)
            self.set_budget(ad_group)

    def set_budget(self, ad_group: AdGroup) -> None:
        """Give the ad group a daily budget its ads' caps fit into (minimum: dossier 8.6)."""
        least = self.minor(ad_group.campaign, 20)
        ad_group.budget = (
            0
            if ad_group.campaign.budget_optimize_on
            else max(least, -(-sum(ad.cap for ad in ad_group.ads) // 100) * 100)
        )

    def ago(self, days: float) -> int:
        """Return the instant that many days before the anchor."""
        return self.anchor - int(days * DAY_SECONDS)

    def scars(self, advertiser: Advertiser) -> None:
        """Pause, delete and review some of what was built, never a campaign's leader."""
        *_, off, gone = advertiser.campaigns
        off.paused, gone.deleted = self.ago(31.2), self.ago(44.6)
        for index, campaign in enumerate(advertiser.campaigns[1:]):
            last = campaign.ad_groups[-1]
            if len(campaign.ad_groups) > 1 and index % 3 == 1:
                last.deleted = self.ago(19.4)
            elif len(campaign.ad_groups) > 1 and index % 3 == 2:
                last.paused = self.ago(12.7)
            siblings = campaign.ad_groups[0].ads[1:]
            if siblings:
                siblings[-1].deleted = max(self.ago(23.3 - index), siblings[-1].created + 2 * DAY_SECONDS)
            if len(siblings) > 1:
                siblings[0].paused = max(self.ago(9.1), siblings[0].created + 2 * DAY_SECONDS)
        first = advertiser.campaigns[0]
        review = self.ad(first.ad_groups[-1], "New edit | in review", self.ago(1.9), 0)
        review.in_review = True
        first.edited = self.ago(5.5)


def split_evenly(total: int, parts: int) -> list[int]:
    """Split a total into parts that differ by at most one, none below one."""
    return [max(total // parts + (index < total % parts), 1) for index in range(parts)]


def _add_campaigns(builder: Builder, advertiser: Advertiser, *, story: bool) -> Scenario | None:
    plan, random = builder.plan, builder.random
    count = plan.campaigns or random.randint(4, 6)
    groups = (
        split_evenly(plan.ad_groups, count) if plan.ad_groups else [random.randint(2, 3) for _ in range(count)]
    )
    total = sum(groups)
    ads = split_evenly(plan.ads, total) if plan.ads else [random.randint(3, 5) for _ in range(total)]
    told = None
    made = 0
    if story and not plan.dense:
        told = add_scenario(builder, advertiser, ads=ads[0])
        made = 1
    for index in range(made, count):
        name, objective_type = THEMES[(index - made) % len(THEMES)]
        if index >= len(THEMES):
            name = f"{name} {index // len(THEMES) + 1}"
        days = plan.days + 1 if plan.dense else random.uniform(60, plan.days - 2)
        if told and index == 1:  # the scaling campaign exists already
            continue
        campaign = builder.campaign(advertiser, name, objective_type, days)
        start = sum(groups[:index])
        if plan.dense:
            _add_dense_ad_groups(builder, campaign, ads[start : start + groups[index]])
        else:
            campaign.budget_optimize_on = index % 4 == 3
            builder.ordinary(campaign, groups[index], ads[start : start + groups[index]])
            if campaign.budget_optimize_on:
                campaign.budget_mode = "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"
                campaign.budget = sum(ad.cap for group in campaign.ad_groups for ad in group.ads)
    if not plan.dense and len(advertiser.campaigns) > 3:
        builder.scars(advertiser)
    return told


def _add_dense_ad_groups(builder: Builder, campaign: Campaign, ads: list[int]) -> None:
    for index, count in enumerate(ads):
        ad_group = builder.ad_group(campaign, f"{AUDIENCES[index % len(AUDIENCES)]} #{index}", campaign.created)
        for number in range(count):
            ad = builder.ad(
                ad_group,
                f"{HOOKS[number % len(HOOKS)]} | v{number + 1}",
                campaign.created,
                builder.random.uniform(8, 60),
            )
            ad.always, ad.fatigue = True, 1
        builder.set_budget(ad_group)


SMART_PLUS_ACCOUNT = 2
SMART_PLUS_CREATIVES = (3, 2)  # of each Upgraded Smart+ ad


def _add_smart_plus_campaign(builder: Builder, advertiser: Advertiser) -> None:
    """Add an Upgraded Smart+ campaign, where what reports call `ad_id` is a creative (dossier 5.7)."""
    upgraded = {"campaign_automation_type": "UPGRADED_SMART_PLUS"}
    campaign = builder.campaign(advertiser, "Smart+ | Catalogue", "WEB_CONVERSIONS", 50.3)
    campaign.fields = dict(upgraded)
    ad_group = builder.ad_group(campaign, "Smart+ | Automatic audience", campaign.created + 60)
    for number, creatives in enumerate(SMART_PLUS_CREATIVES):
        asset_group = builder.ids.entity(ad_group.created + 60)
        for index in range(creatives):
            leads = (number, index) == (0, 0)
            name = f"Smart+ ad {number + 1} | creative {index + 1}"
            dollars = 30 * (LEADER_WEIGHT if leads else builder.random.uniform(0.15, 0.9))
            ad = builder.ad(ad_group, name, ad_group.created + 60 + index, dollars)
            ad.asset_group = asset_group
            if leads:
                builder.lead(ad)
    builder.set_budget(ad_group)


def build_world(plan: WorldPlan) -> World:
    """Build the world of a plan; the same plan always gives the same world."""
    ids = IdGenerator()
    anchor = epoch_seconds(plan.anchor)
    advertisers: dict[str, Advertiser] = {}
    story: Scenario | None = None
    for index in range(plan.advertisers):
        account = ACCOUNTS[index] if index < len(ACCOUNTS) else ACCOUNTS[(index - 5) % 3 + 5]
        random = Random(f"{plan.seed}:{index}")  # text seeds do not depend on the hash seed
        created = anchor - random.randint(500 * DAY_SECONDS, 1500 * DAY_SECONDS) - plan.days * DAY_SECONDS
        advertiser = Advertiser(
            id=IdGenerator.account(created, random.getrandbits(31) | 1),
            account=account,
            created=created,
            granted=account.granted,
        )
        advertisers[advertiser.id] = advertiser
        if account.live:
            told = _add_campaigns(Builder(plan, ids, random), advertiser, story=index == 0)
            story = story or told
    if plan.smart_plus and not plan.dense and len(advertisers) > SMART_PLUS_ACCOUNT:
        chance = Random(f"{plan.seed}:smart+")
        _add_smart_plus_campaign(Builder(plan, ids, chance), list(advertisers.values())[SMART_PLUS_ACCOUNT])
    if plan.hidden_campaigns:
        builder = Builder(plan, ids, Random(f"{plan.seed}:hidden"))
        add_hidden_campaigns(builder, next(iter(advertisers.values())))
    random = Random(f"{plan.seed}:app")
    secret: Callable[[str], str] = lambda name: sha256(f"{plan.seed}:{name}".encode()).hexdigest()  # noqa: E731
    return World(
        plan=plan,
        advertisers=advertisers,
        story=story,
        token=f"sandbox-token-{secret('token')[:26]}",
        app_id=IdGenerator.account(anchor - 900 * DAY_SECONDS, random.getrandbits(31) | 1),
        secret=secret("secret")[:40],
        other_token=f"sandbox-token-{secret('other token')[:26]}",
        other_app_id=IdGenerator.account(anchor - 800 * DAY_SECONDS, random.getrandbits(31) | 1),
        other_secret=secret("other secret")[:40],
        ids=ids,
    )

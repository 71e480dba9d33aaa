"""Generate the world of a plan.

A world has ordinary campaigns, a scenario (a change of leader in a testing campaign) and, by the plan, an Upgraded
Smart+ campaign and the campaigns that lists hide by default.
"""

from collections.abc import Callable
from hashlib import sha256
from random import Random

from tiktok_assets.sandbox.world.builder import DAY_SECONDS, Builder
from tiktok_assets.sandbox.world.gmv_max import add_gmv_max
from tiktok_assets.sandbox.world.leader_scripts import NEW_LEADER, OLD_LEADER, set_script
from tiktok_assets.sandbox.world.model import (
    AdGroup,
    Advertiser,
    Campaign,
    IdGenerator,
    Scenario,
    Wear,
    World,
    WorldPlan,
    epoch_seconds,
)
from tiktok_assets.sandbox.world.seed_data import ACCOUNTS, AUDIENCES, HOOKS, THEMES
from tiktok_assets.sandbox.world.smart_plus import add_smart_plus_campaign, add_smart_plus_story, ended_posts
from tiktok_assets.sandbox.world.status import PROMOTE, TOP_VIEW

SMART_PLUS_ACCOUNT = 2  # its position in the plan's order

WORN = Wear(since=14, days=5, loss=500)

OTHERS_DOLLARS_A_DAY = 2.0  # of the other ads: 70 days of it are far below both leaders


def build_world(plan: WorldPlan) -> World:
    """Generate the world of a plan; equal plans give equal worlds, ids included."""
    ids = IdGenerator()
    anchor = epoch_seconds(plan.anchor)
    advertisers: dict[str, Advertiser] = {}
    scenario: Scenario | None = None
    for index in range(plan.advertisers):
        account = ACCOUNTS[index] if index < len(ACCOUNTS) else ACCOUNTS[(index - 5) % 3 + 5]
        random = Random(f"{plan.seed}:{index}")  # a text seed does not depend on PYTHONHASHSEED
        created = anchor - random.randint(500 * DAY_SECONDS, 1500 * DAY_SECONDS) - plan.days * DAY_SECONDS
        advertiser = Advertiser(
            id=IdGenerator.account(created, random.getrandbits(31) | 1),
            account=account,
            created=created,
            granted=account.granted,
        )
        advertisers[advertiser.id] = advertiser
        if account.has_campaigns:
            added = _add_campaigns(Builder(plan, ids, random), advertiser, with_scenario=index == 0)
            scenario = scenario or added
    if plan.smart_plus and not plan.dense and len(advertisers) > SMART_PLUS_ACCOUNT:
        builder = Builder(plan, ids, Random(f"{plan.seed}:smart+"))
        add_smart_plus_campaign(builder, list(advertisers.values())[SMART_PLUS_ACCOUNT])
    if plan.hidden_campaigns:
        builder = Builder(plan, ids, Random(f"{plan.seed}:hidden"))
        add_hidden_campaigns(builder, next(iter(advertisers.values())))
    smart_plus_scenario, withdrawn_posts = None, {}
    if plan.smart_plus_story and not plan.dense:
        builder = Builder(plan, ids, Random(f"{plan.seed}:smart+ story"))
        first = next(iter(advertisers.values()))
        smart_plus_scenario = add_smart_plus_story(builder, first)
        withdrawn_posts = dict(ended_posts(builder, first))
    if plan.gmv_max:
        add_gmv_max(Builder(plan, ids, Random(f"{plan.seed}:gmv max")), next(iter(advertisers.values())))
    if plan.worn_creatives and not plan.dense:
        builder = Builder(plan, ids, Random(f"{plan.seed}:worn creatives"))
        add_worn_creatives(builder, next(iter(advertisers.values())))
    random = Random(f"{plan.seed}:app")
    secret: Callable[[str], str] = lambda name: sha256(f"{plan.seed}:{name}".encode()).hexdigest()  # noqa: E731
    return World(
        plan=plan,
        advertisers=advertisers,
        scenario=scenario,
        smart_plus_scenario=smart_plus_scenario,
        withdrawn_posts=withdrawn_posts,
        token=f"sandbox-token-{secret('token')[:26]}",
        app_id=IdGenerator.account(anchor - 900 * DAY_SECONDS, random.getrandbits(31) | 1),
        secret=secret("secret")[:40],
        other_token=f"sandbox-token-{secret('other token')[:26]}",
        other_app_id=IdGenerator.account(anchor - 800 * DAY_SECONDS, random.getrandbits(31) | 1),
        other_secret=secret("other secret")[:40],
        ids=ids,
    )


def split_evenly(total: int, parts: int) -> list[int]:
    """Split a total into parts that differ by at most one and are at least one."""
    return [max(total // parts + (index < total % parts), 1) for index in range(parts)]


def _add_campaigns(builder: Builder, advertiser: Advertiser, *, with_scenario: bool) -> Scenario | None:
    """Add the campaigns of an account, and return the scenario if it was added."""
    plan, random = builder.plan, builder.random
    count = plan.campaigns or random.randint(4, 6)
    groups = (
        split_evenly(plan.ad_groups, count) if plan.ad_groups else [random.randint(2, 3) for _ in range(count)]
    )
    total = sum(groups)
    ads = split_evenly(plan.ads, total) if plan.ads else [random.randint(3, 5) for _ in range(total)]
    scenario = None
    scenario_campaigns = 0  # of the first positions; the scaling campaign takes another one
    if with_scenario and not plan.dense:
        scenario = add_scenario(builder, advertiser, ads=ads[0])
        scenario_campaigns = 1
    for index in range(scenario_campaigns, count):
        name, objective_type = THEMES[(index - scenario_campaigns) % len(THEMES)]
        if index >= len(THEMES):
            name = f"{name} {index // len(THEMES) + 1}"
        days = plan.days + 1 if plan.dense else random.uniform(60, plan.days - 2)
        if scenario and index == 1:  # `add_scenario` has added the scaling campaign
            continue
        campaign = builder.campaign(advertiser, name, objective_type, days)
        start = sum(groups[:index])
        if plan.dense:
            _add_dense_ad_groups(builder, campaign, ads[start : start + groups[index]])
        else:
            campaign.budget_optimize_on = index % 4 == 3
            builder.fill_campaign(campaign, groups[index], ads[start : start + groups[index]])
            if campaign.budget_optimize_on:
                campaign.budget_mode = "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"
                campaign.budget = sum(ad.daily_cap for group in campaign.ad_groups for ad in group.ads)
    if not plan.dense and len(advertiser.campaigns) > 3:
        builder.add_status_changes(advertiser)
    return scenario


def _add_dense_ad_groups(builder: Builder, campaign: Campaign, ads: list[int]) -> None:
    """Add ad groups whose ads deliver on every day; `ads` has the number of ads of each."""
    for index, count in enumerate(ads):
        ad_group = builder.ad_group(campaign, f"{AUDIENCES[index % len(AUDIENCES)]} #{index}", campaign.created)
        for number in range(count):
            ad = builder.ad(
                ad_group,
                f"{HOOKS[number % len(HOOKS)]} | v{number + 1}",
                campaign.created,
                builder.random.uniform(8, 60),
            )
            ad.never_idle, ad.fatigue = True, 1
        builder.set_budget(ad_group)


def add_scenario(builder: Builder, advertiser: Advertiser, *, ads: int) -> Scenario:
    """Add a testing campaign whose leader changes and a scaling campaign, and return their ids."""
    testing = builder.campaign(advertiser, "Testing | New hooks", "WEB_CONVERSIONS", 71.4)
    scaling = builder.campaign(advertiser, "Scaling | Proven winners", "WEB_CONVERSIONS", 73.2)
    first = builder.ad_group(testing, "Test | Broad 18-34", testing.created + 300)
    second = builder.ad_group(testing, "Test | Lookalike buyers", testing.created + 420)
    old = builder.ad(first, "Founder story | v1", first.created + 120, 18)
    new = builder.ad(second, "Unboxing UGC | v4", builder.anchor - int(13.1 * DAY_SECONDS), 180)
    for number in range(max(ads - 1, 2)):
        group = (first, second)[number % 2]
        name = f"{HOOKS[2 + number % 8]} | v{number + 1}"
        builder.ad(group, name, group.created + 240 + number, OTHERS_DOLLARS_A_DAY)
    for ad, script in ((old, OLD_LEADER), (new, NEW_LEADER)):
        set_script(ad, script)
    for group in testing.ad_groups:
        builder.set_budget(group)
    builder.fill_campaign(scaling, 1, [3])
    return builder.scenario(testing, scaling, old, new)


def add_worn_creatives(builder: Builder, advertiser: Advertiser) -> None:
    """Add a campaign with a creative that wears out, a steady one, and one that spends in its place."""
    campaign = builder.campaign(advertiser, "Prospecting | Evergreen", "WEB_CONVERSIONS", 72.3)
    group = builder.ad_group(campaign, "Prospecting | Broad", campaign.created + 300)
    for number, (name, days_ago, dollars, wear) in enumerate(
        (
            ("Founder story | worn", 72.2, 120, WORN),
            ("Before and after | steady", 72.1, 60, None),
            ("Founder story | fresh cut", 13.4, 150, None),
        )
    ):
        ad = builder.ad(group, name, builder.days_ago(days_ago) + number, dollars)
        ad.fatigue, ad.never_idle, ad.wear = 0, True, wear
    builder.set_budget(group)


def add_hidden_campaigns(builder: Builder, advertiser: Advertiser) -> None:
    """Add a TopView campaign with two ads and a Promote campaign with one."""
    top_view = {"buying_type": TOP_VIEW, "objective_type": "TOPVIEW_REACH", "rf_campaign_type": "TOPVIEW"}
    for name, days, ads, fields in (
        ("TopView | Launch day", 40.2, 2, top_view),
        ("Promote | Spring post", 33.7, 1, {"campaign_system_origin": PROMOTE}),
    ):
        campaign = builder.campaign(advertiser, name, "REACH", days)
        campaign.fields = dict(fields)
        group: AdGroup = builder.ad_group(campaign, f"{name} | group", campaign.created + 60)
        for number in range(ads):
            ad = builder.ad(group, f"{name} | ad {number + 1}", group.created + 60 + number, 25)
            builder.make_leader(ad)
        builder.set_budget(group)

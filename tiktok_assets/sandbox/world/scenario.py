"""Add the leader change: in one testing campaign a newer ad overtakes the leader, beside a scaling campaign."""

from datetime import timedelta
from typing import TYPE_CHECKING

from tiktok_assets.sandbox.world.model import Ad, Advertiser, Scenario
from tiktok_assets.sandbox.world.seed_data import HOOKS

if TYPE_CHECKING:
    from tiktok_assets.sandbox.world.builder import Builder

DAY_SECONDS = 86_400
LEADER_CHANGE_WINDOW = timedelta(days=3)  # T1 lies this long before the anchor

# (from that many days before the anchor, down to, cents a day). Lifetime at T1: the old leader 912-916 USD
# against 644-794; at T2 at most 930 against 1144-1324, whatever the hour of the anchor: a lead over 20 %.
OLD_LEADER = ((70, 40, 1800), (39, 10, 1100), (9, -10_000, 400))
NEW_LEADER = (
    (12, 12, 4000),
    (11, 11, 4800),
    (10, 10, 5600),
    (9, 9, 6400),
    (8, 8, 7200),
    (7, 7, 8000),
    (6, 6, 8800),
    (5, 5, 9600),
    (4, 4, 10_000),
    (3, 3, 15_000),
    (2, 2, 17_000),
    (1, -10_000, 18_000),
)
OTHERS_DOLLARS_A_DAY = 2.0  # 70 days of it stay far below both


def add_scenario(builder: "Builder", advertiser: Advertiser, *, ads: int) -> Scenario:
    """Add the testing and the scaling campaign, and return who overtakes whom."""
    anchor = builder.plan.anchor
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
        _set_script(ad, script)
    for group in testing.ad_groups:
        builder.set_budget(group)
    builder.ordinary(scaling, 1, [3])
    return Scenario(
        advertiser_id=advertiser.id,
        campaign_id=testing.id,
        old_leader_ad_id=old.id,
        new_leader_ad_id=new.id,
        scaling_campaign_id=scaling.id,
        t1=anchor - LEADER_CHANGE_WINDOW,
        t2=anchor,
    )


def _set_script(ad: Ad, script: tuple[tuple[int, int, int], ...]) -> None:
    ad.script, ad.always, ad.call_to_action = script, True, "SHOP_NOW"
    ad.cap = max(cents for *_, cents in script)

"""Duplications of one day that come close to TIKTOK_MAX_ADDED_BUDGET, and exceed it with the last."""

from decimal import Decimal
from random import Random

from tiktok_assets.duplication import DuplicationRequest
from tiktok_assets.sandbox.world.model import Ad, Advertiser
from tiktok_assets.sandbox.writes.budgets import BUDGET_RATIOS, MIN_AD_GROUP_BUDGET
from tiktok_assets_tests.simulation.simulated_world import SimulatedWorld

FILLED = Decimal("0.98")
"""The part of the limit that the first two fill."""
PERCENT_OF_FIRST, PERCENT_OF_LAST = (30, 60), (12, 50)


def choose_requests_near_limit(
    random: Random, world: SimulatedWorld, limit: Decimal, number: int
) -> list[DuplicationRequest]:
    """Return three duplications of an account, of which the first two stay within the limit and the last does not.

    Args:
        random: decides the account, the ads and the budgets.
        world: has the accounts.
        limit: on what is added to the budgets of an account within a day, in its currency.
        number: makes them other copies than those of another day.
    """
    owners = [one for one in world.accounts if one.granted and _find_ads(world, one) and _is_enough(one, limit)]
    if not owners:
        return []
    owner = random.choice(owners)
    target, ads = world.targets[owner.id], _find_ads(world, owner)
    first = Decimal(random.randint(*PERCENT_OF_FIRST)) / 100
    last = Decimal(random.randint(*PERCENT_OF_LAST)) / 100
    return [
        DuplicationRequest(
            owner.id, random.choice(ads).id, target, budget=Decimal(int(limit * share)), again=number + position
        )
        for position, share in enumerate((first, FILLED - first, last))
    ]


def _find_ads(world: SimulatedWorld, owner: Advertiser) -> list[Ad]:
    """Return the ads that can be duplicated into the scaling campaign of their account."""
    target = world.targets[owner.id]
    objective = next(one.objective_type for one in owner.campaigns if one.id == target)
    now = world.state.now
    return [
        ad
        for ad in owner.ads
        if ad.campaign.objective_type == objective
        and ad.campaign.id != target
        and "[tta-" not in ad.name
        and not any(one.is_deleted(now) for one in (ad, ad.ad_group, ad.campaign))
    ]


def _is_enough(owner: Advertiser, limit: Decimal) -> bool:
    """Return whether each share of the limit is a possible budget in the currency of the account."""
    smallest = int(limit * PERCENT_OF_LAST[0] / 100)
    return smallest >= MIN_AD_GROUP_BUDGET * BUDGET_RATIOS[owner.account.currency]

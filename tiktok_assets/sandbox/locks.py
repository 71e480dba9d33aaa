"""Optimistic locks: two writes that overlap in time on one campaign or ad group (dossier 8.5)."""

from collections.abc import Iterable
from typing import Any

from tiktok_assets.sandbox.world import World

# Where a body names what it changes.
ONE = ("campaign_id", "adgroup_id")
MANY = ("campaign_ids", "adgroup_ids", "ad_ids")
ROWS = ("budget", "scheduled_budget")


def objects_of(world: World, body: dict[str, Any]) -> frozenset[str]:
    """Return the campaigns and ad groups a write touches: those it names, and what they belong to."""
    named = {body[name] for name in ONE if isinstance(body.get(name), str)}
    for name in MANY:
        named |= {one for one in _list(body.get(name)) if isinstance(one, str)}
    for name in ROWS:
        named |= {row.get("adgroup_id") for row in _list(body.get(name)) if isinstance(row, dict)}
    if not named:
        return frozenset()
    advertiser = world.advertisers.get(str(body.get("advertiser_id")))
    found: set[str] = set()
    for ad_group in advertiser.ad_groups if advertiser else ():
        if ad_group.id in named or any(ad.id in named for ad in ad_group.ads):
            found |= {ad_group.id, ad_group.campaign.id}
    campaigns = {one.id for one in advertiser.campaigns} if advertiser else set()
    return frozenset(found | (campaigns & named))


def _list(value: object) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


class Locks:
    """What is being written at this moment."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def take(self, objects: frozenset[str]) -> bool:
        """Take all of them, or none when one is held."""
        if self._held & objects:
            return False
        self._held |= objects
        return True

    def release(self, objects: frozenset[str]) -> None:
        """Give back what was taken."""
        self._held -= objects

"""Return every entity and fact of the world without the API's filters, rules and pages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tiktok_assets.sandbox.world.ad_delivery import REACH, Vector
from tiktok_assets.sandbox.world.api_objects import (
    ad_group_item,
    ad_item,
    advertiser_item,
    campaign_item,
    post_of,
    shown_video,
)
from tiktok_assets.sandbox.world.facts import Facts, sum_over_ads, sum_over_days
from tiktok_assets.sandbox.world.metrics import ALWAYS_ZERO, NO_VALUE, NUMERIC, formatter_for
from tiktok_assets.sandbox.world.model import Ad, Advertiser, World
from tiktok_assets.sandbox.world.smart_plus_objects import smart_plus_ad_item

ID_AT_LEVEL = {
    "advertiser": lambda ad: ad.campaign.advertiser.id,
    "campaign": lambda ad: ad.campaign.id,
    "ad_group": lambda ad: ad.ad_group.id,
    "ad": lambda ad: ad.id,
}


@dataclass
class GroundTruth:
    """Returns the entities and facts of the world at an instant (epoch seconds)."""

    world: World
    facts: Facts

    def entities(self, kind: str, now: int, advertiser_id: str | None) -> list[dict[str, Any]]:
        """Return all entities of a kind, even deleted and hidden ones.

        The kinds are advertisers, campaigns, ad_groups, ads, smart_plus_ads, and declines: the ads whose creative
        wears out, with its video or post, the first day of the decline and the part that is lost in the end.

        Raises:
            LookupError: The advertiser or the kind does not exist.
        """
        advertisers = self._advertisers(advertiser_id)
        if kind == "advertisers":
            return [advertiser_item(one, now) | {"granted": one.granted} for one in advertisers]
        items_of: dict[str, Any] = {
            "campaigns": lambda one: [campaign_item(c, now) for c in one.campaigns if c.exists(now)],
            "ad_groups": lambda one: [ad_group_item(g, now) for g in one.ad_groups if g.exists(now)],
            "ads": lambda one: [ad_item(ad, now) for ad in one.ads if ad.exists(now)],
            "declines": lambda one: [_decline_item(ad, self._anchor_day(one)) for ad in one.ads if ad.wear],
            "smart_plus_ads": lambda one: [
                smart_plus_ad_item(ad, now) for ad in one.smart_plus_ads if ad.exists(now)
            ],
        }
        return [item for one in advertisers for item in items_of[kind](one)]

    def report(
        self, level: str, now: int, advertiser_id: str, window: tuple[date, date] | None
    ) -> list[dict[str, Any]]:
        """Return the facts of a level as {id, date, metrics}.

        With a window they are by day; without one they are lifetime totals, with date None.

        Raises:
            LookupError: The advertiser does not exist.
        """
        (advertiser,) = self._advertisers(advertiser_id)
        cells: dict[tuple[str, int], list[Vector]] = {}
        for ad in advertiser.ads:
            for ordinal, vector in self._days(ad, now, window):
                cells.setdefault((ID_AT_LEVEL[level](ad), ordinal), []).append(vector)
        daily = {key: sum_over_ads(vectors) for key, vectors in cells.items()}
        if window is not None:
            return [
                _row(entity_id, date.fromordinal(ordinal).isoformat(), vector, advertiser)
                for (entity_id, ordinal), vector in sorted(daily.items())
            ]
        lifetimes: dict[str, list[Vector]] = {}
        for (entity_id, _), vector in sorted(daily.items()):
            lifetimes.setdefault(entity_id, []).append(vector)
        return [
            _row(entity_id, None, sum_over_days(days), advertiser) for entity_id, days in sorted(lifetimes.items())
        ]

    def _days(self, ad: Ad, now: int, window: tuple[date, date] | None) -> Iterator[tuple[int, Vector]]:
        """Yield (ordinal, delivery) of an ad's days within a window."""
        for ordinal in self.facts.possible_days(ad, now):
            if window and not window[0].toordinal() <= ordinal <= window[1].toordinal():
                continue
            vector = self.facts.day(ad, ordinal, now)
            if vector is not None:
                yield ordinal, vector

    def _anchor_day(self, advertiser: Advertiser) -> date:
        return self.world.plan.anchor.astimezone(advertiser.zone).date()

    def _advertisers(self, advertiser_id: str | None) -> list[Advertiser]:
        if advertiser_id is None:
            return list(self.world.advertisers.values())
        if advertiser_id not in self.world.advertisers:
            raise LookupError(f"No advertiser {advertiser_id} in this world.")
        return [self.world.advertisers[advertiser_id]]


def _decline_item(ad: Ad, anchor: date) -> dict[str, Any]:
    """Return what is true of an ad that wears out."""
    if ad.wear is None:
        raise ValueError(f"Ad {ad.id} does not wear out.")
    return {
        "advertiser_id": ad.campaign.advertiser.id,
        "ad_id": ad.id,
        "creative_id": shown_video(ad) or post_of(ad),
        "since": (anchor - timedelta(days=ad.wear.since)).isoformat(),
        "days": ad.wear.days,
        "loss": ad.wear.loss / 1000,
    }


def _row(entity_id: str, day: str | None, vector: Vector, advertiser: Advertiser) -> dict[str, Any]:
    decimals = advertiser.currency.decimals
    metrics: Mapping[str, str] = {
        name: NO_VALUE
        if name in NUMERIC and NUMERIC[name].counts_unique_users and vector[REACH] == 0
        else formatter_for(name, decimals)(vector)
        for name in (*NUMERIC, *sorted(ALWAYS_ZERO))
    }
    return {"id": entity_id, "date": day, "metrics": metrics}

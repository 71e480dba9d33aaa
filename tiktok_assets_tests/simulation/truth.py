"""What is true: the world's data at the moment of each response, computed without the routes that made it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tiktok_assets.sandbox.state import State
from tiktok_assets.sandbox.world.ad_delivery import POSITION
from tiktok_assets.sandbox.world.api_objects import ad_group_item, ad_item, campaign_item
from tiktok_assets.sandbox.world.ground_truth import ID_AT_LEVEL
from tiktok_assets.sandbox.world.model import Ad, Advertiser
from tiktok_assets_tests.simulation.network import Exchange

Figures = tuple[Decimal, int, int, int]
"""Spend, impressions, clicks, conversions."""
DayRows = dict[str, Figures]
Objects = dict[str, tuple[str, str]]
"""Name and switch by id."""

COLUMNS = ("spend", "impressions", "clicks", "conversion")
_POSITIONS = tuple(POSITION[name] for name in COLUMNS)
LEVELS = {
    "AUCTION_ADVERTISER": "advertiser",
    "AUCTION_CAMPAIGN": "campaign",
    "AUCTION_ADGROUP": "ad_group",
    "AUCTION_AD": "ad",
}
LIST_PATHS = {"campaign/get": "campaigns", "adgroup/get": "ad_groups", "ad/get": "ads"}
KEPT_VERSIONS = 12


@dataclass
class Truth:
    """The data of the world as the host knew it when it responded.

    Attributes:
        state: of the sandbox.
        rows: by level, account and day (None: lifetime) the rows at each second of a response, newest last.
        objects: by table and account the objects at each second of a response, newest last.
    """

    state: State
    rows: dict[tuple[str, str, date | None], list[tuple[int, DayRows]]] = field(default_factory=dict)
    objects: dict[tuple[str, str], list[tuple[int, Objects]]] = field(default_factory=dict)
    leaders: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)

    def observe(self, exchange: Exchange) -> None:
        """Record what is true while the host responds."""
        query, path = exchange.query, exchange.path
        owner = query.get("advertiser_id", "")
        advertiser = self.state.world.advertisers.get(owner)
        if exchange.method != "GET" or advertiser is None or exchange.status != 200:
            return
        if path == "report/integrated/get" and query.get("data_level") in LEVELS:
            self._observe_report(advertiser, query)
        elif path in LIST_PATHS:
            self.objects.setdefault((LIST_PATHS[path], owner), []).append(
                (self.state.now, self.current_objects(LIST_PATHS[path], advertiser))
            )

    def _observe_report(self, advertiser: Advertiser, query: Mapping[str, str]) -> None:
        level = LEVELS[query["data_level"]]
        now = self.state.now
        if "start_date" in query:
            first, last = date.fromisoformat(query["start_date"]), date.fromisoformat(query["end_date"])
            for day, rows in self.current_days(advertiser, level, first, last).items():
                self._keep((level, advertiser.id, day), now, rows)
            return
        rows = self.current_lifetime(advertiser, level)
        self._keep((level, advertiser.id, None), now, rows)
        if level == "ad":
            self.leaders[advertiser.id, now] = find_leaders(advertiser, rows)

    def _keep(self, key: tuple[str, str, date | None], now: int, rows: DayRows) -> None:
        versions = self.rows.setdefault(key, [])
        versions.append((now, rows))
        del versions[:-KEPT_VERSIONS]

    def current_days(self, advertiser: Advertiser, level: str, first: date, last: date) -> dict[date, DayRows]:
        """Return the rows of each day now, by id."""
        days: dict[date, dict[str, list[int]]] = {first + timedelta(n): {} for n in range((last - first).days + 1)}
        for ad in self._shown_ads(advertiser):
            for ordinal, figures in self._delivery(ad, first, last):
                _add(days[date.fromordinal(ordinal)], ID_AT_LEVEL[level](ad), figures)
        return {day: self._to_rows(advertiser, sums) for day, sums in days.items()}

    def current_lifetime(self, advertiser: Advertiser, level: str) -> DayRows:
        """Return the lifetime of each object with delivery now, by id."""
        sums: dict[str, list[int]] = {}
        for ad in self._shown_ads(advertiser):
            for _, figures in self._delivery(ad, date.min, date.max):
                _add(sums, ID_AT_LEVEL[level](ad), figures)
        return self._to_rows(advertiser, sums)

    def current_objects(self, table: str, advertiser: Advertiser) -> Objects:
        """Return the objects of an account that lists show now."""
        now, hidden = self.state.now, self.state.hidden_ids()
        if table == "campaigns":
            items: Iterator[dict[str, Any]] = (
                campaign_item(one, now) for one in advertiser.campaigns if one.exists(now)
            )
        elif table == "ad_groups":
            items = (ad_group_item(one, now) for one in advertiser.ad_groups if one.exists(now))
        else:
            items = (ad_item(one, now) for one in advertiser.ads if one.exists(now))
        kind = {"campaigns": "campaign", "ad_groups": "adgroup", "ads": "ad"}[table]
        return {
            str(item[f"{kind}_id"]): (item[f"{kind}_name"], item["operation_status"])
            for item in items
            if item[f"{kind}_id"] not in hidden
        }

    def _shown_ads(self, advertiser: Advertiser) -> list[Ad]:
        hidden = self.state.hidden_ids()
        return [ad for ad in advertiser.ads if ad.id not in hidden]

    def _delivery(self, ad: Ad, first: date, last: date) -> Iterator[tuple[int, tuple[int, ...]]]:
        facts, now = self.state.facts, self.state.now
        possible = facts.possible_days(ad, now)
        for ordinal in range(max(possible.start, first.toordinal()), min(possible.stop, last.toordinal() + 1)):
            vector = facts.day(ad, ordinal, now)
            if vector is not None:
                yield ordinal, tuple(vector[position] for position in _POSITIONS)

    @staticmethod
    def _to_rows(advertiser: Advertiser, sums: Mapping[str, list[int]]) -> DayRows:
        unit = Decimal(advertiser.currency.minor_per_unit)
        return {key: (values[0] / unit, values[1], values[2], values[3]) for key, values in sums.items()}

    def rows_at(self, level: str, owner: str, day: date | None, at: datetime) -> list[DayRows]:
        """Return the rows that were true in the second of a response; several if the world changed within it."""
        second = int(at.timestamp())
        return [rows for now, rows in self.rows.get((level, owner, day), ()) if now == second]

    def objects_at(self, table: str, owner: str, at: datetime) -> list[Objects]:
        """Return the objects that were there in the second of a response."""
        second = int(at.timestamp())
        states = self.objects.get((table, owner), ())
        exact = [objects for now, objects in states if now == second]
        # A list without rows has no row with its instant; the product takes the time after all of its requests.
        return exact or [objects for now, objects in states if second - 7200 < now < second and not objects][-1:]

    def leaders_at(self, owner: str, at: datetime) -> dict[str, str] | None:
        """Return the leader of each campaign in the second of a response; None if there was none."""
        return self.leaders.get((owner, int(at.timestamp())))

    def forget_objects(self, kept: int) -> None:
        """Keep only the newest states of each list."""
        for states in self.objects.values():
            del states[:-kept]


def find_leaders(advertiser: Advertiser, rows: DayRows) -> dict[str, str]:
    """Return the ad with the highest lifetime spend of each campaign; of equal spend the smaller id."""
    best: dict[str, tuple[Decimal, str]] = {}
    for ad in advertiser.ads:
        spend = rows[ad.id][0] if ad.id in rows else Decimal(0)
        if spend > 0:
            key = (-spend, ad.id)
            best[ad.campaign.id] = min(best.get(ad.campaign.id, key), key)
    return {campaign: ad_id for campaign, (_, ad_id) in best.items()}


def _add(sums: dict[str, list[int]], key: str, figures: tuple[int, ...]) -> None:
    before = sums.get(key)
    if before is None:
        sums[key] = list(figures)
    else:
        for position, value in enumerate(figures):
            before[position] += value

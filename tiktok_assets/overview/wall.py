"""Choose the creatives of the wall, and compute their hook and hold rates from sums."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from tiktok_assets.overview.loader import DAYS_COMPARED, DAYS_OF_CREATIVES, OverviewTables

MAX_CREATIVES = 60
"""How many creatives of a currency are on the wall, by spend of the last 7 complete days."""

MAX_EMBEDDED_BYTES = 2_000_000
"""How many bytes of the page are thumbnails; the others are linked."""

ReadThumbnail = Callable[[str], bytes | None]
"""Return a stored thumbnail by its hash; None if there is none."""

Row = Mapping[str, Any]

_KEYS = ["advertiser_id", "creative_id"]


@dataclass(frozen=True, slots=True)
class CreativeTotals:
    """The sums of a creative over some days; None where no day has a value."""

    spend: Decimal | None = None
    impressions: int | None = None
    clicks: int | None = None
    conversion: int | None = None
    video_watched_2s: int | None = None
    video_watched_6s: int | None = None

    @property
    def hook_rate(self) -> float | None:
        """Views of two seconds divided by impressions."""
        return _divide(self.video_watched_2s, self.impressions)

    @property
    def hold_rate(self) -> float | None:
        """Views of six seconds divided by views of two."""
        return _divide(self.video_watched_6s, self.video_watched_2s)

    @property
    def click_rate(self) -> float | None:
        """Clicks divided by impressions."""
        return _divide(self.clicks, self.impressions)

    @property
    def cost_per_conversion(self) -> Decimal | None:
        """Spend divided by conversions, exact."""
        return self.spend / self.conversion if self.spend is not None and self.conversion else None


@dataclass(frozen=True, slots=True)
class Creative:
    """A creative of the wall.

    Attributes:
        kind: what it is, such as `video`.
        ads: how many ads use it.
        week: its totals of the last 7 complete days; `week_before`: of the 7 before.
        days: the totals by day of the last complete days, oldest first.
        thumbnail: the hash of its thumbnail; empty if there is none.
        picture: the thumbnail as a `data:` URL; empty if it is not embedded.
    """

    advertiser_id: str
    advertiser_name: str
    currency: str
    id: str
    name: str
    kind: str
    ads: int | None
    week: CreativeTotals
    week_before: CreativeTotals
    days: Sequence[tuple[date, CreativeTotals]]
    thumbnail: str
    picture: str = ""

    @property
    def hook_change(self) -> float | None:
        """The relative change of the hook rate against the week before."""
        now, before = self.week.hook_rate, self.week_before.hook_rate
        return now / before - 1 if now is not None and before else None

    @property
    def hue(self) -> int:
        """The colour of the tile that stands in for a picture; the same in every build."""
        return sum(position * ord(character) for position, character in enumerate(self.id, 7)) % 360


def build_wall(tables: OverviewTables, currency: str, names: Mapping[str, str]) -> list[Creative]:
    """Choose the creatives of a currency with the largest spend in their last 7 complete days."""
    rows = _select_days(tables, currency)
    week = rows.filter(pl.col("back") < DAYS_COMPARED).group_by(_KEYS).agg(pl.col("spend").sum())
    chosen = (
        week.filter(pl.col("spend") > 0)
        .sort("spend", *_KEYS, descending=[True, False, False])
        .head(MAX_CREATIVES)
        .select(_KEYS)
    )
    days: dict[tuple[str, str], list[Row]] = {}
    for row in rows.join(chosen, on=_KEYS).sort("date").to_dicts():
        days.setdefault((row["advertiser_id"], row["creative_id"]), []).append(row)
    described = {(row["advertiser_id"], row["creative_id"]): row for row in tables.get("creatives").to_dicts()}
    wall = []
    for advertiser_id, creative_id in chosen.iter_rows():
        key = (advertiser_id, creative_id)
        row = described.get(key, {})
        wall.append(
            Creative(
                advertiser_id=advertiser_id,
                advertiser_name=names.get(advertiser_id, advertiser_id),
                currency=currency,
                id=creative_id,
                name=row.get("creative_name") or creative_id,
                kind=row.get("creative_kind") or "",
                ads=row.get("ads"),
                week=_sum_days(day for day in days[key] if day["back"] < DAYS_COMPARED),
                week_before=_sum_days(
                    day for day in days[key] if 0 <= day["back"] - DAYS_COMPARED < DAYS_COMPARED
                ),
                days=[(day["date"], _sum_days([day])) for day in days[key]],
                thumbnail=row.get("thumbnail") or "",
            )
        )
    return wall


def _select_days(tables: OverviewTables, currency: str) -> pl.DataFrame:
    """Return the rows of the last complete days of each account, with their distance from its latest one."""
    ends = {owner: one.complete_day for owner, one in tables.freshness.items() if one.complete_day}
    last = pl.DataFrame(
        {"advertiser_id": list(ends), "last": list(ends.values())}, {"advertiser_id": pl.String, "last": pl.Date}
    )
    return (
        tables.get("creative_daily")
        .filter(pl.col("currency").fill_null("") == currency)
        .join(last, on="advertiser_id")
        .with_columns(back=(pl.col("last") - pl.col("date")).dt.total_days())
        .filter(pl.col("back").is_between(0, DAYS_OF_CREATIVES - 1))
    )


def _sum_days(rows: Iterable[Row]) -> CreativeTotals:
    found = list(rows)
    totals: dict[str, Any] = {}
    for name in CreativeTotals.__slots__:
        values = [row[name] for row in found if row[name] is not None]
        totals[name] = sum(values[1:], values[0]) if values else None
    return CreativeTotals(**totals)


def embed_thumbnails(walls: Sequence[Sequence[Creative]], read: ReadThumbnail) -> list[list[Creative]]:
    """Embed the thumbnails, the first of each wall first, until the limit of the page is reached."""
    pictures: dict[str, str] = {}
    embedded: dict[tuple[int, int], str] = {}
    room = MAX_EMBEDDED_BYTES
    longest = max((len(wall) for wall in walls), default=0)
    for place, number in ((place, number) for place in range(longest) for number in range(len(walls))):
        if place >= len(walls[number]) or not (name := walls[number][place].thumbnail):
            continue
        if name not in pictures:
            content = read(name)
            pictures[name] = f"data:image/webp;base64,{b64encode(content).decode()}" if content else ""
        # A picture of two creatives is in the page twice.
        if len(pictures[name]) <= room:
            embedded[number, place] = pictures[name]
            room -= len(pictures[name])
    return [
        [replace(one, picture=embedded.get((number, place), "")) for place, one in enumerate(wall)]
        for number, wall in enumerate(walls)
    ]


def _divide(part: int | None, whole: int | None) -> float | None:
    return part / whole if part is not None and whole else None

"""Build the picture of a new top spender: its thumbnail, its figures, and its spend by day."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.alerts import AlertPicture
from tiktok_assets.ingest import list_thumbnails
from tiktok_assets.spec import METRICS_BY_NAME, Column, format_amount_with_currency
from tiktok_assets.storage import HiveStore, Partition, StoreError, ThumbnailStore
from tiktok_assets.tables import build_schema

TREND_DAYS = 30
"""The trend has at most so many complete days, and begins with the first of them that has spend."""
_RATE_DAYS = 7
_MIN_TREND_DAYS = 7

_DAILY = "ad_report_daily"
_METRICS = ("spend", "impressions", "video_watched_2s", "video_watched_6s")
_SCHEMA = build_schema(
    (
        Column("ad_id", "", "id", ""),
        Column("date", "", "day", ""),
        Column("currency", "", "text", ""),
        *(Column(name, "", METRICS_BY_NAME[name].kind, "") for name in _METRICS),
    )
)

Row = Mapping[str, Any]


def build_top_spender_picture(store: HiveStore, leader: Row, ad: Row | None) -> AlertPicture:
    """Build the picture of a top spender from the stored tables; what they lack is left out.

    Args:
        store: contains the reports and the thumbnails.
        leader: its row of `top_spenders`.
        ad: its row of `ads`; None if there is none.
    """
    name = str(leader["ad_name"] or leader["ad_id"])
    campaign = str(leader["campaign_name"] or leader["campaign_id"])
    days = _read_days(store, leader)
    figures = tuple(_list_figures(leader, days))
    series, label, note = _describe_trend(days, str(leader["currency"] or ""))
    described = [f"{title.lower()} {value}" for title, value in figures]
    trend = f" A line shows its {label[0].lower()}{label[1:]}, {note}." if series else ""
    slug = "-".join(re.findall(r"[A-Za-z0-9]+", name))[:40].strip("-").lower()
    return AlertPicture(
        heading="New top spender",
        title=name,
        subtitle=campaign,
        figures=figures,
        series=series,
        series_label=label,
        series_note=note,
        thumbnail=_read_thumbnail(store, leader, ad),
        key=str(leader["video_id"] or leader["tiktok_item_id"] or leader["ad_id"]),
        alt=f"Cover of the ad {name} in the campaign {campaign}: {', '.join(described)}.{trend}",
        file_name=f"new-top-spender-{slug or leader['ad_id']}.png",
    )


@dataclass(frozen=True, slots=True)
class _Days:
    """The stored complete days of an ad.

    Attributes:
        last: the last one; None if there is none.
        stored: whether each day is stored, oldest first, the last of them `last`.
        rows: of the report of ads, by day; a day without delivery has none.
    """

    last: date | None
    stored: Sequence[tuple[date, bool]]
    rows: Mapping[date, Row]


def _read_days(store: HiveStore, leader: Row) -> _Days:
    last = leader["complete_until"]
    if last is None:
        return _Days(None, [], {})
    owner = leader["advertiser_id"]
    wanted = [last - timedelta(number) for number in reversed(range(TREND_DAYS))]
    stored = {one.day for one in store.partitions(_DAILY, [owner])}
    partitions = [Partition(owner, day) for day in wanted if day in stored]
    try:
        rows = (
            store.read(_DAILY, _SCHEMA, partitions).filter(pl.col("ad_id") == leader["ad_id"]).collect().to_dicts()
        )
    except (OSError, PolarsError, StoreError):
        return _Days(None, [], {})  # a file that is being replaced costs the trend only
    # Amounts in a currency that the account had before cannot be compared.
    same = {row["date"]: row for row in rows if row["currency"] == leader["currency"]}
    return _Days(last, [(day, day in stored) for day in wanted], same)


def _list_figures(leader: Row, days: _Days) -> list[tuple[str, str]]:
    currency = str(leader["currency"] or "")
    figures = [("Lifetime spend", format_amount_with_currency(leader["spend"], currency))]
    if leader["share"] is not None:
        figures.append(("Share of campaign", f"{leader['share']:.1%}"))
    if leader["lead"] is not None:
        figures.append(("Lead over second", f"{leader['lead']:.1%}"))
    if days.last is None or not all(is_stored for _, is_stored in days.stored[-_RATE_DAYS:]):
        return figures
    week = [days.rows[day] for day, _ in days.stored[-_RATE_DAYS:] if day in days.rows]
    for label, part, whole in (
        ("Hook rate, 7 days", "video_watched_2s", "impressions"),
        ("Hold rate, 7 days", "video_watched_6s", "video_watched_2s"),
    ):
        counts = [[row[name] for row in week if row[name] is not None] for name in (part, whole)]
        if all(counts) and sum(counts[1]):
            figures.append((label, f"{sum(counts[0]) / sum(counts[1]):.1%}"))
    return figures


def _describe_trend(days: _Days, currency: str) -> tuple[tuple[float | None, ...], str, str]:
    """Return the spend by day with its label and its scale; days before the first spend are left out."""
    zero = Decimal(0)
    spend = {
        day: (days.rows[day]["spend"] or zero) if day in days.rows else zero for day, known in days.stored if known
    }
    highest = max(spend.values(), default=zero)
    if not highest:
        return (), "", ""
    first = min(day for day, amount in spend.items() if amount)
    shown = [day for day, _ in days.stored]
    start = min(shown.index(first), len(shown) - _MIN_TREND_DAYS)
    series = tuple(float(spend[day]) if day in spend else None for day in shown[start:])
    label = f"Spend a day, {len(series)} days to {shown[-1].day} {shown[-1]:%b %Y}"
    return series, label, f"highest {format_amount_with_currency(highest, currency)}"


def _read_thumbnail(store: HiveStore, leader: Row, ad: Row | None) -> bytes | None:
    """Read the thumbnail of the ad's video or post, or of its first image; None if there is none."""
    shown = [one for one in (leader["video_id"], leader["tiktok_item_id"]) if one]
    files = shown or _list_images(ad)[:1]
    thumbnails = list_thumbnails(store, leader["advertiser_id"]) if files else {}
    found = next((thumbnails[one] for one in files if one in thumbnails), None)
    return ThumbnailStore(store.base).read(found) if found else None


def _list_images(ad: Row | None) -> list[str]:
    try:
        ids = json.loads((ad or {}).get("image_ids") or "[]")
    except ValueError:
        return []
    return [one for one in ids if isinstance(one, str)] if isinstance(ids, list) else []

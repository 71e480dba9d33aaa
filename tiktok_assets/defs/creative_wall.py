"""Render creatives with their thumbnails as Markdown, which Dagster shows with pictures.

Dagster (1.13.27) renders pictures in Markdown from `data:` URLs; Markdown that is longer than it shows inline, as
any with several pictures is, opens with a click on *Show Markdown*.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
import polars as pl

from tiktok_assets.defs.plots import render_markdown_table
from tiktok_assets.escaping import escape_markdown
from tiktok_assets.ingest import list_thumbnails, shrink_thumbnail
from tiktok_assets.overview import format_money, format_percent
from tiktok_assets.storage import HiveStore, ThumbnailStore

MAX_CREATIVES = 8
MAX_WALL_LENGTH = 60_000
"""In characters; pictures beyond are left out. The event log stores the text with each materialization."""

PICTURE_PIXELS = 96
"""Width and height that a picture has at most."""

_PERCENT = 100


@dataclass(frozen=True, slots=True)
class ShownCreative:
    """A row of the wall: its name, the hash of its thumbnail if it has one, and its other cells as text."""

    name: str
    thumbnail: str | None
    cells: Sequence[str]


def build_creatives_wall(store: HiveStore, creatives: pl.DataFrame) -> Mapping[str, dg.MarkdownMetadataValue]:
    """Build the wall of an account's creatives, the largest spend of the last 7 complete days first."""
    rows = creatives.sort("spend_7d", "spend_lifetime", descending=True, nulls_last=True).head(MAX_CREATIVES)
    shown = [
        ShownCreative(
            row["creative_name"] or row["creative_id"],
            row["thumbnail"],
            (
                format_money(row["spend_7d"], row["currency"] or ""),
                format_money(row["spend_lifetime"], row["currency"] or ""),
                format_percent(_to_ratio(row["hook_rate_7d"]), 1),
                format_percent(_to_ratio(row["hold_rate_7d"]), 1),
            ),
        )
        for row in rows.to_dicts()
    ]
    headings = ("spend, 7 days", "spend, lifetime", "hook rate, 7 days", "hold rate, 7 days")
    return _render(store, "creative", headings, shown)


def build_leaders_wall(
    store: HiveStore, advertiser_id: str, leaders: pl.DataFrame
) -> Mapping[str, dg.MarkdownMetadataValue]:
    """Build the wall of an account's top spenders, the largest spend first.

    Args:
        store: contains the tables of files.
        advertiser_id: the account.
        leaders: its rows of `top_spenders`, with `hook_rate` and `hold_rate` of their lifetime.
    """
    thumbnails = list_thumbnails(store, advertiser_id)
    shown = [
        ShownCreative(
            row["ad_name"] or row["ad_id"],
            thumbnails.get(row["video_id"]) or thumbnails.get(row["tiktok_item_id"]),
            (
                row["campaign_name"] or row["campaign_id"],
                format_money(row["spend"], row["currency"]),
                format_percent(row["share"]),
                format_percent(_to_ratio(row["hook_rate"]), 1),
                format_percent(_to_ratio(row["hold_rate"]), 1),
            ),
        )
        for row in leaders.sort("currency", "spend", descending=[False, True]).head(MAX_CREATIVES).to_dicts()
    ]
    headings = ("campaign", "spend, lifetime", "share of campaign", "hook rate, lifetime", "hold rate, lifetime")
    return _render(store, "top spender", headings, shown)


def _render(
    store: HiveStore, title: str, headings: Sequence[str], shown: Iterable[ShownCreative]
) -> Mapping[str, dg.MarkdownMetadataValue]:
    """Render the table; empty without any picture, because the other tables of the event have the same rows."""
    pictures, rows, room = ThumbnailStore(store.base), [], MAX_WALL_LENGTH
    for one in shown:
        url = _embed(pictures, one.thumbnail)
        is_shown = bool(url) and len(url) <= room
        room -= len(url) if is_shown else 0
        picture = f"![Cover of {escape_markdown(one.name)}]({url})" if is_shown else ""
        rows.append((picture, (one.name, *one.cells)))
    if not any(picture for picture, _ in rows):
        return {}
    numbers = [place for place, heading in enumerate(headings, 1) if heading != "campaign"]
    table = render_markdown_table((title, *headings), [cells for _, cells in rows], numbers).split("\n")
    before = ["| ", "| --- ", *(f"| {picture} " for picture, _ in rows)]
    return {
        "wall": dg.MetadataValue.md("\n".join(f"{left}{line}" for left, line in zip(before, table, strict=True)))
    }


def _embed(store: ThumbnailStore, digest: str | None) -> str:
    content = store.read(digest) if digest else None
    small = shrink_thumbnail(content, PICTURE_PIXELS) if content else None
    return f"data:image/webp;base64,{b64encode(small).decode()}" if small else ""


def _to_ratio(percent: float | None) -> float | None:
    return None if percent is None else percent / _PERCENT

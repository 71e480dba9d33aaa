"""Test the wall in the events of `creatives` and `top_spenders`: thumbnails with names, as Markdown."""

import io
import os
from base64 import b64decode
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import example, given, settings
from markdown_it import MarkdownIt
from PIL import Image

from tiktok_assets.creatives.columns import CREATIVES_SCHEMA
from tiktok_assets.defs.creative_wall import (
    MAX_CREATIVES,
    MAX_WALL_LENGTH,
    PICTURE_PIXELS,
    build_creatives_wall,
    build_leaders_wall,
)
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.ingest.pictures import draw_tile
from tiktok_assets.spec.media import VIDEO_FILES
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.storage.thumbnails import ThumbnailStore
from tiktok_assets.tables.schema import build_schema, entity_columns
from tiktok_assets.top_spenders.ranking import TOP_SPENDERS_SCHEMA
from tiktok_assets_tests.hostile_names import ALL_FRAGMENTS, HOSTILE_NAMES, control_characters_in, visible_text

MARKDOWN = MarkdownIt("gfm-like", {"linkify": True})


def find_pictures(markdown: str) -> list[tuple[str, bytes]]:
    """Return alternative text and content of each picture."""
    images = [
        child for token in MARKDOWN.parse(markdown) for child in token.children or [] if child.type == "image"
    ]
    return [
        (
            "".join(text.content for text in one.children or []),
            b64decode(str(one.attrs["src"]).partition("base64,")[2]),
        )
        for one in images
    ]


def build_creative(name: str, thumbnail: str | None, spend: int = 1) -> dict[str, Any]:
    """Build a row of `creatives`."""
    return dict.fromkeys(CREATIVES_SCHEMA) | {
        "creative_id": name,
        "creative_name": name,
        "thumbnail": thumbnail,
        "currency": "EUR",
        "spend_7d": Decimal(spend),
        "spend_lifetime": Decimal(10 * spend),
        "hook_rate_7d": 31.25,
    }


@settings(max_examples=25, deadline=None)
@example(ALL_FRAGMENTS)
@given(name=HOSTILE_NAMES)
def test_name_is_the_alternative_text(name: str) -> None:
    """A thumbnail has the name as its text, whatever the name contains, and no other picture or link appears."""
    store = HiveStore("memory://wall")
    digest, _ = ThumbnailStore(store.base).write(draw_tile("one", "one"))
    (wall,) = build_creatives_wall(store, pl.DataFrame([build_creative(name, digest)], CREATIVES_SCHEMA)).values()
    ((alt, content),) = find_pictures(wall.value)
    shown = visible_text(alt).removeprefix("Cover of").strip()
    assert shown == visible_text(escape_control_characters(name)).strip()
    assert control_characters_in(wall.value, allowed="\n") == set()
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        assert max(picture.size) == PICTURE_PIXELS
    kinds = {child.type for token in MARKDOWN.parse(wall.value) for child in token.children or []}
    assert "link_open" not in kinds


def test_wall_is_bounded_and_goes_by_recent_spend(tmp_path: Path) -> None:
    """The largest spend of the week comes first; more or larger pictures than the event takes are left out."""
    store = HiveStore(str(tmp_path))
    thumbnails = ThumbnailStore(store.base)
    digests = []
    for _ in range(12):
        buffer = io.BytesIO()
        Image.frombytes("RGB", (320, 320), os.urandom(320 * 320 * 3)).save(buffer, "WEBP", quality=100)
        digests.append(thumbnails.write(buffer.getvalue())[0])
    rows = [build_creative(f"c{number}", digest, number) for number, digest in enumerate(digests)]
    (wall,) = build_creatives_wall(store, pl.DataFrame(rows, CREATIVES_SCHEMA)).values()
    shown = [alt for alt, _ in find_pictures(wall.value)]
    assert shown == [f"Cover of c{number}" for number in range(11, 11 - len(shown), -1)]
    assert 2 <= len(shown) <= MAX_CREATIVES
    assert len(wall.value) < MAX_WALL_LENGTH + 5000
    assert "31.2%" in wall.value.replace("\\", "")


def test_creatives_without_pictures_have_no_wall(tmp_path: Path) -> None:
    """A creative whose file is lost or damaged is a row without picture; without any picture there is no wall."""
    store = HiveStore(str(tmp_path))
    thumbnails = ThumbnailStore(store.base)
    digest, _ = thumbnails.write(draw_tile("one", "one"))
    lost, _ = thumbnails.write(draw_tile("two", "two"))
    thumbnails.path(lost).write_bytes(b"damaged")
    rows = [build_creative("one", digest, 2), build_creative("two", lost), build_creative("three", None)]
    (wall,) = build_creatives_wall(store, pl.DataFrame(rows, CREATIVES_SCHEMA)).values()
    assert [alt for alt, _ in find_pictures(wall.value)] == ["Cover of one"]
    assert len(wall.value.split("\n")) == 2 + 3
    assert build_creatives_wall(store, pl.DataFrame(rows[1:], CREATIVES_SCHEMA)) == {}
    assert build_creatives_wall(store, CREATIVES_SCHEMA.to_frame()) == {}


def test_top_spenders_show_the_thumbnails_of_their_videos(tmp_path: Path) -> None:
    """A top spender has the thumbnail of its video, its campaign, and its rates."""
    store = HiveStore(str(tmp_path))
    digest, _ = ThumbnailStore(store.base).write(draw_tile("one", "one"))
    videos = pl.DataFrame(
        [{"advertiser_id": "7001", "video_id": "v1", "thumbnail": digest}],
        build_schema(entity_columns(VIDEO_FILES.entity)),
    )
    store.write("videos", Partition("7001"), videos)
    row = dict.fromkeys(TOP_SPENDERS_SCHEMA) | {
        "advertiser_id": "7001",
        "campaign_id": "1",
        "campaign_name": "Spring",
        "ad_id": "2",
        "ad_name": "Unboxing",
        "currency": "EUR",
        "spend": Decimal(100),
        "share": 0.5,
        "video_id": "v1",
    }
    leaders = pl.DataFrame([row], TOP_SPENDERS_SCHEMA).with_columns(
        hook_rate=pl.lit(31.25), hold_rate=pl.lit(44.0)
    )
    (wall,) = build_leaders_wall(store, "7001", leaders).values()
    assert [alt for alt, _ in find_pictures(wall.value)] == ["Cover of Unboxing"]
    for cell in ("Spring", "100.00 EUR", "50%", "31.2%", "44.0%"):
        assert cell in wall.value.replace("\\", "").replace("\u2060", "")

"""Tests of the picture of a new top spender: what is stored is shown, and what is missing is left out."""

import io
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from tiktok_assets.alerts.picture import picture_path
from tiktok_assets.alerts.picture_drawing import PICTURE_SIZE, draw_picture
from tiktok_assets.spec.media import IMAGE_FILES, MEDIA_TABLES, MediaTable
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.storage.thumbnails import ThumbnailStore
from tiktok_assets.tables.schema import build_schema, entity_columns, report_schema
from tiktok_assets.top_spenders.picture import build_top_spender_picture
from tiktok_assets.top_spenders.ranking import TOP_SPENDERS_SCHEMA
from tiktok_assets_tests.top_spenders.ranked_account import CAMPAIGN, OWNER, open_account
from tiktok_assets_tests.top_spenders.test_leader_changes import build_leading_spends

LAST = date(2026, 11, 19)
DAILY = report_schema(REPORTS_BY_TABLE["ad_report_daily"], STANDARD_METRICS)
LEADER = dict.fromkeys(TOP_SPENDERS_SCHEMA) | {
    "advertiser_id": OWNER,
    "campaign_id": CAMPAIGN,
    "campaign_name": "Testing",
    "currency": "EUR",
    "ad_id": "A",
    "ad_name": "夏の動画 UGC 3",
    "video_id": "v1",
    "spend": Decimal("1234.5000"),
    "share": 0.4115,
    "lead": 0.12227,
    "complete_until": LAST,
}


def write_days(store: HiveStore, spends: dict[int, int], **metrics: int) -> None:
    """Write the days so many days before the last one, each with the spend of the ad A and of another."""
    for back, spend in spends.items():
        day = LAST - timedelta(back)
        common: dict[str, Any] = {"advertiser_id": OWNER, "date": day, "currency": "EUR", **metrics}
        rows = [
            {**common, "ad_id": ad_id, "spend": Decimal(amount)}
            for ad_id, amount in (("A", spend), ("B", 500))
            if amount
        ]
        store.write("ad_report_daily", Partition(OWNER, day), pl.DataFrame(rows, DAILY))


def test_figures_and_trend_are_those_of_the_stored_days(tmp_path: Path) -> None:
    """Rates are of a week's sums; the trend begins with the first spend, with a gap where a day is missing."""
    store = HiveStore(str(tmp_path))
    spends = {back: 10 * (12 - back) if back < 12 else 0 for back in range(30) if back != 8}
    write_days(store, spends, impressions=1000, video_watched_2s=300, video_watched_6s=120)
    picture = build_top_spender_picture(store, LEADER, None)
    assert dict(picture.figures) == {
        "Lifetime spend": "1,234.50 EUR",
        "Share of campaign": "41.1%",
        "Lead over second": "12.2%",
        "Hook rate, 7 days": "30.0%",
        "Hold rate, 7 days": "40.0%",
    }
    assert picture.series == (10, 20, 30, None, 50, 60, 70, 80, 90, 100, 110, 120)
    assert (picture.series_label, picture.series_note) == (
        "Spend a day, 12 days to 19 Nov 2026",
        "highest 120.00 EUR",
    )
    for text in ("夏の動画 UGC 3", "Testing", "hook rate, 7 days 30.0%", "highest 120.00 EUR"):
        assert text in picture.alt
    assert picture.file_name == "new-top-spender-ugc-3.png"


@pytest.mark.parametrize("media", MEDIA_TABLES, ids=lambda one: one.table)
def test_thumbnail_of_the_ad_is_shown(tmp_path: Path, media: MediaTable) -> None:
    """The picture has the stored thumbnail of the ad's video, image or post; without file or table it has none."""
    store = HiveStore(str(tmp_path))
    leader = {**LEADER, "video_id": None, **({media.entity.key: "v1"} if media is not IMAGE_FILES else {})}
    ad = {"image_ids": '["v1", "v2"]'} if media is IMAGE_FILES else None
    assert build_top_spender_picture(store, leader, ad).thumbnail is None
    buffer = io.BytesIO()
    Image.new("RGB", (320, 568), "red").save(buffer, "WEBP")
    digest, _ = ThumbnailStore(store.base).write(buffer.getvalue())
    row = {"advertiser_id": OWNER, media.entity.key: "v1", "thumbnail": digest}
    frame = pl.DataFrame([row], build_schema(entity_columns(media.entity)))
    store.write(media.table, Partition(OWNER), frame)
    assert build_top_spender_picture(store, leader, ad).thumbnail == buffer.getvalue()
    ThumbnailStore(store.base).path(digest).unlink()
    assert build_top_spender_picture(store, leader, ad).thumbnail is None


def test_ad_of_which_little_is_known_has_a_picture(tmp_path: Path) -> None:
    """A leader without names, runner-up and days is drawn with what there is."""
    leader = {
        **LEADER,
        **dict.fromkeys(("ad_name", "campaign_name", "video_id", "share", "lead", "complete_until")),
    }
    picture = build_top_spender_picture(HiveStore(str(tmp_path)), leader, {"image_ids": "not a list"})
    assert picture.figures == (("Lifetime spend", "1,234.50 EUR"),)
    assert (picture.title, picture.series, picture.file_name) == ("A", (), "new-top-spender-a.png")
    with Image.open(io.BytesIO(draw_picture(picture))) as drawn:
        assert drawn.size == PICTURE_SIZE


@pytest.mark.parametrize("is_held", [False, True])
def test_flag_writes_the_picture_of_its_alert(tmp_path: Path, is_held: bool) -> None:
    """The picture of a flagged ad is a private file beside the alert's page; an ad that is held back has none."""
    with open_account(tmp_path, min_spend=1_000_000 if is_held else 0) as account:
        account.write_ads("AB")
        account.read_reports(build_leading_spends("A"))
        account.read_reports(build_leading_spends("B"))
        path = picture_path(account.settings.state_dir / "alerts", account.flag("B").flag_id)
        assert path.exists() != is_held
        if not is_held:
            assert path.stat().st_mode & 0o777 == 0o600
            with Image.open(path) as drawn:
                assert (drawn.format, drawn.size) == ("PNG", PICTURE_SIZE)

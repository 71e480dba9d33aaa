"""Tests of `creatives` and `creative_daily`: nothing is lost or counted twice, and rates come from sums."""

import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.creatives.columns import CREATIVE_DAILY, CREATIVE_DAILY_SCHEMA, RATES, SUMMED_METRICS
from tiktok_assets.creatives.daily import CreativeDays, read_ads, sum_by_creative, update_creative_days
from tiktok_assets.creatives.identity import describe_images, identify_creatives, parse_image_ids
from tiktok_assets.creatives.summary import read_summary_sources, summarize_creatives
from tiktok_assets.spec.entities import ADS
from tiktok_assets.spec.media import POST_FILES, VIDEO_FILES
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.schema import build_schema, entity_columns, report_schema

OWNER = "7001"
NOW = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)
LAST = date(2026, 10, 6)
ADS_SCHEMA = build_schema(entity_columns(ADS))
DAILY_SCHEMA = report_schema(REPORTS_BY_TABLE["ad_report_daily"], STANDARD_METRICS)
LIFETIME_SCHEMA = report_schema(REPORTS_BY_TABLE["ad_report_lifetime"], STANDARD_METRICS)

ids = st.sampled_from([None, "", "0", "1", "2"])
all_ads = st.dictionaries(
    st.integers(20, 26).map(str),
    st.fixed_dictionaries(
        {
            "video_id": ids,
            "tiktok_item_id": st.sampled_from([None, "0", "81", "82"]),
            "image_ids": st.sampled_from(
                [None, "[]", '["91"]', '["91", "92"]', '["92", "91"]', "broken", '"text"']
            ),
        }
    ),
    max_size=6,
)
"""Ads by id: what they show."""
figures = st.fixed_dictionaries(
    {
        "spend": st.sampled_from([None, "0", "0.0001", "12.5"]).map(lambda text: Decimal(text) if text else None),
        "impressions": st.sampled_from([None, 0, 1000]),
        "video_watched_2s": st.sampled_from([None, 0, 300]),
    }
)
reports = st.dictionaries(st.tuples(st.integers(0, 3), st.integers(20, 28).map(str)), figures, max_size=14)
"""Report rows by days before the last and ad; some ads are not in `ads`."""


def write_ads(store: HiveStore, ads: dict[str, dict[str, Any]]) -> None:
    """Write the table of ads."""
    rows = [
        {"advertiser_id": OWNER, "campaign_id": "5", "ad_id": one, "ad_name": f"ad {one}", **ad}
        for one, ad in ads.items()
    ]
    store.write("ads", Partition(OWNER), pl.DataFrame(rows, ADS_SCHEMA))


def write_day(store: HiveStore, ago: int, rows: dict[str, dict[str, Any]], at: float = 1e9) -> None:
    """Write a day of the report, by ad, at a time in the past."""
    day = LAST - timedelta(ago)
    frame = pl.DataFrame(
        [
            {"advertiser_id": OWNER, "ad_id": ad, "date": day, "currency": "EUR", "fetched_at": NOW, **figure}
            for ad, figure in rows.items()
        ],
        DAILY_SCHEMA,
    )
    written = store.write("ad_report_daily", Partition(OWNER, day), frame)
    # A file of the last seconds could be replaced without a change of its version, so it is read each time.
    os.utime(written.path, (at, at))


def write_report(store: HiveStore, report: dict[tuple[int, str], dict[str, Any]], days: int = 4) -> None:
    """Write the days of a report."""
    for ago in range(days):
        write_day(store, ago, {ad: row for (distance, ad), row in report.items() if distance == ago})


def update(store: HiveStore) -> CreativeDays:
    """Update the table and return what was written."""
    days = update_creative_days(store, OWNER, read_ads(store, OWNER))
    store.write(CREATIVE_DAILY, Partition(OWNER), days.rows, metadata=days.metadata)
    return days


@pytest.mark.slow
@given(all_ads, reports)
@settings(deadline=None)
def test_sums_are_those_of_the_report(ads: dict[str, dict[str, Any]], report: dict[tuple[int, str], Any]) -> None:
    """Over all creatives of a day each metric is the report's sum, whatever the ads show; no key comes twice."""
    frame = pl.DataFrame(
        [
            {"advertiser_id": OWNER, "ad_id": ad, "date": LAST - timedelta(ago), "currency": "EUR", **row}
            for (ago, ad), row in report.items()
        ],
        DAILY_SCHEMA,
    ).with_columns(average_video_play=pl.lit(None, pl.Float64))
    known = identify_creatives(
        pl.DataFrame([{"advertiser_id": OWNER, "ad_id": one, **ad} for one, ad in ads.items()], ADS_SCHEMA)
    )
    summed = sum_by_creative(frame, known)
    for name in SUMMED_METRICS:
        by_day = pl.col(name).sum()
        assert (
            summed.group_by("date")
            .agg(by_day)
            .sort("date")
            .equals(frame.group_by("date").agg(by_day.cast(CREATIVE_DAILY_SCHEMA[name])).sort("date"))
        )
    assert summed.height == summed.select("creative_id", "creative_kind", "date").unique().height
    assert summed.get_column("ads").sum() == frame.height


@given(all_ads)
@settings(deadline=None)
def test_every_ad_shows_one_creative(ads: dict[str, dict[str, Any]]) -> None:
    """An ad shows its video, else its post or that post's video, else its images in any order, else itself."""
    rows = [{"advertiser_id": OWNER, "ad_id": one, **ad} for one, ad in ads.items()]
    found = {row["ad_id"]: row for row in identify_creatives(pl.DataFrame(rows, ADS_SCHEMA)).to_dicts()}
    for one, ad in ads.items():
        video, post = (ad[name] if ad[name] not in {"", "0"} else None for name in ("video_id", "tiktok_item_id"))
        of_post = sorted(
            other["video_id"]
            for other in ads.values()
            if post and other["tiktok_item_id"] == post and other["video_id"] not in {None, "", "0"}
        )
        images = describe_images(ad["image_ids"] or "")
        expected = (
            ("video", video or of_post[0])
            if video or of_post
            else ("post", post)
            if post
            else ("images", images)
            if images
            else ("ad", one)
        )
        assert (found[one]["creative_kind"], found[one]["creative_id"]) == expected


def test_order_of_images_does_not_matter() -> None:
    """The same images in another order are the same creative, and text that is no list has no images."""
    assert describe_images('["91", "92"]') == describe_images('["92", "91"]') != describe_images('["92", "93"]')
    assert parse_image_ids('{"a": 1}') == parse_image_ids("[1, null, [2]]") == []


def test_only_changed_days_are_read(tmp_path: Path) -> None:
    """A second update reads only days that are new or were written again, and equals a table built anew."""
    store = HiveStore(str(tmp_path / "one"))
    ads = {"20": {"video_id": "1"}, "21": {"video_id": "1"}, "22": {"video_id": "2"}}
    row = {"spend": Decimal("1.5"), "impressions": 100, "video_watched_2s": 30}
    write_ads(store, ads)
    write_report(store, {(ago, ad): row for ago in range(1, 4) for ad in ads})
    assert update(store).days_read == 4
    assert update(store).days_read == 0
    write_day(store, 0, {"20": row})
    write_day(store, 2, {"20": {**row, "spend": Decimal(7)}}, at=1.1e9)
    updated = update(store)
    assert updated.days_read == 2
    assert updated.newest_day == LAST
    new = HiveStore(str(tmp_path / "new"))
    write_ads(new, ads)
    for partition in store.partitions("ad_report_daily"):
        new.write("ad_report_daily", partition, store.read("ad_report_daily", DAILY_SCHEMA, [partition]).collect())
    assert update(new).rows.equals(updated.rows)


def test_day_without_file_loses_its_rows(tmp_path: Path) -> None:
    """The rows of a day whose partition was deleted are deleted too."""
    store = HiveStore(str(tmp_path))
    write_ads(store, {"20": {"video_id": "1"}})
    write_report(store, {(ago, "20"): {"spend": Decimal(1)} for ago in range(2)}, days=2)
    assert update(store).rows.height == 2
    next((tmp_path / "ad_report_daily" / f"advertiser_id={OWNER}" / f"date={LAST}").glob("*")).unlink()
    assert update(store).rows.get_column("date").to_list() == [LAST - timedelta(1)]


def test_spend_stays_with_the_video_it_was_spent_on(tmp_path: Path) -> None:
    """If an ad gets another video, days that are not read again keep the older one; an unknown ad is resolved."""
    store = HiveStore(str(tmp_path))
    write_ads(store, {"20": {"video_id": "1"}})
    write_report(store, {(1, "20"): {"spend": Decimal(1)}, (1, "21"): {"spend": Decimal(2)}}, days=2)
    first = {row["creative_id"]: row["creative_kind"] for row in update(store).rows.to_dicts()}
    assert first == {"1": "video", "21": "ad"}
    write_ads(store, {"20": {"video_id": "2"}})
    write_day(store, 0, {"20": {"spend": Decimal(4)}})
    spend = {(row["creative_id"], row["date"]): row["spend"] for row in update(store).rows.to_dicts()}
    assert spend[("1", LAST - timedelta(1))] == Decimal(1)
    assert spend[("2", LAST)] == Decimal(4)
    write_ads(store, {"20": {"video_id": "2"}, "21": {"video_id": "3"}})
    assert "21" not in update(store).rows.get_column("creative_id").to_list()


def summarize(store: HiveStore, complete_days: int) -> dict[str, dict[str, Any]]:
    """Summarize the stored account, by creative."""
    ads = read_ads(store, OWNER)
    rows = summarize_creatives(
        ads, update(store).rows, read_summary_sources(store, OWNER), LAST if complete_days else None, complete_days
    )
    return {row["creative_id"]: row for row in rows.to_dicts()}


@pytest.fixture
def account(tmp_path: Path) -> HiveStore:
    """Store an account with a video in two ads of two campaigns, ten days long, and a paused image."""
    store = HiveStore(str(tmp_path))
    on, off = {"operation_status": "ENABLE"}, {"operation_status": "DISABLE"}
    write_ads(
        store,
        {
            "20": {"video_id": "1", "image_ids": '["90"]', "campaign_id": "5", **on},
            "21": {"video_id": "1", "campaign_id": "6", **off},
            "22": {"image_ids": '["91"]', **off},
            "23": {"video_id": "4", "secondary_status": "AD_STATUS_DELETE", **on},
        },
    )
    row = {"spend": Decimal("2.50"), "impressions": 1000, "clicks": 20, "conversion": 1}
    views = {"video_watched_2s": 400, "video_watched_6s": 100, "video_play_actions": 800, "video_views_p100": 40}
    small = {"spend": Decimal("0.50"), "impressions": 3000, "clicks": 0, "conversion": 0, "video_watched_2s": 0}
    write_report(
        store,
        {
            **{(ago, "20"): row | views for ago in range(10)},
            **{(ago, "21"): small for ago in range(2, 10)},
            (9, "22"): {"spend": Decimal(1), "impressions": 10},
        },
        days=10,
    )
    lifetime = [
        {
            "advertiser_id": OWNER,
            "ad_id": "20",
            "currency": "EUR",
            "fetched_at": NOW,
            **row,
            "spend": Decimal(100),
        },
        {"advertiser_id": OWNER, "ad_id": "21", "currency": "EUR", "fetched_at": NOW, **row},
        {"advertiser_id": OWNER, "ad_id": "23", "currency": "EUR", "fetched_at": NOW, **row, "impressions": 0},
    ]
    store.write("ad_report_lifetime", Partition(OWNER), pl.DataFrame(lifetime, LIFETIME_SCHEMA))
    return store


def test_rates_come_from_sums(account: HiveStore) -> None:
    """Rates are quotients of the sums of all ads with the creative, not averages of the ads' rates."""
    video = summarize(account, 7)["1"]
    assert (video["spend_7d"], video["impressions_7d"]) == (Decimal(20), 7 * 1000 + 5 * 3000)
    assert video["hook_rate_7d"] == pytest.approx(100 * 7 * 400 / 22000)
    assert video["hold_rate_7d"] == pytest.approx(25)
    assert video["ctr_7d"] == pytest.approx(100 * 140 / 22000)
    assert video["cpa_7d"] == Decimal("2.8571")
    assert video["completion_rate_7d"] == pytest.approx(5)
    assert video["spend_lifetime"] == Decimal("102.50")
    assert video["average_watch_seconds_7d"] is None
    assert (video["ads"], video["active_ads"], video["campaigns"], video["status"]) == (2, 1, 2, "active")
    assert (video["first_spend_date"], video["last_spend_date"]) == (LAST - timedelta(9), LAST)
    assert video["image_ids"] is None
    assert video["creative_name"] == "ad 20"


def test_no_rate_without_its_parts(account: HiveStore) -> None:
    """Without views or over zero a rate is null, and a creative without rows has spent nothing."""
    found = summarize(account, 7)
    image, deleted = found["91"], found["4"]
    assert (image["spend_7d"], image["hook_rate_7d"], image["status"]) == (Decimal(0), None, "paused")
    assert image["first_spend_date"] == LAST - timedelta(9)
    assert (deleted["hook_rate_lifetime"], deleted["ctr_lifetime"], deleted["status"]) == (None, None, "deleted")


def test_window_needs_all_its_days(account: HiveStore) -> None:
    """A window with fewer complete days than its length is null in every figure."""
    video = summarize(account, 7)["1"]
    assert [video[f"{name}_28d"] for name in ("spend", "impressions", *RATES)] == [None] * (2 + len(RATES))
    video = summarize(account, 0)["1"]
    assert video["spend_7d"] is None
    assert video["complete_until"] is None
    assert video["spend_lifetime"] == Decimal("102.50")


def test_post_has_the_thumbnail_of_its_cover(tmp_path: Path) -> None:
    """A creative whose ads show a post has the thumbnail of the post, or that of its video if there is one."""
    store = HiveStore(str(tmp_path))
    write_ads(store, {"30": {"tiktok_item_id": "p1"}, "31": {"tiktok_item_id": "p2", "video_id": "v2"}})
    for media, rows in ((POST_FILES, {"p1": "a", "p2": "b"}), (VIDEO_FILES, {"v2": "c"})):
        key = media.entity.key
        frame = pl.DataFrame(
            [{"advertiser_id": OWNER, key: one, "thumbnail": digest} for one, digest in rows.items()],
            build_schema(entity_columns(media.entity)),
        )
        store.write(media.table, Partition(OWNER), frame)
    shown = {one: row["thumbnail"] for one, row in summarize(store, 0).items()}
    assert shown == {"p1": "a", "v2": "c"}


def test_nothing_stored_is_an_empty_table(tmp_path: Path) -> None:
    """An account without any stored table has no creatives."""
    assert summarize(HiveStore(str(tmp_path)), 0) == {}

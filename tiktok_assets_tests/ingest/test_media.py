"""Tests that the videos and images of ads are read once, with thumbnails, within the limits of a run."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from tiktok_assets.api.client import RequestStats
from tiktok_assets.ingest.media import estimate_media_requests, list_used_ids, read_media, refresh_media
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.ingest.thumbnails import ThumbnailDownloads, open_downloads
from tiktok_assets.ingest.writer import refresh_entity
from tiktok_assets.sandbox.reads.media import library_image
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.endpoints import POSTS
from tiktok_assets.spec.entities import ADS
from tiktok_assets.spec.media import IMAGE_FILES, POST_FILES, VIDEO_FILES, MediaTable
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.storage.thumbnails import ThumbnailStore
from tiktok_assets.tables.frames import build_entity_frame
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import OpenReader, open_reader


@dataclass
class Library:
    """An account with stored ads, and the refresh of its files."""

    host: Host
    opened: OpenReader
    store: HiveStore
    account: str

    def refresh_ads(self) -> None:
        """Replace the stored ads."""
        outcomes = refresh_entity(self.opened.reader, self.store, ADS, [self.account])
        assert all(isinstance(one, WrittenPartition) for one in outcomes)

    @property
    def thumbnails(self) -> ThumbnailStore:
        """The stored thumbnails."""
        return ThumbnailStore(self.store.base)

    def refresh(
        self, media: MediaTable = VIDEO_FILES, pictures: int = 200, megabytes: int = 500
    ) -> tuple[WrittenPartition | FailedPartitions, ThumbnailDownloads]:
        """Refresh a table of the account."""
        url = self.host.sandbox.base_url
        with open_downloads(self.thumbnails, url, max_pictures=pictures, max_megabytes=megabytes) as downloads:
            (outcome,) = refresh_media(self.opened.reader, self.store, media, [self.account], downloads)
        return outcome, downloads

    def cost(self, media: MediaTable = VIDEO_FILES, pictures: int = 200) -> tuple[int, tuple[int, int] | None]:
        """Return requests of a refresh that must succeed, with its pictures and their bytes."""
        outcome, _ = self.refresh(media, pictures)
        assert isinstance(outcome, WrittenPartition), outcome
        return outcome.stats.requests, outcome.thumbnails

    def rows(self, media: MediaTable = VIDEO_FILES) -> pl.DataFrame:
        """Return the stored rows."""
        file = self.store.scan_partition(media.table, Partition(self.account))
        assert file is not None
        return file.collect()


@pytest.fixture(scope="module")
def media_host() -> Iterator[Host]:
    """Run one account with a few ads."""
    with Host.run(WorldPlan(advertisers=2)) as host:
        yield host


@pytest.fixture
def library(media_host: Host, tmp_path: Path) -> Iterator[Library]:
    """Store the ads of the account."""
    media_host.reset()
    store = HiveStore(str(tmp_path))
    account = next(one.id for one in media_host.sandbox.world.advertisers.values() if one.granted)
    with open_reader(media_host) as opened:
        assert all(
            isinstance(one, WrittenPartition) for one in refresh_entity(opened.reader, store, ADS, [account])
        )
        yield Library(media_host, opened, store, account)
    media_host.reset()


def test_each_video_is_read_once_with_its_thumbnail(library: Library) -> None:
    """The first refresh reads each used video once and stores its cover; the second sends no request."""
    used = list_used_ids(library.store, VIDEO_FILES, library.account)
    requests, thumbnails = library.cost()
    rows = library.rows()
    assert set(rows.get_column("video_id")) == set(used)
    assert requests == 1
    assert thumbnails is not None
    assert thumbnails[0] == rows.filter("is_listed").height > 3
    for digest in rows.filter("is_listed").get_column("thumbnail"):
        content = library.thumbnails.read(digest)
        assert content
        with Image.open(io.BytesIO(content)) as picture:
            assert (picture.format, picture.width) == ("WEBP", 320)
    assert library.cost() == (0, (0, 0))
    assert library.rows().equals(rows)


def test_columns_are_those_of_the_response(library: Library) -> None:
    """Size, length, times and ids of a file are stored in their types."""
    library.cost()
    row = library.rows().filter("is_listed").to_dicts()[0]
    assert (row["width"], row["height"], row["duration"], row["size"]) == (720, 1280, 9.8, 1_499_381)
    assert row["material_id"].isdigit()
    assert f"{row['create_time']:%Y-%m-%d %H:%M %Z}" == "2026-01-05 09:00 UTC"
    assert row["preview_url_expire_time"] > row["requested_at"]
    assert row["extra"] is None


def test_a_run_downloads_a_set_number_of_pictures(library: Library) -> None:
    """Pictures beyond the number of a run are downloaded by the next ones, whose URLs are requested again."""
    library.cost(pictures=0)
    total = library.rows().filter("is_listed").height
    assert library.cost(pictures=0) == (0, (0, 0))
    for expected in (2, 2):
        requests, thumbnails = library.cost(pictures=2)
        assert thumbnails is not None
        assert (requests, thumbnails[0]) == (1, expected)
    library.cost()
    assert library.rows().get_column("thumbnail").drop_nulls().len() == total


def test_pictures_of_the_largest_spend_come_first(library: Library) -> None:
    """Of more pictures than a run downloads, those of the ads with the highest lifetime spend are chosen."""
    ads = library.store.scan_partition(ADS.table, Partition(library.account))
    assert ads is not None
    rows = ads.select("ad_id", "video_id").filter(pl.col("video_id") != "").collect()
    oldest = list_used_ids(library.store, VIDEO_FILES, library.account)[-2:]
    spend = pl.when(pl.col("video_id").is_in(oldest)).then(1000).otherwise(1).cast(pl.Decimal(18, 4))
    library.store.write(
        "ad_report_lifetime",
        Partition(library.account),
        rows.select(pl.lit(library.account).alias("advertiser_id"), "ad_id", spend.alias("spend")),
    )
    library.cost(pictures=2)
    shown = library.rows().filter(pl.col("thumbnail").is_not_null())
    assert set(shown.get_column("video_id")) == set(oldest)


def test_lost_file_is_downloaded_again(library: Library) -> None:
    """A thumbnail whose file was deleted is requested and stored again; the others are not."""
    library.cost()
    rows = library.rows()
    digest = rows.get_column("thumbnail").drop_nulls()[0]
    library.thumbnails.path(digest).unlink()
    requests, thumbnails = library.cost()
    assert (requests, thumbnails and thumbnails[0]) == (1, 1)
    assert library.thumbnails.read(digest)
    assert library.rows().get_column("thumbnail").equals(rows.get_column("thumbnail"))
    assert library.cost() == (0, (0, 0))


def test_estimate_counts_ads_that_are_not_stored(library: Library) -> None:
    """An estimate has a request for each sixty videos of the stored ads and of those that will be stored."""
    now = library.opened.reader.now()
    empty = HiveStore(f"{library.store.base}/empty")

    def _estimate(store: HiveStore, media: MediaTable, ads: int | None) -> int:
        return estimate_media_requests(store, media, library.account, now, ads)

    assert [_estimate(library.store, VIDEO_FILES, ads) for ads in (None, 0)] == [1, 1]
    assert [_estimate(empty, VIDEO_FILES, ads) for ads in (None, 0, 60, 61)] == [0, 0, 1, 2]
    assert 1 < _estimate(library.store, VIDEO_FILES, 600) <= 10
    assert [_estimate(store, IMAGE_FILES, 600) for store in (library.store, empty)] == [0, 0]


def test_the_room_for_thumbnails_is_limited(library: Library) -> None:
    """Without room no picture is downloaded, and no URL requested for one."""
    outcome, downloads = library.refresh(megabytes=0)
    assert isinstance(outcome, WrittenPartition)
    assert (downloads.pictures, library.thumbnails.measure()) == (0, 0)
    outcome, _ = library.refresh(megabytes=0)
    assert isinstance(outcome, WrittenPartition)
    assert outcome.stats.requests == 0


def test_a_folder_that_cannot_be_written_costs_the_pictures_only(library: Library) -> None:
    """If thumbnails cannot be stored, the table is, and the next refresh makes up for them."""
    blocked = Path(str(library.store.base)) / "thumbnails"
    blocked.write_text("a file where the folder should be")
    outcome, downloads = library.refresh()
    assert isinstance(outcome, WrittenPartition)
    assert downloads.write_error
    assert library.rows().filter("is_listed").get_column("thumbnail").null_count() > 0
    blocked.unlink()
    _, thumbnails = library.cost()
    assert thumbnails is not None
    assert thumbnails[0] == library.rows().filter("is_listed").height


def test_videos_that_are_not_returned_are_requested_again_after_a_week(library: Library) -> None:
    """A video that was deleted keeps its row; one that was never returned is requested once a week."""
    first = list_used_ids(library.store, VIDEO_FILES, library.account)[0]
    library.host.control("POST", "videos", video_id=first, state="deleted")
    library.cost()
    row = library.rows().filter(pl.col("video_id") == first)
    assert row.select("is_listed", "file_name", "thumbnail").rows() == [(False, None, None)]
    assert library.cost() == (0, (0, 0))
    library.host.control("POST", "videos", video_id=first, state="ready")
    library.host.advance(days=7)
    library.refresh_ads()  # the reader's clock is that of the last response
    assert library.cost()[0] == 1
    assert library.rows().filter(pl.col("video_id") == first).get_column("thumbnail").item()


def test_refused_images_do_not_cost_the_others(library: Library) -> None:
    """Images that are not in the library have the request refused; the other images are read all the same."""
    known = [library_image(library.account, number) for number in range(3)]
    ids = [known[0], "tos-unknown/1", *known[1:], "tos-unknown/2"]
    frame, stats = read_media(library.opened.reader, IMAGE_FILES, library.account, ids)
    assert sorted(frame.get_column("image_id")) == known
    assert stats.requests > 1


def test_covers_of_videos_are_not_requested_as_images(library: Library) -> None:
    """An account whose ads all have a video costs no request for images."""
    assert list_used_ids(library.store, IMAGE_FILES, library.account) == []
    assert library.cost(IMAGE_FILES) == (0, (0, 0))


def test_images_of_carousels_are_read(library: Library) -> None:
    """The images of an ad without a video are read with their thumbnails."""
    ids = [library_image(library.account, number) for number in range(3)]
    ad = {"advertiser_id": library.account, "ad_id": "1", "image_ids": ids}
    now = library.opened.reader.now()
    frame = build_entity_frame(ADS, [ad], now, unknown_fields=RequestStats().unknown_fields)
    library.store.write(ADS.table, Partition(library.account), frame)
    requests, thumbnails = library.cost(IMAGE_FILES)
    assert (requests, thumbnails and thumbnails[0]) == (1, 3)
    assert library.cost(IMAGE_FILES) == (0, (0, 0))


@pytest.mark.parametrize("media", [VIDEO_FILES, POST_FILES], ids=lambda one: one.table)
def test_a_missing_permission_is_told_once(library: Library, media: MediaTable) -> None:
    """Without the permission, or on a host without the endpoint, one request is sent and the table left out."""
    for code in (40131, 40009):
        library.host.reset()
        library.host.inject_fault("code", path=media.entity.endpoint.path.strip("/"), times=None, code=code)
        before = len(library.host.requests)
        outcome, _ = library.refresh(media)
        assert isinstance(outcome, FailedPartitions)
        assert outcome.is_not_offered
        assert len(library.host.requests) - before == 1


def test_each_post_is_read_once_with_its_thumbnail(library: Library) -> None:
    """The posts of Spark ads are read by their identities and have thumbnails; the next refresh sends nothing."""
    used = list_used_ids(library.store, POST_FILES, library.account)
    estimated = estimate_media_requests(library.store, POST_FILES, library.account, library.opened.reader.now())
    requests, thumbnails = library.cost(POST_FILES)
    rows = library.rows(POST_FILES)
    ads = library.store.scan_partition(ADS.table, Partition(library.account))
    assert ads is not None
    identities = ads.filter(pl.col("tiktok_item_id").is_in(used)).select("identity_type", "identity_id").unique()
    assert requests == estimated == identities.collect().height
    assert set(rows.get_column("tiktok_item_id")) == set(used)
    assert thumbnails is not None
    assert thumbnails[0] == rows.filter("is_listed").height > 1
    row = rows.filter(pl.col("is_listed") & (pl.col("identity_type") == "AUTH_CODE")).to_dicts()[0]
    assert (row["item_type"], row["width"], row["height"], row["duration"]) == ("VIDEO", 720, 1280, 9.8)
    assert (row["ad_auth_status"], row["auth_end_time"] > row["requested_at"]) == ("AUTHORIZED", True)
    assert row["text"]
    assert row["extra"] is None
    assert library.thumbnails.read(row["thumbnail"])
    assert library.cost(POST_FILES) == (0, (0, 0))


def test_account_without_posts_costs_no_request(library: Library) -> None:
    """Without Spark ads nothing is requested, and the table is empty."""
    ads = library.store.scan_partition(ADS.table, Partition(library.account))
    assert ads is not None
    without = ads.collect().with_columns(tiktok_item_id=pl.lit(None, pl.String))
    library.store.write(ADS.table, Partition(library.account), without)
    assert library.cost(POST_FILES) == (0, (0, 0))
    assert library.rows(POST_FILES).is_empty()


def test_withdrawn_post_keeps_its_row(library: Library) -> None:
    """A post that TikTok no longer shows the identity is left out, and asked for again after a week only."""
    ads = library.store.scan_partition(ADS.table, Partition(library.account))
    assert ads is not None
    own = ads.filter((pl.col("identity_type") != "AUTH_CODE") & (pl.col("tiktok_item_id") != "")).collect()
    post = own.get_column("tiktok_item_id")[0]
    library.host.sandbox.world.withdrawn_posts[post] = 0
    try:
        library.cost(POST_FILES)
    finally:
        del library.host.sandbox.world.withdrawn_posts[post]
    row = library.rows(POST_FILES).filter(pl.col("tiktok_item_id") == post)
    assert row.select("is_listed", "thumbnail").rows() == [(False, None)]
    assert library.cost(POST_FILES) == (0, (0, 0))


def test_posts_of_one_identity_that_is_refused_do_not_cost_the_others(library: Library) -> None:
    """Where TikTok refuses an identity to the token, the posts of the others are read all the same."""
    library.host.inject_fault("code", path=POSTS.path.strip("/"), code=40002, times=1)
    library.cost(POST_FILES)
    listed = library.rows(POST_FILES).get_column("is_listed")
    assert listed.any()

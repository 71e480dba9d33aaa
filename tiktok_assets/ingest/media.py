"""Read the videos, images and posts that stored ads use, each once, and store thumbnails of them.

An id is requested again only where its picture is still to be downloaded, and after a week where TikTok did not
return it. So the files of an account cost requests when ads with new ones appear, and otherwise none.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.api import ContractError, RequestStats, TikTokError
from tiktok_assets.ingest.media_batches import read_in_batches
from tiktok_assets.ingest.partitions import (
    NO_REQUESTS,
    FailedPartitions,
    ReadStats,
    WrittenPartition,
    fetched_at_metadata,
)
from tiktok_assets.ingest.posts import count_post_requests, read_posts
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.thumbnails import ThumbnailDownloads
from tiktok_assets.spec import ADS, IMAGE_FILES, MEDIA_TABLES, POST_FILES, SMART_PLUS_ADS, VIDEO_FILES, MediaTable
from tiktok_assets.storage import HiveStore, Partition, StoreError
from tiktok_assets.tables import build_entity_frame, build_schema, count_malformed_values, entity_columns

_LIFETIME = "ad_report_lifetime"

_DAY = timedelta(hours=20)
"""With a refresh a day, the next one: a refresh does not read an account at the same minute every day."""

_WEEK = timedelta(days=7) - timedelta(hours=2)

_AD_FILES = pl.Schema(dict.fromkeys(("video_id", "image_ids", "tiktok_item_id"), pl.String()))

_Creative = tuple[str, Sequence[object], str]
"""The video, the images and the post of a creative, each "" or empty without one."""


def list_used_ids(store: HiveStore, media: MediaTable, advertiser_id: str) -> list[str]:
    """Return the ids of the videos, images or posts that the stored ads of an account use, newest ads first."""
    columns = {ADS.table: ("video_id", "image_ids", "tiktok_item_id"), SMART_PLUS_ADS.table: ("creative_list",)}
    found: dict[str, None] = {}
    for table, names in columns.items():
        if media is POST_FILES and table != ADS.table:
            continue  # only the rows of ads have the identities with which posts are read
        try:
            file = store.scan_partition(table, Partition(advertiser_id))
            if file is None:
                continue
            rows = file.select("create_time", *names).collect()
        except (OSError, PolarsError):
            continue  # the refresh of that table replaces the file
        found |= dict.fromkeys(select_used_ids(rows, media))
    return list(found)


def select_used_ids(ads: pl.DataFrame, media: MediaTable) -> list[str]:
    """Return the ids of the files or posts of rows of `ads` or `smart_plus_ads`, newest ads first, each once."""
    rows = ads.sort("create_time", descending=True, nulls_last=True).to_dicts()
    creatives = (one for row in rows for one in _list_creatives(row))
    return list(dict.fromkeys(one for creative in creatives for one in _select_ids(creative, media)))


def _list_creatives(row: Mapping[str, Any]) -> Iterator[_Creative]:
    """Yield each creative of an ad; the images of a Spark ad are those of its post."""
    if "creative_list" not in row:
        images = [] if row["tiktok_item_id"] else json.loads(row["image_ids"] or "[]")
        post = str(row["tiktok_item_id"] or "")
        yield row["video_id"] or "", images if isinstance(images, list) else [], "" if post == "0" else post
        return
    creatives = json.loads(row["creative_list"] or "[]")
    for one in creatives if isinstance(creatives, list) else []:
        info = one.get("creative_info") if isinstance(one, dict) else None
        if isinstance(info, dict):
            video, images = info.get("video_info"), None if info.get("tiktok_item_id") else info.get("image_info")
            # `web_uri` is the id of the image (mengxingxinqing/tiktok_ads, get_upgraded_smart_ads).
            yield (
                str(video.get("video_id") or "") if isinstance(video, dict) else "",
                [image.get("web_uri") for image in images if isinstance(image, dict)]
                if isinstance(images, list)
                else [],
                str(info.get("tiktok_item_id") or ""),
            )


def _select_ids(creative: _Creative, media: MediaTable) -> list[str]:
    video, images, post = creative
    if media is not IMAGE_FILES:
        chosen = video if media is VIDEO_FILES else post
        return [chosen] if chosen else []
    return [] if video else [one for one in images if isinstance(one, str) and one]


def list_thumbnails(store: HiveStore, advertiser_id: str) -> dict[str, str]:
    """Return the hash of each stored thumbnail of an account, by the id of its video or image."""
    found: dict[str, str] = {}
    for media in MEDIA_TABLES:
        schema = pl.Schema(dict.fromkeys((media.entity.key, "thumbnail"), pl.String()))
        try:
            rows = store.scan(media.table, schema, advertiser_ids=[advertiser_id]).drop_nulls().collect()
        except (OSError, PolarsError):
            continue  # a file that is being replaced costs its pictures only
        found |= dict(rows.iter_rows())
    return found


def select_due_ids(
    stored: pl.DataFrame,
    key: str,
    used: Sequence[str],
    now: datetime,
    *,
    no_room: bool,
    lost: Collection[str] = frozenset(),
) -> list[str]:
    """Return the used ids to request: unknown ones, those not returned a week ago, and those without a picture.

    Args:
        stored: the stored rows of the account.
        key: the name of the id column.
        used: the ids that ads use.
        now: the current time, aware.
        no_room: whether no picture can be downloaded, so that none needs its URL.
        lost: the thumbnails whose files are missing; they are downloaded again.
    """
    rows = {row[key]: row for row in stored.to_dicts()}

    def _is_due(one: str) -> bool:
        row = rows.get(one)
        if row is None:
            return True
        if not row["is_listed"]:
            return bool(now - row["requested_at"] >= _WEEK)
        if no_room or (row["thumbnail"] and row["thumbnail"] not in lost):
            return False
        if row["thumbnail"]:
            return True
        retry_at = row["thumbnail_retry_at"]
        return row["thumbnail_error"] is None or bool(retry_at and now >= retry_at)

    return [one for one in used if _is_due(one)]


def estimate_media_requests(
    store: HiveStore, media: MediaTable, advertiser_id: str, now: datetime, ads: int | None = None
) -> int:
    """Estimate the requests for the files of an account from the stored ads, and how many there are now.

    Ads that are not stored yet count with a file of their own each: of the kind that the stored ads have, or a
    video where none is stored. Most share files, so it can be fewer.

    Args:
        store: contains the ads.
        media: the table.
        advertiser_id: the account.
        now: the current time, aware.
        ads: how many ads the account has; None if it is not known, or its ads are not read.
    """
    used = list_used_ids(store, media, advertiser_id)
    due = select_due_ids(_read_stored(store, media, advertiser_id), media.entity.key, used, now, no_room=False)
    stored = store.scan(ADS.table, _AD_FILES, advertiser_ids=[advertiser_id]).collect()
    new, share = max(0, (ads or 0) - stored.height), float(media is VIDEO_FILES)
    if new and stored.height:
        with_files = [
            row for row in stored.to_dicts() if any(_select_ids(one, media) for one in _list_creatives(row))
        ]
        share = len(with_files) / stored.height
    if media is POST_FILES:
        return count_post_requests(store, advertiser_id, due) + ceil(new * share / media.max_ids)
    return -(-(len(due) + ceil(new * share)) // media.max_ids)


def _read_stored(store: HiveStore, media: MediaTable, advertiser_id: str) -> pl.DataFrame:
    schema = build_schema(entity_columns(media.entity))
    try:
        partition = Partition(advertiser_id)
        stored = [partition] if store.scan_partition(media.table, partition) is not None else []
        return store.read(media.table, schema, stored).collect()
    except (OSError, PolarsError):
        return schema.to_frame()  # a file that cannot be read is replaced


def refresh_media(
    reader: Reader,
    store: HiveStore,
    media: MediaTable,
    advertiser_ids: Iterable[str],
    downloads: ThumbnailDownloads,
) -> Iterator[WrittenPartition | FailedPartitions]:
    """Add the files that ads of each account use and download their pictures; stored rows stay.

    If the host or the token lacks the endpoint, the first account tells it for all.
    """
    ids = list(advertiser_ids)
    for position, advertiser_id in enumerate(ids):
        try:
            yield _refresh_account(reader, store, media, advertiser_id, downloads)
        except (TikTokError, StoreError) as error:
            failed = FailedPartitions(media.table, (Partition(advertiser_id),), error)
            if failed.is_not_offered:
                yield FailedPartitions(media.table, tuple(Partition(one) for one in ids[position:]), error)
                return
            yield failed


def _refresh_account(
    reader: Reader, store: HiveStore, media: MediaTable, advertiser_id: str, downloads: ThumbnailDownloads
) -> WrittenPartition:
    """Replace the partition of one account.

    Raises:
        TikTokError: if the files cannot be read.
        StoreError: if the table cannot be written.
    """
    key, now = media.entity.key, reader.now()
    stored = _read_stored(store, media, advertiser_id)
    used = list_used_ids(store, media, advertiser_id)
    lost = downloads.find_lost(stored.get_column("thumbnail").drop_nulls())
    due = select_due_ids(stored, key, used, now, no_room=bool(used) and downloads.is_over, lost=lost)
    made, added = downloads.pictures, downloads.bytes
    frame, stats = stored, NO_REQUESTS
    if due:
        due = _order_by_spend(store, media, advertiser_id, due)
        read, stats = (
            read_posts(reader, store, advertiser_id, due)
            if media is POST_FILES
            else read_media(reader, media, advertiser_id, due)
        )
        read = pl.DataFrame({key: due}).join(read, on=key, how="inner", maintain_order="left").select(read.columns)
        frame = _merge(stored, _add_thumbnails(read, media, downloads, now), advertiser_id, due, now)
    metadata = fetched_at_metadata(now)
    file = store.write(media.table, Partition(advertiser_id), frame, metadata=metadata)
    return WrittenPartition(
        media.table,
        Partition(advertiser_id),
        file.rows,
        file.bytes,
        now,
        stats,
        malformed_values=count_malformed_values(frame),
        thumbnails=(downloads.pictures - made, downloads.bytes - added),
    )


def _order_by_spend(store: HiveStore, media: MediaTable, advertiser_id: str, ids: Sequence[str]) -> list[str]:
    """Order ids by the lifetime spend of the ads that use them, because a run downloads only so many pictures.

    Ids without spend, or all before the first lifetime report, stay in their order.
    """
    partition, spent = Partition(advertiser_id), dict[str, Decimal]()
    try:
        ads, report = (store.scan_partition(table, partition) for table in (ADS.table, _LIFETIME))
        if ads is None or report is None:
            return list(ids)
        spend = dict(report.select("ad_id", "spend").collect().iter_rows())
        rows = ads.select("ad_id", "video_id", "image_ids", "tiktok_item_id").collect().to_dicts()
    except (OSError, PolarsError):
        return list(ids)
    for row in rows:
        for one in {one for creative in _list_creatives(row) for one in _select_ids(creative, media)}:
            spent[one] = spent.get(one, Decimal(0)) + (spend.get(row["ad_id"]) or 0)
    return sorted(ids, key=lambda one: -spent.get(one, Decimal(0)))


def read_media(
    reader: Reader, media: MediaTable, advertiser_id: str, ids: Sequence[str]
) -> tuple[pl.DataFrame, ReadStats]:
    """Read files of an account by their ids; those that TikTok does not return or refuses are left out.

    Raises:
        TikTokError: if they cannot be read.
    """
    stats, key, known = RequestStats(), media.entity.key, set(ids)
    found = read_in_batches(
        ids, media.max_ids, lambda batch: _read_batch(reader, media, advertiser_id, batch, stats)
    )
    rows = {row[key]: row for row in found if row.get(key) in known}
    times = [column.api_name for column in media.entity.columns if column.kind == "instant" and column.api_name]
    own = [
        {**row, **{name: _convert_time(row.get(name)) for name in times}, "advertiser_id": advertiser_id}
        for row in rows.values()
    ]
    frame = build_entity_frame(media.entity, own, reader.now(), unknown_fields=stats.unknown_fields)
    return frame, ReadStats.from_request_stats(stats, 0.0)


def _convert_time(value: object) -> object:
    """Return a time in the format of the other lists; files have 2020-06-10T07:39:14Z (get_info_about_videos)."""
    return value.replace("T", " ").removesuffix("Z") if isinstance(value, str) else value


def _read_batch(
    reader: Reader, media: MediaTable, advertiser_id: str, ids: list[str], stats: RequestStats
) -> list[dict[str, Any]]:
    endpoint = media.entity.endpoint
    response = reader.fetcher.get(endpoint, {"advertiser_id": advertiser_id, media.ids_parameter: ids}, stats)
    rows = response.data.get("list")
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ContractError("list is not a list of objects", endpoint=endpoint.path)
    return rows


def _add_thumbnails(
    frame: pl.DataFrame, media: MediaTable, downloads: ThumbnailDownloads, now: datetime
) -> pl.DataFrame:
    """Download the pictures of the rows, and fill the columns of the thumbnail."""
    urls = [one or "" for one in frame.get_column(media.url_column)]
    results = list(downloads.fetch(urls))
    tried = [now if one else None for one in results]
    # A video that TikTok still processes can have no cover yet.
    waits = [
        _DAY if one and one.is_temporary else None if url else _WEEK
        for one, url in zip(results, urls, strict=True)
    ]
    retry = [now + wait if one and wait else None for one, wait in zip(results, waits, strict=True)]
    return frame.with_columns(
        pl.lit(value=True).alias("is_listed"),
        pl.lit(now, frame.schema["requested_at"]).alias("requested_at"),
        pl.Series("thumbnail", [one.digest if one else None for one in results], pl.String),
        pl.Series("thumbnail_error", [one.error or None if one else None for one in results], pl.String),
        pl.Series("thumbnail_tried_at", tried, frame.schema["thumbnail_tried_at"]),
        pl.Series("thumbnail_retry_at", retry, frame.schema["thumbnail_retry_at"]),
    )


def _merge(
    stored: pl.DataFrame, read: pl.DataFrame, advertiser_id: str, due: Sequence[str], now: datetime
) -> pl.DataFrame:
    """Return the stored rows with those that were read; an id that was not returned keeps what was known of it."""
    (key,) = {media.entity.key for media in MEDIA_TABLES} & set(stored.columns)
    returned = set(read.get_column(key))
    missing = [one for one in due if one not in returned]
    others = stored.filter(~pl.col(key).is_in(list(returned))).with_columns(
        is_listed=pl.col("is_listed") & ~pl.col(key).is_in(missing),
        requested_at=pl.when(pl.col(key).is_in(missing)).then(now).otherwise("requested_at"),
    )
    known = set(others.get_column(key))
    common = {"advertiser_id": advertiser_id, "is_listed": False, "requested_at": now, "fetched_at": now}
    rows = [{**common, key: one} for one in missing if one not in known]
    new = pl.DataFrame(rows, schema=stored.schema)
    return pl.concat([others.cast(stored.schema), read.cast(stored.schema), new]).sort(key)

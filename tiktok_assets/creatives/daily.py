"""Sum the daily ad report by creative and day, reading only the days that changed since the last time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

import polars as pl

from tiktok_assets.creatives.columns import (
    AVERAGE_WATCH_METRIC,
    CREATIVE_DAILY,
    CREATIVE_DAILY_SCHEMA,
    SUMMED_METRICS,
)
from tiktok_assets.creatives.identity import AD, identify_creatives
from tiktok_assets.spec import ADS, METRICS_BY_NAME, WATCH_SECONDS, Column
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import build_schema, sum_expressions_or_null

SOURCE = "ad_report_daily"

_VERSIONS_KEY = "tiktok_assets.source_versions"
_SOURCE_COLUMNS = (
    Column("advertiser_id", "", "id", ""),
    Column("ad_id", "", "id", ""),
    Column("date", "", "day", ""),
    Column("currency", "", "text", ""),
    *(Column(name, "", METRICS_BY_NAME[name].kind, "") for name in (*SUMMED_METRICS, AVERAGE_WATCH_METRIC)),
    Column("fetched_at", "", "instant", ""),
)
_SOURCE_SCHEMA = build_schema(_SOURCE_COLUMNS)
_AD_COLUMNS = (
    *("advertiser_id", "campaign_id", "ad_id", "ad_name", "operation_status", "secondary_status"),
    *("video_id", "tiktok_item_id", "image_ids"),
)
_AD_SCHEMA = pl.Schema(dict.fromkeys(_AD_COLUMNS, pl.String()))
_FORMAT = sha256(repr(list(CREATIVE_DAILY_SCHEMA.items())).encode()).hexdigest()[:12]
"""Changes with the columns, so that an older table is built anew."""


@dataclass(frozen=True, slots=True)
class CreativeDays:
    """The rows of `creative_daily` of an account.

    Attributes:
        rows: sorted by creative and day.
        metadata: for the file, with the versions of the days that were read.
        days_read: how many days were read; the others were kept.
        newest_day: the newest stored day of the report; None if there is none.
    """

    rows: pl.DataFrame
    metadata: Mapping[str, str]
    days_read: int
    newest_day: date | None


def read_ads(store: HiveStore, advertiser_id: str) -> pl.DataFrame:
    """Read the ads of an account, with the creative of each."""
    return identify_creatives(store.scan(ADS.table, _AD_SCHEMA, advertiser_ids=[advertiser_id]).collect())


def update_creative_days(store: HiveStore, advertiser_id: str, ads: pl.DataFrame) -> CreativeDays:
    """Sum the days of `ad_report_daily` whose file has changed, and keep the rows of the others.

    A day keeps the creative that an ad had when the day was last read: if an ad gets another video, its older
    spend stays with the older video. A day with ads that were not in `ads` then is read again once they are.

    Args:
        store: contains both tables.
        advertiser_id: the account.
        ads: its ads, see `read_ads`.
    """
    versions = {
        str(partition.day): version
        for partition, version in store.file_versions(SOURCE, [advertiser_id]).items()
        if partition.day
    }
    newest = date.fromisoformat(max(versions)) if versions else None
    known = _read_versions(store, advertiser_id)
    stored = store.scan(CREATIVE_DAILY, CREATIVE_DAILY_SCHEMA, advertiser_ids=[advertiser_id]).collect()
    now_identified = stored.filter(
        (pl.col("creative_kind") == AD)
        & pl.col("creative_id").is_in(ads.filter(pl.col("creative_kind") != AD).get_column("ad_id").to_list())
    )
    to_read = {str(day) for day in now_identified.get_column("date").unique()}
    to_read |= {day for day, version in versions.items() if version is None or known.get(day) != version}
    changed = [
        partition for partition in store.partitions(SOURCE, [advertiser_id]) if str(partition.day) in to_read
    ]
    kept = stored.filter(pl.col("date").cast(pl.String).is_in([day for day in versions if day not in to_read]))
    read = sum_by_creative(store.read(SOURCE, _SOURCE_SCHEMA, changed).collect(), ads)
    rows = pl.concat([kept, read]).sort("creative_id", "date")
    return CreativeDays(rows, {_VERSIONS_KEY: json.dumps([_FORMAT, versions])}, len(changed), newest)


def read_summed_days(store: HiveStore, advertiser_id: str) -> set[date]:
    """Return the days of the report that are summed in `creative_daily`, also those without a row."""
    return {date.fromisoformat(day) for day in _read_versions(store, advertiser_id)}


def _read_versions(store: HiveStore, advertiser_id: str) -> Mapping[str, str | None]:
    metadata = store.read_metadata(CREATIVE_DAILY, Partition(advertiser_id)) or {}
    written_format, versions = json.loads(metadata.get(_VERSIONS_KEY, '["", {}]'))
    return versions if written_format == _FORMAT else {}


def sum_by_creative(rows: pl.DataFrame, ads: pl.DataFrame) -> pl.DataFrame:
    """Sum rows of `ad_report_daily` by creative and day.

    An ad that is not in `ads` is a creative of its own, so that the sums are those of the report.
    """
    creatives = ads.select("advertiser_id", "ad_id", "creative_id", "creative_kind").unique(
        ["advertiser_id", "ad_id"], keep="first"
    )
    return (
        rows.join(creatives, on=["advertiser_id", "ad_id"], how="left")
        .with_columns(
            pl.coalesce("creative_id", "ad_id").alias("creative_id"),
            pl.col("creative_kind").fill_null(AD),
            watch_seconds_of_ad=pl.col(AVERAGE_WATCH_METRIC) * pl.col("video_play_actions"),
        )
        .group_by("advertiser_id", "creative_id", "creative_kind", "date", "currency")
        .agg(
            pl.col("ad_id").n_unique().alias("ads"),
            *sum_expressions_or_null(METRICS_BY_NAME[name] for name in SUMMED_METRICS),
            pl.when(pl.col("watch_seconds_of_ad").count() > 0)
            .then(pl.col("watch_seconds_of_ad").sum())
            .alias(WATCH_SECONDS),
            pl.col("fetched_at").max(),
        )
        .select(CREATIVE_DAILY_SCHEMA.names())
        .cast(CREATIVE_DAILY_SCHEMA)
    )

"""Summarize each creative of an account: who uses it, and its figures over 7 and 28 days and its lifetime."""

from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from tiktok_assets.creatives.columns import (
    AVERAGE_WATCH_METRIC,
    CREATIVES_SCHEMA,
    RATES,
    SUMMED_METRICS,
    WINDOWS,
)
from tiktok_assets.creatives.daily import sum_by_creative
from tiktok_assets.creatives.identity import IMAGES, VIDEO, parse_image_ids
from tiktok_assets.spec import (
    DELETED_SUFFIX,
    METRICS_BY_NAME,
    POST_FILES,
    VIDEO_FILES,
    WATCH_SECONDS,
    Column,
    CreativeRate,
)
from tiktok_assets.storage import HiveStore
from tiktok_assets.tables import INSTANT, build_schema, sum_expressions_or_null

LIFETIME = "ad_report_lifetime"

_LIFETIME_SCHEMA = build_schema(
    (
        Column("advertiser_id", "", "id", ""),
        Column("ad_id", "", "id", ""),
        Column("currency", "", "text", ""),
        *(Column(name, "", METRICS_BY_NAME[name].kind, "") for name in (*SUMMED_METRICS, AVERAGE_WATCH_METRIC)),
        Column("fetched_at", "", "instant", ""),
    )
)
_FILE_SCHEMA = pl.Schema(dict.fromkeys(("file_id", "file_name", "thumbnail"), pl.String()))
_POST_SCHEMA = pl.Schema(dict.fromkeys(("tiktok_item_id", "thumbnail"), pl.String()))
_SUMS = (*SUMMED_METRICS, WATCH_SECONDS)


@dataclass(frozen=True, slots=True)
class SummarySources:
    """What is stored about an account beside its creatives' days.

    Attributes:
        lifetime: the rows of `ad_report_lifetime` with the columns that are summed.
        files: name and thumbnail of its videos and images, by `file_id`.
        posts: the thumbnails of its posts, by `tiktok_item_id`.
    """

    lifetime: pl.DataFrame
    files: pl.DataFrame
    posts: pl.DataFrame


def read_summary_sources(store: HiveStore, advertiser_id: str) -> SummarySources:
    """Read the lifetime report of an account's ads, and its files; a table that was never read has no rows."""
    files = [
        store.scan(
            table,
            pl.Schema(dict.fromkeys((key, "file_name", "thumbnail"), pl.String())),
            advertiser_ids=[advertiser_id],
        )
        .rename({key: "file_id"})
        .select(_FILE_SCHEMA.names())
        .collect()
        for table, key in ((VIDEO_FILES.table, "video_id"), ("images", "image_id"))
    ]
    return SummarySources(
        store.scan(LIFETIME, _LIFETIME_SCHEMA, advertiser_ids=[advertiser_id]).collect(),
        pl.concat([_FILE_SCHEMA.to_frame(), *files]).unique("file_id", keep="first"),
        store.scan(POST_FILES.table, _POST_SCHEMA, advertiser_ids=[advertiser_id])
        .select("tiktok_item_id", post_thumbnail="thumbnail")
        .collect()
        .unique("tiktok_item_id", keep="first"),
    )


def summarize_creatives(
    ads: pl.DataFrame, days: pl.DataFrame, sources: SummarySources, complete_until: date | None, complete_days: int
) -> pl.DataFrame:
    """Return the rows of `creatives` of an account, the largest lifetime spend first.

    Args:
        ads: of the account, see `read_ads`.
        days: the rows of `creative_daily`.
        sources: the other tables.
        complete_until: the last complete day; None if there is none.
        complete_days: how many complete days without a gap end on it; a longer window is null.
    """
    lifetime = _sum_lifetime(ads, sources.lifetime)
    keys = ["advertiser_id", "creative_id", "creative_kind"]
    known = pl.concat([frame.select(keys) for frame in (ads, days, lifetime)]).unique()
    spent = (
        days.filter(pl.col("spend") > 0)
        .group_by(keys)
        .agg(first_spend_date=pl.col("date").min(), last_spend_date=pl.col("date").max())
    )
    newest = (
        days.sort("date")
        .group_by(keys)
        .agg(
            pl.col("currency").last().alias("newest_currency"),
            pl.col("fetched_at").max().alias("newest_fetched_at"),
        )
    )
    rows = (
        known.join(_describe_ads(ads, sources.lifetime), on=keys, how="left")
        .join(spent, on=keys, how="left")
        .join(newest, on=keys, how="left")
        .join(
            lifetime.rename({"currency": "lifetime_currency", "fetched_at": "lifetime_fetched_at"}),
            on=keys,
            how="left",
        )
        .with_columns(
            currency=pl.coalesce("lifetime_currency", "newest_currency"),
            fetched_at=pl.max_horizontal("lifetime_fetched_at", "newest_fetched_at").cast(INSTANT),
            complete_until=pl.lit(complete_until, pl.Date),
            first_image=pl.col("image_ids").map_elements(
                lambda text: next(iter(parse_image_ids(text)), None), return_dtype=pl.String
            ),
        )
    )
    for window, length in WINDOWS.items():
        if length is None:
            rows = rows.with_columns(_rates(window, {name: name for name in _SUMS}))
        else:
            enough = complete_until is not None and complete_days >= length
            rows = _add_window(rows, days, window, length, complete_until if enough else None)
    return (
        rows.with_columns(file_id=pl.coalesce("video_id", "first_image"))
        .join(sources.files, on="file_id", how="left")
        .join(sources.posts, on="tiktok_item_id", how="left")
        .with_columns(
            creative_name=pl.coalesce(
                pl.when(
                    pl.col("creative_kind").is_in([VIDEO, IMAGES])
                    # A file that was uploaded without a name is named after its id, which tells a reader nothing.
                    & ~pl.col("file_name").str.contains(pl.col("file_id"), literal=True)
                ).then(pl.col("file_name")),
                "ad_name",
                "file_name",
            ),
            ads=pl.col("ads").fill_null(0),
            thumbnail=pl.coalesce("thumbnail", "post_thumbnail"),
        )
        .select(pl.col(name) if name in CREATIVES_SCHEMA else pl.lit(None) for name in CREATIVES_SCHEMA)
        .cast(CREATIVES_SCHEMA)
        .sort("spend_lifetime", "creative_id", descending=[True, False], nulls_last=True)
    )


def _sum_lifetime(ads: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Sum the lifetime report by creative; a creative with amounts in several currencies has none."""
    summed = sum_by_creative(rows.with_columns(date=pl.lit(None, pl.Date)), ads)
    keys = ["advertiser_id", "creative_id", "creative_kind"]
    single = summed.group_by(keys).agg(pl.len().alias("currencies"))
    return summed.join(single, on=keys).filter(pl.col("currencies") == 1).drop("currencies", "date", "ads")


def _describe_ads(ads: pl.DataFrame, lifetime: pl.DataFrame) -> pl.DataFrame:
    """Describe each creative by its ads: how many, whether one is switched on, and the name of the largest."""
    deleted = pl.col("secondary_status").str.ends_with(DELETED_SUFFIX).fill_null(value=False) | (
        pl.col("operation_status") == "DELETE"
    ).fill_null(value=False)
    spend = lifetime.select("ad_id", spend_of_ad="spend").unique("ad_id", keep="first")
    return (
        ads.join(spend, on="ad_id", how="left")
        .with_columns(is_deleted=deleted)
        .with_columns(
            is_active=(pl.col("operation_status") == "ENABLE").fill_null(value=False) & ~pl.col("is_deleted")
        )
        .sort("spend_of_ad", "ad_id", descending=[True, True], nulls_last=True)
        .group_by("advertiser_id", "creative_id", "creative_kind", maintain_order=True)
        .agg(
            pl.col("ad_name").first(),
            pl.col("video_id").drop_nulls().first(),
            pl.col("tiktok_item_id").drop_nulls().first(),
            pl.col("image_ids").drop_nulls().first(),
            pl.col("ad_id").n_unique().alias("ads"),
            pl.col("is_active").sum().alias("active_ads"),
            pl.col("campaign_id").n_unique().alias("campaigns"),
            pl.col("is_deleted").all().alias("all_deleted"),
        )
        .with_columns(
            status=pl.when(pl.col("all_deleted"))
            .then(pl.lit("deleted"))
            .when(pl.col("active_ads") > 0)
            .then(pl.lit("active"))
            .otherwise(pl.lit("paused")),
            # Of a video, `image_ids` is its cover.
            image_ids=pl.when(pl.col("creative_kind") == IMAGES).then(pl.col("image_ids")),
        )
    )


def _add_window(
    rows: pl.DataFrame, days: pl.DataFrame, window: str, length: int, last: date | None
) -> pl.DataFrame:
    """Add the figures of the last complete days; of a creative without a row on them, the sums are zero."""
    keys = ["advertiser_id", "creative_id", "creative_kind", "currency"]
    if last is None:
        return rows.with_columns(
            pl.lit(None, CREATIVES_SCHEMA[name]).alias(name)
            for name in CREATIVES_SCHEMA
            if name.endswith(f"_{window}")
        )
    chosen = days.filter(pl.col("date").is_between(last - timedelta(length - 1), last))
    names = {name: f"{name}_sum_{window}" for name in _SUMS}
    summed = chosen.group_by(keys).agg(
        *(
            total.alias(names[name])
            for name, total in zip(
                SUMMED_METRICS,
                sum_expressions_or_null(METRICS_BY_NAME[one] for one in SUMMED_METRICS),
                strict=True,
            )
        ),
        pl.when(pl.col(WATCH_SECONDS).count() > 0).then(pl.col("watch_seconds").sum()).alias(names[WATCH_SECONDS]),
    )
    joined = rows.join(summed, on=keys, how="left").with_columns(
        pl.col(names[name]).fill_null(0) for name in ("spend", "impressions")
    )
    return joined.with_columns(_rates(window, names))


def _rates(window: str, names: dict[str, str]) -> list[pl.Expr]:
    """Return spend, impressions and the rates of a period, from the columns with its sums."""
    return [
        *(pl.col(names[name]).alias(f"{name}_{window}") for name in ("spend", "impressions")),
        *(_divide(rate, names).alias(f"{name}_{window}") for name, rate in RATES.items()),
    ]


def _divide(rate: CreativeRate, names: dict[str, str]) -> pl.Expr:
    denominator = pl.col(names[rate.denominator]).cast(pl.Float64)
    quotient = pl.when(denominator > 0).then(pl.col(names[rate.numerator]).cast(pl.Float64) / denominator)
    return quotient * 100 if rate.kind == "rate" else quotient.round(4) if rate.kind == "money" else quotient

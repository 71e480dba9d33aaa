"""Define the columns of `creative_daily` and `creatives`; the rates' formulas are in `spec/creative_rates.py`."""

from collections.abc import Iterator, Mapping, Sequence

from tiktok_assets.spec import CREATIVE_RATES, METRICS_BY_NAME, WATCH_SECONDS, Column
from tiktok_assets.tables import build_schema

CREATIVE_DAILY = "creative_daily"
CREATIVES = "creatives"
RATES = CREATIVE_RATES

SUMMED_METRICS: Sequence[str] = (
    "spend",
    "impressions",
    "clicks",
    "conversion",
    "video_play_actions",
    "video_watched_2s",
    "video_watched_6s",
    "video_views_p25",
    "video_views_p50",
    "video_views_p75",
    "video_views_p100",
    "complete_payment",
    "total_complete_payment_value",
)
"""The metrics of the ad report that are summed; one that is not in `TIKTOK_METRICS` is null."""

AVERAGE_WATCH_METRIC = "average_video_play"
"""Seconds watched per play. Not a standard metric: without it in `TIKTOK_METRICS` the watch time is null."""

_SUMS = tuple(
    Column(name, "", METRICS_BY_NAME[name].kind, METRICS_BY_NAME[name].meaning) for name in SUMMED_METRICS
)

_IDENTITY = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column(
        "creative_id",
        "",
        "id",
        "the id of the video, else of the post, else of the image; `images-` and a hash for a set of images; else"
        " the ad's id",
    ),
    Column("creative_kind", "", "text", "video, post, images, or ad where an ad's creative is not known"),
)

CREATIVE_DAILY_COLUMNS: tuple[Column, ...] = (
    *_IDENTITY,
    Column("date", "", "day", "the account's calendar day"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    Column("ads", "", "count", "how many ads with this creative have a row in the report"),
    *_SUMS,
    Column(
        WATCH_SECONDS,
        "",
        "ratio",
        f"seconds watched: {AVERAGE_WATCH_METRIC} x video_play_actions, summed over ads; null without"
        f" {AVERAGE_WATCH_METRIC} in TIKTOK_METRICS",
    ),
    Column("fetched_at", "", "instant", "when the newest of the rows was read"),
)
CREATIVE_DAILY_SCHEMA = build_schema(CREATIVE_DAILY_COLUMNS)


WINDOWS: Mapping[str, int | None] = {"7d": 7, "28d": 28, "lifetime": None}
"""The periods by the ends of their columns' names: the last complete days; None for the lifetime."""


def _window_columns(window: str, days: int | None) -> Iterator[Column]:
    over = f"over the last {days} complete days" if days else "over the lifetime"
    unknown = "; null where they are not all stored" if days else "; null without `ad_report_lifetime`"
    for name in ("spend", "impressions"):
        metric = METRICS_BY_NAME[name]
        yield Column(f"{name}_{window}", "", metric.kind, f"{metric.meaning}, {over}{unknown}")
    for name, rate in RATES.items():
        yield Column(f"{name}_{window}", "", rate.kind, f"{rate.meaning}, {over}")


CREATIVES_COLUMNS: tuple[Column, ...] = (
    *_IDENTITY,
    Column(
        "creative_name",
        "",
        "text",
        "the file's name if it is not made of its id; else the name of the ad with the highest spend",
    ),
    Column("video_id", "", "id", "the video"),
    Column("tiktok_item_id", "", "id", "the TikTok post; of several, the one of the newest ad"),
    Column("image_ids", "", "json", "the images"),
    Column("thumbnail", "", "text", "SHA-256 hash of its thumbnail; null if there is none"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    Column("status", "", "text", "active if an ad with it is switched on, else paused, or deleted if all ads are"),
    Column("ads", "", "count", "how many ads use it, deleted ones included"),
    Column("active_ads", "", "count", "how many of them are switched on and not deleted"),
    Column("campaigns", "", "count", "in how many campaigns they are"),
    Column("first_spend_date", "", "day", "the first stored day with spend"),
    Column("last_spend_date", "", "day", "the last stored day with spend"),
    Column("complete_until", "", "day", "the last complete day; null where none was stored recently"),
    *(column for window, days in WINDOWS.items() for column in _window_columns(window, days)),
    Column("fetched_at", "", "instant", "when the newest of the rows was read"),
)
CREATIVES_SCHEMA = build_schema(CREATIVES_COLUMNS)

"""The reports: a row each, and the columns of its table. Rules: tiktok_api.md sections 6.1 to 6.3."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tiktok_assets.spec.columns import Column, to_column_name
from tiktok_assets.spec.endpoints import MAX_DAYS_PER_REPORT
from tiktok_assets.spec.metric_catalogue import AUDIENCE_METRICS, Metric

LevelName = Literal["advertiser", "campaign", "ad_group", "ad"]
Cadence = Literal["daily", "lifetime"]


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the hierarchy as the report endpoint sees it.

    Attributes:
        name: in our words.
        data_level: the API's word.
        dimension: the one id dimension of the level; the table's key beside `advertiser_id` and `date`.
        attributes: parents and names, which the API serves as metrics, never as dimensions (6.2).
        status_field: the filter that lets deleted ones in; another level's field is an error (6.4).
    """

    name: LevelName
    data_level: str
    dimension: str
    attributes: tuple[str, ...]
    status_field: str | None


LEVELS: tuple[Level, ...] = (
    Level("advertiser", "AUCTION_ADVERTISER", "advertiser_id", (), None),
    Level("campaign", "AUCTION_CAMPAIGN", "campaign_id", ("campaign_name",), "campaign_status"),
    Level(
        "ad_group",
        "AUCTION_ADGROUP",
        "adgroup_id",
        ("adgroup_name", "campaign_id", "campaign_name"),
        "adgroup_status",
    ),
    Level(
        "ad",
        "AUCTION_AD",
        "ad_id",
        ("ad_name", "adgroup_id", "adgroup_name", "campaign_id", "campaign_name"),
        "ad_status",
    ),
)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One way to split an AUDIENCE report.

    Attributes:
        name: in the table's name.
        dimensions: the API's; only age and gender may stand together (6.2). They join the key.
        meanings: of their columns, in order.
        by_day: whether they go with `stat_time_day`; interests do not (6.2).
        echoes: what the API adds to the dimensions unasked, with its meaning.
        metrics: what it serves beside `AUDIENCE_METRICS`, by the API's names.
    """

    name: str
    dimensions: tuple[str, ...]
    meanings: tuple[str, ...]
    by_day: bool = True
    echoes: tuple[tuple[str, str], ...] = ()
    metrics: frozenset[str] = frozenset()


BREAKDOWNS: tuple[Breakdown, ...] = (
    Breakdown("age_gender", ("age", "gender"), ("AGE_18_24 and its kin, or unknown", "FEMALE, MALE or unknown")),
    Breakdown(
        "country",
        ("country_code",),
        ("ISO country code, or unknown; small ones are left out by TikTok",),
        # The last two were answered with code 0 when estuary/connectors asked, 2026-08-13.
        metrics=frozenset({"gross_impressions", "reach", "frequency"}),
    ),
    Breakdown("platform", ("platform",), ("ANDROID, IPHONE, IPAD, PC",)),
    Breakdown("language", ("language",), ("ISO language code",)),
    Breakdown(
        "interest",
        ("interest_category",),
        ("first tier of the interest; one person has several, so they do not sum to the total",),
        by_day=False,
        echoes=(("interest_category_v2", "the same in the second version of the categories"),),
    ),
)

MAX_DAYS_PER_HOURLY_REPORT = 1
"""Days one report with `stat_time_hour` may span (6.3)."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report table.

    Attributes:
        table: the asset and the table it fills.
        level: whose rows.
        cadence: one partition a day, or one over the whole life.
        meaning: one sentence for the catalogue.
        report_type: the API's.
        time_dimension: the API's; None for a lifetime, and where a day is asked for by itself.
        window_days: days one question may span; 1 where the day cannot be told from the rows.
        breakdown: what an AUDIENCE report is split by.
        standard: whether the table exists unless `TIKTOK_REPORTS` says otherwise.
    """

    table: str
    level: Level
    cadence: Cadence
    meaning: str
    report_type: Literal["BASIC", "AUDIENCE"] = "BASIC"
    time_dimension: Literal["stat_time_day", "stat_time_hour"] | None = None
    window_days: int = MAX_DAYS_PER_REPORT
    breakdown: Breakdown | None = None
    standard: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that name a row, in table order."""
        day = ("date",) if self.cadence == "daily" else ()
        hour = ("hour",) if self.time_dimension == "stat_time_hour" else ()
        own = to_column_name(self.level.dimension)
        split = self.breakdown.dimensions if self.breakdown else ()
        return ("advertiser_id", *day, *hour, *(() if own == "advertiser_id" else (own,)), *split)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What is asked for as dimensions: the level's own id, the time, what splits it."""
        time = (self.time_dimension,) if self.time_dimension else ()
        return (self.level.dimension, *time, *(self.breakdown.dimensions if self.breakdown else ()))

    @property
    def splits(self) -> bool:
        """Whether its rows are parts of those of the level's daily report: hours, or parts of an audience."""
        return self.breakdown is not None or self.time_dimension == "stat_time_hour"


def _level_label(level: Level) -> str:
    return level.name.replace("_", " ")


def _basic_report(level: Level, cadence: Cadence, over: str) -> Report:
    return Report(
        table=f"{level.name}_report_{cadence}",
        level=level,
        cadence=cadence,
        meaning=f"What each {_level_label(level)} cost and brought {over}, deleted ones included.",
        time_dimension="stat_time_day" if cadence == "daily" else None,
    )


def _hourly_report(level: Level) -> Report:
    return Report(
        table=f"{level.name}_report_hourly",
        level=level,
        cadence="daily",
        meaning=f"What each {_level_label(level)} cost and brought in each hour of the account's days.",
        time_dimension="stat_time_hour",
        window_days=MAX_DAYS_PER_HOURLY_REPORT,
        standard=False,
    )


def _audience_report(level: Level, breakdown: Breakdown) -> Report:
    by = breakdown.name.replace("_", " and ")
    return Report(
        table=f"{level.name}_audience_{breakdown.name}_daily",
        level=level,
        cadence="daily",
        meaning=f"What each {_level_label(level)} cost and brought on each of the account's days, by {by}.",
        report_type="AUDIENCE",
        time_dimension="stat_time_day" if breakdown.by_day else None,
        window_days=MAX_DAYS_PER_REPORT if breakdown.by_day else 1,
        breakdown=breakdown,
        standard=False,
    )


STANDARD_REPORTS: tuple[Report, ...] = (
    *(_basic_report(level, "daily", "for each of the account's calendar days") for level in LEVELS),
    *(_basic_report(level, "lifetime", "over its whole life") for level in LEVELS),
)
OPTIONAL_REPORTS: tuple[Report, ...] = (
    *(_hourly_report(level) for level in LEVELS),
    *(_audience_report(level, breakdown) for breakdown in BREAKDOWNS for level in LEVELS),
)
REPORTS: tuple[Report, ...] = (*STANDARD_REPORTS, *OPTIONAL_REPORTS)
REPORTS_BY_TABLE = {report.table: report for report in REPORTS}
DAILY_REPORTS = tuple(report for report in STANDARD_REPORTS if report.cadence == "daily")
LIFETIME_REPORTS = tuple(report for report in STANDARD_REPORTS if report.cadence == "lifetime")


def served_metrics(report: Report, metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """Return the metrics the API serves in a report; the others are not asked for and have no column there.

    An audience report serves a short list of its own. Cash and voucher spend are refused everywhere but in the
    account's own daily report (6.6).
    """
    if report.breakdown:
        names = AUDIENCE_METRICS | report.breakdown.metrics
        return tuple(metric for metric in metrics if metric.api_name in names)
    account_days = report.level.name == "advertiser" and report.cadence == "daily" and not report.splits
    return tuple(metric for metric in metrics if account_days or metric.served == "everywhere")


_ATTRIBUTE_MEANINGS = {
    "campaign_id": "its campaign",
    "campaign_name": "the campaign's name",
    "adgroup_id": "its ad group",
    "adgroup_name": "the ad group's name",
    "ad_name": "the ad's name",
}

FETCHED_AT = Column("fetched_at", "", "instant", "when we read it")
EXTRA = Column(
    "extra",
    "",
    "json",
    "fields the API sent that no column is declared for; under `malformed_values`, by the API's names, what came"
    " where a value did not fit its column",
)


def report_columns(report: Report, metrics: Iterable[Metric]) -> tuple[Column, ...]:
    """The columns of a report's table, in order; `api_name` is "" for what we add ourselves."""
    level = report.level
    own = () if level.name == "advertiser" else (_id_column(level),)
    attributes = tuple(
        Column(to_column_name(name), name, "id" if name.endswith("_id") else "text", _ATTRIBUTE_MEANINGS[name])
        for name in level.attributes
    )
    measures = tuple(Column(m.name, m.api_name, m.kind, m.meaning) for m in served_metrics(report, metrics))
    return (
        Column("advertiser_id", "advertiser_id", "id", "the ad account"),
        *_time_columns(report),
        *own,
        *_split_columns(report),
        *attributes,
        Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
        *measures,
        FETCHED_AT,
        *_completeness_columns(report.cadence),
        EXTRA,
    )


def _time_columns(report: Report) -> tuple[Column, ...]:
    if report.cadence == "lifetime":
        return ()
    day = Column("date", report.time_dimension or "", "day", "the account's calendar day")
    if report.time_dimension != "stat_time_hour":
        return (day,)
    return (day, Column("hour", "stat_time_hour", "hour", "the hour of that day, by the account's clock"))


def _split_columns(report: Report) -> tuple[Column, ...]:
    split = report.breakdown
    if not split:
        return ()
    own = zip(split.dimensions, split.meanings, strict=True)
    return tuple(Column(name, name, "text", meaning) for name, meaning in (*own, *split.echoes))


def _id_column(level: Level) -> Column:
    return Column(to_column_name(level.dimension), level.dimension, "id", f"the {level.name.replace('_', ' ')}")


def _completeness_columns(cadence: Cadence) -> tuple[Column, ...]:
    if cadence == "lifetime":
        return ()
    return (
        Column("is_complete", "", "flag", "read after the day's end, the 16 hours reach needs and the correction"),
        Column("is_settled", "", "flag", "read over 28 days after the day, past every attribution window"),
    )

"""The catalogue of reports, one entry per table, with the columns of each table (API notes 6.1 to 6.3)."""

from collections.abc import Iterable

from tiktok_assets.spec.columns import Column, to_column_name
from tiktok_assets.spec.endpoints import MAX_DAYS_PER_REPORT
from tiktok_assets.spec.metric_catalog import AUDIENCE_METRICS, Metric
from tiktok_assets.spec.report_model import ELEMENT, Breakdown, Cadence, Level, Report
from tiktok_assets.spec.smart_plus_reports import SMART_PLUS_REPORTS

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


def _segments(**meanings: str) -> tuple[Column, ...]:
    return tuple(Column(name, name, "text", meaning) for name, meaning in meanings.items())


BREAKDOWNS: tuple[Breakdown, ...] = (
    Breakdown(
        "age_gender",
        _segments(age="age range such as AGE_18_24, or unknown", gender="FEMALE, MALE or unknown"),
    ),
    Breakdown(
        "country",
        _segments(country_code="ISO country code, or unknown; TikTok leaves out small ones"),
        # estuary/connectors received code 0 for the last two on 2026-08-13.
        metrics=frozenset({"gross_impressions", "reach", "frequency"}),
    ),
    Breakdown("platform", _segments(platform="ANDROID, IPHONE, IPAD, PC")),
    Breakdown("language", _segments(language="ISO language code")),
    Breakdown(
        "interest",
        _segments(
            interest_category="first tier of the interest; a person has several, so the rows do not sum to the"
            " total"
        ),
        by_day=False,
        extra_columns=_segments(interest_category_v2="the interest in the second version of the categories"),
    ),
    # Named by TikTok's page data_latency_for_reports as mirrored; its FAQs say that some provinces are left out.
    Breakdown("province", _segments(province_id="TikTok's id of a state or province; TikTok leaves out some")),
    Breakdown(
        "dma",
        _segments(
            dma_id="TikTok's id of a designated market area of the United States; they do not sum to the total"
        ),
    ),
    Breakdown(
        "placement", _segments(placement="where the ad was shown, such as PLACEMENT_TIKTOK or PLACEMENT_PANGLE")
    ),
    Breakdown("device", _segments(device_brand_id="TikTok's id of the device's brand"), by_day=False),
)
"""The breakdowns of audience reports."""

MAX_DAYS_PER_HOURLY_REPORT = 1
"""How many days a report with `stat_time_hour` can cover (API notes 6.3)."""


def _level_label(level: Level) -> str:
    return level.name.replace("_", " ")


def _basic_report(level: Level, cadence: Cadence, over: str) -> Report:
    return Report(
        table=f"{level.name}_report_{cadence}",
        level=level,
        cadence=cadence,
        meaning=f"Cost and results of each {_level_label(level)} {over}, deleted ones included.",
        time_dimension="stat_time_day" if cadence == "daily" else None,
    )


def _hourly_report(level: Level) -> Report:
    return Report(
        table=f"{level.name}_report_hourly",
        level=level,
        cadence="daily",
        meaning=f"Cost and results of each {_level_label(level)} in each hour of the account's days.",
        time_dimension="stat_time_hour",
        window_days=MAX_DAYS_PER_HOURLY_REPORT,
        is_standard=False,
    )


def _audience_report(level: Level, breakdown: Breakdown) -> Report:
    by = breakdown.name.replace("_", " and ")
    return Report(
        table=f"{level.name}_audience_{breakdown.name}_daily",
        level=level,
        cadence="daily",
        meaning=f"Cost and results of each {_level_label(level)} on each of the account's days, by {by}.",
        report_type="AUDIENCE",
        time_dimension="stat_time_day" if breakdown.by_day else None,
        window_days=MAX_DAYS_PER_REPORT if breakdown.by_day else 1,
        breakdown=breakdown,
        is_standard=False,
    )


LEVEL_REPORTS: tuple[Report, ...] = (
    *(_basic_report(level, "daily", "for each of the account's calendar days") for level in LEVELS),
    *(_basic_report(level, "lifetime", "over its whole lifetime") for level in LEVELS),
)
"""The reports that exist for every account."""

STANDARD_REPORTS: tuple[Report, ...] = (*LEVEL_REPORTS, *SMART_PLUS_REPORTS)
OPTIONAL_REPORTS: tuple[Report, ...] = (
    *(_hourly_report(level) for level in LEVELS),
    *(_audience_report(level, breakdown) for breakdown in BREAKDOWNS for level in LEVELS),
)
REPORTS: tuple[Report, ...] = (*STANDARD_REPORTS, *OPTIONAL_REPORTS)
REPORTS_BY_TABLE = {report.table: report for report in REPORTS}
DAILY_REPORTS = tuple(report for report in LEVEL_REPORTS if report.cadence == "daily")
LIFETIME_REPORTS = tuple(report for report in LEVEL_REPORTS if report.cadence == "lifetime")


def served_metrics(report: Report, metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """Return the metrics the API serves in a report; the others are not requested and have no column there.

    Audience reports serve a shorter list, and so do other endpoints. Cash and voucher spend are rejected
    everywhere except in the daily report of the account (API notes 6.6).
    """
    names = AUDIENCE_METRICS if report.report_type == "AUDIENCE" else report.source.metrics
    if names is not None:
        more = report.breakdown.metrics if report.breakdown else frozenset()
        return tuple(metric for metric in metrics if metric.api_name in names | more)
    account_days = report.level.name == "advertiser" and report.cadence == "daily" and not report.is_split
    return tuple(metric for metric in metrics if account_days or metric.served == "everywhere")


_ID_MEANINGS = {"smart_plus_ad_id": "the Upgraded Smart+ ad; its creatives are in `ads`"}

_ATTRIBUTE_MEANINGS = {
    "campaign_id": "its campaign",
    "campaign_name": "the campaign's name",
    "adgroup_id": "its ad group",
    "adgroup_name": "the ad group's name",
    "ad_name": "the ad's name",
}

FETCHED_AT = Column("fetched_at", "", "instant", "when the row was read from the API")
EXTRA = Column(
    "extra",
    "",
    "json",
    "fields of the API without a column of their own; under `malformed_values`, by the API's names, the original"
    " values that did not fit their column",
)


def report_columns(report: Report, metrics: Iterable[Metric]) -> tuple[Column, ...]:
    """Return the columns of a report's table, in order; `api_name` is "" for those this project adds."""
    level = report.level
    own = tuple(_id_column(level, name) for name in level.key_columns)
    attributes = tuple(
        Column(to_column_name(name), name, "id" if name.endswith("_id") else "text", _ATTRIBUTE_MEANINGS[name])
        for name in level.attributes
    ) + tuple(column for _, column in level.list_attributes)
    measures = tuple(Column(m.name, m.api_name, m.kind, m.meaning) for m in served_metrics(report, metrics))
    return (
        Column("advertiser_id", "advertiser_id", "id", "the ad account"),
        *_time_columns(report),
        *own,
        *_split_columns(report),
        *attributes,
        Column("currency", "", "text", "ISO 4217 code; the currency of every amount of the row"),
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
    return (day, Column("hour", "stat_time_hour", "hour", "the hour of that day, in the account's time zone"))


def _split_columns(report: Report) -> tuple[Column, ...]:
    split = report.breakdown
    if not split:
        return ()
    return (*((ELEMENT,) if report.parts else ()), *split.all_columns, *split.attributes)


def _id_column(level: Level, name: str) -> Column:
    return Column(name, level.dimension, "id", _ID_MEANINGS.get(name, f"the {_level_label(level)}"))


def _completeness_columns(cadence: Cadence) -> tuple[Column, ...]:
    if cadence == "lifetime":
        return ()
    return (
        Column(
            "is_complete",
            "",
            "flag",
            "read after the day's end, the 16 hours of delay of reach, and TikTok's correction",
        ),
        Column("is_settled", "", "flag", "read more than 28 days after the day, past every attribution window"),
    )

"""The reports: four levels by two kinds, a row each, and the columns every report shares."""

from dataclasses import dataclass
from typing import Literal

from tiktok_assets.spec.columns import Column, renamed
from tiktok_assets.spec.metrics import Metric

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
class Report:
    """One report table.

    Attributes:
        table: the asset and the table it fills.
        level: whose rows.
        cadence: one row a day, or one row over the whole life.
        meaning: one sentence for the catalogue.
    """

    table: str
    level: Level
    cadence: Cadence
    meaning: str

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that name a row, in table order."""
        day = ("date",) if self.cadence == "daily" else ()
        own = renamed(self.level.dimension)
        return ("advertiser_id", *day) + (() if own == "advertiser_id" else (own,))


_CADENCES: tuple[tuple[Cadence, str], ...] = (
    ("daily", "for each of the account's calendar days"),
    ("lifetime", "over its whole life"),
)

REPORTS: tuple[Report, ...] = tuple(
    Report(
        table=f"{level.name}_report_{cadence}",
        level=level,
        cadence=cadence,
        meaning=f"What each {level.name.replace('_', ' ')} cost and brought {over}, deleted ones included.",
    )
    for cadence, over in _CADENCES
    for level in LEVELS
)
REPORTS_BY_TABLE = {report.table: report for report in REPORTS}
DAILY_REPORTS = tuple(report for report in REPORTS if report.cadence == "daily")
LIFETIME_REPORTS = tuple(report for report in REPORTS if report.cadence == "lifetime")

_ATTRIBUTE_MEANINGS = {
    "campaign_id": "its campaign",
    "campaign_name": "the campaign's name",
    "adgroup_id": "its ad group",
    "adgroup_name": "the ad group's name",
    "ad_name": "the ad's name",
}

FETCHED_AT = Column("fetched_at", "", "instant", "when we read it")
EXTRA = Column("extra", "", "json", "fields the API sent that no column is declared for")


def report_columns(report: Report, metrics: tuple[Metric, ...]) -> tuple[Column, ...]:
    """The columns of a report's table, in order; `api_name` is "" for what we add ourselves."""
    level = report.level
    own = () if level.name == "advertiser" else (_id_column(level),)
    day = (
        (Column("date", "stat_time_day", "day", "the account's calendar day"),)
        if report.cadence == "daily"
        else ()
    )
    attributes = tuple(
        Column(renamed(name), name, "id" if name.endswith("_id") else "text", _ATTRIBUTE_MEANINGS[name])
        for name in level.attributes
    )
    measures = tuple(Column(m.name, m.api_name, m.kind, m.meaning) for m in metrics)
    return (
        Column("advertiser_id", "advertiser_id", "id", "the ad account"),
        *day,
        *own,
        *attributes,
        Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
        *measures,
        FETCHED_AT,
        *_completeness(report.cadence),
        EXTRA,
    )


def _id_column(level: Level) -> Column:
    return Column(renamed(level.dimension), level.dimension, "id", f"the {level.name.replace('_', ' ')}")


def _completeness(cadence: Cadence) -> tuple[Column, ...]:
    if cadence == "lifetime":
        return ()
    return (
        Column("is_complete", "", "flag", "read after the day's end, the 16 hours reach needs and the correction"),
        Column("is_settled", "", "flag", "read over 28 days after the day, past every attribution window"),
    )

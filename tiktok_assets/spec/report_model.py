"""Define what a report table is: its level, its breakdown and how it is requested (API notes 6.1 to 6.3)."""

from dataclasses import dataclass, replace
from typing import Literal

from tiktok_assets.spec.account_conditions import AccountCondition
from tiktok_assets.spec.columns import Column, to_column_name
from tiktok_assets.spec.endpoints import MAX_DAYS_PER_REPORT
from tiktok_assets.spec.report_sources import INTEGRATED, ReportSource

LevelName = Literal["advertiser", "campaign", "ad_group", "ad", "smart_plus_ad", "smart_plus_creative"]
Cadence = Literal["daily", "lifetime"]


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the account hierarchy, with its parameters of the report endpoint.

    Attributes:
        name: the level's name in this project.
        data_level: the value of the API's parameter `data_level`; "" if the endpoint has none.
        dimension: the id dimension of the level; part of the table's key beside `advertiser_id` and `date`. ""
            if the rows are totals of the account without its id.
        attributes: parent ids and names, which the API serves as metrics, never as dimensions (API notes 6.2).
        status_field: the filter that includes deleted objects; the API rejects the field of another level (API
            notes 6.4).
        column: the column of the id, if it is not named like the dimension.
        list_attributes: attributes that the API returns as a list under another name: the requested name, and the
            column of the list.
    """

    name: LevelName
    data_level: str
    dimension: str
    attributes: tuple[str, ...]
    status_field: str | None
    column: str = ""
    list_attributes: tuple[tuple[str, Column], ...] = ()

    @property
    def requested_attributes(self) -> tuple[str, ...]:
        """The attributes to request, by the API's names."""
        return (*self.attributes, *(name for name, _ in self.list_attributes))

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The column of the id beside `advertiser_id`; empty if the account is the level, or there is no id."""
        name = self.column or to_column_name(self.dimension)
        return () if name in {"", "advertiser_id"} else (name,)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One breakdown of a report, such as by country.

    Attributes:
        name: the part of the table's name, or the value of the column `element` for the part of a report.
        columns: the columns of the API's dimensions, which become part of the key; of audience reports only age
            and gender can be combined (API notes 6.2).
        by_day: whether they can be combined with `stat_time_day`; interests cannot (API notes 6.2).
        extra_key_columns: columns of dimensions that the API adds without a request, and that rows differ in.
        extra_columns: columns of dimensions that the API adds without a request, and that rows do not differ in.
        attributes: columns that the API adds to the metrics without a request.
        metrics: the metrics it serves in addition to those of the report, by the API's names.
    """

    name: str
    columns: tuple[Column, ...]
    by_day: bool = True
    extra_key_columns: tuple[Column, ...] = ()
    extra_columns: tuple[Column, ...] = ()
    attributes: tuple[Column, ...] = ()
    metrics: frozenset[str] = frozenset()

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The API's names of the requested dimensions."""
        return tuple(column.api_name for column in self.columns)

    @property
    def key_dimensions(self) -> tuple[str, ...]:
        """The API's names of the dimensions that rows differ in."""
        return tuple(column.api_name for column in (*self.columns, *self.extra_key_columns))

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that rows differ in."""
        return tuple(column.name for column in (*self.columns, *self.extra_key_columns))

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """The columns of all dimensions of a response."""
        return (*self.columns, *self.extra_key_columns, *self.extra_columns)


ELEMENT = Column(
    "element",
    "",
    "text",
    "the part of the ad: main_material, ad_text, call_to_action or interactive_add_on; sum the rows of one of them"
    " only, because each of them has the spend of the whole ad",
)
"""The column that says which part of a report a row belongs to."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report table.

    Attributes:
        table: the name of the table and its asset.
        level: the level of its rows.
        cadence: "daily" for one partition per day, "lifetime" for one partition over the whole lifetime.
        meaning: one sentence for the data dictionary.
        report_type: the API's report type; None if the endpoint has none.
        time_dimension: the API's time dimension; None for a lifetime, and where each day is requested separately.
        window_days: how many days one query can cover; 1 where the rows do not contain their day.
        breakdown: the breakdown of the rows.
        parts: breakdowns that are requested one by one, and stored in one table with the column `element`; each
            splits the same spend. The first is `breakdown`.
        is_standard: whether the table exists unless `TIKTOK_REPORTS` selects others.
        source: the endpoint and how a request to it is written.
        fixed_filters: the filters of every query beside the status, by the API's names.
        condition: what an account must have to be read; None for every account.
    """

    table: str
    level: Level
    cadence: Cadence
    meaning: str
    report_type: Literal["BASIC", "AUDIENCE"] | None = "BASIC"
    time_dimension: Literal["stat_time_day", "stat_time_hour"] | None = None
    window_days: int = MAX_DAYS_PER_REPORT
    breakdown: Breakdown | None = None
    parts: tuple[Breakdown, ...] = ()
    is_standard: bool = True
    source: ReportSource = INTEGRATED
    fixed_filters: tuple[tuple[str, str], ...] = ()
    condition: AccountCondition | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The key columns, in table order."""
        day = ("date",) if self.cadence == "daily" else ()
        hour = ("hour",) if self.time_dimension == "stat_time_hour" else ()
        element = (ELEMENT.name,) if self.parts else ()
        split = self.breakdown.key_columns if self.breakdown else ()
        return ("advertiser_id", *day, *hour, *self.level.key_columns, *element, *split)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The requested dimensions: the level's id, the time dimension, and those of the breakdown."""
        own = (self.level.dimension,) if self.level.dimension else ()
        time = (self.time_dimension,) if self.time_dimension else ()
        return (*own, *time, *(self.breakdown.dimensions if self.breakdown else ()))

    @property
    def key_dimensions(self) -> tuple[str, ...]:
        """The dimensions that the rows of a response differ in: the requested ones, and those the API adds."""
        return (
            *self.dimensions,
            *(c.api_name for c in (self.breakdown.extra_key_columns if self.breakdown else ())),
        )

    @property
    def is_split(self) -> bool:
        """Whether its rows split those of the level's daily report, into hours, segments or elements."""
        return self.breakdown is not None or self.time_dimension == "stat_time_hour"

    @property
    def queries(self) -> "tuple[Report, ...]":
        """The report as it is requested: once, or once for each of its parts."""
        return tuple(replace(self, breakdown=part) for part in self.parts) or (self,)

"""Describe a stored table for the checks, from its columns, its key and its row of `spec.reports`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tiktok_assets.spec import (
    AD_GROUPS,
    ADS,
    CAMPAIGNS,
    DOCUMENTED_FIELDS,
    ENTITIES,
    ENUMERATIONS,
    GMV_MAX_REPORTS_BY_TABLE,
    GMV_MAX_SHOPS,
    LEVELS,
    MEDIA_TABLES,
    SMART_PLUS_ADS,
    Column,
    Metric,
    Report,
    served_metrics,
)
from tiktok_assets.tables import build_schema

PARENT_TABLES = {
    "campaign_id": CAMPAIGNS.table,
    "ad_group_id": AD_GROUPS.table,
    "ad_id": ADS.table,
    "smart_plus_ad_id": SMART_PLUS_ADS.table,
}
"""By id column: the table that must contain the id."""

ID_COLUMNS = {"ad_id": ("ad_id", "ad_id_v2")}
"""By id column: the columns of the parent table that may contain the id, if not just the one of the same name. A
Smart+ report may contain the id of the creative or of the ad (API notes 5.7)."""

_SPEND_COLUMNS = ("spend", "billed_cost", "cost", "net_cost")


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """A stored table and the properties that decide which checks apply to it.

    Attributes:
        table: the name of the table.
        columns: the declared columns, in order.
        key: the columns that identify a row; empty if none are declared.
        report: the row of `spec.reports`; None for other tables.
        metrics: the metrics of the report.
        upper_table: the same report at the nearest higher level that is stored.
        daily_table: for a lifetime report, the daily report of its level, if that is stored.
        needs_shop: whether it is a report of GMV Max, which has days only of accounts with a TikTok Shop.
    """

    table: str
    columns: Sequence[Column]
    key: tuple[str, ...]
    report: Report | None = None
    metrics: tuple[Metric, ...] = ()
    upper_table: str | None = None
    daily_table: str | None = None
    needs_shop: bool = False

    @property
    def column_names(self) -> frozenset[str]:
        """The names of the columns."""
        return frozenset(column.name for column in self.columns)

    @property
    def schema(self) -> pl.Schema:
        """The declared schema."""
        return build_schema(self.columns)

    @property
    def is_from_api(self) -> bool:
        """Whether the rows come from the API; False for tables derived from other tables."""
        lists = (*ENTITIES, *MEDIA_TABLES, GMV_MAX_SHOPS)
        return self.report is not None or self.needs_shop or any(self.table == one.table for one in lists)

    @property
    def is_daily_report(self) -> bool:
        """Whether the table is a report with one partition per day."""
        return (self.report is not None or self.needs_shop) and "date" in self.key

    @property
    def enumerations(self) -> Mapping[str, frozenset[str]]:
        """The columns with a closed list of values."""
        return ENUMERATIONS.get(self.table, {})

    @property
    def documented_fields(self) -> frozenset[str]:
        """The documented API fields without a column, which `extra` may contain."""
        return DOCUMENTED_FIELDS.get(self.table, frozenset())

    @property
    def parent_tables(self) -> Mapping[str, str]:
        """By id column: the table that must contain the id. Campaigns of GMV Max are in no table."""
        return {
            column: table
            for column, table in PARENT_TABLES.items()
            if column in self.column_names and table != self.table and not self.needs_shop
        }

    @property
    def spend_columns(self) -> tuple[str, ...]:
        """The columns with spend from the API."""
        return tuple(name for name in _SPEND_COLUMNS if self.is_from_api and name in self.column_names)

    @property
    def schema_to_read(self) -> pl.Schema:
        """The part of the schema that the checks read."""
        common = {"advertiser_id", "currency", "extra", "is_complete", "fetched_at"} & self.column_names
        summed = {metric.name for metric in self.metrics if metric.is_additive}
        names = {*self.key, *common, *self.enumerations, *self.parent_tables, *self.spend_columns, *summed}
        return pl.Schema({name: dtype for name, dtype in self.schema.items() if name in names})


def build_checked_tables(
    tables: Mapping[str, Sequence[Column]],
    keys: Mapping[str, tuple[str, ...]],
    reports: Sequence[Report],
    metrics: tuple[Metric, ...],
) -> dict[str, CheckedTable]:
    """Describe every stored table; a new table needs no change here.

    Args:
        tables: the columns of each table, by name.
        keys: the key columns of each table.
        reports: the stored reports.
        metrics: the chosen metrics.
    """
    by_table = {report.table: report for report in reports}
    return {
        table: CheckedTable(
            table,
            columns,
            keys.get(table, ()),
            by_table.get(table),
            served_metrics(by_table[table], metrics) if table in by_table else (),
            _find_upper_table(by_table[table], by_table) if table in by_table else None,
            _find_daily_table(by_table[table], by_table) if table in by_table else None,
            needs_shop=table in GMV_MAX_REPORTS_BY_TABLE,
        )
        for table, columns in tables.items()
    }


def _find_upper_table(report: Report, stored: Mapping[str, Report]) -> str | None:
    """Return the same kind of report at the nearest higher level that is stored."""
    levels = [level.name for level in LEVELS]
    if report.level.name not in levels:
        return None
    suffix = report.table.removeprefix(report.level.name)
    above = [f"{level}{suffix}" for level in levels[: levels.index(report.level.name)]]
    return next((table for table in reversed(above) if table in stored), None)


def _find_daily_table(report: Report, stored: Mapping[str, Report]) -> str | None:
    """Return the daily report of the level of a lifetime report."""
    if report.cadence != "lifetime":
        return None
    return next(
        (
            table
            for table, other in stored.items()
            if other.level == report.level and other.cadence == "daily" and not other.is_split
        ),
        None,
    )

"""Describe a stored table for the checks, from its columns, its key and its row of `spec.reports`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.documented_fields import DOCUMENTED_FIELDS, ENUMERATIONS
from tiktok_assets.spec.entities import AD_GROUPS, ADS, CAMPAIGNS, ENTITIES
from tiktok_assets.spec.metric_catalogue import Metric
from tiktok_assets.spec.reports import LEVELS, Report, served_metrics
from tiktok_assets.tables.frames import build_schema

PARENT_TABLES = {"campaign_id": CAMPAIGNS.table, "ad_group_id": AD_GROUPS.table, "ad_id": ADS.table}
"""In which table the id of a column must be known."""

ID_COLUMNS = {"ad_id": ("ad_id", "ad_id_v2")}
"""The columns of that table the id may stand in: a Smart+ report may name the creative or the ad (dossier 5.7)."""

_SPEND_COLUMNS = ("spend", "billed_cost")


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """A stored table.

    Attributes:
        table: its name.
        columns: in order.
        key: the columns that name a row; empty where nobody declared them.
        report: its row of `spec.reports`; None for other tables.
        metrics: those its report asks for.
        upper: the same report at the next level above that is stored.
        daily: for a lifetime report, the daily report of its level, where that is stored.
    """

    table: str
    columns: Sequence[Column]
    key: tuple[str, ...]
    report: Report | None = None
    metrics: tuple[Metric, ...] = ()
    upper: str | None = None
    daily: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """Its columns' names."""
        return frozenset(column.name for column in self.columns)

    @property
    def schema(self) -> pl.Schema:
        """Its declared schema."""
        return build_schema(self.columns)

    @property
    def is_read(self) -> bool:
        """Whether its rows are the API's, and not made of other tables', which are looked at themselves."""
        return self.report is not None or any(self.table == entity.table for entity in ENTITIES)

    @property
    def is_report_by_day(self) -> bool:
        """Whether it is a report with a partition a day."""
        return self.report is not None and "date" in self.key

    @property
    def enumerations(self) -> Mapping[str, frozenset[str]]:
        """Its columns with a closed list of values."""
        return ENUMERATIONS.get(self.table, {})

    @property
    def documented(self) -> frozenset[str]:
        """The fields its `extra` may hold without being news."""
        return DOCUMENTED_FIELDS.get(self.table, frozenset())

    @property
    def parents(self) -> Mapping[str, str]:
        """Its id columns, each with the table that must know the id."""
        return {
            column: table
            for column, table in PARENT_TABLES.items()
            if column in self.names and table != self.table
        }

    @property
    def spends(self) -> tuple[str, ...]:
        """Its columns that hold what was spent, as the API says it."""
        return tuple(name for name in _SPEND_COLUMNS if self.is_read and name in self.names)

    @property
    def looked_at(self) -> pl.Schema:
        """The columns the checks read."""
        ours = {"advertiser_id", "currency", "extra", "is_complete", "fetched_at"} & self.names
        summed = {metric.name for metric in self.metrics if metric.additive}
        wanted = {*self.key, *ours, *self.enumerations, *self.parents, *self.spends, *summed}
        return pl.Schema({name: kind for name, kind in self.schema.items() if name in wanted})


def build_checked_tables(
    tables: Mapping[str, Sequence[Column]],
    keys: Mapping[str, tuple[str, ...]],
    reports: Sequence[Report],
    metrics: tuple[Metric, ...],
) -> dict[str, CheckedTable]:
    """Every stored table as a subject; a new one needs no word here.

    Args:
        tables: the columns of each, by name.
        keys: the columns that name a row of each.
        reports: those that are stored.
        metrics: those they ask for.
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
        )
        for table, columns in tables.items()
    }


def _find_upper_table(report: Report, stored: Mapping[str, Report]) -> str | None:
    """The same kind of report at the nearest level above that is stored."""
    levels = [level.name for level in LEVELS]
    kind = report.table.removeprefix(report.level.name)
    above = [f"{level}{kind}" for level in levels[: levels.index(report.level.name)]]
    return next((table for table in reversed(above) if table in stored), None)


def _find_daily_table(report: Report, stored: Mapping[str, Report]) -> str | None:
    if report.cadence != "lifetime":
        return None
    return next(
        (
            table
            for table, other in stored.items()
            if other.level == report.level and other.cadence == "daily" and not other.splits
        ),
        None,
    )

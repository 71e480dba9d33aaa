"""Define the Polars schema of every stored table, and the columns that API responses contain."""

from collections.abc import Iterable
from functools import cache

import polars as pl

from tiktok_assets.spec import EXTRA, FETCHED_AT, Column, Entity, Kind, Metric, Report, report_columns

MONEY = pl.Decimal(18, 4)
INSTANT = pl.Datetime("us", "UTC")

POLARS_TYPES: dict[Kind, pl.DataType] = {
    "id": pl.String(),
    "text": pl.String(),
    "money": MONEY,
    "count": pl.Int64(),
    "rate": pl.Float64(),
    "ratio": pl.Float64(),
    "day": pl.Date(),
    "hour": pl.Int64(),
    "instant": INSTANT,
    "epoch": INSTANT,
    "flag": pl.Boolean(),
    "json": pl.String(),
}
"""The type of a column on disk, by its kind."""


def build_schema(columns: Iterable[Column]) -> pl.Schema:
    """Return the schema of a stored table with these columns."""
    return pl.Schema({column.name: POLARS_TYPES[column.kind] for column in columns})


def entity_columns(entity: Entity) -> tuple[Column, ...]:
    """Return the columns of an entity's table: those of the API, then those this project adds."""
    granted = (
        (Column("is_granted", "", "flag", "whether the token can still read the account"),)
        if entity.table == "advertisers"
        else ()
    )
    return (*entity.columns, *granted, FETCHED_AT, EXTRA)


@cache
def entity_schema(entity: Entity) -> pl.Schema:
    """Return the schema of an entity's stored table; all callers share it."""
    return build_schema(entity_columns(entity))


def report_schema(report: Report, metrics: tuple[Metric, ...]) -> pl.Schema:
    """Return the schema of a report's stored table."""
    return build_schema(report_columns(report, metrics))


@cache
def response_columns(report: Report, metrics: tuple[Metric, ...]) -> tuple[Column, ...]:
    """Return the columns that the rows of a response contain.

    The API returns `advertiser_id` only where it is a dimension of the report (API notes 6.5).
    """
    columns = [column for column in report_columns(report, metrics) if column.api_name]
    return tuple(c for c in columns if c.api_name != "advertiser_id" or report.level.name == "advertiser")


def numeric_dtypes(metrics: Iterable[Metric]) -> dict[str, pl.DataType]:
    """Return the types of the metrics that can be parsed directly from their digits, by the API's names.

    Additive amounts of money are left out: a value may have more decimals than the column stores, which the
    direct parser would round without notice.
    """
    return {m.api_name: POLARS_TYPES[m.kind] for m in metrics if m.kind != "money" or not m.is_additive}


@cache
def average_names(metrics: tuple[Metric, ...]) -> frozenset[str]:
    """Return the names of the metrics that are rounded quotients, and may be rounded again."""
    return frozenset(metric.name for metric in metrics if not metric.is_additive)

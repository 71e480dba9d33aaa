"""The one place where types change: rows of the API become frames with the declared schema.

Money goes from its text (or its exact JSON number) to a decimal, never through a float; ids become text;
"-" is null. What no column is declared for is kept in `extra` and named in the tally. A value that does not fit
its kind is a `ValueFormatError`, which the reader turns into a broken contract: nothing of the answer is kept.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

import msgspec
import polars as pl

from tiktok_assets.column_types import INSTANT, POLARS_TYPES, typed
from tiktok_assets.days import Account, ValueFormatError, is_complete, is_settled
from tiktok_assets.plain_rows import plain_rows
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.entities import Entity
from tiktok_assets.spec.metrics import Metric
from tiktok_assets.spec.reports import EXTRA, FETCHED_AT, Report, report_columns
from tiktok_assets.values import converted, json_text

Row = dict[str, Any]

KEY_SEPARATOR = "\0"
"""Between the dimensions that are a row's key, as one text: pages have thousands, and a tuple each is large."""

_PARTS = ("dimensions", "metrics")


def entity_columns(entity: Entity) -> tuple[Column, ...]:
    """The columns of an entity's table: the declared ones, then ours."""
    granted = (
        (Column("is_granted", "", "flag", "whether the account may still be read"),)
        if entity.table == "advertisers"
        else ()
    )
    return (*entity.columns, *granted, FETCHED_AT, EXTRA)


def schema_of(columns: Iterable[Column]) -> pl.Schema:
    """The schema of a table on disk."""
    return pl.Schema({column.name: POLARS_TYPES[column.kind] for column in columns})


def entity_frame(
    entity: Entity, rows: list[Row], fetched_at: datetime, *, unknown_fields: set[str]
) -> pl.DataFrame:
    """API objects of one entity as a frame.

    Args:
        entity: whose objects.
        rows: as the API sent them, numbers with a fraction as Decimal.
        fetched_at: aware UTC.
        unknown_fields: the names of fields no column is declared for are added to it.

    Raises:
        ValueFormatError: naming the field whose value does not fit.
    """
    data: dict[str, list[Any]] = {
        column.name: [converted(column, row.get(column.api_name)) for row in rows] for column in entity.columns
    }
    if entity.table == "advertisers":
        data["is_granted"] = [True] * len(rows)
    data[FETCHED_AT.name] = [fetched_at] * len(rows)
    known = {column.api_name for column in entity.columns}
    data[EXTRA.name] = [_extra({k: v for k, v in row.items() if k not in known}, unknown_fields) for row in rows]
    return pl.DataFrame(data, schema=schema_of(entity_columns(entity)))


def _extra(fields: Mapping[str, Any], unknown_fields: set[str]) -> str | None:
    if not fields:
        return None
    unknown_fields.update(fields)
    return json_text(fields)


def report_schema(report: Report, metrics: tuple[Metric, ...]) -> pl.Schema:
    """The schema of a report's table on disk."""
    return schema_of(report_columns(report, metrics))


def report_page(
    report: Report,
    metrics: tuple[Metric, ...],
    rows: list[Row],
    *,
    unknown_fields: set[str],
    day: date | None = None,
) -> pl.DataFrame:
    """One page of report rows as a frame of keys, attributes, metrics and `extra`.

    Args:
        report: which.
        metrics: those chosen; the columns are of those the report is served.
        rows: as the API sent them.
        unknown_fields: the names of fields no column is declared for are added to it.
        day: the day of rows that cannot tell it, because the report was asked without a time dimension.

    Raises:
        ValueFormatError: naming the metric whose value does not fit.
    """
    if wrong := [part for row in rows for part in _PARTS if not isinstance(row[part], dict)]:
        raise ValueFormatError(f"{wrong[0]} is no object")
    columns = _told_columns(report, metrics)
    parts = {part: [row[part] for row in rows] for part in _PARTS}
    echoed = {name for name, _ in report.breakdown.echoes} if report.breakdown else set()
    dimensions = {*report.dimensions, *echoed}
    known = {column.api_name for column in columns} | {"advertiser_id"}
    texts = {
        column.name: _texts(column, parts["dimensions" if column.api_name in dimensions else "metrics"])
        for column in columns
    }
    extra = [_extra(_beside(row, known), unknown_fields) for row in rows]
    texts[EXTRA.name] = pl.Series(extra, dtype=pl.String)
    return _report_page(report, metrics, pl.DataFrame(texts), day)


def plain_report_page(
    report: Report,
    metrics: tuple[Metric, ...],
    asked: Iterable[str],
    rows: Sequence[bytes | msgspec.Raw],
    *,
    day: date | None = None,
) -> tuple[pl.DataFrame, list[Hashable]] | None:
    """The same from the JSON of each row, with the key of each; None where they must be looked at singly.

    Args:
        report: which.
        metrics: those chosen.
        asked: the API's names of those asked for; each row has all of them.
        rows: objects.
        day: as for `report_page`.

    Raises:
        ValueFormatError: naming the metric whose value does not fit.
    """
    if report.breakdown and report.breakdown.echoes:
        return None
    columns = _told_columns(report, metrics)
    fields = {"dimensions": report.dimensions, "metrics": (*report.level.attributes, *asked)}
    for types in (digit_types(metrics), dict[str, pl.DataType]()):  # a count "12.0" has to be looked at as a text
        kinds = {part: {name: types.get(name, pl.String()) for name in names} for part, names in fields.items()}
        if (cells := plain_rows(rows, kinds)) is not None:
            break
    else:
        return None
    given = set(cells.columns)
    missing = pl.lit(None, pl.String)
    told = cells.select(
        *((pl.col(c.api_name) if c.api_name in given else missing).alias(c.name) for c in columns),
        missing.alias(EXTRA.name),
    )
    keys = cells.select(pl.concat_str(report.dimensions, separator=KEY_SEPARATOR)).to_series()
    return _report_page(report, metrics, told, day), keys.to_list()


@cache
def _told_columns(report: Report, metrics: tuple[Metric, ...]) -> tuple[Column, ...]:
    """The columns the rows tell. The account is not echoed unless it is the dimension (dossier 6.5)."""
    columns = [column for column in report_columns(report, metrics) if column.api_name]
    return tuple(c for c in columns if c.api_name != "advertiser_id" or report.level.name == "advertiser")


def digit_types(metrics: Iterable[Metric]) -> dict[str, pl.DataType]:
    """The types of those read straight from their digits; money that is no average may have too many of them."""
    return {m.api_name: POLARS_TYPES[m.kind] for m in metrics if m.kind != "money" or not m.additive}


@cache
def _averages(metrics: tuple[Metric, ...]) -> frozenset[str]:
    """Those that are rounded quotients, and may be rounded again."""
    return frozenset(metric.name for metric in metrics if not metric.additive)


def _report_page(
    report: Report, metrics: tuple[Metric, ...], texts: pl.DataFrame, day: date | None
) -> pl.DataFrame:
    if "hour" in texts.columns:  # told with the day in one text, which `hour` proves to be a whole hour
        texts = texts.with_columns(pl.col("date").str.slice(0, 10))
    frame = typed(texts, _told_columns(report, metrics), _averages(metrics))
    if report.cadence == "lifetime" or report.time_dimension:
        return frame
    return frame.with_columns(date=pl.lit(day, pl.Date))


def _beside(row: Row, known: set[str]) -> Row:
    if len(row) == len(_PARTS) and row["metrics"].keys() <= known and row["dimensions"].keys() <= known:
        return {}  # as good as always: a thousand rows a page come through here
    inside = {k: v for part in _PARTS for k, v in row[part].items() if k not in known}
    return inside | {k: v for k, v in row.items() if k not in _PARTS}


def _texts(column: Column, parts: list[Row]) -> pl.Series:
    name = column.api_name
    values = [part.get(name) for part in parts]
    try:
        return pl.Series(values, dtype=pl.String, strict=True)
    except TypeError:
        if wrong := [value for value in values if isinstance(value, bool | float | list | dict)]:
            raise ValueFormatError(f"{name} is {wrong[0]!r}, which is no {column.kind}") from None
    return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)


def report_frame(
    report: Report,
    metrics: tuple[Metric, ...],
    account: Account,
    pages: list[pl.DataFrame],
    fetched_at: datetime,
) -> pl.DataFrame:
    """Pages of a report as rows of its table: account, currency, completeness and instant added, sorted by key.

    Raises:
        ValueFormatError: if a row has no key, or names another account.
    """
    schema = report_schema(report, metrics)
    rows = pl.concat(pages) if pages else report_page(report, metrics, [], unknown_fields=set())
    if report.level.name == "advertiser" and rows.filter(pl.col("advertiser_id") != account.advertiser_id).height:
        raise ValueFormatError(f"a row of another account came with those of {account.advertiser_id}")
    # By what tells its rows apart, and before it has the columns that are the same in all of them.
    if order := [name for name in report.key if name != "advertiser_id"]:
        rows = rows.sort(order)
    rows = rows.with_columns(
        advertiser_id=pl.lit(account.advertiser_id),
        currency=pl.lit(account.currency),
        fetched_at=pl.lit(fetched_at, dtype=INSTANT),
    )
    if report.cadence == "daily":
        days = rows.get_column("date").unique().drop_nulls().to_list()
        complete = [day for day in days if is_complete(day, account, fetched_at)]
        settled = [day for day in days if is_settled(day, account, fetched_at)]
        rows = rows.with_columns(
            is_complete=pl.col("date").is_in(complete), is_settled=pl.col("date").is_in(settled)
        )
    if any(rows.select(pl.col(report.key).is_null().any()).row(0)):
        raise ValueFormatError(f"a row has no {' or no '.join(report.key)}")
    rows = rows.select(schema.names())
    return rows if rows.schema == schema else rows.cast(schema)

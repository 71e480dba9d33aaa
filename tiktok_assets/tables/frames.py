"""Build typed Polars frames from the objects and report rows of the API.

Amounts of money become decimals without passing through a float, ids become text, and "-" becomes null. A field
without a declared column is kept in the column `extra`. A value that does not fit its column becomes null, and
the original value is kept in `extra` as well.
"""

from collections.abc import Hashable, Iterable, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

import msgspec
import polars as pl

from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.entities import Entity
from tiktok_assets.spec.metric_catalogue import Metric
from tiktok_assets.spec.reports import EXTRA, FETCHED_AT, Report, report_columns, served_metrics
from tiktok_assets.tables.account_calendar import Account, ValueFormatError, is_complete, is_settled
from tiktok_assets.tables.cells import MALFORMED, UNKNOWN_SEGMENT, UNKNOWN_SEGMENT_VALUES, encode_extra, parse_cell
from tiktok_assets.tables.csv_fast_path import parse_uniform_rows
from tiktok_assets.tables.row_validation import (
    ROW_SECTIONS,
    dimension_names,
    is_expected_row,
    merge_unknown_segments,
    parse_page_row_by_row,
    undeclared_fields,
)
from tiktok_assets.tables.text_columns import INSTANT, POLARS_TYPES, cast_text_columns, text_series

Row = dict[str, Any]

KEY_SEPARATOR = "\0"
"""Between the dimensions that are a row's key, as one text: pages have thousands, and a tuple each is large."""


def entity_columns(entity: Entity) -> tuple[Column, ...]:
    """The columns of an entity's table: the declared ones, then ours."""
    granted = (
        (Column("is_granted", "", "flag", "whether the account may still be read"),)
        if entity.table == "advertisers"
        else ()
    )
    return (*entity.columns, *granted, FETCHED_AT, EXTRA)


def build_schema(columns: Iterable[Column]) -> pl.Schema:
    """The schema of a table on disk."""
    return pl.Schema({column.name: POLARS_TYPES[column.kind] for column in columns})


def build_entity_frame(
    entity: Entity,
    rows: list[Row],
    fetched_at: datetime,
    *,
    unknown_fields: set[str],
    owners: Sequence[str] = (),
) -> pl.DataFrame:
    """API objects of one entity as a frame; a value that does not fit is null, and what came is in `extra`.

    Args:
        entity: whose objects.
        rows: as the API sent them, numbers with a fraction as Decimal.
        fetched_at: aware UTC.
        unknown_fields: the names of fields no column is declared for are added to it.
        owners: the account of each row by the question it answers, for rows that do not say theirs.
    """
    malformed: list[Row] = [{} for _ in rows]
    data: dict[str, list[Any]] = {}
    for column in entity.columns:
        cells = data[column.name] = []
        for row, kept in zip(rows, malformed, strict=True):
            value, fits = parse_cell(column, row.get(column.api_name))
            cells.append(value)
            if not fits:
                kept[column.api_name] = row[column.api_name]
    owned = data["advertiser_id"]
    for index, owner in enumerate(owners):
        if owned[index] is None and owner:
            owned[index] = owner
            malformed[index]["advertiser_id"] = rows[index].get("advertiser_id")
    if entity.table == "advertisers":
        data["is_granted"] = [True] * len(rows)
    data[FETCHED_AT.name] = [fetched_at] * len(rows)
    known = {column.api_name for column in entity.columns}
    data[EXTRA.name] = [
        _encode_extra({k: v for k, v in row.items() if k not in known}, kept, unknown_fields)
        for row, kept in zip(rows, malformed, strict=True)
    ]
    return pl.DataFrame(data, schema=build_schema(entity_columns(entity)))


def _encode_extra(fields: Row, malformed: Row, unknown_fields: set[str]) -> str | None:
    unknown_fields.update(name for name in fields if name != MALFORMED)
    return encode_extra(fields, malformed)


def report_schema(report: Report, metrics: tuple[Metric, ...]) -> pl.Schema:
    """The schema of a report's table on disk."""
    return build_schema(report_columns(report, metrics))


def parse_report_page(
    report: Report,
    metrics: tuple[Metric, ...],
    rows: list[Any],
    *,
    unknown_fields: set[str],
    asked: Iterable[str] = (),
    owner: str = "",
    day: date | None = None,
) -> pl.DataFrame:
    """One page of report rows as a frame of keys, attributes, metrics and `extra`.

    A value that does not fit is null, and what came is in `extra`. Rows that cannot be told apart, belong
    elsewhere or have no spend to be trusted say so in a further column, `row_checks.FAULT`, which other pages
    lack.

    Args:
        report: which.
        metrics: those chosen; the columns are of those the report is served.
        rows: as the API sent them.
        unknown_fields: the names of fields no column is declared for are added to it.
        asked: the API's names of the metrics asked for, which each row must have.
        owner: the account asked about.
        day: the day of rows that cannot tell it, where the question is of one day.
    """
    columns, expected = response_columns(report, metrics), frozenset(asked)
    if all(is_expected_row(report, row, expected, owner) for row in rows):
        try:
            page = _parse_page_vectorized(report, metrics, columns, rows, unknown_fields, day)
        except ValueFormatError:
            page = None
        if page is not None and _is_valid_page(report, metrics, page, owner):
            return page
    page, unknown = parse_page_row_by_row(
        report, columns, rows, averages=average_names(metrics), asked=expected, owner=owner, day=day
    )
    unknown_fields.update(unknown)
    return page


def _parse_page_vectorized(  # noqa: PLR0917 - as `report_page` has them
    report: Report,
    metrics: tuple[Metric, ...],
    columns: tuple[Column, ...],
    rows: list[Row],
    unknown_fields: set[str],
    day: date | None,
) -> pl.DataFrame:
    parts = {part: [row[part] for row in rows] for part in ROW_SECTIONS}
    dimensions = dimension_names(report)
    known = {column.api_name for column in columns} | {"advertiser_id"}
    texts = {
        column.name: text_series(column, parts["dimensions" if column.api_name in dimensions else "metrics"])
        for column in columns
    }
    extra = [_encode_extra(undeclared_fields(row, known), {}, unknown_fields) for row in rows]
    texts[EXTRA.name] = pl.Series(extra, dtype=pl.String)
    return _cast_report_page(report, metrics, pl.DataFrame(texts), day)


def _is_valid_page(report: Report, metrics: tuple[Metric, ...], page: pl.DataFrame, owner: str) -> bool:
    """Whether rows read at once have their keys, are the account's, and count nothing below zero."""
    key, counts = _columns_to_check(report, metrics)
    if any(page.get_column(name).null_count() for name in key):
        return False
    if owner and report.level.name == "advertiser" and (page.get_column("advertiser_id") != owner).any():
        return False
    return not any((page.get_column(name).min() or 0) < 0 for name in counts)  # type: ignore[operator]


@cache
def _columns_to_check(report: Report, metrics: tuple[Metric, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that name a row and are the API's, and those that count."""
    told = {column.name for column in response_columns(report, metrics)}
    counts = tuple(metric.name for metric in served_metrics(report, metrics) if metric.kind == "count")
    return tuple(name for name in report.key if name in told), counts


def parse_report_page_fast(
    report: Report,
    metrics: tuple[Metric, ...],
    asked: Iterable[str],
    rows: Sequence[bytes | msgspec.Raw],
    *,
    owner: str = "",
    day: date | None = None,
) -> tuple[pl.DataFrame, list[Hashable]] | None:
    """The same from the JSON of each row, with the key of each; None where they must be looked at singly.

    Args:
        report: which.
        metrics: those chosen.
        asked: the API's names of those asked for; each row has all of them.
        rows: objects.
        owner: the account asked about.
        day: as for `report_page`.

    Raises:
        ValueFormatError: naming the metric whose value does not fit.
    """
    if report.breakdown and report.breakdown.echoes:
        return None
    columns = response_columns(report, metrics)
    fields = {"dimensions": report.dimensions, "metrics": (*report.level.attributes, *asked)}
    for types in (
        numeric_dtypes(metrics),
        dict[str, pl.DataType](),
    ):  # a count "12.0" has to be looked at as a text
        kinds = {part: {name: types.get(name, pl.String()) for name in names} for part, names in fields.items()}
        if (cells := parse_uniform_rows(rows, kinds)) is not None:
            break
    else:
        return None
    given = set(cells.columns)
    missing = pl.lit(None, pl.String)
    told = cells.select(
        *((pl.col(c.api_name) if c.api_name in given else missing).alias(c.name) for c in columns),
        missing.alias(EXTRA.name),
    )
    page = _cast_report_page(report, metrics, told, day)
    if not _is_valid_page(report, metrics, page, owner):
        return None
    keys = cells.select(pl.concat_str(report.dimensions, separator=KEY_SEPARATOR)).to_series()
    return page, keys.to_list()


@cache
def response_columns(report: Report, metrics: tuple[Metric, ...]) -> tuple[Column, ...]:
    """The columns the rows tell. The account is not echoed unless it is the dimension (dossier 6.5)."""
    columns = [column for column in report_columns(report, metrics) if column.api_name]
    return tuple(c for c in columns if c.api_name != "advertiser_id" or report.level.name == "advertiser")


def numeric_dtypes(metrics: Iterable[Metric]) -> dict[str, pl.DataType]:
    """The types of those read straight from their digits; money that is no average may have too many of them."""
    return {m.api_name: POLARS_TYPES[m.kind] for m in metrics if m.kind != "money" or not m.additive}


@cache
def average_names(metrics: tuple[Metric, ...]) -> frozenset[str]:
    """Those that are rounded quotients, and may be rounded again."""
    return frozenset(metric.name for metric in metrics if not metric.additive)


def _cast_report_page(
    report: Report, metrics: tuple[Metric, ...], texts: pl.DataFrame, day: date | None
) -> pl.DataFrame:
    if "hour" in texts.columns:  # told with the day in one text, which `hour` proves to be a whole hour
        texts = texts.with_columns(pl.col("date").str.slice(0, 10))
    if report.breakdown:
        texts = texts.with_columns(
            pl.when(pl.col(name).is_in(UNKNOWN_SEGMENT_VALUES))
            .then(None)
            .otherwise(pl.col(name))
            .fill_null(UNKNOWN_SEGMENT)
            .alias(name)
            for name in report.breakdown.dimensions
        )
    frame = cast_text_columns(texts, response_columns(report, metrics), average_names(metrics))
    if report.cadence == "lifetime" or report.time_dimension:
        return frame
    return frame.with_columns(date=pl.lit(day, pl.Date))


def build_report_frame(
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
    rows = pl.concat(pages) if pages else parse_report_page(report, metrics, [], unknown_fields=set())
    if report.breakdown:
        rows = merge_unknown_segments(report, metrics, rows)
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

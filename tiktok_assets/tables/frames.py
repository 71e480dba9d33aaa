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

from tiktok_assets.spec import ELEMENT, EXTRA, FETCHED_AT, Column, Entity, Metric, Report, served_metrics
from tiktok_assets.tables.account_calendar import Account, ValueFormatError, is_complete, is_settled
from tiktok_assets.tables.fast_report_parser import FEW_ROWS, parse_few_rows, parse_uniform_rows
from tiktok_assets.tables.report_row_parser import (
    ROW_SECTIONS,
    dimension_names,
    is_expected_row,
    merge_unknown_segments,
    parse_page_row_by_row,
    undeclared_fields,
)
from tiktok_assets.tables.schema import (
    INSTANT,
    average_names,
    entity_schema,
    numeric_dtypes,
    report_schema,
    response_columns,
)
from tiktok_assets.tables.text_columns import cast_text_columns, text_series
from tiktok_assets.tables.value_parser import (
    MALFORMED,
    UNKNOWN_SEGMENT,
    UNKNOWN_SEGMENT_VALUES,
    encode_extra,
    parse_cell,
)

Row = dict[str, Any]

KEY_SEPARATOR = "\0"
"""Joins the dimensions of a row into one key; a page has thousands of rows, and tuples would take more memory."""


def build_entity_frame(
    entity: Entity,
    rows: list[Row],
    fetched_at: datetime,
    *,
    unknown_fields: set[str],
    advertiser_ids: Sequence[str] = (),
) -> pl.DataFrame:
    """Build the frame of one entity's table from the objects of the API.

    Args:
        entity: the entity of the objects.
        rows: the decoded JSON objects, numbers with a fraction as Decimal.
        fetched_at: when they were read, as aware UTC.
        unknown_fields: receives the names of fields without a declared column.
        advertiser_ids: the account each row was requested for; used for rows without an `advertiser_id`.

    Returns:
        One row per object. A value that does not fit its column is null, and the original value is in `extra`.
    """
    if not rows:
        return pl.DataFrame(schema=entity_schema(entity))
    malformed: list[Row] = [{} for _ in rows]
    data: dict[str, list[Any]] = {}
    for column in entity.columns:
        cells = data[column.name] = []
        for row, kept in zip(rows, malformed, strict=True):
            value, fits = parse_cell(column, row.get(column.api_name))
            cells.append(value)
            if not fits:
                kept[column.api_name] = row[column.api_name]
    row_advertiser_ids = data["advertiser_id"]
    for index, advertiser_id in enumerate(advertiser_ids):
        if row_advertiser_ids[index] is None and advertiser_id:
            row_advertiser_ids[index] = advertiser_id
            malformed[index]["advertiser_id"] = rows[index].get("advertiser_id")
    if entity.table == "advertisers":
        data["is_granted"] = [True] * len(rows)
    data[FETCHED_AT.name] = [fetched_at] * len(rows)
    known = {column.api_name for column in entity.columns}
    data[EXTRA.name] = [
        _encode_extra({k: v for k, v in row.items() if k not in known}, kept, unknown_fields)
        for row, kept in zip(rows, malformed, strict=True)
    ]
    return pl.DataFrame(data, schema=entity_schema(entity))


def _encode_extra(fields: Row, malformed: Row, unknown_fields: set[str]) -> str | None:
    unknown_fields.update(name for name in fields if name != MALFORMED)
    return encode_extra(fields, malformed)


def parse_report_page(
    report: Report,
    metrics: tuple[Metric, ...],
    rows: list[Any],
    *,
    unknown_fields: set[str],
    requested_metrics: Iterable[str] = (),
    advertiser_id: str = "",
    day: date | None = None,
) -> pl.DataFrame:
    """Parse one page of report rows into keys, attributes, metrics and `extra`.

    All rows are parsed at once where they are as expected, and otherwise row by row.

    Args:
        report: the report the rows belong to.
        metrics: the chosen metrics; the frame has a column for each that the report serves.
        rows: the decoded JSON rows.
        unknown_fields: receives the names of fields without a declared column.
        requested_metrics: the API's names of the requested metrics, which every row must have.
        advertiser_id: the requested account.
        day: the requested day, for reports whose rows do not contain it.

    Returns:
        One row per report row. A value that does not fit its column is null, and the original value is in `extra`.
        If some rows have no key, belong to another account or have no readable spend, the frame also has the
        column `report_row_parser.FAULT_COLUMN` with the reason.
    """
    columns, requested = response_columns(report, metrics), frozenset(requested_metrics)
    if all(is_expected_row(report, row, requested, advertiser_id) for row in rows):
        try:
            page = _parse_page_vectorized(report, metrics, columns, rows, unknown_fields, day)
        except ValueFormatError:
            page = None
        if page is not None and _is_valid_page(report, metrics, page, advertiser_id):
            return page
    page, unknown = parse_page_row_by_row(
        report,
        columns,
        rows,
        averages=average_names(metrics),
        requested_metrics=requested,
        advertiser_id=advertiser_id,
        day=day,
    )
    unknown_fields.update(unknown)
    return page


def _parse_page_vectorized(  # noqa: PLR0917 - the parameters of `parse_report_page`
    report: Report,
    metrics: tuple[Metric, ...],
    columns: tuple[Column, ...],
    rows: list[Row],
    unknown_fields: set[str],
    day: date | None,
) -> pl.DataFrame:
    sections = {section: [row[section] for row in rows] for section in ROW_SECTIONS}
    dimensions = dimension_names(report)
    known = {column.api_name for column in columns} | {"advertiser_id"}
    texts = {
        column.name: text_series(column, sections["dimensions" if column.api_name in dimensions else "metrics"])
        for column in columns
    }
    extra = [_encode_extra(undeclared_fields(row, known), {}, unknown_fields) for row in rows]
    texts[EXTRA.name] = pl.Series(extra, dtype=pl.String)
    return _cast_report_page(report, metrics, pl.DataFrame(texts), day)


def _is_valid_page(report: Report, metrics: tuple[Metric, ...], page: pl.DataFrame, advertiser_id: str) -> bool:
    """Return whether all rows have their keys, belong to the account, and contain no negative count."""
    key, counts = _columns_to_check(report, metrics)
    if any(page.get_column(name).null_count() for name in key):
        return False
    if (
        advertiser_id
        and report.level.name == "advertiser"
        and (page.get_column("advertiser_id") != advertiser_id).any()
    ):
        return False
    return not any((page.get_column(name).min() or 0) < 0 for name in counts)  # type: ignore[operator]


@cache
def _columns_to_check(report: Report, metrics: tuple[Metric, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the key columns that a response contains, and the columns of counts."""
    in_response = {column.name for column in response_columns(report, metrics)}
    counts = tuple(metric.name for metric in served_metrics(report, metrics) if metric.kind == "count")
    return tuple(name for name in report.key if name in in_response), counts


def parse_report_page_fast(
    report: Report,
    metrics: tuple[Metric, ...],
    requested_metrics: Iterable[str],
    rows: Sequence[bytes | msgspec.Raw],
    *,
    advertiser_id: str = "",
    day: date | None = None,
) -> tuple[pl.DataFrame, list[Hashable]] | None:
    """Parse one page of report rows from their JSON text, without decoding the JSON.

    Args:
        report: the report the rows belong to.
        metrics: the chosen metrics.
        requested_metrics: the API's names of the requested metrics; every row has all of them.
        rows: the JSON text of each row.
        advertiser_id: the requested account.
        day: the requested day, for reports whose rows do not contain it.

    Returns:
        The frame, as `parse_report_page` returns it, and the key of each row; None if the rows are not uniform,
        and have to be decoded and parsed by `parse_report_page`.

    Raises:
        ValueFormatError: with the first metric that has an invalid value.
    """
    if report.breakdown and (report.breakdown.all_columns != report.breakdown.columns):
        return None  # the rows have more dimensions than were requested
    if report.level.list_attributes:
        return None  # a list is no text
    fields = {"dimensions": report.dimensions, "metrics": (*report.level.attributes, *requested_metrics)}
    # The second attempt reads all values as text, because a count such as "12.0" is no integer for Polars.
    for dtypes in (numeric_dtypes(metrics), dict[str, pl.DataType]()) if len(rows) > FEW_ROWS else ():
        schemas = {
            section: {name: dtypes.get(name, pl.String()) for name in names} for section, names in fields.items()
        }
        if (cells := parse_uniform_rows(rows, schemas)) is not None:
            break
    else:
        cells = parse_few_rows(rows, fields) if len(rows) <= FEW_ROWS else None
    if cells is None:
        return None
    page = parse_report_cells(report, metrics, cells, advertiser_id=advertiser_id, day=day)
    if page is None:
        return None
    keys = cells.select(pl.concat_str(report.dimensions, separator=KEY_SEPARATOR)).to_series()
    return page, keys.to_list()


def parse_report_cells(
    report: Report,
    metrics: tuple[Metric, ...],
    cells: pl.DataFrame,
    *,
    advertiser_id: str = "",
    day: date | None = None,
) -> pl.DataFrame | None:
    """Parse report rows from a frame that has the API's names as columns.

    Args:
        report: the report the rows belong to.
        metrics: the chosen metrics.
        cells: the values as text or as numbers; the columns of metrics that were not requested are missing.
        advertiser_id: the requested account.
        day: the requested day, for reports whose rows do not contain it.

    Returns:
        The frame, as `parse_report_page` returns it; None if a row has no key, is of another account or has a
        negative count.

    Raises:
        ValueFormatError: with the first column that has an invalid value.
    """
    present = set(cells.columns)
    missing = pl.lit(None, pl.String)
    texts = cells.select(
        *(
            (pl.col(c.api_name) if c.api_name in present else missing).alias(c.name)
            for c in response_columns(report, metrics)
        ),
        missing.alias(EXTRA.name),
    )
    page = _cast_report_page(report, metrics, texts, day)
    return page if _is_valid_page(report, metrics, page, advertiser_id) else None


def _cast_report_page(
    report: Report, metrics: tuple[Metric, ...], texts: pl.DataFrame, day: date | None
) -> pl.DataFrame:
    if "hour" in texts.columns:  # `date` and `hour` come from one text; the cast of `hour` validates all of it
        texts = texts.with_columns(pl.col("date").str.slice(0, 10))
    if report.breakdown:
        texts = texts.with_columns(
            pl.when(pl.col(name).is_in(UNKNOWN_SEGMENT_VALUES))
            .then(None)
            .otherwise(pl.col(name))
            .fill_null(UNKNOWN_SEGMENT)
            .alias(name)
            for name in report.breakdown.key_columns
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
    """Concatenate the pages of a report into the rows of its table, sorted by key.

    Adds the account, its currency, `fetched_at`, and for daily reports `is_complete` and `is_settled`.

    Raises:
        ValueFormatError: if a row has no key, or belongs to another account.
    """
    schema = report_schema(report, metrics)
    rows = pl.concat(pages) if pages else parse_report_page(report, metrics, [], unknown_fields=set())
    if report.breakdown:
        rows = merge_unknown_segments(report, metrics, rows)
    if report.level.name == "advertiser" and rows.filter(pl.col("advertiser_id") != account.advertiser_id).height:
        raise ValueFormatError(f"the response for account {account.advertiser_id} has a row of another account")
    # Sort before adding the columns that have the same value in every row: fewer columns have to be moved.
    if order := [name for name in report.key if name in rows.columns]:
        rows = rows.sort(order)
    if report.parts and report.breakdown:
        rows = rows.with_columns(pl.lit(report.breakdown.name).alias(ELEMENT.name))
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
    if any(rows.get_column(name).null_count() for name in report.key):
        raise ValueFormatError(f"a row has no {' or no '.join(report.key)}")
    rows = rows.select(schema.names())
    return rows if rows.schema == schema else rows.cast(schema)

"""Build typed frames from the rows of GMV Max reports."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from tiktok_assets.spec import EXTRA, GmvMaxReport
from tiktok_assets.tables.account_calendar import Account, ValueFormatError, is_complete, is_settled
from tiktok_assets.tables.report_row_parser import ROW_SECTIONS, format_value, undeclared_fields
from tiktok_assets.tables.schema import INSTANT, build_schema
from tiktok_assets.tables.value_parser import encode_extra, parse_cell


def gmv_max_row_key(report: GmvMaxReport, row: object) -> tuple[str, ...]:
    """Return the day and the ids of a row.

    Raises:
        ValueFormatError: if it lacks one of them.
    """
    dimensions = row.get("dimensions") if isinstance(row, dict) else None
    names = ("stat_time_day", *report.ids)
    found = [dimensions.get(name) for name in names] if isinstance(dimensions, dict) else []
    values = [value for value in found if isinstance(value, str) and value]
    if len(values) != len(names):
        raise ValueFormatError(f"a row has the dimensions {format_value(dimensions)}")
    return tuple(values)


def parse_gmv_max_page(
    report: GmvMaxReport,
    rows: Iterable[Mapping[str, Any]],
    *,
    store_id: str,
    promotion_type: str,
    unknown_fields: set[str],
) -> pl.DataFrame:
    """Parse a page of rows; a value that does not fit its column is null, and the original is in `extra`.

    Args:
        report: the report the rows belong to.
        rows: the decoded JSON rows.
        store_id: the shop the rows were requested for.
        promotion_type: the type of campaign they were requested for.
        unknown_fields: receives the names of fields without a declared column.

    Raises:
        ValueFormatError: if a row has no day, no id or no readable cost.
    """
    columns = [column for column in report.columns if column.api_name]
    averages = {one.name for one in report.metrics if one.kind == "money" and not one.is_additive}
    known = {column.api_name for column in columns} | {"advertiser_id"}
    records = []
    for row in rows:
        sections = {name: row[name] if isinstance(row.get(name), dict) else {} for name in ROW_SECTIONS}
        cells: dict[str, Any] = {"store_id": store_id, "promotion_type": promotion_type}
        malformed: dict[str, Any] = {}
        for column in columns:
            section = sections["dimensions" if column.name in report.key else "metrics"]
            value, fits = parse_cell(column, section.get(column.api_name), is_rounded=column.name in averages)
            cells[column.name] = value
            if not fits:
                malformed[column.api_name] = section.get(column.api_name)
            if value is None and (column.name in report.key or column.name == "cost"):
                raise ValueFormatError(f"{column.api_name} is {format_value(section.get(column.api_name))}")
        fields = undeclared_fields(dict(row), known)
        unknown_fields.update(fields)
        records.append({**cells, EXTRA.name: encode_extra(fields, malformed)})
    schema = build_schema(report.columns)
    return pl.DataFrame(records, pl.Schema({name: dtype for name, dtype in schema.items() if name not in _ADDED}))


_ADDED = frozenset({"advertiser_id", "fetched_at", "is_complete", "is_settled"})


def build_gmv_max_frame(
    report: GmvMaxReport, account: Account, pages: Iterable[pl.DataFrame], fetched_at: datetime
) -> pl.DataFrame:
    """Concatenate pages into the rows of the table, sorted by key.

    The page metrics_in_gmv_max_campaign_reports gives all amounts in the account's currency. Its examples have
    the metric `currency` without a request for it: a code for posts, "0" for products. A row with a code keeps it.
    """
    schema = build_schema(report.columns)
    empty = pl.DataFrame(schema={name: dtype for name, dtype in schema.items() if name not in _ADDED})
    rows = pl.concat([empty, *pages]).sort(report.key[1:])
    days = rows.get_column("date").unique().to_list()
    complete = [day for day in days if is_complete(day, account, fetched_at)]
    settled = [day for day in days if is_settled(day, account, fetched_at)]
    return rows.with_columns(
        advertiser_id=pl.lit(account.advertiser_id),
        currency=pl.when(pl.col("currency").str.contains(r"^[A-Z]{3}$"))
        .then("currency")
        .otherwise(pl.lit(account.currency)),
        fetched_at=pl.lit(fetched_at, dtype=INSTANT),
        is_complete=pl.col("date").is_in(complete),
        is_settled=pl.col("date").is_in(settled),
    ).select(schema.names())

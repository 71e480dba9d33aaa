"""Validate report rows value by value, and the keys of rows that are about to be written.

A value that does not fit its column becomes null and is kept in `extra`. Only a row whose key cannot be read, that
belongs to another account, or whose spend cannot be read is marked as faulty.
"""

import json
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Any

import polars as pl

from tiktok_assets.spec import EXTRA, METRICS_BY_API_NAME, Column, Metric, Report, served_metrics
from tiktok_assets.tables.schema import POLARS_TYPES
from tiktok_assets.tables.value_parser import (
    MALFORMED,
    UNKNOWN_SEGMENT,
    Cell,
    decode_malformed_values,
    encode_extra,
    parse_cell,
    parse_day_of_hour,
    parse_segment,
)

ROW_SECTIONS = ("dimensions", "metrics")
"""The two objects of a report row."""

FAULT_COLUMN = "row_fault"
"""The column with the reason why a row cannot be stored; null where it can."""

_ID_DIMENSIONS = frozenset({"advertiser_id", "campaign_id", "adgroup_id", "ad_id", "ad_id_v2", "smart_plus_ad_id"})
_MAX_SHOWN_CHARACTERS = 60
_FEW_KEYS = 1000


def dimension_names(report: Report) -> frozenset[str]:
    """Return the API's names of the dimensions of a row: the requested ones, and those the API adds."""
    of_breakdown = (column.api_name for column in report.breakdown.all_columns) if report.breakdown else ()
    return frozenset((*report.dimensions, *of_breakdown))


def is_expected_row(report: Report, row: object, requested_metrics: AbstractSet[str], advertiser_id: str) -> bool:
    """Return whether a row has all requested metrics, and belongs to the requested account and level."""
    if not isinstance(row, dict):
        return False
    dimensions, metrics = row.get("dimensions"), row.get("metrics")
    if not isinstance(dimensions, dict) or not isinstance(metrics, dict):
        return False
    return (
        requested_metrics <= metrics.keys()
        and _find_foreign_row_error(report, dimensions, metrics, advertiser_id) is None
    )


def undeclared_fields(row: dict[str, Any], known: AbstractSet[str]) -> dict[str, Any]:
    """Return the fields of a row that have no declared column.

    Args:
        row: the decoded JSON row.
        known: the API's names of the declared columns.
    """
    sections = {section: row[section] for section in ROW_SECTIONS if isinstance(row.get(section), dict)}
    if len(row) == len(sections) and all(section.keys() <= known for section in sections.values()):
        return {}  # the usual case, made fast because a page has a thousand rows
    inside = {k: v for section in sections.values() for k, v in section.items() if k not in known}
    return inside | {k: v for k, v in row.items() if k not in ROW_SECTIONS}


def parse_page_row_by_row(
    report: Report,
    columns: tuple[Column, ...],
    rows: list[Any],
    *,
    averages: Collection[str],
    requested_metrics: AbstractSet[str],
    advertiser_id: str,
    day: date | None,
) -> tuple[pl.DataFrame, set[str]]:
    """Parse a page of a report value by value.

    Args:
        report: the report the rows belong to.
        columns: the columns the rows contain.
        rows: the decoded JSON rows, of any form.
        averages: the names of money columns that are rounded quotients.
        requested_metrics: the API's names of the requested metrics.
        advertiser_id: the requested account; "" if none was given.
        day: the requested day, if it was a single one; used for rows without a readable day.

    Returns:
        The frame, and the names of the fields without a declared column.
    """
    known = {column.api_name for column in columns} | {"advertiser_id"}
    unknown: set[str] = set()
    data: dict[str, list[Any]] = {column.name: [] for column in columns}
    extras: list[str | None] = []
    faults: list[str | None] = []
    for row in rows:
        cells, malformed, fault = _parse_row(report, columns, row, averages, requested_metrics, advertiser_id, day)
        for name, cell in cells.items():
            data[name].append(cell)
        fields = undeclared_fields(row, known) if isinstance(row, dict) else {}
        unknown.update(name for name in fields if name != MALFORMED)
        extras.append(encode_extra(fields, malformed))
        faults.append(fault)
    schema = {column.name: POLARS_TYPES[column.kind] for column in columns} | {EXTRA.name: pl.String()}
    page = pl.DataFrame({**data, EXTRA.name: extras}, schema=schema)
    if report.cadence == "daily" and not report.time_dimension:
        page = page.with_columns(date=pl.lit(day, pl.Date))
    if any(faults):
        page = page.with_columns(pl.Series(FAULT_COLUMN, faults, dtype=pl.String))
    return page, unknown


def _parse_row(  # noqa: PLR0917 - the parameters of `parse_page_row_by_row`
    report: Report,
    columns: tuple[Column, ...],
    row: object,
    averages: Collection[str],
    requested_metrics: AbstractSet[str],
    advertiser_id: str,
    day: date | None,
) -> tuple[dict[str, Any], dict[str, Any], str | None]:
    """Return the cells of a row, its malformed values by the API's names, and why it cannot be stored."""
    whole = row if isinstance(row, dict) else {}
    sections = {name: whole[name] if isinstance(whole.get(name), dict) else {} for name in ROW_SECTIONS}
    malformed = {name: whole[name] for name in ROW_SECTIONS if name in whole and not isinstance(whole[name], dict)}
    dimensions = dimension_names(report)
    segment_columns = report.breakdown.key_columns if report.breakdown else ()
    cells: dict[str, Any] = {}
    for column in columns:
        name = column.api_name
        section = sections["dimensions" if name in dimensions else "metrics"]
        original = section.get(name)
        value, fits = _parse_report_cell(column, original, segment_columns, column.name in averages)
        if column.name == "date" and value is None and day:
            value, fits = day, False
        elif name == "advertiser_id" and value is None and advertiser_id:
            value, fits = advertiser_id, False
        cells[column.name] = value
        if not fits or (name in requested_metrics and name not in section and section):
            malformed[name] = original
    fault = _find_foreign_row_error(report, sections["dimensions"], sections["metrics"], advertiser_id)
    fault = fault or _find_missing_key_error(report, columns, cells, malformed, sections["dimensions"])
    if (
        fault is None
        and "spend" in requested_metrics
        and ("spend" not in sections["metrics"] or "spend" in malformed)
    ):
        fault = _find_spend_error(cells.get("spend"), malformed, sections["metrics"])
    return cells, malformed, fault


def _parse_report_cell(column: Column, value: object, segment_columns: Collection[str], is_rounded: bool) -> Cell:
    if column.name in segment_columns:
        return parse_segment(value)
    if column.kind == "day" and column.api_name == "stat_time_hour":
        day = parse_day_of_hour(value)
        return day, day is not None
    return parse_cell(column, value, is_rounded=is_rounded)


def _find_foreign_row_error(
    report: Report, dimensions: dict[str, Any], metrics: dict[str, Any], advertiser_id: str
) -> str | None:
    """Return why a row is not one of the requested rows: another account's, or grouped by another id.

    An id of another level among the dimensions means that rows are grouped differently than the table's key
    (API notes 6.2), so that their sum would count spend twice. A row without an account (API notes 6.5) belongs to
    the requested one.
    """
    others = _ID_DIMENSIONS - {report.level.dimension}
    if not others.isdisjoint(dimensions):
        return f"a row has the dimension {min(others & dimensions.keys())}, which was not requested"
    row_advertiser_id = metrics.get("advertiser_id")
    if report.level.name == "advertiser":
        row_advertiser_id = dimensions.get("advertiser_id", row_advertiser_id)
    if (
        advertiser_id
        and isinstance(row_advertiser_id, str | int)
        and row_advertiser_id != ""
        and str(row_advertiser_id) != advertiser_id
    ):
        return f"the response for account {advertiser_id} has a row of account {format_value(row_advertiser_id)}"
    return None


def _find_missing_key_error(
    report: Report,
    columns: tuple[Column, ...],
    cells: dict[str, Any],
    malformed: dict[str, Any],
    dimensions: dict[str, Any],
) -> str | None:
    for column in columns:
        if column.name in report.key and cells[column.name] is None:
            name = column.api_name
            original = malformed.get(name, dimensions.get(name))
            return (
                f"a row has no {name}"
                if original is None
                else f"{name} is {format_value(original)}, which is not a valid {column.kind}"
            )
    return None


def _find_spend_error(spend: object, malformed: dict[str, Any], metrics: dict[str, Any]) -> str | None:
    if spend is not None:
        return None  # only its fifth decimal was rounded
    if "spend" not in metrics:
        return (
            f"metrics is {format_value(malformed['metrics'])}, which is not an object"
            if "metrics" in malformed
            else "a row has no spend, although it was requested"
        )
    return f"spend is {format_value(metrics['spend'])}, which is not a valid amount"


def format_value(value: object) -> str:
    """Format an original value for a message: at most 60 characters, control characters escaped."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]}…"


def split_faulty_rows(pages: list[pl.DataFrame]) -> tuple[list[pl.DataFrame], list[tuple[date | None, str]]]:
    """Remove the faulty rows of pages.

    Returns:
        The pages without their faulty rows, and for each of those rows its day, if readable, and its fault.
    """
    valid, faults = list[pl.DataFrame](), list[tuple[date | None, str]]()
    for page in pages:
        if FAULT_COLUMN not in page.columns:
            valid.append(page)
            continue
        faulty = page.filter(pl.col(FAULT_COLUMN).is_not_null())
        days = faulty.get_column("date") if "date" in page.columns else [None] * faulty.height
        faults += zip(days, faulty.get_column(FAULT_COLUMN), strict=True)
        valid.append(page.filter(pl.col(FAULT_COLUMN).is_null()).drop(FAULT_COLUMN))
    return valid, faults


def count_malformed_values(frame: pl.DataFrame) -> int:
    """Count the values of a table that did not fit their column, from its column `extra`."""
    extra = frame.get_column(EXTRA.name)
    if extra.null_count() == len(extra):
        return 0
    extra = extra.drop_nulls()
    return sum(
        len(decode_malformed_values(text)) for text in extra.filter(extra.str.contains(MALFORMED, literal=True))
    )


def merge_unknown_segments(report: Report, metrics: tuple[Metric, ...], rows: pl.DataFrame) -> pl.DataFrame:
    """Merge the rows of unknown audience segments that have the same key, so that the segments still add up.

    Additive metrics are summed. Rates and averages are recomputed from the sums where their quotient is known, and
    are null elsewhere.
    """
    segment_columns = report.breakdown.key_columns if report.breakdown else ()
    key = [name for name in report.key if name in rows.columns]
    is_merged = (
        rows.select(key).is_duplicated()
        & rows.select(pl.any_horizontal(pl.col(segment_columns) == UNKNOWN_SEGMENT)).to_series()
    )
    if not is_merged.any():
        return rows
    served = served_metrics(report, metrics)
    sums = [
        pl.when(pl.col(m.name).count() > 0).then(pl.col(m.name).sum()).cast(POLARS_TYPES[m.kind]).alias(m.name)
        for m in served
        if m.is_additive
    ]
    others = [name for name in rows.columns if name not in key and name not in {m.name for m in served}]
    firsts = [pl.col(name).drop_nulls().first() for name in others]
    merged = rows.filter(is_merged).group_by(key, maintain_order=True).agg(*firsts, *sums)
    merged = merged.with_columns(_recompute_average(m, merged).alias(m.name) for m in served if not m.is_additive)
    return pl.concat([rows.filter(~is_merged), merged.select(rows.columns)])


def _recompute_average(metric: Metric, sums: pl.DataFrame) -> pl.Expr:
    dtype, quotient = POLARS_TYPES[metric.kind], metric.quotient
    names = (
        [METRICS_BY_API_NAME[name].name for name in (quotient.numerator, quotient.denominator)] if quotient else []
    )
    if not quotient or any(name not in sums.columns for name in names):
        return pl.lit(None, dtype)
    numerator, denominator = (pl.col(name).cast(pl.Float64) for name in names)
    return pl.when(denominator > 0).then(numerator * quotient.factor / denominator).cast(dtype)


def find_key_error(frame: pl.DataFrame, key: Sequence[str], advertiser_id: str | None = None) -> str | None:
    """Return why rows must not be written, as one clause, or None if they can be.

    Rejected are rows without a key, two rows with the same key, and rows of another account. Negative spend is
    accepted as TikTok returns it, since it could be a credit and rejecting it would lose the day; a check reports
    it.

    Args:
        frame: the rows.
        key: the key columns.
        advertiser_id: the requested account; None if several were requested.
    """
    if advertiser_id and (foreign := frame.filter(pl.col("advertiser_id").ne_missing(advertiser_id)).height):
        return f"{foreign} rows belong to another account"
    keys = frame.select(key)
    for column in key:
        if missing := keys.get_column(column).null_count():
            return f"{missing} rows have no {column}"
    if keys.height <= _FEW_KEYS:  # so few cost less in Python
        rows = keys.rows()
        if len(set(rows)) == len(rows):
            return None
    if (is_duplicate := keys.is_duplicated()).any():
        duplicates = keys.filter(is_duplicate)
        first = ", ".join(str(value) for value in duplicates.row(0))
        return f"{duplicates.height} rows have duplicate keys, the first is {first}"
    return None

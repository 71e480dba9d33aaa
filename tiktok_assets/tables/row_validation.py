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

from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.metric_catalogue import Metric
from tiktok_assets.spec.metrics import METRICS_BY_API_NAME
from tiktok_assets.spec.reports import EXTRA, Report, served_metrics
from tiktok_assets.tables.cells import (
    MALFORMED,
    UNKNOWN_SEGMENT,
    Cell,
    decode_malformed_values,
    encode_extra,
    parse_cell,
    parse_day_of_hour,
    parse_segment,
)
from tiktok_assets.tables.text_columns import POLARS_TYPES

ROW_SECTIONS = ("dimensions", "metrics")

FAULT_COLUMN = "row_fault"
"""The column that says why a row cannot be stored; null where it can."""

_ID_DIMENSIONS = frozenset({"advertiser_id", "campaign_id", "adgroup_id", "ad_id", "ad_id_v2"})
_MAX_SHOWN_CHARACTERS = 60


def dimension_names(report: Report) -> frozenset[str]:
    """The API's names of what stands among a row's dimensions: those asked for, and those that come unasked."""
    echoed = (name for name, _ in report.breakdown.echoes) if report.breakdown else ()
    return frozenset((*report.dimensions, *echoed))


def is_expected_row(report: Report, row: object, asked: AbstractSet[str], owner: str) -> bool:
    """Whether a row has all it should, and nothing that says it belongs elsewhere."""
    if not isinstance(row, dict):
        return False
    dimensions, metrics = row.get("dimensions"), row.get("metrics")
    if not isinstance(dimensions, dict) or not isinstance(metrics, dict):
        return False
    return asked <= metrics.keys() and _find_foreign_row_error(report, dimensions, metrics, owner) is None


def undeclared_fields(row: dict[str, Any], known: AbstractSet[str]) -> dict[str, Any]:
    """The fields of a row that no column is declared for."""
    parts = {part: row[part] for part in ROW_SECTIONS if isinstance(row.get(part), dict)}
    if len(row) == len(parts) and all(part.keys() <= known for part in parts.values()):
        return {}  # as good as always: a thousand rows a page come through here
    inside = {k: v for part in parts.values() for k, v in part.items() if k not in known}
    return inside | {k: v for k, v in row.items() if k not in ROW_SECTIONS}


def parse_page_row_by_row(
    report: Report,
    columns: tuple[Column, ...],
    rows: list[Any],
    *,
    averages: Collection[str],
    asked: AbstractSet[str],
    owner: str,
    day: date | None,
) -> tuple[pl.DataFrame, set[str]]:
    """A page of a report value by value, and the names of the fields no column is declared for.

    Args:
        report: which.
        columns: those the rows tell.
        rows: as the API sent them, whatever they are.
        averages: the names of money columns that are rounded quotients.
        asked: the API's names of the metrics asked for.
        owner: the account asked about; "" where nobody said.
        day: the day asked about, if it is one; rows without a readable one are of it.
    """
    known = {column.api_name for column in columns} | {"advertiser_id"}
    unknown: set[str] = set()
    data: dict[str, list[Any]] = {column.name: [] for column in columns}
    extras: list[str | None] = []
    faults: list[str | None] = []
    for row in rows:
        cells, kept, fault = _parse_row(report, columns, row, averages, asked, owner, day)
        for name, cell in cells.items():
            data[name].append(cell)
        fields = undeclared_fields(row, known) if isinstance(row, dict) else {}
        unknown.update(name for name in fields if name != MALFORMED)
        extras.append(encode_extra(fields, kept))
        faults.append(fault)
    schema = {column.name: POLARS_TYPES[column.kind] for column in columns} | {EXTRA.name: pl.String()}
    page = pl.DataFrame({**data, EXTRA.name: extras}, schema=schema)
    if report.cadence == "daily" and not report.time_dimension:
        page = page.with_columns(date=pl.lit(day, pl.Date))
    if any(faults):
        page = page.with_columns(pl.Series(FAULT_COLUMN, faults, dtype=pl.String))
    return page, unknown


def _parse_row(  # noqa: PLR0917 - as `checked_page` got them
    report: Report,
    columns: tuple[Column, ...],
    row: object,
    averages: Collection[str],
    asked: AbstractSet[str],
    owner: str,
    day: date | None,
) -> tuple[dict[str, Any], dict[str, Any], str | None]:
    """The cells of a row, what of it did not fit, and why it cannot be stored."""
    whole = row if isinstance(row, dict) else {}
    parts = {part: whole[part] if isinstance(whole.get(part), dict) else {} for part in ROW_SECTIONS}
    kept = {part: whole[part] for part in ROW_SECTIONS if part in whole and not isinstance(whole[part], dict)}
    dimensions, split = dimension_names(report), report.breakdown.dimensions if report.breakdown else ()
    cells: dict[str, Any] = {}
    for column in columns:
        name = column.api_name
        part = parts["dimensions" if name in dimensions else "metrics"]
        sent = part.get(name)
        value, fits = _parse_report_cell(column, sent, split, column.name in averages)
        if column.name == "date" and value is None and day:
            value, fits = day, False
        elif name == "advertiser_id" and value is None and owner:
            value, fits = owner, False
        cells[column.name] = value
        if not fits or (name in asked and name not in part and part):
            kept[name] = sent
    fault = _find_foreign_row_error(report, parts["dimensions"], parts["metrics"], owner)
    fault = fault or _find_missing_key_error(report, columns, cells, kept, parts["dimensions"])
    if fault is None and "spend" in asked and ("spend" not in parts["metrics"] or "spend" in kept):
        fault = _find_spend_error(cells.get("spend"), kept, parts["metrics"])
    return cells, kept, fault


def _parse_report_cell(column: Column, sent: object, split: Collection[str], is_rounded: bool) -> Cell:
    if column.name in split:
        return parse_segment(sent)
    if column.kind == "day" and column.api_name == "stat_time_hour":
        found = parse_day_of_hour(sent)
        return found, found is not None
    return parse_cell(column, sent, is_rounded=is_rounded)


def _find_foreign_row_error(
    report: Report, dimensions: dict[str, Any], metrics: dict[str, Any], owner: str
) -> str | None:
    """Why a row is not one of those asked for: another account's, or cut by an id nobody asked for.

    A parent's id among the dimensions means rows cut otherwise than the table says (dossier 6.2), and sums that
    count twice; an account that is not echoed (dossier 6.5) is ours.
    """
    others = _ID_DIMENSIONS - {report.level.dimension}
    if not others.isdisjoint(dimensions):
        return f"{min(others & dimensions.keys())} came as a dimension, and was not asked for as one"
    said = metrics.get("advertiser_id")
    if report.level.name == "advertiser":
        said = dimensions.get("advertiser_id", said)
    if owner and isinstance(said, str | int) and said != "" and str(said) != owner:
        return f"a row of account {format_value(said)} came with those of {owner}"
    return None


def _find_missing_key_error(
    report: Report,
    columns: tuple[Column, ...],
    cells: dict[str, Any],
    kept: dict[str, Any],
    dimensions: dict[str, Any],
) -> str | None:
    for column in columns:
        if column.name in report.key and cells[column.name] is None:
            name = column.api_name
            came = kept.get(name, dimensions.get(name))
            return (
                f"a row has no {name}"
                if came is None
                else f"{name} is {format_value(came)}, which is no {column.kind}"
            )
    return None


def _find_spend_error(spend: object, kept: dict[str, Any], metrics: dict[str, Any]) -> str | None:
    if spend is not None:
        return None  # a fifth digit was rounded
    if "spend" not in metrics:
        return (
            f"metrics is {format_value(kept['metrics'])}"
            if "metrics" in kept
            else "spend was asked for and did not come"
        )
    return f"spend is {format_value(metrics['spend'])}, which is no money"


def format_value(value: object) -> str:
    """What came, as it may stand in a message: short, and nothing of it a control character."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]}…"


def split_faulty_rows(pages: list[pl.DataFrame]) -> tuple[list[pl.DataFrame], list[tuple[date | None, str]]]:
    """Pages without their faulty rows, and of each of those its day, where it says one, and what is wrong."""
    sound, faults = list[pl.DataFrame](), list[tuple[date | None, str]]()
    for page in pages:
        if FAULT_COLUMN not in page.columns:
            sound.append(page)
            continue
        faulty = page.filter(pl.col(FAULT_COLUMN).is_not_null())
        days = faulty.get_column("date") if "date" in page.columns else [None] * faulty.height
        faults += zip(days, faulty.get_column(FAULT_COLUMN), strict=True)
        sound.append(page.filter(pl.col(FAULT_COLUMN).is_null()).drop(FAULT_COLUMN))
    return sound, faults


def count_malformed_values(frame: pl.DataFrame) -> int:
    """How many values of a table did not fit their column."""
    extra = frame.get_column(EXTRA.name).drop_nulls()
    return sum(
        len(decode_malformed_values(text)) for text in extra.filter(extra.str.contains(MALFORMED, literal=True))
    )


def merge_unknown_segments(report: Report, metrics: tuple[Metric, ...], rows: pl.DataFrame) -> pl.DataFrame:
    """The parts of an audience that TikTok does not know, one row for each key, so that the parts still add up.

    Additive metrics are added up; rates and averages follow from the sums where that is known, and are null
    where it is not.
    """
    split = report.breakdown.dimensions if report.breakdown else ()
    key = [name for name in report.key if name in rows.columns]
    shared = (
        rows.select(key).is_duplicated()
        & rows.select(pl.any_horizontal(pl.col(split) == UNKNOWN_SEGMENT)).to_series()
    )
    if not shared.any():
        return rows
    served = served_metrics(report, metrics)
    sums = [
        pl.when(pl.col(m.name).count() > 0).then(pl.col(m.name).sum()).cast(POLARS_TYPES[m.kind]).alias(m.name)
        for m in served
        if m.additive
    ]
    others = [name for name in rows.columns if name not in key and name not in {m.name for m in served}]
    firsts = [pl.col(name).drop_nulls().first() for name in others]
    added = rows.filter(shared).group_by(key, maintain_order=True).agg(*firsts, *sums)
    added = added.with_columns(_recompute_average(m, added).alias(m.name) for m in served if not m.additive)
    return pl.concat([rows.filter(~shared), added.select(rows.columns)])


def _recompute_average(metric: Metric, sums: pl.DataFrame) -> pl.Expr:
    kind, quotient = POLARS_TYPES[metric.kind], metric.quotient
    names = [METRICS_BY_API_NAME[name].name for name in (quotient.top, quotient.bottom)] if quotient else []
    if not quotient or any(name not in sums.columns for name in names):
        return pl.lit(None, kind)
    top, bottom = (pl.col(name).cast(pl.Float64) for name in names)
    return pl.when(bottom > 0).then(top * quotient.times / bottom).cast(kind)


def find_key_error(frame: pl.DataFrame, key: Sequence[str], advertiser_id: str | None = None) -> str | None:
    """One clause saying why these rows must not be written, or None.

    Refused are rows without a key, two rows of one key and rows of another account. Negative spend is written as
    TikTok says it, since a credit is thinkable and a refusal would hide the day; a check tells of it.

    Args:
        frame: the rows.
        key: the columns that name a row.
        advertiser_id: the account that was asked for; None where several were.
    """
    if advertiser_id and (strangers := frame.filter(pl.col("advertiser_id").ne_missing(advertiser_id)).height):
        return f"{strangers} rows are of another account"
    names = frame.select(key)
    for column in key:
        if nameless := names.get_column(column).null_count():
            return f"{nameless} rows have no {column}"
    if (twice := names.is_duplicated()).any():
        shared = names.filter(twice)
        return (
            f"{shared.height} rows share their key, the first {', '.join(str(value) for value in shared.row(0))}"
        )
    return None

"""Rows of a report looked at value by value, where not all of them are as they should be.

A value that does not fit costs itself: the cell is null and what came is kept in `extra`. Only a row whose key
cannot be read, which belongs to another account, or whose spend cannot be trusted is marked as faulty.
"""

import json
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Any

import polars as pl

from tiktok_assets.column_types import POLARS_TYPES
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.metrics import METRICS_BY_API_NAME, Metric
from tiktok_assets.spec.reports import EXTRA, Report, served_metrics
from tiktok_assets.values import MALFORMED, UNKNOWN, Cell, cell_of, day_of_hour, extra_of, malformed_of, part_of

PARTS = ("dimensions", "metrics")

FAULT = "row_fault"
"""The column that says why a row cannot be stored; null where it can."""

_IDS = frozenset({"advertiser_id", "campaign_id", "adgroup_id", "ad_id", "ad_id_v2"})
_MOST_SHOWN = 60


def dimensions_of(report: Report) -> frozenset[str]:
    """The API's names of what stands among a row's dimensions: those asked for, and those that come unasked."""
    echoed = (name for name, _ in report.breakdown.echoes) if report.breakdown else ()
    return frozenset((*report.dimensions, *echoed))


def is_plain(report: Report, row: object, asked: AbstractSet[str], owner: str) -> bool:
    """Whether a row has all it should, and nothing that says it belongs elsewhere."""
    if not isinstance(row, dict):
        return False
    dimensions, metrics = row.get("dimensions"), row.get("metrics")
    if not isinstance(dimensions, dict) or not isinstance(metrics, dict):
        return False
    return asked <= metrics.keys() and _stray(report, dimensions, metrics, owner) is None


def beside(row: dict[str, Any], known: AbstractSet[str]) -> dict[str, Any]:
    """The fields of a row that no column is declared for."""
    parts = {part: row[part] for part in PARTS if isinstance(row.get(part), dict)}
    if len(row) == len(parts) and all(part.keys() <= known for part in parts.values()):
        return {}  # as good as always: a thousand rows a page come through here
    inside = {k: v for part in parts.values() for k, v in part.items() if k not in known}
    return inside | {k: v for k, v in row.items() if k not in PARTS}


def checked_page(
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
        cells, kept, fault = _checked(report, columns, row, averages, asked, owner, day)
        for name, cell in cells.items():
            data[name].append(cell)
        fields = beside(row, known) if isinstance(row, dict) else {}
        unknown.update(name for name in fields if name != MALFORMED)
        extras.append(extra_of(fields, kept))
        faults.append(fault)
    schema = {column.name: POLARS_TYPES[column.kind] for column in columns} | {EXTRA.name: pl.String()}
    page = pl.DataFrame({**data, EXTRA.name: extras}, schema=schema)
    if report.cadence == "daily" and not report.time_dimension:
        page = page.with_columns(date=pl.lit(day, pl.Date))
    if any(faults):
        page = page.with_columns(pl.Series(FAULT, faults, dtype=pl.String))
    return page, unknown


def _checked(  # noqa: PLR0917 - as `checked_page` got them
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
    parts = {part: whole[part] if isinstance(whole.get(part), dict) else {} for part in PARTS}
    kept = {part: whole[part] for part in PARTS if part in whole and not isinstance(whole[part], dict)}
    dimensions, split = dimensions_of(report), report.breakdown.dimensions if report.breakdown else ()
    cells: dict[str, Any] = {}
    for column in columns:
        name = column.api_name
        part = parts["dimensions" if name in dimensions else "metrics"]
        sent = part.get(name)
        value, fits = _cell(column, sent, split, column.name in averages)
        if column.name == "date" and value is None and day:
            value, fits = day, False
        elif name == "advertiser_id" and value is None and owner:
            value, fits = owner, False
        cells[column.name] = value
        if not fits or (name in asked and name not in part and part):
            kept[name] = sent
    fault = _stray(report, parts["dimensions"], parts["metrics"], owner)
    fault = fault or _nameless(report, columns, cells, kept, parts["dimensions"])
    if fault is None and "spend" in asked and ("spend" not in parts["metrics"] or "spend" in kept):
        fault = _untrusted(cells.get("spend"), kept, parts["metrics"])
    return cells, kept, fault


def _cell(column: Column, sent: object, split: Collection[str], is_rounded: bool) -> Cell:
    if column.name in split:
        return part_of(sent)
    if column.kind == "day" and column.api_name == "stat_time_hour":
        found = day_of_hour(sent)
        return found, found is not None
    return cell_of(column, sent, is_rounded=is_rounded)


def _stray(report: Report, dimensions: dict[str, Any], metrics: dict[str, Any], owner: str) -> str | None:
    """Why a row is not one of those asked for: another account's, or cut by an id nobody asked for.

    A parent's id among the dimensions means rows cut otherwise than the table says (dossier 6.2), and sums that
    count twice; an account that is not echoed (dossier 6.5) is ours.
    """
    others = _IDS - {report.level.dimension}
    if not others.isdisjoint(dimensions):
        return f"{min(others & dimensions.keys())} came as a dimension, and was not asked for as one"
    said = metrics.get("advertiser_id")
    if report.level.name == "advertiser":
        said = dimensions.get("advertiser_id", said)
    if owner and isinstance(said, str | int) and said != "" and str(said) != owner:
        return f"a row of account {shown(said)} came with those of {owner}"
    return None


def _nameless(
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
                f"a row has no {name}" if came is None else f"{name} is {shown(came)}, which is no {column.kind}"
            )
    return None


def _untrusted(spend: object, kept: dict[str, Any], metrics: dict[str, Any]) -> str | None:
    if spend is not None:
        return None  # a fifth digit was rounded
    if "spend" not in metrics:
        return (
            f"metrics is {shown(kept['metrics'])}" if "metrics" in kept else "spend was asked for and did not come"
        )
    return f"spend is {shown(metrics['spend'])}, which is no money"


def shown(value: object) -> str:
    """What came, as it may stand in a message: short, and nothing of it a control character."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def without_faulty(pages: list[pl.DataFrame]) -> tuple[list[pl.DataFrame], list[tuple[date | None, str]]]:
    """Pages without their faulty rows, and of each of those its day, where it says one, and what is wrong."""
    sound, faults = list[pl.DataFrame](), list[tuple[date | None, str]]()
    for page in pages:
        if FAULT not in page.columns:
            sound.append(page)
            continue
        faulty = page.filter(pl.col(FAULT).is_not_null())
        days = faulty.get_column("date") if "date" in page.columns else [None] * faulty.height
        faults += zip(days, faulty.get_column(FAULT), strict=True)
        sound.append(page.filter(pl.col(FAULT).is_null()).drop(FAULT))
    return sound, faults


def malformed_values(frame: pl.DataFrame) -> int:
    """How many values of a table did not fit their column."""
    extra = frame.get_column(EXTRA.name).drop_nulls()
    return sum(len(malformed_of(text)) for text in extra.filter(extra.str.contains(MALFORMED, literal=True)))


def with_parts_merged(report: Report, metrics: tuple[Metric, ...], rows: pl.DataFrame) -> pl.DataFrame:
    """The parts of an audience that TikTok does not know, one row for each key, so that the parts still add up.

    Additive metrics are added up; rates and averages follow from the sums where that is known, and are null
    where it is not.
    """
    split = report.breakdown.dimensions if report.breakdown else ()
    key = [name for name in report.key if name in rows.columns]
    shared = (
        rows.select(key).is_duplicated() & rows.select(pl.any_horizontal(pl.col(split) == UNKNOWN)).to_series()
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
    added = added.with_columns(_recomputed(m, added).alias(m.name) for m in served if not m.additive)
    return pl.concat([rows.filter(~shared), added.select(rows.columns)])


def _recomputed(metric: Metric, sums: pl.DataFrame) -> pl.Expr:
    kind, quotient = POLARS_TYPES[metric.kind], metric.quotient
    names = [METRICS_BY_API_NAME[name].name for name in (quotient.top, quotient.bottom)] if quotient else []
    if not quotient or any(name not in sums.columns for name in names):
        return pl.lit(None, kind)
    top, bottom = (pl.col(name).cast(pl.Float64) for name in names)
    return pl.when(bottom > 0).then(top * quotient.times / bottom).cast(kind)

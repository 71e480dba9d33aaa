"""The one place where types change: rows of the API become frames with the declared schema.

Money goes from its text (or its exact JSON number) to a decimal, never through a float; ids become text;
"-" is null. What no column is declared for is kept in `extra` and named in the tally. A value that does not fit
its kind is a `ValueFormatError`, which the reader turns into a broken contract: nothing of the answer is kept.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

import msgspec
import polars as pl

from tiktok_assets.days import Account, ValueFormatError, is_complete, is_settled
from tiktok_assets.spec.columns import Column, Kind
from tiktok_assets.spec.entities import Entity
from tiktok_assets.spec.metrics import Metric
from tiktok_assets.spec.reports import EXTRA, FETCHED_AT, Report, report_columns

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
    "instant": INSTANT,
    "epoch": INSTANT,
    "flag": pl.Boolean(),
    "json": pl.String(),
}

Row = dict[str, Any]

_ABSENT = ("-", "")
_TOO_MUCH = Decimal(10**14)
_FOUR_PLACES = Decimal("0.0001")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_PARTS = ("dimensions", "metrics")
_JSON = msgspec.json.Encoder(decimal_format="number", order="deterministic")


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
        column.name: [_converted(column, row.get(column.api_name)) for row in rows] for column in entity.columns
    }
    if entity.table == "advertisers":
        data["is_granted"] = [True] * len(rows)
    data[FETCHED_AT.name] = [fetched_at] * len(rows)
    known = {column.api_name for column in entity.columns}
    data[EXTRA.name] = [_extra({k: v for k, v in row.items() if k not in known}, unknown_fields) for row in rows]
    return pl.DataFrame(data, schema=schema_of(entity_columns(entity)))


def _converted(column: Column, value: Any) -> Any:  # noqa: ANN401 - JSON in, a cell out
    if value is None or (column.kind != "text" and value in _ABSENT):
        return None
    try:
        return _CONVERTERS[column.kind](value)
    except (TypeError, ValueError, ArithmeticError, OSError) as error:  # OSError: an instant out of range
        raise ValueFormatError(f"{column.api_name} is {value!r}, which is no {column.kind}") from error


def identifier(value: Any) -> str:  # noqa: ANN401
    """An id as text: a few fields still send bare integers (dossier 1.5); a float has lost digits, a TypeError."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(type(value).__name__)
    return str(value)


def _plain(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, dict | list):
        raise TypeError(type(value).__name__)
    return str(value)


def _money(value: Any) -> Decimal:  # noqa: ANN401
    if isinstance(value, bool | float):
        raise TypeError(type(value).__name__)
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("not a number")
    amount = Decimal(value)
    kept = amount.quantize(_FOUR_PLACES)
    if amount != kept or abs(kept) >= _TOO_MUCH:
        raise ValueError("more digits than the column keeps")
    return kept


def _number(value: Any) -> float:  # noqa: ANN401
    if isinstance(value, bool):
        raise TypeError("bool")
    number = float(value)
    if not isfinite(number):
        raise ValueError("not finite")
    return number


def _epoch(value: Any) -> datetime:  # noqa: ANN401
    if isinstance(value, bool) or int(value) != Decimal(value):
        raise ValueError("not a whole number of seconds")
    return datetime.fromtimestamp(int(value), UTC)


def _instant(value: Any) -> datetime:  # noqa: ANN401
    return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _flag(value: Any) -> bool:  # noqa: ANN401
    if value not in {True, False}:
        raise ValueError("neither true nor false")
    return bool(value)


def _json(value: Any) -> str:  # noqa: ANN401
    return _JSON.encode(value).decode()


_CONVERTERS: dict[Kind, Callable[[Any], Any]] = {
    "id": identifier,
    "text": _plain,
    "money": _money,
    "rate": _number,
    "ratio": _number,
    "instant": _instant,
    "epoch": _epoch,
    "flag": _flag,
    "json": _json,
}


def _extra(fields: Mapping[str, Any], unknown_fields: set[str]) -> str | None:
    if not fields:
        return None
    unknown_fields.update(fields)
    return _json(fields)


def report_schema(report: Report, metrics: tuple[Metric, ...]) -> pl.Schema:
    """The schema of a report's table on disk."""
    return schema_of(report_columns(report, metrics))


def report_page(
    report: Report, metrics: tuple[Metric, ...], rows: list[Row], *, unknown_fields: set[str]
) -> pl.DataFrame:
    """One page of report rows as a frame of keys, attributes, metrics and `extra`.

    Raises:
        ValueFormatError: naming the metric whose value does not fit.
    """
    if wrong := [part for row in rows for part in _PARTS if not isinstance(row[part], dict)]:
        raise ValueFormatError(f"{wrong[0]} is no object")
    columns = [column for column in report_columns(report, metrics) if column.api_name]
    parts = {part: [row[part] for row in rows] for part in _PARTS}
    dimensions = {report.level.dimension, "stat_time_day"}
    known = {column.api_name for column in columns}
    data = {
        column.name: _texts(column, parts["dimensions" if column.api_name in dimensions else "metrics"])
        for column in columns
        # The account is not echoed unless it is the dimension (dossier 6.5); the caller knows it.
        if column.api_name != "advertiser_id" or report.level.name == "advertiser"
    }
    extra = [_extra(_beside(row, known), unknown_fields) for row in rows]
    data[EXTRA.name] = pl.Series(extra, dtype=pl.String)
    averages = {metric.name for metric in metrics if not metric.additive}
    return _typed(pl.DataFrame(data), [column for column in columns if column.name in data], averages)


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


# Every text that fits can be cast; `\d` would let in the digits of all scripts.
_PATTERNS: dict[str, str] = {
    "money": r"^-?[0-9]{1,14}(\.[0-9]{1,4}0*)?$",
    "average money": r"^-?[0-9]{1,13}(\.[0-9]+)?$",  # a rounded quotient may be rounded again, to four places
    "count": r"^-?[0-9]{1,18}(\.0+)?$",  # an integral "12.0" is a count, "12.5" an error
    "rate": r"^-?[0-9]{1,18}(\.[0-9]+)?$",
    "ratio": r"^-?[0-9]{1,18}(\.[0-9]+)?$",
    "day": r"^(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}( 00:00:00)?$",
}


def _typed(text: pl.DataFrame, columns: list[Column], averages: set[str]) -> pl.DataFrame:
    """Text columns in their types, after every value was seen to fit."""
    text = text.with_columns(
        pl.when(pl.col(c.name).is_in(_ABSENT)).then(None).otherwise(pl.col(c.name)).alias(c.name)
        for c in columns
        if c.kind != "text"
    )
    patterns = {
        c.name: _PATTERNS["average money" if c.kind == "money" and c.name in averages else c.kind]
        for c in columns
        if c.kind in _PATTERNS
    }
    fits = {name: pl.col(name).str.contains(pattern) for name, pattern in patterns.items()}
    for column in columns:
        if column.kind == "day":  # no pattern knows that February has no 30th
            fits[column.name] &= _day(column.name, strict=False).is_not_null()
    misfits = text.select(pl.col(name).filter(~good).drop_nulls().first() for name, good in fits.items())
    for column in columns:
        if column.name in patterns and (value := misfits.get_column(column.name).first()) is not None:
            raise ValueFormatError(f"{column.api_name} is {value!r}, which is no {column.kind}")
    return text.with_columns(_cast(column) for column in columns if column.kind not in {"id", "text"})


def _cast(column: Column) -> pl.Expr:
    text = pl.col(column.name)
    if column.kind == "count":
        return text.str.replace(r"\.0+$", "").cast(pl.Int64)
    if column.kind == "day":
        return _day(column.name, strict=True)
    return text.cast(POLARS_TYPES[column.kind])


def _day(name: str, *, strict: bool) -> pl.Expr:
    return pl.col(name).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=strict)


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
    return rows.select(schema.names()).cast(schema).sort(report.key)

"""Cast text columns to their declared types.

Every value is validated before a column is cast, because Polars casts accept more than the API's formats.
"""

from decimal import Decimal
from functools import cache
from typing import Any

import polars as pl

from tiktok_assets.spec.columns import Column, Kind
from tiktok_assets.tables.account_calendar import ValueFormatError
from tiktok_assets.tables.cells import NULL_MARKERS

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


# Every text that fits can be cast; `\d` would let in the digits of all scripts.
_PATTERNS: dict[str, str] = {
    "money": r"^-?[0-9]{1,14}(\.[0-9]{1,4}0*)?$",
    "average money": r"^-?[0-9]{1,13}(\.[0-9]+)?$",  # a rounded quotient may be rounded again, to four places
    "count": r"^-?[0-9]{1,18}(\.0+)?$",  # an integral "12.0" is a count, "12.5" an error
    "rate": r"^-?[0-9]{1,18}(\.[0-9]+)?$",
    "ratio": r"^-?[0-9]{1,18}(\.[0-9]+)?$",
    "day": r"^(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}( 00:00:00)?$",
    "hour": r"^(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2} ([01][0-9]|2[0-3]):00:00$",
}

_CASTS = {"money": MONEY, "average money": MONEY, "rate": pl.Float64(), "ratio": pl.Float64()}


def text_series(column: Column, parts: list[dict[str, Any]]) -> pl.Series:
    """The values of a column as texts, numbers as they are written.

    Raises:
        ValueFormatError: if one is neither, or an id with a fraction.
    """
    name = column.api_name
    values = [part.get(name) for part in parts]
    if wrong := [value for value in values if not isinstance(value, str | int | Decimal | None)]:
        raise ValueFormatError(f"{name} is {wrong[0]!r}, which is no {column.kind}")
    if any(isinstance(value, bool) or (column.kind == "id" and isinstance(value, Decimal)) for value in values):
        raise ValueFormatError(f"{name} is a flag or a fraction, which is no {column.kind}")
    try:
        return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)
    except ValueError as error:  # Python writes no whole number of more than some thousand digits
        raise ValueFormatError(f"{name} is no {column.kind}") from error


def cast_text_columns(text: pl.DataFrame, columns: tuple[Column, ...], averages: frozenset[str]) -> pl.DataFrame:
    """Text columns in their types, after every value was seen to fit.

    Args:
        text: a frame of columns; those that are no text, and others beside those named, are left as they are.
        columns: what each shall be.
        averages: the names of money columns that are rounded quotients, and may be rounded again.

    Raises:
        ValueFormatError: naming the first column with a value that does not fit, and the value.
    """
    types = text.schema
    columns = tuple(column for column in columns if types[column.name] == pl.String)
    plain = _cast_number_columns(text, columns, averages)
    others = tuple(column for column in columns if column.name not in plain)
    present, misfits, casts = _cast_expressions(others, averages)
    text = text.with_columns(present)
    wrong = text.select(misfits)
    for column in others:
        if column.name in wrong.columns and (value := wrong.get_column(column.name).first()) is not None:
            raise ValueFormatError(f"{column.api_name} is {value!r}, which is no {column.kind}")
    return text.with_columns(*casts, *plain.values())


def _cast_number_columns(
    text: pl.DataFrame, columns: tuple[Column, ...], averages: frozenset[str]
) -> dict[str, pl.Series]:
    """The columns of each kind of which all values fit as they are, as nearly always.

    All columns of a kind are one long column here: what Polars does once a column costs more than the values of a
    page.
    """
    found: dict[str, pl.Series] = {}
    for pattern, names in _number_columns_by_pattern(columns, averages).items():
        values = pl.concat([text.get_column(name) for name in names])
        if (numbers := _cast_if_all_match(values, pattern)) is not None:
            for index, name in enumerate(names):
                found[name] = numbers.slice(index * text.height, text.height).alias(name)
    return found


def _cast_if_all_match(values: pl.Series, pattern: str) -> pl.Series | None:
    """The values as numbers, those that say nothing null; None where one has to be looked at."""
    if pattern != "count":
        fit = values.str.contains(f"^-?$|{_PATTERNS[pattern]}").all()
        return values.cast(_CASTS[pattern], strict=False) if fit else None
    # A cast takes nothing beside digits but one sign, and tells so sooner than a pattern.
    numbers = values.cast(pl.Int64, strict=False)
    unread = numbers.null_count() - values.null_count()
    absent = len(values.filter(values.is_in(NULL_MARKERS))) if unread else 0
    fit = unread == absent and not values.str.starts_with("+").any()
    return numbers if fit else None


@cache
def _number_columns_by_pattern(columns: tuple[Column, ...], averages: frozenset[str]) -> dict[str, list[str]]:
    """The names of number columns by the pattern their text must have."""
    found: dict[str, list[str]] = {}
    for column in columns:
        if column.kind in {"count", "money", "rate", "ratio"}:
            kind = _pattern_name(column, averages)
            found.setdefault("rate" if kind == "ratio" else kind, []).append(column.name)  # written alike
    return found


@cache
def _cast_expressions(columns: tuple[Column, ...], averages: frozenset[str]) -> tuple[list[pl.Expr], ...]:
    """What makes absent values null, finds the first that does not fit, and casts; the same for every page."""
    present = [
        pl.when(pl.col(c.name).is_in(NULL_MARKERS)).then(None).otherwise(pl.col(c.name)).alias(c.name)
        for c in columns
        if c.kind != "text"
    ]
    fits = {
        c.name: pl.col(c.name).str.contains(_PATTERNS[_pattern_name(c, averages)])
        for c in columns
        if c.kind in _PATTERNS
    }
    for column in columns:
        if column.kind == "day":  # no pattern knows that February has no 30th
            fits[column.name] &= _day_expression(column.name, strict=False).is_not_null()
    misfits = [pl.col(name).filter(~good).drop_nulls().first() for name, good in fits.items()]
    return present, misfits, [_cast_expression(column) for column in columns if column.kind not in {"id", "text"}]


def _pattern_name(column: Column, averages: frozenset[str]) -> str:
    return "average money" if column.kind == "money" and column.name in averages else column.kind


def _cast_expression(column: Column) -> pl.Expr:
    text = pl.col(column.name)
    if column.kind == "count":
        return text.str.replace(r"\.0+$", "").cast(pl.Int64)
    if column.kind == "day":
        return _day_expression(column.name, strict=True)
    if column.kind == "hour":
        return text.str.slice(11, 2).cast(pl.Int64)
    return text.cast(POLARS_TYPES[column.kind])


def _day_expression(name: str, *, strict: bool) -> pl.Expr:
    return pl.col(name).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=strict)

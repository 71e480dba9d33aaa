"""Cast text columns to their declared types.

Every value is validated before a column is cast, because Polars casts accept more than the API's formats.
"""

from decimal import Decimal
from functools import cache
from typing import Any

import polars as pl

from tiktok_assets.spec import Column
from tiktok_assets.tables.account_calendar import ValueFormatError
from tiktok_assets.tables.schema import MONEY, POLARS_TYPES
from tiktok_assets.tables.value_parser import NULL_MARKERS

# Every text that matches can be cast. `\d` would also match the digits of other scripts.
_PATTERNS: dict[str, str] = {
    "money": r"^-?[0-9]{1,14}(\.[0-9]{1,4}0*)?$",
    "average money": r"^-?[0-9]{1,13}(\.[0-9]+)?$",  # a rounded quotient may be rounded again, to four decimals
    "count": r"^-?[0-9]{1,18}(\.0+)?$",  # "12.0" is a count, "12.5" an error
    "rate": r"^-?[0-9]{1,18}(\.[0-9]+)?$",
    "ratio": r"^-?[0-9]{1,18}(\.[0-9]+)?$",
    "day": r"^(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}( 00:00:00)?$",
    "hour": r"^(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2} ([01][0-9]|2[0-3]):00:00$",
}

_CASTS = {"money": MONEY, "average money": MONEY, "rate": pl.Float64(), "ratio": pl.Float64()}


def text_series(column: Column, objects: list[dict[str, Any]]) -> pl.Series:
    """Return the values of a column as texts; numbers keep their digits.

    Args:
        column: the column to read from each object.
        objects: the decoded JSON objects, one per row.

    Raises:
        ValueFormatError: if a value is neither text nor a number, or is an id with a fraction.
    """
    name = column.api_name
    values = [row.get(name) for row in objects]
    if wrong := [value for value in values if not isinstance(value, str | int | Decimal | None)]:
        raise ValueFormatError(f"{name} is {wrong[0]!r}, which is not a valid {column.kind}")
    if any(isinstance(value, bool) or (column.kind == "id" and isinstance(value, Decimal)) for value in values):
        raise ValueFormatError(f"{name} is a boolean or a fraction, which is not a valid {column.kind}")
    try:
        return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)
    except ValueError as error:  # Python refuses to convert an integer of several thousand digits to text
        raise ValueFormatError(f"{name} is not a valid {column.kind}") from error


def cast_text_columns(frame: pl.DataFrame, columns: tuple[Column, ...], averages: frozenset[str]) -> pl.DataFrame:
    """Cast text columns to their declared types, after validating every value.

    Args:
        frame: the columns to cast; columns of another type, and columns that are not listed, stay as they are.
        columns: the columns with their kinds.
        averages: the names of money columns that are rounded quotients, and may be rounded again.

    Raises:
        ValueFormatError: with the first column that has an invalid value, and the value.
    """
    types = frame.schema
    columns = tuple(column for column in columns if types[column.name] == pl.String)
    numbers = _cast_number_columns(frame, columns, averages)
    others = tuple(column for column in columns if column.name not in numbers)
    null_markers, first_invalid, casts = _cast_expressions(others, averages)
    frame = frame.with_columns(null_markers)
    invalid = frame.select(first_invalid)
    for column in others:
        if column.name in invalid.columns and (value := invalid.get_column(column.name).first()) is not None:
            raise ValueFormatError(f"{column.api_name} is {value!r}, which is not a valid {column.kind}")
    return frame.with_columns(*casts, *numbers.values())


def _cast_number_columns(
    frame: pl.DataFrame, columns: tuple[Column, ...], averages: frozenset[str]
) -> dict[str, pl.Series]:
    """Cast the number columns of each kind together, if all their values match the kind's pattern.

    The columns of a kind are concatenated into one series, because the fixed cost of a Polars operation per column
    is higher than the cost of the values of one page.

    Returns:
        The cast columns by name. Columns of a kind with an unexpected value are missing; they are validated one by
        one afterwards.
    """
    cast: dict[str, pl.Series] = {}
    for pattern, names in _number_columns_by_pattern(columns, averages).items():
        values = pl.concat([frame.get_column(name) for name in names])
        if (numbers := _cast_if_all_match(values, pattern)) is not None:
            for index, name in enumerate(names):
                cast[name] = numbers.slice(index * frame.height, frame.height).alias(name)
    return cast


def _cast_if_all_match(values: pl.Series, pattern: str) -> pl.Series | None:
    """Return the values as numbers, with null markers as null; None if a value does not match the pattern."""
    if pattern != "count":
        all_match = values.str.contains(f"^-?$|{_PATTERNS[pattern]}").all()
        return values.cast(_CASTS[pattern], strict=False) if all_match else None
    # A cast to integer accepts only digits and one sign, and is faster than a regular expression.
    numbers = values.cast(pl.Int64, strict=False)
    failed_casts = numbers.null_count() - values.null_count()
    null_markers = len(values.filter(values.is_in(NULL_MARKERS))) if failed_casts else 0
    all_match = failed_casts == null_markers and not values.str.starts_with("+").any()
    return numbers if all_match else None


@cache
def _number_columns_by_pattern(columns: tuple[Column, ...], averages: frozenset[str]) -> dict[str, list[str]]:
    """Group the names of number columns by the pattern their text must match."""
    groups: dict[str, list[str]] = {}
    for column in columns:
        if column.kind in {"count", "money", "rate", "ratio"}:
            pattern = _pattern_name(column, averages)
            groups.setdefault("rate" if pattern == "ratio" else pattern, []).append(column.name)  # same pattern
    return groups


@cache
def _cast_expressions(columns: tuple[Column, ...], averages: frozenset[str]) -> tuple[list[pl.Expr], ...]:
    """Return expressions that null the null markers, find the first invalid value of each column, and cast."""
    null_markers = [
        pl.when(pl.col(c.name).is_in(NULL_MARKERS)).then(None).otherwise(pl.col(c.name)).alias(c.name)
        for c in columns
        if c.kind != "text"
    ]
    is_valid = {
        c.name: pl.col(c.name).str.contains(_PATTERNS[_pattern_name(c, averages)])
        for c in columns
        if c.kind in _PATTERNS
    }
    for column in columns:
        if column.kind == "day":  # the pattern accepts dates that do not exist, such as 30 February
            is_valid[column.name] &= _day_expression(column.name, strict=False).is_not_null()
    first_invalid = [pl.col(name).filter(~valid).drop_nulls().first() for name, valid in is_valid.items()]
    casts = [_cast_expression(column) for column in columns if column.kind not in {"id", "text"}]
    return null_markers, first_invalid, casts


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

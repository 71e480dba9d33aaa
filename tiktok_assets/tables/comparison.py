"""Compare a frame with what another store returns for it."""

from collections.abc import Sequence

import polars as pl
from polars.exceptions import PolarsError


def describe_difference(expected: pl.DataFrame, found: object, key: Sequence[str]) -> str | None:
    """Describe the first difference between a frame and what was stored of it; None if there is none.

    The order of rows and of columns is not compared, nor are types that hold the same values exactly, such as
    `decimal(38, 4)`; a float never counts as exact for a decimal, and an instant never as a day.

    Args:
        expected: the frame that was written.
        found: what was read back.
        key: the columns that identify a row.
    """
    if not isinstance(found, pl.DataFrame):
        return f"it returns a {type(found).__name__}, not a polars.DataFrame"
    missing = [name for name in expected.columns if name not in found.columns]
    if missing:
        return f"the column {missing[0]} is missing"
    for name, dtype in expected.schema.items():
        if (dtype.is_decimal() or dtype == pl.Date) and not _holds(found.schema[name], dtype):
            return (
                f"the column {name} is {_format_type(dtype)}, but was stored as {_format_type(found.schema[name])}"
            )
    if found.height != expected.height:
        return f"{expected.height} rows were written, but {found.height} are stored"
    try:
        converted = found.select(expected.columns).cast(dict(expected.schema.items()))
    except PolarsError as error:
        return f"a column has another type: {error}"
    ours, theirs = expected.sort(key), converted.sort(key)
    changed = [name for name in expected.columns if not ours.get_column(name).equals(theirs.get_column(name))]
    return f"values of the column {changed[0]} differ" if changed else None


def _holds(found: pl.DataType, declared: pl.DataType) -> bool:
    if isinstance(declared, pl.Decimal):
        return isinstance(found, pl.Decimal) and (found.scale or 0) >= (declared.scale or 0)
    return found == declared


def _format_type(dtype: pl.DataType) -> str:
    return f"decimal({dtype.precision}, {dtype.scale})" if isinstance(dtype, pl.Decimal) else str(dtype)

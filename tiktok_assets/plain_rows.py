"""Rows of a report straight from their JSON into columns of text, where every row looks as it should."""

from collections.abc import Mapping, Sequence
from io import BytesIO

import polars as pl
from polars.exceptions import PolarsError


def plain_rows(text: bytes, parts: Mapping[str, Sequence[str]]) -> pl.DataFrame | None:
    """The cells of a list of objects as text, or None where they have to be looked at one by one.

    Polars parses the text without Python's lock and without an object a cell, but drops fields it was not told
    of, and makes text of numbers by way of floats. So rows are taken only if the counts of keys and of quotes
    prove that each has exactly the fields expected, and each field a text: no number, no null, nothing beside.

    Args:
        text: JSON, a list of objects.
        parts: the objects inside each row, with the names of their fields; no name comes twice.

    Returns:
        A frame of text columns, one a field, with a row for each object; None for anything unexpected, and for
        an empty list.
    """
    shape = pl.Schema({part: pl.Struct(dict.fromkeys(names, pl.String)) for part, names in parts.items()})
    try:
        rows = pl.read_json(BytesIO(text), schema=shape)
    except PolarsError:
        return None
    values = rows.height * sum(map(len, parts.values()))
    keys = values + rows.height * len(parts)
    quotes = text.count(b'"')
    if b"\\" in text:
        quotes -= text.count(b'\\"')
    if not rows.height or text.count(b'":') != keys or quotes != 2 * (keys + values):
        return None
    flat = rows.unnest(*parts)
    return None if any(flat.null_count().row(0)) else flat

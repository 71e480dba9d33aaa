"""Parse uniform report rows with Polars' CSV reader instead of a JSON parser.

Report pages hold thousands of rows that are spelled alike: the same fields in the same order, every value a
string. Such rows can be read as a CSV table whose separator is the quotation mark. This is what makes 150,000
rows a second of 30 metrics possible (docs/benchmarks.md); rows of any other form return None and take the
slower path of `tables.frames`.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec
import polars as pl
from polars.exceptions import PolarsError

_QUOTE_OR_BACKSLASH = re.compile(rb'\\(["\\])')
_ROW_END = re.compile(r"\s*\}\s*\}\s*")


def parse_uniform_rows(
    rows: Sequence[bytes | msgspec.Raw], parts: Mapping[str, Mapping[str, pl.DataType]]
) -> pl.DataFrame | None:
    """The cells of many rows, or None where they have to be looked at one by one.

    Objects of texts that name their fields in one order are lines of a table whose separator is the quote: each
    name and each value is a cell. Polars reads such a table in a fraction of the time JSON takes, numbers straight
    from their digits, without Python's lock and without an object a cell. It is taken only if the first row is as
    expected, every name of the others stands where it does there, nothing follows their last value, and there is
    no list: a number, a null, a field too few or too many would move what comes behind it.

    Args:
        rows: JSON, each an object of objects.
        parts: the objects inside each row and their fields, each `pl.String` or the type its digits are read as:
            nothing, "-" and blanks are then null, a blank or a plus before the digits is let pass, an exponent
            behind those of all but whole numbers. No name comes twice.

    Returns:
        A frame with a column for each field and a row for each object; None for anything unexpected, for a text
        that is not of the type wanted, and where there are no rows.
    """
    cells = _csv_schema(rows[0], parts) if rows else None
    if not cells:
        return None
    lines = b"\n".join(rows)
    is_escaped = b"\\" in lines
    if is_escaped:  # what a quote or a backslash hides behind is spelled as other escapes are
        lines = _QUOTE_OR_BACKSLASH.sub(lambda found: b"\\u%04x" % found[1][0], lines)
    fields = {name: kind for part in parts.values() for name, kind in part.items()}
    try:
        table = pl.read_csv(
            lines,
            has_header=False,
            separator='"',
            quote_char=None,
            schema=cells,
            columns=[index for index, name in enumerate(cells) if not name.startswith("before ")],
            null_values={name: "-" for name, kind in fields.items() if kind != pl.String},
            empty_string_is_null=False,
        )
    except PolarsError:
        return None
    ends = table.get_column("end").unique()
    flat = table.select(fields.keys())
    if table.height != len(rows) or not all(end and _ROW_END.fullmatch(end) for end in ends):
        return None
    if _has_list(lines, flat) or _has_non_finite_number(flat):
        return None
    return _unescape_texts(flat) if is_escaped else flat


def _csv_schema(
    first: bytes | msgspec.Raw, parts: Mapping[str, Mapping[str, pl.DataType]]
) -> dict[str, pl.DataType] | None:
    """What stands between the quotes of a row like the first: commas and colons, names, values; in that order."""
    try:
        row = msgspec.json.decode(first, type=dict[str, dict[str, str]])
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if {part: fields.keys() for part, fields in row.items()} != {part: parts[part].keys() for part in parts}:
        return None
    cells: dict[str, pl.DataType] = {}
    for part in row:
        for name, kind in [(part, None), *((name, parts[part][name]) for name in row[part])]:
            cells[f"before {name}"] = pl.String()
            cells[f"name {name}"] = pl.Enum([name])  # of one, so that any other name is an error
            if kind:
                cells[f"before value {name}"] = pl.String()
                cells[name] = kind
    return cells | {"end": pl.String()}


def _has_list(lines: bytes, flat: pl.DataFrame) -> bool:
    """Whether a list begins in these lines, and not only in what a text says."""
    if b"[" not in lines:
        return False
    texts: tuple[str, ...] = flat.select(pl.col(pl.String).str.join()).row(0)
    return lines.count(b"[") != sum(text.count("[") for text in texts)


def _has_non_finite_number(flat: pl.DataFrame) -> bool:
    """Whether "inf" or "nan" was taken for one."""
    finite = flat.select(pl.col(pl.Float64).is_finite().all())
    return not all(is_finite for row in finite.rows() for is_finite in row)


def _unescape_texts(flat: pl.DataFrame) -> pl.DataFrame | None:
    """The same with its texts as they are meant; names repeat, so each is read once."""
    for column in flat.select(pl.col(pl.String)):
        spelled = column.filter(column.str.contains("\\", literal=True)).unique()
        try:
            meant = [msgspec.json.decode(f'"{text}"') for text in spelled]
            flat = flat.with_columns(column.replace(spelled, pl.Series(meant, dtype=pl.String)))
        except (msgspec.DecodeError, UnicodeEncodeError):
            return None
    return flat

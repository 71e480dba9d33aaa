"""Parse uniform report rows with Polars' CSV reader instead of a JSON parser.

A report page holds thousands of rows with the same fields in the same order and a string as every value. The text
of such rows is also a CSV table whose separator is the quotation mark, and Polars' CSV reader parses it in a
fraction of the time of a JSON parser: it converts numbers directly from their digits, without holding Python's
global lock and without creating a Python object per value. This made it possible to decode and store 152,267 rows
per second of 30 metrics on one core (median in docs/benchmarks.md, "Decoding and storing, on one core"); before,
JSON parsing took most of that time. Rows of any other form take the slower path, `frames.parse_report_page`.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec
import polars as pl
from polars.exceptions import PolarsError

_QUOTE_OR_BACKSLASH = re.compile(rb'\\(["\\])')
_ROW_END = re.compile(r"\s*\}\s*\}\s*")


FEW_ROWS = 200
"""Up to so many rows cost less as JSON than the CSV reader's fixed cost of some milliseconds."""


def parse_uniform_rows(
    rows: Sequence[bytes | msgspec.Raw], schemas: Mapping[str, Mapping[str, pl.DataType]]
) -> pl.DataFrame | None:
    """Parse rows that have the same fields in the same order and a string as every value.

    The text between two quotation marks is one CSV cell: a name, a value, or the punctuation between them. The
    result is used only if the first row has the expected fields, every other row has each name in the same
    position, nothing follows the last value of a row, and there is no list. A number, a null, a missing or an
    additional field would shift the cells after it, and therefore fails one of these checks.

    Args:
        rows: the JSON text of each row, an object of objects.
        schemas: the objects inside each row with their fields, each with `pl.String` or the numeric type of its
            values. For a numeric type an empty value, "-" and blanks become null; leading blanks, a leading plus
            sign and, except for integers, an exponent are accepted. Field names are unique over all objects.

    Returns:
        A frame with one column per field and one row per object; None if the rows are not uniform, if a value does
        not have the requested type, or if there are no rows.
    """
    cells = _csv_schema(rows[0], schemas) if rows else None
    if not cells:
        return None
    lines = b"\n".join(rows)
    is_escaped = b"\\" in lines
    if is_escaped:  # an escaped quotation mark would end the cell; as a \u escape it stays inside
        lines = _QUOTE_OR_BACKSLASH.sub(lambda found: b"\\u%04x" % found[1][0], lines)
    fields = {name: dtype for schema in schemas.values() for name, dtype in schema.items()}
    try:
        table = pl.read_csv(
            lines,
            has_header=False,
            separator='"',
            quote_char=None,
            schema=cells,
            columns=[index for index, name in enumerate(cells) if not name.startswith("before ")],
            null_values={name: "-" for name, dtype in fields.items() if dtype != pl.String},
            empty_string_is_null=False,
        )
    except PolarsError:
        return None
    ends = table.get_column("end").unique()
    values = table.select(fields.keys())
    if table.height != len(rows) or not all(end and _ROW_END.fullmatch(end) for end in ends):
        return None
    if _has_list(lines, values) or _has_non_finite_number(values):
        return None
    return _unescape_texts(values) if is_escaped else values


def parse_few_rows(
    rows: Sequence[bytes | msgspec.Raw], fields: Mapping[str, Sequence[str]]
) -> pl.DataFrame | None:
    """Parse rows that have the same fields, and a string as every value, by decoding their JSON.

    Args:
        rows: the JSON text of each row, an object of objects.
        fields: the objects inside each row with the names of their fields, which are unique over all objects.

    Returns:
        A frame with one text column per field; None if a row has other fields or another value, or without rows.
    """
    try:
        decoded = msgspec.json.decode(b"[" + b",".join(rows) + b"]", type=list[dict[str, dict[str, str]]])
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    expected = {section: set(names) for section, names in fields.items()}
    if (
        not decoded
        or len(decoded) != len(rows)
        or any({name: row[name].keys() for name in row} != expected for row in decoded)
    ):
        return None
    texts = {name: [row[section][name] for row in decoded] for section, names in fields.items() for name in names}
    return pl.DataFrame(texts, schema=dict.fromkeys(texts, pl.String))


def _csv_schema(
    first: bytes | msgspec.Raw, schemas: Mapping[str, Mapping[str, pl.DataType]]
) -> dict[str, pl.DataType] | None:
    """Return the CSV cells of a row like the first, in order: punctuation, names and values.

    Returns None if the first row does not have exactly the expected fields, or a value that is not a string.
    """
    try:
        row = msgspec.json.decode(first, type=dict[str, dict[str, str]])
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    expected = {name: schemas[name].keys() for name in schemas}
    if {name: fields.keys() for name, fields in row.items()} != expected:
        return None
    cells: dict[str, pl.DataType] = {}
    for section in row:
        for name, dtype in [(section, None), *((name, schemas[section][name]) for name in row[section])]:
            cells[f"before {name}"] = pl.String()
            cells[f"name {name}"] = pl.Enum([name])  # an enum of one value, so that any other name is an error
            if dtype:
                cells[f"before value {name}"] = pl.String()
                cells[name] = dtype
    return cells | {"end": pl.String()}


def _has_list(lines: bytes, values: pl.DataFrame) -> bool:
    """Return whether the lines contain a bracket outside of text values."""
    if b"[" not in lines:
        return False
    texts: tuple[str, ...] = values.select(pl.col(pl.String).str.join()).row(0)
    return lines.count(b"[") != sum(text.count("[") for text in texts)


def _has_non_finite_number(values: pl.DataFrame) -> bool:
    """Return whether "inf" or "nan" was parsed as a number."""
    finite = values.select(pl.col(pl.Float64).is_finite().all())
    return not all(is_finite for row in finite.rows() for is_finite in row)


def _unescape_texts(values: pl.DataFrame) -> pl.DataFrame | None:
    """Decode the JSON escapes of all text columns, each distinct text once; None if one is invalid."""
    for column in values.select(pl.col(pl.String)):
        escaped = column.filter(column.str.contains("\\", literal=True)).unique()
        try:
            decoded = [msgspec.json.decode(f'"{text}"') for text in escaped]
            values = values.with_columns(column.replace(escaped, pl.Series(decoded, dtype=pl.String)))
        except (msgspec.DecodeError, UnicodeEncodeError):
            return None
    return values

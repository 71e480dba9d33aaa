"""Rows for people and for programs: a table on a terminal, JSON or CSV elsewhere."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from tiktok_assets.spec.currencies import WITHOUT_CENTS

Row = Mapping[str, Any]

WIDE = 1000
"""Columns of a pipe: nothing is broken where no one looks at the edge."""


def as_text(value: Any, currency: str = "") -> str:  # noqa: ANN401 - any cell
    """A cell as a person reads it: amounts without idle zeros, yen without cents, instants to the minute."""
    if value is None:
        return ""
    if isinstance(value, Decimal) and currency in WITHOUT_CENTS and value == value.to_integral_value():
        return f"{value:,.0f}"
    if isinstance(value, Decimal):
        whole = value.quantize(Decimal("0.01")) if value == value.quantize(Decimal("0.01")) else value
        return f"{whole:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(value)


def as_json(value: Any) -> Any:  # noqa: ANN401 - any cell
    """A cell as a program reads it: money as text, so that no float comes between."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def print_rows(rows: Sequence[Row], columns: Sequence[str], *, title: str = "") -> None:
    """A table of these columns; numbers to the right."""
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float | Decimal) for row in rows)
        table.add_column(
            column.replace("_", " "),
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=numeric or column.endswith("_id"),  # a broken id cannot be copied
        )
    for row in rows:
        table.add_row(*(as_text(row.get(column), str(row.get("currency") or "")) for column in columns))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def print_json(value: Any) -> None:  # noqa: ANN401 - anything printable
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, default=as_json, ensure_ascii=False, indent=2) + "\n")


def print_csv(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """The rows as CSV with a header."""
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row.get(name) is None else as_plain(row[name]) for name in columns])


def as_plain(value: Any) -> str:  # noqa: ANN401 - any cell
    """A cell of a CSV file: exact, without separators."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)

"""Print rows as a table, as JSON or as CSV."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tiktok_assets.escaping import escape_control_characters, escape_json, escape_spreadsheet_cell
from tiktok_assets.spec.money import ZERO_DECIMAL_CURRENCIES

Row = Mapping[str, Any]

PIPE_WIDTH = 1000
"""Columns of a pipe: nothing is broken where no one looks at the edge."""

MAX_UNBROKEN_WORD = 16
"""A longer word, such as an address, may be broken where a table would not fit otherwise."""

_PERCENT_COLUMNS = frozenset(("share", "lead"))
"""Parts of one, which a person reads as percent."""


def format_cell(value: Any, currency: str = "") -> str:  # noqa: ANN401 - any cell
    """A cell as a person reads it: amounts without idle zeros, yen without cents, instants to the minute.

    >>> as_text(Decimal("1234.5000")), as_text(1650), as_text(True)
    ('1,234.50', '1,650', 'True')
    """
    if value is None:
        return ""
    if isinstance(value, Decimal) and currency in ZERO_DECIMAL_CURRENCIES and value == value.to_integral_value():
        return f"{value:,.0f}"
    if isinstance(value, Decimal):
        whole = value.quantize(Decimal("0.01")) if value == value.quantize(Decimal("0.01")) else value
        return f"{whole:,}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(value)


def _format_table_cell(row: Row, column: str) -> str:
    value = row.get(column)
    if column in _PERCENT_COLUMNS and isinstance(value, float):
        return f"{value:.0%}"
    return escape_control_characters(format_cell(value, str(row.get("currency") or "")))


def to_json_value(value: Any) -> Any:  # noqa: ANN401 - any cell
    """A cell as a program reads it: money as text, so that no float comes between."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def print_rows(
    rows: Sequence[Row], columns: Sequence[str], *, title: str = "", console: Console | None = None
) -> None:
    """A table of these columns, numbers to the right; a block for each row where the terminal is too narrow.

    A word longer than `FOLDED_AT` may be broken; ids and numbers never are.
    """
    console = console or Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    if not rows:
        console.print("No rows.")
        return
    cells = [[_format_table_cell(row, column) for column in columns] for row in rows]
    numeric = [any(isinstance(row.get(one), int | float | Decimal) for row in rows) for one in columns]
    whole = [number or one.endswith("_id") for one, number in zip(columns, numeric, strict=True)]
    heads = [column.replace("_", " ") for column in columns]
    if _min_table_width(heads, cells, whole) > console.width:
        _print_blocks(console, heads, cells, title)
        return
    table = Table(title=Text(title) if title else None, title_justify="left", header_style="bold")
    for head, right, unbroken in zip(heads, numeric, whole, strict=True):
        table.add_column(head, justify="right" if right else "left", overflow="fold", no_wrap=unbroken)
    for line in cells:
        table.add_row(*map(Text, line))  # a text is no markup
    console.print(table)


def _min_table_width(heads: Sequence[str], cells: Sequence[Sequence[str]], whole: Sequence[bool]) -> int:
    """The columns of a terminal a table needs in which no word of ordinary length is broken."""
    least = 1 + 3 * len(heads)  # lines and the blanks beside them
    for index, head in enumerate(heads):
        texts = [line[index] for line in cells]
        widest = max(map(cell_len, texts), default=0)
        longest = max((cell_len(word) for text in texts for word in text.split()), default=0)
        least += max(widest if whole[index] else min(longest, MAX_UNBROKEN_WORD), *map(cell_len, head.split()))
    return least


def _print_blocks(console: Console, heads: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> None:
    if title:
        console.print(Text(title, style="italic"))
    for line in cells:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for head, text in zip(heads, line, strict=True):
            if text:
                grid.add_row(head, Text(text))
        console.print(grid, Text())


def print_json(value: Any) -> None:  # noqa: ANN401 - anything printable
    """One JSON document on standard output."""
    sys.stdout.write(escape_json(json.dumps(value, default=to_json_value, ensure_ascii=False, indent=2)) + "\n")


def print_csv(rows: Sequence[Row], columns: Sequence[str], *, raw: bool = False) -> None:
    """Print the rows as CSV with a header.

    Args:
        rows: their cells stay exact.
        columns: in this order.
        raw: leave a text as it is that a spreadsheet would run as a formula; else it is quoted.
    """
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row.get(name) is None else format_csv_cell(row[name], raw=raw) for name in columns])


def format_csv_cell(value: Any, *, raw: bool) -> str:  # noqa: ANN401 - any cell
    """A cell of a CSV file: exact, without separators; a number that begins with a minus stays one."""
    if not isinstance(value, str):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    shown = escape_control_characters(value) if sys.stdout.isatty() else value
    return shown if raw else escape_spreadsheet_cell(shown)

"""Rows for people and for programs: a table on a terminal, JSON or CSV elsewhere."""

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

from tiktok_assets.escaping import json_text, spreadsheet_text, visible
from tiktok_assets.spec.currencies import WITHOUT_CENTS

Row = Mapping[str, Any]

WIDE = 1000
"""Columns of a pipe: nothing is broken where no one looks at the edge."""

FOLDED_AT = 16
"""A longer word, such as an address, may be broken where a table would not fit otherwise."""

_SHARES = frozenset(("share", "lead"))
"""Parts of one, which a person reads as percent."""


def as_text(value: Any, currency: str = "") -> str:  # noqa: ANN401 - any cell
    """A cell as a person reads it: amounts without idle zeros, yen without cents, instants to the minute.

    >>> as_text(Decimal("1234.5000")), as_text(1650), as_text(True)
    ('1,234.50', '1,650', 'True')
    """
    if value is None:
        return ""
    if isinstance(value, Decimal) and currency in WITHOUT_CENTS and value == value.to_integral_value():
        return f"{value:,.0f}"
    if isinstance(value, Decimal):
        whole = value.quantize(Decimal("0.01")) if value == value.quantize(Decimal("0.01")) else value
        return f"{whole:,}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(value)


def _cell(row: Row, column: str) -> str:
    value = row.get(column)
    if column in _SHARES and isinstance(value, float):
        return f"{value:.0%}"
    return visible(as_text(value, str(row.get("currency") or "")))


def as_json(value: Any) -> Any:  # noqa: ANN401 - any cell
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
    console = console or Console(width=None if sys.stdout.isatty() else WIDE)
    if not rows:
        console.print("No rows.")
        return
    cells = [[_cell(row, column) for column in columns] for row in rows]
    numeric = [any(isinstance(row.get(one), int | float | Decimal) for row in rows) for one in columns]
    whole = [number or one.endswith("_id") for one, number in zip(columns, numeric, strict=True)]
    heads = [column.replace("_", " ") for column in columns]
    if _least_width(heads, cells, whole) > console.width:
        _print_blocks(console, heads, cells, title)
        return
    table = Table(title=Text(title) if title else None, title_justify="left", header_style="bold")
    for head, right, unbroken in zip(heads, numeric, whole, strict=True):
        table.add_column(head, justify="right" if right else "left", overflow="fold", no_wrap=unbroken)
    for line in cells:
        table.add_row(*map(Text, line))  # a text is no markup
    console.print(table)


def _least_width(heads: Sequence[str], cells: Sequence[Sequence[str]], whole: Sequence[bool]) -> int:
    """The columns of a terminal a table needs in which no word of ordinary length is broken."""
    least = 1 + 3 * len(heads)  # lines and the blanks beside them
    for index, head in enumerate(heads):
        texts = [line[index] for line in cells]
        widest = max(map(cell_len, texts), default=0)
        longest = max((cell_len(word) for text in texts for word in text.split()), default=0)
        least += max(widest if whole[index] else min(longest, FOLDED_AT), *map(cell_len, head.split()))
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
    sys.stdout.write(json_text(json.dumps(value, default=as_json, ensure_ascii=False, indent=2)) + "\n")


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
        writer.writerow(["" if row.get(name) is None else as_plain(row[name], raw=raw) for name in columns])


def as_plain(value: Any, *, raw: bool) -> str:  # noqa: ANN401 - any cell
    """A cell of a CSV file: exact, without separators; a number that begins with a minus stays one."""
    if not isinstance(value, str):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    shown = visible(value) if sys.stdout.isatty() else value
    return shown if raw else spreadsheet_text(shown)

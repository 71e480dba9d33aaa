"""Print rows as a table, as JSON or as CSV."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tiktok_assets.cli.errors import UsageError
from tiktok_assets.escaping import escape_control_characters, escape_json, escape_spreadsheet_cell
from tiktok_assets.spec import ZERO_DECIMAL_CURRENCIES

if TYPE_CHECKING:
    import polars as pl

Row = Mapping[str, Any]

PIPE_WIDTH = 1000
"""Table width in a pipe, in characters: wide enough that no row is wrapped."""

MAX_UNBROKEN_WORD = 16
"""Longer words, such as URLs, may be broken to fit a table into the terminal."""

TABLE_COLUMNS: Mapping[str, Sequence[str]] = {
    "advertisers": ("advertiser_id", "name", "currency", "display_timezone", "country", "status", "balance"),
    "campaigns": ("campaign_id", "campaign_name", "objective_type", "operation_status", "budget"),
    "ad_groups": (
        "ad_group_id", "ad_group_name", "campaign_name", "operation_status", "secondary_status", "budget",
        "bid_price", "optimization_goal",
    ),
    "ads": (
        "ad_id", "ad_name", "ad_group_name", "operation_status", "secondary_status", "ad_format", "call_to_action",
        "landing_page_url",
    ),
    "videos": ("video_id", "file_name", "duration", "width", "height", "size", "create_time", "material_id"),
    "images": ("image_id", "file_name", "width", "height", "size", "create_time", "material_id"),
    "report": (
        "date", "advertiser_id", "campaign_id", "ad_group_id", "ad_id", "ad_name", "spend", "currency",
        "impressions", "clicks", "conversion",
    ),
    **{
        f"creatives_{window}": (
            "advertiser_id", "creative_name", "creative_kind", "creative_id", "status", "ads", "currency",
            *(
                f"{name}_{window}"
                for name in ("spend", "impressions", "hook_rate", "hold_rate", "ctr", "cvr", "cpa", "roas")
            ),
        )
        for window in ("7d", "28d", "lifetime")
    },
}  # fmt: skip
"""The columns of a printed table of each kind; JSON and CSV have all columns."""

TOP_SPENDER_COLUMNS = (
    "campaign_name",
    "ad_name",
    "ad_id",
    "kind",
    "spend",
    "share",
    "lead",
    "hook_rate",
    "hold_rate",
)

_PERCENT_COLUMNS = frozenset(("share", "lead"))
"""Fractions that a table shows as percent."""

_RATE_COLUMNS = frozenset(("hook_rate", "hold_rate"))
"""Columns in percent, which a table shows with one decimal."""


def format_cell(value: Any, currency: str = "") -> str:  # noqa: ANN401 - any cell
    """Format a cell for a table: amounts with two decimals, yen without decimals, times to the minute.

    >>> format_cell(Decimal("1234.5000")), format_cell(1650), format_cell(True)
    ('1,234.50', '1,650', 'True')
    """
    if value is None:
        return ""
    if isinstance(value, Decimal) and currency in ZERO_DECIMAL_CURRENCIES and value == value.to_integral_value():
        return f"{value:,.0f}"
    if isinstance(value, Decimal):
        rounded = value.quantize(Decimal("0.01"))
        return f"{rounded if value == rounded else value:,}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(value)


def _format_table_cell(row: Row, column: str) -> str:
    value = row.get(column)
    if column in _PERCENT_COLUMNS and isinstance(value, float):
        return f"{value:.0%}"
    if column in _RATE_COLUMNS and isinstance(value, float):
        return f"{value:.1f} %"
    return escape_control_characters(format_cell(value, str(row.get("currency") or "")))


def to_json_value(value: Any) -> Any:  # noqa: ANN401 - any cell
    """Convert a cell for JSON: amounts become text, because a float would not be exact."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def print_frame(rows: "pl.DataFrame", kind: str, *, as_json: bool, as_csv: bool, raw: bool = False) -> None:
    """Print rows as a table of selected columns, or all columns as JSON or CSV.

    Args:
        rows: the rows to print.
        kind: a key of `TABLE_COLUMNS`, or `top` for top spenders.
        as_json: print JSON.
        as_csv: print CSV.
        raw: with CSV, do not quote text that a spreadsheet would run as a formula.

    Raises:
        UsageError: if JSON and CSV are requested together, or `raw` without CSV.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv cannot be used together.")
    if raw and not as_csv:
        raise UsageError("--raw needs --csv: add it, or remove --raw.")
    dicts = rows.to_dicts()
    if as_json:
        print_json(dicts)
    elif as_csv:
        print_csv(dicts, rows.columns, raw=raw)
    elif kind == "top":
        print_top_spenders(rows)
    else:
        selected = TABLE_COLUMNS[kind]
        id_columns = [column for column in selected if column in rows.columns and column.endswith("_id")]
        hidden = id_columns[:-1] if kind == "report" else []  # the id of the level identifies a row of a report
        print_rows(dicts, [name for name in selected if name in rows.columns and name not in hidden])


def print_top_spenders(top_spenders: "pl.DataFrame") -> None:
    """Print one table for each account, in the order of the rows; the title names the currency of all amounts."""
    from tiktok_assets.duplication import format_kind  # noqa: PLC0415 - other tables do not need it

    for (owner, currency), rows in top_spenders.group_by("advertiser_id", "currency", maintain_order=True):
        title = f"The top-spending ad of each campaign of account {owner}, in {currency}"
        kinds = [
            {**row, "kind": format_kind(row["ad_kind"], is_deleted=row["is_deleted"])} for row in rows.to_dicts()
        ]
        known = [name for name in TOP_SPENDER_COLUMNS if name == "kind" or name in rows.columns]
        print_rows(kinds, known, title=title)


def print_rows(
    rows: Sequence[Row], columns: Sequence[str], *, title: str = "", console: Console | None = None
) -> None:
    """Print a table of these columns, or one block of lines for each row if the terminal is too narrow.

    Numbers are aligned right. A word longer than `MAX_UNBROKEN_WORD` may be broken; ids and numbers are not.
    """
    console = console or Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    if not rows:
        console.print("No rows.")
        return
    cells = [[_format_table_cell(row, column) for column in columns] for row in rows]
    is_number = [any(isinstance(row.get(name), int | float | Decimal) for row in rows) for name in columns]
    is_unbroken = [number or name.endswith("_id") for name, number in zip(columns, is_number, strict=True)]
    headers = [column.replace("_", " ") for column in columns]
    if _min_table_width(headers, cells, is_unbroken) > console.width:
        _print_blocks(console, headers, cells, title)
        return
    table = Table(title=Text(title) if title else None, title_justify="left", header_style="bold")
    for header, number, unbroken in zip(headers, is_number, is_unbroken, strict=True):
        table.add_column(header, justify="right" if number else "left", overflow="fold", no_wrap=unbroken)
    for line in cells:
        table.add_row(*map(Text, line))  # Text: markup in a name is not interpreted
    console.print(table)


def _min_table_width(headers: Sequence[str], cells: Sequence[Sequence[str]], is_unbroken: Sequence[bool]) -> int:
    """Return the terminal width that a table needs if no word of ordinary length is broken."""
    width = 1 + 3 * len(headers)  # borders and the blanks beside them
    for index, header in enumerate(headers):
        texts = [line[index] for line in cells]
        widest = max(map(cell_len, texts), default=0)
        longest = max((cell_len(word) for text in texts for word in text.split()), default=0)
        column_width = widest if is_unbroken[index] else min(longest, MAX_UNBROKEN_WORD)
        width += max(column_width, *map(cell_len, header.split()))
    return width


def _print_blocks(console: Console, headers: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> None:
    if title:
        console.print(Text(title, style="italic"))
    for line in cells:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for header, text in zip(headers, line, strict=True):
            if text:
                grid.add_row(header, Text(text))
        console.print(grid, Text())


def print_json(value: Any) -> None:  # noqa: ANN401 - anything printable
    """Print one JSON document to standard output."""
    sys.stdout.write(escape_json(json.dumps(value, default=to_json_value, ensure_ascii=False, indent=2)) + "\n")


def print_csv(rows: Sequence[Row], columns: Sequence[str], *, raw: bool = False) -> None:
    """Print rows as CSV with a header.

    Args:
        rows: the rows; amounts are printed exactly.
        columns: the columns, in the order to print.
        raw: do not quote text that a spreadsheet would run as a formula.
    """
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row.get(name) is None else format_csv_cell(row[name], raw=raw) for name in columns])


def format_csv_cell(value: Any, *, raw: bool) -> str:  # noqa: ANN401 - any cell
    """Format a cell for CSV: exact, without thousands separators; a negative number is not quoted."""
    if not isinstance(value, str):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    shown = escape_control_characters(value) if sys.stdout.isatty() else value
    return shown if raw else escape_spreadsheet_cell(shown)

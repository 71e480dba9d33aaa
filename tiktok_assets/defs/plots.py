"""Render metadata for materializations: spend lines, ranking bars and row previews as Markdown."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from tiktok_assets.escaping import escape_control_characters, escape_markdown
from tiktok_assets.overview import (
    NO_VALUE,
    Row,
    draw_ranked_bars,
    draw_sparkline,
    embed_in_markdown,
    format_amount_without_currency,
    format_change,
    format_count,
    format_percent,
    format_status,
)
from tiktok_assets.spec import ads_manager_campaigns_url

MAX_INLINE_MARKDOWN = 999
"""The most characters of Markdown that Dagster (1.13.27) shows inline; longer text is hidden behind a link."""

MAX_TABLE_ROWS = 8

_NAME_COLUMNS = ("ad_name", "ad_group_name", "campaign_name", "name", "ad_id", "advertiser_id")
"""The columns that can name a row; the first one the table has is used."""

_PREVIEW_COLUMNS = (
    *("status", "secondary_status", "reason", "ad_kind", "duplicable"),
    *("copy_ad_id", "objective_type", "display_timezone", "create_time"),
    *("currency", "spend", "impressions", "clicks", "conversion", "lead"),
)
"""The other columns of a preview, where the table has them."""

MAX_NAME_LENGTH = 60


def add_rows_metadata(context: dg.AssetExecutionContext, rows: pl.DataFrame) -> pl.DataFrame:
    """Add the row count and a preview to each account's partition, and return the rows.

    Args:
        context: the context of a step whose partitions are advertisers.
        rows: the rows of all these advertisers.
    """
    for key in context.partition_keys:
        account_rows = rows.filter(pl.col("advertiser_id") == key)
        context.add_asset_metadata({"rows": account_rows.height, **build_preview(account_rows)}, partition_key=key)
    return rows


def build_ranking_metadata(advertiser_id: str, leaders: pl.DataFrame) -> Mapping[str, Any]:
    """Build the metadata of one account's ranking, with a plot and a table for each currency."""
    metadata: dict[str, Any] = {
        "campaigns": leaders.height,
        "ads_manager": dg.MetadataValue.url(ads_manager_campaigns_url(advertiser_id)),
    }
    for currency in sorted(set(leaders.get_column("currency"))):
        account_rows = (
            leaders.filter(pl.col("currency") == currency)
            .sort("spend", descending=True)
            .head(MAX_TABLE_ROWS)
            .to_dicts()
        )
        metadata[f"leaders_{currency}"] = render_rows_that_fit(_render_bars, account_rows, currency)
        metadata[f"table_{currency}"] = render_rows_that_fit(_render_table, account_rows, currency)
    return metadata


def render_rows_that_fit(
    render: Callable[[Sequence[Row], str], str], rows: Sequence[Row], currency: str
) -> dg.MarkdownMetadataValue:
    """Render as many of the first rows as Dagster shows inline, at least one."""
    for count in range(len(rows), 1, -1):
        if len(markdown := render(rows[:count], currency)) <= MAX_INLINE_MARKDOWN:
            return dg.MetadataValue.md(markdown)
    return dg.MetadataValue.md(render(rows[:1], currency))


def _render_bars(rows: Sequence[Row], currency: str) -> str:
    bars = [
        (
            escape_control_characters(row["ad_name"] or row["ad_id"]),
            float(row["spend"]),
            format_amount_without_currency(row["spend"], currency),
        )
        for row in rows
    ]
    return embed_in_markdown(
        draw_ranked_bars(bars), f"Lifetime spend of the top spender of each campaign, {currency}"
    )


def _render_table(rows: Sequence[Row], currency: str) -> str:
    return render_markdown_table(
        ("campaign", "top spender", f"spend, {currency}", "share of campaign", "lead over next"),
        [
            (
                _truncate(row["campaign_name"] or row["campaign_id"]),
                _truncate(row["ad_name"] or row["ad_id"]),
                format_amount_without_currency(row["spend"], currency),
                format_percent(row["share"]),
                format_change(row["lead"]),
            )
            for row in rows
        ],
        numbers=(2, 3, 4),
    )


def build_preview(rows: pl.DataFrame) -> Mapping[str, dg.MarkdownMetadataValue]:
    """Render the most useful columns of the first rows of any table; empty without rows.

    Args:
        rows: the rows of one account; amounts are in the row's `currency`.
    """
    name = next((column for column in _NAME_COLUMNS if column in rows.columns), None)
    if rows.is_empty() or name is None:
        return {}
    shown = [name, *(column for column in _PREVIEW_COLUMNS if column in rows.columns)]
    numbers = [index for index, column in enumerate(shown) if rows.schema[column].is_numeric()]
    return {
        "preview": render_rows_that_fit(
            partial(_render_preview, shown, numbers), rows.head(MAX_TABLE_ROWS).to_dicts(), ""
        )
    }


def _render_preview(shown: Sequence[str], numbers: Sequence[int], rows: Sequence[Row], _: str) -> str:
    """Render the rows; if all amounts have one currency, name it in the heading and not in a column."""
    headings = [column.replace("_", " ") for column in shown]
    cells = [[_format_cell(column, row) for column in shown] for row in rows]
    currencies = {row["currency"] for row in rows if "currency" in row}
    if "spend" in shown and len(currencies) == 1:
        headings[shown.index("spend")] = f"spend, {next(iter(currencies))}"
        position = shown.index("currency")
        numbers = [index - (index > position) for index in numbers]
        del headings[position]
        for row_cells in cells:
            del row_cells[position]
    return render_markdown_table(headings, cells, numbers)


def _format_cell(column: str, row: Row) -> str:
    value = row[column]
    match value:
        case None:
            return NO_VALUE
        case Decimal():
            return format_amount_without_currency(value, row.get("currency") or "")
        case int():
            return format_count(value)
        case float():
            return format_change(value)
        case datetime():
            return f"{value:%Y-%m-%d}"
    return format_status(value) if column.endswith("status") else _truncate(str(value))


def _truncate(name: str) -> str:
    return name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1] + "…"


def build_spend_line(spend: Mapping[date, float]) -> dg.MarkdownMetadataValue:
    """Draw spend by day as a line."""
    days = sorted(spend)
    title = f"Spend per day from {days[0]} to {days[-1]}"
    return dg.MetadataValue.md(embed_in_markdown(draw_sparkline([spend[day] for day in days]), title))


def render_markdown_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[int] = ()
) -> str:
    """Render a Markdown table whose cells are plain text: a name cannot become an image, a link or a heading.

    Args:
        headings: the headings of the columns.
        rows: the cells of each row.
        numbers: the indexes of the columns to align right.
    """
    rule = ["---:" if index in numbers else "---" for index in range(len(headings))]
    lines = [headings, rule, *([escape_markdown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

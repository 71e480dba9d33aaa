"""Render metadata for materializations: spend lines, ranking bars and row previews as Markdown."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from tiktok_assets.escaping import escape_control_characters, escape_markdown
from tiktok_assets.overview.charts import draw_ranked_bars, draw_sparkline, embed_in_markdown
from tiktok_assets.overview.formatting import (
    NO_VALUE,
    format_amount_without_currency,
    format_change,
    format_count,
    format_percent,
    format_status,
)
from tiktok_assets.overview.models import Row
from tiktok_assets.spec.ads_manager import ads_manager_campaigns_url

MAX_INLINE_MARKDOWN = 999
"""Characters of Markdown that Dagster's page shows as they are; longer ones it hides behind a link (1.13.27)."""

MAX_TABLE_ROWS = 8

_NAME_COLUMNS = ("ad_name", "ad_group_name", "campaign_name", "name", "ad_id", "advertiser_id")
"""What a row is called: the first of these its table has."""

_PREVIEW_COLUMNS = (
    *("status", "secondary_status", "reason", "copy_ad_id", "objective_type", "display_timezone", "create_time"),
    *("currency", "spend", "impressions", "clicks", "conversion", "lead"),
)
"""What is told of it beside, where its table has it."""

MAX_NAME_LENGTH = 60


def add_ranking_metadata(context: dg.AssetExecutionContext, leaders: pl.DataFrame) -> None:
    """Give each account's partition of `top_spenders` its own picture, table and link.

    Args:
        context: of a step whose partitions are advertisers.
        leaders: rows of `top_spenders` of all of them.
    """
    for key in context.partition_keys:
        mine = leaders.filter(pl.col("advertiser_id") == key)
        context.add_asset_metadata(build_ranking_metadata(key, mine), partition_key=key)


def add_rows_metadata(context: dg.AssetExecutionContext, rows: pl.DataFrame) -> pl.DataFrame:
    """Give each account's partition its number of rows and the first of them; returns the rows.

    Args:
        context: of a step whose partitions are advertisers.
        rows: of all of them.
    """
    for key in context.partition_keys:
        mine = rows.filter(pl.col("advertiser_id") == key)
        context.add_asset_metadata({"rows": mine.height, **build_preview(mine)}, partition_key=key)
    return rows


def build_ranking_metadata(advertiser_id: str, leaders: pl.DataFrame) -> Mapping[str, Any]:
    """The metadata of one account's ranking; amounts of different currencies are not drawn together."""
    facts: dict[str, Any] = {
        "campaigns": leaders.height,
        "ads_manager": dg.MetadataValue.url(ads_manager_campaigns_url(advertiser_id)),
    }
    for currency in sorted(set(leaders.get_column("currency"))):
        mine = (
            leaders.filter(pl.col("currency") == currency)
            .sort("spend", descending=True)
            .head(MAX_TABLE_ROWS)
            .to_dicts()
        )
        facts[f"leaders_{currency}"] = _render_rows_that_fit(_render_bars, mine, currency)
        facts[f"table_{currency}"] = _render_rows_that_fit(_render_table, mine, currency)
    return facts


def _render_rows_that_fit(
    draw: Callable[[Sequence[Row], str], str], rows: Sequence[Row], currency: str
) -> dg.MarkdownMetadataValue:
    """As many of the first rows as Dagster shows at once, one at least."""
    for fitting in range(len(rows), 1, -1):
        if len(drawn := draw(rows[:fitting], currency)) <= MAX_INLINE_MARKDOWN:
            return dg.MetadataValue.md(drawn)
    return dg.MetadataValue.md(draw(rows[:1], currency))


def _render_bars(rows: Sequence[Row], currency: str) -> str:
    bars = [
        (
            escape_control_characters(row["ad_name"] or row["ad_id"]),
            float(row["spend"]),
            format_amount_without_currency(row["spend"], currency),
        )
        for row in rows
    ]
    return embed_in_markdown(draw_ranked_bars(bars), f"Lifetime spend of each campaign's leader, {currency}")


def _render_table(rows: Sequence[Row], currency: str) -> str:
    return render_markdown_table(
        ("campaign", "leads", f"spend, {currency}", "of the campaign", "ahead of the next"),
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
    """The first rows of any table with the columns a person looks for; empty where there are none.

    Args:
        rows: of one account; amounts are in the `currency` beside them.
    """
    name = next((column for column in _NAME_COLUMNS if column in rows.columns), None)
    if rows.is_empty() or name is None:
        return {}
    shown = [name, *(column for column in _PREVIEW_COLUMNS if column in rows.columns)]
    numbers = [index for index, column in enumerate(shown) if rows.schema[column].is_numeric()]
    return {
        "preview": _render_rows_that_fit(
            partial(_render_preview, shown, numbers), rows.head(MAX_TABLE_ROWS).to_dicts(), ""
        )
    }


def _render_preview(shown: Sequence[str], numbers: Sequence[int], rows: Sequence[Row], _: str) -> str:
    """Where all amounts are of one currency, it stands at their head and not in a column."""
    heads = [column.replace("_", " ") for column in shown]
    cells = [[_format_cell(column, row) for column in shown] for row in rows]
    currencies = {row["currency"] for row in rows if "currency" in row}
    if "spend" in shown and len(currencies) == 1:
        heads[shown.index("spend")] = f"spend, {next(iter(currencies))}"
        place = shown.index("currency")
        numbers = [index - (index > place) for index in numbers]
        del heads[place]
        for line in cells:
            del line[place]
    return render_markdown_table(heads, cells, numbers)


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
    """Spend by day as a line."""
    days = sorted(spend)
    told = f"Spend a day from {days[0]} to {days[-1]}"
    return dg.MetadataValue.md(embed_in_markdown(draw_sparkline([spend[day] for day in days]), told))


def render_markdown_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[int] = ()
) -> str:
    """A Markdown table of plain text: no name in it can be a picture, a link or a heading.

    Args:
        heads: of the columns.
        rows: of cells.
        numbers: the columns that stand to the right.
    """
    rule = ["---:" if index in numbers else "---" for index in range(len(heads))]
    lines = [heads, rule, *([escape_markdown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

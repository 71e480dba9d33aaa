"""What an event shows beside its numbers: the days of a reading as a line, a ranking as bars, rows as a table."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from tiktok_assets.charts import as_markdown, ranked_bars, sparkline
from tiktok_assets.escaping import markdown_text, visible
from tiktok_assets.overview.contents import Row
from tiktok_assets.overview.words import NOTHING, change, count, number_of, percent, status
from tiktok_assets.spec.links import ads_manager

SHOWN_AT_ONCE = 999
"""Characters of Markdown that Dagster's page shows as they are; longer ones it hides behind a link (1.13.27)."""

ROWS = 8

_NAMES = ("ad_name", "ad_group_name", "campaign_name", "name", "ad_id", "advertiser_id")
"""What a row is called: the first of these its table has."""

_PREVIEWED = (
    *("status", "secondary_status", "reason", "copy_ad_id", "objective_type", "display_timezone", "create_time"),
    *("currency", "spend", "impressions", "clicks", "conversion", "lead"),
)
"""What is told of it beside, where its table has it."""

LONGEST_NAME = 60


def tell_ranking(context: dg.AssetExecutionContext, leaders: pl.DataFrame) -> None:
    """Give each account's partition of `top_spenders` its own picture, table and link.

    Args:
        context: of a step whose partitions are advertisers.
        leaders: rows of `top_spenders` of all of them.
    """
    for key in context.partition_keys:
        mine = leaders.filter(pl.col("advertiser_id") == key)
        context.add_asset_metadata(facts_of_ranking(key, mine), partition_key=key)


def tell_rows(context: dg.AssetExecutionContext, rows: pl.DataFrame) -> pl.DataFrame:
    """Give each account's partition its number of rows and the first of them; returns the rows.

    Args:
        context: of a step whose partitions are advertisers.
        rows: of all of them.
    """
    for key in context.partition_keys:
        mine = rows.filter(pl.col("advertiser_id") == key)
        context.add_asset_metadata({"rows": mine.height, **preview(mine)}, partition_key=key)
    return rows


def facts_of_ranking(advertiser_id: str, leaders: pl.DataFrame) -> Mapping[str, Any]:
    """The metadata of one account's ranking; amounts of different currencies are not drawn together."""
    facts: dict[str, Any] = {
        "campaigns": leaders.height,
        "ads_manager": dg.MetadataValue.url(ads_manager(advertiser_id)),
    }
    for currency in sorted(set(leaders.get_column("currency"))):
        mine = leaders.filter(pl.col("currency") == currency).sort("spend", descending=True).head(ROWS).to_dicts()
        facts[f"leaders_{currency}"] = _as_many_as_fit(_bars, mine, currency)
        facts[f"table_{currency}"] = _as_many_as_fit(_table, mine, currency)
    return facts


def _as_many_as_fit(
    draw: Callable[[Sequence[Row], str], str], rows: Sequence[Row], currency: str
) -> dg.MarkdownMetadataValue:
    """As many of the first rows as Dagster shows at once, one at least."""
    for fitting in range(len(rows), 1, -1):
        if len(drawn := draw(rows[:fitting], currency)) <= SHOWN_AT_ONCE:
            return dg.MetadataValue.md(drawn)
    return dg.MetadataValue.md(draw(rows[:1], currency))


def _bars(rows: Sequence[Row], currency: str) -> str:
    bars = [
        (visible(row["ad_name"] or row["ad_id"]), float(row["spend"]), number_of(row["spend"], currency))
        for row in rows
    ]
    return as_markdown(ranked_bars(bars), f"Lifetime spend of each campaign's leader, {currency}")


def _table(rows: Sequence[Row], currency: str) -> str:
    return markdown_table(
        ("campaign", "leads", f"spend, {currency}", "of the campaign", "ahead of the next"),
        [
            (
                _cut(row["campaign_name"] or row["campaign_id"]),
                _cut(row["ad_name"] or row["ad_id"]),
                number_of(row["spend"], currency),
                percent(row["share"]),
                change(row["lead"]),
            )
            for row in rows
        ],
        numbers=(2, 3, 4),
    )


def preview(rows: pl.DataFrame) -> Mapping[str, dg.MarkdownMetadataValue]:
    """The first rows of any table with the columns a person looks for; empty where there are none.

    Args:
        rows: of one account; amounts are in the `currency` beside them.
    """
    name = next((column for column in _NAMES if column in rows.columns), None)
    if rows.is_empty() or name is None:
        return {}
    shown = [name, *(column for column in _PREVIEWED if column in rows.columns)]
    numbers = [index for index, column in enumerate(shown) if rows.schema[column].is_numeric()]
    return {"preview": _as_many_as_fit(partial(_preview, shown, numbers), rows.head(ROWS).to_dicts(), "")}


def _preview(shown: Sequence[str], numbers: Sequence[int], rows: Sequence[Row], _: str) -> str:
    """Where all amounts are of one currency, it stands at their head and not in a column."""
    heads = [column.replace("_", " ") for column in shown]
    cells = [[_cell(column, row) for column in shown] for row in rows]
    currencies = {row["currency"] for row in rows if "currency" in row}
    if "spend" in shown and len(currencies) == 1:
        heads[shown.index("spend")] = f"spend, {next(iter(currencies))}"
        place = shown.index("currency")
        numbers = [index - (index > place) for index in numbers]
        del heads[place]
        for line in cells:
            del line[place]
    return markdown_table(heads, cells, numbers)


def _cell(column: str, row: Row) -> str:
    value = row[column]
    match value:
        case None:
            return NOTHING
        case Decimal():
            return number_of(value, row.get("currency") or "")
        case int():
            return count(value)
        case float():
            return change(value)
        case datetime():
            return f"{value:%Y-%m-%d}"
    return status(value) if column.endswith("status") else _cut(str(value))


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def line_of(spend: Mapping[date, float]) -> dg.MarkdownMetadataValue:
    """Spend by day as a line."""
    days = sorted(spend)
    told = f"Spend a day from {days[0]} to {days[-1]}"
    return dg.MetadataValue.md(as_markdown(sparkline([spend[day] for day in days]), told))


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[int] = ()) -> str:
    """A Markdown table of plain text: no name in it can be a picture, a link or a heading.

    Args:
        heads: of the columns.
        rows: of cells.
        numbers: the columns that stand to the right.
    """
    rule = ["---:" if index in numbers else "---" for index in range(len(heads))]
    lines = [heads, rule, *([markdown_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""Define `top_spenders`, `account_overview` and `warehouse`, which are built from the stored tables."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import dagster as dg
import polars as pl

from tiktok_assets.creatives import add_watch_rates
from tiktok_assets.defs.automation_conditions import after_sources_and_ranking, sources_updated_and_idle
from tiktok_assets.defs.creative_wall import build_leaders_wall
from tiktok_assets.defs.metadata import build_table_metadata
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.partitions import SINGLE_RUN
from tiktok_assets.defs.plots import build_ranking_metadata, render_markdown_table
from tiktok_assets.defs.table_catalog import (
    ACCOUNT_OVERVIEW,
    AD_REPORT_DAILY,
    TOP_SPENDERS,
    TOP_SPENDERS_SOURCES,
    TRIGGERING_SOURCES,
    get_stored_tables,
    get_table_descriptions,
)
from tiktok_assets.ingest import is_partition_complete
from tiktok_assets.overview import Overview, format_change, format_count, format_day, format_money
from tiktok_assets.settings import Settings
from tiktok_assets.spec import LISTED_ENTITIES, REPORTS_BY_TABLE, Column, report_columns
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import build_schema
from tiktok_assets.top_spenders import (
    TOP_SPENDERS_COLUMNS,
    WINDOW_DAYS,
    CompleteDays,
    add_creatives,
    rank_top_spenders,
    read_account_tables,
    record_leader_changes,
)

INSIGHTS_GROUP = "insights"
SERVING_GROUP = "serving"

SHOWN_TABLES = (
    "advertisers",
    "campaigns",
    "ad_groups",
    "ads",
    "gmv_max_shops",
    "advertiser_report_daily",
    "campaign_report_daily",
    "campaign_report_lifetime",
    "ad_report_lifetime",
    "report_restatements",
    "creatives",
    "creative_daily",
    "creative_declines",
    "top_spenders",
    "duplication_candidates",
)
"""The tables the overview page reads."""

MAX_PREVIEW_ROWS = 20

MAX_COMPLETE_DAY_AGE = 3
"""In days. A day is complete a day and a half after its start in any time zone; an older gap means no refresh."""


def build_top_spenders_asset(settings: Settings) -> dg.AssetsDefinition:
    """Build the `top_spenders` asset; its 3, 7 and 30 day windows are null without the daily ad report."""
    daily = AD_REPORT_DAILY if AD_REPORT_DAILY in {report.table for report in settings.chosen_reports} else None
    names = Names(settings)

    @dg.asset(
        key=names.key(TOP_SPENDERS),
        group_name=INSIGHTS_GROUP,
        kinds={"polars", "parquet"},
        description="The top-spending ad of each campaign by lifetime spend, with its runner-up, share, lead and"
        " start of the lead, its kind, video and Smart+ ad, and the top spenders of the last 3, 7 and 30 complete"
        " days.",
        metadata=build_table_metadata(TOP_SPENDERS_COLUMNS),
        partitions_def=names.advertisers,
        backfill_policy=SINGLE_RUN,
        automation_condition=sources_updated_and_idle(names, *TRIGGERING_SOURCES[TOP_SPENDERS]),
        ins={
            table: dg.AssetIn(key=names.key(table), input_manager_key=names.io_manager)
            for table in TOP_SPENDERS_SOURCES
        },
        deps=names.keys([*([daily] if daily else []), *(entity.table for entity in LISTED_ENTITIES)]),
        io_manager_key=names.io_manager,
        required_resource_keys=names.required_resources,
    )
    def _top_spenders(
        context: dg.AssetExecutionContext,
        ad_report_lifetime: pl.LazyFrame,
        campaign_report_lifetime: pl.LazyFrame,
    ) -> pl.DataFrame:
        """Rank the stored lifetime reports and record the changes of leader in the state."""
        tiktok = names.session(context)
        ads = ad_report_lifetime.collect()
        recent = None
        if daily:
            columns = report_columns(REPORTS_BY_TABLE[daily], settings.chosen_metrics)
            recent = read_recent_days(
                tiktok.store, columns, context.partition_keys, _get_newest_fetched_at(ads) or tiktok.now()
            )
        ranked = rank_top_spenders(ads, campaign_report_lifetime.collect(), recent)
        described = add_creatives(ranked, ads, read_account_tables(tiktok.store, ranked))
        leaders = record_leader_changes(tiktok.state, described)
        rated = add_watch_rates(leaders, ads)
        for key in context.partition_keys:
            own = rated.filter(pl.col("advertiser_id") == key)
            wall = build_leaders_wall(tiktok.store, key, own)
            context.add_asset_metadata({**build_ranking_metadata(key, own), **wall}, partition_key=key)
        return leaders

    return _top_spenders


def _get_newest_fetched_at(ads: pl.DataFrame) -> datetime | None:
    newest = ads.get_column("fetched_at").max()
    return newest if isinstance(newest, datetime) else None


def read_recent_days(
    store: HiveStore, columns: Iterable[Column], advertiser_ids: Iterable[str], read_at: datetime
) -> CompleteDays:
    """Read the newest consecutive complete days of each account, at most as many as the longest window has.

    Args:
        store: holds `ad_report_daily`.
        columns: the columns of that table.
        advertiser_ids: the accounts to read.
        read_at: when the ranked reports were fetched; if the newest complete day is more than
            `MAX_COMPLETE_DAY_AGE` days older, no day is read.
    """
    complete_days = {key: find_complete_days(store, key, read_at.date()) for key in advertiser_ids}
    schema = build_schema(columns)
    frames = [
        store.scan(AD_REPORT_DAILY, schema, advertiser_ids=[key], days=days).collect()
        for key, days in complete_days.items()
    ]
    return CompleteDays(
        pl.DataFrame(
            [
                {
                    "advertiser_id": key,
                    "complete_until": days[0] if days else None,
                    "complete_days": len(days),
                }
                for key, days in complete_days.items()
            ],
            {"advertiser_id": pl.String(), "complete_until": pl.Date(), "complete_days": pl.Int64()},
        ),
        pl.concat([schema.to_frame(), *frames]),
    )


def find_complete_days(store: HiveStore, advertiser_id: str, today: date) -> list[date]:
    """Return the newest consecutive complete days, newest first.

    Each day is looked up by name, because listing them in an object store is expensive.
    """
    complete: list[date] = []
    day = today + timedelta(1)  # for accounts in time zones ahead of UTC
    while len(complete) < max(WINDOW_DAYS):
        if is_partition_complete(store.read_metadata(AD_REPORT_DAILY, Partition(advertiser_id, day))):
            complete.append(day)
        elif complete or day <= today - timedelta(MAX_COMPLETE_DAY_AGE):
            break
        day -= timedelta(1)
    return complete


def build_warehouse_asset(settings: Settings) -> dg.AssetsDefinition:
    """Build the `warehouse` asset, which depends on every table."""
    tables, names = get_stored_tables(settings), Names(settings)

    @dg.asset(
        key=names.key("warehouse"),
        group_name=SERVING_GROUP,
        kinds={"duckdb"},
        description="`warehouse.duckdb`: every table in one file, replaced atomically, for SQL and BI tools, with"
        " monthly marts and views that have the columns of dbt_tiktok_ads.",
        deps=names.keys(tables),
        automation_condition=after_sources_and_ranking(names),
        required_resource_keys=names.required_resources,
    )
    def _warehouse(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from tiktok_assets.storage import build_warehouse  # noqa: PLC0415 - DuckDB is slow to import

        built = build_warehouse(
            names.session(context).store, settings.state_dir, tables, get_table_descriptions(settings)
        )
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(built.path),
                "megabytes": round(built.bytes / 1e6, 2),
                "rows": sum(built.rows.values()),
                "partitions": built.files,
                "partitions_loaded": built.loaded,
                "seconds": round(built.seconds, 2),
                "rows_by_table": dg.MetadataValue.json(dict(built.rows)),
            }
        )

    return _warehouse


def build_overview_asset(settings: Settings) -> dg.AssetsDefinition:
    """Build the `account_overview` asset, which depends on the tables it reads."""
    names = Names(settings)

    @dg.asset(
        key=names.key(ACCOUNT_OVERVIEW),
        group_name=INSIGHTS_GROUP,
        kinds={"polars", "html"},
        description="`account_overview.html`: spend, results, rankings, budgets and freshness of every account on"
        " one page that opens without a server.",
        deps=names.keys(table for table in get_stored_tables(settings) if table in SHOWN_TABLES),
        automation_condition=after_sources_and_ranking(names),
        required_resource_keys=names.required_resources,
    )
    def _account_overview(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        tiktok = names.session(context)
        from tiktok_assets.overview import build_overview  # noqa: PLC0415 - Jinja is slow to import

        built = build_overview(tiktok.store, settings.state_dir, tiktok.now())
        link = {"page": dg.MetadataValue.url(settings.overview_url)} if settings.overview_url else {}
        return dg.MaterializeResult(
            metadata={
                **link,
                "path": dg.MetadataValue.path(built.path),
                "megabytes": round(built.bytes / 1e6, 2),
                "accounts": len(built.contents.accounts),
                "preview": dg.MetadataValue.md(render_accounts_preview(built.contents)),
            }
        )

    return _account_overview


def render_accounts_preview(contents: Overview) -> str:
    """Render the accounts as a Markdown table."""
    rows = [
        (
            account.name,
            format_money(account.week.spend, account.currency),
            format_change(account.growth),
            format_count(account.week.conversion),
            format_day(account.freshness.complete_day if account.freshness else None),
        )
        for account in contents.accounts
    ]
    headings = ("account", "spend, 7 days", "change", "conversions", "complete to")
    return render_markdown_table(headings, rows[:MAX_PREVIEW_ROWS], numbers=(1, 2, 3))

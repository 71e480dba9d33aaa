"""Define `account_overview` and `warehouse`, the assets without partitions that are built from all stored tables."""

from functools import reduce
from operator import or_

import dagster as dg

from tiktok_assets.defs.insight_assets import INSIGHTS_GROUP, sources_updated
from tiktok_assets.defs.plots import render_markdown_table
from tiktok_assets.defs.scaling_sensors import FLAG_TAG
from tiktok_assets.defs.table_catalog import (
    ACCOUNT_OVERVIEW,
    DUPLICATION_CANDIDATES,
    TRIGGERING_SOURCES,
    get_stored_tables,
    get_table_descriptions,
)
from tiktok_assets.overview.formatting import format_change, format_count, format_day, format_money
from tiktok_assets.overview.models import Overview
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings

SERVING_GROUP = "serving"

# Each by its own reasons: a source that one of them only reads beside would keep the warehouse waiting for ever.
_RANKING_UPDATE_PENDING = reduce(
    or_,
    (
        dg.AutomationCondition.any_deps_match(sources_updated(*sources)).allow(dg.AssetSelection.assets(table))
        for table, sources in TRIGGERING_SOURCES.items()
    ),
).with_label("the ranking or what follows from it is about to change")
# A flag comes seconds after the page was made. When both are new at the same look, Dagster takes the older update
# for handled by the younger materialization, in whichever order they came; only a request of our own settles it.
_AD_FLAGGED = (
    dg.AutomationCondition.any_deps_match(dg.AutomationCondition.any_new_update_has_run_tags(tag_keys={FLAG_TAG}))
    .allow(dg.AssetSelection.assets(DUPLICATION_CANDIDATES))
    .since(dg.AutomationCondition.newly_requested())
    .with_label("an ad was flagged")
)
# Without the ranking the warehouse is built beside the new one, and then again for it and what follows from it.
AFTER_SOURCES_AND_RANKING = (
    (dg.AutomationCondition.any_deps_updated().since_last_handled() | _AD_FLAGGED)
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
    & ~_RANKING_UPDATE_PENDING
).with_label("after its sources and the ranking")


def build_warehouse_asset(settings: Settings) -> dg.AssetsDefinition:
    """The `warehouse` asset, which depends on every table."""
    tables = get_stored_tables(settings)

    @dg.asset(
        name="warehouse",
        group_name=SERVING_GROUP,
        kinds={"duckdb"},
        description="`warehouse.duckdb`: every table in one file, replaced whole, for SQL and BI tools;"
        " monthly marts, and the columns of dbt_tiktok_ads.",
        deps=list(tables),
        automation_condition=AFTER_SOURCES_AND_RANKING,
    )
    def _warehouse(tiktok: dg.ResourceParam[Session]) -> dg.MaterializeResult:
        from tiktok_assets.storage.warehouse import build_warehouse  # noqa: PLC0415 - DuckDB loads slowly

        built = build_warehouse(tiktok.store, settings.state_dir, tables, get_table_descriptions(settings))
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


SHOWN_TABLES = (
    "advertisers",
    "campaigns",
    "ad_groups",
    "ads",
    "advertiser_report_daily",
    "campaign_report_daily",
    "campaign_report_lifetime",
    "ad_report_lifetime",
    "report_restatements",
    "top_spenders",
    "duplication_candidates",
)
"""The tables whose rows are on the page."""


def build_overview_asset(settings: Settings) -> dg.AssetsDefinition:
    """The `account_overview` asset, which depends on the tables it shows."""

    @dg.asset(
        name=ACCOUNT_OVERVIEW,
        group_name=INSIGHTS_GROUP,
        kinds={"polars", "html"},
        description="`account_overview.html`: spend, results, rankings, budgets and freshness of every account on"
        " one page that opens without a server.",
        deps=[table for table in get_stored_tables(settings) if table in SHOWN_TABLES],
        automation_condition=AFTER_SOURCES_AND_RANKING,
    )
    def _account_overview(tiktok: dg.ResourceParam[Session]) -> dg.MaterializeResult:
        from tiktok_assets.overview.page import build_overview  # noqa: PLC0415 - Altair loads slowly

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


MAX_PREVIEW_ROWS = 20


def render_accounts_preview(contents: Overview) -> str:
    """The accounts as a Markdown table."""
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
    heads = ("account", "spend, 7 days", "change", "conversions", "complete to")
    return render_markdown_table(heads, rows[:MAX_PREVIEW_ROWS], numbers=(1, 2, 3))

"""`account_overview`: one page for people, made from what is stored."""

import dagster as dg

from tiktok_assets.defs.catalogue import OVERVIEW, stored_tables
from tiktok_assets.defs.insights import GROUP
from tiktok_assets.defs.pictures import markdown_table
from tiktok_assets.defs.serving import AFTER_THE_RANKING
from tiktok_assets.overview.contents import Overview
from tiktok_assets.overview.words import change, count, day, money
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings

SHOWN = (
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


def overview_asset(settings: Settings) -> dg.AssetsDefinition:
    """The `account_overview` asset, which depends on the tables it shows."""

    @dg.asset(
        name=OVERVIEW,
        group_name=GROUP,
        kinds={"polars", "html"},
        description="`account_overview.html`: spend, results, rankings, budgets and freshness of every account on"
        " one page that opens without a server.",
        deps=[table for table in stored_tables(settings) if table in SHOWN],
        automation_condition=AFTER_THE_RANKING,
    )
    def _account_overview(tiktok: dg.ResourceParam[Session]) -> dg.MaterializeResult:
        from tiktok_assets.overview.building import build_overview  # noqa: PLC0415 - Altair loads slowly

        built = build_overview(tiktok.store, settings.state_dir, tiktok.now())
        link = {"page": dg.MetadataValue.url(settings.overview_url)} if settings.overview_url else {}
        return dg.MaterializeResult(
            metadata={
                **link,
                "path": dg.MetadataValue.path(built.path),
                "megabytes": round(built.bytes / 1e6, 2),
                "accounts": len(built.contents.accounts),
                "preview": dg.MetadataValue.md(preview(built.contents)),
            }
        )

    return _account_overview


PREVIEW_ROWS = 20


def preview(contents: Overview) -> str:
    """The accounts as a Markdown table."""
    rows = [
        (
            account.name,
            money(account.week.spend, account.currency),
            change(account.growth),
            count(account.week.conversion),
            day(account.freshness.complete_day if account.freshness else None),
        )
        for account in contents.accounts
    ]
    heads = ("account", "spend, 7 days", "change", "conversions", "complete to")
    return markdown_table(heads, rows[:PREVIEW_ROWS], numbers=(1, 2, 3))

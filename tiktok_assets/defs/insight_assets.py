"""Define the `top_spenders` asset and the automation conditions of the derived assets."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import dagster as dg
import polars as pl

from tiktok_assets.defs.metadata import build_table_metadata
from tiktok_assets.defs.partitions import ADVERTISERS, SINGLE_RUN
from tiktok_assets.defs.plots import add_ranking_metadata
from tiktok_assets.defs.resources import IO_MANAGER
from tiktok_assets.defs.table_catalog import (
    AD_REPORT_DAILY,
    TOP_SPENDERS,
    TOP_SPENDERS_SOURCES,
    TRIGGERING_SOURCES,
)
from tiktok_assets.ingest.partitions import is_partition_complete
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, report_columns
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.tables.frames import build_schema
from tiktok_assets.top_spenders.leader_changes import record_leader_changes
from tiktok_assets.top_spenders.ranking import TOP_SPENDERS_COLUMNS, WINDOW_DAYS, CompleteDays
from tiktok_assets.top_spenders.ranking import rank_top_spenders as rank

INSIGHTS_GROUP = "insights"

MAX_COMPLETE_DAY_AGE = 3
"""A day is complete a day and a half after it began somewhere on earth; older, nobody refreshed the days."""


def sources_updated(*tables: str) -> dg.AutomationCondition:
    """One of these sources was updated since the asset was last made or asked for."""
    return dg.AutomationCondition.any_deps_updated().allow(dg.AssetSelection.assets(*tables)).since_last_handled()


def sources_updated_and_idle(*tables: str) -> dg.AutomationCondition:
    """Due and quiet, for an asset that also reads tables whose update alone is no reason to run."""
    return (
        sources_updated(*tables)
        & ~dg.AutomationCondition.any_deps_in_progress().allow(dg.AssetSelection.assets(*tables))
        & ~dg.AutomationCondition.in_progress()
    ).with_label(f"after {' and '.join(tables)}, once quiet")


def build_top_spenders_asset(settings: Settings) -> dg.AssetsDefinition:
    """The `top_spenders` asset; where daily reports of ads were not chosen, its windows are null."""
    daily = AD_REPORT_DAILY if AD_REPORT_DAILY in {report.table for report in settings.chosen_reports} else None

    @dg.asset(
        name="top_spenders",
        group_name=INSIGHTS_GROUP,
        kinds={"polars", "parquet"},
        description="The top-spending ad of each campaign over its whole life, with runner-up, share, lead and"
        " since when, and the leaders of the last 3, 7 and 30 complete days.",
        metadata=build_table_metadata(TOP_SPENDERS_COLUMNS),
        partitions_def=ADVERTISERS,
        backfill_policy=SINGLE_RUN,
        automation_condition=sources_updated_and_idle(*TRIGGERING_SOURCES[TOP_SPENDERS]),
        ins={table: dg.AssetIn(input_manager_key=IO_MANAGER) for table in TOP_SPENDERS_SOURCES},
        deps=[daily] if daily else None,
        io_manager_key=IO_MANAGER,
    )
    def _top_spenders(
        context: dg.AssetExecutionContext,
        tiktok: dg.ResourceParam[Session],
        ad_report_lifetime: pl.LazyFrame,
        campaign_report_lifetime: pl.LazyFrame,
    ) -> pl.DataFrame:
        """Rank the stored lifetime reports, and note in the state whose leader changed."""
        ads = ad_report_lifetime.collect()
        recent = None
        if daily:
            columns = report_columns(REPORTS_BY_TABLE[daily], settings.chosen_metrics)
            recent = read_recent_days(
                tiktok.store, columns, context.partition_keys, _get_newest_fetched_at(ads) or tiktok.now()
            )
        leaders = record_leader_changes(tiktok.state, rank(ads, campaign_report_lifetime.collect(), recent))
        add_ranking_metadata(context, leaders)
        return leaders

    return _top_spenders


def _get_newest_fetched_at(ads: pl.DataFrame) -> datetime | None:
    newest = ads.get_column("fetched_at").max()
    return newest if isinstance(newest, datetime) else None


def read_recent_days(
    store: HiveStore, columns: Iterable[Column], advertiser_ids: Iterable[str], read_at: datetime
) -> CompleteDays:
    """The newest complete days of each account, without a gap, as many as the longest window has.

    Args:
        store: with `ad_report_daily`.
        columns: of that table.
        advertiser_ids: whose days.
        read_at: when the ranking's reports were read; days that end long before are left out.
    """
    days = {one: _find_complete_days(store, one, read_at.date()) for one in advertiser_ids}
    schema = build_schema(columns)
    frames = [
        store.scan(AD_REPORT_DAILY, schema, advertiser_ids=[one], days=theirs).collect()
        for one, theirs in days.items()
    ]
    return CompleteDays(
        pl.DataFrame(
            [
                {
                    "advertiser_id": one,
                    "complete_until": theirs[0] if theirs else None,
                    "complete_days": len(theirs),
                }
                for one, theirs in days.items()
            ],
            {"advertiser_id": pl.String(), "complete_until": pl.Date(), "complete_days": pl.Int64()},
        ),
        pl.concat([schema.to_frame(), *frames]),
    )


def _find_complete_days(store: HiveStore, advertiser_id: str, today: date) -> list[date]:
    """Newest first. Each day is probed by its name: an object store has no cheap list of them."""
    found: list[date] = []
    day = today + timedelta(1)  # accounts ahead of UTC
    while len(found) < max(WINDOW_DAYS):
        if is_partition_complete(store.notes(AD_REPORT_DAILY, Partition(advertiser_id, day))):
            found.append(day)
        elif found or day <= today - timedelta(MAX_COMPLETE_DAY_AGE):
            break
        day -= timedelta(1)
    return found

"""The `insights` group: what the reports say about who leads."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import dagster as dg
import polars as pl

from tiktok_assets.defs.catalogue import MADE_AFTER, RANKING, RANKING_SOURCES, RECENT_SOURCE
from tiktok_assets.defs.io_manager import IO_MANAGER
from tiktok_assets.defs.partitions import ADVERTISERS, ONE_RUN
from tiktok_assets.defs.pictures import tell_ranking
from tiktok_assets.defs.telling import definition_metadata
from tiktok_assets.refresh.notes import is_complete
from tiktok_assets.scaling.changes import observe
from tiktok_assets.scaling.ranking import TOP_SPENDERS_COLUMNS, WINDOWS, Recent
from tiktok_assets.scaling.ranking import top_spenders as rank
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, report_columns
from tiktok_assets.storage.hive_parquet import HiveStore, Partition
from tiktok_assets.tables import schema_of

GROUP = "insights"

STALE_AFTER_DAYS = 3
"""A day is complete a day and a half after it began somewhere on earth; older, nobody refreshed the days."""


def due(*tables: str) -> dg.AutomationCondition:
    """One of these sources was updated since the asset was last made or asked for."""
    return dg.AutomationCondition.any_deps_updated().allow(dg.AssetSelection.assets(*tables)).since_last_handled()


def after(*tables: str) -> dg.AutomationCondition:
    """Due and quiet, for an asset that also reads tables whose update alone is no reason to run."""
    return (
        due(*tables)
        & ~dg.AutomationCondition.any_deps_in_progress().allow(dg.AssetSelection.assets(*tables))
        & ~dg.AutomationCondition.in_progress()
    ).with_label(f"after {' and '.join(tables)}, once quiet")


def top_spenders_asset(settings: Settings) -> dg.AssetsDefinition:
    """The `top_spenders` asset; where daily reports of ads were not chosen, its windows are null."""
    daily = RECENT_SOURCE if RECENT_SOURCE in {report.table for report in settings.chosen_reports} else None

    @dg.asset(
        name="top_spenders",
        group_name=GROUP,
        kinds={"polars", "parquet"},
        description="The top-spending ad of each campaign over its whole life, with runner-up, share, lead and"
        " since when, and the leaders of the last 3, 7 and 30 complete days.",
        metadata=definition_metadata(TOP_SPENDERS_COLUMNS),
        partitions_def=ADVERTISERS,
        backfill_policy=ONE_RUN,
        automation_condition=after(*MADE_AFTER[RANKING]),
        ins={table: dg.AssetIn(input_manager_key=IO_MANAGER) for table in RANKING_SOURCES},
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
            recent = recent_days(tiktok.store, columns, context.partition_keys, _read_at(ads) or tiktok.now())
        leaders = observe(tiktok.state, rank(ads, campaign_report_lifetime.collect(), recent))
        tell_ranking(context, leaders)
        return leaders

    return _top_spenders


def _read_at(ads: pl.DataFrame) -> datetime | None:
    newest = ads.get_column("fetched_at").max()
    return newest if isinstance(newest, datetime) else None


def recent_days(
    store: HiveStore, columns: Iterable[Column], advertiser_ids: Iterable[str], read_at: datetime
) -> Recent:
    """The newest complete days of each account, without a gap, as many as the longest window has.

    Args:
        store: with `ad_report_daily`.
        columns: of that table.
        advertiser_ids: whose days.
        read_at: when the ranking's reports were read; days that end long before are left out.
    """
    days = {one: _complete_days(store, one, read_at.date()) for one in advertiser_ids}
    schema = schema_of(columns)
    frames = [
        store.scan(RECENT_SOURCE, schema, advertiser_ids=[one], days=theirs).collect()
        for one, theirs in days.items()
    ]
    return Recent(
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


def _complete_days(store: HiveStore, advertiser_id: str, today: date) -> list[date]:
    """Newest first. Each day is probed by its name: an object store has no cheap list of them."""
    found: list[date] = []
    day = today + timedelta(1)  # accounts ahead of UTC
    while len(found) < max(WINDOWS):
        if is_complete(store.notes(RECENT_SOURCE, Partition(advertiser_id, day))):
            found.append(day)
        elif found or day <= today - timedelta(STALE_AFTER_DAYS):
            break
        day -= timedelta(1)
    return found

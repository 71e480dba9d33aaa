"""Define the `scaling` group: duplication candidates, the duplications made, and their results."""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from tiktok_assets.defs.automation_conditions import sources_updated_and_idle
from tiktok_assets.defs.metadata import build_table_metadata
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.partitions import SINGLE_RUN
from tiktok_assets.defs.plots import add_rows_metadata
from tiktok_assets.defs.table_catalog import (
    AD_DUPLICATIONS,
    AD_REPORT_DAILY,
    DUPLICATION_CANDIDATES,
    DUPLICATION_RESULTS,
    TABLE_DESCRIPTIONS,
    TOP_SPENDERS,
    TRIGGERING_SOURCES,
)
from tiktok_assets.duplication import (
    AD_STEP,
    DONE,
    DUPLICATIONS_COLUMNS,
    RESULTS_COLUMNS,
    Ledger,
    LedgerEntry,
    build_duplications_table,
    build_results_table,
    find_compared_days,
)
from tiktok_assets.ingest import is_partition_complete
from tiktok_assets.settings import Settings
from tiktok_assets.spec import REPORTS_BY_TABLE, report_columns
from tiktok_assets.storage import HiveStore, Partition, utc_now
from tiktok_assets.tables import build_schema
from tiktok_assets.top_spenders import CANDIDATES_COLUMNS, build_candidates_table

SCALING_GROUP = "scaling"


def build_duplication_candidates_asset(settings: Settings) -> dg.AssetsDefinition:
    """Build the `duplication_candidates` asset, an export of the state."""
    names = Names(settings)

    @dg.asset(
        key=names.key(DUPLICATION_CANDIDATES),
        group_name=SCALING_GROUP,
        kinds={"polars", "parquet"},
        description="Ads that became the top spender of their campaign: flagged, or held back with the reason.",
        metadata=build_table_metadata(CANDIDATES_COLUMNS),
        partitions_def=names.advertisers,
        backfill_policy=SINGLE_RUN,
        automation_condition=sources_updated_and_idle(names, *TRIGGERING_SOURCES[DUPLICATION_CANDIDATES]),
        deps=names.keys([TOP_SPENDERS, "campaigns", "ad_groups", "ads"]),
        io_manager_key=names.io_manager,
        required_resource_keys=names.required_resources,
    )
    def _duplication_candidates(context: dg.AssetExecutionContext) -> pl.DataFrame:
        tiktok = names.session(context)
        keys = list(context.partition_keys)
        return add_rows_metadata(
            context, build_candidates_table(tiktok.state, tiktok.store, settings, tiktok.now(), keys)
        )

    return _duplication_candidates


def build_ad_duplications_asset(settings: Settings) -> dg.AssetsDefinition:
    """Build the `ad_duplications` asset, an export of the ledger."""
    names = Names(settings)

    @dg.asset(
        key=names.key(AD_DUPLICATIONS),
        group_name=SCALING_GROUP,
        kinds={"polars", "parquet"},
        description=TABLE_DESCRIPTIONS[AD_DUPLICATIONS],
        metadata=build_table_metadata(DUPLICATIONS_COLUMNS),
        partitions_def=names.advertisers,
        backfill_policy=SINGLE_RUN,
        automation_condition=sources_updated_and_idle(names, *TRIGGERING_SOURCES[AD_DUPLICATIONS]),
        deps=names.keys(["ads"]),
        io_manager_key=names.io_manager,
        required_resource_keys=names.required_resources,
    )
    def _ad_duplications(context: dg.AssetExecutionContext) -> pl.DataFrame:
        entries = Ledger(names.session(context).state).entries(list(context.partition_keys))
        return add_rows_metadata(context, build_duplications_table(entries, utc_now()))

    return _ad_duplications


def build_duplication_results_asset(settings: Settings) -> dg.AssetsDefinition:
    """Build the `duplication_results` asset, which needs the daily ad report."""
    schema = build_schema(report_columns(REPORTS_BY_TABLE[AD_REPORT_DAILY], settings.chosen_metrics))
    names = Names(settings)

    @dg.asset(
        key=names.key(DUPLICATION_RESULTS),
        group_name=SCALING_GROUP,
        kinds={"polars", "parquet"},
        description=TABLE_DESCRIPTIONS[DUPLICATION_RESULTS],
        metadata=build_table_metadata(RESULTS_COLUMNS),
        partitions_def=names.advertisers,
        backfill_policy=SINGLE_RUN,
        automation_condition=sources_updated_and_idle(names, *TRIGGERING_SOURCES[DUPLICATION_RESULTS]),
        deps=names.keys([AD_REPORT_DAILY, AD_DUPLICATIONS]),
        io_manager_key=names.io_manager,
        required_resource_keys=names.required_resources,
    )
    def _duplication_results(context: dg.AssetExecutionContext) -> pl.DataFrame:
        tiktok = names.session(context)
        entries = Ledger(tiktok.state).entries(list(context.partition_keys))
        done = [entry for entry in entries if entry.status == DONE]
        return add_rows_metadata(context, build_results(tiktok.store, schema, done))

    return _duplication_results


def build_results(store: HiveStore, schema: pl.Schema, entries: Sequence[LedgerEntry]) -> pl.DataFrame:
    """Compare the original and the copy of each finished duplication over the stored days of both ads."""
    ads = sorted({ad for entry in entries for ad in (entry.ad_id, entry.created_id(AD_STEP)) if ad})
    owners = sorted({entry.advertiser_id for entry in entries})
    rows = store.scan(AD_REPORT_DAILY, schema, advertiser_ids=owners).filter(pl.col("ad_id").is_in(ads)).collect()
    days = find_compared_days(entries, rows)
    complete = {
        owner: {
            day
            for day in compared
            if is_partition_complete(store.read_metadata(AD_REPORT_DAILY, Partition(owner, day)))
        }
        for owner, compared in days.items()
    }
    return build_results_table(entries, rows, complete)

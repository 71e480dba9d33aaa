"""The `insights` group: what the reports say about who leads."""

import dagster as dg
import polars as pl

from tiktok_assets.defs.catalogue import RANKING_SOURCES
from tiktok_assets.defs.io_manager import IO_MANAGER
from tiktok_assets.defs.partitions import ADVERTISERS, ONE_RUN
from tiktok_assets.defs.telling import definition_metadata
from tiktok_assets.scaling.ranking import TOP_SPENDERS_COLUMNS
from tiktok_assets.scaling.ranking import top_spenders as rank

GROUP = "insights"

AFTER_ITS_SOURCES = (
    dg.AutomationCondition.any_deps_updated().since_last_handled()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("after its sources, once they are quiet")


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "parquet"},
    description="The top-spending ad of each campaign over its whole life, with runner-up, share and lead.",
    metadata=definition_metadata(TOP_SPENDERS_COLUMNS),
    partitions_def=ADVERTISERS,
    backfill_policy=ONE_RUN,
    automation_condition=AFTER_ITS_SOURCES,
    ins={table: dg.AssetIn(input_manager_key=IO_MANAGER) for table in RANKING_SOURCES},
    io_manager_key=IO_MANAGER,
)
def top_spenders(ad_report_lifetime: pl.LazyFrame, campaign_report_lifetime: pl.LazyFrame) -> pl.DataFrame:
    """Rank the stored lifetime reports."""
    return rank(ad_report_lifetime.collect(), campaign_report_lifetime.collect())

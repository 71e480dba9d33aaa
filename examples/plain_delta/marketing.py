"""A project with TikTok tables and two Delta tables of its own built from them."""

import os

import dagster as dg
import polars as pl
from dagster_delta import LocalConfig
from dagster_delta.io_manager.polars import DeltaLakePolarsIOManager

from tiktok_assets.definitions import build_definitions
from tiktok_assets.settings import load_settings

# `hive_parquet` of tiktok_assets reads the tables; what these assets return goes through the IO manager below.
FROM_TIKTOK = dg.AssetIn(input_manager_key="hive_parquet")
AFTER_NEW_DATA = (
    dg.AutomationCondition.any_deps_updated().since_last_handled()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
)


@dg.asset(
    ins={"advertiser_report_daily": FROM_TIKTOK},
    key_prefix="marketing",
    group_name="marketing",
    kinds={"deltalake", "polars"},
    automation_condition=AFTER_NEW_DATA,
)
def spend_by_day(advertiser_report_daily: pl.LazyFrame) -> pl.DataFrame:
    """Select what each account spent on each day."""
    columns = ("advertiser_id", "date", "currency", "spend", "impressions", "clicks")
    return advertiser_report_daily.select(columns).sort("advertiser_id", "date").collect()


@dg.asset(
    key_prefix="marketing",
    group_name="marketing",
    kinds={"deltalake", "polars"},
    automation_condition=dg.AutomationCondition.eager(),
)
def spend_by_week(spend_by_day: pl.DataFrame) -> pl.DataFrame:
    """Sum what each account spent in each week, read from Delta and written to it."""
    week = pl.col("date").dt.truncate("1w").alias("week")
    weeks = spend_by_day.group_by("advertiser_id", "currency", week).agg(
        pl.col("spend", "impressions", "clicks").sum()
    )
    return weeks.sort("advertiser_id", "week")


defs = dg.Definitions.merge(
    build_definitions(load_settings()),
    dg.Definitions(
        assets=[spend_by_day, spend_by_week],
        resources={
            "io_manager": DeltaLakePolarsIOManager(
                root_uri=os.environ.get("MARKETING_DELTA", "delta"), storage_options=LocalConfig()
            )
        },
        executor=dg.in_process_executor,
    ),
)

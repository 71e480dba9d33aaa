"""Build the Dagster definitions of this project from the settings."""

import dagster as dg

from tiktok_assets.defs.account_assets import ACCOUNT_ASSETS
from tiktok_assets.defs.alert_sensors import build_deliver_alerts_sensor, build_run_failure_alert_sensor
from tiktok_assets.defs.checks import build_table_checks
from tiktok_assets.defs.derived_assets import build_overview_asset, build_top_spenders_asset, build_warehouse_asset
from tiktok_assets.defs.jobs import build_backfill_history_job, build_derived_job, build_refresh_jobs
from tiktok_assets.defs.metadata import add_owners_and_tags
from tiktok_assets.defs.refresh_sensors import (
    build_advertiser_partitions_sensor,
    build_derived_assets_sensor,
    build_refresh_sequence_sensor,
)
from tiktok_assets.defs.report_assets import build_report_asset, build_restatements_asset
from tiktok_assets.defs.resources import IO_MANAGER, HiveParquetIOManager, build_session_resource
from tiktok_assets.defs.scaling_assets import (
    build_ad_duplications_asset,
    build_duplication_candidates_asset,
    build_duplication_results_asset,
)
from tiktok_assets.defs.scaling_jobs import duplicate_ad, flag_top_spender
from tiktok_assets.defs.scaling_sensors import build_duplication_sensors, build_new_top_spender_sensor
from tiktok_assets.defs.schedules import build_daily_refresh_schedule
from tiktok_assets.defs.table_catalog import DUPLICATION_RESULTS, TOP_SPENDERS, get_stored_tables
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, load_settings, require_storable_version
from tiktok_assets.spec.derived_tables import RESTATEMENTS
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.tables.schema import build_schema


def build_definitions(settings: Settings, *, session: Session | None = None) -> dg.Definitions:
    """Build all assets, checks, jobs, schedules, sensors and resources, to load alone or merge into your own.

    Args:
        settings: as returned by `settings.load_settings`.
        session: shared by all runs of this process and closed by the caller; None opens one session per run.

    Raises:
        SettingsError: if the settings choose an API version other than the one the tables are declared in.
    """
    require_storable_version(settings)
    checks = build_table_checks(settings)
    jobs = build_refresh_jobs(settings, checks)
    schemas = {name: build_schema(columns) for name, columns in get_stored_tables(settings).items()}
    assets = [
        *ACCOUNT_ASSETS,
        *(build_report_asset(report, settings) for report in settings.chosen_reports),
        *([build_restatements_asset(settings)] if RESTATEMENTS in schemas else []),
        *([build_top_spenders_asset(settings)] if TOP_SPENDERS in schemas else []),
        *([build_duplication_candidates_asset(settings)] if TOP_SPENDERS in schemas else []),
        build_ad_duplications_asset(),
        *([build_duplication_results_asset(settings)] if DUPLICATION_RESULTS in schemas else []),
        build_overview_asset(settings),
        build_warehouse_asset(settings),
    ]
    return dg.Definitions(
        assets=add_owners_and_tags(assets, settings),
        asset_checks=checks,
        jobs=[
            *jobs.values(),
            build_derived_job(settings, checks),
            build_backfill_history_job(settings),
            *([flag_top_spender] if TOP_SPENDERS in schemas else []),
            # In `alert` mode no job that writes to TikTok is registered.
            *([] if settings.scaling_mode == "alert" else [duplicate_ad]),
        ],
        schedules=[build_daily_refresh_schedule(settings)],
        sensors=[
            build_advertiser_partitions_sensor(settings),
            build_refresh_sequence_sensor(settings, jobs),
            build_derived_assets_sensor(settings),
            build_deliver_alerts_sensor(settings),
            build_run_failure_alert_sensor(settings),
            *([build_new_top_spender_sensor(settings, session)] if TOP_SPENDERS in schemas else []),
            *build_duplication_sensors(settings, session),
        ],
        resources={
            "tiktok": build_session_resource(settings, session),
            IO_MANAGER: HiveParquetIOManager(HiveStore(settings.data_dir), schemas),
        },
        # A refresh waits for requests, not for processor cores: one process per run saves seconds per step.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions that `dagster dev` and `dg dev` load."""
    return build_definitions(load_settings())

"""The composition root: settings in, Definitions out."""

import dagster as dg

from tiktok_assets.defs.account import ACCOUNT_ASSETS
from tiktok_assets.defs.alerting import deliver_alerts_sensor, run_failure_alert_sensor
from tiktok_assets.defs.automation import (
    advertiser_partitions_sensor,
    daily_refresh_schedule,
    derived_assets_sensor,
    derived_job,
    refresh_jobs,
    refresh_sequence_sensor,
)
from tiktok_assets.defs.catalogue import RANKING, RESULTS, stored_tables
from tiktok_assets.defs.checks import table_checks
from tiktok_assets.defs.duplicating import (
    ad_duplications_asset,
    duplicate_ad,
    duplication_results_asset,
)
from tiktok_assets.defs.duplication_sensors import duplication_sensors
from tiktok_assets.defs.history import backfill_history_job
from tiktok_assets.defs.insights import top_spenders_asset
from tiktok_assets.defs.io_manager import IO_MANAGER, HiveParquetIOManager
from tiktok_assets.defs.labels import labelled
from tiktok_assets.defs.overview import overview_asset
from tiktok_assets.defs.reports import report_asset
from tiktok_assets.defs.resources import session_resource
from tiktok_assets.defs.restatements import restatements_asset
from tiktok_assets.defs.scaling import (
    duplication_candidates_asset,
    flag_top_spender,
    new_top_spender_sensor,
)
from tiktok_assets.defs.serving import warehouse_asset
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, load_settings, require_storable
from tiktok_assets.spec.restatements import RESTATEMENTS
from tiktok_assets.storage.hive_parquet import HiveStore
from tiktok_assets.tables import schema_of


def build_definitions(settings: Settings, *, session: Session | None = None) -> dg.Definitions:
    """Everything this project adds to a Dagster deployment; merge it into your own, or load it as it is.

    Args:
        settings: see `settings.load_settings`.
        session: shared by all runs of this process and closed by the caller; None for one a run.

    Raises:
        SettingsError: if the settings only allow to look at an account.
    """
    require_storable(settings)
    checks = table_checks(settings)
    jobs = refresh_jobs(settings, checks)
    schemas = {name: schema_of(columns) for name, columns in stored_tables(settings).items()}
    assets = [
        *ACCOUNT_ASSETS,
        *(report_asset(report, settings) for report in settings.chosen_reports),
        *([restatements_asset(settings)] if RESTATEMENTS in schemas else []),
        *([top_spenders_asset(settings)] if RANKING in schemas else []),
        *([duplication_candidates_asset(settings)] if RANKING in schemas else []),
        ad_duplications_asset(),
        *([duplication_results_asset(settings)] if RESULTS in schemas else []),
        overview_asset(settings),
        warehouse_asset(settings),
    ]
    return dg.Definitions(
        assets=labelled(assets, settings),
        asset_checks=checks,
        jobs=[
            *jobs.values(),
            derived_job(settings, checks),
            backfill_history_job(settings),
            *([flag_top_spender] if RANKING in schemas else []),
            # Where the settings only tell, nothing that writes to TikTok can be launched.
            *([] if settings.scaling_mode == "alert" else [duplicate_ad]),
        ],
        schedules=[daily_refresh_schedule(settings)],
        sensors=[
            advertiser_partitions_sensor(settings),
            refresh_sequence_sensor(settings, jobs),
            derived_assets_sensor(settings),
            deliver_alerts_sensor(settings),
            run_failure_alert_sensor(settings),
            *([new_top_spender_sensor(settings, session)] if RANKING in schemas else []),
            *duplication_sensors(settings, session),
        ],
        resources={
            "tiktok": session_resource(settings, session),
            IO_MANAGER: HiveParquetIOManager(HiveStore(settings.data_dir), schemas),
        },
        # Requests, not processor cores, are what a refresh waits for: one process a run saves seconds a step.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The code location: what `dagster dev` and `dg dev` load."""
    return build_definitions(load_settings())

"""Build the Dagster definitions of this project from the settings."""

from pathlib import Path

import dagster as dg

from tiktok_assets.creatives import CREATIVES
from tiktok_assets.defs import (
    DUPLICATION_RESULTS,
    TOP_SPENDERS,
    UNPARTITIONED_DERIVED_TABLES,
    HiveParquetIOManager,
    Names,
    add_attributes,
    build_account_assets,
    build_ad_duplications_asset,
    build_advertiser_partitions_sensor,
    build_backfill_history_job,
    build_creative_tables,
    build_daily_refresh_schedule,
    build_deliver_alerts_sensor,
    build_derived_assets_sensor,
    build_derived_job,
    build_duplicate_job,
    build_duplication_candidates_asset,
    build_duplication_results_asset,
    build_duplication_sensors,
    build_flag_job,
    build_gmv_max_report_asset,
    build_new_top_spender_sensor,
    build_overview_asset,
    build_refresh_jobs,
    build_refresh_sequence_sensor,
    build_report_asset,
    build_restatements_asset,
    build_run_failure_alert_sensor,
    build_session_resource,
    build_table_checks,
    build_top_spenders_asset,
    build_warehouse_asset,
    get_stored_tables,
)
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, SettingsError, load_settings, require_storable_version
from tiktok_assets.spec import RESTATEMENTS
from tiktok_assets.storage import HiveStore
from tiktok_assets.tables import build_schema


def build_definitions(
    settings: Settings, *, session: Session | None = None, executor: dg.ExecutorDefinition | None = None
) -> dg.Definitions:
    """Build all assets, checks, jobs, schedules, sensors and resources, to load alone or merge into your own.

    With `key_prefix` in the settings all names carry the prefix, so that several sets can be merged.

    Args:
        settings: as returned by `settings.load_settings`.
        session: shared by all runs of this process and closed by the caller; None opens one session per run.
        executor: of materializations that are started without a job; None leaves it to the project these
            definitions are merged into. The jobs have one of their own, which runs each step in the run's process.

    Raises:
        SettingsError: if the settings choose an API version other than the one the tables are declared in, or one
            key for two tables.
    """
    require_storable_version(settings)
    names = Names(settings)
    _require_distinct_keys(settings)
    checks = build_table_checks(settings)
    jobs = build_refresh_jobs(settings, checks)
    flag_job, duplicate_job = build_flag_job(settings), build_duplicate_job(settings)
    schemas = {name: build_schema(columns) for name, columns in get_stored_tables(settings).items()}
    assets = [
        *build_account_assets(settings),
        *(build_report_asset(report, settings) for report in settings.chosen_reports),
        *(build_gmv_max_report_asset(report, settings) for report in settings.chosen_gmv_max_reports),
        *([build_restatements_asset(settings)] if RESTATEMENTS in schemas else []),
        *([build_creative_tables(settings)] if CREATIVES in schemas else []),
        *([build_top_spenders_asset(settings)] if TOP_SPENDERS in schemas else []),
        *([build_duplication_candidates_asset(settings)] if TOP_SPENDERS in schemas else []),
        build_ad_duplications_asset(settings),
        *([build_duplication_results_asset(settings)] if DUPLICATION_RESULTS in schemas else []),
        build_overview_asset(settings),
        build_warehouse_asset(settings),
    ]
    return dg.Definitions(
        assets=add_attributes(assets, settings),
        asset_checks=checks,
        jobs=[
            *jobs.values(),
            build_derived_job(settings, checks),
            build_backfill_history_job(settings),
            *([flag_job] if TOP_SPENDERS in schemas else []),
            # In `alert` mode no job that writes to TikTok is registered.
            *([] if settings.scaling_mode == "alert" else [duplicate_job]),
        ],
        schedules=[build_daily_refresh_schedule(settings)],
        sensors=[
            build_advertiser_partitions_sensor(settings),
            build_refresh_sequence_sensor(settings, jobs),
            build_derived_assets_sensor(settings),
            build_deliver_alerts_sensor(settings),
            build_run_failure_alert_sensor(settings),
            *([build_new_top_spender_sensor(settings, flag_job, session)] if TOP_SPENDERS in schemas else []),
            *build_duplication_sensors(settings, duplicate_job, session),
        ],
        resources={
            names.session_resource: build_session_resource(settings, session),
            names.io_manager: HiveParquetIOManager(HiveStore(settings.data_dir), schemas, names),
        },
        executor=executor,
    )


def _require_distinct_keys(settings: Settings) -> None:
    """Reject a key of a table that does not exist, and one that another table has."""
    names = Names(settings)
    tables = {table: names.key(table) for table in (*get_stored_tables(settings), *UNPARTITIONED_DERIVED_TABLES)}
    if unknown := sorted(settings.asset_keys.keys() - tables.keys()):
        raise SettingsError(
            f"TIKTOK_ASSET_KEYS cannot be used: no table is called {unknown[0]!r}. The tables are"
            f" {', '.join(tables)}."
        )
    for table, key in tables.items():
        if others := [other for other, taken in tables.items() if taken == key and other != table]:
            raise SettingsError(
                f"TIKTOK_ASSET_KEYS cannot be used: {key.to_user_string()!r} is the key of {table} and of"
                f" {others[0]}. Give each table its own."
            )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions that `dagster dev` and `dg dev` load."""
    # A refresh waits for requests, not for processor cores: one process per run saves seconds per step.
    own = build_definitions(load_settings(), executor=dg.in_process_executor)
    folder = Path(__file__).parent
    if not (folder.parent / "pyproject.toml").is_file():  # installed as a package, not as a `dg` project
        return own
    # What `dg scaffold defs` writes into `defs/` of this project stands beside it.
    return dg.Definitions.merge(own, dg.load_from_defs_folder(path_within_project=folder))

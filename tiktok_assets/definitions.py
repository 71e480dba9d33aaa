"""Build the Dagster definitions of this project from the settings."""

from collections.abc import Collection, Mapping
from pathlib import Path

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; Dagster exports no name for it
)

from tiktok_assets.defs import (
    OwnRuns,
    Publication,
    build_advertiser_partitions_sensor,
    build_all_assets,
    build_backfill_history_job,
    build_compaction_job,
    build_compaction_schedule,
    build_daily_refresh_schedule,
    build_deliver_alerts_sensor,
    build_derived_assets_sensor,
    build_derived_job,
    build_duplicate_job,
    build_duplication_sensors,
    build_flag_job,
    build_new_top_spender_sensor,
    build_publish_jobs,
    build_publish_sensors,
    build_refresh_jobs,
    build_refresh_sequence_sensor,
    build_resources,
    build_run_failure_alert_sensor,
    build_table_checks,
    change_settings,
    get_destination_assets,
    list_published_tables,
    replace_groups,
    require_complete_selection,
    require_distinct_keys,
    stores_top_spenders,
)
from tiktok_assets.naming import PUBLISHED
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, load_settings, require_storable_version

__all__ = ["Publication", "build_definitions", "defs"]


def build_definitions(
    settings: Settings,
    *,
    key_prefix: str | None = None,
    group_name: str | Mapping[str, str] | None = None,
    include: Collection[str] | None = None,
    executor: dg.ExecutorDefinition | None = None,
    published: Publication | None = None,
    alerts_of_all_runs: bool = False,
    session: Session | None = None,
) -> dg.Definitions:
    """Build all assets, checks, jobs, schedules, sensors and resources, to merge into a project of your own.

    With a key prefix all names carry it, so that several sets can be merged, and so that your own assets,
    schedules and resources can have the same names. No executor and no IO manager of the project is replaced.

    Args:
        settings: as returned by `settings.load_settings`.
        key_prefix: replaces that of the settings.
        group_name: one group for all assets, or the new names of some groups.
        include: the tables and pages that exist, by name; replaces that of the settings.
        executor: of our own jobs; None for one that runs each step in the process of its run, because a step waits
            for requests, not for processor cores. What is materialized without a job has the project's executor.
        published: the tables that go through an IO manager of the project as well.
        alerts_of_all_runs: also send alerts of failed runs that hold neither our assets nor our jobs.
        session: shared by all runs of this process and closed by the caller; None opens one session per run.

    Raises:
        SettingsError: if a setting or an argument cannot be used; one sentence that says how to fix it.
    """
    settings = change_settings(settings, key_prefix=key_prefix, include=include)
    require_storable_version(settings)
    tables = [f"{PUBLISHED}/{table}" for table in list_published_tables(settings, published)]
    require_complete_selection(settings)
    require_distinct_keys(settings, [*tables, *get_destination_assets(settings)])
    checks = build_table_checks(settings)
    used, has_ranking = executor or dg.in_process_executor, stores_top_spenders(settings)
    stages, publish_jobs = build_refresh_jobs(settings, checks, used), build_publish_jobs(settings, used)
    compaction_job = build_compaction_job(settings, used)
    flag_job, duplicate_job = build_flag_job(settings, used), build_duplicate_job(settings, used)
    jobs: list[dg.JobDefinition | UnresolvedAssetJobDefinition] = [
        *stages.values(),
        build_derived_job(settings, checks, used),
        build_backfill_history_job(settings, used),
        compaction_job,
        *([flag_job] if has_ranking else []),
        *publish_jobs.values(),
        # In `alert` mode no job that writes to TikTok is registered.
        *([] if settings.scaling_mode == "alert" else [duplicate_job]),
    ]
    assets = replace_groups(build_all_assets(settings, published), group_name)
    own = OwnRuns.find(dg.Definitions(assets=assets, jobs=jobs))
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=jobs,
        schedules=[build_daily_refresh_schedule(settings), build_compaction_schedule(settings, compaction_job)],
        sensors=[
            build_advertiser_partitions_sensor(settings),
            build_refresh_sequence_sensor(settings, stages),
            build_derived_assets_sensor(settings, tables),
            build_deliver_alerts_sensor(settings),
            build_run_failure_alert_sensor(settings, None if alerts_of_all_runs else own),
            *([build_new_top_spender_sensor(settings, flag_job, session)] if has_ranking else []),
            *build_duplication_sensors(settings, duplicate_job, session),
            *build_publish_sensors(settings, publish_jobs),
        ],
        resources=build_resources(settings, session),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions that `dagster dev` and `dg dev` load."""
    own = build_definitions(load_settings(), alerts_of_all_runs=True)
    # A refresh waits for requests, not for processor cores: one process per run saves seconds per step.
    project = [own, dg.Definitions(executor=dg.in_process_executor)]
    folder = Path(__file__).parent
    if (folder.parent / "pyproject.toml").is_file():  # not installed as a package: a `dg` project
        # What `dg scaffold defs` writes into `defs/` of this project stands beside it.
        project.append(dg.load_from_defs_folder(path_within_project=folder))
    return dg.Definitions.merge(*project)

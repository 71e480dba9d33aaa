"""Define the jobs of a refresh and of the derived tables."""

from collections.abc import Iterator, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; Dagster exports no name for it
)

from tiktok_assets.creatives import CREATIVE_DAILY, CREATIVE_DECLINES, CREATIVES
from tiktok_assets.defs.account_assets import ADVERTISERS_CHECKS, list_account_tables
from tiktok_assets.defs.checks import CHECK_TABLES_JOB, TableChecks, build_check_job
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.refresh_stages import PartitionRange, RefreshStage
from tiktok_assets.defs.report_assets import get_daily_tables
from tiktok_assets.defs.run_tags import REFRESH_TAG, STAGE_RUN_COUNT_TAG
from tiktok_assets.defs.table_catalog import (
    ACCOUNT_OVERVIEW,
    AD_DUPLICATIONS,
    DUPLICATION_CANDIDATES,
    DUPLICATION_RESULTS,
    TOP_SPENDERS,
    get_stored_tables,
)
from tiktok_assets.settings import Settings
from tiktok_assets.spec import ADVERTISERS


def get_stage_tables(settings: Settings) -> dict[RefreshStage, list[str]]:
    """Return the tables that each refresh stage fills; a stage without tables is left out."""
    reports = settings.chosen_reports
    tables: dict[RefreshStage, list[str]] = {
        "refresh_accounts": list_account_tables(settings),
        "refresh_daily": get_daily_tables(settings),
        "refresh_lifetime": [report.table for report in reports if report.cadence == "lifetime"],
    }
    return {stage: names for stage, names in tables.items() if names}


DERIVED_JOB = "refresh_derived"

UNPARTITIONED_DERIVED_TABLES = (ACCOUNT_OVERVIEW, "warehouse")
"""The derived tables without partitions, which are built from all other tables."""

DERIVED_TABLES = (
    CREATIVES,
    CREATIVE_DAILY,
    CREATIVE_DECLINES,
    TOP_SPENDERS,
    DUPLICATION_CANDIDATES,
    AD_DUPLICATIONS,
    DUPLICATION_RESULTS,
    *UNPARTITIONED_DERIVED_TABLES,
)


def get_derived_tables(settings: Settings) -> list[str]:
    """Return the tables computed from stored tables; those whose source reports are not chosen are left out."""
    stored = get_stored_tables(settings)
    return [
        table
        for table in DERIVED_TABLES
        if (table in UNPARTITIONED_DERIVED_TABLES and settings.includes(table)) or table in stored
    ]


_JOB_DESCRIPTIONS: dict[RefreshStage, str] = {
    "refresh_accounts": "The current accounts, campaigns, ad groups and ads.",
    "refresh_daily": "The daily reports of a range of days.",
    "refresh_lifetime": "The lifetime reports.",
}


def build_refresh_jobs(
    settings: Settings, checks: TableChecks, executor: dg.ExecutorDefinition = dg.in_process_executor
) -> dict[str, UnresolvedAssetJobDefinition]:
    """Build a job per refresh stage, since one job cannot mix partition definitions, and the job of the checks."""
    names = Names(settings)
    stages: dict[str, UnresolvedAssetJobDefinition] = {
        stage: dg.define_asset_job(
            names.name(stage),
            selection=_select_without_checks(names, tables, checks),
            description=_JOB_DESCRIPTIONS[stage],
            executor_def=executor,
        )
        for stage, tables in get_stage_tables(settings).items()
    }
    return stages | {CHECK_TABLES_JOB: build_check_job(settings, checks, executor)}


def _select_without_checks(names: Names, tables: Sequence[str], checks: TableChecks) -> dg.AssetSelection:
    """Select assets without the checks of `check_tables`, which each run of a stage would repeat."""
    return names.select(tables) - dg.AssetSelection.checks(*checks)


def build_derived_job(
    settings: Settings, checks: TableChecks, executor: dg.ExecutorDefinition = dg.in_process_executor
) -> UnresolvedAssetJobDefinition:
    """Build the job to rebuild the derived tables by hand; the sensor `derived_assets` does it automatically."""
    names = Names(settings)
    return dg.define_asset_job(
        names.name(DERIVED_JOB),
        selection=_select_without_checks(names, get_derived_tables(settings), checks),
        executor_def=executor,
        description="Top spenders, overview and warehouse, from the stored tables.",
    )


def build_run_requests(
    settings: Settings, stage: RefreshStage, refresh: str, ranges: list[PartitionRange]
) -> Iterator[dg.RunRequest]:
    """Yield the run requests of a stage; their run keys make Dagster launch each only once."""
    names = Names(settings)
    advertisers = names.key(ADVERTISERS.table)
    for number, partition_range in enumerate(ranges):
        # `advertisers` has no partitions: the first run of the stage reads it for all runs.
        assets = [key for key in names.keys(list_account_tables(settings)) if not number or key != advertisers]
        check_keys = [] if number else [dg.AssetCheckKey(advertisers, name) for name in ADVERTISERS_CHECKS]
        yield dg.RunRequest(
            run_key=f"{refresh}:{stage}:{partition_range.name}",
            job_name=names.name(stage),
            tags={names.tag(REFRESH_TAG): refresh, STAGE_RUN_COUNT_TAG: str(len(ranges)), **partition_range.tags},
            asset_selection=assets if stage == "refresh_accounts" else None,
            # Only the checks the steps evaluate themselves; Dagster would add every check of a selected asset.
            asset_check_keys=check_keys if stage == "refresh_accounts" else None,
        )

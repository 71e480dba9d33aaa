"""Define the jobs of a refresh, of the derived tables and of the history backfill."""

from collections.abc import Iterable, Iterator, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; Dagster exports no name for it
)

from tiktok_assets.creatives import CREATIVE_DAILY, CREATIVE_DECLINES, CREATIVES
from tiktok_assets.defs.account_assets import ADVERTISERS_CHECKS, list_account_tables
from tiktok_assets.defs.checks import CHECK_TABLES_JOB, TableChecks, build_check_job
from tiktok_assets.defs.gmv_max_assets import read_gmv_max_partitions
from tiktok_assets.defs.metadata import record_partitions
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.progress import describe_plan, log_progress
from tiktok_assets.defs.refresh_stages import PartitionRange, RefreshStage, find_advertisers_to_refresh
from tiktok_assets.defs.report_assets import get_daily_reports, get_daily_tables, read_report_partitions
from tiktok_assets.defs.run_tags import REFRESH_TAG, STAGE_RUN_COUNT_TAG
from tiktok_assets.defs.table_catalog import (
    ACCOUNT_OVERVIEW,
    AD_DUPLICATIONS,
    DUPLICATION_CANDIDATES,
    DUPLICATION_RESULTS,
    TOP_SPENDERS,
    get_stored_tables,
)
from tiktok_assets.ingest import (
    FailedPartitions,
    WrittenPartition,
    find_missing_days,
    list_daily_tables,
    load_accounts,
    refresh_restatements,
)
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec import ADVERTISERS, GmvMaxReport, Report
from tiktok_assets.storage import Partition
from tiktok_assets.tables import Account


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


def build_backfill_history_job(
    settings: Settings, executor: dg.ExecutorDefinition = dg.in_process_executor
) -> dg.JobDefinition:
    """Build the job `backfill_history`; launched again after a failure, it reads the days still missing."""
    reports: list[Report | GmvMaxReport] = [one for one in settings.chosen_reports if one.cadence == "daily"]
    reports += settings.chosen_gmv_max_reports
    names = Names(settings)

    @dg.op(
        name=names.name("read_missing_days"),
        description="Reads the days that were never read, in windows of thirty days.",
        required_resource_keys=names.required_resources,
    )
    def _read_missing_days(context: dg.OpExecutionContext) -> None:
        tiktok = names.session(context)
        ids = find_advertisers_to_refresh(context.instance, tiktok.store, settings)
        missing = list(_find_missing_partitions(tiktok, reports, ids, settings))
        days = {partition for _, partitions in missing for partition in partitions}
        try:
            record_partitions(context, names, _read_missing_partitions(context, tiktok, missing))
        finally:  # also after the failure of an account, since the partitions of the others were written
            record_partitions(
                context, names, refresh_restatements(tiktok.store, get_daily_reports(settings), sorted(days))
            )

    @dg.job(
        name=names.name("backfill_history"),
        executor_def=executor,
        description="Reads every day since TIKTOK_START_DATE that was never read, for every daily report.",
    )
    def _backfill_history() -> None:
        _read_missing_days()

    return _backfill_history


def _read_missing_partitions(
    context: dg.OpExecutionContext,
    session: Session,
    missing: Iterable[tuple[Report | GmvMaxReport, list[Partition]]],
) -> Iterator[WrittenPartition | FailedPartitions]:
    for report, partitions in missing:
        context.log.info(describe_plan(session, partitions, [report.table]))
        outcomes = (
            read_gmv_max_partitions(session, report, partitions)
            if isinstance(report, GmvMaxReport)
            else read_report_partitions(session, report, partitions)
        )
        yield from log_progress(context, session, report.table, outcomes, len(partitions))


def _find_missing_partitions(
    session: Session, reports: Sequence[Report | GmvMaxReport], advertiser_ids: Sequence[str], settings: Settings
) -> Iterator[tuple[Report | GmvMaxReport, list[Partition]]]:
    accounts, refused = load_accounts(session.reader, session.store, settings, advertiser_ids)
    # Reading an account without a known time zone fails with its id; skipping it would look like success.
    accounts += [Account(advertiser_id, "", "UTC") for advertiser_id in refused]
    tables = {
        account.advertiser_id: list_daily_tables(session.store, settings, account.advertiser_id)
        for account in accounts
    }
    session.store.prefetch([report.table for report in reports], tables)
    for report in reports:
        missing = [
            Partition(account.advertiser_id, day)
            for account in accounts
            if report.table in tables[account.advertiser_id]
            for day in find_missing_days(
                session.store, report.table, account, session.now(), start=settings.start_date
            )
        ]
        if missing:
            yield report, missing

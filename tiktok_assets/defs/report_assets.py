"""Define the `reports` group: daily and lifetime reports at four levels, and their restatements."""

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg

from tiktok_assets.defs.account_assets import TABLE_KINDS
from tiktok_assets.defs.metadata import (
    ALL_METRICS_SERVED_CHECK,
    build_table_metadata,
    record_materializations,
    record_partitions,
)
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.partitions import SINGLE_RUN, get_run_partitions
from tiktok_assets.defs.progress import log_accounts_without_table, log_plan, log_progress
from tiktok_assets.ingest import (
    FailedPartitions,
    WrittenPartition,
    load_accounts,
    refresh_report,
    refresh_restatements,
)
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec import (
    ADS,
    RESTATEMENT_COLUMNS,
    RESTATEMENTS,
    RESTATEMENTS_MEANING,
    SMART_PLUS_ADS,
    Report,
    report_columns,
)
from tiktok_assets.storage import Partition

REPORTS_GROUP = "reports"


def get_daily_reports(settings: Settings) -> list[str]:
    """Return the tables of the chosen daily reports, those of GMV Max included."""
    reports = [report.table for report in settings.chosen_reports if report.cadence == "daily"]
    return [*reports, *(report.table for report in settings.chosen_gmv_max_reports)]


def get_daily_tables(settings: Settings) -> list[str]:
    """Return the tables partitioned by day: the chosen daily reports and, if there are any, the restatements."""
    reports = get_daily_reports(settings)
    return [*reports, RESTATEMENTS] if reports else []


_SOURCE_TABLES = {
    "ad": ADS.table,
    "smart_plus_ad": SMART_PLUS_ADS.table,
    "smart_plus_creative": SMART_PLUS_ADS.table,
}
"""By level of a report: the table that is refreshed before it."""


def describe_report(report: Report) -> str:
    """Return the description of a report's asset."""
    if not report.condition:
        return report.meaning
    without = "has no partitions" if report.cadence == "daily" else "has a partition without rows"
    return f"{report.meaning} An account without {report.condition.meaning} {without}, and costs no request."


def build_report_asset(report: Report, settings: Settings) -> dg.AssetsDefinition:
    """Build the asset of one report, partitioned by advertiser and, for daily reports, by day."""
    is_daily, names = report.cadence == "daily", Names(settings)

    @dg.asset(
        key=names.key(report.table),
        group_name=REPORTS_GROUP,
        kinds=TABLE_KINDS,
        description=describe_report(report),
        metadata=build_table_metadata(report_columns(report, settings.chosen_metrics)),
        partitions_def=names.advertiser_days if is_daily else names.advertisers,
        backfill_policy=SINGLE_RUN,
        check_specs=[
            dg.AssetCheckSpec(
                ALL_METRICS_SERVED_CHECK,
                asset=names.key(report.table),
                description="TikTok returned every requested metric; the column of a refused metric is null.",
            )
        ],
        deps=names.keys([_SOURCE_TABLES.get(report.level.name, "advertisers")]),
        required_resource_keys=names.required_resources,
    )
    def _report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        tiktok = names.session(context)
        partitions = get_run_partitions(context)
        log_plan(context, names, partitions)
        owners = [str(partition.advertiser_id) for partition in partitions]
        without = log_accounts_without_table(context, tiktok, report, owners)
        if is_daily:
            partitions = [one for one in partitions if one.advertiser_id not in without]
        outcomes = read_report_partitions(tiktok, report, partitions)
        try:
            logged = log_progress(context, tiktok, report.table, outcomes, len(partitions))
            return record_materializations(context, names, logged, has_metrics=True)
        except dg.Failure:
            if is_daily:  # Dagster skips the restatements step after a failure, although most days were written
                record_partitions(
                    context, names, refresh_restatements(tiktok.store, get_daily_reports(settings), partitions)
                )
            raise

    return _report


def read_report_partitions(
    session: Session, report: Report, partitions: Sequence[Partition]
) -> Iterator[WrittenPartition | FailedPartitions]:
    """Read and replace these partitions of a report; partitions of accounts that cannot be loaded fail first."""
    days: dict[str, list[date]] = {}
    for partition in partitions:
        days.setdefault(str(partition.advertiser_id), []).extend([partition.day] if partition.day else [])
    accounts, refused = load_accounts(session.reader, session.store, session.settings, list(days))
    for advertiser_id, error in refused.items():
        failed = tuple(partition for partition in partitions if partition.advertiser_id == advertiser_id)
        yield FailedPartitions(report.table, failed, error)
    yield from refresh_report(
        session.reader, session.store, report, {account: days[account.advertiser_id] for account in accounts}
    )


def build_restatements_asset(settings: Settings) -> dg.AssetsDefinition:
    """Build the `report_restatements` asset, collected after the daily reports from their partition metadata."""
    names = Names(settings)

    @dg.asset(
        key=names.key(RESTATEMENTS),
        group_name=REPORTS_GROUP,
        kinds={"polars", "parquet"},
        description=RESTATEMENTS_MEANING,
        metadata=build_table_metadata(RESTATEMENT_COLUMNS),
        partitions_def=names.advertiser_days,
        backfill_policy=SINGLE_RUN,
        deps=names.keys(get_daily_reports(settings)),
        required_resource_keys=names.required_resources,
    )
    def _restatements(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        tiktok = names.session(context)
        partitions = get_run_partitions(context)
        return record_materializations(
            context, names, refresh_restatements(tiktok.store, get_daily_reports(settings), partitions)
        )

    return _restatements

"""The `reports` group: daily and lifetime reports at four levels, one asset a row of `spec.reports`."""

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg

from tiktok_assets.defs.account import KINDS
from tiktok_assets.defs.partitions import ADVERTISERS, ONE_RUN, advertiser_days, keys_of_run
from tiktok_assets.defs.progress import tell_plan, watched
from tiktok_assets.defs.restatements import daily_reports
from tiktok_assets.defs.telling import ALL_METRICS_SERVED, definition_metadata, record, record_each
from tiktok_assets.refresh.accounts import known_accounts
from tiktok_assets.refresh.outcome import Failed, Landed
from tiktok_assets.refresh.restatements import refresh_restatements
from tiktok_assets.refresh.writing import refresh_report
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.reports import Report, report_columns
from tiktok_assets.storage.hive_parquet import Partition

GROUP = "reports"


def report_asset(report: Report, settings: Settings) -> dg.AssetsDefinition:
    """The asset of one report: a partition an advertiser and day, or an advertiser."""
    daily = report.cadence == "daily"

    @dg.asset(
        name=report.table,
        group_name=GROUP,
        kinds=KINDS,
        description=report.meaning,
        metadata=definition_metadata(report_columns(report, settings.chosen_metrics)),
        partitions_def=advertiser_days(settings.start_date) if daily else ADVERTISERS,
        backfill_policy=ONE_RUN,
        check_specs=[
            dg.AssetCheckSpec(
                ALL_METRICS_SERVED,
                asset=report.table,
                description="TikTok served every metric asked for; a column of one it refused is null.",
            )
        ],
        deps=["ads" if report.level.name == "ad" else "advertisers"],
    )
    def _report(context: dg.AssetExecutionContext, tiktok: dg.ResourceParam[Session]) -> dg.MaterializeResult:
        partitions = keys_of_run(context)
        tell_plan(context, tiktok, partitions)
        outcomes = read_partitions(tiktok, report, partitions)
        try:
            told = watched(context, tiktok, report.table, outcomes, len(partitions))
            return record(context, told, has_metrics=True)
        except dg.Failure:
            if daily:  # Dagster will skip the step that gathers them, and most of the days have landed
                record_each(context, refresh_restatements(tiktok.store, daily_reports(settings), partitions))
            raise

    return _report


def read_partitions(
    session: Session, report: Report, partitions: Sequence[Partition]
) -> Iterator[Landed | Failed]:
    """Read and replace these partitions of a report; those of an account nobody can tell of fail first."""
    days: dict[str, list[date]] = {}
    for partition in partitions:
        days.setdefault(str(partition.advertiser_id), []).extend([partition.day] if partition.day else [])
    accounts, refused = known_accounts(session.reader, session.store, session.settings, list(days))
    for advertiser_id, error in refused.items():
        theirs = tuple(partition for partition in partitions if partition.advertiser_id == advertiser_id)
        yield Failed(report.table, theirs, error)
    yield from refresh_report(
        session.reader, session.store, report, {account: days[account.advertiser_id] for account in accounts}
    )

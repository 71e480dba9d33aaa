"""`backfill_history`: one job that reads every day of every account that was never read."""

from collections.abc import Iterable, Iterator, Sequence

import dagster as dg

from tiktok_assets.days import Account
from tiktok_assets.defs.progress import plan_of, watched
from tiktok_assets.defs.reports import read_partitions
from tiktok_assets.defs.restatements import daily_reports
from tiktok_assets.defs.stages import advertisers_to_refresh
from tiktok_assets.defs.telling import record_each
from tiktok_assets.refresh.accounts import known_accounts
from tiktok_assets.refresh.needed import missing_days
from tiktok_assets.refresh.outcome import Failed, Landed
from tiktok_assets.refresh.restatements import refresh_restatements
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.reports import Report
from tiktok_assets.storage.hive_parquet import Partition


def backfill_history_job(settings: Settings) -> dg.JobDefinition:
    """The job; killed and launched again, it goes on with the days still missing."""
    reports = [report for report in settings.chosen_reports if report.cadence == "daily"]

    @dg.op(name="read_missing_days", description="Reads what was never read, windows of thirty days at a time.")
    def _read_missing_days(context: dg.OpExecutionContext, tiktok: dg.ResourceParam[Session]) -> None:
        ids = advertisers_to_refresh(context.instance, tiktok.store, settings)
        holes = list(_holes(tiktok, reports, ids, settings))
        days = {partition for _, partitions in holes for partition in partitions}
        try:
            record_each(context, _outcomes(context, tiktok, holes))
        finally:  # also where an account failed: those of the others have landed
            record_each(context, refresh_restatements(tiktok.store, daily_reports(settings), sorted(days)))

    @dg.job(
        name="backfill_history",
        description="Reads every day since TIKTOK_START_DATE that was never read, for every daily report.",
    )
    def _backfill_history() -> None:
        _read_missing_days()

    return _backfill_history


def _outcomes(
    context: dg.OpExecutionContext, session: Session, holes: Iterable[tuple[Report, list[Partition]]]
) -> Iterator[Landed | Failed]:
    for report, partitions in holes:
        context.log.info(plan_of(session, partitions, [report.table]))
        outcomes = read_partitions(session, report, partitions)
        yield from watched(context, session, report.table, outcomes, len(partitions))


def _holes(
    session: Session, reports: Sequence[Report], advertiser_ids: Sequence[str], settings: Settings
) -> Iterator[tuple[Report, list[Partition]]]:
    accounts, refused = known_accounts(session.reader, session.store, settings, advertiser_ids)
    # Nobody knows their zone, but reading them fails by name; leaving them out would look like success.
    accounts += [Account(advertiser_id, "", "UTC") for advertiser_id in refused]
    for report in reports:
        holes = [
            Partition(account.advertiser_id, day)
            for account in accounts
            for day in missing_days(session.store, report.table, account, session.now(), start=settings.start_date)
        ]
        if holes:
            yield report, holes

"""Define the job `backfill_history`, which reads days that were never read, or that lack a selected column."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from tiktok_assets.api import DateWindow
from tiktok_assets.defs.gmv_max_assets import read_gmv_max_partitions
from tiktok_assets.defs.metadata import describe_refused_metrics, record_partitions
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.progress import describe_plan, log_progress
from tiktok_assets.defs.refresh_stages import find_advertisers_to_refresh
from tiktok_assets.defs.report_assets import get_daily_reports, read_report_partitions
from tiktok_assets.ingest import (
    AnyReport,
    FailedPartitions,
    WrittenPartition,
    describe_column_gaps,
    find_all_column_gaps,
    find_missing_days,
    list_daily_reports,
    list_daily_tables,
    load_accounts,
    refresh_restatements,
)
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec import GmvMaxReport
from tiktok_assets.storage import Partition
from tiktok_assets.tables import Account

BACKFILL_HISTORY_JOB = "backfill_history"
_OP = "read_missing_days"


@dataclass(frozen=True, slots=True)
class BackfillChoice:
    """The days that a backfill reads.

    Attributes:
        missing_columns: whether it reads the stored days that lack a selected column, instead of days never read.
        window: the days to look at; None for all since the start date.
        advertiser_ids: the accounts; empty for all.
        tables: the daily reports; empty for all.
    """

    missing_columns: bool = False
    window: DateWindow | None = None
    advertiser_ids: Sequence[str] = ()
    tables: Sequence[str] = ()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "BackfillChoice":
        """Create the choice from the configuration of the step.

        Raises:
            dagster.Failure: if a day is not written as YYYY-MM-DD.
        """
        try:
            first, last = (date.fromisoformat(config[name] or end) for name, end in _DAYS.items())
        except ValueError as error:
            raise dg.Failure(f"{error}; write days as YYYY-MM-DD", allow_retries=False) from None
        return cls(config["missing_columns"], DateWindow(first, last), config["advertiser_ids"], config["tables"])

    def to_run_config(self, names: Names) -> Mapping[str, Any]:
        """Return the run configuration of the job."""
        days = {"first_day": str(self.window.first), "last_day": str(self.window.last)} if self.window else {}
        chosen = {"advertiser_ids": list(self.advertiser_ids), "tables": list(self.tables)}
        return {"ops": {names.name(_OP): {"config": {"missing_columns": self.missing_columns, **days, **chosen}}}}

    def includes(self, day: date) -> bool:
        """Return whether a day is chosen."""
        return self.window is None or self.window.first <= day <= self.window.last


_DAYS = {"first_day": str(date.min), "last_day": str(date.max)}

_CONFIG = {
    "missing_columns": dg.Field(
        bool,
        default_value=False,
        description="read the stored days again that lack a column which is selected now, instead of days that"
        " were never read",
    ),
    "first_day": dg.Field(str, default_value="", description="the first day, YYYY-MM-DD; all without it"),
    "last_day": dg.Field(str, default_value="", description="the last day, YYYY-MM-DD; yesterday without it"),
    "advertiser_ids": dg.Field([str], default_value=[], description="the accounts; all without it"),
    "tables": dg.Field([str], default_value=[], description="the daily reports; all without it"),
}


def build_backfill_history_job(
    settings: Settings, executor: dg.ExecutorDefinition = dg.in_process_executor
) -> dg.JobDefinition:
    """Build the job `backfill_history`; launched again after a failure, it reads the days still missing."""
    names = Names(settings)

    @dg.op(
        name=names.name(_OP),
        description="Reads days that were never read, or that lack a selected column, in windows of thirty days.",
        required_resource_keys=names.required_resources,
        config_schema=_CONFIG,
    )
    def _read_missing_days(context: dg.OpExecutionContext) -> None:
        tiktok, choice = names.session(context), BackfillChoice.from_config(context.op_config)
        ids = [
            one
            for one in find_advertisers_to_refresh(context.instance, tiktok.store, settings)
            if not choice.advertiser_ids or one in choice.advertiser_ids
        ]
        find = _find_incomplete_partitions if choice.missing_columns else _find_missing_partitions
        missing = list(find(context, tiktok, ids, choice))
        days = {partition for _, partitions in missing for partition in partitions}
        try:
            refused = record_partitions(context, names, _read_missing_partitions(context, tiktok, missing))
        finally:  # also after the failure of an account, since the partitions of the others were written
            record_partitions(
                context, names, refresh_restatements(tiktok.store, get_daily_reports(settings), sorted(days))
            )
        if refused:
            context.log.warning("%s", describe_refused_metrics(refused))

    @dg.job(
        name=names.name(BACKFILL_HISTORY_JOB),
        executor_def=executor,
        description="Reads every day since TIKTOK_START_DATE that was never read, for every daily report; with"
        " `missing_columns: true` instead the stored days that lack a column which is selected now.",
    )
    def _backfill_history() -> None:
        _read_missing_days()

    return _backfill_history


def _read_missing_partitions(
    context: dg.OpExecutionContext, session: Session, missing: Iterable[tuple[AnyReport, list[Partition]]]
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
    _: dg.OpExecutionContext, session: Session, advertiser_ids: Sequence[str], choice: BackfillChoice
) -> Iterator[tuple[AnyReport, list[Partition]]]:
    """Yield the days of each report that were never read."""
    settings = session.settings
    accounts, refused = load_accounts(session.reader, session.store, settings, advertiser_ids)
    # Reading an account without a known time zone fails with its id; skipping it would look like success.
    accounts += [Account(advertiser_id, "", "UTC") for advertiser_id in refused]
    tables = {
        account.advertiser_id: list_daily_tables(session.store, settings, account.advertiser_id)
        for account in accounts
    }
    reports = [one for one in list_daily_reports(settings) if not choice.tables or one.table in choice.tables]
    session.store.prefetch(
        [(report.table, one) for report in reports for one, names in tables.items() if report.table in names]
    )
    for report in reports:
        missing = [
            Partition(account.advertiser_id, day)
            for account in accounts
            if report.table in tables[account.advertiser_id]
            for day in find_missing_days(
                session.store, report.table, account, session.now(), start=settings.start_date
            )
            if choice.includes(day)
        ]
        if missing:
            yield report, missing


def _find_incomplete_partitions(
    context: dg.OpExecutionContext, session: Session, advertiser_ids: Sequence[str], choice: BackfillChoice
) -> Iterator[tuple[AnyReport, list[Partition]]]:
    """Yield the stored days of each report that lack a selected column, and log which columns."""
    settings = session.settings
    accounts, _ = load_accounts(session.reader, session.store, settings, advertiser_ids)
    first, last = (choice.window.first, choice.window.last) if choice.window else (date.min, date.max)
    window = DateWindow(max(first, settings.start_date), last)
    for report, gaps in find_all_column_gaps(
        session.store, settings, choice.tables, accounts, window, now=session.now()
    ):
        for phrase in describe_column_gaps(gaps.gaps):
            context.log.info("%s: %s.", report.table, phrase)
        if gaps.partitions:
            yield report, gaps.partitions

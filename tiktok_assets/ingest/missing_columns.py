"""Find the stored days that lack a selected column because they were read before it was selected."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from tiktok_assets.api import DateWindow, PlanLine, count_pages, split_into_windows
from tiktok_assets.ingest.account_conditions import meets_condition
from tiktok_assets.ingest.column_index import MAX_OPEN_FILES, Reading, load_readings
from tiktok_assets.ingest.gmv_max import estimate_gmv_max_requests
from tiktok_assets.ingest.gmv_max_shops import load_shop_ids
from tiktok_assets.ingest.size_estimates import count_stored_rows_by_query
from tiktok_assets.settings import Settings
from tiktok_assets.spec import GmvMaxReport, Metric, Report, report_columns
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import Account

GapReason = Literal["not_selected", "refused", "other_zone", "not_granted"]

MAX_NAMED_COLUMNS = 5


@dataclass(frozen=True, slots=True)
class ColumnGap:
    """Days of an account in which the same columns of a report are null.

    Attributes:
        advertiser_id: the account.
        columns: the columns, in the order of the table.
        days: the days, in order.
        reason: why. `not_selected`: the days were read before the columns were selected, and reading them again
            fills these. `refused`: TikTok refused the metrics. `other_zone`: the days lack the columns, and
            reading them again would replace days of another time zone or currency. `not_granted`: the days lack
            the columns, and the account cannot be read.
    """

    advertiser_id: str
    columns: tuple[str, ...]
    days: tuple[date, ...]
    reason: GapReason = "not_selected"


@dataclass(frozen=True, slots=True)
class ColumnGaps:
    """The gaps of one report.

    Attributes:
        table: the report.
        gaps: one for each account, set of columns and reason.
        unknown: the number of days whose files were not opened, because there were more than allowed.
    """

    table: str
    gaps: Sequence[ColumnGap]
    unknown: int = 0

    @property
    def partitions(self) -> list[Partition]:
        """The days to read again, in order."""
        return sorted({Partition(one.advertiser_id, day) for one in self.fillable for day in one.days})

    @property
    def fillable(self) -> list[ColumnGap]:
        """The gaps that are filled by reading the days again."""
        return [one for one in self.gaps if one.reason == "not_selected"]


AnyReport = Report | GmvMaxReport


def list_columns(report: AnyReport, metrics: Iterable[Metric]) -> list[str]:
    """Return the columns of a daily report with these metrics."""
    columns = report.columns if isinstance(report, GmvMaxReport) else report_columns(report, metrics)
    return [column.name for column in columns]


def list_daily_reports(settings: Settings) -> list[AnyReport]:
    """Return the chosen daily reports, those of GMV Max included."""
    reports: list[AnyReport] = [one for one in settings.chosen_reports if one.cadence == "daily"]
    return [*reports, *settings.chosen_gmv_max_reports]


def find_column_gaps(
    store: HiveStore,
    table: str,
    columns: Sequence[str],
    accounts: Mapping[str, Account],
    window: DateWindow,
    *,
    now: datetime,
    only: Collection[str] | None = None,
    max_files: int | None = None,
) -> ColumnGaps:
    """Find the stored days of a report that lack one of its columns; see `column_index` for what that costs.

    The unfinished day of an account is left out, since the next refresh reads it.

    Args:
        store: the stored tables.
        table: a daily report.
        columns: the columns it has now.
        accounts: the accounts that can be read, by id.
        window: the days to look at.
        now: the current time, aware.
        only: the accounts to look at; None for all that are stored.
        max_files: how many files are opened at most; None for all.

    Raises:
        StoreError: if an object store does not respond.
    """
    stored = load_readings(store, table, only, max_files=max_files)
    found: dict[tuple[str, tuple[str, ...], GapReason], list[date]] = {}
    for partition, reading in stored.readings.items():
        owner, day = str(partition.advertiser_id), partition.day
        account = accounts.get(owner)
        if day is None or not window.first <= day <= window.last or (account and day >= account.today(now)):
            continue
        present = store.migrations.rename(table, reading.columns)
        for names, reason in _find_gaps(columns, present, reading, account):
            found.setdefault((owner, names, reason), []).append(day)
    gaps = [ColumnGap(owner, names, tuple(days), reason) for (owner, names, reason), days in found.items()]
    return ColumnGaps(table, gaps, len(stored.unknown))


def _find_gaps(
    columns: Sequence[str], present: Collection[str], reading: Reading, account: Account | None
) -> Iterator[tuple[tuple[str, ...], GapReason]]:
    refused = set(reading.refused)
    if absent := tuple(name for name in columns if name not in present):
        yield absent, _explain(reading, account)
    if empty := tuple(name for name in columns if name in refused):
        yield empty, "refused"


def _explain(reading: Reading, account: Account | None) -> GapReason:
    """Return why columns are absent; a day of another time zone or currency is kept as it is."""
    if account is None:
        return "not_granted"
    is_other_zone = bool(reading.timezone) and reading.timezone != account.timezone
    is_other_currency = bool(reading.currency) and reading.currency != account.currency
    return "other_zone" if is_other_zone or is_other_currency else "not_selected"


def find_all_column_gaps(
    store: HiveStore,
    settings: Settings,
    tables: Collection[str],
    accounts: Sequence[Account],
    window: DateWindow,
    *,
    now: datetime,
) -> Iterator[tuple[AnyReport, ColumnGaps]]:
    """Yield the gaps of each report, for the accounts that it is read for.

    Args:
        store: the stored tables.
        settings: the chosen reports and metrics.
        tables: the daily reports; empty for all that are chosen.
        accounts: the accounts.
        window: the days to look at.
        now: the current time, aware.
    """
    for report in list_daily_reports(settings):
        if tables and report.table not in tables:
            continue
        read = {one.advertiser_id: one for one in accounts if _is_read_for(store, report, one.advertiser_id)}
        columns = list_columns(report, settings.chosen_metrics)
        yield report, find_column_gaps(store, report.table, columns, read, window, now=now, only=read)


def _is_read_for(store: HiveStore, report: AnyReport, advertiser_id: str) -> bool:
    if isinstance(report, GmvMaxReport):
        return bool(load_shop_ids(store, advertiser_id))
    return meets_condition(store, report.condition, advertiser_id)


def plan_column_gaps(store: HiveStore, report: AnyReport, gaps: ColumnGaps) -> PlanLine:
    """Count the requests and rows for filling the gaps of a report, from the stored rows and without a request.

    Args:
        store: the stored tables.
        report: the report.
        gaps: its gaps.
    """
    days: dict[str, list[date]] = {}
    for partition in gaps.partitions:
        if partition.day:
            days.setdefault(str(partition.advertiser_id), []).append(partition.day)
    if isinstance(report, GmvMaxReport):
        requests = (estimate_gmv_max_requests(store, [report], owner, of) for owner, of in days.items())
        return PlanLine(report.table, sum(sum(one.values()) for one in requests), 0)
    with ThreadPoolExecutor(MAX_OPEN_FILES, thread_name_prefix="rows") as threads:
        counts = threads.map(lambda one: count_stored_rows_by_query(store, report, one), gaps.partitions)
        rows = dict(zip(gaps.partitions, counts, strict=True))
    pages = sum(
        count_pages(sum(of_query), report.source.page_size)
        for owner, of in days.items()
        for window in split_into_windows(of, report.window_days)
        for of_query in zip(*(rows[Partition(owner, day)] for day in window.days), strict=True)
    )
    return PlanLine(report.table, pages, sum(map(sum, rows.values())))


_TEXTS: Mapping[GapReason, tuple[str, str]] = {
    "not_selected": ("missing", ""),
    "refused": ("null", ", because TikTok refused it"),
    "other_zone": ("missing", ", which are kept: the account had another time zone or currency then"),
    "not_granted": ("missing", ", which are not read any more"),
}


def describe_column_gaps(gaps: Iterable[ColumnGap]) -> list[str]:
    """Describe gaps in one phrase for each set of columns and reason, the widest first.

    >>> gap = ColumnGap("7001", ("likes", "follows"), (date(2026, 1, 1), date(2026, 1, 3)))
    >>> describe_column_gaps([gap])
    ['likes and follows are missing in 2 days of 1 account, 2026-01-01 to 2026-01-03']
    """
    grouped: dict[tuple[tuple[str, ...], GapReason], list[ColumnGap]] = {}
    for gap in gaps:
        grouped.setdefault((gap.columns, gap.reason), []).append(gap)
    ordered = sorted(grouped.items(), key=lambda one: -sum(len(gap.days) for gap in one[1]))
    return [_describe(columns, reason, some) for (columns, reason), some in ordered]


def _describe(columns: Sequence[str], reason: GapReason, gaps: Sequence[ColumnGap]) -> str:
    state, why = _TEXTS[reason]
    days = sum(len(gap.days) for gap in gaps)
    owners = len({gap.advertiser_id for gap in gaps})
    first, last = min(gap.days[0] for gap in gaps), max(gap.days[-1] for gap in gaps)
    verb = "is" if len(columns) == 1 else "are"
    counted = f"{days:,} day{'s' * (days != 1)} of {owners:,} account{'s' * (owners != 1)}"
    return f"{_join(columns)} {verb} {state} in {counted}, {first} to {last}{why}"


def _join(columns: Sequence[str]) -> str:
    named = list(columns[:MAX_NAMED_COLUMNS])
    if more := len(columns) - len(named):
        named.append(f"{more} more")
    return " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))

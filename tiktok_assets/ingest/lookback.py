"""Select the days that daily reports have to read: yesterday, the lookback and missing days."""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

from tiktok_assets.api import DateWindow
from tiktok_assets.ingest.account_conditions import select_report_tables
from tiktok_assets.ingest.gmv_max_shops import load_shop_ids
from tiktok_assets.ingest.partitions import is_partition_complete
from tiktok_assets.settings import Settings
from tiktok_assets.spec import GMV_MAX_REPORTS_BY_TABLE, GMV_MAX_SHOPS, REPORTS_BY_TABLE
from tiktok_assets.storage import INDEXED_DAYS, HiveStore, Partition
from tiktok_assets.tables import Account

GAP_SEARCH_DAYS = 30
"""Number of past days in which a missing or incomplete day is found; one request covers the same number."""

SUNDAY = 6


def list_daily_tables(store: HiveStore, settings: Settings, advertiser_id: str) -> list[str]:
    """Return the daily reports that are read for an account; those of GMV Max need a TikTok Shop."""
    tables = [report.table for report in settings.chosen_reports if report.cadence == "daily"]
    of_shops = [report.table for report in settings.chosen_gmv_max_reports]
    return [*tables, *(of_shops if of_shops and load_shop_ids(store, advertiser_id) else [])]


def prefetch_recent_days(
    store: HiveStore, settings: Settings, advertiser_ids: Collection[str], now: datetime
) -> None:
    """Read from an object store what `select_refresh_window` needs of many accounts, many calls at a time.

    The number of calls grows with the accounts and not with the stored days.

    Args:
        store: the stored tables; nothing is done for those on a disk.
        settings: which reports are read.
        advertiser_ids: the accounts.
        now: the current time, aware.
    """
    if store.is_local:
        return
    conditions = {one.condition.table for one in settings.chosen_reports if one.condition}
    for table in {*conditions, *([GMV_MAX_SHOPS.table] if settings.chosen_gmv_max_reports else [])}:
        store.prefetch_files(table, advertiser_ids)
    tables = {one: list_daily_tables(store, settings, one) for one in advertiser_ids}
    of_shops = [
        (table, one) for one, names in tables.items() for table in names if table in GMV_MAX_REPORTS_BY_TABLE
    ]
    store.prefetch(of_shops)  # all of their days, because a table without any is not searched
    searched = [(table, one) for one, names in tables.items() for table in _select_searched(store, names, one)]
    store.prefetch(searched, now.astimezone(UTC).date() - timedelta(GAP_SEARCH_DAYS + 1))


def _select_searched(store: HiveStore, tables: Collection[str], advertiser_id: str) -> list[str]:
    """Return the daily reports of an account whose missing days are searched for."""
    optional = {table for table, report in REPORTS_BY_TABLE.items() if report.source.endpoint.is_optional}
    optional |= {
        table
        for table in GMV_MAX_REPORTS_BY_TABLE
        if table in tables and not any(True for _ in store.partitions(table, [advertiser_id]))
    }
    return select_report_tables(store, [table for table in tables if table not in optional], advertiser_id)


def select_refresh_window(
    store: HiveStore,
    tables: Collection[str],
    account: Account,
    now: datetime,
    *,
    start: date,
    lookback_days: int,
    sweep_days: int,
) -> DateWindow | None:
    """Return yesterday and the lookback, extended to the oldest missing or incomplete day of the last thirty.

    Args:
        store: the stored tables.
        tables: the daily reports; those that are not read for the account, or whose endpoint the app may lack,
            are not searched for missing days.
        account: the account, whose time zone decides which day is yesterday.
        now: the current time, aware.
        start: the first day to read.
        lookback_days: number of days before yesterday that are always read again.
        sweep_days: the same on the morning after a Sunday; 0 disables the weekly sweep.

    Returns:
        A single window, because one request reads thirty days; None before the start date.
    """
    yesterday = account.today(now) - timedelta(1)
    lookback = max(lookback_days, sweep_days if yesterday.weekday() == SUNDAY else 0)
    first = yesterday - timedelta(lookback)
    oldest = yesterday - timedelta(GAP_SEARCH_DAYS - 1)
    searched = _select_searched(store, tables, account.advertiser_id)
    for day in DateWindow(max(oldest, start), yesterday).days:
        if day >= first:
            break
        partition = Partition(account.advertiser_id, day)
        if not all(is_partition_complete(store.read_metadata(table, partition)) for table in searched):
            first = day
    first = max(first, start)
    return DateWindow(first, yesterday) if first <= yesterday else None


def find_first_open_day(settings: Settings, now: datetime) -> date:
    """Return the first day that a refresh may still plan with or read again; earlier ones are settled.

    Args:
        settings: with the lookback and the weekly sweep.
        now: the current time, aware; a day of any time zone is taken into account.
    """
    days = max(INDEXED_DAYS, GAP_SEARCH_DAYS, settings.lookback_days, settings.sweep_days)
    return now.astimezone(UTC).date() - timedelta(days + 2)


def find_missing_days(store: HiveStore, table: str, account: Account, now: datetime, *, start: date) -> list[date]:
    """Return the days from the start date to yesterday that a daily report was never read for, in order.

    An account that the report is not read for has none.
    """
    yesterday = account.today(now) - timedelta(1)
    if start > yesterday or not select_report_tables(store, [table], account.advertiser_id):
        return []
    stored = {partition.day for partition in store.partitions(table, [account.advertiser_id])}
    return [day for day in DateWindow(start, yesterday).days if day not in stored]

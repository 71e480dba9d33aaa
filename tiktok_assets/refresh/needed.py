"""Which days an account's daily reports need this morning."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from tiktok_assets.api.plan import Window
from tiktok_assets.days import Account
from tiktok_assets.refresh.notes import is_complete
from tiktok_assets.storage.hive_parquet import HiveStore, Partition

LOOKS_FOR_HOLES_DAYS = 30
"""How far back a missing or incomplete day is noticed; also what one request can cover."""

SUNDAY = 6


def days_to_refresh(
    store: HiveStore,
    tables: Iterable[str],
    account: Account,
    now: datetime,
    *,
    start: date,
    lookback_days: int,
    sweep_days: int,
) -> Window | None:
    """Yesterday and the lookback, stretched back to the oldest missing or incomplete day of the last thirty.

    Args:
        store: where the days stand.
        tables: the daily reports.
        account: whose yesterday.
        now: aware.
        start: no day before it is asked for.
        lookback_days: days before yesterday that are always read again.
        sweep_days: the same, on the morning after a Sunday; 0 is off.

    Returns:
        One window, since one request reads thirty days as easily as one; None before the start date.
    """
    yesterday = account.today(now) - timedelta(1)
    back = max(lookback_days, sweep_days if yesterday.weekday() == SUNDAY else 0)
    first = yesterday - timedelta(back)
    oldest = yesterday - timedelta(LOOKS_FOR_HOLES_DAYS - 1)
    for day in Window(max(oldest, start), yesterday).days:
        if day >= first:
            break
        if not all(is_complete(store.notes(table, Partition(account.advertiser_id, day))) for table in tables):
            first = day
    first = max(first, start)
    return Window(first, yesterday) if first <= yesterday else None


def missing_days(store: HiveStore, table: str, account: Account, now: datetime, *, start: date) -> list[date]:
    """The days from the start date to yesterday that a daily report was never read for, in order."""
    yesterday = account.today(now) - timedelta(1)
    if start > yesterday:
        return []
    stored = {partition.day for partition in store.partitions(table, [account.advertiser_id])}
    return [day for day in Window(start, yesterday).days if day not in stored]

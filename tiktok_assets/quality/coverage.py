"""Check that accounts have a time zone and a currency, and that their reports have every day."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

import polars as pl

from tiktok_assets.api.request_plan import DateWindow, split_into_windows
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.tables.account_calendar import Account, is_complete

BASELINE_DAYS = 7
"""How many days before a day say how many rows it should have."""

MAX_ROW_DROP = 0.5

STALE_AFTER = timedelta(hours=26)
"""A day and some hours: the refresh of each morning, which may be slow."""

_DAY = timedelta(1)


@dataclass(frozen=True, slots=True)
class StoredDay:
    """When a stored day was read, whether that was after everything that makes it whole, and in which zone."""

    fetched_at: datetime
    is_complete: bool
    timezone: str | None = None


def check_missing_days(account: Account, stored: Collection[date], start: date, now: datetime) -> CheckOutcome:
    """Every day from the first one read to the last was read; the stretches that were not are named.

    Days before the first one are history that nobody has asked for yet, which a note says. Whether the last one
    is recent enough is `complete_yesterday`'s question; an account of which nothing was ever read lacks every
    day to its yesterday.
    """
    last = max(stored, default=account.today(now) - _DAY)
    known = set(stored)
    expected = DateWindow(start, last).days
    windows = split_into_windows((day for day in expected if day not in known), most=len(expected))
    early = [window for window in windows if known and window.first == start]
    return CheckOutcome.of(
        (
            {"advertiser_id": account.advertiser_id, "missing": str(window), "days": str(len(window.days))}
            for window in windows
            if window not in early
        ),
        notes=(
            f"advertiser {account.advertiser_id}: {window} is not read yet; `backfill_history` reads it"
            for window in early
        ),
    )


def check_complete_yesterday(
    account: Account, readings: Mapping[date, StoredDay], start: date, now: datetime
) -> CheckOutcome:
    """The account was read within a day; yesterday came with it, and each day that was over by then came whole.

    A day is whole 16 hours after it ended at the earliest: in Los Angeles that is midnight UTC, so the
    refresh of half past noon brings yesterday, incomplete, and the day before it whole. What counts is therefore
    what could be had when the account was last read.

    Args:
        account: whose days.
        readings: the days that stand, of the last weeks at least.
        start: no day before it is expected.
        now: aware.
    """
    owner = {"advertiser_id": account.advertiser_id}
    read_at = max((reading.fetched_at for reading in readings.values()), default=None)
    if start > account.today(now) - _DAY:
        return CheckOutcome(notes=(f"the start date {start} has not passed yet",))
    if read_at is None or now - read_at > STALE_AFTER:
        when = f"last read at {read_at:%Y-%m-%d %H:%M} UTC" if read_at else "never read"
        return CheckOutcome.of([{**owner, "date": str(account.today(now) - _DAY), "why": when}])
    yesterday = account.today(read_at) - _DAY
    expected = DateWindow(max(start, min(readings)), yesterday).days
    faults = []
    for day in expected:
        reading = readings.get(day)
        if reading is None and day == yesterday:
            faults.append({**owner, "date": str(day), "why": "not read"})
        elif reading and not reading.is_complete and is_complete(day, account, read_at):
            when = f"{reading.fetched_at:%Y-%m-%d %H:%M}"
            faults.append(
                {**owner, "date": str(day), "why": f"read at {when} UTC, when it was not whole, and not since"}
            )
    return CheckOutcome.of(faults)


def check_row_drop(advertiser_id: str, rows: Mapping[date, int]) -> CheckOutcome:
    """The newest day has at least half the rows of a usual day, the median of the seven before it.

    Args:
        advertiser_id: whose.
        rows: of each stored day; a day without rows has 0.
    """
    days = sorted(rows)
    former = [rows[day] for day in days[-1 - BASELINE_DAYS : -1]]
    usual = median(former) if former else 0
    if not usual or rows[days[-1]] >= usual * (1 - MAX_ROW_DROP):
        return CheckOutcome()
    newest = days[-1]
    return CheckOutcome.of(
        [
            {
                "advertiser_id": advertiser_id,
                "date": str(newest),
                "rows": str(rows[newest]),
                "usual": f"{usual:g}",
                "percent": f"{100 * (rows[newest] / usual - 1):.0f}",
            }
        ]
    )


def check_accounts(
    advertisers: pl.DataFrame,
    wanted: Collection[str],
    *,
    zones: Mapping[str, str],
    currencies: Mapping[str, str],
) -> tuple[dict[str, Account], CheckOutcome]:
    """The active accounts with zone and currency, and those nobody can tell of.

    Active are the accounts the settings name, or else all that are granted.

    Args:
        advertisers: rows of the table.
        wanted: the accounts the settings name; empty for all.
        zones: what the settings say, which wins.
        currencies: the same.
    """
    rows = {row["advertiser_id"]: row for row in advertisers.to_dicts()}
    granted = [one for one, row in rows.items() if row["is_granted"] is not False]
    accounts, faults = dict[str, Account](), list[Mapping[str, str]]()
    for advertiser_id in sorted(set(wanted) or set(granted)):
        row = rows.get(advertiser_id, {})
        if row.get("is_granted") is False:
            continue
        account = Account.told(advertiser_id, row, zones, currencies)
        zone = account.timezone
        missing = [] if account.has_known_zone else [f"time zone {zone!r}" if zone else "time zone"]
        missing += [] if account.currency else ["currency"]
        if account.has_known_zone:
            accounts[advertiser_id] = account
        if missing:
            faults.append({"advertiser_id": advertiser_id, "missing": " and ".join(missing)})
    return accounts, CheckOutcome.of(faults)

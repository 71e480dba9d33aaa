"""Check that accounts have a time zone and a currency, and that their reports have every day."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

import polars as pl

from tiktok_assets.api import DateWindow, split_into_windows
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.tables import Account, is_complete

BASELINE_DAYS = 7
"""The number of previous days that determine how many rows a day should have."""

MAX_ROW_DROP = 0.5

STALE_AFTER = timedelta(hours=26)
"""A day and two hours, because the refresh of a morning may take long."""

_DAY = timedelta(1)


@dataclass(frozen=True, slots=True)
class StoredDay:
    """The metadata of a stored day: when it was read, whether it was complete then, and in which time zone."""

    fetched_at: datetime
    is_complete: bool
    timezone: str | None = None


def check_missing_days(account: Account, stored: Collection[date], start: date, now: datetime) -> CheckOutcome:
    """Check that every day between the first and the last stored day is stored, and list the missing windows.

    Days before the first stored one have not been backfilled yet and are only noted. Whether the last stored day
    is recent enough is checked by `check_complete_yesterday`. An account without stored days lacks every day until
    its yesterday.

    Args:
        account: the account.
        stored: the stored days.
        start: the first day of the daily reports.
        now: the current time, aware.
    """
    last = max(stored, default=account.today(now) - _DAY)
    known = set(stored)
    expected = DateWindow(start, last).days
    windows = split_into_windows((day for day in expected if day not in known), max_days=len(expected))
    not_backfilled = [window for window in windows if known and window.first == start]
    return CheckOutcome.from_faults(
        (
            {"advertiser_id": account.advertiser_id, "missing": str(window), "days": str(len(window.days))}
            for window in windows
            if window not in not_backfilled
        ),
        notes=(
            f"advertiser {account.advertiser_id}: {window} is not read yet; `backfill_history` reads it"
            for window in not_backfilled
        ),
    )


def check_complete_yesterday(
    account: Account, stored_days: Mapping[date, StoredDay], start: date, now: datetime
) -> CheckOutcome:
    """Check that an account was read within a day, with yesterday, and that older days are complete.

    A day is complete 16 hours after its end at the earliest. In Los Angeles that is midnight UTC, so the refresh
    at 12:30 UTC reads yesterday incomplete and the day before it complete. A day is therefore expected to be
    complete only if it could have been when the account was last read.

    Args:
        account: the account.
        stored_days: the stored days, at least those of the last weeks.
        start: the first day of the daily reports.
        now: the current time, aware.
    """
    owner = {"advertiser_id": account.advertiser_id}
    read_at = max((stored.fetched_at for stored in stored_days.values()), default=None)
    if start > account.today(now) - _DAY:
        return CheckOutcome(notes=(f"the start date {start} has not passed yet",))
    if read_at is None or now - read_at > STALE_AFTER:
        why = f"last read at {read_at:%Y-%m-%d %H:%M} UTC" if read_at else "never read"
        return CheckOutcome.from_faults([{**owner, "date": str(account.today(now) - _DAY), "why": why}])
    yesterday = account.today(read_at) - _DAY
    expected = DateWindow(max(start, min(stored_days)), yesterday).days
    faults = []
    for day in expected:
        stored = stored_days.get(day)
        if stored is None and day == yesterday:
            faults.append({**owner, "date": str(day), "why": "not read"})
        elif stored and not stored.is_complete and is_complete(day, account, read_at):
            when = f"{stored.fetched_at:%Y-%m-%d %H:%M}"
            faults.append(
                {**owner, "date": str(day), "why": f"read at {when} UTC, before it was complete, and not again"}
            )
    return CheckOutcome.from_faults(faults)


def check_row_drop(advertiser_id: str, rows: Mapping[date, int]) -> CheckOutcome:
    """Check that the newest day has at least half the median row count of the seven days before it.

    Args:
        advertiser_id: the account.
        rows: the row count of each stored day; 0 for a day without rows.
    """
    days = sorted(rows)
    previous = [rows[day] for day in days[-1 - BASELINE_DAYS : -1]]
    usual = median(previous) if previous else 0
    if not usual or rows[days[-1]] >= usual * (1 - MAX_ROW_DROP):
        return CheckOutcome()
    newest = days[-1]
    return CheckOutcome.from_faults(
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
    advertiser_ids: Collection[str],
    *,
    timezones: Mapping[str, str],
    currencies: Mapping[str, str],
) -> tuple[dict[str, Account], CheckOutcome]:
    """Check that every active account has a known time zone and a currency.

    Active accounts are those named in the settings, or else all that are granted.

    Args:
        advertisers: rows of the table `advertisers`.
        advertiser_ids: the accounts named in the settings; empty for all.
        timezones: the time zones of the settings by account, which override the table.
        currencies: the currencies of the settings by account, which override the table.

    Returns:
        The active accounts whose time zone is known, and the outcome.
    """
    rows = {row["advertiser_id"]: row for row in advertisers.to_dicts()}
    granted = [one for one, row in rows.items() if row["is_granted"] is not False]
    accounts, faults = dict[str, Account](), list[Mapping[str, str]]()
    for advertiser_id in sorted(set(advertiser_ids) or set(granted)):
        row = rows.get(advertiser_id, {})
        if row.get("is_granted") is False:
            continue
        account = Account.from_row(advertiser_id, row, timezones, currencies)
        zone = account.timezone
        missing = [] if account.has_known_zone else [f"time zone {zone!r}" if zone else "time zone"]
        missing += [] if account.currency else ["currency"]
        if account.has_known_zone:
            accounts[advertiser_id] = account
        if missing:
            faults.append({"advertiser_id": advertiser_id, "missing": " and ".join(missing)})
    return accounts, CheckOutcome.from_faults(faults)

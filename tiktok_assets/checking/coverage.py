"""Whether the days of a report are there: no hole, a whole yesterday, no sudden loss of rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from tiktok_assets.api.plan import Window, windows_of
from tiktok_assets.checking.finding import Finding
from tiktok_assets.days import Account, is_complete

FORMER_DAYS = 7
"""How many days before a day say how many rows it should have."""

MOST_DROP = 0.5

STALE_AFTER = timedelta(hours=26)
"""A day and some hours: the refresh of each morning, which may be slow."""

_DAY = timedelta(1)


@dataclass(frozen=True, slots=True)
class Reading:
    """When a stored day was read, whether that was after everything that makes it whole, and in which zone."""

    fetched_at: datetime
    is_complete: bool
    timezone: str | None = None


def no_holes(account: Account, stored: Collection[date], start: date, now: datetime) -> Finding:
    """Every day from the first one read to the last was read; the stretches that were not are named.

    Days before the first one are history that nobody has asked for yet, which a note says. Whether the last one
    is recent enough is `complete_yesterday`'s question; an account of which nothing was ever read lacks every
    day to its yesterday.
    """
    last = max(stored, default=account.today(now) - _DAY)
    known = set(stored)
    expected = Window(start, last).days
    windows = windows_of((day for day in expected if day not in known), most=len(expected))
    early = [window for window in windows if known and window.first == start]
    return Finding.of(
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


def complete_yesterday(account: Account, readings: Mapping[date, Reading], start: date, now: datetime) -> Finding:
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
        return Finding(notes=(f"the start date {start} has not passed yet",))
    if read_at is None or now - read_at > STALE_AFTER:
        when = f"last read at {read_at:%Y-%m-%d %H:%M} UTC" if read_at else "never read"
        return Finding.of([{**owner, "date": str(account.today(now) - _DAY), "why": when}])
    yesterday = account.today(read_at) - _DAY
    expected = Window(max(start, min(readings)), yesterday).days
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
    return Finding.of(faults)


def no_row_drop(advertiser_id: str, rows: Mapping[date, int]) -> Finding:
    """The newest day has at least half the rows of a usual day, the median of the seven before it.

    Args:
        advertiser_id: whose.
        rows: of each stored day; a day without rows has 0.
    """
    days = sorted(rows)
    former = [rows[day] for day in days[-1 - FORMER_DAYS : -1]]
    usual = median(former) if former else 0
    if not usual or rows[days[-1]] >= usual * (1 - MOST_DROP):
        return Finding()
    newest = days[-1]
    return Finding.of(
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

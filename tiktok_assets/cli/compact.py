"""Run the `compact` command: compact past months, say which would be, or undo it."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

from tiktok_assets.cli.errors import UsageError
from tiktok_assets.defs import get_stored_tables
from tiktok_assets.ingest import find_first_open_day
from tiktok_assets.session import open_store
from tiktok_assets.settings import Settings
from tiktok_assets.storage import MIN_COMPACTED_AGE_DAYS, CompactedMonth, compact_months, find_months, restore_days

_LOGGED_MONTHS = 500
"""How many months are between two lines of progress."""


def compact(
    settings: Settings,
    before: str | None,
    advertiser_ids: Sequence[str] | None,
    *,
    dry_run: bool,
    undo: bool,
    log: Callable[[str], None],
) -> list[CompactedMonth]:
    """Compact the months of all tables with days, or undo that.

    Args:
        settings: with the store.
        before: the day (YYYY-MM-DD) before which a month must have ended; None for the months no refresh reads.
        advertiser_ids: the accounts; None for all.
        dry_run: whether nothing is changed.
        undo: whether the days get files of their own again.
        log: receives lines about the progress.

    Returns:
        The months that were compacted or restored, or would be, and those that are kept with the reason.

    Raises:
        UsageError: if the day is not one, or too recent.
        StoreError: if the store cannot be read.
    """
    now = datetime.now(UTC)
    day = find_first_open_day(settings, now) if before is None else _parse_day(before, now.date())
    store, tables = open_store(settings), list(get_stored_tables(settings))
    if dry_run:
        found = find_months(store, tables, day, advertiser_ids)
        return [CompactedMonth(table, owner, month, len(files)) for table, owner, month, files in found]
    months = []
    for month in (
        restore_days(store, tables, advertiser_ids) if undo else compact_months(store, tables, day, advertiser_ids)
    ):
        months.append(month)
        if not len(months) % _LOGGED_MONTHS:
            log(f"{len(months):,} months, now {month.table} of {month.advertiser_id}")
    return months


def _parse_day(text: str, today: date) -> date:
    latest = today - timedelta(MIN_COMPACTED_AGE_DAYS)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--before {text!r} is not a day; write it as {latest}.") from None
    if day > latest:
        raise UsageError(
            f"--before {day} is too recent: refreshes read the last month again; use {latest} or earlier."
        )
    return day

"""Validate the values of command line options before any request is sent."""

import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from tiktok_assets.api import DateWindow
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.tables import Account

MAX_UTC_OFFSET = timedelta(hours=14)
"""The largest offset of any time zone; it gives the latest day that has begun anywhere."""


def parse_day(text: str, option: str) -> date:
    """Parse a day written as YYYY-MM-DD.

    Args:
        text: the value of the option.
        option: the name of the option, for the error message.

    Raises:
        UsageError: if the text is not such a day.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a day; write it as YYYY-MM-DD.") from None


def parse_window(first: str | None, last: str | None, *, start: date, now: datetime) -> DateWindow | None:
    """Parse --from and --to; return None if neither is given.

    Args:
        first: the value of --from.
        last: the value of --to.
        start: the start date of the settings.
        now: the current time, with a time zone.

    Raises:
        UsageError: if a day is in the future or before the start date, or if --to is before --from.
    """
    if not first and not last:
        return None
    if not first:
        raise UsageError("--to needs --from: add the first day.")
    begin = parse_day(first, "--from")
    newest = (now.astimezone(UTC) + MAX_UTC_OFFSET).date()
    end = parse_day(last, "--to") if last else max(begin, newest - timedelta(1))
    for day, option in ((begin, "--from"), (end, "--to")):
        if day > newest:
            raise UsageError(f"{option} {day} is in the future; the latest day that has begun is {newest}.")
    if end < begin:
        raise UsageError(f"--to {end} is before --from {begin}; swap them.")
    if begin < start:
        raise UsageError(
            f"--from {begin} is before TIKTOK_START_DATE, {start}; set that to {begin} or an earlier day."
        )
    return DateWindow(begin, end)


def split_window_by_account(
    window: DateWindow, accounts: Iterable[Account], now: datetime, *, is_end_named: bool
) -> Mapping[str, DateWindow]:
    """Return the days to read of each account; without --to they end yesterday in the account's time zone.

    Args:
        window: the result of `parse_window`.
        accounts: the accounts to read.
        now: the current time, with a time zone.
        is_end_named: whether --to was given; then an unfinished day is read too.

    Returns:
        The window of each advertiser id; an account in which no day of the window has ended is left out.

    Raises:
        UsageError: if no day has ended in any of the accounts.
    """
    windows = {}
    for account in accounts:
        last = window.last if is_end_named else account.today(now) - timedelta(1)
        if window.first <= last:
            windows[account.advertiser_id] = DateWindow(window.first, last)
    if not windows and not is_end_named:
        day = window.first
        raise UsageError(
            f"--from {day} has not ended in any of the accounts; add --to {day} to read the unfinished day."
        )
    return windows


def select_advertisers(requested: Sequence[str], granted: Iterable[str]) -> list[str]:
    """Return the advertiser ids of --advertiser in the order of the granted ones; all if none is requested.

    Raises:
        UsageError: if one of them is not granted.
    """
    granted_ids = list(granted)
    for advertiser_id in requested:
        if advertiser_id not in granted_ids:
            raise UsageError(
                f"advertiser {advertiser_id} is not granted to the app;"
                f" the granted accounts are: {', '.join(granted_ids) or 'none'}."
            )
    return [advertiser_id for advertiser_id in granted_ids if not requested or advertiser_id in requested]


def parse_table_names(select: str | None) -> list[str]:
    """Split the value of --select at its commas, without blanks and empty names."""
    return [name.strip() for name in (select or "").split(",") if name.strip()]


def select_tables(select: str | None, tables: Sequence[str]) -> list[str]:
    """Return the tables of --select in the order of the refresh; all if none is selected.

    Raises:
        UsageError: if one of them does not exist.
    """
    names = parse_table_names(select)
    for name in names:
        if name not in tables:
            raise UsageError(f"there is no asset {name!r}; the assets are: {', '.join(tables)}.")
    return [table for table in tables if not names or table in names]


def require_free_port(port: int) -> None:
    """Check that a port of this machine is free.

    Raises:
        CommandError: if the port is in use.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"port {port} is in use; choose another with --port.") from error

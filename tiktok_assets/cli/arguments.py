"""Validate the values of command line options before any request is sent."""

import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.tables.account_calendar import Account

MAX_UTC_OFFSET = timedelta(hours=14)
"""The zone furthest ahead: its day is the latest that has begun anywhere."""


def parse_day(text: str, option: str) -> date:
    """A day as YYYY-MM-DD.

    Raises:
        WrongUsage: if it is not one.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is no day; write it as YYYY-MM-DD.") from None


def parse_window(first: str | None, last: str | None, *, start: date, now: datetime) -> DateWindow | None:
    """The days of --from and --to; None when neither is given.

    Raises:
        WrongUsage: if a day lies in the future, before the start date, or the end before the beginning.
    """
    if not first and not last:
        return None
    if not first:
        raise UsageError("--to needs --from: say which day to begin with.")
    begin = parse_day(first, "--from")
    newest = (now.astimezone(UTC) + MAX_UTC_OFFSET).date()
    end = parse_day(last, "--to") if last else max(begin, newest - timedelta(1))
    for day, option in ((begin, "--from"), (end, "--to")):
        if day > newest:
            raise UsageError(f"{option} {day} lies in the future; the latest day that has begun is {newest}.")
    if end < begin:
        raise UsageError(f"--to {end} lies before --from {begin}; swap them.")
    if begin < start:
        raise UsageError(
            f"--from {begin} lies before TIKTOK_START_DATE, {start}; set that to {begin} or an earlier day."
        )
    return DateWindow(begin, end)


def split_window_by_account(
    window: DateWindow, accounts: Iterable[Account], now: datetime, *, is_end_named: bool
) -> Mapping[str, DateWindow]:
    """Cut the days of --from and --to for each account; without --to they end yesterday in the account's own zone.

    Args:
        window: as `asked_window` gives it.
        accounts: whose days.
        now: aware.
        is_end_named: whether --to was given; then an unfinished day is read too.

    Raises:
        WrongUsage: if no day has ended in any of the accounts.
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


def select_advertisers(asked: Sequence[str], granted: Iterable[str]) -> list[str]:
    """The advertisers of --advertiser; all of them when none is given.

    Raises:
        WrongUsage: naming the first that is not granted.
    """
    known = list(granted)
    for advertiser_id in asked:
        if advertiser_id not in known:
            raise UsageError(
                f"advertiser {advertiser_id} is not granted to the app;"
                f" the accounts are: {', '.join(known) or 'none'}."
            )
    return [advertiser_id for advertiser_id in known if not asked or advertiser_id in asked]


def select_tables(select: str | None, tables: Sequence[str]) -> list[str]:
    """The tables of --select, in the order of the refresh; all of them when none is given.

    Raises:
        WrongUsage: naming the first that does not exist.
    """
    names = [name.strip() for name in (select or "").split(",") if name.strip()]
    for name in names:
        if name not in tables:
            raise UsageError(f"there is no asset {name!r}; the assets are: {', '.join(tables)}.")
    return [table for table in tables if not names or table in names]


def require_free_port(port: int) -> None:
    """Do nothing if the port is free.

    Raises:
        Problem: naming the port and the mend.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"port {port} is in use; choose another with --port.") from error

"""Run the `plan` command: count the requests, minutes and rows of a refresh with one-row requests to the API."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tiktok_assets.api.request_plan import (
    AccountRowCounts,
    DateWindow,
    PlanLine,
    estimate_minutes,
    plan_requests,
    split_into_batches,
)
from tiktok_assets.cli.arguments import split_window_by_account
from tiktok_assets.cli.errors import CommandError
from tiktok_assets.ingest.accounts import find_unknown_accounts, require_accounts
from tiktok_assets.ingest.estimates import count_entities, count_report
from tiktok_assets.ingest.lookback import select_refresh_window
from tiktok_assets.session import Session
from tiktok_assets.spec.entities import ADVERTISERS, LISTED_ENTITIES


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """A plan: its lines, their sum, and how long the requests take at the app's tier.

    `probes` are the requests this plan itself cost.
    """

    lines: Sequence[PlanLine]
    requests: int
    rows: int
    minutes: float
    probes: int


def plan_refresh(
    session: Session,
    advertisers: Sequence[str],
    window: DateWindow | None,
    tables: Sequence[str],
    *,
    is_end_named: bool = True,
) -> RefreshPlan:
    """What refreshing these tables of these accounts over these days takes.

    The sizes are the API's own totals: of each list, and of each report on the last day of the window, taken for
    every day of it. Unless the end is named, the days of each account end yesterday in its own zone; without a
    window they are those of the next refresh.

    Raises:
        TikTokError: if an account cannot be asked.
    """
    if window is None:
        window, is_end_named = next_refresh_window(session, advertisers), True
    before = session.total.requests
    accounts = require_accounts(session.reader, session.store, session.settings, advertisers)
    windows = split_window_by_account(window, accounts, session.now(), is_end_named=is_end_named)
    workloads: Mapping[str, AccountRowCounts] = {
        account.advertiser_id: AccountRowCounts(
            {
                entity.table: count_entities(session.reader, entity, account.advertiser_id)
                for entity in LISTED_ENTITIES
                if entity.table in tables
            },
            {
                report.table: count_report(session.reader, report, account, windows[account.advertiser_id].last)
                for report in session.settings.chosen_reports
                if report.cadence == "daily" and report.table in tables and account.advertiser_id in windows
            },
            {
                report.table: count_report(session.reader, report, account, None)
                for report in session.settings.chosen_reports
                if report.cadence == "lifetime" and report.table in tables
            },
        )
        for account in accounts
    }
    groups: dict[DateWindow | None, dict[str, AccountRowCounts]] = {}
    for advertiser_id, workload in workloads.items():
        groups.setdefault(windows.get(advertiser_id), {})[advertiser_id] = workload
    listings = _sum_by_table(
        line
        for days, group in groups.items()
        for line in plan_requests(
            group,
            days.days if days else (),
            set(tables) - {ADVERTISERS.table},
            lists_accounts=False,
            window_days={report.table: report.window_days for report in session.settings.chosen_reports},
            looks=len(session.reader.hidden_kinds),
        )
    )
    lines = [*_account_plan_lines(session, advertisers, tables), *listings]
    requests = sum(line.requests for line in lines)
    minutes = estimate_minutes(
        requests, session.settings.requests_per_second, session.settings.requests_per_minute
    )
    return RefreshPlan(lines, requests, sum(line.rows for line in lines), minutes, session.total.requests - before)


def _sum_by_table(lines: Iterable[PlanLine]) -> Iterator[PlanLine]:
    """Add up the lines of the same table, in the order in which each table comes first."""
    sums: dict[str, PlanLine] = {}
    for line in lines:
        former = sums.get(line.what, PlanLine(line.what, 0, 0))
        sums[line.what] = PlanLine(line.what, former.requests + line.requests, former.rows + line.rows)
    yield from sums.values()


def _account_plan_lines(session: Session, advertisers: Sequence[str], tables: Sequence[str]) -> Iterator[PlanLine]:
    """What it takes to know the accounts: all that are granted or named, whichever are refreshed.

    Where their table is not asked for, each report asks anew for the zone and currency of those it does not hold.
    """
    listed = 0 if session.settings.advertiser_ids else 1
    if ADVERTISERS.table in tables:
        every = session.advertiser_ids
        yield PlanLine(ADVERTISERS.table, listed + len(list(split_into_batches(every))), len(every))
        return
    unknown = find_unknown_accounts(session.store, session.settings, advertisers)
    reports = sum(report.table in tables for report in session.settings.chosen_reports)
    if asked := listed + reports * len(list(split_into_batches(unknown))):
        yield PlanLine("accounts, to know of them", asked, 0)


def next_refresh_window(session: Session, advertisers: Sequence[str]) -> DateWindow:
    """The days the next refresh reads: as many as the account that needs most, up to the earliest yesterday.

    Raises:
        Problem: if the start date leaves no day to read.
        TikTokError: if an account cannot be asked.
    """
    settings = session.settings
    daily = [report.table for report in settings.chosen_reports if report.cadence == "daily"]
    accounts = require_accounts(session.reader, session.store, settings, advertisers)
    needed = [
        window
        for account in accounts
        if (
            window := select_refresh_window(
                session.store,
                daily,
                account,
                session.now(),
                start=settings.start_date,
                lookback_days=settings.lookback_days,
                sweep_days=settings.sweep_days,
            )
        )
    ]
    if not needed:
        raise CommandError(
            f"no day since TIKTOK_START_DATE, {settings.start_date}, has ended yet; set an earlier one."
        )
    last = min(window.last for window in needed)
    return DateWindow(last - timedelta(max(len(window.days) for window in needed) - 1), last)

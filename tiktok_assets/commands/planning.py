"""`plan`: how many requests, minutes and rows a refresh takes, asked of the API with one-row pages."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tiktok_assets.api.plan import PlanLine, Window, Workload, batches_of, minutes_for, plan
from tiktok_assets.commands.asked import windows_by_account
from tiktok_assets.commands.problems import Problem
from tiktok_assets.refresh.accounts import accounts_to_ask, required_accounts
from tiktok_assets.refresh.counting import count_entities, count_report
from tiktok_assets.refresh.needed import days_to_refresh
from tiktok_assets.session import Session
from tiktok_assets.spec.entities import ADVERTISERS, LISTED_ENTITIES


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan: its lines, their sum, and how long the requests take at the app's tier.

    `probes` are the requests this plan itself cost.
    """

    lines: Sequence[PlanLine]
    requests: int
    rows: int
    minutes: float
    probes: int


def planned(
    session: Session,
    advertisers: Sequence[str],
    window: Window | None,
    tables: Sequence[str],
    *,
    is_end_named: bool = True,
) -> Planned:
    """What refreshing these tables of these accounts over these days takes.

    The sizes are the API's own totals: of each list, and of each report on the last day of the window, taken for
    every day of it. Unless the end is named, the days of each account end yesterday in its own zone; without a
    window they are those of the next refresh.

    Raises:
        TikTokError: if an account cannot be asked.
    """
    if window is None:
        window, is_end_named = ordinary_window(session, advertisers), True
    before = session.total.requests
    accounts = required_accounts(session.reader, session.store, session.settings, advertisers)
    windows = windows_by_account(window, accounts, session.now(), is_end_named=is_end_named)
    workloads: Mapping[str, Workload] = {
        account.advertiser_id: Workload(
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
    groups: dict[Window | None, dict[str, Workload]] = {}
    for advertiser_id, workload in workloads.items():
        groups.setdefault(windows.get(advertiser_id), {})[advertiser_id] = workload
    listings = _added(
        line
        for days, group in groups.items()
        for line in plan(
            group,
            days.days if days else (),
            set(tables) - {ADVERTISERS.table},
            lists_accounts=False,
            window_days={report.table: report.window_days for report in session.settings.chosen_reports},
            looks=len(session.reader.hidden_kinds),
        )
    )
    lines = [*_account_lines(session, advertisers, tables), *listings]
    requests = sum(line.requests for line in lines)
    minutes = minutes_for(requests, session.settings.requests_per_second, session.settings.requests_per_minute)
    return Planned(lines, requests, sum(line.rows for line in lines), minutes, session.total.requests - before)


def _added(lines: Iterable[PlanLine]) -> Iterator[PlanLine]:
    """Add up the lines of the same table, in the order in which each table comes first."""
    sums: dict[str, PlanLine] = {}
    for line in lines:
        former = sums.get(line.what, PlanLine(line.what, 0, 0))
        sums[line.what] = PlanLine(line.what, former.requests + line.requests, former.rows + line.rows)
    yield from sums.values()


def _account_lines(session: Session, advertisers: Sequence[str], tables: Sequence[str]) -> Iterator[PlanLine]:
    """What it takes to know the accounts: all that are granted or named, whichever are refreshed.

    Where their table is not asked for, each report asks anew for the zone and currency of those it does not hold.
    """
    listed = 0 if session.settings.advertiser_ids else 1
    if ADVERTISERS.table in tables:
        every = session.advertiser_ids
        yield PlanLine(ADVERTISERS.table, listed + len(list(batches_of(every))), len(every))
        return
    unknown = accounts_to_ask(session.store, session.settings, advertisers)
    reports = sum(report.table in tables for report in session.settings.chosen_reports)
    if asked := listed + reports * len(list(batches_of(unknown))):
        yield PlanLine("accounts, to know of them", asked, 0)


def ordinary_window(session: Session, advertisers: Sequence[str]) -> Window:
    """The days the next refresh reads: as many as the account that needs most, up to the earliest yesterday.

    Raises:
        Problem: if the start date leaves no day to read.
        TikTokError: if an account cannot be asked.
    """
    settings = session.settings
    daily = [report.table for report in settings.chosen_reports if report.cadence == "daily"]
    accounts = required_accounts(session.reader, session.store, settings, advertisers)
    needed = [
        window
        for account in accounts
        if (
            window := days_to_refresh(
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
        raise Problem(f"no day since TIKTOK_START_DATE, {settings.start_date}, has ended yet; set an earlier one.")
    last = min(window.last for window in needed)
    return Window(last - timedelta(max(len(window.days) for window in needed) - 1), last)

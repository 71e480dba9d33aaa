"""Run the `plan` command: count the requests, minutes and rows of a refresh with one-row requests to the API."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from tiktok_assets.api import (
    AccountRowCounts,
    DateWindow,
    PlanLine,
    RowCount,
    estimate_minutes,
    limit_per_second,
    plan_requests,
    split_into_batches,
    split_into_windows,
)
from tiktok_assets.cli.arguments import split_window_by_account
from tiktok_assets.cli.errors import CommandError
from tiktok_assets.ingest import (
    AccountDays,
    Choice,
    can_be_history,
    choose,
    count_entities,
    count_report_rows,
    estimate_gmv_max_requests,
    estimate_media_requests,
    find_unknown_accounts,
    is_read_for,
    list_daily_reports,
    list_daily_tables,
    offers_tasks,
    page_sizes,
    plan_special_type_requests,
    prefetch_recent_days,
    require_accounts,
    select_accounts_without_shops,
    select_refresh_window,
)
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec import (
    ADS,
    ADVERTISERS,
    ENTITIES,
    GMV_MAX_SHOPS,
    LISTED_ENTITIES,
    MEDIA_TABLES,
    Entity,
    Report,
)
from tiktok_assets.tables import Account


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """What a refresh costs.

    Attributes:
        lines: requests and rows of each table.
        requests: the sum over all tables.
        rows: the sum over all tables.
        minutes: how long the requests take within the request budget.
        probes: the requests that were sent to make this plan.
        notes: sentences that come before the figures.
        ways: by daily report, whether pages or report tasks are read, and why.
    """

    lines: Sequence[PlanLine]
    requests: int
    rows: int
    minutes: float
    probes: int
    notes: Sequence[str] = ()
    ways: Mapping[str, str] = field(default_factory=dict)


def list_planned_tables(settings: Settings, missing_columns: bool) -> list[str]:
    """Return the tables that are read from the API, or only the daily reports, whose days can lack columns."""
    if missing_columns:
        return [report.table for report in list_daily_reports(settings)]
    names = [one.table for one in (*ENTITIES, *MEDIA_TABLES, GMV_MAX_SHOPS)]
    names += [report.table for report in settings.chosen_reports]
    names += [report.table for report in settings.chosen_gmv_max_reports]
    return [name for name in names if settings.includes(name)]


def plan_refresh(
    session: Session,
    advertisers: Sequence[str],
    window: DateWindow | None,
    tables: Sequence[str],
    *,
    is_end_named: bool = True,
) -> RefreshPlan:
    """Count the requests, rows and minutes of a refresh of some tables of some accounts.

    Row counts are the API's own totals: the total of each entity list, and for each report the total of the last
    day of the window multiplied by the number of days.

    Args:
        session: an open session.
        advertisers: the advertiser ids.
        window: the days; None for those of the next refresh.
        tables: the tables to refresh.
        is_end_named: whether the user chose the last day; if not, each account ends yesterday in its time zone.

    Raises:
        UsageError: if no day of the window has ended in any account.
        CommandError: if the start date leaves no day to read.
        TikTokError: if an account cannot be read.
    """
    if window is None:
        window, is_end_named = next_refresh_window(session, advertisers), True
    requests_before = session.total.requests
    accounts = require_accounts(session.reader, session.store, session.settings, advertisers)
    windows = split_window_by_account(window, accounts, session.now(), is_end_named=is_end_named)
    row_counts = {
        account.advertiser_id: _count_rows(session, account, windows.get(account.advertiser_id), tables)
        for account in accounts
    }
    groups: dict[DateWindow | None, dict[str, AccountRowCounts]] = {}
    for advertiser_id, counts in row_counts.items():
        groups.setdefault(windows.get(advertiser_id), {})[advertiser_id] = counts
    table_lines = _sum_by_table(
        line
        for days, group in groups.items()
        for line in plan_requests(
            group,
            days.days if days else (),
            set(tables) - {ADVERTISERS.table},
            include_account_list=False,
            window_days={report.table: report.window_days for report in session.settings.chosen_reports},
            page_sizes=page_sizes(session.settings.chosen_reports),
            extra_requests=_count_special_type_requests(session, group, tables),
        )
    )
    choices = _choose_ways(session, accounts, windows, row_counts, tables)
    lines = [
        *plan_account_requests(session, advertisers, tables),
        *_add_savings(table_lines, choices),
        *_media_plan_lines(session, row_counts, tables),
        *_gmv_max_plan_lines(session, advertisers, windows, tables),
    ]
    requests = sum(line.requests for line in lines)
    minutes = estimate_minutes(
        requests, session.settings.requests_per_second, session.settings.requests_per_minute
    )
    probes = session.total.requests - requests_before
    return RefreshPlan(
        lines,
        requests,
        sum(line.rows for line in lines),
        minutes,
        probes,
        ways={table: choice.why for table, (choice, _) in choices.items()},
    )


def _choose_ways(
    session: Session,
    accounts: Sequence[Account],
    windows: Mapping[str, DateWindow],
    row_counts: Mapping[str, AccountRowCounts],
    tables: Sequence[str],
) -> dict[str, tuple[Choice, int]]:
    """Return by daily report how it is read, and how many requests that takes beside those of its pages."""
    settings, choices = session.settings, dict[str, tuple[Choice, int]]()
    for report in settings.chosen_reports:
        if report.table not in tables or report.cadence != "daily" or not windows:
            continue
        days = [
            AccountDays(account, split_into_windows(windows[owner].days, report.window_days), float(rows))
            for account in accounts
            if (owner := account.advertiser_id) in windows
            and not isinstance(rows := row_counts[owner].rows_per_day.get(report.table, ()), tuple)
        ]
        choice = choose(
            report,
            days,
            requests_per_second=limit_per_second(settings.requests_per_second, settings.requests_per_minute),
            now=session.now(),
            setting=settings.report_tasks,
            policy=session.task_policy,
        )
        is_counted = settings.report_tasks != "never" and offers_tasks(report)
        counted = sum(can_be_history(one.windows) for one in days) if is_counted else 0
        more = choice.requests - sum(one.page_requests for one in days) + counted
        choices[report.table] = choice, more
    return choices


def _add_savings(lines: Iterable[PlanLine], choices: Mapping[str, tuple[Choice, int]]) -> Iterator[PlanLine]:
    """Yield the lines with the requests that their reports take in the way that is chosen."""
    for line in lines:
        more = choices[line.subject][1] if line.subject in choices else 0
        yield replace(line, requests=line.requests + more)


def _count_special_type_requests(
    session: Session, advertisers: Iterable[str], tables: Sequence[str]
) -> Mapping[str, int]:
    """Return by table the requests for TopView and Promote campaigns; v1.2 has no such requests."""
    owners = advertisers if session.reader.special_types else ()
    return sum((Counter(plan_special_type_requests(session.store, one, tables)) for one in owners), Counter[str]())


def _media_plan_lines(
    session: Session, row_counts: Mapping[str, AccountRowCounts], tables: Sequence[str]
) -> Iterator[PlanLine]:
    """Yield the requests for the videos, images and posts of the ads; their rows are not counted."""
    for media in MEDIA_TABLES:
        if media.table in tables:
            requests = sum(
                estimate_media_requests(session.store, media, one, session.now(), _get_ads(counts))
                for one, counts in row_counts.items()
            )
            yield from [PlanLine(media.table, requests, 0)] if requests else []


def _get_ads(counts: AccountRowCounts) -> int | None:
    ads = counts.entity_rows.get(ADS.table)
    return None if ads is None or isinstance(ads, tuple) else int(ads)


def _gmv_max_plan_lines(
    session: Session, advertisers: Sequence[str], windows: Mapping[str, DateWindow], tables: Sequence[str]
) -> Iterator[PlanLine]:
    """Yield the requests for shops and reports of GMV Max, whose rows are not counted; none without a shop."""
    store, settings = session.store, session.settings
    if GMV_MAX_SHOPS.table in tables:
        due = select_accounts_without_shops(
            store, settings, advertisers, session.now(), is_only_table=set(tables) == {GMV_MAX_SHOPS.table}
        )
        yield from [PlanLine(GMV_MAX_SHOPS.table, len(due), 0)] if due else []
    reports = [report for report in settings.chosen_gmv_max_reports if report.table in tables]
    lines = [
        PlanLine(table, requests, 0)
        for advertiser_id, window in windows.items()
        for table, requests in estimate_gmv_max_requests(store, reports, advertiser_id, window.days).items()
    ]
    yield from (line for line in _sum_by_table(lines) if line.requests)


def _count_rows(
    session: Session, account: Account, window: DateWindow | None, tables: Sequence[str]
) -> AccountRowCounts:
    """Count the rows of the tables of an account; a table that is not read for it takes no query."""
    reader, reports = session.reader, [one for one in session.settings.chosen_reports if one.table in tables]

    def count(table: Entity | Report, count_rows: Callable[[], RowCount]) -> RowCount:
        is_read = is_read_for(reader, session.store, table, account.advertiser_id, tables)
        return count_rows() if is_read else ()

    return AccountRowCounts(
        {
            entity.table: count(entity, partial(count_entities, reader, entity, account.advertiser_id))
            for entity in LISTED_ENTITIES
            if entity.table in tables
        },
        {
            report.table: count(report, partial(count_report_rows, reader, report, account, window.last))
            for report in reports
            if report.cadence == "daily" and window
        },
        {
            report.table: count(report, partial(count_report_rows, reader, report, account, None))
            for report in reports
            if report.cadence == "lifetime"
        },
    )


def _sum_by_table(lines: Iterable[PlanLine]) -> Iterator[PlanLine]:
    """Add up the lines of each table, in the order in which the tables first appear."""
    sums: dict[str, PlanLine] = {}
    for line in lines:
        previous = sums.get(line.subject, PlanLine(line.subject, 0, 0))
        sums[line.subject] = PlanLine(line.subject, previous.requests + line.requests, previous.rows + line.rows)
    yield from sums.values()


def plan_account_requests(
    session: Session, advertisers: Sequence[str], tables: Sequence[str]
) -> Iterator[PlanLine]:
    """Yield the requests that read account details.

    The table of accounts always has all granted or configured accounts. If it is not selected, each report reads
    the time zone and currency of the accounts that are not stored yet.
    """
    list_requests = 0 if session.settings.advertiser_ids else 1
    if ADVERTISERS.table in tables:
        ids = session.advertiser_ids
        yield PlanLine(ADVERTISERS.table, list_requests + len(list(split_into_batches(ids))), len(ids))
        return
    unknown = find_unknown_accounts(session.store, session.settings, advertisers)
    report_count = sum(report.table in tables for report in session.settings.chosen_reports)
    if requests := list_requests + report_count * len(list(split_into_batches(unknown))):
        yield PlanLine("account details", requests, 0)


def next_refresh_window(session: Session, advertisers: Sequence[str]) -> DateWindow:
    """Return the days of the next refresh: as many as the account with the most days needs, ending yesterday.

    Yesterday is that of the account where it is earliest.

    Raises:
        CommandError: if the start date leaves no day to read.
        TikTokError: if an account cannot be read.
    """
    settings = session.settings
    accounts = require_accounts(session.reader, session.store, settings, advertisers)
    prefetch_recent_days(session.store, settings, advertisers, session.now())
    windows = [
        window
        for account in accounts
        if (
            window := select_refresh_window(
                session.store,
                list_daily_tables(session.store, settings, account.advertiser_id),
                account,
                session.now(),
                start=settings.start_date,
                lookback_days=settings.lookback_days,
                sweep_days=settings.sweep_days,
            )
        )
    ]
    if not windows:
        raise CommandError(
            f"no day since TIKTOK_START_DATE, {settings.start_date}, has ended yet; set an earlier date."
        )
    last = min(window.last for window in windows)
    return DateWindow(last - timedelta(max(len(window.days) for window in windows) - 1), last)

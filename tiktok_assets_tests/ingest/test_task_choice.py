"""Tests of the choice between report tasks and pages, which takes no request."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.api.report_tasks import TaskPolicy
from tiktok_assets.api.request_plan import DateWindow, split_into_windows
from tiktok_assets.ingest.task_choice import (
    MAX_TASK_ROWS,
    MIN_TASK_DAYS,
    AccountDays,
    Choice,
    Setting,
    choose,
    list_rest,
    offers_tasks,
)
from tiktok_assets.spec.reports import REPORTS, REPORTS_BY_TABLE
from tiktok_assets.tables.account_calendar import Account

AD_DAILY, AD_HOURLY = REPORTS_BY_TABLE["ad_report_daily"], REPORTS_BY_TABLE["ad_report_hourly"]
NOW = datetime(2026, 11, 9, 18, tzinfo=UTC)
LAST = date(2026, 11, 6)
POLICY = TaskPolicy()


def account_days(days: int, rows_per_day: float, name: str = "7001", gap: int = 0) -> AccountDays:
    """Return the last days of an account, before and after a gap."""
    wanted = [LAST - timedelta(n) for n in range(days)]
    moved = [day - timedelta(gap) if index > days // 2 else day for index, day in enumerate(wanted)]
    return AccountDays(Account(name, "USD", "UTC"), split_into_windows(moved), rows_per_day)


def choose_way(*accounts: AccountDays, setting: Setting = "auto", per_second: float = 10) -> Choice:
    """Choose for the daily report of ads."""
    return choose(AD_DAILY, accounts, requests_per_second=per_second, now=NOW, setting=setting)


def test_tasks_are_for_plain_daily_and_hourly_reports() -> None:
    """Tasks are offered for the reports of four levels by day and hour, not for audiences, lists or lifetimes."""
    levels = ("advertiser", "campaign", "ad_group", "ad")
    offered = {report.table for report in REPORTS if offers_tasks(report)}
    assert offered == {f"{level}_report_{cadence}" for level in levels for cadence in ("daily", "hourly")}


@pytest.mark.parametrize(
    ("days", "rows", "setting", "tasks", "requests", "why"),
    [
        (365, 5000, "auto", 12, 12 * 6 + 13, "12 report tasks: 85 requests in about"),
        (
            365,
            2000,
            "auto",
            4,
            4 * 6 + 13,
            "4 report tasks: 37 requests in about 1.1 minutes; pages: 730 requests",
        ),
        (365, 2000, "never", 0, 730, "pages: 730 requests in about 1.2 minutes; with TIKTOK_REPORT_TASKS=auto 4"),
        (365, 1000, "auto", 0, 365, "pages: 365 requests in about 0.6 minutes; 2 report tasks: 25 requests"),
        (365, 10, "auto", 0, 13, "pages, because report tasks would take no fewer requests"),
        (90, 20_000, "auto", 0, 1800, "pages, because report tasks are for 91 days of an account or more"),
    ],
)
def test_the_cheaper_way_is_taken(
    days: int, rows: float, setting: Setting, *, tasks: int, requests: int, why: str
) -> None:
    """Tasks are taken where they take fewer requests and less time; the reason has both costs."""
    found = choose_way(account_days(days, rows), setting=setting)
    assert (len(found.ranges), found.requests) == (tasks, requests)
    assert found.why.startswith(why)


def test_many_accounts_share_the_wait() -> None:
    """Tasks that would be slower for one account are faster for ten, because they are waited for together."""
    few = [account_days(365, 500, str(number)) for number in range(10)]
    assert (len(choose_way(few[0]).ranges), len(choose_way(*few).ranges)) == (0, 10)


def test_an_account_with_few_rows_stays_in_pages() -> None:
    """Of several accounts only those with many rows are read by tasks."""
    large, small = account_days(365, 5000, "1"), account_days(365, 10, "2")
    found = choose_way(large, small)
    assert {one.account.advertiser_id for one in found.ranges} == {"1"}
    assert found.requests == choose_way(large).requests + small.page_requests


@settings(max_examples=50, deadline=None)
@given(
    days=st.integers(MIN_TASK_DAYS, 800),
    rows=st.integers(1, 30_000),
    gap=st.sampled_from([0, 20, 200]),
    per_second=st.sampled_from([1, 10, 50]),
)
def test_tasks_have_each_day_once(days: int, rows: int, gap: int, per_second: int) -> None:
    """For any history, tasks and the pages for the rest have each day once; each task has a bounded size."""
    account = account_days(days, rows, gap=gap)
    found = choose_way(account, per_second=per_second)
    assert found.requests <= account.page_requests
    rest = list_rest(AD_DAILY, account.windows, found.ranges)
    in_tasks = [day for one in found.ranges for window in one.windows for day in window.days]
    read = [*in_tasks, *(day for window in rest for day in window.days)]
    assert sorted(read) == sorted(day for window in account.windows for day in window.days)
    for one in found.ranges:
        assert len(one.windows) == 1 or len(one.span.days) * rows <= MAX_TASK_ROWS
        assert all(len(window.days) <= AD_DAILY.window_days for window in one.windows)


def test_recent_days_are_not_in_tasks() -> None:
    """The days whose data may be old in a task are left to pages, and the days before them are not."""
    recent = AccountDays(
        Account("1", "USD", "UTC"), [DateWindow(LAST - timedelta(364), LAST + timedelta(2))], 5000
    )
    recent = AccountDays(recent.account, split_into_windows(recent.windows[0].days), 5000)
    found = choose_way(recent)
    assert found.ranges[-1].span.last == date(2026, 11, 7)
    assert list_rest(AD_DAILY, recent.windows, found.ranges) == [DateWindow(date(2026, 11, 8), date(2026, 11, 8))]


def test_an_hourly_history_is_read_by_tasks() -> None:
    """Each day of an hourly report has totals of its own, so a task saves only the further pages."""
    windows = split_into_windows((LAST - timedelta(n) for n in range(100)), AD_HOURLY.window_days)
    days = AccountDays(Account("1", "USD", "UTC"), windows, 24_000)
    found = choose(AD_HOURLY, [days], requests_per_second=10, now=NOW)
    assert (days.page_requests, found.requests) == (2400, 13 * (1 + POLICY.assumed_checks + 1) + 100)

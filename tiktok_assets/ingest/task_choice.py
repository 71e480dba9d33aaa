"""Decide which days of a report are read by TikTok's report tasks and which in pages, without a request.

A page has at most a thousand rows. A task has any number of days and rows, but it takes a while, and each of its
windows is compared with the totals of the report, which takes a request. So tasks are cheaper for many rows only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import ceil
from typing import Literal

from tiktok_assets.api import DateWindow, TaskPolicy, count_pages, split_into_windows
from tiktok_assets.spec import REPORT, Report
from tiktok_assets.tables import Account, is_complete

MIN_TASK_DAYS = 91
"""How many days of an account must be read before tasks are considered. The daily refresh never reads as many."""

MAX_TASK_ROWS = 200_000
"""About how many rows a task is created for, so that memory is bounded: its file has up to 100 MB."""

MAX_GAP_DAYS = 30
"""Days between two windows that one task may cover without need; a wider gap begins another task."""

MAX_TASKS_IN_FLIGHT = 16
"""How many tasks are waited for at once; each has a thread for its totals, and its file."""

TASKS_PER_SECOND = 1
"""How many tasks an app can create a second."""

STALE_HOURS = 24
"""How old the data of a task may be: they are refreshed "once every several hours" (API notes 6.7)."""

Setting = Literal["never", "auto"]


def offers_tasks(report: Report) -> bool:
    """Return whether a task returns the rows of a report's pages: those of plain daily and hourly reports.

    Tasks have no filter but of ids, name countries instead of coding them, and do not serve reach by audience. How
    lists are written into a file is not documented.
    """
    return (
        report.source.endpoint == REPORT
        and report.report_type == "BASIC"
        and report.cadence == "daily"
        and report.time_dimension is not None
        and not (report.breakdown or report.parts or report.fixed_filters or report.level.list_attributes)
    )


@dataclass(frozen=True, slots=True)
class AccountDays:
    """The windows of one account to read, and the estimated number of rows per day."""

    account: Account
    windows: Sequence[DateWindow]
    rows_per_day: float

    @property
    def page_requests(self) -> int:
        """How many requests the pages take."""
        return sum(count_pages(round(self.rows_per_day * len(one.days))) for one in self.windows)


@dataclass(frozen=True, slots=True)
class TaskRange:
    """The windows that one task reads."""

    account: Account
    windows: tuple[DateWindow, ...]

    @property
    def span(self) -> DateWindow:
        """The days of the task, which may include some between the windows."""
        return DateWindow(self.windows[0].first, self.windows[-1].last)

    def count_requests(self, policy: TaskPolicy) -> int:
        """Return the requests of a task: creation, checks, link of the file, and the totals of each window."""
        return 1 + policy.assumed_checks + 1 + len(self.windows)


@dataclass(frozen=True, slots=True)
class Choice:
    """How a report is read.

    Attributes:
        ranges: the tasks; windows of no range are read in pages.
        requests: how many requests this takes, those of the pages included.
        why: the reason in one clause, with both costs.
    """

    ranges: Sequence[TaskRange]
    requests: int
    why: str


def can_be_history(windows: Sequence[DateWindow]) -> bool:
    """Return whether an account has enough days to consider tasks, and its rows are worth a request to count."""
    return sum(len(one.days) for one in windows) >= MIN_TASK_DAYS


def select_old_days(days: AccountDays, now: datetime) -> list[date]:
    """Return the days whose data are complete in a task, although they are older than those of pages."""
    then = now - timedelta(hours=STALE_HOURS)
    every_day = [day for window in days.windows for day in window.days]
    last = next((day for day in reversed(every_day) if is_complete(day, days.account, then)), None)
    return [day for day in every_day if last and day <= last]


def choose(
    report: Report,
    accounts: Iterable[AccountDays],
    *,
    requests_per_second: float,
    now: datetime,
    setting: Setting = "auto",
    policy: TaskPolicy | None = None,
) -> Choice:
    """Choose tasks if they take fewer requests and less time than the pages of the same accounts.

    Args:
        report: the report.
        accounts: what to read of each account.
        requests_per_second: how many requests the app can send a second, the limit per minute included.
        now: the current instant by the clock of the API host.
        setting: TIKTOK_REPORT_TASKS.
        policy: when tasks are checked.
    """
    policy, days = policy or TaskPolicy(), list(accounts)
    pages = sum(one.page_requests for one in days)
    if not offers_tasks(report):
        return Choice((), pages, "pages, because a report task would not return the same rows")
    ranges: list[TaskRange] = []
    requests = 0
    for one in days:
        of_account = _split_into_ranges(report, one, now) if can_be_history(one.windows) else []
        in_pages = replace(one, windows=list_rest(report, one.windows, of_account))
        taken = sum(each.count_requests(policy) for each in of_account) + in_pages.page_requests
        if of_account and taken < one.page_requests:
            ranges += of_account
            requests += taken
        else:
            requests += one.page_requests
    if not ranges:
        fewer = any(can_be_history(one.windows) for one in days)
        short = f"pages, because report tasks are for {MIN_TASK_DAYS} days of an account or more"
        return Choice((), pages, "pages, because report tasks would take no fewer requests" if fewer else short)
    page_seconds = pages / requests_per_second
    task_seconds = estimate_task_seconds(len(ranges), requests, requests_per_second, policy)
    by_tasks = f"{len(ranges):,} report task{'s' * (len(ranges) > 1)}: {_describe(requests, task_seconds)}"
    in_pages_only = _describe(pages, page_seconds)
    if task_seconds >= page_seconds:
        return Choice((), pages, f"pages: {in_pages_only}; {by_tasks}")
    if setting == "never":
        return Choice(
            (),
            pages,
            f"pages: {in_pages_only}; with TIKTOK_REPORT_TASKS=auto {by_tasks}, if TikTok allows the app",
        )
    return Choice(ranges, requests, f"{by_tasks}; pages: {in_pages_only}")


def estimate_task_seconds(tasks: int, requests: int, requests_per_second: float, policy: TaskPolicy) -> float:
    """Return the seconds that tasks take: they are waited for together, up to `MAX_TASKS_IN_FLIGHT` of them."""
    waves = ceil(tasks / MAX_TASKS_IN_FLIGHT)
    return waves * policy.assumed_seconds + max(requests / requests_per_second, tasks / TASKS_PER_SECOND)


def list_rest(report: Report, windows: Sequence[DateWindow], ranges: Iterable[TaskRange]) -> list[DateWindow]:
    """Return the windows of an account for the days that no range of it has."""
    taken = {day for each in ranges for window in each.windows for day in window.days}
    return split_into_windows(
        (day for window in windows for day in window.days if day not in taken), report.window_days
    )


def _split_into_ranges(report: Report, days: AccountDays, now: datetime) -> list[TaskRange]:
    """Return the fewest tasks for the days that are old enough, each with a bounded number of rows."""
    ranges: list[TaskRange] = []
    for window in split_into_windows(select_old_days(days, now), report.window_days):
        last = ranges[-1] if ranges else None
        longer = TaskRange(days.account, (*last.windows, window)) if last else None
        if (
            longer
            and (window.first - longer.windows[-2].last).days <= MAX_GAP_DAYS
            and len(longer.span.days) * days.rows_per_day <= MAX_TASK_ROWS
        ):
            ranges[-1] = longer
        else:
            ranges.append(TaskRange(days.account, (window,)))
    return ranges


def _describe(requests: int, seconds: float) -> str:
    """Describe a cost.

    >>> _describe(1825, 182.5)
    '1,825 requests in about 3.0 minutes'
    """
    return f"{requests:,} requests in about {max(seconds, 6) / 60:.1f} minutes"

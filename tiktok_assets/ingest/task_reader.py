"""Read a report by report tasks where they are cheaper, and in pages otherwise or if a task does not succeed."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from tempfile import TemporaryFile
from typing import Any, Literal

import polars as pl

from tiktok_assets.api import (
    OUTPUT_FORMAT,
    DateWindow,
    FetchResult,
    NotOfferedError,
    ReportTask,
    ReportTaskError,
    RequestError,
    RequestStats,
    ThrottledError,
    TikTokError,
    Totals,
)
from tiktok_assets.ingest.reader import Reader, TaskReading
from tiktok_assets.ingest.report_reader import read_reports
from tiktok_assets.ingest.report_responses import ReportRequest, ReportResponse, build_report_responses
from tiktok_assets.ingest.size_estimates import count_report
from tiktok_assets.ingest.task_choice import (
    MAX_TASKS_IN_FLIGHT,
    AccountDays,
    TaskRange,
    can_be_history,
    choose,
    list_rest,
    offers_tasks,
)
from tiktok_assets.ingest.task_files import TaskFile, find_difference, order_metrics, parse_task_file, read_totals
from tiktok_assets.spec import Metric, Report, served_metrics
from tiktok_assets.tables import Account

Outcome = tuple[ReportRequest, ReportResponse | TikTokError]

NOT_ALLOWED = 40118
"""The code for an app that is not on TikTok's list of those that may create report tasks."""


def read_history(reader: Reader, report: Report, requests: Sequence[ReportRequest]) -> Iterator[Outcome]:
    """Yield each request of a report with its rows or its error, as `read_reports`, in any order.

    Args:
        reader: the connection and its state.
        report: the report.
        requests: its requests, the windows of each account in order.
    """
    tasks = reader.tasks
    if tasks is None or not offers_tasks(report) or tasks.unavailable or report.table in tasks.refused:
        yield from read_reports(reader, requests)
        return
    ranges = _choose_ranges(reader, tasks, report, requests)
    if not ranges:
        yield from read_reports(reader, requests)
        return
    in_pages = _list_rest(report, requests, ranges)
    run = _TaskRun(reader, tasks, report, deque(ranges))
    yield from run.read_all()
    yield from read_reports(reader, in_pages)
    for reason, left in run.left.items():
        tasks.notices.append(_describe(report, left, reason))
        for request, outcome in read_reports(reader, left):
            if isinstance(outcome, ReportResponse):
                outcome = replace(outcome, stats=replace(outcome.stats, read_by=f"pages, because {reason}"))  # noqa: PLW2901 - the same rows
            yield request, outcome


def _list_rest(
    report: Report, requests: Sequence[ReportRequest], ranges: Sequence[TaskRange]
) -> list[ReportRequest]:
    """Return the requests for the days that no task has."""
    by_account: dict[Account, list[TaskRange]] = {}
    for each in ranges:
        by_account.setdefault(each.account, []).append(each)
    rest = [one for one in requests if one.account not in by_account]
    for account, of_account in by_account.items():
        windows = [one.window for one in requests if one.window and one.account == account]
        rest += [ReportRequest(report, account, window) for window in list_rest(report, windows, of_account)]
    return rest


def _choose_ranges(
    reader: Reader, tasks: TaskReading, report: Report, requests: Iterable[ReportRequest]
) -> Sequence[TaskRange]:
    """Return the tasks to create; the rows of accounts with many days are counted, which takes a request each."""
    windows: dict[Account, list[DateWindow]] = {}
    for request in requests:
        if request.window:
            windows.setdefault(request.account, []).append(request.window)
    accounts = []
    for account, of_account in windows.items():
        if can_be_history(of_account):
            try:
                rows_per_day = count_report(reader, report, account, of_account[-1].last)
            except TikTokError:
                continue  # its pages have the same error
            accounts.append(AccountDays(account, of_account, rows_per_day))
    return choose(
        report,
        accounts,
        requests_per_second=tasks.requests_per_second,
        now=reader.now(),
        policy=tasks.client.policy,
    ).ranges


def build_task_body(report: Report, each: TaskRange, metrics: Sequence[Metric]) -> dict[str, Any]:
    """Build the body of a task: the report as in pages, but without status filter, order and pages.

    Tasks have no filter of statuses; that deleted objects are in the file is found out by its totals.
    """
    level = report.level
    return {
        "advertiser_id": each.account.advertiser_id,
        "service_type": "AUCTION",
        "report_type": report.report_type,
        "data_level": level.data_level,
        "dimensions": list(report.dimensions),
        "metrics": [*level.requested_attributes, *order_metrics(metrics)],
        "start_date": each.span.first.isoformat(),
        "end_date": each.span.last.isoformat(),
        "output_format": OUTPUT_FORMAT,
        "enable_report_title_translation": False,  # TikTok changes the translations
    }


def _describe(report: Report, left: Sequence[ReportRequest], reason: str) -> str:
    first = min(one.window.first for one in left if one.window)
    last = max(one.window.last for one in left if one.window)
    owners = sorted({one.account.advertiser_id for one in left})
    who = f"account {owners[0]}" if len(owners) == 1 else f"{len(owners):,} accounts"
    return (
        f"{report.table}: {len(left)} windows of {who} within {first}..{last} are read in pages, because {reason}."
    )


@dataclass(slots=True)
class _Running:
    """A task that was created, with the totals that are read meanwhile, and the time of its next check."""

    range: TaskRange
    task: ReportTask
    stats: RequestStats
    totals: dict[DateWindow, Future[Totals]]
    started: float
    checks: Iterator[float]
    due: float = 0.0

    def plan_check(self) -> None:
        """Set the time of the next check."""
        self.due = self.started + next(self.checks)


@dataclass
class _TaskRun:
    """Creates the tasks of a report, checks them in turn, and reads the files of those that have succeeded.

    Attributes:
        left: the requests to read in pages, by the reason.
    """

    reader: Reader
    tasks: TaskReading
    report: Report
    waiting: deque[TaskRange]
    left: dict[str, list[ReportRequest]] = field(default_factory=dict)

    def read_all(self) -> Iterator[Outcome]:
        """Yield the windows of the tasks that succeed; those of the others are added to `left`."""
        metrics = self._select_metrics()
        running: list[_Running] = []
        with ThreadPoolExecutor(MAX_TASKS_IN_FLIGHT, thread_name_prefix="totals") as threads:
            try:
                while self.waiting or running:
                    running.sort(key=lambda one: one.due)
                    is_check_due = running and running[0].due <= time.monotonic()
                    if self.waiting and len(running) < MAX_TASKS_IN_FLIGHT and not is_check_due:
                        running += self._create(self.waiting.popleft(), metrics, threads)
                        continue
                    if running:
                        first = running.pop(0)
                        time.sleep(max(0.0, first.due - time.monotonic()))
                        status = self._check(first)
                        if status == "finished":
                            yield from self._read_file(first, metrics)
                        elif status == "unfinished":
                            running.append(first)
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def _select_metrics(self) -> tuple[Metric, ...]:
        reader = self.reader
        return reader.limits.select_metrics(self.report.table, served_metrics(self.report, reader.metrics))

    def _create(self, each: TaskRange, metrics: tuple[Metric, ...], threads: ThreadPoolExecutor) -> list[_Running]:
        """Create a task; return nothing if that fails, and create no more if the next would fail too."""
        reason = self.tasks.unavailable or self.tasks.refused.get(self.report.table)
        if reason:
            self._leave(each, each.windows, reason)
            return []
        stats, client = RequestStats(), self.tasks.client
        try:
            task = client.create(build_task_body(self.report, each, metrics), stats)
        except TikTokError as error:
            reason = f"no report task could be created: {error}"
            if isinstance(error, NotOfferedError | ThrottledError) or error.code == NOT_ALLOWED:
                self.tasks.unavailable = reason
            elif isinstance(error, RequestError):
                self.tasks.refused[self.report.table] = reason
            self._leave(each, each.windows, reason)
            return []
        totals = {
            window: threads.submit(
                read_totals, self.reader, ReportRequest(self.report, each.account, window), metrics, stats
            )
            for window in each.windows
        }
        one = _Running(each, task, stats, totals, time.monotonic(), client.policy.check_times())
        one.plan_check()
        return [one]

    def _check(self, one: _Running) -> Literal["finished", "unfinished", "left"]:
        """Check a task; one that has not succeeded, or not in time, is left."""
        client = self.tasks.client
        try:
            if client.is_finished(one.task, one.stats):
                return "finished"
            if time.monotonic() - one.started < client.policy.max_seconds:
                one.plan_check()
                return "unfinished"
            reason = (
                f"report task {one.task.task_id} was not finished after {client.policy.max_seconds:.0f} seconds"
            )
        except TikTokError as error:
            reason = str(error)
        else:
            self._cancel(one)
        for future in one.totals.values():
            future.cancel()
        self._leave(one.range, one.range.windows, reason)
        return "left"

    def _cancel(self, one: _Running) -> None:
        try:
            self.tasks.client.cancel(one.task, one.stats)
        except TikTokError:
            return  # it has finished meanwhile, and expires

    def _read_file(self, one: _Running, metrics: tuple[Metric, ...]) -> Iterator[Outcome]:
        """Download the file of a task, and yield its windows that are complete."""
        owner = one.range.account.advertiser_id
        try:
            with TemporaryFile() as file:
                self.tasks.client.download(one.task, file, one.stats)
                parsed = parse_task_file(self.report, self.reader.metrics, metrics, file, owner)
        except TikTokError as error:
            self._leave(one.range, one.range.windows, str(error))
            return
        wait(one.totals.values())  # so that each window has the cost of all of them
        for window in one.range.windows:
            try:
                yield from self._read_window(one, parsed, window, metrics)
            except TikTokError as error:
                self._leave(one.range, [window], str(error))

    def _read_window(
        self, one: _Running, parsed: TaskFile, window: DateWindow, metrics: tuple[Metric, ...]
    ) -> list[Outcome]:
        """Return the rows of a window as if they had been read in pages.

        Raises:
            TikTokError: if they are not those of the report.
        """
        request = ReportRequest(self.report, one.range.account, window)
        rows = parsed.rows.filter(pl.col("date").is_between(window.first, window.last))
        if difference := find_difference(parsed, rows, one.totals[window].result()):
            raise ReportTaskError(difference)
        seconds = time.monotonic() - one.started
        result = FetchResult([rows], rows.height, one.task.created_at, one.stats, seconds)
        responses = build_report_responses(self.reader, request, result, metrics) or []
        read: list[Outcome] = []
        for part, response in responses:
            if isinstance(response, TikTokError):
                raise response
            stats = replace(response.stats, read_by=f"report task {one.task.task_id}")
            read.append((part, replace(response, stats=stats)))
        return read

    def _leave(self, each: TaskRange, windows: Iterable[DateWindow], reason: str) -> None:
        """Have windows read in pages."""
        requests = [ReportRequest(self.report, each.account, window) for window in windows]
        self.left.setdefault(reason, []).extend(requests)

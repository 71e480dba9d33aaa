"""Tests of histories read by report tasks: the tables are those of pages, whatever happens to a task."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import polars as pl
import pytest

from tiktok_assets.api.client import RequestStats
from tiktok_assets.api.report_tasks import NO_TASK_LOG, ReportTaskClient, TaskLog, TaskPolicy
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.ingest.lookback import GAP_SEARCH_DAYS
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.ingest.reader import Reader, TaskReading
from tiktok_assets.ingest.report_reader import plan_report_requests, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.ingest.task_choice import MIN_TASK_DAYS, TaskRange, offers_tasks
from tiktok_assets.ingest.task_files import parse_task_file
from tiktok_assets.ingest.task_reader import build_task_body, read_history
from tiktok_assets.ingest.writer import refresh_report
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.settings import Settings
from tiktok_assets.spec.metric_catalog import Metric
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import REPORTS, REPORTS_BY_TABLE, served_metrics
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.schema import report_schema
from tiktok_assets_tests.api.conftest import FAST, Host
from tiktok_assets_tests.ingest.conftest import TODAY, days_back, granted_accounts

AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
METRICS = STANDARD_METRICS[:8]
PLAN = WorldPlan(dense=True, advertisers=1, days=103, campaigns=1, ad_groups=2, ads=68)
DAYS = days_back(99, 4)
WINDOWS, LAST_DAYS = 4, 6
PAGES = (WINDOWS - 1) * 3 + 1
"""Thirty days of 68 ads are three pages, and the last six days one."""

POLICY = TaskPolicy(
    first_check_seconds=0.01, max_check_interval_seconds=0.02, max_seconds=2.0, assumed_seconds=0.01
)
HOSTILE_NAME = 'Summer, "sale"\nsecond line;\tü'
CREATE, CHECK, DOWNLOAD = (f"report/task/{one}" for one in ("create", "check", "download"))


@pytest.fixture(scope="module")
def shared() -> Iterator[Host]:
    """Run one account whose ads need several pages a month, one of them with a name that CSV has to quote."""
    with Host.run(PLAN) as host:
        (advertiser,) = host.sandbox.world.advertisers.values()
        advertiser.ads[0].name = HOSTILE_NAME
        host.sandbox.state.tasks.queue_seconds = host.sandbox.state.tasks.processing_seconds = 0.0
        yield host


@pytest.fixture
def host(shared: Host) -> Iterator[Host]:
    """Return the shared host without injected faults."""
    shared.reset()
    yield shared
    shared.reset()


@pytest.fixture
def account(host: Host) -> Account:
    """Return the account."""
    (account,) = granted_accounts(host)
    return account


@dataclass
class Open:
    """A reader that may use report tasks."""

    reader: Reader
    tasks: TaskReading


@dataclass(frozen=True)
class Read:
    """The rows of a history without the time of the read, and by window the task or why pages were read."""

    frame: pl.DataFrame
    read_by: Mapping[str, str]


@contextmanager
def open_tasks(
    host: Host,
    log: TaskLog = NO_TASK_LOG,
    policy: TaskPolicy = POLICY,
    metrics: tuple[Metric, ...] = METRICS,
) -> Iterator[Open]:
    """Open a reader on a host, which sends five requests a second for the choice between tasks and pages."""
    with host.fetcher(FAST) as (client, fetcher):
        tasks = TaskReading(ReportTaskClient(client, log, policy), requests_per_second=5)
        yield Open(Reader(fetcher, client.now, metrics, tasks=tasks), tasks)


def refresh(
    reader: Reader, folder: Path, account: Account, days: list[date] = DAYS, report: Report = AD_DAILY
) -> list[WrittenPartition]:
    """Refresh days of a report into a folder; none may fail."""
    outcomes = list(refresh_report(reader, HiveStore(str(folder)), report, {account: days}))
    assert [one for one in outcomes if isinstance(one, FailedPartitions)] == []
    return [one for one in outcomes if isinstance(one, WrittenPartition)]


def read(reader: Reader, account: Account, days: list[date] = DAYS) -> Read:
    """Read days of the report without storing them; none may fail."""
    outcomes = list(read_history(reader, AD_DAILY, plan_report_requests(AD_DAILY, account, days)))
    responses = [response for _, response in outcomes if isinstance(response, ReportResponse)]
    assert len(responses) == len(outcomes)
    frame = pl.concat([one.frame for one in responses]).sort(AD_DAILY.key).drop("fetched_at")
    return Read(frame, {str(one.stats.window): one.stats.read_by for one in responses})


def read_tables(folder: Path, report: Report = AD_DAILY) -> pl.DataFrame:
    """Read a stored report without the time of the read."""
    return HiveStore(str(folder)).scan(report.table, report_schema(report, METRICS)).collect().drop("fetched_at")


def read_metadata(folder: Path, account: Account, day: date) -> Mapping[str, str]:
    """Return the metadata of a stored day without the time of the read."""
    found = HiveStore(str(folder)).read_metadata(AD_DAILY.table, Partition(account.advertiser_id, day)) or {}
    return {key: value for key, value in found.items() if key not in {"fetched_at", "readings"}}


@pytest.fixture(scope="module")
def stored_pages(shared: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tables as they are read in pages."""
    folder = tmp_path_factory.mktemp("pages")
    shared.reset()
    with shared.fetcher(FAST) as (client, fetcher):
        refresh(Reader(fetcher, client.now, METRICS), folder, granted_accounts(shared)[0])
    assert len(shared.requests) == PAGES
    return folder


@pytest.fixture(scope="module")
def by_pages(stored_pages: Path) -> pl.DataFrame:
    """Return the rows as they are read in pages."""
    return read_tables(stored_pages).sort(AD_DAILY.key)


def count_requests(host: Host) -> dict[str, int]:
    """Return how many requests were sent to each path."""
    paths = [one["path"] for one in host.requests]
    return {path: paths.count(path) for path in dict.fromkeys(paths)}


@pytest.mark.slow
def test_tables_of_tasks_are_those_of_pages(
    host: Host, account: Account, stored_pages: Path, tmp_path: Path
) -> None:
    """A history of a task has the rows, types, order and metadata of pages, and says which task it is from."""
    with open_tasks(host) as one:
        written = refresh(one.reader, tmp_path, account)
    assert read_tables(tmp_path).equals(read_tables(stored_pages))
    assert read_tables(tmp_path).schema == read_tables(stored_pages).schema
    assert HOSTILE_NAME in read_tables(tmp_path).get_column("ad_name").to_list()
    assert read_metadata(tmp_path, account, DAYS[0]) == read_metadata(stored_pages, account, DAYS[0])
    sent = count_requests(host)
    assert (sent[CREATE], sent[DOWNLOAD], sent["report/integrated/get"]) == (1, 1, WINDOWS + 1)
    assert {one.stats.read_by for one in written} == {"report task 7400000000000000000"}
    assert sorted(one.partition.day for one in written if one.partition.day) == DAYS
    assert not one.tasks.notices
    (body,) = [one["body"] for one in host.requests if one["path"] == CREATE]
    assert (body["start_date"], body["end_date"]) == (str(DAYS[0]), str(DAYS[-1]))
    assert {one["code"] for one in host.requests} == {0}


FAILURES: Mapping[str, tuple[dict[str, Any], str, int]] = {
    "failed": (
        {"kind": "task_failed", "path": CREATE, "message": "out of memory"},
        "has the status FAILED: out of memory",
        WINDOWS,
    ),
    "not allowed": ({"kind": "code", "code": 40118, "path": CREATE}, "no report task could be created", WINDOWS),
    "refused": ({"kind": "code", "code": 40002, "path": CREATE}, "no report task could be created", WINDOWS),
    "throttled": ({"kind": "code", "code": 40016, "path": CREATE}, "no report task could be created", WINDOWS),
    "expired": ({"kind": "link_expired", "path": DOWNLOAD, "times": None}, "HTTP status 403", WINDOWS),
    "not ready": ({"kind": "code", "code": 40002, "path": DOWNLOAD}, "System error", WINDOWS),
    "half a file": (
        {"kind": "file_cut", "shift": 200_000, "path": DOWNLOAD},
        "the file of the report task",
        WINDOWS,
    ),
    "cut in the last line": (
        {"kind": "file_cut", "shift": 40, "path": DOWNLOAD},
        "the file of the report task",
        WINDOWS,
    ),
    "cut in the last number": (
        {"kind": "file_cut", "shift": 2, "path": DOWNLOAD},
        "impressions, and the report",
        1,
    ),
    "without the last row": ({"kind": "file_row_lost", "path": DOWNLOAD}, "rows, and the report", 1),
}
"""What can happen to a task: the fault, a part of the reason, and how many windows are read in pages."""


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "reason", "windows"), FAILURES.values(), ids=FAILURES)
def test_a_task_that_does_not_succeed_is_replaced_by_pages(
    host: Host,
    account: Account,
    by_pages: pl.DataFrame,
    *,
    fault: dict[str, Any],
    reason: str,
    windows: int,
) -> None:
    """Whatever fails, the same rows are stored, and one sentence says which days were read in pages, and why."""
    host.inject_fault(**fault)
    with open_tasks(host) as one:
        found = read(one.reader, account)
    assert found.frame.equals(by_pages)
    assert sum("pages, because" in text for text in found.read_by.values()) == windows
    notices = list(one.tasks.notices)
    assert sum(int(text.split(": ")[1].split()[0]) for text in notices) == windows
    assert [text for text in notices if reason not in text] == []


def test_an_expired_link_is_replaced(host: Host, account: Account, by_pages: pl.DataFrame) -> None:
    """A new link is asked for if the first has expired."""
    host.inject_fault("link_expired", path=DOWNLOAD)
    with open_tasks(host) as one:
        found = read(one.reader, account)
    assert found.frame.equals(by_pages)
    assert (count_requests(host)[DOWNLOAD], list(one.tasks.notices)) == (2, [])


def test_a_lost_response_creates_another_task(host: Host, account: Account, by_pages: pl.DataFrame) -> None:
    """If the response to a creation is lost, the task is created again."""
    host.inject_fault("commit_then_cut", path=CREATE)
    with open_tasks(host) as one:
        found = read(one.reader, account)
    assert found.frame.equals(by_pages)
    assert (count_requests(host)[CREATE], list(one.tasks.notices)) == (2, [])


def test_a_task_that_takes_too_long_is_canceled(host: Host, account: Account, by_pages: pl.DataFrame) -> None:
    """A task that stays in PROCESSING is canceled after the longest time, and its days are read in pages."""
    host.inject_fault("task_stuck", path=CREATE)
    with open_tasks(host, policy=replace(POLICY, max_seconds=0.1)) as one:
        found = read(one.reader, account)
    assert found.frame.equals(by_pages)
    assert "was not finished after" in one.tasks.notices[0]
    assert count_requests(host)["report/task/cancel"] == 1


def test_tasks_without_deleted_objects_are_not_stored(
    host: Host, account: Account, by_pages: pl.DataFrame
) -> None:
    """If tasks left deleted objects out, the totals would show it, and the days are read in pages."""
    host.control("POST", "switches", tasks_of_deleted=False)
    ad = host.sandbox.world.advertisers[account.advertiser_id].ads[-1]
    ad.deleted = host.sandbox.state.now - 3600
    host.sandbox.world.version += 1
    try:
        with open_tasks(host) as one:
            found = read(one.reader, account)
    finally:
        ad.deleted = None
        host.sandbox.world.version += 1
    assert found.frame.equals(by_pages)
    assert "rows, and the report" in one.tasks.notices[0]


def test_no_task_is_created_over_a_limit(host: Host, account: Account, by_pages: pl.DataFrame) -> None:
    """Once the tasks of the day are used up, none is sent, and the sentence says so."""

    class Full:
        def reserve(self, advertiser_id: str) -> str:
            return f"no more tasks for {advertiser_id}"

    with open_tasks(host, Full()) as one:
        found = read(one.reader, account)
    assert found.frame.equals(by_pages)
    assert CREATE not in count_requests(host)
    assert f"no more tasks for {account.advertiser_id}" in one.tasks.notices[0]


def test_an_app_that_is_not_allowed_asks_once(host: Host, account: Account) -> None:
    """After 40118 no further task is created in the run, and no rows are counted for another choice."""
    host.control("POST", "switches", report_tasks_allowed=False)
    with open_tasks(host) as one:
        for _ in range(2):
            read(one.reader, account)
    sent = count_requests(host)
    assert (sent[CREATE], sent["report/integrated/get"]) == (1, 1 + 2 * PAGES)


def test_a_stopped_history_is_continued(host: Host, account: Account, stored_pages: Path, tmp_path: Path) -> None:
    """A refresh that was stopped after some days has stored them whole, and the rest is read by another task."""
    with open_tasks(host) as one:
        outcomes = refresh_report(one.reader, HiveStore(str(tmp_path)), AD_DAILY, {account: DAYS})
        stored = [next(outcomes) for _ in range(5)]
        outcomes.close()  # type: ignore[attr-defined] # it is a generator
        days = {each.partition.day for each in stored if isinstance(each, WrittenPartition)}
        assert len(days) == len(stored)
        refresh(one.reader, tmp_path, account, [day for day in DAYS if day not in days])
    assert read_tables(tmp_path).equals(read_tables(stored_pages))
    assert count_requests(host)[CREATE] == 2


@pytest.mark.slow
@pytest.mark.parametrize("report", [one for one in REPORTS if offers_tasks(one)], ids=lambda report: report.table)
def test_every_report_of_tasks_has_the_rows_of_pages(host: Host, account: Account, report: Report) -> None:
    """Each report that tasks are used for is parsed from a file to the rows that its pages are parsed to."""
    window = DateWindow(DAYS[-2], DAYS[-1])
    metrics = served_metrics(report, STANDARD_METRICS)
    stats = RequestStats()
    with open_tasks(host, metrics=STANDARD_METRICS) as one, TemporaryFile() as file:
        task = one.tasks.client.create(build_task_body(report, TaskRange(account, (window,)), metrics), stats)
        assert one.tasks.client.is_finished(task, stats)
        one.tasks.client.download(task, file, stats)
        parsed = parse_task_file(report, STANDARD_METRICS, metrics, file, account.advertiser_id)
        requests = plan_report_requests(report, account, window.days)
        pages = [found for _, found in read_reports(one.reader, requests) if isinstance(found, ReportResponse)]
    expected = pl.concat(found.frame for found in pages)
    rows = parsed.rows.with_columns(advertiser_id=pl.lit(account.advertiser_id)).sort(report.key)
    assert rows.height > 0
    assert rows.equals(expected.select(rows.columns))


def test_the_daily_refresh_creates_no_task(host: Host, account: Account) -> None:
    """As many days as a daily refresh can read, and one fewer than tasks take, are read in pages."""
    sweep = Settings.model_fields["sweep_days"].metadata
    lookback = Settings.model_fields["lookback_days"].metadata
    longest = max(one.le for one in (*sweep, *lookback) if hasattr(one, "le")) + 1
    assert max(longest, GAP_SEARCH_DAYS) < MIN_TASK_DAYS
    with open_tasks(host) as one:
        read(one.reader, account, DAYS[-MIN_TASK_DAYS + 1 :])
    assert set(count_requests(host)) == {"report/integrated/get"}


def test_recent_days_are_read_in_pages(host: Host, account: Account) -> None:
    """The days whose data may still be old in a task are read in pages, without a notice."""
    with open_tasks(host) as one:
        found = read(one.reader, account, days_back(99))
    (body,) = [one["body"] for one in host.requests if one["path"] == CREATE]
    assert date.fromisoformat(body["end_date"]) == TODAY - timedelta(3)
    in_pages = [window for window, text in found.read_by.items() if not text]
    assert (in_pages, list(one.tasks.notices)) == ([str(DateWindow(TODAY - timedelta(2), TODAY))], [])

"""Test timeouts across processes: a report that timed out in two processes is not sent by a third."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tiktok_assets.api.errors import TimedOutError, suggest_fix
from tiktok_assets.ingest.report_reader import plan_report_requests, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets_tests.api.conftest import FAST, SMALL, Host
from tiktok_assets_tests.ingest.conftest import Rows, days_back, expected_report, granted_accounts, report_rows

AD_DAILY, AD_LIFETIME = REPORTS_BY_TABLE["ad_report_daily"], REPORTS_BY_TABLE["ad_report_lifetime"]
REPORT_PATH = "report/integrated/get"
DAYS = days_back(4, 1)

READER_SCRIPT = """
import json, sys
from contextlib import closing
from datetime import date
from tiktok_assets.api.errors import TikTokError, suggest_fix
from tiktok_assets.api.retry import RetryPolicy
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.ingest.report_reader import plan_report_requests, read_reports
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.reports import REPORTS_BY_TABLE

settings, owner, table, days = json.loads(sys.argv[1])
results = []
with closing(Session(load_settings(**settings), policy=RetryPolicy(timeout_window_seconds=0.01))) as session:
    account = Account(owner, "USD", "UTC")
    requests = plan_report_requests(REPORTS_BY_TABLE[table], account, [date.fromisoformat(day) for day in days])
    for request, response in read_reports(session.reader, requests):
        failed = isinstance(response, TikTokError)
        results.append([type(response).__name__, suggest_fix(response) if failed else ""])
print(json.dumps(results))
"""
"""A process that reads one report of an account and prints the result of each part."""


@dataclass(frozen=True)
class SharedState:
    """A host, and the settings of all processes that share one state folder."""

    host: Host
    settings: dict[str, Any]

    def read_in_other_process(self, table: str) -> list[tuple[str, str]]:
        """Read a report in another process; return the type and the suggested fix of each part."""
        owner = granted_accounts(self.host)[0].advertiser_id
        days = [day.isoformat() for day in DAYS] if table == AD_DAILY.table else []
        arguments = json.dumps([self.settings, owner, table, days])
        done = subprocess.run(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-c", READER_SCRIPT, arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return [(kind, fix) for kind, fix in json.loads(done.stdout)]

    @property
    def request_counts(self) -> Counter[str]:
        """How often each report query was sent."""
        return Counter(
            json.dumps(one["query"], sort_keys=True) for one in self.host.requests if one["path"] == REPORT_PATH
        )


@pytest.fixture(scope="module")
def shared_host() -> Iterator[Host]:
    """Run a small world."""
    with Host.run(SMALL) as host:
        yield host


@pytest.fixture
def shared_state(shared_host: Host, tmp_path: Path) -> Iterator[SharedState]:
    """Return the small world without injected faults, and settings with a state folder of its own."""
    shared_host.reset()
    settings = {
        "base_url": shared_host.sandbox.base_url,
        "access_token": shared_host.sandbox.token,
        "advertiser_ids": [one.advertiser_id for one in granted_accounts(shared_host)],
        "qps": 1000,
        "data_dir": str(tmp_path / "data"),
        "state_dir": str(tmp_path / "state"),
    }
    yield SharedState(shared_host, settings)
    shared_host.reset()


@pytest.mark.slow
def test_a_report_that_timed_out_in_two_processes_is_not_sent_again(shared_state: SharedState) -> None:
    """A lifetime report that timed out in two processes is not sent by the next; its error says when to retry."""
    shared_state.host.inject_fault("code", code=50002, times=None, path=REPORT_PATH)
    first, second = (
        shared_state.read_in_other_process(AD_LIFETIME.table),
        shared_state.read_in_other_process(AD_LIFETIME.table),
    )
    assert [kind for kind, _ in first + second] == ["TimedOutError", "TimedOutError"]
    assert "seconds" not in first[0][1]
    assert "It may work again in" in second[0][1]
    assert list(shared_state.request_counts.values()) == [2]
    shared_state.host.sandbox.state.faults.clear()
    with closing(Session(load_settings(**shared_state.settings), policy=FAST)) as session:
        ((_, timed_out),) = read_reports(
            session.reader, plan_report_requests(AD_LIFETIME, granted_accounts(shared_state.host)[0], [])
        )
    assert type(timed_out) is TimedOutError
    assert timed_out.retry_after_seconds
    assert 500 < timed_out.retry_after_seconds <= 600
    assert "It may work again in" in suggest_fix(timed_out)
    assert list(shared_state.request_counts.values()) == [2]


@pytest.mark.slow
def test_a_window_that_timed_out_twice_is_halved_without_a_request(shared_state: SharedState) -> None:
    """A window that timed out in two processes is requested in halves by the next, and is complete."""
    for _ in range(2):
        shared_state.host.inject_fault("code", code=50002, times=1, path=REPORT_PATH)
        assert {kind for kind, _ in shared_state.read_in_other_process(AD_DAILY.table)} == {"ReportResponse"}
    account = granted_accounts(shared_state.host)[0]
    with closing(Session(load_settings(**shared_state.settings), policy=FAST)) as session:
        responses = [a for _, a in read_reports(session.reader, plan_report_requests(AD_DAILY, account, DAYS))]
    rows: Rows = {}
    for response in responses:
        assert isinstance(response, ReportResponse)
        rows |= report_rows(response.frame, AD_DAILY, STANDARD_METRICS)
    assert rows == expected_report(shared_state.host, AD_DAILY, account, STANDARD_METRICS, DAYS)
    assert sorted(shared_state.request_counts.values()) == [2, 3, 3]  # the window, and its halves
    assert {one["code"] for one in shared_state.host.requests} == {0, 50002}


def test_reading_without_timeouts_creates_no_state(shared_state: SharedState) -> None:
    """If nothing times out, reading reports creates no state database."""
    assert {kind for kind, _ in shared_state.read_in_other_process(AD_DAILY.table)} == {"ReportResponse"}
    assert not (Path(shared_state.settings["state_dir"]) / "state.sqlite").exists()

"""Laws of time-outs across runs: what one process saw time out twice no other asks again."""

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
from tiktok_assets.ingest.report_reader import build_report_queries, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets_tests.api.conftest import FAST, SMALL, Host
from tiktok_assets_tests.ingest.conftest import Rows, accounts_of, days_back, reported, true_report

AD_DAILY, AD_LIFETIME = REPORTS_BY_TABLE["ad_report_daily"], REPORTS_BY_TABLE["ad_report_lifetime"]
REPORT_PATH = "report/integrated/get"
DAYS = days_back(4, 1)

READER = """
import json, sys
from contextlib import closing
from datetime import date
from tiktok_assets.api.client import Policy
from tiktok_assets.api.errors import TikTokError, mend_of
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.ingest.report_reader import read_reports, report_questions
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.reports import REPORTS_BY_TABLE

settings, owner, table, days = json.loads(sys.argv[1])
told = []
with closing(Session(load_settings(**settings), policy=Policy(timeouts_within_seconds=0.01))) as session:
    account = Account(owner, "USD", "UTC")
    questions = report_questions(REPORTS_BY_TABLE[table], account, [date.fromisoformat(day) for day in days])
    for question, answer in read_reports(session.reader, questions):
        failed = isinstance(answer, TikTokError)
        told.append([type(answer).__name__, mend_of(answer) if failed else ""])
print(json.dumps(told))
"""
"""Another process, which reads one report of an account and tells how each part of it ended."""


@dataclass(frozen=True)
class Desk:
    """A host, and the settings of everybody who shares one state."""

    host: Host
    settings: dict[str, Any]

    def read_elsewhere(self, table: str) -> list[tuple[str, str]]:
        """How the parts of a report ended in another process: the kind of answer, and the mend."""
        owner = accounts_of(self.host)[0].advertiser_id
        days = [day.isoformat() for day in DAYS] if table == AD_DAILY.table else []
        given = json.dumps([self.settings, owner, table, days])
        done = subprocess.run(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-c", READER, given], capture_output=True, text=True, timeout=60, check=True
        )
        return [(kind, mend) for kind, mend in json.loads(done.stdout)]

    @property
    def times_asked(self) -> Counter[str]:
        """How often each report was sent."""
        return Counter(
            json.dumps(one["query"], sort_keys=True) for one in self.host.requests if one["path"] == REPORT_PATH
        )


@pytest.fixture(scope="module")
def shared_host() -> Iterator[Host]:
    """A small world."""
    with Host.run(SMALL) as running:
        yield running


@pytest.fixture
def desk(shared_host: Host, tmp_path: Path) -> Iterator[Desk]:
    """The small world, well-behaved before and after, and a state of its own."""
    shared_host.behave()
    settings = {
        "base_url": shared_host.sandbox.base_url,
        "access_token": shared_host.sandbox.token,
        "advertiser_ids": [one.advertiser_id for one in accounts_of(shared_host)],
        "qps": 1000,
        "data_dir": str(tmp_path / "data"),
        "state_dir": str(tmp_path / "state"),
    }
    yield Desk(shared_host, settings)
    shared_host.behave()


def test_what_two_processes_saw_time_out_a_third_does_not_send(desk: Desk) -> None:
    """A lifetime report that timed out in two processes is not sent by the next: it is told when it may be."""
    desk.host.misbehave("code", code=50002, times=None, path=REPORT_PATH)
    first, second = desk.read_elsewhere(AD_LIFETIME.table), desk.read_elsewhere(AD_LIFETIME.table)
    assert [kind for kind, _ in first + second] == ["TimedOutError", "TimedOutError"]
    assert "seconds" not in first[0][1]
    assert "It may work again in" in second[0][1]
    assert list(desk.times_asked.values()) == [2]
    desk.host.sandbox.state.faults.clear()
    with closing(Session(load_settings(**desk.settings), policy=FAST)) as session:
        ((_, refused),) = read_reports(
            session.reader, build_report_queries(AD_LIFETIME, accounts_of(desk.host)[0], [])
        )
    assert type(refused) is TimedOutError
    assert refused.retry_after_seconds
    assert 500 < refused.retry_after_seconds <= 600
    assert "It may work again in" in suggest_fix(refused)
    assert list(desk.times_asked.values()) == [2]


def test_a_window_that_timed_out_twice_is_halved_without_asking(desk: Desk) -> None:
    """Days that timed out together in two processes come in halves in the next, whole and true."""
    for _ in range(2):
        desk.host.misbehave("code", code=50002, times=1, path=REPORT_PATH)
        assert {kind for kind, _ in desk.read_elsewhere(AD_DAILY.table)} == {"ReportAnswer"}
    account = accounts_of(desk.host)[0]
    with closing(Session(load_settings(**desk.settings), policy=FAST)) as session:
        answers = [a for _, a in read_reports(session.reader, build_report_queries(AD_DAILY, account, DAYS))]
    rows: Rows = {}
    for answer in answers:
        assert isinstance(answer, ReportResponse)
        rows |= reported(answer.frame, AD_DAILY, STANDARD_METRICS)
    assert rows == true_report(desk.host, AD_DAILY, account, STANDARD_METRICS, DAYS)
    assert sorted(desk.times_asked.values()) == [2, 3, 3]  # the whole, and its halves
    assert {one["code"] for one in desk.host.requests} == {0, 50002}


def test_reading_well_opens_no_state(desk: Desk) -> None:
    """Where nothing times out, reading reports leaves no database."""
    assert {kind for kind, _ in desk.read_elsewhere(AD_DAILY.table)} == {"ReportAnswer"}
    assert not (Path(desk.settings["state_dir"]) / "state.sqlite").exists()

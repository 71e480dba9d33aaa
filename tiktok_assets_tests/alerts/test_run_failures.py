"""Tests of alerts about failed runs: each run is reported once, and runs that fail together share one alert."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.alerts.delivery import DeliveryReport, deliver
from tiktok_assets.alerts.outbox import enqueue, list_channels
from tiktok_assets.alerts.run_failures import (
    GROUPING_DELAY,
    FailedRun,
    build_run_failure_alert,
    enqueue_run_failures,
)
from tiktok_assets.alerts.sender_process import SenderProcess
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.state import State, outbox, reported_runs
from tiktok_assets_tests.alerts.fake_channels import Webhook, respond_with, run_webhook

NOON = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FORKSERVER = "tiktok_assets_tests.alerts.test_run_failures"


def build_failed_run(
    number: int, *, after: float = 0, job: str = "refresh_daily", reason: str = "No route."
) -> FailedRun:
    """Build a run that failed so many seconds after noon."""
    return FailedRun(f"{number:08x}-0000-4000-8000-000000000000", job, reason, NOON + after * SECOND, "ads")


class RunFailureHarness:
    """A state with its channels and its clock."""

    def __init__(self, folder: Path, *urls: str) -> None:
        self.folder, self.now = folder, NOON
        self.settings: Settings = load_settings(state_dir=folder, alert_urls=" ".join(urls))
        self.state = State(self.settings.state_database_url)

    def report(
        self, *runs: FailedRun, grouping_delay: timedelta = GROUPING_DELAY, is_interrupted: bool = False
    ) -> str | None:
        """Enqueue failed runs; or be interrupted just before the commit."""
        channels = list_channels(self.settings)
        with suppress(InterruptedError), self.state.transaction() as connection:
            alert = enqueue_run_failures(
                connection, runs, self.settings, channels, self.now, grouping_delay=grouping_delay
            )
            if not is_interrupted:
                return alert.title if alert else None
            raise InterruptedError
        return None

    def deliver(self, sender: SenderProcess) -> DeliveryReport:
        """Deliver what is due."""
        return deliver(
            self.state,
            list_channels(self.settings),
            self.folder / "alerts",
            now=lambda: self.now,
            open_sender=lambda: nullcontext(sender),
        )

    def read_files(self) -> list[dict[str, Any]]:
        """Read the alerts that were written as files."""
        return [json.loads(path.read_text("utf-8")) for path in sorted((self.folder / "alerts").glob("*.json"))]


@contextmanager
def open_harness(folder: Path, *script: Any) -> Iterator[tuple[RunFailureHarness, Webhook]]:  # noqa: ANN401 - behaviours
    """Open a harness with one channel."""
    with run_webhook(*script) as hook:
        harness = RunFailureHarness(folder, f"json://127.0.0.1:{hook.port}/hook")
        try:
            yield harness, hook
        finally:
            harness.state.close()


def list_run_ids(alert: dict[str, Any]) -> list[str]:
    """List the runs of an alert."""
    facts = alert["facts"]
    return [run["run_id"] for run in facts["runs"]] if "runs" in facts else [facts["run_id"]]


def test_single_failure_has_a_single_run_alert(tmp_path: Path, sender: SenderProcess) -> None:
    """A run that fails alone gets the alert about one run, delivered once no other has joined it."""
    with open_harness(tmp_path) as (harness, hook):
        assert harness.report(build_failed_run(1)) == "A run of refresh_daily failed"
        harness.now += GROUPING_DELAY - SECOND
        assert harness.deliver(sender).delivered == 0
        harness.now += SECOND
        assert harness.deliver(sender).delivered == 2
        (body,) = hook.bodies
        assert "No route.\n" in body["message"]
        assert f"Alert run-{build_failed_run(1).run_id}." in body["message"]
        assert harness.report(build_failed_run(1)) is None


def test_failures_within_a_minute_share_one_counting_alert(tmp_path: Path, sender: SenderProcess) -> None:
    """Twelve runs found by several ticks share one alert with count, jobs, reasons, first ids and advice."""
    runs = [
        build_failed_run(
            n, after=n * 5, job="refresh_daily" if n < 9 else "refresh_lifetime", reason=f"Reason {n % 2}."
        )
        for n in range(12)
    ]
    with open_harness(tmp_path) as (harness, hook):
        for tick in (1, 31, 61, 91):
            harness.now = NOON + tick * SECOND
            harness.report(*(run for run in runs if run.failed_at <= harness.now))
            assert harness.deliver(sender).delivered == 0
        harness.now = NOON + GROUPING_DELAY
        assert harness.deliver(sender).delivered == 2
        (body,) = hook.bodies
    assert body["title"] == "12 runs failed"
    text = body["message"]
    assert "12 runs failed on 7 October 2026, 12:30 UTC: 9 of refresh_daily, 3 of refresh_lifetime." in text
    assert text.count("6 runs: Reason") == 2
    assert text.count("http://localhost:3000/runs/") == 5
    assert "and 7 more" in text
    assert "re-execute them from failure" in text
    assert [list_run_ids(alert) for alert in harness.read_files()] == [[run.run_id for run in runs]]


def test_alert_in_delivery_is_not_extended(tmp_path: Path, sender: SenderProcess) -> None:
    """An alert with an attempted delivery stays as it is, and a later failure gets an alert of its own."""
    with open_harness(tmp_path, respond_with(500)) as (harness, hook):
        harness.report(build_failed_run(1), build_failed_run(2), grouping_delay=timedelta(0))
        assert harness.deliver(sender).failed == 1
        assert harness.report(build_failed_run(3, after=1)) == "A run of refresh_daily failed"
        harness.now += timedelta(minutes=10)
        harness.deliver(sender)
        assert sorted(body["title"] for body in hook.bodies[1:]) == [
            "2 runs failed",
            "A run of refresh_daily failed",
        ]


def test_alert_of_an_earlier_release_is_kept_and_not_repeated(tmp_path: Path, sender: SenderProcess) -> None:
    """A row without an entry in `told_runs` is neither lost nor repeated."""
    with open_harness(tmp_path) as (harness, hook):
        with harness.state.transaction() as connection:
            alert = build_run_failure_alert([build_failed_run(1)], harness.settings)
            enqueue(connection, alert, list_channels(harness.settings), harness.now)
        assert harness.report(build_failed_run(1), build_failed_run(2), build_failed_run(3)) == "2 runs failed"
        harness.now += GROUPING_DELAY
        harness.deliver(sender)
        assert [body["title"] for body in hook.bodies] == [
            "A run of refresh_daily failed",
            "2 runs failed",
        ]


def test_merged_alert_keeps_its_channels(tmp_path: Path, sender: SenderProcess) -> None:
    """An alert keeps its channels when runs join it, whatever the settings are by then."""
    with open_harness(tmp_path) as (harness, hook):
        harness.report(build_failed_run(1))
        before, harness.settings = harness.settings, load_settings(state_dir=tmp_path)
        harness.report(build_failed_run(2))
        harness.settings = before
        harness.now += GROUPING_DELAY
        harness.deliver(sender)
        assert [body["title"] for body in hook.bodies] == ["2 runs failed"]


def test_alert_stays_short_for_many_reasons(tmp_path: Path) -> None:
    """Of many jobs and reasons the most common are listed and the rest counted, with names shown as text."""
    runs = [build_failed_run(n, job=f"job_{n % 9}", reason=f"<!channel> {n} {'x' * 900}") for n in range(300)]
    alert = build_run_failure_alert(runs, load_settings(state_dir=tmp_path))
    assert "and those of 4 other jobs" in alert.text
    assert "295 runs: 295 other reasons" in alert.text
    assert len(alert.text) < 5000
    assert "<!channel>" not in alert.markdown
    assert len(alert.facts["runs"]) == 300


Step = tuple[str, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.just("interrupted"), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.just("deliver"), st.integers(0, 0), st.integers(0, 0)),
        st.tuples(st.just("wait"), st.integers(1, 60), st.integers(0, 0)),
    ),
    max_size=14,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 120), min_size=1, max_size=10), STEPS)
def test_each_run_is_reported_once_for_any_sequence_of_ticks(
    sender: SenderProcess, seconds: Sequence[int], steps: Sequence[Step]
) -> None:
    """For any sequence of ticks, repeats, interruptions and deliveries, each run is reported exactly once."""
    runs = [build_failed_run(number, after=after) for number, after in enumerate(seconds)]
    with TemporaryDirectory() as folder, open_harness(Path(folder)) as (harness, hook):
        for kind, one, other in steps:
            first, last = sorted((one, other))
            if kind == "deliver":
                harness.deliver(sender)
            elif kind == "wait":
                harness.now += one * SECOND
            else:
                harness.report(*runs[first : last + 1], is_interrupted=kind == "interrupted")
        harness.report(*runs)
        harness.now += timedelta(minutes=5)
        harness.deliver(sender)
        counts_by_run = Counter(run_id for alert in harness.read_files() for run_id in list_run_ids(alert))
        assert counts_by_run == Counter(run.run_id for run in runs)
        assert sorted(body["title"] for body in hook.bodies) == sorted(
            alert["title"] for alert in harness.read_files()
        )
        counts = [len(list_run_ids(alert)) for alert in harness.read_files()]
        assert [
            alert["title"].startswith(f"{n} runs") for alert, n in zip(harness.read_files(), counts, strict=True)
        ] == [n > 1 for n in counts]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=10), st.integers(0, 29), st.integers(0, 29))
def test_failures_within_a_minute_are_one_alert_for_any_tick_times(
    sender: SenderProcess, seconds: Sequence[int], check: int, deliver: int
) -> None:
    """Whenever the ticks of both sensors fall, the failures of one minute are one alert."""
    runs = [build_failed_run(number, after=after) for number, after in enumerate(seconds)]
    with TemporaryDirectory() as folder, open_harness(Path(folder)) as (harness, hook):
        for second in range(240):
            harness.now = NOON + second * SECOND
            if second % 30 == check:
                harness.report(*(run for run in runs if run.failed_at <= harness.now))
            if second % 30 == deliver:
                harness.deliver(sender)
        assert len(hook.bodies) == 1
        assert [len(list_run_ids(alert)) for alert in harness.read_files()] == [len(runs)]


POINTS = tuple(
    f"{when} {what}"
    for what in ("DELETE FROM outbox", "INSERT INTO told_runs", "UPDATE told_runs SET", "INSERT INTO outbox")
    for when in ("before", "after")
)


def report_until(folder: Path, urls: Sequence[str], point: str) -> None:
    """Report two more runs in this process, which kills itself at the given statement."""
    harness = RunFailureHarness(folder, *urls)

    def kill_at(when: str, statement: object) -> None:
        if f"{when} {' '.join(str(statement).split()[:3])}" == point:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "before_cursor_execute", lambda *arguments: kill_at("before", arguments[2]))
    sa.event.listen(sa.Engine, "after_cursor_execute", lambda *arguments: kill_at("after", arguments[2]))
    harness.report(build_failed_run(2), build_failed_run(3))
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("point", [*POINTS, "after COMMIT"])
def test_each_run_is_reported_once_after_a_kill_at_any_statement(
    tmp_path: Path, sender: SenderProcess, point: str
) -> None:
    """Killed before the commit or after it, all runs end up in one alert."""
    context = get_context("forkserver")
    context.set_forkserver_preload([FORKSERVER])
    with open_harness(tmp_path) as (harness, hook):
        harness.report(build_failed_run(1))
        urls = [url.get_secret_value() for url in harness.settings.alert_urls]
        process = context.Process(target=report_until, args=(tmp_path, urls, point))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        with harness.state.transaction() as connection:
            rows = connection.execute(sa.select(reported_runs.c.alert_id)).scalars().all()
            kept = set(connection.scalars(sa.select(outbox.c.alert_id)))
        assert (len(rows), set(rows)) == (3 if point == "after COMMIT" else 1, kept)
        harness.report(build_failed_run(1), build_failed_run(2), build_failed_run(3))
        harness.now += GROUPING_DELAY
        harness.deliver(sender)
        assert [body["title"] for body in hook.bodies] == ["3 runs failed"]

"""Laws of the alerts about failed runs: each run is told of once, and those that fail together in one message."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.state import State, outbox, reported_runs
from tiktok_assets_tests.alerts.fake_channels import Webhook, respond_with, run_webhook

NOON = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FORKSERVER = "tiktok_assets_tests.alerts.test_run_failures"


def failed(number: int, *, after: float = 0, job: str = "refresh_daily", reason: str = "No route.") -> FailedRun:
    """A run that failed so many seconds after noon."""
    return FailedRun(f"{number:08x}-0000-4000-8000-000000000000", job, reason, NOON + after * SECOND, "ads")


class Desk:
    """A state, its receivers and its clock."""

    def __init__(self, folder: Path, *urls: str) -> None:
        self.folder, self.now = folder, NOON
        self.settings: Settings = load_settings(state_dir=folder, alert_urls=" ".join(urls))
        self.state = State(self.settings.state_address)

    def tell(self, *runs: FailedRun, gathering: timedelta = GROUPING_DELAY, dies: bool = False) -> str | None:
        """Put runs into the outbox; or be killed just before the commit."""
        receivers = list_channels(self.settings)
        with suppress(InterruptedError), self.state.transaction() as connection:
            alert = enqueue_run_failures(connection, runs, self.settings, receivers, self.now, gathering=gathering)
            if not dies:
                return alert.title if alert else None
            raise InterruptedError
        return None

    def drain(self) -> DeliveryReport:
        """Hand over what is due."""
        return deliver(self.state, list_channels(self.settings), self.folder / "alerts", now=lambda: self.now)

    def files(self) -> list[dict[str, Any]]:
        """The alerts that were written as files."""
        return [json.loads(path.read_text("utf-8")) for path in sorted((self.folder / "alerts").glob("*.json"))]


@contextmanager
def desk_at(folder: Path, *script: Any) -> Iterator[tuple[Desk, Webhook]]:  # noqa: ANN401 - behaviours
    """A desk with one receiver."""
    with run_webhook(*script) as hook:
        desk = Desk(folder, f"json://127.0.0.1:{hook.port}/hook")
        try:
            yield desk, hook
        finally:
            desk.state.close()


def ids_in(alert: dict[str, Any]) -> list[str]:
    """The runs an alert is about."""
    facts = alert["facts"]
    return [run["run_id"] for run in facts["runs"]] if "runs" in facts else [facts["run_id"]]


def test_one_failure_reads_as_one(tmp_path: Path) -> None:
    """A run that fails alone has the message of one run, delivered when nobody joined it."""
    with desk_at(tmp_path) as (desk, hook):
        assert desk.tell(failed(1)) == "A run of refresh_daily failed"
        desk.now += GROUPING_DELAY - SECOND
        assert desk.drain().delivered == 0
        desk.now += SECOND
        assert desk.drain().delivered == 2
        (body,) = hook.bodies
        assert "No route.\n" in body["message"]
        assert f"Alert run-{failed(1).run_id}." in body["message"]
        assert desk.tell(failed(1)) is None


def test_a_flood_within_a_minute_is_one_message_that_counts(tmp_path: Path) -> None:
    """Twelve runs found by ticks of thirty seconds: how many, of which jobs, why, the first ids, what to do."""
    runs = [
        failed(n, after=n * 5, job="refresh_daily" if n < 9 else "refresh_lifetime", reason=f"Reason {n % 2}.")
        for n in range(12)
    ]
    with desk_at(tmp_path) as (desk, hook):
        for tick in (1, 31, 61, 91):
            desk.now = NOON + tick * SECOND
            desk.tell(*(run for run in runs if run.failed_at <= desk.now))
            assert desk.drain().delivered == 0
        desk.now = NOON + GROUPING_DELAY
        assert desk.drain().delivered == 2
        (body,) = hook.bodies
    assert body["title"] == "12 runs failed"
    said = body["message"]
    assert "12 runs failed on 7 October 2026, 12:30 UTC: 9 of refresh_daily, 3 of refresh_lifetime." in said
    assert said.count("6 runs: Reason") == 2
    assert said.count("http://localhost:3000/runs/") == 5
    assert "and 7 more" in said
    assert "re-execute them from failure" in said
    assert [ids_in(alert) for alert in desk.files()] == [[run.run_id for run in runs]]


def test_what_is_being_sent_is_not_added_to(tmp_path: Path) -> None:
    """A message that a receiver refused once stays as it is; what fails later has a message of its own."""
    with desk_at(tmp_path, respond_with(500)) as (desk, hook):
        desk.tell(failed(1), failed(2), gathering=timedelta(0))
        assert desk.drain().failed == 1
        assert desk.tell(failed(3, after=1)) == "A run of refresh_daily failed"
        desk.now += timedelta(minutes=10)
        desk.drain()
        assert sorted(body["title"] for body in hook.bodies[1:]) == [
            "2 runs failed",
            "A run of refresh_daily failed",
        ]


def test_an_alert_of_an_earlier_release_stays_and_is_not_told_again(tmp_path: Path) -> None:
    """A row that was put without its run in `told_runs` is neither lost nor repeated."""
    with desk_at(tmp_path) as (desk, hook):
        with desk.state.transaction() as connection:
            alert = build_run_failure_alert([failed(1)], desk.settings)
            enqueue(connection, alert, list_channels(desk.settings), desk.now)
        assert desk.tell(failed(1), failed(2), failed(3)) == "2 runs failed"
        desk.now += GROUPING_DELAY
        desk.drain()
        assert [body["title"] for body in hook.bodies] == ["A run of refresh_daily failed", "2 runs failed"]


def test_a_receiver_of_the_first_also_gets_what_joins_it(tmp_path: Path) -> None:
    """The message keeps the destinations it had, whatever the settings say when others join."""
    with desk_at(tmp_path) as (desk, hook):
        desk.tell(failed(1))
        before, desk.settings = desk.settings, load_settings(state_dir=tmp_path)
        desk.tell(failed(2))
        desk.settings = before
        desk.now += GROUPING_DELAY
        desk.drain()
        assert [body["title"] for body in hook.bodies] == ["2 runs failed"]


def test_the_message_stays_short_however_many_reasons_there_are(tmp_path: Path) -> None:
    """Of many jobs and reasons the commonest are shown, the rest counted, and names are shown as words."""
    runs = [failed(n, job=f"job_{n % 9}", reason=f"<!channel> {n} {'x' * 900}") for n in range(300)]
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
        st.tuples(st.just("dies"), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.just("drain"), st.integers(0, 0), st.integers(0, 0)),
        st.tuples(st.just("wait"), st.integers(1, 60), st.integers(0, 0)),
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 120), min_size=1, max_size=10), STEPS)
def test_however_the_stream_is_cut_each_run_is_told_once(seconds: Sequence[int], steps: Sequence[Step]) -> None:
    """Ticks over any parts, read again or killed, between any drains: no run twice, none lost, counted right."""
    runs = [failed(number, after=after) for number, after in enumerate(seconds)]
    with TemporaryDirectory() as folder, desk_at(Path(folder)) as (desk, hook):
        for kind, one, other in steps:
            first, last = sorted((one, other))
            if kind == "drain":
                desk.drain()
            elif kind == "wait":
                desk.now += one * SECOND
            else:
                desk.tell(*runs[first : last + 1], dies=kind == "dies")
        desk.tell(*runs)
        desk.now += timedelta(minutes=5)
        desk.drain()
        told = Counter(run_id for alert in desk.files() for run_id in ids_in(alert))
        assert told == Counter(run.run_id for run in runs)
        assert sorted(body["title"] for body in hook.bodies) == sorted(alert["title"] for alert in desk.files())
        counts = [len(ids_in(alert)) for alert in desk.files()]
        assert [alert["title"].startswith(f"{n} runs") for alert, n in zip(desk.files(), counts, strict=True)] == [
            n > 1 for n in counts
        ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=10), st.integers(0, 29), st.integers(0, 29))
def test_what_fails_within_a_minute_is_one_message(seconds: Sequence[int], look: int, deliver: int) -> None:
    """Whenever the two sensors' ticks of thirty seconds fall, a minute's failures are one message."""
    runs = [failed(number, after=after) for number, after in enumerate(seconds)]
    with TemporaryDirectory() as folder, desk_at(Path(folder)) as (desk, hook):
        for second in range(240):
            desk.now = NOON + second * SECOND
            if second % 30 == look:
                desk.tell(*(run for run in runs if run.failed_at <= desk.now))
            if second % 30 == deliver:
                desk.drain()
        assert len(hook.bodies) == 1
        assert [len(ids_in(alert)) for alert in desk.files()] == [len(runs)]


POINTS = tuple(
    f"{when} {what}"
    for what in ("DELETE FROM outbox", "INSERT INTO told_runs", "UPDATE told_runs SET", "INSERT INTO outbox")
    for when in ("before", "after")
)


def tell_until(folder: Path, urls: Sequence[str], point: str) -> None:
    """Tell of two more runs in this process, which ends at the point; SQLAlchemy says when it is reached."""
    desk = Desk(folder, *urls)

    def look(when: str, statement: object) -> None:
        if f"{when} {' '.join(str(statement).split()[:3])}" == point:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "before_cursor_execute", lambda *told: look("before", told[2]))
    sa.event.listen(sa.Engine, "after_cursor_execute", lambda *told: look("after", told[2]))
    desk.tell(failed(2), failed(3))
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("point", [*POINTS, "after COMMIT"])
def test_killed_at_any_statement_each_run_is_told_once(tmp_path: Path, point: str) -> None:
    """Before the commit the first message stands alone, after it all three runs do; then there is one of three."""
    context = get_context("forkserver")
    context.set_forkserver_preload([FORKSERVER])
    with desk_at(tmp_path) as (desk, hook):
        desk.tell(failed(1))
        urls = [url.get_secret_value() for url in desk.settings.alert_urls]
        process = context.Process(target=tell_until, args=(tmp_path, urls, point))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        with desk.state.transaction() as connection:
            rows = connection.execute(sa.select(reported_runs.c.alert_id)).scalars().all()
            kept = set(connection.scalars(sa.select(outbox.c.alert_id)))
        assert (len(rows), set(rows)) == (3 if point == "after COMMIT" else 1, kept)
        desk.tell(failed(1), failed(2), failed(3))
        desk.now += GROUPING_DELAY
        desk.drain()
        assert [body["title"] for body in hook.bodies] == ["3 runs failed"]

"""Tests of delivery: no alert is lost, a success is never repeated, and an unknown outcome is repeated once."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.alerts.channels import REPEAT_NOTE
from tiktok_assets.alerts.delivery import DeliveryReport, deliver
from tiktok_assets.alerts.outbox import (
    CLAIM_TIMEOUT_SECONDS,
    FOLDER_KEY,
    MAX_ATTEMPTS,
    MAX_BACKOFF,
    Channel,
    compute_backoff,
    enqueue,
    list_channels,
)
from tiktok_assets.alerts.sender_process import SenderProcess
from tiktok_assets.settings import load_settings
from tiktok_assets.storage.state import State, outbox
from tiktok_assets_tests.alerts.fake_channels import (
    Behaviour,
    hang_up,
    respond_with,
    run_mail_server,
    run_webhook,
    stall,
)
from tiktok_assets_tests.alerts.sample_alert import build_sample_alert
from tiktok_assets_tests.processes import find_free_port

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class DeliveryHarness:
    """An outbox with its channels and its clock."""

    def __init__(self, folder: Path, *urls: str, sender: SenderProcess | None = None) -> None:
        self.folder, self.now = folder, NOW
        self.open_sender: Callable[[], AbstractContextManager[SenderProcess]] = (
            (lambda: nullcontext(sender)) if sender else SenderProcess
        )
        self.url = f"sqlite:///{folder}/state.sqlite"
        self.state = State(self.url)
        self.channels: list[Channel] = list_channels(load_settings(alert_urls=" ".join(urls)))

    def enqueue_alerts(self, *alert_ids: str) -> None:
        """Enqueue alerts."""
        with self.state.transaction() as connection:
            for alert_id in alert_ids:
                enqueue(connection, build_sample_alert(alert_id), self.channels, self.now)

    def deliver(self, *, after: timedelta = timedelta(0), **seconds: float) -> DeliveryReport:
        """Deliver what is due after some time has passed."""
        self.now += after
        return deliver(
            self.state,
            self.channels,
            self.folder / "alerts",
            now=lambda: self.now,
            open_sender=self.open_sender,
            **seconds,
        )

    def read_rows(self) -> list[Any]:
        """Read the rows of channels, in the order of their alert ids."""
        query = sa.select(outbox).where(outbox.c.destination != FOLDER_KEY).order_by(outbox.c.alert_id)
        with self.state.transaction() as connection:
            return list(connection.execute(query))


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """Collect every line that any logger writes, at every level."""
    lines: list[str] = []

    class _ListHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {record.getMessage()} {record.exc_text}")

    root, handler = logging.getLogger(), _ListHandler()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.slow
def test_success_is_never_repeated(tmp_path: Path) -> None:
    """An alert that is enqueued and delivered again and again arrives once on each channel, with its id."""
    with run_webhook() as hook, run_mail_server() as (mailbox, port):
        harness = DeliveryHarness(
            tmp_path,
            f"json://127.0.0.1:{hook.port}/hook",
            f"mailto://127.0.0.1:{port}?from=us@example.com&to=ann@example.com,bob@example.com",
        )
        harness.enqueue_alerts("one", "two")
        assert str(harness.deliver()) == "Alerts: 8 delivered."
        harness.enqueue_alerts("one", "two")
        assert harness.deliver(after=timedelta(days=30)).delivered == 0
        assert len(hook.bodies) == 2
        assert "Alert one." in hook.bodies[0]["message"]
        assert sorted(mailbox.recipients) == [["ann@example.com"]] * 2 + [["bob@example.com"]] * 2
    assert {row.status for row in harness.read_rows()} == {"delivered"}
    assert {tuple(row.message) for row in harness.read_rows()} == {("title", "facts")}


def test_uncommitted_alert_is_not_delivered(tmp_path: Path) -> None:
    """A transaction that fails removes its alert."""
    with run_webhook() as hook:
        harness = DeliveryHarness(tmp_path, f"json://127.0.0.1:{hook.port}")

        def write_and_fail() -> None:
            with harness.state.transaction() as connection:
                assert enqueue(connection, build_sample_alert("one"), harness.channels, NOW) == 2
                raise LookupError

        with pytest.raises(LookupError):
            write_and_fail()
        harness.deliver()
        assert hook.bodies == []


def test_channel_that_is_down_loses_nothing(sender: SenderProcess, tmp_path: Path) -> None:
    """While a channel is down each attempt fails definitely; once it is up each alert arrives, unmarked."""
    port = find_free_port()
    harness = DeliveryHarness(tmp_path, f"json://127.0.0.1:{port}/hook", sender=sender)
    harness.enqueue_alerts("one", "two")
    for _ in range(8):
        report = harness.deliver(after=MAX_BACKOFF * 2)
        assert report.waiting == 2
        assert list(report.reasons.values()) == ["connection refused"]
    with run_webhook() as hook:
        harness.channels = list_channels(load_settings(alert_urls=f"json://127.0.0.1:{hook.port}/hook"))
        with harness.state.transaction() as connection:  # the channel is up again under the same URL
            old, new = sa.update(outbox).where(outbox.c.destination != FOLDER_KEY), harness.channels[0].key
            connection.execute(old.values(destination=new))
        harness.deliver(after=MAX_BACKOFF * 2)
        assert [REPEAT_NOTE in body["message"] for body in hook.bodies] == [False, False]
    assert {row.status for row in harness.read_rows()} == {"delivered"}


@pytest.mark.parametrize("status", [500, 429, 403, 302])
def test_error_status_is_retried_unmarked(sender: SenderProcess, tmp_path: Path, status: int) -> None:
    """A channel that responds with an error and then accepts gets the alert again, unmarked, after the backoff."""
    with run_webhook(respond_with(status)) as hook:
        harness = DeliveryHarness(tmp_path, f"json://127.0.0.1:{hook.port}", sender=sender)
        harness.enqueue_alerts("one")
        assert harness.deliver().failed == 1
        assert harness.read_rows()[0].last_error == f"HTTP status {status}"
        assert harness.deliver(after=timedelta(seconds=20)).failed == 0
        assert len(hook.bodies) == 1
        harness.deliver(after=timedelta(seconds=20))
        assert [REPEAT_NOTE in body["message"] for body in hook.bodies] == [False, False]


@pytest.mark.slow
def test_only_the_refused_mail_recipient_is_retried(tmp_path: Path) -> None:
    """If one of two recipients is refused, the other gets one mail and only the refused one is retried."""
    with run_mail_server() as (mailbox, port):
        harness = DeliveryHarness(
            tmp_path, f"mailto://127.0.0.1:{port}?from=us@example.com&to=ann@example.com,bob@example.com"
        )
        mailbox.unknown = {"bob@example.com"}
        harness.enqueue_alerts("one")
        report = harness.deliver()
        assert (report.failed, list(report.reasons.values())) == (
            1,
            ["the mail server refused the message with 550"],
        )
        mailbox.unknown, mailbox.refusals = set(), ["451 come back later"]
        assert harness.deliver(after=timedelta(minutes=5)).failed == 1
        assert harness.deliver(after=timedelta(minutes=5)).delivered == 1
        assert mailbox.recipients == [["ann@example.com"], ["bob@example.com"]]


@pytest.mark.parametrize("behaviour", [stall(1.0), hang_up], ids=["responds too late", "hangs up"])
def test_unknown_outcome_is_repeated_once_and_marked(
    sender: SenderProcess, tmp_path: Path, behaviour: Behaviour
) -> None:
    """A channel that may have the message gets one marked repeat under the same id, and no third."""
    with run_webhook(behaviour) as hook:
        harness = DeliveryHarness(tmp_path, f"json://127.0.0.1:{hook.port}?rto=0.3", sender=sender)
        harness.enqueue_alerts("one")
        assert harness.deliver().unconfirmed == 1
        assert harness.read_rows()[0].unknown_outcomes == 1
        assert harness.deliver(after=timedelta(minutes=2)).delivered == 1
        harness.deliver(after=timedelta(days=1))
        assert [REPEAT_NOTE in body["message"] for body in hook.bodies] == [False, True]
        assert all("Alert one." in body["message"] for body in hook.bodies)


def test_two_unknown_outcomes_count_as_delivered_unknown(sender: SenderProcess, tmp_path: Path) -> None:
    """A channel that never responds in time gets two messages, and the row records the missing confirmation."""
    with run_webhook(hang_up, hang_up) as hook:
        harness = DeliveryHarness(tmp_path, f"json://127.0.0.1:{hook.port}", sender=sender)
        harness.enqueue_alerts("one")
        reports = [harness.deliver(after=timedelta(minutes=5)) for _ in range(3)]
        assert [report.unconfirmed for report in reports] == [1, 1, 0]
        assert len(hook.bodies) == 2
    assert harness.read_rows()[0].status == "delivered_unknown"


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([respond_with(200), respond_with(500), hang_up]), min_size=1, max_size=6))
def test_delivery_rules_hold_for_any_behaviour(sender: SenderProcess, script: list[Behaviour]) -> None:
    """No message follows a success or a second unknown outcome; just those after an unknown one are marked."""
    with TemporaryDirectory() as folder, run_webhook(*script) as hook:
        harness = DeliveryHarness(Path(folder), f"json://127.0.0.1:{hook.port}", sender=sender)
        harness.enqueue_alerts("one")
        for _ in range(len(script) + 2):
            harness.deliver(after=timedelta(hours=8))
        harness.state.close()
    behaviours = [*script, respond_with(200)]
    unknowns = [number for number, one in enumerate(behaviours) if one is hang_up]
    ends = [number for number, one in enumerate(behaviours) if one.__name__ == "_respond_200"][:1] + unknowns[1:2]
    assert len(hook.bodies) == min(ends) + 1
    marked = [REPEAT_NOTE in body["message"] for body in hook.bodies]
    assert marked == [hang_up in behaviours[:number] for number in range(len(hook.bodies))]


@pytest.mark.slow
def test_hanging_channel_does_not_delay_others(tmp_path: Path) -> None:
    """Other channels get their messages at once, delivery ends in time, and a late success is still recorded."""
    with run_webhook(stall(6)) as slow, run_webhook() as quick:
        harness = DeliveryHarness(
            tmp_path, f"json://127.0.0.1:{slow.port}?rto=20", f"json://127.0.0.1:{quick.port}"
        )
        harness.enqueue_alerts("one")
        started = time.monotonic()
        report = harness.deliver(timeout_seconds=4, send_timeout_seconds=2)
        assert time.monotonic() - started < 5
        assert (report.delivered, report.unconfirmed) == (2, 1)
        assert len(quick.bodies) == 1
        for _ in range(200):
            if all(row.status == "delivered" for row in harness.read_rows()):
                break
            time.sleep(0.05)
        harness.deliver(after=timedelta(days=1))
        assert len(slow.bodies) == 1
    assert {row.status for row in harness.read_rows()} == {"delivered"}


DELIVER_SCRIPT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from tiktok_assets.alerts.delivery import deliver
from tiktok_assets.alerts.outbox import list_channels
from tiktok_assets.settings import load_settings
from tiktok_assets.storage.state import State
url, hook, folder, now = sys.argv[1:]
channels = list_channels(load_settings(alert_urls=hook))
deliver(State(url), channels, Path(folder), now=lambda: datetime.fromisoformat(now))
"""


@pytest.mark.slow
def test_process_killed_while_sending_causes_one_marked_repeat(tmp_path: Path) -> None:
    """After SIGKILL the row is untouched until the claim times out, and is then repeated once, marked."""
    with run_webhook(stall(30)) as hook:
        url = f"json://127.0.0.1:{hook.port}?rto=20"
        harness = DeliveryHarness(tmp_path, url)
        harness.enqueue_alerts("one")
        command = [
            sys.executable,
            "-c",
            DELIVER_SCRIPT,
            harness.url,
            url,
            str(tmp_path / "alerts"),
            NOW.isoformat(),
        ]
        process = subprocess.Popen(command, cwd=tmp_path)  # noqa: S603 - our own interpreter and text
        for _ in range(600):
            if hook.bodies:
                break
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert harness.read_rows()[0].status == "sending"
        harness.deliver(after=timedelta(seconds=CLAIM_TIMEOUT_SECONDS - 1))
        assert len(hook.bodies) == 1
        assert harness.deliver(after=timedelta(seconds=2)).delivered == 1
        assert [REPEAT_NOTE in body["message"] for body in hook.bodies] == [False, True]
        assert "Alert one." in hook.bodies[1]["message"]


@pytest.mark.slow
def test_two_deliveries_at_once_deliver_once(tmp_path: Path) -> None:
    """A row that is being sent belongs to the process that claimed it."""
    with run_webhook(stall(6)) as hook:
        harness = DeliveryHarness(tmp_path, f"json://127.0.0.1:{hook.port}?rto=20")
        harness.enqueue_alerts("one")
        other = DeliveryHarness(tmp_path)
        other.channels = harness.channels
        deliver(
            harness.state,
            harness.channels,
            tmp_path / "alerts",
            now=lambda: NOW,
            timeout_seconds=4,
            send_timeout_seconds=2,
        )
        assert other.deliver().delivered == 0
        assert len(hook.bodies) == 1


def test_dead_channel_is_given_up_after_days_with_its_reason(sender: SenderProcess, tmp_path: Path) -> None:
    """The last attempt comes days after the first, no other follows, and the reason stays in the row."""
    harness = DeliveryHarness(tmp_path, f"json://127.0.0.1:{find_free_port()}", sender=sender)
    harness.enqueue_alerts("one")
    started, report = harness.now, harness.deliver()
    while not report.given_up:
        report = harness.deliver(after=timedelta(hours=1))
        assert harness.now - started < timedelta(days=8)
    assert timedelta(days=2) < harness.now - started
    (row,) = harness.read_rows()
    assert (row.status, row.last_error, row.attempts) == ("given_up", "connection refused", MAX_ATTEMPTS)
    assert "1 given up" in str(report)
    assert "connection refused" in str(report)
    assert "1 given up before" in str(harness.deliver(after=timedelta(days=9)))


@given(st.integers(1, 1000), st.text(max_size=10))
def test_backoff_grows_within_its_bounds(attempts: int, alert_id: str) -> None:
    """The backoff stays between half a minute and six hours, plus jitter, and grows with the attempts."""
    backoff, later = compute_backoff(attempts, alert_id), compute_backoff(attempts + 2, alert_id)
    assert timedelta(seconds=24) <= backoff <= MAX_BACKOFF * 1.2
    assert later >= backoff or backoff >= MAX_BACKOFF * 0.8


@given(st.text(max_size=10))
def test_all_attempts_take_about_three_days(alert_id: str) -> None:
    """All backoffs together take about three days, as `docs/alerts.md` states."""
    total = sum((compute_backoff(number, alert_id) for number in range(1, MAX_ATTEMPTS)), timedelta())
    assert timedelta(days=2.4) < total < timedelta(days=3.75)
    page = (Path(__file__).parents[2] / "docs/alerts.md").read_text(encoding="utf-8")
    assert f"after {MAX_ATTEMPTS} attempts, about three days, given up" in page


def test_rows_of_removed_channels_are_kept_and_reported(tmp_path: Path) -> None:
    """Rows of a channel that is no longer configured wait, and are delivered once it is configured again."""
    with run_webhook() as hook:
        harness = DeliveryHarness(tmp_path, f"json://127.0.0.1:{hook.port}")
        harness.enqueue_alerts("one")
        configured, harness.channels = harness.channels, []
        assert "1 kept for channels that are no longer in TIKTOK_ALERT_URLS" in str(harness.deliver())
        harness.channels = configured
        assert harness.deliver().delivered == 1


def test_every_alert_is_a_file(tmp_path: Path) -> None:
    """Without any channel an alert is a page and a JSON file by its id; written again they are the same."""
    harness = DeliveryHarness(tmp_path)
    harness.enqueue_alerts("one", "../two")
    assert harness.deliver().delivered == 2
    files = {path.name: path.read_bytes() for path in (tmp_path / "alerts").iterdir()}
    assert sorted(files) == ["___two.html", "___two.json", "one.html", "one.json"]
    data = json.loads(files["one.json"])
    assert (data["alert_id"], data["kind"], data["facts"]["spend"]) == ("one", "new_top_spender", "1234.5000")
    with harness.state.transaction() as connection:
        connection.execute(sa.delete(outbox))
    harness.enqueue_alerts("one", "../two")
    assert harness.deliver().delivered == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "alerts").iterdir()} == files


def test_file_is_written_after_repeated_kills(tmp_path: Path) -> None:
    """A row of the folder left in `sending` again and again is written and never counted as delivered."""
    harness = DeliveryHarness(tmp_path)
    harness.enqueue_alerts("one")
    for _ in range(3):
        harness.now += timedelta(hours=1)
        left = {"status": "sending", "sending_since": harness.now - timedelta(hours=1)}
        left["message"] = build_sample_alert("one").payload
        with harness.state.transaction() as connection:
            connection.execute(sa.update(outbox).values(**left))
        assert harness.deliver().delivered == 1
    assert (tmp_path / "alerts" / "one.html").exists()


def test_unwritable_folder_is_retried(tmp_path: Path) -> None:
    """An alert whose folder cannot be created waits, and is written once it can."""
    harness = DeliveryHarness(tmp_path)
    (tmp_path / "alerts").write_text("not a folder", encoding="utf-8")
    harness.enqueue_alerts("one")
    assert harness.deliver().failed == 1
    (tmp_path / "alerts").unlink()
    assert harness.deliver(after=timedelta(hours=1)).delivered == 1


@pytest.mark.slow
def test_url_secrets_are_never_exposed(tmp_path: Path, log_lines: list[str]) -> None:
    """No log line, file, row, name or report contains a token or password of a URL, whatever happens."""
    with run_webhook(respond_with(500), hang_up) as hook, run_mail_server() as (_, port):
        harness = DeliveryHarness(
            tmp_path,
            f"json://someuser:s3cr3tpw@127.0.0.1:{hook.port}/s3cr3t-path?rto=0.3",
            f"mmost://127.0.0.1:{hook.port}/s3cr3ttoken",
            f"json://127.0.0.1:{find_free_port()}/s3cr3t-down",
            f"mailto://someuser:s3cr3tpw@127.0.0.1:{port}?from=us@example.com&to=ann@example.com",
            "slack://s3cr3t-not-a-url",
            "nothing://s3cr3t-nothing",
        )
        harness.enqueue_alerts("one")
        reports = [str(harness.deliver(after=timedelta(hours=1))) for _ in range(3)]
        assert len(hook.bodies) >= 3
    harness.state.close()
    seen = [*reports, repr(harness.channels), str(harness.channels), repr(harness.state), *log_lines]
    seen += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert [text for text in seen if "s3cr3t" in text] == []

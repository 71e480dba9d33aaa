"""Laws of delivery: nothing is lost, a success is never repeated, doubt is repeated once and says so."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
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
from tiktok_assets.settings import load_settings
from tiktok_assets.storage.state import State, outbox
from tiktok_assets_tests.alerts.fake_channels import (
    Behaviour,
    find_free_port,
    hang_up,
    respond_with,
    run_mail_server,
    run_webhook,
    stall,
)
from tiktok_assets_tests.alerts.sample_alert import build_sample_alert

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Post:
    """An outbox, its receivers and its clock."""

    def __init__(self, folder: Path, *urls: str) -> None:
        self.folder, self.now = folder, NOW
        self.url = f"sqlite:///{folder}/state.sqlite"
        self.state = State(self.url)
        self.destinations: list[Channel] = list_channels(load_settings(alert_urls=" ".join(urls)))

    def put(self, *alert_ids: str) -> None:
        """Write alerts."""
        with self.state.transaction() as connection:
            for alert_id in alert_ids:
                enqueue(connection, build_sample_alert(alert_id), self.destinations, self.now)

    def drain(self, *, after: timedelta = timedelta(0), **seconds: float) -> DeliveryReport:
        """Deliver what is due a while later."""
        self.now += after
        return deliver(self.state, self.destinations, self.folder / "alerts", now=lambda: self.now, **seconds)

    def rows(self) -> list[Any]:
        """The rows for receivers, oldest first."""
        wanted = sa.select(outbox).where(outbox.c.destination != FOLDER_KEY).order_by(outbox.c.alert_id)
        with self.state.transaction() as connection:
            return list(connection.execute(wanted))


@pytest.fixture
def logs() -> Iterator[list[str]]:
    """Every line any logger writes, at every level."""
    lines: list[str] = []

    class _Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {record.getMessage()} {record.exc_text}")

    root, keeper = logging.getLogger(), _Keeper()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(keeper)
    root.setLevel(level)


def test_a_success_is_never_repeated(tmp_path: Path) -> None:
    """An alert put and drained again and again arrives once, everywhere, with its id."""
    with run_webhook() as hook, run_mail_server() as (box, port):
        post = Post(
            tmp_path,
            f"json://127.0.0.1:{hook.port}/hook",
            f"mailto://127.0.0.1:{port}?from=us@example.com&to=ann@example.com,bob@example.com",
        )
        post.put("one", "two")
        assert str(post.drain()) == "Alerts: 8 delivered."
        post.put("one", "two")
        assert post.drain(after=timedelta(days=30)).delivered == 0
        assert len(hook.bodies) == 2
        assert "Alert one." in hook.bodies[0]["message"]
        assert sorted(box.recipients) == [["ann@example.com"]] * 2 + [["bob@example.com"]] * 2
    assert {row.status for row in post.rows()} == {"delivered"}
    assert {tuple(row.message) for row in post.rows()} == {("title", "facts")}


def test_what_is_not_committed_is_not_told(tmp_path: Path) -> None:
    """A transaction that fails takes its alert with it."""
    with run_webhook() as hook:
        post = Post(tmp_path, f"json://127.0.0.1:{hook.port}")

        def write_and_fail() -> None:
            with post.state.transaction() as connection:
                assert enqueue(connection, build_sample_alert("one"), post.destinations, NOW) == 2
                raise LookupError

        with pytest.raises(LookupError):
            write_and_fail()
        post.drain()
        assert hook.bodies == []


def test_a_receiver_that_is_down_loses_nothing(tmp_path: Path) -> None:
    """While nobody listens each attempt is a definite failure; when one does, each alert arrives, unmarked."""
    port = find_free_port()
    post = Post(tmp_path, f"json://127.0.0.1:{port}/hook")
    post.put("one", "two")
    for _ in range(8):
        told = post.drain(after=MAX_BACKOFF * 2)
        assert told.waiting == 2
        assert list(told.reasons.values()) == ["connection refused"]
    with run_webhook() as hook:
        post.destinations = list_channels(load_settings(alert_urls=f"json://127.0.0.1:{hook.port}/hook"))
        with post.state.transaction() as connection:  # the receiver comes back under the same URL
            old, new = sa.update(outbox).where(outbox.c.destination != FOLDER_KEY), post.destinations[0].key
            connection.execute(old.values(destination=new))
        post.drain(after=MAX_BACKOFF * 2)
        assert [REPEAT_NOTE in body["message"] for body in hook.bodies] == [False, False]
    assert {row.status for row in post.rows()} == {"delivered"}


@pytest.mark.parametrize("status", [500, 429, 403, 302])
def test_a_refusal_is_definite(tmp_path: Path, status: int) -> None:
    """A receiver that refuses and then accepts gets the alert again, unmarked, and only after a pause."""
    with run_webhook(respond_with(status)) as hook:
        post = Post(tmp_path, f"json://127.0.0.1:{hook.port}")
        post.put("one")
        assert post.drain().failed == 1
        assert post.rows()[0].last_error == f"it answered HTTP {status}"
        assert post.drain(after=timedelta(seconds=20)).failed == 0
        assert len(hook.bodies) == 1
        post.drain(after=timedelta(seconds=20))
        assert [REPEAT_NOTE in body["message"] for body in hook.bodies] == [False, False]


def test_a_mail_refused_is_sent_again_and_its_other_recipients_are_left_alone(tmp_path: Path) -> None:
    """One of two recipients is unknown: the other gets one mail; the first's is repeated until it is known."""
    with run_mail_server() as (box, port):
        post = Post(tmp_path, f"mailto://127.0.0.1:{port}?from=us@example.com&to=ann@example.com,bob@example.com")
        box.unknown = {"bob@example.com"}
        post.put("one")
        told = post.drain()
        assert (told.failed, list(told.reasons.values())) == (1, ["the mail was refused with 550"])
        box.unknown, box.refusals = set(), ["451 come back later"]
        assert post.drain(after=timedelta(minutes=5)).failed == 1
        assert post.drain(after=timedelta(minutes=5)).delivered == 1
        assert box.recipients == [["ann@example.com"], ["bob@example.com"]]


@pytest.mark.parametrize("trouble", [stall(1.0), hang_up], ids=["answers too late", "hangs up"])
def test_an_unknown_outcome_is_repeated_once_and_marked(tmp_path: Path, trouble: Any) -> None:  # noqa: ANN401 - a behaviour
    """The receiver may have the message: it gets one repeat that says so, under the same id, and no third."""
    with run_webhook(trouble) as hook:
        post = Post(tmp_path, f"json://127.0.0.1:{hook.port}?rto=0.3")
        post.put("one")
        assert post.drain().unconfirmed == 1
        assert post.rows()[0].unknown_outcomes == 1
        assert post.drain(after=timedelta(minutes=2)).delivered == 1
        post.drain(after=timedelta(days=1))
        assert [REPEAT_NOTE in body["message"] for body in hook.bodies] == [False, True]
        assert all("Alert one." in body["message"] for body in hook.bodies)


def test_two_unknown_outcomes_count_as_delivered_and_say_so(tmp_path: Path) -> None:
    """A receiver that never answers in time gets two messages, and the row keeps that nobody confirmed."""
    with run_webhook(hang_up, hang_up) as hook:
        post = Post(tmp_path, f"json://127.0.0.1:{hook.port}")
        post.put("one")
        told = [post.drain(after=timedelta(minutes=5)) for _ in range(3)]
        assert [one.unconfirmed for one in told] == [1, 1, 0]
        assert len(hook.bodies) == 2
    assert post.rows()[0].status == "delivered_unknown"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([respond_with(200), respond_with(500), hang_up]), min_size=1, max_size=6))
def test_whatever_a_receiver_does_the_laws_hold(script: list[Behaviour]) -> None:
    """No message follows a success or a second doubt; it is marked if, and only if, doubt came before it."""
    with TemporaryDirectory() as folder, run_webhook(*script) as hook:
        post = Post(Path(folder), f"json://127.0.0.1:{hook.port}")
        post.put("one")
        for _ in range(len(script) + 2):
            post.drain(after=timedelta(hours=8))
        post.state.close()
    did = [*script, respond_with(200)]
    doubts = [number for number, one in enumerate(did) if one is hang_up]
    ends = [number for number, one in enumerate(did) if one.__name__ == "_answer_200"][:1] + doubts[1:2]
    assert len(hook.bodies) == min(ends) + 1
    marked = [REPEAT_NOTE in body["message"] for body in hook.bodies]
    assert marked == [hang_up in did[:number] for number in range(len(hook.bodies))]


def test_one_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    """Others get theirs at once, the drain ends within its bound, and a late success is still recorded."""
    with run_webhook(stall(6)) as slow, run_webhook() as quick:
        post = Post(tmp_path, f"json://127.0.0.1:{slow.port}?rto=20", f"json://127.0.0.1:{quick.port}")
        post.put("one")
        began = time.monotonic()
        told = post.drain(drain_seconds=4, send_seconds=2)
        assert time.monotonic() - began < 5
        assert (told.delivered, told.unconfirmed) == (2, 1)
        assert len(quick.bodies) == 1
        for _ in range(200):
            if all(row.status == "delivered" for row in post.rows()):
                break
            time.sleep(0.05)
        post.drain(after=timedelta(days=1))
        assert len(slow.bodies) == 1
    assert {row.status for row in post.rows()} == {"delivered"}


KILLED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from tiktok_assets.alerts.delivery import deliver
from tiktok_assets.alerts.outbox import destinations_of
from tiktok_assets.settings import load_settings
from tiktok_assets.storage.state import State
url, hook, folder, now = sys.argv[1:]
receivers = destinations_of(load_settings(alert_urls=hook))
deliver(State(url), receivers, Path(folder), now=lambda: datetime.fromisoformat(now))
"""


def test_a_process_killed_while_it_sends_leaves_one_marked_repeat(tmp_path: Path) -> None:
    """SIGKILL after the message left: the row is left alone until its time is over, then repeated once, marked."""
    with run_webhook(stall(30)) as hook:
        url = f"json://127.0.0.1:{hook.port}?rto=20"
        post = Post(tmp_path, url)
        post.put("one")
        command = [sys.executable, "-c", KILLED, post.url, url, str(tmp_path / "alerts"), NOW.isoformat()]
        process = subprocess.Popen(command, cwd=tmp_path)  # noqa: S603 - our own interpreter and text
        for _ in range(600):
            if hook.bodies:
                break
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert post.rows()[0].status == "sending"
        post.drain(after=timedelta(seconds=CLAIM_TIMEOUT_SECONDS - 1))
        assert len(hook.bodies) == 1
        assert post.drain(after=timedelta(seconds=2)).delivered == 1
        assert [REPEAT_NOTE in body["message"] for body in hook.bodies] == [False, True]
        assert "Alert one." in hook.bodies[1]["message"]


def test_two_drains_at_once_deliver_once(tmp_path: Path) -> None:
    """A row being sent belongs to whoever claimed it."""
    with run_webhook(stall(6)) as hook:
        post = Post(tmp_path, f"json://127.0.0.1:{hook.port}?rto=20")
        post.put("one")
        other = Post(tmp_path)
        other.destinations = post.destinations
        deliver(
            post.state,
            post.destinations,
            tmp_path / "alerts",
            now=lambda: NOW,
            drain_seconds=4,
            send_seconds=2,
        )
        assert other.drain().delivered == 0
        assert len(hook.bodies) == 1


def test_a_dead_receiver_is_given_up_after_days_with_its_reason(tmp_path: Path) -> None:
    """The last attempt comes days after the first, and no other follows; the reason stays in the row."""
    post = Post(tmp_path, f"json://127.0.0.1:{find_free_port()}")
    post.put("one")
    began, told = post.now, post.drain()
    while not told.given_up:
        told = post.drain(after=timedelta(hours=1))
        assert post.now - began < timedelta(days=8)
    assert timedelta(days=2) < post.now - began
    (row,) = post.rows()
    assert (row.status, row.last_error, row.attempts) == ("given_up", "connection refused", MAX_ATTEMPTS)
    assert "1 given up" in str(told)
    assert "connection refused" in str(told)
    assert "1 given up before" in str(post.drain(after=timedelta(days=9)))


@given(st.integers(1, 1000), st.text(max_size=10))
def test_a_pause_grows_and_stays_within_hours(attempts: int, alert_id: str) -> None:
    """Between half a minute and six hours, a fifth either way, never shorter by more than the spread allows."""
    pause, later = compute_backoff(attempts, alert_id), compute_backoff(attempts + 2, alert_id)
    assert timedelta(seconds=24) <= pause <= MAX_BACKOFF * 1.2
    assert later >= pause or pause >= MAX_BACKOFF * 0.8


@given(st.text(max_size=10))
def test_the_pauses_of_all_attempts_are_about_three_days(alert_id: str) -> None:
    """As `docs/alerts.md` says: from two and a half to three and three quarters, as the spread falls."""
    pauses = sum((compute_backoff(number, alert_id) for number in range(1, MAX_ATTEMPTS)), timedelta())
    assert timedelta(days=2.4) < pauses < timedelta(days=3.75)
    told = (Path(__file__).parents[2] / "docs/alerts.md").read_text(encoding="utf-8")
    assert f"after {MAX_ATTEMPTS} attempts, about three days, given up" in told


def test_rows_of_a_receiver_no_longer_named_are_kept_and_told(tmp_path: Path) -> None:
    """Taken out of the settings, its rows wait; put back, they are delivered."""
    with run_webhook() as hook:
        post = Post(tmp_path, f"json://127.0.0.1:{hook.port}")
        post.put("one")
        named, post.destinations = post.destinations, []
        assert "1 kept for receivers that TIKTOK_ALERT_URLS no longer names" in str(post.drain())
        post.destinations = named
        assert post.drain().delivered == 1


def test_every_alert_is_a_file_whoever_is_told(tmp_path: Path) -> None:
    """Without any receiver an alert is a page and a JSON file by its id; written again they are the same."""
    post = Post(tmp_path)
    post.put("one", "../two")
    assert post.drain().delivered == 2
    files = {path.name: path.read_bytes() for path in (tmp_path / "alerts").iterdir()}
    assert sorted(files) == ["___two.html", "___two.json", "one.html", "one.json"]
    data = json.loads(files["one.json"])
    assert (data["alert_id"], data["kind"], data["facts"]["spend"]) == ("one", "new_top_spender", "1234.5000")
    with post.state.transaction() as connection:
        connection.execute(sa.delete(outbox))
    post.put("one", "../two")
    assert post.drain().delivered == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "alerts").iterdir()} == files


def test_a_file_is_written_however_often_the_writer_died(tmp_path: Path) -> None:
    """A file is the same written twice: a row left `sending` again and again is never counted as done."""
    post = Post(tmp_path)
    post.put("one")
    for _ in range(3):
        post.now += timedelta(hours=1)
        left = {"status": "sending", "sending_since": post.now - timedelta(hours=1)}
        left["message"] = build_sample_alert("one").message
        with post.state.transaction() as connection:
            connection.execute(sa.update(outbox).values(**left))
        assert post.drain().delivered == 1
    assert (tmp_path / "alerts" / "one.html").exists()


def test_a_folder_that_cannot_be_written_is_a_failure_to_repeat(tmp_path: Path) -> None:
    """A file in the place of the folder: the alert waits, and is written when there is room."""
    post = Post(tmp_path)
    (tmp_path / "alerts").write_text("in the way", encoding="utf-8")
    post.put("one")
    assert post.drain().failed == 1
    (tmp_path / "alerts").unlink()
    assert post.drain(after=timedelta(hours=1)).delivered == 1


def test_the_secrets_of_a_url_are_told_to_nobody(tmp_path: Path, logs: list[str]) -> None:
    """No log line at any level, file, row, name or result holds the URL's token or password, whatever happens."""
    with run_webhook(respond_with(500), hang_up) as hook, run_mail_server() as (_, port):
        post = Post(
            tmp_path,
            f"json://someuser:s3cr3tpw@127.0.0.1:{hook.port}/s3cr3t-path?rto=0.3",
            f"mmost://127.0.0.1:{hook.port}/s3cr3ttoken",
            f"json://127.0.0.1:{find_free_port()}/s3cr3t-down",
            f"mailto://someuser:s3cr3tpw@127.0.0.1:{port}?from=us@example.com&to=ann@example.com",
            "slack://s3cr3t-not-a-url",
            "nothing://s3cr3t-nothing",
        )
        post.put("one")
        told = [str(post.drain(after=timedelta(hours=1))) for _ in range(3)]
        assert len(hook.bodies) >= 3
    post.state.close()
    seen = [*told, repr(post.destinations), str(post.destinations), repr(post.state), *logs]
    seen += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert [text for text in seen if "s3cr3t" in text] == []

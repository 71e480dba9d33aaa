"""Laws of waiting while a person looks on: briefly, then one sentence that says when to come back."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.session import BUDGET_FILE
from tiktok_assets_tests.cli.conftest import build_variables, run_command
from tiktok_assets_tests.environment import clean_environment

SMALL = WorldPlan(dense=True, advertisers=2, days=6, campaigns=1, ad_groups=2, ads=3)
COMMANDS = (
    ("get", "campaigns"),
    ("get", "report", "--lifetime"),
    ("top", "--live"),
    ("plan",),
    ("sync", "--plan"),
)
WAITER = """
import sys
from tiktok_assets.session import open_session
from tiktok_assets.settings import load_settings

with open_session(load_settings()) as session:
    print("asking", flush=True)
    session.advertiser_ids
"""


@pytest.fixture(scope="module")
def host() -> Iterator[RunningSandbox]:
    """A small world that answers nothing but 40100."""
    with RunningSandbox(SMALL, now=datetime.now(UTC), limits=Limits(qps=None, qpm=None)) as running:
        fault = {"kind": "code", "code": 40100, "times": None, "message": "App 7 is restricted."}
        running.state.faults.declared.append(msgspec.convert(fault, Fault))
        yield running


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_restricted_app_is_told_when_to_come_back(
    host: RunningSandbox, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """A command that only looks gives up on a lasting 40100 within seconds, and says when to return."""
    began = time.monotonic()
    ran = run_command(*command, variables=build_variables(host), folder=tmp_path)
    assert ran.exit_code == 1
    assert "It may work again in" in ran.err
    assert "Traceback" not in ran.err
    assert time.monotonic() - began < 30


def test_another_process_pausing_is_told_at_once(host: RunningSandbox, tmp_path: Path) -> None:
    """While the app pauses for minutes a command asks nothing, and doctor names the same time."""
    _pause(tmp_path, seconds=240)
    asked = len(host.state.requests)
    ran = run_command("get", "campaigns", variables=build_variables(host), folder=tmp_path)
    told = run_command("doctor", variables=build_variables(host), folder=tmp_path)
    assert "It may work again in 2" in ran.err
    assert "It may work again in 2" in told.out
    assert len(host.state.requests) == asked


def test_ctrl_c_ends_a_pause(host: RunningSandbox, tmp_path: Path) -> None:
    """A process that waits out a pause of minutes ends within seconds of Ctrl-C, its threads with it."""
    _pause(tmp_path, seconds=240)
    # A suite started in the background of a shell ignores Ctrl-C, and so would every process it starts.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", WAITER],
        cwd=tmp_path,
        env=clean_environment(build_variables(host)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        signal.signal(signal.SIGINT, former)
        assert process.stdout
        assert process.stdout.readline() == "asking\n"
        time.sleep(0.7)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.wait(timeout=15)
    assert process.returncode != 0


def _pause(folder: Path, *, seconds: float) -> None:
    """Note a pause of the app where its processes look."""
    note = {"breaches": 2, "began": time.time() - 1, "until": time.time() + seconds}
    file = (folder / ".tiktok_assets" / BUDGET_FILE).with_suffix(".pause")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(note))

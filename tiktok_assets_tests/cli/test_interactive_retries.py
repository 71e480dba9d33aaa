"""Tests of commands during a rate limit: few retries, and a message that says when to try again."""

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
WAITING_PROGRAM = """
import sys
from tiktok_assets.session import open_session
from tiktok_assets.settings import load_settings

with open_session(load_settings()) as session:
    print("waiting", flush=True)
    session.advertiser_ids
"""


@pytest.fixture(scope="module")
def host() -> Iterator[RunningSandbox]:
    """A small sandbox that refuses all requests with code 40100."""
    with RunningSandbox(SMALL, now=datetime.now(UTC), limits=Limits(qps=None, qpm=None)) as running:
        fault = {"kind": "code", "code": 40100, "times": None, "message": "App 7 is restricted."}
        running.state.faults.declared.append(msgspec.convert(fault, Fault))
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_rate_limit_is_reported_with_its_end(
    host: RunningSandbox, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """An interactive command stops within seconds of a lasting rate limit and reports when to try again."""
    start = time.monotonic()
    result = run_command(*command, variables=build_variables(host), folder=tmp_path)
    assert result.exit_code == 1
    assert "It may work again in" in result.err
    assert "Traceback" not in result.err
    assert time.monotonic() - start < 30


def test_cooldown_of_another_process(host: RunningSandbox, tmp_path: Path) -> None:
    """During a cooldown that another process started, commands send no request and report its end."""
    _start_cooldown(tmp_path, seconds=240)
    request_count = len(host.state.requests)
    result = run_command("get", "campaigns", variables=build_variables(host), folder=tmp_path)
    doctor = run_command("doctor", variables=build_variables(host), folder=tmp_path)
    assert "It may work again in 2" in result.err
    assert "It may work again in 2" in doctor.out
    assert len(host.state.requests) == request_count


def test_ctrl_c_ends_a_cooldown(host: RunningSandbox, tmp_path: Path) -> None:
    """A process that waits for a cooldown ends within seconds of Ctrl-C."""
    _start_cooldown(tmp_path, seconds=240)
    # A test run in the background of a shell ignores SIGINT, and child processes would inherit that.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", WAITING_PROGRAM],
        cwd=tmp_path,
        env=clean_environment(build_variables(host)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        signal.signal(signal.SIGINT, previous)
        assert process.stdout
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.7)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.wait(timeout=15)
    assert process.returncode != 0


def _start_cooldown(folder: Path, *, seconds: float) -> None:
    """Store a cooldown in the state folder, where all processes read it."""
    cooldown = {"breaches": 2, "began": time.time() - 1, "until": time.time() + seconds}
    file = (folder / ".tiktok_assets" / BUDGET_FILE).with_suffix(".pause")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(cooldown))

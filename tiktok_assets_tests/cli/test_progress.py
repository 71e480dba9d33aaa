"""Tests of the progress of `sync` on a terminal and in a pipe."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets_tests.cli.conftest import RunCommand
from tiktok_assets_tests.environment import clean_environment

SYNC = ("sync", "--select", "advertisers,campaigns")
BAR = "\N{BOX DRAWINGS HEAVY HORIZONTAL}" * 3


def run_on_terminal(sandbox: RunningSandbox, folder: Path) -> tuple[int, str]:
    """Run a sync whose standard error is a terminal; return its exit code and the output on the terminal."""
    terminal, process_side = pty.openpty()
    owner = next(one for one in sandbox.world.advertisers.values() if one.granted).id
    variables = {
        "TIKTOK_BASE_URL": sandbox.base_url,
        "TIKTOK_ACCESS_TOKEN": sandbox.token,
        "TIKTOK_ADVERTISER_IDS": owner,
        "TERM": "xterm",
        "COLUMNS": "160",
    }
    command = [sys.executable, "-m", "tiktok_assets", *SYNC]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=folder, env=clean_environment(variables), stdout=subprocess.DEVNULL, stderr=process_side
    ) as process:
        os.close(process_side)
        output = b""
        while part := _read(terminal):
            output += part
    os.close(terminal)
    return process.returncode, output.decode(errors="replace")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the process has closed its side
        return b""


@pytest.mark.slow
def test_terminal_shows_a_progress_bar(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """A terminal shows a bar with the stage and the requests so far, and a line for each finished run."""
    code, output = run_on_terminal(sandbox, tmp_path)
    assert code == 0, output
    assert "refresh accounts" in output
    assert " requests, " in output
    assert BAR in output
    assert "refresh_accounts: 1 advertisers" in output


def test_pipe_gets_plain_lines(run: RunCommand) -> None:
    """Without a terminal neither output has a bar or escape sequences."""
    result = run(*SYNC)
    assert result.exit_code == 0, result.err
    assert "refresh_accounts: " in result.err
    assert BAR not in result.err
    assert "\x1b" not in result.out + result.err

"""Laws of progress: a bar where somebody looks, plain lines where nobody does, and never in the data."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets_tests.cli.conftest import RunCommand
from tiktok_assets_tests.environment import clean_environment

SYNC = ("sync", "--select", "advertisers,campaigns")
BAR = "\N{BOX DRAWINGS HEAVY HORIZONTAL}" * 3


def on_a_terminal(sandbox: RunningSandbox, folder: Path) -> tuple[int, str]:
    """Run a sync whose standard error is a terminal; its exit code, and what the terminal showed."""
    ours, theirs = pty.openpty()
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
        command, cwd=folder, env=clean_environment(variables), stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while part := _read(ours):
            shown += part
    os.close(ours)
    return process.returncode, shown.decode(errors="replace")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""


def test_a_terminal_shows_a_bar_with_stage_requests_and_lines(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """The stage, its runs and the requests so far move below the lines that stay."""
    code, shown = on_a_terminal(sandbox, tmp_path)
    assert code == 0, shown
    assert "refresh accounts" in shown
    assert " requests, " in shown
    assert BAR in shown
    assert "refresh_accounts: 1 advertisers" in shown


def test_a_pipe_gets_plain_lines_only(run: RunCommand) -> None:
    """Without a terminal there is no bar and no colour, on either output."""
    ran = run(*SYNC)
    assert ran.exit_code == 0, ran.err
    assert "refresh_accounts: " in ran.err
    assert BAR not in ran.err
    assert "\x1b" not in ran.out + ran.err

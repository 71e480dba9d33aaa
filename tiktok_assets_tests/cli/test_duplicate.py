"""Tests of the `duplicate` command: dry run, approval, live run and status."""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from pwd import getpwuid

import pytest
from typer.testing import CliRunner

from tiktok_assets.cli.commands import app
from tiktok_assets.cli.duplicate import obtain_approval
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.duplication.approvals import issue_code
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.storage.state import State
from tiktok_assets_tests.cli.conftest import CommandResult
from tiktok_assets_tests.duplication.harness import DuplicationHarness
from tiktok_assets_tests.environment import clean_environment


def propose_variables(harness: DuplicationHarness, folder: Path) -> dict[str, str]:
    """Return the environment variables of a user in mode `propose`."""
    return {
        "TIKTOK_BASE_URL": harness.host.sandbox.base_url,
        "TIKTOK_ACCESS_TOKEN": harness.host.sandbox.token,
        "TIKTOK_ADVERTISER_IDS": harness.owner.id,
        "TIKTOK_SCALING_MODE": "propose",
        "TIKTOK_SCALING_CAMPAIGNS": f"{harness.owner.id}:{harness.scaling_campaign.id}",
        "TIKTOK_STATE_DIR": str(folder / "state"),
        "TIKTOK_DATA_DIR": str(folder / "data"),
        "TIKTOK_QPS": "1000",
    }


def run(
    harness: DuplicationHarness, folder: Path, *arguments: str, entered: str = "", **variables: str
) -> CommandResult:
    """Run `tiktok-assets duplicate` in this process without a terminal; a CommandError becomes an exit code."""
    env = {**propose_variables(harness, folder), **variables}
    result = CliRunner().invoke(app, ["duplicate", *arguments], env=env, input=entered)
    if isinstance(result.exception, CommandError):
        return CommandResult(result.exception.exit_code, result.stdout, f"{result.stderr}{result.exception}")
    assert result.exception is None, result.exception
    return CommandResult(result.exit_code, result.stdout, result.stderr)


def test_dry_run_live_run_and_status(harness: DuplicationHarness, tmp_path: Path) -> None:
    """A dry run prints the requests, --live sends them once, and --status lists the duplication as done."""
    ad = harness.winner.id
    dry = run(harness, tmp_path, ad)
    assert dry.exit_code == 0, dry.err
    assert f"POST {harness.host.sandbox.base_url}/open_api/v1.3/adgroup/create/" in dry.out
    assert f'"campaign_id":"{harness.scaling_campaign.id}"' in dry.out
    assert harness.host.sandbox.token not in dry.out
    assert harness.write_requests == []

    live = run(harness, tmp_path, ad, "--live", "--yes")
    assert live.exit_code == 0, live.err
    (group,), (new_ad,) = harness.created_objects(harness.request())
    assert f"ad {new_ad['ad_id']} in the new ad group {group['adgroup_id']} was created" in live.out
    again = run(harness, tmp_path, ad, "--live", "--json")
    assert "This duplication was done before; nothing was sent." in again.err
    assert json.loads(again.out)["copy_ad_id"] == new_ad["ad_id"]
    assert len(harness.write_requests) == 2

    status = run(harness, tmp_path, "--status", "--json")
    (row,) = json.loads(status.out)
    approver = f"{getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
    assert (row["approved_how"], row["approved_by"]) == ("yes", approver)
    assert (row["status"], row["added_budget"], len(row["steps"])) == ("done", str(row["added_budget"]), 2)
    assert harness.request().key in run(harness, tmp_path, "--status").out
    repeated = json.loads(run(harness, tmp_path, ad, "--json").out)
    assert (repeated["requests"], repeated["entry"]["status"]) == ([], "done")


def test_alert_mode_writes_nothing(harness: DuplicationHarness, tmp_path: Path) -> None:
    """In mode `alert`, --live is refused before any request with the setting to change; a dry run is allowed."""
    result = run(harness, tmp_path, harness.winner.id, "--live", TIKTOK_SCALING_MODE="alert")
    assert result.exit_code == 1
    assert "set TIKTOK_SCALING_MODE=propose" in result.err
    assert harness.host.requests == []
    assert run(harness, tmp_path, harness.winner.id, "--again", "7", TIKTOK_SCALING_MODE="alert").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "reason"),
    [
        ([], 2, "give the id of the ad to duplicate, or --status"),
        (["5", "--status"], 2, "give the id of the ad to duplicate, or --status"),
        (["x"], 2, "the ad 'x' is not an id"),
        (["5", "--to", "x"], 2, "--to 'x' is not an id"),
        (["5", "--budget", "dear"], 2, "--budget 'dear' is not an amount"),
        (["5", "--advertiser", "6"], 2, "advertiser 6 is not granted"),
        (["5"], 1, "a live run would be refused: ad 5 is not in account"),
        (["5", "--live", "--yes"], 1, "nothing further is created: ad 5 is not in account"),
        (
            ["5", "--live"],
            2,
            "--live needs an approval: run it on a terminal to get a prompt, or add --yes, or add --code",
        ),
        (["5", "--live", "--yes", "--enable"], 1, "TIKTOK_SCALING_ENABLE=allow"),
        (["5", "--live", "--code"], 1, "the approval code was not issued here"),
    ],
)
def test_error_messages_and_exit_codes(
    harness: DuplicationHarness, tmp_path: Path, arguments: list[str], exit_code: int, reason: str
) -> None:
    """Wrong usage ends with exit code 2 and a refusal with 1; both name the reason, and nothing is written."""
    result = run(harness, tmp_path, *arguments)
    assert result.exit_code == exit_code
    assert reason in result.err
    assert harness.write_requests == []


def test_approval_code_is_read_from_standard_input(harness: DuplicationHarness, tmp_path: Path) -> None:
    """With --code the approval code of an alert is read from standard input, and it is never printed."""
    request = harness.request(again=20)
    folder = tmp_path / "state"
    folder.mkdir()
    with closing(State(f"sqlite:///{folder}/state.sqlite")) as state, state.transaction() as connection:
        code = issue_code(connection, request, "alert", datetime.now(UTC)).text
    arguments = (request.ad_id, "--again", "20", "--live", "--code")
    refused = run(harness, tmp_path, *arguments, "--budget", "99", entered=f"{code}\n")
    assert "another budget" in refused.err
    approved = run(harness, tmp_path, *arguments, entered=f"{code}\n")
    assert approved.exit_code == 0, approved.err
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]
    assert code not in f"{refused.out}{refused.err}{approved.out}{approved.err}"


def test_yes_is_refused_where_hosts_share_the_state(harness: DuplicationHarness, tmp_path: Path) -> None:
    """With the state on a database server, --yes is refused with a message that names --code; nothing is sent."""
    settings = load_settings(
        base_url=harness.host.sandbox.base_url,
        access_token=harness.host.sandbox.token,
        state_dir=tmp_path,
        state_url="postgresql+psycopg2://nobody@127.0.0.1:1/none",
    )
    with closing(Session(settings)) as session, closing(State(f"sqlite:///{tmp_path}/state.sqlite")) as state:
        session.state = state
        for yes in (True, False):
            with pytest.raises(UsageError, match=r"several hosts share this state.*--code"):
                obtain_approval(session, harness.request(), yes=yes, code=False)
    assert harness.write_requests == []


def run_on_terminal(harness: DuplicationHarness, folder: Path, *arguments: str, answer: str) -> tuple[int, str]:
    """Run `tiktok-assets duplicate` on a terminal and answer its prompt; return exit code and output."""
    terminal, process_side = os.openpty()
    command = [sys.executable, "-m", "tiktok_assets", "duplicate", *arguments]
    environment = clean_environment(propose_variables(harness, folder))
    with subprocess.Popen(  # noqa: S603 - our own program
        command,
        cwd=folder,
        env=environment,
        stdin=process_side,
        stdout=process_side,
        stderr=process_side,
        start_new_session=True,
    ) as process:
        os.close(process_side)
        output = b""
        with suppress(OSError):  # the process has closed its side
            while part := os.read(terminal, 4096):
                output += part
                if part.endswith(b"[y/N]: "):
                    os.write(terminal, f"{answer}\n".encode())
        code = process.wait(60)
    os.close(terminal)
    return code, output.decode()


@pytest.mark.slow
def test_prompt_on_a_terminal_shows_the_amounts(harness: DuplicationHarness, tmp_path: Path) -> None:
    """The prompt shows what is created and the added budget; only yes sends the requests, and it is recorded."""
    arguments = (harness.winner.id, "--again", "21", "--live")
    for answer in ("n", "", "maybe\nn"):
        code, output = run_on_terminal(harness, tmp_path, *arguments, answer=answer)
        assert code == 1
        text = " ".join(output.split())
        assert f"ad {harness.winner.id} into campaign {harness.scaling_campaign.id}" in text
        assert f"account {harness.owner.id}: creates an ad group and an ad and adds" in text
        assert "USD a day." in text
        assert "not approved; nothing was sent" in text
    assert harness.write_requests == []
    code, output = run_on_terminal(harness, tmp_path, *arguments, "--budget", "33.50", answer="y")
    assert code == 0, output
    assert "adds 33.50 USD a day." in " ".join(output.split())
    (row,) = json.loads(run(harness, tmp_path, "--status", "--json").out)
    assert row["approved_how"] == "terminal"


def test_finished_duplication_needs_no_approval(harness: DuplicationHarness, tmp_path: Path) -> None:
    """Repeating a finished duplication sends nothing, so it needs no approval."""
    arguments = (harness.winner.id, "--again", "22", "--live")
    assert run(harness, tmp_path, *arguments, "--yes").exit_code == 0
    assert "nothing was sent" in run(harness, tmp_path, *arguments).err


def test_target_campaign_is_required(harness: DuplicationHarness, tmp_path: Path) -> None:
    """Without --to and TIKTOK_SCALING_CAMPAIGNS, the message names both."""
    result = run(harness, tmp_path, harness.winner.id, TIKTOK_SCALING_CAMPAIGNS="")
    assert result.exit_code == 2
    assert f"--to, or set TIKTOK_SCALING_CAMPAIGNS={harness.owner.id}:" in result.err


def test_undo_shows_then_deletes(harness: DuplicationHarness, tmp_path: Path) -> None:
    """`--undo` shows and changes nothing; with --live it needs a terminal or --yes, and then deletes the copy."""
    request = harness.request(again=31)
    assert run(harness, tmp_path, request.ad_id, "--again", "31", "--live", "--yes").exit_code == 0
    sent = len(harness.write_requests)

    shown = run(harness, tmp_path, "--undo", request.key)
    assert shown.exit_code == 0, shown.err
    assert request.key in shown.out
    unasked = run(harness, tmp_path, "--undo", request.key, "--live")
    assert (unasked.exit_code, "run it on a terminal to get a prompt, or add --yes" in unasked.err) == (2, True)
    alert = run(harness, tmp_path, "--undo", request.key, "--live", "--yes", TIKTOK_SCALING_MODE="alert")
    assert (alert.exit_code, "set TIKTOK_SCALING_MODE=propose" in alert.err) == (1, True)
    unknown = run(harness, tmp_path, "--undo", "nokey", "--live", "--yes")
    assert (unknown.exit_code, "`tiktok-assets duplicate --status` lists the keys" in unknown.err) == (1, True)
    assert len(harness.write_requests) == sent

    undone = run(harness, tmp_path, "--undo", request.key, "--live", "--yes", "--json")
    assert undone.exit_code == 0, undone.err
    assert json.loads(undone.out)["undone_at"]
    created = [row for rows in harness.created_objects(request) for row in rows]
    assert ["DELETE" in row["secondary_status"] for row in created] == [True, True]
    repeated = run(harness, tmp_path, request.ad_id, "--again", "31", "--live", "--yes")
    assert (repeated.exit_code, "request another copy with --again" in repeated.err) == (1, True)

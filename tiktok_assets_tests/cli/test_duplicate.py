"""Laws of `duplicate`: it shows before it sends, sends only when told and allowed, and says where things stand."""

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

from tiktok_assets.cli.approval import obtain_approval
from tiktok_assets.cli.commands import app
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.duplication.approvals import issue_code
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.storage.state import State
from tiktok_assets_tests.cli.conftest import Ran
from tiktok_assets_tests.duplication.harness import DuplicationHarness
from tiktok_assets_tests.environment import clean_environment


def variables_of(bench: DuplicationHarness, folder: Path) -> dict[str, str]:
    """The variables of a user in mode `propose`."""
    return {
        "TIKTOK_BASE_URL": bench.host.sandbox.base_url,
        "TIKTOK_ACCESS_TOKEN": bench.host.sandbox.token,
        "TIKTOK_ADVERTISER_IDS": bench.owner.id,
        "TIKTOK_SCALING_MODE": "propose",
        "TIKTOK_SCALING_CAMPAIGNS": f"{bench.owner.id}:{bench.scaling.id}",
        "TIKTOK_STATE_DIR": str(folder / "state"),
        "TIKTOK_DATA_DIR": str(folder / "data"),
        "TIKTOK_QPS": "1000",
    }


def run(bench: DuplicationHarness, folder: Path, *arguments: str, entered: str = "", **variables: str) -> Ran:
    """Run `tiktok-assets duplicate` in this process without a terminal; a `Problem` is told as `main` tells it."""
    env = {**variables_of(bench, folder), **variables}
    done = CliRunner().invoke(app, ["duplicate", *arguments], env=env, input=entered)
    if isinstance(done.exception, CommandError):
        return Ran(done.exception.exit_code, done.stdout, f"{done.stderr}{done.exception}")
    assert done.exception is None, done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)


def test_shown_sent_and_told(bench: DuplicationHarness, tmp_path: Path) -> None:
    """A dry run prints the requests, --live sends them once, --status says that it is done."""
    ad = bench.winner.id
    dry = run(bench, tmp_path, ad)
    assert dry.exit_code == 0, dry.err
    assert f"POST {bench.host.sandbox.base_url}/open_api/v1.3/adgroup/create/" in dry.out
    assert f'"campaign_id":"{bench.scaling.id}"' in dry.out
    assert bench.host.sandbox.token not in dry.out
    assert bench.writes == []

    live = run(bench, tmp_path, ad, "--live", "--yes")
    assert live.exit_code == 0, live.err
    (group,), (made,) = bench.made(bench.wish())
    assert f"ad {made['ad_id']} in the new ad group {group['adgroup_id']} was made" in live.out
    again = run(bench, tmp_path, ad, "--live", "--json")
    assert "It was done before; nothing was sent." in again.err
    assert json.loads(again.out)["copy_ad_id"] == made["ad_id"]
    assert len(bench.writes) == 2

    status = run(bench, tmp_path, "--status", "--json")
    (row,) = json.loads(status.out)
    me = f"{getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
    assert (row["approved_how"], row["approved_by"]) == ("yes", me)
    assert (row["status"], row["added_budget"], len(row["steps"])) == ("done", str(row["added_budget"]), 2)
    assert bench.wish().key in run(bench, tmp_path, "--status").out
    told = json.loads(run(bench, tmp_path, ad, "--json").out)
    assert (told["requests"], told["entry"]["status"]) == ([], "done")


def test_alert_mode_writes_nothing(bench: DuplicationHarness, tmp_path: Path) -> None:
    """In mode `alert` --live is refused before anything is asked, with the setting to change; a dry run is not."""
    ran = run(bench, tmp_path, bench.winner.id, "--live", TIKTOK_SCALING_MODE="alert")
    assert ran.exit_code == 1
    assert "set TIKTOK_SCALING_MODE=propose" in ran.err
    assert bench.host.requests == []
    assert run(bench, tmp_path, bench.winner.id, "--again", "7", TIKTOK_SCALING_MODE="alert").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "reason"),
    [
        ([], 2, "name the ad to duplicate, or ask for --status"),
        (["5", "--status"], 2, "name the ad to duplicate, or ask for --status"),
        (["x"], 2, "the ad 'x' is no id"),
        (["5", "--to", "x"], 2, "--to 'x' is no id"),
        (["5", "--budget", "dear"], 2, "--budget 'dear' is no amount"),
        (["5", "--advertiser", "6"], 2, "advertiser 6 is not granted"),
        (["5"], 1, "a live run would be refused: ad 5 is not in account"),
        (["5", "--live", "--yes"], 1, "nothing more is made: ad 5 is not in account"),
        (["5", "--live"], 2, "--live needs an approval: on a terminal it asks; elsewhere add --yes, or --code"),
        (["5", "--live", "--yes", "--enable"], 1, "TIKTOK_SCALING_ENABLE=allow"),
        (["5", "--live", "--code"], 1, "the approval code is none that was issued here"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    bench: DuplicationHarness, tmp_path: Path, arguments: list[str], exit_code: int, reason: str
) -> None:
    """Wrong usage is 2, a refusal 1; both say what is wrong, and nothing is written."""
    ran = run(bench, tmp_path, *arguments)
    assert ran.exit_code == exit_code
    assert reason in ran.err
    assert bench.writes == []


def test_a_code_comes_by_standard_input(bench: DuplicationHarness, tmp_path: Path) -> None:
    """With --code the alert's code is read from standard input; it is not taken from the arguments, nor shown."""
    wish = bench.wish(again=20)
    folder = tmp_path / "state"
    folder.mkdir()
    with closing(State(f"sqlite:///{folder}/state.sqlite")) as state, state.transaction() as connection:
        code = issue_code(connection, wish, "alert", datetime.now(UTC)).text
    asked = (wish.ad_id, "--again", "20", "--live", "--code")
    refused = run(bench, tmp_path, *asked, "--budget", "99", entered=f"{code}\n")
    assert "another budget" in refused.err
    done = run(bench, tmp_path, *asked, entered=f"{code}\n")
    assert done.exit_code == 0, done.err
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]
    assert code not in f"{refused.out}{refused.err}{done.out}{done.err}"


def test_where_hosts_share_the_state_yes_is_not_enough(bench: DuplicationHarness, tmp_path: Path) -> None:
    """Where the state is a server's, a code or an answer approves; the sentence says so, and nothing is sent."""
    own = load_settings(
        base_url=bench.host.sandbox.base_url,
        access_token=bench.host.sandbox.token,
        state_dir=tmp_path,
        state_url="postgresql+psycopg2://nobody@127.0.0.1:1/none",
    )
    with closing(Session(own)) as session, closing(State(f"sqlite:///{tmp_path}/state.sqlite")) as state:
        session.state = state
        for yes in (True, False):
            with pytest.raises(UsageError, match=r"several hosts share this state.*--code"):
                obtain_approval(session, bench.wish(), yes=yes, code=False)
    assert bench.writes == []


def on_terminal(bench: DuplicationHarness, folder: Path, *arguments: str, answer: str) -> tuple[int, str]:
    """Run `tiktok-assets duplicate` as another process on a terminal, and answer what it asks."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "tiktok_assets", "duplicate", *arguments]
    environment = clean_environment(variables_of(bench, folder))
    with subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # a terminal whose other side is closed
            while got := os.read(ours, 4096):
                shown += got
                if got.endswith(b"[y/N]: "):
                    os.write(ours, f"{answer}\n".encode())
        code = process.wait(60)
    os.close(ours)
    return code, shown.decode()


def test_on_a_terminal_a_person_is_asked_with_the_amounts(bench: DuplicationHarness, tmp_path: Path) -> None:
    """What is made, where, and what it adds is shown; anything but yes sends nothing, yes is recorded."""
    asked = (bench.winner.id, "--again", "21", "--live")
    for answer in ("n", "", "maybe\nn"):
        code, shown = on_terminal(bench, tmp_path, *asked, answer=answer)
        assert code == 1
        words = " ".join(shown.split())
        assert f"ad {bench.winner.id} into campaign {bench.scaling.id}" in words
        assert f"account {bench.owner.id}: makes an ad group and an ad and adds" in words
        assert "USD a day." in words
        assert "not approved; nothing was sent" in words
    assert bench.writes == []
    code, shown = on_terminal(bench, tmp_path, *asked, "--budget", "33.50", answer="y")
    assert code == 0, shown
    assert "adds 33.50 USD a day." in " ".join(shown.split())
    (row,) = json.loads(run(bench, tmp_path, "--status", "--json").out)
    assert row["approved_how"] == "terminal"


def test_what_is_done_is_not_asked_again(bench: DuplicationHarness, tmp_path: Path) -> None:
    """A repeat sends nothing and so needs no approval."""
    asked = (bench.winner.id, "--again", "22", "--live")
    assert run(bench, tmp_path, *asked, "--yes").exit_code == 0
    assert "nothing was sent" in run(bench, tmp_path, *asked).err


def test_without_a_scaling_campaign_one_must_be_named(bench: DuplicationHarness, tmp_path: Path) -> None:
    """No --to and no setting: the sentence names both."""
    ran = run(bench, tmp_path, bench.winner.id, TIKTOK_SCALING_CAMPAIGNS="")
    assert ran.exit_code == 2
    assert f"--to, or set TIKTOK_SCALING_CAMPAIGNS={bench.owner.id}:" in ran.err

"""Laws of `duplicate`: it shows before it sends, sends only when told and allowed, and says where things stand."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tiktok_assets.cli import app
from tiktok_assets.commands.problems import Problem
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.commands.conftest import Ran
from tiktok_assets_tests.scaling.bench import PLAN, Bench, bench_at


@pytest.fixture(scope="module")
def story_host() -> Iterator[Host]:
    """The world with the story."""
    with Host.run(PLAN) as running:
        yield running


@pytest.fixture
def bench(story_host: Host, tmp_path: Path) -> Iterator[Bench]:
    """The story's objects."""
    with bench_at(story_host, tmp_path) as one:
        yield one


def run(bench: Bench, folder: Path, *arguments: str, **variables: str) -> Ran:
    """Run `tiktok-assets duplicate` in mode `propose`, in this process; a `Problem` is told as `main` tells it."""
    own = {
        "TIKTOK_BASE_URL": bench.host.sandbox.base_url,
        "TIKTOK_ACCESS_TOKEN": bench.host.sandbox.token,
        "TIKTOK_ADVERTISER_IDS": bench.owner.id,
        "TIKTOK_SCALING_MODE": "propose",
        "TIKTOK_SCALING_CAMPAIGNS": f"{bench.owner.id}:{bench.scaling.id}",
        "TIKTOK_STATE_DIR": str(folder / "state"),
        "TIKTOK_DATA_DIR": str(folder / "data"),
        "TIKTOK_QPS": "1000",
    }
    done = CliRunner().invoke(app, ["duplicate", *arguments], env={**own, **variables})
    if isinstance(done.exception, Problem):
        return Ran(done.exception.exit_code, done.stdout, f"{done.stderr}{done.exception}")
    assert done.exception is None, done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)


def test_shown_sent_and_told(bench: Bench, tmp_path: Path) -> None:
    """A dry run prints the requests, --live sends them once, --status says that it is done."""
    ad = bench.winner.id
    dry = run(bench, tmp_path, ad)
    assert dry.exit_code == 0, dry.err
    assert f"POST {bench.host.sandbox.base_url}/open_api/v1.3/adgroup/create/" in dry.out
    assert f'"campaign_id":"{bench.scaling.id}"' in dry.out
    assert bench.host.sandbox.token not in dry.out
    assert bench.writes == []

    live = run(bench, tmp_path, ad, "--live")
    assert live.exit_code == 0, live.err
    (group,), (made,) = bench.made(bench.wish())
    assert f"ad {made['ad_id']} in the new ad group {group['adgroup_id']} was made" in live.out
    again = run(bench, tmp_path, ad, "--live", "--json")
    assert "It was done before; nothing was sent." in again.err
    assert json.loads(again.out)["copy_ad_id"] == made["ad_id"]
    assert len(bench.writes) == 2

    status = run(bench, tmp_path, "--status", "--json")
    (row,) = json.loads(status.out)
    assert (row["status"], row["added_budget"], len(row["steps"])) == ("done", str(row["added_budget"]), 2)
    assert bench.wish().key in run(bench, tmp_path, "--status").out
    told = json.loads(run(bench, tmp_path, ad, "--json").out)
    assert (told["requests"], told["entry"]["status"]) == ([], "done")


def test_alert_mode_writes_nothing(bench: Bench, tmp_path: Path) -> None:
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
        (["5", "--live"], 1, "nothing more is made: ad 5 is not in account"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    bench: Bench, tmp_path: Path, arguments: list[str], exit_code: int, reason: str
) -> None:
    """Wrong usage is 2, a refusal 1; both say what is wrong, and nothing is written."""
    ran = run(bench, tmp_path, *arguments)
    assert ran.exit_code == exit_code
    assert reason in ran.err
    assert bench.writes == []


def test_without_a_scaling_campaign_one_must_be_named(bench: Bench, tmp_path: Path) -> None:
    """No --to and no setting: the sentence names both."""
    ran = run(bench, tmp_path, bench.winner.id, TIKTOK_SCALING_CAMPAIGNS="")
    assert ran.exit_code == 2
    assert f"--to, or set TIKTOK_SCALING_CAMPAIGNS={bench.owner.id}:" in ran.err

"""Test that secrets are in no file, output or command line, with canaries that are searched for everywhere."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Self

import httpx
import pytest

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.alerts.fake_channels import run_webhook
from tiktok_assets_tests.cli.conftest import CommandResult, build_variables, run_command, run_program

WORLD = WorldPlan(dense=True, advertisers=4, days=6, campaigns=1, ad_groups=2, ads=3)
PROCESSES = Path("/proc")

FAULTS = (
    {"kind": "http_status", "status": 502, "html": "<html>bad gateway</html>", "path": "campaign/get"},
    {"kind": "cut", "path": "ad/get"},
    {"kind": "not_json", "path": "report/integrated/get"},
    {"kind": "code", "code": 50000, "path": "adgroup/get", "times": 2},
)


@pytest.fixture
def host() -> Iterator[RunningSandbox]:
    """Run a small world of today, whose token and secret are the canaries."""
    free = Limits(qps=None, qpm=None)
    with RunningSandbox(WORLD, now=datetime.now(UTC), clock_runs=True, limits=free) as running:
        yield running


def list_granted(host: RunningSandbox) -> list[str]:
    """List the accounts that can be read."""
    return sorted(one.id for one in host.world.advertisers.values() if one.granted)


def control(host: RunningSandbox, path: str, /, **body: object) -> dict[str, str]:
    """Send a request to a control route of the sandbox."""
    answer: dict[str, str] = httpx.post(f"{host.base_url}/sandbox/{path}", json=body).raise_for_status().json()
    return answer


def find_files_with(canaries: tuple[str, ...], folder: Path) -> list[str]:
    """Find the files below a folder that have a canary in their content or name."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if any(canary.encode() in content or canary in path.name for canary in canaries):
            found.append(str(path.relative_to(folder)))
    return found


def command_lines() -> list[str]:
    """Read the command lines of all processes of this machine."""
    if not PROCESSES.is_dir():
        listed = subprocess.run(["ps", "-axo", "command"], capture_output=True, text=True, check=False)  # noqa: S607 - POSIX
        return listed.stdout.splitlines()
    lines = []
    for process in PROCESSES.glob("[0-9]*"):
        try:
            lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # the process has ended
            continue
    return lines


class Watch:
    """Reads the command lines of all processes in the background.

    Attributes:
        looks: how often a process of this package was seen.
        seen: the command lines with a canary.
    """

    def __init__(self, canaries: tuple[str, ...]) -> None:
        self.looks = 0
        self.seen: list[str] = []
        self._canaries = canaries
        self._over = Event()
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            lines = command_lines()
            self.looks += any("tiktok_assets" in line and "-m" in line for line in lines)
            self.seen += [line for line in lines if any(canary in line for canary in self._canaries)]


@pytest.mark.slow
def test_token_is_in_no_file_and_no_output(host: RunningSandbox, tmp_path: Path) -> None:
    """A sync that succeeds, fails, retries and alerts, and every reading command, write no secret anywhere."""
    canaries = (host.token, host.secret, "webhook-5ecret-9f2")
    pinned = list_granted(host)
    last = host.clock.now().date() - timedelta(2)
    variables = {
        **build_variables(host),
        "TIKTOK_START_DATE": (last - timedelta(3)).isoformat(),
        "TIKTOK_ADVERTISER_IDS": ",".join(pinned),
        "TIKTOK_ALERT_URLS": f"json://127.0.0.1:9/{canaries[2]}",  # no server listens there
    }

    def run(*arguments: str, **changed: str) -> CommandResult:
        return run_command(*arguments, variables={**variables, **changed}, folder=tmp_path)

    with Watch(canaries) as watch:
        first = run_program("sync", "--select", "advertisers", variables=variables, folder=tmp_path)
        control(host, "grants", advertiser_id=pinned[0], granted=False)
        for fault in FAULTS:
            control(host, "faults", **fault)
        partly = run("sync", "--from", last.isoformat(), "--to", last.isoformat(), "--json")
        results = [
            first,
            partly,
            run("get", "advertisers", TIKTOK_ADVERTISER_IDS=""),
            run("get", "campaigns", "--advertiser", pinned[1]),
            run("get", "ads", "--advertiser", pinned[0]),
            run("plan", "--from", last.isoformat(), "--to", last.isoformat()),
            run("top"),
            run("doctor"),
            run("doctor", TIKTOK_ACCESS_TOKEN=f"{host.token}x"),
            run("auth"),
            run("auth", "a-code-nobody-issued", "--without-state"),
        ]

    assert first.exit_code == 0, first.err
    assert partly.exit_code == 1
    assert "failed; the rest is stored" in partly.err
    assert list((tmp_path / "data").rglob("ad_report_daily/**/*.parquet"))
    assert '"retries": 0' not in partly.out
    assert (tmp_path / ".tiktok_assets" / "dagster").is_dir()
    assert list((tmp_path / ".tiktok_assets" / "alerts").glob("*.json"))
    assert [one for one in results if any(canary in one.out + one.err for canary in canaries)] == []
    assert find_files_with(canaries, tmp_path) == []
    assert watch.looks
    assert watch.seen == []


@pytest.mark.slow
def test_new_token_is_only_in_the_env_file(host: RunningSandbox, tmp_path: Path) -> None:
    """The token of `auth` is written to `.env`, readable by its owner only, and to no other file."""
    variables = {name: value for name, value in build_variables(host).items() if name != "TIKTOK_ACCESS_TOKEN"}
    before = set(host.state.auth.tokens)
    code = control(host, "auth_codes")["auth_code"]
    result = run_command("auth", code, "--without-state", variables=variables, folder=tmp_path)
    after = run_command("doctor", variables=variables, folder=tmp_path)
    (token,) = set(host.state.auth.tokens) - before

    assert result.exit_code == after.exit_code == 0, result.err + after.err
    assert find_files_with((token, host.secret), tmp_path) == [".env"]
    assert not (tmp_path / ".env").stat().st_mode & 0o077
    assert token not in result.out + result.err + after.out + after.err


FLAGGING = (
    "campaigns,ad_groups,ads,ad_report_lifetime,campaign_report_lifetime,top_spenders,duplication_candidates"
)


@pytest.mark.slow
def test_approval_code_is_only_in_its_alert(tmp_path: Path) -> None:
    """A delivered and used code is only in its alert's files: in no state, table, log, output or argument."""
    plan = WorldPlan(days=90, advertisers=1, campaigns=1, ad_groups=2, ads=2)
    with RunningSandbox(plan, limits=Limits(qps=None, qpm=None)) as host, run_webhook() as hook:
        scenario = host.world.scenario
        assert scenario
        variables = {
            **build_variables(host),
            "TIKTOK_REPORTS": "ad_report_lifetime,campaign_report_lifetime",
            "TIKTOK_SCALING_MODE": "propose",
            "TIKTOK_SCALING_CAMPAIGNS": f"{scenario.advertiser_id}:{scenario.scaling_campaign_id}",
            "TIKTOK_ALERT_URLS": f"json://127.0.0.1:{hook.port}",
        }
        results = []  # the first finds the leader, the second the ad that overtook it
        for moment in (scenario.t1, scenario.t2):
            host.clock.set(moment)
            results.append(run_command("sync", "--select", FLAGGING, variables=variables, folder=tmp_path))
        (body,) = hook.bodies
        (code,) = set(re.findall(r"[A-Z2-7]{6}(?:-[A-Z2-7]{6}){3}", body["message"]))
        canaries = (code, code.replace("-", ""))

        def run(*arguments: str, entered: str = "") -> CommandResult:
            return run_command(*arguments, variables=variables, folder=tmp_path, entered=entered)

        duplicate = ("duplicate", scenario.new_leader_ad_id, "--live")
        with Watch(canaries) as watch:
            refused = run_program(
                *duplicate, "--code", variables=variables, folder=tmp_path, entered=f"{code[::-1]}"
            )
            approved = run(*duplicate, "--code", entered=f"{code}\n")
            results += [refused, approved, run("duplicate", "--status")]
            results += [run("doctor")]

    assert [one.exit_code for one in results[:2]] == [0, 0], results
    assert "the approval code was not issued here" in refused.err
    assert approved.exit_code == 0, approved.err
    assert [one for one in results if any(canary in one.out + one.err for canary in canaries)] == []
    folders = {str(Path(name).parent) for name in find_files_with(canaries, tmp_path)}
    assert folders == {".tiktok_assets/alerts"}
    alert = next((tmp_path / ".tiktok_assets" / "alerts").glob("*.html"))
    assert code in alert.read_text(encoding="utf-8")
    assert not alert.stat().st_mode & 0o077
    assert (watch.looks > 0, watch.seen) == (True, [])


def test_search_finds_canaries(tmp_path: Path) -> None:
    """The search finds a canary in a file, in a name and on a command line."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_bytes(b"\0...canary-1...\0")
    (tmp_path / "canary-2").write_text("")
    wait = "import sys, time; sys.stdout.write('up\\n'); sys.stdout.flush(); time.sleep(30)"
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", wait, "canary-3"], stdout=subprocess.PIPE, env=dict(os.environ)
    ) as process:
        assert process.stdout
        process.stdout.readline()
        found = [line for line in command_lines() if "canary-3" in line]
        process.kill()

    assert sorted(find_files_with(("canary-1", "canary-2"), tmp_path)) == ["canary-2", "deep/log"]
    assert len(found) == 1

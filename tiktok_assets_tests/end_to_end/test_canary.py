"""The token is nowhere: a canary that is looked for wherever a command may have left it."""

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
from tiktok_assets_tests.cli.conftest import CommandResult, run_program, build_variables

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
    """A small world of today, whose token and secret are the canaries."""
    free = Limits(qps=None, qpm=None)
    with RunningSandbox(WORLD, now=datetime.now(UTC), clock_runs=True, limits=free) as running:
        yield running


def granted(host: RunningSandbox) -> list[str]:
    """The accounts that can be read."""
    return sorted(one.id for one in host.world.advertisers.values() if one.granted)


def control(host: RunningSandbox, path: str, /, **body: object) -> dict[str, str]:
    """Ask the world for something by name."""
    told: dict[str, str] = httpx.post(f"{host.base_url}/sandbox/{path}", json=body).raise_for_status().json()
    return told


def files_with(canaries: tuple[str, ...], folder: Path) -> list[str]:
    """The files below a folder that hold a canary, in their bytes or in their names."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if any(canary.encode() in content or canary in path.name for canary in canaries):
            found.append(str(path.relative_to(folder)))
    return found


def command_lines() -> list[str]:
    """What anybody on this machine may read of the processes that run."""
    if not PROCESSES.is_dir():
        listed = subprocess.run(["ps", "-axo", "command"], capture_output=True, text=True, check=False)  # noqa: S607 - POSIX
        return listed.stdout.splitlines()
    lines = []
    for process in PROCESSES.glob("[0-9]*"):
        try:
            lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has ended meanwhile
            continue
    return lines


class Watch:
    """Looks at the command lines of all processes while something runs.

    Attributes:
        looks: how often our own program was seen.
        seen: the command lines that showed a canary.
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


def test_the_token_is_in_no_file_and_no_word(host: RunningSandbox, tmp_path: Path) -> None:
    """A sync that succeeds, fails, retries and alerts, and every reading command, leave no secret behind."""
    canaries = (host.token, host.secret, "webhook-5ecret-9f2")
    pinned = granted(host)
    last = host.clock.now().date() - timedelta(2)
    variables = {
        **build_variables(host),
        "TIKTOK_START_DATE": (last - timedelta(3)).isoformat(),
        "TIKTOK_ADVERTISER_IDS": ",".join(pinned),
        "TIKTOK_ALERT_URLS": f"json://127.0.0.1:9/{canaries[2]}",  # where nobody listens
    }

    def run(*arguments: str, **changed: str) -> CommandResult:
        return run_program(*arguments, variables={**variables, **changed}, folder=tmp_path)

    with Watch(canaries) as watch:
        first = run("sync", "--select", "advertisers")
        control(host, "grants", advertiser_id=pinned[0], granted=False)
        for fault in FAULTS:
            control(host, "faults", **fault)
        partly = run("sync", "--from", last.isoformat(), "--to", last.isoformat(), "--json")
        ran = [
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
    assert [one for one in ran if any(canary in one.out + one.err for canary in canaries)] == []
    assert files_with(canaries, tmp_path) == []
    assert watch.looks
    assert watch.seen == []


def test_a_new_token_is_in_its_env_file_alone(host: RunningSandbox, tmp_path: Path) -> None:
    """What `auth` brings home stands in `.env`, which its owner alone may read, and nowhere else."""
    variables = {name: value for name, value in build_variables(host).items() if name != "TIKTOK_ACCESS_TOKEN"}
    before = set(host.state.auth.tokens)
    code = control(host, "auth_codes")["auth_code"]
    ran = run_program("auth", code, "--without-state", variables=variables, folder=tmp_path)
    after = run_program("doctor", variables=variables, folder=tmp_path)
    (token,) = set(host.state.auth.tokens) - before

    assert ran.exit_code == after.exit_code == 0, ran.err + after.err
    assert files_with((token, host.secret), tmp_path) == [".env"]
    assert not (tmp_path / ".env").stat().st_mode & 0o077
    assert token not in ran.out + ran.err + after.out + after.err


FLAGGING = (
    "campaigns,ad_groups,ads,ad_report_lifetime,campaign_report_lifetime,top_spenders,duplication_candidates"
)


def test_an_approval_code_is_with_those_told_alone(tmp_path: Path) -> None:
    """A code that was delivered and used is in its alert's files; in no state, table, log, word or argument."""
    plan = WorldPlan(days=90, advertisers=1, campaigns=1, ad_groups=2, ads=2)
    with RunningSandbox(plan, limits=Limits(qps=None, qpm=None)) as host, run_webhook() as hook:
        story = host.world.scenario
        assert story
        variables = {
            **build_variables(host),
            "TIKTOK_REPORTS": "ad_report_lifetime,campaign_report_lifetime",
            "TIKTOK_SCALING_MODE": "propose",
            "TIKTOK_SCALING_CAMPAIGNS": f"{story.advertiser_id}:{story.scaling_campaign_id}",
            "TIKTOK_ALERT_URLS": f"json://127.0.0.1:{hook.port}",
        }
        ran = []  # the first sees who leads, the second who overtook
        for moment in (story.t1, story.t2):
            host.clock.set(moment)
            ran.append(run_program("sync", "--select", FLAGGING, variables=variables, folder=tmp_path))
        (body,) = hook.bodies
        (code,) = set(re.findall(r"[A-Z2-7]{6}(?:-[A-Z2-7]{6}){3}", body["message"]))
        canaries = (code, code.replace("-", ""))

        def run(*arguments: str, entered: str = "") -> CommandResult:
            return run_program(*arguments, variables=variables, folder=tmp_path, entered=entered)

        duplicate = ("duplicate", story.new_leader_ad_id, "--live")
        with Watch(canaries) as watch:
            refused = run_program(
                *duplicate, "--code", variables=variables, folder=tmp_path, entered=f"{code[::-1]}"
            )
            approved = run(*duplicate, "--code", entered=f"{code}\n")
            ran += [refused, approved, run("duplicate", "--status")]
            ran += [run("doctor")]

    assert [one.exit_code for one in ran[:2]] == [0, 0], ran
    assert "none that was issued here" in refused.err
    assert approved.exit_code == 0, approved.err
    assert [one for one in ran if any(canary in one.out + one.err for canary in canaries)] == []
    folders = {str(Path(name).parent) for name in files_with(canaries, tmp_path)}
    assert folders == {".tiktok_assets/alerts"}
    alert = next((tmp_path / ".tiktok_assets" / "alerts").glob("*.html"))
    assert code in alert.read_text(encoding="utf-8")
    assert not alert.stat().st_mode & 0o077
    assert (watch.looks > 0, watch.seen) == (True, [])


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """The search finds a canary in a file, in a name and on a command line: finding none means something."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_bytes(b"\0...canary-1...\0")
    (tmp_path / "canary-2").write_text("")
    wait = "import sys, time; sys.stdout.write('up\\n'); sys.stdout.flush(); time.sleep(30)"
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", wait, "canary-3"], stdout=subprocess.PIPE, env=dict(os.environ)
    ) as process:
        assert process.stdout
        process.stdout.readline()
        shown = [line for line in command_lines() if "canary-3" in line]
        process.kill()

    assert sorted(files_with(("canary-1", "canary-2"), tmp_path)) == ["canary-2", "deep/log"]
    assert len(shown) == 1

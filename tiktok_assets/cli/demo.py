"""Run the `demo` command: sandbox, webserver and daemon in a temporary folder, and an ad that becomes top spender."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import httpx
import polars as pl

from tiktok_assets.alerts.check_failures import TOP_SPENDER_KIND
from tiktok_assets.cli.arguments import require_free_port
from tiktok_assets.cli.errors import CommandError
from tiktok_assets.cli.sync import SyncRequest, SyncResult, run_sync
from tiktok_assets.cli.top import read_stored_top_spenders
from tiktok_assets.defs.alert_sensors import ALERTS_FOLDER
from tiktok_assets.instance import open_instance
from tiktok_assets.overview.page import PAGE_FILE_NAME as PAGE
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.session import open_session
from tiktok_assets.settings import load_settings
from tiktok_assets.top_spenders.ranking import LeaderChange, find_leader_changes
from tiktok_assets.webserver.pages import serve_pages

HISTORY_DAYS = 90
DATA_FOLDER, STATE_FOLDER = "data", "state"
START_TIMEOUT_SECONDS = 120
STOP_TIMEOUT_SECONDS = 30

LogLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo shows: the leaders as they now stand, who overtook, and the alerts that told of it.

    Attributes:
        alerts: the data of each alert of a new top spender, as its file has it.
    """

    leaders: pl.DataFrame
    changes: list[LeaderChange]
    alerts: list[dict[str, Any]]


def run_once(tell: LogLine) -> DemoResult:
    """The whole story without a webserver: baseline at T1, clock to T2, refresh, what changed.

    Raises:
        Problem: if a refresh fails in part.
    """
    with _temporary_folder() as folder, _create_sandbox() as sandbox, _isolated_environment(folder, sandbox, 0):
        return _run_scenario(sandbox, tell)


def run_with_dagster(port: int, tell: LogLine, show: Callable[[DemoResult], None]) -> None:
    """The same with webserver and daemon, until Ctrl-C or SIGTERM; leaves no process and no folder.

    Args:
        port: of the webserver.
        tell: takes one line of progress at a time.
        show: takes what happened, once it has.

    Raises:
        Problem: if the port is taken or a server does not start.
    """
    require_free_port(port)
    with (
        _interrupt_on_signals(),
        _temporary_folder() as folder,
        serve_pages(folder / DATA_FOLDER, folder / STATE_FOLDER / ALERTS_FOLDER) as page,
        _create_sandbox() as sandbox,
        _isolated_environment(folder, sandbox, port, page),
    ):
        with open_instance(load_settings()):
            tell("Dagster starts.")
        with _dagster_processes(folder, port) as process:
            tell(f"Sandbox at {sandbox.base_url}, tables and logs in {folder}")
            tell(f"Dagster comes up at http://127.0.0.1:{port}; after the first refresh charts are at {page}")
            told = _run_scenario(sandbox, tell)
            show(told)
            _wait_until_ready(process, port, folder)
            for alert in told.alerts:
                tell(f"The alert, with a link to approve the duplicate: {page}alerts/{alert['alert_id']}.html")
            tell(f"The numbers on one page: {page} (a file that opens by itself: {folder / DATA_FOLDER / PAGE})")
            graph = f"http://127.0.0.1:{port}/asset-groups"
            tell(f"Open {graph} and click a group to see its tables. Ctrl-C stops everything.")
            process.wait()
            raise CommandError(f"Dagster stopped by itself.\n{_read_log_tail(folder)}")


def _run_scenario(sandbox: RunningSandbox, tell: LogLine) -> DemoResult:
    """Refresh at T1, move the world's clock to T2, refresh again."""
    story = sandbox.world.story
    if story is None:
        raise CommandError("this world has no story.")
    tell(f"It is {story.t1:%Y-%m-%d %H:%M} UTC in the sandbox: the first refresh is the baseline.")
    before = _refresh(tell)
    sandbox.clock.set(story.t2)
    tell(f"It is {story.t2:%Y-%m-%d %H:%M} UTC in the sandbox: three days later.")
    now = _refresh(tell)
    return DemoResult(
        now, find_leader_changes(before, now), _read_alerts(load_settings().state_dir / ALERTS_FOLDER)
    )


def _read_alerts(folder: Path) -> list[dict[str, Any]]:
    written = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return [alert for alert in written if alert["kind"] == TOP_SPENDER_KIND]


def _refresh(tell: LogLine) -> pl.DataFrame:
    settings = load_settings()
    _require_loopback(settings.base_url)
    with open_session(settings) as session:
        synced: SyncResult = run_sync(settings, session, SyncRequest(), tell)
        if synced.failures:
            raise CommandError("the refresh failed: " + "; ".join(synced.failures))
        tell(
            f"{sum(synced.rows.values()):,} rows with {synced.requests} requests in {synced.seconds:.1f} s,"
            f" {synced.retries} retries"
        )
        return read_stored_top_spenders(session)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tiktok-assets-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _create_sandbox() -> RunningSandbox:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    plan = WorldPlan(anchor=now)
    return RunningSandbox(plan, now=now - timedelta(days=3), clock_runs=True)


@contextmanager
def _isolated_environment(folder: Path, sandbox: RunningSandbox, port: int, page: str = "") -> Iterator[None]:
    """Nothing of the user's settings or instance, and no `.env`: Dagster would let it win over the environment."""
    before, here = dict(os.environ), Path.cwd()
    try:
        os.chdir(folder)
        for name in list(os.environ):
            if name.startswith(("TIKTOK_", "DAGSTER_")):
                del os.environ[name]
        os.environ.update(_demo_variables(sandbox, port))
        if story := sandbox.world.story:
            os.environ["TIKTOK_SCALING_CAMPAIGNS"] = f"{story.advertiser_id}:{story.scaling_campaign_id}"
        if page:
            os.environ["TIKTOK_OVERVIEW_URL"] = page
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)


def _demo_variables(sandbox: RunningSandbox, port: int) -> Mapping[str, str]:
    start = datetime.now(UTC).date() - timedelta(days=HISTORY_DAYS)
    return {
        "TIKTOK_BASE_URL": sandbox.base_url,
        "TIKTOK_ACCESS_TOKEN": sandbox.token,
        "TIKTOK_APP_ID": sandbox.app_id,
        "TIKTOK_APP_SECRET": sandbox.secret,
        "TIKTOK_START_DATE": start.isoformat(),
        "TIKTOK_DATA_DIR": DATA_FOLDER,
        "TIKTOK_STATE_DIR": STATE_FOLDER,
        "TIKTOK_SCALING_MODE": "propose",
        "DAGSTER_UI_URL": f"http://127.0.0.1:{port}",
    }


def _require_loopback(base_url: str) -> None:
    host = urlsplit(base_url).hostname or ""
    if host != "localhost" and not (host.replace(".", "").isdigit() and ip_address(host).is_loopback):
        raise CommandError(f"the demo speaks to its own sandbox only, not to {host}; unset TIKTOK_BASE_URL.")


@contextmanager
def _interrupt_on_signals() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does; both are set, because a background shell ignores Ctrl-C."""

    def _stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _dagster_processes(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Webserver, daemon and code server as one group of processes, ended together."""
    with (folder / "dagster.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "tiktok_assets", "dev", "--port", str(port)],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},  # Dagster leaves its sockets behind
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the group
        )
        try:
            yield process
        finally:
            _stop_process_group(process)


def _stop_process_group(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CommandError(f"Dagster did not start.\n{_read_log_tail(folder)}")
        try:
            if httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise CommandError(f"Dagster does not answer on port {port}.\n{_read_log_tail(folder)}")


def _read_log_tail(folder: Path) -> str:
    log = folder / "dagster.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""

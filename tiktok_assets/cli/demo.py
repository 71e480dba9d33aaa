"""Run the `demo` command: start sandbox and Dagster in a temporary folder, and show an ad become top spender."""

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
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import polars as pl

from tiktok_assets.alerts import ALERTS_FOLDER
from tiktok_assets.cli.arguments import require_free_port
from tiktok_assets.cli.duplicate import execute, name_approver
from tiktok_assets.cli.errors import CommandError
from tiktok_assets.cli.sync import run_sync
from tiktok_assets.cli.sync_result import SyncRequest, SyncResult
from tiktok_assets.cli.top import read_stored_top_spenders
from tiktok_assets.duplication import BY_YES_OPTION, Approval, DuplicationRequest, LedgerEntry
from tiktok_assets.instance import open_instance
from tiktok_assets.overview import PAGE_FILE_NAME
from tiktok_assets.sandbox import RunningSandbox, build_demo_plan
from tiktok_assets.session import open_session
from tiktok_assets.settings import load_settings
from tiktok_assets.top_spenders import TOP_SPENDER_KIND, LeaderChange, find_leader_changes
from tiktok_assets.webserver import interrupt_on_signals, serve_pages

HISTORY_DAYS = 90
DATA_FOLDER, STATE_FOLDER = "data", "state"
START_TIMEOUT_SECONDS = 120
STOP_TIMEOUT_SECONDS = 30

LogLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo shows.

    Attributes:
        top_spenders: the stored table after the second refresh.
        changes: the campaigns with another top spender than after the first refresh.
        alerts: the contents of the alert file of each new top spender.
        duplications: the duplications of new top spenders into scaling campaigns.
    """

    top_spenders: pl.DataFrame
    changes: list[LeaderChange]
    alerts: list[dict[str, Any]]
    duplications: list[LedgerEntry] = field(default_factory=list)


def run_once(log: LogLine) -> DemoResult:
    """Run the scenario without a webserver: refresh at T1, set the clock to T2, refresh again, compare, duplicate.

    Args:
        log: receives one line of progress at a time.

    Raises:
        CommandError: if a part of a refresh fails.
    """
    with _temporary_folder() as folder, _create_sandbox() as sandbox, _isolated_environment(folder, sandbox, 0):
        result = _run_scenario(sandbox, log)
        return replace(result, duplications=_duplicate_new_leaders(sandbox, result.alerts))


def run_with_dagster(port: int, log: LogLine, show: Callable[[DemoResult], None]) -> None:
    """Run the scenario with webserver and daemon until Ctrl-C or SIGTERM, then remove all processes and files.

    Args:
        port: the port of the webserver.
        log: receives one line of progress at a time.
        show: receives the result after the second refresh.

    Raises:
        CommandError: if the port is in use, or a process does not start or stops early.
    """
    require_free_port(port)
    with (
        interrupt_on_signals(),
        _temporary_folder() as folder,
        serve_pages(folder / DATA_FOLDER, folder / STATE_FOLDER / ALERTS_FOLDER) as page_url,
        _create_sandbox() as sandbox,
        _isolated_environment(folder, sandbox, port, page_url),
    ):
        with open_instance(load_settings()):  # creates it once, before two processes would
            log("Starting Dagster.")
        with _dagster_processes(folder, port) as process:
            log(f"Sandbox at {sandbox.base_url}, tables and logs in {folder}")
            log(
                f"Dagster will be at http://127.0.0.1:{port}; charts will be at {page_url} after the first refresh"
            )
            result = _run_scenario(sandbox, log)
            show(result)
            _wait_until_ready(process, port, folder)
            for alert in result.alerts:
                log(f"Alert, with a link to approve the duplication: {page_url}alerts/{alert['alert_id']}.html")
            page = folder / DATA_FOLDER / PAGE_FILE_NAME
            log(f"Overview page: {page_url} (also a file that needs no server: {page})")
            graph = f"http://127.0.0.1:{port}/asset-groups"
            log(f"Open {graph} and click a group to see its tables. Press Ctrl-C to stop everything.")
            process.wait()
            raise CommandError(f"Dagster stopped by itself.\n{_read_log_tail(folder)}")


def _run_scenario(sandbox: RunningSandbox, log: LogLine) -> DemoResult:
    """Refresh at T1, set the sandbox's clock to T2, and refresh again."""
    scenario = sandbox.world.scenario
    if scenario is None:
        raise CommandError("this sandbox has no scenario.")
    log(f"It is {scenario.t1:%Y-%m-%d %H:%M} UTC in the sandbox: the first refresh is the baseline.")
    before = _refresh(log)
    sandbox.clock.set(scenario.t2)
    log(f"It is {scenario.t2:%Y-%m-%d %H:%M} UTC in the sandbox: three days later.")
    after = _refresh(log)
    alerts = _read_alerts(load_settings().state_dir / ALERTS_FOLDER)
    return DemoResult(after, find_leader_changes(before, after), alerts)


def _duplicate_new_leaders(sandbox: RunningSandbox, alerts: list[dict[str, Any]]) -> list[LedgerEntry]:
    """Duplicate each flagged ad into the scaling campaign of its kind, as its approval does."""
    settings = load_settings()
    scenarios = [one for one in (sandbox.world.scenario, sandbox.world.smart_plus_scenario) if one]
    targets = {one.new_leader_ad_id: one.scaling_campaign_id for one in scenarios}
    entries = []
    with open_session(settings) as session:
        for alert in alerts:
            facts = alert["facts"]
            campaign_id = targets.get(facts["ad_id"]) or settings.scaling_campaigns[facts["advertiser_id"]]
            request = DuplicationRequest(facts["advertiser_id"], facts["ad_id"], campaign_id)
            entry, _ = execute(session, request, Approval(name_approver(), BY_YES_OPTION))
            entries.append(entry)
    return entries


def _read_alerts(folder: Path) -> list[dict[str, Any]]:
    alerts = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return [alert for alert in alerts if alert["kind"] == TOP_SPENDER_KIND]


def _refresh(log: LogLine) -> pl.DataFrame:
    """Refresh all tables and return the stored top spenders."""
    settings = load_settings()
    _require_loopback(settings.base_url)
    with open_session(settings) as session:
        result: SyncResult = run_sync(settings, session, SyncRequest(), log)
        if result.failures:
            raise CommandError("the refresh failed: " + "; ".join(result.failures))
        log(
            f"{sum(result.rows.values()):,} rows with {result.requests} requests in {result.seconds:.1f} s,"
            f" {result.retries} retries"
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
    return RunningSandbox(build_demo_plan(now), now=now - timedelta(days=3), clock_runs=True)


@contextmanager
def _isolated_environment(folder: Path, sandbox: RunningSandbox, port: int, page_url: str = "") -> Iterator[None]:
    """Replace the user's settings and Dagster instance by those of the demo, and change to its folder.

    The folder has no `.env`, because Dagster would prefer its values to the environment.
    """
    environment, working_directory = dict(os.environ), Path.cwd()
    try:
        os.chdir(folder)
        for name in list(os.environ):
            if name.startswith(("TIKTOK_", "DAGSTER_")):
                del os.environ[name]
        os.environ.update(_demo_variables(sandbox, port))
        if scenario := sandbox.world.scenario:
            os.environ["TIKTOK_SCALING_CAMPAIGNS"] = f"{scenario.advertiser_id}:{scenario.scaling_campaign_id}"
        if page_url:
            os.environ["TIKTOK_OVERVIEW_URL"] = page_url
        yield
    finally:
        os.chdir(working_directory)
        os.environ.clear()
        os.environ.update(environment)


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
    """Check that requests go to the sandbox of the demo.

    Raises:
        CommandError: if the host is not loopback.
    """
    host = urlsplit(base_url).hostname or ""
    if host != "localhost" and not (host.replace(".", "").isdigit() and ip_address(host).is_loopback):
        raise CommandError(
            f"the demo sends requests to its own sandbox only, not to {host}; unset TIKTOK_BASE_URL."
        )


@contextmanager
def _dagster_processes(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run webserver, daemon and code server as one process group, and stop the group at the end."""
    with (folder / "dagster.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "tiktok_assets", "dev", "--port", str(port)],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},  # Dagster does not remove its sockets
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only this process, which stops the group
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
    """Wait until the webserver responds.

    Raises:
        CommandError: if the process ends or does not respond in time.
    """
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CommandError(f"Dagster did not start.\n{_read_log_tail(folder)}")
        try:
            if httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise CommandError(f"Dagster does not respond on port {port}.\n{_read_log_tail(folder)}")


def _read_log_tail(folder: Path) -> str:
    log = folder / "dagster.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""

"""Measure the queries of Dagster's pages and the daemon's ticks with ninety advertisers and three years of days.

The queries in `many_queries.json` are those that the pages of Dagster 1.13.27 sent when Chromium opened them.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.many_seed import OWNERS
from tiktok_assets_tests.benchmarks.programs import ROOT, figure_of, measure

TOPIC = "Ninety advertisers, three years"
DAYS = 1095
RUNS = 5
TARGET_SECONDS = 3
DAEMON_SECONDS = 100
"""Long enough for the schedule to fire at a full minute and for each sensor to tick twice."""

QUERIES = json.loads(Path(__file__).with_name("many_queries.json").read_text(encoding="utf-8"))
TICKING = (
    "advertiser_partitions",
    "daily_refresh",
    "refresh_sequence",
    "derived_assets",
    "new_top_spender",
    "deliver_alerts",
    "run_failure_alert",
)


def figures() -> Iterator[Figure]:
    """Measure the queries of each page, sent at once as a browser does, and the daemon's ticks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        variables = _variables(folder)
        seeded = measure([sys.executable, "-m", f"{__package__}.many_seed", str(DAYS)], folder, variables)
        note = f"{int(seeded.printed):,} materializations in the instance"
        with _webserver(folder, variables) as address:
            for page, queries in QUERIES.items():
                first, *again = [_asked(address, queries) for _ in range(1 + RUNS)]
                yield Figure(TOPIC, f"{page}, first look", first, "s", target=TARGET_SECONDS, note=note)
                yield figure_of(TOPIC, f"{page}, every other look", again, "s", target=TARGET_SECONDS, note=note)
        yield from _ticks(folder, variables)


def _variables(folder: Path) -> dict[str, str]:
    """Return the settings of a code location with ninety accounts and no reachable host."""
    start = date.fromordinal(datetime.now(UTC).toordinal()) - timedelta(DAYS)
    return {
        "DAGSTER_HOME": str(folder / "home"),
        "TIKTOK_DATA_DIR": str(folder / "data"),
        "TIKTOK_STATE_DIR": str(folder / "state"),
        "TIKTOK_START_DATE": start.isoformat(),
        "TIKTOK_BASE_URL": "http://127.0.0.1:9",
        "TIKTOK_ACCESS_TOKEN": "none",
        "TIKTOK_ADVERTISER_IDS": ",".join(OWNERS),
        "TIKTOK_REFRESH_CRON": "* * * * *",
    }


@contextmanager
def _webserver(folder: Path, variables: Mapping[str, str]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with _running("dagster_webserver", folder, variables, "-h", "127.0.0.1", "-p", str(port)):
        for _ in range(300):
            try:
                if httpx.get(f"{address}/server_info").is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield address


@contextmanager
def _running(module: str, folder: Path, variables: Mapping[str, str], *options: str) -> Iterator[None]:
    """Run a program of Dagster with our code location until the block ends."""
    command = [sys.executable, "-m", module, *options, "-w", str(folder / "home" / "workspace.yaml")]
    with (folder / f"{module}.log").open("w") as log:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process:  # noqa: S603
            try:
                yield
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)


def _asked(address: str, queries: Sequence[Mapping[str, Any]]) -> float:
    """Return the seconds until the last query of a page has its response.

    Raises:
        RuntimeError: if one is refused.
    """

    def ask(query: Mapping[str, Any]) -> None:
        answer = httpx.post(f"{address}/graphql", json=query, timeout=120).json()
        if "errors" in answer:
            raise RuntimeError(f"{query['operationName']}: {answer['errors'][0]['message']}")

    began = time.monotonic()
    with ThreadPoolExecutor(len(queries)) as browser:
        list(browser.map(ask, queries))
    return time.monotonic() - began


def _ticks(folder: Path, variables: Mapping[str, str]) -> Iterator[Figure]:
    """Measure the ticks of a real daemon; the runs it requests stay in the queue."""
    configuration = folder / "home" / "dagster.yaml"
    text = configuration.read_text(encoding="utf-8")
    configuration.write_text(text.replace("max_concurrent_runs: 4", "max_concurrent_runs: 0"), encoding="utf-8")
    with _running("dagster._daemon", folder, variables, "run"):
        time.sleep(DAEMON_SECONDS)
    os.environ["DAGSTER_HOME"] = variables["DAGSTER_HOME"]
    with dg.DagsterInstance.get() as instance:
        for state in instance.all_instigator_state():
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id)
            ended = [tick for tick in ticks if tick.tick_data.end_timestamp]
            if state.instigator_name in TICKING and ended:
                seconds = [(tick.tick_data.end_timestamp or 0) - tick.timestamp for tick in ended]
                runs = max(len(tick.tick_data.run_ids or []) for tick in ended)
                note = f"median of {len(ended)} is {statistics.median(seconds):.2f} s; at most {runs} runs made"
                what = f"longest tick of {state.instigator_name}"
                yield Figure(TOPIC, what, max(seconds), "s", target=TARGET_SECONDS, note=note)

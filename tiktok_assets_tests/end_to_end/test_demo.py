"""Tests of the `demo` command."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tiktok_assets_tests.cli.conftest import run_program
from tiktok_assets_tests.environment import clean_environment
from tiktok_assets_tests.webserver.cross_site_requests import list_accepted_attempts


@contextmanager
def open_other_host() -> Iterator[tuple[str, list[object]]]:
    """Open a host that the demo must not connect to; yield its URL and the list of its connections."""
    connections: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def _accept() -> None:
            while True:
                try:
                    connection, address = listener.accept()
                except OSError:
                    return
                connections.append(address)
                connection.close()

        threading.Thread(target=_accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", connections


@pytest.mark.slow
def test_demo_prints_its_scenario_and_connects_to_no_other_host(tmp_path: Path) -> None:
    """`demo --once` ignores an `.env`, prints each top ad, and duplicates a manual and a Smart+ ad that lead."""
    with open_other_host() as (url, connections):
        (tmp_path / ".env").write_text(
            f"TIKTOK_BASE_URL={url}\nTIKTOK_ACCESS_TOKEN=of-a-real-account\nTIKTOK_DATA_DIR={tmp_path}/theirs\n"
        )
        result = run_program("demo", "--once", "--json", variables={"TIKTOK_BASE_URL": url}, folder=tmp_path)
    printed = json.loads(result.out)

    assert result.exit_code == 0, result.err
    assert "leaked" not in result.err  # DuckDB writes this if a process ends too abruptly
    assert connections == []
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
    manual, smart_plus = sorted(printed["overtook"], key=lambda line: "Smart+" in line)
    assert ("Testing" in manual, "Smart+" in smart_plus) == (True, True)
    assert all(row["spend"] and row["currency"] and row["share"] for row in printed["top_spenders"])
    assert {"USD", "JPY", "EUR"} == {row["currency"] for row in printed["top_spenders"]}
    (alert,) = [one for one in printed["alerts"] if one["facts"]["ad_id"] in manual]
    assert "/jobs/duplicate_ad/playground/setup?config=" in alert["text"]
    winner = next(row for row in printed["top_spenders"] if row["ad_id"] in manual)
    assert winner["campaign_name"] in manual
    assert {one["ad_id"] for one in printed["duplications"]} == {
        one["facts"]["ad_id"] for one in printed["alerts"]
    }
    assert len({one["campaign_id"] for one in printed["duplications"]}) == 2  # a manual and an Upgraded Smart+ one
    assert all(one["copy_ad_id"] and one["status"] == "done" for one in printed["duplications"])


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Return a folder with a short path, because Dagster's sockets in it may have 107 characters at most."""
    with tempfile.TemporaryDirectory(prefix="tta-") as folder:
        yield Path(folder)


@pytest.mark.slow
def test_served_demo_runs_a_backfill(short_folder: Path) -> None:
    """Webserver and daemon run, a backfill started there completes, and Ctrl-C ends every process."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "tiktok_assets", "demo", "--port", str(port)],
        cwd=short_folder,
        env=clean_environment({"TMPDIR": str(short_folder)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            lines = _read_until(process, f"Open http://127.0.0.1:{port}")
            _run_backfill(f"http://127.0.0.1:{port}/graphql")
            (page,) = [line.split()[2] for line in lines if line.startswith("Overview page: ")]
            assert list_accepted_attempts(port) == []
            assert list_accepted_attempts(int(page.rstrip("/").rsplit(":", 1)[1])) == []
        finally:
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=60)
    left = subprocess.run(  # noqa: S603
        ["pgrep", "-f", str(short_folder)],  # noqa: S607 - its path differs between systems
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.returncode == 0, rest
    assert any("overtook" in line for line in lines)
    assert left.stdout == ""
    assert list(short_folder.iterdir()) == []


def _read_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    lines: list[str] = []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if line.startswith(words):
            return lines
    raise AssertionError("".join(lines))


def _query(url: str, query: str, **variables: Any) -> Any:  # noqa: ANN401 - GraphQL
    answer = httpx.post(url, json={"query": query, "variables": variables}, timeout=60).json()
    assert "errors" not in answer, answer
    return answer["data"]


def _run_backfill(url: str) -> None:
    """Check sensors and schedules, and run a backfill of 45 days of two accounts to its end."""
    selector = {"repositoryName": "__repository__", "repositoryLocationName": "tiktok_assets"}
    repository = _query(
        url,
        """query($s: RepositorySelector!) { repositoryOrError(repositorySelector: $s) { ... on Repository {
             sensors { name sensorState { status } } schedules { name scheduleState { status } }
             assetNodes { assetKey { path } partitionKeys } } } }""",
        s=selector,
    )["repositoryOrError"]
    states = {one["name"]: one["sensorState"]["status"] for one in repository["sensors"]}
    states |= {one["name"]: one["scheduleState"]["status"] for one in repository["schedules"]}
    assert states.pop("monthly_compaction") == "STOPPED"  # until somebody turns it on
    assert {"RUNNING"} == set(states.values())
    assert {"advertiser_partitions", "refresh_sequence", "derived_assets", "daily_refresh"} <= set(states)
    keys = next(
        node["partitionKeys"]
        for node in repository["assetNodes"]
        if node["assetKey"]["path"] == ["ad_report_daily"]
    )
    owners = sorted({key.split("|")[0] for key in keys})[:2]
    oldest = sorted({key.split("|")[1] for key in keys})[:45]
    wanted = [f"{owner}|{day}" for owner in owners for day in oldest]
    launched = _query(
        url,
        """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
             __typename ... on LaunchBackfillSuccess { backfillId } } }""",
        p={"partitionNames": wanted, "assetSelection": [{"path": ["campaign_report_daily"]}]},
    )["launchPartitionBackfill"]
    state = {"status": "REQUESTED", "runs": []}
    deadline = time.monotonic() + 150
    while state["status"] == "REQUESTED" and time.monotonic() < deadline:
        time.sleep(1)
        state = _query(
            url,
            "query($b: String!) { partitionBackfillOrError(backfillId: $b) { ... on PartitionBackfill {"
            " status runs(limit: 20) { status } } } }",
            b=launched["backfillId"],
        )["partitionBackfillOrError"]
    assert state["status"] == "COMPLETED_SUCCESS"
    assert len(owners) == len(state["runs"])  # one run an account, however many days

"""Tests of a running `dev`: Dagster's webserver behind the guard."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from dagster_graphql import DagsterGraphQLClient

from tiktok_assets_tests.cli.conftest import run_command
from tiktok_assets_tests.environment import clean_environment
from tiktok_assets_tests.webserver.cross_site_requests import list_accepted_attempts, query, send

START_TIMEOUT_SECONDS = 90
CODE_SERVER_TIMEOUT_SECONDS = 60  # it stops by itself without a heartbeat
CANARY = "canary-of-dev-7f3c0ffee"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a running `dev` in mode `propose`; after it is stopped, no process of it may be left."""
    folder = tmp_path_factory.mktemp("dev")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    variables = {
        "TMPDIR": str(folder),
        "TIKTOK_SCALING_MODE": "propose",
        "TIKTOK_ACCESS_TOKEN": CANARY,
        "TIKTOK_APP_SECRET": CANARY,
        "TIKTOK_ALERT_URLS": f"json://127.0.0.1:1/{CANARY}",
    }
    with (
        (folder / "dev.log").open("wb") as log,
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "tiktok_assets", "dev", "--port", str(port)],
            cwd=folder,
            env=clean_environment(variables),
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _wait_until_ready(process, port, folder)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    deadline = time.monotonic() + CODE_SERVER_TIMEOUT_SECONDS
    while (left := _list_processes(folder)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert (process.returncode, left) == (0, "")
    assert "?config=" not in (folder / "dev.log").read_text()
    assert CANARY not in (folder / "dev.log").read_text()


def _list_processes(folder: Path) -> str:
    command = ["pgrep", "-f", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - no shell


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if send(port, "GET", "/server_info", {}).status == 200:
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError((folder / "dev.log").read_text())


@pytest.mark.slow
def test_dev_refuses_cross_site_requests(dev: int) -> None:
    """No query or mutation of another site's page is executed, and no page can be framed or read."""
    assert list_accepted_attempts(dev) == []
    assert '"version"' in query(dev).body


@pytest.mark.slow
def test_command_lines_have_no_secret(dev: int) -> None:
    """No command line of a process has a token, a secret or an alert URL."""
    assert send(dev, "GET", "/", {}).status == 200
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # the process has ended
            lines.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    assert any("code-server" in line for line in lines)
    assert [line for line in lines if CANARY in line] == []


@pytest.mark.slow
def test_dagster_graphql_client(dev: int) -> None:
    """Dagster's GraphQL client for Python works: it can reload the code location."""
    client = DagsterGraphQLClient("127.0.0.1", port_number=dev)
    assert "SUCCESS" in str(client.reload_repository_location("tiktok_assets").status)


@pytest.mark.slow
def test_pages_have_a_content_security_policy(dev: int) -> None:
    """The overview page is served with a policy that allows scripts by hash only, and sends no referrer."""
    headers = send(dev, "GET", "/tiktok-assets/", {}).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert send(dev, "GET", "/", {}).headers["x-frame-options"] == "DENY"


@pytest.mark.slow
def test_host_needs_a_password(tmp_path: Path) -> None:
    """`--host` beyond loopback is refused without TIKTOK_UI_PASSWORD, and a short password is refused."""
    refused = run_command("dev", "--host", "0.0.0.0", variables={}, folder=tmp_path)  # noqa: S104 - refused
    assert (refused.exit_code, refused.err.count("\n")) == (2, 1)
    assert "TIKTOK_UI_PASSWORD" in refused.err
    short = run_command("dev", variables={"TIKTOK_UI_PASSWORD": "short"}, folder=tmp_path)
    assert short.exit_code != 0
    assert "TIKTOK_UI_PASSWORD cannot be used: it must have at least 12 characters" in short.err
    assert '"short"' not in short.err

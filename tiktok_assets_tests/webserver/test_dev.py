"""Laws of `dev` as it runs: Dagster's own webserver, unreachable for pages of other sites."""

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
from tiktok_assets_tests.webserver.cross_site_requests import gets_nothing, query, send

STARTS_WITHIN_SECONDS = 90
CODE_SERVER_ENDS_WITHIN_SECONDS = 60  # by itself, once its heartbeat stays away
CANARY = "canary-of-dev-7f3c0ffee"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a running `dev` in mode `propose`; when it is stopped, nothing of it is left running."""
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
            _await_answer(process, port, folder)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    deadline = time.monotonic() + CODE_SERVER_ENDS_WITHIN_SECONDS
    while (left := _running(folder)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert (process.returncode, left) == (0, "")
    assert "?config=" not in (folder / "dev.log").read_text()
    assert CANARY not in (folder / "dev.log").read_text()


def _running(folder: Path) -> str:
    command = ["pgrep", "-f", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - no shell


def _await_answer(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if send(port, "GET", "/server_info", {}).status == 200:
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError((folder / "dev.log").read_text())


def test_a_foreign_page_gets_nothing_from_dev(dev: int) -> None:
    """Neither a query nor a mutation of another site's page is executed, and no page is framed or read."""
    assert gets_nothing(dev) == []
    assert '"version"' in query(dev).body


def test_no_secret_is_in_the_list_of_processes(dev: int) -> None:
    """No command line of this machine holds a token, a secret or the address of an alert."""
    assert send(dev, "GET", "/", {}).status == 200
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            lines.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    assert any("code-server" in line for line in lines)
    assert [line for line in lines if CANARY in line] == []


def test_dagsters_own_client_works_on_loopback(dev: int) -> None:
    """A Python program with Dagster's GraphQL client reads a run's status and reloads the location."""
    client = DagsterGraphQLClient("127.0.0.1", port_number=dev)
    assert "SUCCESS" in str(client.reload_repository_location("tiktok_assets").status)


def test_the_pages_are_served_with_their_policy(dev: int) -> None:
    """Our own pages stand beside Dagster's, run no script that is not named by its hash, and send no referrer."""
    headers = send(dev, "GET", "/tiktok-assets/", {}).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert send(dev, "GET", "/", {}).headers["x-frame-options"] == "DENY"


def test_dev_is_not_opened_to_others_without_a_password(tmp_path: Path) -> None:
    """`--host` beyond loopback without TIKTOK_UI_PASSWORD is refused with one sentence, and so is a short one."""
    ran = run_command("dev", "--host", "0.0.0.0", variables={}, folder=tmp_path)  # noqa: S104 - it is refused
    assert (ran.exit_code, ran.err.count("\n")) == (2, 1)
    assert "TIKTOK_UI_PASSWORD" in ran.err
    short = run_command("dev", variables={"TIKTOK_UI_PASSWORD": "short"}, folder=tmp_path)
    assert short.exit_code != 0
    assert "TIKTOK_UI_PASSWORD cannot be used: it must have at least 12 characters" in short.err
    assert '"short"' not in short.err

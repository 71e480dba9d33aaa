"""Start the sandbox of a component in a process of its own, and find it again from other processes."""

import json
import os
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

from tiktok_assets.file_permissions import create_private_folder, write_private_file
from tiktok_assets.sandbox import Limits, build_demo_plan, serve
from tiktok_assets.settings import SettingsError

_FILE = "sandbox.json"
MAX_WORLD_AGE = timedelta(days=1)
"""A sandbox that is started again within this time continues the same world."""

START_SECONDS = 30.0


def ensure_sandbox(folder: Path) -> dict[str, str]:
    """Return the address and the credentials of the sandbox of a folder; start it if none answers.

    The sandbox ends with the process that started it, which is the code server while Dagster runs.

    Args:
        folder: keeps the address for the processes of the runs.

    Raises:
        SettingsError: if it does not start.
    """
    create_private_folder(folder)
    file = folder / _FILE
    with FileLock(folder / f"{_FILE}.lock"):
        known = _read(file)
        if known and _answers(known):
            return known
        anchor = datetime.fromisoformat(known["anchor"]) if known else None
        if anchor is None or datetime.now(UTC) - anchor > MAX_WORLD_AGE:
            anchor = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        details = _start(anchor)
        known = {**details, "anchor": anchor.isoformat()}
        write_private_file(file, json.dumps(known).encode())
        return known


def _read(file: Path) -> dict[str, str] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"base_url", "token", "anchor"} <= found.keys() else None


def _answers(details: dict[str, str]) -> bool:
    address = urlsplit(details["base_url"])
    try:
        with socket.create_connection((str(address.hostname), address.port or 80), timeout=5):
            return True
    except OSError:
        return False


def _start(anchor: datetime) -> dict[str, str]:
    # The pipe stays open as long as this process lives; the sandbox ends when it closes.
    process = subprocess.Popen(  # noqa: S603 - this module
        [sys.executable, "-m", __name__, anchor.isoformat()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    line = process.stdout.readline() if process.stdout else ""
    timer.cancel()
    if not line:
        raise SettingsError("the sandbox did not start; run `tiktok-assets sandbox` to see why.")
    _STARTED.append(process)
    details: dict[str, str] = json.loads(line)
    return details


_STARTED: list["subprocess.Popen[str]"] = []
"""The sandboxes of this process, referenced so that their pipes stay open."""


def _exit_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Serve a sandbox until standard input is closed, and print its details as one line of JSON."""
    anchor = datetime.fromisoformat(sys.argv[1])

    def announce(details: dict[str, Any]) -> None:
        print(json.dumps(details), flush=True)  # noqa: T201 - read by the process that started this one

    threading.Thread(target=_exit_with_parent, daemon=True).start()
    serve(build_demo_plan(anchor), announce, now=datetime.now(UTC), clock_runs=True, limits=Limits())


if __name__ == "__main__":
    main()

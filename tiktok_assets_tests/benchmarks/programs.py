"""Run and measure whole programs, and the sandbox they use."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tiktok_assets_tests.benchmarks.figure import Figure

ROOT = Path(__file__).parents[2]

MEASURE = """
import os, subprocess, sys, time
began = time.monotonic()
with open("printed", "w") as output, open("said", "w") as errors:
    process = subprocess.Popen(sys.argv[1:], stdout=output, stderr=errors)
    _, status, usage = os.wait4(process.pid, 0)
print([status, time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss], flush=True)
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurement of a process: seconds, CPU seconds, peak memory and output."""

    seconds: float
    processor_seconds: float
    megabytes: float
    printed: str


def measure(command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None) -> Measured:
    """Run a program to its end and measure it.

    Raises:
        RuntimeError: if it failed, with what it said.
    """
    # A child starts with the peak memory of its parent, so a small process starts it. And Polars has set an
    # allocator variable in this process, which the child must not inherit.
    inherited = {name: value for name, value in os.environ.items() if name != "_RJEM_MALLOC_CONF"}
    found = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, "-I", "-S", "-c", MEASURE, *command],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **(variables or {})},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    status, seconds, processor_seconds, kilobytes = json.loads(found.stdout)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed: {(folder / 'said').read_text()[-2000:]}")
    return Measured(seconds, processor_seconds, kilobytes / 1024, (folder / "printed").read_text())


@dataclass(frozen=True, slots=True)
class Served:
    """A sandbox in a process of its own.

    Attributes:
        base_url: where.
        token: what it takes.
        anchor: its now.
        advertiser_ids: the accounts of its world.
    """

    base_url: str
    token: str
    anchor: datetime
    advertiser_ids: tuple[str, ...]

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of a program that reads the sandbox without its own rate limit."""
        return {
            "TIKTOK_BASE_URL": self.base_url,
            "TIKTOK_ACCESS_TOKEN": self.token,
            "TIKTOK_ADVERTISER_IDS": ",".join(self.advertiser_ids),
            "TIKTOK_QPS": "1000",
        }

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests since the last call, and clear them."""
        requests: list[dict[str, Any]] = httpx.get(f"{self.base_url}/sandbox/requests", timeout=60).json()
        httpx.delete(f"{self.base_url}/sandbox/requests", timeout=60)
        return requests


@contextmanager
def sandbox(*options: str, anchor: datetime | None = None) -> Iterator[Served]:
    """Run a sandbox process with options of `python -m tiktok_assets.sandbox`."""
    anchor = anchor or datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
    command = [sys.executable, "-m", "tiktok_assets.sandbox", "--json", "--anchor", anchor.isoformat(), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:  # noqa: S603
        try:
            facts = json.loads(process.stdout.readline() if process.stdout else "")
            info = httpx.get(f"{facts['base_url']}/sandbox/info").json()
            ids = tuple(one["advertiser_id"] for one in info["advertisers"])
            yield Served(facts["base_url"], facts["token"], anchor, ids)
        finally:
            process.terminate()


def figure_of(topic: str, what: str, values: Sequence[float], unit: str, **more: Any) -> Figure:  # noqa: ANN401
    """Return the median of several runs with its spread."""
    spread = (min(values), max(values)) if len(values) > 1 else None
    return Figure(topic, what, statistics.median(values), unit, spread=spread, **more)

"""What `sync` costs beside an empty skeleton, and what loading the location costs beside one empty asset.

Run it with `make benchmark`. Workload A: one advertiser, 20 campaigns, 200 ad groups, 2,000 ads, 60 days at ad
level, 13 metrics, 50 ms an answer, no rate limit. Both programs run as whole processes, in turn, on the same
machine; each pair has its own folder with its own Dagster instance, used twice: fresh, then warm.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from tiktok_assets.instance import prepare_instance
from tiktok_assets.settings import load_settings

PAIRS = 3
METRICS = (
    "spend,impressions,clicks,ctr,cpc,cpm,reach,frequency,conversion,cost_per_conversion,result,"
    "video_play_actions,likes"
)
TABLES = "advertisers,campaigns,ad_groups,ads,ad_report_daily"
WORLD = [
    "--advertisers",
    "1",
    "--campaigns",
    "20",
    "--ad-groups",
    "200",
    "--ads",
    "2000",
    "--days",
    "62",
    "--dense",
]


@dataclass(frozen=True, slots=True)
class Measured:
    """A whole process: its seconds and its peak memory."""

    seconds: float
    megabytes: float


def measure(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Measured:
    """Run a program to its end and measure it from outside."""
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - our own programs
        command, cwd=folder, env={**os.environ, **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        said = process.stderr.read().decode() if process.stderr else ""
        sys.exit(f"{' '.join(command)} failed: {said[-2000:]}")
    return Measured(time.monotonic() - began, _peak_megabytes(usage))


def _peak_megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024


def main() -> None:
    """Print the figures as a table of medians."""
    anchor = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
    serve = [
        sys.executable,
        "-m",
        "tiktok_assets.sandbox",
        "--port",
        "0",
        "--qps",
        "0",
        "--latency",
        "0.05",
        "--json",
    ]
    with subprocess.Popen(  # noqa: S603 - our own program
        [*serve, *WORLD, "--anchor", anchor.isoformat()], stdout=subprocess.PIPE, text=True
    ) as sandbox:
        try:
            line = sandbox.stdout.readline() if sandbox.stdout else ""
            _compare(json.loads(line), anchor)
        finally:
            sandbox.terminate()


def _compare(facts: Mapping[str, str], anchor: datetime) -> None:
    info = httpx.get(f"{facts['base_url']}/sandbox/info").json()
    advertiser_id = info["advertisers"][0]["advertiser_id"]
    last = (anchor - timedelta(days=1)).date()
    first, start = last - timedelta(days=59), last - timedelta(days=90)
    variables = {
        "TIKTOK_BASE_URL": facts["base_url"],
        "TIKTOK_ACCESS_TOKEN": facts["token"],
        "TIKTOK_ADVERTISER_IDS": advertiser_id,
        "TIKTOK_START_DATE": start.isoformat(),
        "TIKTOK_QPS": "1000",
        "TIKTOK_METRICS": METRICS,
    }
    days = ["--from", first.isoformat(), "--to", last.isoformat()]
    ours = [sys.executable, "-m", "tiktok_assets", "sync", "--select", TABLES, *days]
    skeleton = [sys.executable, "-m", "tiktok_assets_tests.benchmarks.skeleton", advertiser_id]
    skeleton += [day.isoformat() for day in (start, first, last)]
    root = Path(__file__).parents[2]
    figures: dict[str, list[Measured]] = {}
    requests = set()
    _warm_up(facts["base_url"], variables, days)
    for _ in range(PAIRS):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "skeleton"
            prepare_instance(load_settings(state_dir=home, dagster_home=home))
            theirs = {"DAGSTER_HOME": str(home), "PYTHONPATH": str(root)}
            mine = {**variables, "DAGSTER_HOME": str(Path(folder) / "ours"), "PYTHONPATH": str(root)}
            for state in ("fresh", "warm"):
                httpx.delete(f"{facts['base_url']}/sandbox/requests")
                figures.setdefault(f"sync, {state} instance", []).append(measure(ours, Path(folder), mine))
                requests.add(len(httpx.get(f"{facts['base_url']}/sandbox/requests").json()))
                figures.setdefault(f"skeleton, {state} instance", []).append(
                    measure(skeleton, Path(folder), theirs)
                )
    print(f"requests of each sync: {sorted(requests)}; the plan says 125")  # noqa: T201 - a benchmark prints
    _table(figures)
    for state in ("fresh", "warm"):
        pairs = zip(figures[f"sync, {state} instance"], figures[f"skeleton, {state} instance"], strict=True)
        gaps = [one.seconds - other.seconds for one, other in pairs]
        spread = f"{min(gaps):+.1f} to {max(gaps):+.1f}"
        print(f"sync minus skeleton, {state}: {statistics.median(gaps):+.1f} s ({spread})")  # noqa: T201
    _loading()


def _warm_up(base_url: str, variables: Mapping[str, str], days: Sequence[str]) -> None:
    """One reading first: the sandbox makes its facts up on demand, which is its cost and not ours."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tiktok_assets", "sync", "--select", TABLES, *days]
        measure(command, Path(folder), {**variables, "PYTHONPATH": str(Path(__file__).parents[2])})
    httpx.delete(f"{base_url}/sandbox/requests")


ONE_ASSET = (
    "import dagster as dg\n@dg.asset\ndef one() -> None: ...\n"
    "dg.Definitions.validate_loadable(dg.Definitions([one]))"
)
OURS = "import dagster as dg\nfrom tiktok_assets.definitions import defs\ndg.Definitions.validate_loadable(defs())"


def _loading() -> None:
    """A process that loads our location against one that loads a location of one empty asset."""
    figures: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(5):
            for name, program in (("location, ours", OURS), ("location, one asset", ONE_ASSET)):
                variables = {"PYTHONPATH": str(Path(__file__).parents[2])}
                figures.setdefault(name, []).append(
                    measure([sys.executable, "-c", program], Path(folder), variables)
                )
    _table(figures)


def _table(figures: Mapping[str, Sequence[Measured]]) -> None:
    for name, runs in figures.items():
        seconds = sorted(run.seconds for run in runs)
        memory = max(run.megabytes for run in runs)
        print(  # noqa: T201 - a benchmark prints
            f"{name:26} median {statistics.median(seconds):5.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f}),"
            f" peak {memory:.0f} MB"
        )


if __name__ == "__main__":
    main()

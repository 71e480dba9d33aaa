"""Compare workload A's report with ingestr's Go build, the fastest reader found; downloads it."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect

from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.programs import Measured, figure_of, measure
from tiktok_assets_tests.benchmarks.tls_proxy import run_tls_proxy
from tiktok_assets_tests.benchmarks.workload_a import DAYS, SECONDS_AN_ANSWER, THIRTEEN, Workload, workload

TOPIC = "Beside ingestr 1.1.0 (Go), 13 metrics, 50 ms an answer"
INGESTR = "ingestr==1.1.0"  # later wheels download their program
RUNS = 3
ROWS = 120_000


def figures() -> Iterator[Figure]:
    """Measure whole processes, alternating: ingestr reads only the report, `sync` also the hierarchy."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", folder / "peer"], check=True)  # noqa: S603
        pip = [str(folder / "peer/bin/pip"), "--quiet", "--disable-pip-version-check", "install", INGESTR]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)  # noqa: S603
        program = folder / "peer/bin/ingestr"
        with workload("--qps", "0", "--latency", SECONDS_AN_ANSWER) as work:
            ours, theirs = [], []
            for turn in range(RUNS):
                place = folder / str(turn)
                place.mkdir()
                with run_tls_proxy(work.served.base_url, place) as variables:
                    halves = _by_ingestr(program, work, place, variables)
                theirs.append(sum(half.seconds for half in halves))
                peak = max(half.megabytes for half in halves)
                ours.append(work.read_without_dagster(place).seconds)
    note = "in two runs of thirty days, since it asks for 31 at once, which the API refuses; by way of a TLS proxy"
    yield figure_of(TOPIC, "ingestr, report alone, to SQLite", theirs, "s", note=note)
    yield Figure(TOPIC, "ingestr, peak memory", peak, "MB")
    yield figure_of(TOPIC, "ours without Dagster, report and hierarchy, to Parquet", ours, "s")
    ratios = [our_seconds / peer for our_seconds, peer in zip(ours, theirs, strict=True)]
    yield figure_of(TOPIC, "ours as a part of ingestr's", ratios, "times", target=0.5)


def _by_ingestr(program: Path, work: Workload, folder: Path, variables: dict[str, str]) -> list[Measured]:
    """Run ingestr for each half of the days, merged by key.

    Raises:
        RuntimeError: if it did not store every row.
    """
    served, target = work.served, folder / "peer.db"
    source = f"tiktok://?access_token={served.token}&advertiser_ids={served.advertiser_ids[0]}"
    halves = []
    for first in (work.first, work.first + timedelta(days=DAYS // 2)):
        last = first + timedelta(days=DAYS // 2 - 1)
        command = [str(program), "ingest", "--yes", "--progress", "log", "--source-uri", source]
        command += ["--source-table", f"custom:ad_id,stat_time_day:{THIRTEEN}"]
        command += ["--primary-key", "ad_id", "--primary-key", "stat_time_day"]
        command += ["--dest-uri", f"sqlite:///{target}", "--dest-table", "main.ads"]
        command += ["--interval-start", first.isoformat(), "--interval-end", last.isoformat()]
        halves.append(measure(command, folder, {**variables, "DISABLE_TELEMETRY": "1"}))
    with closing(connect(target)) as database:
        (rows,) = database.execute("SELECT count(*) FROM ads").fetchone()
    if rows != ROWS:
        raise RuntimeError(f"ingestr stored {rows} of {ROWS} rows")
    return halves

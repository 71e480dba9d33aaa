"""Measure workload A: 20 campaigns, 200 ad groups, 2,000 ads, 60 days; 120,000 rows and 125 requests."""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from tiktok_assets.instance import prepare_instance
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, served_metrics
from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.programs import Measured, Served, figure_of, measure, sandbox

PAIRS = 5
REQUESTS = 125
DAYS = 60
SECONDS_AN_ANSWER = "0.05"
WORLD = (
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
)
THIRTEEN = (
    "spend,impressions,clicks,ctr,cpc,cpm,reach,frequency,conversion,cost_per_conversion,result,"
    "video_play_actions,likes"
)
TABLES = "advertisers,campaigns,ad_groups,ads,ad_report_daily"
WITH_DAGSTER = "Workload A with Dagster, 50 ms an answer"
WITHOUT_DAGSTER = "Workload A without Dagster, 50 ms an answer"
AT_TEN = "Workload A at ten requests a second"


@dataclass(frozen=True, slots=True)
class Workload:
    """The programs that read the world over its sixty days."""

    served: Served
    first: date
    last: date

    @property
    def variables(self) -> dict[str, str]:
        """Return the settings of every program."""
        start = (self.last - timedelta(days=90)).isoformat()
        return {**self.served.settings, "TIKTOK_START_DATE": start, "TIKTOK_METRICS": THIRTEEN}

    def sync(self, folder: Path, **more: str) -> Measured:
        """Run `tiktok-assets sync` in a folder."""
        days = ["--from", self.first.isoformat(), "--to", self.last.isoformat()]
        command = [sys.executable, "-m", "tiktok_assets", "sync", "--json", "--select", TABLES, *days]
        return measure(command, folder, {**self.variables, **more})

    def skeleton(self, folder: Path, home: Path) -> Measured:
        """Run the same assets and partitions without content."""
        days = [day.isoformat() for day in (self.last - timedelta(days=90), self.first, self.last)]
        program = "tiktok_assets_tests.benchmarks.skeleton"
        command = [sys.executable, "-m", program, self.served.advertiser_ids[0], *days]
        return measure(command, folder, {"DAGSTER_HOME": str(home)})

    def read_without_dagster(self, folder: Path, **more: str) -> Measured:
        """Read the same without Dagster."""
        days = [self.first.isoformat(), self.last.isoformat()]
        command = [sys.executable, "-m", "tiktok_assets_tests.benchmarks.read_without_dagster", *days]
        return measure(command, folder, {**self.variables, **more})


@contextmanager
def workload(*options: str, per_second: int = 1000) -> Iterator[Workload]:
    """Serve the world and read it once, because it generates its data on first use."""
    with sandbox(*WORLD, *options) as served, tempfile.TemporaryDirectory() as folder:
        last = (served.anchor - timedelta(days=1)).date()
        found = Workload(served, last - timedelta(days=DAYS - 1), last)
        found.read_without_dagster(Path(folder), TIKTOK_QPS=str(per_second))
        served.requests()
        yield found


def figures() -> Iterator[Figure]:
    """Measure `sync` and the empty skeleton in pairs, the same without Dagster, and with a rate limit."""
    with workload("--qps", "0", "--latency", SECONDS_AN_ANSWER) as work:
        yield from _with_dagster(work)
        yield from _without_dagster(work)
    with workload("--qps", "10", per_second=10) as work:
        yield from _at_a_limit(work)


def _with_dagster(work: Workload) -> Iterator[Figure]:
    ours: dict[str, list[Measured]] = {"fresh": [], "warm": []}
    theirs: dict[str, list[Measured]] = {"fresh": [], "warm": []}
    plain: list[Measured] = []
    requests = set()
    for _ in range(PAIRS):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            homes = {what: folder / what for what in ("skeleton", "plain")}
            for home in homes.values():
                prepare_instance(load_settings(state_dir=home, dagster_home=home))
            (homes["plain"] / "dagster.yaml").write_text(
                "telemetry: {enabled: false}\n"
            )  # Dagster's own event log
            for state in ("fresh", "warm"):
                ours[state].append(work.sync(folder, DAGSTER_HOME=str(folder / "ours")))
                requests.add(len(work.served.requests()))
                theirs[state].append(work.skeleton(folder, homes["skeleton"]))
            plain.append(work.skeleton(folder, homes["plain"]))
    yield Figure(WITH_DAGSTER, "requests of a sync", max(requests), "requests", target=REQUESTS)
    for state, runs in ours.items():
        seconds, bare = [run.seconds for run in runs], [run.seconds for run in theirs[state]]
        yield figure_of(WITH_DAGSTER, f"sync, {state} instance", seconds, "s")
        yield figure_of(WITH_DAGSTER, f"empty skeleton, {state} instance", bare, "s")
        gaps = [one - other for one, other in zip(seconds, bare, strict=True)]
        yield figure_of(WITH_DAGSTER, f"sync less skeleton, {state} instance", gaps, "s", target=2)
    fresh = [run.seconds for run in plain]
    yield figure_of(WITH_DAGSTER, "empty skeleton with Dagster's own event log, fresh instance", fresh, "s")
    peaks = [run.megabytes for runs in ours.values() for run in runs]
    yield figure_of(WITH_DAGSTER, "peak memory of a sync", peaks, "MB", target=300)


def _without_dagster(work: Workload) -> Iterator[Figure]:
    report = REPORTS_BY_TABLE["ad_report_daily"]
    served = [metric.api_name for metric in served_metrics(report, METRICS)]
    # The standard ones first, and as many more as make 79, which is what Airbyte's source asks for at ad level.
    many = list(
        dict.fromkeys([metric.api_name for metric in STANDARD_METRICS if metric.api_name in served] + served)
    )
    for count, names, target in ((13, THIRTEEN, 4.0), (79, ",".join(many[:79]), 10.0)):
        runs = []
        for turn in range(PAIRS + 1):
            with tempfile.TemporaryDirectory() as folder:
                run = work.read_without_dagster(Path(folder), TIKTOK_METRICS=names)
            if turn:  # the world generates other metrics on first use as well
                runs.append(run)
        what = f"whole process, {count} metrics"
        yield figure_of(WITHOUT_DAGSTER, what, [run.seconds for run in runs], "s", target=target)
        yield figure_of(WITHOUT_DAGSTER, f"peak memory, {count} metrics", [run.megabytes for run in runs], "MB")


def _at_a_limit(work: Workload) -> Iterator[Figure]:
    floor = REQUESTS / 10
    with tempfile.TemporaryDirectory() as folder:
        run = work.read_without_dagster(Path(folder), TIKTOK_QPS="10")
    requests = work.served.requests()
    summary = json.loads(run.printed)
    yield Figure(
        AT_TEN, "from the first request to the last row stored", summary["seconds"], "s", target=1.1 * floor
    )
    yield Figure(AT_TEN, "start-up beside it", run.seconds - summary["seconds"], "s")
    yield Figure(AT_TEN, "requests", len(requests), "requests", target=REQUESTS)
    refused = sum(one["code"] != 0 for one in requests)
    yield Figure(AT_TEN, "refusals", refused, "requests", note="none was to come")

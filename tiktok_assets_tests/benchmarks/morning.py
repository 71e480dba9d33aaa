"""Measure the morning refresh of an agency with real processes: schedule, sensors, daemon and code server.

Fifty advertisers at the Premium tier, a month of history in the store, and the schedule set to a minute ahead.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import httpx

from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.partitions import FailedPartitions
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.instance import open_instance
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.spec.entities import CAMPAIGN_ENTITIES
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.programs import ROOT, Served, sandbox

TOPIC = "A morning refresh"
ADVERTISERS = 50
QPS = 30
STORED_DAYS = 31
WORLD = ["--campaigns", "5", "--ad-groups", "20", "--ads", "100", "--days", "80"]
STAGES = ("refresh_accounts", "refresh_daily", "refresh_lifetime")
PATIENCE_SECONDS = 600
ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@dataclass(slots=True)
class Morning:
    """The observations of one refresh.

    Attributes:
        tick: when its schedule fired, in seconds since the epoch.
        runs: the records of its runs, and of those that followed by themselves.
        requests: the sandbox's own log.
        events: how many of each type, over all runs.
        megabytes: the peak memory of each kind of process.
        log_bytes: by what the event log grew.
    """

    tick: float
    runs: list[dg.RunRecord] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    events: dict[str, Counter[str]] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)
    log_bytes: int = 0

    def of(self, *jobs: str) -> list[dg.RunRecord]:
        """Return the runs of these jobs."""
        return [record for record in self.runs if record.dagster_run.job_name in jobs]

    def end_of(self, records: Sequence[dg.RunRecord]) -> float:
        """Return the seconds from the tick to the end of the last of these runs."""
        return max((record.end_time or 0.0) for record in records) - self.tick


def figures(latency: float = 0.2) -> Iterator[Figure]:
    """Measure one morning, from the tick of the schedule to the last run that follows."""
    morning = measured(latency)
    sent = len(morning.requests)
    floor = sent / QPS
    refreshed = morning.end_of(morning.of(*STAGES))
    how = f"{ADVERTISERS} advertisers, 8 days, 4 levels, {latency * 1000:.0f} ms an answer, {sent} requests"
    yield Figure(TOPIC, "from the tick to the last lifetime run", refreshed, "s", 1.3 * floor + 60, note=how)
    yield Figure(TOPIC, "the floor: requests at 30 a second", floor, "s", note=f"{sent} requests")
    yield Figure(TOPIC, "from the tick to the last derived asset and check", morning.end_of(morning.runs), "s")
    refused = sum(1 for one in morning.requests if one["code"] == 40100)
    yield Figure(TOPIC, "refusals", refused, "requests", note="40100, too fast; none is the aim")
    for stage in STAGES:
        yield from _stage(morning, stage)
    yield from _rates(morning)
    for name, peak in sorted(morning.megabytes.items()):
        yield Figure(TOPIC, f"peak memory, {name}", peak, "MB")
    yield Figure(TOPIC, "event log", morning.log_bytes / 1e6, "MB")


def _stage(morning: Morning, stage: str) -> Iterator[Figure]:
    records = morning.of(stage)
    begun = min(record.start_time or 0.0 for record in records)
    requested_at = min(record.create_timestamp.timestamp() for record in records)
    yield Figure(TOPIC, f"{stage}: runs", len(records), "runs", ADVERTISERS / 25)
    yield Figure(TOPIC, f"{stage}: asked for after the tick", requested_at - morning.tick, "s")
    yield Figure(TOPIC, f"{stage}: from asked for to started", begun - requested_at, "s")
    yield Figure(TOPIC, f"{stage}: from started to ended", morning.end_of(records) + morning.tick - begun, "s")
    counted = morning.events[stage]
    materialized, planned = counted["ASSET_MATERIALIZATION"], counted["ASSET_MATERIALIZATION_PLANNED"]
    # Dagster shows a partition as in progress or failed with the first event, as materialized with the second.
    how = f"{planned} when the runs were made, {materialized} as they landed"
    yield Figure(
        TOPIC, f"{stage}: events a partition", (materialized + planned) / materialized, "events", 2, note=how
    )
    others = counted - Counter(ASSET_MATERIALIZATION=materialized, ASSET_MATERIALIZATION_PLANNED=planned)
    kinds = ", ".join(f"{name.lower()} {count}" for name, count in others.most_common(6))
    yield Figure(TOPIC, f"{stage}: other events a run", others.total() / len(records), "events", note=kinds)


def _rates(morning: Morning) -> Iterator[Figure]:
    """Measure the requests per second of each stage, from its first request to its last."""
    for stage, instants in _by_stage(morning.requests).items():
        seconds = (instants[-1] - instants[0]).total_seconds()
        busiest = (
            max(sum(timedelta(0) <= one - start < timedelta(seconds=5) for one in instants) for start in instants)
            / 5
        )
        note = f"{busiest:.1f} a second in its busiest five seconds; the tier allows {QPS}"
        yield Figure(TOPIC, f"{stage}: requests a second", (len(instants) - 1) / seconds, "requests/s", note=note)


def _by_stage(requests: Sequence[Mapping[str, Any]]) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = {stage: [] for stage in STAGES}
    for one in requests:
        lifetime = one["query"].get("query_lifetime") == "true"
        report = "refresh_lifetime" if lifetime else "refresh_daily"
        stage = report if one["path"].startswith("report") else "refresh_accounts"
        found[stage].append(datetime.fromisoformat(one["time"]))
    return {stage: sorted(times) for stage, times in found.items()}


def measured(latency: float) -> Morning:
    """Run a refresh in a folder of its own."""
    anchor = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    more = ["--advertisers", str(ADVERTISERS + 1), "--qps", str(QPS), "--latency", str(latency), "--run-clock"]
    with tempfile.TemporaryDirectory() as name, sandbox(*WORLD, *more, anchor=anchor) as served:
        folder = Path(name)
        variables = _variables(served, folder, anchor)
        with patch.dict(os.environ, variables):
            settings = load_settings()
        _fill(settings)
        minute = (datetime.now(UTC) + timedelta(seconds=105)).replace(
            second=0, microsecond=0
        )  # for the daemon to start
        variables["TIKTOK_REFRESH_CRON"] = f"{minute.minute} {minute.hour} * * *"
        morning = Morning(minute.timestamp())
        with patch.dict(os.environ), open_instance(settings) as instance:
            before = _bytes(settings.instance_dir)
            with _daemon(settings.instance_dir, variables) as daemon:
                served.requests()
                _watch(morning, instance, daemon)
            morning.requests = served.requests()
            morning.log_bytes = _bytes(settings.instance_dir) - before
            for record in morning.runs:
                job = record.dagster_run.job_name
                morning.events.setdefault(job, Counter()).update(_events(instance, record.dagster_run.run_id))
        return morning


def _variables(served: Served, folder: Path, anchor: datetime) -> dict[str, str]:
    """Return the settings of the agency: every granted account, at the Premium tier."""
    accounts = httpx.get(f"{served.base_url}/sandbox/info").json()["advertisers"]
    ids = [one["advertiser_id"] for one in accounts if one["granted"]]
    return {
        **{name: value for name, value in served.settings.items() if name != "TIKTOK_QPS"},
        "TIKTOK_ADVERTISER_IDS": ",".join(ids),
        # At 12:30 UTC, when the schedule fires by default, nearly all time zones have the same yesterday.
        "TIKTOK_ACCOUNT_TIMEZONE": ",".join(f"{one}:UTC" for one in ids),
        "TIKTOK_API_TIER": "premium",
        "TIKTOK_START_DATE": f"{anchor - timedelta(days=60):%Y-%m-%d}",
        "TIKTOK_SWEEP_DAYS": "0",
        "TIKTOK_DATA_DIR": str(folder / "data"),
        "TIKTOK_STATE_DIR": str(folder / "state"),
        "DAGSTER_HOME": str(folder / "home"),
        "PYTHONPATH": str(ROOT),
    }


def _fill(settings: Settings) -> None:
    """Store the month before, as earlier refreshes would."""
    with closing(Session(settings)) as session:
        reader, store, ids = session.reader, session.store, session.advertiser_ids
        refresh_advertisers(reader, store, ids)
        for entity in CAMPAIGN_ENTITIES:
            _landed(refresh_entity(reader, store, entity, ids))
        accounts, _ = load_accounts(reader, store, settings, ids)
        for report in settings.chosen_reports:
            _landed(refresh_report(reader, store, report, {one: _month(one, session.now()) for one in accounts}))


def _month(account: Account, now: datetime) -> list[Any]:
    return [account.today(now) - timedelta(days=n) for n in range(2, 2 + STORED_DAYS)]


def _landed(outcomes: Iterator[object]) -> None:
    if failed := [str(outcome) for outcome in outcomes if isinstance(outcome, FailedPartitions)]:
        raise RuntimeError(failed[0])


@contextmanager
def _daemon(home: Path, variables: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run `dagster-daemon run` with our workspace and its code server until the block ends."""
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-w", str(home / "workspace.yaml")]
    with (home / "said").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the program under measurement
            command, cwd=home, env={**os.environ, **variables}, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _watch(morning: Morning, instance: dg.DagsterInstance, daemon: subprocess.Popen[bytes]) -> None:
    """Watch until the stages, the checks and the derived assets have ended and no run is requested."""
    deadline, quiet = morning.tick + PATIENCE_SECONDS, 0
    while quiet < 40:  # seconds, longer than the interval of any sensor
        if time.time() > deadline or daemon.poll() is not None:
            raise RuntimeError(f"the refresh did not end in {PATIENCE_SECONDS} s")
        time.sleep(1)
        _remember_memory(daemon.pid, morning.megabytes)
        morning.runs = list(instance.get_run_records())
        done = all(record.dagster_run.status in ENDED for record in morning.runs)
        jobs = {record.dagster_run.job_name for record in morning.runs}
        quiet = quiet + 1 if done and jobs >= {*STAGES, "check_tables"} else 0
    if failed := [one for one in morning.runs if one.dagster_run.status != dg.DagsterRunStatus.SUCCESS]:
        raise RuntimeError(f"{len(failed)} runs failed, {failed[0].dagster_run.job_name} among them")


def _remember_memory(process: int, peaks: dict[str, float]) -> None:
    """Update the peak memory by kind of process, for a process and its descendants."""
    for pid in [process, *_descendants(process)]:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
        name = _kind(words)
        peaks[name] = max(peaks.get(name, 0.0), int(peak) / 1024)


def _kind(words: Sequence[str]) -> str:
    command_line = " ".join(words)
    if "dagster-daemon" in command_line:
        return "daemon"
    return "code server" if "grpc" in command_line else "run" if "spawn_main" in command_line else "other"


def _descendants(process: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        tasks = [int(one.name) for one in Path(f"/proc/{process}/task").iterdir()]
        children += [
            child
            for task in tasks
            if task != process
            for child in Path(f"/proc/{process}/task/{task}/children").read_text().split()
        ]
    except OSError:
        return
    for child in children:
        yield int(child)
        yield from _descendants(int(child))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "history").rglob("*") if path.is_file())


def _events(instance: dg.DagsterInstance, run_id: str) -> Counter[str]:
    return Counter(
        entry.dagster_event.event_type_value if entry.dagster_event else "LOG"
        for entry in instance.all_logs(run_id)
    )


if __name__ == "__main__":
    for one in figures(*map(float, sys.argv[1:])):
        print(one, f"[{one.note}]" if one.note else "")  # noqa: T201 - a benchmark prints

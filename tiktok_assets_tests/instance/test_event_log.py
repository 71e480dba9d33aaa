"""Tests that our event log stores and returns the same as Dagster's own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from tiktok_assets.defs.partitions import ADVERTISERS, SINGLE_RUN
from tiktok_assets.instance import open_instance
from tiktok_assets.instance.event_log import BATCH_SIZE_VARIABLE, choose_event_log
from tiktok_assets.instance.fast_event_log import MAX_OPEN_FILES, FastEventLog
from tiktok_assets.settings import load_settings

ACCOUNT_IDS = [str(7001 + number) for number in range(6)]
PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
MATERIALIZED = dg.DagsterEventType.ASSET_MATERIALIZATION
DAGSTER_VARIABLES = ("DAGSTER_HOME", BATCH_SIZE_VARIABLE)


@dg.asset(partitions_def=ADVERTISERS, backfill_policy=SINGLE_RUN)
def campaigns() -> None:
    """An asset by account."""


@dg.asset(partitions_def=ADVERTISERS, backfill_policy=SINGLE_RUN, deps=[campaigns])
def ads() -> None:
    """Another asset by account."""


@pytest.fixture(autouse=True)
def _restore_environment() -> Iterator[None]:
    """Unset Dagster's variables for the test, and restore them afterwards."""
    before = {name: os.environ.pop(name, None) for name in DAGSTER_VARIABLES}
    yield
    for name in DAGSTER_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update({name: value for name, value in before.items() if value is not None})


def fill_range(instance: dg.DagsterInstance) -> list[object]:
    """Run a range of all accounts, and return what the instance has stored, without times and run id."""
    instance.add_dynamic_partitions("advertiser_id", ACCOUNT_IDS)
    tags = {
        "dagster/asset_partition_range_start": ACCOUNT_IDS[0],
        "dagster/asset_partition_range_end": ACCOUNT_IDS[-1],
    }
    job = dg.Definitions([campaigns, ads], jobs=[dg.define_asset_job("all", [campaigns, ads])]).resolve_job_def(
        "all"
    )
    run = job.execute_in_process(instance=instance, tags=tags)
    assert run.success
    stored: list[object] = []
    for key in (campaigns.key, ads.key):
        for kind in (PLANNED, MATERIALIZED):
            event_filter = dg.EventRecordsFilter(kind, key)
            records = instance.event_log_storage.get_event_records(event_filter, ascending=True)
            stored.append((kind, [record.partition_key for record in records]))
            assert {record.run_id for record in records} == {run.run_id}
        stored.append(sorted(instance.get_materialized_partitions(key)))
        (record,) = instance.get_asset_records([key])
        latest = record.asset_entry.last_materialization
        materialization = latest.asset_materialization if latest else None
        stored.append(
            (materialization and materialization.partition, record.asset_entry.last_run_id == run.run_id)
        )
    log = instance.all_logs(run.run_id)
    stored.append(
        [entry.dagster_event_type for entry in log if entry.dagster_event_type in {PLANNED, MATERIALIZED}]
    )
    return stored


@pytest.mark.slow
def test_batched_events_equal_single_events(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A run over a range stores the same events as in Dagster's own log, without its fallback."""
    with open_instance(load_settings(state_dir=tmp_path / "state")) as instance:
        assert isinstance(instance.event_log_storage, FastEventLog)
        batched = fill_range(instance)
        assert int(os.environ[BATCH_SIZE_VARIABLE]) > len(ACCOUNT_IDS)
    del os.environ[BATCH_SIZE_VARIABLE]
    (tmp_path / "own").mkdir()
    os.environ["DAGSTER_HOME"] = str(tmp_path / "own")
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        one_by_one = fill_range(instance)
    assert batched == one_by_one
    assert "Falling back" not in capfd.readouterr().err


def test_configured_batch_size_is_kept(tmp_path: Path) -> None:
    """A batch size set by the user is kept, even if it is 0."""
    os.environ[BATCH_SIZE_VARIABLE] = "0"
    with open_instance(load_settings(state_dir=tmp_path / "state")) as instance:
        assert instance.get_materialized_partitions(ads.key) == set()
    assert os.environ[BATCH_SIZE_VARIABLE] == "0"


OUR_LOG = "event_log_storage: {module: tiktok_assets.instance.event_log, class: EventLog, config: {}}\n"
OUR_LOG_OLD_NAME = OUR_LOG.replace("EventLog", "BatchingEventLog")
QUIET_RUN_CONFIG = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

WRITE_AND_KILL = """
import os, sys
import dagster as dg
with dg.DagsterInstance.get() as instance:
    for number in range(40):
        event = dg.AssetMaterialization("table", partition=f"{sys.argv[1]}-{number}")
        instance.report_runless_asset_event(event)
    print("written", flush=True)
    os.kill(os.getpid(), 9)
"""


@dg.asset(partitions_def=dg.StaticPartitionsDefinition([str(number) for number in range(5)]))
def table() -> None:
    """An asset with a few partitions."""


DEFINITIONS = dg.Definitions([table], jobs=[dg.define_asset_job("fill", [table])])


@contextmanager
def open_log(home: Path, config: str = OUR_LOG) -> Iterator[dg.DagsterInstance]:
    """Open an instance in a folder with a configuration."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{config}")
    before = os.environ.get("DAGSTER_HOME")
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with dg.DagsterInstance.get() as instance:
            yield instance
    finally:
        os.environ.pop("DAGSTER_HOME")
        if before is not None:
            os.environ["DAGSTER_HOME"] = before


def fill(instance: dg.DagsterInstance, partition: str) -> str:
    """Materialize one partition, and return the id of its run."""
    job = DEFINITIONS.resolve_job_def("fill")
    result = job.execute_in_process(instance=instance, partition_key=partition, run_config=QUIET_RUN_CONFIG)
    assert result.success
    return result.run_id


def read_event_types(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Return the event types of a run, in order."""
    return [entry.dagster_event_type.value for entry in instance.all_logs(run_id) if entry.dagster_event_type]


@pytest.mark.slow
@pytest.mark.parametrize("first", [OUR_LOG, "", OUR_LOG_OLD_NAME])
def test_logs_are_interchangeable(tmp_path: Path, first: str) -> None:
    """An instance may switch between Dagster's log and ours, also by the old name, without losing events."""
    second = "" if first else OUR_LOG
    with open_log(tmp_path / "home", first) as instance:
        assert isinstance(instance.event_log_storage, FastEventLog) is bool(first)
        runs = [fill(instance, "0")]
        before = read_event_types(instance, runs[0])
    with open_log(tmp_path / "home", second) as instance:
        assert isinstance(instance.event_log_storage, SqliteEventLogStorage)
        runs.append(fill(instance, "1"))
        assert instance.get_materialized_partitions(table.key) == {"0", "1"}
        assert read_event_types(instance, runs[0]) == before
        assert read_event_types(instance, runs[1]) == before
    with open_log(tmp_path / "home", first) as instance:
        assert [read_event_types(instance, run) for run in runs] == [before, before]


@pytest.mark.slow
def test_instance_without_dagster_home_opens(tmp_path: Path) -> None:
    """Without DAGSTER_HOME, as under `dg check defs`, processes share a folder, which the first one removes."""
    program = """
import os, subprocess, sys
from tiktok_assets.instance.event_log import EventLog
log = EventLog.from_config_value(None, {})
print(log.path_for_shard("1"))
if len(sys.argv) == 1:
    subprocess.run([sys.executable, "-c", os.environ["PROGRAM"], "child"], check=True)
"""
    environment = {**os.environ, "PROGRAM": program, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-u", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    one, other = done.stdout.split()
    assert one == other
    assert Path(one).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["1.13.26", "1.14.0", "1.14.0rc1", "2.0", ""])
def test_untested_dagster_releases_use_their_own_event_log(version: str, caplog: pytest.LogCaptureFixture) -> None:
    """With a Dagster release the fast event log was not tested with, Dagster's own is used, with a warning."""
    assert choose_event_log(version) is SqliteEventLogStorage
    (record,) = caplog.records
    assert f"Dagster {version}: using its own event log" in record.getMessage()


@pytest.mark.slow
def test_missing_private_name_falls_back_to_dagsters_event_log(tmp_path: Path) -> None:
    """Without a private name of Dagster the instance still opens, with Dagster's own event log and one warning."""
    (tmp_path / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{OUR_LOG}")
    program = """
import dagster as dg
from dagster._core.storage import event_log, sqlite
del sqlite.SQLITE_BUSY_TIMEOUT_SECONDS
with dg.DagsterInstance.get() as instance:
    print(type(instance.event_log_storage).__name__)
"""
    done = subprocess.run(  # noqa: S603 - our interpreter
        [sys.executable, "-c", program],
        env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["SqliteEventLogStorage"]
    assert done.stderr.count("using its own event log") == 1


@pytest.mark.slow
def test_killed_processes_lose_no_event(tmp_path: Path) -> None:
    """Events of two processes that write at the same time and are killed are all stored."""
    with open_log(tmp_path / "home"):
        pass
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path / "home")}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE_AND_KILL, name], env=environment)  # noqa: S603
        for name in ("one", "two")
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [-9, -9]
    with open_log(tmp_path / "home") as instance:
        expected = {f"{name}-{number}" for name in ("one", "two") for number in range(40)}
        assert instance.get_materialized_partitions(table.key) == expected


def test_run_watcher_is_notified(tmp_path: Path) -> None:
    """A watcher of a run is notified of each event while the files stay open."""
    with open_log(tmp_path / "home") as writing:
        run_id = fill(writing, "0")
        with open_log(tmp_path / "home") as watching:
            notified, messages = Event(), list[str]()

            def record_event(entry: dg.EventLogEntry, _cursor: str) -> None:
                messages.append(entry.dagster_event.message or "" if entry.dagster_event else "")
                notified.set()

            cursor = watching.event_log_storage.get_records_for_run(run_id).cursor
            watching.watch_event_logs(run_id, cursor, record_event)
            time.sleep(0.5)  # the watcher's thread starts
            run = writing.get_run_by_id(run_id)
            assert run
            writing.report_engine_event("news", run)
            assert notified.wait(10)
            watching.end_watch_event_logs(run_id, record_event)
    assert messages == ["news"]


@pytest.mark.slow
def test_open_files_are_limited(tmp_path: Path) -> None:
    """The number of open files is limited, and all are closed with the instance."""
    with open_log(tmp_path / "home") as instance:
        for _ in range(MAX_OPEN_FILES * 2):
            instance.all_logs(str(uuid4()))
        assert 0 < len(list_open_files(tmp_path)) <= 3 * MAX_OPEN_FILES
    assert list_open_files(tmp_path) == []


def test_wiped_log_can_be_used_again(tmp_path: Path) -> None:
    """After a wipe the log is empty, and new runs are stored."""
    with open_log(tmp_path / "home") as instance:
        run_id = fill(instance, "0")
        instance.wipe()
        assert instance.all_logs(run_id) == []
        fill(instance, "1")
        assert instance.get_materialized_partitions(table.key) == {"1"}


def list_open_files(folder: Path) -> list[str]:
    """Return the event log files that this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
    return [name for name in found if name.startswith(str(folder)) and "/history/runs/" in name and ".db" in name]

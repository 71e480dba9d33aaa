"""Laws of events written together: what is held is what Dagster's own would hold, however they came."""

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
from tiktok_assets.instance.event_log import BATCH_SIZE_VARIABLE, MAX_OPEN_FILES, EventLog
from tiktok_assets.settings import load_settings

OWNERS = [str(7001 + number) for number in range(6)]
PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
MADE = dg.DagsterEventType.ASSET_MATERIALIZATION
VARIABLES = ("DAGSTER_HOME", BATCH_SIZE_VARIABLE)


@dg.asset(partitions_def=ADVERTISERS, backfill_policy=SINGLE_RUN)
def campaigns() -> None:
    """Nothing."""


@dg.asset(partitions_def=ADVERTISERS, backfill_policy=SINGLE_RUN, deps=[campaigns])
def ads() -> None:
    """Nothing either."""


@pytest.fixture(autouse=True)
def _environment_as_it_was() -> Iterator[None]:
    """The variables Dagster reads are as they were before and after each test."""
    before = {name: os.environ.pop(name, None) for name in VARIABLES}
    yield
    for name in VARIABLES:
        os.environ.pop(name, None)
    os.environ.update({name: value for name, value in before.items() if value is not None})


def filled(instance: dg.DagsterInstance) -> list[object]:
    """What an instance holds after a run over a range of all owners, but for instants and the run's id."""
    instance.add_dynamic_partitions("advertiser_id", OWNERS)
    tags = {"dagster/asset_partition_range_start": OWNERS[0], "dagster/asset_partition_range_end": OWNERS[-1]}
    job = dg.Definitions([campaigns, ads], jobs=[dg.define_asset_job("all", [campaigns, ads])]).resolve_job_def(
        "all"
    )
    run = job.execute_in_process(instance=instance, tags=tags)
    assert run.success
    told: list[object] = []
    for key in (campaigns.key, ads.key):
        for kind in (PLANNED, MADE):
            asked = dg.EventRecordsFilter(kind, key)
            records = instance.event_log_storage.get_event_records(asked, ascending=True)
            told.append((kind, [record.partition_key for record in records]))
            assert {record.run_id for record in records} == {run.run_id}
        told.append(sorted(instance.get_materialized_partitions(key)))
        (record,) = instance.get_asset_records([key])
        newest = record.asset_entry.last_materialization
        made = newest.asset_materialization if newest else None
        told.append((made and made.partition, record.asset_entry.last_run_id == run.run_id))
    log = instance.all_logs(run.run_id)
    told.append([entry.dagster_event_type for entry in log if entry.dagster_event_type in {PLANNED, MADE}])
    return told


def test_a_run_leaves_the_same_as_in_dagsters_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The events of a range, per asset and in the run's log, are those written one by one; nothing fell back."""
    with open_instance(load_settings(state_dir=tmp_path / "state")) as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        batched = filled(instance)
        assert int(os.environ[BATCH_SIZE_VARIABLE]) > len(OWNERS)
    del os.environ[BATCH_SIZE_VARIABLE]
    (tmp_path / "own").mkdir()
    os.environ["DAGSTER_HOME"] = str(tmp_path / "own")
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        one_by_one = filled(instance)
    assert batched == one_by_one
    assert "Falling back" not in capfd.readouterr().err


def test_a_batch_size_of_ones_own_is_respected(tmp_path: Path) -> None:
    """Where the variable is set, to 0 even, it is left alone."""
    os.environ[BATCH_SIZE_VARIABLE] = "0"
    with open_instance(load_settings(state_dir=tmp_path / "state")) as instance:
        assert instance.get_materialized_partitions(ads.key) == set()
    assert os.environ[BATCH_SIZE_VARIABLE] == "0"


OURS = "event_log_storage: {module: tiktok_assets.instance.event_log, class: EventLog, config: {}}\n"
OURS_BEFORE = OURS.replace("EventLog", "BatchingEventLog")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

WRITE_AND_DIE = """
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
    """An asset of a few partitions."""


DEFINITIONS = dg.Definitions([table], jobs=[dg.define_asset_job("fill", [table])])


@contextmanager
def open_log(home: Path, config: str = OURS) -> Iterator[dg.DagsterInstance]:
    """An instance in a folder, with this configuration."""
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
    """Materialize one partition; returns the id of its run."""
    job = DEFINITIONS.resolve_job_def("fill")
    result = job.execute_in_process(instance=instance, partition_key=partition, run_config=QUIET)
    assert result.success
    return result.run_id


def read_event_types(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The types of the events of a run, in order."""
    return [entry.dagster_event_type.value for entry in instance.all_logs(run_id) if entry.dagster_event_type]


@pytest.mark.parametrize("first", [OURS, "", OURS_BEFORE])
def test_either_reads_what_the_other_wrote(tmp_path: Path, first: str) -> None:
    """An instance may change between Dagster's log and ours, by its old name too, and each tells the same."""
    second = "" if first else OURS
    with open_log(tmp_path / "home", first) as instance:
        assert isinstance(instance.event_log_storage, EventLog) is bool(first)
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


def test_a_killed_process_loses_no_event(tmp_path: Path) -> None:
    """What was recorded stands, though the process was killed at once, and although two wrote at the same time."""
    with open_log(tmp_path / "home"):
        pass
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path / "home")}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE_AND_DIE, name], env=environment)  # noqa: S603
        for name in ("one", "two")
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [-9, -9]
    with open_log(tmp_path / "home") as instance:
        expected = {f"{name}-{number}" for name in ("one", "two") for number in range(40)}
        assert instance.get_materialized_partitions(table.key) == expected


def test_whoever_watches_a_run_is_told_while_it_goes_on(tmp_path: Path) -> None:
    """The page of a run is told of each event though no file was closed; else it would stand still to the end."""
    with open_log(tmp_path / "home") as writing:
        run_id = fill(writing, "0")
        with open_log(tmp_path / "home") as watching:
            heard, seen = Event(), list[str]()

            def hear(entry: dg.EventLogEntry, _cursor: str) -> None:
                seen.append(entry.dagster_event.message or "" if entry.dagster_event else "")
                heard.set()

            cursor = watching.event_log_storage.get_records_for_run(run_id).cursor
            watching.watch_event_logs(run_id, cursor, hear)
            time.sleep(0.5)  # the watcher's thread begins
            run = writing.get_run_by_id(run_id)
            assert run
            writing.report_engine_event("news", run)
            assert heard.wait(10)
            watching.end_watch_event_logs(run_id, hear)
    assert seen == ["news"]


def test_few_files_stay_open(tmp_path: Path) -> None:
    """However many runs are looked at, the files kept open are few, and all of them close with the instance."""
    with open_log(tmp_path / "home") as instance:
        for _ in range(MAX_OPEN_FILES * 2):
            instance.all_logs(str(uuid4()))
        assert 0 < len(open_files(tmp_path)) <= 3 * MAX_OPEN_FILES
    assert open_files(tmp_path) == []


def test_a_wiped_log_is_empty_and_can_be_written_again(tmp_path: Path) -> None:
    """After `dagster run wipe` nothing of a run is left, and the next run is kept as ever."""
    with open_log(tmp_path / "home") as instance:
        run_id = fill(instance, "0")
        instance.wipe()
        assert instance.all_logs(run_id) == []
        fill(instance, "1")
        assert instance.get_materialized_partitions(table.key) == {"1"}


def open_files(folder: Path) -> list[str]:
    """The event log's files this process holds open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:
            continue  # the one that lists them
    return [name for name in found if name.startswith(str(folder)) and "/history/runs/" in name and ".db" in name]

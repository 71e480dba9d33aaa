"""Laws of events written together: what is held is what Dagster's own would hold, however they came."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from tiktok_assets.defs.partitions import ADVERTISERS, ONE_RUN
from tiktok_assets.instance.event_log import BATCH_SIZE_VARIABLE, EventLog
from tiktok_assets.instance.opening import open_instance
from tiktok_assets.settings import load_settings

OWNERS = [str(7001 + number) for number in range(6)]
PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
MADE = dg.DagsterEventType.ASSET_MATERIALIZATION
VARIABLES = ("DAGSTER_HOME", BATCH_SIZE_VARIABLE)


@dg.asset(partitions_def=ADVERTISERS, backfill_policy=ONE_RUN)
def campaigns() -> None:
    """Nothing."""


@dg.asset(partitions_def=ADVERTISERS, backfill_policy=ONE_RUN, deps=[campaigns])
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

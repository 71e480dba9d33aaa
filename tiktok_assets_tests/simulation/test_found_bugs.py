"""Laws from bugs that the simulation found, each with its seed in its name."""

from dataclasses import replace
from pathlib import Path
from random import Random

import polars as pl

from tiktok_assets.duplication.models import DONE
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets_tests.duplication.harness import DuplicationHarness
from tiktok_assets_tests.simulation.disk import Disk
from tiktok_assets_tests.simulation.process import Process, install_hooks, run_process

POWER_FAILURES = 20


def test_seed_1_power_failure_leaves_whole_partitions(tmp_path: Path) -> None:
    """After a power failure each partition is the old or the new one, never an empty or torn file."""
    install_hooks()
    (tmp_path / "host").mkdir()
    (tmp_path / "host-links").mkdir()
    store = HiveStore(f"{tmp_path}/host/data")
    partition, schema = Partition("7001"), pl.Schema({"advertiser_id": pl.String(), "number": pl.Int64()})
    for number in range(POWER_FAILURES):
        disk = Disk(Random(number), f"{tmp_path}/host")  # noqa: S311 - repeatable
        process = Process("a refresh", f"{tmp_path}/host")
        with disk.watching():
            frame = pl.DataFrame({"advertiser_id": ["7001"] * 100, "number": [number] * 100}, schema=schema)
            run_process(process, lambda frame=frame: store.write("ads", partition, frame))  # type: ignore[misc] # bound now
            disk.fail_power(process)
        if store.read_metadata("ads", partition) is None:
            assert list(store.partitions("ads")) == []  # the first write was lost
            continue
        found = store.scan("ads", schema).collect()
        assert found.height == 100
        assert found.get_column("number").n_unique() == 1


def test_seed_20261129001_copy_made_after_the_backup_is_not_made_again(
    harness: DuplicationHarness, tmp_path: Path
) -> None:
    """With a ledger of before a duplication, the same request finds the objects and creates none."""
    request = harness.request(again=60)
    first = harness.duplicate(request)
    restored = replace(harness.config, state_url=f"sqlite:///{tmp_path}/backup.sqlite")
    second = replace(harness, config=restored).duplicate(request)
    assert (first.status, second.status) == (DONE, DONE)
    assert [step.object_id for step in second.steps] == [step.object_id for step in first.steps]
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]

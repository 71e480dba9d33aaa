"""Measure a materialized partition in the instance with Dagster's event log and with ours, in the same run."""

import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from tiktok_assets.defs.partitions import SINGLE_RUN
from tiktok_assets.instance import prepare_instance
from tiktok_assets.settings import load_settings
from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.programs import figure_of, measure

TOPIC = "Events of a range run"
PARTITIONS, RUNS = 300, 5
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
KEYS = dg.StaticPartitionsDefinition([f"{number:03}" for number in range(PARTITIONS)])


@dg.asset(partitions_def=KEYS, backfill_policy=SINGLE_RUN)
def table(context: dg.AssetExecutionContext) -> None:
    """Do nothing, in many partitions."""


def figures() -> Iterator[Figure]:
    """Measure milliseconds per partition in a range run that does nothing, and its number of events."""
    found: dict[str, list[float]] = {"dagster's": [], "ours": []}
    events: dict[str, int] = {}
    for _ in range(RUNS):
        for name, milliseconds in found.items():  # alternating, so that a slow machine affects both
            with tempfile.TemporaryDirectory() as folder:
                home = Path(folder, "home")
                prepare_instance(load_settings(state_dir=home, dagster_home=home))
                if name != "ours":
                    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
                program = [sys.executable, "-m", "tiktok_assets_tests.benchmarks.events"]
                result = json.loads(measure(program, Path(folder), {"DAGSTER_HOME": str(home)}).printed)
            milliseconds.append(result["seconds"] * 1000 / PARTITIONS)
            events = result["events"]
    yield figure_of(TOPIC, "a partition, in Dagster's own event log", found["dagster's"], "ms")
    yield figure_of(TOPIC, "a partition, in ours", found["ours"], "ms")
    ratios = [theirs / ours for theirs, ours in zip(found["dagster's"], found["ours"], strict=True)]
    yield Figure(TOPIC, "ours, as many times as quick", statistics.median(ratios), "times")
    for kind in ("ASSET_MATERIALIZATION_PLANNED", "ASSET_MATERIALIZATION"):
        yield Figure(TOPIC, f"{kind.lower().replace('_', ' ')}, a partition", events[kind] / PARTITIONS, "events")
    others = sum(events.values()) - 2 * PARTITIONS
    yield Figure(TOPIC, "all others, a run", others, "events")


def main() -> None:
    """Materialize all partitions in one run and print time and events as JSON."""
    definitions = dg.Definitions(
        [table], jobs=[dg.define_asset_job("fill", [table])], executor=dg.in_process_executor
    )
    first, last = KEYS.get_first_partition_key(), KEYS.get_last_partition_key()
    tags = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
    with dg.DagsterInstance.get() as instance:
        began = time.monotonic()
        job = definitions.resolve_job_def("fill")
        result = job.execute_in_process(instance=instance, tags=tags, run_config=QUIET)
        seconds = time.monotonic() - began
        kinds = Counter(
            entry.dagster_event_type.value
            for entry in instance.all_logs(result.run_id)
            if entry.dagster_event_type
        )
    print(json.dumps({"seconds": seconds, "events": kinds}))  # noqa: T201 - read by `figures`


if __name__ == "__main__":
    main()

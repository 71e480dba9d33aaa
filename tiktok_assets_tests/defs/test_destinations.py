"""Tests of the destinations in Dagster: the asset, its job, and the sensor that publishes and tries again."""

import time
from datetime import timedelta
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
import time_machine

from tiktok_assets.definitions import build_definitions
from tiktok_assets.defs.alert_sensors import queue_failure_alerts
from tiktok_assets.defs.destination_sensors import FIRST_RETRY, LONGEST_RETRY, QUIET_TIME
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.spec.entities import ADVERTISERS
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.storage.state import State, utc_now
from tiktok_assets.tables.schema import build_schema, entity_columns


class Project:
    """Definitions with one destination, whose file can be made unusable, and an instance in memory."""

    def __init__(self, folder: Path) -> None:
        self.settings: Settings = load_settings(
            destinations="duckdb",
            duckdb_file=str(folder / "there" / "published.duckdb"),
            data_dir=str(folder / "data"),
            state_dir=folder / "state",
            reports="ad_report_lifetime",
        )
        self.file = folder / "there" / "published.duckdb"
        self.store = HiveStore(self.settings.data_dir)
        self.instance = dg.DagsterInstance.ephemeral()
        self.definitions = build_definitions(self.settings)
        self.cursor: str | None = None

    def write(self, rows: int) -> None:
        """Write `advertisers` with so many rows, and record it as a refresh does."""
        schema = build_schema(entity_columns(ADVERTISERS))
        frame = pl.DataFrame({"advertiser_id": [str(7000 + number) for number in range(rows)]})
        typed = [
            pl.col(name) if name in frame.columns else pl.lit(None, kind).alias(name)
            for name, kind in schema.items()
        ]
        self.store.write("advertisers", Partition(), frame.select(typed))
        self.instance.report_runless_asset_event(dg.AssetMaterialization("advertisers"))

    def tick(self) -> dg.RunRequest | str:
        """Evaluate the sensor; return its request or why there is none."""
        sensor = self.definitions.get_repository_def().get_sensor_def("publish_changes_to_duckdb")
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, repository_def=self.definitions.get_repository_def()
        ) as context:
            evaluation = sensor.evaluate_tick(context)
        self.cursor = evaluation.cursor or self.cursor
        return evaluation.run_requests[0] if evaluation.run_requests else str(evaluation.skip_message)

    def run(self, request: dg.RunRequest | str) -> dg.ExecuteInProcessResult:
        """Execute a request of the sensor."""
        assert isinstance(request, dg.RunRequest), request
        job = self.definitions.resolve_job_def("publish_duckdb")
        return job.execute_in_process(instance=self.instance, tags=dict(request.tags), raise_on_error=False)

    def count(self) -> int:
        """Return the rows of `advertisers` in the destination."""
        with duckdb.connect(str(self.file)) as connection:
            return int(connection.execute("SELECT count(*) FROM tiktok.advertisers").fetchall()[0][0])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project whose store is empty."""
    return Project(tmp_path)


def test_what_a_refresh_wrote_is_published_once(project: Project) -> None:
    """A minute after tables were written they are published; the event has rows, partitions and seconds."""
    assert "No table" in str(project.tick())
    project.write(2)
    assert "Tables are being written" in str(project.tick())
    with time_machine.travel(time.time() + 90):
        result = project.run(project.tick())
        assert result.success
        assert "No table was written" in str(project.tick())
    assert project.count() == 2
    (event,) = result.get_asset_materialization_events()
    metadata = {name: value.value for name, value in event.materialization.metadata.items()}
    assert event.asset_key == dg.AssetKey(["destinations", "duckdb"])
    assert (metadata["rows"], metadata["partitions"], metadata["partitions_unchanged"]) == (2, 1, 0)
    assert isinstance(metadata["seconds"], float)
    with time_machine.travel(time.time() + 180):
        project.write(3)
        again = project.definitions.resolve_job_def("publish_duckdb").execute_in_process(instance=project.instance)
    (event,) = again.get_asset_materialization_events()
    assert event.materialization.metadata["rows"].value == 3


@pytest.mark.slow
def test_a_destination_that_is_down_is_tried_again_and_told_once(project: Project) -> None:
    """A failure is tried again, later and later; one alert is sent, and success publishes all that was missed."""
    project.write(1)
    project.file.parent.write_text("not a folder", encoding="utf-8")
    now, waits = time.time() + 100, []
    with time_machine.travel(now, tick=False) as clock:
        for _ in range(4):
            assert not project.run(project.tick()).success
            failed_at = utc_now()
            assert "failed; the next one begins at" in str(project.tick())
            while isinstance(project.tick(), str):
                clock.shift(60)
            waits.append(utc_now() - failed_at)
            project.write(len(waits) + 1)
        assert waits[0] >= FIRST_RETRY
        assert waits == sorted(waits)
        assert waits[-1] <= LONGEST_RETRY + timedelta(minutes=1)
        state = State(f"sqlite:///{project.settings.state_dir}/state.sqlite")
        titles, _ = queue_failure_alerts(project.settings, state, project.instance, utc_now() - timedelta(days=1))
        assert titles == ["A run of publish_duckdb failed"]
        state.close()
        project.file.parent.unlink()
        assert project.run(project.tick()).success
        clock.shift(QUIET_TIME * 2)
        assert "No table was written" in str(project.tick())
    assert project.count() == 5


def test_one_table_that_cannot_be_published_fails_the_run_and_not_the_others(project: Project) -> None:
    """An incompatible column fails the step with its name; the rest is published."""
    project.write(1)
    project.file.parent.mkdir()
    with duckdb.connect(str(project.file)) as connection:
        connection.execute("CREATE SCHEMA tiktok; CREATE TABLE tiktok.advertisers (advertiser_id BIGINT)")
    project.store.write("ad_report_lifetime", Partition("7000"), pl.DataFrame({"advertiser_id": ["7000"]}))
    job = project.definitions.resolve_job_def("publish_duckdb")
    result = job.execute_in_process(instance=project.instance, raise_on_error=False)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    reason = str(failure.step_failure_data.user_failure_data)
    assert "tiktok.advertisers.advertiser_id is bigint, but the stored values are text" in reason
    with duckdb.connect(str(project.file)) as connection:
        assert connection.execute("SELECT advertiser_id FROM tiktok.ad_report_lifetime").fetchall() == [("7000",)]

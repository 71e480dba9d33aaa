"""Write ninety advertisers in bulk to an instance and to disk, as months of refreshes would."""

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import dagster as dg
import polars as pl
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from sqlalchemy import func, select

from tiktok_assets.defs.partitions import (
    ADVERTISER_DIMENSION,
    advertiser_days,
    build_partition_tags,
    format_partition_key,
)
from tiktok_assets.defs.run_tags import REFRESH_TAG, STAGE_RUN_COUNT_TAG
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.ingest.lookback import GAP_SEARCH_DAYS
from tiktok_assets.ingest.partitions import IS_COMPLETE_KEY, fetched_at_metadata
from tiktok_assets.instance import open_instance
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.schema import build_schema

OWNERS = tuple(str(7_104_142_337_395_130_000 + number) for number in range(90))
OWNERS_A_RUN, DAYS_A_RUN = 25, 30
FACTS: dict[str, str | int] = {"rows": 200, "bytes": 30_000, "spend": "1234.56", "currency": "USD"}


def seed(settings: Settings, days: int) -> int:
    """Write accounts, their last thirty days and the events of some days; return the number of events.

    Args:
        settings: which instance and which folder.
        days: of each daily report of each account that were materialized once.
    """
    now = datetime.now(UTC)
    daily = [report.table for report in settings.chosen_reports if report.cadence == "daily"]
    others = [name for name in get_stored_tables(settings) if name not in daily and name != "advertisers"]
    _files(settings, daily, now)
    written = 0
    with open_instance(settings) as instance:
        instance.add_dynamic_partitions(ADVERTISER_DIMENSION, list(OWNERS))
        for owners in (OWNERS[at : at + OWNERS_A_RUN] for at in range(0, len(OWNERS), OWNERS_A_RUN)):
            for first in range(0, days, DAYS_A_RUN):
                backs = range(first, min(days, first + DAYS_A_RUN))
                stretch = [now.date() - timedelta(1 + back) for back in backs]
                run = _run(instance, "refresh_daily")
                partitions = [Partition(owner, day) for owner in owners for day in stretch]
                written += sum(_record(instance, table, partitions, run) for table in daily)
            run = _run(instance, "refresh_lifetime")
            written += sum(
                _record(instance, table, [Partition(owner) for owner in owners], run) for table in others
            )
        _run(instance, "refresh_accounts", {REFRESH_TAG: now.isoformat(), STAGE_RUN_COUNT_TAG: "1"})
        for table in daily:  # as each of our runs does at its end
            instance.get_status_by_partition(dg.AssetKey(table), [], advertiser_days(settings.start_date))
    return written


def _files(settings: Settings, daily: Sequence[str], now: datetime) -> None:
    store = HiveStore(settings.data_dir)
    tables = get_stored_tables(settings)
    notes = {**fetched_at_metadata(now), IS_COMPLETE_KEY: "true"}
    values = {"currency": "USD", "timezone": "America/New_York", "is_granted": True, "fetched_at": now}
    schema = build_schema(tables["advertisers"])
    store.write(
        "advertisers", Partition(), pl.DataFrame([{"advertiser_id": one, **values} for one in OWNERS], schema)
    )
    for table in daily:
        nothing = pl.DataFrame(schema=build_schema(tables[table]))
        for owner in OWNERS:
            for back in range(1, GAP_SEARCH_DAYS + 2):
                day = now.date() - timedelta(back)
                store.write(table, Partition(owner, day), nothing, metadata=notes)


def _run(instance: dg.DagsterInstance, job: str, tags: dict[str, str] | None = None) -> str:
    """Add a successful run and return its id."""
    run = dg.DagsterRun(job_name=job, run_id=str(uuid4()), status=DagsterRunStatus.SUCCESS, tags=tags or {})
    instance.report_engine_event("The run ended.", instance.add_run(run))  # creates the file of the run
    return run.run_id


def _record(instance: dg.DagsterInstance, table: str, partitions: Sequence[Partition], run: str) -> int:
    """Write the events of a run with these partitions to the index of all events, in one transaction."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqliteEventLogStorage)
    entries = list(_entries(table, partitions, run))
    with storage.index_transaction() as connection:
        newest = connection.execute(select(func.max(SqlEventLogStorageTable.c.id))).scalar() or 0
        rows = [
            {**storage._event_to_row(entry), "id": newest + 1 + number}  # noqa: SLF001 - Dagster has no bulk write
            for number, entry in enumerate(entries)
        ]
        connection.execute(SqlEventLogStorageTable.insert(), rows)
        tags = [
            {
                "event_id": row["id"],
                "asset_key": row["asset_key"],
                "key": key,
                "value": value,
                "event_timestamp": row["timestamp"],
            }
            for row, partition in zip(rows, partitions, strict=True)
            for key, value in build_partition_tags(partition).items()
        ]
        if tags:
            connection.execute(AssetEventTagsTable.insert(), tags)
        storage._store_asset_event(connection, entries[-1], rows[-1]["id"])  # noqa: SLF001 - the same
    return len(rows)


def _entries(table: str, partitions: Sequence[Partition], run: str) -> Iterator[EventLogEntry]:
    for partition in partitions:
        materialization = dg.AssetMaterialization(
            table, partition=format_partition_key(partition), metadata=FACTS, tags=build_partition_tags(partition)
        )
        yield EventLogEntry(  # type: ignore[no-untyped-call] # Dagster's own constructor
            user_message="",
            level=10,
            run_id=run,
            timestamp=time.time(),
            error_info=None,
            step_key=table,
            job_name="refresh_daily",
            dagster_event=DagsterEvent(
                DagsterEventType.ASSET_MATERIALIZATION.value,
                "refresh_daily",
                step_key=table,
                event_specific_data=StepMaterializationData(materialization),
            ),
        )


if __name__ == "__main__":
    print(seed(load_settings(), int(sys.argv[1])))  # noqa: T201 - a benchmark prints

"""Tests of the store in an object store, over HTTP: what is written is read back completely."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tiktok_assets.spec.columns import Column
from tiktok_assets.storage.duckdb_warehouse import BUILD_RECORD_FILE_NAME, WAREHOUSE_FILE_NAME, build_warehouse
from tiktok_assets.storage.parquet_store import ForeignRowsError, HiveStore, Partition
from tiktok_assets.tables.schema import MONEY, build_schema
from tiktok_assets_tests.storage.object_store import ObjectStore

COLUMNS = (
    Column("advertiser_id", "advertiser_id", "id", "the account"),
    Column("date", "stat_time_day", "day", "the day"),
    Column("spend", "spend", "money", "the amount"),
)
SCHEMA = build_schema(COLUMNS)
DAY = date(2026, 3, 1)
OWNERS = ("7104142337395130369", "7104142337395130370")


def rows(owner: str, day: date, *spends: str) -> pl.DataFrame:
    """Build rows of one partition."""
    return pl.DataFrame([(owner, day, Decimal(spend)) for spend in spends], SCHEMA, orient="row")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ObjectStore]:
    """An object store that `s3://` uses."""
    with ObjectStore.serve_environment() as store:
        yield store


@pytest.fixture
def bucket(endpoint: ObjectStore) -> ObjectStore:
    """The object store, emptied."""
    endpoint.objects.clear()
    endpoint.puts.clear()
    return endpoint


@pytest.fixture
def store(bucket: ObjectStore, tmp_path: Path) -> HiveStore:
    """The tables in a bucket of the test's own."""
    assert bucket.objects == {}
    return HiveStore(f"s3://{tmp_path.name.replace('_', '-')}/tables")


def test_partitions_roundtrip_with_one_put_each(bucket: ObjectStore, store: HiveStore) -> None:
    """Partitions, rows and metadata are read back, including an empty partition; each is written with one PUT."""
    written = {}
    for owner in OWNERS:
        for back in range(2):
            frame = rows(owner, DAY - timedelta(back), *(["12.3400", "0.0001"] if back else []))
            partition = Partition(owner, DAY - timedelta(back))
            written[partition] = (frame, store.write("t", partition, frame, metadata={"fetched_at": f"{back}"}))
    assert list(store.partitions("t")) == sorted(written)
    assert list(store.partitions("t", OWNERS[:1])) == sorted(written)[:2]
    for partition, (frame, file) in written.items():
        assert file.rows == frame.height
        owner, day = str(partition.advertiser_id), partition.day or DAY
        assert (store.read_metadata("t", partition) or {})["fetched_at"] == str((DAY - day).days)
        one = store.scan("t", SCHEMA, advertiser_ids=[owner], days=[day])
        assert one.collect().equals(frame)
    everything = pl.concat([written[partition][0] for partition in sorted(written)])
    assert (
        store.scan("t", SCHEMA)
        .collect()
        .sort("advertiser_id", "date", "spend")
        .equals(everything.sort("advertiser_id", "date", "spend"))
    )
    assert set(bucket.puts.values()) == {1}
    assert everything.schema["spend"] == MONEY


def test_write_replaces_the_partition(store: HiveStore) -> None:
    """Only the rows of the last write are read; foreign rows are rejected and change nothing."""
    partition = Partition(OWNERS[0], DAY)
    store.write("t", partition, rows(OWNERS[0], DAY, "1", "2"))
    store.write("t", partition, rows(OWNERS[0], DAY, "3"))
    with pytest.raises(ForeignRowsError):
        store.write("t", partition, rows(OWNERS[1], DAY, "4"))
    assert store.scan("t", SCHEMA).collect().equals(rows(OWNERS[0], DAY, "3"))


def test_only_chosen_days_are_read(store: HiveStore) -> None:
    """Days are chosen as on a disk, and the oldest and newest ones are found."""
    days = [DAY + timedelta(number) for number in range(5)]
    for day in days:
        store.write("t", Partition(OWNERS[0], day), rows(OWNERS[0], day, "1"))
    assert store.scan("t", SCHEMA, days=days[1:3]).collect().get_column("date").to_list() == days[1:3]
    assert store.recent_days("t", None, 2) == {OWNERS[0]: [days[0], *days[-2:]]}
    assert store.recent_days("t", OWNERS[1:], 2) == {}


def test_unwritten_table_is_empty(bucket: ObjectStore, store: HiveStore) -> None:
    """A table that was never written has no partitions, metadata or rows; checking write access leaves nothing."""
    assert list(store.partitions("t")) == []
    assert store.read_metadata("t", Partition(OWNERS[0])) is None
    assert store.scan("t", SCHEMA).collect().equals(pl.DataFrame(schema=SCHEMA))
    store.check_writable()
    assert bucket.objects == {}


def test_warehouse_is_written_beside_the_tables(bucket: ObjectStore, store: HiveStore, tmp_path: Path) -> None:
    """The warehouse is built locally and uploaded with the rows of the object store and exact amounts."""
    store.write("t", Partition(OWNERS[0], DAY), rows(OWNERS[0], DAY, "1.5", "2.25"))
    built = build_warehouse(store, tmp_path / "state", {"t": COLUMNS})
    (path,) = [path for path in bucket.objects if path.endswith(WAREHOUSE_FILE_NAME)]
    assert (built.rows["t"], built.bytes) == (2, len(bucket.objects[path]))
    copy = tmp_path / WAREHOUSE_FILE_NAME
    copy.write_bytes(bucket.objects[path])
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.execute("SELECT sum(spend), count(*) FROM t").fetchone() == (Decimal("3.7500"), 2)
    assert [path.name for path in (tmp_path / "state").iterdir()] == [BUILD_RECORD_FILE_NAME]


def test_warehouse_loads_only_changed_objects(bucket: ObjectStore, store: HiveStore, tmp_path: Path) -> None:
    """The next build loads only objects with a new ETag; a lost warehouse is built from scratch."""
    for back in range(3):
        store.write(
            "t",
            Partition(OWNERS[0], DAY - timedelta(back)),
            rows(OWNERS[0], DAY, "1").with_columns(date=DAY - timedelta(back)),
        )
    first = build_warehouse(store, tmp_path / "state", {"t": COLUMNS})
    store.write("t", Partition(OWNERS[0], DAY), rows(OWNERS[0], DAY, "2", "3"))
    second = build_warehouse(store, tmp_path / "state", {"t": COLUMNS})
    again = build_warehouse(store, tmp_path / "state", {"t": COLUMNS})
    (path,) = [path for path in bucket.objects if path.endswith(WAREHOUSE_FILE_NAME)]
    del bucket.objects[path]
    rebuilt = build_warehouse(store, tmp_path / "state", {"t": COLUMNS})
    assert [built.loaded for built in (first, second, again, rebuilt)] == [3, 1, 0, 3]
    assert [built.rows["t"] for built in (first, second, again, rebuilt)] == [3, 4, 4, 4]


def test_partitions_of_other_processes_are_seen(bucket: ObjectStore, store: HiveStore) -> None:
    """A partition that another process writes is seen at the next listing."""
    store.write("t", Partition(OWNERS[0], DAY), rows(OWNERS[0], DAY, "1"))
    assert list(store.partitions("t")) == [Partition(OWNERS[0], DAY)]
    (path,) = bucket.objects
    later = DAY + timedelta(1)
    bucket.objects[path.replace(str(DAY), str(later))] = bucket.objects[path]
    assert list(store.partitions("t")) == [Partition(OWNERS[0], DAY), Partition(OWNERS[0], later)]

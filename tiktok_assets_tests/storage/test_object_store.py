"""Laws of the store in an object store, over HTTP: what is written is read back, whole, by the same words."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tiktok_assets.spec.columns import Column
from tiktok_assets.storage.hive_store import ForeignRowsError, HiveStore, Partition
from tiktok_assets.storage.warehouse import BUILD_RECORD_FILE_NAME, WAREHOUSE_FILE_NAME, build_warehouse
from tiktok_assets.tables.schema import MONEY, build_schema
from tiktok_assets_tests.storage.object_store import ObjectStore

COLUMNS = (
    Column("advertiser_id", "advertiser_id", "id", "whose"),
    Column("date", "stat_time_day", "day", "when"),
    Column("spend", "spend", "money", "how much"),
)
SCHEMA = build_schema(COLUMNS)
DAY = date(2026, 3, 1)
OWNERS = ("7104142337395130369", "7104142337395130370")


def rows(owner: str, day: date, *spends: str) -> pl.DataFrame:
    """Rows of one partition."""
    return pl.DataFrame([(owner, day, Decimal(spend)) for spend in spends], SCHEMA, orient="row")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ObjectStore]:
    """An object store that `s3://` leads to, as a user's environment would have it."""
    with ObjectStore() as store, pytest.MonkeyPatch.context() as environment:
        for name, value in store.environment.items():
            environment.setenv(name, value)
        yield store


@pytest.fixture
def bucket(endpoint: ObjectStore) -> ObjectStore:
    """The same, empty."""
    endpoint.objects.clear()
    endpoint.puts.clear()
    return endpoint


@pytest.fixture
def store(bucket: ObjectStore, tmp_path: Path) -> HiveStore:
    """The tables of a bucket of their own."""
    assert bucket.objects == {}
    return HiveStore(f"s3://{tmp_path.name.replace('_', '-')}/tables")


def test_what_is_written_is_read_back(bucket: ObjectStore, store: HiveStore) -> None:
    """Partitions, rows and notes are those written, one without rows stands too; one PUT writes each."""
    written = {}
    for owner in OWNERS:
        for back in range(2):
            frame = rows(owner, DAY - timedelta(back), *(["12.3400", "0.0001"] if back else []))
            partition = Partition(owner, DAY - timedelta(back))
            written[partition] = (frame, store.write("t", partition, frame, metadata={"fetched_at": f"{back}"}))
    assert list(store.partitions("t")) == sorted(written)
    assert list(store.partitions("t", OWNERS[:1])) == sorted(written)[:2]
    for partition, (frame, told) in written.items():
        assert told.rows == frame.height
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


def test_a_partition_is_replaced_whole(store: HiveStore) -> None:
    """The second writing is all that is read; foreign rows are refused and change nothing."""
    partition = Partition(OWNERS[0], DAY)
    store.write("t", partition, rows(OWNERS[0], DAY, "1", "2"))
    store.write("t", partition, rows(OWNERS[0], DAY, "3"))
    with pytest.raises(ForeignRowsError):
        store.write("t", partition, rows(OWNERS[1], DAY, "4"))
    assert store.scan("t", SCHEMA).collect().equals(rows(OWNERS[0], DAY, "3"))


def test_what_was_never_written_is_not_there(bucket: ObjectStore, store: HiveStore) -> None:
    """A table nobody wrote has no partitions, notes or rows; proving that one may write leaves nothing."""
    assert list(store.partitions("t")) == []
    assert store.read_metadata("t", Partition(OWNERS[0])) is None
    assert store.scan("t", SCHEMA).collect().equals(pl.DataFrame(schema=SCHEMA))
    store.check_writable()
    assert bucket.objects == {}


def test_the_warehouse_is_put_beside_the_tables(bucket: ObjectStore, store: HiveStore, tmp_path: Path) -> None:
    """Built on this machine and put in one piece, it holds the rows of the object store, money as decimals."""
    store.write("t", Partition(OWNERS[0], DAY), rows(OWNERS[0], DAY, "1.5", "2.25"))
    built = build_warehouse(store, tmp_path / "state", {"t": COLUMNS})
    (path,) = [path for path in bucket.objects if path.endswith(WAREHOUSE_FILE_NAME)]
    assert (built.rows["t"], built.bytes) == (2, len(bucket.objects[path]))
    copy = tmp_path / WAREHOUSE_FILE_NAME
    copy.write_bytes(bucket.objects[path])
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.execute("SELECT sum(spend), count(*) FROM t").fetchone() == (Decimal("3.7500"), 2)
    assert [path.name for path in (tmp_path / "state").iterdir()] == [BUILD_RECORD_FILE_NAME]


def test_the_warehouse_reads_again_only_what_was_written_again(
    bucket: ObjectStore, store: HiveStore, tmp_path: Path
) -> None:
    """The ETag tells which objects changed, so the next build reads those; a copy that was lost is built whole."""
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
    whole = build_warehouse(store, tmp_path / "state", {"t": COLUMNS})
    assert [built.loaded for built in (first, second, again, whole)] == [3, 1, 0, 3]
    assert [built.rows["t"] for built in (first, second, again, whole)] == [3, 4, 4, 4]


def test_what_another_process_wrote_is_seen(bucket: ObjectStore, store: HiveStore) -> None:
    """A partition that appears behind the store's back stands at the next look, however long a process lives."""
    store.write("t", Partition(OWNERS[0], DAY), rows(OWNERS[0], DAY, "1"))
    assert list(store.partitions("t")) == [Partition(OWNERS[0], DAY)]
    (path,) = bucket.objects
    later = DAY + timedelta(1)
    bucket.objects[path.replace(str(DAY), str(later))] = bucket.objects[path]
    assert list(store.partitions("t")) == [Partition(OWNERS[0], DAY), Partition(OWNERS[0], later)]

"""Tests of the store: what was written is read back completely, even if a writer is killed."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.spec.entities import AD_GROUPS
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage.files import PARTITION_FILE_NAME
from tiktok_assets.storage.parquet_store import ForeignRowsError, HiveStore, Partition, StoreError
from tiktok_assets.tables.schema import INSTANT, MONEY, build_schema, entity_columns, report_schema

OWNER = "7104142337395130369"
DAY = date(2026, 3, 1)
SCHEMAS = {
    "ad_report_daily": report_schema(REPORTS_BY_TABLE["ad_report_daily"], STANDARD_METRICS),
    "ad_groups": build_schema(entity_columns(AD_GROUPS)),
}
SMALL = pl.Schema({"advertiser_id": pl.String(), "date": pl.Date(), "spend": MONEY})
GENERATIONS = pl.Schema({"advertiser_id": pl.String(), "generation": pl.Int64(), "text": pl.String()})
ROWS = 20_000

WRITER = """
import sys
from itertools import count
import polars as pl
from tiktok_assets.storage.parquet_store import HiveStore, Partition

base, rows, owners = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
store = HiveStore(base)
for generation in count():
    for owner in owners:
        frame = pl.DataFrame({
            "advertiser_id": [owner] * rows,
            "generation": [generation] * rows,
            "text": [str(number * generation % 7919) for number in range(rows)],
        })
        store.write("ads", Partition(owner), frame)
    if generation == 0:
        print("started", flush=True)
"""

VALUES: Mapping[type[pl.DataType], st.SearchStrategy[Any]] = {
    pl.String: st.text(st.characters(codec="utf-8"), max_size=9),
    pl.Decimal: st.decimals(Decimal("-99999999999999.9999"), Decimal("99999999999999.9999"), places=4),
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.Float64: st.floats(allow_nan=False),
    pl.Date: st.dates(date(1970, 1, 1)),
    pl.Datetime: st.datetimes(datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)).map(
        lambda at: at.replace(tzinfo=UTC)
    ),
    pl.Boolean: st.booleans(),
}


def frames(table: str) -> st.SearchStrategy[pl.DataFrame]:
    """Return a strategy of frames for one partition of a table, including empty ones."""
    fixed = {"advertiser_id": st.just(OWNER), "date": st.just(DAY)}
    cells = {name: fixed.get(name, st.none() | VALUES[kind.base_type()]) for name, kind in SCHEMAS[table].items()}
    return st.lists(st.fixed_dictionaries(cells), max_size=4).map(lambda rows: pl.DataFrame(rows, SCHEMAS[table]))


def build_rows(owner: str, day: date, *spends: str) -> pl.DataFrame:
    """Build rows of one partition."""
    return pl.DataFrame([(owner, day, Decimal(spend)) for spend in spends], SMALL, orient="row")


def read_files(base: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder."""
    return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}


@contextmanager
def run_writer(base: Path, *owners: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that replaces partitions endlessly, and kill it at the end of the block."""
    arguments = [sys.executable, "-c", WRITER, str(base), str(ROWS), *owners]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - fixed arguments
        try:
            assert process.stdout
            assert process.stdout.readline() == "started\n"
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def assert_whole(rows: pl.DataFrame, owners: tuple[str, ...]) -> None:
    """Assert that each partition is of one generation and has all its rows."""
    counts = rows.group_by("advertiser_id").agg(pl.len(), pl.col("generation").n_unique().alias("generations"))
    assert sorted(counts.rows()) == [(owner, ROWS, 1) for owner in sorted(owners)]


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> HiveStore:
    """A store that all examples of a property write to, one over the other."""
    return HiveStore(str(tmp_path_factory.mktemp("store")))


@settings(max_examples=40)
@given(frames("ad_report_daily"))
def test_report_partition_roundtrip(shared_store: HiveStore, frame: pl.DataFrame) -> None:
    """Scanning returns what was written for a report's schema: exact amounts, long ids, nulls, and no rows."""
    written = shared_store.write("ad_report_daily", Partition(OWNER, DAY), frame)
    read = shared_store.scan("ad_report_daily", frame.schema).collect()
    assert read.equals(frame)
    assert read.schema == frame.schema
    assert (written.rows, written.bytes) == (frame.height, Path(written.path).stat().st_size)


@settings(max_examples=40)
@given(frames("ad_groups"))
def test_entity_partition_roundtrip(shared_store: HiveStore, frame: pl.DataFrame) -> None:
    """Scanning returns what was written for an entity's schema: flags, instants, and lists as JSON."""
    shared_store.write("ad_groups", Partition(OWNER), frame)
    assert shared_store.scan("ad_groups", frame.schema).collect().equals(frame)


def test_unwritten_table_is_empty_with_its_schema(tmp_path: Path) -> None:
    """Reading a table that was never written returns no rows and creates no files."""
    store = HiveStore(str(tmp_path / "none"))
    for table, schema in SCHEMAS.items():
        assert store.scan(table, schema).collect().schema == schema
        assert list(store.partitions(table)) == []
    assert store.read_metadata("ad_groups", Partition(OWNER)) is None
    assert not (tmp_path / "none").exists()


def test_empty_partition_differs_from_a_missing_one(tmp_path: Path) -> None:
    """A partition without rows exists and has metadata; one that was never written does not exist."""
    store = HiveStore(str(tmp_path))
    store.write("report", Partition("1", DAY), build_rows("1", DAY), metadata={"is_complete": "true"})
    assert list(store.partitions("report")) == [Partition("1", DAY)]
    metadata = store.read_metadata("report", Partition("1", DAY))
    assert metadata is not None
    assert metadata["is_complete"] == "true"
    assert store.read_metadata("report", Partition("1", DAY + timedelta(1))) is None


@settings(max_examples=30, deadline=None)
@given(st.sets(st.tuples(st.integers(1, 9).map(str), st.integers(0, 40).map(lambda n: DAY + timedelta(n)))))
def test_scan_reads_only_the_selected_partitions(
    tmp_path_factory: pytest.TempPathFactory, keys: set[tuple[str, date]]
) -> None:
    """Partitions are sorted by account and day, and a selection of accounts and days reads only these."""
    store = HiveStore(str(tmp_path_factory.mktemp("choice")))
    for owner, day in keys:
        store.write("report", Partition(owner, day), build_rows(owner, day, "1"))
    assert list(store.partitions("report")) == sorted(Partition(*key) for key in keys)
    owners, days = {owner for owner, _ in list(keys)[::2]}, {day for _, day in list(keys)[1::2]}
    chosen = store.scan("report", SMALL, advertiser_ids=owners, days=days).collect()
    expected = sorted((owner, day) for owner, day in keys if owner in owners and day in days)
    assert chosen.select("advertiser_id", "date").rows() == expected
    (Path(str(store.base)) / "report" / "advertiser_id=1" / "date=2025-12-31").mkdir(parents=True, exist_ok=True)
    stored = {owner: sorted(day for one, day in keys if one == owner) for owner in owners}
    recent = {owner: sorted({days[0], *days[-2:]}) for owner, days in stored.items()}
    assert store.recent_days("report", owners, 2) == recent  # a folder without its file is no day


@pytest.mark.parametrize("foreign_key", [("2", DAY), ("1", DAY + timedelta(1)), (None, DAY), ("1", None)])
def test_rows_of_another_partition_are_rejected(
    tmp_path: Path, foreign_key: tuple[str | None, date | None]
) -> None:
    """If one row belongs to another account or day, or to none, nothing is written."""
    store = HiveStore(str(tmp_path))
    store.write("report", Partition("1", DAY), build_rows("1", DAY, "1"))
    before = read_files(tmp_path)
    mixed = pl.concat([build_rows("1", DAY, "2"), pl.DataFrame([(*foreign_key, Decimal(3))], SMALL, orient="row")])
    with pytest.raises(
        ForeignRowsError, match=r"^1 of 2 rows for report/advertiser_id=1/date=2026-03-01 have another"
    ):
        store.write("report", Partition("1", DAY), mixed)
    with pytest.raises(ForeignRowsError):
        store.write("report", Partition("3", DAY), mixed)
    assert read_files(tmp_path) == before


def test_write_replaces_the_partition(tmp_path: Path) -> None:
    """Writing a partition again leaves one file with the new rows only."""
    store = HiveStore(str(tmp_path))
    for spends in (["1", "2"], ["3"], ["3"]):
        store.write("report", Partition("1", DAY), build_rows("1", DAY, *spends))
    assert store.scan("report", SMALL).collect()["spend"].to_list() == [Decimal(3)]
    assert list(read_files(tmp_path)) == [f"report/advertiser_id=1/date=2026-03-01/{PARTITION_FILE_NAME}"]


def test_whole_table_can_be_one_file(tmp_path: Path) -> None:
    """A table without partitions is one file with rows of any account."""
    store = HiveStore(str(tmp_path))
    frame = pl.concat([build_rows("1", DAY, "1"), build_rows("2", DAY, "2")])
    store.write("advertisers", Partition(), frame)
    assert list(store.partitions("advertisers")) == [Partition()]
    assert store.scan("advertisers", SMALL).collect().equals(frame)


def test_missing_column_is_null_and_extra_column_is_ignored(tmp_path: Path) -> None:
    """Files with other schemas are read with the current one: missing columns are null, others are ignored."""
    store = HiveStore(str(tmp_path))
    store.write("report", Partition("1", DAY), build_rows("1", DAY, "1").drop("spend"))
    store.write("report", Partition("2", DAY), build_rows("2", DAY, "2").with_columns(gone=pl.lit("x")))
    store.write("report", Partition("3", DAY), build_rows("3", DAY, "3").select("spend", "date", "advertiser_id"))
    read = store.scan("report", SMALL).collect()
    assert read.schema == SMALL
    assert read["spend"].to_list() == [None, Decimal(2), Decimal(3)]


def test_files_can_be_read_with_a_glob(tmp_path: Path) -> None:
    """A glob over the files returns every row, with ids as text and exact amounts."""
    store = HiveStore(str(tmp_path))
    for owner in ("1", OWNER):
        store.write("report", Partition(owner, DAY), build_rows(owner, DAY, "0.1"))
    read = pl.scan_parquet(str(tmp_path / "report/**/*.parquet"), hive_partitioning=False).collect()
    assert read.schema == SMALL
    assert read["advertiser_id"].to_list() == ["1", OWNER]


@pytest.mark.slow
def test_killed_writer_leaves_only_complete_files(tmp_path: Path) -> None:
    """Whenever writers are killed, each partition is readable, of one generation, and one file."""
    chance = random.Random(7)  # noqa: S311 - when to kill
    for _ in range(2):
        with run_writer(tmp_path, "1", "2"), run_writer(tmp_path, "3") as third:
            time.sleep(chance.uniform(0, 0.1))
            third.send_signal(signal.SIGKILL)
            time.sleep(chance.uniform(0, 0.1))
        assert_whole(HiveStore(str(tmp_path)).scan("ads", GENERATIONS).collect(), ("1", "2", "3"))
        assert [path.name for path in (tmp_path / "ads").rglob("*") if path.is_file()] == [PARTITION_FILE_NAME] * 3
        assert list(HiveStore(str(tmp_path)).partitions("_writing")) == []


def test_reader_never_fails_while_partitions_are_replaced(tmp_path: Path) -> None:
    """A reader concurrent with a writer always reads complete partitions, old or new ones."""
    store = HiveStore(str(tmp_path))
    seen = set()
    with run_writer(tmp_path, "1", "2"):
        until = time.monotonic() + 1
        while time.monotonic() < until:
            rows = store.scan("ads", GENERATIONS).collect()
            assert_whole(rows, ("1", "2"))
            seen |= set(rows["generation"].unique())
    assert len(seen) > 1


def test_concurrent_writers_of_different_partitions_succeed(tmp_path: Path) -> None:
    """Concurrent writers of different partitions all succeed and leave no temporary files."""
    store = HiveStore(str(tmp_path))

    def write(owner: int) -> None:
        for turn in range(40):
            store.write("report", Partition(str(owner), DAY), build_rows(str(owner), DAY, str(turn)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert store.scan("report", SMALL).collect()["spend"].to_list() == [Decimal(39)] * 8
    assert list((tmp_path / "_writing").iterdir()) == []


def test_temporary_files_are_deleted_after_a_day(tmp_path: Path) -> None:
    """The next write deletes temporary files older than a day, and keeps newer ones that may be in use."""
    store = HiveStore(str(tmp_path))
    store.write("report", Partition("1", DAY), build_rows("1", DAY, "1"))
    old, fresh = tmp_path / "_writing" / "old.unfinished", tmp_path / "_writing" / "fresh.unfinished"
    for path, age in ((old, 25), (fresh, 23)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age * 3600,) * 2)
    store.write("report", Partition("1", DAY), build_rows("1", DAY, "2"))
    assert not old.exists()
    assert fresh.exists()


def test_unwritable_folder_error_names_the_setting(tmp_path: Path) -> None:
    """If a table cannot be written, the error has the path and the setting, as does the check beforehand."""
    (tmp_path / "data").write_text("a file, not a folder", encoding="utf-8")
    store = HiveStore(str(tmp_path / "data"))
    with pytest.raises(StoreError, match=r"^cannot write .*TIKTOK_DATA_DIR"):
        store.write("report", Partition("1", DAY), build_rows("1", DAY, "1"))
    with pytest.raises(StoreError, match=r"^cannot write .*TIKTOK_DATA_DIR"):
        store.check_writable()


def test_check_writable_leaves_no_files(tmp_path: Path) -> None:
    """Checking that tables can be written leaves no files."""
    HiveStore(str(tmp_path / "data")).check_writable()
    assert read_files(tmp_path) == {}


def test_instants_keep_their_microseconds(tmp_path: Path) -> None:
    """An instant is read back to the microsecond, aware, in UTC."""
    at = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    frame = pl.DataFrame({"advertiser_id": ["1"], "at": [at]}, {"advertiser_id": pl.String, "at": INSTANT})
    store = HiveStore(str(tmp_path))
    store.write("instants", Partition("1"), frame)
    assert store.scan("instants", frame.schema).collect()["at"].to_list() == [at]


def test_corrupted_file_has_no_metadata(tmp_path: Path) -> None:
    """A file that is not Parquet has no metadata, as if it had never been written."""
    store, partition = HiveStore(str(tmp_path)), Partition("7001", date(2026, 3, 1))
    frame = pl.DataFrame({"advertiser_id": ["7001"], "date": [partition.day]})
    written = store.write("table", partition, frame, metadata={"is_complete": "true"})
    assert (store.read_metadata("table", partition) or {})["is_complete"] == "true"
    Path(written.path).write_bytes(b"PAR1 but not really")
    assert store.read_metadata("table", partition) is None


def test_scan_partition_returns_the_columns_of_its_file(tmp_path: Path) -> None:
    """A single partition is scanned with its file's own columns; for a missing one there is None or an error."""
    store, partition = HiveStore(str(tmp_path)), Partition("7001", date(2026, 3, 1))
    assert store.scan_partition("table", partition) is None
    with pytest.raises(StoreError, match=r"table/advertiser_id=7001/date=2026-03-01.*does not exist"):
        store.partition_size("table", partition)
    frame = pl.DataFrame({"advertiser_id": ["7001"], "date": [partition.day], "more": [1]})
    written = store.write("table", partition, frame)
    opened = store.scan_partition("table", partition)
    assert opened is not None
    assert opened.collect().equals(frame)
    assert store.partition_size("table", partition) == written.bytes

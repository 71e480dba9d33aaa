"""Test that files of an earlier form are read, loaded and published with the columns of today."""

from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tiktok_assets.publish.comparison import compare_tables
from tiktok_assets.publish.duckdb_file import DuckDBDestination
from tiktok_assets.publish.publisher import PublishResult, publish_tables
from tiktok_assets.publish.stored_files import StoredTable
from tiktok_assets.spec.columns import Column
from tiktok_assets.storage.duckdb_warehouse import build_warehouse
from tiktok_assets.storage.migrations import MIGRATIONS, Migration, Migrations
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.schema import build_schema

TABLE = "own_report_daily"
FIRST = date(2026, 9, 1)
DAYS = [FIRST + timedelta(n) for n in range(6)]
NEW_DAYS = DAYS[2:4]
"""The days that were read again since the columns changed, between days of the earlier form."""

COLUMNS = (
    Column("advertiser_id", "", "id", "the account"),
    Column("date", "", "day", "the day"),
    Column("spend", "", "money", "the cost"),
    Column("purchases", "", "count", "a metric that had another name and was text"),
)
EARLIER = pl.Schema({**build_schema(COLUMNS[:3]), "purchase_count": pl.String()})
ROWS = (
    Migration(frozenset({TABLE}), {"purchase_count": "purchases"}),
    Migration(frozenset({TABLE}), retyped={"purchases": pl.Int64()}, removed=frozenset({"legacy"})),
)
EXPECTED = [(day, Decimal(n), None if n == 1 else 10 + n) for n, day in enumerate(DAYS)]
"""The text of the second day is no number, so it is null."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a store with days of an earlier form, some of which were read again."""
    store = HiveStore(str(tmp_path / "data"))
    for n, day in enumerate(DAYS):
        common = {"advertiser_id": "7001", "date": day, "spend": Decimal(n)}
        if day in NEW_DAYS:
            frame = pl.DataFrame([{**common, "purchases": 10 + n}], build_schema(COLUMNS))
        else:
            text = "-" if n == 1 else f"{10 + n}.0"
            earlier = pl.DataFrame([{**common, "purchase_count": text}], EARLIER)
            frame = earlier.with_columns(legacy=pl.lit("kept by no table"))
        store.write(TABLE, Partition("7001", day), frame)
    return tmp_path / "data"


def open_migrated(folder: Path) -> HiveStore:
    """Open the store with the written migrations."""
    return HiveStore(str(folder), migrations=ROWS)


def read(store: HiveStore) -> list[tuple[object, ...]]:
    """Return the rows of the table in the order of its files."""
    frame = store.scan(TABLE, build_schema(COLUMNS)).collect()
    assert frame.schema == build_schema(COLUMNS)
    return frame.drop("advertiser_id").rows()


def test_days_of_both_forms_are_read_with_the_columns_of_today(folder: Path) -> None:
    """Rows have today's names and types in the order of the files, and no file is written."""
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    store = open_migrated(folder)
    assert read(store) == EXPECTED
    for day in DAYS:
        rows = store.scan_partition(TABLE, Partition("7001", day))
        assert rows is not None
        assert rows.collect_schema() == build_schema(COLUMNS)
        assert store.read_column_names(TABLE, Partition("7001", day)) == build_schema(COLUMNS).names()
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == before


def test_other_tables_and_damaged_files_are_read_as_before(folder: Path) -> None:
    """A table without a migration has no mark; a damaged file fails the scan, as it does without migrations."""
    assert (Migrations(ROWS).get_mark("ads"), Migrations(()).get_mark(TABLE)) == ("", "")
    assert Migrations(ROWS).get_mark(TABLE) != Migrations(ROWS[:1]).get_mark(TABLE)
    next(folder.rglob("*.parquet")).write_bytes(b"PAR1 but not really")
    with pytest.raises(pl.exceptions.ComputeError):
        read(open_migrated(folder))


def test_the_warehouse_has_the_columns_of_today(folder: Path, tmp_path: Path) -> None:
    """A warehouse that is built over both forms has every value."""
    build_warehouse(open_migrated(folder), tmp_path / "state", {TABLE: COLUMNS})
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as warehouse:
        found = warehouse.execute(f"SELECT date, spend, purchases FROM {TABLE} ORDER BY date").fetchall()  # noqa: S608
    assert found == EXPECTED


def publish(store: HiveStore, file: Path, columns: tuple[Column, ...]) -> PublishResult:
    """Publish the table to a DuckDB file, and return what was done."""
    with closing(DuckDBDestination(file, "tiktok")) as destination:
        result = publish_tables([StoredTable(store, TABLE, "", columns)], destination, max_partitions=2)
        assert result.failures == []
        assert list(compare_tables([StoredTable(store, TABLE, "", columns)], destination)) == []
        return result


def test_published_days_of_the_earlier_form_are_published_again(folder: Path, tmp_path: Path) -> None:
    """After a rename the days of the earlier form are published once more, and then nothing is."""
    file, renamed = tmp_path / "published.duckdb", Migration(frozenset({TABLE}), {"purchase_count": "buyers"})
    old_days = [day for day in DAYS if day not in NEW_DAYS]
    for day in NEW_DAYS:
        (folder / TABLE / Partition("7001", day).folder / "part-0.parquet").unlink()
    columns = (*COLUMNS[:3], Column("buyers", "", "text", "the metric"))
    earlier = HiveStore(str(folder))
    assert publish(earlier, file, COLUMNS[:3]).partitions == {TABLE: len(old_days)}
    assert publish(earlier, file, COLUMNS[:3]).partitions == {}
    migrated = HiveStore(str(folder), migrations=[renamed])
    assert publish(migrated, file, columns).partitions == {TABLE: len(old_days)}
    assert publish(migrated, file, columns).partitions == {}
    with duckdb.connect(str(file), read_only=True) as published:
        rows = published.execute(
            "SELECT date, buyers, purchase_count FROM tiktok.own_report_daily ORDER BY date"
        ).fetchall()
    assert rows == [(day, "-" if n == 1 else f"{10 + n}.0", None) for n, day in enumerate(DAYS) if day in old_days]


def test_no_migration_names_an_unknown_table_or_a_column_of_today() -> None:
    """The written migrations lead to columns; none renames to a column that it removes."""
    for row in MIGRATIONS:
        assert row.tables
        assert not row.removed & {*row.renamed.values(), *row.retyped}

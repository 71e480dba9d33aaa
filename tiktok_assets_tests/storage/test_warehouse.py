"""Laws of `warehouse.duckdb`: one file with every table, typed, replaced while it is read."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.entities import ENTITIES
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, STANDARD_REPORTS, report_columns
from tiktok_assets.storage.hive_store import HiveStore, Partition, StoreError
from tiktok_assets.storage.warehouse import BUILD_RECORD_FILE_NAME, WAREHOUSE_FILE_NAME, build_warehouse
from tiktok_assets.tables.schema import build_schema, entity_columns

TABLES: dict[str, Sequence[Column]] = {
    **{entity.table: entity_columns(entity) for entity in ENTITIES},
    **{
        report.table: report_columns(report, STANDARD_METRICS)
        for report in (*STANDARD_REPORTS, REPORTS_BY_TABLE["ad_report_hourly"])
    },
}
DUCKDB_TYPES = {
    "id": "VARCHAR",
    "text": "VARCHAR",
    "money": "DECIMAL(18,4)",
    "count": "BIGINT",
    "rate": "DOUBLE",
    "ratio": "DOUBLE",
    "day": "DATE",
    "hour": "BIGINT",
    "instant": "TIMESTAMP WITH TIME ZONE",
    "epoch": "TIMESTAMP WITH TIME ZONE",
    "flag": "BOOLEAN",
    "json": "VARCHAR",
}
OWNER = "7104142337395130369"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def write_spend(store: HiveStore, spend: str, *, day: date = date(2026, 3, 1)) -> None:
    """One row of the daily ad report."""
    schema = build_schema(TABLES["ad_report_daily"])
    row = {"advertiser_id": OWNER, "date": day, "ad_id": "1", "spend": Decimal(spend), "fetched_at": NOW}
    store.write("ad_report_daily", Partition(OWNER, day), pl.DataFrame([row], schema))


def answer(path: str, query: str) -> list[tuple[object, ...]]:
    """What an analyst reads."""
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def store(tmp_path: Path) -> HiveStore:
    """An empty store."""
    return HiveStore(str(tmp_path / "data"))


def test_every_table_is_there_with_its_types_before_anything_was_read(store: HiveStore, tmp_path: Path) -> None:
    """Ids are VARCHAR, amounts DECIMAL(18,4), days DATE, instants with their zone, in every table, in order."""
    built = build_warehouse(store, tmp_path / "state", TABLES)
    rows = answer(
        built.path,
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns()"
        " WHERE NOT internal AND schema_name = 'main'",
    )
    expected = [
        (name, column.name, DUCKDB_TYPES[column.kind], column.meaning)
        for name, columns in sorted(TABLES.items())
        for column in columns
    ]
    assert sorted(rows, key=lambda row: str(row[0])) == expected
    assert built.rows == dict.fromkeys(TABLES, 0)


def test_rows_are_the_stored_ones_exactly(store: HiveStore, tmp_path: Path) -> None:
    """An amount of eighteen digits and an id of nineteen are the same in the warehouse; sums are exact."""
    write_spend(store, "99999999999999.9999")
    write_spend(store, "0.0001", day=date(2026, 3, 2))
    built = build_warehouse(store, tmp_path / "state", TABLES)
    rows = answer(built.path, "SELECT advertiser_id, date, spend FROM ad_report_daily ORDER BY date")
    assert rows == [
        (OWNER, date(2026, 3, 1), Decimal("99999999999999.9999")),
        (OWNER, date(2026, 3, 2), Decimal("0.0001")),
    ]
    assert answer(built.path, "SELECT sum(spend) FROM ad_report_daily") == [(Decimal(10**14),)]
    assert built.rows["ad_report_daily"] == 2
    assert built.bytes == Path(built.path).stat().st_size


def test_the_file_is_replaced_while_a_reader_holds_the_old_one(store: HiveStore, tmp_path: Path) -> None:
    """A reader who has the file open goes on reading the old rows; who opens it afterwards reads the new ones."""
    write_spend(store, "1")
    path = build_warehouse(store, tmp_path / "state", TABLES).path
    with duckdb.connect(path, read_only=True) as reader:
        assert reader.execute("SELECT spend FROM ad_report_daily").fetchall() == [(Decimal(1),)]
        write_spend(store, "2")
        build_warehouse(store, tmp_path / "state", TABLES)
        assert reader.execute("SELECT spend FROM ad_report_daily").fetchall() == [(Decimal(1),)]
    assert answer(path, "SELECT spend FROM ad_report_daily") == [(Decimal(2),)]


def test_only_the_finished_file_remains(store: HiveStore, tmp_path: Path) -> None:
    """A build leaves one file beside the tables and its seal in the state folder."""
    build_warehouse(store, tmp_path / "state", TABLES)
    assert [path.name for path in (tmp_path / "data").iterdir()] == [WAREHOUSE_FILE_NAME]
    assert [path.name for path in (tmp_path / "state").iterdir()] == [BUILD_RECORD_FILE_NAME]


def test_a_build_that_fails_leaves_the_old_file(store: HiveStore, tmp_path: Path) -> None:
    """Where a table cannot be read, the error says what to refresh, and yesterday's warehouse still stands."""
    write_spend(store, "1")
    path = build_warehouse(store, tmp_path / "state", TABLES).path
    broken = tmp_path / "data/ads/advertiser_id=1/part-0.parquet"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"not a Parquet file")
    with pytest.raises(
        StoreError, match=r"(?s)^cannot build .*warehouse\.duckdb.*`declared_schema` names the file"
    ):
        build_warehouse(store, tmp_path / "state", TABLES)
    assert answer(path, "SELECT spend FROM ad_report_daily") == [(Decimal(1),)]
    assert [path.name for path in (tmp_path / "state").iterdir()] == [BUILD_RECORD_FILE_NAME]


def test_a_state_folder_that_cannot_be_made_is_named(store: HiveStore, tmp_path: Path) -> None:
    """Where there is no room to build, the error says what could not be built, and what to mend."""
    (tmp_path / "state").write_text("a file", encoding="utf-8")
    with pytest.raises(StoreError, match=r"^cannot build .*make its folder writable"):
        build_warehouse(store, tmp_path / "state", TABLES)

"""Tests of `warehouse.duckdb`: one typed file with all tables, replaced while others read it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.entities import ENTITIES
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, STANDARD_REPORTS, report_columns
from tiktok_assets.storage.duckdb_warehouse import BUILD_RECORD_FILE_NAME, WAREHOUSE_FILE_NAME, build_warehouse
from tiktok_assets.storage.parquet_store import HiveStore, Partition, StoreError
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
    """Write one row of the daily ad report."""
    schema = build_schema(TABLES["ad_report_daily"])
    row = {"advertiser_id": OWNER, "date": day, "ad_id": "1", "spend": Decimal(spend), "fetched_at": NOW}
    store.write("ad_report_daily", Partition(OWNER, day), pl.DataFrame([row], schema))


def query_warehouse(path: str, query: str) -> list[tuple[object, ...]]:
    """Query the warehouse as an analyst does."""
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def store(tmp_path: Path) -> HiveStore:
    """An empty store."""
    return HiveStore(str(tmp_path / "data"))


def test_all_tables_exist_with_types_before_the_first_refresh(store: HiveStore, tmp_path: Path) -> None:
    """Every table has its columns in order: ids VARCHAR, amounts DECIMAL, days DATE, instants with zone."""
    built = build_warehouse(store, tmp_path / "state", TABLES)
    rows = query_warehouse(
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


def test_values_are_exact(store: HiveStore, tmp_path: Path) -> None:
    """Amounts of 18 digits and ids of 19 digits are the same in the warehouse, and sums are exact."""
    write_spend(store, "99999999999999.9999")
    write_spend(store, "0.0001", day=date(2026, 3, 2))
    built = build_warehouse(store, tmp_path / "state", TABLES)
    rows = query_warehouse(built.path, "SELECT advertiser_id, date, spend FROM ad_report_daily ORDER BY date")
    assert rows == [
        (OWNER, date(2026, 3, 1), Decimal("99999999999999.9999")),
        (OWNER, date(2026, 3, 2), Decimal("0.0001")),
    ]
    assert query_warehouse(built.path, "SELECT sum(spend) FROM ad_report_daily") == [(Decimal(10**14),)]
    assert built.rows["ad_report_daily"] == 2
    assert built.bytes == Path(built.path).stat().st_size


def test_open_reader_keeps_the_previous_file(store: HiveStore, tmp_path: Path) -> None:
    """A reader with the file open still reads the old rows; a reader that opens it later reads the new ones."""
    write_spend(store, "1")
    path = build_warehouse(store, tmp_path / "state", TABLES).path
    with duckdb.connect(path, read_only=True) as reader:
        assert reader.execute("SELECT spend FROM ad_report_daily").fetchall() == [(Decimal(1),)]
        write_spend(store, "2")
        build_warehouse(store, tmp_path / "state", TABLES)
        assert reader.execute("SELECT spend FROM ad_report_daily").fetchall() == [(Decimal(1),)]
    assert query_warehouse(path, "SELECT spend FROM ad_report_daily") == [(Decimal(2),)]


def test_build_leaves_only_the_file_and_its_record(store: HiveStore, tmp_path: Path) -> None:
    """A build leaves one file beside the tables, and its build record in the state folder."""
    build_warehouse(store, tmp_path / "state", TABLES)
    assert [path.name for path in (tmp_path / "data").iterdir()] == [WAREHOUSE_FILE_NAME]
    assert [path.name for path in (tmp_path / "state").iterdir()] == [BUILD_RECORD_FILE_NAME]


def test_failed_build_keeps_the_previous_file(store: HiveStore, tmp_path: Path) -> None:
    """If a table cannot be read, the error says how to find its file, and the previous warehouse stays."""
    write_spend(store, "1")
    path = build_warehouse(store, tmp_path / "state", TABLES).path
    broken = tmp_path / "data/ads/advertiser_id=1/part-0.parquet"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"not a Parquet file")
    with pytest.raises(
        StoreError, match=r"(?s)^cannot build .*warehouse\.duckdb.*`declared_schema` names the file"
    ):
        build_warehouse(store, tmp_path / "state", TABLES)
    assert query_warehouse(path, "SELECT spend FROM ad_report_daily") == [(Decimal(1),)]
    assert [path.name for path in (tmp_path / "state").iterdir()] == [BUILD_RECORD_FILE_NAME]


def test_unwritable_state_folder_error(store: HiveStore, tmp_path: Path) -> None:
    """If the build folder cannot be created, the error says what could not be built and what to do."""
    (tmp_path / "state").write_text("a file", encoding="utf-8")
    with pytest.raises(StoreError, match=r"^cannot build .*make its folder writable"):
        build_warehouse(store, tmp_path / "state", TABLES)

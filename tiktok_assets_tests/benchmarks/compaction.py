"""Measure how long three years of a hundred accounts take to list and to read, as files of days and of months."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl

from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.settings import load_settings
from tiktok_assets.storage.compaction import compact_months
from tiktok_assets.storage.months import encode_partition
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.schema import build_schema
from tiktok_assets_tests.benchmarks.figure import Figure

ACCOUNTS, ADS = int(os.environ.get("COMPACTION_ACCOUNTS", "100")), 10
FIRST_DAY, LAST_DAY = date(2023, 1, 1), date(2025, 12, 31)
TOPIC = f"Past months in one file each, {ACCOUNTS} accounts of three years, {ADS} rows a day"
TABLE = "ad_report_daily"
SCHEMA = build_schema(get_stored_tables(load_settings())[TABLE])
READINGS = '[["2026-01-01T00:00:00+00:00", "12.3400", 1]]'


def figures() -> Iterator[Figure]:
    """Measure the same readings before and after the months are compacted."""
    with tempfile.TemporaryDirectory() as folder:
        store = HiveStore(folder)
        _write_days(Path(folder))
        time.sleep(3)  # until the files have a version
        sums = {}
        for when in ("files of days", "files of months"):
            files = list(Path(folder).rglob("*.parquet"))
            yield Figure(TOPIC, f"{when}: number", len(files), "files")
            yield Figure(TOPIC, f"{when}: size", sum(file.stat().st_size for file in files) / 1e6, "MB")
            for what, read in _readings(store, Path(folder)).items():
                started = time.perf_counter()
                sums[when, what] = read()
                yield Figure(TOPIC, f"{when}: {what}", time.perf_counter() - started, "s")
            if when == "files of days":
                started = time.perf_counter()
                months = list(compact_months(store, [TABLE], date(2026, 1, 1)))
                assert all(month.reason is None for month in months)
                yield Figure(TOPIC, "compaction of all months", time.perf_counter() - started, "s")
        assert all(sums["files of days", what] == found for (_, what), found in sums.items())


def _readings(store: HiveStore, folder: Path) -> Mapping[str, Callable[[], object]]:
    month = [date(2025, 6, 1) + timedelta(number) for number in range(30)]
    spend = pl.Schema({"spend": SCHEMA["spend"]})
    files = f"{folder}/{TABLE}/*/*/*.parquet"
    return {
        "listed with the version of every day": lambda: len(store.file_versions(TABLE)),
        "newest days of every account": lambda: len(store.recent_days(TABLE, None, 28)),
        "sum of all days, with Polars through the store": lambda: store.scan(TABLE, spend).sum().collect().item(),
        "sum of one month, likewise": lambda: store.scan(TABLE, spend, days=month).sum().collect().item(),
        "sum of all days, with DuckDB from the files": lambda: duckdb.execute(
            f"SELECT sum(spend) FROM '{files}'"  # noqa: S608 - a folder of this program
        ).fetchall(),
    }


def _write_days(folder: Path) -> None:
    """Write the files as the store does, but without waiting for the disk."""
    days = [FIRST_DAY + timedelta(number) for number in range((LAST_DAY - FIRST_DAY).days + 1)]
    for number in range(ACCOUNTS):
        owner = str(7_104_142_337_395_130_000 + number)
        for day in days:
            rows = [
                {
                    "advertiser_id": owner,
                    "date": day,
                    "ad_id": f"{owner}{ad}",
                    "currency": "USD",
                    "spend": Decimal(day.toordinal() * (ad + 1) % 9973) / 100,
                    "impressions": day.toordinal() * (ad + 7) % 99991,
                }
                for ad in range(ADS)
            ]
            content = encode_partition(pl.DataFrame(rows, SCHEMA), {"is_complete": "true", "readings": READINGS})
            file = folder / TABLE / Partition(owner, day).folder / "part-0.parquet"
            file.parent.mkdir(parents=True)
            file.write_bytes(content)

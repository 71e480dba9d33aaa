"""Measure builds of the warehouse with a million rows in ten thousand files: full, unchanged, refreshed."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl

from tiktok_assets.defs.table_catalog import get_stored_tables, get_table_descriptions
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.columns import Column
from tiktok_assets.storage.duckdb_warehouse import build_warehouse
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.schema import build_schema
from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.programs import Measured, figure_of, measure

TOPIC = "Warehouse"
TABLE = "ad_report_daily"
SETTINGS = load_settings()
COLUMNS = get_stored_tables(SETTINGS)[TABLE]
OWNERS = tuple(str(7_104_142_337_395_130_000 + number) for number in range(25))
FIRST_DAY, DAYS, NEW_DAYS = date(2025, 1, 1), 400, 8
READ_AT = datetime(2026, 2, 5, tzinfo=UTC)
ADS = 100
RUNS = 3
LAST = f"state-{RUNS - 1}"
TARGET_SECONDS = 10


def figures() -> Iterator[Figure]:
    """Measure whole processes that build the warehouse, imports included, and their peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = HiveStore(str(folder / "data"))
        _write(store, range(DAYS))
        files = f"{len(OWNERS) * DAYS * ADS:,} rows in {len(OWNERS) * DAYS:,} files"
        whole = [_build(folder, f"state-{run}") for run in range(RUNS)]
        yield from _figures_of(f"built from nothing, {files}", whole, TARGET_SECONDS)
        yield from _figures_of("built again, nothing changed", [_build(folder, LAST) for _ in range(RUNS)])
        morning = []
        for run in range(RUNS):
            _write(store, range(DAYS - NEW_DAYS, DAYS), more=run + 1)
            morning.append(_build(folder, LAST))
        what = f"built again, {NEW_DAYS} days of {len(OWNERS)} advertisers changed"
        yield from _figures_of(what, morning)
        size = (folder / "data" / "warehouse.duckdb").stat().st_size
        yield Figure(TOPIC, "the file after all that", size / 1e6, "MB")


def _figures_of(what: str, runs: Sequence[Measured], target: float | None = None) -> Iterator[Figure]:
    yield figure_of(TOPIC, what, [run.seconds for run in runs], "s", target=target)
    yield figure_of(TOPIC, f"{what}: peak memory", [run.megabytes for run in runs], "MB")


def _build(folder: Path, state: str) -> Measured:
    program = [sys.executable, "-m", __name__, str(folder / "data"), str(folder / state)]
    return measure(program, folder)


def _write(store: HiveStore, days: range, more: int = 0) -> None:
    """Write days of every advertiser with the store, as a refresh does."""
    for number, owner in enumerate(OWNERS):
        for day in days:
            at = FIRST_DAY + timedelta(day)
            store.write(TABLE, Partition(owner, at), _day(owner, at, seed=number * DAYS + day + more))


def _day(owner: str, day: date, seed: int) -> pl.DataFrame:
    """Return a day's rows with every standard metric, different for each seed."""
    numbers = pl.int_range(ADS, eager=True)

    def build_series(column: Column) -> pl.Series:
        if column.kind in {"id", "text"}:
            return pl.Series(
                [owner if column.name == "advertiser_id" else f"{column.name} {ad}" for ad in range(ADS)]
            )
        if column.kind == "money":
            return pl.Series([Decimal(ad * 7919 + seed).scaleb(-2) for ad in range(ADS)])
        if column.kind in {"rate", "ratio"}:
            return (numbers + seed) / 97
        if column.kind == "count":
            return numbers * 131 + seed
        fixed = {"day": day, "instant": READ_AT + timedelta(seconds=seed), "flag": True, "json": None}
        return pl.Series([fixed[column.kind]] * ADS)

    schema = build_schema(COLUMNS)
    return pl.DataFrame({one.name: build_series(one).cast(schema[one.name]) for one in COLUMNS})


if __name__ == "__main__":
    data, state = sys.argv[1:]
    build_warehouse(HiveStore(data), Path(state), get_stored_tables(SETTINGS), get_table_descriptions(SETTINGS))

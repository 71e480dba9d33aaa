"""A database on another machine to which a simulated installation publishes its tables."""

from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from tiktok_assets.defs.table_catalog import list_tables_to_publish
from tiktok_assets.publish.duckdb_file import DuckDBDestination
from tiktok_assets.publish.publisher import publish_tables
from tiktok_assets.session import open_store
from tiktok_assets.settings import Settings
from tiktok_assets_tests.simulation.process import current_process

SCHEMA = "tiktok"

Totals = dict[tuple[str, ...], tuple[int, Decimal]]
"""By partition the number of its rows and the sum of its spend; without those that have no row."""


class SimulatedDatabase(DuckDBDestination):
    """A DuckDB file; the process that publishes may be killed before each of its statements."""

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows, or die before it."""
        _reach_statement()
        return super().query(statement, parameters)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Execute a statement, or die before it."""
        _reach_statement()
        super().execute(statement, parameters)

    def insert(self, table: str, rows: pl.DataFrame) -> None:
        """Insert rows, or die before it."""
        _reach_statement()
        super().insert(table, rows)


def _reach_statement() -> None:
    if process := current_process():
        process.reach("statement")


def publish(settings: Settings, file: Path) -> list[str]:
    """Publish the stored tables with the product's own functions, and return what could not be published."""
    tables = list_tables_to_publish(settings, open_store(settings))
    with closing(SimulatedDatabase(file, SCHEMA)) as database:
        return publish_tables(tables, database).failures


def sum_published(file: Path, table: str, keys: Sequence[str], *, has_spend: bool) -> Totals:
    """Count the rows of each partition in the database, and sum their spend, with SQL of our own."""
    columns = [f"{key}::VARCHAR" for key in keys]
    spend = "sum(spend)" if has_spend else "0"
    query = f"SELECT {', '.join([*columns, 'count(*)', spend])} FROM {SCHEMA}.{table} GROUP BY ALL"  # noqa: S608
    with duckdb.connect(str(file), read_only=True) as connection:
        rows = connection.execute(query).fetchall()
    return {tuple(row[:-2]): (row[-2], Decimal(row[-1] or 0)) for row in rows if row[-2]}


def sum_stored(folder: Path) -> tuple[tuple[str, ...], Totals, bool]:
    """Read the files of a table, and return its partition columns, the same figures, and whether it has spend."""
    keys: tuple[str, ...] = ()
    totals: Totals = {}
    has_spend = False
    for path in folder.rglob("part-0.parquet"):
        parts = [part.partition("=") for part in path.relative_to(folder).parts[:-1]]
        keys = tuple(name for name, _, _ in parts)
        rows = pl.read_parquet(path, hive_partitioning=False)
        has_spend = has_spend or "spend" in rows.columns
        if rows.height:
            spend = rows.get_column("spend").sum() if "spend" in rows.columns else 0
            totals[tuple(value for _, _, value in parts)] = rows.height, Decimal(spend or 0)
    return keys, totals, has_spend

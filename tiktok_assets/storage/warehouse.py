"""`warehouse.duckdb`: every table and mart in one file an analyst opens, built beside and put in place whole."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import duckdb
from polars.exceptions import PolarsError

from tiktok_assets.spec.columns import Column
from tiktok_assets.storage import dbt_views, marts
from tiktok_assets.storage.hive_parquet import HiveStore, StoreError
from tiktok_assets.storage.views import Tables, View, literal
from tiktok_assets.storage.whole_file import cannot_build, put_whole
from tiktok_assets.tables import schema_of

FILE_NAME = "warehouse.duckdb"


@dataclass(frozen=True, slots=True)
class Built:
    """The file that now stands: where, its bytes, and the rows of each table."""

    path: str
    bytes: int
    rows: Mapping[str, int]


SCHEMAS = (marts.SCHEMA, dbt_views.SCHEMA, dbt_views.AD_REPORTING)


def views_of(tables: Tables) -> list[View]:
    """The views of a warehouse with these tables, each after those it reads."""
    return [*marts.marts(tables), *dbt_views.dbt_views(tables)]


def build_warehouse(
    store: HiveStore, state_dir: Path, tables: Tables, meanings: Mapping[str, str] | None = None
) -> Built:
    """Fill a new file with every table and replace the old one; a reader may hold the old one open.

    Args:
        store: the tables on disk.
        state_dir: local folder in which the file is built.
        tables: the columns of each, by name; a table nobody materialized yet is there without rows.
        meanings: one sentence on a table, by its name.

    Raises:
        StoreError: if the file cannot be built or put in place.
    """
    building = state_dir / f"{uuid4().hex}.{FILE_NAME}"
    target = store.base / FILE_NAME
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(building)) as connection:
            rows = {
                name: _fill(connection, store, name, columns, building.with_suffix(".parquet"))
                for name, columns in tables.items()
            }
            _describe(connection, tables, meanings or {})
        size = building.stat().st_size
        put_whole(building.read_bytes(), target)  # it may lie on another file system
    except (OSError, duckdb.Error, PolarsError) as error:
        raise StoreError(cannot_build(target, error)) from error
    finally:
        with suppress(OSError):  # what went wrong before must not be hidden
            building.unlink()
    return Built(str(target), size, rows)


def _fill(
    connection: duckdb.DuckDBPyConnection,
    store: HiveStore,
    name: str,
    columns: Sequence[Column],
    passing: Path,
) -> int:
    """One table by way of one Parquet file: Polars opens thousands of small files much faster than DuckDB."""
    try:
        store.scan(name, schema_of(columns)).sink_parquet(passing, compression="lz4")
        connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM read_parquet(?)', [str(passing)])  # noqa: S608
    finally:
        passing.unlink(missing_ok=True)
    counted = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608 - names are ours
    return int(counted[0]) if counted else 0


def _describe(connection: duckdb.DuckDBPyConnection, tables: Tables, meanings: Mapping[str, str]) -> None:
    """Say what each table and column means, and add the views."""
    statements = [f'COMMENT ON TABLE "{name}" IS {literal(meanings[name])}' for name in tables if name in meanings]
    statements += [
        f'COMMENT ON COLUMN "{name}"."{column.name}" IS {literal(column.meaning)}'
        for name, columns in tables.items()
        for column in columns
    ]
    statements += [f"CREATE SCHEMA {name}" for name in SCHEMAS]
    for view in views_of(tables):
        statements += view.statements
    # One transaction: each statement by itself would be written to disk by itself.
    connection.execute(";\n".join(["BEGIN", *statements, "COMMIT"]))

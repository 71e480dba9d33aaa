"""Build `warehouse.duckdb`: all tables and views in one file for analysts, replaced atomically.

The file is updated from its previous version with the partition files that changed since. It is built from scratch
if there is no previous version, if its content is not what this machine wrote, if tables or views have changed, or
if it has grown too large for its rows.
"""

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import msgspec
from polars.exceptions import PolarsError
from upath import UPath

from tiktok_assets.file_permissions import create_private_folder
from tiktok_assets.storage import dbt_staging_views, dbt_views, marts
from tiktok_assets.storage.duckdb_loading import (
    FILES_COLUMNS,
    FILES_MEANING,
    FILES_TABLE,
    LANDING_PAGES_COLUMNS,
    LANDING_PAGES_MEANING,
    LANDING_PAGES_TABLE,
    LoadResult,
    create_tables,
    update_tables,
)
from tiktok_assets.storage.files import describe_build_failure, move_atomically, write_atomically
from tiktok_assets.storage.parquet_store import HiveStore, StoreError
from tiktok_assets.storage.views import Tables, View, sql_literal

WAREHOUSE_FILE_NAME = "warehouse.duckdb"
BUILD_RECORD_FILE_NAME = "warehouse.json"
_BUILD_FOLDER_PREFIX = "warehouse-"
_ABANDONED_AFTER_SECONDS = 24 * 3600
_MAX_GROWTH = 1.5
_SMALL_BYTES = 16_000_000
_MEMORY_LIMIT = "512MB"  # for a file of any size; DuckDB spills the rest to disk

SCHEMAS = (marts.MARTS_SCHEMA, dbt_staging_views.DBT_SCHEMA, dbt_views.AD_REPORTING_SCHEMA)
"""The schemas of the views."""


@dataclass(frozen=True, slots=True)
class BuiltWarehouse:
    """The result of a build.

    Attributes:
        path: the path of the file.
        bytes: the size of the file.
        rows: the number of rows of each table.
        files: the number of Parquet files the tables are loaded from.
        loaded: how many of them this build loaded.
        seconds: the duration of the build.
    """

    path: str
    bytes: int
    rows: Mapping[str, int]
    files: int
    loaded: int
    seconds: float


class _BuildRecord(
    msgspec.Struct, frozen=True, rename={"definition_sha256": "made_as", "bytes_per_row": "bytes_a_row"}
):
    """The record of the file this machine built last, stored as `warehouse.json` in the state folder.

    Attributes:
        sha256: the hash of the file's content.
        definition_sha256: the hash of DuckDB's version and the definitions of tables and views.
        bytes_per_row: the file's size per row when it was last built from scratch; rows that are deleted later
            leave unused space in the file.
    """

    sha256: str
    definition_sha256: str
    bytes_per_row: float


def build_views(tables: Tables) -> list[View]:
    """Return the views of a warehouse with these tables, each after those it selects from."""
    return [*marts.build_marts(tables), *dbt_views.build_dbt_views(tables)]


def build_warehouse(
    store: HiveStore, state_dir: Path, tables: Tables, meanings: Mapping[str, str] | None = None
) -> BuiltWarehouse:
    """Build the warehouse file from the stored tables; readers can keep the previous file open.

    Args:
        store: the stored tables.
        state_dir: the local folder in which the file is built, and that contains the build record.
        tables: the columns of each table; a table that was not materialized yet is created without rows.
        meanings: the meaning of each table, for its comment.

    Raises:
        StoreError: if the file cannot be built or replaced.
    """
    started = time.monotonic()
    target, record_file = store.base / WAREHOUSE_FILE_NAME, state_dir / BUILD_RECORD_FILE_NAME
    definitions = _definition_statements(tables, meanings or {})
    definition_sha256 = hashlib.sha256(msgspec.json.encode([duckdb.__version__, tables, definitions])).hexdigest()
    try:
        with _open_build_folder(state_dir) as folder:
            file = folder / WAREHOUSE_FILE_NAME
            previous = _load_previous_build(target, file, record_file, definition_sha256)
            result = _update_previous_build(file, store, tables, previous) if previous else None
            if previous is None or result is None:
                file.unlink(missing_ok=True)
                previous, result = None, _build_from_scratch(file, store, tables, definitions)
            size = file.stat().st_size
            if previous is None or result.loaded or result.removed:
                bytes_per_row = previous.bytes_per_row if previous else size / max(1, sum(result.rows.values()))
                record = _BuildRecord(_sha256(file), definition_sha256, bytes_per_row)
                move_atomically(file, target)
                write_atomically(msgspec.json.encode(record), UPath(record_file))
    except (OSError, duckdb.Error, PolarsError) as error:
        raise StoreError(describe_build_failure(target, error)) from error
    return BuiltWarehouse(str(target), size, result.rows, result.files, result.loaded, time.monotonic() - started)


@contextmanager
def _open_build_folder(state_dir: Path) -> Iterator[Path]:
    """Create a temporary folder to build in, after deleting those older than a day from killed processes."""
    create_private_folder(state_dir)
    for folder in state_dir.glob(f"{_BUILD_FOLDER_PREFIX}*"):
        with suppress(OSError):  # its process has deleted it meanwhile
            if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(folder)
    with TemporaryDirectory(prefix=_BUILD_FOLDER_PREFIX, dir=state_dir) as created:
        yield Path(created)


def _load_previous_build(
    target: UPath, copy: Path, record_file: Path, definition_sha256: str
) -> _BuildRecord | None:
    """Copy the existing file and return its build record, if this machine wrote it with the same definitions."""
    try:
        record = msgspec.json.decode(record_file.read_bytes(), type=_BuildRecord)
        if record.definition_sha256 != definition_sha256:
            return None
        if isinstance(target, Path):
            shutil.copyfile(str(target), copy)
        else:
            target.fs.get_file(target.path, str(copy))
        return record if _sha256(copy) == record.sha256 else None
    except (OSError, ValueError, msgspec.MsgspecError):  # ValueError: a record that is not text
        return None


def _update_previous_build(
    file: Path, store: HiveStore, tables: Tables, previous: _BuildRecord
) -> LoadResult | None:
    """Update a copy of the previous file; None if that fails, or if the file is too large for its rows."""
    try:
        with duckdb.connect(str(file), config={"memory_limit": _MEMORY_LIMIT}) as connection:
            result = _load_in_one_transaction(connection, store, tables, [])
    except duckdb.Error:
        return None
    max_bytes = _SMALL_BYTES + _MAX_GROWTH * previous.bytes_per_row * sum(result.rows.values())
    return result if file.stat().st_size <= max_bytes else None


def _build_from_scratch(file: Path, store: HiveStore, tables: Tables, definitions: list[str]) -> LoadResult:
    with duckdb.connect(str(file), config={"memory_limit": _MEMORY_LIMIT}) as connection:
        create_tables(connection, tables)
        return _load_in_one_transaction(connection, store, tables, definitions)


def _load_in_one_transaction(
    connection: duckdb.DuckDBPyConnection, store: HiveStore, tables: Tables, definitions: list[str]
) -> LoadResult:
    """Load all tables in one transaction, because DuckDB writes every transaction to disk separately."""
    connection.execute("BEGIN")
    result = update_tables(connection, store, tables)
    connection.execute(";\n".join([*definitions, "COMMIT"]))
    return result


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _definition_statements(tables: Tables, meanings: Mapping[str, str]) -> list[str]:
    """Return the SQL statements that comment tables and columns, and create the views."""
    stored_tables = {f'"{name}"': (meanings.get(name), columns) for name, columns in tables.items()}
    own_tables = {
        FILES_TABLE: (FILES_MEANING, FILES_COLUMNS),
        LANDING_PAGES_TABLE: (LANDING_PAGES_MEANING, LANDING_PAGES_COLUMNS),
    }
    statements = []
    for name, (meaning, columns) in {**stored_tables, **own_tables}.items():
        if meaning:
            statements.append(f"COMMENT ON TABLE {name} IS {sql_literal(meaning)}")
        statements += [f'COMMENT ON COLUMN {name}."{one.name}" IS {sql_literal(one.meaning)}' for one in columns]
    statements += [f"CREATE SCHEMA {name}" for name in SCHEMAS]
    for view in build_views(tables):
        statements += view.statements
    return statements

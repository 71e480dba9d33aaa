"""`warehouse.duckdb`: every table and mart in one file an analyst opens, built beside and put in place whole.

It is built from the one before and the partition files that changed since, or from nothing: if there is none, if
it is not byte for byte as this machine left it, if what the tables are made as is another, or if it has grown.
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
from tiktok_assets.storage import dbt_views, marts, warehouse_loading
from tiktok_assets.storage.files import describe_build_failure, move_atomically, write_atomically
from tiktok_assets.storage.hive_store import HiveStore, StoreError
from tiktok_assets.storage.views import Tables, View, sql_literal
from tiktok_assets.storage.warehouse_loading import (
    FILES_COLUMNS,
    FILES_MEANING,
    FILES_TABLE,
    LoadResult,
    create_tables,
    update_tables,
)

WAREHOUSE_FILE_NAME = "warehouse.duckdb"
BUILD_RECORD_FILE_NAME = "warehouse.json"
_BUILD_FOLDER_PREFIX = "warehouse-"
_ABANDONED_AFTER_SECONDS = 24 * 3600
_MAX_GROWTH = 1.5
_SMALL_BYTES = 16_000_000
_MEMORY_LIMIT = "512MB"  # whatever the file's size: what does not fit waits beside it on the disk


@dataclass(frozen=True, slots=True)
class BuiltWarehouse:
    """The file that now stands.

    Attributes:
        path: where.
        bytes: its size.
        rows: of each table.
        files: how many Parquet files are behind it.
        loaded: how many of them were read now.
        seconds: that it took.
    """

    path: str
    bytes: int
    rows: Mapping[str, int]
    files: int
    loaded: int
    seconds: float


class _BuildRecord(msgspec.Struct, frozen=True):
    """What this machine knows of the file it put in place last.

    Attributes:
        sha256: of its bytes.
        made_as: of everything its tables and views were made by.
        bytes_a_row: when it was last built from nothing; what is deleted later leaves holes.
    """

    sha256: str
    made_as: str
    bytes_a_row: float


SCHEMAS = (marts.MARTS_SCHEMA, dbt_views.DBT_SCHEMA, dbt_views.AD_REPORTING_SCHEMA)


def build_views(tables: Tables) -> list[View]:
    """The views of a warehouse with these tables, each after those it reads."""
    return [*marts.build_marts(tables), *dbt_views.build_dbt_views(tables)]


def build_warehouse(
    store: HiveStore, state_dir: Path, tables: Tables, meanings: Mapping[str, str] | None = None
) -> BuiltWarehouse:
    """Have the file hold every table as it is stored now; a reader may hold the old one open.

    Args:
        store: the tables on disk.
        state_dir: local folder in which the file is built, and where it is noted how it was left.
        tables: the columns of each, by name; a table nobody materialized yet is there without rows.
        meanings: one sentence on a table, by its name.

    Raises:
        StoreError: if the file cannot be built or put in place.
    """
    began = time.monotonic()
    target, seal_file = store.base / WAREHOUSE_FILE_NAME, state_dir / BUILD_RECORD_FILE_NAME
    described = _describe_statements(tables, meanings or {})
    made_as = hashlib.sha256(msgspec.json.encode([duckdb.__version__, tables, described])).hexdigest()
    try:
        with _open_build_folder(state_dir) as room:
            building = room / WAREHOUSE_FILE_NAME
            before = _load_previous_build(target, building, seal_file, made_as)
            brought = _update_previous_build(building, store, tables, before) if before else None
            if before is None or brought is None:
                building.unlink(missing_ok=True)
                before, brought = None, _build_from_scratch(building, store, tables, described)
            size = building.stat().st_size
            if before is None or brought.loaded or brought.removed:
                bytes_a_row = before.bytes_a_row if before else size / max(1, sum(brought.rows.values()))
                seal = _BuildRecord(_sha256(building), made_as, bytes_a_row)
                move_atomically(building, target)
                write_atomically(msgspec.json.encode(seal), UPath(seal_file))
    except (OSError, duckdb.Error, PolarsError) as error:
        raise StoreError(describe_build_failure(target, error)) from error
    return BuiltWarehouse(str(target), size, brought.rows, brought.files, brought.loaded, time.monotonic() - began)


@contextmanager
def _open_build_folder(state_dir: Path) -> Iterator[Path]:
    """A folder to build in; what a killed process left a day ago is removed."""
    create_private_folder(state_dir)
    for left in state_dir.glob(f"{_BUILD_FOLDER_PREFIX}*"):
        with suppress(OSError):  # its owner has removed it meanwhile
            if time.time() - left.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(left)
    with TemporaryDirectory(prefix=_BUILD_FOLDER_PREFIX, dir=state_dir) as room:
        yield Path(room)


def _load_previous_build(target: UPath, copy: Path, seal_file: Path, made_as: str) -> _BuildRecord | None:
    """The seal of the file that stands, copied, if this machine put it there and it is to be made alike."""
    try:
        seal = msgspec.json.decode(seal_file.read_bytes(), type=_BuildRecord)
        if seal.made_as != made_as:
            return None
        if isinstance(target, Path):
            shutil.copyfile(str(target), copy)
        else:
            target.fs.get_file(target.path, str(copy))
        return seal if _sha256(copy) == seal.sha256 else None
    except (OSError, ValueError, msgspec.MsgspecError):  # ValueError: a seal that is no text
        return None


def _update_previous_build(
    building: Path, store: HiveStore, tables: Tables, before: _BuildRecord
) -> LoadResult | None:
    """The file before brought up to date; None if it cannot be, or has grown too large for its rows."""
    try:
        with duckdb.connect(str(building), config={"memory_limit": _MEMORY_LIMIT}) as connection:
            brought = _load_in_one_transaction(connection, store, tables, [])
    except duckdb.Error:
        return None
    most = _SMALL_BYTES + _MAX_GROWTH * before.bytes_a_row * sum(brought.rows.values())
    return brought if building.stat().st_size <= most else None


def _build_from_scratch(building: Path, store: HiveStore, tables: Tables, described: list[str]) -> LoadResult:
    with duckdb.connect(str(building), config={"memory_limit": _MEMORY_LIMIT}) as connection:
        create_tables(connection, tables)
        return _load_in_one_transaction(connection, store, tables, described)


def _load_in_one_transaction(
    connection: duckdb.DuckDBPyConnection, store: HiveStore, tables: Tables, described: list[str]
) -> LoadResult:
    """One transaction: each statement by itself would be written to disk by itself."""
    connection.execute("BEGIN")
    brought = update_tables(connection, store, tables)
    connection.execute(";\n".join([*described, "COMMIT"]))
    return brought


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _describe_statements(tables: Tables, meanings: Mapping[str, str]) -> list[str]:
    """Statements that say what each table and column means, and add the views."""
    named = {f'"{name}"': (meanings.get(name), columns) for name, columns in tables.items()}
    ours = {
        FILES_TABLE: (FILES_MEANING, FILES_COLUMNS),
        warehouse_loading.LANDING_PAGES_TABLE: (
            warehouse_loading.LANDING_PAGES_MEANING,
            warehouse_loading.LANDING_PAGES_COLUMNS,
        ),
    }
    statements = []
    for name, (meaning, columns) in {**named, **ours}.items():
        if meaning:
            statements.append(f"COMMENT ON TABLE {name} IS {sql_literal(meaning)}")
        statements += [f'COMMENT ON COLUMN {name}."{one.name}" IS {sql_literal(one.meaning)}' for one in columns]
    statements += [f"CREATE SCHEMA {name}" for name in SCHEMAS]
    for view in build_views(tables):
        statements += view.statements
    return statements

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

from tiktok_assets.owner_only import create_folder
from tiktok_assets.storage import dbt_views, marts, web_addresses
from tiktok_assets.storage.hive_parquet import HiveStore, StoreError
from tiktok_assets.storage.views import Tables, View, literal
from tiktok_assets.storage.warehouse_rows import (
    FILES,
    FILES_COLUMNS,
    FILES_MEANING,
    Brought,
    bring_up,
    create_tables,
)
from tiktok_assets.storage.whole_file import cannot_build, move_whole, put_whole

FILE_NAME = "warehouse.duckdb"
SEAL_NAME = "warehouse.json"
_BUILDING = "warehouse-"
_ABANDONED_AFTER_SECONDS = 24 * 3600
_MOST_GROWTH = 1.5
_SMALL_BYTES = 16_000_000
_MEMORY = "512MB"  # whatever the file's size: what does not fit waits beside it on the disk


@dataclass(frozen=True, slots=True)
class Built:
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


class _Seal(msgspec.Struct, frozen=True):
    """What this machine knows of the file it put in place last.

    Attributes:
        sha256: of its bytes.
        made_as: of everything its tables and views were made by.
        bytes_a_row: when it was last built from nothing; what is deleted later leaves holes.
    """

    sha256: str
    made_as: str
    bytes_a_row: float


SCHEMAS = (marts.SCHEMA, dbt_views.SCHEMA, dbt_views.AD_REPORTING)


def views_of(tables: Tables) -> list[View]:
    """The views of a warehouse with these tables, each after those it reads."""
    return [*marts.marts(tables), *dbt_views.dbt_views(tables)]


def build_warehouse(
    store: HiveStore, state_dir: Path, tables: Tables, meanings: Mapping[str, str] | None = None
) -> Built:
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
    target, seal_file = store.base / FILE_NAME, state_dir / SEAL_NAME
    described = _descriptions(tables, meanings or {})
    made_as = hashlib.sha256(msgspec.json.encode([duckdb.__version__, tables, described])).hexdigest()
    try:
        with _room(state_dir) as room:
            building = room / FILE_NAME
            before = _before(target, building, seal_file, made_as)
            brought = _continued(building, store, tables, before) if before else None
            if before is None or brought is None:
                building.unlink(missing_ok=True)
                before, brought = None, _from_nothing(building, store, tables, described)
            size = building.stat().st_size
            if before is None or brought.loaded or brought.removed:
                bytes_a_row = before.bytes_a_row if before else size / max(1, sum(brought.rows.values()))
                seal = _Seal(_digest(building), made_as, bytes_a_row)
                move_whole(building, target)
                put_whole(msgspec.json.encode(seal), UPath(seal_file))
    except (OSError, duckdb.Error, PolarsError) as error:
        raise StoreError(cannot_build(target, error)) from error
    return Built(str(target), size, brought.rows, brought.files, brought.loaded, time.monotonic() - began)


@contextmanager
def _room(state_dir: Path) -> Iterator[Path]:
    """A folder to build in; what a killed process left a day ago is removed."""
    create_folder(state_dir)
    for left in state_dir.glob(f"{_BUILDING}*"):
        with suppress(OSError):  # its owner has removed it meanwhile
            if time.time() - left.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(left)
    with TemporaryDirectory(prefix=_BUILDING, dir=state_dir) as room:
        yield Path(room)


def _before(target: UPath, copy: Path, seal_file: Path, made_as: str) -> _Seal | None:
    """The seal of the file that stands, copied, if this machine put it there and it is to be made alike."""
    try:
        seal = msgspec.json.decode(seal_file.read_bytes(), type=_Seal)
        if seal.made_as != made_as:
            return None
        if isinstance(target, Path):
            shutil.copyfile(str(target), copy)
        else:
            target.fs.get_file(target.path, str(copy))
        return seal if _digest(copy) == seal.sha256 else None
    except (OSError, ValueError, msgspec.MsgspecError):  # ValueError: a seal that is no text
        return None


def _continued(building: Path, store: HiveStore, tables: Tables, before: _Seal) -> Brought | None:
    """The file before brought up to date; None if it cannot be, or has grown too large for its rows."""
    try:
        with duckdb.connect(str(building), config={"memory_limit": _MEMORY}) as connection:
            brought = _in_one(connection, store, tables, [])
    except duckdb.Error:
        return None
    most = _SMALL_BYTES + _MOST_GROWTH * before.bytes_a_row * sum(brought.rows.values())
    return brought if building.stat().st_size <= most else None


def _from_nothing(building: Path, store: HiveStore, tables: Tables, described: list[str]) -> Brought:
    with duckdb.connect(str(building), config={"memory_limit": _MEMORY}) as connection:
        create_tables(connection, tables)
        return _in_one(connection, store, tables, described)


def _in_one(
    connection: duckdb.DuckDBPyConnection, store: HiveStore, tables: Tables, described: list[str]
) -> Brought:
    """One transaction: each statement by itself would be written to disk by itself."""
    connection.execute("BEGIN")
    brought = bring_up(connection, store, tables)
    connection.execute(";\n".join([*described, "COMMIT"]))
    return brought


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _descriptions(tables: Tables, meanings: Mapping[str, str]) -> list[str]:
    """Statements that say what each table and column means, and add the views."""
    named = {f'"{name}"': (meanings.get(name), columns) for name, columns in tables.items()}
    ours = {
        FILES: (FILES_MEANING, FILES_COLUMNS),
        web_addresses.TABLE: (web_addresses.MEANING, web_addresses.COLUMNS),
    }
    statements = []
    for name, (meaning, columns) in {**named, **ours}.items():
        if meaning:
            statements.append(f"COMMENT ON TABLE {name} IS {literal(meaning)}")
        statements += [f'COMMENT ON COLUMN {name}."{one.name}" IS {literal(one.meaning)}' for one in columns]
    statements += [f"CREATE SCHEMA {name}" for name in SCHEMAS]
    for view in views_of(tables):
        statements += view.statements
    return statements

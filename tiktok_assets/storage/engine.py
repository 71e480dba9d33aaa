"""The database engine of the state: transactions one at a time, private files, columns that are all there."""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from tiktok_assets.file_permissions import create_private_file, create_private_folder, restrict_file

BUSY_TIMEOUT_SECONDS = 30
"""How long one process waits for another's transaction; each takes milliseconds."""

_RETRY_SECONDS = 0.01


def open_engine(url: sa.URL) -> sa.Engine:
    """Make an engine whose transactions come one after the other, over all processes.

    Raises:
        OSError: if SQLite's file cannot be made its owner's alone.
        sqlalchemy.exc.ArgumentError: if there is no such database.
        ImportError: if its driver is not installed.
    """
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and url.database:
        _restrict_database_files(Path(url.database))
    busy = {"timeout": BUSY_TIMEOUT_SECONDS} if is_sqlite else {}
    engine = sa.create_engine(url, connect_args=busy, hide_parameters=True, pool_pre_ping=not is_sqlite)
    if is_sqlite:
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_immediate)
    if url.get_backend_name() == "postgresql":
        sa.event.listen(engine, "begin", _begin_serialized)
    return engine


def add_missing_columns(connection: sa.Connection, tables: sa.MetaData) -> None:
    """Add the columns a database made by an earlier version lacks; they may be null, so that version goes on."""
    found = sa.inspect(connection).get_multi_columns(filter_names=list(tables.tables))
    for (_, name), columns in found.items():
        known = {column["name"] for column in columns}
        for column in tables.tables[name].columns:
            if column.name not in known:
                kind = column.type.compile(connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {column.name} {kind}")


def _restrict_database_files(database: Path) -> None:
    """Create the file before SQLite does, for its owner alone; its log and shared memory get its permissions."""
    if not database.parent.exists():
        create_private_folder(database.parent)
    create_private_file(database)
    for beside in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            restrict_file(database.with_name(f"{database.name}{beside}"))


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Leave `BEGIN` to us, and have a commit on the disk before it returns."""
    connection.isolation_level = None
    patience = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:  # another opens a new file too: for this SQLite itself does not wait
            if time.monotonic() >= patience:
                raise
            time.sleep(_RETRY_SECONDS)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=ON")  # a delivered approval code is overwritten in the file as well


_ADVISORY_LOCK_ID = 0x7469_6B74_6F6B_6173
"""The name of our lock among a database's advisory locks."""


def _begin_serialized(connection: sa.Connection) -> None:
    """As SQLite's: READ COMMITTED alone would let two transactions each miss what the other is about to write.

    A process that stops within a transaction is cut off, so that the others need not wait for it.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_SECONDS}s'")
    connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{BUSY_TIMEOUT_SECONDS // 2}s'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK_ID})")


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")

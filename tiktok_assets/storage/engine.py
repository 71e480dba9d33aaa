"""Create the SQLAlchemy engine of the state: serialized transactions, private files, and missing columns added."""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from tiktok_assets.file_permissions import create_private_file, create_private_folder, restrict_file

BUSY_TIMEOUT_SECONDS = 30
"""How long a process waits for another's transaction; each takes milliseconds."""

_RETRY_SECONDS = 0.01


def open_engine(url: sa.URL) -> sa.Engine:
    """Create an engine whose transactions are serialized over all processes.

    Raises:
        OSError: if the permissions of SQLite's file cannot be restricted to its owner.
        sqlalchemy.exc.ArgumentError: if the URL is invalid.
        ImportError: if the database's driver is not installed.
    """
    if (
        url.drivername == "postgresql"
    ):  # without a driver SQLAlchemy 2.1 looks for psycopg 3; the extra has psycopg2
        url = url.set(drivername="postgresql+psycopg2")
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and url.database:
        _restrict_database_files(Path(url.database))
    connect_args = {"timeout": BUSY_TIMEOUT_SECONDS} if is_sqlite else {}
    engine = sa.create_engine(url, connect_args=connect_args, hide_parameters=True, pool_pre_ping=not is_sqlite)
    if is_sqlite:
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_immediate)
    if url.get_backend_name() == "postgresql":
        sa.event.listen(engine, "begin", _begin_serialized)
    return engine


def create_missing_tables(connection: sa.Connection, tables: sa.MetaData) -> None:
    """Create the tables that a database lacks, and add the columns that those of an earlier version lack."""
    if connection.dialect.name == "sqlite" and _list_columns(connection, tables) == _declared_columns(tables):
        return  # one statement instead of two for each table
    tables.create_all(connection)
    add_missing_columns(connection, tables)


def _declared_columns(tables: sa.MetaData) -> dict[str, set[str]]:
    return {name: set(table.columns.keys()) for name, table in tables.tables.items()}


def _list_columns(connection: sa.Connection, tables: sa.MetaData) -> dict[str, set[str]]:
    """Return the columns of the tables that exist, by table."""
    columns: dict[str, set[str]] = {}
    if connection.dialect.name == "sqlite":
        query = (
            "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'"
        )
        for table, column in connection.exec_driver_sql(query):
            if table in tables.tables:
                columns.setdefault(table, set()).add(column)
        return columns
    existing = sa.inspect(connection).get_multi_columns(filter_names=list(tables.tables))
    return {name: {column["name"] for column in found} for (_, name), found in existing.items()}


def add_missing_columns(connection: sa.Connection, tables: sa.MetaData) -> None:
    """Add the columns that a database of an earlier version lacks.

    The columns are nullable, so that the earlier version can still write to the database.
    """
    for name, known in _list_columns(connection, tables).items():
        for column in tables.tables[name].columns:
            if column.name not in known:
                column_type = column.type.compile(connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {column.name} {column_type}")


def _restrict_database_files(database: Path) -> None:
    """Create the file before SQLite does, for its owner only; SQLite gives -wal and -shm the same permissions."""
    if not database.parent.exists():
        create_private_folder(database.parent)
    create_private_file(database)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            restrict_file(database.with_name(f"{database.name}{suffix}"))


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Disable the driver's own `BEGIN`, and make commits durable before they return."""
    connection.isolation_level = None
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except (
            sqlite3.OperationalError
        ):  # another process opens the new file too; SQLite's timeout ignores this case
            if time.monotonic() >= deadline:
                raise
            time.sleep(_RETRY_SECONDS)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=ON")  # overwrites deleted content in the file, such as approval codes


_ADVISORY_LOCK_ID = 0x7469_6B74_6F6B_6173
"""The id of the advisory lock in PostgreSQL: "tiktokas" in ASCII."""


def _begin_serialized(connection: sa.Connection) -> None:
    """Serialize transactions in PostgreSQL, as SQLite's `BEGIN IMMEDIATE` does.

    With READ COMMITTED alone, two transactions could each miss what the other is about to write. A process that
    hangs within a transaction is disconnected, so that others do not wait for it.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_SECONDS}s'")
    connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{BUSY_TIMEOUT_SECONDS // 2}s'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK_ID})")


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")

"""Publish to a DuckDB file."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from tiktok_assets.publish.destination import DestinationError, PublishedTable
from tiktok_assets.publish.sql import SqlDestination, quote_name
from tiktok_assets.publish.summaries import DUCKDB_SUMS
from tiktok_assets.storage import to_relation

NAME = "duckdb"
_ROWS = "rows_to_insert"


class DuckDBDestination(SqlDestination):
    """A schema of a DuckDB file, which is created if it does not exist.

    While the destination is open, no other process can open the file.

    Raises:
        DestinationError: if the file cannot be opened.
    """

    catalog_condition = "AND table_catalog = current_database()"

    def __init__(self, file: Path, schema: str) -> None:
        super().__init__(NAME, schema, "TIKTOK_DUCKDB_SCHEMA")
        self._file = file
        with self._explained():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = duckdb.connect(str(file))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction."""
        with self._explained():
            self._connection.execute("BEGIN")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""
        return self._connection.execute(statement, list(parameters)).fetchall()

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Execute a statement."""
        self._connection.execute(statement, list(parameters))

    def insert(self, table: str, rows: pl.DataFrame) -> None:
        """Insert rows."""
        names = ", ".join(map(quote_name, rows.columns))
        to_relation(self._connection, rows).query(
            _ROWS,
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {_ROWS}",  # noqa: S608 - quoted
        )

    def lock(self) -> None:
        """Do nothing: the file is open in this process alone."""

    def create_index(self, table: PublishedTable) -> None:
        """Do nothing: DuckDB keeps the range of values of each part of a column."""

    def comments(self, table: str) -> Mapping[str, str]:
        """Return the comments of a table and its columns."""
        rows = self.query(
            "SELECT '', comment FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = $1"
            " AND table_name = $2 UNION ALL SELECT column_name, comment FROM duckdb_columns()"
            " WHERE database_name = current_database() AND schema_name = $1 AND table_name = $2",
            [self._schema, table],
        )
        return dict(rows)

    def summary_expressions(self) -> Mapping[type[pl.DataType], str]:
        """Return the sums in the SQL of DuckDB."""
        return DUCKDB_SUMS

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of the database and the disk into one sentence."""
        try:
            yield
        except OSError as error:
            raise DestinationError(
                f"duckdb: {self._file} cannot be written: {error.strerror or error}; change TIKTOK_DUCKDB_FILE"
            ) from None
        except duckdb.Error as error:
            first = str(error).splitlines()[0].rstrip(".")
            is_locked = "lock" in first.lower()
            remedy = "close it in the other program" if is_locked else "check the disk and TIKTOK_DUCKDB_FILE"
            raise DestinationError(f"duckdb: {self._file} cannot be used ({first}); {remedy}") from None

"""The engines that laws about destinations are tested on: how each is opened, dies, is read and is changed."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import duckdb
import polars as pl

from tiktok_assets.publish.destination import Destination
from tiktok_assets.publish.duckdb_file import DuckDBDestination
from tiktok_assets.publish.postgres import PostgresDestination
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets.tables.schema import build_schema
from tiktok_assets_tests.publish.stored_rows import ADDED, COLUMNS, sort_rows

SCHEMA = "tiktok"
READ_SCHEMA = build_schema((*COLUMNS, ADDED))


class SimulatedKill(BaseException):
    """The process ends here."""


class Countdown:
    """Raises `SimulatedKill` when it has been called so often; never if the number is None."""

    def __init__(self, calls: int | None) -> None:
        self._calls = itertools.count() if calls is None else iter(range(calls))

    def __call__(self) -> None:
        """Count one step of a publication."""
        if next(self._calls, None) is None:
            raise SimulatedKill


class Engine(Protocol):
    """An empty destination of a test."""

    def open(self, dies_after: int | None = None) -> Destination:
        """Open the destination; with a number it dies after so many of its steps."""

    def read(self, table: str) -> pl.DataFrame:
        """Return the rows of a table with every column it could have, sorted; none if it does not exist."""

    def tamper(self, change: str, table: str, partition: Partition) -> None:
        """Change, remove or add one row of a daily partition, by a name of `TAMPERING`; the ledger stays."""


class _DyingDuckDB(DuckDBDestination):
    """Dies before a statement or before a commit."""

    def __init__(self, file: Path, dies_after: int | None) -> None:
        self.step = Countdown(None)
        super().__init__(file, SCHEMA)
        self.step = Countdown(dies_after)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
            self.step()

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self.step()
        return super().query(statement, parameters)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        self.step()
        super().execute(statement, parameters)

    def insert(self, table: str, rows: pl.DataFrame) -> None:
        self.step()
        super().insert(table, rows)


TAMPERING = {
    "changed": "UPDATE {table} SET spend = coalesce(spend, 0) + 0.0001 WHERE {one}",
    "renamed": "UPDATE {table} SET ad_name = 'another' WHERE {one}",
    "missing": "DELETE FROM {table} WHERE {one}",
    "doubled": "INSERT INTO {table} SELECT * FROM {table} WHERE {one}",
    "stranger": "INSERT INTO {table} (advertiser_id, date) VALUES ('9999', DATE '2026-11-01')",
}
"""Changes of a row by someone else, in SQL."""


def build_tampering(change: str, table: str, partition: Partition) -> str:
    """Return the statement that changes one row of a partition."""
    own = f"advertiser_id = '{partition.advertiser_id}' AND date = DATE '{partition.day}'"
    one = f"{own} AND ad_id = (SELECT min(ad_id) FROM {table} WHERE {own})"
    return TAMPERING[change].format(table=table, one=one)


class DuckDBEngine:
    """A DuckDB file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "destination" / "published.duckdb"

    def open(self, dies_after: int | None = None) -> Destination:
        """Open the file."""
        return _DyingDuckDB(self.file, dies_after)

    def read(self, table: str) -> pl.DataFrame:
        """Return the rows."""
        with closing(duckdb.connect(str(self.file))) as connection:
            if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [table]).fetchall():
                return pl.DataFrame(schema=READ_SCHEMA)
            found: Any = connection.sql(f'SELECT * FROM {SCHEMA}."{table}"')
            return align(pl.DataFrame(found))

    def tamper(self, change: str, table: str, partition: Partition) -> None:
        """Change a row."""
        with closing(duckdb.connect(str(self.file))) as connection:
            connection.execute(build_tampering(change, f"{SCHEMA}.{table}", partition))


def align(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows as the store has them: all columns in one order, missing ones null, and sorted."""
    typed = [
        pl.col(name).cast(kind) if name in rows.columns else pl.lit(None, kind).alias(name)
        for name, kind in READ_SCHEMA.items()
    ]
    return sort_rows(rows.select(typed))


class _DyingPostgres(PostgresDestination):
    """Dies before a statement or before a commit."""

    def __init__(self, url: str, schema: str, dies_after: int | None) -> None:
        self.step = Countdown(None)
        super().__init__(url, schema)
        self.step = Countdown(dies_after)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
            self.step()

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self.step()
        return super().query(statement, parameters)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        self.step()
        super().execute(statement, parameters)

    def insert(self, table: str, rows: pl.DataFrame) -> None:
        self.step()
        super().insert(table, rows)


class PostgresEngine:
    """A schema of a Postgres server."""

    _numbers = itertools.count()

    def __init__(self, url: str) -> None:
        self.url = url
        self.schema = f"laws_{next(self._numbers)}"

    def open(self, dies_after: int | None = None) -> Destination:
        """Open the schema."""
        return _DyingPostgres(self.url, self.schema, dies_after)

    def _execute(self, statement: str) -> tuple[list[tuple[Any, ...]], list[str]]:
        import psycopg2  # noqa: PLC0415 - of an extra

        with closing(psycopg2.connect(self.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("SET timezone TO 'Asia/Tokyo'")
            cursor.execute(statement)
            return (
                (cursor.fetchall(), [one.name for one in cursor.description]) if cursor.description else ([], [])
            )

    def read(self, table: str) -> pl.DataFrame:
        """Return the rows."""
        if self._execute(f"SELECT to_regclass('{self.schema}.{table}')")[0] == [(None,)]:
            return pl.DataFrame(schema=READ_SCHEMA)
        rows, names = self._execute(f'SELECT * FROM {self.schema}."{table}"')
        return align(pl.DataFrame(rows, {name: READ_SCHEMA[name] for name in names}, orient="row"))

    def tamper(self, change: str, table: str, partition: Partition) -> None:
        """Change a row."""
        self._execute(build_tampering(change, f"{self.schema}.{table}", partition))

"""The engines that laws about destinations are tested on: how each is opened, dies, is read and is changed."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import duckdb
import polars as pl
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog import Catalog, load_catalog

from tiktok_assets.publish.delta import DeltaDestination
from tiktok_assets.publish.destination import Destination, PublishedTable
from tiktok_assets.publish.duckdb_file import DuckDBDestination
from tiktok_assets.publish.iceberg import IcebergDestination
from tiktok_assets.publish.lake import LakeDestination, Region
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


EngineFactory = Callable[[Path], Engine]
"""Returns an engine with files of its own below a folder."""


class _DyingDuckDB(DuckDBDestination):
    """Dies before a statement that writes, or before a commit; a query before it changes nothing."""

    def __init__(self, file: Path, dies_after: int | None) -> None:
        self.step = Countdown(None)
        super().__init__(file, SCHEMA)
        self.step = Countdown(dies_after)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
            self.step()

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


class _DyingLake(LakeDestination):
    """Dies before or after a commit."""

    step = Countdown(None)

    def create(self, table: PublishedTable) -> None:
        self.step()
        super().create(table)  # type: ignore[safe-super]  # the format's, by the order of the bases
        self.step()

    def add_columns(self, table: PublishedTable, names: Sequence[str]) -> None:
        self.step()
        super().add_columns(table, names)  # type: ignore[safe-super]  # as above

    def replace(self, table: str, region: Region, rows: pl.DataFrame, number: int) -> None:
        self.step()
        super().replace(table, region, rows, number)  # type: ignore[safe-super]  # as above
        self.step()


class _DyingDelta(_DyingLake, DeltaDestination):
    """A folder of Delta tables."""


class DeltaEngine:
    """A folder of Delta tables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "delta"

    def open(self, dies_after: int | None = None) -> Destination:
        """Open the folder."""
        destination = _DyingDelta(str(self.folder))
        destination.step = Countdown(dies_after)
        return destination

    def read(self, table: str) -> pl.DataFrame:
        """Return the rows."""
        path = str(self.folder / table)
        return align(pl.read_delta(path) if DeltaTable.is_deltatable(path) else pl.DataFrame(schema=READ_SCHEMA))

    def tamper(self, change: str, table: str, partition: Partition) -> None:
        """Change a row."""
        path = str(self.folder / table)
        write_deltalake(path, change_row(change, pl.read_delta(path), partition), mode="overwrite")


class _DyingIceberg(_DyingLake, IcebergDestination):
    """A namespace of Iceberg."""


class IcebergEngine:
    """A namespace in a catalogue of SQLite."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "iceberg"

    def open(self, dies_after: int | None = None) -> Destination:
        """Open the catalogue."""
        destination = _DyingIceberg(f"sqlite:///{self.folder}/catalog.db", str(self.folder / "tables"), SCHEMA)
        destination.step = Countdown(dies_after)
        return destination

    def catalog(self) -> Catalog:
        """Open the catalogue as another program does."""
        properties = {"uri": f"sqlite:///{self.folder}/catalog.db", "warehouse": (self.folder / "tables").as_uri()}
        return load_catalog("default", type="sql", **properties)

    def read(self, table: str) -> pl.DataFrame:
        """Return the rows."""
        if not self.folder.exists() or not self.catalog().table_exists((SCHEMA, table)):
            return pl.DataFrame(schema=READ_SCHEMA)
        found = pl.from_arrow(self.catalog().load_table((SCHEMA, table)).scan().to_arrow())
        assert isinstance(found, pl.DataFrame)
        return align(found)

    def tamper(self, change: str, table: str, partition: Partition) -> None:
        """Change a row."""
        loaded = self.catalog().load_table((SCHEMA, table))
        rows = pl.from_arrow(loaded.scan().to_arrow())
        assert isinstance(rows, pl.DataFrame)
        loaded.overwrite(change_row(change, rows, partition).to_arrow())


def change_row(change: str, rows: pl.DataFrame, partition: Partition) -> pl.DataFrame:
    """Return the rows of a table with the change of `TAMPERING` in one row of a partition."""
    rows = rows.sort(rows.columns)
    is_own = pl.all_horizontal(pl.col(name) == value for name, value in partition.columns.items())
    own, others = rows.filter(is_own), rows.filter(~is_own)
    one, rest = own.head(1), own.slice(1)
    match change:
        case "changed":
            one = one.with_columns((pl.col("spend").fill_null(0) + Decimal("0.0001")).cast(pl.Decimal(18, 4)))
        case "renamed":
            one = one.with_columns(pl.lit("another").alias("ad_name"))
        case "missing":
            one = one.clear()
        case "doubled":
            one = pl.concat([one, one])
        case _:
            stranger = pl.DataFrame({"advertiser_id": ["9999"], "date": [date(2026, 11, 1)]})
            one = pl.concat([one, stranger], how="diagonal")
    return pl.concat([others, rest, one])


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

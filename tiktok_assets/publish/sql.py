"""Publish to a database with SQL and transactions: what Postgres and DuckDB have in common.

Names of tables and columns come from the declared tables and from stored files. `quote_name` quotes them; values
are passed as parameters.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import polars as pl

from tiktok_assets.publish.destination import (
    LEDGER_MEANING,
    LEDGER_MEANINGS,
    LEDGER_SCHEMA,
    LEDGER_TABLE,
    Batch,
    PublishedTable,
    TableError,
    TableLedger,
    parse_ledger,
)
from tiktok_assets.publish.summaries import Summaries, build_summary_query, parse_summaries
from tiktok_assets.storage import Partition

_LEDGER = PublishedTable(LEDGER_TABLE, LEDGER_MEANING, LEDGER_SCHEMA, LEDGER_MEANINGS, ())

_SQL_TYPES: Mapping[type[pl.DataType], str] = {
    pl.String: "TEXT",
    pl.Int64: "BIGINT",
    pl.Float64: "DOUBLE PRECISION",
    pl.Boolean: "BOOLEAN",
    pl.Date: "DATE",
    pl.Datetime: "TIMESTAMP WITH TIME ZONE",
}

_ACCEPTED_TYPES: Mapping[type[pl.DataType], frozenset[str]] = {
    pl.String: frozenset({"text", "varchar", "character varying"}),
    pl.Int64: frozenset({"bigint"}),
    pl.Float64: frozenset({"double precision", "double"}),
    pl.Boolean: frozenset({"boolean"}),
    pl.Date: frozenset({"date"}),
    pl.Datetime: frozenset({"timestamp with time zone"}),
}
"""The types of existing columns, in lower case, that hold every value exactly."""


def quote_name(name: str) -> str:
    """Return a name of a schema, table or column in quotes."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as a literal of standard SQL."""
    return "'" + text.replace("'", "''") + "'"


class SqlDestination(ABC):
    """A schema of a database that has transactions also for its schema changes.

    Args:
        name: the name of the destination.
        schema: the schema that has the tables and the ledger.
        schema_setting: the setting that names the schema, for messages.
    """

    def __init__(self, name: str, schema: str, schema_setting: str) -> None:
        self.name = name
        self._schema = schema
        self._schema_setting = schema_setting
        self._prepared: dict[str, pl.Schema] = {}

    # What differs between databases:

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Open a transaction, committed at the end; database errors become `DestinationError`."""

    @abstractmethod
    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""

    @abstractmethod
    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Execute a statement; parameters are `?`, and lists become arrays."""

    @abstractmethod
    def insert(self, table: str, rows: pl.DataFrame) -> None:
        """Insert rows into the columns of the same names; the table's name is quoted."""

    @abstractmethod
    def lock(self) -> None:
        """Prevent others from publishing until the end of the transaction."""

    @abstractmethod
    def comments(self, table: str) -> Mapping[str, str]:
        """Return the comment of the table as "" and those of its columns by name."""

    @abstractmethod
    def summary_expressions(self) -> Mapping[type[pl.DataType], str]:
        """Return the SQL of a column's sum, by type, with `{}` for the column."""

    # What is the same:

    def read_ledger(self) -> dict[str, TableLedger]:
        """Read which partitions of each table were published; empty if nothing ever was."""
        with self.transaction():
            return dict(parse_ledger(self._read_ledger_rows())) if self._columns(LEDGER_TABLE) else {}

    def _read_ledger_rows(self, condition: str = "", parameters: Sequence[Any] = ()) -> pl.DataFrame:
        columns = ("table_name", "advertiser_id", "date", "version", "file_mark", "rows")
        found = self.query(
            f"SELECT {', '.join(map(quote_name, columns))} FROM {self._quote(LEDGER_TABLE)} {condition}",  # noqa: S608
            parameters,
        )
        return pl.DataFrame(found, {name: LEDGER_SCHEMA[name] for name in columns}, orient="row")

    def publish(self, batch: Batch) -> None:
        """Publish a batch in one transaction; see `Destination`."""
        table = batch.table
        with self.transaction():
            self.lock()  # first of all: two processes cannot create one schema at the same time
            if not self._prepared:
                self.execute(f"CREATE SCHEMA IF NOT EXISTS {quote_name(self._schema)}")
                self._prepare(_LEDGER)
            keys = [change.partition.folder for change in batch.changes]
            chosen = 'WHERE table_name = ? AND "partition" IN (SELECT unnest(CAST(? AS TEXT[])))'
            ledger = parse_ledger(self._read_ledger_rows(chosen, [table.name, keys]))
            batch.require_unchanged(ledger.get(table.name, {}))
            if self._prepared.get(table.name) != table.schema:
                self._prepare(table)
            self._delete(table.name, batch.replaced)
            if batch.rows.height:
                self.insert(self._quote(table.name), batch.rows)
            self.execute(f"DELETE FROM {self._quote(LEDGER_TABLE)} {chosen}", [table.name, keys])  # noqa: S608
            if (entries := batch.ledger_rows()).height:
                self.insert(self._quote(LEDGER_TABLE), entries)
        self._prepared |= {LEDGER_TABLE: LEDGER_SCHEMA, table.name: table.schema}

    def summarize(self, table: PublishedTable) -> Summaries:
        """Summarize the rows of each partition; see `Destination`."""
        with self.transaction():
            existing = self._columns(table.name)
            if not existing:
                return {}
            self._require_types(table, existing)
            schema = pl.Schema({name: kind for name, kind in table.schema.items() if name in existing})
            found = self.query(
                build_summary_query(
                    self._quote(table.name), table.partitioned_by, schema, self.summary_expressions()
                )
            )
        return parse_summaries(found, table.partitioned_by, schema)

    def _quote(self, table: str) -> str:
        return f"{quote_name(self._schema)}.{quote_name(table)}"

    def _columns(self, table: str) -> dict[str, tuple[str, int | None, int | None]]:
        """Return type, precision and scale of the columns of a table; empty if it does not exist."""
        rows = self.query(
            "SELECT column_name, lower(data_type), numeric_precision, numeric_scale"  # noqa: S608 - no value
            " FROM information_schema.columns"
            f" WHERE table_schema = ? AND table_name = ? {self.catalog_condition}",
            [self._schema, table],
        )
        return {name: (kind, precision, scale) for name, kind, precision, scale in rows}

    catalog_condition = ""
    """What restricts `information_schema.columns` to this database."""

    def _prepare(self, table: PublishedTable) -> None:
        """Create the table or add its missing columns, and update the comments that differ."""
        existing = self._columns(table.name)
        quoted = self._quote(table.name)
        if not existing:
            columns = ", ".join(f"{quote_name(name)} {sql_type(kind)}" for name, kind in table.schema.items())
            key = ', PRIMARY KEY (table_name, "partition")' if table is _LEDGER else ""
            self.execute(f"CREATE TABLE {quoted} ({columns}{key})")
            self.create_index(table)
        self._require_types(table, existing)
        for name, kind in table.schema.items():
            if existing and name not in existing:
                self.execute(f"ALTER TABLE {quoted} ADD COLUMN {quote_name(name)} {sql_type(kind)}")
        if statements := list(_comment_statements(table, quoted, self.comments(table.name))):
            self.execute(";\n".join(statements))

    @abstractmethod
    def create_index(self, table: PublishedTable) -> None:
        """Create the index by which the rows of a partition are found, where the database needs one."""

    def _require_types(
        self, table: PublishedTable, existing: Mapping[str, tuple[str, int | None, int | None]]
    ) -> None:
        """Check that the existing columns can hold the values.

        Raises:
            TableError: with the first column that cannot.
        """
        for name, kind in table.schema.items():
            if name in existing and not _can_hold(existing[name], kind):
                raise TableError(
                    f"{self.name}: the column {self._schema}.{table.name}.{name} is {existing[name][0]}, but the"
                    f" stored values are {sql_type(kind).lower()}; rename or drop that column or table, or set"
                    f" {self._schema_setting} to another schema"
                )

    def _delete(self, table: str, partitions: Sequence[Partition]) -> None:
        quoted = self._quote(table)
        if Partition() in partitions:
            self.execute(f"DELETE FROM {quoted}")  # noqa: S608 - quoted
            return
        for columns in ({"advertiser_id"}, {"advertiser_id", "date"}):
            deleted = [one for one in partitions if one.columns.keys() == columns]
            if deleted:
                condition = " AND ".join(f"kept.{column} = gone.{column}" for column in sorted(columns))
                self.execute(
                    f"DELETE FROM {quoted} AS kept USING (SELECT unnest(CAST(? AS TEXT[])) AS advertiser_id,"  # noqa: S608
                    f" unnest(CAST(? AS DATE[])) AS date) AS gone WHERE {condition}",
                    [[one.advertiser_id for one in deleted], [one.day for one in deleted]],
                )


def sql_type(kind: pl.DataType) -> str:
    """Return the type of a column in standard SQL.

    Raises:
        TableError: if there is none.
    """
    if isinstance(kind, pl.Decimal):
        return f"NUMERIC({kind.precision}, {kind.scale})"
    if found := _SQL_TYPES.get(kind.base_type()):
        return found
    raise TableError(f"a column of the type {kind} cannot be published")


def _can_hold(existing: tuple[str, int | None, int | None], kind: pl.DataType) -> bool:
    name, precision, scale = existing
    if isinstance(kind, pl.Decimal):
        if not name.startswith(("numeric", "decimal")):
            return False
        if precision is None:  # of Postgres: holds any number exactly
            return True
        return (scale or 0) >= kind.scale and precision - (scale or 0) >= kind.precision - kind.scale
    return name in _ACCEPTED_TYPES.get(kind.base_type(), frozenset())


def _comment_statements(table: PublishedTable, quoted: str, present: Mapping[str, str]) -> Iterator[str]:
    if table.meaning and present.get("") != table.meaning:
        yield f"COMMENT ON TABLE {quoted} IS {quote_text(table.meaning)}"
    for name, meaning in table.meanings.items():
        if name in table.schema and meaning and present.get(name) != meaning:
            yield f"COMMENT ON COLUMN {quoted}.{quote_name(name)} IS {quote_text(meaning)}"

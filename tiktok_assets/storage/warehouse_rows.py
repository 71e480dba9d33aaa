"""The tables of a warehouse under construction, brought up to the files that stand now, and which those are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl

from tiktok_assets.spec.columns import Column
from tiktok_assets.storage.hive_parquet import HiveStore, Partition
from tiktok_assets.storage.web_addresses import COLUMNS, TABLE, split_landing_pages
from tiktok_assets.tables import schema_of

SCHEMA = "built_from"
FILES = f"{SCHEMA}.files"
FILES_MEANING = "The Parquet files whose rows the tables hold; the next build reads those that have changed since."
FILES_COLUMNS = (
    Column("table_name", "", "text", "the table the file is of"),
    Column("advertiser_id", "", "id", "the ad account it is of; null where one file is the whole table"),
    Column("date", "", "day", "the day it is of; null where one file is the whole account"),
    Column(
        "mark", "", "text", "what tells it from its successor; null where that is not certain: it is read again"
    ),
)
_BATCH_ROWS = 50_000

Marks = Mapping[Partition, str | None]


@dataclass(frozen=True, slots=True)
class Brought:
    """What was done: the rows of each table now, the files behind them, and how many of those were read."""

    rows: Mapping[str, int]
    files: int
    loaded: int
    removed: int


def create_tables(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Sequence[Column]]) -> None:
    """Every table without rows, and the table of the files they are from."""
    connection.execute(f"CREATE SCHEMA {SCHEMA}")
    for name, columns in {**tables, FILES: FILES_COLUMNS, TABLE: COLUMNS}.items():
        _given(connection, pl.DataFrame(schema=schema_of(columns))).create(name)


def bring_up(
    connection: duckdb.DuckDBPyConnection, store: HiveStore, tables: Mapping[str, Sequence[Column]]
) -> Brought:
    """Have each table hold the rows of the files that stand, by way of those that changed, appeared or vanished.

    The rows of a file are found by the advertiser and the day it is of, which `HiveStore.write` proved.
    """
    known = _noted_files(connection)
    standing = {name: store.marks(name) for name in tables}
    loaded = removed = 0
    for name, columns in tables.items():
        before, now = known.get(name, {}), standing[name]
        stale = [one for one, mark in before.items() if mark is None or now.get(one) != mark]
        fresh = [one for one, mark in now.items() if mark is None or before.get(one) != mark]
        _remove(connection, name, stale, everything=len(stale) == len(before))
        _load(connection, store.read(name, schema_of(columns), fresh), name)
        loaded += len(fresh)
        removed += len(stale)
    if loaded or removed:
        _note_files(connection, standing)
        if "ads" in tables:
            split_landing_pages(connection)
    rows = {name: _count(connection, name) for name in tables}
    return Brought(rows, sum(map(len, standing.values())), loaded, removed)


def _remove(
    connection: duckdb.DuckDBPyConnection, name: str, stale: Sequence[Partition], *, everything: bool
) -> None:
    if not stale:
        return
    if everything or Partition() in stale:
        connection.execute(f'DELETE FROM "{name}"')  # noqa: S608 - names are ours
        return
    for columns in ({"advertiser_id"}, {"advertiser_id", "date"}):
        gone = [one for one in stale if one.columns.keys() == columns]
        if gone:
            same = " AND ".join(f'"{name}".{column} = gone.{column}' for column in sorted(columns))
            connection.execute(
                f'DELETE FROM "{name}" USING (SELECT unnest($1::VARCHAR[]) AS advertiser_id,'  # noqa: S608 - the same
                f" unnest($2::DATE[]) AS date) AS gone WHERE {same}",
                [[one.advertiser_id for one in gone], [one.day for one in gone]],
            )


def _load(connection: duckdb.DuckDBPyConnection, rows: pl.LazyFrame, name: str) -> None:
    """Polars reads, for it opens thousands of small files much faster than DuckDB; only a batch is in memory."""
    for batch in rows.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True):
        _given(connection, batch).insert_into(name)


def _count(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    counted = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608 - the same
    return int(counted[0]) if counted else 0


def _noted_files(connection: duckdb.DuckDBPyConnection) -> Mapping[str, Marks]:
    noted: dict[str, dict[Partition, str | None]] = {}
    rows = connection.execute(f"SELECT table_name, advertiser_id, date, mark FROM {FILES}").fetchall()  # noqa: S608
    for name, owner, day, mark in rows:
        noted.setdefault(name, {})[Partition(owner, day)] = mark
    return noted


def _note_files(connection: duckdb.DuckDBPyConnection, standing: Mapping[str, Marks]) -> None:
    rows = [
        (name, one.advertiser_id, one.day, mark) for name, marks in standing.items() for one, mark in marks.items()
    ]
    connection.execute(f"DELETE FROM {FILES}")  # noqa: S608 - the same
    _given(connection, pl.DataFrame(rows, schema_of(FILES_COLUMNS), orient="row")).insert_into(FILES)


class _Stream:
    """A frame by the one way through which DuckDB takes it without pyarrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def _given(connection: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> duckdb.DuckDBPyRelation:
    """A frame as DuckDB sees it; one registered under a name would be kept until the commit."""
    stream: Any = _Stream(frame)
    return connection.from_arrow(stream)

"""Load changed partition files into the warehouse tables, and record which files they were loaded from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import can_ada
import duckdb
import polars as pl

from tiktok_assets.spec.columns import Column
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.tables.frames import build_schema

LANDING_PAGES_TABLE = "built_from.landing_pages"
LANDING_PAGES_MEANING = "Each landing page of an ad with its host and its path, as a browser reads them."
LANDING_PAGES_COLUMNS = (
    Column("landing_page_url", "", "text", "the address, as the ad has it"),
    Column("url_host", "", "text", "its host, without user and port, in ASCII; null where it has none"),
    Column("url_path", "", "text", "its path, / for the root"),
)

_HAS_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_HOST_AND_PORT = re.compile(r"[^/?#:@]+:[0-9]+(?:[/?#]|$)")
_BARE_HOST = re.compile(r"[^/?#]*\.[^/?#]*|localhost|\[.*\]")


def split_url(address: str) -> tuple[str | None, str]:
    """The host in small letters, an international one in its ASCII form, without user and port; and the path.

    An address without a scheme is what it is in the address bar, if what comes first looks like a host.

    >>> parts_of("HTTPS://me:secret@Bücher.example:8443/a?b=1")
    ('xn--bcher-kva.example', '/a')
    >>> parts_of("shop.example/a?b=1"), parts_of("mailto:me@shop.example")
    (('shop.example', '/a'), (None, '/'))
    """
    text = address.strip()
    if text.startswith("//"):
        text = f"https:{text}"
    elif not _HAS_SCHEME.match(text) or _HOST_AND_PORT.match(text):
        host = re.split(r"[/?#]", text, maxsplit=1)[0].rpartition("@")[2]
        if not _BARE_HOST.fullmatch(re.sub(r":[0-9]+$", "", host)):
            return None, "/"
        text = f"https://{text}"
    try:
        found = can_ada.parse(text)
    except ValueError:
        return None, "/"
    return (found.hostname, found.pathname or "/") if found.hostname else (None, "/")


def update_landing_pages(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring the table of landing pages up to the table of ads."""
    connection.execute(f"DELETE FROM {LANDING_PAGES_TABLE}")  # noqa: S608 - a name of ours
    found = connection.execute("SELECT DISTINCT landing_page_url FROM ads WHERE landing_page_url <> ''").fetchall()
    rows = [(address, *split_url(address)) for (address,) in found]
    if rows:
        connection.execute(
            f"INSERT INTO {LANDING_PAGES_TABLE} SELECT unnest($1::VARCHAR[]), unnest($2::VARCHAR[]), unnest($3::VARCHAR[])",
            [list(column) for column in zip(*rows, strict=True)],
        )


BUILT_FROM_SCHEMA = "built_from"
FILES_TABLE = f"{BUILT_FROM_SCHEMA}.files"
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

FileVersions = Mapping[Partition, str | None]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What was done: the rows of each table now, the files behind them, and how many of those were read."""

    rows: Mapping[str, int]
    files: int
    loaded: int
    removed: int


def create_tables(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Sequence[Column]]) -> None:
    """Every table without rows, and the table of the files they are from."""
    connection.execute(f"CREATE SCHEMA {BUILT_FROM_SCHEMA}")
    for name, columns in {
        **tables,
        FILES_TABLE: FILES_COLUMNS,
        LANDING_PAGES_TABLE: LANDING_PAGES_COLUMNS,
    }.items():
        _to_relation(connection, pl.DataFrame(schema=build_schema(columns))).create(name)


def update_tables(
    connection: duckdb.DuckDBPyConnection, store: HiveStore, tables: Mapping[str, Sequence[Column]]
) -> LoadResult:
    """Have each table hold the rows of the files that stand, by way of those that changed, appeared or vanished.

    The rows of a file are found by the advertiser and the day it is of, which `HiveStore.write` proved.
    """
    known = _read_file_versions(connection)
    standing = {name: store.marks(name) for name in tables}
    loaded = removed = 0
    for name, columns in tables.items():
        before, now = known.get(name, {}), standing[name]
        stale = [one for one, mark in before.items() if mark is None or now.get(one) != mark]
        fresh = [one for one, mark in now.items() if mark is None or before.get(one) != mark]
        _delete_rows(connection, name, stale, everything=len(stale) == len(before))
        _insert_rows(connection, store.read(name, build_schema(columns), fresh), name)
        loaded += len(fresh)
        removed += len(stale)
    if loaded or removed:
        _write_file_versions(connection, standing)
        if "ads" in tables:
            update_landing_pages(connection)
    rows = {name: _count_rows(connection, name) for name in tables}
    return LoadResult(rows, sum(map(len, standing.values())), loaded, removed)


def _delete_rows(
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


def _insert_rows(connection: duckdb.DuckDBPyConnection, rows: pl.LazyFrame, name: str) -> None:
    """Polars reads, for it opens thousands of small files much faster than DuckDB; only a batch is in memory."""
    for batch in rows.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True):
        _to_relation(connection, batch).insert_into(name)


def _count_rows(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    counted = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608 - the same
    return int(counted[0]) if counted else 0


def _read_file_versions(connection: duckdb.DuckDBPyConnection) -> Mapping[str, FileVersions]:
    noted: dict[str, dict[Partition, str | None]] = {}
    rows = connection.execute(f"SELECT table_name, advertiser_id, date, mark FROM {FILES_TABLE}").fetchall()  # noqa: S608
    for name, owner, day, mark in rows:
        noted.setdefault(name, {})[Partition(owner, day)] = mark
    return noted


def _write_file_versions(connection: duckdb.DuckDBPyConnection, standing: Mapping[str, FileVersions]) -> None:
    rows = [
        (name, one.advertiser_id, one.day, mark) for name, marks in standing.items() for one, mark in marks.items()
    ]
    connection.execute(f"DELETE FROM {FILES_TABLE}")  # noqa: S608 - the same
    _to_relation(connection, pl.DataFrame(rows, build_schema(FILES_COLUMNS), orient="row")).insert_into(
        FILES_TABLE
    )


class _ArrowStream:
    """A frame by the one way through which DuckDB takes it without pyarrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def _to_relation(connection: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> duckdb.DuckDBPyRelation:
    """A frame as DuckDB sees it; one registered under a name would be kept until the commit."""
    stream: Any = _ArrowStream(frame)
    return connection.from_arrow(stream)

"""Load changed partition files into the warehouse tables, and record which files they were loaded from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import can_ada
import duckdb
import polars as pl

from tiktok_assets.spec import Column
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables import build_schema

LANDING_PAGES_TABLE = "built_from.landing_pages"
LANDING_PAGES_MEANING = "Each landing page of an ad with its host and its path, as a browser parses its URL."
LANDING_PAGES_COLUMNS = (
    Column("landing_page_url", "", "text", "the URL as it is in the ad"),
    Column("url_host", "", "text", "the host in ASCII, without user and port; null if the URL has none"),
    Column("url_path", "", "text", "the path; / for the root"),
)

SMART_PLUS_PAGES = (
    "list_sort(list_distinct(list_filter("
    "json_extract_string(TRY_CAST(landing_page_url_list AS JSON), '$[*].landing_page_url'),"
    " lambda one: one <> '')))"
)
"""The landing pages of a Smart+ ad in the order of the alphabet, as an expression over `landing_page_url_list`."""

BUILT_FROM_SCHEMA = "built_from"
FILES_TABLE = f"{BUILT_FROM_SCHEMA}.files"
FILES_MEANING = "The Parquet files the tables were loaded from; the next build loads those that changed since."
FILES_COLUMNS = (
    Column("table_name", "", "text", "the table of the file"),
    Column("advertiser_id", "", "id", "the ad account of the file; null if one file is the whole table"),
    Column("date", "", "day", "the day of the file; null if one file is the whole account"),
    Column(
        "mark", "", "text", "the version of the file; null if it is not certain, so that the file is loaded again"
    ),
)

_HAS_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_HOST_AND_PORT = re.compile(r"[^/?#:@]+:[0-9]+(?:[/?#]|$)")
_BARE_HOST = re.compile(r"[^/?#]*\.[^/?#]*|localhost|\[.*\]")
_BATCH_ROWS = 50_000

FileVersions = Mapping[Partition, str | None]
"""The version of each partition's file; None where it is not certain."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The result of loading: the rows of each table, all files, and how many files were loaded and removed."""

    rows: Mapping[str, int]
    files: int
    loaded: int
    removed: int


def create_tables(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Sequence[Column]]) -> None:
    """Create all tables without rows, including those of file versions and landing pages."""
    connection.execute(f"CREATE SCHEMA {BUILT_FROM_SCHEMA}")
    own_tables = {FILES_TABLE: FILES_COLUMNS, LANDING_PAGES_TABLE: LANDING_PAGES_COLUMNS}
    for name, columns in {**tables, **own_tables}.items():
        to_relation(connection, pl.DataFrame(schema=build_schema(columns))).create(name)


def update_tables(
    connection: duckdb.DuckDBPyConnection, store: HiveStore, tables: Mapping[str, Sequence[Column]]
) -> LoadResult:
    """Update the tables to the existing partition files: load new and changed files, delete rows of removed ones.

    The rows of a file are identified by its advertiser and day, which `HiveStore.write` has validated.
    """
    loaded_versions = _read_file_versions(connection)
    current_versions = {name: store.file_versions(name) for name in tables}
    loaded = removed = 0
    for name, columns in tables.items():
        before, now = loaded_versions.get(name, {}), current_versions[name]
        outdated = [one for one, version in before.items() if version is None or now.get(one) != version]
        changed = [one for one, version in now.items() if version is None or before.get(one) != version]
        _delete_rows(connection, name, outdated, all_rows=len(outdated) == len(before))
        _insert_rows(connection, store.read(name, build_schema(columns), changed), name)
        loaded += len(changed)
        removed += len(outdated)
    if loaded or removed:
        _write_file_versions(connection, current_versions)
        if "ads" in tables:
            update_landing_pages(connection, tables)
    rows = {name: _count_rows(connection, name) for name in tables}
    return LoadResult(rows, sum(map(len, current_versions.values())), loaded, removed)


def _delete_rows(
    connection: duckdb.DuckDBPyConnection, name: str, partitions: Sequence[Partition], *, all_rows: bool
) -> None:
    if not partitions:
        return
    if all_rows or Partition() in partitions:
        connection.execute(f'DELETE FROM "{name}"')  # noqa: S608 - the name is from our catalogue
        return
    for columns in ({"advertiser_id"}, {"advertiser_id", "date"}):
        deleted = [one for one in partitions if one.columns.keys() == columns]
        if deleted:
            condition = " AND ".join(f'"{name}".{column} = deleted.{column}' for column in sorted(columns))
            connection.execute(
                f'DELETE FROM "{name}" USING (SELECT unnest($1::VARCHAR[]) AS advertiser_id,'  # noqa: S608 - as above
                f" unnest($2::DATE[]) AS date) AS deleted WHERE {condition}",
                [[one.advertiser_id for one in deleted], [one.day for one in deleted]],
            )


def _insert_rows(connection: duckdb.DuckDBPyConnection, rows: pl.LazyFrame, name: str) -> None:
    """Insert rows in batches; Polars reads them, because it opens thousands of small files faster than DuckDB."""
    for batch in rows.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True):
        to_relation(connection, batch).insert_into(name)


def _count_rows(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    row = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608 - as above
    return int(row[0]) if row else 0


def _read_file_versions(connection: duckdb.DuckDBPyConnection) -> Mapping[str, FileVersions]:
    versions: dict[str, dict[Partition, str | None]] = {}
    rows = connection.execute(f"SELECT table_name, advertiser_id, date, mark FROM {FILES_TABLE}").fetchall()  # noqa: S608
    for name, advertiser_id, day, version in rows:
        versions.setdefault(name, {})[Partition(advertiser_id, day)] = version
    return versions


def _write_file_versions(connection: duckdb.DuckDBPyConnection, versions: Mapping[str, FileVersions]) -> None:
    rows = [
        (name, one.advertiser_id, one.day, version)
        for name, table_versions in versions.items()
        for one, version in table_versions.items()
    ]
    connection.execute(f"DELETE FROM {FILES_TABLE}")  # noqa: S608 - as above
    to_relation(connection, pl.DataFrame(rows, build_schema(FILES_COLUMNS), orient="row")).insert_into(FILES_TABLE)


class _ArrowStream:
    """A frame as an Arrow stream, which DuckDB accepts without pyarrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def open_relation(frame: pl.DataFrame) -> duckdb.DuckDBPyRelation:
    """Return a frame as a relation of a database of its own in memory, without copying it."""
    return to_relation(duckdb.connect(), frame)


def to_relation(connection: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> duckdb.DuckDBPyRelation:
    """Return a frame as a relation of DuckDB; a registered frame would stay in memory until the commit."""
    stream: Any = _ArrowStream(frame)
    return connection.from_arrow(stream)


def update_landing_pages(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Sequence[Column]]) -> None:
    """Fill the table of landing pages from the table of ads and those of Smart+ ads, if they exist."""
    connection.execute(f"DELETE FROM {LANDING_PAGES_TABLE}")  # noqa: S608 - as above
    sources = ["SELECT landing_page_url FROM ads"] + [
        f"SELECT unnest({SMART_PLUS_PAGES}) FROM {table}"  # noqa: S608 - as above
        for table in ("smart_plus_ads", "smart_plus_ads_history")
        if table in tables
    ]
    found = " UNION ".join(sources)
    urls = connection.execute(f"SELECT * FROM ({found}) AS page (url) WHERE url <> ''").fetchall()  # noqa: S608
    rows = [(url, *split_url(url)) for (url,) in urls]
    if rows:
        connection.execute(
            f"INSERT INTO {LANDING_PAGES_TABLE}"
            " SELECT unnest($1::VARCHAR[]), unnest($2::VARCHAR[]), unnest($3::VARCHAR[])",
            [list(column) for column in zip(*rows, strict=True)],
        )


def split_url(url: str) -> tuple[str | None, str]:
    """Split a URL into host and path, as a browser parses it.

    A URL without a scheme is parsed as in an address bar, if it starts with something like a host.

    Returns:
        The host in lower case and ASCII, without user and port, or None if there is none; and the path.

    >>> split_url("HTTPS://me:secret@Bücher.example:8443/a?b=1")
    ('xn--bcher-kva.example', '/a')
    >>> split_url("shop.example/a?b=1"), split_url("mailto:me@shop.example")
    (('shop.example', '/a'), (None, '/'))
    """
    text = url.strip()
    if text.startswith("//"):
        text = f"https:{text}"
    elif not _HAS_SCHEME.match(text) or _HOST_AND_PORT.match(text):
        host = re.split(r"[/?#]", text, maxsplit=1)[0].rpartition("@")[2]
        if not _BARE_HOST.fullmatch(re.sub(r":[0-9]+$", "", host)):
            return None, "/"
        text = f"https://{text}"
    try:
        parsed = can_ada.parse(text)
    except ValueError:
        return None, "/"
    return (parsed.hostname, parsed.pathname or "/") if parsed.hostname else (None, "/")

"""Keep every version of an entity's objects that a refresh has seen, with its validity period."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.ingest.partitions import HISTORY_KEY, parse_fetched_at
from tiktok_assets.spec import (
    DELETED_SUFFIX,
    UNVERSIONED_COLUMNS,
    VERSION_COLUMNS,
    Column,
    Entity,
    history_table_name,
    to_column_name,
)
from tiktok_assets.storage import HiveStore, Partition, StoreError
from tiktok_assets.tables import INSTANT, build_schema, entity_columns

_VALIDITY_COLUMNS = ("valid_from", "valid_to", "is_current")


class HistoryError(StoreError):
    """The history of an account is lost or cannot be read; nothing was written."""


@dataclass(frozen=True, slots=True)
class HistoryUpdate:
    """An updated history: its rows and bytes, and the number of versions added."""

    table: str
    rows: int
    bytes: int
    new_versions: int


def history_columns(entity: Entity) -> tuple[Column, ...]:
    """Return the columns of an entity's history: those of the entity, then those of a version."""
    return (*entity_columns(entity), *VERSION_COLUMNS)


def update_history(
    store: HiveStore, entity: Entity, partition: Partition, snapshot: pl.DataFrame, fetched_at: datetime
) -> HistoryUpdate:
    """Add the changes of a new snapshot to the history; call it before the stored snapshot is replaced.

    A snapshot that is repeated or older than the newest version adds nothing. In a store that was written by a
    release without histories, the stored snapshot becomes the first versions.

    Args:
        store: the stored tables.
        entity: the entity of the snapshot.
        partition: the account.
        snapshot: a complete list; an object that is not in it has been deleted.
        fetched_at: when the snapshot was read, aware; new versions are valid from then on.

    Raises:
        HistoryError: if the history exists according to the snapshot's metadata but is missing, or cannot be read.
        StoreError: if the history cannot be written.
    """
    table, key = history_table_name(entity.table), to_column_name(entity.key)
    stored, new_columns = _read_versions(store, entity, partition)
    current, past = stored.filter("is_current"), stored.filter(~pl.col("is_current"))
    if new_columns:  # the file was written without these columns: filling them is no change of the object
        current = _fill_new_columns(current, _to_versions(entity, snapshot, fetched_at), key, new_columns)
    added = _find_new_versions(entity, current, snapshot, fetched_at)
    if not _is_newest(store, entity, partition, stored, fetched_at):
        added = added.clear()
    exists = store.read_metadata(table, partition) is not None
    if exists and not (added.height or new_columns):
        return HistoryUpdate(table, stored.height, store.partition_size(table, partition), 0)
    replaced = pl.col(key).is_in(added.get_column(key).implode())
    closed = current.with_columns(
        valid_to=pl.when(replaced).then(pl.lit(fetched_at, dtype=INSTANT)), is_current=~replaced
    )
    written = store.write(table, partition, pl.concat([past, closed, added]).sort(key, "valid_from"))
    return HistoryUpdate(table, written.rows, written.bytes, added.height)


def _read_versions(store: HiveStore, entity: Entity, partition: Partition) -> tuple[pl.DataFrame, list[str]]:
    """Read the stored versions; also return the names of the columns their file lacks."""
    schema = build_schema(history_columns(entity))
    table = history_table_name(entity.table)
    file = store.scan_partition(table, partition)
    snapshot_metadata = store.read_metadata(entity.table, partition)
    if file is None and snapshot_metadata and HISTORY_KEY in snapshot_metadata:
        snapshot = f"{entity.table}/{partition.folder}"
        raise HistoryError(
            f"the history {table}/{partition.folder} is missing although it was written before, according to the"
            f" metadata of {snapshot}; restore it from a backup, or remove {snapshot} to start a new history"
        )
    try:
        if file is None:
            return _build_first_versions(store, entity, partition), []
        names = file.collect_schema().names()
        lacking = [name for name in schema.names() if name not in names]
        frame = file.with_columns(pl.lit(None, dtype=schema[name]).alias(name) for name in lacking)
        return frame.select(schema.names()).collect(), [*lacking, "extra"] if lacking else []
    except (PolarsError, OSError) as error:
        raise HistoryError(
            f"the history {table}/{partition.folder} cannot be read ({type(error).__name__});"
            " restore it from a backup"
        ) from error


def _build_first_versions(store: HiveStore, entity: Entity, partition: Partition) -> pl.DataFrame:
    """Return the stored snapshot as versions; no rows if there is none or it cannot be read."""
    read_at = parse_fetched_at(store.read_metadata(entity.table, partition))
    owners = [str(partition.advertiser_id)] if read_at else []
    snapshot = store.scan(entity.table, build_schema(entity_columns(entity)), advertiser_ids=owners).collect()
    return _to_versions(entity, snapshot, read_at)


def _to_versions(entity: Entity, snapshot: pl.DataFrame, valid_from: datetime | None) -> pl.DataFrame:
    """Convert the rows of a snapshot to current versions."""
    schema = build_schema(history_columns(entity))
    status = entity.status_column
    is_deleted = (
        pl.col(status).str.ends_with(DELETED_SUFFIX).fill_null(value=False) if status else pl.lit(value=False)
    )
    return snapshot.with_columns(
        is_deleted=is_deleted,
        valid_from=pl.lit(valid_from, dtype=INSTANT),
        valid_to=pl.lit(None, dtype=INSTANT),
        is_current=pl.lit(value=True),
    ).select(schema.names())


def _find_new_versions(
    entity: Entity, current: pl.DataFrame, snapshot: pl.DataFrame, fetched_at: datetime
) -> pl.DataFrame:
    """Return new, changed and deleted objects of a snapshot as versions."""
    key = to_column_name(entity.key)
    listed = _to_versions(entity, snapshot, fetched_at)
    compared = [name for name in current.columns if name not in {*UNVERSIONED_COLUMNS, *_VALIDITY_COLUMNS}]
    if listed.select(compared).equals(current.select(compared)):  # both are sorted by key; mostly nothing changed
        return listed.clear()
    changed = listed.join(current, on=compared, how="anti", nulls_equal=True)
    deleted = (
        current.filter(~pl.col("is_deleted"))
        .join(listed, on=key, how="anti")
        .with_columns(is_deleted=pl.lit(value=True), valid_from=pl.lit(fetched_at, dtype=INSTANT))
    )
    return pl.concat([changed, deleted])


def _is_newest(
    store: HiveStore, entity: Entity, partition: Partition, stored: pl.DataFrame, fetched_at: datetime
) -> bool:
    """Return whether the new snapshot is newer than all versions and not older than the stored snapshot."""
    snapshot_at = parse_fetched_at(store.read_metadata(entity.table, partition))
    last_from, last_to = stored.select(pl.col("valid_from").max(), pl.col("valid_to").max()).row(0)
    is_newer = all(fetched_at > instant for instant in (last_from, last_to) if instant)
    return is_newer and not (snapshot_at and fetched_at < snapshot_at)


def _fill_new_columns(current: pl.DataFrame, listed: pl.DataFrame, key: str, names: list[str]) -> pl.DataFrame:
    """Fill the named columns of the current versions from the snapshot."""
    filled = current.drop(names).join(listed.select(key, *names), on=key, how="left")
    return filled.select(current.columns)

"""Keep every version of campaigns, ad groups and ads that a refresh has seen, with its validity period."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.ingest.partitions import HISTORY_KEY, parse_fetched_at
from tiktok_assets.spec.columns import Column, to_column_name
from tiktok_assets.spec.derived_tables import (
    DELETED_SUFFIX,
    UNVERSIONED_COLUMNS,
    VERSION_COLUMNS,
    history_table_name,
)
from tiktok_assets.spec.entities import Entity
from tiktok_assets.storage.hive_store import HiveStore, Partition, StoreError
from tiktok_assets.tables.frames import build_schema, entity_columns
from tiktok_assets.tables.text_columns import INSTANT

_VALIDITY_COLUMNS = ("valid_from", "valid_to", "is_current")


class HistoryError(StoreError):
    """The history of an account is lost or cannot be read; nothing was written."""


@dataclass(frozen=True, slots=True)
class HistoryUpdate:
    """A history that now stands: its rows and bytes, and how many versions came to it."""

    table: str
    rows: int
    bytes: int
    new_versions: int


def history_columns(entity: Entity) -> tuple[Column, ...]:
    """The columns of an entity's history: its own, then those of a version."""
    return (*entity_columns(entity), *VERSION_COLUMNS)


def update_history(
    store: HiveStore, entity: Entity, partition: Partition, snapshot: pl.DataFrame, fetched_at: datetime
) -> HistoryUpdate:
    """Add what a snapshot shows to the history, before the snapshot replaces the one that stands.

    A replayed snapshot and one older than the newest version add nothing. A store from before there were
    histories gives the snapshot that stands as the first versions.

    Args:
        store: what keeps.
        entity: whose versions.
        partition: of which account.
        snapshot: a complete listing; what is not in it has been deleted.
        fetched_at: when it was read, aware; its versions are valid from then on.

    Raises:
        HistoryError: if a history was begun and is missing, or cannot be read.
        StoreError: if it cannot be written.
    """
    table, key = history_table_name(entity.table), to_column_name(entity.key)
    stored, fresh_columns = _read_versions(store, entity, partition)
    current, past = stored.filter("is_current"), stored.filter(~pl.col("is_current"))
    if fresh_columns:  # the file is older than these columns: that they are filled is no change of the object
        current = _fill_new_columns(current, _to_versions(entity, snapshot, fetched_at), key, fresh_columns)
    news = _find_new_versions(entity, current, snapshot, fetched_at)
    if not _is_newest(store, entity, partition, stored, fetched_at):
        news = news.clear()
    begun = store.notes(table, partition) is not None
    if begun and not (news.height or fresh_columns):
        return HistoryUpdate(table, stored.height, store.size(table, partition), 0)
    replaced = pl.col(key).is_in(news.get_column(key).implode())
    closed = current.with_columns(
        valid_to=pl.when(replaced).then(pl.lit(fetched_at, dtype=INSTANT)), is_current=~replaced
    )
    written = store.write(table, partition, pl.concat([past, closed, news]).sort(key, "valid_from"))
    return HistoryUpdate(table, written.rows, written.bytes, news.height)


def _read_versions(store: HiveStore, entity: Entity, partition: Partition) -> tuple[pl.DataFrame, list[str]]:
    """The versions so far, and the columns their file has not yet."""
    schema = build_schema(history_columns(entity))
    table = history_table_name(entity.table)
    file = store.open(table, partition)
    standing = store.notes(entity.table, partition)
    if file is None and standing and HISTORY_KEY in standing:
        raise HistoryError(
            f"the history {table}/{partition.folder} is missing although {entity.table}/{partition.folder} says it"
            f" was begun; restore it from a backup, or remove {entity.table}/{partition.folder} to begin anew"
        )
    try:
        if file is None:
            return _build_first_versions(store, entity, partition), []
        names = file.collect_schema().names()
        fresh = [name for name in schema.names() if name not in names]
        frame = file.with_columns(pl.lit(None, dtype=schema[name]).alias(name) for name in fresh)
        return frame.select(schema.names()).collect(), [*fresh, "extra"] if fresh else []
    except (PolarsError, OSError) as error:
        raise HistoryError(
            f"the history {table}/{partition.folder} cannot be read ({type(error).__name__});"
            " restore it from a backup"
        ) from error


def _build_first_versions(store: HiveStore, entity: Entity, partition: Partition) -> pl.DataFrame:
    """The snapshot that stands, as versions; none where none stands or can be read."""
    read_at = parse_fetched_at(store.notes(entity.table, partition))
    owners = [str(partition.advertiser_id)] if read_at else []
    snapshot = store.scan(entity.table, build_schema(entity_columns(entity)), advertiser_ids=owners).collect()
    return _to_versions(entity, snapshot, read_at)


def _to_versions(entity: Entity, snapshot: pl.DataFrame, valid_from: datetime | None) -> pl.DataFrame:
    """The rows of a snapshot as current versions."""
    schema = build_schema(history_columns(entity))
    return snapshot.with_columns(
        is_deleted=pl.col("secondary_status").str.ends_with(DELETED_SUFFIX).fill_null(value=False),
        valid_from=pl.lit(valid_from, dtype=INSTANT),
        valid_to=pl.lit(None, dtype=INSTANT),
        is_current=pl.lit(value=True),
    ).select(schema.names())


def _find_new_versions(
    entity: Entity, current: pl.DataFrame, snapshot: pl.DataFrame, fetched_at: datetime
) -> pl.DataFrame:
    """What a snapshot shows for the first time, and what is in it no longer, as versions."""
    key = to_column_name(entity.key)
    listed = _to_versions(entity, snapshot, fetched_at)
    counted = [name for name in current.columns if name not in {*UNVERSIONED_COLUMNS, *_VALIDITY_COLUMNS}]
    changed = listed.join(current, on=counted, how="anti", nulls_equal=True)
    gone = (
        current.filter(~pl.col("is_deleted"))
        .join(listed, on=key, how="anti")
        .with_columns(is_deleted=pl.lit(value=True), valid_from=pl.lit(fetched_at, dtype=INSTANT))
    )
    return pl.concat([changed, gone])


def _is_newest(
    store: HiveStore, entity: Entity, partition: Partition, stored: pl.DataFrame, fetched_at: datetime
) -> bool:
    standing = parse_fetched_at(store.notes(entity.table, partition))
    began, ended = stored.select(pl.col("valid_from").max(), pl.col("valid_to").max()).row(0)
    newer = all(fetched_at > instant for instant in (began, ended) if instant)
    return newer and not (standing and fetched_at < standing)


def _fill_new_columns(current: pl.DataFrame, listed: pl.DataFrame, key: str, names: list[str]) -> pl.DataFrame:
    filled = current.drop(names).join(listed.select(key, *names), on=key, how="left")
    return filled.select(current.columns)

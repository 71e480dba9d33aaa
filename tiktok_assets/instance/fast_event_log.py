"""Store Dagster's event log in SQLite as Dagster does, but with connections that stay open."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy.pool import StaticPool

MAX_OPEN_FILES = 16
"""The most files that are kept open, by latest use: the index, and one per run that is in progress or viewed."""

PRIVATE_METHODS = ("_connect", "_event_to_row", "_initdb", "_store_asset_event", "_store_asset_event_tags")
"""Dagster's private methods that this class overrides or calls."""


class FastEventLog(SqliteEventLogStorage):
    """A faster `SqliteEventLogStorage` with the same files and tables; either class reads the other's data.

    Dagster 1.13.27 creates an engine for every statement. Each event is then compiled to SQL again, and SQLite
    checkpoints its write-ahead log whenever the last connection closes. Here one connection per file stays open;
    `make benchmark` compares both. The planned-materialization events of a new run, one per partition and table,
    arrive as a batch and are written in one transaction.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._existing_tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event, and touch the file of its run, because the run's page reloads when the file changes."""
        super().store_event(event)
        with suppress(FileNotFoundError):
            os.utime(self.path_for_shard(event.run_id))

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store asset events in one transaction per run and one for the index, and other events one by one."""
        asset_events = [e for e in events if e.is_dagster_event and e.dagster_event_type in ASSET_EVENTS]
        for run_id in dict.fromkeys(event.run_id for event in asset_events):
            self._store_asset_events([event for event in asset_events if event.run_id == run_id], run_id)
        stored = set(map(id, asset_events))
        for event in events:
            if id(event) not in stored:
                self.store_event(event)

    def _store_asset_events(self, events: Sequence[dg.EventLogEntry], run_id: str) -> None:
        rows = [self._event_to_row(event) for event in events]
        insert = SqlEventLogStorageTable.insert()
        with self.run_connection(run_id) as connection:
            connection.execute(insert, rows)
        with self.index_transaction() as connection:
            ids = [int((connection.execute(insert, row).inserted_primary_key or (0,))[0]) for row in rows]
            self._store_asset_event_tags(connection, events, ids)
            latest = {
                event.get_dagster_event().asset_key: (event, event_id)
                for event, event_id in zip(events, ids, strict=True)
            }
            for event, event_id in latest.values():
                self._store_asset_event(connection, event, event_id)
        with suppress(FileNotFoundError):
            os.utime(self.path_for_shard(run_id))

    def wipe(self) -> None:
        """Delete all events; closes the files first, because they are removed."""
        self._close()
        super().wipe()

    def has_table(self, table_name: str) -> bool:
        """Return whether the index has a table; cached, because each event calls it and no table is dropped."""
        if table_name not in self._existing_tables and super().has_table(table_name):
            self._existing_tables.add(table_name)
        return table_name in self._existing_tables

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> sa.Engine:
        if shard not in self._engines:
            engine = sa.create_engine(
                self.conn_string_for_shard(shard),
                # A connection is only used while the lock is held, so threads can share it.
                poolclass=StaticPool,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            sa.event.listen(engine, "connect", _set_synchronous_normal)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        while len(self._engines) > MAX_OPEN_FILES:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[shard]

    def dispose(self) -> None:
        """Close all files."""
        self._close()
        super().dispose()

    def _close(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _set_synchronous_normal(connection: Any, _: object) -> None:  # noqa: ANN401 - of the driver
    """Set `synchronous` to NORMAL, which skips a disk sync per transaction.

    A killed process loses no event. A power failure may lose the last ones but corrupts no file. That is
    acceptable: writes to TikTok are tracked in the state database, and stored days in the tables, not in this log.
    """
    connection.execute("PRAGMA synchronous=NORMAL")

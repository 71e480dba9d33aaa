"""Dagster's own event log in SQLite, over connections that stay open."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
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
"""Files kept open, those used last: the index, and one for each run under way or looked at."""

BATCH_SIZE_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
"""What Dagster reads: how many events of a batch it collects. Unset, it hands over each as it comes."""

EVENTS_PER_BATCH = 1000


class EventLog(SqliteEventLogStorage):
    """The files and tables of Dagster's `SqliteEventLogStorage`: either reads what the other has written.

    Dagster 1.13.27 makes an engine for every statement. Each event is then compiled to SQL anew, and SQLite folds
    its write-ahead log into the file whenever the last connection closes. Here one connection a file stays open;
    `make benchmark` shows both. The events that are planned when a run is made, one for each partition of each
    table, come together and are written together.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._there: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """What `dagster.yaml` may say: `base_dir`, by default where Dagster keeps the log of DAGSTER_HOME."""
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(  # type: ignore[override]  # Dagster's own class declares its own configuration here
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, str]
    ) -> "EventLog":
        """The event log `dagster.yaml` asks for, in every process that opens the instance."""
        os.environ.setdefault(BATCH_SIZE_VARIABLE, str(EVENTS_PER_BATCH))
        usual = Path(os.environ["DAGSTER_HOME"], "history", "runs")
        return cls(config_value.get("base_dir") or str(usual), inst_data)

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Keep an event, and touch its run's file: the page of a run looks again when that changes."""
        super().store_event(event)
        with suppress(FileNotFoundError):
            os.utime(self.path_for_shard(event.run_id))

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Keep the events of assets in one transaction for their run and one for the index, others one by one."""
        together = [one for one in events if one.is_dagster_event and one.dagster_event_type in ASSET_EVENTS]
        for run in dict.fromkeys(one.run_id for one in together):
            self._store_together([one for one in together if one.run_id == run], run)
        taken = set(map(id, together))
        for event in events:
            if id(event) not in taken:
                self.store_event(event)

    def _store_together(self, events: Sequence[dg.EventLogEntry], run: str) -> None:
        rows = [self._event_to_row(event) for event in events]
        insert = SqlEventLogStorageTable.insert()
        with self.run_connection(run) as connection:
            connection.execute(insert, rows)
        with self.index_transaction() as connection:
            ids = [int((connection.execute(insert, row).inserted_primary_key or (0,))[0]) for row in rows]
            self._store_asset_event_tags(connection, events, ids)
            newest = {one.get_dagster_event().asset_key: (one, id_) for one, id_ in zip(events, ids, strict=True)}
            for event, id_ in newest.values():
                self._store_asset_event(connection, event, id_)
        with suppress(FileNotFoundError):
            os.utime(self.path_for_shard(run))

    def wipe(self) -> None:
        """Forget everything; the files of the runs go, so none of them may be open."""
        self._close()
        super().wipe()

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table; asked with every event, and no table ever goes."""
        if table_name not in self._there and super().has_table(table_name):
            self._there.add(table_name)
        return table_name in self._there

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
                # Whoever uses a connection holds the lock, so that all threads may share it.
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
        """Close every file."""
        self._close()
        super().dispose()

    def _close(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


BatchingEventLog = EventLog
"""What the `dagster.yaml` of instances made before calls it."""


def _set_synchronous_normal(connection: Any, _: object) -> None:  # noqa: ANN401 - of the driver
    """A killed process loses nothing by it; a power cut may take the last events, and breaks no file.

    What must not be done twice is not decided by this log, and which days are there is told by the tables.
    """
    connection.execute("PRAGMA synchronous=NORMAL")

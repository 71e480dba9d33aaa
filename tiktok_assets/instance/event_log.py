"""Dagster's event log in SQLite, which writes the events Dagster hands over together in one transaction.

A run over a range plans one event for each partition of each table: eight days of 25 accounts at four levels are
800, and each by itself costs two connections and two commits.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

BATCH_SIZE_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
"""What Dagster itself reads: how many events it collects. Unset, it hands over each as it comes."""

EVENTS_A_BATCH = 1000


class BatchingEventLog(SqliteEventLogStorage):
    """The same files and tables as Dagster's own, so either can follow the other.

    Only events that Dagster knows to come together wait for each other: those planned when a run is made, and
    those of one output. What an asset reports while it works is written at once.
    """

    @classmethod
    def config_type(cls) -> Any:  # noqa: ANN401 - Dagster's own is a union
        """Nothing to set: it lives where Dagster's own would."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchingEventLog":
        """As `dagster.yaml` asks for it, in every process that opens the instance."""
        os.environ.setdefault(BATCH_SIZE_VARIABLE, str(EVENTS_A_BATCH))
        home = Path(os.environ["DAGSTER_HOME"])
        return cls(str(home / "history" / "runs"), inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events in order; those of assets in one transaction for their run and one for the index of all."""
        together = [one for one in events if one.is_dagster_event and one.dagster_event_type in ASSET_EVENTS]
        runs = {one.run_id for one in together}
        for run in runs:
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
            newest = {
                one.get_dagster_event().asset_key: (one, number) for one, number in zip(events, ids, strict=True)
            }
            for event, number in newest.values():
                self._store_asset_event(connection, event, number)

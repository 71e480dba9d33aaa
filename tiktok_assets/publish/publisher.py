"""Publish the partitions that changed since, one transaction per batch, whatever the destination is."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from tiktok_assets.publish.destination import (
    Batch,
    Change,
    Destination,
    DestinationError,
    LedgerChangedError,
    LedgerEntry,
    TableError,
    TableLedger,
)
from tiktok_assets.publish.stored_files import StoredTable, combine_rows
from tiktok_assets.storage import Partition, utc_now

MAX_BATCH_ROWS, MAX_BATCH_PARTITIONS = 50_000, 1_000
"""What one transaction takes at most: enough that its costs do not count, little enough for the memory."""

_MAX_CONFLICTS = 5
"""How often in a row a commit is refused although nobody has published anything meanwhile."""

_Forced = Mapping[str, Collection[Partition]]


@dataclass(slots=True)
class PublishResult:
    """What a publication has done.

    Attributes:
        destination: its name.
        rows: rows written, by table.
        partitions: partitions whose rows were written or deleted, by table.
        unchanged: partitions that were published before.
        seconds: the duration.
        failures: one sentence for each table or file that could not be published.
    """

    destination: str
    rows: dict[str, int] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    unchanged: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        """Count a batch that was published."""
        name = batch.table.name
        if replaced := len(batch.replaced):
            self.rows[name] = self.rows.get(name, 0) + batch.rows.height
            self.partitions[name] = self.partitions.get(name, 0) + replaced


def publish_tables(
    tables: Sequence[StoredTable],
    destination: Destination,
    *,
    again: _Forced | None = None,
    log: Callable[[str], None] = lambda _: None,
    now: Callable[[], datetime] = utc_now,
    max_rows: int = MAX_BATCH_ROWS,
    max_partitions: int = MAX_BATCH_PARTITIONS,
) -> PublishResult:
    """Publish every partition whose version does not stand in the destination's ledger.

    A partition without rows deletes its rows there, and so does one that is not stored any more. Tables that are
    not given are left alone. A table that fails does not stop the others.

    Args:
        tables: the tables in the order of publication.
        destination: where they are published.
        again: by table the partitions to publish although their version stands in the ledger.
        log: receives one line per table.
        now: the clock of the ledger.
        max_rows: about how many rows a transaction takes.
        max_partitions: how many partitions a transaction takes.

    Raises:
        DestinationError: if the destination cannot be used; what was committed before stays.
    """
    started, result = time.monotonic(), PublishResult(destination.name)
    ledger = destination.read_ledger()
    _require_store(tables, ledger, destination)
    for table in tables:
        forced = frozenset((again or {}).get(table.name, ()))
        conflicts = 0
        while True:
            plan = _Plan(table, ledger.get(table.name, {}), forced, result.failures)
            try:
                for batch in plan.batches(now, max_rows, max_partitions):
                    destination.publish(batch)
                    result.add(batch)
                break
            except TableError as error:
                result.failures.append(str(error))
                break
            except LedgerChangedError:
                before, ledger = ledger, destination.read_ledger()
                # What another process has published meanwhile is not left to do, so this ends.
                conflicts = conflicts + 1 if ledger.get(table.name) == before.get(table.name) else 0
                if conflicts == _MAX_CONFLICTS:
                    raise DestinationError(
                        f"{destination.name}: other processes publish {table.name} at the same time; publish again"
                        " when they have ended"
                    ) from None
        result.unchanged += plan.unchanged
        if table.name in result.partitions:
            log(f"{table.name}: {result.partitions[table.name]} partitions, {result.rows[table.name]} rows")
    result.failures = list(dict.fromkeys(result.failures))
    result.seconds = round(time.monotonic() - started, 2)
    return result


def _require_store(
    tables: Sequence[StoredTable], ledger: Mapping[str, TableLedger], destination: Destination
) -> None:
    """Refuse to delete everything that was published because the store is somewhere else.

    Raises:
        DestinationError: if the store has no partition at all, and the destination has some.
    """
    published = sum(len(ledger.get(table.name, ())) for table in tables)
    if published and not any(next(table.store.partitions(table.name), None) for table in tables):
        raise DestinationError(
            f"{destination.name}: {tables[0].store.base} has no tables, but {published} partitions were published;"
            " nothing was deleted there. Check TIKTOK_DATA_DIR, or delete the destination's schema"
        )


class _Plan:
    """The changes of one table: what its files say against what the ledger says.

    Attributes:
        unchanged: how many partitions need nothing.
    """

    def __init__(
        self,
        table: StoredTable,
        ledger: TableLedger,
        forced: Collection[Partition],
        failures: list[str],
    ) -> None:
        self._table, self._ledger, self._forced, self._failures = table, ledger, forced, failures
        self._schema = table.schema
        self.unchanged = 0

    def batches(self, now: Callable[[], datetime], max_rows: int, max_partitions: int) -> Iterator[Batch]:
        """Yield the batches in order: first what is not stored any more, then the files in the store's order."""
        marks = self._table.file_versions()
        changes: list[Change] = []
        frames: list[pl.DataFrame] = []
        rows = 0
        known = [*marks, *self._ledger]

        def build() -> Batch:
            described = self._table.describe(self._schema, known)
            return Batch(described, changes, combine_rows(frames, self._schema), now())

        for change, frame in self._changes(marks):
            changes.append(change)
            if frame is not None:
                frames.append(frame)
                rows += frame.height
            if rows >= max_rows or len(changes) >= max_partitions:
                yield build()
                changes, frames, rows = [], [], 0
        if changes:
            yield build()

    def _changes(self, marks: Mapping[Partition, str | None]) -> Iterator[tuple[Change, pl.DataFrame | None]]:
        """Yield each change with the rows of its file, if they are to be written."""
        for partition in sorted({*self._ledger, *self._forced} - marks.keys(), key=lambda one: one.folder):
            # A listing can be older than the ledger: what another process published since is not deleted.
            if partition not in self._ledger or self._table.read_content(partition) is None:
                yield Change(partition, self._ledger.get(partition), None), None
        for partition, mark in marks.items():
            old = self._ledger.get(partition)
            is_forced = partition in self._forced
            if old and mark and old.file_mark == mark and not is_forced:
                self.unchanged += 1
                continue
            try:
                yield from self._change_of_file(partition, mark, old, is_forced=is_forced)
            except TableError as error:
                self._failures.append(str(error))

    def _change_of_file(
        self, partition: Partition, mark: str | None, old: LedgerEntry | None, *, is_forced: bool
    ) -> Iterator[tuple[Change, pl.DataFrame | None]]:
        content = self._table.read_content(partition)
        if content is None:  # removed since it was listed; the next publication sees that
            return
        version = self._table.get_version(content)
        if old and old.version == version and not is_forced:
            self.unchanged += 1
            if mark != old.file_mark and mark:
                yield Change(partition, old, LedgerEntry(version, mark, old.rows)), None
            return
        frame = self._table.parse(partition, content, self._schema)
        self._schema = pl.Schema({**self._schema, **frame.schema})
        new = LedgerEntry(version, mark, frame.height)
        yield Change(partition, old, new, is_forced=is_forced), frame

"""Compare the stored tables with what a destination has, partition by partition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from tiktok_assets.publish.destination import Destination, PublishedTable, TableError, TableLedger
from tiktok_assets.publish.stored_files import StoredTable, combine_rows
from tiktok_assets.publish.summaries import FrameSummarizer, Summaries, Summary
from tiktok_assets.storage import Partition

_BATCH_PARTITIONS = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """A partition of which store and destination differ, or a table that cannot be compared.

    Attributes:
        table: the table.
        partition: the partition; None for the whole table, or for rows that belong to no partition.
        reason: what differs.
        is_pending: whether the ledger says that the stored version was not published yet.
    """

    table: str
    partition: Partition | None
    reason: str
    is_pending: bool = False

    def __str__(self) -> str:
        place = f"{self.table}/{self.partition.folder}" if self.partition else self.table
        return f"{place.rstrip('/')}: {self.reason}{' (not published yet)' if self.is_pending else ''}"


def compare_tables(tables: Sequence[StoredTable], destination: Destination) -> Iterator[Difference]:
    """Yield where the destination differs from the store: in rows, or in counts and sums of a column.

    Raises:
        DestinationError: if the destination cannot be used.
    """
    ledger = destination.read_ledger()
    for table in tables:
        try:
            yield from _compare_table(table, destination, ledger.get(table.name, {}))
        except TableError as error:
            yield Difference(table.name, None, str(error))


def _compare_table(table: StoredTable, destination: Destination, ledger: TableLedger) -> Iterator[Difference]:
    stored = _StoredSummaries(table)
    expected, failures = stored.read(ledger)
    yield from failures
    found = destination.summarize(stored.described)
    unreadable = {one.partition for one in failures}
    for partition in sorted(expected.keys() | found.keys(), key=lambda one: one.folder):
        if partition in unreadable:
            continue
        reason = _describe_difference(expected.get(partition), found.get(partition))
        if reason and stored.described.partitioned_by and not partition.columns:
            names = " or ".join(stored.described.partitioned_by)
            yield Difference(table.name, None, f"{reason} in rows without {names}")
        elif reason:
            yield Difference(table.name, partition, reason, partition in stored.pending)


class _StoredSummaries:
    """The summaries of a table's files.

    Attributes:
        described: the table with every column that its files have; complete after `read`.
        pending: the partitions whose stored version is not the one in the ledger.
    """

    def __init__(self, table: StoredTable) -> None:
        self._table = table
        self.pending: set[Partition] = set()
        self.described: PublishedTable = table.describe(table.schema, ())

    def read(self, ledger: TableLedger) -> tuple[Summaries, list[Difference]]:
        """Return the summaries, and one difference for each file that cannot be read."""
        table, schema = self._table, self._table.schema
        partitions = list(table.store.partitions(table.name))
        self.pending = ledger.keys() - set(partitions)
        failures: list[Difference] = []
        frames: list[pl.DataFrame] = []
        self.described = table.describe(schema, [*partitions, *ledger])
        summarizer = FrameSummarizer(self.described.partitioned_by)

        def flush() -> None:
            if frames:
                summarizer.add(combine_rows(frames, schema))
            frames.clear()

        try:
            for partition in partitions:
                try:
                    if (content := table.read_content(partition)) is None:
                        continue
                    frame = table.parse(partition, content, schema)
                except TableError as error:
                    failures.append(Difference(table.name, partition, str(error)))
                    continue
                entry = ledger.get(partition)
                if entry is None or entry.version != table.get_version(content):
                    self.pending.add(partition)
                schema = pl.Schema({**schema, **frame.schema})
                frames.append(frame)
                if len(frames) >= _BATCH_PARTITIONS:
                    flush()
            flush()
            self.described = table.describe(schema, [*partitions, *ledger])
            return summarizer.summaries, failures
        finally:
            summarizer.close()


def _describe_difference(expected: Summary | None, found: Summary | None) -> str | None:
    """Say what differs first: the number of rows, or a column; None if nothing does."""
    rows, rows_there = expected.rows if expected else 0, found.rows if found else 0
    if rows != rows_there:
        return f"{rows} rows are stored, {rows_there} are in the destination"
    if expected is None or found is None:
        return None
    for name, column in expected.columns.items():
        there = found.columns.get(name)
        if there is None:
            if column.count:
                return f"the destination has no column {name}"
        elif not column.equals(there):
            if column.count != there.count:
                return f"{column.count} values of {name} are stored, {there.count} are in the destination"
            return f"values of {name} differ: their sum is {column.total} here and {there.total} there"
    return None

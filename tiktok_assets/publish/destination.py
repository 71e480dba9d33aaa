"""Define what a destination can do, and what is published to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import polars as pl

from tiktok_assets.publish.summaries import Summaries
from tiktok_assets.storage import Partition

LEDGER_TABLE = "published_partitions"
LEDGER_MEANING = (
    "Which version of each partition of the stored tables stands here; a row is written in one transaction with"
    " the rows of its partition."
)
LEDGER_MEANINGS: Mapping[str, str] = {
    "table_name": "the table",
    "partition": "the folder of the partition below its table; empty if the table is one partition",
    "advertiser_id": "the ad account of the partition; null if the table is one partition",
    "date": "the day of the partition; null if the account is one partition",
    "version": "the first 32 digits of the SHA-256 of the partition's Parquet file",
    "file_mark": "the stored file's own mark, by which an unchanged file is known without reading it; may be null",
    "rows": "how many rows the partition has",
    "published_at": "when it was published",
}
LEDGER_SCHEMA = pl.Schema(
    {
        "table_name": pl.String(),
        "partition": pl.String(),
        "advertiser_id": pl.String(),
        "date": pl.Date(),
        "version": pl.String(),
        "file_mark": pl.String(),
        "rows": pl.Int64(),
        "published_at": pl.Datetime("us", "UTC"),
    }
)


class DestinationError(Exception):
    """A destination cannot be used or does not take a table; one sentence that says what to do."""


class TableError(DestinationError):
    """One table cannot be published, because of its columns there or of a file here; the others can."""


class LedgerChangedError(Exception):
    """Another process has published a partition since the ledger was read; nothing was written."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What the ledger says about a partition.

    Attributes:
        version: identifies the content of the file that was published.
        file_mark: the mark of that file, by which it is known without being read; None if that is not certain.
        rows: the number of its rows.
    """

    version: str
    file_mark: str | None
    rows: int


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one partition.

    Attributes:
        partition: the partition.
        old: its entry in the ledger when the change was planned; None if it was not published.
        new: its next entry; None if the partition is not stored any more.
        is_forced: whether its rows are written even if the version is the same.
    """

    partition: Partition
    old: LedgerEntry | None
    new: LedgerEntry | None
    is_forced: bool = False

    @property
    def replaces_rows(self) -> bool:
        """Whether rows are written or deleted; otherwise only the file mark in the ledger is another."""
        if self.old and self.new and not self.is_forced:
            return self.old.version != self.new.version
        return True


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table as it is published.

    Attributes:
        name: its name.
        meaning: its description, which becomes a comment; "" for none.
        schema: the type of each column.
        meanings: the description of columns, which become comments.
        partitioned_by: the columns whose values name a partition: `advertiser_id`, and `date` of a daily table.
    """

    name: str
    meaning: str
    schema: pl.Schema
    meanings: Mapping[str, str]
    partitioned_by: Sequence[str]


@dataclass(frozen=True, slots=True)
class Batch:
    """Partitions of one table that are published in one transaction.

    Attributes:
        table: the table, with every column that the rows have.
        changes: the changes of partitions.
        rows: all rows of the partitions that are written, in the order of the table's columns.
        published_at: the instant for the ledger.
    """

    table: PublishedTable
    changes: Sequence[Change]
    rows: pl.DataFrame
    published_at: datetime

    @property
    def replaced(self) -> list[Partition]:
        """The partitions whose rows are deleted before the new ones are inserted."""
        return [change.partition for change in self.changes if change.replaces_rows]

    def ledger_rows(self) -> pl.DataFrame:
        """Return the new rows of the ledger, one for each partition that is stored."""
        return pl.DataFrame(
            [
                (
                    self.table.name,
                    change.partition.folder,
                    change.partition.advertiser_id,
                    change.partition.day,
                    change.new.version,
                    change.new.file_mark,
                    change.new.rows,
                    self.published_at,
                )
                for change in self.changes
                if change.new
            ],
            LEDGER_SCHEMA,
            orient="row",
        )

    def require_unchanged(self, ledger: "TableLedger") -> None:
        """Check within the transaction that the ledger still is as it was when the changes were planned.

        Raises:
            LedgerChangedError: if not.
        """
        if any(ledger.get(change.partition) != change.old for change in self.changes):
            raise LedgerChangedError(self.table.name)


TableLedger = Mapping[Partition, LedgerEntry]
"""The published partitions of one table."""


def parse_ledger(rows: pl.DataFrame) -> dict[str, dict[Partition, LedgerEntry]]:
    """Return the ledger by table from its rows."""
    ledger: dict[str, dict[Partition, LedgerEntry]] = {}
    columns = ("table_name", "advertiser_id", "date", "version", "file_mark", "rows")
    for table, advertiser_id, day, version, mark, count in rows.select(columns).iter_rows():
        ledger.setdefault(table, {})[Partition(advertiser_id, day)] = LedgerEntry(version, mark, count)
    return ledger


class Destination(Protocol):
    """A place that holds a copy of the stored tables, and the ledger of what was published to it.

    Every method raises `DestinationError` with one sentence if the destination cannot be used.
    """

    name: str
    """Its name in TIKTOK_DESTINATIONS."""

    def read_ledger(self) -> Mapping[str, TableLedger]:
        """Read which partitions of each table were published; empty if nothing ever was."""

    def publish(self, batch: Batch) -> None:
        """Delete the old rows of the batch's partitions, insert the new ones and update the ledger, all at once.

        Missing tables and columns are added first.

        Raises:
            LedgerChangedError: if another process has published one of the partitions meanwhile.
            TableError: if a column of the destination has a type that cannot hold the values.
        """

    def summarize(self, table: PublishedTable) -> Summaries:
        """Return counts and sums of the columns for each partition that has rows; empty if there is no table.

        Raises:
            TableError: if a column of the destination has a type that cannot hold the values.
        """

    def close(self) -> None:
        """Close the connection."""

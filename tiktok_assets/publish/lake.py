"""Publish to tables of a lake, where one commit changes one table: what Delta and Iceberg have in common.

A publication makes two commits. The first writes the rows of the ledger with a random number of the batch; the
second replaces the partitions in the table and leaves the same number in the table's own metadata. A row of the
ledger counts if its number is 0, or the one that the table has. So a publication that is killed between the two
was none: its rows in the ledger do not count, and the next one removes them.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from secrets import randbelow

import polars as pl

from tiktok_assets.publish.destination import (
    LEDGER_MEANING,
    LEDGER_MEANINGS,
    LEDGER_SCHEMA,
    LEDGER_TABLE,
    Batch,
    LedgerEntry,
    PublishedTable,
    TableError,
    parse_ledger,
)
from tiktok_assets.publish.summaries import FrameSummarizer, Summaries
from tiktok_assets.storage import Partition

BATCH_PROPERTY = "tiktok_assets.batch"
_SCHEMA = pl.Schema({**LEDGER_SCHEMA, "batch": pl.Int64()})
_BATCH_MEANING = "0, or the number of the batch, which counts if it is also in the table's metadata"
_LEDGER = PublishedTable(LEDGER_TABLE, LEDGER_MEANING, _SCHEMA, {**LEDGER_MEANINGS, "batch": _BATCH_MEANING}, ())
_REMOVED = ""
"""The version of a partition that is not stored any more, until the next batch."""

Region = Sequence[Mapping[str, Sequence[str | date]]]
"""Rows, as alternatives: in each the columns have one of the given values; `[{}]` is every row."""


class LakeDestination(ABC):
    """A folder or namespace with one table of the lake for each of ours.

    Args:
        name: the name of the destination.
        setting: the setting that names the folder or namespace, for messages.
    """

    def __init__(self, name: str, setting: str) -> None:
        self.name = name
        self._setting = setting

    # What differs between formats:

    @abstractmethod
    def explained(self) -> AbstractContextManager[None]:
        """Turn errors into `DestinationError`, and a commit by another process into `LedgerChangedError`."""

    @abstractmethod
    def read_schema(self, table: str) -> pl.Schema | None:
        """Return the columns of a table; None if it does not exist."""

    @abstractmethod
    def create(self, table: PublishedTable) -> None:
        """Create a table with comments."""

    @abstractmethod
    def add_columns(self, table: PublishedTable, names: Sequence[str]) -> None:
        """Add columns with comments."""

    @abstractmethod
    def replace(self, table: str, region: Region, rows: pl.DataFrame, number: int) -> None:
        """Delete the rows of a region, insert others, and set the table's number, in one commit."""

    @abstractmethod
    def read_number(self, table: str) -> int:
        """Return the number of the last commit by `replace`; 0 if there is none."""

    @abstractmethod
    def read_rows(self, table: str) -> pl.DataFrame:
        """Read a table that exists."""

    # What is the same:

    def read_ledger(self) -> dict[str, dict[Partition, LedgerEntry]]:
        """Read which partitions of each table were published; empty if nothing ever was."""
        with self.explained():
            ledger = self._read_ledger_rows()
            names = ledger.get_column("table_name").unique()
            return parse_ledger(pl.concat([_SCHEMA.to_frame(), *(self._settle(ledger, name) for name in names)]))

    def _read_ledger_rows(self) -> pl.DataFrame:
        exists = self.read_schema(LEDGER_TABLE) is not None
        return self.read_rows(LEDGER_TABLE).select(_SCHEMA.names()) if exists else _SCHEMA.to_frame()

    def _settle(self, ledger: pl.DataFrame, table: str) -> pl.DataFrame:
        """Return the rows of the ledger that count for a table, one per partition."""
        number = self.read_number(table) if self.read_schema(table) is not None else 0
        return (
            ledger.filter(pl.col("table_name") == table, pl.col("batch").is_in([0, number]))
            .sort("batch")
            .unique("partition", keep="last")
            .filter(pl.col("version") != _REMOVED)
        )

    def publish(self, batch: Batch) -> None:
        """Publish a batch; see `Destination`."""
        table, number = batch.table, 1 + randbelow(2**53)
        with self.explained():
            settled = self._settle(self._read_ledger_rows(), table.name)
            batch.require_unchanged(parse_ledger(settled).get(table.name, {}))
            if self.read_schema(LEDGER_TABLE) is None:
                self.create(_LEDGER)
            self._prepare(table)
            replaced = batch.replaced
            new = _ledger_rows(batch, number if replaced else 0)
            kept = settled if replaced else settled.join(new, on="partition", how="anti")
            entries = pl.concat([kept.with_columns(pl.lit(0, pl.Int64).alias("batch")), new])
            self.replace(LEDGER_TABLE, [{"table_name": [table.name]}], entries, number)
            if replaced:
                self.replace(table.name, _build_region(replaced), batch.rows, number)

    def _prepare(self, table: PublishedTable) -> None:
        existing = self.read_schema(table.name)
        if existing is None:
            self.create(table)
            return
        self._require_types(table, existing)
        if missing := [name for name in table.schema if name not in existing]:
            self.add_columns(table, missing)

    def _require_types(self, table: PublishedTable, existing: pl.Schema) -> None:
        for name, kind in table.schema.items():
            if name in existing and existing[name] != kind:
                raise TableError(
                    f"{self.name}: the column {table.name}.{name} is {existing[name]}, but the stored values are"
                    f" {kind}; rename or drop that column or table, or change {self._setting}"
                )

    def summarize(self, table: PublishedTable) -> Summaries:
        """Summarize the rows of each partition; see `Destination`."""
        with self.explained():
            existing = self.read_schema(table.name)
            if existing is None:
                return {}
            self._require_types(table, existing)
            rows = self.read_rows(table.name)
        summarizer = FrameSummarizer(table.partitioned_by)
        try:
            summarizer.add(rows.select(name for name in table.schema if name in existing))
            return summarizer.summaries
        finally:
            summarizer.close()

    def close(self) -> None:  # noqa: B027 - nothing is abstract here
        """Do nothing: there is no connection."""


def _ledger_rows(batch: Batch, number: int) -> pl.DataFrame:
    """Return the new rows of the ledger, also for partitions that are not stored any more."""
    removed = pl.DataFrame(
        [
            (
                batch.table.name,
                change.partition.folder,
                change.partition.advertiser_id,
                change.partition.day,
                _REMOVED,
                None,
                0,
                batch.published_at,
            )
            for change in batch.changes
            if change.new is None
        ],
        LEDGER_SCHEMA,
        orient="row",
    )
    return pl.concat([batch.ledger_rows(), removed]).with_columns(pl.lit(number, pl.Int64).alias("batch"))


def _build_region(partitions: Sequence[Partition]) -> Region:
    """Return the rows of partitions, with the days of one account together."""
    if Partition() in partitions:
        return [{}]
    days: dict[str, list[date]] = {}
    accounts = [one.advertiser_id for one in partitions if one.advertiser_id and one.day is None]
    for one in partitions:
        if one.advertiser_id and one.day:
            days.setdefault(one.advertiser_id, []).append(one.day)
    region: list[Mapping[str, Sequence[str | date]]] = [{"advertiser_id": accounts}] if accounts else []
    for owner, own in days.items():
        region.append({"advertiser_id": [owner], "date": own})
    return region

"""A small store for tests of destinations: three tables, each partitioned in another way, with all types."""

import random
import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl

from tiktok_assets.publish.stored_files import StoredTable
from tiktok_assets.spec.columns import Column
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.schema import build_schema

COLUMNS = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("ad_id", "", "id", "the ad, as 'text' with a quote"),
    Column("ad_name", "", "text", "its name"),
    Column("date", "", "day", "the account's day"),
    Column("spend", "", "money", "what was spent"),
    Column("clicks", "", "count", "how many clicks"),
    Column("ctr", "", "rate", "clicks per impression"),
    Column("fetched_at", "", "instant", "when it was read"),
    Column("is_complete", "", "flag", "whether the day is over"),
)
ADDED = Column("reach", "", "count", "a metric that was added later")
NAMES = (
    "",
    None,
    "\\N",
    "\\.",
    '"',
    "a\nb",
    "a\rb",
    "\r\n",
    " x ",
    "a,b",
    "\t",
    "\u2028",
    "\U0001f600",
    "{}",
    "NULL",
)
TABLES = ("advertisers", "ads", "ad_report_daily")
OWNERS = ("7001", "7002", "7003")
DAYS = (date(2026, 11, 1), date(2026, 11, 2))
PARTITIONS: dict[str, Sequence[Partition]] = {
    "advertisers": [Partition()],
    "ads": [Partition(owner) for owner in OWNERS],
    "ad_report_daily": [Partition(owner, day) for owner in OWNERS for day in DAYS],
}


def build_rows(partition: Partition, rows: int, seed: int, *, has_added: bool = False) -> pl.DataFrame:
    """Build random rows of a partition, with amounts of eighteen digits, nulls and awkward names."""
    chance = random.Random(f"{partition.folder} {seed}")  # noqa: S311 - repeatable rows
    values = [
        (
            partition.advertiser_id or OWNERS[number % len(OWNERS)],
            str(10**18 + chance.randrange(10**6)),
            chance.choice(NAMES),
            partition.day or DAYS[0],
            chance.choice([None, Decimal(chance.randrange(-(10**18) + 1, 10**18)).scaleb(-4)]),
            chance.choice([None, chance.randrange(2**62)]),
            chance.choice([None, chance.random() * 100, 0.1]),
            datetime(2026, 11, 3, 23, 59, 59, chance.randrange(10**6), UTC),
            chance.choice([True, False, None]),
        )
        for number in range(rows)
    ]
    frame = pl.DataFrame(values, build_schema(COLUMNS), orient="row")
    return frame.with_columns(pl.lit(seed, pl.Int64).alias(ADDED.name)) if has_added else frame


class Store:
    """A store with the three tables, of which the first always has rows.

    Args:
        folder: the store's.
        tables: the tables to publish.
    """

    def __init__(self, folder: Path, tables: Sequence[str] = TABLES) -> None:
        self.folder = folder
        self.store = HiveStore(str(folder))
        self._tables = tables
        self.columns: tuple[Column, ...] = COLUMNS
        self.write("advertisers", Partition(), 3, 0)

    def write(self, table: str, partition: Partition, rows: int, seed: int, *, has_added: bool = False) -> None:
        """Replace a partition by random rows."""
        self.store.write(table, partition, build_rows(partition, rows, seed, has_added=has_added))

    def remove(self, table: str, owner: str) -> None:
        """Remove an account from a table, as someone who deletes its folder."""
        shutil.rmtree(self.folder / table / f"advertiser_id={owner}", ignore_errors=True)

    def add_column(self) -> None:
        """Declare the column that files can have already."""
        self.columns = (*COLUMNS, ADDED)

    @property
    def tables(self) -> list[StoredTable]:
        """The tables as they are published."""
        return [StoredTable(self.store, name, f"All {name}, 'quoted'.", self.columns) for name in self._tables]

    def read(self, table: str) -> pl.DataFrame:
        """Return the stored rows with every column that the table could have, sorted."""
        schema = build_schema((*COLUMNS, ADDED))
        return sort_rows(self.store.scan(table, schema).collect())


def sort_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows in an order that depends on their values alone."""
    return rows.sort(rows.columns, nulls_last=True)

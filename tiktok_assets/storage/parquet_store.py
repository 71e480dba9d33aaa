"""Store tables as folders of Parquet files, one file per partition, each replaced atomically.

Old days can be in one file per month, see `compaction`; all methods read and replace them as other days.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.storage.files import FileKey, ListedFile
from tiktok_assets.storage.migrations import MIGRATIONS, Migration, Migrations
from tiktok_assets.storage.months import DAY_KEYS, MonthFile, MonthFiles, encode_partition, select_days
from tiktok_assets.storage.partition import (
    ForeignRowsError,
    Partition,
    StoreError,
    UnsafeNameError,
    WrittenFile,
    validate_name,
    validate_names,
)
from tiktok_assets.storage.partition_files import PartitionFiles

__all__ = ["ForeignRowsError", "HiveStore", "Partition", "StoreError", "UnsafeNameError", "WrittenFile"]

MIN_COMPACTED_AGE_DAYS = 31
"""Younger days have files of their own."""

_SHORTEST_MONTH, _PARTIAL_MONTHS = 28, 2


class HiveStore:
    """The tables below one folder, on disk or in an object store.

    A file is written under a temporary name outside of the table and then renamed (in an object store: one PUT),
    so that a reader sees either the old or the new partition, even if the writing process is killed. A partition
    without rows is a file without rows, which is different from a partition that was never read.

    Args:
        base: the folder, as a path or a URL of fsspec such as `s3://bucket/prefix`.
        cache_folder: where local copies of the files of an object store are kept; None for a temporary folder.
        max_listing_age: for how many seconds a listing of an object store is used again; files that other
            processes write meanwhile are not seen. A listing from before this object was created is never used.
        migrations: how columns have changed, for files of earlier releases.

    Attributes:
        base: the folder.
        files: the files of the partitions; for the modules of this package.
        months: the files of several days; likewise.
    """

    def __init__(
        self,
        base: str,
        *,
        cache_folder: Path | None = None,
        max_listing_age: float = 0,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        self.migrations = Migrations(migrations)
        self.files = PartitionFiles(base, cache_folder, max_listing_age)
        self.base = self.files.base
        self.months = MonthFiles(self.files)

    def __repr__(self) -> str:
        return f"HiveStore({str(self.base)!r})"

    @property
    def is_local(self) -> bool:
        """Whether the tables are on a disk."""
        return self.files.is_local

    def write(
        self,
        table: str,
        partition: Partition,
        frame: pl.DataFrame,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> WrittenFile:
        """Replace one partition.

        After a power failure a partition on a disk is the old or the new one, never a part of it. A day that is
        only in the file of its month is replaced there.

        Args:
            table: the name of the table.
            partition: the partition to replace.
            frame: all rows of the partition; may be empty.
            metadata: key-value metadata of the file, which is kept for partitions without rows as well.

        Raises:
            ForeignRowsError: if a row belongs to another partition.
            UnsafeNameError: if the table or the advertiser has an unsafe name.
            StoreError: if the folder cannot be written.
        """
        validate_names(table, partition)
        for name, value in partition.columns.items():
            column = frame.get_column(name)
            if foreign := frame.height - len(column.filter(column == value)):
                raise ForeignRowsError(
                    f"{foreign} of {frame.height} rows for {table}/{partition.folder} have another {name};"
                    " nothing was written"
                )
        key = partition.file_key
        if self._may_be_in_month(partition) and (
            size := self.months.replace_day(table, partition, frame, metadata or {})
        ):
            return WrittenFile(self.files.path(table, (key[0], partition.month)), frame.height, size)
        content = encode_partition(frame, metadata or {})
        self.files.write(table, key, content, metadata)
        return WrittenFile(self.files.path(table, key), frame.height, len(content))

    def _may_be_in_month(self, partition: Partition) -> bool:
        """Return whether a day is so old that it can be in the file of its month: to look costs a call."""
        if partition.day is None:
            return False
        return self.files.is_local or partition.day < datetime.now(UTC).date() - timedelta(MIN_COMPACTED_AGE_DAYS)

    def check_writable(self) -> None:
        """Check that tables can be written, by writing and deleting a temporary file.

        Raises:
            StoreError: with the reason if not.
        """
        self.files.check_writable()

    def scan(
        self,
        table: str,
        schema: pl.Schema,
        *,
        advertiser_ids: Iterable[str] | None = None,
        days: Iterable[date] | None = None,
    ) -> pl.LazyFrame:
        """Scan the rows of a table lazily.

        Args:
            table: the name of the table.
            schema: the schema of the result; a column that an older file lacks is null, other columns are ignored.
            advertiser_ids: the advertisers to read; None for all.
            days: the days to read; None for all, and for tables without days.
        """
        return self.read(table, schema, self.partitions(table, advertiser_ids, days))

    def read(self, table: str, schema: pl.Schema, partitions: Iterable[Partition]) -> pl.LazyFrame:
        """Scan existing partitions lazily, in the given order, with the columns of the schema.

        Raises:
            UnsafeNameError: if the table or an advertiser has an unsafe name.
            StoreError: if an object store, or the file of a month, cannot be read.
        """
        scans = []
        for group, months in self._group_by_place(table, partitions):
            if months:
                paths = list(dict.fromkeys(month.path for month in months))
                rows = self.migrations.scan(table, paths, pl.Schema({**schema, **DAY_KEYS}))
                scans.append(select_days(rows, group).select(list(schema)))
            else:
                paths = self.files.readable_paths(table, self._find_own_files(table, group))
                scans.append(self.migrations.scan(table, paths, schema))
        return pl.concat(scans) if scans else pl.LazyFrame(schema=schema)

    def _group_by_place(
        self, table: str, partitions: Iterable[Partition]
    ) -> Iterator[tuple[list[Partition], list[MonthFile]]]:
        """Yield runs of partitions that one scan reads in their order, with the files of months they are in.

        Days that have a file of their own have no files of months.
        """
        known: dict[FileKey, MonthFile | None] = {}
        for is_month, run in groupby(
            ((one, self._find_place(table, one, known)) for one in partitions), lambda pair: pair[1] is not None
        ):
            group: list[Partition] = []
            months: list[MonthFile] = []
            for partition, month in run:
                if is_month and month and group and not _follows(partition, group[-1]):
                    yield group, months
                    group, months = [], []
                group.append(partition)
                if month:
                    months.append(month)
            yield group, months

    def _find_place(
        self, table: str, partition: Partition, known: dict[FileKey, MonthFile | None]
    ) -> MonthFile | None:
        """Return the file of a month that an existing day is read from; None if it has a file of its own."""
        validate_names(table, partition)
        if partition.day is None:
            return None
        key = partition.advertiser_id, partition.month
        if key not in known:
            known[key] = self.months.find(table, partition)
        month = known[key]
        is_there = month and str(partition.day) in month.versions
        return month if is_there and not self.files.find(table, partition.file_key) else None

    def _find_own_files(self, table: str, partitions: Sequence[Partition]) -> list[ListedFile]:
        keys = [one.file_key for one in partitions]
        if self.files.is_local:
            return [ListedFile(*key, None) for key in keys]
        owners = {str(one.advertiser_id) for one in partitions if one.day}
        listed = self.files.list_files(table, owners or None, None)
        # A file that was deleted meanwhile is looked for in the object store, whose error is then reported.
        return [listed.get(key, ListedFile(*key, None)) for key in keys]

    def paths(
        self, table: str, advertiser_ids: Iterable[str] | None = None, days: Iterable[date] | None = None
    ) -> list[str]:
        """Return the paths or URLs of the existing files of a table, in the order of `partitions`.

        Raises:
            StoreError: if a file of a month has days that are not selected.
        """
        paths: dict[str, None] = {}
        for group, months in self._group_by_place(table, self.partitions(table, advertiser_ids, days)):
            if not months:
                paths |= dict.fromkeys(self.files.path(table, one.file_key) for one in group)
            selected = {(one.advertiser_id, str(one.day)) for one in group}
            for month in dict.fromkeys(month.file for month in months):
                path = self.files.path(table, (month.advertiser_id, month.day))
                [described] = self.months.get(table, [month])
                if missing := [day for day in described.versions if (month.advertiser_id, day) not in selected]:
                    raise StoreError(
                        f"{path} also has {missing[0]}, which is not selected or has a file of its own;"
                        " load the table as polars.LazyFrame instead of as paths"
                    )
                paths[path] = None
        return list(paths)

    def partitions(
        self, table: str, advertiser_ids: Iterable[str] | None = None, days: Iterable[date] | None = None
    ) -> Iterator[Partition]:
        """Yield the existing partitions of a table, sorted by advertiser and day; see `file_versions`."""
        yield from self.file_versions(table, advertiser_ids, days)

    def recent_days(self, table: str, advertiser_ids: Iterable[str] | None, newest: int) -> dict[str, list[date]]:
        """Return by advertiser the oldest stored day of a table and the newest ones, in order.

        Of the other days only the names are read, and no files of months, which is fast for years of days.

        Args:
            table: the name of the table.
            advertiser_ids: the advertisers; None for all.
            newest: how many of the newest days are returned.

        Raises:
            UnsafeNameError: if the table has an unsafe name.
            StoreError: if the file of a month cannot be read.
        """
        validate_name(table, "table")
        selected = None if advertiser_ids is None else set(advertiser_ids)
        for name in () if self.is_local else selected or ():
            validate_name(name, "advertiser id")
        found: dict[str, set[date]] = {}
        read: list[ListedFile] = []
        for owner, names, months in self.files.list_recent_days(table, selected, newest):
            found[owner] = set(map(date.fromisoformat, names))
            # The first month and as many of the last ones as have the newest days.
            first_and_last = {*months[:1], *months[-(newest // _SHORTEST_MONTH + _PARTIAL_MONTHS) :]}
            read += [file for month in first_and_last if (file := self.files.find(table, (owner, month)))]
        for one in self.months.get(table, read):
            found[str(one.file.advertiser_id)] |= set(map(date.fromisoformat, one.versions))
        ordered = {owner: sorted(days) for owner, days in found.items() if days}
        return {owner: sorted({days[0], *days[-newest:]}) for owner, days in ordered.items()}

    def file_versions(
        self, table: str, advertiser_ids: Iterable[str] | None = None, days: Iterable[date] | None = None
    ) -> dict[Partition, str | None]:
        """Return the existing partitions of a table in order, with their file versions (see `files.ListedFile`).

        Args:
            table: the name of the table.
            advertiser_ids: the advertisers; None for all.
            days: the days; None for all. A file without a day is only listed if it is None.

        Raises:
            UnsafeNameError: if the table or an advertiser has an unsafe name.
            StoreError: if an object store cannot be listed.
        """
        validate_name(table, "table")
        if advertiser_ids is not None:
            advertiser_ids = [validate_name(one, "advertiser id") for one in advertiser_ids]
        selected = None if days is None else {day.isoformat() for day in days}
        files = self.files.list_files(table, advertiser_ids, selected)
        versions: dict[FileKey, str | None] = {}
        months = [file for file in files.values() if file.is_month]
        for month in self.months.get(table, months):
            versions |= {(month.file.advertiser_id, day): version for day, version in month.versions.items()}
        versions |= {key: file.version for key, file in files.items() if not file.is_month}
        keys = sorted(versions, key=lambda key: (key[0] or "", key[1] or "")) if months else versions
        return {
            Partition(owner, date.fromisoformat(day) if day else None): versions[owner, day]
            for owner, day in keys
            if selected is None or day in selected
        }

    def read_metadata(self, table: str, partition: Partition) -> Mapping[str, str] | None:
        """Read the key-value metadata of a partition; None if it does not exist or its file is damaged.

        Raises:
            StoreError: if an object store does not respond: whether the partition was ever read is not known then.
        """
        validate_names(table, partition)
        try:
            return self.files.read_metadata(table, partition.file_key)
        except FileNotFoundError:
            return self.months.read_metadata(table, partition)

    def prefetch(self, owners: Iterable[tuple[str, str]], first_day: date | None = None) -> None:
        """List the days of accounts in an object store and read their metadata, many accounts at a time.

        Args:
            owners: names of tables with days, each with an account.
            first_day: the first day of interest; None for all. With one, calls do not grow with the days.

        Raises:
            StoreError: if the object store cannot be listed.
        """
        if not self.is_local:
            valid = [(validate_name(table, "table"), validate_name(one, "advertiser id")) for table, one in owners]
            self.files.prefetch(valid, str(first_day or ""))

    def prefetch_files(self, table: str, advertiser_ids: Collection[str]) -> None:
        """Read the files of a table without days from an object store, many at a time.

        Args:
            table: the name of the table.
            advertiser_ids: the accounts.

        Raises:
            StoreError: if the object store cannot be listed.
        """
        self.files.prefetch_files(validate_name(table, "table"), advertiser_ids)

    def close(self) -> None:
        """Write what makes the next reading of an object store faster; nothing is lost without it."""
        self.files.close()

    def scan_partition(self, table: str, partition: Partition) -> pl.LazyFrame | None:
        """Scan one partition lazily, with the columns of its file in today's form; None if it does not exist."""
        validate_names(table, partition)
        if file := self.files.find(table, partition.file_key):
            rows = pl.scan_parquet(self.files.readable_paths(table, [file])[0], hive_partitioning=False)
            return self.migrations.apply(table, rows)
        month = self.months.find(table, partition)
        if month is None or partition.day is None or str(partition.day) not in month.versions:
            return None
        return self.migrations.apply(table, month.scan_day(partition.day))

    def read_column_names(self, table: str, partition: Partition) -> list[str] | None:
        """Read the names of the columns of a partition; None if it does not exist or its file is damaged."""
        with suppress(OSError, PolarsError):
            file = self.scan_partition(table, partition)
            return None if file is None else file.collect_schema().names()
        return None

    def read_file(self, table: str, partition: Partition) -> bytes | None:
        """Read the file of a partition as it is now; None if it does not exist.

        Raises:
            StoreError: if it cannot be read.
        """
        validate_names(table, partition)
        if (content := self.files.read(table, partition.file_key)) is not None:
            return content
        month = self.months.find(table, partition)
        if month is None or partition.day is None or str(partition.day) not in month.versions:
            return None
        return encode_partition(
            month.scan_day(partition.day).collect(), month.read_metadata().get(str(partition.day), {})
        )

    def partition_size(self, table: str, partition: Partition) -> int:
        """Return the size of the file of a partition in bytes.

        Raises:
            StoreError: if it has none.
        """
        validate_names(table, partition)
        if file := self.files.find(table, partition.file_key):
            return file.size
        raise StoreError(f"{self.files.path(table, partition.file_key)} does not exist")


def _follows(partition: Partition, previous: Partition) -> bool:
    """Return whether a scan of files of months yields one day after the other, if it reads both."""
    if partition.advertiser_id != previous.advertiser_id:
        return str(partition.advertiser_id) > str(previous.advertiser_id)
    return partition.day is not None and previous.day is not None and partition.day > previous.day

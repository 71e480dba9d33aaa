"""Store tables as folders of Parquet files, one file per partition, each replaced atomically."""

import io
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

import polars as pl
from polars.exceptions import PolarsError
from upath import UPath

from tiktok_assets.storage.files import (
    PARTITION_FILE_NAME,
    list_local_days,
    list_local_files,
    list_object_store_files,
    write_and_flush,
)

_TEMPORARY_FOLDER = "_writing"
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ABANDONED_AFTER_SECONDS = 24 * 3600
# Files are small and selected by path; the minimum and maximum of their columns would not help to skip any.
_STATISTICS = {"min": False, "max": False, "null_count": True}


class StoreError(Exception):
    """The tables cannot be read or written; the message says which file or folder, and what to do."""


class ForeignRowsError(StoreError):
    """Rows of another partition were about to be written; nothing was written."""


class UnsafeNameError(StoreError):
    """A table or an advertiser has a name that is unsafe in a path; nothing was read or written."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """The key of one file of a table: an advertiser, an advertiser's day, or without both the whole table."""

    advertiser_id: str | None = None
    day: date | None = None

    @property
    def columns(self) -> Mapping[str, str | date]:
        """The values that every row of the partition has, by column."""
        pairs = {"advertiser_id": self.advertiser_id, "date": self.day}
        return {name: value for name, value in pairs.items() if value is not None}

    @property
    def folder(self) -> str:
        """The path of the partition below its table."""
        return "/".join(f"{name}={value}" for name, value in self.columns.items())


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A partition file that was written: its path, its rows, and its size in bytes."""

    path: str
    rows: int
    bytes: int


class HiveStore:
    """The tables below one folder, on disk or in an object store.

    A file is written under a temporary name outside of the table and then renamed (in an object store: one PUT),
    so that a reader sees either the old or the new partition, even if the writing process is killed. A partition
    without rows is a file without rows, which is different from a partition that was never read.

    Args:
        base: the folder, as a path or a URL of fsspec such as `s3://bucket/prefix`.
    """

    def __init__(self, base: str) -> None:
        self.base = UPath(base)
        self._is_local = isinstance(self.base, Path)
        if not self._is_local:  # without a cache, files that other processes write meanwhile are seen
            self.base = UPath(base, use_listings_cache=False)

    def __repr__(self) -> str:
        return f"HiveStore({str(self.base)!r})"

    def write(
        self,
        table: str,
        partition: Partition,
        frame: pl.DataFrame,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> WrittenFile:
        """Replace one partition.

        After a power failure a partition on a disk is the old or the new one, never a part of it.

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
        target = self._file(table, partition)
        for name, value in partition.columns.items():
            column = frame.get_column(name)
            if foreign := frame.height - len(column.filter(column == value)):
                raise ForeignRowsError(
                    f"{foreign} of {frame.height} rows for {table}/{partition.folder} have another {name};"
                    " nothing was written"
                )
        buffer = io.BytesIO()
        frame.write_parquet(
            buffer,
            compression="zstd",
            compression_level=1,  # faster than the default of 3, for files that are hardly larger
            statistics=_STATISTICS,
            metadata=dict(metadata or {}),
        )
        content = buffer.getbuffer()
        try:
            if self._is_local:
                self._replace(Path(str(target)), content)
            else:
                target.write_bytes(bytes(content))
        except OSError as error:
            raise StoreError(
                f"cannot write {target}: {error.strerror or error};"
                " make the folder writable or set TIKTOK_DATA_DIR to another one"
            ) from error
        return WrittenFile(str(target), frame.height, content.nbytes)

    def _replace(self, target: Path, content: memoryview) -> None:
        temporary = self._open_temporary_folder() / f"{uuid4().hex}.unfinished"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_and_flush(temporary, content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _open_temporary_folder(self) -> Path:
        """Return the folder for unfinished files, after deleting those older than a day from killed processes."""
        folder = Path(str(self.base)) / _TEMPORARY_FOLDER
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):  # another writer has renamed its file meanwhile
                if time.time() - entry.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                    Path(entry.path).unlink()
        return folder

    def check_writable(self) -> None:
        """Check that tables can be written, by writing and deleting a temporary file.

        Raises:
            StoreError: with the reason if not.
        """
        probe = self.base / _TEMPORARY_FOLDER / f"{uuid4().hex}.probe"
        try:
            if self._is_local:
                probe.parent.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise StoreError(
                f"cannot write to {self.base}: {error.strerror or error};"
                " make the folder writable or set TIKTOK_DATA_DIR to another one"
            ) from error

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
        """Scan existing partitions lazily, in the given order, with the columns of the schema."""
        paths = [self._path(table, partition) for partition in partitions]
        if not paths:
            return pl.LazyFrame(schema=schema)
        return pl.scan_parquet(
            paths, schema=schema, hive_partitioning=False, missing_columns="insert", extra_columns="ignore"
        )

    def paths(
        self, table: str, advertiser_ids: Iterable[str] | None = None, days: Iterable[date] | None = None
    ) -> list[str]:
        """Return the paths or URLs of the existing files of a table, in the order of `partitions`."""
        return [self._path(table, partition) for partition in self.partitions(table, advertiser_ids, days)]

    def partitions(
        self, table: str, advertiser_ids: Iterable[str] | None = None, days: Iterable[date] | None = None
    ) -> Iterator[Partition]:
        """Yield the existing partitions of a table, sorted by advertiser and day; see `file_versions`."""
        yield from self.file_versions(table, advertiser_ids, days)

    def recent_days(self, table: str, advertiser_ids: Iterable[str] | None, newest: int) -> dict[str, list[date]]:
        """Return by advertiser the oldest stored day of a table and the newest ones, in order.

        On a disk only the names of the other days' folders are read, which is fast for years of days.

        Args:
            table: the name of the table.
            advertiser_ids: the advertisers; None for all.
            newest: how many of the newest days are returned.

        Raises:
            UnsafeNameError: if the table has an unsafe name.
        """
        _validate_name(table, "table")
        selected = None if advertiser_ids is None else set(advertiser_ids)
        if self._is_local:
            listed = list_local_days(f"{self.base}/{table}", newest)
            return {
                owner: [date.fromisoformat(day) for day in days]
                for owner, days in listed
                if selected is None or owner in selected
            }
        found: dict[str, list[date]] = {}
        for partition in self.partitions(table, selected):
            if partition.advertiser_id and partition.day:
                found.setdefault(partition.advertiser_id, []).append(partition.day)
        return {owner: sorted({days[0], *days[-newest:]}) for owner, days in found.items()}

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
        """
        _validate_name(table, "table")
        if advertiser_ids is not None:
            advertiser_ids = [_validate_name(one, "advertiser id") for one in advertiser_ids]
        selected = None if days is None else {day.isoformat() for day in days}
        if self._is_local:
            files = list_local_files(f"{self.base}/{table}", advertiser_ids, selected)
        else:
            files = list_object_store_files(self.base.fs, f"{self.base.path}/{table}", advertiser_ids)
        return {
            Partition(file.advertiser_id, date.fromisoformat(file.day) if file.day else None): file.version
            for file in files
            if selected is None or file.day in selected
        }

    def read_metadata(self, table: str, partition: Partition) -> Mapping[str, str] | None:
        """Read the key-value metadata of a partition; None if it does not exist or cannot be read."""
        try:
            return pl.read_parquet_metadata(self._path(table, partition))
        except (OSError, PolarsError):
            return None

    def scan_partition(self, table: str, partition: Partition) -> pl.LazyFrame | None:
        """Scan one partition lazily, with the columns of its file; None if it does not exist."""
        path = self._file(table, partition)
        if not path.exists():
            return None
        return pl.scan_parquet(str(path), hive_partitioning=False)

    def partition_size(self, table: str, partition: Partition) -> int:
        """Return the size of an existing partition in bytes.

        Raises:
            StoreError: if it does not exist.
        """
        path = self._file(table, partition)
        try:
            return int(path.stat().st_size)
        except OSError as error:
            raise StoreError(f"{path} does not exist: {error.strerror or error}") from error

    def _file(self, table: str, partition: Partition) -> UPath:
        return self.base / _relative_path(table, partition)

    def _path(self, table: str, partition: Partition) -> str:
        return f"{self.base}/{_relative_path(table, partition)}"


def _validate_name(name: str, what: str) -> str:
    """Return a name if it is safe as part of a path: letters, digits, underscores and hyphens only.

    All paths below the data folder that contain text from outside pass through this function.

    Raises:
        UnsafeNameError: if it is not.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise UnsafeNameError(f"{name[:60]!r} is not a valid {what}; nothing was read or written under that name")
    return name


def _relative_path(table: str, partition: Partition) -> str:
    """Return the path of a partition's file relative to the base.

    Raises:
        UnsafeNameError: if the table or the advertiser has an unsafe name.
    """
    if partition.advertiser_id is not None:
        _validate_name(partition.advertiser_id, "advertiser id")
    return "/".join(filter(None, (_validate_name(table, "table"), partition.folder, PARTITION_FILE_NAME)))

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

from tiktok_assets.storage.files import PARTITION_FILE_NAME, list_local_files, list_object_store_files

__all__ = [
    "PARTITION_FILE_NAME",
    "ForeignRowsError",
    "HiveStore",
    "Partition",
    "StoreError",
    "UnsafeNameError",
    "WrittenFile",
]

_TEMPORARY_FOLDER = "_writing"
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ABANDONED_AFTER_SECONDS = 24 * 3600
# A file is one small group of rows, found by its path: the least and the most of each column would skip none.
_STATISTICS = {"min": False, "max": False, "null_count": True}


class StoreError(Exception):
    """The tables cannot be read or written; the message says where and what to do."""


class ForeignRowsError(StoreError):
    """Rows of another partition came along; nothing was written."""


class UnsafeNameError(StoreError):
    """A table or an advertiser has a name that would leave its folder; nothing was read or written."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """Which file of a table: an advertiser, an advertiser's day, or, with neither, the whole table."""

    advertiser_id: str | None = None
    day: date | None = None

    @property
    def columns(self) -> Mapping[str, str | date]:
        """The columns a row of this partition carries, with their values."""
        pairs = {"advertiser_id": self.advertiser_id, "date": self.day}
        return {name: value for name, value in pairs.items() if value is not None}

    @property
    def folder(self) -> str:
        """The path below the table."""
        return "/".join(f"{name}={value}" for name, value in self.columns.items())


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that now stands: where, how many rows, how many bytes."""

    path: str
    rows: int
    bytes: int


class HiveStore:
    """The tables under one folder, local or an object store.

    A file is written under a name no glob of a table meets and then renamed (on an object store: one PUT),
    so a reader, and a process killed at any line, sees the old partition or the new one. A partition without
    rows is a file without rows: no delivery is not the same as never read.
    """

    def __init__(self, base: str) -> None:
        self.base = UPath(base)
        self._is_local = isinstance(self.base, Path)
        if not self._is_local:  # what another process wrote must be seen, however long this one lives
            self.base = UPath(base, use_listings_cache=False)

    def __repr__(self) -> str:
        return f"HiveStore({str(self.base)!r})"

    def write(
        self,
        table: str,
        partition: Partition,
        frame: pl.DataFrame,
        *,
        notes: Mapping[str, str] | None = None,
    ) -> WrittenFile:
        """Replace one partition.

        Args:
            table: its name.
            partition: which file.
            frame: every row of it; may have none.
            notes: kept in the file's own metadata, so that an empty partition can still say when it was read.

        Raises:
            ForeignRowsError: if a row belongs to another partition.
            UnsafeNameError: if table or advertiser are no plain names.
            StoreError: if the folder cannot be written.
        """
        target = self._file(table, partition)
        for name, value in partition.columns.items():
            column = frame.get_column(name)
            if strangers := frame.height - len(column.filter(column == value)):
                raise ForeignRowsError(
                    f"{strangers} of {frame.height} rows for {table}/{partition.folder} are of another {name};"
                    " nothing was written"
                )
        buffer = io.BytesIO()
        frame.write_parquet(
            buffer,
            compression="zstd",
            compression_level=1,  # takes less time than the default of 3, for files hardly larger
            statistics=_STATISTICS,
            metadata=dict(notes or {}),
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
                " make the folder writable or point TIKTOK_DATA_DIR elsewhere"
            ) from error
        return WrittenFile(str(target), frame.height, content.nbytes)

    def _replace(self, target: Path, content: memoryview) -> None:
        writing = self._writing_folder()
        unfinished = writing / f"{uuid4().hex}.unfinished"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(content)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)

    def _writing_folder(self) -> Path:
        """Where files grow up; what a killed process left there a day ago is removed."""
        folder = Path(str(self.base)) / _TEMPORARY_FOLDER
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
        for left in os.scandir(folder):
            with suppress(FileNotFoundError):  # another writer has put its file in place meanwhile
                if time.time() - left.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                    Path(left.path).unlink()
        return folder

    def check_writable(self) -> None:
        """Prove that a table could be written.

        Raises:
            StoreError: saying why not.
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
                " make the folder writable or point TIKTOK_DATA_DIR elsewhere"
            ) from error

    def scan(
        self,
        table: str,
        schema: pl.Schema,
        *,
        advertiser_ids: Iterable[str] | None = None,
        days: Iterable[date] | None = None,
    ) -> pl.LazyFrame:
        """The stored rows of a table, lazily.

        Args:
            table: its name.
            schema: what the rows shall look like; a column an older file lacks is null, one it has beside is left.
            advertiser_ids: only these; None for all.
            days: only these; None for all, and for tables without days.
        """
        wanted = set(days) if days is not None else None
        standing = self.partitions(table, advertiser_ids)
        return self.read(table, schema, (one for one in standing if wanted is None or one.day in wanted))

    def read(self, table: str, schema: pl.Schema, partitions: Iterable[Partition]) -> pl.LazyFrame:
        """The rows of partitions that stand, lazily and in that order, with the columns of the schema."""
        paths = [self._path(table, partition) for partition in partitions]
        if not paths:
            return pl.LazyFrame(schema=schema)
        return pl.scan_parquet(
            paths, schema=schema, hive_partitioning=False, missing_columns="insert", extra_columns="ignore"
        )

    def partitions(self, table: str, advertiser_ids: Iterable[str] | None = None) -> Iterator[Partition]:
        """The partitions that stand, in order of advertiser and day."""
        yield from self.marks(table, advertiser_ids)

    def marks(self, table: str, advertiser_ids: Iterable[str] | None = None) -> dict[Partition, str | None]:
        """The partitions that stand, in order, each with the mark of its file; see `listing.Standing`."""
        _validate_name(table, "table")
        if advertiser_ids is not None:
            advertiser_ids = [_validate_name(one, "advertiser id") for one in advertiser_ids]
        if self._is_local:
            files = list_local_files(f"{self.base}/{table}", advertiser_ids)
        else:
            files = list_object_store_files(self.base.fs, f"{self.base.path}/{table}", advertiser_ids)
        return {
            Partition(file.owner, date.fromisoformat(file.day) if file.day else None): file.mark for file in files
        }

    def notes(self, table: str, partition: Partition) -> Mapping[str, str] | None:
        """What was noted when a partition was written, or None if it never was or its file cannot be read."""
        try:
            return pl.read_parquet_metadata(self._path(table, partition))
        except (OSError, PolarsError):
            return None

    def open(self, table: str, partition: Partition) -> pl.LazyFrame | None:
        """The rows of one partition with the columns its file has, or None if it never was written."""
        path = self._file(table, partition)
        if not path.exists():
            return None
        return pl.scan_parquet(str(path), hive_partitioning=False)

    def size(self, table: str, partition: Partition) -> int:
        """The bytes of a partition that stands.

        Raises:
            StoreError: if it does not.
        """
        path = self._file(table, partition)
        try:
            return int(path.stat().st_size)
        except OSError as error:
            raise StoreError(f"{path} does not stand: {error.strerror or error}") from error

    def _file(self, table: str, partition: Partition) -> UPath:
        return self.base / _relative_path(table, partition)

    def _path(self, table: str, partition: Partition) -> str:
        return f"{self.base}/{_relative_path(table, partition)}"


def _validate_name(name: str, what: str) -> str:
    """The name, if it may be part of a path: no separator, dot or blank, nothing a file system reads otherwise.

    Here alone a path below the data folder is made of text from outside.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise UnsafeNameError(f"{name[:60]!r} is no {what}; nothing was read or written under that name")
    return name


def _relative_path(table: str, partition: Partition) -> str:
    """The path of a partition's file below the base, which it cannot leave.

    Raises:
        UnsafeNameError: if table or advertiser are no plain names.
    """
    if partition.advertiser_id is not None:
        _validate_name(partition.advertiser_id, "advertiser id")
    return "/".join(filter(None, (_validate_name(table, "table"), partition.folder, PARTITION_FILE_NAME)))

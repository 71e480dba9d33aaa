"""Store tables as folders of Parquet files, one file per partition, each replaced atomically."""

import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from uuid import uuid4

import polars as pl
from polars.exceptions import PolarsError
from upath import UPath

from tiktok_assets.storage.files import (
    TEMPORARY_FOLDER,
    ListedFile,
    list_local_days,
    list_local_files,
    object_store_errors,
    read_object,
    replace_file,
)
from tiktok_assets.storage.migrations import MIGRATIONS, Migration, Migrations
from tiktok_assets.storage.object_cache import ObjectCache, get_object_cache
from tiktok_assets.storage.partition import (
    ForeignRowsError,
    Partition,
    StoreError,
    UnsafeNameError,
    WrittenFile,
    relative_path,
    validate_name,
)

__all__ = ["ForeignRowsError", "HiveStore", "Partition", "StoreError", "UnsafeNameError", "WrittenFile"]

# Files are small and selected by path; the minimum and maximum of their columns would not help to skip any.
_STATISTICS = {"min": False, "max": False, "null_count": True}


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
        self.base = UPath(base)
        self._is_local = isinstance(self.base, Path)
        self._objects: ObjectCache | None = None
        if not self._is_local:
            self.base = UPath(base, use_listings_cache=False)
            self._objects = get_object_cache(self.base, cache_folder)
        self._base_path = self.base.path
        self._max_listing_age = max_listing_age
        self._created = time.monotonic()

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
            if self._objects:
                self._objects.write(table, _file_key(partition), target.path, bytes(content), metadata)
            else:
                replace_file(Path(str(self.base)), Path(str(target)), content)
        except OSError as error:
            raise StoreError(
                f"cannot write {target}: {error.strerror or error};"
                " make the folder writable or set TIKTOK_DATA_DIR to another one"
            ) from error
        return WrittenFile(str(target), frame.height, content.nbytes)

    def check_writable(self) -> None:
        """Check that tables can be written, by writing and deleting a temporary file.

        Raises:
            StoreError: with the reason if not.
        """
        probe = self.base / TEMPORARY_FOLDER / f"{uuid4().hex}.probe"
        try:
            if self._is_local:
                probe.parent.mkdir(parents=True, exist_ok=True)
            with object_store_errors():
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
        paths = self._readable_paths(table, list(partitions))
        if not paths:
            return pl.LazyFrame(schema=schema)
        return self.migrations.scan(table, paths, schema)

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
        validate_name(table, "table")
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
            StoreError: if an object store cannot be listed.
        """
        validate_name(table, "table")
        if advertiser_ids is not None:
            advertiser_ids = [validate_name(one, "advertiser id") for one in advertiser_ids]
        selected = None if days is None else {day.isoformat() for day in days}
        files: Iterable[ListedFile]
        if self._objects:
            with self._listing_errors():
                listed = self._objects.list_files(table, advertiser_ids, self._trusted_since())
            files = sorted(listed.values(), key=lambda one: (one.advertiser_id or "", one.day or ""))
        else:
            files = list_local_files(f"{self.base}/{table}", advertiser_ids, selected)
        return {
            Partition(file.advertiser_id, date.fromisoformat(file.day) if file.day else None): file.version
            for file in files
            if selected is None or file.day in selected
        }

    def read_metadata(self, table: str, partition: Partition) -> Mapping[str, str] | None:
        """Read the key-value metadata of a partition; None if it does not exist or its file is damaged.

        Raises:
            StoreError: if an object store does not respond: whether the partition was ever read is not known then.
        """
        if not self._objects:
            with suppress(OSError, PolarsError):
                return pl.read_parquet_metadata(self._path(table, partition))
            return None
        file = self._find_object(table, partition)
        if file is None:
            return None
        path = self._object_path(table, partition)
        if found := self._objects.read_metadata(table, _file_key(partition), path, file):
            return found
        try:
            return pl.read_parquet_metadata(self._fetch(table, [(partition, file)])[0])
        except (FileNotFoundError, PolarsError):
            return None
        except OSError as error:
            raise self._read_error(error) from error

    def prefetch(self, tables: Iterable[str], advertiser_ids: Iterable[str]) -> None:
        """List the days of accounts in an object store and read their metadata, several accounts at a time.

        Args:
            tables: names of tables with days.
            advertiser_ids: the accounts.

        Raises:
            StoreError: if the object store cannot be listed.
        """
        if self._objects:
            owners = [validate_name(one, "advertiser id") for one in advertiser_ids]
            pairs = [(validate_name(table, "table"), owner) for table in tables for owner in owners]
            with self._listing_errors():
                self._objects.prefetch(pairs, self._trusted_since())

    def close(self) -> None:
        """Write what makes the next reading of an object store faster; nothing is lost without it."""
        if self._objects:
            self._objects.write_indexes()

    def scan_partition(self, table: str, partition: Partition) -> pl.LazyFrame | None:
        """Scan one partition lazily, with the columns of its file in today's form; None if it does not exist."""
        path = self._existing_path(table, partition)
        if path is None:
            return None
        return self.migrations.apply(table, pl.scan_parquet(path, hive_partitioning=False))

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
        try:
            if self._objects:
                return read_object(self.base.fs, self._object_path(table, partition))
            return Path(self._path(table, partition)).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._read_error(error) from error

    def partition_size(self, table: str, partition: Partition) -> int:
        """Return the size of an existing partition in bytes.

        Raises:
            StoreError: if it does not exist.
        """
        if file := self._find_object(table, partition):
            return file.size
        try:
            return int(self._file(table, partition).stat().st_size)
        except OSError as error:
            raise StoreError(
                f"{self._path(table, partition)} does not exist: {error.strerror or error}"
            ) from error

    def _trusted_since(self) -> float:
        return max(self._created, time.monotonic() - self._max_listing_age)

    def _find_object(self, table: str, partition: Partition) -> ListedFile | None:
        """Return a file of an object store; None if it does not exist, and for tables on a disk."""
        relative_path(table, partition)  # validates the names
        if not self._objects:
            return None
        with self._listing_errors():
            return self._objects.find_file(table, _file_key(partition), self._trusted_since())

    @contextmanager
    def _listing_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._read_error(error) from error

    def _read_error(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot read {self.base}: {error.strerror or error};"
            " check its permissions, and of an object store the network and the credentials"
        )

    def _existing_path(self, table: str, partition: Partition) -> str | None:
        """Return the path to read a partition from; None if it does not exist."""
        if not self._objects:
            path = self._file(table, partition)
            return str(path) if path.exists() else None
        file = self._find_object(table, partition)
        return None if file is None else self._fetch(table, [(partition, file)])[0]

    def _readable_paths(self, table: str, partitions: Sequence[Partition]) -> list[str]:
        """Return the paths to read existing partitions from, in the same order."""
        if not self._objects:
            return [self._path(table, partition) for partition in partitions]
        owners = {str(one.advertiser_id) for one in partitions if one.day}
        with self._listing_errors():
            listed = self._objects.list_files(table, owners or None, self._trusted_since())
        # A file that was deleted meanwhile is looked for in the object store, whose error is then reported.
        keys = [_file_key(one) for one in partitions]
        files = [listed.get(key, ListedFile(*key, None)) for key in keys]
        return self._fetch(table, list(zip(partitions, files, strict=True)))

    def _fetch(self, table: str, files: Sequence[tuple[Partition, ListedFile]]) -> list[str]:
        """Return the path of the local copy of each file, or its URL if it cannot be copied."""
        assert self._objects is not None  # noqa: S101 - only called for an object store
        copies = self._objects.fetch([(self._object_path(table, one), file) for one, file in files])
        return [copy or self._path(table, one) for (one, _), copy in zip(files, copies, strict=True)]

    def _object_path(self, table: str, partition: Partition) -> str:
        """Return the path of a file in the object store, as text, since a UPath costs a hundred times as much."""
        return f"{self._base_path}/{relative_path(table, partition)}"

    def _file(self, table: str, partition: Partition) -> UPath:
        return self.base / relative_path(table, partition)

    def _path(self, table: str, partition: Partition) -> str:
        return f"{self.base}/{relative_path(table, partition)}"


def _file_key(partition: Partition) -> tuple[str | None, str | None]:
    return partition.advertiser_id, partition.day.isoformat() if partition.day else None

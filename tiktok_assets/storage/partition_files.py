"""Find, read, write and delete the partition files of the tables as bytes, on a disk or in an object store."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import polars as pl
from filelock import FileLock, Timeout
from polars.exceptions import PolarsError
from upath import UPath

from tiktok_assets.storage.files import (
    MONTH_LENGTH,
    TEMPORARY_FOLDER,
    FileKey,
    ListedFile,
    delete_local_version,
    find_local_file,
    list_local_days,
    list_local_files,
    relative_file_path,
    replace_file,
)
from tiktok_assets.storage.object_cache import ObjectCache, get_object_cache
from tiktok_assets.storage.object_files import object_store_errors, read_object
from tiktok_assets.storage.partition import StoreError

_LOCK_FILE_NAME = "_months.lock"
_MAX_LOCK_SECONDS = 60


class ChangedFileError(Exception):
    """Another process has replaced the file of a month meanwhile; nothing was written; read it again."""


class PartitionFiles:
    """The partition files below one folder; table and advertiser names are valid as paths.

    All methods raise `StoreError` if a disk or an object store fails.

    Args:
        base: the folder, as a path or a URL of fsspec.
        cache_folder: see `HiveStore`.
        max_listing_age: see `HiveStore`.

    Attributes:
        base: the folder.
    """

    def __init__(self, base: str, cache_folder: Path | None, max_listing_age: float) -> None:
        self.base = UPath(base)
        self._objects: ObjectCache | None = None
        if not isinstance(self.base, Path):
            self.base = UPath(base, use_listings_cache=False)
            self._objects = get_object_cache(self.base, cache_folder)
        self._base_path = self.base.path
        self._max_listing_age = max_listing_age
        self._created = time.monotonic()

    @property
    def is_local(self) -> bool:
        """Whether the files are on a disk."""
        return self._objects is None

    @property
    def _trusted_since(self) -> float:
        return max(self._created, time.monotonic() - self._max_listing_age)

    def path(self, table: str, key: FileKey) -> str:
        """Return the path or URL of a file, which need not exist."""
        return f"{self.base}/{relative_file_path(table, key)}"

    def _object_path(self, table: str, key: FileKey) -> str:
        """Return the path of a file in the object store, as text, since a UPath costs a hundred times as much."""
        return f"{self._base_path}/{relative_file_path(table, key)}"

    def list_files(
        self, table: str, advertiser_ids: Iterable[str] | None, days: Collection[str] | None
    ) -> dict[FileKey, ListedFile]:
        """List the files of a table.

        Args:
            table: the name of the table.
            advertiser_ids: the advertisers; None for all.
            days: the days, and the months of which files are, to list; None for all.
        """
        if not self._objects:
            files: Iterable[ListedFile] = list_local_files(f"{self.base}/{table}", advertiser_ids, days)
            return {(one.advertiser_id, one.day): one for one in files}
        with self._errors():
            listed = self._objects.list_files(table, advertiser_ids, self._trusted_since)
        if days is None:
            return dict(listed)
        selected = {*days, *(day[:MONTH_LENGTH] for day in days)}
        return {key: file for key, file in listed.items() if file.day in selected}

    def list_recent_days(
        self, table: str, advertiser_ids: Collection[str] | None, newest: int
    ) -> Iterator[tuple[str, list[str], list[str]]]:
        """Yield advertisers with their oldest and newest days that have files, and all months that have one.

        Args:
            table: the name of the table.
            advertiser_ids: the advertisers; None for all.
            newest: how many of the newest days are listed at least.
        """
        if not self._objects:
            for owner, days, months in list_local_days(f"{self.base}/{table}", newest):
                if advertiser_ids is None or owner in advertiser_ids:
                    yield owner, days, months
            return
        found: dict[str, tuple[list[str], list[str]]] = {}
        for file in self.list_files(table, advertiser_ids, None).values():
            if file.advertiser_id and file.day:
                found.setdefault(file.advertiser_id, ([], []))[file.is_month].append(file.day)
        for owner, (days, months) in found.items():
            yield owner, sorted(days), sorted(months)

    def find(self, table: str, key: FileKey) -> ListedFile | None:
        """Find a file; None if it does not exist."""
        if not self._objects:
            return find_local_file(f"{self.base}/{table}", key)
        with self._errors():
            return self._objects.find_file(table, key, self._trusted_since)

    def readable_paths(self, table: str, files: Sequence[ListedFile]) -> list[str]:
        """Return the paths to read files from: in an object store local copies, or URLs where there is none."""
        keys = [(file.advertiser_id, file.day) for file in files]
        if not self._objects:
            return [self.path(table, key) for key in keys]
        paths = [self._object_path(table, key) for key in keys]
        copies = self._objects.fetch(list(zip(paths, files, strict=True)))
        return [copy or self.path(table, key) for key, copy in zip(keys, copies, strict=True)]

    def read(self, table: str, key: FileKey) -> bytes | None:
        """Read a file as it is now; None if it does not exist."""
        try:
            if self._objects:
                return read_object(self.base.fs, self._object_path(table, key))
            return Path(self.path(table, key)).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._read_error(error) from error

    def read_metadata(self, table: str, key: FileKey) -> Mapping[str, str] | None:
        """Read the key-value metadata of a file; None if the file is damaged.

        Raises:
            FileNotFoundError: if it does not exist.
        """
        if not self._objects:
            try:
                return pl.read_parquet_metadata(self.path(table, key))
            except (FileNotFoundError, NotADirectoryError):
                raise FileNotFoundError(self.path(table, key)) from None
            except (OSError, PolarsError):
                return None
        file = self.find(table, key)
        if file is None:
            raise FileNotFoundError(self.path(table, key))
        if found := self._objects.read_metadata(table, key, self._object_path(table, key), file):
            return found
        try:
            return pl.read_parquet_metadata(self.readable_paths(table, [file])[0])
        except PolarsError:
            return None
        except FileNotFoundError:  # deleted since it was listed
            raise
        except OSError as error:
            raise self._read_error(error) from error

    def write(self, table: str, key: FileKey, content: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Replace a file in one step.

        Args:
            table: the name of the table.
            key: the advertiser, and the day, of the file.
            content: the new content.
            metadata: its key-value metadata, for the index of an object store.
        """
        with self._write_errors(table, key):
            if self._objects:
                self._objects.write(table, key, self._object_path(table, key), content, metadata)
            else:
                replace_file(Path(str(self.base)), Path(self.path(table, key)), memoryview(content))

    def replace(self, table: str, key: FileKey, content: bytes, previous: ListedFile | None) -> None:
        """Replace a file in one step, unless it is another one by now; on a disk `lock` must be held.

        Args:
            table: the name of the table.
            key: the advertiser, and the month, of the file.
            content: the new content.
            previous: the file that is replaced; None if there was none.

        Raises:
            ChangedFileError: if it is another one.
        """
        if not self._objects:
            self.write(table, key, content)
            return
        condition = {"IfMatch": str(previous.version)} if previous else {"IfNoneMatch": "*"}
        try:
            with self._write_errors(table, key):
                self._objects.write(table, key, self._object_path(table, key), content, conditions=condition)
        except StoreError as error:
            found = self.find(table, key)  # from a new list, because the write has failed
            if (found and found.version) != (previous and previous.version):
                raise ChangedFileError from error
            raise

    def delete(self, table: str, file: ListedFile) -> bool:
        """Delete a file if it is still the one that was listed; return whether it is gone."""
        key = file.advertiser_id, file.day
        if file.version is None:
            return False
        with self._write_errors(table, key):
            if self._objects:
                return self._objects.delete(table, key, self._object_path(table, key), file.version)
            return delete_local_version(Path(str(self.base)), Path(self.path(table, key)), file.version)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Exclude other processes that replace files of months on the same disk."""
        if self._objects:
            yield
            return
        lock = FileLock(Path(str(self.base)) / _LOCK_FILE_NAME, timeout=_MAX_LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout:
            raise StoreError(
                f"{lock.lock_file} was held for {_MAX_LOCK_SECONDS} s; wait until"
                " `tiktok-assets compact` has ended, and try again"
            ) from None
        except OSError as error:
            raise _write_error(lock.lock_file, error) from error
        try:
            yield
        finally:
            lock.release()

    def prefetch(self, owners: Sequence[tuple[str, str]], first_day: str = "") -> None:
        """List advertisers of tables and read the metadata of their newest days, many at a time.

        Args:
            owners: the tables and advertisers.
            first_day: list the days since this one (ISO 8601); "" for all.
        """
        if self._objects:
            with self._errors():
                self._objects.prefetch(owners, self._trusted_since, first_day)

    def prefetch_files(self, table: str, advertiser_ids: Collection[str]) -> None:
        """Read the files that a table without days has for advertisers, many at a time."""
        if self._objects:
            with self._errors():
                listed = self._objects.list_files(table, None, self._trusted_since)
            self.readable_paths(table, [listed[one, None] for one in advertiser_ids if (one, None) in listed])

    def close(self) -> None:
        """Write what makes the next reading of an object store faster; nothing is lost without it."""
        if self._objects:
            self._objects.write_indexes()

    def check_writable(self) -> None:
        """Check that files can be written, by writing and deleting a temporary one."""
        probe = self.base / TEMPORARY_FOLDER / f"{uuid4().hex}.probe"
        try:
            if isinstance(probe, Path):
                probe.parent.mkdir(parents=True, exist_ok=True)
            with object_store_errors():
                probe.write_bytes(b"")
                probe.unlink()
        except OSError as error:
            raise _write_error(f"to {self.base}", error) from error

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._read_error(error) from error

    def _read_error(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot read {self.base}: {error.strerror or error};"
            " check its permissions, and of an object store the network and the credentials"
        )

    @contextmanager
    def _write_errors(self, table: str, key: FileKey) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _write_error(self.path(table, key), error) from error


def _write_error(target: str, error: OSError) -> StoreError:
    return StoreError(
        f"cannot write {target}: {error.strerror or error};"
        " make the folder writable or set TIKTOK_DATA_DIR to another one"
    )

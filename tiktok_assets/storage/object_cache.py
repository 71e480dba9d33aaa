"""Keep local copies of the files of an object store, and know from few listings which of them are current.

Each call to an object store takes 20 to 100 ms, and a refresh reads the same files many times: their metadata to
plan, to record restatements and to check. So a file is downloaded once per version, and one listing returns the
current versions of a thousand files.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TypeVar

from upath import UPath

from tiktok_assets.file_permissions import create_private_folder, write_private_file
from tiktok_assets.storage.files import FileKey, ListedFile
from tiktok_assets.storage.metadata_index import INDEX_FILE_NAME, Entries, decode_index, encode_index
from tiktok_assets.storage.object_files import (
    get_object_version,
    list_object_store_files,
    object_store_errors,
    read_object,
    write_object,
)

WHOLE_TABLE = ""
"""Instead of an advertiser: the file of a table that is one file."""

MAX_CACHE_BYTES = 4 * 2**30
"""Above this size the copies that were not used for the longest time are deleted."""

MAX_CONCURRENT_CALLS = 16
_IN_USE_SECONDS = 3600
"""A copy that was used so recently is not deleted: a query that has not been run yet may read it."""

MAX_UNWRITTEN_INDEX_SECONDS = 60
"""For so long the metadata of written files may be missing in their index."""

_MAX_LISTING_SECONDS = 3600
"""How long a listing takes at most; own writes are remembered for that time."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Listing:
    """The files of a table or of one of its advertisers, the versions of their indexes, and when it was begun."""

    begun: float
    files: dict[FileKey, ListedFile]
    indexes: dict[str, str]


class ObjectCache:
    """The versions and local copies of the files of one object store.

    Args:
        base: the folder of the tables in the object store.
        folder: the local folder for copies; None for one that is deleted at the end of the process.
    """

    def __init__(self, base: UPath, folder: Path | None) -> None:
        self._base = base
        if folder is None:
            self._temporary = TemporaryDirectory(prefix="tiktok-assets-", ignore_cleanup_errors=True)
            folder = Path(self._temporary.name)
        self.folder = folder
        self._listings: dict[tuple[str, str | None], _Listing] = {}
        self._writes: dict[tuple[str, FileKey], tuple[float, ListedFile]] = {}
        self._indexes: dict[tuple[str, str], tuple[str, Entries]] = {}
        self._unwritten: dict[tuple[str, str], Entries] = {}
        self._unwritten_since = 0.0
        self._lock = Lock()
        self._is_pruned = False

    def list_files(
        self, table: str, advertiser_ids: Iterable[str] | None, since: float
    ) -> Mapping[FileKey, ListedFile]:
        """Return the files of a table, in order, from listings that were begun at an instant or later.

        Args:
            table: the name of the table.
            advertiser_ids: the advertisers; None for all. The file of a table that is one file is included.
            since: the instant (`time.monotonic`); older listings are renewed.

        Raises:
            OSError: if the object store cannot be listed.
        """
        whole = self._get_listing(table, None, since)
        if whole is None and advertiser_ids is None:
            whole = self._list(table, None)
        selected = None if advertiser_ids is None else sorted(set(advertiser_ids))
        if whole is not None:
            wanted = whole.files
            if selected is None or (None, None) in wanted:
                return wanted
            return {key: file for key, file in wanted.items() if key[0] in selected}
        owners = selected or []
        missing = [owner for owner in owners if self._get_listing(table, owner, since) is None]
        found = dict(zip(missing, self._map(lambda owner: self._list(table, owner), missing), strict=True))
        files: dict[FileKey, ListedFile] = {}
        for owner in owners:
            listing = found.get(owner) or self._get_listing(table, owner, since)
            files |= listing.files if listing else {}
        # Only of a table that is one file are there no files of advertisers.
        return files or (self._get_listing(table, WHOLE_TABLE, since) or self._list(table, WHOLE_TABLE)).files

    def find_file(self, table: str, key: FileKey, since: float) -> ListedFile | None:
        """Return a file; None if it does not exist.

        A file of a day is looked for in a listing of its advertiser, any other in one of its table: that has a
        file for each advertiser, so that a thousand accounts take one call.

        Args:
            table: the name of the table.
            key: the advertiser and day of the file.
            since: the instant (`time.monotonic`) since which a listing is trusted.

        Raises:
            OSError: if the object store cannot be listed.
        """
        listing = self._get_listing(table, key[0], since) or self._get_listing(table, None, since)
        if listing is None:
            listing = self._list(table, key[0] if key[1] else None)
        return listing.files.get(key)

    def _load_index(self, table: str, advertiser_id: str) -> Entries:
        """Return the metadata of the newest days of an advertiser; none without an index in the last listing."""
        with self._lock:
            listings = [self._listings.get((table, owner)) for owner in (advertiser_id, None)]
            known = self._indexes.get((table, advertiser_id))
        newest = max((one for one in listings if one), key=lambda one: one.begun, default=None)
        version = newest.indexes.get(advertiser_id) if newest else None
        if version is None or (known and known[0] == version):
            return known[1] if known else {}
        try:
            path = f"{self._base.path}/{table}/advertiser_id={advertiser_id}/{INDEX_FILE_NAME}"
            entries = decode_index(read_object(self._base.fs, path))
        except OSError:
            entries = {}
        with self._lock:
            self._indexes[table, advertiser_id] = version, entries
        return entries

    def prefetch(self, owners: Sequence[tuple[str, str]], since: float) -> None:
        """List advertisers of tables and load their indexes, several at a time.

        Args:
            owners: the tables and advertisers.
            since: the instant (`time.monotonic`) since which a listing is trusted.

        Raises:
            OSError: if the object store cannot be listed.
        """

        def _load(owner: tuple[str, str]) -> None:
            listing = self._get_listing(*owner, since) or self._list(*owner)
            if listing.files:
                self._load_index(*owner)

        self._map(_load, owners)

    def write_indexes(self) -> None:
        """Write the indexes of the files that were written since the last time; one call each."""
        with self._lock:
            unwritten, self._unwritten = self._unwritten, {}
        self._map(lambda one: self._write_index(*one), list(unwritten.items()))

    def _write_index(self, owner: tuple[str, str], entries: Entries) -> None:
        path = f"{self._base.path}/{owner[0]}/advertiser_id={owner[1]}/{INDEX_FILE_NAME}"
        with suppress(OSError):  # the files are opened instead
            if self._get_listing(*owner, 0) is None:
                self._list(*owner)  # otherwise the entries of earlier days would be lost
            merged = {**self._load_index(*owner), **entries}
            content = encode_index(merged)
            write_object(self._base.fs, path, content)
            version = _compute_version(content)
            with self._lock:
                self._indexes[owner] = version, merged
                for one in (owner[1], None):
                    if listing := self._listings.get((owner[0], one)):
                        listing.indexes[owner[1]] = version

    def write(
        self,
        table: str,
        key: FileKey,
        path: str,
        content: bytes,
        metadata: Mapping[str, str] | None = None,
        *,
        conditions: Mapping[str, str] | None = None,
    ) -> None:
        """Replace a file of the object store with one call.

        Args:
            table: the name of the table.
            key: the advertiser and day of the file.
            path: its path in the object store.
            content: its content.
            metadata: its metadata, for the index of the advertiser; None if there is none.
            conditions: see `object_files.write_object`; None to replace whatever is there.

        Raises:
            OSError: if it cannot be written, or a condition does not hold.
        """
        try:
            write_object(self._base.fs, path, content, **(conditions or {}))
        except BaseException:
            self._forget_listings(table, key)  # the store may have the new file all the same
            raise
        version = _compute_version(content)
        file = ListedFile(*key, version, len(content))
        with suppress(OSError):  # a full disk does not hold up the store
            self._save_copy(self._copy_path(path, version), content)
        with self._lock:
            self._writes[table, key] = (time.monotonic(), file)
            if metadata and key[0] and key[1]:
                self._unwritten_since = self._unwritten_since if self._unwritten else time.monotonic()
                self._unwritten.setdefault((table, key[0]), {})[key[1]] = (version, dict(metadata))
            is_index_due = self._unwritten and (
                time.monotonic() - self._unwritten_since > MAX_UNWRITTEN_INDEX_SECONDS
            )
            for owner in {key[0], None}:
                if listing := self._listings.get((table, owner)):
                    listing.files[key] = file
        if is_index_due:
            self.write_indexes()

    def delete(self, table: str, key: FileKey, path: str, version: str) -> bool:
        """Delete a file of the object store with two calls, unless it has another version by now.

        Returns:
            Whether it is gone.

        Raises:
            OSError: if the object store does not respond or refuses.
        """
        with object_store_errors(), suppress(FileNotFoundError):
            if get_object_version(self._base.fs.info(path)) != version:
                self._forget_listings(table, key)
                return False
            self._base.fs.rm_file(path)
        with self._lock:
            self._writes.pop((table, key), None)
            for owner in {key[0], None}:
                if listing := self._listings.get((table, owner)):
                    listing.files.pop(key, None)
        return True

    def _forget_listings(self, table: str, key: FileKey) -> None:
        with self._lock:
            self._writes.pop((table, key), None)
            self._listings.pop((table, key[0]), None)
            self._listings.pop((table, None), None)

    def read_metadata(self, table: str, key: FileKey, path: str, file: ListedFile) -> Mapping[str, str] | None:
        """Return the metadata of a file from the index; None if the file must be opened.

        Args:
            table: the name of the table.
            key: the advertiser and day of the file.
            path: its path in the object store.
            file: the file as listed.
        """
        if not (key[0] and key[1] and file.version):
            return None
        if (table, key[0]) not in self._indexes and self._copy_path(path, file.version).exists():
            return None
        version, metadata = self._load_index(table, key[0]).get(key[1], ("", {}))
        return metadata if version == file.version else None

    def fetch(self, paths: Sequence[tuple[str, ListedFile]]) -> list[str | None]:
        """Return the paths of local copies of files, downloaded if needed; None for one that cannot be copied.

        Args:
            paths: the path of each file in the object store, and the file as listed.
        """
        if not self._is_pruned:
            self._is_pruned = True
            with suppress(OSError):
                prune_copies(self.folder)
        return self._map(lambda one: self._fetch(*one), paths)

    def _fetch(self, path: str, file: ListedFile) -> str | None:
        if file.version is None:
            return None
        copy = self._copy_path(path, file.version)
        try:
            if copy.exists():
                os.utime(copy)
                return str(copy)
            content = self._download(path, file.version)
            if content is None:
                return None
            self._save_copy(copy, content)
        except OSError:
            return None  # the caller reads the object store itself, whose error is then the one to report
        return str(copy)

    def _download(self, path: str, version: str) -> bytes | None:
        """Return the content of a version of a file; None if the store has another one meanwhile."""
        content = read_object(self._base.fs, path)
        if _compute_version(content).strip('"') == version.strip('"'):
            return content
        # A file that is encrypted by a key of its own or was uploaded in parts has another version than its hash.
        with object_store_errors():
            info = self._base.fs.info(path)
        return content if get_object_version(info) == version else None

    def _copy_path(self, path: str, version: str) -> Path:
        name = sha256(f"{path} {version}".encode()).hexdigest()
        return self.folder / name[:2] / f"{name}.parquet"

    def _save_copy(self, copy: Path, content: bytes) -> None:
        if not copy.parent.exists():
            create_private_folder(self.folder)
            create_private_folder(copy.parent)
        write_private_file(copy, content)

    def _get_listing(self, table: str, owner: str | None, since: float) -> _Listing | None:
        with self._lock:
            listing = self._listings.get((table, owner))
        return listing if listing and listing.begun >= since else None

    def _list(self, table: str, owner: str | None) -> _Listing:
        begun = time.monotonic()
        listed, indexes = list_object_store_files(self._base.fs, self._base.path, table, owner, INDEX_FILE_NAME)
        files = {(file.advertiser_id, file.day): file for file in listed}
        with self._lock:
            for (name, key), (written, file) in list(self._writes.items()):
                if name == table and owner in {None, key[0]} and written >= begun:
                    files[key] = file  # the store may have made the list before the write
                elif written < begun - _MAX_LISTING_SECONDS:
                    del self._writes[name, key]
            listing = _Listing(begun, files, indexes)
            self._listings[table, owner] = listing
        return listing

    def _map(self, function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        if len(items) < 2:  # noqa: PLR2004 - no threads for a single call
            return [function(item) for item in items]
        with ThreadPoolExecutor(MAX_CONCURRENT_CALLS, thread_name_prefix="object-store") as threads:
            return list(threads.map(function, items))


def _compute_version(content: bytes) -> str:
    """Return the version that an object store gives a file, unless it encrypts it by a key of its own."""
    return f'"{md5(content, usedforsecurity=False).hexdigest()}"'


def prune_copies(folder: Path, max_bytes: int = MAX_CACHE_BYTES) -> None:
    """Delete the copies that were not used for the longest time, if all together are too large.

    Args:
        folder: the folder of the copies.
        max_bytes: the size that is allowed.

    Raises:
        OSError: if the folder cannot be read or a copy cannot be deleted.
    """
    copies = [(status.st_mtime, status.st_size, path) for path in folder.glob("*/*") for status in [path.stat()]]
    excess = sum(size for _, size, _ in copies) - max_bytes
    for used_at, size, path in sorted(copies):
        if excess <= 0 or used_at > time.time() - _IN_USE_SECONDS:
            return
        path.unlink(missing_ok=True)
        excess -= size


_caches: dict[tuple[str, Path], ObjectCache] = {}
_caches_lock = Lock()


def get_object_cache(base: UPath, folder: Path | None) -> ObjectCache:
    """Return the cache of an object store: the same one for each call in this process that names the same folder.

    Args:
        base: the folder of the tables in the object store.
        folder: the local folder for copies; None for a temporary one and a cache of its own.
    """
    if folder is None:
        return ObjectCache(base, None)
    with _caches_lock:
        return _caches.setdefault((str(base), folder), ObjectCache(base, folder))

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
from tiktok_assets.storage.files import ListedFile, get_object_version, list_object_store_files, read_object

FileKey = tuple[str | None, str | None]
"""The advertiser and the day (ISO 8601) of a file, None where it has none."""

MAX_CACHE_BYTES = 4 * 2**30
"""Above this size the copies that were not used for the longest time are deleted."""

MAX_CONCURRENT_CALLS = 16
_IN_USE_SECONDS = 3600
"""A copy that was used so recently is not deleted: a query that has not been run yet may read it."""

_MAX_LISTING_SECONDS = 3600
"""How long a listing takes at most; own writes are remembered for that time."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Listing:
    """The files of a table or of one of its advertisers, and when the listing was begun."""

    begun: float
    files: dict[FileKey, ListedFile]


class ObjectCache:
    """The versions and local copies of the files of one object store; shared by its stores in a process.

    Args:
        base: the folder of the tables in the object store.
    """

    def __init__(self, base: UPath) -> None:
        self._base = base
        self._temporary = TemporaryDirectory(prefix="tiktok-assets-", ignore_cleanup_errors=True)
        self.folder = Path(self._temporary.name)
        self._listings: dict[tuple[str, str | None], _Listing] = {}
        self._writes: dict[tuple[str, FileKey], tuple[float, ListedFile]] = {}
        self._lock = Lock()
        self._is_pruned = False

    def list_files(
        self, table: str, advertiser_ids: Iterable[str] | None, since: float
    ) -> Mapping[FileKey, ListedFile]:
        """Return the files of a table, in order, from listings that were begun at an instant or later.

        Args:
            table: the name of the table.
            advertiser_ids: the advertisers; None for all. A file of the whole table is always included.
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
        return files

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

    def write(self, table: str, key: FileKey, path: str, content: bytes) -> None:
        """Replace a file of the object store with one call.

        Raises:
            OSError: if it cannot be written.
        """
        try:
            self._base.fs.pipe_file(path, content)
        except BaseException:
            with self._lock:  # the store may have the new file all the same
                self._listings.pop((table, key[0]), None)
                self._listings.pop((table, None), None)
            raise
        version = f'"{md5(content, usedforsecurity=False).hexdigest()}"'
        file = ListedFile(*key, version, len(content))
        with suppress(OSError):  # a full disk does not hold up the store
            self._save_copy(self._copy_path(path, version), content)
        with self._lock:
            self._writes[table, key] = (time.monotonic(), file)
            for owner in {key[0], None}:
                if listing := self._listings.get((table, owner)):
                    listing.files[key] = file

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
        if md5(content, usedforsecurity=False).hexdigest() == version.strip('"'):
            return content
        # A file that is encrypted by a key of its own or was uploaded in parts has another version than its hash.
        info = self._base.fs.info(path)
        return content if get_object_version(info) == version else None

    def _copy_path(self, path: str, version: str) -> Path:
        name = sha256(f"{self._base.protocol}://{path} {version}".encode()).hexdigest()
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
        listed = list_object_store_files(self._base.fs, self._base.path, table, owner)
        files = {(file.advertiser_id, file.day): file for file in listed}
        with self._lock:
            for (name, key), (written, file) in list(self._writes.items()):
                if name == table and owner in {None, key[0]} and written >= begun:
                    files[key] = file  # the store may have made the list before the write
                elif written < begun - _MAX_LISTING_SECONDS:
                    del self._writes[name, key]
            listing = _Listing(begun, files)
            self._listings[table, owner] = listing
        return listing

    def _map(self, function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        if len(items) < 2:  # noqa: PLR2004 - no threads for a single call
            return [function(item) for item in items]
        with ThreadPoolExecutor(MAX_CONCURRENT_CALLS, thread_name_prefix="object-store") as threads:
            return list(threads.map(function, items))


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


_caches: dict[str, ObjectCache] = {}
_caches_lock = Lock()


def get_object_cache(base: UPath, folder: Path | None) -> ObjectCache:
    """Return the cache of an object store, the same one for each call in this process.

    Args:
        base: the folder of the tables in the object store.
        folder: the local folder for copies; None to keep the present one, which is temporary at first.
    """
    with _caches_lock:
        cache = _caches.setdefault(str(base), ObjectCache(base))
    if folder is not None:
        cache.folder = folder
    return cache

"""Keep local copies of the files of an object store, and know from few listings which of them are current.

Each call to an object store takes 20 to 100 ms, and a refresh reads the same files many times: their metadata to
plan, to record restatements and to check. So a file is downloaded once per version, and one listing returns the
current versions of a thousand files.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeVar

from upath import UPath

from tiktok_assets.storage.files import ADVERTISER_PREFIX, FileKey, ListedFile
from tiktok_assets.storage.metadata_index import INDEX_FILE_NAME, Entries, decode_index, encode_index
from tiktok_assets.storage.object_copies import ObjectCopies, compute_version
from tiktok_assets.storage.object_files import get_object_version, object_store_errors, write_object
from tiktok_assets.storage.object_listing import list_object_store_files
from tiktok_assets.storage.object_reader import ObjectReader

WHOLE_TABLE = ""
"""Instead of an advertiser: the file of a table that is one file."""

MAX_UNWRITTEN_INDEX_SECONDS = 60
"""For so long the metadata of written files may be missing in their index."""

_MAX_LISTING_SECONDS = 3600
"""How long a listing takes at most; own writes are remembered for that time."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Listing:
    """The files of a table or of one of its advertisers.

    Attributes:
        begun: when the listing was begun.
        files: the files.
        indexes: by advertiser the version of its index.
        first_day: the first day (ISO 8601) that was listed; "" if all were.
    """

    begun: float
    files: dict[FileKey, ListedFile]
    indexes: dict[str, str]
    first_day: str = ""


class ObjectCache:
    """The versions and local copies of the files of one object store.

    Args:
        base: the folder of the tables in the object store.
        folder: the local folder for copies; None for one that is deleted at the end of the process.
    """

    def __init__(self, base: UPath, folder: Path | None) -> None:
        self._base = base
        self._reader = ObjectReader(base)
        self._copies = ObjectCopies(self._reader, folder)
        self._listings: dict[tuple[str, str | None], _Listing] = {}
        self._recent: dict[tuple[str, str | None], _Listing] = {}
        self._writes: dict[tuple[str, FileKey], tuple[float, ListedFile]] = {}
        self._indexes: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._unwritten: dict[tuple[str, str], dict[str, tuple[str, Mapping[str, str]]]] = {}
        self._unwritten_since = 0.0
        self._lock = Lock()

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
        if listing is None and key[1]:
            recent = self._get_recent(table, key[0], since)
            # A listing of recent days has all months.
            listing = recent if recent and key[1] >= recent.first_day[: len(key[1])] else None
        if listing is None:
            listing = self._list(table, key[0] if key[1] else None)
        return listing.files.get(key)

    def _find_listings(self, table: str, key: FileKey) -> Iterator[_Listing]:
        """Yield what is known of the table and of the advertiser of a file; the lock must be held."""
        places = (self._listings, key[0]), (self._listings, None), (self._recent, key[0])
        yield from (listing for known, owner in places if (listing := known.get((table, owner))))

    def _load_index(self, table: str, advertiser_id: str) -> Entries:
        """Return the metadata of the newest days of an advertiser; none without an index in the last listing."""
        with self._lock:
            listings = list(self._find_listings(table, (advertiser_id, None)))
            known = self._indexes.get((table, advertiser_id))
        newest = max(listings, key=lambda one: one.begun, default=None)
        version = newest.indexes.get(advertiser_id) if newest else None
        if version is None or (known and known[0] == version):
            return decode_index(known[1]) if known else {}
        try:
            content, _ = self._read_index(table, advertiser_id)
        except OSError:
            content = b""
        with self._lock:
            self._indexes[table, advertiser_id] = version, content
        return decode_index(content)

    def _index_path(self, table: str, advertiser_id: str) -> str:
        return f"{self._base.path}/{table}/{ADVERTISER_PREFIX}{advertiser_id}/{INDEX_FILE_NAME}"

    def _read_index(self, table: str, advertiser_id: str) -> tuple[bytes, str]:
        content, version = self._reader.read(self._index_path(table, advertiser_id))
        return content, version or compute_version(content)

    def prefetch(self, owners: Sequence[tuple[str, str]], since: float, first_day: str = "") -> None:
        """List advertisers of tables and load their indexes, many at a time.

        Args:
            owners: the tables and advertisers.
            since: the instant (`time.monotonic`) since which a listing is trusted.
            first_day: list the days since this one (ISO 8601); then two calls are made for each of the owners,
                however many days are stored. "" for all days.

        Raises:
            OSError: if the object store cannot be listed.
        """

        def _load_all(owner: tuple[str, str]) -> None:
            table = self._get_listing(owner[0], None, since)
            listing = self._get_listing(*owner, since) or table or self._list(*owner)
            if listing.files:
                self._load_index(*owner)

        def _load_recent(owner: tuple[str, str]) -> None:
            self._list(*owner, first_day)

        if not first_day:
            self._map(_load_all, owners)
            return
        missing = [owner for owner in owners if not self._has_recent(*owner, since, first_day)]
        calls: list[Callable[[], object]] = [partial(_load_recent, owner) for owner in missing]
        calls += [partial(self._try_index, *owner) for owner in missing]
        self._map(lambda call: call(), calls)
        with self._lock:
            for owner in missing:
                if owner in self._indexes and (recent := self._recent.get(owner)):
                    recent.indexes[owner[1]] = self._indexes[owner][0]

    def _has_recent(self, table: str, owner: str, since: float, first_day: str) -> bool:
        recent = self._get_recent(table, owner, since)
        return self._get_listing(table, owner, since) is not None or (
            recent is not None and recent.first_day <= first_day
        )

    def _try_index(self, table: str, advertiser_id: str) -> None:
        with suppress(OSError):  # there is none; or the files are opened instead
            content, version = self._read_index(table, advertiser_id)
            with self._lock:
                self._indexes[table, advertiser_id] = version, content

    def write_indexes(self) -> None:
        """Write the indexes of the files that were written since the last time; one call each."""
        with self._lock:
            unwritten, self._unwritten = self._unwritten, {}
        self._map(lambda one: self._write_index(*one), list(unwritten.items()))

    def _write_index(self, owner: tuple[str, str], entries: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
        with suppress(OSError):  # the files are opened instead
            if self._get_listing(*owner, 0) is None and self._get_recent(*owner, 0) is None:
                self._list(*owner)  # otherwise the entries of earlier days would be lost
            content = encode_index({**self._load_index(*owner), **entries})
            write_object(self._base.fs, self._index_path(*owner), content)
            version = compute_version(content)
            with self._lock:
                self._indexes[owner] = version, content
                for listing in self._find_listings(owner[0], (owner[1], None)):
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
        version = compute_version(content)
        file = ListedFile(*key, version, len(content))
        with suppress(OSError):  # a full disk does not hold up the store
            self._copies.save(path, version, content)
        with self._lock:
            self._writes[table, key] = (time.monotonic(), file)
            if metadata and key[0] and key[1]:
                self._unwritten_since = self._unwritten_since if self._unwritten else time.monotonic()
                self._unwritten.setdefault((table, key[0]), {})[key[1]] = (version, dict(metadata))
            is_index_due = self._unwritten and (
                time.monotonic() - self._unwritten_since > MAX_UNWRITTEN_INDEX_SECONDS
            )
            for listing in self._find_listings(table, key):
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
            for listing in self._find_listings(table, key):
                listing.files.pop(key, None)
        return True

    def _forget_listings(self, table: str, key: FileKey) -> None:
        with self._lock:
            self._writes.pop((table, key), None)
            self._listings.pop((table, key[0]), None)
            self._listings.pop((table, None), None)
            self._recent.pop((table, key[0]), None)

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
        if (table, key[0]) not in self._indexes and self._copies.has(path, file.version):
            return None
        version, metadata = self._load_index(table, key[0]).get(key[1], ("", {}))
        return metadata if version == file.version else None

    def fetch(self, paths: Sequence[tuple[str, ListedFile]]) -> list[str | None]:
        """Return the paths of local copies of files, downloaded if needed; None for one that cannot be copied.

        Args:
            paths: the path of each file in the object store, and the file as listed.
        """
        self._copies.prune()
        return self._map(lambda one: self._copies.fetch(*one), paths)

    def _get_listing(self, table: str, owner: str | None, since: float) -> _Listing | None:
        with self._lock:
            listing = self._listings.get((table, owner))
        return listing if listing and listing.begun >= since else None

    def _get_recent(self, table: str, owner: str | None, since: float) -> _Listing | None:
        with self._lock:
            listing = self._recent.get((table, owner))
        return listing if listing and listing.begun >= since else None

    def _list(self, table: str, owner: str | None, first_day: str = "") -> _Listing:
        begun = time.monotonic()
        listed, indexes = list_object_store_files(self._reader, self._base.path, table, owner, first_day)
        files = {(file.advertiser_id, file.day): file for file in listed}
        with self._lock:
            for (name, key), (written, file) in list(self._writes.items()):
                if name == table and owner in {None, key[0]} and written >= begun:
                    files[key] = file  # the store may have made the list before the write
                elif written < begun - _MAX_LISTING_SECONDS:
                    del self._writes[name, key]
            listing = _Listing(begun, files, indexes, first_day)
            (self._recent if first_day else self._listings)[table, owner] = listing
        return listing

    def _map(self, function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        if len(items) < 2:  # noqa: PLR2004 - no threads for a single call
            return [function(item) for item in items]
        with ThreadPoolExecutor(
            min(self._reader.max_calls, len(items)), thread_name_prefix="object-store"
        ) as threads:
            return list(threads.map(function, items))


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

"""Download the pictures of one run within its limits, and store them as thumbnails."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from tiktok_assets.api import PictureClient, PictureError
from tiktok_assets.ingest.pictures import make_thumbnail
from tiktok_assets.storage import ThumbnailStore

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The result of one download.

    Attributes:
        digest: the hash of the thumbnail; None if there is none.
        error: why there is none; "" if there is.
        is_temporary: whether another attempt may work.
    """

    digest: str | None
    error: str = ""
    is_temporary: bool = False


class ThumbnailDownloads:
    """The downloads of one run, with their limits and counts.

    Args:
        store: where thumbnails are stored.
        client: downloads the pictures.
        max_pictures: how many pictures are downloaded.
        max_bytes: how large all stored thumbnails together may be.

    Attributes:
        pictures: how many thumbnails were made.
        bytes: how many bytes were added to the store.
        write_error: why a thumbnail could not be stored; "" if none failed. After a failure nothing is downloaded.
    """

    def __init__(self, store: ThumbnailStore, client: PictureClient, max_pictures: int, max_bytes: int) -> None:
        self._store = store
        self._client = client
        self._remaining = max_pictures
        self._max_bytes = max_bytes
        self._sizes: dict[str, int] | None = None
        self.pictures, self.bytes = 0, 0
        self.write_error = ""

    @property
    def is_over(self) -> bool:
        """Whether no further picture is downloaded in this run."""
        return self._remaining <= 0 or self._is_full

    @property
    def _is_full(self) -> bool:
        """Whether the disk or the room for thumbnails is full."""
        if self.write_error:
            return True
        return self._stored_bytes >= self._max_bytes

    @property
    def _stored_bytes(self) -> int:
        return sum(self._stored.values())

    @property
    def _stored(self) -> dict[str, int]:
        """The size of each stored thumbnail; listed once a run."""
        if self._sizes is None:
            self._sizes = self._store.list_sizes()
        return self._sizes

    def find_lost(self, digests: Iterable[str]) -> set[str]:
        """Return those of the thumbnails that tables name whose files are not stored."""
        named = set(digests)
        return named - self._stored.keys() if named else named

    def fetch(self, urls: Sequence[str]) -> Iterator[Thumbnail | None]:
        """Yield the result of each URL in order; None for one that the limits left out."""
        chosen = [] if self.is_over else urls[: self._remaining]
        self._remaining -= len(chosen)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="pictures") as threads:
            for start in range(0, len(chosen), _THREADS):
                if self._is_full:
                    yield from (None for _ in chosen[start:])
                    break
                results = threads.map(self._download, chosen[start : start + _THREADS])
                yield from (self._write(one) if isinstance(one, bytes) else one for one in results)
        yield from (None for _ in urls[len(chosen) :])

    def _download(self, url: str) -> bytes | Thumbnail:
        try:
            return make_thumbnail(self._client.download(url))
        except PictureError as error:
            return Thumbnail(None, str(error), error.is_temporary)

    def _write(self, content: bytes) -> Thumbnail | None:
        if self.write_error or self._stored_bytes + len(content) > self._max_bytes:
            return None
        try:
            digest, added = self._store.write(content)
        except OSError as error:
            self.write_error = error.strerror or str(error)
            return None
        self._stored[digest] = len(content)
        self.pictures += 1
        self.bytes += added
        return Thumbnail(digest)


@contextmanager
def open_downloads(
    store: ThumbnailStore, base_url: str, *, max_pictures: int, max_megabytes: int
) -> Iterator[ThumbnailDownloads]:
    """Open the downloads of one run, with connections that are closed at the end of the context."""
    with PictureClient(base_url) as client:
        yield ThumbnailDownloads(store, client, max_pictures, max_megabytes * 1_000_000)

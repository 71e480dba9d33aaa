"""Store thumbnails by the hash of their content, beside the tables, on disk or in an object store."""

import re
from hashlib import sha256
from pathlib import Path

from upath import UPath

from tiktok_assets.storage.files import write_atomically
from tiktok_assets.storage.object_files import find_objects, read_object

THUMBNAIL_FOLDER = "thumbnails"
_HASH = re.compile(r"[0-9a-f]{64}")


class ThumbnailStore:
    """The thumbnails below the folder of the tables, as `thumbnails/<first two of the hash>/<hash>.webp`.

    Args:
        base: the folder of the tables, as of `HiveStore`.
    """

    def __init__(self, base: UPath) -> None:
        self._folder = base / THUMBNAIL_FOLDER

    def path(self, digest: str) -> UPath:
        """Return the path of a thumbnail.

        Raises:
            ValueError: if it is not the SHA-256 hash of a file.
        """
        if not _HASH.fullmatch(digest):
            raise ValueError(f"{digest[:80]!r} is not a SHA-256 hash")
        return self._folder / digest[:2] / f"{digest}.webp"

    def write(self, content: bytes) -> tuple[str, int]:
        """Store a thumbnail and return its hash and the bytes that were added, 0 if it was stored before.

        Raises:
            OSError: if it cannot be written.
        """
        digest = sha256(content).hexdigest()
        path = self.path(digest)
        if self._measure(path) == len(content):
            return digest, 0
        write_atomically(content, path)
        return digest, len(content)

    def read(self, digest: str) -> bytes | None:
        """Return a thumbnail; None if it is not stored or its file is damaged."""
        try:
            path = self.path(digest)
            content = self._read(path)
        except (OSError, ValueError):
            return None
        return content if sha256(content).hexdigest() == digest else None

    def list_sizes(self) -> dict[str, int]:
        """Return the size of each stored thumbnail in bytes, by its hash, with one listing."""
        if isinstance(self._folder, Path):
            return {path.stem: size for path in self._folder.rglob("*.webp") if (size := self._measure(path))}
        files = find_objects(self._folder.fs, self._folder.path, "")
        return {path.rpartition("/")[2].removesuffix(".webp"): int(file["size"]) for path, file in files.items()}

    def measure(self) -> int:
        """Return the size of all thumbnails in bytes."""
        return sum(self.list_sizes().values())

    def _read(self, path: UPath | Path) -> bytes:
        return path.read_bytes() if isinstance(path, Path) else read_object(path.fs, path.path)

    def _measure(self, path: UPath | Path) -> int:
        """Return the size of a file in bytes; 0 if it does not exist."""
        if isinstance(path, Path):
            try:
                return path.stat().st_size
            except OSError:  # deleted meanwhile
                return 0
        found = find_objects(path.fs, path.parent.path, path.name)
        return int(found[path.path]["size"]) if path.path in found else 0

"""Store thumbnails by the hash of their content, beside the tables, on disk or in an object store."""

import re
from hashlib import sha256
from pathlib import Path

from upath import UPath

from tiktok_assets.storage.files import write_atomically

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
        if path.exists() and path.stat().st_size == len(content):
            return digest, 0
        write_atomically(content, path)
        return digest, len(content)

    def read(self, digest: str) -> bytes | None:
        """Return a thumbnail; None if it is not stored or its file is damaged."""
        try:
            content = self.path(digest).read_bytes()
        except (OSError, ValueError):
            return None
        return content if sha256(content).hexdigest() == digest else None

    def list_sizes(self) -> dict[str, int]:
        """Return the size of each stored thumbnail in bytes, by its hash, with one listing."""
        if isinstance(self._folder, Path):
            return {path.stem: size for path in self._folder.rglob("*.webp") if (size := _measure(path))}
        files = self._folder.fs.find(self._folder.path, detail=True)
        return {path.rpartition("/")[2].removesuffix(".webp"): int(file["size"]) for path, file in files.items()}

    def measure(self) -> int:
        """Return the size of all thumbnails in bytes."""
        return sum(self.list_sizes().values())


def _measure(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # deleted meanwhile
        return 0

"""Keep local copies of the files of an object store, named by path and version, and delete those not used."""

import os
import time
from contextlib import suppress
from hashlib import md5, sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from tiktok_assets.file_permissions import create_private_folder, write_private_file
from tiktok_assets.storage.files import ListedFile
from tiktok_assets.storage.object_reader import ObjectReader

MAX_CACHE_BYTES = 4 * 2**30
"""Above this size the copies that were not used for the longest time are deleted."""

_IN_USE_SECONDS = 3600
"""A copy that was used so recently is not deleted: a query that has not been run yet may read it."""


class ObjectCopies:
    """The local copies of the files of one object store.

    Args:
        reader: reads the object store.
        folder: the local folder for copies; None for one that is deleted at the end of the process.
    """

    def __init__(self, reader: ObjectReader, folder: Path | None) -> None:
        if folder is None:
            self._temporary = TemporaryDirectory(prefix="tiktok-assets-", ignore_cleanup_errors=True)
            folder = Path(self._temporary.name)
        self._reader = reader
        self._folder = folder
        self._is_pruned = False

    def has(self, path: str, version: str) -> bool:
        """Return whether there is a copy of a version of a file."""
        return self._copy_path(path, version).exists()

    def save(self, path: str, version: str, content: bytes) -> None:
        """Keep the content of a version of a file.

        Raises:
            OSError: if it cannot be written.
        """
        copy = self._copy_path(path, version)
        if not copy.parent.exists():
            create_private_folder(self._folder)
            create_private_folder(copy.parent)
        write_private_file(copy, content)

    def prune(self) -> None:
        """Delete unused copies if all together are too large, once in a process."""
        if not self._is_pruned:
            self._is_pruned = True
            with suppress(OSError):
                prune_copies(self._folder)

    def fetch(self, path: str, file: ListedFile) -> str | None:
        """Return the path of a local copy of a file, downloaded if needed; None if it cannot be copied."""
        if file.version is None:
            return None
        copy = self._copy_path(path, file.version)
        try:
            if copy.exists():
                os.utime(copy)
                return str(copy)
            content, version = self._reader.read(path)
            version = version or compute_version(content)
            if version.strip('"') != file.version.strip('"'):
                # A file that is encrypted by a key of its own or was uploaded in parts has another version.
                version = self._reader.find_version(path) or ""
            if version.strip('"') != file.version.strip('"'):
                return None
            self.save(path, file.version, content)
        except OSError:
            return None  # the caller reads the object store itself, whose error is then the one to report
        return str(copy)

    def _copy_path(self, path: str, version: str) -> Path:
        name = sha256(f"{path} {version}".encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.parquet"


def compute_version(content: bytes) -> str:
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

"""One file put in place whole, for those who may be reading the one before."""

from pathlib import Path
from uuid import uuid4

from upath import UPath


def put_whole(content: bytes, target: UPath) -> None:
    """Replace the target in one step: by a rename on a disk, by one PUT in an object store.

    Raises:
        OSError: if it cannot be written; what stood before still stands.
    """
    if not isinstance(target, Path):
        target.write_bytes(content)
        return
    unfinished = Path(str(target)).with_name(f"_{uuid4().hex}.unfinished")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    try:
        unfinished.write_bytes(content)
        unfinished.replace(str(target))
    finally:
        unfinished.unlink(missing_ok=True)


def cannot_build(target: UPath, error: Exception) -> str:
    """Why a file made of the tables does not stand, and what to do about it.

    Args:
        target: the file.
        error: of the disk, or of whoever read the tables.
    """
    if isinstance(error, OSError):
        return f"cannot build {target}: {error}; make that place writable and free some room on it"
    return f"cannot build {target}: {error}; the check `declared_schema` names the file to refresh"

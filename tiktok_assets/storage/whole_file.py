"""One file put in place whole, for those who may be reading the one before."""

import errno
import shutil
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


def move_whole(made: Path, target: UPath) -> None:
    """The same with a file that was made on this machine, of any size, which is gone afterwards.

    Raises:
        OSError: as above.
    """
    if not isinstance(target, Path):
        target.fs.put_file(str(made), target.path)
        made.unlink()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        made.replace(str(target))
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        unfinished = Path(str(target)).with_name(f"_{uuid4().hex}.unfinished")
        try:
            shutil.copyfile(made, unfinished)
            unfinished.replace(str(target))
        finally:
            unfinished.unlink(missing_ok=True)
        made.unlink()


def cannot_build(target: UPath, error: Exception) -> str:
    """Why a file made of the tables does not stand, and what to do about it.

    Args:
        target: the file.
        error: of the disk, or of whoever read the tables.
    """
    if isinstance(error, OSError):
        return f"cannot build {target}: {error}; make that place writable and free some room on it"
    return f"cannot build {target}: {error}; the check `declared_schema` names the file to refresh"

"""List partition files with their versions, and replace single files atomically, on disk or in an object store."""

import errno
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from upath import UPath

PARTITION_FILE_NAME = "part-0.parquet"
_ADVERTISER_PREFIX, _DATE_PREFIX = "advertiser_id=", "date="
_MAX_CLOCK_RESOLUTION_NS = 2_000_000_000
"""The coarsest clock a file system gives its files their time by."""


class ListedFile(NamedTuple):
    """One file.

    Attributes:
        owner: its advertiser; None for the file of a whole table.
        day: its day as text; None for the file of a whole advertiser.
        mark: other than that of any file that stands there later; None where that is not certain.
    """

    owner: str | None
    day: str | None
    mark: str | None


def list_local_files(root: str, owners: Iterable[str] | None) -> Iterator[ListedFile]:
    """The files below a local folder, by advertiser and day.

    A file is replaced by a rename, which brings another inode, or one that was set free in between. Then the time
    differs, if only the file was so old when it was listed that a successor cannot have the same.

    Args:
        root: the table's folder; it need not be there.
        owners: only theirs; None for all.
    """
    listed_at = time.time_ns()
    if told := _stat_partition_file(root):
        yield ListedFile(None, None, _file_version(told, listed_at))
        return
    for owner in _partition_values(root, _ADVERTISER_PREFIX) if owners is None else sorted(set(owners)):
        folder = f"{root}/{_ADVERTISER_PREFIX}{owner}"
        if told := _stat_partition_file(folder):
            yield ListedFile(owner, None, _file_version(told, listed_at))
            continue
        for day in _partition_values(folder, _DATE_PREFIX):
            if told := _stat_partition_file(f"{folder}/{_DATE_PREFIX}{day}"):
                yield ListedFile(owner, day, _file_version(told, listed_at))


def _stat_partition_file(folder: str) -> os.stat_result | None:
    """Of the folder's file; plain text and one call, because a table has ten thousand of them."""
    try:
        return os.stat(f"{folder}/{PARTITION_FILE_NAME}")  # noqa: PTH116 - a Path costs ten times the call
    except (FileNotFoundError, NotADirectoryError):
        return None


def _file_version(told: os.stat_result, listed_at: int) -> str | None:
    if told.st_mtime_ns > listed_at - _MAX_CLOCK_RESOLUTION_NS:
        return None
    return f"{told.st_ino}-{told.st_size}-{told.st_mtime_ns}"


def _partition_values(folder: str, prefix: str) -> list[str]:
    """The values of one partition column below a folder, sorted."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - as above
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))


def list_object_store_files(files: Any, root: str, owners: Iterable[str] | None) -> Iterator[ListedFile]:  # noqa: ANN401
    """The same of an object store, which lists a thousand objects in one answer; its ETag is the mark.

    Args:
        files: the store, as fsspec has it.
        root: the table's path in it.
        owners: only theirs; None for all.
    """
    whole = f"{root}/{PARTITION_FILE_NAME}"
    if owners is None:
        found = _find_objects(files, root)
    elif files.exists(whole):
        found = {whole: files.info(whole)}
    else:
        found = {}
        for one in set(owners):
            found |= _find_objects(files, f"{root}/{_ADVERTISER_PREFIX}{one}")
    marks = {
        place: get_etag(told)
        for path, told in found.items()
        if (place := _parse_object_path(path.removeprefix(f"{root}/")))
    }
    for place in sorted(marks, key=lambda one: (one.owner or "", one.day or "")):
        if not {ListedFile(None, None, None), ListedFile(place.owner, None, None)} & (marks.keys() - {place}):
            yield place._replace(mark=marks[place])


def _parse_object_path(path: str) -> ListedFile | None:
    """Whose file a path below a table is; None where it is none of ours."""
    told = re.fullmatch(
        rf"(?:{_ADVERTISER_PREFIX}([^/]+)/(?:{_DATE_PREFIX}([^/]+)/)?)?{re.escape(PARTITION_FILE_NAME)}", path
    )
    return ListedFile(told[1], told[2], None) if told else None


def get_etag(told: dict[str, Any]) -> str | None:
    """What a store says to tell one content of an object from another; None where it says nothing."""
    return told.get("ETag") or told.get("etag")


def _find_objects(files: Any, root: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - fsspec has no types
    with suppress(FileNotFoundError):
        return dict(files.find(root, detail=True))
    return {}


def write_atomically(content: bytes, target: UPath) -> None:
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


def move_atomically(made: Path, target: UPath) -> None:
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


def describe_build_failure(target: UPath, error: Exception) -> str:
    """Why a file made of the tables does not stand, and what to do about it.

    Args:
        target: the file.
        error: of the disk, or of whoever read the tables.
    """
    if isinstance(error, OSError):
        return f"cannot build {target}: {error}; make that place writable and free some room on it"
    return f"cannot build {target}: {error}; the check `declared_schema` names the file to refresh"

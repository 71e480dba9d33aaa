"""Name partition files, list those on a disk with their versions, and replace or delete files atomically."""

import errno
import os
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from upath import UPath

PARTITION_FILE_NAME = "part-0.parquet"
TEMPORARY_FOLDER = "_writing"
_ABANDONED_AFTER_SECONDS = 24 * 3600
ADVERTISER_PREFIX, DATE_PREFIX, MONTH_PREFIX = "advertiser_id=", "date=", "month="
_MAX_CLOCK_RESOLUTION_NS = 2_000_000_000
"""The coarsest resolution of modification times of any file system."""


class ListedFile(NamedTuple):
    """A partition file.

    Attributes:
        advertiser_id: its advertiser; None for the file of a whole table.
        day: its day as text, or of the file of several days their month, such as 2026-09; None for the file of a
            whole advertiser.
        version: a text that differs from the version of every later file of the same partition; None where that is
            not certain.
        size: the size in bytes; 0 if it is not known.
    """

    advertiser_id: str | None
    day: str | None
    version: str | None
    size: int = 0

    @property
    def is_month(self) -> bool:
        """Whether this is the file of several days of a month."""
        return self.day is not None and len(self.day) == MONTH_LENGTH


FileKey = tuple[str | None, str | None]
"""The advertiser, and the day or month, of a file; None where it has none."""

MONTH_LENGTH = len("2026-09")


def relative_file_path(table: str, key: FileKey) -> str:
    """Return the path of a partition file below the folder of the tables; the names are not validated."""
    advertiser_id, day = key
    parts = [table]
    if advertiser_id is not None:
        parts.append(f"{ADVERTISER_PREFIX}{advertiser_id}")
    if day is not None:
        parts.append(f"{MONTH_PREFIX if len(day) == MONTH_LENGTH else DATE_PREFIX}{day}")
    return "/".join([*parts, PARTITION_FILE_NAME])


def list_local_files(
    root: str, advertiser_ids: Iterable[str] | None, days: Collection[str] | None = None
) -> Iterator[ListedFile]:
    """List the partition files below a local folder by advertiser: those of days in order, then those of months.

    A file is replaced by a rename, which gives it another inode, or one that was freed meanwhile. In that case its
    modification time differs, unless the old file was written within the clock's resolution before the listing;
    such a file has the version None.

    Args:
        root: the folder of the table, which need not exist.
        advertiser_ids: the advertisers to list; None for all.
        days: the days to list, and the months of which files of months are; None for all. The status of other
            files is not read.
    """
    listed_at = time.time_ns()
    if status := _stat_partition_file(root):
        yield ListedFile(None, None, _file_version(status, listed_at))
        return
    for advertiser_id in (
        _partition_values(root, ADVERTISER_PREFIX) if advertiser_ids is None else sorted(set(advertiser_ids))
    ):
        folder = f"{root}/{ADVERTISER_PREFIX}{advertiser_id}"
        if status := _stat_partition_file(folder):
            yield ListedFile(advertiser_id, None, _file_version(status, listed_at))
            continue
        for day in _partition_values(folder, DATE_PREFIX) if days is None else sorted(days):
            if status := _stat_partition_file(f"{folder}/{DATE_PREFIX}{day}"):
                yield ListedFile(advertiser_id, day, _file_version(status, listed_at))
        months = None if days is None else {day[:MONTH_LENGTH] for day in days}
        for month in _partition_values(folder, MONTH_PREFIX) if months is None else sorted(months):
            if status := _stat_partition_file(f"{folder}/{MONTH_PREFIX}{month}"):
                yield ListedFile(advertiser_id, month, _file_version(status, listed_at))


def find_local_file(root: str, key: FileKey) -> ListedFile | None:
    """Find one partition file below the folder of a table; None if it does not exist.

    Args:
        root: the folder of the table.
        key: the advertiser, and the day or month, of the file.
    """
    listed_at = time.time_ns()
    folder = relative_file_path(root, key).removesuffix(f"/{PARTITION_FILE_NAME}")
    status = _stat_partition_file(folder)
    return ListedFile(*key, _file_version(status, listed_at), status.st_size) if status else None


def list_local_days(root: str, newest: int) -> Iterator[tuple[str, list[str], list[str]]]:
    """List for each advertiser below a local folder the oldest day that has a file, and the newest ones.

    Only the status of these files is read, because a table of three years can have a hundred thousand.

    Args:
        root: the folder of the table, which need not exist.
        newest: how many of the newest days are listed.

    Yields:
        Advertisers in order, each with its days in order, and the months that have a file of several days.
    """
    for advertiser_id in _partition_values(root, ADVERTISER_PREFIX):
        folder = f"{root}/{ADVERTISER_PREFIX}{advertiser_id}"
        days = _partition_values(folder, DATE_PREFIX)

        def exists(day: str, folder: str = folder) -> bool:
            return _stat_partition_file(f"{folder}/{DATE_PREFIX}{day}") is not None

        recent = list(islice(filter(exists, reversed(days)), newest))
        oldest = next(filter(exists, days), None)
        yield (
            advertiser_id,
            sorted({oldest, *recent} if oldest else set()),
            _partition_values(folder, MONTH_PREFIX),
        )


def _stat_partition_file(folder: str) -> os.stat_result | None:
    """Return the status of a folder's partition file; fast, because a table can have ten thousand files."""
    try:
        return os.stat(f"{folder}/{PARTITION_FILE_NAME}")  # noqa: PTH116 - a Path costs ten times the call
    except (FileNotFoundError, NotADirectoryError):
        return None


def _file_version(status: os.stat_result, listed_at: int) -> str | None:
    if status.st_mtime_ns > listed_at - _MAX_CLOCK_RESOLUTION_NS:
        return None
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


def _partition_values(folder: str, prefix: str) -> list[str]:
    """Return the values of one partition column below a folder, sorted."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a Path costs more, as above
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))


def write_and_flush(path: Path, content: bytes | memoryview) -> None:
    """Write a file and wait until the disk has its content.

    Without that, a rename can survive a power failure that the renamed content does not, and the file is empty.

    Raises:
        OSError: if it cannot be written.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(base: Path, target: Path, content: memoryview) -> None:
    """Replace a file of the tables by a rename; readers see the old or the new one, also after a power failure.

    Args:
        base: the folder of the tables, which also holds unfinished files.
        target: the file.
        content: its new content.

    Raises:
        OSError: if it cannot be written; the previous file is unchanged.
    """
    temporary = _open_temporary_folder(base) / f"{uuid4().hex}.unfinished"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_and_flush(temporary, content)
        try:
            temporary.replace(target)
        except FileNotFoundError:  # its folder was empty, and was removed at this moment
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def delete_local_version(base: Path, target: Path, version: str) -> bool:
    """Delete a file of the tables, and its folder if that is empty, unless it is another version by now.

    The file is moved aside before its version is compared, so that a version written meanwhile is never deleted.

    Args:
        base: the folder of the tables.
        target: the file.
        version: see `ListedFile`.

    Returns:
        Whether it was deleted.

    Raises:
        OSError: if it cannot be moved or deleted.
    """
    aside = _open_temporary_folder(base) / f"{uuid4().hex}.deleted"
    try:
        target.replace(aside)
    except FileNotFoundError:
        return True
    is_same = _file_version(aside.stat(), time.time_ns()) == version
    if is_same:
        aside.unlink()
        with suppress(OSError):  # another file was written into the folder
            target.parent.rmdir()
        return True
    try:
        target.hardlink_to(aside)
        aside.unlink()
    except FileExistsError:  # an even later version
        aside.unlink()
    except OSError:  # a file system without hard links
        aside.replace(target)
    return False


def _open_temporary_folder(base: Path) -> Path:
    """Return the folder for unfinished files, after deleting those older than a day from killed processes."""
    folder = base / TEMPORARY_FOLDER
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):  # another writer has renamed its file meanwhile
            if time.time() - entry.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                Path(entry.path).unlink()
    return folder


def write_atomically(content: bytes, target: UPath) -> None:
    """Replace the content of a file in one step: by a rename on disk, by one PUT in an object store.

    Raises:
        OSError: if it cannot be written; the previous file is unchanged.
    """
    if not isinstance(target, Path):
        target.write_bytes(content)
        return
    temporary = Path(str(target)).with_name(f"_{uuid4().hex}.unfinished")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_and_flush(temporary, content)
        temporary.replace(str(target))
    finally:
        temporary.unlink(missing_ok=True)


def move_atomically(source: Path, target: UPath) -> None:
    """Replace a file by a local file of any size in one step, and delete the local file.

    Raises:
        OSError: if it cannot be written; the previous file is unchanged.
    """
    if not isinstance(target, Path):
        target.fs.put_file(str(source), target.path)
        source.unlink()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(str(target))
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = Path(str(target)).with_name(f"_{uuid4().hex}.unfinished")
        try:
            shutil.copyfile(source, temporary)
            temporary.replace(str(target))
        finally:
            temporary.unlink(missing_ok=True)
        source.unlink()


def describe_build_failure(target: UPath, error: Exception) -> str:
    """Return why a file that is built from the tables could not be built, and what to do about it.

    Args:
        target: the file that was being built.
        error: the error of the disk, or of the library that read the tables.
    """
    if isinstance(error, OSError):
        return f"cannot build {target}: {error}; make its folder writable and free some disk space"
    return f"cannot build {target}: {error}; the check `declared_schema` names the file to refresh"

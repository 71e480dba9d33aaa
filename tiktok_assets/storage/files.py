"""List partition files with their versions, and replace single files atomically, on disk or in an object store."""

import errno
import os
import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from upath import UPath

PARTITION_FILE_NAME = "part-0.parquet"
TEMPORARY_FOLDER = "_writing"
_ABANDONED_AFTER_SECONDS = 24 * 3600
_ADVERTISER_PREFIX, _DATE_PREFIX = "advertiser_id=", "date="
_MAX_CLOCK_RESOLUTION_NS = 2_000_000_000
"""The coarsest resolution of modification times of any file system."""


class ListedFile(NamedTuple):
    """A partition file.

    Attributes:
        advertiser_id: its advertiser; None for the file of a whole table.
        day: its day as text; None for the file of a whole advertiser.
        version: a text that differs from the version of every later file of the same partition; None where that is
            not certain.
        size: the size in bytes; 0 if it is not known.
    """

    advertiser_id: str | None
    day: str | None
    version: str | None
    size: int = 0


def list_local_files(
    root: str, advertiser_ids: Iterable[str] | None, days: Collection[str] | None = None
) -> Iterator[ListedFile]:
    """List the partition files below a local folder, sorted by advertiser and day.

    A file is replaced by a rename, which gives it another inode, or one that was freed meanwhile. In that case its
    modification time differs, unless the old file was written within the clock's resolution before the listing;
    such a file has the version None.

    Args:
        root: the folder of the table, which need not exist.
        advertiser_ids: the advertisers to list; None for all.
        days: the days to list; None for all. The status of the files of other days is not read.
    """
    listed_at = time.time_ns()
    if status := _stat_partition_file(root):
        yield ListedFile(None, None, _file_version(status, listed_at))
        return
    for advertiser_id in (
        _partition_values(root, _ADVERTISER_PREFIX) if advertiser_ids is None else sorted(set(advertiser_ids))
    ):
        folder = f"{root}/{_ADVERTISER_PREFIX}{advertiser_id}"
        if status := _stat_partition_file(folder):
            yield ListedFile(advertiser_id, None, _file_version(status, listed_at))
            continue
        for day in _partition_values(folder, _DATE_PREFIX) if days is None else sorted(days):
            if status := _stat_partition_file(f"{folder}/{_DATE_PREFIX}{day}"):
                yield ListedFile(advertiser_id, day, _file_version(status, listed_at))


def list_local_days(root: str, newest: int) -> Iterator[tuple[str, list[str]]]:
    """List for each advertiser below a local folder the oldest day that has a file, and the newest ones.

    Only the status of these files is read, because a table of three years can have a hundred thousand.

    Args:
        root: the folder of the table, which need not exist.
        newest: how many of the newest days are listed.

    Yields:
        Advertisers in order, each with its days in order; one without a file of a day is left out.
    """
    for advertiser_id in _partition_values(root, _ADVERTISER_PREFIX):
        folder = f"{root}/{_ADVERTISER_PREFIX}{advertiser_id}"
        days = _partition_values(folder, _DATE_PREFIX)

        def exists(day: str, folder: str = folder) -> bool:
            return _stat_partition_file(f"{folder}/{_DATE_PREFIX}{day}") is not None

        recent = list(islice(filter(exists, reversed(days)), newest))
        if recent:
            oldest = next(filter(exists, days))
            yield advertiser_id, sorted({oldest, *recent})


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


def list_object_store_files(
    filesystem: Any,  # noqa: ANN401 - fsspec has no types
    root: str,
    table: str,
    advertiser_id: str | None,
    index_name: str,
) -> tuple[list[ListedFile], dict[str, str]]:
    """List the partition files of a table in an object store, and the indexes of its advertisers.

    The version of a file is its ETag. One request of the store lists a thousand objects.

    Args:
        filesystem: the file system of fsspec.
        root: the path of the tables in it.
        table: the name of the table.
        advertiser_id: the advertiser whose files are listed; "" for the file of the whole table, None for all.
        index_name: the name of the index in the folder of an advertiser.

    Returns:
        The files, sorted by advertiser and day, and by advertiser the version of its index.
    """
    prefixes = {None: f"{table}/", "": f"{table}/{PARTITION_FILE_NAME}"}
    prefix = prefixes.get(advertiser_id) or f"{table}/{_ADVERTISER_PREFIX}{advertiser_id}/"
    objects = find_objects(filesystem, root, prefix)
    files = {
        file
        for path, info in objects.items()
        if (file := _parse_object_path(path.removeprefix(f"{root}/{table}/"), info))
    }
    keys = {(file.advertiser_id, file.day) for file in files}
    # A file of the whole table or advertiser takes precedence over files below it, as on a disk.
    valid = [
        file
        for file in sorted(files, key=lambda one: (one.advertiser_id or "", one.day or ""))
        if not {(None, None), (file.advertiser_id, None)} & keys - {(file.advertiser_id, file.day)}
    ]
    pattern = re.compile(rf"{re.escape(f'{root}/{table}/{_ADVERTISER_PREFIX}')}([^/]+)/{re.escape(index_name)}")
    indexes = {
        match[1]: get_object_version(info) or ""
        for path, info in objects.items()
        if (match := pattern.fullmatch(path))
    }
    return valid, indexes


def _parse_object_path(path: str, info: dict[str, Any]) -> ListedFile | None:
    """Parse the path of an object below its table; None if it is not a partition file."""
    match = re.fullmatch(
        rf"(?:{_ADVERTISER_PREFIX}([^/]+)/(?:{_DATE_PREFIX}([^/]+)/)?)?{re.escape(PARTITION_FILE_NAME)}", path
    )
    return ListedFile(match[1], match[2], get_object_version(info), int(info.get("size") or 0)) if match else None


def get_object_version(info: dict[str, Any]) -> str | None:
    """Return the ETag of an object, which identifies its content; None if the store has none."""
    return info.get("ETag") or info.get("etag")


def find_objects(filesystem: Any, folder: str, prefix: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - as above
    """Return the objects below a folder whose path in it starts with a prefix, by path; one request per thousand.

    Args:
        filesystem: the file system of fsspec.
        folder: the path of the folder in it.
        prefix: the prefix; "" for all.

    Raises:
        OSError: if the object store cannot be listed.
    """
    with object_store_errors(), suppress(FileNotFoundError):
        # With a prefix, s3fs does not search for an object of that name if there are none below it.
        found: dict[str, dict[str, Any]] = filesystem.find(folder, prefix=prefix, detail=True)
        return found
    return {}


def read_object(filesystem: Any, path: str) -> bytes:  # noqa: ANN401 - as above
    """Return the content of an object that is not empty, with one request.

    Raises:
        OSError: if it cannot be read.
    """
    with object_store_errors():
        content: bytes = filesystem.cat_file(path, start=0)  # without a start, s3fs asks for the size first
    return content


def write_object(filesystem: Any, path: str, content: bytes) -> None:  # noqa: ANN401 - as above
    """Replace an object with one request.

    Raises:
        OSError: if it cannot be written.
    """
    with object_store_errors():
        filesystem.pipe_file(path, content)


@contextmanager
def object_store_errors() -> Iterator[None]:
    """Turn the errors of an object store's client into `OSError`.

    fsspec passes some of them on, such as botocore's for a host that cannot be reached, and their types are in
    optional packages.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if type(error).__module__ == "builtins":  # an error of a program
            raise
        raise OSError(" ".join(str(error).split()) or type(error).__name__) from error


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
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


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

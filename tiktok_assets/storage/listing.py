"""Which partition files stand below a table's folder, each with a mark that tells it from its successor."""

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

FILE_NAME = "part-0.parquet"
_OWNER, _DAY = "advertiser_id=", "date="
_CLOCK_NANOSECONDS = 2_000_000_000
"""The coarsest clock a file system gives its files their time by."""


class Standing(NamedTuple):
    """One file.

    Attributes:
        owner: its advertiser; None for the file of a whole table.
        day: its day as text; None for the file of a whole advertiser.
        mark: other than that of any file that stands there later; None where that is not certain.
    """

    owner: str | None
    day: str | None
    mark: str | None


def on_disk(root: str, owners: Iterable[str] | None) -> Iterator[Standing]:
    """The files below a local folder, by advertiser and day.

    A file is replaced by a rename, which brings another inode, or one that was set free in between. Then the time
    differs, if only the file was so old when it was listed that a successor cannot have the same.

    Args:
        root: the table's folder; it need not be there.
        owners: only theirs; None for all.
    """
    listed_at = time.time_ns()
    if told := _stat(root):
        yield Standing(None, None, _mark(told, listed_at))
        return
    for owner in _values(root, _OWNER) if owners is None else sorted(set(owners)):
        folder = f"{root}/{_OWNER}{owner}"
        if told := _stat(folder):
            yield Standing(owner, None, _mark(told, listed_at))
            continue
        for day in _values(folder, _DAY):
            if told := _stat(f"{folder}/{_DAY}{day}"):
                yield Standing(owner, day, _mark(told, listed_at))


def _stat(folder: str) -> os.stat_result | None:
    """Of the folder's file; plain text and one call, because a table has ten thousand of them."""
    try:
        return os.stat(f"{folder}/{FILE_NAME}")  # noqa: PTH116 - a Path costs ten times the call
    except (FileNotFoundError, NotADirectoryError):
        return None


def _mark(told: os.stat_result, listed_at: int) -> str | None:
    if told.st_mtime_ns > listed_at - _CLOCK_NANOSECONDS:
        return None
    return f"{told.st_ino}-{told.st_size}-{told.st_mtime_ns}"


def _values(folder: str, prefix: str) -> list[str]:
    """The values of one partition column below a folder, sorted."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - as above
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))


def in_store(files: Any, root: str, owners: Iterable[str] | None) -> Iterator[Standing]:  # noqa: ANN401
    """The same of an object store, which lists a thousand objects in one answer; its ETag is the mark.

    Args:
        files: the store, as fsspec has it.
        root: the table's path in it.
        owners: only theirs; None for all.
    """
    whole = f"{root}/{FILE_NAME}"
    if owners is None:
        found = _found(files, root)
    elif files.exists(whole):
        found = {whole: files.info(whole)}
    else:
        found = {}
        for one in set(owners):
            found |= _found(files, f"{root}/{_OWNER}{one}")
    marks = {place: etag(told) for path, told in found.items() if (place := _place(path.removeprefix(f"{root}/")))}
    for place in sorted(marks, key=lambda one: (one.owner or "", one.day or "")):
        if not {Standing(None, None, None), Standing(place.owner, None, None)} & (marks.keys() - {place}):
            yield place._replace(mark=marks[place])


def _place(path: str) -> Standing | None:
    """Whose file a path below a table is; None where it is none of ours."""
    told = re.fullmatch(rf"(?:{_OWNER}([^/]+)/(?:{_DAY}([^/]+)/)?)?{re.escape(FILE_NAME)}", path)
    return Standing(told[1], told[2], None) if told else None


def etag(told: dict[str, Any]) -> str | None:
    """What a store says to tell one content of an object from another; None where it says nothing."""
    return told.get("ETag") or told.get("etag")


def _found(files: Any, root: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - fsspec has no types
    with suppress(FileNotFoundError):
        return dict(files.find(root, detail=True))
    return {}

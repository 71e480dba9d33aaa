"""Define the key of a partition and its path, a written file, and the errors of the store."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from tiktok_assets.storage.files import MONTH_LENGTH, FileKey

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


class StoreError(Exception):
    """The tables cannot be read or written; the message says which file or folder, and what to do."""


class ForeignRowsError(StoreError):
    """Rows of another partition were about to be written; nothing was written."""


class UnsafeNameError(StoreError):
    """A table or an advertiser has a name that is unsafe in a path; nothing was read or written."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """The key of one file of a table: an advertiser, an advertiser's day, or without both the whole table."""

    advertiser_id: str | None = None
    day: date | None = None

    @property
    def columns(self) -> Mapping[str, str | date]:
        """The values that every row of the partition has, by column."""
        pairs = {"advertiser_id": self.advertiser_id, "date": self.day}
        return {name: value for name, value in pairs.items() if value is not None}

    @property
    def file_key(self) -> FileKey:
        """The advertiser and the day of its own file."""
        return self.advertiser_id, self.day.isoformat() if self.day else None

    @property
    def month(self) -> str | None:
        """The month of its day, such as 2026-09; None without a day."""
        return self.day.isoformat()[:MONTH_LENGTH] if self.day else None

    @property
    def folder(self) -> str:
        """The path of the partition below its table."""
        owner = "" if self.advertiser_id is None else f"advertiser_id={self.advertiser_id}"
        if self.day is None:
            return owner
        return f"{owner}{'/' if owner else ''}date={self.day}"


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A partition that was written: the path of its file, its rows, and the size of the file in bytes."""

    path: str
    rows: int
    bytes: int


def validate_name(name: str, what: str) -> str:
    """Return a name if it is safe as part of a path: letters, digits, underscores and hyphens only.

    All paths below the data folder that contain text from outside pass through this function.

    Raises:
        UnsafeNameError: if it is not.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise UnsafeNameError(f"{name[:60]!r} is not a valid {what}; nothing was read or written under that name")
    return name


def validate_names(table: str, partition: Partition) -> None:
    """Check the names of a table and of a partition's advertiser.

    Raises:
        UnsafeNameError: if one is unsafe.
    """
    if partition.advertiser_id is not None:
        validate_name(partition.advertiser_id, "advertiser id")
    validate_name(table, "table")

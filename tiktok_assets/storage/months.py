"""Encode the file of a partition, and that of several days of a month, which has the metadata of each day.

The days are those that had files of their own before the month was compacted. A day that has one again takes its
rows from there.
"""

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.storage.files import FileKey, ListedFile
from tiktok_assets.storage.partition import Partition, StoreError
from tiktok_assets.storage.partition_files import ChangedFileError, PartitionFiles

# Files of days are small and selected by path; minimum and maximum of their columns would not help to skip any.
_STATISTICS = {"min": False, "max": False, "null_count": True}
_COMPRESSION_LEVEL = 1
"""Faster than the default of 3, for files that are hardly larger."""

_MAX_CONFLICTS = 5
DAY_KEYS = pl.Schema({"advertiser_id": pl.String(), "date": pl.Date()})
"""The columns that say which day of which account a row is of."""

_ARROW_KEY = "ARROW:schema"
"""Written by Polars into every file."""

_VERSIONS_KEY = "day_versions"
_METADATA_KEY = "day_metadata"


@dataclass(frozen=True, slots=True)
class MonthFile:
    """The file of several days of an advertiser's month.

    Attributes:
        file: the file as listed.
        path: where it can be read.
        versions: by day (ISO 8601) its version, see `files.ListedFile`: that of its own file before.
    """

    file: ListedFile
    path: str
    versions: Mapping[str, str]

    def read_metadata(self) -> Mapping[str, Mapping[str, str]]:
        """Read the metadata of each day: it is not kept, because that of years would fill the memory.

        Raises:
            StoreError: if the file cannot be read any more.
        """
        try:
            decoded: dict[str, dict[str, str]] = json.loads(pl.read_parquet_metadata(self.path)[_METADATA_KEY])
        except (OSError, PolarsError, KeyError, ValueError) as error:
            raise _unreadable(self.path, error) from error
        return decoded

    def scan_day(self, day: date) -> pl.LazyFrame:
        """Scan the rows of a day, with the columns of the file."""
        return pl.scan_parquet(self.path, hive_partitioning=False).filter(pl.col("date") == day)


def _unreadable(path: str, error: Exception) -> StoreError:
    return StoreError(
        f"cannot read {path}: {error}; restore it, or delete it and launch the job backfill_history, which reads"
        " its days again"
    )


def encode_partition(frame: pl.DataFrame, metadata: Mapping[str, str]) -> bytes:
    """Return the content of the file of one partition."""
    buffer = io.BytesIO()
    frame.write_parquet(
        buffer,
        compression="zstd",
        compression_level=_COMPRESSION_LEVEL,
        statistics=_STATISTICS,
        metadata=dict(metadata),
    )
    return buffer.getvalue()


def decode_month(file: ListedFile, path: str, metadata: Mapping[str, str]) -> MonthFile:
    """Build the description of a month's file from its metadata.

    Raises:
        ValueError: if the file is not one of a month.
    """
    if not {_VERSIONS_KEY, _METADATA_KEY} <= metadata.keys():
        raise ValueError(f"{path} does not say which days it has")
    return MonthFile(file, path, json.loads(metadata[_VERSIONS_KEY]))


def encode_month(
    rows: pl.LazyFrame, versions: Mapping[str, str], metadata: Mapping[str, Mapping[str, str]]
) -> bytes:
    """Return the content of a month's file.

    Args:
        rows: the rows, day after day.
        versions: the version of each day.
        metadata: the metadata of each day.
    """
    days = sorted(versions)
    texts = {
        _VERSIONS_KEY: json.dumps({day: versions[day] for day in days}),
        _METADATA_KEY: json.dumps(
            {day: {name: text for name, text in metadata[day].items() if name != _ARROW_KEY} for day in days}
        ),
    }
    buffer = io.BytesIO()
    # The minimum and maximum of the column `date` let a reader of one day skip the other days.
    rows.sink_parquet(
        buffer, compression="zstd", compression_level=_COMPRESSION_LEVEL, statistics=True, metadata=texts
    )
    return buffer.getvalue()


def select_days(rows: pl.LazyFrame, partitions: Sequence[Partition]) -> pl.LazyFrame:
    """Select the rows of some days from those of files of months, in their order.

    Days are selected by their values, because another process may replace a file before its rows are read.
    """
    wanted = pl.LazyFrame(
        {"advertiser_id": [one.advertiser_id for one in partitions], "date": [one.day for one in partitions]},
        DAY_KEYS,
    )
    return rows.join(wanted, on=list(DAY_KEYS), how="semi", maintain_order="left")


class MonthFiles:
    """The files of months of a store.

    Args:
        files: all files of the store.
    """

    def __init__(self, files: PartitionFiles) -> None:
        self._files = files
        self._known: dict[tuple[str, FileKey], MonthFile] = {}
        self._last_metadata: tuple[MonthFile, Mapping[str, Mapping[str, str]]] | None = None

    def find(self, table: str, partition: Partition) -> MonthFile | None:
        """Find the file of the month of a day, which need not have that day; None if there is none.

        Raises:
            StoreError: if it cannot be read.
        """
        file = self._files.find(table, (partition.advertiser_id, partition.month)) if partition.day else None
        return self.get(table, [file])[0] if file else None

    def get(self, table: str, files: Sequence[ListedFile]) -> list[MonthFile]:
        """Return the descriptions of files of months, in the given order.

        Raises:
            StoreError: if one cannot be read.
        """
        found = []
        for file, path in zip(files, self._files.readable_paths(table, files), strict=True):
            key = table, (file.advertiser_id, file.day)
            month = self._known.get(key)
            if month is None or file.version is None or month.file.version != file.version:
                try:
                    month = decode_month(file, path, pl.read_parquet_metadata(path))
                except (OSError, PolarsError, ValueError) as error:
                    raise _unreadable(path, error) from error
                self._known[key] = month
            found.append(month)
        return found

    def read_metadata(self, table: str, partition: Partition) -> Mapping[str, str] | None:
        """Read the metadata of a day from the file of its month; None if it is not there.

        Raises:
            StoreError: if the file cannot be read.
        """
        if (month := self.find(table, partition)) is None:
            return None
        last = self._last_metadata
        if last is None or last[0] is not month:
            last = self._last_metadata = month, month.read_metadata()
        return last[1].get(str(partition.day))

    def replace_day(
        self, table: str, partition: Partition, frame: pl.DataFrame, metadata: Mapping[str, str]
    ) -> int | None:
        """Replace the rows of a day in the file of its month.

        Returns:
            The file's new size in bytes; None if the day is not in such a file, has a file of its own as well,
            which readers prefer, or has other columns than the file. It is to be written to its own file then.

        Raises:
            StoreError: if the file cannot be read or written.
        """
        for _ in range(_MAX_CONFLICTS):
            if (month := self.find(table, partition)) is None:
                return None
            with self._files.lock(), suppress(ChangedFileError):
                month = self.find(table, partition)
                day = str(partition.day)
                if month is None or day not in month.versions or self._files.find(table, partition.file_key):
                    return None
                rows = pl.scan_parquet(month.path, hive_partitioning=False)
                if rows.collect_schema() != frame.schema:
                    return None
                kept = rows.filter(pl.col("date") != partition.day).collect()
                content = encode_month(
                    pl.concat([kept, frame]).sort("date", maintain_order=True).lazy(),
                    {**month.versions, day: uuid4().hex},
                    {**month.read_metadata(), day: metadata},
                )
                self._files.replace(table, (partition.advertiser_id, partition.month), content, month.file)
                return len(content)
        raise StoreError(
            f"{self._files.path(table, (partition.advertiser_id, partition.month))} was replaced by other"
            f" processes {_MAX_CONFLICTS} times while it was to be changed; try again"
        )

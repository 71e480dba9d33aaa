"""Compact the days of past months into one file per account and month, and undo that.

Three years of a report of a hundred accounts are a hundred thousand files of days, but 3,600 of months. The file
of a month is written before those of its days are deleted, and a day is read from its own file while that exists.
So nothing is lost or read twice through `HiveStore`, wherever a process is killed, and the next compaction deletes
what was left. A query engine that reads the files itself sees days twice until their files are deleted.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.storage.files import MONTH_LENGTH, ListedFile
from tiktok_assets.storage.months import encode_month, encode_partition
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.storage.partition import Partition, StoreError
from tiktok_assets.storage.partition_files import ChangedFileError

LISTING_SECONDS = 60.0
"""For so long after a month was written may a reader of an object store still look for the files of its days."""


@dataclass(frozen=True, slots=True)
class CompactedMonth:
    """What was done, or is to be done, with a month of an account's table.

    Attributes:
        table: the name of the table.
        advertiser_id: the account.
        month: such as 2026-09.
        days: how many days had files of their own.
        reason: why they keep them; None if they do not.
    """

    table: str
    advertiser_id: str
    month: str
    days: int
    reason: str | None = None

    def __str__(self) -> str:
        done = f"{self.days} days in one file" if self.reason is None else f"not compacted, {self.reason}"
        return f"{self.table} {self.advertiser_id} {self.month}: {done}"


@dataclass(frozen=True, slots=True)
class _Written:
    """A month whose file was written, and the files of its days, to be deleted."""

    result: CompactedMonth
    files: list[ListedFile]
    written_at: float


def find_months(
    store: HiveStore, tables: Iterable[str], before: date, advertiser_ids: Iterable[str] | None = None
) -> Iterator[tuple[str, str, str, list[ListedFile]]]:
    """Yield the past months in which days have files of their own: table, account, month and these files.

    A single day of which the month has no file yet is left out: to compact it saves nothing.

    Args:
        store: the stored tables.
        tables: the names of tables with days.
        before: a month that ends on this day or later is not past.
        advertiser_ids: the accounts; None for all.

    Raises:
        StoreError: if the store cannot be read.
    """
    owners = None if advertiser_ids is None else list(advertiser_ids)
    for table in tables:
        files = store.files.list_files(table, owners, None)
        days = sorted(
            (one for one in files.values() if one.day and not one.is_month),
            key=lambda one: (one.advertiser_id or "", one.day or ""),
        )
        for (owner, month), group in groupby(
            days, key=lambda one: (one.advertiser_id or "", (one.day or "")[:MONTH_LENGTH])
        ):
            found = list(group)
            if _last_day(month) < before and (len(found) > 1 or (owner, month) in files):
                yield table, owner, month, found


def compact_months(
    store: HiveStore,
    tables: Iterable[str],
    before: date,
    advertiser_ids: Iterable[str] | None = None,
    *,
    listing_seconds: float = LISTING_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[CompactedMonth]:
    """Compact the past months of tables, one after the other; a month that fails does not stop the others.

    Args:
        store: the stored tables.
        tables: the names of tables with days.
        before: a month that ends on this day or later keeps the files of its days.
        advertiser_ids: the accounts; None for all.
        listing_seconds: how long the files of an object store are kept after the month was written.
        sleep: waits for so many seconds.

    Yields:
        Each month once the files of its days are deleted, or with the reason why they are kept.

    Raises:
        StoreError: if the tables cannot be listed.
    """
    written: list[_Written] = []
    for table, owner, month, files in find_months(store, tables, before, advertiser_ids):
        result = CompactedMonth(table, owner, month, len(files))
        try:
            done = _Written(result, _write_month(store, table, owner, month, files), time.monotonic())
            if store.files.is_local:
                yield _delete_days(store, done)
            else:
                written.append(done)
        except (ChangedFileError, FileNotFoundError):
            reason = "another process has compacted or restored it meanwhile; compact it again"
            yield CompactedMonth(table, owner, month, len(files), reason)
        except (StoreError, PolarsError, OSError) as error:
            yield CompactedMonth(table, owner, month, len(files), str(error))
    for done in written:
        if (wait := done.written_at + listing_seconds - time.monotonic()) > 0:
            sleep(wait)
        try:
            yield _delete_days(store, done)
        except StoreError as error:
            one = done.result
            yield CompactedMonth(one.table, one.advertiser_id, one.month, one.days, str(error))


def _write_month(
    store: HiveStore, table: str, owner: str, month: str, files: list[ListedFile]
) -> list[ListedFile]:
    """Write the file of a month with the days that have files, and return these files.

    Raises:
        StoreError: if the days have different columns, a file is damaged or has no version yet, or the disk or the
            object store fails.
        ChangedFileError: if another process has replaced the month's file meanwhile.
    """
    if any(file.version is None for file in files):
        raise StoreError(
            "a file was written within the last seconds, or its store gives no version; compact it later"
        )
    with store.files.lock():
        first = Partition(owner, date.fromisoformat(f"{month}-01"))
        previous = store.months.find(table, first)
        paths = store.files.readable_paths(table, files)
        days = [str(file.day) for file in files]
        versions = {day: str(file.version) for day, file in zip(days, files, strict=True)}
        metadata: dict[str, Mapping[str, str]] = {
            day: pl.read_parquet_metadata(path) for day, path in zip(days, paths, strict=True)
        }
        rows = {day: pl.scan_parquet(path, hive_partitioning=False) for day, path in zip(days, paths, strict=True)}
        if previous:
            versions, metadata = {**previous.versions, **versions}, {**previous.read_metadata(), **metadata}
            kept = previous.versions.keys() - rows.keys()
            rows |= {day: previous.scan_day(date.fromisoformat(day)) for day in kept}
        if len({tuple(one.collect_schema().items()) for one in rows.values()}) > 1:
            raise StoreError(
                f"its days have different columns; read them again with `tiktok-assets sync --from {month}-01"
                f" --to {_last_day(month)}`, and compact it again"
            )
        content = encode_month(pl.concat([rows[day] for day in sorted(rows)]), versions, metadata)
        store.files.replace(table, (owner, month), content, previous.file if previous else None)
    return files


def _delete_days(store: HiveStore, written: _Written) -> CompactedMonth:
    """Delete the files of days that a month's file has, except those that were replaced since they were read."""
    for file in written.files:
        store.files.delete(written.result.table, file)
    return written.result


def restore_days(
    store: HiveStore, tables: Iterable[str], advertiser_ids: Iterable[str] | None = None
) -> Iterator[CompactedMonth]:
    """Give every day a file of its own again, and delete the files of months.

    Args:
        store: the stored tables.
        tables: the names of tables with days.
        advertiser_ids: the accounts; None for all.

    Raises:
        StoreError: if a file cannot be read or written; the months before it are done.
    """
    owners = None if advertiser_ids is None else list(advertiser_ids)
    for table in tables:
        for file in list(store.files.list_files(table, owners, None).values()):
            if file.is_month:
                yield _restore_month(store, table, file)


def _restore_month(store: HiveStore, table: str, file: ListedFile) -> CompactedMonth:
    owner, name, restored = str(file.advertiser_id), str(file.day), 0
    with store.files.lock():
        month = store.months.find(table, Partition(owner, date.fromisoformat(f"{name}-01")))
        texts = month.read_metadata() if month else {}
        for day in month.versions if month else ():
            key = owner, day
            if month and not store.files.find(table, key):
                rows, metadata = month.scan_day(date.fromisoformat(day)).collect(), texts[day]
                store.files.write(table, key, encode_partition(rows, metadata), metadata)
                restored += 1
        is_gone = month is None or store.files.delete(table, month.file)
    reason = None if is_gone else "the file of the month was written within the last seconds; restore it again"
    return CompactedMonth(table, owner, name, restored, reason)


def _last_day(month: str) -> date:
    return (date.fromisoformat(f"{month}-01") + timedelta(31)).replace(day=1) - timedelta(1)

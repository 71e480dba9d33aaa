"""Know with which columns each stored day of a report was read, without opening the files that did not change.

The metadata of a day says it. A table of an agency has a hundred thousand days, and on an object store each file
that is opened is a call. So one file beside the partitions of a table holds what was found, for the version of
each file; one listing says which versions are current. An index that is lost, late or of another writer costs time
and changes no result.
"""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from tiktok_assets.ingest.partitions import COLUMNS_KEY, READINGS_KEY, REFUSED_KEY, TIMEZONE_KEY
from tiktok_assets.storage import HiveStore, Partition, read_side_file, write_side_file

INDEX_FILE_NAME = "_columns.json.gz"
"""Query engines skip names that begin with an underscore."""

MAX_OPEN_FILES = 16
"""Files read at once, because an object store is slow to respond."""


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """How a day was read the last time.

    Attributes:
        columns: the columns of its file, requested or computed.
        refused: those whose metric TikTok refused.
        timezone: the time zone of the account then; "" if it was not stored.
        currency: the currency of the account then; "" if it was not stored.
    """

    columns: tuple[str, ...]
    refused: tuple[str, ...]
    timezone: str
    currency: str


class _Index(msgspec.Struct):
    """The content of the index file.

    Attributes:
        readings: every different reading; a table of years has a few.
        days: by advertiser and day (ISO 8601) the version of the file, and the number of its reading.
    """

    readings: list[Reading] = msgspec.field(default_factory=list)
    days: dict[str, dict[str, tuple[str, int]]] = msgspec.field(default_factory=dict)

    def find(self, partition: Partition, version: str | None) -> Reading | None:
        """Return how the version of a partition was read; None if that is not known."""
        known, number = self.days.get(str(partition.advertiser_id), {}).get(str(partition.day), (None, 0))
        return self.readings[number] if version and known == version else None


@dataclass(frozen=True, slots=True)
class StoredReadings:
    """How the stored days of a report were read.

    Attributes:
        readings: by partition, in the order of the store; a damaged file is left out.
        unknown: the partitions whose files were not opened, because there were more than allowed.
    """

    readings: Mapping[Partition, Reading]
    unknown: Sequence[Partition]


def load_readings(
    store: HiveStore, table: str, advertiser_ids: Iterable[str] | None = None, *, max_files: int | None = None
) -> StoredReadings:
    """Return how each stored day of a report was read; open the files that the index does not know, and add them.

    Args:
        store: the stored tables.
        table: a daily report.
        advertiser_ids: the accounts; None for all.
        max_files: how many files are opened at most; None for all.

    Raises:
        StoreError: if an object store does not respond.
    """
    owners = None if advertiser_ids is None else set(advertiser_ids)
    versions = {one: version for one, version in store.file_versions(table, owners).items() if one.day}
    if not versions:
        return StoredReadings({}, ())
    index = _decode(read_side_file(store, table, INDEX_FILE_NAME))
    known = {one: reading for one, version in versions.items() if (reading := index.find(one, version))}
    unread = [one for one in versions if one not in known]
    opened = unread if max_files is None else unread[:max_files]
    with ThreadPoolExecutor(MAX_OPEN_FILES, thread_name_prefix="columns") as threads:
        read = dict(zip(opened, threads.map(lambda one: _read(store, table, one), opened), strict=True))
    known |= {one: reading for one, reading in read.items() if reading}
    new = _build_index(index, versions, known, owners)
    if new != index:
        content = gzip.compress(msgspec.json.encode(new), compresslevel=1, mtime=0)
        write_side_file(store, table, INDEX_FILE_NAME, content)
    return StoredReadings({one: known[one] for one in versions if one in known}, unread[len(opened) :])


def _decode(content: bytes) -> _Index:
    """Return the content of an index file; an empty index if it is damaged or of a later release."""
    try:
        index = msgspec.json.decode(gzip.decompress(content), type=_Index)
    except (OSError, EOFError, ValueError, msgspec.MsgspecError):
        return _Index()
    numbers = [number for days in index.days.values() for _, number in days.values()]
    return index if all(0 <= number < len(index.readings) for number in numbers) else _Index()


def _build_index(
    before: _Index,
    versions: Mapping[Partition, str | None],
    known: Mapping[Partition, Reading],
    owners: set[str] | None,
) -> _Index:
    """Return the index of the listed files with a certain version, and the entries of accounts not listed."""
    numbers: dict[Reading, int] = {}
    days: dict[str, dict[str, tuple[str, int]]] = {}
    for owner, entries in before.days.items():
        if owners is not None and owner not in owners:
            days[owner] = {
                day: (version, numbers.setdefault(before.readings[number], len(numbers)))
                for day, (version, number) in entries.items()
            }
    for one, reading in known.items():
        if version := versions[one]:
            number = numbers.setdefault(reading, len(numbers))
            days.setdefault(str(one.advertiser_id), {})[str(one.day)] = (version, number)
    return _Index(list(numbers), days)


def _read(store: HiveStore, table: str, partition: Partition) -> Reading | None:
    """Read how a day was read from its file; None if it is damaged, or was removed meanwhile."""
    metadata = store.read_metadata(table, partition)
    if metadata is None:
        return None
    columns = _split(metadata.get(COLUMNS_KEY, "")) or store.read_column_names(table, partition)
    if columns is None:
        return None
    readings = json.loads(metadata.get(READINGS_KEY, "[]"))
    currency = str(readings[-1].get("currency") or "") if readings else ""
    return Reading(tuple(columns), _split(metadata.get(REFUSED_KEY, "")), metadata.get(TIMEZONE_KEY, ""), currency)


def _split(names: str) -> tuple[str, ...]:
    return tuple(name for name in names.split(",") if name)

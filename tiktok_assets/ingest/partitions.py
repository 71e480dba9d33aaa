"""Define the metadata keys of partitions, and the results of reading and writing partitions.

The metadata is stored in the Parquet file of each partition.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from tiktok_assets.api import DateWindow, NotOfferedError, RequestStats, TikTokError, lacks_permission, suggest_fix
from tiktok_assets.spec import NOT_SUPPORTED_IN_SANDBOX, OPTIONAL_PATHS
from tiktok_assets.storage import Partition, StoreError

FETCHED_AT_KEY = "fetched_at"
"""When the partition was read, as aware UTC text (ISO 8601)."""

IS_COMPLETE_KEY = "is_complete"
"""Of a day: "true" if it was read after its figures had become complete."""

TIMEZONE_KEY = "timezone"
"""Of a day: the time zone of the account when the day was read; an account may change it later."""

HISTORY_KEY = "history_begun"
"""Of a snapshot: "true" if its versions are kept; a history file that is missing then was lost."""

SPECIAL_TYPES_KEY = "special_types"
"""Of the campaigns of an account: TopView and Promote, if it has such campaigns, separated by a comma; absent
until the second refresh, the first to search for them."""

READINGS_KEY = "readings"
"""Of a day: every reading of it so far, as JSON; see `restatements`."""

COLUMNS_KEY = "columns"
"""Of a day: the columns it was read with, separated by commas. Files of earlier releases do not have it; a file
that holds several days may have columns that some of these days were read without."""

REFUSED_KEY = "refused_columns"
"""Of a day: those of its columns whose metric TikTok refused; absent if there are none."""


def fetched_at_metadata(fetched_at: datetime) -> dict[str, str]:
    """Return the metadata entry for when a partition was read."""
    return {FETCHED_AT_KEY: fetched_at.astimezone(UTC).isoformat()}


def columns_metadata(columns: Iterable[str], refused: Iterable[str] = ()) -> dict[str, str]:
    """Return the metadata entries for the columns a day was read with, and for those that TikTok refused."""
    entries = {COLUMNS_KEY: ",".join(columns), REFUSED_KEY: ",".join(refused)}
    return {key: names for key, names in entries.items() if names}


def is_partition_complete(metadata: Mapping[str, str] | None) -> bool:
    """Return whether a day was complete when it was read; False if it was never read."""
    return metadata is not None and metadata.get(IS_COMPLETE_KEY) == "true"


def parse_fetched_at(metadata: Mapping[str, str] | None) -> datetime | None:
    """Return when a partition was read, or None if it was never read."""
    return datetime.fromisoformat(metadata[FETCHED_AT_KEY]) if metadata and FETCHED_AT_KEY in metadata else None


@dataclass(frozen=True, slots=True)
class ReadStats:
    """The cost and findings of one read; if it fills several partitions, each carries the same figures.

    Attributes:
        requests: requests sent, including retries.
        pages: pages read successfully.
        retries: requests sent again.
        seconds: time from the first request to the last page.
        megabytes: size of the JSON received.
        window: the days requested; None for reads without days.
        unknown_fields: fields sent by the API for which no column is declared.
        refused_metrics: columns that are null because TikTok refused their metric.
        read_by: the report task, or why the days were read in pages instead; "" if tasks were not considered.
    """

    requests: int
    pages: int
    retries: int
    seconds: float
    megabytes: float
    window: DateWindow | None
    unknown_fields: tuple[str, ...]
    refused_metrics: tuple[str, ...] = ()
    read_by: str = ""

    @classmethod
    def from_request_stats(
        cls,
        request_stats: RequestStats,
        seconds: float,
        window: DateWindow | None = None,
        refused_metrics: tuple[str, ...] = (),
    ) -> "ReadStats":
        """Build the figures of a read from the counters of its requests."""
        return cls(
            request_stats.requests,
            request_stats.pages,
            request_stats.retries,
            round(seconds, 3),
            round(request_stats.bytes / 1e6, 3),
            window,
            tuple(sorted(request_stats.unknown_fields)),
            refused_metrics,
        )


NO_REQUESTS = ReadStats(0, 0, 0, 0.0, 0.0, None, ())
"""The figures of a partition that was derived from stored tables."""


@dataclass(frozen=True, slots=True)
class WrittenPartition:
    """A partition that was written.

    Attributes:
        spend: spend by currency; empty for tables without money.
        new_versions: for a history table, the number of versions added; None for other tables.
        malformed_values: number of values that did not fit their column; the raw values are in `extra`.
        preview: a few rows to display, on the last partition of a read; None on the others.
        thumbnails: for a table of videos or images, how many pictures were downloaded, and the bytes stored.
    """

    table: str
    partition: Partition
    rows: int
    bytes: int
    fetched_at: datetime
    stats: ReadStats
    spend: Mapping[str, Decimal] = field(default_factory=dict)
    new_versions: int | None = None
    malformed_values: int = 0
    preview: pl.DataFrame | None = None
    thumbnails: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class FailedPartitions:
    """Partitions that were not written, with the error; files stored before are unchanged."""

    table: str
    partitions: tuple[Partition, ...]
    error: TikTokError | StoreError

    @property
    def fix(self) -> str:
        """What the user can do about the error; "" for store errors, whose message already says it."""
        return suggest_fix(self.error) if isinstance(self.error, TikTokError) else ""

    @property
    def is_not_offered(self) -> bool:
        """Whether there is nothing to read and this is not a failure.

        TikTok's own sandbox lacks the endpoint, or the host or the token lacks an optional one.
        """
        error = self.error
        if not isinstance(error, TikTokError):
            return False
        if isinstance(error, NotOfferedError) and error.code == NOT_SUPPORTED_IN_SANDBOX:
            return True
        return error.endpoint in OPTIONAL_PATHS and (isinstance(error, NotOfferedError) or lacks_permission(error))

    def __str__(self) -> str:
        names = [partition.folder or "all" for partition in self.partitions]
        shown = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        return f"{self.table} {shown}: {self.error}"

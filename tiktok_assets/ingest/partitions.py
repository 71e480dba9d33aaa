"""Partition metadata keys, and the results of reading and writing partitions.

The metadata is stored in the Parquet file of each partition.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from tiktok_assets.api.client import RequestStats
from tiktok_assets.api.errors import NotOfferedError, TikTokError, suggest_fix
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.spec.error_codes import NOT_SUPPORTED_IN_SANDBOX
from tiktok_assets.storage.hive_store import Partition, StoreError

FETCHED_AT_KEY = "fetched_at"
"""When it was read, as aware UTC text."""

IS_COMPLETE_KEY = "is_complete"
"""Of a day: "true" if it was read after everything that makes a day whole."""

TIMEZONE_KEY = "timezone"
"""Of a day: in which zone it was one, which an account may change later."""

HISTORY_KEY = "history_begun"
"""Of a snapshot: "true" if its versions are kept, so that a history that is missing was lost."""

READINGS_KEY = "readings"
"""Of a day: every reading of it so far, as JSON; see `restatements`."""


def fetched_at_metadata(fetched_at: datetime) -> dict[str, str]:
    """The note of when a partition was read."""
    return {FETCHED_AT_KEY: fetched_at.astimezone(UTC).isoformat()}


def is_partition_complete(notes: Mapping[str, str] | None) -> bool:
    """Whether a day was read when it was whole; not if it never was."""
    return notes is not None and notes.get(IS_COMPLETE_KEY) == "true"


def parse_fetched_at(notes: Mapping[str, str] | None) -> datetime | None:
    """When a partition was read, or None if it never was."""
    return datetime.fromisoformat(notes[FETCHED_AT_KEY]) if notes and FETCHED_AT_KEY in notes else None


@dataclass(frozen=True, slots=True)
class ReadStats:
    """What a reading cost. One reading may fill several partitions: then the figures are the reading's.

    Attributes:
        requests: sent, retries among them.
        pages: good pages read.
        retries: requests sent again.
        seconds: from the first request to the last page.
        megabytes: of JSON.
        window: the days asked for; None where there are none.
        unknown_fields: fields the API sent that no column is declared for.
        withdrawn_metrics: columns that are null because TikTok refused their metric.
    """

    requests: int
    pages: int
    retries: int
    seconds: float
    megabytes: float
    window: DateWindow | None
    unknown_fields: tuple[str, ...]
    withdrawn_metrics: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        tally: RequestStats,
        seconds: float,
        window: DateWindow | None = None,
        withdrawn_metrics: tuple[str, ...] = (),
    ) -> "ReadStats":
        """The story a tally tells."""
        return cls(
            tally.requests,
            tally.pages,
            tally.retries,
            round(seconds, 3),
            round(tally.bytes / 1e6, 3),
            window,
            tuple(sorted(tally.unknown_fields)),
            withdrawn_metrics,
        )


NO_REQUESTS = ReadStats(0, 0, 0, 0.0, 0.0, None, ())
"""The story of what was made from stored tables."""


@dataclass(frozen=True, slots=True)
class WrittenPartition:
    """A partition that now stands.

    Attributes:
        spend: its spend by currency; empty for tables without money.
        new_versions: of a history, how many came to it; None for other tables.
        malformed_values: how many values did not fit their column; what came is in `extra`.
        head: a few of its rows to show, on the last partition of a reading; None where nobody looks.
    """

    table: str
    partition: Partition
    rows: int
    bytes: int
    fetched_at: datetime
    story: ReadStats
    spend: Mapping[str, Decimal] = field(default_factory=dict)
    new_versions: int | None = None
    malformed_values: int = 0
    head: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class FailedPartitions:
    """Partitions that were not written, and why; what stood before still stands."""

    table: str
    partitions: tuple[Partition, ...]
    error: TikTokError | StoreError

    @property
    def mend(self) -> str:
        """What a person can do about it; an error of the store says so itself."""
        return suggest_fix(self.error) if isinstance(self.error, TikTokError) else ""

    @property
    def is_not_offered(self) -> bool:
        """Whether TikTok's own sandbox lacks the endpoint: there is nothing to read then, and nothing is wrong."""
        return isinstance(self.error, NotOfferedError) and self.error.code == NOT_SUPPORTED_IN_SANDBOX

    def __str__(self) -> str:
        names = [partition.folder or "all" for partition in self.partitions]
        shown = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        return f"{self.table} {shown}: {self.error}"

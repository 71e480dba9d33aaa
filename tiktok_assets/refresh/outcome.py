"""What became of one partition: it landed, with its figures, or it failed, with its error."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import polars as pl

from tiktok_assets.api.client import Tally
from tiktok_assets.api.errors import NotOfferedError, TikTokError, mend_of
from tiktok_assets.api.plan import Window
from tiktok_assets.spec.error_codes import NOT_IN_SANDBOX
from tiktok_assets.storage.hive_parquet import Partition, StoreError


@dataclass(frozen=True, slots=True)
class Story:
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
    window: Window | None
    unknown_fields: tuple[str, ...]
    withdrawn_metrics: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, tally: Tally, seconds: float, window: Window | None = None, withdrawn_metrics: tuple[str, ...] = ()
    ) -> "Story":
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


NOTHING_ASKED = Story(0, 0, 0, 0.0, 0.0, None, ())
"""The story of what was made from stored tables."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A partition that now stands.

    Attributes:
        spend: its spend by currency; empty for tables without money.
        new_versions: of a history, how many came to it; None for other tables.
        head: a few of its rows to show, on the last partition of a reading; None where nobody looks.
    """

    table: str
    partition: Partition
    rows: int
    bytes: int
    fetched_at: datetime
    story: Story
    spend: Mapping[str, Decimal] = field(default_factory=dict)
    new_versions: int | None = None
    head: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Partitions that were not written, and why; what stood before still stands."""

    table: str
    partitions: tuple[Partition, ...]
    error: TikTokError | StoreError

    @property
    def mend(self) -> str:
        """What a person can do about it; an error of the store says so itself."""
        return mend_of(self.error) if isinstance(self.error, TikTokError) else ""

    @property
    def is_not_offered(self) -> bool:
        """Whether TikTok's own sandbox lacks the endpoint: there is nothing to read then, and nothing is wrong."""
        return isinstance(self.error, NotOfferedError) and self.error.code == NOT_IN_SANDBOX

    def __str__(self) -> str:
        names = [partition.folder or "all" for partition in self.partitions]
        shown = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        return f"{self.table} {shown}: {self.error}"

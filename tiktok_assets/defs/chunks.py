"""Few, fat range runs: which advertisers and days go into one run, cut from the order their keys were added in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiktok_assets.api.plan import Window
from tiktok_assets.defs.partitions import INTENDED_TAG, intended, key_of
from tiktok_assets.storage.hive_parquet import Partition

ADVERTISERS_A_RUN = 25
"""A run costs seconds before it does anything, so one reads many accounts; 25 keep a retry small."""

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring advertisers, and the days they share, that one run reads."""

    advertiser_ids: tuple[str, ...]
    window: Window | None

    @property
    def tags(self) -> Mapping[str, str]:
        """The range for Dagster, and what it is meant to hold."""
        first, last = self.advertiser_ids[0], self.advertiser_ids[-1]
        days = self.window.days if self.window else ()
        return {
            RANGE_START_TAG: key_of(Partition(first, days[0] if days else None)),
            RANGE_END_TAG: key_of(Partition(last, days[-1] if days else None)),
            INTENDED_TAG: intended(self.advertiser_ids, days),
        }

    @property
    def name(self) -> str:
        """Short and unique among the chunks of one refresh."""
        return f"{self.advertiser_ids[0]}..{self.advertiser_ids[-1]}:{self.window or 'all'}"


def chunks_of(
    stored_order: Sequence[str], wanted: Mapping[str, Window | None], *, most: int = ADVERTISERS_A_RUN
) -> list[Chunk]:
    """The fewest runs that read each wanted advertiser over its days, and nobody else.

    Args:
        stored_order: every advertiser key in the order the instance holds them.
        wanted: the days of each; None where the table has no days.
        most: advertisers a run.

    Raises:
        KeyError: if a wanted advertiser is no partition.
    """
    if strangers := wanted.keys() - set(stored_order):
        raise KeyError(min(strangers))
    chunks: list[Chunk] = []
    neighbours = False
    for advertiser_id in stored_order:
        if advertiser_id not in wanted:
            neighbours = False
            continue
        window = wanted[advertiser_id]
        last = chunks[-1] if chunks and neighbours else None
        if last and last.window == window and len(last.advertiser_ids) < most:
            chunks[-1] = Chunk((*last.advertiser_ids, advertiser_id), window)
        else:
            chunks.append(Chunk((advertiser_id,), window))
        neighbours = True
    return chunks

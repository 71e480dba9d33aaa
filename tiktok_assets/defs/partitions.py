"""Define the partitions of all tables and convert between partition keys and stored partitions."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import dagster as dg

from tiktok_assets.defs.run_tags import INTENDED_PARTITIONS_TAG
from tiktok_assets.storage import Partition

ADVERTISER_DIMENSION = "advertiser_id"

DATE_DIMENSION = "date"

# The dimension names make the advertiser sort first, so that a range is contiguous per advertiser.
ADVERTISERS = dg.DynamicPartitionsDefinition(name=ADVERTISER_DIMENSION)

# Backfill policies have been beta since 2023 and range runs need them; a warning at each load would be noise.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)

# Dagster passes this parameter itself whenever it binds a sensor to a job.
warnings.filterwarnings(
    "ignore", message="Parameter `owners` of initializer `SensorDefinition", category=dg.BetaWarning
)

SINGLE_RUN = dg.BackfillPolicy.single_run()
"""Make a range of partitions one run, because one request reads thirty days of an account."""


def build_daily_partitions(start: date) -> dg.DailyPartitionsDefinition:
    """Build a partition per calendar day from `start` to today (UTC); today can be over in zones ahead of UTC."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=1)


def build_advertiser_days(
    advertisers: dg.DynamicPartitionsDefinition, start: date
) -> dg.MultiPartitionsDefinition:
    """Build a partition per advertiser and calendar day, with keys such as `7001|2026-11-14`."""
    return dg.MultiPartitionsDefinition(
        {ADVERTISER_DIMENSION: advertisers, DATE_DIMENSION: build_daily_partitions(start)}
    )


def advertiser_days(start: date) -> dg.MultiPartitionsDefinition:
    """Build a partition per advertiser and calendar day, without a prefix; for assets of your own."""
    return build_advertiser_days(ADVERTISERS, start)


def parse_partition_key(key: str) -> Partition:
    """Parse a partition key into the stored partition."""
    advertiser_id, _, day = key.partition("|")
    return Partition(advertiser_id, date.fromisoformat(day) if day else None)


def format_partition_key(partition: Partition) -> str:
    """Format a stored partition as a partition key."""
    return f"{partition.advertiser_id}|{partition.day}" if partition.day else str(partition.advertiser_id)


def build_partition_tags(partition: Partition) -> Mapping[str, str]:
    """Build the tags Dagster gives the event of a multi-dimensional partition; empty for other partitions."""
    if not partition.day:
        return {}
    return {
        f"dagster/partition/{ADVERTISER_DIMENSION}": str(partition.advertiser_id),
        f"dagster/partition/{DATE_DIMENSION}": str(partition.day),
    }


def format_intended_partitions(advertiser_ids: Iterable[str], days: Iterable[date] = ()) -> str:
    """Format the value of `INTENDED_PARTITIONS_TAG` for these advertisers on each of these days."""
    ordered = sorted(days)
    suffix = f"|{ordered[0]}..{ordered[-1]}" if ordered else ""
    return ",".join(sorted(advertiser_ids)) + suffix


def get_intended_advertisers(context: dg.AssetExecutionContext) -> Sequence[Partition]:
    """Return the advertisers a run is meant to hold, for an asset without partitions; empty without the tag."""
    advertisers = context.run.tags.get(INTENDED_PARTITIONS_TAG, "").partition("|")[0]
    return [Partition(advertiser_id) for advertiser_id in advertisers.split(",") if advertiser_id]


def get_run_partitions(context: dg.AssetExecutionContext) -> Sequence[Partition]:
    """Return the sorted partitions a run materializes.

    Raises:
        dagster.Failure: if the run holds no partitions, or others than `INTENDED_PARTITIONS_TAG` says. Dagster
            resolves a range of advertisers in the order their keys were added: a range in the opposite order
            holds no keys, and Dagster would report the run as a success.
    """
    partitions = sorted(parse_partition_key(key) for key in context.partition_keys)
    intended = context.run.tags.get(INTENDED_PARTITIONS_TAG)
    actual = format_intended_partitions(
        {str(p.advertiser_id) for p in partitions}, {p.day for p in partitions if p.day}
    )
    if not partitions or (intended and intended != actual):
        raise dg.Failure(
            f"this run holds {actual or 'no partitions'}, not {intended or 'any'};"
            " launch it again with the partition keys in the order they were added, or one advertiser at a time",
            allow_retries=False,
        )
    return partitions

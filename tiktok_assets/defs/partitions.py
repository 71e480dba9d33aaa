"""Define the partitions of all tables and convert between partition keys and stored partitions."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import dagster as dg

from tiktok_assets.defs.runs import INTENDED_PARTITIONS_TAG
from tiktok_assets.storage.hive_store import Partition

ADVERTISER_DIMENSION = "advertiser_id"

DATE_DIMENSION = "date"

# Named so that the advertiser sorts first: a range is then contiguous per advertiser, and one run reads it.
ADVERTISERS = dg.DynamicPartitionsDefinition(name=ADVERTISER_DIMENSION)

# Beta since 2023 and what range runs are made of; a warning at every load would only train people to ignore it.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)

# Dagster's own: it hands itself a parameter that nobody here gave whenever it binds a sensor to a job.
warnings.filterwarnings(
    "ignore", message="Parameter `owners` of initializer `SensorDefinition", category=dg.BetaWarning
)

SINGLE_RUN = dg.BackfillPolicy.single_run()
"""A range of partitions is one run: one request reads thirty days of an account."""


def build_daily_partitions(start: date) -> dg.DailyPartitionsDefinition:
    """Each calendar day from `start` to today, UTC: accounts ahead of UTC end their day before UTC does."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=1)


def advertiser_days(start: date) -> dg.MultiPartitionsDefinition:
    """One key an advertiser and calendar day, such as `7001|2026-11-14`."""
    return dg.MultiPartitionsDefinition(
        {ADVERTISER_DIMENSION: ADVERTISERS, DATE_DIMENSION: build_daily_partitions(start)}
    )


def parse_partition_key(key: str) -> Partition:
    """The stored partition a key names."""
    advertiser_id, _, day = key.partition("|")
    return Partition(advertiser_id, date.fromisoformat(day) if day else None)


def format_partition_key(partition: Partition) -> str:
    """The key that names a stored partition."""
    return f"{partition.advertiser_id}|{partition.day}" if partition.day else str(partition.advertiser_id)


def build_partition_tags(partition: Partition) -> Mapping[str, str]:
    """The tags Dagster itself gives the event of a key with two dimensions."""
    if not partition.day:
        return {}
    return {
        f"dagster/partition/{ADVERTISER_DIMENSION}": str(partition.advertiser_id),
        f"dagster/partition/{DATE_DIMENSION}": str(partition.day),
    }


def format_intended_partitions(advertiser_ids: Iterable[str], days: Iterable[date] = ()) -> str:
    """The text of `INTENDED_TAG` for each of these advertisers on each of these days."""
    stretch = sorted(days)
    suffix = f"|{stretch[0]}..{stretch[-1]}" if stretch else ""
    return ",".join(sorted(advertiser_ids)) + suffix


def get_intended_advertisers(context: dg.AssetExecutionContext) -> Sequence[Partition]:
    """The advertisers a run was asked to hold, seen from an asset without partitions; none where nobody said."""
    told = context.run.tags.get(INTENDED_PARTITIONS_TAG, "").partition("|")[0]
    return [Partition(one) for one in told.split(",") if one]


def get_run_partitions(context: dg.AssetExecutionContext) -> Sequence[Partition]:
    """The partitions a run shall fill, in order.

    Raises:
        dagster.Failure: if the run holds none, or others than it was asked for. Dagster resolves a range of
            advertisers in the order their keys were added: one that runs against it holds no keys, and Dagster
            would call it a success.
    """
    partitions = sorted(parse_partition_key(key) for key in context.partition_keys)
    asked_for = context.run.tags.get(INTENDED_PARTITIONS_TAG)
    held = format_intended_partitions(
        {str(p.advertiser_id) for p in partitions}, {p.day for p in partitions if p.day}
    )
    if not partitions or (asked_for and asked_for != held):
        raise dg.Failure(
            f"this run holds {held or 'no partitions'}, not {asked_for or 'any'};"
            " launch it again with its keys in the order they were added, or one advertiser at a time",
            allow_retries=False,
        )
    return partitions

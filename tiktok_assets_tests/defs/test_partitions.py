"""Test the partitions: which keys exist, how they sort, and what a range of them holds."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from tiktok_assets.defs.partitions import (
    ADVERTISERS,
    DATE_DIMENSION,
    advertiser_days,
    build_daily_partitions,
    build_partition_tags,
    format_intended_partitions,
)
from tiktok_assets.storage.parquet_store import Partition

START = date(2026, 10, 1)


def test_days_are_from_the_start_date_to_today() -> None:
    """Each calendar day since the start is a key, including today, which can be over east of UTC."""
    keys = build_daily_partitions(START).get_partition_keys(
        current_time=datetime(2026, 10, 4, 0, 0, 1, tzinfo=UTC)
    )
    assert keys == ["2026-10-01", "2026-10-02", "2026-10-03", "2026-10-04"]
    just_before = datetime(2026, 10, 3, 23, 59, 59, tzinfo=UTC)
    assert build_daily_partitions(START).get_partition_keys(current_time=just_before) == keys[:-1]


def test_all_tables_share_the_account_partitions() -> None:
    """Tables by account and tables by account and day share the account partitions."""
    dimensions = {one.name: one.partitions_def for one in advertiser_days(START).partitions_defs}
    assert dimensions.keys() == {"advertiser_id", DATE_DIMENSION}
    assert dimensions["advertiser_id"] == ADVERTISERS
    assert ADVERTISERS.name == "advertiser_id"


@pytest.mark.parametrize("order", [["7002", "7001", "7003"], ["7001", "7002", "7003"]])
def test_range_is_contiguous_per_account(order: list[str]) -> None:
    """The account is first in a key, so the days of one account are adjacent."""
    # Dagster caches the keys by instant for all instances, so each order needs its own instant.
    now = datetime(2026, 10, 3, 12, 0, 0, int(order[0]), tzinfo=UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("advertiser_id", order)
        every = advertiser_days(START).get_partition_keys(current_time=now, dynamic_partitions_store=instance)
    days = [str(START + timedelta(n)) for n in range(3)]
    assert every == [f"{owner}|{day}" for owner in order for day in days]


def test_event_has_the_tags_of_its_dimensions() -> None:
    """An event of account and day has Dagster's two dimension tags; an event of an account alone has none."""
    key = dg.MultiPartitionKey({"advertiser_id": "7001", "date": "2026-10-01"})
    dagster_tags = {f"dagster/partition/{name}": value for name, value in key.keys_by_dimension.items()}
    assert build_partition_tags(Partition("7001", START)) == dagster_tags
    assert build_partition_tags(Partition("7001")) == {}


def test_intended_partitions_name_accounts_and_days() -> None:
    """The tag names the accounts and, if there are days, the first and the last day."""
    assert format_intended_partitions(["7002", "7001"]) == "7001,7002"
    assert format_intended_partitions(["7001"], [START + timedelta(1), START]) == "7001|2026-10-01..2026-10-02"

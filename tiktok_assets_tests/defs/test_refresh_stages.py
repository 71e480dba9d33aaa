"""Test range runs: each account is in exactly one, and Dagster resolves each range to its accounts."""

from datetime import date, timedelta
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.partitions import (
    build_partition_tags,
    format_intended_partitions,
    format_partition_key,
    parse_partition_key,
)
from tiktok_assets.defs.refresh_stages import (
    MAX_ADVERTISERS_PER_RUN,
    RANGE_END_TAG,
    RANGE_START_TAG,
    PartitionRange,
    split_into_ranges,
)
from tiktok_assets.defs.run_tags import INTENDED_PARTITIONS_TAG
from tiktok_assets.storage.parquet_store import Partition

FIRST = date(2026, 3, 1)
WINDOWS = [None, DateWindow(FIRST, FIRST), DateWindow(FIRST, FIRST + timedelta(29))]

Wanted = dict[str, DateWindow | None]


@st.composite
def accounts_and_windows(draw: st.DrawFn) -> tuple[list[str], Wanted]:
    """Generate an order of keys and a choice of accounts with their windows."""
    advertiser_keys = draw(st.lists(st.integers(7001, 7200).map(str), unique=True, max_size=90))
    chosen = draw(
        st.lists(st.booleans() | st.just(value=True), min_size=len(advertiser_keys), max_size=len(advertiser_keys))
    )
    windows = draw(
        st.lists(st.sampled_from(WINDOWS), min_size=len(advertiser_keys), max_size=len(advertiser_keys))
    )
    uniform = draw(st.booleans())
    return advertiser_keys, {
        owner: windows[0] if uniform else window
        for owner, wanted, window in zip(advertiser_keys, chosen, windows, strict=True)
        if wanted
    }


@given(accounts_and_windows())
def test_every_account_is_in_exactly_one_range(generated: tuple[list[str], Wanted]) -> None:
    """The ranges hold each chosen account once, with its own window and in stored order, and no other account."""
    advertiser_keys, windows = generated
    actual = [
        (owner, partition_range.window)
        for partition_range in split_into_ranges(advertiser_keys, windows)
        for owner in partition_range.advertiser_ids
    ]
    assert actual == [(owner, windows[owner]) for owner in advertiser_keys if owner in windows]


@given(accounts_and_windows())
def test_each_range_is_contiguous_in_the_stored_order(generated: tuple[list[str], Wanted]) -> None:
    """From the first account of a range to its last, the instance holds exactly the accounts of the range."""
    advertiser_keys, windows = generated
    for partition_range in split_into_ranges(advertiser_keys, windows):
        first, last = (advertiser_keys.index(partition_range.advertiser_ids[end]) for end in (0, -1))
        assert tuple(advertiser_keys[first : last + 1]) == partition_range.advertiser_ids
        assert partition_range.tags[RANGE_START_TAG].startswith(advertiser_keys[first])
        assert partition_range.tags[RANGE_END_TAG].startswith(advertiser_keys[last])


@given(accounts_and_windows(), st.integers(1, 30))
def test_ranges_are_few_and_limited_in_size(generated: tuple[list[str], Wanted], max_advertisers: int) -> None:
    """No range has more accounts than allowed, and no two adjacent ranges could be one."""
    advertiser_keys, windows = generated
    ranges = split_into_ranges(advertiser_keys, windows, max_advertisers=max_advertisers)
    assert all(1 <= len(partition_range.advertiser_ids) <= max_advertisers for partition_range in ranges)
    needed, length, before = 0, 0, ""
    for owner in advertiser_keys:
        goes_on = owner in windows and before in windows and windows[owner] == windows[before]
        if not goes_on:
            needed, length = needed + ceil(length / max_advertisers), 0
        length += owner in windows
        before = owner
    assert len(ranges) == needed + ceil(length / max_advertisers)


@given(accounts_and_windows())
def test_ranges_of_one_refresh_have_different_names(generated: tuple[list[str], Wanted]) -> None:
    """Range names are unique, so that each run is requested once."""
    names = [partition_range.name for partition_range in split_into_ranges(*generated)]
    assert len(set(names)) == len(names)


def test_range_holds_at_most_25_accounts() -> None:
    """Sixty adjacent accounts with one window are three ranges."""
    advertiser_keys = [str(number) for number in range(7001, 7061)]
    assert MAX_ADVERTISERS_PER_RUN == 25
    assert [
        len(c.advertiser_ids)
        for c in split_into_ranges(advertiser_keys, dict.fromkeys(advertiser_keys, WINDOWS[2]))
    ] == [
        25,
        25,
        10,
    ]


def test_account_without_partition_is_refused() -> None:
    """An account whose key the instance does not hold raises an error."""
    with pytest.raises(KeyError, match="7009"):
        split_into_ranges(["7001"], {"7001": None, "7009": None})


def test_tags_hold_the_range_and_the_intended_partitions() -> None:
    """A range has Dagster's tags of its first and last key, and the tag of the intended partitions."""
    assert PartitionRange(("7002", "7001"), WINDOWS[2]).tags == {
        RANGE_START_TAG: "7002|2026-03-01",
        RANGE_END_TAG: "7001|2026-03-30",
        INTENDED_PARTITIONS_TAG: "7001,7002|2026-03-01..2026-03-30",
    }
    assert PartitionRange(("7002",), None).tags == {
        RANGE_START_TAG: "7002",
        RANGE_END_TAG: "7002",
        INTENDED_PARTITIONS_TAG: "7002",
    }


@given(st.integers(1, 10**19).map(str), st.none() | st.dates())
def test_keys_and_partitions_round_trip(owner: str, day: date | None) -> None:
    """A key parses into its stored partition and back; with a day it has two tags, otherwise none."""
    partition = Partition(owner, day)
    assert parse_partition_key(format_partition_key(partition)) == partition
    expected = {"dagster/partition/advertiser_id": owner, "dagster/partition/date": str(day)}
    assert build_partition_tags(partition) == (expected if day else {})


@given(st.sets(st.integers(1, 99).map(str), min_size=1), st.sets(st.integers(1, 99).map(str), min_size=1))
def test_intended_partitions_ignore_the_order_of_accounts(one: set[str], other: set[str]) -> None:
    """Two tags are equal if and only if they name the same accounts."""
    assert (
        format_intended_partitions(sorted(one)) == format_intended_partitions(sorted(other, reverse=True))
    ) == (one == other)

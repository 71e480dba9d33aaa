"""Laws of range runs: each wanted account in exactly one run, each run a range Dagster resolves to just that."""

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
from tiktok_assets.defs.runs import INTENDED_PARTITIONS_TAG
from tiktok_assets.storage.hive_store import Partition

FIRST = date(2026, 3, 1)
WINDOWS = [None, DateWindow(FIRST, FIRST), DateWindow(FIRST, FIRST + timedelta(29))]

Wanted = dict[str, DateWindow | None]


@st.composite
def wishes(draw: st.DrawFn) -> tuple[list[str], Wanted]:
    """Any order of insertion, and any choice of accounts with their windows."""
    stored = draw(st.lists(st.integers(7001, 7200).map(str), unique=True, max_size=90))
    chosen = draw(st.lists(st.booleans() | st.just(value=True), min_size=len(stored), max_size=len(stored)))
    windows = draw(st.lists(st.sampled_from(WINDOWS), min_size=len(stored), max_size=len(stored)))
    uniform = draw(st.booleans())
    return stored, {
        owner: windows[0] if uniform else window
        for owner, wanted, window in zip(stored, chosen, windows, strict=True)
        if wanted
    }


@given(wishes())
def test_every_wanted_account_is_in_exactly_one_run_over_its_days(wish: tuple[list[str], Wanted]) -> None:
    """The runs hold each wanted account once, with its own window, and nobody else, in stored order."""
    stored, wanted = wish
    held = [(owner, chunk.window) for chunk in split_into_ranges(stored, wanted) for owner in chunk.advertiser_ids]
    assert held == [(owner, wanted[owner]) for owner in stored if owner in wanted]


@given(wishes())
def test_each_run_is_one_stretch_of_the_stored_order(wish: tuple[list[str], Wanted]) -> None:
    """From a run's first account to its last, the instance holds the run's accounts and no other."""
    stored, wanted = wish
    for chunk in split_into_ranges(stored, wanted):
        first, last = (stored.index(chunk.advertiser_ids[end]) for end in (0, -1))
        assert tuple(stored[first : last + 1]) == chunk.advertiser_ids
        assert chunk.tags[RANGE_START_TAG].startswith(stored[first])
        assert chunk.tags[RANGE_END_TAG].startswith(stored[last])


@given(wishes(), st.integers(1, 30))
def test_runs_are_few_and_not_too_fat(wish: tuple[list[str], Wanted], most: int) -> None:
    """No run has more accounts than allowed, and two neighbouring runs could not have been one."""
    stored, wanted = wish
    chunks = split_into_ranges(stored, wanted, most=most)
    assert all(1 <= len(chunk.advertiser_ids) <= most for chunk in chunks)
    needed, length, before = 0, 0, ""
    for owner in stored:
        goes_on = owner in wanted and before in wanted and wanted[owner] == wanted[before]
        if not goes_on:
            needed, length = needed + ceil(length / most), 0
        length += owner in wanted
        before = owner
    assert len(chunks) == needed + ceil(length / most)


@given(wishes())
def test_runs_of_one_refresh_have_different_names(wish: tuple[list[str], Wanted]) -> None:
    """A run's name is its own, so that it can be asked for once."""
    names = [chunk.name for chunk in split_into_ranges(*wish)]
    assert len(set(names)) == len(names)


def test_a_run_holds_twenty_five_accounts_at_most() -> None:
    """Sixty neighbours of one window are three runs."""
    stored = [str(number) for number in range(7001, 7061)]
    assert MAX_ADVERTISERS_PER_RUN == 25
    assert [len(c.advertiser_ids) for c in split_into_ranges(stored, dict.fromkeys(stored, WINDOWS[2]))] == [
        25,
        25,
        10,
    ]


def test_an_account_that_is_no_partition_is_refused() -> None:
    """A run is never asked for with a key the instance does not hold."""
    with pytest.raises(KeyError, match="7009"):
        split_into_ranges(["7001"], {"7001": None, "7009": None})


def test_the_tags_say_the_range_and_what_it_is_meant_to_hold() -> None:
    """A run carries the first and last key for Dagster and, for its own step, the keys intended."""
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
def test_keys_and_partitions_name_each_other(owner: str, day: date | None) -> None:
    """A key gives the stored partition it came from, and back; with a day it has two tags, without none."""
    partition = Partition(owner, day)
    assert parse_partition_key(format_partition_key(partition)) == partition
    expected = {"dagster/partition/advertiser_id": owner, "dagster/partition/date": str(day)}
    assert build_partition_tags(partition) == (expected if day else {})


@given(st.sets(st.integers(1, 99).map(str), min_size=1), st.sets(st.integers(1, 99).map(str), min_size=1))
def test_what_is_intended_names_the_accounts_whatever_their_order(one: set[str], other: set[str]) -> None:
    """Two intentions read the same if, and only if, they hold the same accounts."""
    assert (
        format_intended_partitions(sorted(one)) == format_intended_partitions(sorted(other, reverse=True))
    ) == (one == other)

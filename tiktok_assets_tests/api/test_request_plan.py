"""Laws of which requests a piece of work takes."""

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.api.request_plan import (
    AccountRowCounts,
    DateWindow,
    PlanLine,
    count_pages,
    plan_requests,
    split_into_batches,
    split_into_windows,
)
from tiktok_assets.spec.endpoints import MAX_DAYS_PER_REPORT, MAX_IDS_PER_CALL, MAX_PAGE_SIZE

DAY = timedelta(1)
FIRST = date(2026, 1, 1)

some_days = st.lists(st.integers(0, 150).map(lambda n: FIRST + n * DAY))
stretches = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 100)), max_size=4).map(
    lambda pieces: [FIRST + (start + n) * DAY for start, length in pieces for n in range(length)]
)


def fewest(days: set[date], most: int) -> int:
    """How many windows the days take at least: each unbroken stretch by itself, so many days at a time."""
    needed, length = 0, 0
    for day in sorted(days):
        length = length + 1 if day - DAY in days else 1
        needed += (length - 1) % most == 0
    return needed


longest = st.sampled_from([1, 2, MAX_DAYS_PER_REPORT])
"""Days a window may have: one where hours or interests are asked for, thirty elsewhere."""


@given(some_days | stretches, longest)
def test_windows_ask_for_each_day_once_and_for_no_other(days: list[date], most: int) -> None:
    """The days of the windows are the days asked for: each exactly once, in order, none beside."""
    asked = [day for window in split_into_windows(days, most) for day in window.days]
    assert asked == sorted(set(days))


@given(some_days | stretches, longest)
def test_no_window_is_longer_than_the_api_allows(days: list[date], most: int) -> None:
    """No window has more days than its report may span, thirty unless told otherwise, both ends counted."""
    assert split_into_windows(days) == split_into_windows(days, 30)
    for window in split_into_windows(days, most):
        assert 1 <= len(window.days) <= most
        assert (window.last - window.first).days < most


@given(some_days | stretches, longest)
def test_windows_are_as_few_as_can_be(days: list[date], most: int) -> None:
    """No other choice of windows asks for these days with fewer requests."""
    assert len(split_into_windows(days, most)) == fewest(set(days), most)


@given(some_days)
def test_the_order_of_the_days_does_not_matter(days: list[date]) -> None:
    """The same days give the same windows, in the order of time."""
    windows = split_into_windows(days)
    assert windows == split_into_windows(reversed(days))
    assert all(one.last < other.first for one, other in pairwise(windows))


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 29))
def test_halves_are_the_same_days_and_end_with_single_ones(first: date, more: int) -> None:
    """A window halves into two that hold its days in order; a single day halves no further."""
    window = DateWindow(first, first + more * DAY)
    halves = window.halves()
    if halves is None:
        assert len(window.days) == 1
        return
    one, other = halves
    assert one.days + other.days == window.days
    assert abs(len(one.days) - len(other.days)) <= 1


def test_a_window_reads_as_its_two_ends() -> None:
    """A window is written as first..last."""
    assert str(DateWindow(date(2026, 3, 1), date(2026, 3, 30))) == "2026-03-01..2026-03-30"


@given(st.lists(st.integers()), st.integers(1, 120))
def test_batches_hold_each_item_once_in_order(items: list[int], size: int) -> None:
    """Batches lose nothing, repeat nothing, are full but for the last, and none is empty."""
    batches = list(split_into_batches(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(batches)


def test_a_call_names_as_many_ids_as_the_api_takes() -> None:
    """One hundred ids make one call, one hundred and one make two."""
    assert MAX_IDS_PER_CALL == 100
    assert [len(list(split_into_batches(range(ids)))) for ids in (0, 1, 100, 101)] == [0, 1, 1, 2]


@given(st.integers(0, 10**6))
def test_pages_hold_all_rows_and_none_is_spare(rows: int) -> None:
    """The pages of a listing hold its rows, one page fewer would not; an empty listing is still asked."""
    pages = count_pages(rows)
    assert pages * MAX_PAGE_SIZE >= rows
    assert pages == 1 or (pages - 1) * MAX_PAGE_SIZE < rows


def test_a_plan_counts_the_requests_of_each_table() -> None:
    """A plan has a line per table asked for: pages of lists, windows by pages of reports, batches of accounts."""
    days = [FIRST + n * DAY for n in range(60)]
    workloads = {
        "7001": AccountRowCounts({"ads": 2500}, {"ad_report_daily": 100}, {"ad_report_lifetime": 2500}),
        "7002": AccountRowCounts({"ads": 0}, {"ad_report_daily": 0.0}, {"ad_report_lifetime": 0}),
    }
    tables = ["advertisers", "ads", "ad_report_daily", "ad_report_lifetime"]
    assert plan_requests(workloads, days, tables, lists_accounts=True) == [
        PlanLine("advertisers", 2, 2),
        PlanLine("ads", 3 + 1, 2500),
        PlanLine("ad_report_lifetime", 3 + 1, 2500),
        PlanLine("ad_report_daily", 2 * 3 + 2 * 1, 6000),
    ]
    assert plan_requests(workloads, days, ["advertisers"], lists_accounts=False) == [PlanLine("advertisers", 1, 2)]
    assert plan_requests({}, days, tables, lists_accounts=False) == [PlanLine("advertisers", 0, 0)]

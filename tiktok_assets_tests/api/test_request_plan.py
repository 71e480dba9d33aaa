"""Tests of windows, batches and planned requests."""

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

scattered_days = st.lists(st.integers(0, 150).map(lambda n: FIRST + n * DAY))
runs_of_days = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 100)), max_size=4).map(
    lambda pieces: [FIRST + (start + n) * DAY for start, length in pieces for n in range(length)]
)


def count_fewest_windows(days: set[date], max_days: int) -> int:
    """Return the least number of windows: each unbroken run of days is split by itself."""
    count, length = 0, 0
    for day in sorted(days):
        length = length + 1 if day - DAY in days else 1
        count += (length - 1) % max_days == 0
    return count


max_days_values = st.sampled_from([1, 2, MAX_DAYS_PER_REPORT])
"""The most days of a window: one for reports by hour or interest, thirty for others."""


@given(scattered_days | runs_of_days, max_days_values)
def test_windows_cover_each_day_once(days: list[date], max_days: int) -> None:
    """The windows cover exactly the given days, each once, in order."""
    covered = [day for window in split_into_windows(days, max_days) for day in window.days]
    assert covered == sorted(set(days))


@given(scattered_days | runs_of_days, max_days_values)
def test_windows_are_not_too_long(days: list[date], max_days: int) -> None:
    """No window has more days than allowed, thirty by default, including both ends."""
    assert split_into_windows(days) == split_into_windows(days, 30)
    for window in split_into_windows(days, max_days):
        assert 1 <= len(window.days) <= max_days
        assert (window.last - window.first).days < max_days


@given(scattered_days | runs_of_days, max_days_values)
def test_windows_are_as_few_as_possible(days: list[date], max_days: int) -> None:
    """No other choice of windows covers the days with fewer requests."""
    assert len(split_into_windows(days, max_days)) == count_fewest_windows(set(days), max_days)


@given(scattered_days)
def test_order_of_days_does_not_matter(days: list[date]) -> None:
    """The same days in any order give the same windows, in order of time."""
    windows = split_into_windows(days)
    assert windows == split_into_windows(reversed(days))
    assert all(one.last < other.first for one, other in pairwise(windows))


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 29))
def test_halves_cover_the_same_days(first: date, extra_days: int) -> None:
    """A window is halved into two that cover its days in order; a single day cannot be halved."""
    window = DateWindow(first, first + extra_days * DAY)
    halves = window.halve()
    if halves is None:
        assert len(window.days) == 1
        return
    one, other = halves
    assert one.days + other.days == window.days
    assert abs(len(one.days) - len(other.days)) <= 1


def test_window_as_text() -> None:
    """A window is formatted as first..last."""
    assert str(DateWindow(date(2026, 3, 1), date(2026, 3, 30))) == "2026-03-01..2026-03-30"


@given(st.lists(st.integers()), st.integers(1, 120))
def test_batches_hold_each_item_once_in_order(items: list[int], size: int) -> None:
    """Batches have each item once and in order; all but the last are full, and none is empty."""
    batches = list(split_into_batches(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(batches)


def test_batch_size_is_the_limit_of_the_api() -> None:
    """One hundred ids fit one request, one hundred and one need two."""
    assert MAX_IDS_PER_CALL == 100
    assert [len(list(split_into_batches(range(ids)))) for ids in (0, 1, 100, 101)] == [0, 1, 1, 2]


@given(st.integers(0, 10**6))
def test_pages_hold_all_rows(rows: int) -> None:
    """The counted pages hold all rows and one page fewer would not; an empty result takes one page."""
    pages = count_pages(rows)
    assert pages * MAX_PAGE_SIZE >= rows
    assert pages == 1 or (pages - 1) * MAX_PAGE_SIZE < rows


def test_plan_counts_the_requests_of_each_table() -> None:
    """A plan has one line per requested table, with its requests and rows."""
    days = [FIRST + n * DAY for n in range(60)]
    row_counts = {
        "7001": AccountRowCounts({"ads": 2500}, {"ad_report_daily": 100}, {"ad_report_lifetime": 2500}),
        "7002": AccountRowCounts({"ads": 0}, {"ad_report_daily": 0.0}, {"ad_report_lifetime": 0}),
    }
    tables = ["advertisers", "ads", "ad_report_daily", "ad_report_lifetime"]
    assert plan_requests(row_counts, days, tables, include_account_list=True) == [
        PlanLine("advertisers", 2, 2),
        PlanLine("ads", 3 + 1, 2500),
        PlanLine("ad_report_lifetime", 3 + 1, 2500),
        PlanLine("ad_report_daily", 2 * 3 + 2 * 1, 6000),
    ]
    assert plan_requests(row_counts, days, ["advertisers"], include_account_list=False) == [
        PlanLine("advertisers", 1, 2)
    ]
    assert plan_requests({}, days, tables, include_account_list=False) == [PlanLine("advertisers", 0, 0)]

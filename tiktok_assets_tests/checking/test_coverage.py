"""Laws of the days of a report: holes are named, yesterday is whole when it can be, a loss of rows is told."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest

from tiktok_assets.checking.coverage import Reading, complete_yesterday, no_holes, no_row_drop
from tiktok_assets.days import Account, is_complete

TOKYO = Account("7001", "JPY", "Asia/Tokyo")
LOS_ANGELES = Account("7002", "USD", "America/Los_Angeles")
MORNING = datetime(2026, 3, 18, 12, 30, tzinfo=UTC)
YESTERDAY = date(2026, 3, 17)
START = date(2026, 3, 1)
DAY = timedelta(1)


def days(first: int, last: int) -> list[date]:
    """Days of March."""
    return [date(2026, 3, n) for n in range(first, last + 1)]


@pytest.mark.parametrize(
    ("stored", "named"),
    [
        (days(1, 17), []),
        (days(1, 5) + days(8, 10) + days(12, 17), ["2026-03-06..2026-03-07", "2026-03-11..2026-03-11"]),
        (days(1, 15), []),  # that nothing was read since is told by another check
        ([], ["2026-03-01..2026-03-17"]),
    ],
)
def test_holes_are_named(stored: list[date], named: list[str]) -> None:
    """Each stretch of days that was never read is named; where nothing was, all days to yesterday are."""
    found = no_holes(TOKYO, stored, START, MORNING)
    assert [fault["missing"] for fault in found.faults] == named
    assert found.passed == (not named)


def test_a_hole_longer_than_a_request_is_one() -> None:
    """However many days were not read, those between two that were are a single fault."""
    found = no_holes(TOKYO, [date(2025, 12, 31), YESTERDAY], date(2025, 12, 31), MORNING)
    assert [(fault["missing"], fault["days"]) for fault in found.faults] == [("2026-01-01..2026-03-16", "75")]


def test_history_nobody_asked_for_yet_is_no_hole() -> None:
    """Days before the first one read are noted with the job that reads them, and fail nothing."""
    found = no_holes(TOKYO, days(3, 5) + days(8, 17), START, MORNING)
    assert [fault["missing"] for fault in found.faults] == ["2026-03-06..2026-03-07"]
    (note,) = found.notes
    assert "2026-03-01..2026-03-02 is not read yet; `backfill_history`" in note


def read(account: Account, at: datetime, some: list[date]) -> Mapping[date, Reading]:
    """Days that were read at an instant."""
    return {day: Reading(at, is_complete(day, account, at)) for day in some}


@pytest.mark.parametrize("account", [TOKYO, LOS_ANGELES], ids=["Tokyo", "Los Angeles"])
@pytest.mark.parametrize(
    ("late", "lost", "why"),
    [
        (timedelta(minutes=10), [], None),
        (timedelta(hours=11), [], None),  # nothing could be read whole that was not
        (timedelta(minutes=10), [YESTERDAY], "not read"),
        (timedelta(hours=27), [], "last read at 2026-03-18 12:30 UTC"),
        (timedelta(minutes=10), days(1, 17), "never read"),
    ],
)
def test_yesterday_is_whole_where_it_can_be(
    account: Account, late: timedelta, lost: list[date], why: str | None
) -> None:
    """After the morning's refresh the check passes west and east of UTC; a lost day or a lost refresh fails it."""
    readings = {day: reading for day, reading in read(account, MORNING, days(1, 17)).items() if day not in lost}
    found = complete_yesterday(account, readings, START, MORNING + late)
    assert [fault["why"] for fault in found.faults] == ([why] if why else [])


def test_a_day_that_was_not_read_again_fails() -> None:
    """A day read before it was whole, while others were read later, is named with the instant of its reading."""
    evening = datetime(2026, 3, 15, 20, 0, tzinfo=UTC)
    readings = {**read(LOS_ANGELES, MORNING, days(10, 17)), **read(LOS_ANGELES, evening, [date(2026, 3, 15)])}
    (fault,) = complete_yesterday(LOS_ANGELES, readings, START, MORNING).faults
    assert (fault["date"], fault["why"][:24]) == ("2026-03-15", "read at 2026-03-15 20:00")


def test_nothing_is_expected_before_the_start_date_has_passed() -> None:
    """With a start date of today the check passes and says why."""
    found = complete_yesterday(TOKYO, {}, YESTERDAY + DAY, MORNING)
    assert found.passed
    assert found.notes


@pytest.mark.parametrize(
    ("counts", "percent"),
    [([10, 10, 10, 6], None), ([10, 10, 10, 5], None), ([10, 10, 10, 4], "-60"), ([10, 10, 0], "-100"),
     ([10, 2, 10], None), ([0, 0, 0], None), ([7], None), ([], None)],
)  # fmt: skip
def test_a_loss_of_rows_is_told(counts: list[int], percent: str | None) -> None:
    """The newest day fails if it has less than half the median of the days before it."""
    found = no_row_drop("7001", dict(zip(days(1, 17), counts, strict=False)))
    assert [fault["percent"] for fault in found.faults] == ([percent] if percent else [])

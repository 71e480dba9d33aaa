"""Laws of what an account must tell: a zone and a currency, from the host or from the settings."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tiktok_assets.ingest.writer import ADVERTISERS_SCHEMA
from tiktok_assets.quality.coverage import (
    StoredDay,
    check_accounts,
    check_complete_yesterday,
    check_missing_days,
    check_row_drop,
)
from tiktok_assets.tables.account_calendar import Account, is_complete

TOLD = {"advertiser_id": "7001", "display_timezone": "Asia/Tokyo", "currency": "JPY", "is_granted": True}


def advertisers(*rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of the table of accounts."""
    return pl.DataFrame([{n: row.get(n) for n in ADVERTISERS_SCHEMA} for row in rows], schema=ADVERTISERS_SCHEMA)


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        ({}, None),
        ({"display_timezone": None, "timezone": "Etc/GMT-9"}, None),
        ({"display_timezone": None}, "time zone"),
        ({"display_timezone": "Mars/Olympus"}, "time zone 'Mars/Olympus'"),
        ({"currency": None}, "currency"),
        ({"display_timezone": None, "currency": ""}, "time zone and currency"),
        ({"display_timezone": None, "is_granted": False}, None),  # nobody asks about a lost account
    ],
)
def test_an_account_without_zone_or_currency_is_named(row: dict[str, Any], missing: str | None) -> None:
    """An active account that tells no usable zone or no currency fails by name; the settings mend it."""
    frame = advertisers(TOLD | row)
    _, found = check_accounts(frame, [], zones={}, currencies={})
    assert [fault["missing"] for fault in found.faults] == ([missing] if missing else [])
    _, mended = check_accounts(frame, [], zones={"7001": "UTC"}, currencies={"7001": "EUR"})
    assert mended.passed


def test_display_timezone_comes_before_the_raw_one() -> None:
    """Where both are told, the days are those of the IANA zone; a setting wins over both."""
    frame = advertisers(TOLD | {"display_timezone": "America/Los_Angeles", "timezone": "Etc/GMT+8"})
    accounts, _ = check_accounts(frame, [], zones={}, currencies={})
    assert accounts["7001"].timezone == "America/Los_Angeles"
    accounts, _ = check_accounts(frame, [], zones={"7001": "UTC"}, currencies={})
    assert accounts["7001"].timezone == "UTC"


def test_a_named_account_the_host_knows_nothing_of_is_active() -> None:
    """An account of the settings is expected even where no table of accounts stands."""
    _, found = check_accounts(advertisers(), ["7009"], zones={"7009": "UTC"}, currencies={})
    assert [dict(fault) for fault in found.faults] == [{"advertiser_id": "7009", "missing": "currency"}]


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
    found = check_missing_days(TOKYO, stored, START, MORNING)
    assert [fault["missing"] for fault in found.faults] == named
    assert found.passed == (not named)


def test_a_hole_longer_than_a_request_is_one() -> None:
    """However many days were not read, those between two that were are a single fault."""
    found = check_missing_days(TOKYO, [date(2025, 12, 31), YESTERDAY], date(2025, 12, 31), MORNING)
    assert [(fault["missing"], fault["days"]) for fault in found.faults] == [("2026-01-01..2026-03-16", "75")]


def test_history_nobody_asked_for_yet_is_no_hole() -> None:
    """Days before the first one read are noted with the job that reads them, and fail nothing."""
    found = check_missing_days(TOKYO, days(3, 5) + days(8, 17), START, MORNING)
    assert [fault["missing"] for fault in found.faults] == ["2026-03-06..2026-03-07"]
    (note,) = found.notes
    assert "2026-03-01..2026-03-02 is not read yet; `backfill_history`" in note


def read(account: Account, at: datetime, some: list[date]) -> Mapping[date, StoredDay]:
    """Days that were read at an instant."""
    return {day: StoredDay(at, is_complete(day, account, at)) for day in some}


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
    found = check_complete_yesterday(account, readings, START, MORNING + late)
    assert [fault["why"] for fault in found.faults] == ([why] if why else [])


def test_a_day_that_was_not_read_again_fails() -> None:
    """A day read before it was whole, while others were read later, is named with the instant of its reading."""
    evening = datetime(2026, 3, 15, 20, 0, tzinfo=UTC)
    readings = {**read(LOS_ANGELES, MORNING, days(10, 17)), **read(LOS_ANGELES, evening, [date(2026, 3, 15)])}
    (fault,) = check_complete_yesterday(LOS_ANGELES, readings, START, MORNING).faults
    assert (fault["date"], fault["why"][:24]) == ("2026-03-15", "read at 2026-03-15 20:00")


def test_nothing_is_expected_before_the_start_date_has_passed() -> None:
    """With a start date of today the check passes and says why."""
    found = check_complete_yesterday(TOKYO, {}, YESTERDAY + DAY, MORNING)
    assert found.passed
    assert found.notes


@pytest.mark.parametrize(
    ("counts", "percent"),
    [([10, 10, 10, 6], None), ([10, 10, 10, 5], None), ([10, 10, 10, 4], "-60"), ([10, 10, 0], "-100"),
     ([10, 2, 10], None), ([0, 0, 0], None), ([7], None), ([], None)],
)  # fmt: skip
def test_a_loss_of_rows_is_told(counts: list[int], percent: str | None) -> None:
    """The newest day fails if it has less than half the median of the days before it."""
    found = check_row_drop("7001", dict(zip(days(1, 17), counts, strict=False)))
    assert [fault["percent"] for fault in found.faults] == ([percent] if percent else [])

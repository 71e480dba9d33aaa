"""Test the checks of accounts and days: time zone, currency, missing days, incomplete days and lost rows."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tiktok_assets.ingest.account_reader import ADVERTISERS_SCHEMA
from tiktok_assets.quality.coverage import (
    StoredDay,
    check_accounts,
    check_complete_yesterday,
    check_missing_days,
    check_row_drop,
)
from tiktok_assets.tables.account_calendar import Account, is_complete

ADVERTISER = {"advertiser_id": "7001", "display_timezone": "Asia/Tokyo", "currency": "JPY", "is_granted": True}


def advertisers(*rows: dict[str, Any]) -> pl.DataFrame:
    """Build rows of the table `advertisers`."""
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
        ({"display_timezone": None, "is_granted": False}, None),  # not checked, because no longer granted
    ],
)
def test_an_account_without_time_zone_or_currency_fails(row: dict[str, Any], missing: str | None) -> None:
    """An active account without a known time zone or without a currency is a fault; the settings can set both."""
    frame = advertisers(ADVERTISER | row)
    _, outcome = check_accounts(frame, [], timezones={}, currencies={})
    assert [fault["missing"] for fault in outcome.faults] == ([missing] if missing else [])
    _, fixed = check_accounts(frame, [], timezones={"7001": "UTC"}, currencies={"7001": "EUR"})
    assert fixed.passed


def test_display_timezone_has_priority_over_timezone() -> None:
    """`display_timezone` is used before `timezone`, and a setting overrides both."""
    frame = advertisers(ADVERTISER | {"display_timezone": "America/Los_Angeles", "timezone": "Etc/GMT+8"})
    accounts, _ = check_accounts(frame, [], timezones={}, currencies={})
    assert accounts["7001"].timezone == "America/Los_Angeles"
    accounts, _ = check_accounts(frame, [], timezones={"7001": "UTC"}, currencies={})
    assert accounts["7001"].timezone == "UTC"


def test_an_account_of_the_settings_is_active_without_a_stored_row() -> None:
    """An account of the settings is checked even if the table `advertisers` does not contain it."""
    _, outcome = check_accounts(advertisers(), ["7009"], timezones={"7009": "UTC"}, currencies={})
    assert [dict(fault) for fault in outcome.faults] == [{"advertiser_id": "7009", "missing": "currency"}]


TOKYO = Account("7001", "JPY", "Asia/Tokyo")
LOS_ANGELES = Account("7002", "USD", "America/Los_Angeles")
MORNING = datetime(2026, 3, 18, 12, 30, tzinfo=UTC)
YESTERDAY = date(2026, 3, 17)
START = date(2026, 3, 1)
DAY = timedelta(1)


def days(first: int, last: int) -> list[date]:
    """Return days of March."""
    return [date(2026, 3, n) for n in range(first, last + 1)]


@pytest.mark.parametrize(
    ("stored", "windows"),
    [
        (days(1, 17), []),
        (days(1, 5) + days(8, 10) + days(12, 17), ["2026-03-06..2026-03-07", "2026-03-11..2026-03-11"]),
        (days(1, 15), []),  # days after the last stored one are the subject of another check
        ([], ["2026-03-01..2026-03-17"]),
    ],
)
def test_missing_windows_are_listed(stored: list[date], windows: list[str]) -> None:
    """Each window of missing days is listed; without stored days, that is every day until yesterday."""
    outcome = check_missing_days(TOKYO, stored, START, MORNING)
    assert [fault["missing"] for fault in outcome.faults] == windows
    assert outcome.passed == (not windows)


def test_a_long_gap_is_a_single_fault() -> None:
    """However many days are missing between two stored ones, they are a single fault."""
    outcome = check_missing_days(TOKYO, [date(2025, 12, 31), YESTERDAY], date(2025, 12, 31), MORNING)
    assert [(fault["missing"], fault["days"]) for fault in outcome.faults] == [("2026-01-01..2026-03-16", "75")]


def test_days_before_the_first_stored_one_are_only_noted() -> None:
    """Days before the first stored one are noted with the job that reads them, and are no fault."""
    outcome = check_missing_days(TOKYO, days(3, 5) + days(8, 17), START, MORNING)
    assert [fault["missing"] for fault in outcome.faults] == ["2026-03-06..2026-03-07"]
    (note,) = outcome.notes
    assert "2026-03-01..2026-03-02 is not read yet; `backfill_history`" in note


def read_at(account: Account, at: datetime, some: list[date]) -> Mapping[date, StoredDay]:
    """Return stored days that were all read at the same instant."""
    return {day: StoredDay(at, is_complete(day, account, at)) for day in some}


@pytest.mark.parametrize("account", [TOKYO, LOS_ANGELES], ids=["Tokyo", "Los Angeles"])
@pytest.mark.parametrize(
    ("late", "lost", "why"),
    [
        (timedelta(minutes=10), [], None),
        (timedelta(hours=11), [], None),  # no other day has become complete since
        (timedelta(minutes=10), [YESTERDAY], "not read"),
        (timedelta(hours=27), [], "last read at 2026-03-18 12:30 UTC"),
        (timedelta(minutes=10), days(1, 17), "never read"),
    ],
)
def test_yesterday_must_be_read_and_be_complete_where_possible(
    account: Account, late: timedelta, lost: list[date], why: str | None
) -> None:
    """After the morning refresh the check passes east and west of UTC; a missing day or refresh fails it."""
    stored_days = {
        day: stored for day, stored in read_at(account, MORNING, days(1, 17)).items() if day not in lost
    }
    outcome = check_complete_yesterday(account, stored_days, START, MORNING + late)
    assert [fault["why"] for fault in outcome.faults] == ([why] if why else [])


def test_an_incomplete_day_that_was_not_read_again_fails() -> None:
    """A day read before it was complete fails with the time of the read if other days were read later."""
    evening = datetime(2026, 3, 15, 20, 0, tzinfo=UTC)
    stored_days = {
        **read_at(LOS_ANGELES, MORNING, days(10, 17)),
        **read_at(LOS_ANGELES, evening, [date(2026, 3, 15)]),
    }
    (fault,) = check_complete_yesterday(LOS_ANGELES, stored_days, START, MORNING).faults
    assert (fault["date"], fault["why"][:24]) == ("2026-03-15", "read at 2026-03-15 20:00")


def test_no_day_is_expected_before_the_start_date_has_passed() -> None:
    """With a start date of today the check passes with a note."""
    outcome = check_complete_yesterday(TOKYO, {}, YESTERDAY + DAY, MORNING)
    assert outcome.passed
    assert outcome.notes


@pytest.mark.parametrize(
    ("counts", "percent"),
    [([10, 10, 10, 6], None), ([10, 10, 10, 5], None), ([10, 10, 10, 4], "-60"), ([10, 10, 0], "-100"),
     ([10, 2, 10], None), ([0, 0, 0], None), ([7], None), ([], None)],
)  # fmt: skip
def test_a_drop_of_rows_is_a_fault(counts: list[int], percent: str | None) -> None:
    """The newest day fails if it has less than half the median row count of the previous days."""
    outcome = check_row_drop("7001", dict(zip(days(1, 17), counts, strict=False)))
    assert [fault["percent"] for fault in outcome.faults] == ([percent] if percent else [])

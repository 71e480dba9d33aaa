"""Tests of the account calendar, for every time zone."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.tables.account_calendar import Account, ValueFormatError, day_end, is_complete, is_settled

ZONES = sorted(available_timezones())
FIRST, LAST = date(2023, 1, 1), date(2027, 12, 31)
SECOND = timedelta(seconds=1)

zones = st.sampled_from(ZONES)
days = st.dates(date(2020, 1, 1), date(2036, 12, 31))


def account(zone: str) -> Account:
    """Build an account with this time zone."""
    return Account("7001", "USD", zone)


def clock_changes(zone: str) -> list[date]:
    """Return the days between FIRST and LAST, in UTC, on which the zone's offset changes."""
    tz = ZoneInfo(zone)
    midnights = [datetime.combine(FIRST, time(), UTC) + timedelta(n) for n in range((LAST - FIRST).days)]
    offsets = [(midnight.date(), midnight.astimezone(tz).utcoffset()) for midnight in midnights]
    return [day for (day, before), (_, after) in pairwise(offsets) if before != after]


def assert_ends(day: date, zone: str) -> None:
    """Assert that the end of a day is the first instant of a later local day."""
    tz = ZoneInfo(zone)
    end = day_end(day, account(zone))
    assert end.tzinfo is UTC
    assert (end - SECOND).astimezone(tz).date() <= day
    for later in (timedelta(), SECOND, timedelta(minutes=30), timedelta(hours=1), timedelta(hours=3)):
        assert (end + later).astimezone(tz).date() > day


@given(days, zones)
def test_day_ends_at_the_next_local_midnight(day: date, zone: str) -> None:
    """In every time zone, the second before the end belongs to the day, and no later instant does."""
    assert_ends(day, zone)


@pytest.mark.slow
def test_days_around_a_clock_change_end_at_the_next_local_midnight() -> None:
    """This also holds if midnight does not exist or occurs twice, and on days of 23 or 25 hours."""
    changes = {zone: clock_changes(zone) for zone in ZONES}
    for zone, changed in changes.items():
        for day in changed:
            for near in (day - timedelta(1), day, day + timedelta(1)):
                assert_ends(near, zone)
    assert sum(map(len, changes.values())) > 1000


def test_day_with_a_clock_change_is_shorter_or_longer() -> None:
    """In Berlin a day in spring has 23 hours, and a day in autumn has 25."""
    berlin = account("Europe/Berlin")
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)):
        assert day_end(day, berlin) - day_end(day - timedelta(1), berlin) == timedelta(hours=hours)


def test_sign_of_an_etc_zone_is_inverted() -> None:
    """`Etc/GMT+8` is eight hours behind UTC, so its days end at 08:00 UTC."""
    assert day_end(date(2026, 5, 1), account("Etc/GMT+8")) == datetime(2026, 5, 2, 8, tzinfo=UTC)


@given(days, zones)
def test_days_are_contiguous(day: date, zone: str) -> None:
    """Every instant belongs to exactly one day, the one `today` returns."""
    example = account(zone)
    begins, ends = day_end(day - timedelta(1), example), day_end(day, example)
    assert begins < ends
    assert example.today(begins) == day == example.today(ends - SECOND)
    assert example.today(ends) == day + timedelta(1)


@given(days, zones, st.timedeltas(timedelta(days=-3), timedelta(days=40)), st.timedeltas(timedelta()))
def test_completeness_is_monotone(day: date, zone: str, after: timedelta, later: timedelta) -> None:
    """A later read is never less complete or less settled."""
    example = account(zone)
    fetched_at = day_end(day, example) + after
    until = fetched_at + min(later, timedelta(days=1000))
    assert is_complete(day, example, fetched_at) <= is_complete(day, example, until)
    assert is_settled(day, example, fetched_at) <= is_settled(day, example, until)
    assert is_settled(day, example, fetched_at) <= is_complete(day, example, fetched_at)


@given(days, zones, st.timedeltas(timedelta(), timedelta(days=2)))
def test_complete_is_sixteen_hours_and_a_correction_after_the_end(day: date, zone: str, after: timedelta) -> None:
    """A day is complete if and only if 16 hours and one 12:00 UTC have passed between its end and the read."""
    example = account(zone)
    ended = day_end(day, example)
    fetched_at = ended + after
    noons = [datetime.combine(ended.date() + timedelta(n), time(12), UTC) for n in range(4)]
    corrected = any(ended <= noon <= fetched_at for noon in noons)
    assert is_complete(day, example, fetched_at) == (after >= timedelta(hours=16) and corrected)


def test_settled_is_more_than_28_days_after_the_end() -> None:
    """A day is settled right after the 28th day after its end, the longest attribution window."""
    example = account("Asia/Tokyo")
    edge = day_end(date(2026, 5, 1), example) + timedelta(days=28)
    assert not is_settled(date(2026, 5, 1), example, edge)
    assert is_settled(date(2026, 5, 1), example, edge + SECOND)


@pytest.mark.parametrize("zone", ["", "Europe/Nowhere", "America", "../UTC", "/etc/passwd", "Berlin\0"])
def test_unknown_time_zone_error(zone: str) -> None:
    """The error about an unknown time zone names the account and the setting to fix it."""
    assert not account(zone).has_known_zone
    with pytest.raises(
        ValueFormatError, match=r"advertiser 7001 has the unknown time zone.*TIKTOK_ACCOUNT_TIMEZONE"
    ):
        day_end(date(2026, 1, 1), account(zone))


def test_every_time_zone_of_the_database_is_known() -> None:
    """Every time zone of the IANA database is known."""
    assert [zone for zone in ZONES if not account(zone).has_known_zone] == []

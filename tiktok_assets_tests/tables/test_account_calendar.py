"""Laws of the advertiser's calendar, for every zone there is."""

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
    """An account with days of this zone."""
    return Account("7001", "USD", zone)


def clock_changes(zone: str) -> list[date]:
    """The days between FIRST and LAST, UTC, in which the zone's clock is changed."""
    known = ZoneInfo(zone)
    midnights = [datetime.combine(FIRST, time(), UTC) + timedelta(n) for n in range((LAST - FIRST).days)]
    offsets = [(midnight.date(), midnight.astimezone(known).utcoffset()) for midnight in midnights]
    return [day for (day, before), (_, after) in pairwise(offsets) if before != after]


def assert_ends(day: date, zone: str) -> None:
    """The end is the first instant from which the local calendar has left the day."""
    known = ZoneInfo(zone)
    end = day_end(day, account(zone))
    assert end.tzinfo is UTC
    assert (end - SECOND).astimezone(known).date() <= day
    for later in (timedelta(), SECOND, timedelta(minutes=30), timedelta(hours=1), timedelta(hours=3)):
        assert (end + later).astimezone(known).date() > day


@given(days, zones)
def test_a_day_ends_at_the_next_local_midnight(day: date, zone: str) -> None:
    """In every zone, the second before the end is still of the day and nothing after it is."""
    assert_ends(day, zone)


def test_days_around_a_clock_change_end_at_the_next_local_midnight() -> None:
    """The same holds where midnight does not exist, where it comes twice, and on days of 23 or 25 hours."""
    changes = {zone: clock_changes(zone) for zone in ZONES}
    for zone, changed in changes.items():
        for day in changed:
            for near in (day - timedelta(1), day, day + timedelta(1)):
                assert_ends(near, zone)
    assert sum(map(len, changes.values())) > 1000


def test_a_day_with_a_clock_change_is_shorter_or_longer() -> None:
    """In Berlin a day in spring has 23 hours, one in autumn 25."""
    berlin = account("Europe/Berlin")
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)):
        assert day_end(day, berlin) - day_end(day - timedelta(1), berlin) == timedelta(hours=hours)


def test_the_sign_of_an_etc_zone_is_inverted() -> None:
    """`Etc/GMT+8` lies eight hours behind UTC, so its days end at 08:00 UTC."""
    assert day_end(date(2026, 5, 1), account("Etc/GMT+8")) == datetime(2026, 5, 2, 8, tzinfo=UTC)


@given(days, zones)
def test_each_day_begins_where_the_one_before_ended(day: date, zone: str) -> None:
    """Ends are in the order of days, so every instant belongs to one day, the one `today` names."""
    here = account(zone)
    begins, ends = day_end(day - timedelta(1), here), day_end(day, here)
    assert begins < ends
    assert here.today(begins) == day == here.today(ends - SECOND)
    assert here.today(ends) == day + timedelta(1)


@given(days, zones, st.timedeltas(timedelta(days=-3), timedelta(days=40)), st.timedeltas(timedelta()))
def test_what_is_complete_or_settled_stays_so(day: date, zone: str, after: timedelta, later: timedelta) -> None:
    """Completeness is monotone in the instant of the reading: reading later never makes a day less whole."""
    here = account(zone)
    fetched_at = day_end(day, here) + after
    until = fetched_at + min(later, timedelta(days=1000))
    assert is_complete(day, here, fetched_at) <= is_complete(day, here, until)
    assert is_settled(day, here, fetched_at) <= is_settled(day, here, until)
    assert is_settled(day, here, fetched_at) <= is_complete(day, here, fetched_at)


@given(days, zones, st.timedeltas(timedelta(), timedelta(days=2)))
def test_complete_means_sixteen_hours_and_a_correction_after_the_end(
    day: date, zone: str, after: timedelta
) -> None:
    """A day is complete if, and only if, 16 hours and one 12:00 UTC came between its end and the reading."""
    here = account(zone)
    ended = day_end(day, here)
    fetched_at = ended + after
    noons = [datetime.combine(ended.date() + timedelta(n), time(12), UTC) for n in range(4)]
    corrected = any(ended <= noon <= fetched_at for noon in noons)
    assert is_complete(day, here, fetched_at) == (after >= timedelta(hours=16) and corrected)


def test_settled_means_over_twenty_eight_days_after_the_end() -> None:
    """A day settles right after the 28th day after its end, the longest attribution window."""
    here = account("Asia/Tokyo")
    edge = day_end(date(2026, 5, 1), here) + timedelta(days=28)
    assert not is_settled(date(2026, 5, 1), here, edge)
    assert is_settled(date(2026, 5, 1), here, edge + SECOND)


@pytest.mark.parametrize("zone", ["", "Europe/Nowhere", "America", "../UTC", "/etc/passwd", "Berlin\0"])
def test_a_zone_nobody_knows_names_the_account_and_the_mend(zone: str) -> None:
    """An unknown zone is one named error that says whose it is and where to set it right."""
    assert not account(zone).has_known_zone
    with pytest.raises(
        ValueFormatError, match=r"advertiser 7001 has the unknown time zone.*TIKTOK_ACCOUNT_TIMEZONE"
    ):
        day_end(date(2026, 1, 1), account(zone))


def test_every_zone_of_the_database_is_known() -> None:
    """Whatever zone TikTok names, its days can be told."""
    assert [zone for zone in ZONES if not account(zone).has_known_zone] == []

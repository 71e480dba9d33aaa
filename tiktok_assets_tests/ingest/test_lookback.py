"""Laws of which days are read again in the morning, against a calendar counted out by hand."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.partitions import build_daily_partitions
from tiktok_assets.ingest.lookback import GAP_SEARCH_DAYS, find_missing_days, select_refresh_window
from tiktok_assets.ingest.partitions import IS_COMPLETE_KEY
from tiktok_assets.ingest.report_reader import build_report_queries
from tiktok_assets.spec.reports import REPORTS, Report
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account, day_end, is_complete

TOKYO = Account("7001", "JPY", "Asia/Tokyo")
NOW = datetime(2026, 3, 18, 12, 30, tzinfo=UTC)  # a Wednesday; in Tokyo too
YESTERDAY = date(2026, 3, 17)
LONG_AGO = date(2025, 1, 1)
DAY = timedelta(1)
EMPTY = pl.DataFrame(schema={"advertiser_id": pl.String, "date": pl.Date})


def keep(
    store: HiveStore, *days: date, complete: bool = True, table: str = "ads_daily", owner: str = "7001"
) -> None:
    """Days that stand in the store, whole or not."""
    for day in days:
        store.write(table, Partition(owner, day), EMPTY, notes={IS_COMPLETE_KEY: str(complete).lower()})


def back(first: int, last: int = 0) -> list[date]:
    """The days from `first` to `last` days before yesterday."""
    return [YESTERDAY - n * DAY for n in range(first, last - 1, -1)]


def asked(store: HiveStore, *, now: datetime = NOW, start: date = LONG_AGO, sweep: int = 28) -> DateWindow | None:
    """The days to read with a lookback of seven."""
    return select_refresh_window(store, ["ads_daily"], TOKYO, now, start=start, lookback_days=7, sweep_days=sweep)


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> HiveStore:
    """A store without a day."""
    return HiveStore(str(tmp_path_factory.mktemp("store")))


def test_yesterday_and_the_lookback_are_always_read(store: HiveStore) -> None:
    """Where the last thirty days are whole, only yesterday and the lookback before it are read again."""
    keep(store, *back(29))
    assert asked(store) == DateWindow(YESTERDAY - 7 * DAY, YESTERDAY)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 45)), st.sets(st.integers(0, 45)), st.integers(0, 29), st.integers(0, 60))
def test_the_window_stretches_back_to_the_oldest_hole(
    tmp_path_factory: pytest.TempPathFactory, missing: set[int], incomplete: set[int], lookback: int, since: int
) -> None:
    """The window begins at the oldest missing or incomplete day of the last thirty, or with the lookback."""
    store = HiveStore(str(tmp_path_factory.mktemp("holes")))
    keep(store, *(YESTERDAY - n * DAY for n in set(range(46)) - missing - incomplete))
    keep(store, *(YESTERDAY - n * DAY for n in incomplete - missing), complete=False)
    start = YESTERDAY - since * DAY
    window = select_refresh_window(
        store, ["ads_daily"], TOKYO, NOW, start=start, lookback_days=lookback, sweep_days=0
    )
    furthest = max({lookback} | {n for n in missing | incomplete if n < GAP_SEARCH_DAYS and n <= since})
    assert window == DateWindow(YESTERDAY - min(furthest, since) * DAY, YESTERDAY)
    assert len(window.days) <= 30


def test_a_day_must_be_whole_in_every_table(store: HiveStore) -> None:
    """A hole in one of the tables is a hole; another account's days fill none."""
    keep(store, *back(29))
    keep(store, *back(29, 21), *back(19), table="campaigns_daily")
    keep(store, YESTERDAY - 20 * DAY, table="campaigns_daily", owner="7002")
    window = select_refresh_window(
        store,
        ["ads_daily", "campaigns_daily"],
        TOKYO,
        NOW,
        start=LONG_AGO,
        lookback_days=7,
        sweep_days=0,
    )
    assert window == DateWindow(YESTERDAY - 20 * DAY, YESTERDAY)


@pytest.mark.parametrize(("sweep", "days"), [(28, 29), (3, 8), (0, 8)])
def test_the_morning_after_a_sunday_sweeps(store: HiveStore, sweep: int, days: int) -> None:
    """On the account's Monday the sweep is read if it is longer than the lookback; 0 turns it off."""
    monday = datetime(2026, 3, 15, 15, 30, tzinfo=UTC)  # 00:30 on Monday in Tokyo, still Sunday in UTC
    keep(store, *back(45))
    window = asked(store, now=monday, sweep=sweep)
    assert window is not None
    assert (window.last, len(window.days)) == (date(2026, 3, 15), days)
    sunday = asked(store, now=monday - timedelta(hours=1), sweep=sweep)
    assert sunday is not None
    assert (sunday.last, len(sunday.days)) == (date(2026, 3, 14), 8)


def test_no_day_before_the_start_date_is_asked_for(store: HiveStore) -> None:
    """The start date bounds the window, and where it has not yet passed there is nothing to read."""
    assert asked(store, start=YESTERDAY - 2 * DAY) == DateWindow(YESTERDAY - 2 * DAY, YESTERDAY)
    assert asked(store, start=YESTERDAY) == DateWindow(YESTERDAY, YESTERDAY)
    assert asked(store, start=YESTERDAY + DAY) is None


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 40)), st.integers(0, 40))
def test_missing_days_are_those_never_read(
    tmp_path_factory: pytest.TempPathFactory, read: set[int], since: int
) -> None:
    """Each day from the start date to yesterday without a file is missing, in order; an incomplete one is not."""
    store = HiveStore(str(tmp_path_factory.mktemp("missing")))
    keep(store, *(YESTERDAY - n * DAY for n in read), complete=False)
    found = find_missing_days(store, "ads_daily", TOKYO, NOW, start=YESTERDAY - since * DAY)
    assert found == [day for day in back(since) if day not in {YESTERDAY - n * DAY for n in read}]


def test_nothing_is_missing_before_the_first_day_has_passed(store: HiveStore) -> None:
    """A start date of today asks for no history."""
    assert find_missing_days(store, "ads_daily", TOKYO, NOW, start=YESTERDAY + DAY) == []


zones = st.sampled_from(sorted(available_timezones()))


@settings(max_examples=200, deadline=None)
@given(zones, st.dates(date(2021, 1, 1), date(2035, 12, 31)), st.integers(0, 70), st.sampled_from(REPORTS))
def test_each_local_day_is_asked_for_exactly_once_a_plan(
    zone: str, start: date, length: int, report: Report
) -> None:
    """Over all zones and dates: the questions of a stretch of days ask for each of them once, and for no other."""
    account = Account("7001", "USD", zone)
    days = list(DateWindow(start, start + length * DAY).days)
    questions = build_report_queries(report, account, [*days[::-1], *days[:3]])
    if report.cadence == "lifetime":
        assert [question.window for question in questions] == [None]
        return
    asked_for = [day for question in questions if question.window for day in question.window.days]
    assert asked_for == days
    assert all(len(question.window.days) <= report.window_days for question in questions if question.window)


@settings(max_examples=15, deadline=None)
@given(zones, st.dates(date(2024, 1, 1), date(2027, 12, 31)), st.sets(st.integers(0, 11)), st.integers(0, 2))
def test_no_local_day_is_lost_from_morning_to_morning(
    tmp_path_factory: pytest.TempPathFactory, zone: str, first_morning: date, skipped: set[int], lookback: int
) -> None:
    """Whatever the zone, its clock changes and the mornings missed: every day is read, and read again until whole.

    The mornings are those of the schedule, 12:30 UTC; each ends with yesterday, the day that has just ended there.
    """
    store, account = HiveStore(str(tmp_path_factory.mktemp("mornings"))), Account("7001", "USD", zone)
    start = first_morning - 2 * DAY
    whole, seen = set[date](), set[date]()
    for number in range(12):
        if number in skipped:
            continue
        now = datetime.combine(first_morning + number * DAY, time(12, 30), UTC)
        window = select_refresh_window(
            store, ["ads_daily"], account, now, start=start, lookback_days=lookback, sweep_days=0
        )
        assert window is not None
        yesterday = now.astimezone(ZoneInfo(zone)).date() - DAY
        assert window.last == yesterday
        assert day_end(yesterday, account) <= now < day_end(yesterday + DAY, account)
        seen |= set(window.days)
        assert seen == set(DateWindow(start, yesterday).days)
        unfinished = {day for day in DateWindow(start, yesterday).days if day not in whole}
        assert unfinished <= set(window.days)
        for day in window.days:
            complete = is_complete(day, account, now)
            keep(store, day, complete=complete)
            whole |= {day} if complete else set()
        assert {day for day in seen if is_complete(day, account, now)} <= whole


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Asia/Tokyo", "America/Los_Angeles", "Etc/GMT+12"])
def test_yesterday_is_a_partition_when_the_morning_run_starts(zone: str) -> None:
    """From fourteen hours ahead of UTC to twelve behind, the day just ended there has its key at 12:30 UTC."""
    now = datetime(2026, 3, 18, 12, 30, tzinfo=UTC)
    keys = build_daily_partitions(date(2026, 3, 1)).get_partition_keys(current_time=now)
    assert str(Account("7001", "USD", zone).today(now) - DAY) in keys


@pytest.mark.parametrize(("zone", "hour"), [("Etc/GMT+8", 8), ("Etc/GMT-9", 15), ("Etc/GMT", 0)])
def test_the_sign_of_an_etc_zone_decides_which_day_is_yesterday(store: HiveStore, zone: str, hour: int) -> None:
    """`Etc/GMT+8` ends its day at 08:00 UTC, `Etc/GMT-9` at 15:00; a minute before, yesterday is another day."""
    edge = datetime(2026, 3, 18, hour, 0, tzinfo=UTC)
    account, days = Account("7001", "USD", zone), []
    for now in (edge - timedelta(minutes=1), edge):
        window = select_refresh_window(store, ["t"], account, now, start=LONG_AGO, lookback_days=0, sweep_days=0)
        assert window is not None
        days.append(window.last)
    assert days[1] - days[0] == DAY

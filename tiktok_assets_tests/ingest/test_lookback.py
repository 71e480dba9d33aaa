"""Test which days are read again in the morning, against independently computed calendars."""

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
from tiktok_assets.ingest.report_reader import plan_report_requests
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import REPORTS
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account, day_end, is_complete

TOKYO = Account("7001", "JPY", "Asia/Tokyo")
NOW = datetime(2026, 3, 18, 12, 30, tzinfo=UTC)  # a Wednesday; in Tokyo too
YESTERDAY = date(2026, 3, 17)
LONG_AGO = date(2025, 1, 1)
DAY = timedelta(1)
EMPTY_FRAME = pl.DataFrame(schema={"advertiser_id": pl.String, "date": pl.Date})


def store_days(
    store: HiveStore, *days: date, complete: bool = True, table: str = "ads_daily", owner: str = "7001"
) -> None:
    """Store days, complete or not."""
    for day in days:
        store.write(table, Partition(owner, day), EMPTY_FRAME, metadata={IS_COMPLETE_KEY: str(complete).lower()})


def days_before_yesterday(first: int, last: int = 0) -> list[date]:
    """Return the days from `first` to `last` days before yesterday."""
    return [YESTERDAY - n * DAY for n in range(first, last - 1, -1)]


def select_window(
    store: HiveStore, *, now: datetime = NOW, start: date = LONG_AGO, sweep: int = 28
) -> DateWindow | None:
    """Select the window with a lookback of seven days."""
    return select_refresh_window(store, ["ads_daily"], TOKYO, now, start=start, lookback_days=7, sweep_days=sweep)


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> HiveStore:
    """Return an empty store."""
    return HiveStore(str(tmp_path_factory.mktemp("store")))


def test_yesterday_and_the_lookback_are_always_read(store: HiveStore) -> None:
    """If the last thirty days are complete, only yesterday and the lookback are read again."""
    store_days(store, *days_before_yesterday(29))
    assert select_window(store) == DateWindow(YESTERDAY - 7 * DAY, YESTERDAY)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 45)), st.sets(st.integers(0, 45)), st.integers(0, 29), st.integers(0, 60))
def test_the_window_starts_at_the_oldest_missing_or_incomplete_day(
    tmp_path_factory: pytest.TempPathFactory, missing: set[int], incomplete: set[int], lookback: int, since: int
) -> None:
    """The window starts at the oldest missing or incomplete day of the last thirty, or with the lookback."""
    store = HiveStore(str(tmp_path_factory.mktemp("gaps")))
    store_days(store, *(YESTERDAY - n * DAY for n in set(range(46)) - missing - incomplete))
    store_days(store, *(YESTERDAY - n * DAY for n in incomplete - missing), complete=False)
    start = YESTERDAY - since * DAY
    window = select_refresh_window(
        store, ["ads_daily"], TOKYO, NOW, start=start, lookback_days=lookback, sweep_days=0
    )
    oldest = max({lookback} | {n for n in missing | incomplete if n < GAP_SEARCH_DAYS and n <= since})
    assert window == DateWindow(YESTERDAY - min(oldest, since) * DAY, YESTERDAY)
    assert len(window.days) <= 30


def test_a_day_must_be_complete_in_every_table(store: HiveStore) -> None:
    """A day missing in one table is read again; days of another account do not count."""
    store_days(store, *days_before_yesterday(29))
    store_days(store, *days_before_yesterday(29, 21), *days_before_yesterday(19), table="campaigns_daily")
    store_days(store, YESTERDAY - 20 * DAY, table="campaigns_daily", owner="7002")
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
def test_the_sweep_runs_on_the_morning_after_a_sunday(store: HiveStore, sweep: int, days: int) -> None:
    """On the account's Monday the sweep is read if it is longer than the lookback; 0 disables it."""
    monday = datetime(2026, 3, 15, 15, 30, tzinfo=UTC)  # 00:30 on Monday in Tokyo, still Sunday in UTC
    store_days(store, *days_before_yesterday(45))
    window = select_window(store, now=monday, sweep=sweep)
    assert window is not None
    assert (window.last, len(window.days)) == (date(2026, 3, 15), days)
    sunday = select_window(store, now=monday - timedelta(hours=1), sweep=sweep)
    assert sunday is not None
    assert (sunday.last, len(sunday.days)) == (date(2026, 3, 14), 8)


def test_no_day_before_the_start_date_is_read(store: HiveStore) -> None:
    """The window starts at the start date at the earliest, and is None before that date has passed."""
    assert select_window(store, start=YESTERDAY - 2 * DAY) == DateWindow(YESTERDAY - 2 * DAY, YESTERDAY)
    assert select_window(store, start=YESTERDAY) == DateWindow(YESTERDAY, YESTERDAY)
    assert select_window(store, start=YESTERDAY + DAY) is None


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 40)), st.integers(0, 40))
def test_missing_days_are_those_never_read(
    tmp_path_factory: pytest.TempPathFactory, read: set[int], since: int
) -> None:
    """Each day without a file from the start date to yesterday is missing; an incomplete day is not."""
    store = HiveStore(str(tmp_path_factory.mktemp("missing")))
    store_days(store, *(YESTERDAY - n * DAY for n in read), complete=False)
    found = find_missing_days(store, "ads_daily", TOKYO, NOW, start=YESTERDAY - since * DAY)
    assert found == [day for day in days_before_yesterday(since) if day not in {YESTERDAY - n * DAY for n in read}]


def test_no_day_is_missing_before_the_first_day_has_passed(store: HiveStore) -> None:
    """With a start date of today no day is missing."""
    assert find_missing_days(store, "ads_daily", TOKYO, NOW, start=YESTERDAY + DAY) == []


zones = st.sampled_from(sorted(available_timezones()))


@settings(max_examples=200, deadline=None)
@given(zones, st.dates(date(2021, 1, 1), date(2035, 12, 31)), st.integers(0, 70), st.sampled_from(REPORTS))
def test_each_local_day_is_requested_exactly_once(zone: str, start: date, length: int, report: Report) -> None:
    """In every time zone and range of dates, the requests cover each day once and no other day."""
    account = Account("7001", "USD", zone)
    days = list(DateWindow(start, start + length * DAY).days)
    requests = plan_report_requests(report, account, [*days[::-1], *days[:3]])
    if report.cadence == "lifetime":
        assert [request.window for request in requests] == [None]
        return
    requested_days = [day for request in requests if request.window for day in request.window.days]
    assert requested_days == days
    assert all(len(request.window.days) <= report.window_days for request in requests if request.window)


@settings(max_examples=15, deadline=None)
@given(zones, st.dates(date(2024, 1, 1), date(2027, 12, 31)), st.sets(st.integers(0, 11)), st.integers(0, 2))
def test_each_local_day_is_read_until_it_is_complete(
    tmp_path_factory: pytest.TempPathFactory, zone: str, first_run: date, skipped: set[int], lookback: int
) -> None:
    """In every time zone, with clock changes and skipped runs, each day is read until it is complete.

    The runs start at 12:30 UTC as scheduled; each window ends with yesterday, the day that just ended locally.
    """
    store, account = HiveStore(str(tmp_path_factory.mktemp("runs"))), Account("7001", "USD", zone)
    start = first_run - 2 * DAY
    complete_days, read_days = set[date](), set[date]()
    for number in range(12):
        if number in skipped:
            continue
        now = datetime.combine(first_run + number * DAY, time(12, 30), UTC)
        window = select_refresh_window(
            store, ["ads_daily"], account, now, start=start, lookback_days=lookback, sweep_days=0
        )
        assert window is not None
        yesterday = now.astimezone(ZoneInfo(zone)).date() - DAY
        assert window.last == yesterday
        assert day_end(yesterday, account) <= now < day_end(yesterday + DAY, account)
        read_days |= set(window.days)
        assert read_days == set(DateWindow(start, yesterday).days)
        unfinished = {day for day in DateWindow(start, yesterday).days if day not in complete_days}
        assert unfinished <= set(window.days)
        for day in window.days:
            complete = is_complete(day, account, now)
            store_days(store, day, complete=complete)
            complete_days |= {day} if complete else set()
        assert {day for day in read_days if is_complete(day, account, now)} <= complete_days


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Asia/Tokyo", "America/Los_Angeles", "Etc/GMT+12"])
def test_yesterday_is_a_partition_when_the_morning_run_starts(zone: str) -> None:
    """In time zones from UTC+14 to UTC-12, the day that just ended is a partition at 12:30 UTC."""
    now = datetime(2026, 3, 18, 12, 30, tzinfo=UTC)
    keys = build_daily_partitions(date(2026, 3, 1)).get_partition_keys(current_time=now)
    assert str(Account("7001", "USD", zone).today(now) - DAY) in keys


@pytest.mark.parametrize(("zone", "hour"), [("Etc/GMT+8", 8), ("Etc/GMT-9", 15), ("Etc/GMT", 0)])
def test_the_sign_of_an_etc_zone_decides_which_day_is_yesterday(store: HiveStore, zone: str, hour: int) -> None:
    """`Etc/GMT+8` ends its day at 08:00 UTC, `Etc/GMT-9` at 15:00; one minute before, it is a day earlier."""
    edge = datetime(2026, 3, 18, hour, 0, tzinfo=UTC)
    account, days = Account("7001", "USD", zone), []
    for now in (edge - timedelta(minutes=1), edge):
        window = select_refresh_window(store, ["t"], account, now, start=LONG_AGO, lookback_days=0, sweep_days=0)
        assert window is not None
        days.append(window.last)
    assert days[1] - days[0] == DAY

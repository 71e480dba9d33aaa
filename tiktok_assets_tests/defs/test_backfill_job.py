"""Laws of `backfill_history`: it reads exactly what is missing, goes on where it was stopped, and then rests."""

from collections import Counter
from datetime import date

import pytest

from tiktok_assets.api.request_plan import DateWindow, split_into_windows
from tiktok_assets.defs.partitions import parse_partition_key
from tiktok_assets_tests.defs.conftest import Desk, DeskMaker, failure_in, keys_of

FIRST, YESTERDAY = date(2026, 9, 4), date(2026, 10, 6)  # thirty-three days: two windows an account and report
TABLES = ("campaign_report_daily", "ad_report_daily")
OP = "read_missing_days"


@pytest.fixture
def long_desk(make_desk: DeskMaker) -> Desk:
    """Two accounts, two daily reports, and more than a month of history."""
    ids = make_desk().advertiser_ids[1:3]
    desk = make_desk(
        start_date=str(FIRST), reports=",".join((*TABLES, "ad_report_lifetime")), advertiser_ids=",".join(ids)
    )
    desk.know(ids)
    return desk


def read_again(desk: Desk) -> int:
    """How many report requests the job sends now."""
    desk.host.control("DELETE", "requests")
    assert desk.run("backfill_history").success
    return len(desk.report_requests())


def test_it_reads_every_missing_day_of_every_daily_report_once(long_desk: Desk) -> None:
    """Each day from the start date to yesterday stands and is one event, in the fewest requests; then it rests."""
    ids = list(long_desk.settings.advertiser_ids)
    assert read_again(long_desk) == 2 * len(ids) * len(TABLES)
    every = keys_of(ids, DateWindow(FIRST, YESTERDAY))
    for table in TABLES:
        assert long_desk.keys(table) == every
        events = long_desk.recorded(table)
        assert Counter(key for key, _ in events) == Counter(every)
        assert all(facts.keys() >= {"rows", "currency", "window", "requests"} for _, facts in events)
    assert long_desk.keys("ad_report_lifetime") == []
    assert read_again(long_desk) == 0


def test_days_that_stand_are_left_alone(long_desk: Desk) -> None:
    """What was read before is neither asked for nor written again, also where it parts the missing days."""
    ids = list(long_desk.settings.advertiser_ids)
    middle = DateWindow(date(2026, 9, 20), date(2026, 9, 22))
    assert long_desk.run_range("refresh_daily", ids, middle, ["ad_report_daily"]).success
    before = {key: long_desk.bytes_of("ad_report_daily", key) for key in keys_of(ids, middle)}
    assert read_again(long_desk) == 2 * len(ids) * len(
        TABLES
    )  # sixteen and fourteen days, instead of thirty and three
    assert {key: long_desk.bytes_of("ad_report_daily", key) for key in before} == before
    assert Counter(key for key, _ in long_desk.recorded("ad_report_daily")).most_common(1)[0][1] == 1


@pytest.mark.parametrize("passes", [0, 5])
def test_stopped_and_launched_again_it_goes_on_with_what_is_missing(long_desk: Desk, passes: int) -> None:
    """Windows that failed are named and none of their days stands; the next run asks for those alone."""
    ids = list(long_desk.settings.advertiser_ids)
    path = "report/integrated/get"
    long_desk.host.misbehave("code", path=path, code=40002, message="Stopped.", after=passes, times=None)
    result = long_desk.run("backfill_history")
    assert not result.success
    assert "Stopped." in failure_in(result, OP)
    every = keys_of(ids, DateWindow(FIRST, YESTERDAY))
    held = {table: long_desk.keys(table) for table in TABLES}
    for table, keys in held.items():
        assert sorted(key for key, _ in long_desk.recorded(table)) == keys
    missing = [
        split_into_windows(
            parse_partition_key(key).day  # type: ignore[misc]
            for key in every
            if key.startswith(owner) and key not in keys
        )
        for keys in held.values()
        for owner in ids
    ]
    assert sum(map(len, held.values())) < len(every) * len(TABLES)
    long_desk.host.sandbox.state.faults.clear()
    assert read_again(long_desk) == sum(map(len, missing))
    for table in TABLES:
        assert long_desk.keys(table) == every
        assert Counter(key for key, _ in long_desk.recorded(table)) == Counter(every)


def test_an_account_that_fails_keeps_no_other_from_its_history(long_desk: Desk) -> None:
    """The lost account is named with its mend; the other one's history is whole."""
    lost, other = long_desk.settings.advertiser_ids
    assert long_desk.run("refresh_accounts", tables=["advertisers"]).success
    long_desk.revoke(lost)
    result = long_desk.run("backfill_history")
    said = failure_in(result, OP)
    assert lost in said
    assert other not in said
    assert "Grant the account to the app again" in said
    for table in TABLES:
        assert long_desk.keys(table) == keys_of([other], DateWindow(FIRST, YESTERDAY))


def test_an_account_nobody_can_tell_of_fails_the_job_by_name(long_desk: Desk) -> None:
    """Lost before its zone was ever read, an account is not passed over in silence."""
    lost, other = long_desk.settings.advertiser_ids
    long_desk.revoke(lost)
    result = long_desk.run("backfill_history")
    assert not result.success
    assert lost in failure_in(result, OP)
    assert long_desk.keys("ad_report_daily") == keys_of([other], DateWindow(FIRST, YESTERDAY))

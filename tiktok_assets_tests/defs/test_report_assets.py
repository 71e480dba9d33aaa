"""Laws of the report group: what a morning asks for, in how many requests, and after a fortnight without one."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.metadata import ALL_METRICS_SERVED_CHECK
from tiktok_assets.defs.refresh_stages import REFRESH_STAGES, plan_stage_ranges
from tiktok_assets.storage.hive_store import Partition
from tiktok_assets_tests.defs.conftest import DAILY, LIFETIME, Desk, DeskMaker, keys_of

SINCE = date(2026, 9, 25)
LOOKBACK_DAYS = 2
DAY = timedelta(1)
SUNDAY_NOON = datetime(2026, 10, 4, 12, 30, tzinfo=UTC)


def windows(desk: Desk) -> dict[str, DateWindow | None]:
    """The days each account's daily reports would ask for now."""
    chunks = plan_stage_ranges("refresh_daily", desk.instance, desk.store, desk.settings, desk.now)
    return {owner: chunk.window for chunk in chunks for owner in chunk.advertiser_ids}


def asked(desk: Desk) -> Counter[tuple[str, str, str, str]]:
    """How often each report was asked for: account, level, first and last day."""
    return Counter(
        (
            one["query"]["advertiser_id"],
            one["query"]["data_level"],
            one["query"].get("start_date", ""),
            one["query"].get("end_date", ""),
        )
        for one in desk.report_requests()
    )


def morning(desk: Desk) -> None:
    """Hierarchy and daily reports at the world's present instant."""
    desk.host.control("DELETE", "requests")
    for stage in REFRESH_STAGES[:2]:
        for result in desk.refresh(stage):
            assert result.success


@pytest.fixture
def settled(make_desk: DeskMaker) -> Desk:
    """A desk whose store is whole: every day since the start, read when it was over."""
    ids = make_desk().advertiser_ids[2:]
    desk = make_desk(
        start_date=str(SINCE), advertiser_ids=",".join(ids), reports="advertiser_report_daily,ad_report_daily"
    )
    desk.know(ids)
    assert desk.run_range("refresh_accounts", ids).success
    assert desk.run_range("refresh_daily", ids, DateWindow(SINCE, date(2026, 10, 6))).success
    return desk


def test_a_settled_store_only_asks_for_the_lookback(settled: Desk) -> None:
    """Where every day is whole, the next morning asks for yesterday and the lookback, one request a level."""
    settled.host.advance(days=1)
    yesterday = date(2026, 10, 7)
    expected = DateWindow(yesterday - LOOKBACK_DAYS * DAY, yesterday)
    assert windows(settled) == dict.fromkeys(settled.settings.advertiser_ids, expected)
    morning(settled)
    assert asked(settled) == {
        (owner, level, str(expected.first), str(expected.last)): 1
        for owner in settled.settings.advertiser_ids
        for level in ("AUCTION_ADVERTISER", "AUCTION_AD")
    }


def test_after_a_missed_fortnight_one_request_a_level_fills_the_gap(settled: Desk) -> None:
    """Fourteen days on, the window reaches back to the oldest missing or incomplete day, and none is left out."""
    settled.host.advance(days=14)
    yesterday = date(2026, 10, 20)
    reached = windows(settled)
    assert reached.keys() == set(settled.settings.advertiser_ids)
    for window in reached.values():
        assert window
        # The sixth was read half a day after it ended: too early to be whole west of Tokyo.
        assert date(2026, 10, 6) <= window.first <= date(2026, 10, 7)
        assert window.last == yesterday
    morning(settled)
    assert asked(settled) == {
        (owner, level, str(window.first), str(window.last)): 1
        for owner, window in reached.items()
        if window
        for level in ("AUCTION_ADVERTISER", "AUCTION_AD")
    }
    for table in ("advertiser_report_daily", "ad_report_daily"):
        assert settled.keys(table) == keys_of(settled.settings.advertiser_ids, DateWindow(SINCE, yesterday))


def test_a_day_read_too_early_is_read_again_until_it_is_whole(settled: Desk) -> None:
    """Each account's first morning after the gap begins at its own oldest day that is not whole."""
    settled.host.advance(days=14)
    table = settled.table("ad_report_daily").filter(date=date(2026, 10, 6))
    for owner, window in windows(settled).items():
        mine = table.filter(advertiser_id=owner).get_column("is_complete").unique().to_list()
        assert window
        assert window.first == (date(2026, 10, 7) if mine == [True] else date(2026, 10, 6))


def test_one_day_lost_long_ago_stretches_one_account_only(settled: Desk) -> None:
    """A partition that is missing within thirty days is read again for its account, with the days after it."""
    settled.host.advance(days=1)
    owner = settled.settings.advertiser_ids[1]
    folder = settled.store.base / "ad_report_daily" / f"advertiser_id={owner}" / "date=2026-09-28"
    (folder / "part-0.parquet").unlink()
    reached = windows(settled)
    lookback = DateWindow(date(2026, 10, 5), date(2026, 10, 7))
    assert reached.pop(owner) == DateWindow(date(2026, 9, 28), date(2026, 10, 7))
    assert set(reached.values()) == {lookback}


@pytest.mark.parametrize(("days_on", "back"), [(0, 2), (1, 8), (2, 2)])
def test_the_morning_after_a_sunday_sweeps(make_desk: DeskMaker, days_on: int, back: int) -> None:
    """Once a week the sweep is asked for instead of the lookback, when the account's yesterday was a Sunday."""
    desk = make_desk(start_date=str(SINCE), sweep_days=8, reports="ad_report_daily")
    desk.know()
    assert desk.run("refresh_accounts", tables=["advertisers"]).success
    desk.host.sandbox.clock.set(SUNDAY_NOON + days_on * DAY)
    yesterday = desk.now.date() - DAY
    no_rows = desk.table("ad_report_daily")
    for owner in desk.advertiser_ids:
        for day in DateWindow(SINCE, yesterday).days:  # read when it was over
            desk.store.write("ad_report_daily", Partition(owner, day), no_rows, metadata={"is_complete": "true"})
    assert windows(desk) == dict.fromkeys(desk.advertiser_ids, DateWindow(yesterday - back * DAY, yesterday))


def test_each_report_is_one_request_an_account_and_thirty_days(desk: Desk) -> None:
    """Two days of four accounts at four levels are sixteen requests, the lifetime sixteen more."""
    ids = desk.know()
    assert desk.run_range("refresh_accounts", ids).success
    desk.host.control("DELETE", "requests")
    assert desk.run_range("refresh_daily", ids, DateWindow(date(2026, 10, 5), date(2026, 10, 6))).success
    assert len(desk.report_requests()) == len(ids) * len(DAILY)
    assert desk.run_range("refresh_lifetime", ids).success
    assert len(desk.report_requests()) == len(ids) * (len(DAILY) + len(LIFETIME))
    assert all(one["code"] == 0 for one in desk.report_requests())


def test_reports_ask_for_the_accounts_that_nobody_read_yet(desk: Desk) -> None:
    """A report launched before the accounts finds zone and currency itself."""
    ids = desk.know()
    assert desk.run_range("refresh_daily", ids[:2], DateWindow(date(2026, 10, 2), date(2026, 10, 2))).success
    assert desk.run_range("refresh_lifetime", ids[:2]).success
    for table in (*DAILY, *LIFETIME):
        assert len(desk.keys(table)) == 2


def test_a_day_that_is_not_over_is_stored_as_incomplete(desk: Desk) -> None:
    """A key of today, launched by hand, is read, and says of itself that it is not whole."""
    ids = desk.know()
    today = desk.now.date()
    assert desk.run_range("refresh_daily", ids, DateWindow(today, today), ["ad_report_daily"]).success
    table = desk.table("ad_report_daily")
    assert table.height
    assert set(table.get_column("is_complete")) == {False}


WINDOW = DateWindow(date(2026, 10, 3), date(2026, 10, 4))


@pytest.mark.parametrize(
    ("job", "table"), [("refresh_daily", "ad_report_daily"), ("refresh_lifetime", "campaign_report_lifetime")]
)
@pytest.mark.parametrize("metrics", ["+total_purchase_value", "spend,clicks"])
def test_the_check_names_the_metrics_that_were_refused(
    make_desk: DeskMaker, job: str, table: str, metrics: str
) -> None:
    """A report with a withdrawn metric lands without it, says so, and its check warns; without one it passes."""
    desk = make_desk(metrics=metrics)
    desk.host.control("POST", "switches", withdrawn_metrics=["total_purchase_value"])
    ids = desk.know()
    result = desk.run_range(job, ids[:2], WINDOW if "daily" in table else None, [table])
    assert result.success
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == ALL_METRICS_SERVED_CHECK]
    assert (check.asset_key.path, check.check_name) == ([table], ALL_METRICS_SERVED_CHECK)
    assert check.severity == dg.AssetCheckSeverity.WARN
    withdrawn = "total_purchase_value" if metrics.startswith("+") else None
    assert check.passed is (withdrawn is None)
    assert {name: value.value for name, value in check.metadata.items()} == (
        {"withdrawn_metrics": withdrawn} if withdrawn else {}
    )
    events = desk.recorded(table)
    assert len(events) == len(ids[:2]) * (len(WINDOW.days) if "daily" in table else 1)
    assert {facts.get("withdrawn_metrics") for _, facts in events} == {withdrawn}
    stored = desk.table(table)
    assert stored.height
    assert stored.get_column("spend").null_count() == 0
    if withdrawn:
        assert stored.get_column(withdrawn).null_count() == stored.height

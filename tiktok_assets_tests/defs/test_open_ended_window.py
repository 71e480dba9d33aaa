"""Laws of `--from` without `--to`: each account's days end yesterday by its own clock."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.errors import UsageError
from tiktok_assets.cli.plan import plan_refresh
from tiktok_assets.cli.sync import SyncRequest, run_sync
from tiktok_assets.defs.checks import CHECK_TABLES_JOB, build_check_context
from tiktok_assets.ingest.accounts import require_accounts
from tiktok_assets_tests.defs.conftest import WEDNESDAY, Desk

TABLE = "campaign_report_daily"
FIRST = date(2026, 10, 4)
DAY = timedelta(1)


@pytest.fixture(autouse=True)
def same_clock(desk: Desk) -> Iterator[None]:
    """Leave the clock of the shared host as it was."""
    before = desk.now
    yield
    desk.host.sandbox.clock.set(before)


def days_of(desk: Desk, advertiser_id: str) -> list[date]:
    """The stored days of an account."""
    return [one.day for one in desk.store.partitions(TABLE, [advertiser_id]) if one.day]


@pytest.mark.parametrize("hours", [0, 5, 12], ids=["half past noon", "evening", "half past midnight"])
def test_an_open_end_is_yesterday_in_each_zone_and_the_plan_agrees(desk: Desk, hours: int) -> None:
    """Whatever the hour, no account's unfinished day is read, and the plan's rows are those stored."""
    desk.host.sandbox.clock.set(WEDNESDAY + timedelta(hours=hours))
    granted = desk.session.advertiser_ids
    accounts = require_accounts(desk.session.reader, desk.store, desk.settings, granted)
    now = desk.now
    plan = plan_refresh(desk.session, granted, DateWindow(FIRST, date(2026, 10, 8)), [TABLE], is_end_named=False)
    synced = run_sync(desk.settings, desk.session, SyncRequest(first=str(FIRST), select=TABLE), lambda _: None)
    assert synced.failures == []
    for account in accounts:
        yesterday = account.today(now) - DAY
        assert days_of(desk, account.advertiser_id) == list(DateWindow(FIRST, yesterday).days)
    assert [line.rows for line in plan.lines if line.subject == TABLE] == [synced.rows[TABLE]]


def test_an_unfinished_day_is_read_when_it_is_named(desk: Desk) -> None:
    """Today comes with `--to`, stands as incomplete, and is no loss of rows; without `--to` a sentence says so."""
    today = str(desk.now.date())
    asked = SyncRequest(first=str(FIRST), last=today, select=f"{TABLE},{CHECK_TABLES_JOB}")
    synced = run_sync(desk.settings, desk.session, asked, lambda _: None)
    frame = desk.table(TABLE)
    assert not frame.filter(frame["date"] == desk.now.date())["is_complete"].any()
    assert desk.now.date() in days_of(desk, desk.advertiser_ids[0])
    archive = build_check_context(desk.settings, desk.session, days=30)
    for evidence in archive.read_table(TABLE):
        assert desk.now.date() in evidence.stored_days
        assert desk.now.date() not in evidence.rows_by_ended_day
    assert not [one for one in [*synced.failures, *synced.warnings] if "no_row_drop" in one]
    with pytest.raises(UsageError, match="add --to"):
        run_sync(
            desk.settings, desk.session, SyncRequest(first=str(desk.now.date()), select=TABLE), lambda _: None
        )

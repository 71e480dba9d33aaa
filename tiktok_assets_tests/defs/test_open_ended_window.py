"""Test `--from` without `--to`: the days of each account end yesterday in its own time zone."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.errors import UsageError
from tiktok_assets.cli.plan import plan_refresh
from tiktok_assets.cli.sync import run_sync
from tiktok_assets.cli.sync_result import SyncRequest
from tiktok_assets.defs.checks import CHECK_TABLES_JOB, build_check_context
from tiktok_assets.ingest.accounts import require_accounts
from tiktok_assets_tests.defs.conftest import WEDNESDAY, Deployment

TABLE = "campaign_report_daily"
FIRST = date(2026, 10, 4)
DAY = timedelta(1)


@pytest.fixture(autouse=True)
def reset_clock(deployment: Deployment) -> Iterator[None]:
    """Reset the clock of the shared host after the test."""
    before = deployment.now
    yield
    deployment.host.sandbox.clock.set(before)


def stored_days(deployment: Deployment, advertiser_id: str) -> list[date]:
    """Return the stored days of an account."""
    return [one.day for one in deployment.store.partitions(TABLE, [advertiser_id]) if one.day]


@pytest.mark.slow
@pytest.mark.parametrize("hours", [0, 5, 12], ids=["half past noon", "evening", "half past midnight"])
def test_open_end_is_yesterday_in_each_time_zone(deployment: Deployment, hours: int) -> None:
    """At any hour no unfinished day of an account is read, and the planned rows are those stored."""
    deployment.host.sandbox.clock.set(WEDNESDAY + timedelta(hours=hours))
    granted = deployment.session.advertiser_ids
    accounts = require_accounts(deployment.session.reader, deployment.store, deployment.settings, granted)
    now = deployment.now
    plan = plan_refresh(
        deployment.session, granted, DateWindow(FIRST, date(2026, 10, 8)), [TABLE], is_end_named=False
    )
    synced = run_sync(
        deployment.settings, deployment.session, SyncRequest(first=str(FIRST), select=TABLE), lambda _: None
    )
    assert synced.failures == []
    for account in accounts:
        yesterday = account.today(now) - DAY
        assert stored_days(deployment, account.advertiser_id) == list(DateWindow(FIRST, yesterday).days)
    assert [line.rows for line in plan.lines if line.subject == TABLE] == [synced.rows[TABLE]]


@pytest.mark.slow
def test_unfinished_day_is_read_if_named(deployment: Deployment) -> None:
    """Today is read with `--to`, stored as incomplete and accepted by the checks; otherwise it is not read."""
    today = str(deployment.now.date())
    requested = SyncRequest(first=str(FIRST), last=today, select=f"{TABLE},{CHECK_TABLES_JOB}")
    synced = run_sync(deployment.settings, deployment.session, requested, lambda _: None)
    frame = deployment.read_table(TABLE)
    assert not frame.filter(frame["date"] == deployment.now.date())["is_complete"].any()
    assert deployment.now.date() in stored_days(deployment, deployment.advertiser_ids[0])
    archive = build_check_context(deployment.settings, deployment.session, days=30)
    for evidence in archive.read_table(TABLE):
        assert deployment.now.date() in evidence.stored_days
        assert deployment.now.date() not in evidence.rows_by_ended_day
    assert not [one for one in [*synced.failures, *synced.warnings] if "no_row_drop" in one]
    with pytest.raises(UsageError, match="add --to"):
        run_sync(
            deployment.settings,
            deployment.session,
            SyncRequest(first=str(deployment.now.date()), select=TABLE),
            lambda _: None,
        )

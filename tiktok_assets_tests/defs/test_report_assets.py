"""Test the report assets: which requests a daily refresh sends, and which after missed days."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.metadata import ALL_METRICS_SERVED_CHECK
from tiktok_assets.defs.refresh_stages import REFRESH_STAGES, plan_stage_ranges
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets_tests.defs.conftest import DAILY, LIFETIME, Deployment, DeploymentFactory, format_keys

SINCE = date(2026, 9, 25)
LOOKBACK_DAYS = 2
DAY = timedelta(1)
SUNDAY_NOON = datetime(2026, 10, 4, 12, 30, tzinfo=UTC)


def windows_to_refresh(deployment: Deployment) -> dict[str, DateWindow | None]:
    """Return the days each account's daily reports would request now."""
    ranges = plan_stage_ranges(
        "refresh_daily", deployment.instance, deployment.store, deployment.settings, deployment.now
    )
    return {
        owner: partition_range.window for partition_range in ranges for owner in partition_range.advertiser_ids
    }


def count_requests(deployment: Deployment) -> Counter[tuple[str, str, str, str]]:
    """Count the report requests by account, level, first and last day."""
    return Counter(
        (
            one["query"]["advertiser_id"],
            one["query"]["data_level"],
            one["query"].get("start_date", ""),
            one["query"].get("end_date", ""),
        )
        for one in deployment.report_requests()
    )


def refresh_accounts_and_days(deployment: Deployment) -> None:
    """Refresh entities and daily reports at the current time of the sandbox."""
    deployment.host.control("DELETE", "requests")
    for stage in REFRESH_STAGES[:2]:
        for result in deployment.refresh(stage):
            assert result.success


@pytest.fixture
def settled(make_deployment: DeploymentFactory) -> Deployment:
    """Open a deployment that has every day since the start stored as complete."""
    ids = make_deployment().advertiser_ids[2:]
    deployment = make_deployment(
        start_date=str(SINCE), advertiser_ids=",".join(ids), reports="advertiser_report_daily,ad_report_daily"
    )
    deployment.add_partitions(ids)
    assert deployment.run_range("refresh_accounts", ids).success
    assert deployment.run_range("refresh_daily", ids, DateWindow(SINCE, date(2026, 10, 6))).success
    return deployment


@pytest.mark.slow
def test_complete_store_requests_only_the_lookback(settled: Deployment) -> None:
    """If every day is complete, the next refresh requests yesterday and the lookback, one request per level."""
    settled.host.advance(days=1)
    yesterday = date(2026, 10, 7)
    expected = DateWindow(yesterday - LOOKBACK_DAYS * DAY, yesterday)
    assert windows_to_refresh(settled) == dict.fromkeys(settled.settings.advertiser_ids, expected)
    refresh_accounts_and_days(settled)
    assert count_requests(settled) == {
        (owner, level, str(expected.first), str(expected.last)): 1
        for owner in settled.settings.advertiser_ids
        for level in ("AUCTION_ADVERTISER", "AUCTION_AD")
    }


@pytest.mark.slow
def test_missed_fortnight_is_filled_with_one_request_per_level(settled: Deployment) -> None:
    """After fourteen days the window starts at the oldest missing or incomplete day, and no day is left out."""
    settled.host.advance(days=14)
    yesterday = date(2026, 10, 20)
    reached = windows_to_refresh(settled)
    assert reached.keys() == set(settled.settings.advertiser_ids)
    for window in reached.values():
        assert window
        # The sixth was read half a day after its end: too early to be complete west of Tokyo.
        assert date(2026, 10, 6) <= window.first <= date(2026, 10, 7)
        assert window.last == yesterday
    refresh_accounts_and_days(settled)
    assert count_requests(settled) == {
        (owner, level, str(window.first), str(window.last)): 1
        for owner, window in reached.items()
        if window
        for level in ("AUCTION_ADVERTISER", "AUCTION_AD")
    }
    for table in ("advertiser_report_daily", "ad_report_daily"):
        assert settled.stored_keys(table) == format_keys(
            settled.settings.advertiser_ids, DateWindow(SINCE, yesterday)
        )


@pytest.mark.slow
def test_incomplete_day_is_read_again_until_complete(settled: Deployment) -> None:
    """The first refresh after the gap starts at each account's oldest incomplete day."""
    settled.host.advance(days=14)
    table = settled.read_table("ad_report_daily").filter(date=date(2026, 10, 6))
    for owner, window in windows_to_refresh(settled).items():
        is_complete = table.filter(advertiser_id=owner).get_column("is_complete").unique().to_list()
        assert window
        assert window.first == (date(2026, 10, 7) if is_complete == [True] else date(2026, 10, 6))


@pytest.mark.slow
def test_lost_day_extends_the_window_of_its_account(settled: Deployment) -> None:
    """A day missing within thirty days is read again for its account, with the days after it."""
    settled.host.advance(days=1)
    owner = settled.settings.advertiser_ids[1]
    folder = settled.store.base / "ad_report_daily" / f"advertiser_id={owner}" / "date=2026-09-28"
    (folder / "part-0.parquet").unlink()
    reached = windows_to_refresh(settled)
    lookback = DateWindow(date(2026, 10, 5), date(2026, 10, 7))
    assert reached.pop(owner) == DateWindow(date(2026, 9, 28), date(2026, 10, 7))
    assert set(reached.values()) == {lookback}


@pytest.mark.parametrize(("days_on", "back"), [(0, 2), (1, 8), (2, 2)])
def test_refresh_after_a_sunday_sweeps(make_deployment: DeploymentFactory, days_on: int, back: int) -> None:
    """Once a week, if yesterday was a Sunday for the account, the sweep replaces the lookback."""
    deployment = make_deployment(start_date=str(SINCE), sweep_days=8, reports="ad_report_daily")
    deployment.add_partitions()
    assert deployment.run("refresh_accounts", tables=["advertisers"]).success
    deployment.host.sandbox.clock.set(SUNDAY_NOON + days_on * DAY)
    yesterday = deployment.now.date() - DAY
    no_rows = deployment.read_table("ad_report_daily")
    for owner in deployment.advertiser_ids:
        for day in DateWindow(SINCE, yesterday).days:  # read after its end
            deployment.store.write(
                "ad_report_daily", Partition(owner, day), no_rows, metadata={"is_complete": "true"}
            )
    assert windows_to_refresh(deployment) == dict.fromkeys(
        deployment.advertiser_ids, DateWindow(yesterday - back * DAY, yesterday)
    )


@pytest.mark.slow
def test_each_report_is_one_request_per_account(deployment: Deployment) -> None:
    """Two days of four accounts at four levels are sixteen requests, the lifetime reports sixteen more."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_accounts", ids).success
    deployment.host.control("DELETE", "requests")
    assert deployment.run_range("refresh_daily", ids, DateWindow(date(2026, 10, 5), date(2026, 10, 6))).success
    assert len(deployment.report_requests()) == len(ids) * len(DAILY)
    assert deployment.run_range("refresh_lifetime", ids).success
    assert len(deployment.report_requests()) == len(ids) * (len(DAILY) + len(LIFETIME))
    assert all(one["code"] == 0 for one in deployment.report_requests())


@pytest.mark.slow
def test_report_reads_unknown_accounts_first(deployment: Deployment) -> None:
    """A report launched before the accounts stage requests time zone and currency itself."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_daily", ids[:2], DateWindow(date(2026, 10, 2), date(2026, 10, 2))).success
    assert deployment.run_range("refresh_lifetime", ids[:2]).success
    for table in (*DAILY, *LIFETIME):
        assert len(deployment.stored_keys(table)) == 2


def test_unfinished_day_is_stored_as_incomplete(deployment: Deployment) -> None:
    """A key of today, launched by hand, is read and stored as incomplete."""
    ids = deployment.add_partitions()
    today = deployment.now.date()
    assert deployment.run_range("refresh_daily", ids, DateWindow(today, today), ["ad_report_daily"]).success
    table = deployment.read_table("ad_report_daily")
    assert table.height
    assert set(table.get_column("is_complete")) == {False}


WINDOW = DateWindow(date(2026, 10, 3), date(2026, 10, 4))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "table"), [("refresh_daily", "ad_report_daily"), ("refresh_lifetime", "campaign_report_lifetime")]
)
@pytest.mark.parametrize("metrics", ["+total_purchase_value", "spend,clicks"])
def test_check_names_the_refused_metrics(
    make_deployment: DeploymentFactory, job: str, table: str, metrics: str
) -> None:
    """A report with a refused metric is stored without it and its check warns; otherwise the check passes."""
    deployment = make_deployment(metrics=metrics)
    deployment.host.control("POST", "switches", withdrawn_metrics=["total_purchase_value"])
    ids = deployment.add_partitions()
    result = deployment.run_range(job, ids[:2], WINDOW if "daily" in table else None, [table])
    assert result.success
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == ALL_METRICS_SERVED_CHECK]
    assert (check.asset_key.path, check.check_name) == ([table], ALL_METRICS_SERVED_CHECK)
    assert check.severity == dg.AssetCheckSeverity.WARN
    withdrawn = "total_purchase_value" if metrics.startswith("+") else None
    assert check.passed is (withdrawn is None)
    assert {name: value.value for name, value in check.metadata.items()} == (
        {"withdrawn_metrics": withdrawn} if withdrawn else {}
    )
    events = deployment.materializations(table)
    assert len(events) == len(ids[:2]) * (len(WINDOW.days) if "daily" in table else 1)
    assert {facts.get("withdrawn_metrics") for _, facts in events} == {withdrawn}
    stored = deployment.read_table(table)
    assert stored.height
    assert stored.get_column("spend").null_count() == 0
    if withdrawn:
        assert stored.get_column(withdrawn).null_count() == stored.height

"""Test that `backfill_history` reads exactly the missing days, continues after a stop, and then reads nothing."""

from collections import Counter
from datetime import date

import pytest

from tiktok_assets.api.request_plan import DateWindow, split_into_windows
from tiktok_assets.defs.partitions import parse_partition_key
from tiktok_assets_tests.defs.conftest import Deployment, DeploymentFactory, format_keys, get_failure

FIRST, YESTERDAY = date(2026, 9, 4), date(2026, 10, 6)  # 33 days: two windows per account and report
TABLES = ("campaign_report_daily", "ad_report_daily")
OP = "read_missing_days"


@pytest.fixture
def deployment_with_history(make_deployment: DeploymentFactory) -> Deployment:
    """Open a deployment of two accounts and two daily reports with more than a month of history."""
    ids = make_deployment().advertiser_ids[1:3]
    deployment = make_deployment(
        start_date=str(FIRST), reports=",".join((*TABLES, "ad_report_lifetime")), advertiser_ids=",".join(ids)
    )
    deployment.add_partitions(ids)
    return deployment


def run_and_count_requests(deployment: Deployment) -> int:
    """Run the job and return how many report requests it sends."""
    deployment.host.control("DELETE", "requests")
    assert deployment.run("backfill_history").success
    return len(deployment.report_requests())


@pytest.mark.slow
def test_job_reads_every_missing_day_once(deployment_with_history: Deployment) -> None:
    """Each day from the start date to yesterday is stored and recorded once, with the fewest requests."""
    ids = list(deployment_with_history.settings.advertiser_ids)
    assert run_and_count_requests(deployment_with_history) == 2 * len(ids) * len(TABLES)
    every = format_keys(ids, DateWindow(FIRST, YESTERDAY))
    for table in TABLES:
        assert deployment_with_history.stored_keys(table) == every
        events = deployment_with_history.materializations(table)
        assert Counter(key for key, _ in events) == Counter(every)
        assert all(facts.keys() >= {"rows", "currency", "window", "requests"} for _, facts in events)
    assert deployment_with_history.stored_keys("ad_report_lifetime") == []
    assert run_and_count_requests(deployment_with_history) == 0


@pytest.mark.slow
def test_stored_days_are_not_read_again(deployment_with_history: Deployment) -> None:
    """Days read before are neither requested nor written again, also if they split the missing days."""
    ids = list(deployment_with_history.settings.advertiser_ids)
    middle = DateWindow(date(2026, 9, 20), date(2026, 9, 22))
    assert deployment_with_history.run_range("refresh_daily", ids, middle, ["ad_report_daily"]).success
    before = {key: deployment_with_history.read_bytes("ad_report_daily", key) for key in format_keys(ids, middle)}
    assert run_and_count_requests(deployment_with_history) == 2 * len(ids) * len(
        TABLES
    )  # 16 and 14 days instead of 30 and 3
    assert {key: deployment_with_history.read_bytes("ad_report_daily", key) for key in before} == before
    assert (
        Counter(key for key, _ in deployment_with_history.materializations("ad_report_daily")).most_common(1)[0][1]
        == 1
    )


@pytest.mark.slow
@pytest.mark.parametrize("passes", [0, 5])
def test_relaunched_job_reads_only_what_is_missing(deployment_with_history: Deployment, passes: int) -> None:
    """Failed windows are named and none of their days is stored; the next run reads only those."""
    ids = list(deployment_with_history.settings.advertiser_ids)
    path = "report/integrated/get"
    deployment_with_history.host.inject_fault(
        "code", path=path, code=40002, message="Stopped.", after=passes, times=None
    )
    result = deployment_with_history.run("backfill_history")
    assert not result.success
    assert "Stopped." in get_failure(result, OP)
    every = format_keys(ids, DateWindow(FIRST, YESTERDAY))
    stored = {table: deployment_with_history.stored_keys(table) for table in TABLES}
    for table, keys in stored.items():
        assert sorted(key for key, _ in deployment_with_history.materializations(table)) == keys
    missing = [
        split_into_windows(
            parse_partition_key(key).day  # type: ignore[misc]
            for key in every
            if key.startswith(owner) and key not in keys
        )
        for keys in stored.values()
        for owner in ids
    ]
    assert sum(map(len, stored.values())) < len(every) * len(TABLES)
    deployment_with_history.host.sandbox.state.faults.clear()
    assert run_and_count_requests(deployment_with_history) == sum(map(len, missing))
    for table in TABLES:
        assert deployment_with_history.stored_keys(table) == every
        assert Counter(key for key, _ in deployment_with_history.materializations(table)) == Counter(every)


@pytest.mark.slow
def test_failing_account_does_not_stop_the_others(deployment_with_history: Deployment) -> None:
    """The lost account is named with the fix; the history of the other one is complete."""
    lost, other = deployment_with_history.settings.advertiser_ids
    assert deployment_with_history.run("refresh_accounts", tables=["advertisers"]).success
    deployment_with_history.revoke(lost)
    result = deployment_with_history.run("backfill_history")
    message = get_failure(result, OP)
    assert lost in message
    assert other not in message
    assert "Grant the account to the app again" in message
    for table in TABLES:
        assert deployment_with_history.stored_keys(table) == format_keys([other], DateWindow(FIRST, YESTERDAY))


@pytest.mark.slow
def test_account_without_time_zone_fails_by_id(deployment_with_history: Deployment) -> None:
    """An account lost before its time zone was read fails the job with its id."""
    lost, other = deployment_with_history.settings.advertiser_ids
    deployment_with_history.revoke(lost)
    result = deployment_with_history.run("backfill_history")
    assert not result.success
    assert lost in get_failure(result, OP)
    assert deployment_with_history.stored_keys("ad_report_daily") == format_keys(
        [other], DateWindow(FIRST, YESTERDAY)
    )

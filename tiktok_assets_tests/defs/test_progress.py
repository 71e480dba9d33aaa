"""Test the log of a run: its plan comes first, costs no request and is correct; then follows the progress."""

import re
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.refresh_stages import REFRESH_STAGES, RefreshStage
from tiktok_assets.spec.entities import CAMPAIGN_ENTITIES
from tiktok_assets.storage.files import PARTITION_FILE_NAME
from tiktok_assets_tests.defs.conftest import DAILY, LIFETIME, Deployment, DeploymentFactory


def get_log_lines(deployment: Deployment, result: dg.ExecuteInProcessResult) -> list[str]:
    """Return the log lines of a run, in order."""
    entries = deployment.instance.all_logs(result.run_id)
    return [entry.user_message for entry in entries if not entry.is_dagster_event]


@pytest.mark.slow
def test_plan_of_each_stage_is_first_and_correct(make_deployment: DeploymentFactory) -> None:
    """The first log line of each run has exactly the requests and rows that follow."""
    deployment = make_deployment(advertiser_ids=",".join(make_deployment().advertiser_ids))
    deployment.add_partitions()
    for stage in REFRESH_STAGES:
        assert [run.success for run in deployment.refresh(stage)] == [True]
    for stage in REFRESH_STAGES:
        deployment.host.reset()
        (result,) = deployment.refresh(stage)
        first, *others = get_log_lines(deployment, result)
        assert not any(line.startswith("Plan:") for line in others)
        match = re.fullmatch(
            r"Plan: about (\d+) requests, [\d.]+ minutes at 1000 per second \(TIKTOK_QPS\);"
            r" 4 accounts(?: and \d+ account days)?; ([\d,]+) rows estimated from stored data\.",
            first,
        )
        assert match, first
        assert int(match[1]) == len(deployment.host.requests)
        assert int(match[2]) == count_rows(result)


def count_rows(result: dg.ExecuteInProcessResult) -> int:
    """Return the rows a run has read, from the metadata it recorded."""
    read = {"advertisers", *(entity.table for entity in CAMPAIGN_ENTITIES), *DAILY, *LIFETIME}
    events = [event for event in result.all_events if event.is_step_materialization]
    metadata = [event.materialization for event in events if event.asset_key and event.asset_key.path[-1] in read]
    return sum(event_metadata.metadata["rows"].value for event_metadata in metadata)  # type: ignore[misc] # a number


def test_plan_without_stored_data_is_a_minimum(deployment: Deployment) -> None:
    """The first refresh of an account is planned with one request per query, as a minimum."""
    ids = deployment.add_partitions()
    result = deployment.run_range("refresh_lifetime", ids)
    assert get_log_lines(deployment, result)[0] == (
        "Plan: at least 16 requests, 0.1 minutes at 1000 per second (TIKTOK_QPS); 4 accounts;"
        " 0 rows estimated from stored data, 16 queries without an estimate."
    )


def test_an_account_without_smart_plus_ends_well_with_a_log_line(deployment: Deployment) -> None:
    """A step of Smart+ tables writes no day of such an account, says so, and costs no request."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_accounts", ids, tables=["advertisers", "campaigns"]).success
    before = len(deployment.host.requests)
    days = DateWindow(date(2026, 10, 2), date(2026, 10, 4))
    runs: list[tuple[RefreshStage, DateWindow | None, list[str], int]] = [
        ("refresh_accounts", None, ["smart_plus_ads"], 4),
        ("refresh_daily", days, ["smart_plus_ad_report_daily"], 0),
        ("refresh_lifetime", None, ["smart_plus_creative_report_lifetime"], 4),
    ]
    for stage, window, tables, written in runs:
        result = deployment.run_range(stage, ids, window, tables=tables)
        assert result.success
        lines = get_log_lines(deployment, result)
        expected = f"{tables[0]}: 4 accounts are not read, because `campaigns` does not have an Upgraded Smart+"
        assert any(line.startswith(expected) for line in lines), lines
        assert len(deployment.materializations(tables[0])) == written
    assert len(deployment.host.requests) == before


def test_each_step_logs_its_progress_at_the_end(deployment: Deployment) -> None:
    """Partitions, requests, rate limits and retries are those of the step."""
    ids = deployment.add_partitions()
    deployment.host.inject_fault("code", code=40100, message="Too many requests.", times=1)
    result = deployment.run_range("refresh_lifetime", ids, tables=["ad_report_lifetime"])
    assert result.success
    last = get_log_lines(deployment, result)[-1]
    assert re.fullmatch(
        r"ad_report_lifetime: 4 of 4 partitions done, 0 left; \d+ requests, [\d.]+ per second;"
        r" 1 rate limited, 1 retried\.",
        last,
    ), last


def test_failed_partitions_count_as_done(deployment: Deployment) -> None:
    """With one lost account no partition is left at the end, and the failure is logged."""
    ids = deployment.add_partitions()
    deployment.revoke(ids[1])
    result = deployment.run_range("refresh_lifetime", ids, tables=["ad_report_lifetime"])
    assert not result.success
    assert any(
        line.startswith("ad_report_lifetime: 4 of 4 partitions done, 0 left;")
        for line in get_log_lines(deployment, result)
    )


def test_damaged_file_does_not_stop_the_plan(deployment: Deployment) -> None:
    """A damaged partition counts as never read, and the run replaces it."""
    (owner, *_) = deployment.add_partitions()
    assert deployment.run_range("refresh_lifetime", [owner], tables=["ad_report_lifetime"]).success
    rows = deployment.read_table("ad_report_lifetime").drop("fetched_at")
    path = Path(str(deployment.store.base), "ad_report_lifetime", f"advertiser_id={owner}", PARTITION_FILE_NAME)
    path.write_bytes(b"damaged")
    result = deployment.run_range("refresh_lifetime", [owner], tables=["ad_report_lifetime"])
    assert result.success
    assert get_log_lines(deployment, result)[0].endswith(
        "0 rows estimated from stored data, 1 queries without an estimate."
    )
    assert deployment.read_table("ad_report_lifetime").drop("fetched_at").equals(rows)


@pytest.mark.slow
def test_backfill_is_planned_by_missing_days(make_deployment: DeploymentFactory) -> None:
    """An account with one missing day is planned with that day, whatever the others miss."""
    deployment = make_deployment(
        start_date="2026-08-31", reports="ad_report_daily", advertiser_ids=make_deployment().advertiser_ids[0]
    )
    (owner,) = deployment.add_partitions(deployment.settings.advertiser_ids)
    yesterday = deployment.now.date() - timedelta(1)
    assert deployment.run_range(
        "refresh_daily", [owner], DateWindow(deployment.settings.start_date, yesterday - timedelta(1))
    ).success
    more = make_deployment(
        deployment.instance,
        start_date="2026-08-31",
        reports="ad_report_daily",
        advertiser_ids=",".join(deployment.advertiser_ids),
    )
    more.add_partitions()
    more.host.reset()
    result = more.run("backfill_history")
    assert result.success
    first = get_log_lines(more, result)[0]
    counted = len(more.report_requests())
    assert first.startswith(f"Plan: at least {counted} requests"), first
    assert " 4 accounts and 112 account days; " in first

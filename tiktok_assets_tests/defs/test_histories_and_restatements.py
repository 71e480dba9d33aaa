"""Test that histories and restatements are recorded with the tables they belong to."""

from datetime import date

import polars as pl
import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets_tests.defs.conftest import DAILY, Deployment, DeploymentFactory, format_keys

WINDOW = DateWindow(date(2026, 10, 2), date(2026, 10, 4))
LISTED = ("campaigns", "ad_groups", "ads")


@pytest.mark.slow
def test_history_is_recorded_with_its_snapshot(deployment: Deployment) -> None:
    """Each account has one materialization of the snapshot and one of the history, with rows and new versions."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_accounts", ids).success
    for table in LISTED:
        events = dict(deployment.materializations(f"{table}_history"))
        assert sorted(events) == sorted(key for key, _ in deployment.materializations(table)) == sorted(ids)
        assert (
            sum(int(str(metadata["rows"])) for metadata in events.values())
            == deployment.read_table(f"{table}_history").height
        )
        assert all(metadata["new_versions"] == metadata["rows"] for metadata in events.values())
    deployment.host.advance(days=1)
    assert deployment.run_range("refresh_accounts", ids).success
    assert {
        metadata["new_versions"] for _, metadata in deployment.materializations("ads_history")[: len(ids)]
    } == {0}


def test_selecting_either_materializes_both(deployment: Deployment) -> None:
    """If only the history or only the snapshot is selected, the step stores and records both."""
    ids = deployment.add_partitions()
    for requested in ("ads_history", "ads"):
        deployment.host.advance(hours=1)
        assert deployment.run_range("refresh_accounts", ids, tables=[requested]).success
    for table in ("ads", "ads_history"):
        assert sorted(key for key, _ in deployment.materializations(table)) == sorted(ids * 2)
    assert deployment.stored_keys("ads") == deployment.stored_keys("ads_history") == sorted(ids)


@pytest.mark.slow
def test_damaged_history_fails_only_its_account(deployment: Deployment) -> None:
    """The step names the damaged history and the fix; the other accounts are stored and recorded."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_accounts", ids).success
    (deployment.store.base / "ads_history" / f"advertiser_id={ids[0]}" / "part-0.parquet").unlink()
    deployment.host.advance(days=1)
    result = deployment.run_range("refresh_accounts", ids, tables=["ads"])
    assert not result.success
    (event,) = [one for one in result.all_events if one.is_step_failure]
    message = str(event.step_failure_data.user_failure_data.description)  # type: ignore[union-attr] # it has one
    assert ids[0] in message
    assert "restore it from a backup" in message
    assert sorted(key for key, _ in deployment.materializations("ads")) == sorted([*ids, *ids[1:]])


def count_readings(deployment: Deployment) -> dict[tuple[str, date], int]:
    """Return the number of rows in `report_restatements` by account and day."""
    rows = deployment.read_table("report_restatements").group_by("advertiser_id", "date").len()
    return {(owner, day): count for owner, day, count in rows.iter_rows()}


@pytest.mark.slow
def test_restatements_are_recorded_with_the_days(deployment: Deployment) -> None:
    """A daily refresh records each day of `report_restatements` once, with a row per report and reading."""
    ids = deployment.add_partitions()
    for _ in range(2):
        assert deployment.run_range("refresh_daily", ids, WINDOW).success
        deployment.host.advance(days=1)
    assert count_readings(deployment) == {(owner, day): 2 * len(DAILY) for owner in ids for day in WINDOW.days}
    assert sorted(key for key, _ in deployment.materializations("report_restatements")) == sorted(
        format_keys(ids, WINDOW) * 2
    )
    rows = deployment.read_table("report_restatements").filter(pl.col("previous_fetched_at").is_not_null())
    assert rows.get_column("rows_change").sum() == 0
    assert set(rows.get_column("report")) == set(DAILY)


@pytest.mark.slow
def test_lost_account_does_not_lose_restatements_of_others(deployment: Deployment) -> None:
    """If one account fails and the restatements step is skipped, the days of the others are still recorded."""
    ids = deployment.add_partitions()
    deployment.revoke(ids[1])
    result = deployment.run_range("refresh_daily", ids, WINDOW)
    assert not result.success
    assert "report_restatements" not in {event.step_key for event in result.all_events if event.is_step_start}
    left = sorted(set(ids) - {ids[1]})
    assert count_readings(deployment) == {(owner, day): len(DAILY) for owner in left for day in WINDOW.days}
    assert {key for key, _ in deployment.materializations("report_restatements")} == set(format_keys(left, WINDOW))


def test_backfill_records_restatements(make_deployment: DeploymentFactory) -> None:
    """The days a backfill reads have their first readings in the table, and one materialization each."""
    deployment = make_deployment(reports="ad_report_daily", start_date="2026-10-04")
    ids = deployment.add_partitions()
    assert deployment.run("backfill_history").success
    days = [day for owner, day in count_readings(deployment) if owner == ids[0]]
    assert sorted(days) == [date(2026, 10, 4), date(2026, 10, 5), date(2026, 10, 6)]
    assert (
        len(deployment.materializations("report_restatements"))
        == len(deployment.stored_keys("ad_report_daily"))
        == len(count_readings(deployment))
    )


def test_asset_dependencies(deployment: Deployment) -> None:
    """Histories depend on the accounts as their snapshots do, restatements on the daily reports."""
    specs = {spec.key.to_user_string(): spec for spec in deployment.definitions.resolve_all_asset_specs()}
    for table in LISTED:
        assert specs[f"{table}_history"].deps == specs[table].deps
        assert specs[f"{table}_history"].kinds == specs[table].kinds
    sources = {dep.asset_key.to_user_string() for dep in specs["report_restatements"].deps}
    assert sources >= {*DAILY, "gmv_max_report_daily"}
    assert all(table.endswith("_report_daily") for table in sources)

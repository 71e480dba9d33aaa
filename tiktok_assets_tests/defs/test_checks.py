"""Test the asset checks: one job evaluates every table, with one result per check and its findings."""

from datetime import date

import dagster as dg
import polars as pl
import pytest

from tiktok_assets.cli.sync import run_sync
from tiktok_assets.cli.sync_result import SyncRequest
from tiktok_assets.defs.checks import (
    CHECK_TABLES_JOB,
    build_all_checked_tables,
    get_check_step_name,
    select_job_tables,
)
from tiktok_assets.defs.jobs import build_run_requests
from tiktok_assets.defs.refresh_stages import PartitionRange
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets_tests.defs.conftest import Deployment, DeploymentFactory

FEW = "ad_report_daily,ad_group_report_daily"


def refresh(deployment: Deployment) -> Deployment:
    """Read the accounts and daily reports of a deployment, and return it."""
    deployment.add_partitions()
    for stage in ("refresh_accounts", "refresh_daily"):
        assert all(result.success for result in deployment.refresh(stage))
    return deployment


def duplicate_row(deployment: Deployment) -> tuple[str, date]:
    """Write one row of a day of the ads twice, past every validation; return the account and the day."""
    (owner, day), *_ = (
        deployment.read_table("ad_report_daily")
        .filter(pl.col("is_complete"))
        .select("advertiser_id", "date")
        .rows()
    )
    partition = Partition(owner, day)
    rows = deployment.store.scan_partition("ad_report_daily", partition)
    assert rows is not None
    frame, notes = rows.collect(), deployment.store.read_metadata("ad_report_daily", partition)
    deployment.store.write("ad_report_daily", partition, pl.concat([frame, frame[:1]]), metadata=notes)
    return owner, day


@pytest.mark.slow
def test_each_check_of_each_table_has_one_result(make_deployment: DeploymentFactory) -> None:
    """After a refresh the job gives each check of each table one passing result for all partitions."""
    deployment = refresh(make_deployment(reports=FEW))
    result = deployment.run(CHECK_TABLES_JOB)
    assert result.success
    found = result.get_asset_check_evaluations()
    check_keys = deployment.definitions.resolve_job_def(CHECK_TABLES_JOB).asset_layer.asset_graph.asset_check_keys
    assert sorted((one.asset_key.path[-1], one.check_name) for one in found) == sorted(
        (key.asset_key.path[-1], key.name) for key in check_keys
    )
    assert {key.asset_key.path[-1] for key in check_keys} == build_all_checked_tables(deployment.settings).keys()
    assert [(one.asset_key, one.check_name, one.description) for one in found if not one.passed] == []
    (agreed,) = [one for one in found if one.check_name == "levels_agree"]
    figures_metadata = agreed.metadata["figures"]
    assert isinstance(figures_metadata, dg.TableMetadataValue)
    assert {record.data["gap"] for record in figures_metadata.records} <= {"0", "0.0000"}


@pytest.mark.slow
def test_fault_names_its_partition(make_deployment: DeploymentFactory) -> None:
    """A duplicated row fails two checks of its table, with severity, description and the rows."""
    deployment = refresh(make_deployment(reports=FEW))
    owner, day = duplicate_row(deployment)
    result = deployment.run(CHECK_TABLES_JOB)
    assert result.success  # a failing check does not fail the run
    failing = {one.check_name: one for one in result.get_asset_check_evaluations() if not one.passed}
    assert {name: one.severity.value for name, one in failing.items()} == {
        "keys_name_rows": "ERROR",
        "levels_agree": "WARN",
    }
    keys = failing["keys_name_rows"]
    assert keys.description is not None
    assert keys.description.startswith(f"1 found; the first: advertiser_id {owner}, date {day}, ad_id ")
    assert keys.metadata["faults"].value == 1
    rows = keys.metadata["first_faults"]
    assert isinstance(rows, dg.TableMetadataValue)
    assert [record.data["date"] for record in rows.records] == [str(day)]


@pytest.mark.slow
def test_one_check_can_be_selected_alone(make_deployment: DeploymentFactory) -> None:
    """Each check of a table's step can run alone, and every check has a description."""
    deployment = refresh(make_deployment(reports=FEW))
    duplicate_row(deployment)
    job = deployment.definitions.resolve_job_def(CHECK_TABLES_JOB)
    key = dg.AssetCheckKey(dg.AssetKey("ad_report_daily"), "keys_name_rows")
    result = job.get_subset(asset_check_selection={key}).execute_in_process(
        instance=deployment.instance,
        run_config={"ops": {get_check_step_name(deployment.settings, "ad_report_daily"): {"config": {"days": 0}}}},
    )
    (found,) = result.get_asset_check_evaluations()
    assert (found.asset_check_key, found.passed) == (key, False)
    graph = job.asset_layer.asset_graph
    assert all(len(graph.get(one).description or "") > 40 for one in graph.asset_check_keys)


def test_refresh_stages_run_no_table_checks(make_deployment: DeploymentFactory) -> None:
    """The stages of a refresh do not run the checks of the job `check_tables`."""
    deployment = make_deployment()
    for job in ("refresh_accounts", "refresh_daily", "refresh_lifetime", "refresh_derived"):
        job_def = deployment.definitions.resolve_job_def(job)
        part = select_job_tables(
            job_def, deployment.settings, [key.path[-1] for key in job_def.asset_layer.executable_asset_keys]
        )
        assert not [node.name for node in (*job_def.nodes, *part.nodes) if node.name.startswith("check_")]
    first, second = build_run_requests(
        deployment.settings,
        "refresh_accounts",
        "now",
        [PartitionRange(("7001",), None), PartitionRange(("7002",), None)],
    )
    assert sorted(key.name for key in first.asset_check_keys or ()) == [
        "all_accounts_granted",
        "zone_and_currency_kept",
    ]
    assert second.asset_check_keys == []


@pytest.mark.slow
def test_sync_checks_the_tables_it_read(make_deployment: DeploymentFactory) -> None:
    """`sync` evaluates the checks of the tables it read: a warning is printed, an error fails it.

    A selection that does not name the tables leaves the checks out.
    """
    deployment = make_deployment(reports=FEW)
    lines: list[str] = []
    first_sync = SyncRequest(
        first="2026-10-01", last="2026-10-02", select="ad_report_daily,ad_group_report_daily,check_tables"
    )
    assert run_sync(deployment.settings, deployment.session, first_sync, lines.append).warnings == []
    synced = run_sync(
        deployment.settings, deployment.session, SyncRequest(first="2026-10-04", last="2026-10-06"), lines.append
    )
    assert synced.failures == []
    line = [one for one in lines if one.startswith(CHECK_TABLES_JOB)][-1]
    assert f"checks of {len(build_all_checked_tables(deployment.settings))} tables" in line
    gaps = [one for one in synced.warnings if ", no_holes: " in one]
    assert [one.split(",")[0] for one in gaps] == ["ad_group_report_daily", "ad_report_daily"]
    assert "missing 2026-10-03..2026-10-03" in gaps[0]
    assert [f"warning: {one}" for one in synced.warnings] == [one for one in lines if one.startswith("warning: ")]
    before = len(lines)
    run_sync(
        deployment.settings,
        deployment.session,
        SyncRequest(first="2026-10-06", last="2026-10-06", select="ads"),
        lines.append,
    )
    assert not [one for one in lines[before:] if one.startswith(CHECK_TABLES_JOB)]
    owner, _ = duplicate_row(deployment)
    requested = SyncRequest(first="2026-10-06", last="2026-10-06", select="ad_report_daily,ads,check_tables")
    again = run_sync(deployment.settings, deployment.session, requested, lines.append)
    assert [one.split(",")[0] for one in (*again.warnings, *again.failures)].count("ad_report_daily") == 3
    (failure,) = again.failures
    assert failure.startswith(f"ad_report_daily, keys_name_rows: 1 found; the first: advertiser_id {owner}")
    assert any(" checks of 2 tables, " in one for one in lines)

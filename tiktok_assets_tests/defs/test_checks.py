"""Laws of the checks in Dagster: one job looks at every table, one result a check, and says what it found."""

from datetime import date

import dagster as dg
import polars as pl

from tiktok_assets.cli.sync import SyncRequest, run_sync
from tiktok_assets.defs.checks import (
    CHECK_TABLES_JOB,
    build_all_checked_tables,
    get_check_step_name,
    select_job_tables,
)
from tiktok_assets.defs.jobs import build_run_requests
from tiktok_assets.defs.refresh_stages import PartitionRange
from tiktok_assets.storage.hive_store import Partition
from tiktok_assets_tests.defs.conftest import Desk, DeskMaker

FEW = "ad_report_daily,ad_group_report_daily"


def refreshed(desk: Desk) -> Desk:
    """A desk whose accounts and daily reports were just read."""
    desk.know()
    for stage in ("refresh_accounts", "refresh_daily"):
        assert all(result.success for result in desk.refresh(stage))
    return desk


def spoil(desk: Desk) -> tuple[str, date]:
    """Write one row of a day of the ads twice, past every refusal; returns whose and which."""
    (owner, day), *_ = (
        desk.table("ad_report_daily").filter(pl.col("is_complete")).select("advertiser_id", "date").rows()
    )
    partition = Partition(owner, day)
    rows = desk.store.scan_partition("ad_report_daily", partition)
    assert rows is not None
    frame, notes = rows.collect(), desk.store.read_metadata("ad_report_daily", partition)
    desk.store.write("ad_report_daily", partition, pl.concat([frame, frame[:1]]), metadata=notes)
    return owner, day


def test_every_table_is_checked_and_each_check_has_one_result(make_desk: DeskMaker) -> None:
    """After a refresh the job gives each check of each table one result, however many partitions; all pass."""
    desk = refreshed(make_desk(reports=FEW))
    result = desk.run(CHECK_TABLES_JOB)
    assert result.success
    found = result.get_asset_check_evaluations()
    held = desk.definitions.resolve_job_def(CHECK_TABLES_JOB).asset_layer.asset_graph.asset_check_keys
    assert sorted((one.asset_key.path[-1], one.check_name) for one in found) == sorted(
        (key.asset_key.path[-1], key.name) for key in held
    )
    assert {key.asset_key.path[-1] for key in held} == build_all_checked_tables(desk.settings).keys()
    assert [(one.asset_key, one.check_name, one.description) for one in found if not one.passed] == []
    (agreed,) = [one for one in found if one.check_name == "levels_agree"]
    figures = agreed.metadata["figures"]
    assert isinstance(figures, dg.TableMetadataValue)
    assert {record.data["gap"] for record in figures.records} <= {"0", "0.0000"}


def test_a_fault_is_told_with_its_partition(make_desk: DeskMaker) -> None:
    """A row that stands twice fails two checks of its table, with severity, sentence and the rows concerned."""
    desk = refreshed(make_desk(reports=FEW))
    owner, day = spoil(desk)
    result = desk.run(CHECK_TABLES_JOB)
    assert result.success  # what a check finds is no failure of the run
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


def test_one_check_can_be_asked_alone(make_desk: DeskMaker) -> None:
    """A table's checks are one step, of which each can run by itself; every check says what it means."""
    desk = refreshed(make_desk(reports=FEW))
    spoil(desk)
    job = desk.definitions.resolve_job_def(CHECK_TABLES_JOB)
    key = dg.AssetCheckKey(dg.AssetKey("ad_report_daily"), "keys_name_rows")
    result = job.get_subset(asset_check_selection={key}).execute_in_process(
        instance=desk.instance,
        run_config={"ops": {get_check_step_name("ad_report_daily"): {"config": {"days": 0}}}},
    )
    (found,) = result.get_asset_check_evaluations()
    assert (found.asset_check_key, found.passed) == (key, False)
    graph = job.asset_layer.asset_graph
    assert all(len(graph.get(one).description or "") > 40 for one in graph.asset_check_keys)


def test_a_refresh_runs_no_checks_of_its_own(make_desk: DeskMaker) -> None:
    """The stages of a refresh leave the checks to the job that follows, so that many runs do not repeat them."""
    desk = make_desk()
    for job in ("refresh_accounts", "refresh_daily", "refresh_lifetime", "refresh_derived"):
        whole = desk.definitions.resolve_job_def(job)
        part = select_job_tables(whole, [key.path[-1] for key in whole.asset_layer.executable_asset_keys])
        assert not [node.name for node in (*whole.nodes, *part.nodes) if node.name.startswith("check_")]
    first, second = build_run_requests(
        "refresh_accounts", "now", [PartitionRange(("7001",), None), PartitionRange(("7002",), None)]
    )
    assert sorted(key.name for key in first.asset_check_keys or ()) == [
        "all_accounts_granted",
        "zone_and_currency_kept",
    ]
    assert second.asset_check_keys == []


def test_sync_checks_what_it_read(make_desk: DeskMaker) -> None:
    """A sync tells what its checks found of the tables it read: a warning is told, an error fails it.

    A selection that does not name them leaves the checks out.
    """
    desk = make_desk(reports=FEW)
    told: list[str] = []
    whole = SyncRequest(
        first="2026-10-01", last="2026-10-02", select="ad_report_daily,ad_group_report_daily,check_tables"
    )
    assert run_sync(desk.settings, desk.session, whole, told.append).warnings == []
    synced = run_sync(desk.settings, desk.session, SyncRequest(first="2026-10-04", last="2026-10-06"), told.append)
    assert synced.failures == []
    line = [one for one in told if one.startswith(CHECK_TABLES_JOB)][-1]
    assert f"checks of {len(build_all_checked_tables(desk.settings))} tables" in line
    holes = [one for one in synced.warnings if ", no_holes: " in one]
    assert [one.split(",")[0] for one in holes] == ["ad_group_report_daily", "ad_report_daily"]
    assert "missing 2026-10-03..2026-10-03" in holes[0]
    assert [f"warning: {one}" for one in synced.warnings] == [one for one in told if one.startswith("warning: ")]
    before = len(told)
    run_sync(
        desk.settings, desk.session, SyncRequest(first="2026-10-06", last="2026-10-06", select="ads"), told.append
    )
    assert not [one for one in told[before:] if one.startswith(CHECK_TABLES_JOB)]
    owner, _ = spoil(desk)
    asked = SyncRequest(first="2026-10-06", last="2026-10-06", select="ad_report_daily,ads,check_tables")
    again = run_sync(desk.settings, desk.session, asked, told.append)
    assert [one.split(",")[0] for one in (*again.warnings, *again.failures)].count("ad_report_daily") == 3
    (failure,) = again.failures
    assert failure.startswith(f"ad_report_daily, keys_name_rows: 1 found; the first: advertiser_id {owner}")
    assert any(" checks of 2 tables, " in one for one in told)

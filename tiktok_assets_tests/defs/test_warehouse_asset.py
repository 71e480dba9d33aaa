"""Test the warehouse asset: it holds every table with its rows, whatever has been materialized."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.table_catalog import (
    ACCOUNT_OVERVIEW,
    AD_DUPLICATIONS,
    DUPLICATION_CANDIDATES,
    DUPLICATION_RESULTS,
    TOP_SPENDERS,
    get_stored_tables,
)
from tiktok_assets_tests.defs.conftest import Deployment, DeploymentFactory

WINDOW = DateWindow(date(2026, 10, 2), date(2026, 10, 4))


def count_rows(deployment: Deployment) -> dict[str, int]:
    """Return the number of rows of each table in the warehouse."""
    with duckdb.connect(str(Path(deployment.settings.data_dir, "warehouse.duckdb")), read_only=True) as warehouse:
        names = [name for (name,) in warehouse.execute("SHOW TABLES").fetchall()]
        rows = {name: warehouse.execute(f'SELECT count(*) FROM "{name}"').fetchone() for name in names}  # noqa: S608
    return {name: found[0] for name, found in rows.items() if found}


@pytest.mark.slow
def test_warehouse_has_every_table_with_its_rows(deployment: Deployment) -> None:
    """After a refresh each stored table is in the warehouse with its rows, as the metadata says."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_accounts", ids).success
    assert deployment.run_range("refresh_daily", ids, WINDOW).success
    assert deployment.run_range("refresh_lifetime", ids).success
    assert deployment.run_range(
        "refresh_derived", ids, tables=["top_spenders", "creatives", "creative_daily", "creative_declines"]
    ).success
    assert deployment.run("refresh_derived", tables=["warehouse"]).success
    expected = {table: deployment.read_table(table).height for table in get_stored_tables(deployment.settings)}
    idle = {DUPLICATION_CANDIDATES, AD_DUPLICATIONS, DUPLICATION_RESULTS}  # nothing was flagged or duplicated
    # All ads have videos or posts; no account has a TikTok Shop or an Upgraded Smart+ campaign.
    idle |= {"images", "creative_declines"}
    idle |= {table for table in expected if table.startswith(("gmv_max_", "smart_plus_"))}
    assert all(rows for table, rows in expected.items() if table not in idle)
    assert count_rows(deployment) == expected
    ((_, metadata),) = deployment.materializations("warehouse")
    assert metadata["rows_by_table"] == expected
    assert metadata["rows"] == sum(expected.values())


@pytest.mark.slow
def test_warehouse_of_an_empty_store_has_every_table(deployment: Deployment) -> None:
    """Built before the first refresh, the warehouse has every table without rows."""
    assert deployment.run("refresh_derived", tables=["warehouse"]).success
    assert count_rows(deployment) == dict.fromkeys(get_stored_tables(deployment.settings), 0)


@pytest.mark.slow
def test_ranking_and_warehouse_in_one_run(deployment: Deployment) -> None:
    """Launched together, the warehouse is built after the ranking and holds it."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_lifetime", ids).success
    assert deployment.run_range("refresh_derived", ids).success
    assert count_rows(deployment)["top_spenders"] == deployment.read_table("top_spenders").height == 3


@pytest.mark.slow
def test_single_report_has_no_ranking(make_deployment: DeploymentFactory) -> None:
    """With one report chosen the definitions load, the warehouse holds it, and there is no ranking."""
    deployment = make_deployment(reports="ad_report_daily")
    ids = deployment.add_partitions()
    keys = {key.path[-1] for key in deployment.definitions.resolve_asset_graph().get_all_asset_keys()}
    assert keys - {ACCOUNT_OVERVIEW, "warehouse"} == set(get_stored_tables(deployment.settings))
    assert {key for key in keys if "report" in key} == {"ad_report_daily", "report_restatements"}
    assert TOP_SPENDERS not in keys
    assert deployment.run_range("refresh_daily", ids, WINDOW).success
    assert deployment.run("refresh_derived", tables=["warehouse"]).success
    assert count_rows(deployment)["ad_report_daily"] == deployment.read_table("ad_report_daily").height > 0

"""Laws of the warehouse as an asset: every table with its rows, whatever has been materialized."""

from datetime import date
from pathlib import Path

import duckdb

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.table_catalog import (
    ACCOUNT_OVERVIEW,
    AD_DUPLICATIONS,
    DUPLICATION_CANDIDATES,
    DUPLICATION_RESULTS,
    TOP_SPENDERS,
    get_stored_tables,
)
from tiktok_assets_tests.defs.conftest import Desk, DeskMaker

WINDOW = DateWindow(date(2026, 10, 2), date(2026, 10, 4))


def counted(desk: Desk) -> dict[str, int]:
    """The rows of each table in the warehouse's own words."""
    with duckdb.connect(str(Path(desk.settings.data_dir, "warehouse.duckdb")), read_only=True) as warehouse:
        names = [name for (name,) in warehouse.execute("SHOW TABLES").fetchall()]
        rows = {name: warehouse.execute(f'SELECT count(*) FROM "{name}"').fetchone() for name in names}  # noqa: S608
    return {name: found[0] for name, found in rows.items() if found}


def test_the_warehouse_has_every_table_with_its_rows(desk: Desk) -> None:
    """After a refresh each stored table is in the file with as many rows, and the event tells the same."""
    ids = desk.know()
    assert desk.run_range("refresh_accounts", ids).success
    assert desk.run_range("refresh_daily", ids, WINDOW).success
    assert desk.run_range("refresh_lifetime", ids).success
    assert desk.run_range("refresh_derived", ids, tables=["top_spenders"]).success
    assert desk.run("refresh_derived", tables=["warehouse"]).success
    expected = {table: desk.table(table).height for table in get_stored_tables(desk.settings)}
    idle = {DUPLICATION_CANDIDATES, AD_DUPLICATIONS, DUPLICATION_RESULTS}  # nothing was flagged or duplicated
    assert all(rows for table, rows in expected.items() if table not in idle)
    assert counted(desk) == expected
    ((_, facts),) = desk.recorded("warehouse")
    assert facts["rows_by_table"] == expected
    assert facts["rows"] == sum(expected.values())


def test_a_warehouse_of_nothing_has_every_table_without_rows(desk: Desk) -> None:
    """Built before anything was read, the file still has every table."""
    assert desk.run("refresh_derived", tables=["warehouse"]).success
    assert counted(desk) == dict.fromkeys(get_stored_tables(desk.settings), 0)


def test_the_ranking_and_the_warehouse_run_in_one_run(desk: Desk) -> None:
    """Launched together, the warehouse comes after the ranking and holds it."""
    ids = desk.know()
    assert desk.run_range("refresh_lifetime", ids).success
    assert desk.run_range("refresh_derived", ids).success
    assert counted(desk)["top_spenders"] == desk.table("top_spenders").height == 3


def test_a_plain_list_of_reports_is_all_there_is(make_desk: DeskMaker) -> None:
    """With one report chosen the definitions load, the warehouse holds it, and there is no ranking to fail."""
    desk = make_desk(reports="ad_report_daily")
    ids = desk.know()
    keys = {key.path[-1] for key in desk.definitions.resolve_asset_graph().get_all_asset_keys()}
    assert keys - {ACCOUNT_OVERVIEW, "warehouse"} == set(get_stored_tables(desk.settings))
    assert {key for key in keys if "report" in key} == {"ad_report_daily", "report_restatements"}
    assert TOP_SPENDERS not in keys
    assert desk.run_range("refresh_daily", ids, WINDOW).success
    assert desk.run("refresh_derived", tables=["warehouse"]).success
    assert counted(desk)["ad_report_daily"] == desk.table("ad_report_daily").height > 0

"""Laws of the reports one asks for by name: they go all the way, from the plan to the warehouse."""

from datetime import date

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.plan import plan_refresh
from tiktok_assets.defs.jobs import get_stage_tables
from tiktok_assets.defs.table_catalog import get_stored_tables, get_table_descriptions, get_table_keys
from tiktok_assets.spec.metrics import summable_columns
from tiktok_assets.spec.reports import OPTIONAL_REPORTS, STANDARD_REPORTS
from tiktok_assets.storage.warehouse import WAREHOUSE_FILE_NAME
from tiktok_assets_tests.defs.conftest import DeskMaker

CHOSEN = ("campaign_report_hourly", "campaign_audience_interest_daily", "campaign_audience_country_daily")
WISH = ",".join(f"+{table}" for table in CHOSEN)
WINDOW = DateWindow(date(2026, 10, 3), date(2026, 10, 5))


def test_a_report_asked_for_goes_all_the_way(make_desk: DeskMaker) -> None:
    """It is an asset of the daily refresh, read day by day, stored, and in the warehouse with its views."""
    desk = make_desk(reports=WISH)
    ids = desk.know()
    assert set(CHOSEN) <= set(get_stage_tables(desk.settings)["refresh_daily"])
    assert desk.run_range("refresh_accounts", ids).success
    desk.host.behave()
    result = desk.run_range("refresh_daily", ids, WINDOW, [*CHOSEN, "campaign_report_daily"])
    assert result.success
    told = [one for one in result.get_asset_check_evaluations() if one.asset_key.path[-1] in CHOSEN]
    assert {one.asset_key.path[-1] for one in told} == set(CHOSEN)
    assert [one.check_name for one in told if not one.passed] == []
    asked = [one["query"] for one in desk.report_requests()]
    # An hour's and an interest's question is one day, the others' take all three.
    by_type = {len(ids) * days for days in (3, 1)}
    hours = [one for one in asked if "stat_time_hour" in str(one["dimensions"])]
    interests = [one for one in asked if "interest_category" in str(one["dimensions"])]
    countries = [one for one in asked if "country_code" in str(one["dimensions"])]
    assert {len(hours), len(interests), len(countries)} == by_type
    daily = desk.table("campaign_report_daily")
    keys = ["campaign_id", "date"]
    for table in CHOSEN:
        assert len(desk.keys(table)) == len(ids) * len(WINDOW.days)
        assert {event["rows"] for _, event in desk.recorded(table)} >= {0}  # the account without campaigns
        frame = desk.table(table)
        assert not frame.select(get_table_keys(desk.settings)[table]).is_duplicated().any()
        if table == "campaign_report_hourly":
            sums = summable_columns(frame.columns)
            total = frame.group_by(keys).agg(pl.col(sums).sum()).sort(keys)
            assert total.equals(daily.select(*keys, *sums).sort(keys))
    assert desk.run("refresh_derived", tables=["warehouse"]).success
    with duckdb.connect(f"{desk.store.base}/{WAREHOUSE_FILE_NAME}", read_only=True) as connection:
        held = connection.execute("SELECT count(*) FROM campaign_report_hourly").fetchone()
        country = connection.execute(
            "SELECT count(*) FROM dbt_tiktok_ads.tiktok_ads__campaign_country_report"
        ).fetchone()
        comment = connection.execute(
            "SELECT comment FROM duckdb_tables() WHERE table_name = 'campaign_report_hourly'"
        ).fetchone()
    assert held == (desk.table("campaign_report_hourly").height,)
    assert country == (desk.table("campaign_audience_country_daily").height,)
    assert comment == (get_table_descriptions(desk.settings)["campaign_report_hourly"],)


def test_a_second_reading_changes_nothing(make_desk: DeskMaker) -> None:
    """Read twice while nothing moves, hours and interests stand as they stood."""
    desk = make_desk(reports=WISH)
    ids = desk.know()
    assert desk.run_range("refresh_daily", ids, WINDOW, CHOSEN).success
    before = [desk.table(table) for table in CHOSEN]
    assert desk.run_range("refresh_daily", ids, WINDOW, CHOSEN).success
    for table, frame in zip(CHOSEN, before, strict=True):
        assert_frame_equal(desk.table(table).drop("fetched_at"), frame.drop("fetched_at"))


def test_a_plan_counts_days_asked_one_at_a_time(make_desk: DeskMaker) -> None:
    """What takes a request a day is planned as that, and the plan is kept to the request."""
    desk = make_desk(reports=WISH)
    ids = desk.know()
    lines = plan_refresh(desk.session, ids, WINDOW, CHOSEN).lines
    told = {line.subject: line.requests for line in lines if line.subject in CHOSEN}
    days = len(ids) * len(WINDOW.days)
    assert told == {CHOSEN[0]: days, CHOSEN[1]: days, CHOSEN[2]: len(ids)}
    desk.host.behave()
    assert desk.run_range("refresh_daily", ids, WINDOW, CHOSEN).success
    assert len(desk.report_requests()) == sum(told.values())


@pytest.mark.parametrize("wish", ["", WISH])
def test_a_table_exists_only_where_it_was_asked_for(make_desk: DeskMaker, wish: str) -> None:
    """Without the wish no optional report is an asset or a table; with it exactly the named ones are."""
    desk = make_desk(reports=wish)
    wanted = set(CHOSEN) if wish else set()
    optional = {report.table for report in OPTIONAL_REPORTS}
    assets = {key.path[-1] for key in desk.definitions.resolve_asset_graph().get_all_asset_keys()}
    assert assets & optional == wanted
    assert get_stored_tables(desk.settings).keys() & optional == wanted
    assert {report.table for report in STANDARD_REPORTS} <= assets

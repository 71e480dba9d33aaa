"""Test optional reports from the plan to the warehouse."""

from datetime import date

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.plan import plan_refresh
from tiktok_assets.defs.jobs import get_stage_tables
from tiktok_assets.defs.table_catalog import get_stored_tables, get_table_descriptions, get_table_keys
from tiktok_assets.spec.metric_selection import summable_columns
from tiktok_assets.spec.reports import OPTIONAL_REPORTS, STANDARD_REPORTS
from tiktok_assets.storage.duckdb_warehouse import WAREHOUSE_FILE_NAME
from tiktok_assets_tests.defs.conftest import DeploymentFactory

CHOSEN = ("campaign_report_hourly", "campaign_audience_interest_daily", "campaign_audience_country_daily")
REPORTS = ",".join(f"+{table}" for table in CHOSEN)
WINDOW = DateWindow(date(2026, 10, 3), date(2026, 10, 5))


@pytest.mark.slow
def test_optional_report_is_refreshed_and_in_the_warehouse(make_deployment: DeploymentFactory) -> None:
    """A chosen optional report is an asset, is read, stored, and in the warehouse with its views."""
    deployment = make_deployment(reports=REPORTS)
    ids = deployment.add_partitions()
    assert set(CHOSEN) <= set(get_stage_tables(deployment.settings)["refresh_daily"])
    assert deployment.run_range("refresh_accounts", ids).success
    deployment.host.reset()
    result = deployment.run_range("refresh_daily", ids, WINDOW, [*CHOSEN, "campaign_report_daily"])
    assert result.success
    evaluations = [one for one in result.get_asset_check_evaluations() if one.asset_key.path[-1] in CHOSEN]
    assert {one.asset_key.path[-1] for one in evaluations} == set(CHOSEN)
    assert [one.check_name for one in evaluations if not one.passed] == []
    requested = [one["query"] for one in deployment.report_requests()]
    # Hourly and interest reports need a request per day; the others read all three days at once.
    by_type = {len(ids) * days for days in (3, 1)}
    hours = [one for one in requested if "stat_time_hour" in str(one["dimensions"])]
    interests = [one for one in requested if "interest_category" in str(one["dimensions"])]
    countries = [one for one in requested if "country_code" in str(one["dimensions"])]
    assert {len(hours), len(interests), len(countries)} == by_type
    daily = deployment.read_table("campaign_report_daily")
    keys = ["campaign_id", "date"]
    for table in CHOSEN:
        assert len(deployment.stored_keys(table)) == len(ids) * len(WINDOW.days)
        assert {event["rows"] for _, event in deployment.materializations(table)} >= {
            0
        }  # the account without campaigns
        frame = deployment.read_table(table)
        assert not frame.select(get_table_keys(deployment.settings)[table]).is_duplicated().any()
        if table == "campaign_report_hourly":
            sums = summable_columns(frame.columns)
            total = frame.group_by(keys).agg(pl.col(sums).sum()).sort(keys)
            assert total.equals(daily.select(*keys, *sums).sort(keys))
    assert deployment.run("refresh_derived", tables=["warehouse"]).success
    with duckdb.connect(f"{deployment.store.base}/{WAREHOUSE_FILE_NAME}", read_only=True) as connection:
        row_count = connection.execute("SELECT count(*) FROM campaign_report_hourly").fetchone()
        country = connection.execute(
            "SELECT count(*) FROM dbt_tiktok_ads.tiktok_ads__campaign_country_report"
        ).fetchone()
        comment = connection.execute(
            "SELECT comment FROM duckdb_tables() WHERE table_name = 'campaign_report_hourly'"
        ).fetchone()
    assert row_count == (deployment.read_table("campaign_report_hourly").height,)
    assert country == (deployment.read_table("campaign_audience_country_daily").height,)
    assert comment == (get_table_descriptions(deployment.settings)["campaign_report_hourly"],)


@pytest.mark.slow
def test_second_refresh_changes_nothing(make_deployment: DeploymentFactory) -> None:
    """Without changes a second refresh leaves hourly and audience reports unchanged."""
    deployment = make_deployment(reports=REPORTS)
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_daily", ids, WINDOW, CHOSEN).success
    before = [deployment.read_table(table) for table in CHOSEN]
    assert deployment.run_range("refresh_daily", ids, WINDOW, CHOSEN).success
    for table, frame in zip(CHOSEN, before, strict=True):
        assert_frame_equal(deployment.read_table(table).drop("fetched_at"), frame.drop("fetched_at"))


@pytest.mark.slow
def test_plan_counts_one_request_per_day(make_deployment: DeploymentFactory) -> None:
    """Reports that need one request per day are planned with exactly that many requests."""
    deployment = make_deployment(reports=REPORTS)
    ids = deployment.add_partitions()
    lines = plan_refresh(deployment.session, ids, WINDOW, CHOSEN).lines
    planned_requests = {line.subject: line.requests for line in lines if line.subject in CHOSEN}
    days = len(ids) * len(WINDOW.days)
    assert planned_requests == {CHOSEN[0]: days, CHOSEN[1]: days, CHOSEN[2]: len(ids)}
    deployment.host.reset()
    assert deployment.run_range("refresh_daily", ids, WINDOW, CHOSEN).success
    assert len(deployment.report_requests()) == sum(planned_requests.values())


@pytest.mark.parametrize("setting", ["", REPORTS])
def test_optional_table_exists_only_if_chosen(make_deployment: DeploymentFactory, setting: str) -> None:
    """Without the setting no optional report is an asset or a table; with it exactly the named ones are."""
    deployment = make_deployment(reports=setting)
    expected = set(CHOSEN) if setting else set()
    optional = {report.table for report in OPTIONAL_REPORTS}
    assets = {key.path[-1] for key in deployment.definitions.resolve_asset_graph().get_all_asset_keys()}
    assert assets & optional == expected
    assert get_stored_tables(deployment.settings).keys() & optional == expected
    assert {report.table for report in STANDARD_REPORTS} <= assets

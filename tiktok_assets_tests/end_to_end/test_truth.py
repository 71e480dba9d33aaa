"""Test that months of three accounts, read with `sync` and Dagster, equal the ground truth."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import httpx
import polars as pl
import pytest

from tiktok_assets.cli.sync import run_sync
from tiktok_assets.cli.sync_result import SyncRequest, SyncResult
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.session import open_session
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.spec.entities import CAMPAIGN_ENTITIES
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import LEVEL_REPORTS
from tiktok_assets_tests.end_to_end.conftest import report_truth, stored, stored_numbers

pytestmark = pytest.mark.slow  # one refresh, on which all tests of this module look

DAYS = 64


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    """Run the default world: accounts in USD, JPY and EUR, an empty one, and one without grant."""
    with RunningSandbox(limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture(scope="module")
def days(sandbox: RunningSandbox) -> tuple[date, date]:
    """Return about two months, which include a clock change in Berlin."""
    last = sandbox.clock.now().date() - timedelta(days=2)
    return last - timedelta(days=DAYS - 1), last


@pytest.fixture(scope="module")
def settings(
    sandbox: RunningSandbox, days: tuple[date, date], tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Return settings with folders of their own."""
    folder: Path = tmp_path_factory.mktemp("truth")
    return load_settings(
        base_url=sandbox.base_url,
        access_token=sandbox.token,
        app_id=sandbox.app_id,
        app_secret=sandbox.secret,
        start_date=days[0],
        data_dir=str(folder / "data"),
        state_dir=folder / "state",
        dagster_home=folder / "dagster",
        qps=1000,
    )


@pytest.fixture(scope="module")
def synced(settings: Settings, days: tuple[date, date]) -> SyncResult:
    """Materialize every table once."""
    with open_session(settings) as session:
        request = SyncRequest(first=days[0].isoformat(), last=days[1].isoformat())
        return run_sync(settings, session, request, lambda _: None)


def test_refresh_is_complete(synced: SyncResult, days: tuple[date, date]) -> None:
    """Every partition of every table is stored: four accounts, each day, each level."""
    assert synced.failures == []
    assert synced.retries == 0
    assert 4 * ((days[1] - days[0]).days + 1) == synced.partitions["ad_report_daily"]


@pytest.mark.parametrize("report", LEVEL_REPORTS, ids=lambda report: report.table)
def test_every_metric_equals_the_ground_truth(
    synced: SyncResult, settings: Settings, sandbox: RunningSandbox, days: tuple[date, date], report: Report
) -> None:
    """Every metric of every row of every account equals the ground truth, and no row is missing or extra."""
    assert synced.runs
    rows = stored(settings, report.table)
    window = days if report.cadence == "daily" else None
    compared = 0
    for account in httpx.get(f"{sandbox.base_url}/sandbox/info").json()["advertisers"]:
        owner = account["advertiser_id"]
        truth = report_truth(sandbox.base_url, report, owner, window) if account["granted"] else {}
        found = stored_numbers(rows.filter(pl.col("advertiser_id") == owner).to_dicts(), report)

        assert truth == found
        compared += len(truth)
    assert compared


@pytest.mark.parametrize("entity", CAMPAIGN_ENTITIES, ids=lambda entity: entity.table)
def test_every_entity_is_stored(
    synced: SyncResult, settings: Settings, sandbox: RunningSandbox, entity: Mapping[str, str]
) -> None:
    """Every campaign, ad group and ad is stored with its status, deleted ones included."""
    assert synced.runs
    table = getattr(entity, "table")  # noqa: B009 - parametrized rows are typed loosely
    key = table.removesuffix("s") + "_id"
    api_key = key.replace("ad_group", "adgroup")
    rows = {row[key]: row for row in stored(settings, table).to_dicts()}
    truth = [
        row
        for account in httpx.get(f"{sandbox.base_url}/sandbox/info").json()["advertisers"]
        if account["granted"]
        for row in httpx.get(
            f"{sandbox.base_url}/sandbox/truth/{table}", params={"advertiser_id": account["advertiser_id"]}
        ).json()
    ]

    assert {row[api_key] for row in truth} == set(rows)
    assert any(row["secondary_status"].endswith("_DELETE") for row in truth)
    for row in truth:
        found = rows[row[api_key]]
        assert row["secondary_status"] == found["secondary_status"]
        assert row["advertiser_id"] == found["advertiser_id"]


def test_warehouse_has_every_row(synced: SyncResult, settings: Settings) -> None:
    """Every table of the warehouse has the rows of its Parquet files, and amounts are decimals."""
    import duckdb  # noqa: PLC0415 - only this test needs it

    assert synced.runs
    with duckdb.connect(f"{settings.data_dir}/warehouse.duckdb", read_only=True) as connection:
        for report in LEVEL_REPORTS:
            counted = connection.execute(f"SELECT count(*) FROM {report.table}").fetchone()  # noqa: S608
            assert counted == (stored(settings, report.table).height,)
        kind = connection.execute("SELECT typeof(spend) FROM ad_report_daily LIMIT 1").fetchone()
    assert kind == ("DECIMAL(18,4)",)


def test_second_sync_changes_nothing(synced: SyncResult, settings: Settings, days: tuple[date, date]) -> None:
    """If nothing has changed, a second refresh stores the same rows."""
    assert synced.runs
    tables = ("ad_report_daily", "campaign_report_lifetime", "ads", "top_spenders")
    before = {table: stored(settings, table).drop("fetched_at") for table in tables}
    with open_session(settings) as session:
        request = SyncRequest(first=(days[1] - timedelta(days=5)).isoformat(), last=days[1].isoformat())
        run_sync(settings, session, request, lambda _: None)
    for table, rows in before.items():
        assert rows.equals(stored(settings, table).drop("fetched_at"))

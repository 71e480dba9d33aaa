"""Test that a change of an account's time zone or currency keeps stored days and is reported once."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest

from tiktok_assets.defs.account_assets import ZONE_AND_CURRENCY_CHECK
from tiktok_assets.defs.alert_sensors import build_run_failure_alert_sensor
from tiktok_assets.defs.checks import CHECK_TABLES_JOB
from tiktok_assets.defs.refresh_stages import REFRESH_STAGES
from tiktok_assets.ingest.partitions import TIMEZONE_KEY
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import DAILY, PLAN, Deployment, open_deployment

OLD_DAY, READ_AGAIN = date(2026, 9, 20), date(2026, 10, 6)
"""A day that is not read again after the change, and one within the lookback."""

VIEWS = ("marts.currency_daily", "marts.advertiser_monthly", "dbt_tiktok_ads.tiktok_ads__advertiser_report")


@pytest.fixture
def own_host() -> Iterator[Host]:
    """Run a small agency whose accounts can change."""
    with Host.run(PLAN) as host:
        yield host


@contextmanager
def open_account(host: Host, folder: Path) -> Iterator[Deployment]:
    """Open a deployment of the account in Los Angeles."""
    owner = host.advertiser_ids[0]
    with open_deployment(
        host, folder, start_date="2026-09-15", advertiser_ids=owner, lookback_days="3"
    ) as deployment:
        deployment.add_partitions([owner])
        yield deployment


@pytest.fixture(scope="module")
def settled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folders of a deployment in which every day since 15 September is stored."""
    folder = tmp_path_factory.mktemp("settled")
    with Host.run(PLAN) as host, open_account(host, folder) as deployment:
        assert refresh_and_check(deployment) == []
    return folder


@pytest.fixture
def settled(own_host: Host, settled_folder: Path, tmp_path: Path) -> Iterator[Deployment]:
    """Open a deployment with a copy of the settled folders."""
    shutil.copytree(settled_folder, tmp_path, dirs_exist_ok=True)
    with open_account(own_host, tmp_path) as deployment:
        yield deployment


def refresh_and_check(deployment: Deployment) -> list[tuple[str, str | None]]:
    """Run a whole refresh with its checks, and return the checks that did not pass."""
    results = [result for stage in REFRESH_STAGES for result in deployment.refresh(stage)]
    ids = deployment.settings.advertiser_ids
    ranked = ("top_spenders", "duplication_candidates")
    results += [deployment.run_range("refresh_derived", ids, tables=ranked)]
    results += [
        deployment.run("refresh_derived", tables=("account_overview", "warehouse")),
        deployment.run(CHECK_TABLES_JOB),
    ]
    assert [result.success for result in results] == [True] * len(results)
    found = [one for result in results for one in result.get_asset_check_evaluations()]
    return [(one.check_name, one.description) for one in found if not one.passed]


def values_by_day(deployment: Deployment, table: str, column: str) -> dict[date, set[Any]]:
    """Return the values of a column on each stored day."""
    frame = deployment.read_table(table).group_by("date").agg(pl.col(column).unique())
    return {day: set(values) for day, values in frame.iter_rows()}


def get_zone(deployment: Deployment, table: str, day: date) -> str | None:
    """Return the time zone with which a stored day was read."""
    metadata = deployment.store.read_metadata(table, Partition(deployment.settings.advertiser_ids[0], day)) or {}
    return metadata.get(TIMEZONE_KEY)


def query_warehouse(deployment: Deployment, sql: str) -> list[tuple[Any, ...]]:
    """Return rows of the warehouse."""
    (path,) = Path(str(deployment.store.base)).parent.rglob("warehouse.duckdb")
    with duckdb.connect(str(path), read_only=True) as warehouse:
        return warehouse.execute(sql).fetchall()


@pytest.mark.slow
def test_currency_change(settled: Deployment) -> None:
    """Old days stay in USD, new ones are in JPY, the check fails once, and no total mixes both."""
    owner = settled.settings.advertiser_ids[0]
    before = settled.read_bytes("ad_report_daily", f"{owner}|{OLD_DAY}")
    settled.host.control("POST", "accounts", advertiser_id=owner, currency="JPY")
    settled.host.advance(days=1)
    ((check, description),) = refresh_and_check(settled)
    assert check == ZONE_AND_CURRENCY_CHECK
    assert description == (
        f"advertiser {owner}: the currency was USD until 2026-10-08 and is JPY;"
        " days stored before keep that currency"
    )
    for table in DAILY:
        found = values_by_day(settled, table, "currency")
        assert (found[OLD_DAY], found[READ_AGAIN], found[date(2026, 10, 7)]) == ({"USD"}, {"JPY"}, {"JPY"})
        assert all(len(currencies) == 1 for currencies in found.values())
    assert settled.read_bytes("ad_report_daily", f"{owner}|{OLD_DAY}") == before
    assert set(settled.read_table("ad_report_lifetime").get_column("currency")) == {"JPY"}
    assert_no_mixed_totals(settled)
    assert refresh_and_check(settled) == []  # reported once
    sensor = build_run_failure_alert_sensor(settled.settings)
    message = sensor.evaluate_tick(dg.build_sensor_context(instance=settled.instance)).skip_message
    assert message == f"Queued alerts: The check {ZONE_AND_CURRENCY_CHECK} of advertisers warns."


def assert_no_mixed_totals(deployment: Deployment) -> None:
    """Assert that every total sums rows of one currency, and that totals over several are empty."""
    leader = deployment.read_table("top_spenders").row(0, named=True)
    yen = deployment.read_table("ad_report_daily").filter((pl.col("currency") == "JPY") & pl.col("is_complete"))
    assert leader["currency"] == "JPY"
    assert leader["complete_days"] == yen.get_column("date").n_unique() == 3
    assert leader["spend_3d"] is not None
    assert (leader["spend_7d"], leader["spend_30d"]) == (None, None)
    moved = deployment.read_table("report_restatements")
    changed = moved.filter((pl.col("date") == READ_AGAIN) & pl.col("previous_fetched_at").is_not_null())
    assert set(changed.get_column("currency")) == {"JPY"}
    assert set(changed.get_column("spend_change")) == {None}
    assert set(changed.get_column("rows_change")) == {0}
    days = deployment.read_table("advertiser_report_daily")
    sums = dict(days.group_by("currency").agg(pl.col("spend").sum()).iter_rows())
    for view in VIEWS:
        rows = query_warehouse(deployment, f"SELECT currency, sum(spend) FROM {view} GROUP BY currency")  # noqa: S608 - our own names
        assert {code: Decimal(spend) for code, spend in rows} == sums, view
    budgets = query_warehouse(
        deployment,
        "SELECT DISTINCT currency, budget IS NULL FROM dbt_tiktok_ads.tiktok_ads__ad_report ORDER BY ALL",
    )
    assert budgets == [("JPY", False), ("USD", True)]


@pytest.mark.slow
def test_time_zone_change(settled: Deployment) -> None:
    """Stored days keep the Los Angeles time zone, new days are days of Tokyo, and the check fails once."""
    owner = settled.settings.advertiser_ids[0]
    before = settled.read_bytes("ad_report_daily", f"{owner}|{OLD_DAY}")
    settled.host.advance(hours=6)
    settled.host.control("POST", "accounts", advertiser_id=owner, timezone="Asia/Tokyo")
    ((check, message),) = refresh_and_check(settled)
    assert check == ZONE_AND_CURRENCY_CHECK
    assert message == (
        f"advertiser {owner}: the time zone was America/Los_Angeles until 2026-10-08 and is Asia/Tokyo;"
        " days stored before are days of that time zone"
    )
    assert settled.read_bytes("ad_report_daily", f"{owner}|{OLD_DAY}") == before
    for table in DAILY:
        assert get_zone(settled, table, OLD_DAY) == "America/Los_Angeles"
        assert get_zone(settled, table, READ_AGAIN) == "Asia/Tokyo"
        assert max(values_by_day(settled, table, "currency")) == date(2026, 10, 7)  # yesterday in Tokyo
    readings = settled.read_table("report_restatements").filter(
        (pl.col("date") == READ_AGAIN) & (pl.col("report") == "ad_report_daily")
    )
    assert readings.sort("fetched_at").get_column("timezone").to_list() == ["America/Los_Angeles", "Asia/Tokyo"]
    assert refresh_and_check(settled) == []


@pytest.mark.slow
def test_time_zone_change_to_the_west(settled: Deployment) -> None:
    """After a move to Honolulu the newest stored day can be today again; refresh and checks still succeed."""
    owner = settled.settings.advertiser_ids[0]
    settled.host.control("POST", "accounts", advertiser_id=owner, timezone="Asia/Tokyo")
    settled.host.advance(hours=6)
    assert [check for check, _ in refresh_and_check(settled)] == [ZONE_AND_CURRENCY_CHECK]
    settled.host.control("POST", "accounts", advertiser_id=owner, timezone="Pacific/Honolulu", currency="EUR")
    ((check, message),) = refresh_and_check(settled)
    assert check == ZONE_AND_CURRENCY_CHECK
    assert message
    assert "the time zone was Asia/Tokyo until 2026-10-07 and is Pacific/Honolulu" in message
    assert "the currency was USD until 2026-10-07 and is EUR" in message
    assert refresh_and_check(settled) == []
    settled.host.advance(days=2)
    assert refresh_and_check(settled) == []

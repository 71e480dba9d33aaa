"""An account that changes its time zone or its currency: stored days stay, and the change is said once."""

from collections.abc import Iterator
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
from tiktok_assets.storage.hive_store import Partition
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import DAILY, PLAN, Desk, desk_at

OLD_DAY, READ_AGAIN = date(2026, 9, 20), date(2026, 10, 6)
"""A day that no refresh after the change reads, and one within the lookback."""

VIEWS = ("marts.currency_daily", "marts.advertiser_monthly", "dbt_tiktok_ads.tiktok_ads__advertiser_report")


@pytest.fixture
def own_host() -> Iterator[Host]:
    """A small agency whose accounts may change."""
    with Host.run(PLAN) as host:
        yield host


@pytest.fixture
def settled(own_host: Host, tmp_path: Path) -> Iterator[Desk]:
    """The account in Los Angeles with every day since 15 September stored."""
    owner = own_host.advertiser_ids[0]
    with desk_at(own_host, tmp_path, start_date="2026-09-15", advertiser_ids=owner, lookback_days="3") as desk:
        desk.know([owner])
        assert refreshed(desk) == []
        yield desk


def refreshed(desk: Desk) -> list[tuple[str, str | None]]:
    """A whole refresh with its checks, all of which succeeds; the checks that did not pass."""
    results = [result for stage in REFRESH_STAGES for result in desk.refresh(stage)]
    ids = desk.settings.advertiser_ids
    ranked = ("top_spenders", "duplication_candidates")
    results += [desk.run_range("refresh_derived", ids, tables=ranked)]
    results += [desk.run("refresh_derived", tables=("account_overview", "warehouse")), desk.run(CHECK_TABLES_JOB)]
    assert [result.success for result in results] == [True] * len(results)
    found = [one for result in results for one in result.get_asset_check_evaluations()]
    return [(one.check_name, one.description) for one in found if not one.passed]


def by_day(desk: Desk, table: str, column: str) -> dict[date, set[Any]]:
    """The values of a column on each stored day."""
    frame = desk.table(table).group_by("date").agg(pl.col(column).unique())
    return {day: set(values) for day, values in frame.iter_rows()}


def zone_of(desk: Desk, table: str, day: date) -> str | None:
    """In which zone a stored day was read."""
    notes = desk.store.read_metadata(table, Partition(desk.settings.advertiser_ids[0], day)) or {}
    return notes.get(TIMEZONE_KEY)


def asked(desk: Desk, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the warehouse."""
    (path,) = Path(str(desk.store.base)).parent.rglob("warehouse.duckdb")
    with duckdb.connect(str(path), read_only=True) as warehouse:
        return warehouse.execute(sql).fetchall()


def test_another_currency(settled: Desk) -> None:
    """Old days stay in dollars, read ones come in yen, the check says it once, and no total has both."""
    owner = settled.settings.advertiser_ids[0]
    before = settled.bytes_of("ad_report_daily", f"{owner}|{OLD_DAY}")
    settled.host.control("POST", "accounts", advertiser_id=owner, currency="JPY")
    settled.host.advance(days=1)
    ((check, said),) = refreshed(settled)
    assert check == ZONE_AND_CURRENCY_CHECK
    assert said == (
        f"advertiser {owner}: the currency was USD until 2026-10-08 and is JPY; days read before keep it"
    )
    for table in DAILY:
        found = by_day(settled, table, "currency")
        assert (found[OLD_DAY], found[READ_AGAIN], found[date(2026, 10, 7)]) == ({"USD"}, {"JPY"}, {"JPY"})
        assert all(len(currencies) == 1 for currencies in found.values())
    assert settled.bytes_of("ad_report_daily", f"{owner}|{OLD_DAY}") == before
    assert set(settled.table("ad_report_lifetime").get_column("currency")) == {"JPY"}
    assert_nothing_mixed(settled)
    assert refreshed(settled) == []  # said once
    look = build_run_failure_alert_sensor(settled.settings)
    told = look.evaluate_tick(dg.build_sensor_context(instance=settled.instance)).skip_message
    assert told == f"Told of: The check {ZONE_AND_CURRENCY_CHECK} of advertisers warns."


def assert_nothing_mixed(desk: Desk) -> None:
    """Every total is the sum of rows of one currency, and what cannot be summed in one is empty."""
    leader = desk.table("top_spenders").row(0, named=True)
    yen = desk.table("ad_report_daily").filter((pl.col("currency") == "JPY") & pl.col("is_complete"))
    assert leader["currency"] == "JPY"
    assert leader["complete_days"] == yen.get_column("date").n_unique() == 3
    assert leader["spend_3d"] is not None
    assert (leader["spend_7d"], leader["spend_30d"]) == (None, None)
    moved = desk.table("report_restatements")
    changed = moved.filter((pl.col("date") == READ_AGAIN) & pl.col("previous_fetched_at").is_not_null())
    assert set(changed.get_column("currency")) == {"JPY"}
    assert set(changed.get_column("spend_change")) == {None}
    assert set(changed.get_column("rows_change")) == {0}
    days = desk.table("advertiser_report_daily")
    sums = dict(days.group_by("currency").agg(pl.col("spend").sum()).iter_rows())
    for view in VIEWS:
        rows = asked(desk, f"SELECT currency, sum(spend) FROM {view} GROUP BY currency")  # noqa: S608 - our own names
        assert {code: Decimal(spend) for code, spend in rows} == sums, view
    budgets = asked(
        desk,
        "SELECT DISTINCT currency, budget IS NULL FROM dbt_tiktok_ads.tiktok_ads__ad_report ORDER BY ALL",
    )
    assert budgets == [("JPY", False), ("USD", True)]


def test_another_time_zone(settled: Desk) -> None:
    """Stored days stay days of Los Angeles, read ones are days of Tokyo, whose yesterday is read; said once."""
    owner = settled.settings.advertiser_ids[0]
    before = settled.bytes_of("ad_report_daily", f"{owner}|{OLD_DAY}")
    settled.host.advance(hours=6)
    settled.host.control("POST", "accounts", advertiser_id=owner, timezone="Asia/Tokyo")
    ((check, said),) = refreshed(settled)
    assert check == ZONE_AND_CURRENCY_CHECK
    assert said == (
        f"advertiser {owner}: the time zone was America/Los_Angeles until 2026-10-08 and is Asia/Tokyo;"
        " days read before are days of it"
    )
    assert settled.bytes_of("ad_report_daily", f"{owner}|{OLD_DAY}") == before
    for table in DAILY:
        assert zone_of(settled, table, OLD_DAY) == "America/Los_Angeles"
        assert zone_of(settled, table, READ_AGAIN) == "Asia/Tokyo"
        assert max(by_day(settled, table, "currency")) == date(2026, 10, 7)  # yesterday there
    readings = settled.table("report_restatements").filter(
        (pl.col("date") == READ_AGAIN) & (pl.col("report") == "ad_report_daily")
    )
    assert readings.sort("fetched_at").get_column("timezone").to_list() == ["America/Los_Angeles", "Asia/Tokyo"]
    assert refreshed(settled) == []


def test_back_to_the_west(settled: Desk) -> None:
    """From Los Angeles to Honolulu the newest stored day may be today again: the refresh and every check go on."""
    owner = settled.settings.advertiser_ids[0]
    settled.host.control("POST", "accounts", advertiser_id=owner, timezone="Asia/Tokyo")
    settled.host.advance(hours=6)
    assert [check for check, _ in refreshed(settled)] == [ZONE_AND_CURRENCY_CHECK]
    settled.host.control("POST", "accounts", advertiser_id=owner, timezone="Pacific/Honolulu", currency="EUR")
    ((check, said),) = refreshed(settled)
    assert check == ZONE_AND_CURRENCY_CHECK
    assert said
    assert "the time zone was Asia/Tokyo until 2026-10-07 and is Pacific/Honolulu" in said
    assert "the currency was USD until 2026-10-07 and is EUR" in said
    assert refreshed(settled) == []
    settled.host.advance(days=2)
    assert refreshed(settled) == []

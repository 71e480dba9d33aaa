"""Test that `compact_months` changes no row, no partition and no request of later jobs."""

import os
from datetime import date
from pathlib import Path

import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.spec import REPORTS_BY_TABLE
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import report_schema
from tiktok_assets_tests.defs.conftest import Deployment, DeploymentFactory, format_keys

FIRST, YESTERDAY = date(2026, 6, 20), date(2026, 10, 6)
TABLE = "ad_report_daily"


@pytest.fixture
def deployment(make_deployment: DeploymentFactory) -> Deployment:
    """Open a deployment of two accounts with a daily report of more than three months."""
    ids = make_deployment().advertiser_ids[1:3]
    deployment = make_deployment(start_date=str(FIRST), reports=TABLE, advertiser_ids=",".join(ids))
    deployment.add_partitions(ids)
    assert deployment.run("backfill_history").success
    for file in Path(deployment.settings.data_dir).rglob("*.parquet"):
        os.utime(file, (0, file.stat().st_mtime - 3600))
    return deployment


@pytest.mark.slow
def test_compacted_months_are_read_and_replaced_as_days(deployment: Deployment) -> None:
    """The settled months become files of their own, no day is missing then, and a day can be read again."""
    ids, store = list(deployment.settings.advertiser_ids), HiveStore(deployment.settings.data_dir)
    schema = report_schema(REPORTS_BY_TABLE[TABLE], deployment.settings.chosen_metrics)
    rows, versions = store.scan(TABLE, schema).collect(), store.file_versions(TABLE)
    assert deployment.run("compact_months").success
    months = sorted(
        path.parent.name for path in Path(deployment.settings.data_dir, TABLE).rglob("month=*/part-0.parquet")
    )
    assert months == ["month=2026-06", "month=2026-06", "month=2026-07", "month=2026-07"]
    assert store.scan(TABLE, schema).collect().equals(rows)
    assert store.file_versions(TABLE) == versions
    assert deployment.stored_keys(TABLE) == format_keys(ids, DateWindow(FIRST, YESTERDAY))
    deployment.host.control("DELETE", "requests")
    assert deployment.run("backfill_history").success
    assert deployment.report_requests() == []
    again = DateWindow(date(2026, 7, 30), date(2026, 8, 2))
    assert deployment.run_range("refresh_daily", ids, again, [TABLE]).success
    assert store.scan(TABLE, schema).collect().drop("extra").equals(rows.drop("extra"))
    changed = [one for one, version in store.file_versions(TABLE).items() if version != versions[one]]
    assert changed == [Partition(owner, day) for owner in ids for day in again.days]

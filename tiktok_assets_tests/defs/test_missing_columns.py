"""Test that days stored before a metric was selected are found, told of, planned, and read again exactly once."""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.missing_columns import plan_missing_columns
from tiktok_assets.cli.sync import run_sync
from tiktok_assets.cli.sync_result import SyncRequest, SyncResult
from tiktok_assets.defs.backfill_job import BackfillChoice
from tiktok_assets.defs.checks import CHECK_TABLES_JOB
from tiktok_assets.defs.names import Names
from tiktok_assets.ingest.column_index import INDEX_FILE_NAME
from tiktok_assets.ingest.partitions import COLUMNS_KEY, REFUSED_KEY, TIMEZONE_KEY
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import PLAN, Deployment, DeploymentFactory, format_keys

FIRST, YESTERDAY = date(2026, 9, 4), date(2026, 10, 6)  # 33 days: two windows per account and report
TABLES = ("campaign_report_daily", "ad_report_daily")
CHECK = "columns_are_filled"
METRIC = "engagements"


@pytest.fixture
def host() -> Iterator[Host]:
    """Run a small agency whose accounts can change."""
    with Host.run(PLAN) as one:
        yield one


@pytest.fixture
def chosen(host: Host) -> dict[str, Any]:
    """Return settings of two accounts and two daily reports with more than a month of history."""
    ids = sorted(one.id for one in host.sandbox.world.advertisers.values() if one.granted)[1:3]
    return {"start_date": str(FIRST), "reports": ",".join(TABLES), "advertiser_ids": ",".join(ids)}


@pytest.fixture
def stored(make_deployment: DeploymentFactory, chosen: dict[str, Any]) -> Deployment:
    """Open a deployment that has stored every day with the standard metrics."""
    deployment = make_deployment(**chosen)
    deployment.add_partitions(deployment.settings.advertiser_ids)
    assert deployment.run("refresh_accounts", tables=["advertisers"]).success
    assert deployment.run("backfill_history").success
    return deployment


@pytest.fixture
def added(stored: Deployment, make_deployment: DeploymentFactory, chosen: dict[str, Any]) -> Deployment:
    """Open the same tables with one more metric, an hour later: a reading is identified by its instant."""
    stored.host.advance(hours=1)
    return make_deployment(stored.instance, **chosen, metrics=f"+{METRIC}")


def fill(deployment: Deployment, **choice: Any) -> int:  # noqa: ANN401 - any part of the choice
    """Run the job on days that lack a column, and return how many report requests it sends."""
    deployment.host.control("DELETE", "requests")
    config = BackfillChoice(missing_columns=True, **choice).to_run_config(Names(deployment.settings))
    assert deployment.run("backfill_history", run_config=config).success
    return len(deployment.report_requests())


def plan(deployment: Deployment, window: DateWindow | None = None) -> tuple[int, list[str]]:
    """Return how many requests a plan counts, and what it says."""
    ids = deployment.settings.advertiser_ids
    result = plan_missing_columns(deployment.session, ids, window, TABLES)
    assert result.probes == 0
    return result.requests, list(result.notes)


def evaluate(deployment: Deployment) -> dict[str, tuple[bool, str | None]]:
    """Return by table whether the check passes, and its text."""
    result = deployment.run(CHECK_TABLES_JOB)
    found = [one for one in result.get_asset_check_evaluations() if one.check_name == CHECK]
    return {one.asset_key.path[-1]: (one.passed, one.description) for one in found}


@pytest.mark.slow
def test_nothing_is_missing_without_a_new_metric(stored: Deployment) -> None:
    """Days that were read with the columns of today are neither told of nor read again."""
    assert evaluate(stored) == dict.fromkeys(TABLES, (True, None))
    assert plan(stored) == (0, ["Every stored day has every column that is selected."])
    assert fill(stored) == 0


@pytest.mark.slow
def test_days_that_lack_a_metric_are_told_of_and_read_again(added: Deployment) -> None:
    """The check and the plan name column, days and accounts; one run with the planned requests fills them all."""
    ids = list(added.settings.advertiser_ids)
    gap = f"{METRIC} is missing in 66 days of 2 accounts, {FIRST} to {YESTERDAY}"
    for passed, text in evaluate(added).values():
        assert not passed
        assert text
        assert text.startswith(f"{gap}; run `tiktok-assets plan --missing-columns`")
    planned, notes = plan(added)
    assert notes == [f"{table}: {gap}." for table in TABLES]
    before = added.read_table("report_restatements").height
    assert fill(added) == planned == 2 * len(ids) * len(TABLES)
    assert_true_values(added)
    readings = added.read_table("report_restatements")
    assert readings.height == 2 * before  # one more reading of each day, as of every day that is read again
    last = readings.sort("fetched_at").group_by("advertiser_id", "date", "report").last()
    assert set(last.get_column("spend_change").to_list()) == {0}
    assert evaluate(added) == dict.fromkeys(TABLES, (True, None))
    assert plan(added)[0] == fill(added) == 0


def assert_true_values(deployment: Deployment) -> None:
    """Assert that the metric of each ad and day is that of the sandbox."""
    rows = deployment.read_table("ad_report_daily")
    assert rows.get_column(METRIC).null_count() == 0
    for owner in deployment.settings.advertiser_ids:
        truth = deployment.host.ground_truth(
            "report", level="ad", advertiser_id=owner, start_date=str(FIRST), end_date=str(YESTERDAY)
        )
        found = rows.filter(pl.col("advertiser_id") == owner).select("ad_id", "date", METRIC).rows()
        assert {(ad, str(day)): value for ad, day, value in found} == {
            (row["id"], row["date"]): int(row["metrics"][METRIC]) for row in truth
        }


@pytest.mark.slow
def test_only_chosen_days_are_read(added: Deployment) -> None:
    """Days, account and report of the choice are read; a later run reads exactly the rest."""
    owner, other = added.settings.advertiser_ids
    window = DateWindow(date(2026, 9, 10), date(2026, 9, 12))
    files = {key: added.read_bytes("ad_report_daily", key) for key in added.stored_keys("ad_report_daily")}
    assert fill(added, window=window, advertiser_ids=[owner], tables=["ad_report_daily"]) == 1
    changed = [key for key, content in files.items() if added.read_bytes("ad_report_daily", key) != content]
    assert changed == format_keys([owner], window)
    _, notes = plan(added)
    assert f"ad_report_daily: {METRIC} is missing in 63 days of 2 accounts, {FIRST} to {YESTERDAY}." in notes
    assert fill(added, advertiser_ids=[owner], tables=["ad_report_daily"]) == 2  # before and after those days
    assert fill(added) == 2 * len(TABLES) + 2
    events = Counter(key for key, _ in added.materializations("ad_report_daily"))
    assert set(events.values()) == {2}
    assert {key.partition("|")[0] for key in events} == {owner, other}


@pytest.mark.slow
def test_a_run_that_fails_is_continued(added: Deployment) -> None:
    """Days that a failed run has read are not read again."""
    path = "report/integrated/get"
    added.host.inject_fault("code", path=path, code=40002, message="Stopped.", after=3, times=None)
    config = BackfillChoice(missing_columns=True).to_run_config(Names(added.settings))
    assert not added.run("backfill_history", run_config=config).success
    added.host.sandbox.state.faults.clear()
    planned, _ = plan(added)
    assert 0 < planned < 2 * 2 * len(TABLES)
    assert fill(added) == planned
    assert plan(added)[0] == 0
    events = Counter(key for table in TABLES for key, _ in added.materializations(table))
    assert set(events.values()) == {2 * len(TABLES)}


@pytest.mark.slow
def test_the_command_reads_what_it_plans(added: Deployment) -> None:
    """`sync --missing-columns` sends the planned requests, rebuilds what follows, and then sends none."""

    def sync(**options: Any) -> SyncResult:  # noqa: ANN401 - of any kind
        return run_sync(
            added.settings, added.session, SyncRequest(missing_columns=True, **options), lambda _: None
        )

    window = DateWindow(date(2026, 9, 10), date(2026, 9, 12))
    for options, days in ({"first": str(window.first), "last": str(window.last)}, window), ({}, None):
        planned, _ = plan(added, days)
        before = added.session.total.requests
        result = sync(**options)
        assert result.failures == []
        assert added.session.total.requests - before == planned > 0
        assert result.partitions["ad_report_daily"] == (6 if days else 60)
    before = added.session.total.requests
    assert "ad_report_daily" not in sync(select="ad_report_daily").partitions
    assert added.session.total.requests == before


@pytest.mark.slow
def test_a_refused_metric_is_not_requested_for_ever(
    stored: Deployment, make_deployment: DeploymentFactory, chosen: dict[str, Any]
) -> None:
    """A metric that TikTok refuses is asked for once; its days are then noted as refused, and not read again."""
    stored.host.control("POST", "switches", withdrawn_metrics=[METRIC])
    refusing = make_deployment(stored.instance, **chosen, metrics=f"+{METRIC}")
    assert fill(refusing) > 0
    owner = refusing.settings.advertiser_ids[0]
    metadata = refusing.store.read_metadata("ad_report_daily", Partition(owner, FIRST)) or {}
    assert (metadata[REFUSED_KEY], METRIC in metadata[COLUMNS_KEY].split(",")) == (METRIC, True)
    assert fill(refusing) == 0
    passed, text = evaluate(refusing)["ad_report_daily"]
    assert passed
    assert text == f"{METRIC} is null in 66 days of 2 accounts, {FIRST} to {YESTERDAY}, because TikTok refused it"


@pytest.mark.slow
def test_days_of_another_time_zone_are_kept(added: Deployment) -> None:
    """Days that were read before the account changed its zone or currency are told of, and stay as they are."""
    owner, other = added.settings.advertiser_ids
    added.host.control("POST", "accounts", advertiser_id=owner, timezone="Pacific/Honolulu")
    added.host.control("POST", "accounts", advertiser_id=other, currency="KRW")
    assert added.run("refresh_accounts", tables=["advertisers"]).success
    assert fill(added) == 0
    kept = "which are kept: the account had another time zone or currency then"
    assert all(text and kept in text for _, text in evaluate(added).values())
    assert all(kept in note for note in plan(added)[1])


@pytest.mark.slow
def test_days_of_an_account_that_is_not_granted_are_noted(added: Deployment) -> None:
    """The days of an account that was taken away are kept and noted; when it comes back, they are read."""
    lost, other = added.settings.advertiser_ids
    added.revoke(lost)
    assert added.run("refresh_accounts", tables=["advertisers"]).success
    assert fill(added, advertiser_ids=[other]) == 2 * len(TABLES)
    for passed, text in evaluate(added).values():
        assert passed
        assert (
            text
            == f"{METRIC} is missing in 33 days of 1 account, {FIRST} to {YESTERDAY}, which are not read any more"
        )
    added.host.control("POST", "grants", advertiser_id=lost, granted=True)
    assert added.run("refresh_accounts", tables=["advertisers"]).success
    assert fill(added) == 2 * len(TABLES)
    assert_true_values(added)


@pytest.mark.slow
def test_files_of_an_earlier_release_are_known_by_their_columns(added: Deployment) -> None:
    """A file without the metadata about its columns, zone and readings is found by the columns it has."""
    table, store = "ad_report_daily", added.store
    partition = Partition(added.settings.advertiser_ids[0], FIRST)
    metadata = dict(store.read_metadata(table, partition) or {})
    for key in (COLUMNS_KEY, TIMEZONE_KEY):
        del metadata[key]
    frame = store.scan_partition(table, partition)
    assert frame is not None
    store.write(table, partition, frame.collect(), metadata=metadata)
    assert plan(added)[1][1].startswith(f"{table}: {METRIC} is missing in 66 days of 2 accounts")
    assert fill(added) == 2 * 2 * len(TABLES)


@pytest.mark.slow
def test_the_index_saves_opening_files_and_changes_no_result(added: Deployment) -> None:
    """With the index no file is opened; without it, or with a damaged one, the result is the same."""
    table = "ad_report_daily"
    folder = Path(str(added.store.base), table)
    for file in folder.rglob("*.parquet"):
        os.utime(file, (1, 1))  # the version of a file that was written a moment ago is not certain
    index = folder / INDEX_FILE_NAME
    _, notes = plan(added)
    assert index.stat().st_size < 4_000  # of 66 days
    for content in (b"", b"damaged", index.read_bytes()):
        index.write_bytes(content)
        assert plan(added)[1] == notes
    index.unlink()
    assert plan(added)[1] == notes
    assert index.exists()

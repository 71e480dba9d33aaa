"""Test that range runs record one materialization per partition with its own metadata, also if others fail."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.partitions import SINGLE_RUN, advertiser_days, parse_partition_key
from tiktok_assets_tests.defs.conftest import DAILY, LIFETIME, Deployment, format_keys, get_failure, get_true_spend

WINDOW = DateWindow(date(2026, 10, 2), date(2026, 10, 4))
LEVELS = {table: table.removesuffix("_report_daily") for table in DAILY}
FACTS = {"rows", "requests", "pages", "retries", "seconds", "megabytes", "fetched_at"}


def get_spend(metadata: Mapping[str, object]) -> object:
    """Return the spend in an event's metadata, under the key of its currency."""
    (key,) = [name for name in metadata if name.startswith("spend_") and name != "spend_by_day"]
    assert key == f"spend_{metadata['currency']}"
    return metadata[key]


@pytest.mark.slow
def test_range_run_records_each_partition_once(deployment: Deployment) -> None:
    """Each account and day of a range is one event with the rows and spend of that day."""
    ids = deployment.add_partitions()
    result = deployment.run_range("refresh_daily", ids, WINDOW)
    assert result.success
    for table, level in LEVELS.items():
        events = deployment.materializations(table)
        assert sorted(key for key, _ in events) == format_keys(ids, WINDOW)
        for key, metadata in events:
            assert metadata.keys() >= FACTS | {"window", "currency", "dagster/partition_row_count"}
            owner, day = key.split("|")
            rows, spend = get_true_spend(deployment, level, owner, date.fromisoformat(day))
            assert (metadata["rows"], get_spend(metadata)) == (rows, pytest.approx(float(spend)))
            assert metadata["dagster/partition_row_count"] == rows
            assert metadata["window"] == "2026-10-02..2026-10-04"
            assert metadata["currency"] == deployment.host.sandbox.world.advertisers[owner].account.currency
            assert metadata["fetched_at"] == pytest.approx(deployment.now.timestamp(), abs=60)
    spends = {get_spend(metadata) for _, metadata in deployment.materializations("ad_report_daily")}
    assert len(spends) > len(WINDOW.days)  # each partition has its own spend


def test_stored_rows_match_the_events(deployment: Deployment) -> None:
    """Each stored partition has exactly the rows and the spend of its event, also empty ones."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_daily", ids, WINDOW, ["ad_report_daily"]).success
    table = deployment.read_table("ad_report_daily")
    assert deployment.stored_keys("ad_report_daily") == format_keys(ids, WINDOW)
    for key, metadata in deployment.materializations("ad_report_daily"):
        partition = parse_partition_key(key)
        rows = table.filter(advertiser_id=partition.advertiser_id, date=partition.day)
        assert rows.height == metadata["rows"]
        assert sum(rows.get_column("spend"), Decimal(0)) == pytest.approx(Decimal(str(get_spend(metadata))))
    empty = {
        key.split("|")[0]
        for key, metadata in deployment.materializations("ad_report_daily")
        if metadata["rows"] == 0
    }
    assert len(empty) == 1


@pytest.mark.slow
def test_run_of_one_partition_records_it_once(deployment: Deployment) -> None:
    """A run of a single key records one event with its metadata in every table."""
    (first, *_) = deployment.add_partitions()
    key = f"{first}|2026-10-03"
    assert deployment.run("refresh_daily", {"dagster/partition": key}).success
    assert deployment.run("refresh_lifetime", {"dagster/partition": first}).success
    assert deployment.run(
        "refresh_accounts", {"dagster/partition": first}, ["campaigns", "ad_groups", "ads"]
    ).success
    for table in DAILY:
        ((recorded, metadata),) = deployment.materializations(table)
        assert recorded == key
        assert metadata.keys() >= FACTS | {"window", "currency", f"spend_{metadata['currency']}"}
        assert metadata["window"] == "2026-10-03..2026-10-03"
    for table in (*LIFETIME, "campaigns", "ad_groups", "ads"):
        ((recorded, metadata),) = deployment.materializations(table)
        assert recorded == first
        assert metadata.keys() >= FACTS
        assert ("currency" in metadata) == (table in LIFETIME)
        assert "window" not in metadata


def test_accounts_stage_records_each_account_once(deployment: Deployment) -> None:
    """The accounts stage records one event for `advertisers` and one per account for each entity table."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_accounts", ids).success
    ((_, metadata),) = deployment.materializations("advertisers")
    assert metadata["rows"] == metadata["dagster/row_count"] == len(ids)
    for table in ("campaigns", "ad_groups", "ads"):
        assert Counter(key for key, _ in deployment.materializations(table)) == Counter(ids)


def test_events_have_the_tags_of_multi_partitions(deployment: Deployment) -> None:
    """Each event can be found by its account and by its day, like events that Dagster records itself."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_daily", ids[:1], WINDOW, ["ad_report_daily"]).success
    records = deployment.instance.fetch_materializations(dg.AssetKey("ad_report_daily"), limit=10).records
    assert sorted(str(record.partition_key) for record in records) == format_keys(ids[:1], WINDOW)
    for record in records:
        assert record.asset_materialization
        owner, day = str(record.partition_key).split("|")
        tags = record.asset_materialization.tags or {}
        assert tags["dagster/partition/advertiser_id"] == owner
        assert tags["dagster/partition/date"] == day


def test_dagster_counts_recorded_partitions_as_materialized(deployment: Deployment) -> None:
    """The instance counts exactly the keys of the range as materialized."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_daily", ids[:2], WINDOW, ["ad_report_daily"]).success
    materialized = deployment.instance.get_materialized_partitions(dg.AssetKey("ad_report_daily"))
    assert sorted(materialized) == format_keys(ids[:2], WINDOW)


@pytest.mark.slow
def test_run_fills_the_partition_status_cache(deployment: Deployment) -> None:
    """After a run Dagster's cache holds exactly the stored keys of each daily table."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_daily", ids[:2], WINDOW).success
    assert deployment.run_range("refresh_daily", ids[1:3], WINDOW).success
    for table in DAILY:
        (key,) = deployment.instance.get_asset_records([dg.AssetKey(table)])
        assert key.asset_entry.cached_status
        days = advertiser_days(deployment.settings.start_date)
        materialized = key.asset_entry.cached_status.deserialize_materialized_partition_subsets(days)
        assert sorted(materialized.get_partition_keys()) == format_keys(ids[:3], WINDOW)


@pytest.mark.slow
def test_downstream_asset_runs_in_the_same_run(deployment: Deployment) -> None:
    """An asset selected together with its recorded source is executed, not skipped."""
    ids = deployment.add_partitions()
    seen: list[list[str]] = []

    @dg.asset(
        partitions_def=advertiser_days(deployment.settings.start_date),
        backfill_policy=SINGLE_RUN,
        deps=["ad_report_daily"],
    )
    def downstream(context: dg.AssetExecutionContext) -> None:
        seen.append(sorted(context.partition_keys))

    own_definitions = dg.Definitions(
        assets=[downstream], jobs=[dg.define_asset_job("both", selection=["ad_report_daily", "downstream"])]
    )
    merged = Deployment(
        deployment.host,
        deployment.settings,
        deployment.session,
        dg.Definitions.merge(deployment.definitions, own_definitions),
        deployment.instance,
    )
    result = merged.run_range("both", ids, WINDOW)
    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_skipped] == []
    assert seen == [format_keys(ids, WINDOW)]


@pytest.mark.slow
def test_ranking_runs_in_the_same_run_as_its_sources(deployment: Deployment) -> None:
    """Lifetime reports and ranking in one run give the ranking of the rows that run stored."""
    ids = deployment.add_partitions()
    both = dg.Definitions(jobs=[dg.define_asset_job("all_of_it", selection=[*LIFETIME, "top_spenders"])])
    merged = Deployment(
        deployment.host,
        deployment.settings,
        deployment.session,
        dg.Definitions.merge(deployment.definitions, both),
        deployment.instance,
    )
    assert merged.run_range("all_of_it", ids).success
    assert sorted(key for key, _ in deployment.materializations("top_spenders")) == sorted(ids)
    assert deployment.read_table("top_spenders").height == 3


@pytest.mark.slow
def test_lost_account_in_a_range_fails_alone(deployment: Deployment) -> None:
    """The others are stored and recorded; the lost one is named with the fix, its files are unchanged."""
    ids = deployment.add_partitions()
    first, lost, *others = ids
    assert deployment.run_range("refresh_accounts", ids).success
    assert deployment.run_range("refresh_daily", [lost], WINDOW).success
    before = {key: deployment.read_bytes("ad_report_daily", key) for key in format_keys([lost], WINDOW)}
    deployment.revoke(lost)
    result = deployment.run_range("refresh_daily", ids, WINDOW)
    assert not result.success
    for table in DAILY:
        message = get_failure(result, table)
        assert message.startswith("3 of 12 partitions failed: ")
        assert lost in message
        assert "Grant the account to the app again" in message
        assert not any(other in message for other in (first, *others))
        # The lost account has only the materialization from before it lost its grant.
        assert Counter(key for key, _ in deployment.materializations(table)) == Counter(format_keys(ids, WINDOW))
        assert deployment.stored_keys(table) == format_keys(ids, WINDOW)
    assert {key: deployment.read_bytes("ad_report_daily", key) for key in before} == before


@pytest.mark.slow
def test_failed_partitions_are_recorded(deployment: Deployment) -> None:
    """Each failed partition has an observation with the error, its code, and the fix; the others have none."""
    ids = deployment.add_partitions()
    lost = ids[1]
    assert deployment.run_range("refresh_accounts", ids).success
    deployment.revoke(lost)
    assert not deployment.run_range("refresh_daily", ids, WINDOW).success
    for table in DAILY:
        records = deployment.instance.fetch_observations(dg.AssetKey(table), limit=100).records
        observations = [record.asset_observation for record in records]
        assert Counter(one.partition for one in observations if one) == Counter(format_keys([lost], WINDOW))
        for one in observations:
            assert one
            values = {name: value.value for name, value in one.metadata.items()}
            assert lost in str(values["error"])
            assert "Grant the account to the app again" in str(values["fix"])
            assert {"api_code", "request_id"} <= values.keys()


@pytest.mark.slow
def test_lost_account_fails_alone_in_other_stages(deployment: Deployment) -> None:
    """Entities and lifetime reports of the others are stored; every failed step names the lost account."""
    ids = deployment.add_partitions()
    lost = ids[1]
    deployment.revoke(lost)
    deployment.run_range("refresh_accounts", ids, tables=["campaigns", "ad_groups", "ads"])
    assert deployment.stored_keys("campaigns") == sorted(set(ids) - {lost})
    result = deployment.run_range("refresh_lifetime", ids)
    assert not result.success
    for table in LIFETIME:
        assert lost in get_failure(result, table)
        assert sorted(key for key, _ in deployment.materializations(table)) == sorted(set(ids) - {lost})


@pytest.mark.slow
def test_no_secret_is_stored_or_logged(
    disk_deployment: Deployment,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After runs that succeeded, failed in part or failed at once, no file and no output holds a secret."""
    deployment = disk_deployment
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_accounts", ids[:2]).success
    deployment.revoke(ids[1])
    assert not deployment.run_range("refresh_daily", ids[:2], WINDOW).success
    deployment.host.inject_fault(
        "code", code=40105, message=f"Wrong token {deployment.host.sandbox.token}.", times=None
    )
    assert not deployment.run_range("refresh_accounts", ids[:2]).success
    deployment.host.sandbox.state.faults.clear()
    deployment.host.inject_fault("redirect", status=302, location="http://127.0.0.1:9/else", times=None)
    assert not deployment.run("refresh_accounts", tables=["advertisers"]).success
    out, err = capfd.readouterr()
    assert "RUN_FAILURE" in err  # the events were captured
    shown = {"stdout": out, "stderr": err, "log": "".join(str(vars(record)) for record in caplog.records)}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    for secret in deployment.host.secrets:
        assert [name for name, text in shown.items() if secret in text] == []
        assert [path for path in files if secret.encode() in path.read_bytes()] == []


def test_write_failure_names_the_folder(deployment: Deployment, tmp_path: Path) -> None:
    """A data folder that is a file fails the run with its path, and no partition is recorded."""
    ids = deployment.add_partitions()
    (tmp_path / "data").write_text("in the way")
    result = deployment.run_range("refresh_daily", ids, WINDOW, ["ad_report_daily"])
    assert not result.success
    (event,) = [one for one in result.all_events if one.is_step_failure]
    assert "TIKTOK_DATA_DIR" in str(event.step_failure_data.error)
    assert deployment.materializations("ad_report_daily") == []

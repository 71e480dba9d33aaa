"""Test that invalid rows are rejected: the stored partition stays unchanged, and the error says why."""

from pathlib import Path

import pytest

from tiktok_assets.api.errors import ContractError
from tiktok_assets.ingest.account_reader import ADVERTISERS_SCHEMA
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.spec.entities import ADS, CAMPAIGNS, Entity
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import days_back, granted_accounts, open_reader

AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
CAMPAIGN_LIFETIME = REPORTS_BY_TABLE["campaign_report_lifetime"]


def read_parquet_files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every Parquet file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.mark.parametrize(
    ("table", "wrong_value", "reason"),
    [
        (AD_DAILY, {"ad_id": None}, "ad_id"),
        (AD_DAILY, {"impressions": "-3"}, None),
        (AD_DAILY, {"spend": "12,50"}, "spend is '12,50'"),
        (AD_DAILY, {"stat_time_day": "2020-01-01 00:00:00"}, "outside the requested days"),
        (CAMPAIGN_LIFETIME, {"reach": "-1"}, None),
        (ADS, {"advertiser_id": "7000000000000000001"}, "another account"),
        (ADS, {"ad_id": None}, "ad_id"),
        (CAMPAIGNS, {"budget": "-"}, None),  # "-" means null
    ],
    ids=lambda one: getattr(one, "table", None) or (str(one) if isinstance(one, dict) else ""),
)
def test_an_invalid_row_leaves_its_partition_unchanged(
    small: Host, tmp_path: Path, table: Report | Entity, wrong_value: dict[str, str | None], reason: str | None
) -> None:
    """A row without key or spend, or of another account or day, fails its own partitions."""
    account, store = granted_accounts(small)[0], HiveStore(str(tmp_path))
    with open_reader(small) as one:

        def refresh() -> list[WrittenPartition | FailedPartitions]:
            if isinstance(table, Report):
                days = days_back(3, 1) if table.cadence == "daily" else []
                return list(refresh_report(one.reader, store, table, {account: days}))
            return list(refresh_entity(one.reader, store, table, [account.advertiser_id]))

        assert {type(results) for results in refresh()} == {WrittenPartition}
        before = read_parquet_files(tmp_path)
        assert before
        ((field, value),) = wrong_value.items()
        small.inject_fault("wrong_value", field=field, value=value, times=None)
        results = refresh()
        if reason is None:
            assert {type(outcome) for outcome in results} == {WrittenPartition}
            return
    failures = [one for one in results if isinstance(one, FailedPartitions)]
    assert failures
    for failure in failures:
        assert isinstance(failure.error, ContractError)
        assert reason in str(failure.error)
    failed_folders = {partition.folder for failure in failures for partition in failure.partitions}
    after = read_parquet_files(tmp_path)
    assert after.keys() == before.keys()
    kept = [path for path in before if any(path.endswith(f"{folder}/part-0.parquet") for folder in failed_folders)]
    assert kept
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}


def test_accounts_without_an_id_replace_nothing(small: Host, tmp_path: Path) -> None:
    """If no row of accounts has an id, the table `advertisers` stays unchanged."""
    store, ids = HiveStore(str(tmp_path)), [account.advertiser_id for account in granted_accounts(small)]
    with open_reader(small) as one:
        refresh_advertisers(one.reader, store, ids)
        before = read_parquet_files(tmp_path)
        small.inject_fault("wrong_type", field="advertiser_id", times=None)
        with pytest.raises(ContractError, match="advertiser_id"):
            refresh_advertisers(one.reader, store, ids)
    assert read_parquet_files(tmp_path) == before


def test_a_single_account_without_an_id_is_identified_by_the_request(small: Host, tmp_path: Path) -> None:
    """If one requested account is missing and one row has no id, the row is of that account."""
    store, ids = HiveStore(str(tmp_path)), [account.advertiser_id for account in granted_accounts(small)]
    with open_reader(small) as one:
        refresh_advertisers(one.reader, store, ids)
        before = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
        small.inject_fault("wrong_value", field="advertiser_id", value=None, times=None)
        written, result = refresh_advertisers(one.reader, store, ids)
    after = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
    assert after.drop("fetched_at", "extra").equals(before.drop("fetched_at", "extra"))
    assert (written.malformed_values, dict(result.refused), dict(result.lost)) == (1, {}, {})

"""Laws of what is refused: rows that cannot be true leave the partition as it stood, and the error names them."""

from pathlib import Path

import pytest

from tiktok_assets.api.errors import ContractError
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.ingest.writer import ADVERTISERS_SCHEMA, refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.spec.entities import ADS, CAMPAIGNS, Entity
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, Report
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import accounts_of, days_back, reading

AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
CAMPAIGN_LIFETIME = REPORTS_BY_TABLE["campaign_report_lifetime"]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.mark.parametrize(
    ("what", "spoiled", "named"),
    [
        (AD_DAILY, {"ad_id": None}, "ad_id"),
        (AD_DAILY, {"impressions": "-3"}, None),
        (AD_DAILY, {"spend": "12,50"}, "spend is '12,50'"),
        (AD_DAILY, {"stat_time_day": "2020-01-01 00:00:00"}, "days outside"),
        (CAMPAIGN_LIFETIME, {"reach": "-1"}, None),
        (ADS, {"advertiser_id": "7000000000000000001"}, "of another account"),
        (ADS, {"ad_id": None}, "ad_id"),
        (CAMPAIGNS, {"budget": "-"}, None),  # "-" is TikTok's word for nothing
    ],
    ids=lambda one: getattr(one, "table", None) or (str(one) if isinstance(one, dict) else ""),
)
def test_what_cannot_be_true_leaves_the_partition_as_it_stood(
    small: Host, tmp_path: Path, what: Report | Entity, spoiled: dict[str, str | None], named: str | None
) -> None:
    """A row without key, of another account or day, or without its spend fails and replaces nothing of its own."""
    account, store = accounts_of(small)[0], HiveStore(str(tmp_path))
    with reading(small) as one:

        def refresh() -> list[WrittenPartition | FailedPartitions]:
            if isinstance(what, Report):
                days = days_back(3, 1) if what.cadence == "daily" else []
                return list(refresh_report(one.reader, store, what, {account: days}))
            return list(refresh_entity(one.reader, store, what, [account.advertiser_id]))

        assert {type(made) for made in refresh()} == {WrittenPartition}
        before = contents(tmp_path)
        assert before
        ((field, value),) = spoiled.items()
        small.misbehave("wrong_value", field=field, value=value, times=None)
        made = refresh()
        if named is None:
            assert {type(outcome) for outcome in made} == {WrittenPartition}
            return
    failures = [one for one in made if isinstance(one, FailedPartitions)]
    assert failures
    for failed in failures:
        assert isinstance(failed.error, ContractError)
        assert named in str(failed.error)
    lost = {partition.folder for failed in failures for partition in failed.partitions}
    after = contents(tmp_path)
    assert after.keys() == before.keys()
    kept = [path for path in before if any(path.endswith(f"{folder}/part-0.parquet") for folder in lost)]
    assert kept
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}


def test_accounts_without_an_id_replace_nothing(small: Host, tmp_path: Path) -> None:
    """An answer about accounts none of which says whose it is leaves the table of accounts as it stood."""
    store, ids = HiveStore(str(tmp_path)), [account.advertiser_id for account in accounts_of(small)]
    with reading(small) as one:
        refresh_advertisers(one.reader, store, ids)
        before = contents(tmp_path)
        small.misbehave("wrong_type", field="advertiser_id", times=None)
        with pytest.raises(ContractError, match="advertiser_id"):
            refresh_advertisers(one.reader, store, ids)
    assert contents(tmp_path) == before


def test_one_account_without_an_id_is_known_from_the_question(small: Host, tmp_path: Path) -> None:
    """Where one account asked for did not come and one that came says no id, they are the same."""
    store, ids = HiveStore(str(tmp_path)), [account.advertiser_id for account in accounts_of(small)]
    with reading(small) as one:
        refresh_advertisers(one.reader, store, ids)
        before = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
        small.misbehave("wrong_value", field="advertiser_id", value=None, times=None)
        landed, read = refresh_advertisers(one.reader, store, ids)
    after = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
    assert after.drop("fetched_at", "extra").equals(before.drop("fetched_at", "extra"))
    assert (landed.malformed_values, dict(read.refused), dict(read.lost)) == (1, {}, {})

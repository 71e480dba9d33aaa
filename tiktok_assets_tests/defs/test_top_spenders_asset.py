"""Test the ranking as an asset: it ranks the stored reports, one account at a time."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

from tiktok_assets.defs.derived_assets import read_recent_days
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.ingest.partitions import IS_COMPLETE_KEY
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets.tables.schema import build_schema
from tiktok_assets.top_spenders.ranking import rank_top_spenders
from tiktok_assets_tests.defs.conftest import Deployment, DeploymentFactory


def test_stored_ranking_ranks_the_stored_reports(deployment: Deployment) -> None:
    """One run over all accounts stores for each the ranking of its stored lifetime reports."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_lifetime", ids).success
    assert deployment.run_range("refresh_derived", ids, tables=["top_spenders"]).success
    assert deployment.stored_keys("top_spenders") == ids
    assert Counter(key for key, _ in deployment.materializations("top_spenders")) == Counter(ids)
    expected = rank_top_spenders(
        deployment.read_table("ad_report_lifetime"), deployment.read_table("campaign_report_lifetime")
    )
    ranking = deployment.read_table("top_spenders")
    beside = ["leads_since", "complete_days"]
    assert ranking.drop(beside).equals(expected.drop(beside))
    assert expected.height == 3
    assert ranking.get_column("leads_since").equals(ranking.get_column("fetched_at").alias("leads_since"))
    assert ranking.get_column("complete_days").to_list() == [0, 0, 0]


def test_windows_are_the_last_complete_days(make_deployment: DeploymentFactory) -> None:
    """Windows over complete days match the sandbox; a window without enough complete days is null."""
    deployment = make_deployment(reports="ad_report_daily,ad_report_lifetime,campaign_report_lifetime")
    ids = deployment.add_partitions()
    for result in [*deployment.refresh("refresh_accounts"), *deployment.refresh("refresh_daily")]:
        assert result.success
    assert deployment.run_range("refresh_lifetime", ids).success
    assert deployment.run_range("refresh_derived", ids, tables=["top_spenders"]).success
    ranking = deployment.read_table("top_spenders").to_dicts()
    assert len(ranking) == 3
    for row in ranking:
        until = row["complete_until"]
        spends: dict[str, Decimal] = {}
        for ago in range(3):
            day = str(until - timedelta(ago))
            owner = row["advertiser_id"]
            for fact in deployment.host.ground_truth(
                "report", level="ad", advertiser_id=owner, start_date=day, end_date=day
            ):
                ad_id = str(fact["id"])
                spends[ad_id] = spends.get(ad_id, Decimal(0)) + Decimal(fact["metrics"]["spend"])
        order = sorted(spends, key=lambda ad: (-spends[ad], ad))
        assert row["complete_days"] >= 3
        assert (row["top_3d_ad_id"], row["top_3d_spend"]) == (order[0], spends[order[0]])
        assert (row["spend_3d"], row["campaign_spend_3d"]) == (spends[row["ad_id"]], sum(spends.values()))
        assert row["rank_3d"] == order.index(row["ad_id"]) + 1
        assert [row["spend_30d"], row["rank_30d"], row["top_30d_ad_id"]] == [None] * 3


def test_missing_day_ends_the_windows(deployment: Deployment) -> None:
    """Days before a missing one do not count, nor do days that end long before the ranking was read."""
    ids = deployment.add_partitions()
    schema = build_schema(get_stored_tables(deployment.settings)["ad_report_daily"])
    columns = get_stored_tables(deployment.settings)["ad_report_daily"]
    today = deployment.now.date()
    for ago in (1, 2, 4, 5):
        partition = Partition(ids[0], today - timedelta(ago))
        deployment.store.write("ad_report_daily", partition, schema.to_frame(), metadata={IS_COMPLETE_KEY: "true"})
    deployment.store.write(
        "ad_report_daily", Partition(ids[0], today), schema.to_frame(), metadata={IS_COMPLETE_KEY: "false"}
    )
    near = read_recent_days(deployment.store, columns, ids[:2], deployment.now).days.rows()
    assert near == [(ids[0], today - timedelta(1), 2), (ids[1], None, 0)]
    late = read_recent_days(deployment.store, columns, ids[:1], deployment.now + timedelta(2)).days.rows()
    assert late == [(ids[0], today - timedelta(1), 2)]
    stale = read_recent_days(deployment.store, columns, ids[:1], deployment.now + timedelta(3)).days.rows()
    assert stale == [(ids[0], None, 0)]


def test_top_spenders_match_the_sandbox(deployment: Deployment) -> None:
    """The top spender of each campaign is the one of the sandbox's ground truth, with that spend."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_lifetime", ids).success
    assert deployment.run_range("refresh_derived", ids, tables=["top_spenders"]).success
    leaders = {
        row["advertiser_id"]: (row["ad_id"], row["spend"])
        for row in deployment.read_table("top_spenders").to_dicts()
    }
    for owner in ids:
        facts = deployment.host.ground_truth("report", level="ad", advertiser_id=owner, lifetime="true")
        spends = {str(fact["id"]): Decimal(fact["metrics"]["spend"]) for fact in facts}
        if not spends:
            assert owner not in leaders
            continue
        best = min(spends, key=lambda ad: (-spends[ad], ad))
        assert leaders[owner] == (best, spends[best])


def test_ranking_one_account_keeps_the_others(deployment: Deployment) -> None:
    """A run for one account reads and writes only the partition of that account."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_lifetime", ids).success
    result = deployment.run("refresh_derived", {"dagster/partition": ids[1]}, ["top_spenders"])
    assert result.success
    assert deployment.stored_keys("top_spenders") == [ids[1]]
    assert set(deployment.read_table("top_spenders").get_column("advertiser_id")) == {ids[1]}

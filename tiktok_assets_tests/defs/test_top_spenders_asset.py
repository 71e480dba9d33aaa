"""Test the ranking as an asset: it ranks the stored reports, one account at a time."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from tiktok_assets.defs.derived_assets import read_recent_days
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.ingest.partitions import IS_COMPLETE_KEY
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets.storage.state import outbox
from tiktok_assets.tables.schema import build_schema
from tiktok_assets.top_spenders.flags import assess_ads, record_flag
from tiktok_assets.top_spenders.ranking import rank_top_spenders
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import WEDNESDAY, Deployment, DeploymentFactory, open_deployment


@pytest.mark.slow
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


@pytest.mark.slow
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


STORY = WorldPlan(anchor=WEDNESDAY, days=75, advertisers=1, smart_plus_story=True)


@pytest.mark.slow
def test_smart_plus_creative_that_overtakes_is_told_with_its_ad(tmp_path: Path) -> None:
    """The new leading creative of a Smart+ campaign is told once, with its ad and its video's spend."""
    with (
        Host.run(STORY) as host,
        open_deployment(
            host, tmp_path, min_spend=0, reports="ad_report_lifetime,campaign_report_lifetime"
        ) as deployment,
    ):
        story = host.sandbox.world.smart_plus_scenario
        assert story
        for at in (story.t1, story.t2):
            host.sandbox.clock.set(at)
            (owner,) = deployment.add_partitions()
            assert all(result.success for result in deployment.refresh("refresh_accounts"))
            assert deployment.run_range("refresh_lifetime", [owner]).success
            assert deployment.run_range("refresh_derived", [owner], tables=["top_spenders"]).success
        facts = {
            str(one["id"]): one
            for one in host.ground_truth("report", level="ad", advertiser_id=owner, lifetime="true")
        }
        spends = {ad_id: Decimal(fact["metrics"]["spend"]) for ad_id, fact in facts.items()}
        ads = {row["ad_id"]: row for row in deployment.read_table("ads").to_dicts()}
        new = ads[story.new_leader_ad_id]
        same_ad = [ad_id for ad_id, row in ads.items() if row["smart_plus_ad_id"] == new["smart_plus_ad_id"]]
        same_video = [
            ad_id
            for ad_id, row in ads.items()
            if (row["campaign_id"], row["video_id"]) == (new["campaign_id"], new["video_id"])
        ]
        state, store, settings = deployment.session.state, deployment.store, deployment.settings
        (told,) = [
            one for one in assess_ads(state, store, settings, deployment.now) if one.ad_key[1] == story.campaign_id
        ]
        assert (told.ad_key[2], told.holds) == (story.new_leader_ad_id, ())
        assert told.facts["ad_kind"] == "upgraded_smart_plus"
        assert told.facts["smart_plus_ad_name"] == "New hooks"
        assert Decimal(told.facts["smart_plus_ad_spend"]) == sum(spends[ad_id] for ad_id in same_ad)
        assert told.facts["media_ads"] == len(same_video) > 1
        assert Decimal(told.facts["media_spend"]) == sum(spends[ad_id] for ad_id in same_video)
        for _ in range(2):
            record_flag(state, store, settings, told.ad_key, deployment.now)
        with state.transaction() as connection:
            (message,) = connection.scalars(sa.select(outbox.c.message))
        assert "It is a creative of the Smart+ ad New hooks, with " in message["text"]
        assert str(told.facts["duplication_reason"]) in message["text"]

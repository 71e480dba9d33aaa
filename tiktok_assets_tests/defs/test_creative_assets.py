"""Test the tables of creatives as assets: they are built after a refresh, from what is stored."""

from collections import Counter

import polars as pl
import pytest

from tiktok_assets_tests.defs.conftest import Deployment, DeploymentFactory

CREATIVE_TABLES = ["creatives", "creative_daily"]


def refresh(deployment: Deployment) -> list[str]:
    """Refresh all accounts and build the two tables, and return the accounts."""
    ids = deployment.add_partitions()
    for stage in ("refresh_accounts", "refresh_daily"):
        for result in deployment.refresh(stage):
            assert result.success
    assert deployment.run_range("refresh_lifetime", ids).success
    assert deployment.run_range("refresh_derived", ids, tables=CREATIVE_TABLES).success
    return ids


@pytest.mark.slow
def test_creatives_hold_all_spend_of_the_ads(make_deployment: DeploymentFactory) -> None:
    """Both tables hold each account's spend to the cent, with one event an account and table."""
    deployment = make_deployment(reports="ad_report_daily,ad_report_lifetime,campaign_report_lifetime")
    ids = refresh(deployment)
    for table in CREATIVE_TABLES:
        assert deployment.stored_keys(table) == ids
        assert Counter(key for key, _ in deployment.materializations(table)) == Counter(ids)
    creatives, daily = (deployment.read_table(table) for table in CREATIVE_TABLES)
    for name, source in (("creative_daily", "ad_report_daily"), ("creatives", "ad_report_lifetime")):
        column = "spend" if name == "creative_daily" else "spend_lifetime"
        summed = (
            (daily if name == "creative_daily" else creatives).group_by("advertiser_id").agg(pl.col(column).sum())
        )
        expected = deployment.read_table(source).group_by("advertiser_id").agg(pl.col("spend").sum().alias(column))
        assert summed.sort("advertiser_id").equals(expected.sort("advertiser_id"))
    assert creatives.height == creatives.select("advertiser_id", "creative_id").unique().height
    ads = deployment.read_table("ads")
    assert creatives.get_column("ads").sum() == ads.height
    assert {"video"} <= set(creatives.get_column("creative_kind")) <= {"video", "post", "images", "ad"}
    rates = creatives.get_column("hook_rate_lifetime").drop_nulls()
    assert len(rates) > 0
    assert rates.is_between(0, 100).all()


def test_tables_need_the_daily_ad_report(make_deployment: DeploymentFactory) -> None:
    """Without `ad_report_daily` the two tables do not exist."""
    deployment = make_deployment(reports="campaign_report_daily")
    keys = {key.to_user_string() for key in deployment.definitions.resolve_asset_graph().get_all_asset_keys()}
    assert not keys & set(CREATIVE_TABLES)

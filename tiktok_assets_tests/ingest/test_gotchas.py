"""Test gotchas of the API that no other test file covers; the whole list is in `docs/gotchas.md`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest

import tiktok_assets
from tiktok_assets.api.errors import TikTokError
from tiktok_assets.ingest.entity_reader import read_entities
from tiktok_assets.ingest.report_reader import plan_report_requests, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.entities import ADS
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import SMALL, Host
from tiktok_assets_tests.ingest.conftest import days_back, granted_accounts, open_reader

AD_DAILY, AD_LIFETIME = REPORTS_BY_TABLE["ad_report_daily"], REPORTS_BY_TABLE["ad_report_lifetime"]
CAMPAIGN_LIFETIME = REPORTS_BY_TABLE["campaign_report_lifetime"]
PACKAGE = Path(str(tiktok_assets.__file__)).parent


@pytest.fixture(scope="module")
def smart_plus() -> Iterator[tuple[Host, Account, str]]:
    """Yield a host, its account with an Upgraded Smart+ campaign, and the id of that campaign."""
    with Host.run(WorldPlan()) as host:
        smart = next(
            campaign
            for advertiser in host.sandbox.world.advertisers.values()
            for campaign in advertiser.campaigns
            if campaign.automation != "MANUAL"
        )
        (account,) = [one for one in granted_accounts(host) if one.advertiser_id == smart.advertiser.id]
        yield host, account, smart.id


def read_ads(host: Host, account: Account) -> pl.DataFrame:
    """Read the ads of an account without error."""
    with open_reader(host) as one:
        ((_, read),) = read_entities(one.reader, ADS, [account.advertiser_id])
    assert not isinstance(read, TikTokError)
    return read[0]


def read_report(host: Host, table: str, account: Account, days: int = 0) -> pl.DataFrame:
    """Read a report of an account without error."""
    with open_reader(host) as one:
        requests = plan_report_requests(REPORTS_BY_TABLE[table], account, days_back(days, 1) if days else [])
        responses = [response for _, response in read_reports(one.reader, requests)]
    assert all(isinstance(response, ReportResponse) for response in responses)
    return pl.concat([response.frame for response in responses if isinstance(response, ReportResponse)])


def test_smart_plus_ads_without_modify_time_are_read(smart_plus: tuple[Host, Account, str]) -> None:
    """Smart+ ads are read with all others; their `modify_time` is null if the host returns none."""
    host, account, smart = smart_plus
    ads = read_ads(host, account)
    without_time = ads.filter(pl.col("modify_time").is_null())
    assert without_time.height > 0
    assert set(without_time.get_column("campaign_id")) == {smart}
    assert ads.height == len(host.ground_truth("ads", advertiser_id=account.advertiser_id))


def test_smart_plus_spend_is_counted_once(smart_plus: tuple[Host, Account, str]) -> None:
    """The ad rows of a Smart+ campaign add up to its spend, because only one kind of ad id is requested."""
    host, account, smart = smart_plus
    host.reset()
    ad_rows = read_report(host, AD_LIFETIME.table, account).filter(pl.col("campaign_id") == smart)
    campaign_rows = read_report(host, CAMPAIGN_LIFETIME.table, account).filter(pl.col("campaign_id") == smart)
    assert ad_rows.height > 1
    assert ad_rows.get_column("spend").sum() == campaign_rows.get_column("spend").item() > 0
    assert ["ad_id_v2" in str(one["query"]) for one in host.requests] == [False, False]


def test_a_deleted_ad_keeps_its_report_rows() -> None:
    """The daily and lifetime rows of a deleted ad stay the same, and it is listed as deleted."""
    with Host.run(SMALL) as host:
        account = granted_accounts(host)[0]
        before = [
            read_report(host, table, account, days)
            for table, days in (("ad_report_daily", 4), (AD_LIFETIME.table, 0))
        ]
        ad = read_ads(host, account).row(0, named=True)
        response = httpx.post(
            f"{host.sandbox.base_url}/open_api/v1.3/ad/status/update/",
            json={"advertiser_id": account.advertiser_id, "ad_ids": [ad["ad_id"]], "operation_status": "DELETE"},
            headers={"Access-Token": host.sandbox.token},
        )
        assert response.json()["code"] == 0
        after = [
            read_report(host, table, account, days)
            for table, days in (("ad_report_daily", 4), (AD_LIFETIME.table, 0))
        ]
        for old, new in zip(before, after, strict=True):
            assert ad["ad_id"] in set(new.get_column("ad_id"))
            assert old.drop("fetched_at").equals(new.drop("fetched_at"))
        deleted = read_ads(host, account).filter(pl.col("ad_id") == ad["ad_id"])
        assert deleted.get_column("secondary_status").to_list() == ["AD_STATUS_DELETE"]


def test_reach_is_never_summed(smart_plus: tuple[Host, Account, str]) -> None:
    """Metrics that count people are not additive, and lifetime reach is TikTok's value, not a sum."""
    host, account, _ = smart_plus
    assert {"reach", "frequency"} <= {metric.name for metric in METRICS if not metric.is_additive}
    days = read_report(host, AD_DAILY.table, account, 30).group_by("ad_id").agg(pl.col("reach").sum().alias("sum"))
    compared = read_report(host, AD_LIFETIME.table, account).join(days, on="ad_id").filter(pl.col("reach") > 0)
    facts = host.ground_truth("report", level="ad", advertiser_id=account.advertiser_id, lifetime="true")
    expected = {fact["id"]: fact["metrics"]["reach"] for fact in facts}
    assert {row["ad_id"]: str(row["reach"]) for row in compared.to_dicts()}.items() <= expected.items()
    assert compared.filter(pl.col("reach") != pl.col("sum")).height > 0


@pytest.mark.slow
def test_the_package_does_not_import_tiktoks_sdk() -> None:
    """TikTok's SDK is used by the tests for comparison, and not by the package."""
    imported = {
        name
        for module in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert [name for name in imported if name.startswith("business_api_client")] == []

"""Laws of gotchas that no other room shows; the whole list is in `docs/gotchas.md`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest

import tiktok_assets
from tiktok_assets.api.errors import TikTokError
from tiktok_assets.ingest.report_reader import build_report_queries, read_entities, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.endpoints import ENDPOINTS, WRITES
from tiktok_assets.spec.entities import ADS
from tiktok_assets.spec.metric_catalogue import METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import SMALL, Host
from tiktok_assets_tests.ingest.conftest import accounts_of, days_back, reading

AD_DAILY, AD_LIFETIME = REPORTS_BY_TABLE["ad_report_daily"], REPORTS_BY_TABLE["ad_report_lifetime"]
CAMPAIGN_LIFETIME = REPORTS_BY_TABLE["campaign_report_lifetime"]
PACKAGE = Path(str(tiktok_assets.__file__)).parent


@pytest.fixture(scope="module")
def berlin() -> Iterator[tuple[Host, Account, str]]:
    """A world, its account with an Upgraded Smart+ campaign, and that campaign's id."""
    with Host.run(WorldPlan()) as host:
        smart = next(
            campaign
            for advertiser in host.sandbox.world.advertisers.values()
            for campaign in advertiser.campaigns
            if campaign.automation != "MANUAL"
        )
        (account,) = [one for one in accounts_of(host) if one.advertiser_id == smart.advertiser.id]
        yield host, account, smart.id


def ads_of(host: Host, account: Account) -> pl.DataFrame:
    """The ads of an account, which must come."""
    with reading(host) as one:
        ((_, read),) = read_entities(one.reader, ADS, [account.advertiser_id])
    assert not isinstance(read, TikTokError)
    return read[0]


def report_of(host: Host, table: str, account: Account, days: int = 0) -> pl.DataFrame:
    """A report of an account, which must come."""
    with reading(host) as one:
        questions = build_report_queries(REPORTS_BY_TABLE[table], account, days_back(days, 1) if days else [])
        answers = [answer for _, answer in read_reports(one.reader, questions)]
    assert all(isinstance(answer, ReportResponse) for answer in answers)
    return pl.concat([answer.frame for answer in answers if isinstance(answer, ReportResponse)])


def test_smart_plus_ads_without_a_time_of_change_are_stored(berlin: tuple[Host, Account, str]) -> None:
    """Ads of Smart+ are read with all others; where the host tells no `modify_time` theirs is null."""
    host, account, smart = berlin
    ads = ads_of(host, account)
    untold = ads.filter(pl.col("modify_time").is_null())
    assert untold.height > 0
    assert set(untold.get_column("campaign_id")) == {smart}
    assert ads.height == len(host.truth("ads", advertiser_id=account.advertiser_id))


def test_smart_plus_spend_is_counted_once(berlin: tuple[Host, Account, str]) -> None:
    """The spend of a Smart+ campaign's rows at the level of ads is the campaign's; no question names both."""
    host, account, smart = berlin
    host.behave()
    of_ads = report_of(host, AD_LIFETIME.table, account).filter(pl.col("campaign_id") == smart)
    of_campaign = report_of(host, CAMPAIGN_LIFETIME.table, account).filter(pl.col("campaign_id") == smart)
    assert of_ads.height > 1
    assert of_ads.get_column("spend").sum() == of_campaign.get_column("spend").item() > 0
    assert ["ad_id_v2" in str(one["query"]) for one in host.requests] == [False, False]


def test_an_ad_that_is_deleted_keeps_its_history() -> None:
    """After an ad was deleted its days and its lifetime read as before, and it is listed as deleted."""
    with Host.run(SMALL) as host:
        account = accounts_of(host)[0]
        before = [
            report_of(host, table, account, days)
            for table, days in (("ad_report_daily", 4), (AD_LIFETIME.table, 0))
        ]
        ad = ads_of(host, account).row(0, named=True)
        answer = httpx.post(
            f"{host.sandbox.base_url}/open_api/v1.3/ad/status/update/",
            json={"advertiser_id": account.advertiser_id, "ad_ids": [ad["ad_id"]], "operation_status": "DELETE"},
            headers={"Access-Token": host.sandbox.token},
        )
        assert answer.json()["code"] == 0
        after = [
            report_of(host, table, account, days)
            for table, days in (("ad_report_daily", 4), (AD_LIFETIME.table, 0))
        ]
        for old, new in zip(before, after, strict=True):
            assert ad["ad_id"] in set(new.get_column("ad_id"))
            assert old.drop("fetched_at").equals(new.drop("fetched_at"))
        deleted = ads_of(host, account).filter(pl.col("ad_id") == ad["ad_id"])
        assert deleted.get_column("secondary_status").to_list() == ["AD_STATUS_DELETE"]


def test_people_are_never_added_up(berlin: tuple[Host, Account, str]) -> None:
    """No metric that counts people may be summed, and a lifetime's reach is TikTok's own, not a sum."""
    host, account, _ = berlin
    assert {"reach", "frequency"} <= {metric.name for metric in METRICS if not metric.additive}
    days = report_of(host, AD_DAILY.table, account, 30).group_by("ad_id").agg(pl.col("reach").sum().alias("sum"))
    both = report_of(host, AD_LIFETIME.table, account).join(days, on="ad_id").filter(pl.col("reach") > 0)
    truth = host.truth("report", level="ad", advertiser_id=account.advertiser_id, lifetime="true")
    true = {fact["id"]: fact["metrics"]["reach"] for fact in truth}
    assert {row["ad_id"]: str(row["reach"]) for row in both.to_dicts()}.items() <= true.items()
    assert both.filter(pl.col("reach") != pl.col("sum")).height > 0


def test_no_asynchronous_report_is_asked_for() -> None:
    """None of the endpoints we know is of the asynchronous reports, whose headings are translated."""
    assert [one.path for one in (*ENDPOINTS, *WRITES) if "task" in one.path] == []


def test_nothing_that_ships_imports_tiktoks_sdk() -> None:
    """TikTok's SDK is a witness of the tests and no part of the program."""
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

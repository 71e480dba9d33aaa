"""Laws of what a report's rows may say of themselves, and of counts that find the same ways around as readings."""

import json
from datetime import timedelta

import pytest

from tiktok_assets.api.client import Client
from tiktok_assets.api.errors import RequestError, TruncatedError, UnreadableRowError
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.ingest.estimates import count_report
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import build_report_queries, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST, Host, Listener
from tiktok_assets_tests.ingest.conftest import TODAY, accounts_of, reading, true_report

AD_DAILY, AD_LIFETIME = REPORTS_BY_TABLE["ad_report_daily"], REPORTS_BY_TABLE["ad_report_lifetime"]
OURS = Account("7104142337395130369", "USD", "UTC")
SPEND = tuple(metric for metric in STANDARD_METRICS if metric.api_name == "spend")


def answer_to(dimensions: dict[str, str], metrics: dict[str, str]) -> ReportResponse | Exception:
    """What becomes of an ad's lifetime report of one row."""
    row = {"dimensions": {"ad_id": "17", **dimensions}, "metrics": {"spend": "1.00", **metrics}}
    info = {"page": 1, "page_size": 1000, "total_number": 1, "total_page": 1}
    body = {"code": 0, "message": "OK", "request_id": "1", "data": {"list": [row], "page_info": info}}
    with Listener(body=json.dumps(body).encode()) as host, Client(host.url, "a-token", policy=FAST) as client:
        fetcher = Fetcher(client)
        ((_, answer),) = read_reports(
            Reader(fetcher, client.now, SPEND), build_report_queries(AD_LIFETIME, OURS, [])
        )
        fetcher.close()
    return answer


@pytest.mark.parametrize("name", ["advertiser_id", "campaign_id", "adgroup_id", "ad_id_v2"])
def test_an_id_nobody_asked_for_is_no_dimension(name: str) -> None:
    """A parent, or the other id of an ad, among the dimensions is a broken contract: the rows are cut so."""
    answer = answer_to({name: OURS.advertiser_id}, {})
    assert type(answer) is UnreadableRowError
    assert f"{name} came as a dimension" in str(answer)


def test_a_row_of_another_account_is_refused() -> None:
    """An account echoed among an ad's metrics is ours or nothing is kept; one that is not echoed is ours."""
    answer = answer_to({}, {"advertiser_id": "7104142337395130370"})
    assert type(answer) is UnreadableRowError
    assert "7104142337395130370" in str(answer)
    for metrics in ({}, {"advertiser_id": OURS.advertiser_id}):
        good = answer_to({}, metrics)
        assert isinstance(good, ReportResponse)
        assert good.frame.get_column("advertiser_id").to_list() == [OURS.advertiser_id]


def test_a_count_leaves_withdrawn_metrics_out(small: Host) -> None:
    """A refused metric costs a count one request, and the next count none."""
    account, day = accounts_of(small)[0], TODAY - timedelta(1)
    rows = true_report(small, AD_DAILY, account, STANDARD_METRICS, [day])
    small.misbehave("code", code=40002, message="Invalid metric fields: ['spend', 'cpc'].")
    with reading(small) as one:
        assert count_report(one.reader, AD_DAILY, account, day) == len(rows)
        assert count_report(one.reader, AD_DAILY, account, day) == len(rows)
    assert [one["code"] for one in small.requests] == [40002, 0, 0]
    assert ["cpc" in one["query"]["metrics"] for one in small.requests] == [True, False, False]
    small.misbehave("code", code=40002, message="Invalid metric fields: ['mood'].")
    with reading(small) as one, pytest.raises(RequestError):
        count_report(one.reader, AD_DAILY, account, day)


def test_a_count_of_a_cut_report_is_of_the_whole() -> None:
    """Where a report holds its newest ads only, a count is the sum over ad groups; one that is cut is an error."""
    plan = WorldPlan(dense=True, advertisers=1, days=3, campaigns=2, ad_groups=8, ads=24)
    with Host.run(plan) as host:
        account, day = accounts_of(host)[0], TODAY - timedelta(1)
        ads = len(host.truth("ads", advertiser_id=account.advertiser_id))
        host.control("POST", "switches", max_report_ads=5)
        with reading(host) as one:
            assert count_report(one.reader, AD_LIFETIME, account, None) == ads
            assert count_report(one.reader, AD_DAILY, account, day) == ads
        host.control("POST", "switches", max_report_ads=1)
        with reading(host) as one, pytest.raises(TruncatedError):
            count_report(one.reader, AD_LIFETIME, account, None)

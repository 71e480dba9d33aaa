"""Test that report rows belong to the request, and that counts handle refusals as reads do."""

import json
from datetime import timedelta

import pytest

from tiktok_assets.api.client import Client
from tiktok_assets.api.errors import RequestError, TruncatedError, UnreadableRowError
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import plan_report_requests, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.ingest.size_estimates import count_report
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST, Host, Listener
from tiktok_assets_tests.ingest.conftest import TODAY, expected_report, granted_accounts, open_reader

AD_DAILY, AD_LIFETIME = REPORTS_BY_TABLE["ad_report_daily"], REPORTS_BY_TABLE["ad_report_lifetime"]
ACCOUNT = Account("7104142337395130369", "USD", "UTC")
SPEND = tuple(metric for metric in STANDARD_METRICS if metric.api_name == "spend")


def read_one_row(dimensions: dict[str, str], metrics: dict[str, str]) -> ReportResponse | Exception:
    """Read an ad lifetime report with one row, and return the response or the error."""
    row = {"dimensions": {"ad_id": "17", **dimensions}, "metrics": {"spend": "1.00", **metrics}}
    info = {"page": 1, "page_size": 1000, "total_number": 1, "total_page": 1}
    body = {"code": 0, "message": "OK", "request_id": "1", "data": {"list": [row], "page_info": info}}
    with Listener(body=json.dumps(body).encode()) as host, Client(host.url, "a-token", policy=FAST) as client:
        fetcher = Fetcher(client)
        ((_, response),) = read_reports(
            Reader(fetcher, client.now, SPEND), plan_report_requests(AD_LIFETIME, ACCOUNT, [])
        )
        fetcher.close()
    return response


@pytest.mark.parametrize("name", ["advertiser_id", "campaign_id", "adgroup_id", "ad_id_v2"])
def test_an_id_that_was_not_requested_is_an_error(name: str) -> None:
    """A parent id or the other ad id among the dimensions is an error, because it splits rows differently."""
    response = read_one_row({name: ACCOUNT.advertiser_id}, {})
    assert type(response) is UnreadableRowError
    assert f"a row has the dimension {name}" in str(response)


def test_a_row_of_another_account_is_rejected() -> None:
    """A row whose metrics contain the id of another account is rejected; the id may be missing."""
    response = read_one_row({}, {"advertiser_id": "7104142337395130370"})
    assert type(response) is UnreadableRowError
    assert "7104142337395130370" in str(response)
    for metrics in ({}, {"advertiser_id": ACCOUNT.advertiser_id}):
        accepted = read_one_row({}, metrics)
        assert isinstance(accepted, ReportResponse)
        assert accepted.frame.get_column("advertiser_id").to_list() == [ACCOUNT.advertiser_id]


def test_a_count_excludes_refused_metrics(small: Host) -> None:
    """A refused metric costs the first count one request, and the next one none."""
    account, day = granted_accounts(small)[0], TODAY - timedelta(1)
    rows = expected_report(small, AD_DAILY, account, STANDARD_METRICS, [day])
    small.inject_fault("code", code=40002, message="Invalid metric fields: ['spend', 'cpc'].")
    with open_reader(small) as one:
        assert count_report(one.reader, AD_DAILY, account, day) == len(rows)
        assert count_report(one.reader, AD_DAILY, account, day) == len(rows)
    assert [one["code"] for one in small.requests] == [40002, 0, 0]
    assert ["cpc" in one["query"]["metrics"] for one in small.requests] == [True, False, False]
    small.inject_fault("code", code=40002, message="Invalid metric fields: ['mood'].")
    with open_reader(small) as one, pytest.raises(RequestError):
        count_report(one.reader, AD_DAILY, account, day)


def test_a_count_of_a_truncated_report_is_complete() -> None:
    """The count of a truncated report is the sum over ad groups; an ad group that is truncated is an error."""
    plan = WorldPlan(dense=True, advertisers=1, days=3, campaigns=2, ad_groups=8, ads=24)
    with Host.run(plan) as host:
        account, day = granted_accounts(host)[0], TODAY - timedelta(1)
        ads = len(host.ground_truth("ads", advertiser_id=account.advertiser_id))
        host.control("POST", "switches", max_report_ads=5)
        with open_reader(host) as one:
            assert count_report(one.reader, AD_LIFETIME, account, None) == ads
            assert count_report(one.reader, AD_DAILY, account, day) == ads
        host.control("POST", "switches", max_report_ads=1)
        with open_reader(host) as one, pytest.raises(TruncatedError):
            count_report(one.reader, AD_LIFETIME, account, None)

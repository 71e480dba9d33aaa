"""Test the limits of reports: truncated reports, refused metrics and windows that are too large."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest

from tiktok_assets.api.client import Client
from tiktok_assets.api.errors import ContractError, RequestError, TooLargeError, TruncatedError
from tiktok_assets.api.pagination import MAX_QUERIES_IN_FLIGHT, MIN_QUERIES_AHEAD, Fetcher
from tiktok_assets.api.request_plan import split_into_windows
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import plan_report_requests, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.endpoints import MAX_IDS_PER_CALL
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets_tests.api.conftest import FAST, Host, Listener
from tiktok_assets_tests.ingest.conftest import (
    days_back,
    expected_report,
    granted_accounts,
    open_reader,
    report_rows,
)

AD_DAILY, AD_LIFETIME = REPORTS_BY_TABLE["ad_report_daily"], REPORTS_BY_TABLE["ad_report_lifetime"]
FOUR_DAYS = days_back(4, 1)
TRUNCATED_RESPONSE = (
    b'{"code":0,"message":"OK","request_id":"1","data":{"list":[],"page_info":{"total_number":0}}}'
)
PURCHASES = next(metric for metric in METRICS if metric.api_name == "total_purchase_value")
"""A metric of the catalogue that the host refuses."""

each_report = pytest.mark.parametrize("report", [AD_DAILY, AD_LIFETIME], ids=lambda report: report.table)


def days_to_read(report: Report) -> list[date]:
    """Return the days to request of a report."""
    return FOUR_DAYS if report.cadence == "daily" else []


def read_first_account(host: Host, report: Report) -> ReportResponse:
    """Read a report of the first account without error."""
    with open_reader(host) as one:
        ((_, response),) = read_reports(
            one.reader, plan_report_requests(report, granted_accounts(host)[0], days_to_read(report))
        )
    assert isinstance(response, ReportResponse)
    return response


def requested_ad_groups(host: Host) -> list[list[str]]:
    """Return the ids of each ad group filter that was sent."""
    filters = [json.loads(one["query"].get("filtering", "[]")) for one in host.requests if "report" in one["path"]]
    return [
        json.loads(row["filter_value"]) for rows in filters for row in rows if row["field_name"] == "adgroup_ids"
    ]


@pytest.mark.slow
@each_report
@pytest.mark.parametrize("max_ads", [3, 4, 20])
def test_a_truncated_report_is_read_by_ad_groups(report: Report, max_ads: int) -> None:
    """Whatever the limit of ads per report, the batches together have each row once, deleted ads included."""
    plan = WorldPlan(dense=True, advertisers=2, days=6, campaigns=2, ad_groups=8, ads=24)
    with Host.run(plan) as host:
        account = granted_accounts(host)[0]
        group = host.ground_truth("ad_groups", advertiser_id=account.advertiser_id)[0]
        ads = host.ground_truth("ads", advertiser_id=account.advertiser_id)
        assert len(ads) > 20
        expected = expected_report(host, report, account, STANDARD_METRICS, FOUR_DAYS)
        host.control("POST", "switches", max_report_ads=max_ads)
        response = read_first_account(host, report)
        assert report_rows(response.frame, report, STANDARD_METRICS) == expected
        assert len(expected) == len(ads) * (len(FOUR_DAYS) if report.cadence == "daily" else 1)
        requested = requested_ad_groups(host)
        assert group["adgroup_id"] in {one for ids in requested for one in ids}
        assert response.stats.pages == response.stats.requests <= len(host.requests)


def test_a_filter_has_a_hundred_ad_groups_at_most() -> None:
    """An account with 230 ad groups is read with filters of a hundred, and no ad is missing."""
    plan = WorldPlan(dense=True, advertisers=1, days=2, campaigns=2, ad_groups=230, ads=230)
    with Host.run(plan) as host:
        expected = expected_report(host, AD_LIFETIME, granted_accounts(host)[0], STANDARD_METRICS, [])
        host.control("POST", "switches", max_report_ads=120)
        response = read_first_account(host, AD_LIFETIME)
        assert report_rows(response.frame, AD_LIFETIME, STANDARD_METRICS) == expected
        assert sorted(map(len, requested_ad_groups(host))) == [30, MAX_IDS_PER_CALL, MAX_IDS_PER_CALL]


def test_a_truncated_report_includes_deleted_ads() -> None:
    """A truncated report is read by all listed ad groups, deleted ones included."""
    with Host.run() as agency:
        account = next(
            one
            for one in granted_accounts(agency)
            if any(
                "DELETE" in row["secondary_status"]
                for row in agency.ground_truth("ads", advertiser_id=one.advertiser_id)
            )
        )
        with open_reader(agency) as one:
            ((_, complete),) = read_reports(one.reader, plan_report_requests(AD_LIFETIME, account, []))
            assert isinstance(complete, ReportResponse)
            agency.control("POST", "switches", max_report_ads=complete.frame.height - 1)
            ((_, by_ad_groups),) = read_reports(one.reader, plan_report_requests(AD_LIFETIME, account, []))
        assert isinstance(by_ad_groups, ReportResponse)
        assert by_ad_groups.frame.drop("fetched_at").equals(complete.frame.drop("fetched_at"))
        assert requested_ad_groups(agency)


NEW_ACCOUNT = WorldPlan(dense=True, advertisers=1, days=2, campaigns=1, ad_groups=30, ads=1200)


@pytest.fixture
def new_account() -> Iterator[Host]:
    """Run an account whose 1,200 ads have spent nothing yet, so their sort order is undefined."""
    with Host.run(NEW_ACCOUNT) as host:
        host.control(
            "POST", "clock", now=(NEW_ACCOUNT.anchor - timedelta(days=3) + timedelta(minutes=30)).isoformat()
        )
        yield host


def test_a_report_with_unstable_pages_is_read_in_single_pages(new_account: Host) -> None:
    """Ads with equal spend that move between pages are read in batches of one page each."""
    new_account.inject_fault("ties_shuffled", path="report/integrated/get", times=None)
    response = read_first_account(new_account, AD_LIFETIME)
    ads = new_account.ground_truth("ads", advertiser_id=granted_accounts(new_account)[0].advertiser_id)
    assert sorted(response.frame.get_column("ad_id")) == sorted(one["ad_id"] for one in ads)
    assert len(ads) == 1200
    assert set(response.frame.get_column("spend")) == {Decimal(0)}
    sizes = [len(ids) for ids in requested_ad_groups(new_account)]
    assert max(sizes) <= 30
    assert len(new_account.requests) < 40


def test_unstable_pages_without_ad_groups_are_an_error(new_account: Host) -> None:
    """Without the list of ad groups there are no batches, and no row of the unstable pages is returned."""
    new_account.inject_fault("ties_shuffled", path="report/integrated/get", times=None)
    new_account.inject_fault("lost_row", path="adgroup/get", times=None)
    with open_reader(new_account) as one:
        ((_, error),) = read_reports(
            one.reader, plan_report_requests(AD_LIFETIME, granted_accounts(new_account)[0], [])
        )
    assert isinstance(error, ContractError)


def test_a_truncated_ad_group_is_an_error(small: Host) -> None:
    """If even one ad group has more ads than a report may contain, the error says so."""
    small.control("POST", "switches", max_report_ads=1)
    with open_reader(small) as one:
        ((_, error),) = read_reports(
            one.reader, plan_report_requests(AD_DAILY, granted_accounts(small)[0], FOUR_DAYS)
        )
    assert type(error) is TruncatedError
    assert "TikTok left rows out" in str(error)


@pytest.mark.parametrize("level", ["advertiser", "campaign", "ad_group"])
def test_a_truncated_report_of_another_level_is_an_error(small: Host, level: str) -> None:
    """A report of another level than ads is not split, and fails."""
    report = REPORTS_BY_TABLE[f"{level}_report_lifetime"]
    with Listener(body=TRUNCATED_RESPONSE, headers={"X-Tt-Ads-Throttle": "true"}) as host:
        with Client(host.url, "a-token", policy=FAST) as client:
            fetcher = Fetcher(client)
            reader = Reader(fetcher, client.now, STANDARD_METRICS)
            ((_, error),) = read_reports(reader, plan_report_requests(report, granted_accounts(small)[0], []))
            fetcher.close()
        assert len(host.received) == 1
    assert type(error) is TruncatedError


@each_report
def test_a_refused_metric_is_excluded_for_the_run(small: Host, report: Report) -> None:
    """The column of a refused metric is null, all other columns are correct, and it is not requested again."""
    small.control("POST", "switches", withdrawn_metrics=[PURCHASES.api_name])
    metrics = (*STANDARD_METRICS, PURCHASES)
    accounts = granted_accounts(small)
    requests = [one for account in accounts for one in plan_report_requests(report, account, days_to_read(report))]
    with open_reader(small, metrics=metrics) as one:
        responses = list(read_reports(one.reader, requests))
        sent = len(small.requests)
        again = list(read_reports(one.reader, requests))
    assert len(responses) == len(again) == len(accounts)
    for request, response in [*responses, *again]:
        assert isinstance(response, ReportResponse)
        assert response.stats.refused_metrics == ("total_purchase_value",)
        assert response.frame.get_column("total_purchase_value").null_count() == response.frame.height
        expected = expected_report(small, report, request.account, STANDARD_METRICS, FOUR_DAYS)
        assert report_rows(response.frame, report, STANDARD_METRICS) == expected
    refusals = [one["code"] for one in small.requests].count(40002)
    assert 1 <= refusals <= 1 + MIN_QUERIES_AHEAD  # the requests in flight at the time of the refusal
    assert sent == len(accounts) + refusals
    assert len(small.requests) == sent + len(accounts)


TWELVE_METRICS = tuple(metric.api_name for metric in STANDARD_METRICS[6:18])


@pytest.mark.parametrize(
    "refused_names",
    [("reach",), ("impressions", "ctr"), (PURCHASES.api_name,), ("spend", "likes"), TWELVE_METRICS],
    ids=str,
)
def test_refused_metrics_are_searched_once(small: Host, refused_names: tuple[str, ...]) -> None:
    """Refused metrics are found with few one-row requests, and another report needs one refused request."""
    metrics = (*STANDARD_METRICS, PURCHASES)
    all_refused = [*refused_names, PURCHASES.api_name]
    small.control("POST", "switches", withdrawn_metrics=all_refused, withdrawn_metrics_named=False)
    account = granted_accounts(small)[0]
    names = {metric.name for metric in metrics if metric.api_name in all_refused}
    with open_reader(small, metrics=metrics) as one:
        ((_, first),) = read_reports(one.reader, plan_report_requests(AD_DAILY, account, FOUR_DAYS))
        requests_before = len(small.requests)
        ((_, second),) = read_reports(one.reader, plan_report_requests(AD_LIFETIME, account, []))
    for response, report in ((first, AD_DAILY), (second, AD_LIFETIME)):
        assert isinstance(response, ReportResponse)
        assert set(response.stats.refused_metrics) == names
        kept = tuple(metric for metric in STANDARD_METRICS if metric.name not in names)
        assert report_rows(response.frame, report, kept) == expected_report(
            small, report, account, kept, FOUR_DAYS
        )
    assert requests_before <= 2 + 1 + 2 * len(names) * len(metrics).bit_length()
    assert len(small.requests) == requests_before + 2


def test_incompatible_dimensions_are_not_searched(small: Host) -> None:
    """If spend and impressions are refused too, the metrics are not the cause: three requests, once per run."""
    message = "Conflict occurs. The input params including metrics and dimensions have no relation."
    small.inject_fault("code", code=40002, message=message, times=None)
    with open_reader(small) as one:
        ((_, error),) = read_reports(one.reader, plan_report_requests(AD_LIFETIME, granted_accounts(small)[0], []))
        requests_before = len(small.requests)
        ((_, again),) = read_reports(one.reader, plan_report_requests(AD_LIFETIME, granted_accounts(small)[0], []))
    assert type(error) is type(again) is RequestError
    assert (requests_before, len(small.requests)) == (3, 4)


def test_a_refusal_that_is_not_about_metrics_is_not_searched(small: Host) -> None:
    """A refusal that is not about metrics is an error after one request."""
    small.inject_fault("code", code=40002, message="start_date: wrong", times=None)
    with open_reader(small) as one:
        ((_, error),) = read_reports(one.reader, plan_report_requests(AD_LIFETIME, granted_accounts(small)[0], []))
    assert type(error) is RequestError
    assert len(small.requests) == 1


def test_several_refused_metrics_are_excluded_even_spend(small: Host) -> None:
    """A refusal that names several metrics, the sort metric included, makes only their columns null."""
    message = "Please remove invalid metric fields and try again. Invalid metric fields: ['spend', 'cpc']."
    small.inject_fault("code", code=40002, message=message)
    response = read_first_account(small, AD_DAILY)
    assert response.stats.refused_metrics == ("spend", "cpc")
    kept = tuple(metric for metric in STANDARD_METRICS if metric.api_name not in {"spend", "cpc"})
    expected = expected_report(small, AD_DAILY, granted_accounts(small)[0], kept, FOUR_DAYS)
    assert report_rows(response.frame, AD_DAILY, kept) == expected
    assert response.frame.select("spend", "cpc").null_count().row(0) == (response.frame.height,) * 2


@pytest.mark.parametrize("names", [[], ["mood"], [metric.api_name for metric in STANDARD_METRICS]], ids=len)
def test_a_refusal_that_cannot_be_resolved_is_an_error(small: Host, names: list[str]) -> None:
    """If it names no metric, an unknown one or all of them, the report fails after one search at most."""
    small.inject_fault("code", code=40002, message=f"Invalid metric fields: {names!r}.", times=None)
    with open_reader(small) as one:
        ((_, error),) = read_reports(one.reader, plan_report_requests(AD_LIFETIME, granted_accounts(small)[0], []))
        requests_before = len(small.requests)
        ((_, again),) = read_reports(one.reader, plan_report_requests(AD_LIFETIME, granted_accounts(small)[0], []))
    assert type(error) is type(again) is RequestError
    assert requests_before <= 25
    assert len(small.requests) == requests_before + 1


@pytest.mark.slow
@pytest.mark.parametrize("code", [50002, 40067])
def test_a_window_that_was_too_large_is_halved_for_the_run(small: Host, code: int) -> None:
    """After one refusal the run requests half the days of that report, and every day is read once."""
    account, days = granted_accounts(small)[0], days_back(30 * 2 * MAX_QUERIES_IN_FLIGHT, 1)
    small.inject_fault("code", code=code)
    with open_reader(small) as one:
        responses = list(read_reports(one.reader, plan_report_requests(AD_DAILY, account, days)))
        other = list(read_reports(one.reader, plan_report_requests(AD_LIFETIME, account, [])))
    frames = [response.frame for _, response in responses if isinstance(response, ReportResponse)]
    requested = sorted(day for request, _ in responses if request.window for day in request.window.days)
    assert requested == days
    assert report_rows(pl.concat(frames), AD_DAILY, STANDARD_METRICS) == expected_report(
        small, AD_DAILY, account, STANDARD_METRICS, days
    )
    assert [one["code"] for one in small.requests].count(code) == 1
    long_windows = [request for request, _ in responses if request.window and len(request.window.days) > 15]
    # Those in flight when the refusal was read: a few, or on a busy machine as many as there may be.
    assert len(long_windows) <= MAX_QUERIES_IN_FLIGHT + MIN_QUERIES_AHEAD
    assert len(responses) == 2 * len(split_into_windows(days)) - len(long_windows)
    assert isinstance(other[0][1], ReportResponse)


def test_a_year_whose_first_windows_time_out_is_complete(small: Host) -> None:
    """Each day of a year is read once, and no request that timed out is sent again."""
    account, days = granted_accounts(small)[0], days_back(360, 1)
    small.inject_fault("code", code=50002, times=5)
    with open_reader(small) as one:
        responses = list(read_reports(one.reader, plan_report_requests(AD_DAILY, account, days)))
    assert [type(response) for _, response in responses if isinstance(response, TooLargeError)] == []
    assert sorted(day for request, _ in responses if request.window for day in request.window.days) == days
    assert [one["code"] for one in small.requests].count(50002) == 5
    assert len(small.requests) == len(responses) + 5

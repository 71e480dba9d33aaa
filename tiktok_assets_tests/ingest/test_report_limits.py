"""Laws of what a run learns: cut reports are read in parts, refused metrics left out, windows made smaller."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest

from tiktok_assets.api.client import Client
from tiktok_assets.api.errors import ContractError, RequestError, TooLargeError, TruncatedError
from tiktok_assets.api.pagination import MIN_QUERIES_AHEAD, Fetcher
from tiktok_assets.api.request_plan import split_into_windows
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import build_report_queries, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.endpoints import MAX_IDS_PER_CALL
from tiktok_assets.spec.metric_catalogue import METRICS
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, Report
from tiktok_assets_tests.api.conftest import FAST, Host, Listener
from tiktok_assets_tests.ingest.conftest import accounts_of, days_back, reading, reported, true_report

AD_DAILY, AD_LIFETIME = REPORTS_BY_TABLE["ad_report_daily"], REPORTS_BY_TABLE["ad_report_lifetime"]
FOUR_DAYS = days_back(4, 1)
CUT = b'{"code":0,"message":"OK","request_id":"1","data":{"list":[],"page_info":{"total_number":0}}}'
PURCHASES = next(metric for metric in METRICS if metric.api_name == "total_purchase_value")
"""In the catalogue, and withdrawn by the host."""

each_report = pytest.mark.parametrize("report", [AD_DAILY, AD_LIFETIME], ids=lambda report: report.table)


def days_of(report: Report) -> list[date]:
    """The days to ask a report for."""
    return FOUR_DAYS if report.cadence == "daily" else []


def one_answer(host: Host, report: Report) -> ReportResponse:
    """The first account's rows of a report, which must come."""
    with reading(host) as one:
        ((_, answer),) = read_reports(
            one.reader, build_report_queries(report, accounts_of(host)[0], days_of(report))
        )
    assert isinstance(answer, ReportResponse)
    return answer


def ad_groups_asked(host: Host) -> list[list[str]]:
    """The ids of each filter by ad groups a report was asked with."""
    filters = [json.loads(one["query"].get("filtering", "[]")) for one in host.requests if "report" in one["path"]]
    return [
        json.loads(row["filter_value"]) for rows in filters for row in rows if row["field_name"] == "adgroup_ids"
    ]


@each_report
@pytest.mark.parametrize("most", [3, 4, 20])
def test_a_cut_report_is_read_by_ad_groups_and_is_whole(report: Report, most: int) -> None:
    """However few ads a report may hold, the parts together are the truth: deleted ones in, each row once."""
    plan = WorldPlan(dense=True, advertisers=2, days=6, campaigns=2, ad_groups=8, ads=24)
    with Host.run(plan) as host:
        account = accounts_of(host)[0]
        group = host.truth("ad_groups", advertiser_id=account.advertiser_id)[0]
        ads = host.truth("ads", advertiser_id=account.advertiser_id)
        assert len(ads) > 20
        truth = true_report(host, report, account, STANDARD_METRICS, FOUR_DAYS)
        host.control("POST", "switches", max_report_ads=most)
        answer = one_answer(host, report)
        assert reported(answer.frame, report, STANDARD_METRICS) == truth
        assert len(truth) == len(ads) * (len(FOUR_DAYS) if report.cadence == "daily" else 1)
        asked = ad_groups_asked(host)
        assert group["adgroup_id"] in {one for ids in asked for one in ids}
        assert answer.story.pages == answer.story.requests <= len(host.requests)


def test_a_filter_holds_a_hundred_ad_groups_at_most() -> None:
    """An account of 230 ad groups is read in filters of a hundred, and no ad is lost."""
    plan = WorldPlan(dense=True, advertisers=1, days=2, campaigns=2, ad_groups=230, ads=230)
    with Host.run(plan) as host:
        truth = true_report(host, AD_LIFETIME, accounts_of(host)[0], STANDARD_METRICS, [])
        host.control("POST", "switches", max_report_ads=120)
        answer = one_answer(host, AD_LIFETIME)
        assert reported(answer.frame, AD_LIFETIME, STANDARD_METRICS) == truth
        assert sorted(map(len, ad_groups_asked(host))) == [30, MAX_IDS_PER_CALL, MAX_IDS_PER_CALL]


def test_deleted_ads_of_a_cut_report_are_counted() -> None:
    """The ad groups asked for are those of the listing, the deleted among them."""
    with Host.run() as agency:
        account = next(
            one
            for one in accounts_of(agency)
            if any(
                "DELETE" in row["secondary_status"] for row in agency.truth("ads", advertiser_id=one.advertiser_id)
            )
        )
        with reading(agency) as one:
            ((_, whole),) = read_reports(one.reader, build_report_queries(AD_LIFETIME, account, []))
            assert isinstance(whole, ReportResponse)
            agency.control("POST", "switches", max_report_ads=whole.frame.height - 1)
            ((_, parts),) = read_reports(one.reader, build_report_queries(AD_LIFETIME, account, []))
        assert isinstance(parts, ReportResponse)
        assert parts.frame.drop("fetched_at").equals(whole.frame.drop("fetched_at"))
        assert ad_groups_asked(agency)


NEWBORN = WorldPlan(dense=True, advertisers=1, days=2, campaigns=1, ad_groups=30, ads=1200)


@pytest.fixture
def newborn() -> Iterator[Host]:
    """An account whose 1,200 ads have spent nothing yet, so that all of them rank alike."""
    with Host.run(NEWBORN) as host:
        host.control("POST", "clock", now=(NEWBORN.anchor - timedelta(days=3) + timedelta(minutes=30)).isoformat())
        yield host


def test_a_lifetime_is_whole_though_rows_of_one_rank_move(newborn: Host) -> None:
    """Where ads that rank alike change places with every page, they are read in parts that fit one page each."""
    newborn.misbehave("ties_shuffled", path="report/integrated/get", times=None)
    answer = one_answer(newborn, AD_LIFETIME)
    ads = newborn.truth("ads", advertiser_id=accounts_of(newborn)[0].advertiser_id)
    assert sorted(answer.frame.get_column("ad_id")) == sorted(one["ad_id"] for one in ads)
    assert len(ads) == 1200
    assert set(answer.frame.get_column("spend")) == {Decimal(0)}
    sizes = [len(ids) for ids in ad_groups_asked(newborn)]
    assert max(sizes) <= 30
    assert len(newborn.requests) < 40


def test_a_report_that_cannot_be_cut_stays_an_error(newborn: Host) -> None:
    """Without the list of ad groups there are no parts, and nothing of the moving pages is kept."""
    newborn.misbehave("ties_shuffled", path="report/integrated/get", times=None)
    newborn.misbehave("lost_row", path="adgroup/get", times=None)
    with reading(newborn) as one:
        ((_, error),) = read_reports(one.reader, build_report_queries(AD_LIFETIME, accounts_of(newborn)[0], []))
    assert isinstance(error, ContractError)


def test_one_ad_group_that_is_cut_is_an_error_with_a_name(small: Host) -> None:
    """Where even one ad group has more ads than a report may hold, nothing is kept and the error says so."""
    small.control("POST", "switches", max_report_ads=1)
    with reading(small) as one:
        ((_, error),) = read_reports(one.reader, build_report_queries(AD_DAILY, accounts_of(small)[0], FOUR_DAYS))
    assert type(error) is TruncatedError
    assert "TikTok left rows out" in str(error)


@pytest.mark.parametrize("level", ["advertiser", "campaign", "ad_group"])
def test_a_cut_report_without_ads_is_an_error_with_a_name(small: Host, level: str) -> None:
    """A level that holds no ads is not split: it fails, and nothing of it is kept."""
    report = REPORTS_BY_TABLE[f"{level}_report_lifetime"]
    with Listener(body=CUT, headers={"X-Tt-Ads-Throttle": "true"}) as host:
        with Client(host.url, "a-token", policy=FAST) as client:
            fetcher = Fetcher(client)
            reader = Reader(fetcher, client.now, STANDARD_METRICS)
            ((_, error),) = read_reports(reader, build_report_queries(report, accounts_of(small)[0], []))
            fetcher.close()
        assert len(host.heard) == 1
    assert type(error) is TruncatedError


@each_report
def test_a_withdrawn_metric_is_left_out_for_the_run(small: Host, report: Report) -> None:
    """The refused metric's column is null and named, the others are the truth, and it is not asked for again."""
    small.control("POST", "switches", withdrawn_metrics=[PURCHASES.api_name])
    metrics = (*STANDARD_METRICS, PURCHASES)
    accounts = accounts_of(small)
    questions = [one for account in accounts for one in build_report_queries(report, account, days_of(report))]
    with reading(small, metrics=metrics) as one:
        answers = list(read_reports(one.reader, questions))
        before = len(small.requests)
        again = list(read_reports(one.reader, questions))
    assert len(answers) == len(again) == len(accounts)
    for question, answer in [*answers, *again]:
        assert isinstance(answer, ReportResponse)
        assert answer.story.withdrawn_metrics == ("total_purchase_value",)
        assert answer.frame.get_column("total_purchase_value").null_count() == answer.frame.height
        truth = true_report(small, report, question.account, STANDARD_METRICS, FOUR_DAYS)
        assert reported(answer.frame, report, STANDARD_METRICS) == truth
    refused = [one["code"] for one in small.requests].count(40002)
    assert 1 <= refused <= 1 + MIN_QUERIES_AHEAD  # those under way beside the refused one
    assert before == len(accounts) + refused
    assert len(small.requests) == before + len(accounts)


MANY = tuple(metric.api_name for metric in STANDARD_METRICS[6:18])


@pytest.mark.parametrize(
    "gone", [("reach",), ("impressions", "ctr"), (PURCHASES.api_name,), ("spend", "likes"), MANY], ids=str
)
def test_a_refusal_that_names_no_metric_is_explained_once(small: Host, gone: tuple[str, ...]) -> None:
    """The refused metrics are found with few one-row requests, and another report pays one refusal for them."""
    metrics = (*STANDARD_METRICS, PURCHASES)
    withdrawn = [*gone, PURCHASES.api_name]
    small.control("POST", "switches", withdrawn_metrics=withdrawn, withdrawn_metrics_named=False)
    account = accounts_of(small)[0]
    names = {metric.name for metric in metrics if metric.api_name in withdrawn}
    with reading(small, metrics=metrics) as one:
        ((_, first),) = read_reports(one.reader, build_report_queries(AD_DAILY, account, FOUR_DAYS))
        searched = len(small.requests)
        ((_, second),) = read_reports(one.reader, build_report_queries(AD_LIFETIME, account, []))
    for answer, report in ((first, AD_DAILY), (second, AD_LIFETIME)):
        assert isinstance(answer, ReportResponse)
        assert set(answer.story.withdrawn_metrics) == names
        kept = tuple(metric for metric in STANDARD_METRICS if metric.name not in names)
        assert reported(answer.frame, report, kept) == true_report(small, report, account, kept, FOUR_DAYS)
    assert searched <= 2 + 1 + 2 * len(names) * len(metrics).bit_length()
    assert len(small.requests) == searched + 2


def test_dimensions_that_do_not_go_together_cost_no_search(small: Host) -> None:
    """Where spend and impressions are refused too, it is not the metrics: three requests tell, once a run."""
    message = "Conflict occurs. The input params including metrics and dimensions have no relation."
    small.misbehave("code", code=40002, message=message, times=None)
    with reading(small) as one:
        ((_, error),) = read_reports(one.reader, build_report_queries(AD_LIFETIME, accounts_of(small)[0], []))
        searched = len(small.requests)
        ((_, again),) = read_reports(one.reader, build_report_queries(AD_LIFETIME, accounts_of(small)[0], []))
    assert type(error) is type(again) is RequestError
    assert (searched, len(small.requests)) == (3, 4)


def test_a_refusal_about_something_else_is_not_searched(small: Host) -> None:
    """A refusal that is not about metrics, or that no metric explains, is an error and costs few requests."""
    small.misbehave("code", code=40002, message="start_date: wrong", times=None)
    with reading(small) as one:
        ((_, error),) = read_reports(one.reader, build_report_queries(AD_LIFETIME, accounts_of(small)[0], []))
    assert type(error) is RequestError
    assert len(small.requests) == 1


def test_several_metrics_may_be_withdrawn_even_spend(small: Host) -> None:
    """A refusal that names several metrics, the one that orders the rows among them, costs their columns only."""
    message = "Please remove invalid metric fields and try again. Invalid metric fields: ['spend', 'cpc']."
    small.misbehave("code", code=40002, message=message)
    answer = one_answer(small, AD_DAILY)
    assert answer.story.withdrawn_metrics == ("spend", "cpc")
    kept = tuple(metric for metric in STANDARD_METRICS if metric.api_name not in {"spend", "cpc"})
    truth = true_report(small, AD_DAILY, accounts_of(small)[0], kept, FOUR_DAYS)
    assert reported(answer.frame, AD_DAILY, kept) == truth
    assert answer.frame.select("spend", "cpc").null_count().row(0) == (answer.frame.height,) * 2


@pytest.mark.parametrize("names", [[], ["mood"], [metric.api_name for metric in STANDARD_METRICS]], ids=len)
def test_a_refusal_that_leaves_nothing_to_drop_is_an_error(small: Host, names: list[str]) -> None:
    """No metric, one nobody asked for, or all of them: the report fails, and was searched in vain at most once."""
    small.misbehave("code", code=40002, message=f"Invalid metric fields: {names!r}.", times=None)
    with reading(small) as one:
        ((_, error),) = read_reports(one.reader, build_report_queries(AD_LIFETIME, accounts_of(small)[0], []))
        searched = len(small.requests)
        ((_, again),) = read_reports(one.reader, build_report_queries(AD_LIFETIME, accounts_of(small)[0], []))
    assert type(error) is type(again) is RequestError
    assert searched <= 25
    assert len(small.requests) == searched + 1


@pytest.mark.parametrize("code", [50002, 40067])
def test_a_window_that_was_too_large_is_not_asked_again(small: Host, code: int) -> None:
    """After one refusal the rest of the run asks that report for half the days, and every day comes once."""
    account, days = accounts_of(small)[0], days_back(180, 1)
    small.misbehave("code", code=code)
    with reading(small) as one:
        answers = list(read_reports(one.reader, build_report_queries(AD_DAILY, account, days)))
        other = list(read_reports(one.reader, build_report_queries(AD_LIFETIME, account, [])))
    frames = [answer.frame for _, answer in answers if isinstance(answer, ReportResponse)]
    asked = sorted(day for question, _ in answers if question.window for day in question.window.days)
    assert asked == days
    assert reported(pl.concat(frames), AD_DAILY, STANDARD_METRICS) == true_report(
        small, AD_DAILY, account, STANDARD_METRICS, days
    )
    assert [one["code"] for one in small.requests].count(code) == 1
    long = [question for question, _ in answers if question.window and len(question.window.days) > 15]
    assert len(long) <= MIN_QUERIES_AHEAD  # those under way beside the refused one
    assert len(answers) == 2 * len(split_into_windows(days)) - len(long)
    assert isinstance(other[0][1], ReportResponse)


def test_a_year_whose_first_windows_time_out_is_whole(small: Host) -> None:
    """Of a year of days each comes once, and no query that timed out is sent again."""
    account, days = accounts_of(small)[0], days_back(360, 1)
    small.misbehave("code", code=50002, times=5)
    with reading(small) as one:
        answers = list(read_reports(one.reader, build_report_queries(AD_DAILY, account, days)))
    assert [type(answer) for _, answer in answers if isinstance(answer, TooLargeError)] == []
    assert sorted(day for question, _ in answers if question.window for day in question.window.days) == days
    assert [one["code"] for one in small.requests].count(50002) == 5
    assert len(small.requests) == len(answers) + 5

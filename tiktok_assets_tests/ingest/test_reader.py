"""Test reading: rows arrive complete and exact, or with a specific error, and never with missing rows."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, log2
from typing import Any

import polars as pl
import pytest

from tiktok_assets.api.client import RequestStats
from tiktok_assets.api.errors import (
    AdvertiserError,
    BannedError,
    ContractError,
    CredentialsError,
    RequestError,
    RetryLaterError,
    ThrottledError,
    TikTokError,
    TimedOutError,
    TooLargeError,
    UnreadableRowError,
)
from tiktok_assets.api.request_plan import count_pages, split_into_batches, split_into_windows
from tiktok_assets.ingest.account_reader import list_advertiser_ids, read_accounts
from tiktok_assets.ingest.entity_reader import read_entities
from tiktok_assets.ingest.partitions import ReadStats
from tiktok_assets.ingest.report_reader import plan_report_requests, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.ingest.size_estimates import count_entities, count_report
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.endpoints import CAMPAIGN_LIST
from tiktok_assets.spec.entities import ADS, ADVERTISERS, CAMPAIGN_ENTITIES, Entity
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import DAILY_REPORTS, LIFETIME_REPORTS, REPORTS_BY_TABLE
from tiktok_assets_tests.api.conftest import ATTEMPTS, HANG_SECONDS, SHORT_TIMEOUTS, Host, assert_no_secret_leaks
from tiktok_assets_tests.ingest.conftest import (
    TODAY,
    OpenReader,
    days_back,
    decode_rows,
    expected_entity,
    expected_report,
    find_ungranted_account,
    granted_accounts,
    open_reader,
    report_rows,
)

AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
AD_LIFETIME = REPORTS_BY_TABLE["ad_report_lifetime"]
FOUR_DAYS = days_back(4, 1)


def require_result(result: tuple[pl.DataFrame, ReadStats, Any] | TikTokError) -> tuple[pl.DataFrame, ReadStats]:
    """Return the rows and the stats of a read, and assert that it did not fail."""
    assert not isinstance(result, TikTokError), result
    return result[0], result[1]


@pytest.mark.parametrize("entity", CAMPAIGN_ENTITIES, ids=lambda entity: entity.table)
def test_every_object_of_every_account_is_read_exactly(agency: Host, entity: Entity) -> None:
    """Each campaign, ad group and ad, deleted ones included, is read once with every field."""
    ids = [account.advertiser_id for account in granted_accounts(agency)]
    with open_reader(agency) as one:
        result = {owner: require_result(response) for owner, response in read_entities(one.reader, entity, ids)}
    assert list(result) == ids
    for owner, (frame, stats) in result.items():
        expected = [
            expected_entity(entity, item) for item in agency.ground_truth(entity.table, advertiser_id=owner)
        ]
        rows = decode_rows(frame, entity.columns)
        key = next(column.name for column in entity.columns if column.api_name == entity.key)
        assert rows == sorted(expected, key=lambda row: str(row[key]))
        assert (stats.requests, stats.pages, stats.retries) == (1, 1, 0)
    statuses = {status for frame, _ in result.values() for status in frame.get_column("secondary_status")}
    assert any(str(status).endswith("_DELETE") for status in statuses)
    assert len(agency.requests) == len(ids)


def available_metrics(host: Host) -> frozenset[str]:
    """Return the metrics for which the sandbox has expected values."""
    fact = host.ground_truth("report", level="advertiser", advertiser_id=host.advertiser_ids[0], lifetime="true")[
        0
    ]
    return frozenset(fact["metrics"])


@pytest.mark.parametrize("report", DAILY_REPORTS, ids=lambda report: report.table)
def test_every_day_of_every_account_is_read_exactly(agency: Host, report: Report) -> None:
    """Over five weeks in USD, JPY and EUR, each row is read once with exact metrics, and no other row."""
    available = available_metrics(agency)
    metrics = tuple(metric for metric in METRICS if metric.api_name in available and metric.served == "everywhere")
    assert set(STANDARD_METRICS) <= set(metrics)
    days = days_back(35, 1)
    accounts = granted_accounts(agency)
    assert {"USD", "JPY", "EUR"} <= {account.currency for account in accounts}
    requests = [request for account in accounts for request in plan_report_requests(report, account, days)]
    with open_reader(agency, metrics=metrics) as one:
        responses = list(read_reports(one.reader, requests))
    assert [request for request, _ in responses] == requests
    for account in accounts:
        frames = [
            response.frame
            for request, response in responses
            if request.account == account and isinstance(response, ReportResponse)
        ]
        assert len(frames) == len(split_into_windows(days))
        frame = pl.concat(frames)
        assert report_rows(frame, report, metrics) == expected_report(agency, report, account, metrics, days)
        assert set(frame.get_column("currency")) <= {account.currency}
        assert set(frame.get_column("advertiser_id")) <= {account.advertiser_id}
        assert_parents(agency, report, account.advertiser_id, frame)
    assert len(agency.requests) == len(requests)


def assert_parents(host: Host, report: Report, advertiser_id: str, frame: pl.DataFrame) -> None:
    """Assert that names and parent ids are those of the hierarchy."""
    if report.level.name == "advertiser":
        return
    items = host.ground_truth(f"{report.level.name}s", advertiser_id=advertiser_id)
    expected = {item[report.level.dimension]: item for item in items}
    for row in frame.to_dicts():
        item = expected[row[report.key[-1]]]
        for attribute in report.level.attributes:
            assert row[attribute.replace("adgroup", "ad_group")] == item[attribute]


@pytest.mark.parametrize("report", LIFETIME_REPORTS, ids=lambda report: report.table)
def test_every_lifetime_report_is_read_exactly(agency: Host, report: Report) -> None:
    """The lifetime of each object is exact; objects that never delivered have zeros or no row."""
    with open_reader(agency) as one:
        for account in granted_accounts(agency):
            ((_, response),) = read_reports(one.reader, plan_report_requests(report, account, []))
            assert isinstance(response, ReportResponse)
            expected = expected_report(agency, report, account, STANDARD_METRICS, [])
            rows = report_rows(response.frame, report, STANDARD_METRICS)
            assert {key: row for key, row in rows.items() if key in expected} == expected
            never_delivered = [row for key, row in rows.items() if key not in expected]
            assert {
                row[metric.name] for row in never_delivered for metric in STANDARD_METRICS if metric.is_additive
            } <= {0}
            assert_parents(agency, report, account.advertiser_id, response.frame)


def test_levels_agree(agency: Host) -> None:
    """Additive metrics have the same totals at all levels."""
    account = granted_accounts(agency)[0]
    totals = []
    with open_reader(agency) as one:
        for report in LIFETIME_REPORTS:
            ((_, response),) = read_reports(one.reader, plan_report_requests(report, account, []))
            assert isinstance(response, ReportResponse)
            totals.append([response.frame.get_column(m.name).sum() for m in STANDARD_METRICS if m.is_additive])
    assert totals == [totals[0]] * 4
    assert totals[0][0] > 0


@dataclass(frozen=True)
class FaultEffect:
    """The effect of a fault by table: the error, and how often the fault may occur without an error."""

    accounts: tuple[type[TikTokError] | None, int]
    ads: tuple[type[TikTokError] | None, int]
    daily: tuple[type[TikTokError] | None, int]
    lifetime: tuple[type[TikTokError] | None, int]

    def expected_error(self, table: str, times: int | None) -> type[TikTokError] | None:
        """Return the expected error, or None if the rows must be complete."""
        error, max_times = getattr(self, table)
        return error if times is None or times > max_times else None


def for_all_tables(error: type[TikTokError] | None, max_times: int) -> FaultEffect:
    """Return the same effect for all tables."""
    return FaultEffect(*[(error, max_times)] * 4)


MAX_RETRIES, NEVER = ATTEMPTS - 1, 0
NO_EFFECT = (None, 0)
CONTRACT_ERROR = (ContractError, NEVER)
ROW_ERROR = (UnreadableRowError, NEVER)
TIMEOUT_EFFECT = FaultEffect(
    (RetryLaterError, MAX_RETRIES), (RetryLaterError, MAX_RETRIES), (TimedOutError, 2), (TimedOutError, NEVER)
)
RETRIED = (ContractError, 2)

FAULTS: dict[str, tuple[str, dict[str, Any], FaultEffect]] = {
    **{
        f"{code}": ("code", {"code": code}, for_all_tables(ThrottledError, MAX_RETRIES)) for code in (40100, 40016)
    },
    **{
        f"{code}": ("code", {"code": code}, for_all_tables(ThrottledError, MAX_RETRIES)) for code in (40132, 40133)
    },
    **{
        f"{code}": ("code", {"code": code}, for_all_tables(RetryLaterError, MAX_RETRIES))
        for code in (50000, 51305)
    },
    "60001": ("code", {"code": 60001}, for_all_tables(RetryLaterError, MAX_RETRIES)),
    "50002": ("code", {"code": 50002}, TIMEOUT_EFFECT),
    "51010": ("code", {"code": 51010}, TIMEOUT_EFFECT),
    "40067": (
        "code",
        {"code": 40067},
        FaultEffect((TooLargeError, NEVER), (TooLargeError, NEVER), (TooLargeError, 2), (TooLargeError, NEVER)),
    ),
    "40105": ("code", {"code": 40105}, for_all_tables(CredentialsError, NEVER)),
    "40104": ("code", {"code": 40104}, for_all_tables(CredentialsError, NEVER)),
    # If the request for all accounts is refused, it is halved; two refusals are then of one account.
    "40001": (
        "code",
        {"code": 40001},
        FaultEffect((AdvertiserError, 1), *[(AdvertiserError, NEVER)] * 3),
    ),
    "40002": ("code", {"code": 40002}, for_all_tables(RequestError, NEVER)),
    "40700": ("code", {"code": 40700}, for_all_tables(RequestError, NEVER)),
    "41000": ("code", {"code": 41000}, for_all_tables(BannedError, NEVER)),
    "http 429": ("http_status", {"status": 429}, for_all_tables(RetryLaterError, MAX_RETRIES)),
    "http 429 page": (
        "http_status",
        {"status": 429, "html": "<p>slow</p>"},
        for_all_tables(ThrottledError, MAX_RETRIES),
    ),
    "http 500": ("http_status", {"status": 500}, for_all_tables(RetryLaterError, MAX_RETRIES)),
    "http 502 page": (
        "http_status",
        {"status": 502, "html": "<p>bad</p>"},
        for_all_tables(RetryLaterError, MAX_RETRIES),
    ),
    "http 503 page": (
        "http_status",
        {"status": 503, "html": "<p>later</p>"},
        for_all_tables(RetryLaterError, MAX_RETRIES),
    ),
    "http 504 page": ("http_status", {"status": 504, "html": "<p>late</p>"}, TIMEOUT_EFFECT),
    "cut": ("cut", {}, for_all_tables(RetryLaterError, MAX_RETRIES)),
    "not JSON": ("not_json", {}, for_all_tables(RetryLaterError, MAX_RETRIES)),
    "truncated": ("truncated", {}, for_all_tables(RetryLaterError, MAX_RETRIES)),
    "total_number": (
        "wrong_type",
        {"field": "total_number"},
        FaultEffect(NO_EFFECT, CONTRACT_ERROR, CONTRACT_ERROR, CONTRACT_ERROR),
    ),
    "spend": ("wrong_type", {"field": "spend"}, FaultEffect(NO_EFFECT, NO_EFFECT, ROW_ERROR, ROW_ERROR)),
    "metrics": ("wrong_type", {"field": "metrics"}, FaultEffect(NO_EFFECT, NO_EFFECT, ROW_ERROR, ROW_ERROR)),
    # For rows without a day the window is halved, and the halves are returned correctly.
    "dimensions": (
        "wrong_type",
        {"field": "dimensions"},
        FaultEffect(NO_EFFECT, NO_EFFECT, (UnreadableRowError, 2), ROW_ERROR),
    ),
    "stat_time_day": ("wrong_type", {"field": "stat_time_day"}, for_all_tables(None, 0)),
    "ad_id": ("wrong_type", {"field": "ad_id"}, FaultEffect(NO_EFFECT, CONTRACT_ERROR, ROW_ERROR, ROW_ERROR)),
    "advertiser_id": (
        "wrong_type",
        {"field": "advertiser_id"},
        FaultEffect(CONTRACT_ERROR, NO_EFFECT, NO_EFFECT, NO_EFFECT),
    ),
    "new field": ("new_field", {}, for_all_tables(None, 0)),
    "repeated page": (
        "repeated_page",
        {},
        for_all_tables(None, 0),
    ),  # there is only one page; see api/test_pagination
    "drift +1": ("drift", {"shift": 1}, FaultEffect(NO_EFFECT, RETRIED, RETRIED, RETRIED)),
    "lost row": ("lost_row", {}, FaultEffect((AdvertiserError, NEVER), RETRIED, RETRIED, RETRIED)),
    "redirect 302": ("redirect", {"status": 302}, for_all_tables(ContractError, NEVER)),
    "redirect 307": ("redirect", {"status": 307}, for_all_tables(ContractError, 1)),
    "foreign 302": (
        "redirect",
        {"status": 302, "location": "http://example.test/open_api/"},
        for_all_tables(ContractError, NEVER),
    ),
    "foreign 307": (
        "redirect",
        {"status": 307, "location": "http://example.test/open_api/"},
        for_all_tables(ContractError, NEVER),
    ),
}


def all_accounts(host: Host, one: OpenReader) -> tuple[pl.DataFrame, TikTokError | None]:
    """Read the details of accounts."""
    result = read_accounts(one.reader, [account.advertiser_id for account in granted_accounts(host)[:2]])
    return result.frame, next(iter(result.refused.values()), None)


def all_ads(host: Host, one: OpenReader) -> tuple[pl.DataFrame, TikTokError | None]:
    """Read the ads of an account."""
    ((_, result),) = read_entities(one.reader, ADS, [granted_accounts(host)[0].advertiser_id])
    return (pl.DataFrame(), result) if isinstance(result, TikTokError) else (result[0], None)


def report_reader(report: Report) -> Callable[[Host, OpenReader], tuple[pl.DataFrame, TikTokError | None]]:
    """Return a function that reads four days of a report, or a lifetime report."""

    def result(host: Host, one: OpenReader) -> tuple[pl.DataFrame, TikTokError | None]:
        responses = list(
            read_reports(one.reader, plan_report_requests(report, granted_accounts(host)[0], FOUR_DAYS))
        )
        days = [day for request, _ in responses if request.window for day in request.window.days]
        assert sorted(days) == (FOUR_DAYS if report.cadence == "daily" else [])
        frames = [response.frame for _, response in responses if isinstance(response, ReportResponse)]
        errors = [response for _, response in responses if isinstance(response, TikTokError)]
        assert {type(error) for error in errors} <= {type(error) for error in errors[:1]}
        frame = pl.concat(frames).sort(report.key) if frames else pl.DataFrame()
        return frame, errors[0] if errors else None

    return result


READS = {
    "accounts": all_accounts,
    "ads": all_ads,
    "daily": report_reader(AD_DAILY),
    "lifetime": report_reader(AD_LIFETIME),
}


@pytest.mark.slow
@pytest.mark.parametrize("table", READS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_in_complete_rows_or_its_error(
    small: Host, debug_log: pytest.LogCaptureFixture, fault: str, table: str
) -> None:
    """Whether a fault occurs once, twice or always: all rows are read or the expected error is raised."""
    kind, parameters, effect = FAULTS[fault]
    volatile = ("fetched_at", "extra")
    with open_reader(small) as one:
        complete, _ = READS[table](small, one)
        for times in (1, 2, None):
            small.reset()
            small.inject_fault(kind, times=times, **parameters)
            try:
                rows, error = READS[table](small, one)
            except TikTokError as raised:
                rows, error = pl.DataFrame(), raised
            assert type(error) is (effect.expected_error(table, times) or type(None)), times
            if error is None:
                assert rows.drop(volatile).equals(complete.drop(volatile)), times
                assert rows.height > 0
            else:
                assert_no_secret_leaks(small.secrets, debug_log, error)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "times"), [("ads", 1), ("ads", None), ("daily", 1), ("daily", None), ("lifetime", None)]
)
def test_a_hanging_host_ends_in_complete_rows_or_its_error(small: Host, table: str, times: int | None) -> None:
    """A host that does not respond in time costs no row: lists are requested again, reports in halves."""
    effect = TIMEOUT_EFFECT.expected_error(table, times)
    with open_reader(small, SHORT_TIMEOUTS) as one:
        complete, _ = READS[table](small, one)
        small.inject_fault("hang", seconds=HANG_SECONDS, times=times)
        rows, error = READS[table](small, one)
        small.wait_for_requests(one.client.total.requests)
    assert type(error) is (effect or type(None))
    assert error or rows.drop("fetched_at").equals(complete.drop("fetched_at"))


@pytest.fixture
def debug_log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Capture all log records, down to DEBUG."""
    caplog.set_level("DEBUG")
    return caplog


@pytest.mark.parametrize("times", [1, 2, 3])
def test_the_stats_of_a_read_include_its_retries(small: Host, times: int) -> None:
    """The stats of a read are the requests, retries and pages that the host received."""
    small.inject_fault("code", code=40100, times=times)
    with open_reader(small) as one:
        ((_, response),) = read_reports(
            one.reader, plan_report_requests(AD_DAILY, granted_accounts(small)[0], FOUR_DAYS)
        )
    assert isinstance(response, ReportResponse)
    stats = response.stats
    assert (stats.requests, stats.retries, stats.pages) == (times + 1, times, 1)
    assert len(small.requests) == times + 1
    assert str(stats.window) == f"{FOUR_DAYS[0]}..{FOUR_DAYS[-1]}"
    assert stats.unknown_fields == ()


def canonical_query(request: dict[str, Any]) -> str:
    """Return the path and the query of a request as one text."""
    return json.dumps([request["path"], request["query"]], sort_keys=True)


@pytest.mark.slow
@pytest.mark.parametrize("code", [40067, 50002, 51010])
@pytest.mark.parametrize("times", [1, 2, 3, 5, 8])
def test_a_window_that_is_too_large_is_halved_until_it_is_not(small: Host, code: int, times: int) -> None:
    """However often a window is too large, the smaller windows together have each day's rows exactly once."""
    days = days_back(30, 1)
    account = granted_accounts(small)[0]
    small.inject_fault("code", code=code, times=times)
    with open_reader(small) as one:
        responses = list(read_reports(one.reader, plan_report_requests(AD_DAILY, account, days)))
    frames = [response.frame for _, response in responses if isinstance(response, ReportResponse)]
    assert len(frames) == len(responses) >= times + 1
    expected = expected_report(small, AD_DAILY, account, STANDARD_METRICS, days)
    assert report_rows(pl.concat(frames), AD_DAILY, STANDARD_METRICS) == expected
    assert len(expected) == 3 * 7
    for request, response in responses:
        assert isinstance(response, ReportResponse)
        assert response.stats.window == request.window
    assert len(small.requests) == len(responses) + times


@pytest.mark.parametrize("code", [50002, 51010])
def test_a_report_that_timed_out_is_never_sent_a_third_time(small: Host, code: int) -> None:
    """If every report times out, no query is sent again, and each day ends in the timeout error."""
    account = granted_accounts(small)[0]
    requests = [
        request
        for report in (AD_DAILY, AD_LIFETIME)  # after ten timeouts in ten seconds the API would throttle us
        for request in plan_report_requests(report, account, FOUR_DAYS)
    ]
    small.inject_fault("code", code=code, times=None, path="report/integrated/get")
    with open_reader(small) as one:
        responses = list(read_reports(one.reader, requests))
    assert {type(response) for _, response in responses} == {TimedOutError}
    failed = Counter(
        (request.report.table, day)
        for request, _ in responses
        for day in (request.window.days if request.window else [None])
    )
    assert set(failed.values()) == {1}
    assert len(failed) == len(FOUR_DAYS) + 1
    assert set(Counter(canonical_query(request) for request in small.requests).values()) == {1}


def test_a_single_day_that_is_too_large_fails_alone(small: Host) -> None:
    """If two days are too large and then one of them, that one fails and the other is complete."""
    account, days = granted_accounts(small)[0], days_back(2, 1)
    small.inject_fault("code", code=40067, times=2)
    with open_reader(small) as one:
        responses = list(read_reports(one.reader, plan_report_requests(AD_DAILY, account, days)))
    by_error = {isinstance(response, TikTokError): (request, response) for request, response in responses}
    (failed_request, error), (complete_request, response) = by_error[True], by_error[False]
    assert type(error) is TooLargeError
    assert error.code == 40067
    assert isinstance(response, ReportResponse)
    assert failed_request.window
    assert complete_request.window
    assert sorted([*failed_request.window.days, *complete_request.window.days]) == days
    expected = expected_report(small, AD_DAILY, account, STANDARD_METRICS, list(complete_request.window.days))
    assert report_rows(response.frame, AD_DAILY, STANDARD_METRICS) == expected


def test_a_new_field_of_an_object_is_kept_and_reported(agency: Host) -> None:
    """An undeclared field is stored in `extra` and listed in the stats; nothing else changes."""
    owner = granted_accounts(agency)[0].advertiser_id
    with open_reader(agency) as one:
        ((_, before),) = read_entities(one.reader, ADS, [owner])
        agency.inject_fault("new_field", field="mood")
        ((_, after),) = read_entities(one.reader, ADS, [owner])
    (old, stats_before), (new, stats_after) = require_result(before), require_result(after)
    for old_row, now in zip(decode_rows(old, ADS.columns), decode_rows(new, ADS.columns), strict=True):
        assert now == old_row | {"extra": old_row["extra"] | {"mood": "surprise"}}
    assert set(stats_after.unknown_fields) == {*stats_before.unknown_fields, "mood"}
    assert "mood" not in stats_before.unknown_fields


@pytest.mark.parametrize(
    "report", [AD_DAILY, AD_LIFETIME, REPORTS_BY_TABLE["advertiser_report_daily"]], ids=lambda one: one.table
)
def test_a_new_field_of_a_report_is_kept_and_reported(small: Host, report: Report) -> None:
    """A field besides dimensions and metrics is stored in `extra` and listed in the stats."""
    requests = plan_report_requests(report, granted_accounts(small)[0], FOUR_DAYS)
    with open_reader(small) as one:
        ((_, before),) = read_reports(one.reader, requests)
        small.inject_fault("new_field", field="mood")
        ((_, after),) = read_reports(one.reader, requests)
    assert isinstance(before, ReportResponse)
    assert isinstance(after, ReportResponse)
    volatile = ("extra", "fetched_at")
    assert after.frame.drop(volatile).equals(before.frame.drop(volatile))
    assert set(after.frame.get_column("extra")) == {'{"mood":"surprise"}'}
    assert set(before.frame.get_column("extra")) == {None}
    assert (before.stats.unknown_fields, after.stats.unknown_fields) == ((), ("mood",))


def test_fetched_at_is_the_time_of_the_read(small: Host) -> None:
    """A prefetched response that is used a day later keeps its time, so no day counts as complete too early."""
    first, second = granted_accounts(small)[:2]
    requests = [
        request for account in (first, second) for request in plan_report_requests(AD_DAILY, account, FOUR_DAYS)
    ]
    with open_reader(small) as one:
        responses = read_reports(one.reader, requests)
        next(responses)
        deadline = time.monotonic() + 10
        while one.client.total.bytes == 0 or len(small.requests) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.1)  # the second response is in transit
        small.advance(days=1)
        one.reader.fetcher.get(CAMPAIGN_LIST, {"advertiser_id": first.advertiser_id}, RequestStats())
        anchor = small.sandbox.world.plan.anchor
        assert one.reader.now() - anchor >= timedelta(days=1)
        ((_, response),) = responses
    assert isinstance(response, ReportResponse)
    assert response.fetched_at - anchor < timedelta(hours=1)
    assert set(response.frame.get_column("fetched_at")) == {response.fetched_at}


def test_every_account_is_read_exactly(agency: Host) -> None:
    """The details of accounts have every field; an account without grant is refused alone."""
    ungranted = find_ungranted_account(agency)
    with open_reader(agency) as one:
        result = read_accounts(one.reader, agency.advertiser_ids)
    assert set(result.refused) == {ungranted}
    assert type(result.refused[ungranted]) is AdvertiserError
    assert result.refused[ungranted].code == 40001
    expected = [
        expected_entity(ADVERTISERS, {name: value for name, value in item.items() if name != "granted"})
        | {"is_granted": True}
        for item in agency.ground_truth("advertisers")
        if item["granted"]
    ]
    assert decode_rows(result.frame, ADVERTISERS.columns) == sorted(
        expected, key=lambda row: str(row["advertiser_id"])
    )
    assert result.stats.requests == len(agency.requests) <= 2 * ceil(log2(len(agency.advertiser_ids))) + 1


@pytest.mark.parametrize("ungranted", [0, 1, 3])
def test_ungranted_accounts_among_hundreds_cost_few_requests(ungranted: int) -> None:
    """Each account without grant is found by halving its batch of a hundred; all others are read."""
    plan = WorldPlan(dense=True, advertisers=130, days=1, campaigns=1, ad_groups=1, ads=1)
    with Host.run(plan) as host, open_reader(host) as one:
        selected = host.advertiser_ids[17::40][:ungranted]
        for advertiser in host.sandbox.world.advertisers.values():
            host.control("POST", "grants", advertiser_id=advertiser.id, granted=advertiser.id not in selected)
        result = read_accounts(one.reader, host.advertiser_ids)
    assert set(result.refused) == set(selected)
    assert result.frame.get_column("advertiser_id").to_list() == sorted(set(host.advertiser_ids) - set(selected))
    batches = len(list(split_into_batches(host.advertiser_ids)))
    assert batches <= result.stats.requests <= batches + ungranted * 2 * ceil(log2(100))


def test_if_all_accounts_are_refused_each_is_listed(small: Host) -> None:
    """If no account may be read, each is listed, with less than two requests per account."""
    small.inject_fault("code", code=40001, times=None)
    with open_reader(small) as one:
        result = read_accounts(one.reader, small.advertiser_ids)
    assert set(result.refused) == set(small.advertiser_ids)
    assert (result.frame.height, result.stats.requests) == (0, 2 * len(small.advertiser_ids) - 1)


def test_an_account_without_grant_does_not_stop_the_others(agency: Host) -> None:
    """An account without grant fails alone; those before and after it are complete."""
    ids = [*agency.advertiser_ids[:2], find_ungranted_account(agency), agency.advertiser_ids[2]]
    with open_reader(agency) as one:
        outcomes = [(owner, type(result)) for owner, result in read_entities(one.reader, ADS, ids)]
    assert outcomes == [(ids[0], tuple), (ids[1], tuple), (ids[2], AdvertiserError), (ids[3], tuple)]


def test_the_granted_accounts_are_listed(agency: Host, debug_log: pytest.LogCaptureFixture) -> None:
    """The list has exactly the accounts granted now, and the secret is never logged."""
    app, secret = agency.sandbox.app_id, agency.sandbox.secret
    with open_reader(agency) as one:
        listed = list_advertiser_ids(one.reader, app, secret)
        assert listed == [account.advertiser_id for account in granted_accounts(agency)]
        with pytest.raises(CredentialsError) as caught:
            list_advertiser_ids(one.reader, app, secret[::-1])
        assert_no_secret_leaks((*agency.secrets, secret[::-1]), debug_log, caught.value)
        for missing in ((None, secret), (app, None), ("", secret), (app, "")):
            with pytest.raises(CredentialsError, match="TIKTOK_ADVERTISER_IDS"):
                list_advertiser_ids(one.reader, *missing)
    assert len(agency.requests) == 2


@pytest.mark.parametrize(
    "parameters",
    [{"kind": "wrong_type", "field": "advertiser_id"}, {"kind": "wrong_type", "field": "advertiser_name"}],
)
def test_a_list_of_accounts_without_ids_is_an_error(agency: Host, parameters: dict[str, str]) -> None:
    """An account id that is an object is an error; a malformed name is ignored."""
    agency.inject_fault(**parameters)
    with open_reader(agency) as one:
        if parameters["field"] == "advertiser_id":
            with pytest.raises(ContractError):
                list_advertiser_ids(one.reader, agency.sandbox.app_id, agency.sandbox.secret)
        else:
            assert list_advertiser_ids(one.reader, agency.sandbox.app_id, agency.sandbox.secret)


def test_filters_select_objects_and_include_deleted_ones(agency: Host) -> None:
    """A filter by campaign returns only its ads, deleted ones included, in lists and reports."""
    account = granted_accounts(agency)[0]
    ads = agency.ground_truth("ads", advertiser_id=account.advertiser_id)
    deleted = next(ad for ad in ads if ad["secondary_status"] == "AD_STATUS_DELETE")
    selected = {"campaign_ids": [str(deleted["campaign_id"])]}
    expected = {ad["ad_id"] for ad in ads if ad["campaign_id"] == deleted["campaign_id"]}
    with open_reader(agency) as one:
        ((_, result),) = read_entities(one.reader, ADS, [account.advertiser_id], filters=selected)
        requests = plan_report_requests(AD_LIFETIME, account, [])
        ((_, response),) = read_reports(one.reader, requests, filters=selected)
    assert set(require_result(result)[0].get_column("ad_id")) == expected
    assert isinstance(response, ReportResponse)
    assert set(response.frame.get_column("ad_id")) == expected
    assert deleted["ad_id"] in expected


def test_counts_equal_what_would_be_read(agency: Host) -> None:
    """One request counts the objects or rows, deleted ones included."""
    account, day = granted_accounts(agency)[0], TODAY - timedelta(1)
    with open_reader(agency) as one:
        for entity in CAMPAIGN_ENTITIES:
            expected = agency.ground_truth(entity.table, advertiser_id=account.advertiser_id)
            assert count_entities(one.reader, entity, account.advertiser_id) == len(expected)
        rows = expected_report(agency, AD_DAILY, account, STANDARD_METRICS, [day])
        assert count_report(one.reader, AD_DAILY, account, day) == len(rows)
        assert count_report(one.reader, AD_LIFETIME, account, None) == len(expected)
        assert one.client.total.requests == len(CAMPAIGN_ENTITIES) + 2


def test_a_day_before_the_first_delivery_has_no_rows(small: Host) -> None:
    """Days before the first delivery are complete responses without rows, not errors."""
    with open_reader(small) as one:
        requests = plan_report_requests(AD_DAILY, granted_accounts(small)[0], [date(2025, 1, 1)])
        ((_, response),) = read_reports(one.reader, requests)
    assert isinstance(response, ReportResponse)
    assert response.frame.height == 0
    assert response.stats.requests == count_pages(0)

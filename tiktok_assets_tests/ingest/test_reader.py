"""Laws of reading: what the world holds arrives whole and exact, or as a named error; never less, unsaid."""

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
from tiktok_assets.ingest.estimates import count_entities, count_report
from tiktok_assets.ingest.partitions import ReadStats
from tiktok_assets.ingest.report_reader import build_report_queries, read_entities, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.endpoints import CAMPAIGN_LIST
from tiktok_assets.spec.entities import ADS, ADVERTISERS, LISTED_ENTITIES, Entity
from tiktok_assets.spec.metric_catalogue import METRICS
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import DAILY_REPORTS, LIFETIME_REPORTS, REPORTS_BY_TABLE, Report
from tiktok_assets_tests.api.conftest import ATTEMPTS, HANG_SECONDS, SHORT_TIMEOUTS, Host, assert_no_secret_leaks
from tiktok_assets_tests.ingest.conftest import (
    TODAY,
    Reading,
    accounts_of,
    days_back,
    lost_of,
    reading,
    reported,
    shown,
    true_entity,
    true_report,
)

AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
AD_LIFETIME = REPORTS_BY_TABLE["ad_report_lifetime"]
FOUR_DAYS = days_back(4, 1)
named = pytest.mark.parametrize


def told(read: tuple[pl.DataFrame, ReadStats, Any] | TikTokError) -> tuple[pl.DataFrame, ReadStats]:
    """The rows and the story of a reading that must have worked."""
    assert not isinstance(read, TikTokError), read
    return read[0], read[1]


@named("entity", LISTED_ENTITIES, ids=lambda entity: entity.table)
def test_every_object_of_every_account_is_the_truth(agency: Host, entity: Entity) -> None:
    """Each campaign, ad group and ad, deleted ones too, arrives once with every field, none left for another."""
    ids = [account.advertiser_id for account in accounts_of(agency)]
    with reading(agency) as one:
        read = {owner: told(answer) for owner, answer in read_entities(one.reader, entity, ids)}
    assert list(read) == ids
    for owner, (frame, story) in read.items():
        truth = [true_entity(entity, item) for item in agency.truth(entity.table, advertiser_id=owner)]
        rows = shown(frame, entity.columns)
        key = next(column.name for column in entity.columns if column.api_name == entity.key)
        assert rows == sorted(truth, key=lambda row: str(row[key]))
        assert (story.requests, story.pages, story.retries) == (1, 1, 0)
    statuses = {status for frame, _ in read.values() for status in frame.get_column("secondary_status")}
    assert any(str(status).endswith("_DELETE") for status in statuses)
    assert len(agency.requests) == len(ids)


def metrics_of_the_world(host: Host) -> frozenset[str]:
    """The metrics the world can tell the truth of."""
    fact = host.truth("report", level="advertiser", advertiser_id=host.advertiser_ids[0], lifetime="true")[0]
    return frozenset(fact["metrics"])


@named("report", DAILY_REPORTS, ids=lambda report: report.table)
def test_every_day_of_every_account_is_the_truth(agency: Host, report: Report) -> None:
    """Five weeks in dollars, yen and euros: each row of the level once, each metric exact, nothing beside."""
    known = metrics_of_the_world(agency)
    metrics = tuple(metric for metric in METRICS if metric.api_name in known and metric.served == "everywhere")
    assert set(STANDARD_METRICS) <= set(metrics)
    days = days_back(35, 1)
    accounts = accounts_of(agency)
    assert {"USD", "JPY", "EUR"} <= {account.currency for account in accounts}
    questions = [question for account in accounts for question in build_report_queries(report, account, days)]
    with reading(agency, metrics=metrics) as one:
        answers = list(read_reports(one.reader, questions))
    assert [question for question, _ in answers] == questions
    for account in accounts:
        frames = [
            answer.frame
            for question, answer in answers
            if question.account == account and isinstance(answer, ReportResponse)
        ]
        assert len(frames) == len(split_into_windows(days))
        frame = pl.concat(frames)
        assert reported(frame, report, metrics) == true_report(agency, report, account, metrics, days)
        assert set(frame.get_column("currency")) <= {account.currency}
        assert set(frame.get_column("advertiser_id")) <= {account.advertiser_id}
        assert_parents(agency, report, account.advertiser_id, frame)
    assert len(agency.requests) == len(questions)


def assert_parents(host: Host, report: Report, advertiser_id: str, frame: pl.DataFrame) -> None:
    """Names and parents beside the figures are those of the hierarchy."""
    if report.level.name == "advertiser":
        return
    items = host.truth(f"{report.level.name}s", advertiser_id=advertiser_id)
    truth = {item[report.level.dimension]: item for item in items}
    for row in frame.to_dicts():
        item = truth[row[report.key[-1]]]
        for attribute in report.level.attributes:
            assert row[attribute.replace("adgroup", "ad_group")] == item[attribute]


@named("report", LIFETIME_REPORTS, ids=lambda report: report.table)
def test_every_lifetime_is_the_truth(agency: Host, report: Report) -> None:
    """Each object's whole life is exact, deleted ones included; one that never delivered has zeros or no row."""
    with reading(agency) as one:
        for account in accounts_of(agency):
            ((_, answer),) = read_reports(one.reader, build_report_queries(report, account, []))
            assert isinstance(answer, ReportResponse)
            truth = true_report(agency, report, account, STANDARD_METRICS, [])
            rows = reported(answer.frame, report, STANDARD_METRICS)
            assert {key: row for key, row in rows.items() if key in truth} == truth
            idle = [row for key, row in rows.items() if key not in truth]
            assert {row[metric.name] for row in idle for metric in STANDARD_METRICS if metric.additive} <= {0}
            assert_parents(agency, report, account.advertiser_id, answer.frame)


def test_levels_agree(agency: Host) -> None:
    """What adds up adds up: the ads' figures are the campaigns', to the cent and the click."""
    account = accounts_of(agency)[0]
    sums = []
    with reading(agency) as one:
        for report in LIFETIME_REPORTS:
            ((_, answer),) = read_reports(one.reader, build_report_queries(report, account, []))
            assert isinstance(answer, ReportResponse)
            sums.append([answer.frame.get_column(m.name).sum() for m in STANDARD_METRICS if m.additive])
    assert sums == [sums[0]] * 4
    assert sums[0][0] > 0


@dataclass(frozen=True)
class Fate:
    """What a fault leads to, by what is read: the error it ends in, and how often it may fire until then."""

    accounts: tuple[type[TikTokError] | None, int]
    ads: tuple[type[TikTokError] | None, int]
    daily: tuple[type[TikTokError] | None, int]
    lifetime: tuple[type[TikTokError] | None, int]

    def of(self, what: str, times: int | None) -> type[TikTokError] | None:
        """The error expected, or None for the whole truth."""
        error, bearable = getattr(self, what)
        return error if times is None or times > bearable else None


def everywhere(error: type[TikTokError] | None, bearable: int) -> Fate:
    """The same, whatever is read."""
    return Fate(*[(error, bearable)] * 4)


PASSES, NEVER = ATTEMPTS - 1, 0
HARMLESS = (None, 0)
BROKEN = (ContractError, NEVER)
UNREADABLE = (UnreadableRowError, NEVER)
SHRINKS = Fate((RetryLaterError, PASSES), (RetryLaterError, PASSES), (TimedOutError, 2), (TimedOutError, NEVER))
REREAD = (ContractError, 2)

FAULTS: dict[str, tuple[str, dict[str, Any], Fate]] = {
    **{f"{code}": ("code", {"code": code}, everywhere(ThrottledError, PASSES)) for code in (40100, 40016)},
    **{f"{code}": ("code", {"code": code}, everywhere(ThrottledError, PASSES)) for code in (40132, 40133)},
    **{f"{code}": ("code", {"code": code}, everywhere(RetryLaterError, PASSES)) for code in (50000, 51305)},
    "60001": ("code", {"code": 60001}, everywhere(RetryLaterError, PASSES)),
    "50002": ("code", {"code": 50002}, SHRINKS),
    "51010": ("code", {"code": 51010}, SHRINKS),
    "40067": (
        "code",
        {"code": 40067},
        Fate((TooLargeError, NEVER), (TooLargeError, NEVER), (TooLargeError, 2), (TooLargeError, NEVER)),
    ),
    "40105": ("code", {"code": 40105}, everywhere(CredentialsError, NEVER)),
    "40104": ("code", {"code": 40104}, everywhere(CredentialsError, NEVER)),
    # Refused as a whole, the accounts are asked for in halves, where two refusals are one account's.
    "40001": (
        "code",
        {"code": 40001},
        Fate((AdvertiserError, 1), *[(AdvertiserError, NEVER)] * 3),
    ),
    "40002": ("code", {"code": 40002}, everywhere(RequestError, NEVER)),
    "40700": ("code", {"code": 40700}, everywhere(RequestError, NEVER)),
    "41000": ("code", {"code": 41000}, everywhere(BannedError, NEVER)),
    "http 429": ("http_status", {"status": 429}, everywhere(RetryLaterError, PASSES)),
    "http 429 page": ("http_status", {"status": 429, "html": "<p>slow</p>"}, everywhere(ThrottledError, PASSES)),
    "http 500": ("http_status", {"status": 500}, everywhere(RetryLaterError, PASSES)),
    "http 502 page": ("http_status", {"status": 502, "html": "<p>bad</p>"}, everywhere(RetryLaterError, PASSES)),
    "http 503 page": ("http_status", {"status": 503, "html": "<p>later</p>"}, everywhere(RetryLaterError, PASSES)),
    "http 504 page": ("http_status", {"status": 504, "html": "<p>late</p>"}, SHRINKS),
    "cut": ("cut", {}, everywhere(RetryLaterError, PASSES)),
    "not JSON": ("not_json", {}, everywhere(RetryLaterError, PASSES)),
    "truncated": ("truncated", {}, everywhere(RetryLaterError, PASSES)),
    "total_number": ("wrong_type", {"field": "total_number"}, Fate(HARMLESS, BROKEN, BROKEN, BROKEN)),
    "spend": ("wrong_type", {"field": "spend"}, Fate(HARMLESS, HARMLESS, UNREADABLE, UNREADABLE)),
    "metrics": ("wrong_type", {"field": "metrics"}, Fate(HARMLESS, HARMLESS, UNREADABLE, UNREADABLE)),
    # Rows that do not say their day are asked for in halves, which come as they should.
    "dimensions": (
        "wrong_type",
        {"field": "dimensions"},
        Fate(HARMLESS, HARMLESS, (UnreadableRowError, 2), UNREADABLE),
    ),
    "stat_time_day": ("wrong_type", {"field": "stat_time_day"}, everywhere(None, 0)),
    "ad_id": ("wrong_type", {"field": "ad_id"}, Fate(HARMLESS, BROKEN, UNREADABLE, UNREADABLE)),
    "advertiser_id": ("wrong_type", {"field": "advertiser_id"}, Fate(BROKEN, HARMLESS, HARMLESS, HARMLESS)),
    "new field": ("new_field", {}, everywhere(None, 0)),
    "repeated page": ("repeated_page", {}, everywhere(None, 0)),  # there is only one; see test_fetch
    "drift +1": ("drift", {"shift": 1}, Fate(HARMLESS, REREAD, REREAD, REREAD)),
    "lost row": ("lost_row", {}, Fate((AdvertiserError, NEVER), REREAD, REREAD, REREAD)),
    "redirect 302": ("redirect", {"status": 302}, everywhere(ContractError, NEVER)),
    "redirect 307": ("redirect", {"status": 307}, everywhere(ContractError, 1)),
    "foreign 302": (
        "redirect",
        {"status": 302, "location": "http://example.test/open_api/"},
        everywhere(ContractError, NEVER),
    ),
    "foreign 307": (
        "redirect",
        {"status": 307, "location": "http://example.test/open_api/"},
        everywhere(ContractError, NEVER),
    ),
}


def all_accounts(host: Host, one: Reading) -> tuple[pl.DataFrame, TikTokError | None]:
    """The accounts' details."""
    read = read_accounts(one.reader, [account.advertiser_id for account in accounts_of(host)[:2]])
    return read.frame, next(iter(read.refused.values()), None)


def all_ads(host: Host, one: Reading) -> tuple[pl.DataFrame, TikTokError | None]:
    """The ads of an account."""
    ((_, read),) = read_entities(one.reader, ADS, [accounts_of(host)[0].advertiser_id])
    return (pl.DataFrame(), read) if isinstance(read, TikTokError) else (read[0], None)


def all_of(report: Report) -> Callable[[Host, Reading], tuple[pl.DataFrame, TikTokError | None]]:
    """Four days of a report, or a lifetime."""

    def read(host: Host, one: Reading) -> tuple[pl.DataFrame, TikTokError | None]:
        answers = list(read_reports(one.reader, build_report_queries(report, accounts_of(host)[0], FOUR_DAYS)))
        days = [day for question, _ in answers if question.window for day in question.window.days]
        assert sorted(days) == (FOUR_DAYS if report.cadence == "daily" else [])
        frames = [answer.frame for _, answer in answers if isinstance(answer, ReportResponse)]
        errors = [answer for _, answer in answers if isinstance(answer, TikTokError)]
        assert {type(error) for error in errors} <= {type(error) for error in errors[:1]}
        frame = pl.concat(frames).sort(report.key) if frames else pl.DataFrame()
        return frame, errors[0] if errors else None

    return read


READS = {"accounts": all_accounts, "ads": all_ads, "daily": all_of(AD_DAILY), "lifetime": all_of(AD_LIFETIME)}


@named("what", READS)
@named("fault", FAULTS)
def test_a_fault_ends_in_the_whole_truth_or_in_its_named_error(
    small: Host, everything_logged: pytest.LogCaptureFixture, fault: str, what: str
) -> None:
    """Whatever a host does once, twice or for ever: every row, or the error that says what to do; never fewer."""
    kind, how, fate = FAULTS[fault]
    beside = ("fetched_at", "extra")
    with reading(small) as one:
        whole, _ = READS[what](small, one)
        for times in (1, 2, None):
            small.behave()
            small.misbehave(kind, times=times, **how)
            try:
                rows, error = READS[what](small, one)
            except TikTokError as raised:
                rows, error = pl.DataFrame(), raised
            assert type(error) is (fate.of(what, times) or type(None)), times
            if error is None:
                assert rows.drop(beside).equals(whole.drop(beside)), times
                assert rows.height > 0
            else:
                assert_no_secret_leaks(small.secrets, everything_logged, error)


@named(("what", "times"), [("ads", 1), ("ads", None), ("daily", 1), ("daily", None), ("lifetime", None)])
def test_silence_ends_in_the_whole_truth_or_in_its_named_error(small: Host, what: str, times: int | None) -> None:
    """A host that does not answer in time costs time and no row: lists are asked again, reports in halves."""
    fate = SHRINKS.of(what, times)
    with reading(small, SHORT_TIMEOUTS) as one:
        whole, _ = READS[what](small, one)
        small.misbehave("hang", seconds=HANG_SECONDS, times=times)
        rows, error = READS[what](small, one)
        small.settle(one.client.total.requests)
    assert type(error) is (fate or type(None))
    assert error or rows.drop("fetched_at").equals(whole.drop("fetched_at"))


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything any library has to say, down to DEBUG."""
    caplog.set_level("DEBUG")
    return caplog


@named("times", [1, 2, 3])
def test_a_story_tells_its_retries(small: Host, times: int) -> None:
    """What a reading cost is what the host saw of it: requests, the retries among them, pages."""
    small.misbehave("code", code=40100, times=times)
    with reading(small) as one:
        ((_, answer),) = read_reports(one.reader, build_report_queries(AD_DAILY, accounts_of(small)[0], FOUR_DAYS))
    assert isinstance(answer, ReportResponse)
    story = answer.story
    assert (story.requests, story.retries, story.pages) == (times + 1, times, 1)
    assert len(small.requests) == times + 1
    assert str(story.window) == f"{FOUR_DAYS[0]}..{FOUR_DAYS[-1]}"
    assert story.unknown_fields == ()


def query_of(request: dict[str, Any]) -> str:
    """What a request asked, as one text."""
    return json.dumps([request["path"], request["query"]], sort_keys=True)


@named("code", [40067, 50002, 51010])
@named("times", [1, 2, 3, 5, 8])
def test_a_window_that_is_too_large_is_halved_until_it_is_not(small: Host, code: int, times: int) -> None:
    """However often thirty days are too much, the smaller windows together hold each day's rows exactly once."""
    days = days_back(30, 1)
    account = accounts_of(small)[0]
    small.misbehave("code", code=code, times=times)
    with reading(small) as one:
        answers = list(read_reports(one.reader, build_report_queries(AD_DAILY, account, days)))
    frames = [answer.frame for _, answer in answers if isinstance(answer, ReportResponse)]
    assert len(frames) == len(answers) >= times + 1
    truth = true_report(small, AD_DAILY, account, STANDARD_METRICS, days)
    assert reported(pl.concat(frames), AD_DAILY, STANDARD_METRICS) == truth
    assert len(truth) == 3 * 7
    for question, answer in answers:
        assert isinstance(answer, ReportResponse)
        assert answer.story.window == question.window
    assert len(small.requests) == len(answers) + times


@named("code", [50002, 51010])
def test_a_report_that_timed_out_is_never_sent_a_third_time(small: Host, code: int) -> None:
    """Where every report times out, no query of a reading is sent again, and each day ends in the named error."""
    account = accounts_of(small)[0]
    questions = [
        question
        for report in (AD_DAILY, AD_LIFETIME)  # ten time-outs in ten seconds, and the API would slow us down
        for question in build_report_queries(report, account, FOUR_DAYS)
    ]
    small.misbehave("code", code=code, times=None, path="report/integrated/get")
    with reading(small) as one:
        answers = list(read_reports(one.reader, questions))
    assert {type(answer) for _, answer in answers} == {TimedOutError}
    failed = Counter(
        (question.report.table, day)
        for question, _ in answers
        for day in (question.window.days if question.window else [None])
    )
    assert set(failed.values()) == {1}
    assert len(failed) == len(FOUR_DAYS) + 1
    assert set(Counter(query_of(request) for request in small.requests).values()) == {1}


def test_a_single_day_that_stays_too_large_is_named_and_alone(small: Host) -> None:
    """When two days are too much and then one of them, that one fails and the other is whole."""
    account, days = accounts_of(small)[0], days_back(2, 1)
    small.misbehave("code", code=40067, times=2)
    with reading(small) as one:
        answers = list(read_reports(one.reader, build_report_queries(AD_DAILY, account, days)))
    by_error = {isinstance(answer, TikTokError): (question, answer) for question, answer in answers}
    (bad_question, error), (good_question, answer) = by_error[True], by_error[False]
    assert type(error) is TooLargeError
    assert error.code == 40067
    assert isinstance(answer, ReportResponse)
    assert bad_question.window
    assert good_question.window
    assert sorted([*bad_question.window.days, *good_question.window.days]) == days
    truth = true_report(small, AD_DAILY, account, STANDARD_METRICS, list(good_question.window.days))
    assert reported(answer.frame, AD_DAILY, STANDARD_METRICS) == truth


def test_a_new_field_of_an_object_is_kept_and_told(agency: Host) -> None:
    """A field nobody declared lands in `extra` and in the story; nothing else changes."""
    owner = accounts_of(agency)[0].advertiser_id
    with reading(agency) as one:
        ((_, before),) = read_entities(one.reader, ADS, [owner])
        agency.misbehave("new_field", field="mood")
        ((_, after),) = read_entities(one.reader, ADS, [owner])
    (old, story_before), (new, story_after) = told(before), told(after)
    for was, now in zip(shown(old, ADS.columns), shown(new, ADS.columns), strict=True):
        assert now == was | {"extra": was["extra"] | {"mood": "surprise"}}
    assert set(story_after.unknown_fields) == {*story_before.unknown_fields, "mood"}
    assert "mood" not in story_before.unknown_fields


@named("report", [AD_DAILY, AD_LIFETIME, REPORTS_BY_TABLE["advertiser_report_daily"]], ids=lambda one: one.table)
def test_a_new_field_of_a_report_is_kept_and_told(small: Host, report: Report) -> None:
    """A field beside dimensions and metrics lands in `extra` and in the story; nothing else changes."""
    questions = build_report_queries(report, accounts_of(small)[0], FOUR_DAYS)
    with reading(small) as one:
        ((_, before),) = read_reports(one.reader, questions)
        small.misbehave("new_field", field="mood")
        ((_, after),) = read_reports(one.reader, questions)
    assert isinstance(before, ReportResponse)
    assert isinstance(after, ReportResponse)
    beside = ("extra", "fetched_at")
    assert after.frame.drop(beside).equals(before.frame.drop(beside))
    assert set(after.frame.get_column("extra")) == {'{"mood":"surprise"}'}
    assert set(before.frame.get_column("extra")) == {None}
    assert (before.story.unknown_fields, after.story.unknown_fields) == ((), ("mood",))


def test_a_reading_is_dated_when_it_was_read(small: Host) -> None:
    """An answer that was read ahead and taken a day later is a day old, so that no day passes for complete."""
    first, second = accounts_of(small)[:2]
    questions = [
        question for account in (first, second) for question in build_report_queries(AD_DAILY, account, FOUR_DAYS)
    ]
    with reading(small) as one:
        answers = read_reports(one.reader, questions)
        next(answers)
        patience = time.monotonic() + 10
        while one.client.total.bytes == 0 or len(small.requests) < 2:
            assert time.monotonic() < patience
            time.sleep(0.005)
        time.sleep(0.1)  # the second answer is on its way to us
        small.advance(days=1)
        one.reader.fetcher.ask(CAMPAIGN_LIST, {"advertiser_id": first.advertiser_id}, RequestStats())
        anchor = small.sandbox.world.plan.anchor
        assert one.reader.now() - anchor >= timedelta(days=1)
        ((_, answer),) = answers
    assert isinstance(answer, ReportResponse)
    assert answer.fetched_at - anchor < timedelta(hours=1)
    assert set(answer.frame.get_column("fetched_at")) == {answer.fetched_at}


def test_every_account_is_the_truth(agency: Host) -> None:
    """The accounts' details arrive with every field; the one without grant is named and hides nobody."""
    lost = lost_of(agency)
    with reading(agency) as one:
        read = read_accounts(one.reader, agency.advertiser_ids)
    assert set(read.refused) == {lost}
    assert type(read.refused[lost]) is AdvertiserError
    assert read.refused[lost].code == 40001
    truth = [
        true_entity(ADVERTISERS, {name: value for name, value in item.items() if name != "granted"})
        | {"is_granted": True}
        for item in agency.truth("advertisers")
        if item["granted"]
    ]
    assert shown(read.frame, ADVERTISERS.columns) == sorted(truth, key=lambda row: str(row["advertiser_id"]))
    assert read.story.requests == len(agency.requests) <= 2 * ceil(log2(len(agency.advertiser_ids))) + 1


@named("lost", [0, 1, 3])
def test_lost_accounts_among_hundreds_cost_few_requests(lost: int) -> None:
    """Each lost account is found by halving its batch of a hundred; all the others are returned."""
    plan = WorldPlan(dense=True, advertisers=130, days=1, campaigns=1, ad_groups=1, ads=1)
    with Host.run(plan) as host, reading(host) as one:
        chosen = host.advertiser_ids[17::40][:lost]
        for advertiser in host.sandbox.world.advertisers.values():
            host.control("POST", "grants", advertiser_id=advertiser.id, granted=advertiser.id not in chosen)
        read = read_accounts(one.reader, host.advertiser_ids)
    assert set(read.refused) == set(chosen)
    assert read.frame.get_column("advertiser_id").to_list() == sorted(set(host.advertiser_ids) - set(chosen))
    batches = len(list(split_into_batches(host.advertiser_ids)))
    assert batches <= read.story.requests <= batches + lost * 2 * ceil(log2(100))


def test_all_accounts_refused_is_all_named(small: Host) -> None:
    """Where no account may be read each is named, with less than two requests for each."""
    small.misbehave("code", code=40001, times=None)
    with reading(small) as one:
        read = read_accounts(one.reader, small.advertiser_ids)
    assert set(read.refused) == set(small.advertiser_ids)
    assert (read.frame.height, read.story.requests) == (0, 2 * len(small.advertiser_ids) - 1)


def test_one_lost_account_does_not_stop_the_others(agency: Host) -> None:
    """Entities and reports of a lost account are its error; those before and after it are whole."""
    ids = [*agency.advertiser_ids[:2], lost_of(agency), agency.advertiser_ids[2]]
    with reading(agency) as one:
        fates = [(owner, type(read)) for owner, read in read_entities(one.reader, ADS, ids)]
    assert fates == [(ids[0], tuple), (ids[1], tuple), (ids[2], AdvertiserError), (ids[3], tuple)]


def test_the_granted_accounts_are_listed(agency: Host, everything_logged: pytest.LogCaptureFixture) -> None:
    """The app's own listing names exactly the accounts granted now, and shows the secret to nobody."""
    app, secret = agency.sandbox.app_id, agency.sandbox.secret
    with reading(agency) as one:
        listed = list_advertiser_ids(one.reader, app, secret)
        assert listed == [account.advertiser_id for account in accounts_of(agency)]
        with pytest.raises(CredentialsError) as caught:
            list_advertiser_ids(one.reader, app, secret[::-1])
        assert_no_secret_leaks((*agency.secrets, secret[::-1]), everything_logged, caught.value)
        for missing in ((None, secret), (app, None), ("", secret), (app, "")):
            with pytest.raises(CredentialsError, match="TIKTOK_ADVERTISER_IDS"):
                list_advertiser_ids(one.reader, *missing)
    assert len(agency.requests) == 2


@named(
    "how", [{"kind": "wrong_type", "field": "advertiser_id"}, {"kind": "wrong_type", "field": "advertiser_name"}]
)
def test_a_listing_of_accounts_without_ids_is_refused(agency: Host, how: dict[str, str]) -> None:
    """An account's id that is an object is a broken contract; its name is nobody's business."""
    agency.misbehave(**how)
    with reading(agency) as one:
        if how["field"] == "advertiser_id":
            with pytest.raises(ContractError):
                list_advertiser_ids(one.reader, agency.sandbox.app_id, agency.sandbox.secret)
        else:
            assert list_advertiser_ids(one.reader, agency.sandbox.app_id, agency.sandbox.secret)


def test_filters_narrow_and_deleted_ones_stay(agency: Host) -> None:
    """A filter by campaign returns that campaign's ads only, the deleted ones among them, in lists and reports."""
    account = accounts_of(agency)[0]
    ads = agency.truth("ads", advertiser_id=account.advertiser_id)
    deleted = next(ad for ad in ads if ad["secondary_status"] == "AD_STATUS_DELETE")
    chosen = {"campaign_ids": [str(deleted["campaign_id"])]}
    expected = {ad["ad_id"] for ad in ads if ad["campaign_id"] == deleted["campaign_id"]}
    with reading(agency) as one:
        ((_, read),) = read_entities(one.reader, ADS, [account.advertiser_id], filters=chosen)
        questions = build_report_queries(AD_LIFETIME, account, [])
        ((_, answer),) = read_reports(one.reader, questions, filters=chosen)
    assert set(told(read)[0].get_column("ad_id")) == expected
    assert isinstance(answer, ReportResponse)
    assert set(answer.frame.get_column("ad_id")) == expected
    assert deleted["ad_id"] in expected


def test_counts_are_what_would_be_read(agency: Host) -> None:
    """How many objects or rows there are is told by one request each, deleted ones counted."""
    account, day = accounts_of(agency)[0], TODAY - timedelta(1)
    with reading(agency) as one:
        for entity in LISTED_ENTITIES:
            truth = agency.truth(entity.table, advertiser_id=account.advertiser_id)
            assert count_entities(one.reader, entity, account.advertiser_id) == len(truth)
        rows = true_report(agency, AD_DAILY, account, STANDARD_METRICS, [day])
        assert count_report(one.reader, AD_DAILY, account, day) == len(rows)
        assert count_report(one.reader, AD_LIFETIME, account, None) == len(truth)
        assert one.client.total.requests == len(LISTED_ENTITIES) + 2


def test_a_day_nobody_has_lived_yet_has_no_rows(small: Host) -> None:
    """Days before the first delivery are complete answers without rows, not errors."""
    with reading(small) as one:
        questions = build_report_queries(AD_DAILY, accounts_of(small)[0], [date(2025, 1, 1)])
        ((_, answer),) = read_reports(one.reader, questions)
    assert isinstance(answer, ReportResponse)
    assert answer.frame.height == 0
    assert answer.story.requests == count_pages(0)

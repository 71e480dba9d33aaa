"""Laws of v1.2: through its dialect an account looks as it does in v1.3, and its requests keep its documents."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import polars as pl
import pytest

from tiktok_assets.api.client import Client, Parameter, RequestStats
from tiktok_assets.api.envelope import decode_rows
from tiktok_assets.api.errors import AdvertiserError, ContractError, TikTokError
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.versions import translate_response
from tiktok_assets.ingest.account_reader import list_advertiser_ids, read_accounts
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import build_report_queries, read_entities, read_reports
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.api_versions import (
    NUMERIC_ID_FIELDS,
    V1_2_TRANSLATIONS,
    VALUE_TRANSLATIONS,
    metrics_for_version,
)
from tiktok_assets.spec.endpoints import AD_GROUP_LIST, AD_LIST, CAMPAIGN_LIST, ENDPOINTS, REPORT, Endpoint
from tiktok_assets.spec.entities import CAMPAIGNS, LISTED_ENTITIES, Entity
from tiktok_assets.spec.metric_catalogue import METRICS
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, STANDARD_REPORTS, Report
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST, Host, Listener, assert_error_details
from tiktok_assets_tests.contracts.contract import Contract, find_request_violations, list_contracts, load_contract
from tiktok_assets_tests.ingest.conftest import accounts_of, days_back

OLD, NEW = "v1.2", "v1.3"
OURS = ("fetched_at", "extra")
NEW_IN_V13 = ("ad_id_v2", "smart_plus_ad_id", "campaign_automation_type")
ONLY_IN_V12 = {"split_test_variable"}
LISTS = (CAMPAIGN_LIST, AD_GROUP_LIST, AD_LIST)
SPEND = tuple(metric for metric in METRICS if metric.api_name in {"spend", "impressions"})
EMPTY = (
    b'{"code": 0, "message": "OK", "request_id": "1",'
    b' "data": {"list": [], "page_info": {"page": 1, "page_size": 1000, "total_number": 0, "total_page": 0}}}'
)
SECRET = "not-a-real-secret"
BIG = 7104142337395130369
NUMBERS_IN_V12 = (
    *("advertiser_id", "campaign_id", "adgroup_id", "ad_id", "pixel_id", "location_ids", "audience_ids"),
    *("excluded_audience_ids", "interest_category_ids", "interest_keyword_ids"),
)


@pytest.fixture(scope="module")
def agency() -> Iterator[Host]:
    """A world with all kinds of objects in all kinds of states."""
    with Host.run(WorldPlan()) as host:
        yield host


@contextmanager
def reader_of(url: str, token: str, version: str) -> Iterator[Reader]:
    """What reads in one version; reports ask for spend and impressions."""
    with Client(url, token, version=version, policy=FAST) as client:
        fetcher = Fetcher(client)
        try:
            yield Reader(fetcher, client.now, SPEND)
        finally:
            fetcher.close()


@contextmanager
def both(host: Host) -> Iterator[dict[str, Reader]]:
    """The same host read in both versions."""
    url, token = host.sandbox.base_url, host.sandbox.token
    with reader_of(url, token, OLD) as old, reader_of(url, token, NEW) as new:
        yield {OLD: old, NEW: new}


def entities_read(
    reader: Reader, entity: Entity, ids: list[str], filters: Mapping[str, list[str]]
) -> list[pl.DataFrame]:
    """The objects of each account, without what only v1.3 has or we add."""
    frames = []
    for _, read in read_entities(reader, entity, ids, filters=filters):
        assert not isinstance(read, TikTokError), read
        frames.append(read[0].drop(*OURS, *NEW_IN_V13, strict=False))
    return frames


def report_read(
    reader: Reader, report: Report, accounts: list[Account], filters: Mapping[str, list[str]]
) -> list[pl.DataFrame]:
    """A report of each account, without what we add."""
    days: list[date] = days_back(6, 1)
    frames = []
    questions = [question for account in accounts for question in build_report_queries(report, account, days)]
    for _, answer in read_reports(reader, questions, filters=filters):
        assert not isinstance(answer, TikTokError), answer
        frames.append(answer.frame.drop(OURS))
    return frames


def read_everything(reader: Reader, accounts: list[Account], app_id: str, secret: str) -> None:
    """Ask every question the walk can ask."""
    ids = [account.advertiser_id for account in accounts]
    list_advertiser_ids(reader, app_id, secret)
    read_accounts(reader, ids)
    chosen = {"campaign_ids": ["1680018437245954"], "adgroup_ids": ["1680067909752866"]}
    for filters in ({}, {"campaign_ids": chosen["campaign_ids"]}, chosen):
        for entity in LISTED_ENTITIES:
            if entity is not CAMPAIGNS or "adgroup_ids" not in filters:
                list(read_entities(reader, entity, ids, filters=filters))
        report_read(reader, REPORTS_BY_TABLE["ad_report_lifetime"], accounts, filters)
    for report in STANDARD_REPORTS:
        report_read(reader, report, accounts, {})


def contract_of(path: str) -> Contract:
    """The document of a v1.2 operation; that of v1.3 where the path never changed and v1.2's is lost."""
    return load_contract(path, OLD if (path, OLD) in list_contracts() else NEW)


def rows_of(host: Host, endpoint: Endpoint, version: str) -> list[dict[str, Any]]:
    """The rows of a list as the client hands them up."""
    with Client(host.sandbox.base_url, host.sandbox.token, version=version, policy=FAST) as client:
        (account, *_) = accounts_of(host)
        asked = {"advertiser_id": account.advertiser_id, "page_size": "1000"}
        rows: list[dict[str, Any]] = client.get(endpoint, asked, RequestStats()).data["list"]
    return rows


@pytest.mark.parametrize("entity", LISTED_ENTITIES, ids=lambda entity: entity.table)
def test_every_object_is_the_same_in_both_versions(agency: Host, entity: Entity) -> None:
    """Every column of every campaign, ad group and ad of every account has the same value in v1.2 as in v1.3."""
    ids = [account.advertiser_id for account in accounts_of(agency)]
    with both(agency) as readers:
        old, new = (entities_read(readers[version], entity, ids, {}) for version in (OLD, NEW))
    assert len(new) == len(ids)
    assert sum(frame.height for frame in new) > 0
    for expected, got in zip(new, old, strict=True):
        assert expected.to_dicts() == got.to_dicts()


@pytest.mark.parametrize("report", STANDARD_REPORTS, ids=lambda report: report.table)
def test_every_report_is_the_same_in_both_versions(agency: Host, report: Report) -> None:
    """Keys, names, spend and impressions of every report row are the same in v1.2 as in v1.3."""
    accounts = accounts_of(agency)
    with both(agency) as readers:
        old, new = (report_read(readers[version], report, accounts, {}) for version in (OLD, NEW))
    assert sum(frame.height for frame in new) > 0
    assert {"spend", "impressions"} <= set(new[0].columns)
    for expected, got in zip(new, old, strict=True):
        assert expected.to_dicts() == got.to_dicts()


def test_a_filter_narrows_alike_in_both_versions(agency: Host) -> None:
    """The ad groups of a campaign, the ads of an ad group and a campaign's lifetime report hold the same rows."""
    story = agency.sandbox.world.story
    assert story
    account = next(one for one in accounts_of(agency) if one.advertiser_id == story.advertiser_id)
    campaign = {"campaign_ids": [story.campaign_id]}
    _, ad_groups, ads = LISTED_ENTITIES
    found: dict[str, list[list[dict[str, Any]]]] = {}
    with both(agency) as readers:
        for version, reader in readers.items():
            (groups,) = entities_read(reader, ad_groups, [story.advertiser_id], campaign)
            group = {"adgroup_ids": [groups.get_column("ad_group_id")[0]]}
            (of_group,) = entities_read(reader, ads, [story.advertiser_id], group)
            (spent,) = report_read(reader, REPORTS_BY_TABLE["ad_report_lifetime"], [account], campaign)
            found[version] = [groups.to_dicts(), of_group.to_dicts(), spent.to_dicts()]
    groups_found, ads_found, spent_found = found[NEW]
    assert groups_found
    assert ads_found
    assert {story.campaign_id} == {row["campaign_id"] for row in spent_found}
    assert found[NEW] == found[OLD]


def test_the_accounts_are_the_same_in_both_versions(agency: Host) -> None:
    """The list of accounts and every detail of each are the same in v1.2 as in v1.3."""
    app = (agency.sandbox.app_id, agency.sandbox.secret)
    with both(agency) as readers:
        listed = {version: list_advertiser_ids(reader, *app) for version, reader in readers.items()}
        frames = {
            version: read_accounts(reader, [one.advertiser_id for one in accounts_of(agency)]).frame
            for version, reader in readers.items()
        }
    assert listed[NEW]
    assert listed[NEW] == listed[OLD]
    assert frames[NEW].drop(OURS).to_dicts() == frames[OLD].drop(OURS).to_dicts()


@pytest.mark.parametrize("endpoint", LISTS, ids=lambda endpoint: endpoint.path)
def test_above_the_client_there_are_only_names_of_v13(agency: Host, endpoint: Endpoint) -> None:
    """A row of v1.2 leaves the client with no name v1.3 does not know, the same values, and every id as text."""
    old, new = (rows_of(agency, endpoint, version) for version in (OLD, NEW))
    assert new
    for expected, got in zip(new, old, strict=True):
        assert got.keys() - expected.keys() <= ONLY_IN_V12
        shared = sorted(expected.keys() - set(NEW_IN_V13))
        # As text, for 1 equals True.
        assert repr({name: expected[name] for name in shared}) == repr({name: got[name] for name in shared})
        for name in NUMERIC_ID_FIELDS & got.keys():
            ids = got[name] if isinstance(got[name], list) else [got[name]]
            assert {type(one) for one in ids} <= {str, type(None)}, name


def test_a_report_leaves_the_client_with_ids_as_text(agency: Host) -> None:
    """The raw rows of a lifetime report, dimensions and metrics, are the same in v1.2 as in v1.3."""
    ids = [account.advertiser_id for account in accounts_of(agency)]
    asked: dict[str, Parameter] = {
        "advertiser_id": ids[0],
        "report_type": "BASIC",
        "data_level": "AUCTION_AD",
        "dimensions": ["ad_id"],
        "metrics": ["campaign_id", "spend", "impressions"],
        "query_lifetime": "true",
        "page_size": "1000",
    }
    found = {}
    for version in (OLD, NEW):
        with Client(agency.sandbox.base_url, agency.sandbox.token, version=version, policy=FAST) as client:
            found[version] = decode_rows(client.get(REPORT, asked, RequestStats()).data["list"])
    assert found[NEW]
    assert found[NEW] == found[OLD]


@pytest.mark.parametrize("name", NUMBERS_IN_V12)
def test_no_digit_of_an_id_is_lost(name: str) -> None:
    """A number of nineteen digits comes up as the same digits in text, alone and in a list; null stays null."""
    for given, expected in ((BIG, str(BIG)), ([BIG], [str(BIG)]), ([], []), (None, None), ("7", "7")):
        answer = translate_response(OLD, AD_GROUP_LIST, json.loads(json.dumps({"list": [{name: given}]})))
        assert answer["list"] == [{name: expected}]


def test_what_the_sandbox_was_asked_keeps_every_contract_of_v12(small: Host) -> None:
    """Each request of the walk is one the documents of v1.2 allow, and none goes to v1.3."""
    with reader_of(small.sandbox.base_url, small.sandbox.token, OLD) as reader:
        read_everything(reader, accounts_of(small), small.sandbox.app_id, small.sandbox.secret)
    asked = small.requests
    paths = {renames.path.strip("/") for renames in V1_2_TRANSLATIONS.values()}
    assert {request["version"] for request in asked} == {OLD}
    assert {request["path"] for request in asked} == {*paths, "oauth2/advertiser/get"}
    assert {request["code"] for request in asked} == {0}
    for request in asked:
        contract = contract_of(request["path"])
        # The log leaves out the secret and the token's text.
        secret = {"secret": SECRET} if "secret" in contract.request.parameters else {}
        found = find_request_violations(
            contract,
            request["method"],
            f"/open_api/{contract.version}/{request['path']}/",
            query=request["query"] | secret,
            body=None,
            headers={"Access-Token": SECRET} if request["token"] else {},
        )
        assert found == [], request


def test_the_lifetime_report_is_asked_as_the_tutorial_asks_it() -> None:
    """On the wire stand the tutorial's path, `lifetime`, and a filter of bare numbers in a text; no v1.3 name."""
    account = Account("7104142337395130369", "USD", "America/Los_Angeles")
    lifetime = REPORTS_BY_TABLE["ad_report_lifetime"]
    with Listener(body=EMPTY) as host, reader_of(host.url, "a-token", OLD) as reader:
        report_read(reader, lifetime, [account], {"campaign_ids": ["1680018437245954"]})
    ((target, headers),) = host.heard
    query = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True, strict_parsing=True))
    path = urlsplit(target).path
    contract = load_contract("reports/integrated/get", OLD)
    assert find_request_violations(contract, "GET", path, query=query, body=None, headers=headers) == []
    assert query["lifetime"] == "true"
    of_campaign = {"field_name": "campaign_ids", "filter_type": "IN", "filter_value": "[1680018437245954]"}
    assert of_campaign in json.loads(query["filters"])
    assert query.keys().isdisjoint({"filtering", "query_lifetime", "order_field", "order_type"})


@pytest.mark.parametrize("listed", [b"7", b'{"a": 1}', b"[7]", b'[{"campaign_id": {}}]', b"null"])
def test_a_list_that_is_none_breaks_the_contract_in_v12_too(listed: bytes) -> None:
    """What is no list of objects with keys is named a broken contract, not a fault of ours."""
    body = EMPTY.replace(b'"list": []', b'"list": ' + listed).replace(b'"total_number": 0', b'"total_number": 1')
    with Listener(body=body) as host, reader_of(host.url, "a-token", OLD) as reader:
        ((_, read),) = read_entities(reader, CAMPAIGNS, ["7104142337395130369"])
    assert isinstance(read, ContractError)


def test_an_error_of_v12_names_the_path_that_was_asked(small: Host) -> None:
    """An error names the endpoint as v1.2 calls it, so that it is found in the log of the host."""
    with (
        Client(small.sandbox.base_url, small.sandbox.token, version=OLD, policy=FAST) as client,
        pytest.raises(AdvertiserError) as caught,
    ):
        client.get(AD_LIST, {"advertiser_id": "7001"}, RequestStats())
    assert_error_details(caught.value, "ads/get", code=40001)


def test_every_rename_leads_to_a_documented_name() -> None:
    """Each name the table leads to is one the document of v1.3 knows, and no endpoint but ours is renamed."""
    assert V1_2_TRANSLATIONS.keys() <= {endpoint.path for endpoint in ENDPOINTS}
    for path, renames in V1_2_TRANSLATIONS.items():
        documented = load_contract(path.strip("/"), NEW)
        assert [one for one in renames.fields.values() if f"data.list[].{one}" not in documented.response] == []
        assert [one for one in renames.parameters if one not in documented.request.parameters] == []
        assert renames.path.strip("/") == contract_of(renames.path.strip("/")).operation
        assert len(set(renames.fields.values())) == len(renames.fields)
    everything = {name for path in V1_2_TRANSLATIONS for name in load_contract(path.strip("/"), NEW).response}
    assert [
        one for one in (*NUMERIC_ID_FIELDS, *VALUE_TRANSLATIONS) if f"data.list[].{one}" not in everything
    ] == []


def test_v12_is_asked_for_spend_and_impressions_alone() -> None:
    """Of the metrics chosen v1.2 is asked for those its document shows, v1.3 for all."""
    assert [metric.api_name for metric in metrics_for_version(OLD, METRICS)] == ["spend", "impressions"]
    assert [metric.api_name for metric in metrics_for_version(OLD, STANDARD_METRICS)] == ["spend", "impressions"]
    assert metrics_for_version(NEW, METRICS) == METRICS

"""Tests that API v1.2 returns the same data as v1.3, with requests that its documentation allows."""

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
from tiktok_assets.api.version_translation import translate_response
from tiktok_assets.ingest.account_reader import list_advertiser_ids, read_accounts
from tiktok_assets.ingest.entity_reader import read_entities
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import plan_report_requests, read_reports
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.api_versions import (
    NUMERIC_ID_FIELDS,
    V1_2_TRANSLATIONS,
    VALUE_TRANSLATIONS,
    metrics_for_version,
)
from tiktok_assets.spec.endpoints import AD_GROUP_LIST, AD_LIST, CAMPAIGN_LIST, ENDPOINTS, REPORT, Endpoint
from tiktok_assets.spec.entities import CAMPAIGN_ENTITIES, CAMPAIGNS, Entity
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import LEVEL_REPORTS, REPORTS_BY_TABLE
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST, Host, Listener, assert_error_details
from tiktok_assets_tests.contracts.contract import Contract, find_request_violations, list_contracts, load_contract
from tiktok_assets_tests.ingest.conftest import days_back, granted_accounts

OLD, NEW = "v1.2", "v1.3"
OUR_COLUMNS = ("fetched_at", "extra")
NEW_IN_V13 = ("ad_id_v2", "smart_plus_ad_id", "campaign_automation_type")
ONLY_IN_V12 = {"split_test_variable"}
LIST_ENDPOINTS = (CAMPAIGN_LIST, AD_GROUP_LIST, AD_LIST)
SPEND = tuple(metric for metric in METRICS if metric.api_name in {"spend", "impressions"})
EMPTY_PAGE = (
    b'{"code": 0, "message": "OK", "request_id": "1",'
    b' "data": {"list": [], "page_info": {"page": 1, "page_size": 1000, "total_number": 0, "total_page": 0}}}'
)
SECRET = "not-a-real-secret"
LONG_ID = 7104142337395130369
NUMERIC_IDS_IN_V12 = (
    *("advertiser_id", "campaign_id", "adgroup_id", "ad_id", "pixel_id", "location_ids", "audience_ids"),
    *("excluded_audience_ids", "interest_category_ids", "interest_keyword_ids"),
)


@pytest.fixture(scope="module")
def agency() -> Iterator[Host]:
    """Run a world with all kinds of objects in all states."""
    with Host.run(WorldPlan()) as host:
        yield host


@contextmanager
def open_reader(url: str, token: str, version: str) -> Iterator[Reader]:
    """Open a reader of one API version that requests spend and impressions."""
    with Client(url, token, version=version, policy=FAST) as client:
        fetcher = Fetcher(client)
        try:
            yield Reader(fetcher, client.now, SPEND)
        finally:
            fetcher.close()


@contextmanager
def open_both_readers(host: Host) -> Iterator[dict[str, Reader]]:
    """Open a reader of each version on the same host."""
    url, token = host.sandbox.base_url, host.sandbox.token
    with open_reader(url, token, OLD) as old, open_reader(url, token, NEW) as new:
        yield {OLD: old, NEW: new}


def read_entity_frames(
    reader: Reader, entity: Entity, ids: list[str], filters: Mapping[str, list[str]]
) -> list[pl.DataFrame]:
    """Read the objects of each account, without the columns that only v1.3 has or that we add."""
    frames = []
    for _, read in read_entities(reader, entity, ids, filters=filters):
        assert not isinstance(read, TikTokError), read
        frames.append(read[0].drop(*OUR_COLUMNS, *NEW_IN_V13, strict=False))
    return frames


def read_report_frames(
    reader: Reader, report: Report, accounts: list[Account], filters: Mapping[str, list[str]]
) -> list[pl.DataFrame]:
    """Read a report of each account, without the columns that we add."""
    days: list[date] = days_back(6, 1)
    frames = []
    queries = [query for account in accounts for query in plan_report_requests(report, account, days)]
    for _, result in read_reports(reader, queries, filters=filters):
        assert not isinstance(result, TikTokError), result
        frames.append(result.frame.drop(OUR_COLUMNS))
    return frames


def read_everything(reader: Reader, accounts: list[Account], app_id: str, secret: str) -> None:
    """Send every kind of read request that v1.2 supports."""
    ids = [account.advertiser_id for account in accounts]
    list_advertiser_ids(reader, app_id, secret)
    read_accounts(reader, ids)
    chosen = {"campaign_ids": ["1680018437245954"], "adgroup_ids": ["1680067909752866"]}
    for filters in ({}, {"campaign_ids": chosen["campaign_ids"]}, chosen):
        for entity in CAMPAIGN_ENTITIES:
            if entity is not CAMPAIGNS or "adgroup_ids" not in filters:
                list(read_entities(reader, entity, ids, filters=filters))
        read_report_frames(reader, REPORTS_BY_TABLE["ad_report_lifetime"], accounts, filters)
    for report in LEVEL_REPORTS:
        read_report_frames(reader, report, accounts, {})


def load_v12_contract(path: str) -> Contract:
    """Load the v1.2 contract of an operation, or that of v1.3 if the path is the same and v1.2's is lost."""
    return load_contract(path, OLD if (path, OLD) in list_contracts() else NEW)


def read_client_rows(host: Host, endpoint: Endpoint, version: str) -> list[dict[str, Any]]:
    """Return the rows of a list as the client returns them."""
    with Client(host.sandbox.base_url, host.sandbox.token, version=version, policy=FAST) as client:
        (account, *_) = granted_accounts(host)
        parameters = {"advertiser_id": account.advertiser_id, "page_size": "1000"}
        rows: list[dict[str, Any]] = client.get(endpoint, parameters, RequestStats()).data["list"]
    return rows


@pytest.mark.parametrize("entity", CAMPAIGN_ENTITIES, ids=lambda entity: entity.table)
def test_objects_are_the_same_in_both_versions(agency: Host, entity: Entity) -> None:
    """Every column of every campaign, ad group and ad has the same value in both versions."""
    ids = [account.advertiser_id for account in granted_accounts(agency)]
    with open_both_readers(agency) as readers:
        old, new = (read_entity_frames(readers[version], entity, ids, {}) for version in (OLD, NEW))
    assert len(new) == len(ids)
    assert sum(frame.height for frame in new) > 0
    for expected, got in zip(new, old, strict=True):
        assert expected.to_dicts() == got.to_dicts()


@pytest.mark.slow
@pytest.mark.parametrize("report", LEVEL_REPORTS, ids=lambda report: report.table)
def test_reports_are_the_same_in_both_versions(agency: Host, report: Report) -> None:
    """Keys, names, spend and impressions of every report row are the same in both versions."""
    accounts = granted_accounts(agency)
    with open_both_readers(agency) as readers:
        old, new = (read_report_frames(readers[version], report, accounts, {}) for version in (OLD, NEW))
    assert sum(frame.height for frame in new) > 0
    assert {"spend", "impressions"} <= set(new[0].columns)
    for expected, got in zip(new, old, strict=True):
        assert expected.to_dicts() == got.to_dicts()


def test_filters_work_the_same_in_both_versions(agency: Host) -> None:
    """Filters by campaign and ad group select the same rows in both versions."""
    scenario = agency.sandbox.world.scenario
    assert scenario
    account = next(one for one in granted_accounts(agency) if one.advertiser_id == scenario.advertiser_id)
    campaign = {"campaign_ids": [scenario.campaign_id]}
    _, ad_groups, ads = CAMPAIGN_ENTITIES
    found: dict[str, list[list[dict[str, Any]]]] = {}
    with open_both_readers(agency) as readers:
        for version, reader in readers.items():
            (groups,) = read_entity_frames(reader, ad_groups, [scenario.advertiser_id], campaign)
            group = {"adgroup_ids": [groups.get_column("ad_group_id")[0]]}
            (group_ads,) = read_entity_frames(reader, ads, [scenario.advertiser_id], group)
            (report,) = read_report_frames(reader, REPORTS_BY_TABLE["ad_report_lifetime"], [account], campaign)
            found[version] = [groups.to_dicts(), group_ads.to_dicts(), report.to_dicts()]
    groups_found, ads_found, report_found = found[NEW]
    assert groups_found
    assert ads_found
    assert {scenario.campaign_id} == {row["campaign_id"] for row in report_found}
    assert found[NEW] == found[OLD]


def test_accounts_are_the_same_in_both_versions(agency: Host) -> None:
    """The list of accounts and all account details are the same in both versions."""
    app = (agency.sandbox.app_id, agency.sandbox.secret)
    with open_both_readers(agency) as readers:
        list_json = {version: list_advertiser_ids(reader, *app) for version, reader in readers.items()}
        frames = {
            version: read_accounts(reader, [one.advertiser_id for one in granted_accounts(agency)]).frame
            for version, reader in readers.items()
        }
    assert list_json[NEW]
    assert list_json[NEW] == list_json[OLD]
    assert frames[NEW].drop(OUR_COLUMNS).to_dicts() == frames[OLD].drop(OUR_COLUMNS).to_dicts()


@pytest.mark.parametrize("endpoint", LIST_ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_client_returns_v13_names_only(agency: Host, endpoint: Endpoint) -> None:
    """A v1.2 row from the client has v1.3 field names and values, and every id as text."""
    old, new = (read_client_rows(agency, endpoint, version) for version in (OLD, NEW))
    assert new
    for expected, got in zip(new, old, strict=True):
        assert got.keys() - expected.keys() <= ONLY_IN_V12
        shared = sorted(expected.keys() - set(NEW_IN_V13))
        # Compared as text, because 1 equals True.
        assert repr({name: expected[name] for name in shared}) == repr({name: got[name] for name in shared})
        for name in NUMERIC_ID_FIELDS & got.keys():
            ids = got[name] if isinstance(got[name], list) else [got[name]]
            assert {type(one) for one in ids} <= {str, type(None)}, name


def test_client_returns_report_ids_as_text(agency: Host) -> None:
    """The raw rows of a lifetime report are the same in both versions."""
    ids = [account.advertiser_id for account in granted_accounts(agency)]
    parameters: dict[str, Parameter] = {
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
            found[version] = decode_rows(client.get(REPORT, parameters, RequestStats()).data["list"])
    assert found[NEW]
    assert found[NEW] == found[OLD]


@pytest.mark.parametrize("name", NUMERIC_IDS_IN_V12)
def test_ids_keep_all_digits(name: str) -> None:
    """An id of nineteen digits keeps all of them as text, alone and in a list; null stays null."""
    for value, expected in (
        (LONG_ID, str(LONG_ID)),
        ([LONG_ID], [str(LONG_ID)]),
        ([], []),
        (None, None),
        ("7", "7"),
    ):
        response = translate_response(OLD, AD_GROUP_LIST, json.loads(json.dumps({"list": [{name: value}]})))
        assert response["list"] == [{name: expected}]


@pytest.mark.slow
def test_v12_requests_match_the_documentation(small_host: Host) -> None:
    """Each v1.2 request keeps the documented v1.2 contract, and none is sent to v1.3."""
    with open_reader(small_host.sandbox.base_url, small_host.sandbox.token, OLD) as reader:
        read_everything(reader, granted_accounts(small_host), small_host.sandbox.app_id, small_host.sandbox.secret)
    requests = small_host.requests
    paths = {translation.path.strip("/") for translation in V1_2_TRANSLATIONS.values()}
    assert {request["version"] for request in requests} == {OLD}
    assert {request["path"] for request in requests} == {*paths, "oauth2/advertiser/get"}
    assert {request["code"] for request in requests} == {0}
    for request in requests:
        contract = load_v12_contract(request["path"])
        # The log has neither the secret nor the token.
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


def test_v12_lifetime_report_request_matches_the_tutorial() -> None:
    """A v1.2 lifetime report is requested as in TikTok's tutorial, without any v1.3 name."""
    account = Account("7104142337395130369", "USD", "America/Los_Angeles")
    lifetime = REPORTS_BY_TABLE["ad_report_lifetime"]
    with Listener(body=EMPTY_PAGE) as host, open_reader(host.url, "a-token", OLD) as reader:
        read_report_frames(reader, lifetime, [account], {"campaign_ids": ["1680018437245954"]})
    ((target, headers),) = host.received
    query = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True, strict_parsing=True))
    path = urlsplit(target).path
    contract = load_contract("reports/integrated/get", OLD)
    assert find_request_violations(contract, "GET", path, query=query, body=None, headers=headers) == []
    assert query["lifetime"] == "true"
    of_campaign = {"field_name": "campaign_ids", "filter_type": "IN", "filter_value": "[1680018437245954]"}
    assert of_campaign in json.loads(query["filters"])
    assert query.keys().isdisjoint({"filtering", "query_lifetime", "order_field", "order_type"})


@pytest.mark.parametrize("list_json", [b"7", b'{"a": 1}', b"[7]", b'[{"campaign_id": {}}]', b"null"])
def test_invalid_v12_list_is_a_contract_error(list_json: bytes) -> None:
    """A v1.2 response without a list of objects with keys raises a ContractError."""
    body = EMPTY_PAGE.replace(b'"list": []', b'"list": ' + list_json).replace(
        b'"total_number": 0', b'"total_number": 1'
    )
    with Listener(body=body) as host, open_reader(host.url, "a-token", OLD) as reader:
        ((_, read),) = read_entities(reader, CAMPAIGNS, ["7104142337395130369"])
    assert isinstance(read, ContractError)


def test_v12_error_has_the_v12_path(small_host: Host) -> None:
    """An error has the v1.2 path of its endpoint."""
    with (
        Client(small_host.sandbox.base_url, small_host.sandbox.token, version=OLD, policy=FAST) as client,
        pytest.raises(AdvertiserError) as caught,
    ):
        client.get(AD_LIST, {"advertiser_id": "7001"}, RequestStats())
    assert_error_details(caught.value, "ads/get", code=40001)


def test_translations_lead_to_documented_names() -> None:
    """Each translated name is in the v1.3 documentation, and only our endpoints are translated."""
    assert V1_2_TRANSLATIONS.keys() <= {endpoint.path for endpoint in ENDPOINTS}
    for path, translation in V1_2_TRANSLATIONS.items():
        documented = load_contract(path.strip("/"), NEW)
        assert [
            one for one in translation.fields.values() if f"data.list[].{one}" not in documented.response
        ] == []
        assert [one for one in translation.parameters if one not in documented.request.parameters] == []
        assert translation.path.strip("/") == load_v12_contract(translation.path.strip("/")).operation
        assert len(set(translation.fields.values())) == len(translation.fields)
    everything = {name for path in V1_2_TRANSLATIONS for name in load_contract(path.strip("/"), NEW).response}
    assert [
        one for one in (*NUMERIC_ID_FIELDS, *VALUE_TRANSLATIONS) if f"data.list[].{one}" not in everything
    ] == []


def test_v12_requests_documented_metrics_only() -> None:
    """v1.2 is requested for spend and impressions, v1.3 for all chosen metrics."""
    assert [metric.api_name for metric in metrics_for_version(OLD, METRICS)] == ["spend", "impressions"]
    assert [metric.api_name for metric in metrics_for_version(OLD, STANDARD_METRICS)] == ["spend", "impressions"]
    assert metrics_for_version(NEW, METRICS) == METRICS

"""Tests that the requests we send and the columns we declare are in TikTok's documentation."""

from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

import pytest

from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.errors import TikTokError
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.ingest.account_reader import list_advertiser_ids, read_accounts
from tiktok_assets.ingest.entity_reader import read_entities
from tiktok_assets.ingest.gmv_max import build_gmv_max_query
from tiktok_assets.ingest.gmv_max_shops import read_gmv_max_spend, read_shops
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import plan_report_requests, read_reports
from tiktok_assets.ingest.size_estimates import count_entities, count_report
from tiktok_assets.spec.endpoints import ENDPOINTS, GMV_MAX_READS, Endpoint
from tiktok_assets.spec.entities import ADS, ENTITIES, LISTED_ENTITIES, TOPVIEW_AND_PROMOTE, Entity
from tiktok_assets.spec.gmv_max import GMV_MAX_REPORTS
from tiktok_assets.spec.metric_catalog import METRICS, Metric
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS, REPORTS_BY_TABLE
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST, Host, Listener
from tiktok_assets_tests.contracts.contract import find_request_violations, load_contract
from tiktok_assets_tests.ingest.conftest import days_back, granted_accounts

EMPTY_PAGE = (
    b'{"code": 0, "message": "OK", "request_id": "1",'
    b' "data": {"list": [], "page_info": {"page": 1, "page_size": 1000, "total_number": 0, "total_page": 0}}}'
)
SECRET = "not-a-real-secret"
READS = (*ENDPOINTS, *GMV_MAX_READS)


def read_everything(reader: Reader, accounts: list[Account], app_id: str, secret: str) -> None:
    """Send every kind of read request that the product sends."""
    ids = [account.advertiser_id for account in accounts]
    list_advertiser_ids(reader, app_id, secret)
    read_accounts(reader, ids)
    campaign_filter = {"campaign_ids": ["1680018437245954"]}
    for entity in LISTED_ENTITIES:
        for filters in ({}, campaign_filter):
            list(read_entities(reader, entity, ids, filters=filters))
        count_entities(reader, entity, ids[0])
    for report in REPORTS:
        days = days_back(3 if report.is_split else 40, 1)
        queries = [query for account in accounts for query in plan_report_requests(report, account, days)]
        list(read_reports(reader, queries))
        count_report(reader, report, accounts[0], days_back(1, 1)[0] if report.cadence == "daily" else None)
        if report.level.name != "advertiser":
            list(read_reports(reader, queries[:1], filters=campaign_filter))
    read_gmv_max(reader, ids[0])


def read_gmv_max(reader: Reader, advertiser_id: str) -> None:
    """Send every kind of request of GMV Max; a host without a shop refuses the reports."""
    with suppress(TikTokError):
        read_shops(reader, advertiser_id)
    days = days_back(30, 1)
    ids = {"campaign_ids": ["1680018437245954"], "item_group_ids": ["7092680532965623184"]}
    queries = [
        build_gmv_max_query(
            report,
            advertiser_id,
            DateWindow(days[0], days[-1]),
            store_id="7013264683036441547",
            promotion_type=promotion_type,
            filters={name: ids[name] for name in (f"{one}s" for one in report.ids[:2]) if len(report.ids) > 1},
        )
        for report in GMV_MAX_REPORTS
        for promotion_type in report.promotion_types
    ]
    list(reader.fetcher.fetch_each(queries))
    read_gmv_max_spend(reader, Account(advertiser_id, "USD", "UTC"), days[-1], is_refused=True)


@pytest.mark.slow
def test_refresh_requests_match_the_documentation(small_host: Host, paged_host: Host) -> None:
    """Each request of a whole refresh, with pages beyond the first, keeps its documented contract."""
    with small_host.fetcher() as (client, fetcher):
        reader = Reader(fetcher, client.now, STANDARD_METRICS, special_types=TOPVIEW_AND_PROMOTE)
        read_everything(reader, granted_accounts(small_host), small_host.sandbox.app_id, small_host.sandbox.secret)
    with paged_host.fetcher() as (client, fetcher):
        reader = Reader(fetcher, client.now, STANDARD_METRICS)
        (account,) = granted_accounts(paged_host)
        list(read_entities(reader, ADS, [account.advertiser_id]))
        list(
            read_reports(reader, plan_report_requests(REPORTS_BY_TABLE["ad_report_daily"], account, days_back(1)))
        )
    requests = [*small_host.requests, *paged_host.requests]
    assert {request["path"] for request in requests} == {endpoint.path.strip("/") for endpoint in READS}
    assert any(request["query"].get("page") == "2" for request in requests)
    for request in requests:
        contract = load_contract(request["path"])
        # The log has neither the secret nor the token.
        secret = {"secret": SECRET} if "secret" in contract.request.parameters else {}
        found = find_request_violations(
            contract,
            request["method"],
            f"/open_api/v1.3/{request['path']}/",
            query=request["query"] | secret,
            body=None,
            headers={"Access-Token": SECRET} if request["token"] else {},
        )
        assert found == [], request


@pytest.mark.slow
@pytest.mark.parametrize("metrics", [STANDARD_METRICS, METRICS], ids=["standard", "all"])
def test_requests_on_the_wire_match_the_documentation(metrics: tuple[Metric, ...]) -> None:
    """Path with its last slash, headers and parameters on the wire keep the documented contract."""
    account = Account("7104142337395130369", "USD", "America/Los_Angeles")
    with Listener(body=EMPTY_PAGE) as host, Client(host.url, "a-token", policy=FAST) as client:
        fetcher = Fetcher(client)
        read_everything(Reader(fetcher, client.now, metrics), [account], "7104142337395130370", SECRET)
        fetcher.close()
    assert {find_endpoint(path).path for path, _ in host.received} == {endpoint.path for endpoint in READS}
    for target, headers in host.received:
        contract = load_contract(find_endpoint(target).path.strip("/"))
        query = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True, strict_parsing=True))
        path = urlsplit(target).path
        assert find_request_violations(contract, "GET", path, query=query, body=None, headers=headers) == []
        assert headers["access-token"] == "a-token"
        assert "authorization" not in headers
        assert "gzip" in headers["accept-encoding"]


def find_endpoint(target: str) -> Endpoint:
    """Return the endpoint of a request URL."""
    return next(one for one in READS if urlsplit(target).path == f"/open_api/v1.3/{one.path}")


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.table)
def test_declared_columns_are_documented(entity: Entity) -> None:
    """Each declared column is a documented field of its operation."""
    documented = load_contract(entity.endpoint.path.strip("/")).response
    unknown = [c.api_name for c in entity.columns if f"data.list[].{c.api_name}" not in documented]
    assert unknown == []


def list_levels() -> Iterator[tuple[str, str]]:
    """Yield the data level and the id dimension of each report that has one."""
    yield from {(report.level.data_level, report.level.dimension) for report in REPORTS if report.level.data_level}


def test_report_levels_are_documented() -> None:
    """Each report has a documented data level with its documented id dimension."""
    contract = load_contract("report/integrated/get")
    allowed = contract.rules["id_dimension_of_data_level"]
    assert all(dimension in allowed[level] for level, dimension in list_levels())
    assert {level for level, _ in list_levels()} <= set(contract.request.parameters["data_level"].values or [])


def test_request_stats_repr_has_no_lock() -> None:
    """The repr of request statistics has the counts and not the lock."""
    assert "lock" not in repr(RequestStats())

"""The requests we really send, and the columns we declare, held against documents that others wrote."""

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest

from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.ingest.account_reader import list_advertiser_ids, read_accounts
from tiktok_assets.ingest.estimates import count_entities, count_report
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import build_report_queries, read_entities, read_reports
from tiktok_assets.spec.endpoints import ENDPOINTS, Endpoint
from tiktok_assets.spec.entities import ADS, ENTITIES, LISTED_ENTITIES, TOPVIEW_AND_PROMOTE, Entity
from tiktok_assets.spec.metric_catalogue import METRICS, Metric
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS, REPORTS_BY_TABLE
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST, Host, Listener
from tiktok_assets_tests.contracts.contract import find_request_violations, load_contract
from tiktok_assets_tests.ingest.conftest import accounts_of, days_back

EMPTY = (
    b'{"code": 0, "message": "OK", "request_id": "1",'
    b' "data": {"list": [], "page_info": {"page": 1, "page_size": 1000, "total_number": 0, "total_page": 0}}}'
)
SECRET = "not-a-real-secret"


def read_everything(reader: Reader, accounts: list[Account], app_id: str, secret: str) -> None:
    """Ask every question the product asks."""
    ids = [account.advertiser_id for account in accounts]
    list_advertiser_ids(reader, app_id, secret)
    read_accounts(reader, ids)
    chosen = {"campaign_ids": ["1680018437245954"]}
    for entity in LISTED_ENTITIES:
        for filters in ({}, chosen):
            list(read_entities(reader, entity, ids, filters=filters))
        count_entities(reader, entity, ids[0])
    for report in REPORTS:
        days = days_back(3 if report.splits else 40, 1)
        questions = [question for account in accounts for question in build_report_queries(report, account, days)]
        list(read_reports(reader, questions))
        count_report(reader, report, accounts[0], days_back(1, 1)[0] if report.cadence == "daily" else None)
        if report.level.name != "advertiser":
            list(read_reports(reader, questions[:1], filters=chosen))


def test_what_the_sandbox_was_asked_keeps_every_contract(small: Host, paged: Host) -> None:
    """Each request of a whole refresh is one its document allows, pages beyond the first among them."""
    with small.fetcher() as (client, fetcher):
        reader = Reader(fetcher, client.now, STANDARD_METRICS, hidden_kinds=TOPVIEW_AND_PROMOTE)
        read_everything(reader, accounts_of(small), small.sandbox.app_id, small.sandbox.secret)
    with paged.fetcher() as (client, fetcher):
        reader = Reader(fetcher, client.now, STANDARD_METRICS)
        (account,) = accounts_of(paged)
        list(read_entities(reader, ADS, [account.advertiser_id]))
        list(
            read_reports(reader, build_report_queries(REPORTS_BY_TABLE["ad_report_daily"], account, days_back(1)))
        )
    asked = [*small.requests, *paged.requests]
    assert {request["path"] for request in asked} == {endpoint.path.strip("/") for endpoint in ENDPOINTS}
    assert any(request["query"].get("page") == "2" for request in asked)
    for request in asked:
        contract = load_contract(request["path"])
        # The log leaves out the secret and the token's text.
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


@pytest.mark.parametrize("metrics", [STANDARD_METRICS, METRICS], ids=["standard", "all"])
def test_what_is_on_the_wire_keeps_every_contract(metrics: tuple[Metric, ...]) -> None:
    """Seen from a bare listener: the documented path to its last slash, the header, and parameters as text."""
    account = Account("7104142337395130369", "USD", "America/Los_Angeles")
    with Listener(body=EMPTY) as host, Client(host.url, "a-token", policy=FAST) as client:
        fetcher = Fetcher(client)
        read_everything(Reader(fetcher, client.now, metrics), [account], "7104142337395130370", SECRET)
        fetcher.close()
    assert {endpoint_of(path).path for path, _ in host.heard} == {endpoint.path for endpoint in ENDPOINTS}
    for target, headers in host.heard:
        contract = load_contract(endpoint_of(target).path.strip("/"))
        query = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True, strict_parsing=True))
        path = urlsplit(target).path
        assert find_request_violations(contract, "GET", path, query=query, body=None, headers=headers) == []
        assert headers["access-token"] == "a-token"
        assert "authorization" not in headers
        assert "gzip" in headers["accept-encoding"]


def endpoint_of(target: str) -> Endpoint:
    """The endpoint a request was meant for."""
    return next(one for one in ENDPOINTS if urlsplit(target).path == f"/open_api/v1.3/{one.path}")


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.table)
def test_declared_columns_are_documented_keys(entity: Entity) -> None:
    """No column is declared that the document of its operation does not know."""
    documented = load_contract(entity.endpoint.path.strip("/")).response
    unknown = [c.api_name for c in entity.columns if f"data.list[].{c.api_name}" not in documented]
    assert unknown == []


def dimensions() -> Iterator[tuple[str, str]]:
    """Each level's word and its id."""
    yield from {(report.level.data_level, report.level.dimension) for report in REPORTS}


def test_the_levels_of_reports_are_the_documented_ones() -> None:
    """Each level is asked with the one id dimension its document gives it, and only at levels it knows."""
    contract = load_contract("report/integrated/get")
    allowed = contract.rules["id_dimension_of_data_level"]
    assert all(dimension in allowed[level] for level, dimension in dimensions())
    assert {level for level, _ in dimensions()} <= set(contract.request.parameters["data_level"].values or [])


def test_a_tally_shows_no_lock() -> None:
    """What a reading cost can be printed: figures, and nothing of the machinery."""
    assert "lock" not in repr(RequestStats())

"""Tests of the account and entity lists."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiktok_assets_tests.sandbox.conftest import Api

LISTS = (("campaign/get", "campaign_id"), ("adgroup/get", "adgroup_id"), ("ad/get", "ad_id"))
KINDS = {"campaign/get": "campaigns", "adgroup/get": "ad_groups", "ad/get": "ads"}
shared = settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ids(body: dict[str, Any], key: str) -> list[str]:
    """Return the ids of a successful list."""
    assert body["code"] == 0, body
    return [item[key] for item in body["data"]["list"]]


@pytest.mark.parametrize(("path", "key"), LISTS)
@given(page_size=st.integers(1, 40), deleted=st.booleans())
@shared
def test_pages_are_complete(  # noqa: PLR0917  # pytest passes them by name
    api: Api, accounts: list[str], path: str, key: str, page_size: int, deleted: bool
) -> None:
    """For every page size the pages together are the whole list, ordered by id, descending."""
    query: dict[str, Any] = {"filtering": {"primary_status": "STATUS_ALL" if deleted else "STATUS_NOT_DELETE"}}
    whole = ids(api.get(path, advertiser_id=accounts[0], page_size=1000, **query), key)
    seen: list[str] = []
    page, pages = 1, 1
    while page <= pages:
        body = api.get(path, advertiser_id=accounts[0], page=page, page_size=page_size, **query)
        pages = body["data"]["page_info"]["total_page"]
        seen += ids(body, key)
        page += 1
    assert sorted(whole, key=int, reverse=True) == seen


@pytest.mark.parametrize(("path", "key"), LISTS)
def test_deleted_entities_are_excluded_by_default(api: Api, accounts: list[str], path: str, key: str) -> None:
    """Without a status filter exactly the deleted entities are missing; the ground truth has all."""
    default = ids(api.get(path, advertiser_id=accounts[0], page_size=1000), key)
    all_ids = ids(
        api.get(path, advertiser_id=accounts[0], page_size=1000, filtering={"primary_status": "STATUS_ALL"}), key
    )
    deleted = ids(
        api.get(path, advertiser_id=accounts[0], page_size=1000, filtering={"primary_status": "STATUS_DELETE"}),
        key,
    )
    truth = api.control("GET", f"truth/{KINDS[path]}?advertiser_id={accounts[0]}")
    assert deleted
    assert sorted(default + deleted) == sorted(all_ids) == sorted(item[key] for item in truth)


FILTERS = [
    ("campaign/get", {"campaign_name": "scaling"}, "campaign_name", "Scaling | Proven winners"),
    ("campaign/get", {"objective_type": "CONVERSIONS"}, "objective_type", "WEB_CONVERSIONS"),
    ("campaign/get", {"secondary_status": "CAMPAIGN_STATUS_DISABLE"}, "operation_status", "DISABLE"),
    ("adgroup/get", {"primary_status": "STATUS_DELIVERY_OK"}, "secondary_status", "ADGROUP_STATUS_DELIVERY_OK"),
    ("ad/get", {"secondary_status": "AD_STATUS_AUDIT"}, "ad_name", "New edit | in review"),
    ("ad/get", {"buying_types": ["AUCTION"], "ad_name": "unboxing"}, "ad_format", "SINGLE_VIDEO"),
]


@pytest.mark.parametrize(("path", "filtering", "field", "value"), FILTERS)
def test_filters(  # noqa: PLR0917  # pytest passes them by name
    api: Api, accounts: list[str], path: str, filtering: dict[str, Any], field: str, value: str
) -> None:
    """A filter returns entities, and only those that match it."""
    body = api.get(path, advertiser_id=accounts[0], page_size=1000, filtering=filtering)
    assert {value} == {item[field] for item in body["data"]["list"]}


def test_disabled_campaign_changes_status_of_children(api: Api, accounts: list[str]) -> None:
    """Children of a disabled campaign have its secondary status and their own operation status."""
    disabled = api.get("campaign/get", advertiser_id=accounts[0], filtering={"primary_status": "STATUS_DISABLE"})
    (campaign_id,) = ids(disabled, "campaign_id")
    body = api.get("ad/get", advertiser_id=accounts[0], filtering={"campaign_ids": [campaign_id]})
    statuses = {item["secondary_status"] for item in body["data"]["list"]}
    assert {"AD_STATUS_CAMPAIGN_DISABLE"} == statuses
    assert "ENABLE" in {item["operation_status"] for item in body["data"]["list"]}


def test_length_of_ids(api: Api, accounts: list[str]) -> None:
    """Entity ids have 16 digits and account ids 19 digits."""
    for path, key in LISTS:
        for item in api.get(path, advertiser_id=accounts[0], page_size=1000)["data"]["list"]:
            assert len(item[key]) == 16
    assert {19} == {len(account) for account in accounts}


def test_fields_and_nulls(api: Api, accounts: list[str]) -> None:
    """`fields` selects fields and refuses unknown ones; NULL_FIELD omits nulls."""
    body = api.get("ad/get", advertiser_id=accounts[0], fields=["ad_id", "ad_name"])
    assert {"ad_id", "ad_name"} == set(body["data"]["list"][0])
    assert api.get("ad/get", advertiser_id=accounts[0], fields=["nonsense"])["code"] == 40002
    body = api.get("ad/get", advertiser_id=accounts[0], exclude_field_types_in_response=["NULL_FIELD"])
    assert None not in body["data"]["list"][0].values()


def test_empty_account(api: Api, accounts: list[str]) -> None:
    """An account without campaigns has an empty list and total_page 0."""
    body = api.get("campaign/get", advertiser_id=accounts[3])
    info = {"page": 1, "page_size": 10, "total_number": 0, "total_page": 0}
    assert {"list": [], "page_info": info} == body["data"]


def test_entities_exist_after_their_creation(api: Api, accounts: list[str]) -> None:
    """Before its creation an ad is not listed."""
    scenario = api.sandbox.world.scenario
    assert scenario
    ad: dict[str, Any] = {"filtering": {"ad_ids": [scenario.new_leader_ad_id]}}
    (item,) = api.get("ad/get", advertiser_id=accounts[0], **ad)["data"]["list"]
    api.control("POST", "clock", advance_seconds=-14 * 86_400)
    assert api.get("ad/get", advertiser_id=accounts[0], **ad)["data"]["list"] == []
    assert item["secondary_status"] == "AD_STATUS_DELIVERY_OK"


def test_accounts(api: Api, accounts: list[str]) -> None:
    """The account list has the granted accounts, and the details have time zone and currency."""
    sandbox = api.sandbox
    body = api.get("oauth2/advertiser/get", app_id=sandbox.app_id, secret=sandbox.secret)
    assert accounts[:4] == ids(body, "advertiser_id")
    assert api.get("oauth2/advertiser/get", app_id=sandbox.app_id, secret="no")["code"] == 40001
    (info,) = api.get("advertiser/info", advertiser_ids=accounts[:1])["data"]["list"]
    assert (
        info["timezone"],
        info["display_timezone"],
        info["currency"],
    ) == ("Etc/GMT+8", "America/Los_Angeles", "USD")
    assert isinstance(info["create_time"], int)


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("ad/get", {"page_size": 1001}, 40002, "page_size"),
    ("ad/get", {"page": 0}, 40002, "page"),
    ("ad/get", {"filtering": {"primary_status": "NO"}}, 40002, "filtering.primary_status"),
    ("ad/get", {"filtering": {"ad_ids": [1]}}, 40002, "filtering.ad_ids.0"),
    ("ad/get", {"filtering": {"ad_ids": ["1"] * 101}}, 40011, "filtering.ad_ids"),
    ("ad/get", {"filtering": "[]"}, 40002, "filtering"),
    ("ad/get", {"filtering": "{"}, 40002, "filtering"),
    ("campaign/get", {"filtering": {"buying_types": ["AUCTION", "RESERVATION_TOP_VIEW"]}}, 40002, "buying_types"),
    ("adgroup/get", {"filtering": {"creation_filter_start_time": "yesterday"}}, 40002, "creation_filter"),
]


@pytest.mark.parametrize(("path", "params", "code", "message"), REFUSED)
def test_errors_name_the_parameter(  # noqa: PLR0917  # pytest passes them by name
    api: Api, accounts: list[str], path: str, params: dict[str, Any], code: int, message: str
) -> None:
    """An invalid value fails with a code and the dotted path of the parameter."""
    body = api.get(path, advertiser_id=accounts[0], **params)
    assert code == body["code"]
    assert message in body["message"]
    assert body["data"] == {}


def test_order_of_checks(api: Api, accounts: list[str]) -> None:
    """The token is checked before the parameters, and those before the grant; all errors have HTTP status 200."""
    not_granted = accounts[4]
    wrong: dict[str, Any] = {"page_size": 0}
    url = "/open_api/v1.3/ad/get/"
    without_token = api.http.get(url, params=wrong)
    assert (without_token.status_code, without_token.json()["code"]) == (200, 40104)
    assert api.get("ad/get", token="stale", advertiser_id=not_granted, **wrong)["code"] == 40105
    assert api.get("ad/get", advertiser_id=not_granted, **wrong)["code"] == 40002
    refused = api.get("ad/get", advertiser_id=not_granted)
    assert refused["code"] == 40001
    assert "does not grant you /ad/get/:GET permission" in refused["message"]


def test_envelope(api: Api, accounts: list[str]) -> None:
    """Every envelope has four fields and a request id of 34 characters; unknown parameters are ignored."""
    body = api.get("campaign/get", advertiser_id=accounts[0], lifetime=True, nonsense="x")
    assert {"code", "message", "request_id", "data"} == set(body)
    assert len(body["request_id"]) == 34
    assert body["data"]["page_info"]["page_size"] == 10
    without_slash = api.http.get(
        "/open_api/v1.3/campaign/get",
        params={"advertiser_id": accounts[0]},
        headers={"Access-Token": api.sandbox.token},
    )
    assert body["data"] == without_slash.json()["data"]
    assert api.http.get("/open_api/v1.3/nothing/here/").status_code == 404
    assert api.http.get("/open_api/v9.9/campaign/get/").json()["code"] == 40006


def test_get_with_json_body(api: Api, accounts: list[str]) -> None:
    """A GET may have a JSON body instead of query parameters, as documented."""
    response = api.http.request(
        "GET",
        "/open_api/v1.3/campaign/get/",
        json={"advertiser_id": accounts[0], "page": "1", "page_size": 2, "fields": ["campaign_id"]},
        headers={"Access-Token": api.sandbox.token},
    )
    assert len(response.json()["data"]["list"]) == 2

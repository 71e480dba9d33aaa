"""Tests of the sandbox's v1.3 reads, writes and tokens against the transcribed API documentation."""

from typing import Any

import pytest

from tiktok_assets.sandbox.routes import VERSIONS
from tiktok_assets_tests.contracts.contract import (
    find_request_violations,
    find_response_violations,
    list_contracts,
    load_contract,
)
from tiktok_assets_tests.sandbox.conftest import Api
from tiktok_assets_tests.sandbox.factory import EntityFactory
from tiktok_assets_tests.sandbox.smart_plus_factory import SmartPlusFactory

LISTS = ("campaign/get", "adgroup/get", "ad/get")
# Intended differences: (operation, end of the violation) -> reason.
DIFFERENCES = {
    ("ad/get", "modify_time is missing."): "absent on Smart+ ads, as seen live (API notes 5.4, 9 #2)",
}


def violations(operation: str, response: dict[str, Any], **how: Any) -> list[str]:  # noqa: ANN401  # passed on
    """Return the violations of a contract without the intended differences."""
    all_violations = find_response_violations(load_contract(operation), response, **how)
    return [
        one for one in all_violations if not any(op == operation and one.endswith(end) for op, end in DIFFERENCES)
    ]


def test_accounts_follow_their_contracts(api: Api, accounts: list[str]) -> None:
    """The account list and account details follow their contracts."""
    listed = api.get("oauth2/advertiser/get", app_id=api.sandbox.app_id, secret=api.sandbox.secret)
    assert violations("oauth2/advertiser/get", listed) == []
    details = api.get("advertiser/info", advertiser_ids=accounts[:4])
    assert len(details["data"]["list"]) == 4
    assert violations("advertiser/info", details) == []
    editable = api.get("advertiser/info", advertiser_ids=accounts[:1], fields=["company_name_editable"])
    assert {"advertiser_id", "company_name_editable"} == set(editable["data"]["list"][0])


@pytest.mark.parametrize("operation", LISTS)
def test_entities_follow_their_contracts(api: Api, accounts: list[str], operation: str) -> None:
    """Active, paused and deleted entities of every account follow their contracts."""
    for account in accounts[:4]:
        response = api.get(
            operation, advertiser_id=account, page_size=1000, filtering={"primary_status": "STATUS_ALL"}
        )
        assert violations(operation, response) == []


@pytest.mark.parametrize("operation", LISTS)
def test_created_entities_follow_their_contracts(factory: EntityFactory, operation: str) -> None:
    """Entities that requests have created follow their contracts, deleted ones too."""
    factory.ad()
    factory.post("ad/status/update", ad_ids=[factory.ad()], operation_status="DELETE")
    response = factory.api.get(
        operation, advertiser_id=factory.account, page_size=1000, filtering={"primary_status": "STATUS_ALL"}
    )
    assert violations(operation, response) == []


@pytest.mark.parametrize("operation", LISTS)
def test_selected_fields_follow_their_contracts(api: Api, accounts: list[str], operation: str) -> None:
    """Responses with selected fields or without nulls follow their contracts."""
    fields = ["campaign_id", "operation_status", "create_time"]
    response = api.get(operation, advertiser_id=accounts[0], fields=fields)
    assert violations(operation, response, fields=fields) == []
    response = api.get(operation, advertiser_id=accounts[0], exclude_field_types_in_response=["NULL_FIELD"])
    assert violations(operation, response, without_nulls=True) == []


@pytest.mark.parametrize("level", ["AUCTION_AD", "AUCTION_ADGROUP", "AUCTION_CAMPAIGN", "AUCTION_ADVERTISER"])
def test_reports_follow_their_contract(api: Api, accounts: list[str], level: str) -> None:
    """Reports follow their contract at every level, for lifetime and windows, with and without totals."""
    days: dict[str, Any] = {"start_date": "2026-11-01", "end_date": "2026-11-09"}
    for more in ({"query_lifetime": True}, days, days | {"enable_total_metrics": True}):
        response = api.report(accounts[0], level, **more)
        assert response["code"] == 0
        assert violations("report/integrated/get", response) == []


@pytest.mark.parametrize("operation", [*LISTS, "advertiser/info", "report/integrated/get", "adgroup/quota"])
def test_errors_follow_their_contracts(api: Api, accounts: list[str], operation: str) -> None:
    """Errors of reads follow their contracts."""
    for response in (api.get(operation, token="stale"), api.get(operation), api.get(operation, token="")):
        assert response["code"] != 0
        assert violations(operation, response) == []
    lost = api.get(operation, advertiser_id=accounts[4], advertiser_ids=[accounts[4]])
    assert violations(operation, lost) == []


def test_writes_follow_their_contracts(factory: EntityFactory) -> None:
    """Responses of writes follow their contracts, both successes and errors."""
    responses: list[tuple[str, dict[str, Any]]] = []

    def post(path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401  # any body
        response = factory.api.post(path, advertiser_id=factory.account, **body)
        responses.append((path, response))
        data: dict[str, Any] = response["data"]
        return data

    campaign = post("campaign/create", **factory.campaign_body())["campaign_id"]
    post("campaign/update", campaign_id=campaign, campaign_name=factory.name())
    group = post("adgroup/create", **factory.ad_group_body(campaign))["adgroup_id"]
    post("adgroup/update", adgroup_id=group, adgroup_name="Renamed")
    (ad,) = post("ad/create", adgroup_id=group, creatives=[factory.creative()])["ad_ids"]
    post("ad/update", adgroup_id=group, creatives=[factory.creative() | {"ad_id": ad}])
    patch = {"ad_id": ad, "ad_name": "Other"}
    post("ad/update", adgroup_id=group, patch_update=True, creatives=[patch])
    post("ad/status/update", ad_ids=[ad], operation_status="DISABLE")
    post("adgroup/status/update", adgroup_ids=[group], operation_status="DISABLE")
    partial: dict[str, Any] = {"operation_status": "ENABLE", "allow_partial_success": True}
    post("adgroup/status/update", adgroup_ids=[group, "1"], **partial)
    daily = [{"adgroup_id": group, "scheduled_budget": 80}]
    post("adgroup/budget/update", scheduled_budget=daily)
    post("campaign/status/update", campaign_ids=[campaign], operation_status="DELETE")
    assert {response["code"] for _, response in responses} == {0, 20001}
    responses += [
        (path, factory.api.post(path, advertiser_id=factory.account, surprise=1)) for path in dict(responses)
    ]
    assert [violations(path, response) for path, response in responses] == [[]] * len(responses)
    quota = factory.api.get("adgroup/quota", advertiser_id=factory.account)
    assert violations("adgroup/quota", quota) == []


def test_smart_plus_writes_follow_their_contracts(factory: EntityFactory) -> None:
    """Requests, responses and errors of Upgraded Smart+ writes follow their contracts, partial successes too."""
    smart_plus = SmartPlusFactory(factory)
    group = smart_plus.ad_group()
    custom = {"identity_type": "CUSTOMIZED_USER", "identity_id": str(int(factory.account) + 4)}
    pangle = smart_plus.ad_group(placement_type="PLACEMENT_TYPE_NORMAL", placements=["PLACEMENT_PANGLE"])
    anonymous = smart_plus.video(identity_type=None, identity_id=None)
    leads = {"objective_type": "LEAD_GENERATION", "sales_destination": None}
    form = {"promotion_type": "LEAD_GENERATION", "promotion_target_type": "INSTANT_PAGE"}
    app = {"objective_type": "APP_PROMOTION", "app_promotion_type": "APP_INSTALL", "sales_destination": None}
    install = {"promotion_type": "APP_IOS", "optimization_goal": "INSTALL", "app_id": "7", "pixel_id": None}
    manual: dict[str, Any] = {"targeting_optimization_mode": "MANUAL", "optimization_event": None, **install}
    spec = {"location_ids": ["6252001"], "gender": "GENDER_MALE", "device_price_ranges": [0, 50]}
    status = {"operation_status": "DISABLE"}
    sent: list[tuple[str, dict[str, Any]]] = [
        ("smart_plus/campaign/create", smart_plus.campaign_body()),
        ("smart_plus/campaign/create", smart_plus.campaign_body(**leads, operation_status="DISABLE")),
        ("smart_plus/adgroup/create", smart_plus.ad_group_body(smart_plus.campaign(**leads), **form)),
        (
            "smart_plus/adgroup/create",
            smart_plus.ad_group_body(smart_plus.campaign(**app), **manual, targeting_spec=spec),
        ),
        (
            "smart_plus/ad/create",
            smart_plus.ad_body(group, smart_plus.video(), smart_plus.carousel(), smart_plus.post()),
        ),
        ("smart_plus/ad/create", smart_plus.ad_body(pangle, anonymous, ad_configuration=custom)),
        ("smart_plus/adgroup/status/update", {"adgroup_ids": [group, "1"], **status}),
        ("smart_plus/campaign/status/update", {"campaign_ids": ["1"], **status}),
        ("smart_plus/ad/status/update", {"smart_plus_ad_ids": [smart_plus.ad(group)], **status}),
    ]
    headers = {"Access-Token": "t", "Content-Type": "application/json"}
    for path, fields in sent:
        contract, body = load_contract(path), {"advertiser_id": factory.account, **fields}
        url = f"/open_api/v1.3/{path}/"
        assert find_request_violations(contract, "POST", url, query={}, body=body, headers=headers) == []
        response = factory.api.post(path, **body)
        assert (response["code"], violations(path, response)) == (0, []), path
        for name in (name for name, rule in contract.request.parameters.items() if rule.required):
            if "." not in name:
                refused = factory.api.post(path, **{key: value for key, value in body.items() if key != name})
                assert refused["message"] == f"{name}: Missing data for required field."
                assert violations(path, refused) == []


def test_tokens_follow_their_contracts(api: Api) -> None:
    """Responses of token exchanges, user/info and revocation follow their contracts."""
    sandbox = api.sandbox

    def code() -> str:
        return str(api.control("POST", "auth_codes")["auth_code"])

    app: dict[str, Any] = {"app_id": sandbox.app_id, "secret": sandbox.secret}
    responses = {"oauth2/access_token": api.post("oauth2/access_token", **app, auth_code=code())}
    token = responses["oauth2/access_token"]["data"]["access_token"]
    rfc: dict[str, Any] = {"client_id": sandbox.app_id, "client_secret": sandbox.secret}
    responses["oauth/token"] = api.post("oauth/token", **rfc, code=code(), grant_type="authorization_code")
    responses["user/info"] = api.get("user/info", token=token)
    responses["oauth2/revoke_token"] = api.post("oauth2/revoke_token", token=token, **app, access_token=token)
    assert {response["code"] for response in responses.values()} == {0}
    assert [violations(path, response) for path, response in responses.items()] == [[]] * len(responses)
    revoked = api.get("user/info", token=token)
    assert revoked["code"] == 40105
    assert violations("user/info", revoked) == []


def test_every_operation_has_a_contract() -> None:
    """The v1.3 routes of the sandbox are exactly those that have a contract."""
    assert {operation for operation, version in list_contracts() if version == "v1.3"} == set(VERSIONS["v1.3"])

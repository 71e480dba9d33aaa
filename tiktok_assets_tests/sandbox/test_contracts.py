"""The sandbox is held against the documents of others: reads, writes and tokens of v1.3."""

from typing import Any

import pytest

from tiktok_assets.sandbox.routes import VERSIONS
from tiktok_assets_tests.contracts.contract import find_response_violations, list_contracts, load_contract
from tiktok_assets_tests.sandbox.conftest import Api
from tiktok_assets_tests.sandbox.factory import EntityFactory

LISTS = ("campaign/get", "adgroup/get", "ad/get")
# Where the sandbox differs on purpose: (operation, the violation's ending) -> why.
DIFFERENCES = {
    ("ad/get", "modify_time is missing."): "absent on Smart+ ads, as seen live (dossier 5.4, 9 #2)",
}


def violations(operation: str, answer: dict[str, Any], **how: Any) -> list[str]:  # noqa: ANN401  # passed on
    """Return the violations of a contract that are not meant."""
    found = find_response_violations(load_contract(operation), answer, **how)
    return [one for one in found if not any(op == operation and one.endswith(end) for op, end in DIFFERENCES)]


def test_accounts_keep_their_contracts(api: Api, accounts: list[str]) -> None:
    """The account list and the account details have every documented key."""
    listed = api.get("oauth2/advertiser/get", app_id=api.sandbox.app_id, secret=api.sandbox.secret)
    assert violations("oauth2/advertiser/get", listed) == []
    details = api.get("advertiser/info", advertiser_ids=accounts[:4])
    assert len(details["data"]["list"]) == 4
    assert violations("advertiser/info", details) == []
    odd = api.get("advertiser/info", advertiser_ids=accounts[:1], fields=["company_name_editable"])
    assert {"advertiser_id", "company_name_editable"} == set(odd["data"]["list"][0])


@pytest.mark.parametrize("operation", LISTS)
def test_entities_keep_their_contracts(api: Api, accounts: list[str], operation: str) -> None:
    """Live, switched-off and deleted entities of every account have every documented key with its type."""
    for account in accounts[:4]:
        answer = api.get(
            operation, advertiser_id=account, page_size=1000, filtering={"primary_status": "STATUS_ALL"}
        )
        assert violations(operation, answer) == []


@pytest.mark.parametrize("operation", LISTS)
def test_fresh_entities_keep_their_contracts(drafts: EntityFactory, operation: str) -> None:
    """What has just been written reads as documented too, on, off, switched and deleted."""
    drafts.ad()
    drafts.post("ad/status/update", ad_ids=[drafts.ad()], operation_status="DELETE")
    answer = drafts.api.get(
        operation, advertiser_id=drafts.account, page_size=1000, filtering={"primary_status": "STATUS_ALL"}
    )
    assert violations(operation, answer) == []


@pytest.mark.parametrize("operation", LISTS)
def test_narrowed_answers_keep_their_contracts(api: Api, accounts: list[str], operation: str) -> None:
    """With `fields`, and without nulls, exactly the rest remains."""
    fields = ["campaign_id", "operation_status", "create_time"]
    answer = api.get(operation, advertiser_id=accounts[0], fields=fields)
    assert violations(operation, answer, fields=fields) == []
    answer = api.get(operation, advertiser_id=accounts[0], exclude_field_types_in_response=["NULL_FIELD"])
    assert violations(operation, answer, without_nulls=True) == []


@pytest.mark.parametrize("level", ["AUCTION_AD", "AUCTION_ADGROUP", "AUCTION_CAMPAIGN", "AUCTION_ADVERTISER"])
def test_reports_keep_their_contract(api: Api, accounts: list[str], level: str) -> None:
    """Reports at every level, with totals and without, by day and in sum."""
    days: dict[str, Any] = {"start_date": "2026-11-01", "end_date": "2026-11-09"}
    for more in ({"query_lifetime": True}, days, days | {"enable_total_metrics": True}):
        answer = api.report(accounts[0], level, **more)
        assert answer["code"] == 0
        assert violations("report/integrated/get", answer) == []


@pytest.mark.parametrize("operation", [*LISTS, "advertiser/info", "report/integrated/get", "adgroup/quota"])
def test_failures_keep_their_contracts(api: Api, accounts: list[str], operation: str) -> None:
    """A failure of any read is the whole envelope with empty data."""
    for answer in (api.get(operation, token="stale"), api.get(operation), api.get(operation, token="")):
        assert answer["code"] != 0
        assert violations(operation, answer) == []
    lost = api.get(operation, advertiser_id=accounts[4], advertiser_ids=[accounts[4]])
    assert violations(operation, lost) == []


def test_writes_keep_their_contracts(drafts: EntityFactory) -> None:
    """Every write answers what its page says, on success and on failure."""
    said: list[tuple[str, dict[str, Any]]] = []

    def post(path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401  # any body
        answer = drafts.api.post(path, advertiser_id=drafts.account, **body)
        said.append((path, answer))
        data: dict[str, Any] = answer["data"]
        return data

    campaign = post("campaign/create", **drafts.campaign_body())["campaign_id"]
    post("campaign/update", campaign_id=campaign, campaign_name=drafts.name())
    group = post("adgroup/create", **drafts.ad_group_body(campaign))["adgroup_id"]
    post("adgroup/update", adgroup_id=group, adgroup_name="Renamed")
    (ad,) = post("ad/create", adgroup_id=group, creatives=[drafts.creative()])["ad_ids"]
    post("ad/update", adgroup_id=group, creatives=[drafts.creative() | {"ad_id": ad}])
    patch = {"ad_id": ad, "ad_name": "Other"}
    post("ad/update", adgroup_id=group, patch_update=True, creatives=[patch])
    post("ad/status/update", ad_ids=[ad], operation_status="DISABLE")
    post("adgroup/status/update", adgroup_ids=[group], operation_status="DISABLE")
    partly: dict[str, Any] = {"operation_status": "ENABLE", "allow_partial_success": True}
    post("adgroup/status/update", adgroup_ids=[group, "1"], **partly)
    daily = [{"adgroup_id": group, "scheduled_budget": 80}]
    post("adgroup/budget/update", scheduled_budget=daily)
    post("campaign/status/update", campaign_ids=[campaign], operation_status="DELETE")
    assert {answer["code"] for _, answer in said} == {0, 20001}
    said += [(path, drafts.api.post(path, advertiser_id=drafts.account, surprise=1)) for path in dict(said)]
    assert [violations(path, answer) for path, answer in said] == [[]] * len(said)
    quota = drafts.api.get("adgroup/quota", advertiser_id=drafts.account)
    assert violations("adgroup/quota", quota) == []


def test_tokens_keep_their_contracts(api: Api) -> None:
    """Both exchanges of an auth_code, whose token it is and its end answer what their pages say."""
    sandbox = api.sandbox

    def code() -> str:
        return str(api.control("POST", "auth_codes")["auth_code"])

    app: dict[str, Any] = {"app_id": sandbox.app_id, "secret": sandbox.secret}
    said = {"oauth2/access_token": api.post("oauth2/access_token", **app, auth_code=code())}
    token = said["oauth2/access_token"]["data"]["access_token"]
    rfc: dict[str, Any] = {"client_id": sandbox.app_id, "client_secret": sandbox.secret}
    said["oauth/token"] = api.post("oauth/token", **rfc, code=code(), grant_type="authorization_code")
    said["user/info"] = api.get("user/info", token=token)
    said["oauth2/revoke_token"] = api.post("oauth2/revoke_token", token=token, **app, access_token=token)
    assert {answer["code"] for answer in said.values()} == {0}
    assert [violations(path, answer) for path, answer in said.items()] == [[]] * len(said)
    gone = api.get("user/info", token=token)
    assert gone["code"] == 40105
    assert violations("user/info", gone) == []


def test_every_operation_has_a_contract() -> None:
    """No path of v1.3 is answered that no document describes, and none is described that is not answered."""
    assert {operation for operation, version in list_contracts() if version == "v1.3"} == set(VERSIONS["v1.3"])

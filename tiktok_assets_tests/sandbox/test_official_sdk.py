"""Tests with TikTok's official SDK, unchanged but for the host, and with the steps of the tutorial."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import business_api_client as sdk
import pytest
from business_api_client.api.account_management_api import AccountManagementApi
from business_api_client.api.ad_api import AdApi
from business_api_client.api.adgroup_api import AdgroupApi
from business_api_client.api.authentication_api import AuthenticationApi
from business_api_client.api.campaign_creation_api import CampaignCreationApi
from business_api_client.api.file_api import FileApi
from business_api_client.api.identity_api import IdentityApi
from business_api_client.api.reporting_api import ReportingApi

from tiktok_assets.sandbox.reads.media import library_image
from tiktok_assets.sandbox.routes import VERSIONS
from tiktok_assets_tests.contracts.contract import find_request_violations, load_contract
from tiktok_assets_tests.sandbox.conftest import REPORT, Api
from tiktok_assets_tests.sandbox.factory import EntityFactory

Client = Any
UNKNOWN_TO_THE_SDK = {
    "adgroup/budget/update",
    "file/video/suggestcover",
    "oauth/token",
    "oauth2/revoke_token",
    "user/info",
}


def post_of_an_ad(api: Api, account: str) -> tuple[str, str, str]:
    """Return the type and id of an identity, and the id of one of its posts."""
    ads = api.get("ad/get", advertiser_id=account, page_size=1000)["data"]["list"]
    ad = next(one for one in ads if one["tiktok_item_id"])
    return ad["identity_type"], ad["identity_id"], ad["tiktok_item_id"]


OPERATIONS: dict[str, Callable[[Client, Api, str], Any]] = {
    "oauth2/advertiser/get": lambda client, api, _: AuthenticationApi(client).oauth2_advertiser_get(
        api.sandbox.app_id, api.sandbox.secret, api.sandbox.token
    ),
    "advertiser/info": lambda client, api, account: AccountManagementApi(client).advertiser_info(
        [account], api.sandbox.token
    ),
    "campaign/get": lambda client, api, account: CampaignCreationApi(client).campaign_get(
        account,
        api.sandbox.token,
        page_size=1000,
        filtering=sdk.FilteringCampaignGet(objective_type="WEB_CONVERSIONS"),
    ),
    "adgroup/get": lambda client, api, account: AdgroupApi(client).adgroup_get(
        account, api.sandbox.token, page=1, page_size=1000
    ),
    "ad/get": lambda client, api, account: AdApi(client).ad_get(
        account, api.sandbox.token, fields=["ad_id", "ad_name"], page_size=1000
    ),
    "identity/get": lambda client, api, account: IdentityApi(client).identity_get(
        account, api.sandbox.token, identity_type="TT_USER", page_size=100
    ),
    "identity/video/info": lambda client, api, account: IdentityApi(client).identity_video_info(
        api.sandbox.token, account, *post_of_an_ad(api, account)
    ),
    "file/image/ad/info": lambda client, api, account: FileApi(client).file_image_ad_info(
        account, [library_image(account)], api.sandbox.token
    ),
    "report/integrated/get": lambda client, api, account: ReportingApi(client).report_integrated_get(
        "BASIC",
        api.sandbox.token,
        advertiser_id=account,
        data_level="AUCTION_AD",
        dimensions=["ad_id", "stat_time_day"],
        metrics=["spend", "impressions"],
        start_date="2026-11-01",
        end_date="2026-11-09",
        page_size=1000,
        filtering=[{"field_name": "ad_status", "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}],
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_sdk_reads(api: Api, accounts: list[str], operation: str) -> None:
    """The official SDK reads every operation that it has."""
    configuration = sdk.Configuration()
    configuration.host = api.sandbox.base_url
    client = sdk.ApiClient(configuration)
    response = OPERATIONS[operation](client, api, accounts[0])
    assert any(response["data"].get(name) for name in ("list", "identity_list", "video_detail"))
    assert f"/{operation}/" in f"/{api.control('GET', 'requests')[-1]['path']}/"


def test_sdk_is_used_for_every_operation_it_has() -> None:
    """The tests use the official SDK for every route of the sandbox that it has."""
    folder = Path(sdk.api.__file__).parent
    known = {
        path
        for file in folder.glob("*_api.py")
        for path in re.findall(r"'/open_api/v1\.3/([^']+)/'", file.read_text(encoding="utf-8"))
    }
    routes = VERSIONS["v1.3"]
    assert routes.keys() - known == UNKNOWN_TO_THE_SDK
    writes = {path for path, endpoint in routes.items() if endpoint.is_write} - UNKNOWN_TO_THE_SDK
    # The tests of writes below also read the quota and exchange a code.
    assert routes.keys() & known == OPERATIONS.keys() | writes | {"adgroup/quota", "oauth2/access_token"}


def test_tutorial_steps(api: Api, accounts: list[str]) -> None:
    """The tutorial's steps with v1.3 names find the highest-spending ad of a campaign."""
    account = accounts[0]
    campaigns = api.get("campaign/get", advertiser_id=account, page_size=1000)["data"]["list"]
    campaign = next(one for one in campaigns if one["campaign_name"].startswith("Testing"))
    filtering = {"campaign_ids": [campaign["campaign_id"]]}
    ad_groups = api.get("adgroup/get", advertiser_id=account, page_size=1000, filtering=filtering)["data"]["list"]
    assert {campaign["campaign_id"]} == {one["campaign_id"] for one in ad_groups}
    ads = []
    for ad_group in ad_groups:
        of_group = {"adgroup_ids": [ad_group["adgroup_id"]]}
        ads += api.get("ad/get", advertiser_id=account, page_size=1000, filtering=of_group)["data"]["list"]
    report = api.get(
        REPORT,
        advertiser_id=account,
        report_type="BASIC",
        query_lifetime=True,
        data_level="AUCTION_AD",
        dimensions=["ad_id"],
        page_size=1000,
        filtering=[
            {
                "field_name": "campaign_ids",
                "filter_type": "IN",
                "filter_value": json.dumps([int(campaign["campaign_id"])]),
            }
        ],
    )["data"]["list"]
    assert {one["ad_id"] for one in ads} == {row["dimensions"]["ad_id"] for row in report}
    assert {"spend", "impressions"} == set(report[0]["metrics"])
    highest = max(report, key=lambda row: Decimal(row["metrics"]["spend"]))
    scenario = api.sandbox.world.scenario
    assert scenario
    assert scenario.new_leader_ad_id == highest["dimensions"]["ad_id"]


@pytest.fixture
def client(factory: EntityFactory) -> Any:  # noqa: ANN401  # the SDK ships no types
    """Return the SDK's client, configured for the sandbox."""
    configuration = sdk.Configuration()
    configuration.host = factory.api.sandbox.base_url
    return sdk.ApiClient(configuration)


def test_sdk_writes(factory: EntityFactory, client: Any) -> None:  # noqa: ANN401
    """The official SDK creates, changes, disables and deletes a campaign, an ad group and an ad."""
    token, account = factory.api.sandbox.token, factory.account
    factory.api.control("DELETE", "requests")
    campaigns, groups, ads = CampaignCreationApi(client), AdgroupApi(client), AdApi(client)

    def data(response: Any) -> dict[str, Any]:  # noqa: ANN401
        assert response["request_id"]  # the SDK returns it with the data, and raises when the code is not 0
        return response["data"]  # type: ignore[no-any-return]

    body: Any = sdk.CampaignCreateBody(advertiser_id=account, **factory.campaign_body(request_id="4711"))
    campaign = data(campaigns.campaign_create(token, body=body))["campaign_id"]
    body = sdk.CampaignUpdateBody(advertiser_id=account, campaign_id=campaign, campaign_name=factory.name())
    data(campaigns.campaign_update(token, body=body))
    body = sdk.AdgroupCreateBody(advertiser_id=account, **factory.ad_group_body(campaign))
    group = data(groups.adgroup_create(token, body=body))["adgroup_id"]
    body = sdk.AdgroupUpdateBody(advertiser_id=account, adgroup_id=group, budget=70)
    assert data(groups.adgroup_update(token, body=body))["budget"] == 70.0
    creative = sdk.AdcreateCreatives(**factory.creative())
    body = sdk.AdCreateBody(advertiser_id=account, adgroup_id=group, creatives=[creative])
    (ad,) = data(ads.ad_create(token, body=body))["ad_ids"]
    patch = sdk.AdupdateCreatives(ad_id=ad, ad_name="Renamed")
    body = sdk.AdUpdateBody(advertiser_id=account, adgroup_id=group, patch_update=True, creatives=[patch])
    data(ads.ad_update(token, body=body))
    assert data(groups.adgroup_quota(account, token))["used_adgroup_quota"] > 0
    disable: dict[str, Any] = {"advertiser_id": account, "operation_status": "DISABLE"}
    data(ads.ad_status_update(token, body=sdk.AdStatusUpdateBody(ad_ids=[ad], **disable)))
    data(groups.adgroup_status_update(token, body=sdk.AdgroupStatusUpdateBody(adgroup_ids=[group], **disable)))
    delete = {**disable, "operation_status": "DELETE"}
    body = sdk.CampaignStatusUpdateBody(campaign_ids=[campaign], **delete)
    data(campaigns.campaign_status_update(token, body=body))
    sent = {one["path"].strip("/") for one in factory.api.control("GET", "requests") if one["method"] == "POST"}
    writes = {path for path, endpoint in VERSIONS["v1.3"].items() if endpoint.is_write} - UNKNOWN_TO_THE_SDK
    assert writes == {path for path in writes if any(one.endswith(path) for one in sent)}
    ad_row = factory.read("ad/get", ad_ids=[ad])
    assert (ad_row["ad_name"], ad_row["secondary_status"]) == ("Renamed", "AD_STATUS_CAMPAIGN_DELETE")


def test_sdk_exchanges_a_code(factory: EntityFactory, client: Any) -> None:  # noqa: ANN401
    """The official SDK exchanges an auth_code for a token."""
    sandbox = factory.api.sandbox
    code = factory.api.control("POST", "auth_codes")["auth_code"]
    body = sdk.Oauth2AccessTokenBody(app_id=sandbox.app_id, secret=sandbox.secret, auth_code=code)
    response = AuthenticationApi(client).oauth2_access_token(body=body)
    assert response["data"]["access_token"]


def test_required_parameters_are_required(factory: EntityFactory) -> None:
    """Bodies of the factory follow the request contracts, and a missing required parameter is refused by name."""
    group, campaign = factory.old_ad_group(), factory.scaling()
    bodies: dict[str, dict[str, Any]] = {
        "campaign/create": factory.campaign_body(),
        "campaign/update": {"campaign_id": campaign, "campaign_name": factory.name()},
        "campaign/status/update": {"campaign_ids": [campaign], "operation_status": "ENABLE"},
        "adgroup/create": factory.ad_group_body(campaign),
        "adgroup/update": {"adgroup_id": group, "adgroup_name": factory.name()},
        "adgroup/status/update": {"adgroup_ids": [group], "operation_status": "ENABLE"},
        "ad/create": {"adgroup_id": group, "creatives": [factory.creative()]},
        "ad/update": {"adgroup_id": group, "creatives": [factory.creative(ad_id="1")]},
        "ad/status/update": {"ad_ids": ["1"], "operation_status": "DISABLE"},
    }
    headers = {"Access-Token": "t", "Content-Type": "application/json"}
    for path, fields in bodies.items():
        contract, body = load_contract(path), {"advertiser_id": factory.account, **fields}
        url = f"/open_api/v1.3/{path}/"
        assert find_request_violations(contract, "POST", url, query={}, body=body, headers=headers) == []
        for name, parameter in contract.request.parameters.items():
            if not parameter.required:
                continue
            incomplete, at = _without(body, name)
            code, message = factory.refused(path, **{"advertiser_id": None, **incomplete})
            assert (code, message) == (40002, f"{at}: Missing data for required field."), path


def _without(body: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """Return a body without one parameter, and the parameter's dotted path in errors."""
    outer, is_nested, inner = name.partition("[].")
    if not is_nested:
        return {key: value for key, value in body.items() if key != name}, name
    (item,) = body[outer]
    return {**body, outer: [{key: value for key, value in item.items() if key != inner}]}, f"{outer}.0.{inner}"

"""Outsiders judge the sandbox: TikTok's own SDK, and the tutorial's walk with its v1.3 names."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import business_api_client
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
    """An identity's kind and id, and a post of it."""
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
        filtering=business_api_client.FilteringCampaignGet(objective_type="WEB_CONVERSIONS"),
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
def test_the_official_sdk_reads_it(api: Api, accounts: list[str], operation: str) -> None:
    """TikTok's own client reads each operation from the sandbox, unchanged but for the host."""
    configuration = business_api_client.Configuration()
    configuration.host = api.sandbox.base_url
    client = business_api_client.ApiClient(configuration)
    answer = OPERATIONS[operation](client, api, accounts[0])
    assert any(answer["data"].get(name) for name in ("list", "identity_list", "video_detail"))
    assert f"/{operation}/" in f"/{api.control('GET', 'requests')[-1]['path']}/"


def test_every_operation_the_sdk_has_is_driven_by_it() -> None:
    """Of all paths we imitate TikTok's own client is left out of those alone that it does not know."""
    folder = Path(business_api_client.api.__file__).parent
    known = {
        path
        for file in folder.glob("*_api.py")
        for path in re.findall(r"'/open_api/v1\.3/([^']+)/'", file.read_text(encoding="utf-8"))
    }
    imitated = VERSIONS["v1.3"]
    assert imitated.keys() - known == UNKNOWN_TO_THE_SDK
    written = {path for path, endpoint in imitated.items() if endpoint.writes} - UNKNOWN_TO_THE_SDK
    # `test_sdk_writes` makes the writes, and exchanges a code; it reads the quota on its way.
    assert imitated.keys() & known == OPERATIONS.keys() | written | {"adgroup/quota", "oauth2/access_token"}


def test_the_tutorial_walk(api: Api, accounts: list[str]) -> None:
    """Campaigns, the ad groups of one, the ads of one, and the highest-spending ad of the campaign."""
    account = accounts[0]
    campaigns = api.get("campaign/get", advertiser_id=account, page_size=1000)["data"]["list"]
    campaign = next(one for one in campaigns if one["campaign_name"].startswith("Testing"))
    chosen = {"campaign_ids": [campaign["campaign_id"]]}
    ad_groups = api.get("adgroup/get", advertiser_id=account, page_size=1000, filtering=chosen)["data"]["list"]
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
    story = api.sandbox.world.scenario
    assert story
    assert story.new_leader_ad_id == highest["dimensions"]["ad_id"]


@pytest.fixture
def client(drafts: EntityFactory) -> Any:  # noqa: ANN401  # the SDK ships no types
    """Return the SDK's client, pointed at the sandbox."""
    configuration = sdk.Configuration()
    configuration.host = drafts.api.sandbox.base_url
    return sdk.ApiClient(configuration)


def test_the_official_sdk_writes_it(drafts: EntityFactory, client: Any) -> None:  # noqa: ANN401
    """A campaign, an ad group and an ad are made, changed, switched off and deleted by TikTok's own client."""
    token, account = drafts.api.sandbox.token, drafts.account
    drafts.api.control("DELETE", "requests")
    campaigns, groups, ads = CampaignCreationApi(client), AdgroupApi(client), AdApi(client)

    def data(answer: Any) -> dict[str, Any]:  # noqa: ANN401
        assert answer["request_id"]  # it keeps this of the envelope, and raises when the code is not 0
        return answer["data"]  # type: ignore[no-any-return]

    body: Any = sdk.CampaignCreateBody(advertiser_id=account, **drafts.campaign_body(request_id="4711"))
    campaign = data(campaigns.campaign_create(token, body=body))["campaign_id"]
    body = sdk.CampaignUpdateBody(advertiser_id=account, campaign_id=campaign, campaign_name=drafts.name())
    data(campaigns.campaign_update(token, body=body))
    body = sdk.AdgroupCreateBody(advertiser_id=account, **drafts.ad_group_body(campaign))
    group = data(groups.adgroup_create(token, body=body))["adgroup_id"]
    body = sdk.AdgroupUpdateBody(advertiser_id=account, adgroup_id=group, budget=70)
    assert data(groups.adgroup_update(token, body=body))["budget"] == 70.0
    creative = sdk.AdcreateCreatives(**drafts.creative())
    body = sdk.AdCreateBody(advertiser_id=account, adgroup_id=group, creatives=[creative])
    (ad,) = data(ads.ad_create(token, body=body))["ad_ids"]
    patch = sdk.AdupdateCreatives(ad_id=ad, ad_name="Renamed")
    body = sdk.AdUpdateBody(advertiser_id=account, adgroup_id=group, patch_update=True, creatives=[patch])
    data(ads.ad_update(token, body=body))
    assert data(groups.adgroup_quota(account, token))["used_adgroup_quota"] > 0
    off: dict[str, Any] = {"advertiser_id": account, "operation_status": "DISABLE"}
    data(ads.ad_status_update(token, body=sdk.AdStatusUpdateBody(ad_ids=[ad], **off)))
    data(groups.adgroup_status_update(token, body=sdk.AdgroupStatusUpdateBody(adgroup_ids=[group], **off)))
    gone = {**off, "operation_status": "DELETE"}
    body = sdk.CampaignStatusUpdateBody(campaign_ids=[campaign], **gone)
    data(campaigns.campaign_status_update(token, body=body))
    sent = {one["path"].strip("/") for one in drafts.api.control("GET", "requests") if one["method"] == "POST"}
    writes = {path for path, endpoint in VERSIONS["v1.3"].items() if endpoint.writes} - UNKNOWN_TO_THE_SDK
    assert writes == {path for path in writes if any(one.endswith(path) for one in sent)}
    shown = drafts.read("ad/get", ad_ids=[ad])
    assert (shown["ad_name"], shown["secondary_status"]) == ("Renamed", "AD_STATUS_CAMPAIGN_DELETE")


def test_the_official_sdk_exchanges_a_code(drafts: EntityFactory, client: Any) -> None:  # noqa: ANN401
    """TikTok's own client turns an auth_code into a token."""
    sandbox = drafts.api.sandbox
    code = drafts.api.control("POST", "auth_codes")["auth_code"]
    body = sdk.Oauth2AccessTokenBody(app_id=sandbox.app_id, secret=sandbox.secret, auth_code=code)
    answer = AuthenticationApi(client).oauth2_access_token(body=body)
    assert answer["data"]["access_token"]


def test_what_the_documents_demand_is_demanded(drafts: EntityFactory) -> None:
    """The drafts keep the request contracts, and a body without what the page requires is refused by name."""
    group, campaign = drafts.old_ad_group(), drafts.scaling()
    whole: dict[str, dict[str, Any]] = {
        "campaign/create": drafts.campaign_body(),
        "campaign/update": {"campaign_id": campaign, "campaign_name": drafts.name()},
        "campaign/status/update": {"campaign_ids": [campaign], "operation_status": "ENABLE"},
        "adgroup/create": drafts.ad_group_body(campaign),
        "adgroup/update": {"adgroup_id": group, "adgroup_name": drafts.name()},
        "adgroup/status/update": {"adgroup_ids": [group], "operation_status": "ENABLE"},
        "ad/create": {"adgroup_id": group, "creatives": [drafts.creative()]},
        "ad/update": {"adgroup_id": group, "creatives": [drafts.creative(ad_id="1")]},
        "ad/status/update": {"ad_ids": ["1"], "operation_status": "DISABLE"},
    }
    headers = {"Access-Token": "t", "Content-Type": "application/json"}
    for path, draft in whole.items():
        contract, body = load_contract(path), {"advertiser_id": drafts.account, **draft}
        where = f"/open_api/v1.3/{path}/"
        assert find_request_violations(contract, "POST", where, query={}, body=body, headers=headers) == []
        for name, fact in contract.request.parameters.items():
            if not fact.required:
                continue
            lacking, at = _without(body, name)
            code, message = drafts.refused(path, **{"advertiser_id": None, **lacking})
            assert (code, message) == (40002, f"{at}: Missing data for required field."), path


def _without(body: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """Return a body without one parameter, and the dotted path the sandbox calls it by."""
    outer, found, inner = name.partition("[].")
    if not found:
        return {key: value for key, value in body.items() if key != name}, name
    (item,) = body[outer]
    return {**body, outer: [{key: value for key, value in item.items() if key != inner}]}, f"{outer}.0.{inner}"

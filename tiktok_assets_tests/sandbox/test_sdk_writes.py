"""TikTok's own SDK writes to the sandbox, unchanged but for the host; it checks requests by its own schema."""

from typing import Any

import business_api_client as sdk
import pytest
from business_api_client.api.ad_api import AdApi
from business_api_client.api.adgroup_api import AdgroupApi
from business_api_client.api.authentication_api import AuthenticationApi
from business_api_client.api.campaign_creation_api import CampaignCreationApi

from tiktok_assets.sandbox.routes import VERSIONS
from tiktok_assets_tests.contracts.contract import load, violations_of_request
from tiktok_assets_tests.sandbox.drafts import Drafts
from tiktok_assets_tests.sandbox.test_witnesses import UNKNOWN_TO_THE_SDK


@pytest.fixture
def client(drafts: Drafts) -> Any:  # noqa: ANN401  # the SDK ships no types
    """Return the SDK's client, pointed at the sandbox."""
    configuration = sdk.Configuration()
    configuration.host = drafts.api.sandbox.base_url
    return sdk.ApiClient(configuration)


def test_the_official_sdk_writes_it(drafts: Drafts, client: Any) -> None:  # noqa: ANN401
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


def test_the_official_sdk_exchanges_a_code(drafts: Drafts, client: Any) -> None:  # noqa: ANN401
    """TikTok's own client turns an auth_code into a token."""
    sandbox = drafts.api.sandbox
    code = drafts.api.control("POST", "auth_codes")["auth_code"]
    body = sdk.Oauth2AccessTokenBody(app_id=sandbox.app_id, secret=sandbox.secret, auth_code=code)
    answer = AuthenticationApi(client).oauth2_access_token(body=body)
    assert answer["data"]["access_token"]


def test_what_the_documents_demand_is_demanded(drafts: Drafts) -> None:
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
        contract, body = load(path), {"advertiser_id": drafts.account, **draft}
        where = f"/open_api/v1.3/{path}/"
        assert violations_of_request(contract, "POST", where, query={}, body=body, headers=headers) == []
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

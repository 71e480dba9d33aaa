"""Tests of v1.2 with the URLs of the tutorial; only the host and the masked account id are replaced."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tiktok_assets_tests.contracts.contract import find_response_violations, load_contract
from tiktok_assets_tests.sandbox.conftest import Api

HOST = "https://business-api.tiktok.com"
# From the tutorial; {a} is the account, {c} a campaign, {g} an ad group.
CAMPAIGNS = f"{HOST}/open_api/v1.2/campaign/get?advertiser_id={{a}}"
MALFORMED = f"{HOST}/open_api/v1.2/campaign/get?advertiser_id={{a}}?page_size=1000"
AD_GROUPS = f"{HOST}/open_api/v1.2/adgroup/get/?advertiser_id={{a}}&page_size=1000"
OF_CAMPAIGN = AD_GROUPS + '&filtering={{"campaign_ids":["{c}"]}}'
ADS = f"{HOST}/open_api/v1.2/ads/get/?advertiser_id={{a}}&page_size=1000"
OF_AD_GROUP = ADS + '&filtering={{"adgroup_ids":["{g}"]}}'
REPORT = (
    f"{HOST}/open_api/v1.2/reports/integrated/get/?advertiser_id={{a}}&report_type=BASIC&lifetime=true"
    '&data_level=AUCTION_AD&dimensions=["ad_id"]'
    '&filters=[{{"field_name":"campaign_ids","filter_type":"IN","filter_value":"[{c}]"}}]'
)


@dataclass
class Tutorial:
    """Requests the URLs of the tutorial for one account."""

    api: Api
    account: str

    def raw(self, url: str, **ids: object) -> httpx.Response:
        """Return the response of a URL of the tutorial."""
        address = url.format(a=self.account, **ids).replace(HOST, self.api.sandbox.base_url)
        return self.api.http.get(address, headers={"Access-Token": self.api.sandbox.token})

    def rows(self, operation: str, url: str, **ids: object) -> list[dict[str, Any]]:
        """Return the rows of a URL, whose response must follow the v1.2 contract."""
        body = self.raw(url, **ids).json()
        assert (body["code"], body["message"]) == (0, "OK")
        assert find_response_violations(load_contract(operation, "v1.2"), body) == []
        rows: list[dict[str, Any]] = body["data"]["list"]
        return rows


@pytest.fixture
def tutorial(api: Api, accounts: list[str]) -> Tutorial:
    """Return the tutorial for the first account."""
    return Tutorial(api, accounts[0])


def test_tutorial_steps(tutorial: Tutorial) -> None:
    """The steps of the tutorial find the same ad and metrics as v1.3."""
    api = tutorial.api
    assert len(tutorial.rows("campaign/get", CAMPAIGNS)) <= 10
    scenario = api.sandbox.world.scenario
    assert scenario
    campaigns = tutorial.rows("campaign/get", CAMPAIGNS + "&page_size=1000")
    campaign = next(one for one in campaigns if str(one["campaign_id"]) == scenario.campaign_id)
    assert (campaign["objective_type"], campaign["opt_status"]) == ("CONVERSIONS", "ENABLE")
    groups = tutorial.rows("adgroup/get", OF_CAMPAIGN, c=campaign["campaign_id"])
    assert {campaign["campaign_id"]} == {one["campaign_id"] for one in groups}
    assert {int} == {type(one) for group in groups for one in group["location"]}
    ads = [ad for one in groups for ad in tutorial.rows("ads/get", OF_AD_GROUP, g=one["adgroup_id"])]
    rows = tutorial.rows("reports/integrated/get", REPORT, c=campaign["campaign_id"])
    assert {row["dimensions"]["ad_id"] for row in rows} <= {ad["ad_id"] for ad in ads}
    top = max(rows, key=lambda row: Decimal(row["metrics"]["spend"]))
    assert scenario.new_leader_ad_id == str(top["dimensions"]["ad_id"])
    of_campaign = {"field_name": "campaign_ids", "filter_type": "IN", "filter_value": f"[{scenario.campaign_id}]"}
    v13_report = api.report(tutorial.account, query_lifetime=True, filtering=[of_campaign], page_size=10)
    assert [row["metrics"] for row in v13_report["data"]["list"]] == [row["metrics"] for row in rows]


def test_both_versions_return_the_same(tutorial: Tutorial) -> None:
    """v1.2 returns the entities of v1.3, with numeric ids and the old names."""
    for url, path, key, name in (
        (CAMPAIGNS + "&page_size=1000", "campaign/get", "campaign_id", "campaign_name"),
        (AD_GROUPS, "adgroup/get", "adgroup_id", "adgroup_name"),
        (ADS, "ad/get", "ad_id", "ad_name"),
    ):
        v13_rows = tutorial.api.get(path, advertiser_id=tutorial.account, page_size=1000)["data"]["list"]
        expected = [
            (int(one[key]), one[name], one["secondary_status"], one["operation_status"]) for one in v13_rows
        ]
        v12_rows = tutorial.raw(url).json()["data"]["list"]
        assert expected == [(one[key], one[name], one["status"], one["opt_status"]) for one in v12_rows]


def test_malformed_url_of_the_tutorial(tutorial: Tutorial) -> None:
    """The tutorial's URL with a second question mark has an invalid advertiser_id (API notes 1.1)."""
    body = tutorial.raw(MALFORMED).json()
    assert (body["code"], "advertiser_id" in body["message"]) == (40002, True)


def test_slashes_and_aliases(tutorial: Tutorial) -> None:
    """Paths work with and without the trailing slash and as ad/get or ads/get, with a deprecation header."""
    response = tutorial.raw(REPORT.replace("get/?", "get?"), c=1)
    assert (response.json()["code"], response.json()["data"]["list"]) == (0, [])
    assert "X-Api-Deprecation-Info" in response.headers
    assert tutorial.raw(ADS).json()["data"] == tutorial.raw(ADS.replace("ads/get", "ad/get")).json()["data"]
    assert tutorial.raw(ADS.replace("v1.2", "v1.3")).status_code == 404
    assert tutorial.raw(REPORT.replace("v1.2/reports", "v1.2/report"), c=1).status_code == 404


def test_path_without_slash_may_redirect(tutorial: Tutorial) -> None:
    """With a switch, a path without the trailing slash is redirected with 307."""
    tutorial.api.control("POST", "switches", slash_redirect=True)
    response = tutorial.raw(CAMPAIGNS)
    assert response.status_code == 307
    assert "/campaign/get/?advertiser_id=" in response.headers["Location"]
    assert tutorial.raw(AD_GROUPS).status_code == 200


def test_old_filters_and_fields(tutorial: Tutorial) -> None:
    """v1.2 accepts the old names of filters and fields, and numbers in filters by id."""
    since = CAMPAIGNS + '&page_size=1000&filtering={{"create_start_time":"2026-09-01 00:00:00"}}'
    created = [one["create_time"] for one in tutorial.raw(since).json()["data"]["list"]]
    assert created
    assert min(created) >= "2026-09-01"
    (row, *_) = tutorial.raw(CAMPAIGNS + '&fields=["campaign_id","opt_status"]').json()["data"]["list"]
    assert {"campaign_id", "opt_status"} <= set(row)
    bare = OF_CAMPAIGN.replace('["{c}"]', "[{c}]")
    scenario = tutorial.api.sandbox.world.scenario
    assert scenario
    quoted = tutorial.raw(OF_CAMPAIGN, c=scenario.campaign_id).json()["data"]
    assert quoted == tutorial.raw(bare, c=scenario.campaign_id).json()["data"]


def test_v12_names_in_v13(api: Api, accounts: list[str]) -> None:
    """v1.3 accepts `lifetime` and ignores `filters`, as seen live; with a switch it ignores both."""
    all_statuses = [{"field_name": "ad_status", "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}]
    expected = api.report(accounts[0], query_lifetime=True)["data"]
    assert expected == api.report(accounts[0], lifetime="true", filters=all_statuses)["data"]
    api.control("POST", "switches", old_lifetime=False)
    assert "start_date" in api.report(accounts[0], lifetime="true")["message"]


def test_v12_token_exchange(api: Api, accounts: list[str]) -> None:
    """The v1.2 token exchange returns account ids as numbers."""
    body = {
        "auth_code": api.control("POST", "auth_codes")["auth_code"],
        "secret": api.sandbox.secret,
        "app_id": api.sandbox.app_id,
    }
    response = api.http.post("/open_api/v1.2/oauth2/access_token/", json=body).json()
    assert response["data"]["advertiser_ids"] == [int(one) for one in accounts[:4]]
    assert find_response_violations(load_contract("oauth2/access_token", "v1.2"), response) == []

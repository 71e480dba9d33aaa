"""The tutorial's own URLs answer from the sandbox; only the host and the masked account id are ours."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tiktok_assets_tests.contracts.contract import find_response_violations, load_contract
from tiktok_assets_tests.sandbox.conftest import Api

HOST = "https://business-api.tiktok.com"
# As SEED prints them; {a} its masked account, {c} its campaign, {g} its ad group.
CAMPAIGNS = f"{HOST}/open_api/v1.2/campaign/get?advertiser_id={{a}}"
SLIP = f"{HOST}/open_api/v1.2/campaign/get?advertiser_id={{a}}?page_size=1000"
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
    """Follows the tutorial in one account."""

    api: Api
    account: str

    def raw(self, url: str, **ids: object) -> httpx.Response:
        """Return the answer of one of the tutorial's URLs."""
        address = url.format(a=self.account, **ids).replace(HOST, self.api.sandbox.base_url)
        return self.api.http.get(address, headers={"Access-Token": self.api.sandbox.token})

    def ask(self, operation: str, url: str, **ids: object) -> list[dict[str, Any]]:
        """Return the rows of a URL, which must keep the tutorial's contract."""
        body = self.raw(url, **ids).json()
        assert (body["code"], body["message"]) == (0, "OK")
        assert find_response_violations(load_contract(operation, "v1.2"), body) == []
        rows: list[dict[str, Any]] = body["data"]["list"]
        return rows


@pytest.fixture
def tutorial(api: Api, accounts: list[str]) -> Tutorial:
    """Return a reader of the first account."""
    return Tutorial(api, accounts[0])


def test_the_walk(tutorial: Tutorial) -> None:
    """Campaigns, the ad groups of one, the ads of one, the lifetime report, the top ad: as v1.3 tells them."""
    api = tutorial.api
    assert len(tutorial.ask("campaign/get", CAMPAIGNS)) <= 10
    story = api.sandbox.world.scenario
    assert story
    campaigns = tutorial.ask("campaign/get", CAMPAIGNS + "&page_size=1000")
    campaign = next(one for one in campaigns if str(one["campaign_id"]) == story.campaign_id)
    assert (campaign["objective_type"], campaign["opt_status"]) == ("CONVERSIONS", "ENABLE")
    groups = tutorial.ask("adgroup/get", OF_CAMPAIGN, c=campaign["campaign_id"])
    assert {campaign["campaign_id"]} == {one["campaign_id"] for one in groups}
    assert {int} == {type(one) for group in groups for one in group["location"]}
    ads = [ad for one in groups for ad in tutorial.ask("ads/get", OF_AD_GROUP, g=one["adgroup_id"])]
    rows = tutorial.ask("reports/integrated/get", REPORT, c=campaign["campaign_id"])
    assert {row["dimensions"]["ad_id"] for row in rows} <= {ad["ad_id"] for ad in ads}
    top = max(rows, key=lambda row: Decimal(row["metrics"]["spend"]))
    assert story.new_leader_ad_id == str(top["dimensions"]["ad_id"])
    of_campaign = {"field_name": "campaign_ids", "filter_type": "IN", "filter_value": f"[{story.campaign_id}]"}
    newer = api.report(tutorial.account, query_lifetime=True, filtering=[of_campaign], page_size=10)
    assert [row["metrics"] for row in newer["data"]["list"]] == [row["metrics"] for row in rows]


def test_both_versions_tell_the_same(tutorial: Tutorial) -> None:
    """Ids, names and statuses of v1.2 are those of v1.3, as numbers and under the old names."""
    for url, path, key, name in (
        (CAMPAIGNS + "&page_size=1000", "campaign/get", "campaign_id", "campaign_name"),
        (AD_GROUPS, "adgroup/get", "adgroup_id", "adgroup_name"),
        (ADS, "ad/get", "ad_id", "ad_name"),
    ):
        newer = tutorial.api.get(path, advertiser_id=tutorial.account, page_size=1000)["data"]["list"]
        expected = [(int(one[key]), one[name], one["secondary_status"], one["operation_status"]) for one in newer]
        older = tutorial.raw(url).json()["data"]["list"]
        assert expected == [(one[key], one[name], one["status"], one["opt_status"]) for one in older]


def test_the_tutorials_slip(tutorial: Tutorial) -> None:
    """Its second question mark makes the rest part of the account's id, which is refused by name (dossier 1.1)."""
    body = tutorial.raw(SLIP).json()
    assert (body["code"], "advertiser_id" in body["message"]) == (40002, True)


def test_slashes_and_aliases(tutorial: Tutorial) -> None:
    """Paths answer with and without their last slash, `ad/get` as well as `ads/get`, and say they are old."""
    answer = tutorial.raw(REPORT.replace("get/?", "get?"), c=1)
    assert (answer.json()["code"], answer.json()["data"]["list"]) == (0, [])
    assert "X-Api-Deprecation-Info" in answer.headers
    assert tutorial.raw(ADS).json()["data"] == tutorial.raw(ADS.replace("ads/get", "ad/get")).json()["data"]
    assert tutorial.raw(ADS.replace("v1.2", "v1.3")).status_code == 404
    assert tutorial.raw(REPORT.replace("v1.2/reports", "v1.2/report"), c=1).status_code == 404


def test_a_path_without_its_slash_may_redirect(tutorial: Tutorial) -> None:
    """By switch it is a 307 to the path with the slash, on this host."""
    tutorial.api.control("POST", "switches", slash_redirect=True)
    answer = tutorial.raw(CAMPAIGNS)
    assert answer.status_code == 307
    assert "/campaign/get/?advertiser_id=" in answer.headers["Location"]
    assert tutorial.raw(AD_GROUPS).status_code == 200


def test_old_filters_and_fields(tutorial: Tutorial) -> None:
    """The old names of filters and fields are understood, and numbers in id filters too."""
    since = CAMPAIGNS + '&page_size=1000&filtering={{"create_start_time":"2026-09-01 00:00:00"}}'
    created = [one["create_time"] for one in tutorial.raw(since).json()["data"]["list"]]
    assert created
    assert min(created) >= "2026-09-01"
    (row, *_) = tutorial.raw(CAMPAIGNS + '&fields=["campaign_id","opt_status"]').json()["data"]["list"]
    assert {"campaign_id", "opt_status"} <= set(row)
    bare = OF_CAMPAIGN.replace('["{c}"]', "[{c}]")
    story = tutorial.api.sandbox.world.scenario
    assert story
    quoted = tutorial.raw(OF_CAMPAIGN, c=story.campaign_id).json()["data"]
    assert quoted == tutorial.raw(bare, c=story.campaign_id).json()["data"]


def test_the_old_names_in_v13(api: Api, accounts: list[str]) -> None:
    """v1.3 honours `lifetime` and ignores `filters`, as seen live; by switch it ignores both."""
    everything = [{"field_name": "ad_status", "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}]
    expected = api.report(accounts[0], query_lifetime=True)["data"]
    assert expected == api.report(accounts[0], lifetime="true", filters=everything)["data"]
    api.control("POST", "switches", old_lifetime=False)
    assert "start_date" in api.report(accounts[0], lifetime="true")["message"]


def test_the_first_exchange(api: Api, accounts: list[str]) -> None:
    """The tutorial's token request answers account ids as numbers."""
    body = {
        "auth_code": api.control("POST", "auth_codes")["auth_code"],
        "secret": api.sandbox.secret,
        "app_id": api.sandbox.app_id,
    }
    answer = api.http.post("/open_api/v1.2/oauth2/access_token/", json=body).json()
    assert answer["data"]["advertiser_ids"] == [int(one) for one in accounts[:4]]
    assert find_response_violations(load_contract("oauth2/access_token", "v1.2"), answer) == []

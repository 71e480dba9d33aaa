"""Laws of tokens: single-use codes, both exchanges, revocation, tokens of another app."""

from typing import Any

import httpx
import pytest

from tiktok_assets_tests.sandbox.conftest import Api


def credentials(api: Api, **other: object) -> dict[str, Any]:
    """Return the body of an exchange with a fresh auth_code."""
    code = api.control("POST", "auth_codes")["auth_code"]
    return {"app_id": api.sandbox.app_id, "secret": api.sandbox.secret, "auth_code": code, **other}


def test_a_code_is_good_once(api: Api, accounts: list[str]) -> None:
    """A code makes a token that reads, with the accounts granted now; the second time it is 40110."""
    body = credentials(api)
    data = api.post("oauth2/access_token", token="", **body)["data"]
    assert data["advertiser_ids"] == accounts[:4]
    assert all(isinstance(one, int) for one in data["scope"])
    assert 19 in {len(str(one)) for one in data["scope"]}
    assert api.get("campaign/get", token=data["access_token"], advertiser_id=accounts[0])["code"] == 0
    assert api.post("oauth2/access_token", **body)["code"] == 40110


def test_a_code_lives_an_hour_of_the_worlds_clock(api: Api) -> None:
    """59 minutes later it still works, an hour later it does not."""
    for seconds, code in ((3599, 0), (3600, 40110)):
        body = credentials(api)
        api.control("POST", "clock", advance_seconds=seconds)
        assert api.post("oauth2/access_token", **body)["code"] == code


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"auth_code": "made up"}, 40110),
        ({"secret": "wrong"}, 40001),
        ({"app_id": "7000000000000000000"}, 40001),
        ({"auth_code": ""}, 40002),
    ],
    ids=str,
)
def test_wrong_credentials(api: Api, wrong: dict[str, Any], code: int) -> None:
    """A wrong code, secret or app has its own answer, and spends no good code."""
    body = credentials(api)
    assert api.post("oauth2/access_token", **body | wrong)["code"] == code
    assert api.post("oauth2/access_token", **body)["code"] == 0


def test_a_snapshot_of_the_accounts(api: Api, accounts: list[str]) -> None:
    """The exchange tells who was granted then; the account list who is granted now."""
    api.control("POST", "grants", advertiser_id=accounts[1], granted=False)
    data = api.post("oauth2/access_token", **credentials(api))["data"]
    assert accounts[1] not in data["advertiser_ids"]
    api.control("POST", "grants", advertiser_id=accounts[1], granted=True)
    asked = {"app_id": api.sandbox.app_id, "secret": api.sandbox.secret}
    listed = api.get("oauth2/advertiser/get", token=data["access_token"], **asked)["data"]["list"]
    assert accounts[1] in {one["advertiser_id"] for one in listed}


def test_credentials_may_be_in_the_query(api: Api) -> None:
    """The exchange works with query parameters and an empty body too."""
    answer = api.http.post("/open_api/v1.3/oauth2/access_token/", params=credentials(api))
    assert answer.json()["code"] == 0


def test_the_rfc_form(api: Api) -> None:
    """oauth/token answers beside the code, with a Bearer type; other grants have codes; a form is as good."""
    body = credentials(api)
    rfc = {
        "client_id": body["app_id"],
        "client_secret": body["secret"],
        "code": body["auth_code"],
        "grant_type": "authorization_code",
    }
    assert api.post("oauth/token", **rfc | {"grant_type": "refresh_token"})["code"] == 40107
    assert api.post("oauth/token", **rfc | {"grant_type": "password"})["code"] == 40108
    flat = api.post("oauth/token", **rfc)
    assert (flat["token_type"], flat["code"], "data" in flat) == ("Bearer", 0, False)
    assert api.get("advertiser/info", token=flat["access_token"], advertiser_ids=[])["code"] == 40002
    form = rfc | {"code": credentials(api)["auth_code"]}
    answer = httpx.post(f"{api.sandbox.base_url}/open_api/v1.3/oauth/token/", data=form).json()
    assert (answer["code"], answer["advertiser_ids"]) == (0, flat["advertiser_ids"])


def test_revocation(api: Api, accounts: list[str]) -> None:
    """A revoked token is 40105 everywhere."""
    body = credentials(api)
    token = api.post("oauth2/access_token", **body)["data"]["access_token"]
    gone: dict[str, Any] = {"app_id": body["app_id"], "secret": body["secret"], "access_token": token}
    data = api.post("oauth2/revoke_token", token=token, **gone)["data"]
    assert data == {"app_id": body["app_id"], "advertiser_ids": accounts[:4]}
    assert api.get("campaign/get", token=token, advertiser_id=accounts[0])["code"] == 40105
    assert api.get("campaign/get", advertiser_id=accounts[0])["code"] == 0


def test_the_token_of_another_app(api: Api, accounts: list[str]) -> None:
    """It reads accounts, but used with this app's id it is 40001 with the text seen in the wild."""
    other = api.control("GET", "info")["other_token"]
    assert api.get("campaign/get", token=other, advertiser_id=accounts[0])["code"] == 0
    asked = {"app_id": api.sandbox.app_id, "secret": api.sandbox.secret}
    answer = api.get("oauth2/advertiser/get", token=other, **asked)
    assert answer["code"] == 40001
    assert "app_id is inconsistent with the token's app information" in answer["message"]


def test_the_browser_brings_the_code_back(api: Api) -> None:
    """The control route gives the redirected URL with code and state, and no secret reaches the log."""
    told = api.control("POST", "auth_codes", state="abc", redirect_uri="https://agency.example/back/")
    assert told["redirected_url"].startswith(f"https://agency.example/back/?auth_code={told['auth_code']}&")
    assert told["redirected_url"].endswith("state=abc")
    body = credentials(api)
    api.post("oauth2/access_token", **body)
    log = str(api.control("GET", "requests")[-1])
    assert body["secret"] not in log
    assert body["auth_code"] not in log

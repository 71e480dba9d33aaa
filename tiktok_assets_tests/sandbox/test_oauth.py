"""Tests of tokens: single-use codes, both exchanges, revocation and tokens of another app."""

from typing import Any

import httpx
import pytest

from tiktok_assets_tests.sandbox.conftest import Api


def credentials(api: Api, **other: object) -> dict[str, Any]:
    """Return the body of an exchange with a new auth_code."""
    code = api.control("POST", "auth_codes")["auth_code"]
    return {"app_id": api.sandbox.app_id, "secret": api.sandbox.secret, "auth_code": code, **other}


def test_code_is_valid_once(api: Api, accounts: list[str]) -> None:
    """A code gives a token and the granted accounts once; the second time it fails with 40110."""
    body = credentials(api)
    data = api.post("oauth2/access_token", token="", **body)["data"]
    assert data["advertiser_ids"] == accounts[:4]
    assert all(isinstance(one, int) for one in data["scope"])
    assert 19 in {len(str(one)) for one in data["scope"]}
    assert api.get("campaign/get", token=data["access_token"], advertiser_id=accounts[0])["code"] == 0
    assert api.post("oauth2/access_token", **body)["code"] == 40110


def test_code_is_valid_for_an_hour(api: Api) -> None:
    """A code is valid for less than one hour of the world's clock."""
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
    """A wrong code, secret or app fails with its own error code, and does not use up a valid auth_code."""
    body = credentials(api)
    assert api.post("oauth2/access_token", **body | wrong)["code"] == code
    assert api.post("oauth2/access_token", **body)["code"] == 0


def test_exchange_returns_granted_accounts(api: Api, accounts: list[str]) -> None:
    """The exchange returns the accounts granted at that time, the account list those granted now."""
    api.control("POST", "grants", advertiser_id=accounts[1], granted=False)
    data = api.post("oauth2/access_token", **credentials(api))["data"]
    assert accounts[1] not in data["advertiser_ids"]
    api.control("POST", "grants", advertiser_id=accounts[1], granted=True)
    query = {"app_id": api.sandbox.app_id, "secret": api.sandbox.secret}
    listed = api.get("oauth2/advertiser/get", token=data["access_token"], **query)["data"]["list"]
    assert accounts[1] in {one["advertiser_id"] for one in listed}


def test_credentials_in_the_query(api: Api) -> None:
    """The exchange accepts the credentials as query parameters."""
    response = api.http.post("/open_api/v1.3/oauth2/access_token/", params=credentials(api))
    assert response.json()["code"] == 0


def test_rfc_token_endpoint(api: Api) -> None:
    """oauth/token returns its data at the top level, accepts a form body, and refuses other grant types."""
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
    response = httpx.post(f"{api.sandbox.base_url}/open_api/v1.3/oauth/token/", data=form).json()
    assert (response["code"], response["advertiser_ids"]) == (0, flat["advertiser_ids"])


def test_revocation(api: Api, accounts: list[str]) -> None:
    """A revoked token fails with 40105."""
    body = credentials(api)
    token = api.post("oauth2/access_token", **body)["data"]["access_token"]
    revocation: dict[str, Any] = {"app_id": body["app_id"], "secret": body["secret"], "access_token": token}
    data = api.post("oauth2/revoke_token", token=token, **revocation)["data"]
    assert data == {"app_id": body["app_id"], "advertiser_ids": accounts[:4]}
    assert api.get("campaign/get", token=token, advertiser_id=accounts[0])["code"] == 40105
    assert api.get("campaign/get", advertiser_id=accounts[0])["code"] == 0


def test_token_of_another_app(api: Api, accounts: list[str]) -> None:
    """The token of another app reads accounts, but with this app's id it fails with 40001."""
    other = api.control("GET", "info")["other_token"]
    assert api.get("campaign/get", token=other, advertiser_id=accounts[0])["code"] == 0
    query = {"app_id": api.sandbox.app_id, "secret": api.sandbox.secret}
    response = api.get("oauth2/advertiser/get", token=other, **query)
    assert response["code"] == 40001
    assert "app_id is inconsistent with the token's app information" in response["message"]


def test_redirect_has_code_and_state(api: Api) -> None:
    """The control route returns the redirect URL with code and state, and the log has no secret."""
    authorization = api.control("POST", "auth_codes", state="abc", redirect_uri="https://agency.example/back/")
    assert authorization["redirected_url"].startswith(
        f"https://agency.example/back/?auth_code={authorization['auth_code']}&"
    )
    assert authorization["redirected_url"].endswith("state=abc")
    body = credentials(api)
    api.post("oauth2/access_token", **body)
    log = str(api.control("GET", "requests")[-1])
    assert body["secret"] not in log
    assert body["auth_code"] not in log

"""Tests of the token exchange."""

import json

import pytest

from tiktok_assets.api.auth import AuthClient, build_authorization_url
from tiktok_assets.api.errors import ContractError, CredentialsError, RetryLaterError
from tiktok_assets_tests.api.conftest import Host, Listener, assert_no_secret_leaks
from tiktok_assets_tests.contracts.contract import find_request_violations, load_contract


def create_code(host: Host) -> str:
    """Create an authorization code."""
    code: str = host.control("POST", "auth_codes", state="s")["auth_code"]
    return code


def test_exchange_returns_token_and_accounts(small_host: Host) -> None:
    """The exchange returns a token of the app and the granted accounts, with one request."""
    with AuthClient(small_host.sandbox.base_url) as client:
        grant = client.exchange_code(create_code(small_host), small_host.sandbox.app_id, small_host.sandbox.secret)

    assert small_host.sandbox.state.auth.tokens[grant.token] == small_host.sandbox.app_id
    assert {one.id for one in small_host.sandbox.world.advertisers.values() if one.granted} == set(
        grant.advertiser_ids
    )
    assert [entry["path"] for entry in small_host.requests] == ["oauth2/access_token"]
    assert grant.token not in repr(grant)


def test_used_code_is_a_credentials_error(small_host: Host, debug_log: pytest.LogCaptureFixture) -> None:
    """A used code raises a CredentialsError, and neither code nor secret is in it or in a log."""
    code, app_id, secret = create_code(small_host), small_host.sandbox.app_id, small_host.sandbox.secret
    with AuthClient(small_host.sandbox.base_url) as client:
        client.exchange_code(code, app_id, secret)
        with pytest.raises(CredentialsError) as caught:
            client.exchange_code(code, app_id, secret)

    assert caught.value.code == 40110
    assert_no_secret_leaks((code, secret), debug_log, caught.value)


@pytest.mark.parametrize("kind", ["cut", "not_json", "commit_then_cut"])
def test_lost_response_is_not_retried(small_host: Host, kind: str) -> None:
    """An exchange without a response is not retried, because the code may be used up."""
    small_host.inject_fault(kind, path="oauth2/access_token")
    code = create_code(small_host)
    with AuthClient(small_host.sandbox.base_url) as client, pytest.raises(RetryLaterError):
        client.exchange_code(code, small_host.sandbox.app_id, small_host.sandbox.secret)
    small_host.wait_for_requests(1)

    assert len(small_host.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_secret_is_not_sent_to_another_host(small_host: Host, status: int) -> None:
    """A redirect is an error, and the app's secret is not sent to its target."""
    with Listener() as other, AuthClient(small_host.sandbox.base_url) as client:
        small_host.inject_fault("redirect", status=status, location=f"{other.url}/elsewhere")
        with pytest.raises(ContractError, match="secret"):
            client.exchange_code(create_code(small_host), small_host.sandbox.app_id, small_host.sandbox.secret)

        assert other.connections == 0


@pytest.mark.parametrize("data", [{}, {"access_token": "", "advertiser_ids": []}, {"access_token": "a"}, []])
def test_response_without_token_is_a_contract_error(data: object) -> None:
    """A response without a token raises a ContractError."""
    body = json.dumps({"code": 0, "message": "OK", "request_id": "1", "data": data}).encode()
    with Listener(body=body) as host, AuthClient(host.url) as client, pytest.raises(ContractError):
        client.exchange_code("code", "7", "secret")


def test_exchange_request_matches_the_documentation() -> None:
    """The exchange request keeps the documented contract, with the secret in the body only."""
    data = {"access_token": "t", "advertiser_ids": ["7001"], "scope": [4]}
    body = json.dumps({"code": 0, "message": "OK", "request_id": "1", "data": data}).encode()
    with Listener(body=body) as host, AuthClient(host.url) as client:
        grant = client.exchange_code("a-code", "7", "a-secret")
    path, headers = host.received[0]
    posted = json.loads(host.posted_bodies[0])

    assert grant.advertiser_ids == ("7001",)
    contract = load_contract("oauth2/access_token")
    assert find_request_violations(contract, "POST", path, query={}, body=posted, headers=headers) == []
    assert posted == {"app_id": "7", "secret": "a-secret", "auth_code": "a-code"}
    assert "access-token" not in headers


def test_authorization_url_has_no_secret() -> None:
    """The authorization URL has the app id, the state and the redirect URI only."""
    url = build_authorization_url("7", "s")

    assert url == "https://business-api.tiktok.com/portal/auth?app_id=7&state=s"
    assert build_authorization_url("7", "s", "https://a.example/b/").startswith(
        f"{url}&redirect_uri=https%3A%2F%2F"
    )

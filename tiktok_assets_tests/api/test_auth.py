"""Laws of the exchange: it posts what the documents say, once, to one host, and shows nothing."""

import json

import pytest

from tiktok_assets.api.auth import AuthClient, build_authorization_url
from tiktok_assets.api.errors import ContractError, CredentialsError, RetryLaterError
from tiktok_assets_tests.api.conftest import Host, Listener, assert_no_secret_leaks
from tiktok_assets_tests.contracts.contract import find_request_violations, load_contract


def code_of(host: Host) -> str:
    """A fresh `auth_code`."""
    code: str = host.control("POST", "auth_codes", state="s")["auth_code"]
    return code


def test_a_code_becomes_a_token_of_the_app(small: Host) -> None:
    """The token answers for the app, the accounts are those granted, and one request was sent."""
    with AuthClient(small.sandbox.base_url) as exchange:
        granted = exchange.token_for(code_of(small), small.sandbox.app_id, small.sandbox.secret)

    assert small.sandbox.state.auth.tokens[granted.token] == small.sandbox.app_id
    assert {one.id for one in small.sandbox.world.advertisers.values() if one.granted} == set(
        granted.advertiser_ids
    )
    assert [entry["path"] for entry in small.requests] == ["oauth2/access_token"]
    assert granted.token not in repr(granted)


def test_a_code_works_once_and_for_its_own_app(small: Host, everything_logged: pytest.LogCaptureFixture) -> None:
    """A spent code is an error of the credentials, and neither code nor secret is in it or in any log."""
    code, app_id, secret = code_of(small), small.sandbox.app_id, small.sandbox.secret
    with AuthClient(small.sandbox.base_url) as exchange:
        exchange.token_for(code, app_id, secret)
        with pytest.raises(CredentialsError) as caught:
            exchange.token_for(code, app_id, secret)

    assert caught.value.code == 40110
    assert_no_secret_leaks((code, secret), everything_logged, caught.value)


@pytest.mark.parametrize("kind", ["cut", "not_json", "commit_then_cut"])
def test_an_exchange_whose_answer_was_lost_is_not_repeated(small: Host, kind: str) -> None:
    """A code may be spent although no answer came, so nobody asks again by himself."""
    small.misbehave(kind, path="oauth2/access_token")
    code = code_of(small)
    with AuthClient(small.sandbox.base_url) as exchange, pytest.raises(RetryLaterError):
        exchange.token_for(code, small.sandbox.app_id, small.sandbox.secret)
    small.settle(1)

    assert len(small.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_secret_is_carried_to_no_other_host(small: Host, status: int) -> None:
    """A redirect is refused, and the host it names hears nothing."""
    with Listener() as other, AuthClient(small.sandbox.base_url) as exchange:
        small.misbehave("redirect", status=status, location=f"{other.url}/elsewhere")
        with pytest.raises(ContractError, match="secret"):
            exchange.token_for(code_of(small), small.sandbox.app_id, small.sandbox.secret)

        assert other.connections == 0


@pytest.mark.parametrize("data", [{}, {"access_token": "", "advertiser_ids": []}, {"access_token": "a"}, []])
def test_an_answer_without_a_token_is_a_broken_contract(data: object) -> None:
    """Whatever else a host answers is no token."""
    body = json.dumps({"code": 0, "message": "OK", "request_id": "1", "data": data}).encode()
    with Listener(body=body) as host, AuthClient(host.url) as exchange, pytest.raises(ContractError):
        exchange.token_for("code", "7", "secret")


def test_the_request_is_the_documented_one() -> None:
    """What we post passes the transcribed document, at its path, with the secret in the body only."""
    answer = {"access_token": "t", "advertiser_ids": ["7001"], "scope": [4]}
    body = json.dumps({"code": 0, "message": "OK", "request_id": "1", "data": answer}).encode()
    with Listener(body=body) as host, AuthClient(host.url) as exchange:
        granted = exchange.token_for("a-code", "7", "a-secret")
    path, headers = host.heard[0]
    posted = json.loads(host.bodies[0])

    assert granted.advertiser_ids == ("7001",)
    contract = load_contract("oauth2/access_token")
    assert find_request_violations(contract, "POST", path, query={}, body=posted, headers=headers) == []
    assert posted == {"app_id": "7", "secret": "a-secret", "auth_code": "a-code"}
    assert "access-token" not in headers


def test_the_address_to_open_carries_no_secret() -> None:
    """The address holds the app's id, the state and the redirect address, and nothing else."""
    plain = build_authorization_url("7", "s")

    assert plain == "https://business-api.tiktok.com/portal/auth?app_id=7&state=s"
    assert build_authorization_url("7", "s", "https://a.example/b/").startswith(
        f"{plain}&redirect_uri=https%3A%2F%2F"
    )

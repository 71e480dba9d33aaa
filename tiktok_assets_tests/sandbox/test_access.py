"""Tests of access: programs on this machine are answered, web pages of other sites in its browser are not."""

import json
import socket
from typing import Any

import httpx
import pytest

from tiktok_assets.sandbox.control import ROUTES
from tiktok_assets_tests.sandbox.conftest import Api

FORM, PLAIN, JSON = "application/x-www-form-urlencoded", "text/plain", "application/json"
ADDRESSES = ["/sandbox/info", "/sandbox/faults", "/open_api/v1.3/oauth2/advertiser/get/"]

FOREIGN_HOSTS = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:8080",
    "127.0.0.1@evil.example",
    "192.168.0.7",
    "0.0.0.0",  # noqa: S104 - a value of the Host header
    "[",
]
FOREIGN_PAGES: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost.evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


def is_closed(api: Api, response: httpx.Response) -> bool:
    """Return whether a response has an error, no secrets and no CORS headers."""
    secrets = (api.sandbox.token, api.sandbox.secret)
    allows = [name for name in response.headers if name.lower().startswith("access-control-")]
    return not allows and not any(secret in response.text for secret in secrets) and "error" in response.json()


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_foreign_host_is_refused(api: Api, address: str, host: str) -> None:
    """Every route refuses a host name that resolves to 127.0.0.1 (DNS rebinding) with 421."""
    response = api.http.get(address, headers={"Host": host})
    assert response.status_code == 421
    assert is_closed(api, response)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST:80"])
def test_loopback_host_is_accepted(api: Api, host: str) -> None:
    """Every name of loopback is accepted as host."""
    assert api.http.get("/sandbox/info", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("page", FOREIGN_PAGES, ids=str)
@pytest.mark.parametrize("address", ADDRESSES)
def test_cross_site_read_is_refused(api: Api, address: str, page: dict[str, str]) -> None:
    """Every route refuses a request that a browser marks as cross-site with 403."""
    response = api.http.get(address, headers=page)
    assert response.status_code == 403
    assert is_closed(api, response)


@pytest.mark.parametrize("page", FOREIGN_PAGES, ids=str)
@pytest.mark.parametrize("kind", [JSON, FORM, PLAIN])
@pytest.mark.parametrize("path", [path for path, handlers in ROUTES.items() if "POST" in handlers])
def test_cross_site_write_is_refused(api: Api, path: str, kind: str, page: dict[str, str]) -> None:
    """No control route accepts a POST of another site's page, as a form, as plain text or as JSON."""
    before = api.control("GET", "info"), api.control("GET", "faults")
    body = json.dumps({"kind": "hang", "seconds": 9, "qps": 1, "advance_seconds": -5})
    response = api.http.post(f"/sandbox/{path}", content=body, headers={**page, "Content-Type": kind})
    assert response.status_code == 403
    assert (api.control("GET", "info"), api.control("GET", "faults")) == before


@pytest.mark.parametrize("kind", [FORM, PLAIN, f"{PLAIN}; charset=utf-8", "multipart/form-data; boundary=x", ""])
def test_control_write_requires_json(api: Api, kind: str) -> None:
    """A body that is not JSON is refused with 415, because forms of old browsers can send only such bodies."""
    body = json.dumps({"kind": "hang", "seconds": 9})
    response = api.http.post("/sandbox/faults", content=body, headers={"Content-Type": kind})
    assert response.status_code == 415
    assert JSON in response.json()["error"]
    assert api.control("GET", "faults") == []


def test_cors_preflight_is_refused(api: Api) -> None:
    """A CORS preflight request is refused."""
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    response = api.http.options("/sandbox/faults", headers=headers)
    assert response.status_code == 403
    assert is_closed(api, response)


def test_same_origin_is_accepted(api: Api) -> None:
    """Requests from the address bar and from the sandbox's own origin are accepted."""
    origin = {"Origin": api.sandbox.base_url, "Sec-Fetch-Site": "same-origin"}
    assert api.http.get("/sandbox/info", headers={"Sec-Fetch-Site": "none"}).status_code == 200
    assert api.http.post("/sandbox/clock", json={}, headers=origin).status_code == 200


def test_listens_on_loopback_only(api: Api) -> None:
    """The sandbox listens on loopback only."""
    port = httpx.URL(api.sandbox.base_url).port
    others = {
        str(found[4][0])
        for found in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET, socket.SOCK_STREAM)
    } - {"127.0.0.1", "127.0.1.1"}
    for address in others:
        with pytest.raises(OSError), socket.create_connection((address, port or 0), timeout=2):  # noqa: PT011 - refused or unreachable
            pass
    assert api.http.get("/sandbox/info").status_code == 200


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[1]", b'"text"', b"{"])
def test_invalid_body_is_an_error(api: Api, body: bytes) -> None:
    """A body that is deeply nested or not an object is refused with an error."""
    response: Any = api.http.post("/sandbox/faults", content=body, headers={"Content-Type": JSON})
    assert response.status_code == 400
    assert response.json()["error"]
    wrong = api.http.post("/open_api/v1.3/ad/create/", content=body, headers={"Access-Token": api.sandbox.token})
    assert wrong.json()["code"] != 0

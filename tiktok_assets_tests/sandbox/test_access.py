"""Laws of who is answered: programs on this machine are, a web page open in a browser on it is not."""

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
    "0.0.0.0",  # noqa: S104 - a name that is asked for
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


def untouched(api: Api, answer: httpx.Response) -> bool:
    """Whether an answer tells nothing of the world and no page may read it."""
    secrets = (api.sandbox.token, api.sandbox.secret)
    allows = [name for name in answer.headers if name.lower().startswith("access-control-")]
    return not allows and not any(secret in answer.text for secret in secrets) and "error" in answer.json()


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_foreign_name_reads_nothing(api: Api, address: str, host: str) -> None:
    """A page whose own name was pointed at 127.0.0.1 gets one sentence, from every route."""
    answer = api.http.get(address, headers={"Host": host})
    assert answer.status_code == 421
    assert untouched(api, answer)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST:80"])
def test_a_name_of_loopback_is_answered(api: Api, host: str) -> None:
    """Whatever loopback is called, a program that asks for it is answered."""
    assert api.http.get("/sandbox/info", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("page", FOREIGN_PAGES, ids=str)
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_foreign_page_reads_nothing(api: Api, address: str, page: dict[str, str]) -> None:
    """A request that a browser marks as another site's gets one sentence, from every route."""
    answer = api.http.get(address, headers=page)
    assert answer.status_code == 403
    assert untouched(api, answer)


@pytest.mark.parametrize("page", FOREIGN_PAGES, ids=str)
@pytest.mark.parametrize("kind", [JSON, FORM, PLAIN])
@pytest.mark.parametrize("path", [path for path, handlers in ROUTES.items() if "POST" in handlers])
def test_a_foreign_page_changes_nothing(api: Api, path: str, kind: str, page: dict[str, str]) -> None:
    """No control route takes a POST from another site's page, as a form, as plain text or as JSON."""
    before = api.control("GET", "info"), api.control("GET", "faults")
    body = json.dumps({"kind": "hang", "seconds": 9, "qps": 1, "advance_seconds": -5})
    answer = api.http.post(f"/sandbox/{path}", content=body, headers={**page, "Content-Type": kind})
    assert answer.status_code == 403
    assert (api.control("GET", "info"), api.control("GET", "faults")) == before


@pytest.mark.parametrize("kind", [FORM, PLAIN, f"{PLAIN}; charset=utf-8", "multipart/form-data; boundary=x", ""])
def test_what_a_form_can_send_changes_nothing(api: Api, kind: str) -> None:
    """A browser too old to mark its requests can send no JSON from a form: anything else is a 415."""
    body = json.dumps({"kind": "hang", "seconds": 9})
    answer = api.http.post("/sandbox/faults", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert JSON in answer.json()["error"]
    assert api.control("GET", "faults") == []


def test_a_preflight_allows_nothing(api: Api) -> None:
    """A browser that asks before it sends JSON across sites gets no permission."""
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = api.http.options("/sandbox/faults", headers=asks)
    assert answer.status_code == 403
    assert untouched(api, answer)


def test_the_own_page_of_the_sandbox_is_answered(api: Api) -> None:
    """What a browser asks for by its address line, or from the sandbox itself, is no foreign page's."""
    origin = {"Origin": api.sandbox.base_url, "Sec-Fetch-Site": "same-origin"}
    assert api.http.get("/sandbox/info", headers={"Sec-Fetch-Site": "none"}).status_code == 200
    assert api.http.post("/sandbox/clock", json={}, headers=origin).status_code == 200


def test_nothing_listens_beside_loopback(api: Api) -> None:
    """The sandbox takes connections on loopback alone, whatever addresses the machine has."""
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
def test_a_body_that_is_no_object_is_a_sentence(api: Api, body: bytes) -> None:
    """JSON nested without end, or of another shape, is a mistake of the sender, not a crash."""
    answer: Any = api.http.post("/sandbox/faults", content=body, headers={"Content-Type": JSON})
    assert answer.status_code == 400
    assert answer.json()["error"]
    wrong = api.http.post("/open_api/v1.3/ad/create/", content=body, headers={"Access-Token": api.sandbox.token})
    assert wrong.json()["code"] != 0

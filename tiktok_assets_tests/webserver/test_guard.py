"""Tests of the guard: requests of other sites and requests without the password are refused."""

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tiktok_assets.settings import load_settings
from tiktok_assets.webserver.guard import (
    FREE_ATTEMPTS,
    MAX_WAIT_SECONDS,
    Address,
    AllowedHosts,
    Guard,
    Login,
    check_request,
    parse_allowed_hosts,
    parse_host,
)
from tiktok_assets.webserver.server import create_guarded_app
from tiktok_assets_tests.webserver.cross_site_requests import list_accepted_attempts, query, send

PASSWORD = "a long pass:word"
PORT = 3000


@contextmanager
def serving(wrap: Callable[[ASGIApp, int], ASGIApp]) -> Iterator[int]:
    """Serve an application that responds to everything, wrapped by `wrap`, on a free port; yield the port."""

    async def _respond(_: Request) -> PlainTextResponse:
        return PlainTextResponse('{"data": {"__typename": "reached"}}')

    methods = ["GET", "POST", "OPTIONS", "PUT", "DELETE"]
    inner = Starlette(routes=[Route("/{path:path}", _respond, methods=methods)])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = uvicorn.Config(wrap(inner, port), log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(timeout=10)


@pytest.fixture(scope="module")
def guarded() -> Iterator[int]:
    """The port of a guarded application with one further allowed host name."""
    with serving(
        lambda inner, port: Guard(inner, AllowedHosts(port, frozenset({Address("dagster.example")})))
    ) as port:
        yield port


def test_cross_site_requests_are_refused(guarded: int) -> None:
    """Every request that a page of another site can send is refused."""
    assert list_accepted_attempts(guarded) == []


def test_own_requests_are_passed_on(guarded: int) -> None:
    """Requests of the own pages, of programs, and through a proxy with an allowed host name are passed on."""
    own = f"http://localhost:{guarded}"
    assert query(guarded).status == 200
    assert query(guarded, Origin=own, Sec_Fetch_Site="same-origin", Host=f"localhost:{guarded}").status == 200
    assert query(guarded, Origin="https://dagster.example", Host="dagster.example").status == 200
    assert query(guarded, Host=f"[::1]:{guarded}").status == 200
    for path in ("/", "/locations/x/jobs/duplicate_ad/playground/setup?config=a"):
        assert send(guarded, "GET", path, {"Sec-Fetch-Site": "none"}).status == 200


def test_link_from_another_site_opens(guarded: int) -> None:
    """A link on another site to a page opens it in a tab."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert send(guarded, "GET", "/runs/1", link).status == 200


def test_responses_have_security_headers(guarded: int) -> None:
    """Responses forbid frames, content sniffing, use by other sites, and referrers to other sites."""
    headers = send(guarded, "GET", "/", {}).headers
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def build_scope(method: str, path: str, headers: list[tuple[str, str]]) -> dict[str, object]:
    """Return the ASGI scope of a request."""
    raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers]
    return {"type": "http", "method": method, "path": path, "scheme": "http", "headers": raw}


HOSTS = AllowedHosts(PORT, parse_allowed_hosts(["dash.example:8443"], "https://dagster.example"))
OWN_HOSTS = {f"{name}:{PORT}" for name in ("localhost", "127.0.0.1", "[::1]", "dagster.example")} | {
    "dash.example:8443"
}
host_strings = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"[a-z0-9.\[\]:@-]{0,30}", fullmatch=True),
    st.sampled_from(sorted(OWN_HOSTS)).flatmap(
        lambda own: st.sampled_from(
            [f"{own}.evil.example", f"evil.example@{own}", f"{own}1", f" {own}", f"{own}/"]
        )
    ),
)


@given(host=host_strings)
def test_only_allowed_hosts_pass(host: str) -> None:
    """A request passes only if its Host header is loopback with the own port, or an allowed host."""
    address = parse_host(host.encode("latin-1", "replace").decode("latin-1"))
    is_allowed = address is not None and HOSTS.allows(address.name, address.port or 80)
    assert (check_request(build_scope("GET", "/", [("host", host)]), HOSTS) is None) == is_allowed
    if is_allowed:
        name, port = address.name, address.port or 80  # type: ignore[union-attr] # allowed, so it parsed
        assert name == "dagster.example" or f"{name}:{port}" == "dash.example:8443" or port == PORT


@given(origin=host_strings, path=st.sampled_from(["/graphql", "/report_asset_check/x"]))
def test_only_allowed_origins_pass(origin: str, path: str) -> None:
    """A POST request passes only if its Origin header is an allowed HTTP origin."""
    for scheme in ("http://", "https://", "ftp://", ""):
        given_origin = f"{scheme}{origin}"
        headers = [
            ("host", f"localhost:{PORT}"),
            ("content-type", "application/json"),
            ("origin", given_origin),
        ]
        if check_request(build_scope("POST", path, headers), HOSTS) is None:
            assert HOSTS.allows_origin(given_origin)
            assert scheme in {"http://", "https://"}
            assert parse_host(origin) is not None


def test_exactly_one_host_header_is_required() -> None:
    """A request with two Host headers, or without any, is refused."""
    host = ("host", f"localhost:{PORT}")
    assert check_request(build_scope("GET", "/", [host]), HOSTS) is None
    assert check_request(build_scope("GET", "/", [host, host]), HOSTS) is not None
    assert check_request(build_scope("GET", "/", []), HOSTS) is not None


def test_loopback_ui_url_allows_its_port_only() -> None:
    """A loopback name in DAGSTER_UI_URL is allowed with its port only, because other ports are other sites."""
    hosts = AllowedHosts(PORT, parse_allowed_hosts([], "http://localhost:13000"))
    assert hosts.allows("localhost", 13000)
    assert not hosts.allows("localhost", 13001)
    assert not hosts.allows("127.0.0.1", 13000)


def test_wildcard_address_allows_no_host() -> None:
    """The address a server listens on is an allowed host; listening on all addresses allows none."""
    one = AllowedHosts(PORT, parse_allowed_hosts([f"192.168.1.5:{PORT}"], "http://localhost:3000"))
    wildcard = AllowedHosts(PORT, parse_allowed_hosts([f"0.0.0.0:{PORT}"], "http://localhost:3000"))
    assert one.allows_host(f"192.168.1.5:{PORT}", "http")
    assert not one.allows_host("192.168.1.5", "http")
    assert not wildcard.allows_host(f"192.168.1.5:{PORT}", "http")


def test_server_answers_at_the_address_it_listens_on(tmp_path: Path) -> None:
    """The address given to the server is an allowed host without any setting; another one is refused."""
    settings = load_settings(data_dir=str(tmp_path / "data"), state_dir=tmp_path / "state")
    with serving(lambda inner, port: create_guarded_app(inner, settings, "192.168.1.5", port)) as port:
        assert query(port, Host=f"192.168.1.5:{port}").status == 200
        assert query(port, Host=f"192.168.1.6:{port}").status != 200


@pytest.fixture
def clock() -> list[float]:
    """A list with the current time in seconds, which a test can change."""
    return [1000.0]


@pytest.fixture
def protected(clock: list[float]) -> Iterator[int]:
    """The port of an application that requires a password."""

    def _wrap(inner: ASGIApp, port: int) -> ASGIApp:
        return Guard(inner, AllowedHosts(port), Login(PASSWORD, lambda: clock[0]))

    with serving(_wrap) as port:
        yield port


def basic_auth(password: str) -> dict[str, str]:
    """Return the header of basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


def test_password_is_required(protected: int) -> None:
    """All paths and the websocket require the password; it is accepted with any user name, a wrong one is not."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/", "/graphql", "/tiktok-assets/", "/server_info"):
        method = "POST" if path == "/graphql" else "GET"
        response = send(protected, method, path, {"Content-Type": "application/json"})
        assert (response.status, "basic" in response.headers["www-authenticate"].lower()) == (401, True)
    assert send(protected, "GET", "/graphql", upgrade).status == 403
    assert send(protected, "GET", "/", basic_auth("a wrong password")).status == 401
    assert send(protected, "GET", "/", {"Authorization": "Basic !!!"}).status == 401
    assert send(protected, "GET", "/", basic_auth(PASSWORD)).status == 200
    assert list_accepted_attempts(protected) == []


def test_session_cookie_replaces_the_password(protected: int) -> None:
    """After the first success the cookie is enough; it is for this site only and not readable by scripts."""
    cookie = send(protected, "GET", "/", basic_auth(PASSWORD)).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
    assert PASSWORD not in cookie
    name_and_value = cookie.partition(";")[0]
    assert send(protected, "GET", "/", {"Cookie": name_and_value}).status == 200
    assert send(protected, "GET", "/", {"Cookie": name_and_value[:-1]}).status == 401


def test_wrong_passwords_lead_to_a_wait(protected: int, clock: list[float]) -> None:
    """After some wrong passwords an address has to wait longer each time, even with the right password."""
    for _ in range(FREE_ATTEMPTS):
        assert send(protected, "GET", "/", basic_auth("guess")).status == 401
    waits = []
    for _ in range(8):
        response = send(protected, "GET", "/", basic_auth(PASSWORD))
        assert response.status == 429
        waits.append(int(response.headers["retry-after"]))
        clock[0] += waits[-1]
        assert send(protected, "GET", "/", basic_auth("guess")).status == 401
    assert waits == sorted(waits)
    assert waits[-1] == MAX_WAIT_SECONDS + 1
    clock[0] += MAX_WAIT_SECONDS + 1
    assert send(protected, "GET", "/", basic_auth(PASSWORD)).status == 200

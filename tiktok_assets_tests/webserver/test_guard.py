"""Laws of the guard: what is not this server's own never reaches the application behind it."""

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

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
from tiktok_assets_tests.webserver.cross_site_requests import gets_nothing, query, send

PASSWORD = "a long pass:word"
PORT = 3000
Serve = Callable[..., int]


@contextmanager
def serving(wrap: Callable[[ASGIApp, int], ASGIApp]) -> Iterator[int]:
    """Serve an application that answers everything, behind a guard, on a free port."""

    async def _answer(_: Request) -> PlainTextResponse:
        return PlainTextResponse('{"data": {"__typename": "reached"}}')

    methods = ["GET", "POST", "OPTIONS", "PUT", "DELETE"]
    inner = Starlette(routes=[Route("/{path:path}", _answer, methods=methods)])
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
    """The port of a guarded application that answers under one more name."""
    with serving(
        lambda inner, port: Guard(inner, AllowedHosts(port, frozenset({Address("dagster.example")})))
    ) as port:
        yield port


def test_a_foreign_page_gets_nothing(guarded: int) -> None:
    """No request that another site's page can make is answered, whatever the application would do."""
    assert gets_nothing(guarded) == []


def test_the_page_itself_and_programs_are_answered(guarded: int) -> None:
    """The UI's own requests, a program's, and one through a proxy by an allowed name are passed on."""
    own = f"http://localhost:{guarded}"
    assert query(guarded).status == 200
    assert query(guarded, Origin=own, Sec_Fetch_Site="same-origin", Host=f"localhost:{guarded}").status == 200
    assert query(guarded, Origin="https://dagster.example", Host="dagster.example").status == 200
    assert query(guarded, Host=f"[::1]:{guarded}").status == 200
    for path in ("/", "/locations/x/jobs/duplicate_ad/playground/setup?config=a"):
        assert send(guarded, "GET", path, {"Sec-Fetch-Site": "none"}).status == 200


def test_a_link_in_a_message_still_opens(guarded: int) -> None:
    """A person who follows a link of another site to a page of the UI in a tab gets the page."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert send(guarded, "GET", "/runs/1", link).status == 200


def test_every_answer_says_how_a_browser_may_use_it(guarded: int) -> None:
    """Each answer forbids frames, guessing of types, use by other sites, and sends no referrer to them."""
    headers = send(guarded, "GET", "/", {}).headers
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def scope_of(method: str, path: str, headers: list[tuple[str, str]]) -> dict[str, object]:
    """An ASGI scope of one request."""
    raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers]
    return {"type": "http", "method": method, "path": path, "scheme": "http", "headers": raw}


HOSTS = AllowedHosts(PORT, parse_allowed_hosts(["dash.example:8443"], "https://dagster.example"))
OURS = {f"{name}:{PORT}" for name in ("localhost", "127.0.0.1", "[::1]", "dagster.example")} | {
    "dash.example:8443"
}
foreign = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"[a-z0-9.\[\]:@-]{0,30}", fullmatch=True),
    st.sampled_from(sorted(OURS)).flatmap(
        lambda own: st.sampled_from(
            [f"{own}.evil.example", f"evil.example@{own}", f"{own}1", f" {own}", f"{own}/"]
        )
    ),
)


@given(host=foreign)
def test_only_our_own_names_are_answered(host: str) -> None:
    """A request is answered only if its Host parses to loopback with our port, or to an allowed name."""
    address = parse_host(host.encode("latin-1", "replace").decode("latin-1"))
    is_ours = address is not None and HOSTS.allows(address.name, address.port or 80)
    assert (check_request(scope_of("GET", "/", [("host", host)]), HOSTS) is None) == is_ours
    if is_ours:
        name, port = address.name, address.port or 80  # type: ignore[union-attr] # it is ours, so it parsed
        assert name == "dagster.example" or f"{name}:{port}" == "dash.example:8443" or port == PORT


@given(origin=foreign, path=st.sampled_from(["/graphql", "/report_asset_check/x"]))
def test_no_foreign_origin_changes_anything(origin: str, path: str) -> None:
    """A request with an Origin that is not one of ours, in full, is refused."""
    for scheme in ("http://", "https://", "ftp://", ""):
        given_origin = f"{scheme}{origin}"
        headers = [
            ("host", f"localhost:{PORT}"),
            ("content-type", "application/json"),
            ("origin", given_origin),
        ]
        if check_request(scope_of("POST", path, headers), HOSTS) is None:
            assert HOSTS.allows_origin(given_origin)
            assert scheme in {"http://", "https://"}
            assert parse_host(origin) is not None


def test_two_hosts_are_no_host() -> None:
    """A request that names two hosts, or none, is refused."""
    host = ("host", f"localhost:{PORT}")
    assert check_request(scope_of("GET", "/", [host]), HOSTS) is None
    assert check_request(scope_of("GET", "/", [host, host]), HOSTS) is not None
    assert check_request(scope_of("GET", "/", []), HOSTS) is not None


def test_another_server_of_this_machine_is_another_site() -> None:
    """A loopback address in DAGSTER_UI_URL is allowed with its own port only, as a tunnel needs it."""
    hosts = AllowedHosts(PORT, parse_allowed_hosts([], "http://localhost:13000"))
    assert hosts.allows("localhost", 13000)
    assert not hosts.allows("localhost", 13001)
    assert not hosts.allows("127.0.0.1", 13000)


def test_a_wildcard_address_is_no_name() -> None:
    """A server that listens on one address answers under it; listening on all addresses allows none of them."""
    one = AllowedHosts(PORT, parse_allowed_hosts([f"192.168.1.5:{PORT}"], "http://localhost:3000"))
    every = AllowedHosts(PORT, parse_allowed_hosts([f"0.0.0.0:{PORT}"], "http://localhost:3000"))
    assert one.allows_host(f"192.168.1.5:{PORT}", "http")
    assert not one.allows_host("192.168.1.5", "http")
    assert not every.allows_host(f"192.168.1.5:{PORT}", "http")


@pytest.fixture
def clock() -> list[float]:
    """A clock of one cell, which a test sets."""
    return [1000.0]


@pytest.fixture
def locked(clock: list[float]) -> Iterator[int]:
    """The port of an application behind a password."""

    def _wrap(inner: ASGIApp, port: int) -> ASGIApp:
        return Guard(inner, AllowedHosts(port), Login(PASSWORD, lambda: clock[0]))

    with serving(_wrap) as port:
        yield port


def basic(password: str) -> dict[str, str]:
    """The header of basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


def test_without_the_password_nothing_is_served(locked: int) -> None:
    """Each path and the websocket ask for it; the right one is taken with any user name, a wrong one is not."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/", "/graphql", "/tiktok-assets/", "/server_info"):
        method = "POST" if path == "/graphql" else "GET"
        answer = send(locked, method, path, {"Content-Type": "application/json"})
        assert (answer.status, "basic" in answer.headers["www-authenticate"].lower()) == (401, True)
    assert send(locked, "GET", "/graphql", upgrade).status == 403
    assert send(locked, "GET", "/", basic("a wrong password")).status == 401
    assert send(locked, "GET", "/", {"Authorization": "Basic !!!"}).status == 401
    assert send(locked, "GET", "/", basic(PASSWORD)).status == 200
    assert gets_nothing(locked) == []


def test_a_session_is_remembered_in_a_cookie_no_other_site_sends(locked: int) -> None:
    """The cookie alone is enough afterwards; it is for this site only and out of reach of scripts."""
    cookie = send(locked, "GET", "/", basic(PASSWORD)).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
    assert PASSWORD not in cookie
    name_and_value = cookie.partition(";")[0]
    assert send(locked, "GET", "/", {"Cookie": name_and_value}).status == 200
    assert send(locked, "GET", "/", {"Cookie": name_and_value[:-1]}).status == 401


def test_who_guesses_has_to_wait(locked: int, clock: list[float]) -> None:
    """After a few wrong passwords an address waits longer each time, even with the right one, and then gets in."""
    for _ in range(FREE_ATTEMPTS):
        assert send(locked, "GET", "/", basic("guess")).status == 401
    waits = []
    for _ in range(8):
        answer = send(locked, "GET", "/", basic(PASSWORD))
        assert answer.status == 429
        waits.append(int(answer.headers["retry-after"]))
        clock[0] += waits[-1]
        assert send(locked, "GET", "/", basic("guess")).status == 401
    assert waits == sorted(waits)
    assert waits[-1] == MAX_WAIT_SECONDS + 1
    clock[0] += MAX_WAIT_SECONDS + 1
    assert send(locked, "GET", "/", basic(PASSWORD)).status == 200

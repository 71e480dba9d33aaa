"""Refuse cross-site requests and requests without the password.

Dagster's webserver executes mutations sent by GET and checks neither Host nor Origin, so listening on loopback does
not protect it from pages in the user's own browser. The ASGI middleware of this module wraps that application.
"""

import hmac
import re
import secrets
import time
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FREE_ATTEMPTS = 5
"""Wrong passwords from one address before it has to wait."""
MAX_WAIT_SECONDS = 60.0
FAILURE_LIFETIME_SECONDS = 15 * 60.0
MAX_TRACKED_ADDRESSES = 10_000
SESSION_COOKIE = "tiktok_assets_session"


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0

    def pause(self, now: float) -> float:
        """Return how many seconds the address still has to wait; the pause doubles with each failure."""
        beyond = self.count - FREE_ATTEMPTS
        length = min(2.0**beyond, MAX_WAIT_SECONDS) if 0 <= beyond < 10 else MAX_WAIT_SECONDS  # noqa: PLR2004 - 2**10 is past the longest
        return max(0.0, self.last + length - now) if beyond >= 0 else 0.0


class Login:
    """Check the password of each request; an address that fails often waits, and no other address does.

    Any user name is accepted. The cookie is there because some browsers send no password with a websocket; its
    value is random, made anew at each start, and no page of another site makes a browser send it.
    """

    def __init__(self, password: str, now: Callable[[], float] = time.monotonic) -> None:
        self._digest = sha256(password.encode()).digest()
        self._session = secrets.token_urlsafe(32)
        self._now = now
        self._failures: dict[str, _Failures] = {}

    async def check(self, scope: Scope) -> tuple[Response | None, str | None]:
        """Return the answer to a request without the password or None, and a cookie to set or None."""
        connection = HTTPConnection(scope)
        cookie = connection.cookies.get(SESSION_COOKIE, "")
        if hmac.compare_digest(cookie.encode(), self._session.encode()):
            return None, None
        given = _parse_password(connection.headers.get("authorization", ""))
        address = connection.client.host if connection.client else ""
        failures = self._failures.get(address, _Failures())
        if given is None:
            return _unauthorized_response(), None
        if (wait := failures.pause(self._now())) > 0:
            seconds = str(int(wait) + 1)
            sentence = f"Too many wrong passwords from this address; try again in {seconds} s.\n"
            return PlainTextResponse(sentence, 429, {"Retry-After": seconds}), None
        if hmac.compare_digest(sha256(given).digest(), self._digest):
            self._failures.pop(address, None)
            return None, f"{SESSION_COOKIE}={self._session}; HttpOnly; SameSite=Strict; Path=/"
        self._note_failure(address, failures)
        return _unauthorized_response(), None

    def _note_failure(self, address: str, failures: _Failures) -> None:
        now = self._now()
        if len(self._failures) >= MAX_TRACKED_ADDRESSES:
            self._failures = {
                one: kept for one, kept in self._failures.items() if now - kept.last < FAILURE_LIFETIME_SECONDS
            }
            while (
                len(self._failures) >= MAX_TRACKED_ADDRESSES
            ):  # the oldest; so many addresses at once are one attacker's
                self._failures.pop(next(iter(self._failures)))
        count = failures.count + 1 if now - failures.last < FAILURE_LIFETIME_SECONDS else 1
        self._failures[address] = _Failures(count, now)


def _parse_password(authorization: str) -> bytes | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _, separator, password = b64decode(value.strip(), validate=True).partition(b":")
    except (BadBase64, ValueError):
        return None
    return password if separator else None


def _unauthorized_response() -> Response:
    return PlainTextResponse(
        "A password is needed: the one in TIKTOK_UI_PASSWORD, with any user name.\n",
        401,
        {"WWW-Authenticate": 'Basic realm="tiktok_assets", charset="UTF-8"'},
    )


GRAPHQL_SEGMENT = "graphql"
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
OWN_SITE_VALUES = frozenset({"same-origin", "none"})
FORM_CONTENT_TYPES = frozenset({"application/x-www-form-urlencoded", "text/plain", "multipart/form-data"})
"""What a form of any page can send without being asked by the browser first."""

SECURITY_HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
DEFAULT_REFERRER_POLICY = "same-origin"
"""The referrer policy where a page has none; an address of the launchpad may hold an approval code."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host name, and a port or None for any."""

    name: str
    port: int | None = None


@dataclass(frozen=True)
class AllowedHosts:
    """The names under which a server answers: loopback with its own port, and those that were allowed.

    Attributes:
        port: the server's own port.
        allowed: further names; without a port, any port of theirs.
    """

    port: int
    allowed: frozenset[Address] = field(default_factory=frozenset)

    def include(self, name: str, port: int) -> bool:
        """Return whether the server answers under this name and port."""
        if is_loopback(name) and port == self.port:
            return True
        return Address(name, port) in self.allowed or Address(name) in self.allowed

    def include_host(self, host: str, scheme: str) -> bool:
        """Return whether a Host header names this server."""
        address = parse_host(host)
        return address is not None and self.include(address.name, address.port or DEFAULT_PORTS.get(scheme, 80))

    def include_origin(self, origin: str) -> bool:
        """Return whether an Origin header is this server's own; `null` never is."""
        scheme, separator, host = origin.partition("://")
        address = parse_host(host)
        if not separator or scheme not in {"http", "https"} or address is None:
            return False
        return self.include(address.name, address.port or DEFAULT_PORTS[scheme])


def parse_host(host: str) -> Address | None:
    """Parse `name` or `name:port`, the name in lower case and without brackets; None if it is neither."""
    matched = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", host, re.ASCII)
    if matched is None:
        return None
    name = matched[1].strip("[]").lower()
    return Address(name, int(matched[2]) if matched[2] else None)


def is_loopback(name: str) -> bool:
    """Return whether a host name always means this machine."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def parse_allowed_hosts(names: Iterable[str], ui_url: str) -> frozenset[Address]:
    """Return the addresses of TIKTOK_ALLOWED_HOSTS and DAGSTER_UI_URL.

    A loopback name is allowed with its port only: another server of this machine is another site.
    """
    parts = urlsplit(ui_url)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 80)
    name = parts.hostname or ""
    given = {address for one in names if (address := parse_host(one)) is not None}
    return frozenset({Address(name, port if is_loopback(name) else None), *given})


class Guard:
    """ASGI middleware that refuses in one sentence, and passes the rest on with security headers."""

    def __init__(
        self,
        application: ASGIApp,
        hosts: AllowedHosts,
        login: Login | None = None,
    ) -> None:
        self._application = application
        self._hosts = hosts
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request or a websocket, or pass it on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._application(scope, receive, send)
            return
        refused = check_request(scope, self._hosts)
        cookie: str | None = None
        if refused is None and self._login is not None:
            refused, cookie = await self._login.check(scope)

        async def _send(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers.setdefault("Referrer-Policy", DEFAULT_REFERRER_POLICY)
                if cookie:
                    headers.append("Set-Cookie", cookie)
            await send(message)

        if refused is None:
            await self._application(scope, receive, _send)
        elif scope["type"] == "http":
            await refused(scope, receive, _send)
        else:
            await receive()  # the handshake, which is refused by closing before it is accepted
            await send({"type": "websocket.close", "code": 1008, "reason": ""})


def check_request(scope: Scope, hosts: AllowedHosts) -> Response | None:
    """Return the answer to a request that is not this server's to serve; None if it may pass."""
    headers = Headers(scope=scope)
    if len(headers.getlist("host")) != 1 or not hosts.include_host(headers["host"], scope.get("scheme", "http")):
        return _text_response(
            421, "This server answers under loopback names only; add the name to TIKTOK_ALLOWED_HOSTS to use it."
        )
    is_graphql = GRAPHQL_SEGMENT in [part.lower() for part in scope["path"].split("/")]
    if scope["type"] == "websocket":
        return _check_origin(headers, hosts)
    method = scope["method"]
    if method in {"GET", "HEAD"} and not is_graphql:
        return _check_cross_site_read(headers)
    if method != "POST":
        allow = "POST" if is_graphql else "GET, HEAD, POST"
        return _text_response(405, f"{method} is not answered here; use {allow}.", {"Allow": allow})
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    may_upload = is_graphql and kind == "multipart/form-data"
    if (is_graphql and kind != "application/json" and not may_upload) or (
        kind in FORM_CONTENT_TYPES and not may_upload
    ):
        return _text_response(415, "Send the request as JSON, with Content-Type: application/json.")
    return _check_origin(headers, hosts)


def _check_origin(headers: Headers, hosts: AllowedHosts) -> Response | None:
    """Refuse what a browser says that another site's page sends; programs say nothing of that kind."""
    origins = headers.getlist("origin")
    sites = headers.getlist("sec-fetch-site")
    if all(hosts.include_origin(one) for one in origins) and set(sites) <= OWN_SITE_VALUES:
        return None
    return _text_response(403, "This server does not answer pages of other sites.")


def _check_cross_site_read(headers: Headers) -> Response | None:
    """Refuse a read by another site's page, unless a person follows a link to a page in a tab of its own."""
    if set(headers.getlist("sec-fetch-site")) <= OWN_SITE_VALUES:
        return None
    if headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document":
        return None
    return _text_response(403, "This server does not answer pages of other sites.")


def _text_response(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(sentence + "\n", status, headers)

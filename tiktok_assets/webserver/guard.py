"""Refuse cross-site requests and requests without the password.

Dagster's webserver executes mutations sent by GET and checks neither Host nor Origin, so listening on loopback
does not protect it from pages in the user's own browser. The ASGI middleware here wraps that application.
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

GRAPHQL_SEGMENT = "graphql"
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
OWN_SITE_VALUES = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site for requests of the own pages, and for URLs entered by the user."""

FORM_CONTENT_TYPES = frozenset({"application/x-www-form-urlencoded", "text/plain", "multipart/form-data"})
"""Content types that a form of any page can send without a preflight request."""

SECURITY_HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
DEFAULT_REFERRER_POLICY = "same-origin"
"""Used if a page sets none; a URL of the launchpad may hold an approval code."""

FREE_ATTEMPTS = 5
"""Wrong passwords from one address before it has to wait."""

MAX_WAIT_SECONDS = 60.0
FAILURE_LIFETIME_SECONDS = 15 * 60.0
MAX_TRACKED_ADDRESSES = 10_000
SESSION_COOKIE = "tiktok_assets_session"


@dataclass(frozen=True, slots=True)
class Address:
    """A host name with a port; None for any port."""

    name: str
    port: int | None = None


@dataclass(frozen=True)
class AllowedHosts:
    """The host names that a server accepts: loopback with its own port, and configured names.

    Attributes:
        port: the server's own port.
        allowed: the configured names.
    """

    port: int
    allowed: frozenset[Address] = field(default_factory=frozenset)

    def allows(self, name: str, port: int) -> bool:
        """Return whether the server accepts this name and port."""
        if is_loopback(name) and port == self.port:
            return True
        return Address(name, port) in self.allowed or Address(name) in self.allowed

    def allows_host(self, host: str, scheme: str) -> bool:
        """Return whether the server accepts a Host header."""
        address = parse_host(host)
        return address is not None and self.allows(address.name, address.port or DEFAULT_PORTS.get(scheme, 80))

    def allows_origin(self, origin: str) -> bool:
        """Return whether an Origin header is this server's own; `null` never is."""
        scheme, separator, host = origin.partition("://")
        address = parse_host(host)
        if not separator or scheme not in {"http", "https"} or address is None:
            return False
        return self.allows(address.name, address.port or DEFAULT_PORTS[scheme])


def parse_host(host: str) -> Address | None:
    """Parse `name` or `name:port`; return the name in lower case without brackets, or None if it is neither."""
    matched = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", host, re.ASCII)
    if matched is None:
        return None
    name = matched[1].strip("[]").lower()
    return Address(name, int(matched[2]) if matched[2] else None)


def is_loopback(name: str) -> bool:
    """Return whether a host name always refers to this machine."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def parse_allowed_hosts(names: Iterable[str], ui_url: str) -> frozenset[Address]:
    """Parse the names of TIKTOK_ALLOWED_HOSTS and the host of DAGSTER_UI_URL.

    A loopback name of the URL is allowed with its port only: another server of this machine is another site.
    """
    parts = urlsplit(ui_url)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 80)
    name = parts.hostname or ""
    addresses = {address for one in names if (address := parse_host(one)) is not None}
    return frozenset({Address(name, port if is_loopback(name) else None), *addresses})


class Guard:
    """ASGI middleware that refuses requests, or passes them on and adds security headers to the response."""

    def __init__(
        self,
        application: ASGIApp,
        hosts: AllowedHosts,
        login: "Login | None" = None,
    ) -> None:
        self._application = application
        self._hosts = hosts
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request or a websocket, or pass it on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._application(scope, receive, send)
            return
        refusal = check_request(scope, self._hosts)
        cookie: str | None = None
        if refusal is None and self._login is not None:
            refusal, cookie = await self._login.check(scope)

        async def _send(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers.setdefault("Referrer-Policy", DEFAULT_REFERRER_POLICY)
                if cookie:
                    headers.append("Set-Cookie", cookie)
            await send(message)

        if refusal is None:
            await self._application(scope, receive, _send)
        elif scope["type"] == "http":
            await refusal(scope, receive, _send)
        else:
            await receive()  # the handshake; closing before accepting it refuses it
            await send({"type": "websocket.close", "code": 1008, "reason": ""})


def check_request(scope: Scope, hosts: AllowedHosts) -> Response | None:
    """Return the response that refuses a request of another site or to an unknown host; None if it may pass."""
    headers = Headers(scope=scope)
    host_headers = headers.getlist("host")
    if len(host_headers) != 1 or not hosts.allows_host(headers["host"], scope.get("scheme", "http")):
        return _text_response(
            421, "This server accepts loopback host names only; add the name to TIKTOK_ALLOWED_HOSTS to allow it."
        )
    is_graphql = GRAPHQL_SEGMENT in [segment.lower() for segment in scope["path"].split("/")]
    if scope["type"] == "websocket":
        return _check_origin(headers, hosts)
    method = scope["method"]
    if method in {"GET", "HEAD"} and not is_graphql:
        return _check_cross_site_read(headers)
    if method != "POST":
        allow = "POST" if is_graphql else "GET, HEAD, POST"
        return _text_response(405, f"{method} is not allowed here; use {allow}.", {"Allow": allow})
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_upload = is_graphql and content_type == "multipart/form-data"
    is_other_graphql = is_graphql and content_type != "application/json" and not is_upload
    if is_other_graphql or (content_type in FORM_CONTENT_TYPES and not is_upload):
        return _text_response(415, "Send the request as JSON, with Content-Type: application/json.")
    return _check_origin(headers, hosts)


def _check_origin(headers: Headers, hosts: AllowedHosts) -> Response | None:
    """Refuse a request that a browser sends for a page of another site; other programs send no such headers."""
    origins = headers.getlist("origin")
    sites = headers.getlist("sec-fetch-site")
    if all(hosts.allows_origin(origin) for origin in origins) and set(sites) <= OWN_SITE_VALUES:
        return None
    return _text_response(403, "This server refuses requests from pages of other sites.")


def _check_cross_site_read(headers: Headers) -> Response | None:
    """Refuse to be read by a page of another site, except when a user follows a link in a tab of its own."""
    if set(headers.getlist("sec-fetch-site")) <= OWN_SITE_VALUES:
        return None
    if headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document":
        return None
    return _text_response(403, "This server refuses requests from pages of other sites.")


def _text_response(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(sentence + "\n", status, headers)


@dataclass(slots=True)
class _Failures:
    """The wrong passwords of one address: how many, and the time of the last one in seconds."""

    count: int = 0
    last: float = 0.0

    def remaining_wait(self, now: float) -> float:
        """Return how many seconds the address still has to wait; the wait doubles with each failure."""
        beyond = self.count - FREE_ATTEMPTS
        wait = min(2.0**beyond, MAX_WAIT_SECONDS) if 0 <= beyond < 10 else MAX_WAIT_SECONDS  # noqa: PLR2004 - 2**10 is more than the maximum
        return max(0.0, self.last + wait - now) if beyond >= 0 else 0.0


class Login:
    """HTTP basic authentication with one password and any user name; an address with many failures has to wait.

    After the first success a cookie replaces the password: some browsers send no password with a websocket. Its
    value is random and new at each start, and browsers do not send it with requests of other sites' pages.
    """

    def __init__(self, password: str, now: Callable[[], float] = time.monotonic) -> None:
        self._digest = sha256(password.encode()).digest()
        self._session = secrets.token_urlsafe(32)
        self._now = now
        self._failures: dict[str, _Failures] = {}

    async def check(self, scope: Scope) -> tuple[Response | None, str | None]:
        """Return the response that refuses a request (None if it may pass) and a cookie to set (None for none)."""
        connection = HTTPConnection(scope)
        cookie = connection.cookies.get(SESSION_COOKIE, "")
        if hmac.compare_digest(cookie.encode(), self._session.encode()):
            return None, None
        password = _parse_password(connection.headers.get("authorization", ""))
        address = connection.client.host if connection.client else ""
        failures = self._failures.get(address, _Failures())
        if password is None:
            return _unauthorized_response(), None
        if (wait := failures.remaining_wait(self._now())) > 0:
            seconds = str(int(wait) + 1)
            sentence = f"Too many wrong passwords from this address; try again in {seconds} s.\n"
            return PlainTextResponse(sentence, 429, {"Retry-After": seconds}), None
        if hmac.compare_digest(sha256(password).digest(), self._digest):
            self._failures.pop(address, None)
            return None, f"{SESSION_COOKIE}={self._session}; HttpOnly; SameSite=Strict; Path=/"
        self._record_failure(address, failures)
        return _unauthorized_response(), None

    def _record_failure(self, address: str, failures: _Failures) -> None:
        now = self._now()
        if len(self._failures) >= MAX_TRACKED_ADDRESSES:
            self._failures = {
                one: kept for one, kept in self._failures.items() if now - kept.last < FAILURE_LIFETIME_SECONDS
            }
            while len(self._failures) >= MAX_TRACKED_ADDRESSES:
                # Drop the oldest: so many addresses at once belong to one attacker.
                self._failures.pop(next(iter(self._failures)))
        count = failures.count + 1 if now - failures.last < FAILURE_LIFETIME_SECONDS else 1
        self._failures[address] = _Failures(count, now)


def _parse_password(authorization: str) -> bytes | None:
    """Return the password of an Authorization header; None if it is missing or not basic authentication."""
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
        "A password is required: the one of TIKTOK_UI_PASSWORD, with any user name.\n",
        401,
        {"WWW-Authenticate": 'Basic realm="tiktok_assets", charset="UTF-8"'},
    )

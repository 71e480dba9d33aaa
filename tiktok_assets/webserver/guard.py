"""Refuse requests that another web site makes through the user's browser, and requests without the password.

Dagster's webserver executes mutations by GET and checks neither Host nor Origin, so listening on loopback alone
protects from nothing that runs in the user's own browser. This ASGI middleware stands around that application.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tiktok_assets.webserver.login import Login

GRAPHQL = "graphql"
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
OWN_SITE = frozenset({"same-origin", "none"})
FORMS = frozenset({"application/x-www-form-urlencoded", "text/plain", "multipart/form-data"})
"""What a form of any page can send without being asked by the browser first."""

HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
SAME_ORIGIN = "same-origin"
"""The referrer policy where a page has none; an address of the launchpad may hold an approval code."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host name, and a port or None for any."""

    name: str
    port: int | None = None


@dataclass(frozen=True)
class Hosts:
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


def allowed_hosts(names: Iterable[str], ui_url: str) -> frozenset[Address]:
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
        hosts: Hosts,
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
        refused = refusal(scope, self._hosts)
        cookie: str | None = None
        if refused is None and self._login is not None:
            refused, cookie = await self._login.check(scope)

        async def _send(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Referrer-Policy", SAME_ORIGIN)
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


def refusal(scope: Scope, hosts: Hosts) -> Response | None:
    """Return the answer to a request that is not this server's to serve; None if it may pass."""
    headers = Headers(scope=scope)
    if len(headers.getlist("host")) != 1 or not hosts.include_host(headers["host"], scope.get("scheme", "http")):
        return _say(
            421, "This server answers under loopback names only; add the name to TIKTOK_ALLOWED_HOSTS to use it."
        )
    is_graphql = GRAPHQL in [part.lower() for part in scope["path"].split("/")]
    if scope["type"] == "websocket":
        return _foreign(headers, hosts)
    method = scope["method"]
    if method in {"GET", "HEAD"} and not is_graphql:
        return _foreign_read(headers)
    if method != "POST":
        allow = "POST" if is_graphql else "GET, HEAD, POST"
        return _say(405, f"{method} is not answered here; use {allow}.", {"Allow": allow})
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    may_upload = is_graphql and kind == "multipart/form-data"
    if (is_graphql and kind != "application/json" and not may_upload) or (kind in FORMS and not may_upload):
        return _say(415, "Send the request as JSON, with Content-Type: application/json.")
    return _foreign(headers, hosts)


def _foreign(headers: Headers, hosts: Hosts) -> Response | None:
    """Refuse what a browser says that another site's page sends; programs say nothing of that kind."""
    origins = headers.getlist("origin")
    sites = headers.getlist("sec-fetch-site")
    if all(hosts.include_origin(one) for one in origins) and set(sites) <= OWN_SITE:
        return None
    return _say(403, "This server does not answer pages of other sites.")


def _foreign_read(headers: Headers) -> Response | None:
    """Refuse a read by another site's page, unless a person follows a link to a page in a tab of its own."""
    if set(headers.getlist("sec-fetch-site")) <= OWN_SITE:
        return None
    if headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document":
        return None
    return _say(403, "This server does not answer pages of other sites.")


def _say(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(sentence + "\n", status, headers)

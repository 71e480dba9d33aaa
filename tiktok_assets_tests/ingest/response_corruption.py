"""Serve well-formed responses with one corrupted place over HTTP.

A proxy forwards the responses of the sandbox and requests each of them only once. In every response that contains
a chosen row it corrupts one place, so requests for fewer days receive the same corrupted row.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from tiktok_assets_tests.api.conftest import Host

DEEP = "[" * 3000 + "]" * 3000
PLACEHOLDER = "@@corrupted place@@"
MISSING, TWICE = "missing", "row twice"

REPLACEMENTS: dict[str, bytes] = {
    "null": b"null",
    "true": b"true",
    "empty text": b'""',
    "dash": b'"-"',
    "a word": b'"much"',
    "a list": b'["x"]',
    "an empty list": b"[]",
    "an object": b'{"value":"1"}',
    "a huge number": b"9" * 60,
    "a huge power": b"1E+400",
    "a huge text": b'"1e999999"',
    "negative": b"-5",
    "negative text": b'"-7.5"',
    "half": b'"12.5"',
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "nan text": b'"NaN"',
    "control characters": b'"a\\u0000b\\u001b[2J\\tc"',
    "bare control characters": b'"a\x01b\nc"',
    "lone surrogate": b'"Summer sale \\ud83d"',
    "lone low surrogate": b'"Summer \\ude00 sale"',
    "no UTF-8": b'"Summer \xff\xc3 sale"',
    "wrong date": b'"2026-02-30 00:00:00"',
    "another date": b'"1999-12-31"',
    "unknown enum": b'"STATUS_NOBODY_KNOWS"',
    "deep list": DEEP.encode(),
    "deep object": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "five thousand digits": b"9" * 5000,
    "an endless exponent": b"1E+99999999999",
    "a long fraction": b"0." + b"3" * 5000,
    "an unknown escape": b'"a\\x41 \\u12 b"',
    "a Python literal": b"None",
    "fifth digit": b'"0.12345"',
    "float noise": b"0.30000000000000004",
    "scientific": b'"1.5E+2"',
}
"""The JSON text that replaces the value at a place."""


@dataclass(frozen=True)
class Place:
    """One place of a response.

    Attributes:
        row: the index of the row in the first response; None for the envelope.
        path: the keys from the row or the envelope to the value; empty for the row itself.
    """

    row: int | None
    path: tuple[str | int, ...]


@dataclass
class CorruptingProxy:
    """A proxy in front of the sandbox that corrupts one place of its responses.

    Attributes:
        responses: the response of the sandbox by request target.
    """

    host: Host
    url: str = ""
    responses: dict[str, dict[str, Any]] = field(default_factory=dict)
    _path: str = ""
    _place: Place | None = None
    _row: str = ""
    _corruption: str = ""

    def respond(self, target: str) -> bytes:
        """Return the response to a request, corrupted if it contains the chosen place."""
        if target not in self.responses:
            response = httpx.get(
                f"{self.host.sandbox.base_url}{target}",
                headers={"Access-Token": self.host.sandbox.token},
                timeout=20,
            )
            self.responses[target] = json.loads(response.text, parse_float=Decimal)
        body = self.responses[target]
        if self._place is None or urlsplit(target).path.rstrip("/") != self._path.rstrip("/"):
            return _encoded(body)
        body = json.loads(_encoded(body), parse_float=Decimal)
        return corrupt_response(body, self._place, self._row, self._corruption)

    def reset(self) -> None:
        """Forward all responses unchanged."""
        self._place = None

    def corrupt(self, path: str, place: Place, row: object, corruption: str) -> None:
        """Corrupt this place in the responses of a path that contain the row; in all if the row is None."""
        self._path, self._place, self._row, self._corruption = path, place, canonical_json(row), corruption


def canonical_json(value: object) -> str:
    """Return JSON that is the same for equal rows."""
    return json.dumps(value, sort_keys=True, default=str)


def _encoded(value: object) -> bytes:
    return json.dumps(value, default=_number).encode()


def _number(value: object) -> object:
    return float(str(value))


def corrupt_response(body: dict[str, Any], place: Place, row: str, corruption: str) -> bytes:
    """Return the JSON of a response with one place corrupted."""
    if place.row is None:
        return _corrupt_at(body, body, place.path, corruption)
    rows = body["data"]["list"]
    found = [index for index, candidate in enumerate(rows) if canonical_json(candidate) == row]
    if not found:
        return _encoded(body)
    if corruption == TWICE:
        rows.insert(found[0], rows[found[0]])
        return _encoded(body)
    return _corrupt_at(body, body, ("data", "list", found[0], *place.path), corruption)


def _corrupt_at(body: dict[str, Any], inside: Any, path: tuple[str | int, ...], corruption: str) -> bytes:  # noqa: ANN401
    for key in path[:-1]:
        inside = inside[key]
    last = path[-1]
    if corruption == MISSING:
        del inside[last]
        return _encoded(body)
    if corruption == "extra":
        inside["undocumented_field"] = {"a": [1]}
        return _encoded(body)
    if corruption.startswith("twice, "):
        old = _encoded(inside[last])
        inside[last] = PLACEHOLDER
        raw = old + b"," + _encoded(last) + b":" + REPLACEMENTS[corruption.removeprefix("twice, ")]
    else:
        inside[last] = PLACEHOLDER
        raw = REPLACEMENTS[corruption]
    return _encoded(body).replace(_encoded(PLACEHOLDER), raw)


@contextmanager
def run_corrupting_proxy(host: Host) -> Iterator[CorruptingProxy]:
    """Run a corrupting proxy in front of a sandbox."""
    proxy = CorruptingProxy(host)

    class Handler(BaseHTTPRequestHandler):
        """Forwards requests to the sandbox."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = proxy.respond(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Date", host.sandbox.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT"))
            self.end_headers()
            self.wfile.write(body)

        def send_response(self, code: int, message: str | None = None) -> None:
            self.send_response_only(code, message)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def iterate_paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401
    """Yield the paths to everything inside a value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from iterate_paths(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield (*path, index)
            yield from iterate_paths(inner, (*path, index))


def parse_parameters(target: str) -> dict[str, str]:
    """Return the query parameters of a request target."""
    return dict(parse_qsl(urlsplit(target).query))

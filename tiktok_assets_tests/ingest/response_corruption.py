"""Well-formed answers with one place spoiled, served over HTTP, and what of the stored tables that may change.

A host stands before the sandbox and hands its answers on, each asked for once. For an example it changes one place
of every answer that holds the row chosen: smaller questions about the same days meet the same spoiled row.
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
MARK = "@@the spoiled place@@"
MISSING, TWICE = "missing", "row twice"

VALUES: dict[str, bytes] = {
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
    "a word of Python": b"None",
    "fifth digit": b'"0.12345"',
    "float noise": b"0.30000000000000004",
    "scientific": b'"1.5E+2"',
}
"""What a place says instead, as it stands in the JSON."""


@dataclass(frozen=True)
class Place:
    """One place of an answer.

    Attributes:
        row: the index of the row in the first answer; None for the envelope around them.
        path: from the row, or from the envelope, to the value; empty for the row itself.
    """

    row: int | None
    path: tuple[str | int, ...]


@dataclass
class Spoiler:
    """The host before the sandbox.

    Attributes:
        asked: every request so far, with the sandbox's answer.
    """

    host: Host
    url: str = ""
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    _path: str = ""
    _place: Place | None = None
    _row: str = ""
    _how: str = ""

    def answer(self, asked: str) -> bytes:
        """The answer to a request, spoiled if it holds the place chosen."""
        if asked not in self.asked:
            reply = httpx.get(
                f"{self.host.sandbox.base_url}{asked}",
                headers={"Access-Token": self.host.sandbox.token},
                timeout=20,
            )
            self.asked[asked] = json.loads(reply.text, parse_float=Decimal)
        body = self.asked[asked]
        if self._place is None or urlsplit(asked).path.rstrip("/") != self._path.rstrip("/"):
            return _encoded(body)
        body = json.loads(_encoded(body), parse_float=Decimal)
        return spoiled(body, self._place, self._row, self._how)

    def behave(self) -> None:
        """Hand everything on as it is."""
        self._place = None

    def spoil(self, path: str, place: Place, row: object, how: str) -> None:
        """From now on spoil this place of the answers at a path that hold the row, or of all of them."""
        self._path, self._place, self._row, self._how = path, place, canonical(row), how


def canonical(value: object) -> str:
    """JSON by which equal rows are equal."""
    return json.dumps(value, sort_keys=True, default=str)


def _encoded(value: object) -> bytes:
    return json.dumps(value, default=_number).encode()


def _number(value: object) -> object:
    return float(str(value))


def spoiled(body: dict[str, Any], place: Place, row: str, how: str) -> bytes:
    """The JSON of an answer with one place spoiled."""
    if place.row is None:
        return _spoiled_at(body, body, place.path, how)
    rows = body["data"]["list"]
    found = [index for index, one in enumerate(rows) if canonical(one) == row]
    if not found:
        return _encoded(body)
    if how == TWICE:
        rows.insert(found[0], rows[found[0]])
        return _encoded(body)
    return _spoiled_at(body, body, ("data", "list", found[0], *place.path), how)


def _spoiled_at(body: dict[str, Any], inside: Any, path: tuple[str | int, ...], how: str) -> bytes:  # noqa: ANN401
    for step in path[:-1]:
        inside = inside[step]
    last = path[-1]
    if how == MISSING:
        del inside[last]
        return _encoded(body)
    if how == "extra":
        inside["never_heard_of"] = {"a": [1]}
        return _encoded(body)
    if how.startswith("twice, "):
        was = _encoded(inside[last])
        inside[last] = MARK
        raw = was + b"," + _encoded(last) + b":" + VALUES[how.removeprefix("twice, ")]
    else:
        inside[last] = MARK
        raw = VALUES[how]
    return _encoded(body).replace(_encoded(MARK), raw)


@contextmanager
def spoiler(host: Host) -> Iterator[Spoiler]:
    """Run a host before a sandbox."""
    one = Spoiler(host)

    class Handler(BaseHTTPRequestHandler):
        """Hands on."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = one.answer(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Date", host.sandbox.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT"))
            self.end_headers()
            self.wfile.write(body)

        def send_response(self, code: int, message: str | None = None) -> None:
            self.send_response_only(code, message)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    one.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401
    """The paths to everything inside a value, itself left out."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield (*path, index)
            yield from places(inner, (*path, index))


def query_of(asked: str) -> dict[str, str]:
    """The parameters of a request."""
    return dict(parse_qsl(urlsplit(asked).query))

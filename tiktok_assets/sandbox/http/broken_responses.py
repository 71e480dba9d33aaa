"""Send responses that never end, arrive byte by byte or break off."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from tiktok_assets.sandbox.http.faults import Fault

JSON = "application/json"
GZIP = 16 + zlib.MAX_WBITS
BLOCK_BYTES = 1 << 20
BOMB_BLOCKS = 4096  # four gigabytes of blanks in four megabytes of gzip
BODY_START = b'{"code": 0, "message": "OK", "request_id": "endless", "data": {"list": ['
ROW = b'{"campaign_id": "1", "campaign_name": "again and again"}, ' * 1000

UNBOUNDED_KINDS = ("gzip_bomb", "endless", "drip")


def unbounded_response(fault: Fault) -> Response:
    """Return the answer of a fault among `UNBOUNDED`."""
    if fault.kind == "gzip_bomb":
        return StreamingResponse(_gzip_bomb(), media_type=JSON, headers={"Content-Encoding": "gzip"})
    if fault.kind == "endless":
        return StreamingResponse(_endless(), media_type=JSON)
    return StreamingResponse(_drip(fault.seconds), media_type=JSON)


async def _gzip_bomb() -> AsyncIterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP)
    yield packer.compress(BODY_START)
    block = b" " * BLOCK_BYTES
    for _ in range(BOMB_BLOCKS):
        yield packer.compress(block)
        await asyncio.sleep(0)
    yield packer.flush()


async def _endless() -> AsyncIterator[bytes]:
    yield BODY_START
    while True:
        yield ROW
        await asyncio.sleep(0)


async def _drip(seconds: float) -> AsyncIterator[bytes]:
    yield BODY_START
    while True:
        await asyncio.sleep(seconds)
        yield b" "


Address = tuple[str, int]


class Connections:
    """Knows the transport of each open connection."""

    def __init__(self) -> None:
        self._open: dict[Address, asyncio.Transport] = {}

    def protocol(self) -> Callable[..., asyncio.Protocol]:
        """Return uvicorn's own protocol class, which reports here."""
        known = self._open
        base: Any = AutoHTTPProtocol

        class Watched(base):  # type: ignore[misc]
            """Uvicorn's protocol, with its transport known."""

            def connection_made(self, transport: asyncio.Transport) -> None:
                """Remember the connection."""
                known[transport.get_extra_info("peername")[:2]] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                """Forget the connection."""
                known.pop(self.transport.get_extra_info("peername")[:2], None)
                super().connection_lost(exc)

        return Watched

    async def cut(self, client: Address | None) -> None:
        """Close a connection without a word, and wait until it is gone."""
        transport = self._open.get(client) if client else None
        if transport is not None:
            transport.abort()
            await asyncio.sleep(0.01)  # connection_lost runs in the next turn of the loop

    async def drip_headers(self, client: Address | None, seconds: float) -> None:
        """Send the headers of an answer byte by byte, without end, until the client goes away."""
        transport = self._open.get(client) if client else None
        if transport is not None:
            transport.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
            while not transport.is_closing():
                transport.write(b"a")
                await asyncio.sleep(seconds)
            transport.abort()


class CutResponse(Response):
    """Sends half of its body and leaves the rest out, so that the connection breaks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's shape
        """Send the headers of the whole and the first half of the body."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await asyncio.sleep(0.05)  # let the half arrive before the connection goes


class NoResponse(Response):
    """Says nothing, for its connection has been cut."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""

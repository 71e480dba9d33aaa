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
BOMB_BLOCKS = 4096  # 4 GB of blanks in 4 MB of gzip
BODY_START = b'{"code": 0, "message": "OK", "request_id": "endless", "data": {"list": ['
ROW = b'{"campaign_id": "1", "campaign_name": "again and again"}, ' * 1000

UNBOUNDED_KINDS = ("gzip_bomb", "endless", "drip")
Address = tuple[str, int]  # host and port of a client


def unbounded_response(fault: Fault) -> Response:
    """Return the response of a fault of `UNBOUNDED_KINDS`."""
    if fault.kind == "gzip_bomb":
        return StreamingResponse(_gzip_bomb(), media_type=JSON, headers={"Content-Encoding": "gzip"})
    if fault.kind == "endless":
        return StreamingResponse(_endless(), media_type=JSON)
    return StreamingResponse(_drip(fault.seconds), media_type=JSON)


async def _gzip_bomb() -> AsyncIterator[bytes]:
    compressor = zlib.compressobj(wbits=GZIP)
    yield compressor.compress(BODY_START)
    block = b" " * BLOCK_BYTES
    for _ in range(BOMB_BLOCKS):
        yield compressor.compress(block)
        await asyncio.sleep(0)
    yield compressor.flush()


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


class Connections:
    """The open connections, so that one can be closed in the middle of a request."""

    def __init__(self) -> None:
        self._open: dict[Address, asyncio.Transport] = {}

    def protocol_class(self) -> Callable[..., asyncio.Protocol]:
        """Return a subclass of uvicorn's protocol that registers its connections here."""
        transports = self._open
        base: Any = AutoHTTPProtocol

        class RegisteredProtocol(base):  # type: ignore[misc]
            """Uvicorn's protocol, registered while it is connected."""

            def connection_made(self, transport: asyncio.Transport) -> None:
                """Register the connection."""
                transports[transport.get_extra_info("peername")[:2]] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                """Unregister the connection."""
                transports.pop(self.transport.get_extra_info("peername")[:2], None)
                super().connection_lost(exc)

        return RegisteredProtocol

    async def cut(self, client: Address | None) -> None:
        """Abort a connection without a response, and wait until it is closed."""
        transport = self._open.get(client) if client else None
        if transport is not None:
            transport.abort()
            await asyncio.sleep(0.01)  # connection_lost runs in the next iteration of the event loop

    async def drip_headers(self, client: Address | None, seconds: float) -> None:
        """Send endless response headers byte by byte, until the client disconnects."""
        transport = self._open.get(client) if client else None
        if transport is not None:
            transport.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
            while not transport.is_closing():
                transport.write(b"a")
                await asyncio.sleep(seconds)
            transport.abort()


class CutResponse(Response):
    """A response that sends half of its body, so that the connection breaks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI signature
        """Send the headers of the whole response and half of its body."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await asyncio.sleep(0.05)  # so that the half arrives before the connection closes


class NoResponse(Response):
    """A response that sends nothing, for a connection that has been closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""

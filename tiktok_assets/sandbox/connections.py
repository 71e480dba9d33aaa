"""The open connections by their far end, so that one can be cut in the middle of a request."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

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

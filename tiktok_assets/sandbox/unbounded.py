"""Answers without a bound: a gzip bomb, a body that never ends, and bytes that come one by one."""

import asyncio
import zlib
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from tiktok_assets.sandbox.faults import Fault

JSON = "application/json"
GZIP = 16 + zlib.MAX_WBITS
BLOCK_BYTES = 1 << 20
BOMB_BLOCKS = 4096  # four gigabytes of blanks in four megabytes of gzip
BEGINNING = b'{"code": 0, "message": "OK", "request_id": "endless", "data": {"list": ['
ROW = b'{"campaign_id": "1", "campaign_name": "again and again"}, ' * 1000

UNBOUNDED = ("gzip_bomb", "endless", "drip")


def unbounded(fault: Fault) -> Response:
    """Return the answer of a fault among `UNBOUNDED`."""
    if fault.kind == "gzip_bomb":
        return StreamingResponse(_bomb(), media_type=JSON, headers={"Content-Encoding": "gzip"})
    if fault.kind == "endless":
        return StreamingResponse(_endless(), media_type=JSON)
    return StreamingResponse(_drip(fault.seconds), media_type=JSON)


async def _bomb() -> AsyncIterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP)
    yield packer.compress(BEGINNING)
    block = b" " * BLOCK_BYTES
    for _ in range(BOMB_BLOCKS):
        yield packer.compress(block)
        await asyncio.sleep(0)
    yield packer.flush()


async def _endless() -> AsyncIterator[bytes]:
    yield BEGINNING
    while True:
        yield ROW
        await asyncio.sleep(0)


async def _drip(seconds: float) -> AsyncIterator[bytes]:
    yield BEGINNING
    while True:
        await asyncio.sleep(seconds)
        yield b" "

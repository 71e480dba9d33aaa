"""Serve a folder as an object store of S3 in a process of its own, with a delay for each call; count the calls.

The object store of the tests sorts all keys for each listing, which takes longer than a listing of S3 if there are
hundreds of thousands of objects.
"""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import httpx
import uvicorn

from tiktok_assets_tests.benchmarks.programs import ROOT

BUCKET, MAX_KEYS = "bucket", 1000
COUNTS_PATH = "/_calls"

_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[dict[str, Any]], Awaitable[None]]


class ServedFolder:
    """The objects of a folder, and those written since.

    Args:
        folder: its files are the objects of the bucket.
        delay: for how many seconds each call waits.
    """

    def __init__(self, folder: Path, delay: float) -> None:
        self._delay = delay
        self._calls: Counter[str] = Counter()
        self._paths: dict[str, str | bytes] = {}
        self._etags: dict[str, tuple[str, int]] = {}
        versions: dict[int, str] = {}
        for place, _, names in os.walk(folder):
            for name in names:
                path = f"{place}/{name}"
                status = Path(path).stat()
                if status.st_ino not in versions:  # many files are links to the same one
                    versions[status.st_ino] = _etag(Path(path).read_bytes())
                key = path.removeprefix(f"{folder}/")
                self._paths[key], self._etags[key] = path, (versions[status.st_ino], status.st_size)
        self._keys = sorted(self._paths)

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Respond to a request."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        method, path = scope["method"], scope["path"]
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        if path == COUNTS_PATH:
            content = json.dumps(self._calls).encode()
            self._calls.clear()
            await _respond(send, 200, content)
            return
        kind = "LIST" if method == "GET" and "list-type" in query else method
        self._calls[kind] += 1
        await asyncio.sleep(self._delay)
        key = path.removeprefix(f"/{BUCKET}").strip("/")
        if kind == "LIST":
            await _respond(send, 200, self._list(query))
        elif kind == "PUT":
            if key not in self._paths:
                insort(self._keys, key)
            self._paths[key], self._etags[key] = body, (_etag(body), len(body))
            await _respond(send, 200, etag=self._etags[key][0])
        elif kind in {"GET", "HEAD"}:
            headers = {name.decode(): text.decode() for name, text in scope["headers"]}
            await self._read(send, key, headers.get("range", ""), is_head=kind == "HEAD")
        else:
            await _respond(send, 400)

    def _list(self, query: dict[str, str]) -> bytes:
        prefix = query.get("prefix", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        first = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after) if after else 0)
        page = self._keys[first : first + MAX_KEYS + 1]
        names = [name for name in page[:MAX_KEYS] if name.startswith(prefix)]
        is_truncated = len(page) > MAX_KEYS and page[MAX_KEYS].startswith(prefix)
        entries = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{size}</Size><ETag>{escape(etag)}</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
            for name in names
            for etag, size in [self._etags[name]]
        )
        token = f"<NextContinuationToken>{escape(names[-1])}</NextContinuationToken>" if is_truncated else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(names)}</KeyCount>"
            f"<MaxKeys>{MAX_KEYS}</MaxKeys><IsTruncated>{str(is_truncated).lower()}</IsTruncated>{token}"
            f"{entries}</ListBucketResult>"
        ).encode()

    async def _read(self, send: _Send, key: str, wanted: str, *, is_head: bool) -> None:
        place = self._paths.get(key)
        if place is None:
            await _respond(send, 404, b"" if is_head else b"<Error><Code>NoSuchKey</Code></Error>")
            return
        content = place if isinstance(place, bytes) else _load(place)
        etag, size = self._etags[key]
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
        if not found or is_head:
            await _respond(send, 200, b"" if is_head else content, etag=etag, size=size)
            return
        first = int(found[1]) if found[1] else max(0, size - int(found[2]))
        last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
        await _respond(
            send, 206, content[first : last + 1], etag=etag, content_range=f"bytes {first}-{last}/{size}"
        )


def _load(path: str) -> bytes:
    return Path(path).read_bytes()


def _etag(content: bytes) -> str:
    return f'"{md5(content, usedforsecurity=False).hexdigest()}"'


async def _respond(
    send: _Send,
    status: int,
    body: bytes = b"",
    *,
    etag: str = "",
    size: int | None = None,
    content_range: str = "",
) -> None:
    headers = {"content-length": str(len(body) if size is None else size)}
    if etag:
        headers |= {"etag": etag, "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    if content_range:
        headers["content-range"] = content_range
    encoded = [(name.encode(), text.encode()) for name, text in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


@dataclass(frozen=True, slots=True)
class ServedStore:
    """The object store in a process of its own.

    Attributes:
        url: the URL of the endpoint.
    """

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make `s3://` use this endpoint."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }

    def take_calls(self) -> Counter[str]:
        """Return the calls since the last time by kind."""
        return Counter(httpx.get(f"{self.url}{COUNTS_PATH}", timeout=60).json())


@contextmanager
def serve_folder(folder: Path, delay: float) -> Iterator[ServedStore]:
    """Serve a folder until the block ends."""
    command = [sys.executable, "-m", __name__, str(folder), str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:  # noqa: S603
        try:
            port = int(process.stdout.readline() if process.stdout else "")
            store = ServedStore(f"http://127.0.0.1:{port}")
            store.take_calls()
            yield store
        finally:
            process.terminate()


def main() -> None:
    """Serve the folder of the first argument with the delay of the second, and print the port."""
    application = ServedFolder(Path(sys.argv[1]), float(sys.argv[2]))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - read by `serve_folder`
        server = uvicorn.Server(uvicorn.Config(application, log_level="error", lifespan="off", loop="uvloop"))
        server.run([listener])


if __name__ == "__main__":
    main()

"""A small object store: the five operations of S3 that a table of files needs, over real HTTP and in memory."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class ObjectStore:
    """An S3 endpoint on loopback, answering from `__enter__` to `__exit__`; any bucket is there.

    Attributes:
        objects: by path, the bucket first.
        puts: how often each was written.
        url: where it listens.
        lock: held while objects change.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    puts: dict[str, int] = field(default_factory=dict)
    url: str = ""
    lock: Lock = field(default_factory=Lock)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a user sets so that `s3://` leads here."""
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

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.store = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def listed(self, bucket: str, query: Mapping[str, str]) -> bytes:
        """The objects below a prefix, those behind the delimiter as folders."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        names = sorted(
            key.removeprefix(f"{bucket}/") for key in self.objects if key.startswith(f"{bucket}/{prefix}")
        )
        files, folders = [], []
        for name in names:
            rest = name.removeprefix(prefix)
            if delimiter and delimiter in rest:
                folders.append(prefix + rest.split(delimiter)[0] + delimiter)
            else:
                files.append(name)
        told = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(self.objects[f'{bucket}/{name}'])}</Size>"
            f"<ETag>{escape(_tag(self.objects[f'{bucket}/{name}']))}</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
            for name in files
        ) + "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in dict.fromkeys(folders)
        )
        count = len(files) + len(set(folders))
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{count}</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{told}</ListBucketResult>"
        ).encode()


class _Server(ThreadingHTTPServer):
    """Knows what it serves."""

    store: ObjectStore


class _Handler(BaseHTTPRequestHandler):
    """Answers as S3 does."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        with self._store.lock:
            self._store.objects[self._key] = content
            self._store.puts[self._key] = self._store.puts.get(self._key, 0) + 1
        self._tell(200, headers={"ETag": _tag(content)})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if "list-type" in self._query:
            self._tell(200, self._store.listed(self._key.split("/")[0], self._query))
            return
        content = self._store.objects.get(self._key)
        if content is None:
            self._tell(404, b"" if self.command == "HEAD" else b"<Error><Code>NoSuchKey</Code></Error>")
            return
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        headers = {"ETag": _tag(content), "Last-Modified": formatdate(0, usegmt=True)}
        if not asked:
            self._tell(200, content, headers=headers)
            return
        size = len(content)
        first = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
        last = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self._tell(206, content[first : last + 1], headers=headers)

    def do_DELETE(self) -> None:
        with self._store.lock:
            self._store.objects.pop(self._key, None)
        self._tell(204)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        bucket = self._key.split("/")[0]
        for name in re.findall(r"<Key>(.*?)</Key>", body):
            self._store.objects.pop(f"{bucket}/{name}", None)
        self._tell(200, b"<DeleteResult></DeleteResult>")

    @property
    def _store(self) -> ObjectStore:
        assert isinstance(self.server, _Server)
        return self.server.store

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).strip("/")

    @property
    def _query(self) -> dict[str, str]:
        parsed = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        return {name: values[0] for name, values in parsed.items()}

    def _tell(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _tag(content: bytes) -> str:
    return f'"{md5(content, usedforsecurity=False).hexdigest()}"'

"""A minimal object store for tests: the operations of S3 that the store needs, over HTTP and in memory."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest
from upath import UPath

from tiktok_assets_tests.http_server import LocalServer

MAX_KEYS = 1000
"""How many keys a list has, as in S3."""


@dataclass
class ObjectStore(LocalServer):
    """An S3 endpoint on loopback that runs from `__enter__` to `__exit__` and accepts any bucket.

    Attributes:
        objects: the content of each object, by path including the bucket.
        puts: how often each object was written.
        calls: how many requests there were of each kind: PUT, GET, HEAD, LIST, POST and DELETE.
        has_opaque_etags: whether ETags are not the MD5 of the content, as with encryption by a key of one's own.
        refused: the kinds of requests that are refused, as with credentials that have expired.
        url: the URL of the endpoint.
        lock: held while objects change.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    puts: dict[str, int] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    has_opaque_etags: bool = False
    refused: frozenset[str] = frozenset()
    url: str = ""
    lock: Lock = field(default_factory=Lock)

    @property
    def environment(self) -> Mapping[str, str]:
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

    def __enter__(self) -> Self:
        server = _Server(("127.0.0.1", 0), _Handler)
        server.store = self
        self.serve(server)
        return self

    @classmethod
    @contextmanager
    def serve_environment(cls) -> Iterator[Self]:
        """Run an endpoint that `s3://` uses in this process, configured through the environment as by a user."""
        with cls() as store, pytest.MonkeyPatch.context() as environment:
            for name, value in store.environment.items():
                environment.setenv(name, value)
            filesystem = UPath("s3://bucket").fs
            filesystem.clear_instance_cache()  # otherwise s3fs uses the endpoint of another test
            try:
                yield store
            finally:
                filesystem.clear_instance_cache()

    def list_objects(self, bucket: str, query: Mapping[str, str]) -> bytes:
        """Return the XML list of the objects below a prefix, and of the folders if there is a delimiter."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        names = sorted(
            key.removeprefix(f"{bucket}/") for key in self.objects if key.startswith(f"{bucket}/{prefix}")
        )
        files, folders = [], []
        rest_of_names = [name for name in names if name > after]
        names, is_truncated = rest_of_names[:MAX_KEYS], len(rest_of_names) > MAX_KEYS
        for name in names:
            rest = name.removeprefix(prefix)
            if delimiter and delimiter in rest:
                folders.append(prefix + rest.split(delimiter)[0] + delimiter)
            else:
                files.append(name)
        entries = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(self.objects[f'{bucket}/{name}'])}</Size>"
            f"<ETag>{escape(self.etag(self.objects[f'{bucket}/{name}']))}</ETag>"
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
            f"<MaxKeys>{MAX_KEYS}</MaxKeys><IsTruncated>{str(is_truncated).lower()}</IsTruncated>"
            + (f"<NextContinuationToken>{escape(names[-1])}</NextContinuationToken>" if is_truncated else "")
            + f"{entries}</ListBucketResult>"
        ).encode()

    def etag(self, content: bytes) -> str:
        """Return the ETag of a content."""
        salt = b"key" if self.has_opaque_etags else b""
        return f'"{md5(salt + content, usedforsecurity=False).hexdigest()}"'


class _Server(ThreadingHTTPServer):
    """The HTTP server of an `ObjectStore`."""

    store: ObjectStore


class _Handler(BaseHTTPRequestHandler):
    """Handle the requests of S3."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self._is_refused("PUT"):
            return
        with self._store.lock:
            if not self._are_conditions_met():
                self._respond(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                return
            self._store.objects[self._key] = content
            self._store.puts[self._key] = self._store.puts.get(self._key, 0) + 1
        self._respond(200, headers={"ETag": self._store.etag(content)})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self._is_refused("LIST" if "list-type" in self._query else self.command):
            return
        if "list-type" in self._query:
            self._respond(200, self._store.list_objects(self._key.split("/")[0], self._query))
            return
        content = self._store.objects.get(self._key)
        if content is None:
            self._respond(404, b"" if self.command == "HEAD" else b"<Error><Code>NoSuchKey</Code></Error>")
            return
        byte_range = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        headers = {"ETag": self._store.etag(content), "Last-Modified": formatdate(0, usegmt=True)}
        if not byte_range:
            self._respond(200, content, headers=headers)
            return
        size = len(content)
        first = int(byte_range[1]) if byte_range[1] else max(0, size - int(byte_range[2]))
        last = min(int(byte_range[2]), size - 1) if byte_range[1] and byte_range[2] else size - 1
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self._respond(206, content[first : last + 1], headers=headers)

    def do_DELETE(self) -> None:
        if self._is_refused("DELETE"):
            return
        with self._store.lock:
            self._store.objects.pop(self._key, None)
        self._respond(204)

    def do_POST(self) -> None:
        if self._is_refused("POST"):
            return
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        bucket = self._key.split("/")[0]
        for name in re.findall(r"<Key>(.*?)</Key>", body):
            self._store.objects.pop(f"{bucket}/{name}", None)
        self._respond(200, b"<DeleteResult></DeleteResult>")

    def _are_conditions_met(self) -> bool:
        """Return whether the object is as a conditional request demands."""
        existing = self._store.objects.get(self._key)
        etag = None if existing is None else self._store.etag(existing)
        if_match = self.headers.get("If-Match")
        if if_match and (etag is None or if_match.strip('"') != etag.strip('"')):
            return False
        return not (self.headers.get("If-None-Match") == "*" and etag)

    def _is_refused(self, kind: str) -> bool:
        """Count a request, and respond to one that is refused."""
        with self._store.lock:
            self._store.calls[kind] += 1
        if kind not in self._store.refused:
            return False
        self._respond(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
        return True

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

    def _respond(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Suppress the log."""

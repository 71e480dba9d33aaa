"""Send one HTTP request and read the whole response within a size limit and a deadline.

The timeouts of httpx limit each read, not their sum: a host that sends one byte per second would occupy a thread
for ever, and a host that sends a gzip bomb would fill the memory. So there is a deadline at the socket, which
limits the time for headers and body together, and a limit for the size of the decompressed body.
"""

import threading
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from tiktok_assets.api.envelope import build_timeout_error
from tiktok_assets.api.errors import OversizedError, RetryLaterError, SlowResponseError
from tiktok_assets.spec import Endpoint

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""The largest decompressed response that is read; a page of a thousand rows is 1 to 3 MB."""

HttpTransport = httpx.BaseTransport
"""What sends requests: httpx's connections, or an application in this process."""

_GZIP_WBITS = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete response with its decompressed body."""

    status_code: int
    headers: httpx.Headers
    url: httpx.URL
    content: bytes


class _DecompressionError(Exception):
    """The body has an encoding that was not requested, or is not encoded as its header says."""


class _ResponseTooLargeError(Exception):
    """The body is larger than `MAX_RESPONSE_BYTES`."""


class _Deadline(threading.local):
    """The deadline of this thread's request (`time.monotonic`), and whether a byte of its response has arrived."""

    at: float | None = None
    has_received: bool = False

    def limit(self, timeout: float | None) -> float | None:
        """Return a timeout in seconds that also ends at the deadline.

        Raises:
            httpcore.ReadTimeout: if the deadline has passed.
        """
        if self.at is None:
            return timeout
        remaining = self.at - time.monotonic()
        if remaining <= 0:
            raise httpcore.ReadTimeout("the response was not complete in time")
        return remaining if timeout is None else min(remaining, timeout)


_deadline = _Deadline()


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose operations end at the deadline of the request that uses it."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Receive bytes."""
        received = self._inner.read(max_bytes, _deadline.limit(timeout))
        _deadline.has_received = True
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes."""
        self._inner.write(buffer, _deadline.limit(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:  # noqa: ANN401 - passed through
        """Start TLS on the connection."""
        return _DeadlineStream(self._inner.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as httpcore declares it
        """Return information about the connection."""
        return self._inner.get_extra_info(info)


class _DeadlineBackend(httpcore.NetworkBackend):
    """A network backend that opens connections with deadlines."""

    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to a host."""
        timeout = _deadline.limit(timeout)
        return _DeadlineStream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options))


def open_http_client(
    connect_timeout_seconds: float, read_timeout_seconds: float, transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """Open an HTTP client whose connections, also those through a proxy, end at the deadline of their request.

    A given transport sends the requests instead, and has to keep the deadline itself.

    httpx has no parameter for a network backend, and a transport of our own would ignore the proxies of the
    environment. So the private backend of its connection pools is replaced; every test fails with a release of
    httpx that has none.
    """
    http = httpx.Client(
        follow_redirects=False,  # httpx would send Access-Token to another host
        timeout=httpx.Timeout(read_timeout_seconds, connect=connect_timeout_seconds),
        limits=httpx.Limits(max_connections=32, max_keepalive_connections=32),
        headers={"User-Agent": "tiktok-assets", "Accept-Encoding": "gzip"},
        transport=transport,
    )
    for one in (http._transport, *http._mounts.values()):  # noqa: SLF001 - see the docstring
        if isinstance(one, httpx.HTTPTransport):
            pool = one._pool  # noqa: SLF001 - see the docstring
            pool._network_backend = _DeadlineBackend(pool._network_backend)  # noqa: SLF001 - see the docstring
    return http


def send_request(http: httpx.Client, request: httpx.Request, endpoint: Endpoint, seconds: float) -> HttpResponse:
    """Send one request and read its whole response.

    Args:
        http: a client of `open_http_client`.
        request: the request.
        endpoint: its endpoint, for error messages.
        seconds: time limit from now to the last byte of the response.

    Raises:
        TimedOutError: if a report got no response in time.
        SlowResponseError: if the response began but was not complete in time.
        OversizedError: if the response is larger than any valid one.
        RetryLaterError: if the host cannot be reached, or its response cannot be decompressed.
    """
    _deadline.at, _deadline.has_received = time.monotonic() + seconds, False
    try:
        response = http.send(request, stream=True)
        try:
            return HttpResponse(response.status_code, response.headers, response.url, _read_body(response))
        finally:
            response.close()
    except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
        if _deadline.has_received and time.monotonic() >= _deadline.at:
            raise SlowResponseError(
                f"the response began but was not complete after {seconds:.0f} seconds", endpoint=endpoint.path
            ) from error
        raise build_timeout_error(endpoint, f"no response in time ({type(error).__name__})") from error
    except _ResponseTooLargeError as error:
        raise OversizedError(
            f"the response is larger than {MAX_RESPONSE_BYTES // 1024 // 1024} MB; it was not read to its end",
            endpoint=endpoint.path,
        ) from error
    except (httpx.HTTPError, _DecompressionError) as error:
        raise RetryLaterError(
            f"cannot reach {_format_origin(request.url)} ({type(error).__name__.lstrip('_')}: {error})",
            endpoint=endpoint.path,
        ) from error
    finally:
        _deadline.at = None


def _format_origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


def _read_body(response: httpx.Response) -> bytes:
    """Read and decompress the body; never decompress more of it at once than the limit allows."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"gzip", "x-gzip"}:
        return _decompress(response)
    if encoding not in {"identity", ""}:
        raise _DecompressionError("the response has an encoding that was not requested")
    chunks, remaining = [], MAX_RESPONSE_BYTES
    for chunk in response.iter_raw():
        chunks.append(chunk)
        remaining -= len(chunk)
        if remaining < 0:
            raise _ResponseTooLargeError
    return b"".join(chunks)


def _decompress(response: httpx.Response) -> bytes:
    decompressor = zlib.decompressobj(wbits=_GZIP_WBITS)
    chunks, remaining, compressed_bytes = [], MAX_RESPONSE_BYTES, 0
    for chunk in response.iter_raw():
        compressed_bytes += len(chunk)
        try:
            chunks.append(decompressor.decompress(chunk, remaining + 1))
        except zlib.error as error:
            raise _DecompressionError(str(error)) from error
        remaining -= len(chunks[-1])
        if remaining < 0 or compressed_bytes > MAX_RESPONSE_BYTES:
            raise _ResponseTooLargeError
    return b"".join(chunks)

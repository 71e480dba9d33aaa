"""Send one HTTP request and read the whole response within a size limit and a deadline."""

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
from tiktok_assets.spec.endpoints import Endpoint

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""The largest answer that is read, unpacked: a page of a thousand rows is 1 to 3 MB."""

_GZIP_WBITS = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer, unpacked."""

    status_code: int
    headers: httpx.Headers
    url: httpx.URL
    content: bytes


class _DecompressionError(Exception):
    """The body is packed in a way that was not asked for, or not as its header says."""


class _ResponseTooLargeError(Exception):
    """The body is larger than `MOST_BYTES`."""


class _Deadline(threading.local):
    """The end of this thread's request, and whether a byte of its answer has come."""

    at: float | None = None
    heard: bool = False

    def left(self, timeout: float | None) -> float | None:
        """Seconds the next operation may take.

        Raises:
            httpcore.ReadTimeout: if none are left.
        """
        if self.at is None:
            return timeout
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer was not whole in time")
        return left if timeout is None else min(left, timeout)


_deadline = _Deadline()


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose operations end at the deadline of the request that uses it."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Receive some bytes."""
        found = self._inner.read(max_bytes, _deadline.left(timeout))
        _deadline.heard = True
        return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes."""
        self._inner.write(buffer, _deadline.left(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:  # noqa: ANN401 - passed on as they are
        """Encrypt the connection."""
        return _DeadlineStream(self._inner.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as httpcore declares it
        """Return a fact about the connection."""
        return self._inner.get_extra_info(info)


class _DeadlineBackend(httpcore.NetworkBackend):
    """Makes such connections."""

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
        return _DeadlineStream(
            self._inner.connect_tcp(host, port, _deadline.left(timeout), local_address, socket_options)
        )


def open_http_client(connect_seconds: float, read_seconds: float) -> httpx.Client:
    """Open a client whose connections, those through a proxy too, end at the deadline of their request.

    httpx takes no network backend of its own, and a transport of ours would lose the proxies of the environment:
    so the one of its pools is replaced. A release without it fails here, in every test.
    """
    http = httpx.Client(
        follow_redirects=False,  # httpx would carry Access-Token to a foreign host
        timeout=httpx.Timeout(read_seconds, connect=connect_seconds),
        limits=httpx.Limits(max_connections=32, max_keepalive_connections=32),
        headers={"User-Agent": "tiktok-assets", "Accept-Encoding": "gzip"},
    )
    for transport in (http._transport, *http._mounts.values()):  # noqa: SLF001 - see above
        if isinstance(transport, httpx.HTTPTransport):
            pool = transport._pool  # noqa: SLF001 - the same
            pool._network_backend = _DeadlineBackend(pool._network_backend)  # noqa: SLF001 - the same
    return http


def send_request(http: httpx.Client, request: httpx.Request, endpoint: Endpoint, seconds: float) -> HttpResponse:
    """Send one request, and read its whole answer.

    Args:
        http: of `open_http`.
        request: what is sent.
        endpoint: what is asked, for the error.
        seconds: from now to the last byte.

    Raises:
        TimedOutError: if a report was not answered at all in time.
        SlowAnswerError: if the answer began, and was not whole in time.
        OversizedError: if it is larger than any answer of the API.
        RetryLaterError: if the host cannot be reached, or its answer cannot be unpacked.
    """
    _deadline.at, _deadline.heard = time.monotonic() + seconds, False
    try:
        response = http.send(request, stream=True)
        try:
            return HttpResponse(response.status_code, response.headers, response.url, _read_body(response))
        finally:
            response.close()
    except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
        if _deadline.heard and time.monotonic() >= _deadline.at:
            raise SlowResponseError(
                f"the answer began, and was not whole after {seconds:.0f} seconds", endpoint=endpoint.path
            ) from error
        raise build_timeout_error(endpoint, f"no answer in time ({type(error).__name__})") from error
    except _ResponseTooLargeError as error:
        raise OversizedError(
            f"the answer is larger than {MAX_RESPONSE_BYTES // 1024 // 1024} MB; it was not read to its end",
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
    """The body as it was before it was packed; no more of it is unpacked at once than may be kept."""
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing in {"gzip", "x-gzip"}:
        return _decompress(response)
    if packing not in {"identity", ""}:
        raise _DecompressionError("the answer is packed in a way that was not asked for")
    pieces, left = [], MAX_RESPONSE_BYTES
    for piece in response.iter_raw():
        pieces.append(piece)
        left -= len(piece)
        if left < 0:
            raise _ResponseTooLargeError
    return b"".join(pieces)


def _decompress(response: httpx.Response) -> bytes:
    unpacker = zlib.decompressobj(wbits=_GZIP_WBITS)
    pieces, left, packed = [], MAX_RESPONSE_BYTES, 0
    for piece in response.iter_raw():
        packed += len(piece)
        try:
            pieces.append(unpacker.decompress(piece, left + 1))
        except zlib.error as error:
            raise _DecompressionError(str(error)) from error
        left -= len(pieces[-1])
        if left < 0 or packed > MAX_RESPONSE_BYTES:
            raise _ResponseTooLargeError
    return b"".join(pieces)

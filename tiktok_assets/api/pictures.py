"""Download a picture from TikTok's content network, without the access token and within limits."""

import time
from types import TracebackType
from typing import Self

import httpx

from tiktok_assets.spec import is_content_host

MAX_PICTURE_BYTES = 5 * 1024 * 1024
"""The largest picture that is downloaded."""

MAX_SECONDS = 20.0
"""The longest time from a request to the last byte of its picture."""

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_SUCCESS = 200


class PictureError(Exception):
    """A picture cannot be used; the message says why in a few words.

    Attributes:
        is_temporary: whether another attempt with a new URL may work.
    """

    def __init__(self, reason: str, *, is_temporary: bool = False) -> None:
        super().__init__(reason)
        self.is_temporary = is_temporary


class PictureClient:
    """Downloads pictures over connections of its own, so that none of its requests has the access token.

    Args:
        base_url: the origin of the API; its pictures are allowed too if it is a loopback address, as the
            sandbox's.
    """

    def __init__(self, base_url: str) -> None:
        self._own = httpx.URL(base_url)
        self._http = httpx.Client(
            follow_redirects=False,
            timeout=httpx.Timeout(MAX_SECONDS / 2),
            headers={"User-Agent": "tiktok-assets", "Accept": "image/webp,image/png,image/jpeg,image/gif"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def download(self, url: str) -> bytes:
        """Return the bytes of a picture.

        Raises:
            PictureError: if the URL is not one of TikTok's content network, the request fails, or the response is
                no picture or too large.
        """
        target = self._validate(url)
        deadline = time.monotonic() + MAX_SECONDS
        try:
            with self._http.stream("GET", target, headers={"Accept-Encoding": "identity"}) as response:
                _check_response(response)
                content = bytearray()
                for chunk in response.iter_raw():
                    content += chunk
                    if len(content) > MAX_PICTURE_BYTES:
                        raise PictureError("larger than 5 MB")
                    if time.monotonic() > deadline:
                        raise PictureError("not complete in time", is_temporary=True)
        except httpx.HTTPError as error:
            raise PictureError(
                f"cannot reach {target.host} ({type(error).__name__})", is_temporary=True
            ) from error
        return bytes(content)

    def _validate(self, url: str) -> httpx.URL:
        """Return the URL to request; http URLs, which TikTok returns too, are requested with https."""
        try:
            target = httpx.URL(url)
        except (httpx.InvalidURL, TypeError) as error:
            raise PictureError("not a URL") from error
        if self._own.host in _LOOPBACK_HOSTS and _origin(target) == _origin(self._own):
            return target
        if target.scheme not in {"http", "https"} or target.userinfo or not is_content_host(target.host):
            raise PictureError("not a host of TikTok's content network")
        if target.port not in {None, 80, 443}:
            raise PictureError("not a port of TikTok's content network")
        return target.copy_with(scheme="https", port=None)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _check_response(response: httpx.Response) -> None:
    if response.is_redirect:
        raise PictureError("redirected to another address")
    if response.status_code != _SUCCESS:
        raise PictureError(f"HTTP status {response.status_code}", is_temporary=True)
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_PICTURE_BYTES:
        raise PictureError("larger than 5 MB")
    if response.headers.get("content-encoding", "identity").lower() not in {"identity", ""}:
        raise PictureError("compressed although no compression was requested")

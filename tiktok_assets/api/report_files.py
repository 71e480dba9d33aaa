"""Download the file of a report task from TikTok's file server, without the access token and within limits."""

import time
from typing import BinaryIO

import httpx

from tiktok_assets.api.errors import ReportTaskError
from tiktok_assets.spec import REPORT_TASK_DOWNLOAD, is_report_file_host

MAX_FILE_BYTES = 512 * 1024 * 1024
"""The largest file that is downloaded; the number of rows a task is created for makes files of up to 100 MB."""

MAX_SECONDS = 600.0
"""The longest time from a request to the last byte of its file."""

_READ_SECONDS = 50.0
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_SUCCESS = 200


class ExpiredLinkError(ReportTaskError):
    """The link has expired, or the file server did not respond; a new link may work."""


def download_report_file(url: str, file: BinaryIO, api_url: str, *, max_bytes: int = MAX_FILE_BYTES) -> int:
    """Replace the content of an open file by that of a URL, and return the number of bytes.

    A connection of its own sends the request, so that it has no access token. A body that ends before the length
    that the server has given is an error of httpx.

    Args:
        url: the link of the task.
        file: an open file.
        api_url: the origin of the API; its files are allowed too if it is a loopback address, as the sandbox's.
        max_bytes: the largest file.

    Raises:
        ExpiredLinkError: if a new link may work.
        ReportTaskError: if the URL is not one of TikTok, or the file is too large or takes too long.
    """
    target = _validate(url, api_url)
    deadline = time.monotonic() + MAX_SECONDS
    file.seek(0)
    file.truncate()
    headers = {"User-Agent": "tiktok-assets", "Accept": "text/csv", "Accept-Encoding": "identity"}
    size = 0
    try:
        with httpx.stream(
            "GET", target, headers=headers, follow_redirects=False, timeout=httpx.Timeout(_READ_SECONDS)
        ) as response:
            if response.status_code != _SUCCESS:
                raise ExpiredLinkError(_describe(f"HTTP status {response.status_code}"))
            if response.headers.get("content-encoding", "identity").lower() not in {"identity", ""}:
                raise ReportTaskError(_describe("it is compressed although no compression was requested"))
            for chunk in response.iter_raw():
                size += file.write(chunk)
                if size > max_bytes:
                    raise ReportTaskError(_describe(f"larger than {max_bytes:,} bytes"))
                if time.monotonic() > deadline:
                    raise ReportTaskError(_describe(f"not complete after {MAX_SECONDS:.0f} seconds"))
    except httpx.HTTPError as error:
        raise ExpiredLinkError(_describe(type(error).__name__)) from error
    return size


def _validate(url: str, api_url: str) -> httpx.URL:
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ReportTaskError(_describe("its link is not a URL")) from error
    own = httpx.URL(api_url)
    is_own = (target.scheme, target.host, target.port) == (own.scheme, own.host, own.port)
    if is_own and own.host in _LOOPBACK_HOSTS:
        return target
    if target.scheme != "https" or target.userinfo or not is_report_file_host(target.host):
        raise ReportTaskError(
            _describe(f"its link is not an https URL of TikTok, but of {target.host or 'no host'}")
        )
    return target


def _describe(reason: str) -> str:
    """Describe why a file cannot be used; the link is a secret for an hour, and is not shown."""
    return f"the file of the report task cannot be downloaded: {reason} ({REPORT_TASK_DOWNLOAD.path})"

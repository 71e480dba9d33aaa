"""Define the retry policy, and decide whether a failed write may have been carried out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec

from tiktok_assets.api.errors import (
    AdvertiserError,
    CredentialsError,
    RequestError,
    ThrottledError,
    TikTokError,
    UnknownOutcomeError,
)
from tiktok_assets.spec.endpoints import Endpoint
from tiktok_assets.spec.error_codes import ERROR_CODES

WRITE_CONFLICT = 40202
DUPLICATE_REQUEST = 40050

_CONNECTION_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Without a connection nothing can have been done."""

_REJECTIONS = (RequestError, CredentialsError, AdvertiserError, ThrottledError)
"""Found before anything is written: a wrong body, a missing right, a limit (dossier 3.2)."""

_RETRYABLE_REJECTIONS = frozenset({WRITE_CONFLICT, 40901, 40902, 40913})
"""Codes that may pass later, and say that nothing was written: another write was first, media are not ready."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode_body(body: Mapping[str, Any]) -> bytes:
    """A body as it leaves: JSON in the order given; exact numbers keep their digits."""
    return _ENCODER.encode(body)


@contextmanager
def detect_unknown_outcome(endpoint: Endpoint) -> Iterator[None]:
    """Around one write: an error that leaves its outcome open becomes an `UnknownOutcomeError`."""
    try:
        yield
    except TikTokError as error:
        if _is_rejection(error):
            raise
        raise UnknownOutcomeError(
            f"it is unknown whether this was done: {error}",
            endpoint=endpoint.path,
            code=error.code,
            request_id=error.request_id,
        ) from error


def _is_rejection(error: TikTokError) -> bool:
    """Whether it is certain that nothing was written."""
    if isinstance(error.__cause__, _CONNECTION_ERRORS) or error.code in _RETRYABLE_REJECTIONS:
        return True
    # A code nobody knows may mean anything, and this one that an earlier request with the same id was done.
    known = error.code is None or (error.code in ERROR_CODES and error.code != DUPLICATE_REQUEST)
    return known and isinstance(error, _REJECTIONS)

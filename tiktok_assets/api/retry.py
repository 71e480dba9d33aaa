"""Define the retry policy, and decide whether a failed write may have been carried out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any

import httpx
import msgspec

from tiktok_assets.api.errors import (
    AdvertiserError,
    BudgetUnavailableError,
    CredentialsError,
    RequestError,
    ThrottledError,
    TikTokError,
    UnknownOutcomeError,
)
from tiktok_assets.spec import ERROR_CODES, Endpoint

WRITE_CONFLICT = 40202
DUPLICATE_REQUEST = 40050

_CONNECTION_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Errors before a connection was made: the write cannot have been carried out."""

_REJECTIONS = (RequestError, CredentialsError, AdvertiserError, ThrottledError, BudgetUnavailableError)
"""Errors before a write: TikTok rejects a wrong body, a missing permission or a request over a limit first (API
notes 3.2), and without a request budget nothing is sent."""

_RETRYABLE_REJECTIONS = frozenset({WRITE_CONFLICT, 40901, 40902, 40913})
"""Codes of temporary rejections without a write: a conflict with another write, or media that are not ready."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is sent, and how long it may wait.

    Attributes:
        max_attempts: how often one request is sent at most.
        total_seconds: how long one request may take, with all its retries and waits.
        min_backoff_seconds: the wait before the first retry; it doubles for each further one, with jitter.
        max_backoff_seconds: the longest wait before a retry.
        first_cooldown_seconds: the cooldown after the API reports that its rate limit is exceeded.
        long_cooldown_seconds: the cooldown of all processes if it does so again soon after (API notes 4.1).
        cooldown_memory_seconds: how long after a cooldown that counts as soon.
        max_cooldown_wait_seconds: the longest cooldown that is waited for; requests fail at once in a longer one.
        timeout_window_seconds: how long the timeout of a report counts; slightly more than TikTok's ten seconds.
        connect_timeout_seconds: how long connecting may take.
        read_timeout_seconds: the longest wait for the next bytes of a response.
        response_timeout_seconds: how long a response may take, from sending the request to its last byte.
    """

    max_attempts: int = 6
    total_seconds: float = 900.0
    min_backoff_seconds: float = 0.5
    max_backoff_seconds: float = 30.0
    first_cooldown_seconds: float = 5.0
    long_cooldown_seconds: float = 300.0
    cooldown_memory_seconds: float = 60.0
    max_cooldown_wait_seconds: float = inf
    timeout_window_seconds: float = 10.5
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 50.0
    response_timeout_seconds: float = 50.0


def encode_body(body: Mapping[str, Any]) -> bytes:
    """Encode a request body as JSON: keys keep their order, and decimal numbers all their digits."""
    return _ENCODER.encode(body)


@contextmanager
def detect_unknown_outcome(endpoint: Endpoint) -> Iterator[None]:
    """Convert errors of a write in this context, unless it is certain that nothing was written.

    Raises:
        UnknownOutcomeError: if the write may have been carried out.
        TikTokError: if it was not.
    """
    try:
        yield
    except TikTokError as error:
        if _is_rejection(error):
            raise
        raise UnknownOutcomeError(
            f"it is unknown whether this write was carried out: {error}",
            endpoint=endpoint.path,
            code=error.code,
            request_id=error.request_id,
        ) from error


def _is_rejection(error: TikTokError) -> bool:
    """Return whether it is certain that nothing was written."""
    if isinstance(error.__cause__, _CONNECTION_ERRORS) or error.code in _RETRYABLE_REJECTIONS:
        return True
    # An undocumented code may mean anything, and DUPLICATE_REQUEST that an earlier request with this id succeeded.
    is_known = error.code is None or (error.code in ERROR_CODES and error.code != DUPLICATE_REQUEST)
    return is_known and isinstance(error, _REJECTIONS)

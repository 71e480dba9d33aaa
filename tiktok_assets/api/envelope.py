"""What every JSON answer is wrapped in, and how an answer is found good or named bad."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

import httpx
import msgspec

from tiktok_assets.api.errors import (
    BY_CONSEQUENCE,
    ContractError,
    RetryLaterError,
    RetryTomorrowError,
    ThrottledError,
    TikTokError,
    TimedOutError,
)
from tiktok_assets.api.json_repair import repaired
from tiktok_assets.spec.endpoints import Endpoint
from tiktok_assets.spec.error_codes import OF_ONE_ADVERTISER_AND_PATH, OF_ONE_PATH, QUOTA_OF_THE_DAY, error_code

TOO_MANY_REQUESTS = 429
GATEWAY_TIMEOUT = 504


class Reply(Protocol):
    """A whole answer, as `answers.Received` and `httpx.Response` are."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""

    @property
    def content(self) -> bytes:
        """The body."""


class Envelope(msgspec.Struct):
    """Code, message, id and data (tiktok_api.md section 3.1)."""

    code: int
    message: str = ""
    request_id: str = ""
    data: Any = None


class _Page(msgspec.Struct):
    list: list[msgspec.Raw]
    page_info: Any = None


class _PageEnvelope(msgspec.Struct):
    code: int
    data: _Page
    message: str = ""
    request_id: str = ""


# Numbers with a fraction are money or bids: they are read from their text, never through a float.
_DECODER = msgspec.json.Decoder(Envelope, float_hook=Decimal)
_PAGE_DECODER = msgspec.json.Decoder(_PageEnvelope, float_hook=Decimal)
_ANYTHING = msgspec.json.Decoder(float_hook=Decimal)


def judged(endpoint: Endpoint, response: Reply, secrets: Sequence[str]) -> Envelope:
    """The envelope of a good answer: the one place where answers are judged; the code outranks the HTTP status.

    Args:
        endpoint: what was asked.
        response: its whole answer.
        secrets: what no message may show, for a host may quote them back.

    Raises:
        TikTokError: naming what is bad.
    """
    status = response.status_code
    envelope = envelope_of(endpoint, response)
    if envelope is None and status == GATEWAY_TIMEOUT:
        raise timed_out(endpoint, f"HTTP {status}")
    if envelope is None or (envelope.code == 0 and status >= httpx.codes.BAD_REQUEST):
        kind = ThrottledError if status == TOO_MANY_REQUESTS else RetryLaterError
        raise kind(f"HTTP {status}", endpoint=endpoint.path)
    if envelope.code != 0:
        raise _named(endpoint, envelope, secrets)
    if not isinstance(envelope.data, dict):
        raise ContractError(
            f"data is a {type(envelope.data).__name__}, not an object",
            endpoint=endpoint.path,
            request_id=envelope.request_id,
        )
    return envelope


def timed_out(endpoint: Endpoint, message: str) -> TikTokError:
    """The error of an answer that did not come in time."""
    # An identical report that timed out three times in ten minutes is blocked (section 4.3).
    kind = TimedOutError if endpoint.punishes_repeats else RetryLaterError
    return kind(message, endpoint=endpoint.path)


def _named(endpoint: Endpoint, envelope: Envelope, secrets: Sequence[str]) -> TikTokError:
    row = error_code(envelope.code)
    kind = BY_CONSEQUENCE[row.consequence]
    if row.consequence == "timeout" and endpoint.punishes_repeats:
        kind = TimedOutError
    if row.consequence == "throttled" and row.code not in OF_ONE_ADVERTISER_AND_PATH | OF_ONE_PATH:
        kind = RetryTomorrowError if QUOTA_OF_THE_DAY.search(envelope.message) else kind
    message = envelope.message or row.name
    for secret in secrets:
        message = message.replace(secret, "…")
    return kind(message, endpoint=endpoint.path, code=envelope.code, request_id=envelope.request_id)


def envelope_of(endpoint: Endpoint, response: Reply) -> Envelope | None:
    """The envelope of an answer; None where the HTTP status alone says what is wrong.

    Raises:
        ContractError: if there is JSON that is no envelope.
        RetryLaterError: if there is no JSON; a cut body or a proxy's page, and the next answer may be whole.
    """
    status = response.status_code
    explained = status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS
    try:
        return _read(endpoint, response.content)
    except msgspec.ValidationError as error:
        if not explained:
            raise ContractError(f"the envelope is not one: {error}", endpoint=endpoint.path) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not explained:
            raise RetryLaterError(f"HTTP {status} without JSON: {error}", endpoint=endpoint.path) from error
    return None


def _read(endpoint: Endpoint, content: bytes) -> Envelope:
    """The envelope, after a repair where one value makes the whole unreadable."""
    read = _page_of if endpoint.rows_apart else _plain_of
    try:
        return read(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError) as error:
        repaired_content = repaired(content)
        if isinstance(error, msgspec.ValidationError) and repaired_content == content:
            raise
        return read(repaired_content)


def _plain_of(content: bytes) -> Envelope:
    """Any answer; message and id are only shown, and cost nothing else where they are no texts."""
    try:
        return _DECODER.decode(content)
    except msgspec.ValidationError:
        anything = _ANYTHING.decode(content)
        if not isinstance(anything, dict) or not _only_words_are_wrong(anything):
            raise
        words = {name: anything[name] for name in ("message", "request_id") if isinstance(anything.get(name), str)}
        return Envelope(anything["code"], data=anything.get("data"), **words)


def _only_words_are_wrong(envelope: dict[str, Any]) -> bool:
    code = envelope.get("code")
    return isinstance(code, int) and not isinstance(code, bool)


def _page_of(content: bytes) -> Envelope:
    """A page whose rows stay as they came, for `unread`; anything but a page as every other answer is."""
    try:
        page = _PAGE_DECODER.decode(content)
    except msgspec.ValidationError:
        return _plain_of(content)
    data = {"list": page.data.list, "page_info": page.data.page_info}
    return Envelope(page.code, page.message, page.request_id, data)


def unread(rows: object) -> object:
    """What a list holds, those of its rows read that stayed as they came.

    Raises:
        ValueError: if one is no JSON.
    """
    if not isinstance(rows, list):
        return rows
    return [_unread(row) if isinstance(row, msgspec.Raw) else row for row in rows]


def _unread(row: msgspec.Raw) -> object:
    try:
        return _ANYTHING.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError):
        try:
            return _ANYTHING.decode(repaired(bytes(row)))
        except (msgspec.DecodeError, ArithmeticError) as error:
            raise ValueError(str(error)) from error

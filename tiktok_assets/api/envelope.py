"""Parse the JSON envelope of a response, and raise the error that its code stands for."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

import httpx
import msgspec

from tiktok_assets.api.errors import (
    ERROR_BY_CONSEQUENCE,
    ContractError,
    DailyQuotaError,
    RetryLaterError,
    ThrottledError,
    TikTokError,
    TimedOutError,
)
from tiktok_assets.spec.endpoints import Endpoint
from tiktok_assets.spec.error_codes import (
    ADVERTISER_PATH_THROTTLING_CODES,
    DAILY_QUOTA_PATTERN,
    PATH_THROTTLING_CODES,
    get_error_code,
)

MAX_NESTING = 64
"""Lists and objects inside each other; what lies deeper becomes a text."""

_TOKEN_PATTERN = re.compile(
    r'"(?:[^"\\]|\\.)*"|[\[\]{}]'
    r"|-?(?:NaN|Infinity)\b|\b(?:None|True|False|undefined)\b"
    r"|(?<![0-9.eE+-])-?[0-9](?:[0-9.]*[eE][+-]?[0-9]{5,}|[0-9.eE+-]{300,})",  # numbers larger than any
    re.DOTALL,
)
_STRING_PATTERN = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|(?P<control>[\x00-\x1f])"
    r'|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
    r"|(?P<escape>\\)",
    re.DOTALL,
)


def repair_json(content: bytes) -> bytes:
    """The same JSON without what a strict parser stumbles over in a single value.

    Bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD, control characters inside texts their
    escape, unknown escapes themselves, and NaN, numbers longer than any and what is nested too deep texts.
    """
    text = content.decode("utf-8", errors="replace")
    parts: list[str] = []
    depth, copied, deep_from = 0, 0, -1
    for token in _TOKEN_PATTERN.finditer(text):
        begin, end, said = token.start(), token.end(), token[0]
        if said in "[{":
            depth += 1
            if depth == MAX_NESTING + 1:
                parts.append(text[copied:begin])
                deep_from = begin
        elif said in "]}":
            if depth == MAX_NESTING + 1:
                parts.append(_quote_as_string(text[deep_from:end]))
                copied, deep_from = end, -1
            depth -= 1
        elif deep_from < 0:
            parts += [text[copied:begin], _STRING_PATTERN.sub(_fix_match, said) if said[0] == '"' else f'"{said}"']
            copied = end
    parts.append(text[copied:])
    return "".join(parts).encode("utf-8", errors="replace")


def _fix_match(found: re.Match[str]) -> str:
    if found["lone"]:
        return "\\ufffd"
    if found["escape"]:
        return "\\\\"
    return f"\\u{ord(found['control']):04x}" if found["control"] else found[0]


def _quote_as_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f]", lambda one: f"\\u{ord(one[0]):04x}", escaped) + '"'


TOO_MANY_REQUESTS = 429
GATEWAY_TIMEOUT = 504


class RawResponse(Protocol):
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
_JSON_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def parse_response(endpoint: Endpoint, response: RawResponse, secrets: Sequence[str]) -> Envelope:
    """The envelope of a good answer: the one place where answers are judged; the code outranks the HTTP status.

    Args:
        endpoint: what was asked.
        response: its whole answer.
        secrets: what no message may show, for a host may quote them back.

    Raises:
        TikTokError: naming what is bad.
    """
    status = response.status_code
    envelope = read_envelope(endpoint, response)
    if envelope is None and status == GATEWAY_TIMEOUT:
        raise build_timeout_error(endpoint, f"HTTP {status}")
    if envelope is None or (envelope.code == 0 and status >= httpx.codes.BAD_REQUEST):
        kind = ThrottledError if status == TOO_MANY_REQUESTS else RetryLaterError
        raise kind(f"HTTP {status}", endpoint=endpoint.path)
    if envelope.code != 0:
        raise _build_api_error(endpoint, envelope, secrets)
    if not isinstance(envelope.data, dict):
        raise ContractError(
            f"data is a {type(envelope.data).__name__}, not an object",
            endpoint=endpoint.path,
            request_id=envelope.request_id,
        )
    return envelope


def build_timeout_error(endpoint: Endpoint, message: str) -> TikTokError:
    """The error of an answer that did not come in time."""
    # An identical report that timed out three times in ten minutes is blocked (section 4.3).
    kind = TimedOutError if endpoint.punishes_repeats else RetryLaterError
    return kind(message, endpoint=endpoint.path)


def _build_api_error(endpoint: Endpoint, envelope: Envelope, secrets: Sequence[str]) -> TikTokError:
    row = get_error_code(envelope.code)
    kind = ERROR_BY_CONSEQUENCE[row.consequence]
    if row.consequence == "timeout" and endpoint.punishes_repeats:
        kind = TimedOutError
    if row.consequence == "throttled" and row.code not in ADVERTISER_PATH_THROTTLING_CODES | PATH_THROTTLING_CODES:
        kind = DailyQuotaError if DAILY_QUOTA_PATTERN.search(envelope.message) else kind
    message = envelope.message or row.name
    for secret in secrets:
        message = message.replace(secret, "…")
    return kind(message, endpoint=endpoint.path, code=envelope.code, request_id=envelope.request_id)


def read_envelope(endpoint: Endpoint, response: RawResponse) -> Envelope | None:
    """The envelope of an answer; None where the HTTP status alone says what is wrong.

    Raises:
        ContractError: if there is JSON that is no envelope.
        RetryLaterError: if there is no JSON; a cut body or a proxy's page, and the next answer may be whole.
    """
    status = response.status_code
    explained = status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS
    try:
        return _decode_or_repair(endpoint, response.content)
    except msgspec.ValidationError as error:
        if not explained:
            raise ContractError(f"the envelope is not one: {error}", endpoint=endpoint.path) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not explained:
            raise RetryLaterError(f"HTTP {status} without JSON: {error}", endpoint=endpoint.path) from error
    return None


def _decode_or_repair(endpoint: Endpoint, content: bytes) -> Envelope:
    """The envelope, after a repair where one value makes the whole unreadable."""
    read = _decode_page if endpoint.rows_apart else _decode_envelope
    try:
        return read(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError) as error:
        repaired_content = repair_json(content)
        if isinstance(error, msgspec.ValidationError) and repaired_content == content:
            raise
        return read(repaired_content)


def _decode_envelope(content: bytes) -> Envelope:
    """Any answer; message and id are only shown, and cost nothing else where they are no texts."""
    try:
        return _DECODER.decode(content)
    except msgspec.ValidationError:
        anything = _JSON_DECODER.decode(content)
        if not isinstance(anything, dict) or not _has_valid_code(anything):
            raise
        words = {name: anything[name] for name in ("message", "request_id") if isinstance(anything.get(name), str)}
        return Envelope(anything["code"], data=anything.get("data"), **words)


def _has_valid_code(envelope: dict[str, Any]) -> bool:
    code = envelope.get("code")
    return isinstance(code, int) and not isinstance(code, bool)


def _decode_page(content: bytes) -> Envelope:
    """A page whose rows stay as they came, for `unread`; anything but a page as every other answer is."""
    try:
        page = _PAGE_DECODER.decode(content)
    except msgspec.ValidationError:
        return _decode_envelope(content)
    data = {"list": page.data.list, "page_info": page.data.page_info}
    return Envelope(page.code, page.message, page.request_id, data)


def decode_rows(rows: object) -> object:
    """What a list holds, those of its rows read that stayed as they came.

    Raises:
        ValueError: if one is no JSON.
    """
    if not isinstance(rows, list):
        return rows
    return [_decode_row(row) if isinstance(row, msgspec.Raw) else row for row in rows]


def _decode_row(row: msgspec.Raw) -> object:
    try:
        return _JSON_DECODER.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError):
        try:
            return _JSON_DECODER.decode(repair_json(bytes(row)))
        except (msgspec.DecodeError, ArithmeticError) as error:
            raise ValueError(str(error)) from error

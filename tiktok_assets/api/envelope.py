"""Parse the JSON envelope of a response, and raise the error that its code stands for.

A response that a strict JSON parser refuses because of a single value is repaired and parsed again.
"""

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
from tiktok_assets.spec import (
    ADVERTISER_PATH_THROTTLING_CODES,
    DAILY_QUOTA_PATTERN,
    PATH_THROTTLING_CODES,
    Endpoint,
    get_error_code,
)

TOO_MANY_REQUESTS = 429
GATEWAY_TIMEOUT = 504

MAX_NESTING = 64
"""Levels of nested lists and objects that are parsed; `repair_json` turns deeper ones into strings."""

_LEXEME_PATTERN = re.compile(
    r'"(?:[^"\\]|\\.)*"|[\[\]{}]'
    r"|-?(?:NaN|Infinity)\b|\b(?:None|True|False|undefined)\b"
    r"|(?<![0-9.eE+-])-?[0-9](?:[0-9.]*[eE][+-]?[0-9]{5,}|[0-9.eE+-]{300,})",  # numbers too large to parse
    re.DOTALL,
)
_STRING_PATTERN = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a surrogate pair
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|(?P<control>[\x00-\x1f])"
    r'|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
    r"|(?P<escape>\\)",
    re.DOTALL,
)


class RawResponse(Protocol):
    """A complete HTTP response, such as `transport.HttpResponse` or `httpx.Response`."""

    @property
    def status_code(self) -> int:
        """Return the HTTP status."""

    @property
    def content(self) -> bytes:
        """Return the body."""


class Envelope(msgspec.Struct):
    """The object around the data of each response: code, message, request id and data (API notes 3.1)."""

    code: int
    message: str = ""
    request_id: str = ""
    data: Any = None


class _Page(msgspec.Struct):
    list: list[msgspec.Raw]
    page_info: Any = None
    total_metrics: Any = None


class _PageEnvelope(msgspec.Struct):
    code: int
    data: _Page
    message: str = ""
    request_id: str = ""


# Numbers with a fraction are amounts of money: they are decoded from their text, never through a float.
_DECODER = msgspec.json.Decoder(Envelope, float_hook=Decimal)
_PAGE_DECODER = msgspec.json.Decoder(_PageEnvelope, float_hook=Decimal)
_JSON_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def parse_response(endpoint: Endpoint, response: RawResponse, secrets: Sequence[str]) -> Envelope:
    """Return the envelope of a successful response; its code takes precedence over the HTTP status.

    Args:
        endpoint: the endpoint of the request.
        response: its complete response.
        secrets: texts to remove from error messages, because a host may quote them.

    Raises:
        TikTokError: if the response is not successful; its class says what to do next.
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
    """Build the error of a response that did not arrive in time."""
    # TikTok blocks a report that timed out three times in ten minutes (API notes 4.3).
    kind = TimedOutError if endpoint.penalizes_repeats else RetryLaterError
    return kind(message, endpoint=endpoint.path)


def _build_api_error(endpoint: Endpoint, envelope: Envelope, secrets: Sequence[str]) -> TikTokError:
    row = get_error_code(envelope.code)
    kind = ERROR_BY_CONSEQUENCE[row.consequence]
    if row.consequence == "timeout" and endpoint.penalizes_repeats:
        kind = TimedOutError
    if row.consequence == "throttled" and row.code not in ADVERTISER_PATH_THROTTLING_CODES | PATH_THROTTLING_CODES:
        kind = DailyQuotaError if DAILY_QUOTA_PATTERN.search(envelope.message) else kind
    message = envelope.message or row.name
    for secret in secrets:
        message = message.replace(secret, "…")
    return kind(message, endpoint=endpoint.path, code=envelope.code, request_id=envelope.request_id)


def read_envelope(endpoint: Endpoint, response: RawResponse) -> Envelope | None:
    """Return the envelope of a response; None if there is none and the HTTP status explains why.

    Raises:
        ContractError: if the body is JSON but not an envelope.
        RetryLaterError: if the body is not JSON, as a cut response or a proxy's page; a retry may work.
    """
    status = response.status_code
    is_explained = status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS
    try:
        return _decode_or_repair(endpoint, response.content)
    except msgspec.ValidationError as error:
        if not is_explained:
            raise ContractError(f"the envelope is not valid: {error}", endpoint=endpoint.path) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not is_explained:
            raise RetryLaterError(f"HTTP {status} without JSON: {error}", endpoint=endpoint.path) from error
    return None


def _decode_or_repair(endpoint: Endpoint, content: bytes) -> Envelope:
    """Decode the envelope, after a repair if a single value makes all of it unreadable."""
    decode = _decode_page if endpoint.parses_rows_separately else _decode_envelope
    try:
        return decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError) as error:
        repaired_content = repair_json(content)
        if isinstance(error, msgspec.ValidationError) and repaired_content == content:
            raise
        return decode(repaired_content)


def _decode_envelope(content: bytes) -> Envelope:
    """Decode an envelope; a message or request id that is not a string is ignored, because both are only shown."""
    try:
        return _DECODER.decode(content)
    except msgspec.ValidationError:
        document = _JSON_DECODER.decode(content)
        if not isinstance(document, dict) or not _has_valid_code(document):
            raise
        texts = {name: document[name] for name in ("message", "request_id") if isinstance(document.get(name), str)}
        return Envelope(document["code"], data=document.get("data"), **texts)


def _has_valid_code(envelope: dict[str, Any]) -> bool:
    code = envelope.get("code")
    return isinstance(code, int) and not isinstance(code, bool)


def _decode_page(content: bytes) -> Envelope:
    """Decode a page but not its rows, which `decode_rows` decodes; decode anything else as any other response."""
    try:
        page = _PAGE_DECODER.decode(content)
    except msgspec.ValidationError:
        return _decode_envelope(content)
    data = {"list": page.data.list, "page_info": page.data.page_info, "total_metrics": page.data.total_metrics}
    return Envelope(page.code, page.message, page.request_id, data)


def decode_rows(rows: object) -> object:
    """Decode those rows of a list that are still JSON text; return anything but a list unchanged.

    Raises:
        ValueError: if a row is not JSON.
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


def repair_json(content: bytes) -> bytes:
    """Return the same JSON with each value that a strict parser refuses replaced.

    Bytes that are not UTF-8 and lone surrogates become U+FFFD, and control characters in strings their escapes.
    The backslash of an unknown escape becomes a literal one. NaN and similar words, numbers that are too long and
    values that are nested too deeply become strings.
    """
    text = content.decode("utf-8", errors="replace")
    pieces: list[str] = []
    depth, copied_until, deep_begin = 0, 0, -1
    for match in _LEXEME_PATTERN.finditer(text):
        begin, end, lexeme = match.start(), match.end(), match[0]
        if lexeme in "[{":
            depth += 1
            if depth == MAX_NESTING + 1:
                pieces.append(text[copied_until:begin])
                deep_begin = begin
        elif lexeme in "]}":
            if depth == MAX_NESTING + 1:
                pieces.append(_quote_as_string(text[deep_begin:end]))
                copied_until, deep_begin = end, -1
            depth -= 1
        elif deep_begin < 0:
            repaired = _STRING_PATTERN.sub(_fix_match, lexeme) if lexeme[0] == '"' else f'"{lexeme}"'
            pieces += [text[copied_until:begin], repaired]
            copied_until = end
    pieces.append(text[copied_until:])
    return "".join(pieces).encode("utf-8", errors="replace")


def _fix_match(match: re.Match[str]) -> str:
    if match["lone"]:
        return "\\ufffd"
    if match["escape"]:
        return "\\\\"
    return f"\\u{ord(match['control']):04x}" if match["control"] else match[0]


def _quote_as_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'

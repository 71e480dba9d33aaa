"""Parse one value of the API into one typed cell: exact amounts, ids as text, aware instants.

A value that does not fit its column raises no error: the cell is null, or the nearest value where that is
unambiguous, and the caller keeps the original value.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from math import isfinite
from typing import Any

import msgspec

from tiktok_assets.spec import Column, Kind

NULL_MARKERS = ("-", "")
"""The texts the API sends for a missing value (API notes 6.5)."""

MALFORMED = "malformed_values"
"""The key inside `extra` of the values that did not fit their column, by the API's names."""

UNKNOWN_SEGMENT = "unknown"
"""The stored value of an audience segment that TikTok does not identify."""

UNKNOWN_SEGMENT_VALUES = ("", "-", "-1", "None", "NONE")
"""The texts the API sends for an audience segment it does not identify."""

_MONEY_LIMIT = Decimal(10**14)
_FOUR_PLACES = Decimal("0.0001")
_FLOAT_NOISE = Decimal("1e-9")
_COUNT_LIMIT = 2**63
_MAX_DEPTH = 64
_TRUNCATED = "… nested deeper than is kept"
_NUMBER_PATTERN = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?", re.ASCII)
_DAY_PATTERN = re.compile(r"((?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2})( 00:00:00)?", re.ASCII)
_HOUR_PATTERN = re.compile(r"((?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}) ([01][0-9]|2[0-3]):00:00", re.ASCII)
_ID_PATTERN = re.compile(r"[0-9]{1,32}")
_JSON_ENCODER = msgspec.json.Encoder(decimal_format="number", order="deterministic")


Cell = tuple[Any, bool]
"""The value of a cell, and whether it represents the original value; if not, the original is kept in `extra`."""


def parse_cell(column: Column, value: Any, *, is_rounded: bool = False) -> Cell:  # noqa: ANN401 - any JSON value
    """Parse a value into the type of its column; null if it does not have the column's kind.

    Args:
        column: the column of the cell.
        value: the decoded JSON value, numbers with a fraction as Decimal.
        is_rounded: whether it is a rounded quotient, and may be rounded again without keeping the original.
    """
    if value is None or (column.kind != "text" and value in NULL_MARKERS):
        return None, True
    try:
        if column.kind == "money":
            amount, is_exact = _parse_money(value)
            return amount, is_exact or is_rounded
        return _PARSERS[column.kind](value), True
    except (TypeError, ValueError, ArithmeticError, OSError, RecursionError):  # OSError: an instant out of range
        return None, False


def parse_id(value: Any) -> str:  # noqa: ANN401
    """Parse an id into text.

    A few fields still contain integers (API notes 1.5). A float is rejected because it may have lost digits.

    Raises:
        TypeError: if the value is neither text nor an integer.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(type(value).__name__)
    return str(value)


def parse_advertiser_id(value: Any) -> str:  # noqa: ANN401
    """Parse the id of an account, which becomes part of paths and partition keys: digits only, as in the settings.

    Raises:
        TypeError: if the value is neither text nor an integer.
        ValueError: if it contains anything but digits.
    """
    text = parse_id(value)
    if not _ID_PATTERN.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is not an advertiser id")
    return text


def _parse_text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, dict | list | bool):
        raise TypeError(type(value).__name__)
    return str(value)


def _parse_decimal(value: Any) -> Decimal:  # noqa: ANN401
    if isinstance(value, str):
        value = value.strip(" ").removeprefix("+")
        if not _NUMBER_PATTERN.fullmatch(value):
            raise ValueError("not a number")
    elif isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError(type(value).__name__)
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("not finite")
    return number


def _parse_money(value: Any) -> tuple[Decimal, bool]:  # noqa: ANN401
    """Return an amount with four decimals, and whether it equals the original except for binary float noise."""
    original = _parse_decimal(value)
    if abs(original) >= _MONEY_LIMIT:
        raise ValueError("more digits than the column stores")
    amount = original.quantize(_FOUR_PLACES, ROUND_HALF_EVEN)
    if abs(amount) >= _MONEY_LIMIT:
        raise ValueError("more digits than the column stores")
    return amount, abs(original - amount) <= _FLOAT_NOISE


def _parse_count(value: Any) -> int:  # noqa: ANN401
    """Parse a whole number that is not negative."""
    number = _parse_decimal(value)
    if not 0 <= number < _COUNT_LIMIT or number != int(number):
        raise ValueError("not a count")
    return int(number)


def _parse_float(value: Any) -> float:  # noqa: ANN401
    number = float(_parse_decimal(value))
    if not isfinite(number):
        raise ValueError("not finite")
    return number


def _parse_day(value: Any) -> date:  # noqa: ANN401
    match = _DAY_PATTERN.fullmatch(value)
    if not match:
        raise ValueError("not a day")
    return date.fromisoformat(match[1])


def parse_day_of_hour(value: Any) -> date | None:  # noqa: ANN401
    """Return the day of an hour such as "2026-03-01 13:00:00"; None for any other value."""
    match = _HOUR_PATTERN.fullmatch(value) if isinstance(value, str) else None
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def _parse_hour(value: Any) -> int:  # noqa: ANN401
    match = _HOUR_PATTERN.fullmatch(value)
    if not match:
        raise ValueError("not a whole hour")
    return int(match[2])


def _parse_epoch(value: Any) -> datetime:  # noqa: ANN401
    seconds = _parse_decimal(value)
    if abs(seconds) >= _COUNT_LIMIT or seconds != int(seconds):
        raise ValueError("not a whole number of seconds")
    return datetime.fromtimestamp(int(seconds), UTC)


def _parse_api_instant(value: Any) -> datetime:  # noqa: ANN401
    return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def parse_instant(value: object) -> datetime | None:
    """Parse an instant of a field that has no column; None if it has neither of two forms.

    The forms are "2026-03-01 13:00:00" and "2026-03-01T13:00:00Z"; both are UTC. Source:
    mengxingxinqing/tiktok_ads, get_info_about_tiktok_posts, where one field has both.
    """
    try:
        return _parse_api_instant(str(value).replace("T", " ").rstrip("Z"))
    except ValueError:
        return None


def _parse_flag(value: Any) -> bool:  # noqa: ANN401
    if value not in {True, False}:
        raise ValueError("neither true nor false")
    return bool(value)


def parse_segment(value: Any) -> Cell:  # noqa: ANN401
    """Parse the audience segment of a row; `UNKNOWN_SEGMENT` if the API does not identify it or it is invalid."""
    if value is None or value in UNKNOWN_SEGMENT_VALUES or value == -1:
        return UNKNOWN_SEGMENT, True
    try:
        return _parse_text(value), True
    except TypeError:
        return UNKNOWN_SEGMENT, False


def encode_json(value: Any) -> str:  # noqa: ANN401
    """Encode a value as JSON with sorted keys and exact amounts; anything nested too deeply becomes a text."""
    try:
        text = _JSON_ENCODER.encode(value).decode()
    except (OverflowError, RecursionError):  # OverflowError: an integer of more than 64 bits
        return _JSON_ENCODER.encode(_limit_depth(value, 0)).decode()
    if text.count("[") + text.count("{") > _MAX_DEPTH:
        return _JSON_ENCODER.encode(_limit_depth(value, 0)).decode()
    return text


def _limit_depth(value: Any, depth: int) -> Any:  # noqa: ANN401
    """Replace what is nested too deeply by a text, and integers by decimals, which have no limit of 64 bits."""
    if isinstance(value, dict | list) and depth >= _MAX_DEPTH:
        return _TRUNCATED
    if isinstance(value, dict):
        return {name: _limit_depth(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_limit_depth(item, depth + 1) for item in value]
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


_PARSERS: dict[Kind, Callable[[Any], Any]] = {
    "id": parse_id,
    "text": _parse_text,
    "count": _parse_count,
    "rate": _parse_float,
    "ratio": _parse_float,
    "day": _parse_day,
    "hour": _parse_hour,
    "instant": _parse_api_instant,
    "epoch": _parse_epoch,
    "flag": _parse_flag,
    "json": encode_json,
}


def encode_extra(unknown: dict[str, Any], malformed: dict[str, Any]) -> str | None:
    """Encode the cell of `extra`: fields without a declared column, and values that did not fit their column.

    The latter are nested under the key `MALFORMED`, so that they cannot be confused with undeclared fields.

    Returns:
        JSON text; None if there are neither.
    """
    if MALFORMED in unknown:
        malformed = {**malformed, MALFORMED: unknown[MALFORMED]}
        unknown = {name: value for name, value in unknown.items() if name != MALFORMED}
    if not unknown and not malformed:
        return None
    return encode_json({**unknown, MALFORMED: malformed} if malformed else unknown)


def decode_malformed_values(extra: str) -> dict[str, Any]:
    """Decode the values that did not fit their column from a cell of `extra`, by the API's names."""
    malformed = _EXTRA_DECODER.decode(extra).get(MALFORMED)
    return malformed if isinstance(malformed, dict) else {}


_EXTRA_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=str)

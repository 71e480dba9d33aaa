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

from tiktok_assets.spec.columns import Column, Kind

NULL_MARKERS = ("-", "")
"""What the API writes for nothing (dossier 6.5)."""

MALFORMED = "malformed_values"
"""The field of `extra` that keeps, by the API's names, what came where a value did not fit its column."""

UNKNOWN_SEGMENT = "unknown"
"""The part of an audience of which TikTok does not say which it is."""

UNKNOWN_SEGMENT_VALUES = ("", "-", "-1", "None", "NONE")
"""What the API writes instead of the part of an audience it does not know."""

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
"""What a column holds, and whether that is all there is to keep; if not, what came belongs beside it."""


def parse_cell(column: Column, value: Any, *, is_rounded: bool = False) -> Cell:  # noqa: ANN401 - JSON in, a cell out
    """A value of a field as its column holds it; null where it cannot be what the column is.

    Args:
        column: which.
        value: as the API sent it, numbers with a fraction as Decimal.
        is_rounded: whether it is a rounded quotient, and may be rounded again.
    """
    if value is None or (column.kind != "text" and value in NULL_MARKERS):
        return None, True
    try:
        if column.kind == "money":
            kept, is_exact = _parse_money(value)
            return kept, is_exact or is_rounded
        return _PARSERS[column.kind](value), True
    except (TypeError, ValueError, ArithmeticError, OSError, RecursionError):  # OSError: an instant out of range
        return None, False


def parse_id(value: Any) -> str:  # noqa: ANN401
    """An id as text: a few fields still send bare integers (dossier 1.5); a float has lost digits, a TypeError."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(type(value).__name__)
    return str(value)


def parse_advertiser_id(value: Any) -> str:  # noqa: ANN401
    """An account's id, which names folders and partitions: digits and nothing else, as in the settings.

    Raises:
        TypeError: if it is no id at all.
        ValueError: if it is another text.
    """
    told = parse_id(value)
    if not _ID_PATTERN.fullmatch(told):
        raise ValueError(f"{told[:60]!r} is no advertiser id")
    return told


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
    """The amount in four places, and whether it is what came but for the noise of binary floats."""
    amount = _parse_decimal(value)
    if abs(amount) >= _MONEY_LIMIT:
        raise ValueError("more digits than the column keeps")
    kept = amount.quantize(_FOUR_PLACES, ROUND_HALF_EVEN)
    if abs(kept) >= _MONEY_LIMIT:
        raise ValueError("more digits than the column keeps")
    return kept, abs(amount - kept) <= _FLOAT_NOISE


def _parse_count(value: Any) -> int:  # noqa: ANN401
    """A whole number that may be counted: things do not happen fewer than zero times."""
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
    found = _DAY_PATTERN.fullmatch(value)
    if not found:
        raise ValueError("not a day")
    return date.fromisoformat(found[1])


def parse_day_of_hour(value: Any) -> date | None:  # noqa: ANN401
    """The day of a value that says a whole hour; None where it does not."""
    found = _HOUR_PATTERN.fullmatch(value) if isinstance(value, str) else None
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def _parse_hour(value: Any) -> int:  # noqa: ANN401
    found = _HOUR_PATTERN.fullmatch(value)
    if not found:
        raise ValueError("not a whole hour")
    return int(found[2])


def _parse_epoch(value: Any) -> datetime:  # noqa: ANN401
    seconds = _parse_decimal(value)
    if abs(seconds) >= _COUNT_LIMIT or seconds != int(seconds):
        raise ValueError("not a whole number of seconds")
    return datetime.fromtimestamp(int(seconds), UTC)


def _parse_api_instant(value: Any) -> datetime:  # noqa: ANN401
    return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def parse_instant(told: object) -> datetime | None:
    """Return an instant of a field that no column holds, as `Y-m-d H:M:S` or with T and Z; None for anything else.

    Both are UTC (mengxingxinqing/tiktok_ads, get_info_about_tiktok_posts, writes one field in both ways).
    """
    try:
        return _parse_api_instant(str(told).replace("T", " ").rstrip("Z"))
    except ValueError:
        return None


def _parse_flag(value: Any) -> bool:  # noqa: ANN401
    if value not in {True, False}:
        raise ValueError("neither true nor false")
    return bool(value)


def parse_segment(value: Any) -> Cell:  # noqa: ANN401
    """The part of an audience a row is of: `UNKNOWN` where the API does not know it, or says none that can be."""
    if value is None or value in UNKNOWN_SEGMENT_VALUES or value == -1:
        return UNKNOWN_SEGMENT, True
    try:
        return _parse_text(value), True
    except TypeError:
        return UNKNOWN_SEGMENT, False


def encode_json(value: Any) -> str:  # noqa: ANN401
    """JSON of ours: keys in order, amounts exact; what is nested too deeply for every reader of it is a text."""
    try:
        text = _JSON_ENCODER.encode(value).decode()
    except (OverflowError, RecursionError):  # a whole number of more than 64 bits
        return _JSON_ENCODER.encode(_limit_depth(value, 0)).decode()
    if text.count("[") + text.count("{") > _MAX_DEPTH:
        return _JSON_ENCODER.encode(_limit_depth(value, 0)).decode()
    return text


def _limit_depth(value: Any, depth: int) -> Any:  # noqa: ANN401
    if isinstance(value, dict | list) and depth >= _MAX_DEPTH:
        return _TRUNCATED
    if isinstance(value, dict):
        return {name: _limit_depth(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list):
        return [_limit_depth(one, depth + 1) for one in value]
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
    """What a row has beside its columns: fields nobody declared, and what did not fit; None for neither.

    What did not fit stands apart, under `MALFORMED`, so that it is never taken for a field nobody declared.
    """
    if MALFORMED in unknown:
        malformed = {**malformed, MALFORMED: unknown[MALFORMED]}
        unknown = {name: value for name, value in unknown.items() if name != MALFORMED}
    if not unknown and not malformed:
        return None
    return encode_json({**unknown, MALFORMED: malformed} if malformed else unknown)


def decode_malformed_values(extra: str) -> dict[str, Any]:
    """What did not fit, by the API's name of its column, from a row's `extra`."""
    kept = _EXTRA_DECODER.decode(extra).get(MALFORMED)
    return kept if isinstance(kept, dict) else {}


_EXTRA_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=str)

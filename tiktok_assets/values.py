"""One value of the API as one cell: exact amounts, ids as text, aware instants.

A value that does not fit its column is no error here: the cell is null, or the nearest value where that is
unambiguous, and the caller keeps what came.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from math import isfinite
from typing import Any

import msgspec

from tiktok_assets.spec.columns import Column, Kind

ABSENT = ("-", "")
"""What the API writes for nothing (dossier 6.5)."""

MALFORMED = "malformed_values"
"""The field of `extra` that keeps, by the API's names, what came where a value did not fit its column."""

UNKNOWN = "unknown"
"""The part of an audience of which TikTok does not say which it is."""

NO_PART = ("", "-", "-1", "None", "NONE")
"""What the API writes instead of the part of an audience it does not know."""

_TOO_MUCH = Decimal(10**14)
_FOUR_PLACES = Decimal("0.0001")
_NOISE = Decimal("1e-9")
_MOST_COUNTED = 2**63
_MOST_DEEP = 64
_TOO_DEEP = "… nested deeper than is kept"
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?", re.ASCII)
_DAY = re.compile(r"((?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2})( 00:00:00)?", re.ASCII)
_HOUR = re.compile(r"((?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}) ([01][0-9]|2[0-3]):00:00", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,32}")
_JSON = msgspec.json.Encoder(decimal_format="number", order="deterministic")


Cell = tuple[Any, bool]
"""What a column holds, and whether that is all there is to keep; if not, what came belongs beside it."""


def cell_of(column: Column, value: Any, *, is_rounded: bool = False) -> Cell:  # noqa: ANN401 - JSON in, a cell out
    """A value of a field as its column holds it; null where it cannot be what the column is.

    Args:
        column: which.
        value: as the API sent it, numbers with a fraction as Decimal.
        is_rounded: whether it is a rounded quotient, and may be rounded again.
    """
    if value is None or (column.kind != "text" and value in ABSENT):
        return None, True
    try:
        if column.kind == "money":
            kept, is_exact = _money(value)
            return kept, is_exact or is_rounded
        return _CONVERTERS[column.kind](value), True
    except (TypeError, ValueError, ArithmeticError, OSError, RecursionError):  # OSError: an instant out of range
        return None, False


def identifier(value: Any) -> str:  # noqa: ANN401
    """An id as text: a few fields still send bare integers (dossier 1.5); a float has lost digits, a TypeError."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(type(value).__name__)
    return str(value)


def advertiser_identifier(value: Any) -> str:  # noqa: ANN401
    """An account's id, which names folders and partitions: digits and nothing else, as in the settings.

    Raises:
        TypeError: if it is no id at all.
        ValueError: if it is another text.
    """
    told = identifier(value)
    if not _DIGITS.fullmatch(told):
        raise ValueError(f"{told[:60]!r} is no advertiser id")
    return told


def _plain(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, dict | list | bool):
        raise TypeError(type(value).__name__)
    return str(value)


def _decimal(value: Any) -> Decimal:  # noqa: ANN401
    if isinstance(value, str):
        value = value.strip(" ").removeprefix("+")
        if not _NUMBER.fullmatch(value):
            raise ValueError("not a number")
    elif isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError(type(value).__name__)
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("not finite")
    return number


def _money(value: Any) -> tuple[Decimal, bool]:  # noqa: ANN401
    """The amount in four places, and whether it is what came but for the noise of binary floats."""
    amount = _decimal(value)
    if abs(amount) >= _TOO_MUCH:
        raise ValueError("more digits than the column keeps")
    kept = amount.quantize(_FOUR_PLACES, ROUND_HALF_EVEN)
    if abs(kept) >= _TOO_MUCH:
        raise ValueError("more digits than the column keeps")
    return kept, abs(amount - kept) <= _NOISE


def _count(value: Any) -> int:  # noqa: ANN401
    """A whole number that may be counted: things do not happen fewer than zero times."""
    number = _decimal(value)
    if not 0 <= number < _MOST_COUNTED or number != int(number):
        raise ValueError("not a count")
    return int(number)


def _number(value: Any) -> float:  # noqa: ANN401
    number = float(_decimal(value))
    if not isfinite(number):
        raise ValueError("not finite")
    return number


def _day(value: Any) -> date:  # noqa: ANN401
    found = _DAY.fullmatch(value)
    if not found:
        raise ValueError("not a day")
    return date.fromisoformat(found[1])


def day_of_hour(value: Any) -> date | None:  # noqa: ANN401
    """The day of a value that says a whole hour; None where it does not."""
    found = _HOUR.fullmatch(value) if isinstance(value, str) else None
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def _hour(value: Any) -> int:  # noqa: ANN401
    found = _HOUR.fullmatch(value)
    if not found:
        raise ValueError("not a whole hour")
    return int(found[2])


def _epoch(value: Any) -> datetime:  # noqa: ANN401
    seconds = _decimal(value)
    if abs(seconds) >= _MOST_COUNTED or seconds != int(seconds):
        raise ValueError("not a whole number of seconds")
    return datetime.fromtimestamp(int(seconds), UTC)


def _instant(value: Any) -> datetime:  # noqa: ANN401
    return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def instant_of(told: object) -> datetime | None:
    """Return an instant of a field that no column holds, as `Y-m-d H:M:S` or with T and Z; None for anything else.

    Both are UTC (mengxingxinqing/tiktok_ads, get_info_about_tiktok_posts, writes one field in both ways).
    """
    try:
        return _instant(str(told).replace("T", " ").rstrip("Z"))
    except ValueError:
        return None


def _flag(value: Any) -> bool:  # noqa: ANN401
    if value not in {True, False}:
        raise ValueError("neither true nor false")
    return bool(value)


def part_of(value: Any) -> Cell:  # noqa: ANN401
    """The part of an audience a row is of: `UNKNOWN` where the API does not know it, or says none that can be."""
    if value is None or value in NO_PART or value == -1:
        return UNKNOWN, True
    try:
        return _plain(value), True
    except TypeError:
        return UNKNOWN, False


def json_text(value: Any) -> str:  # noqa: ANN401
    """JSON of ours: keys in order, amounts exact; what is nested too deeply for every reader of it is a text."""
    try:
        text = _JSON.encode(value).decode()
    except (OverflowError, RecursionError):  # a whole number of more than 64 bits
        return _JSON.encode(_plainer(value, 0)).decode()
    if text.count("[") + text.count("{") > _MOST_DEEP:
        return _JSON.encode(_plainer(value, 0)).decode()
    return text


def _plainer(value: Any, depth: int) -> Any:  # noqa: ANN401
    if isinstance(value, dict | list) and depth >= _MOST_DEEP:
        return _TOO_DEEP
    if isinstance(value, dict):
        return {name: _plainer(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list):
        return [_plainer(one, depth + 1) for one in value]
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


_CONVERTERS: dict[Kind, Callable[[Any], Any]] = {
    "id": identifier,
    "text": _plain,
    "count": _count,
    "rate": _number,
    "ratio": _number,
    "day": _day,
    "hour": _hour,
    "instant": _instant,
    "epoch": _epoch,
    "flag": _flag,
    "json": json_text,
}


def extra_of(unknown: dict[str, Any], malformed: dict[str, Any]) -> str | None:
    """What a row has beside its columns: fields nobody declared, and what did not fit; None for neither.

    What did not fit stands apart, under `MALFORMED`, so that it is never taken for a field nobody declared.
    """
    if MALFORMED in unknown:
        malformed = {**malformed, MALFORMED: unknown[MALFORMED]}
        unknown = {name: value for name, value in unknown.items() if name != MALFORMED}
    if not unknown and not malformed:
        return None
    return json_text({**unknown, MALFORMED: malformed} if malformed else unknown)


def malformed_of(extra: str) -> dict[str, Any]:
    """What did not fit, by the API's name of its column, from a row's `extra`."""
    kept = _EXTRA.decode(extra).get(MALFORMED)
    return kept if isinstance(kept, dict) else {}


_EXTRA = msgspec.json.Decoder(dict[str, Any], float_hook=str)

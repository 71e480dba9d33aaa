"""One value of the API as one cell: exact amounts, ids as text, aware instants; what does not fit is refused."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

import msgspec

from tiktok_assets.days import ValueFormatError
from tiktok_assets.spec.columns import Column, Kind

ABSENT = ("-", "")
"""What the API writes for nothing (dossier 6.5)."""

_TOO_MUCH = Decimal(10**14)
_FOUR_PLACES = Decimal("0.0001")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DIGITS = re.compile(r"[0-9]{1,32}")
_JSON = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def converted(column: Column, value: Any) -> Any:  # noqa: ANN401 - JSON in, a cell out
    """A value of an entity's field as its column holds it.

    Raises:
        ValueFormatError: if it does not fit.
    """
    if value is None or (column.kind != "text" and value in ABSENT):
        return None
    try:
        return _CONVERTERS[column.kind](value)
    except (TypeError, ValueError, ArithmeticError, OSError) as error:  # OSError: an instant out of range
        raise ValueFormatError(f"{column.api_name} is {value!r}, which is no {column.kind}") from error


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
    if isinstance(value, dict | list):
        raise TypeError(type(value).__name__)
    return str(value)


def _money(value: Any) -> Decimal:  # noqa: ANN401
    if isinstance(value, bool | float):
        raise TypeError(type(value).__name__)
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("not a number")
    amount = Decimal(value)
    kept = amount.quantize(_FOUR_PLACES)
    if amount != kept or abs(kept) >= _TOO_MUCH:
        raise ValueError("more digits than the column keeps")
    return kept


def _number(value: Any) -> float:  # noqa: ANN401
    if isinstance(value, bool):
        raise TypeError("bool")
    number = float(value)
    if not isfinite(number):
        raise ValueError("not finite")
    return number


def _epoch(value: Any) -> datetime:  # noqa: ANN401
    seconds = Decimal(value)
    # `int` of 1e999999999 would fill the memory.
    if isinstance(value, bool) or abs(seconds) >= _TOO_MUCH or int(seconds) != seconds:
        raise ValueError("not a whole number of seconds")
    return datetime.fromtimestamp(int(value), UTC)


def _instant(value: Any) -> datetime:  # noqa: ANN401
    return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _flag(value: Any) -> bool:  # noqa: ANN401
    if value not in {True, False}:
        raise ValueError("neither true nor false")
    return bool(value)


def json_text(value: Any) -> str:  # noqa: ANN401
    """JSON of ours: keys in order, amounts exact."""
    return _JSON.encode(value).decode()


_CONVERTERS: dict[Kind, Callable[[Any], Any]] = {
    "id": identifier,
    "text": _plain,
    "money": _money,
    "rate": _number,
    "ratio": _number,
    "instant": _instant,
    "epoch": _epoch,
    "flag": _flag,
    "json": json_text,
}

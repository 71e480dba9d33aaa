"""Validate a JSON body against a schema (API notes 3.3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING, parse_choice, parse_id, parse_time

UNSET = "UNSET"


@dataclass(frozen=True)
class Field:
    """What one key of a body may hold.

    Attributes:
        kind: One of `KINDS`, or "objects", whose items are of `shape`.
        required: The key must be there, and not null.
        values: The only texts allowed (of each item, for a list).
        longest: The most characters of a text.
        fewest: The fewest items of a list.
        most: The most items of a list.
        shape: The fields of each item of "objects".
    """

    kind: str
    required: bool = False
    values: tuple[str, ...] = ()
    longest: int | None = None
    fewest: int = 0
    most: int | None = None
    shape: "Schema | None" = None


Schema = Mapping[str, Field]


def validate_body(
    body: Mapping[str, Any], shape: Schema, *, path: str = "", placeholders: bool = False
) -> dict[str, Any]:
    """Return the known keys of a body, checked; unknown keys and nulls are left out.

    Args:
        body: What was sent.
        shape: The keys that are known.
        path: Where the body lies, for messages.
        placeholders: Let the placeholders of an answer pass instead of refusing them (dossier 8.4).
    """
    found = {}
    for name, field in shape.items():
        value, at = body.get(name), f"{path}{name}"
        if value is None:
            if field.required:
                raise bad_parameter(at, MISSING)
            continue
        found[name] = _validate_field(value, field, at, placeholders=placeholders)
    return found


def _validate_field(value: object, field: Field, path: str, *, placeholders: bool) -> object:
    if field.kind == "objects":
        return [
            validate_body(
                _object(item, f"{path}.{index}"),
                field.shape or {},
                path=f"{path}.{index}.",
                placeholders=placeholders,
            )
            for index, item in enumerate(_list(value, field, path))
        ]
    if field.kind.endswith("s") and field.kind[:-1] in KINDS:
        return [
            _validate_value(item, field, field.kind[:-1], f"{path}.{index}")
            for index, item in enumerate(_list(value, field, path))
        ]
    if not placeholders and value in _PLACEHOLDERS.get(field.kind, ()) and value not in field.values:
        raise bad_parameter(path, f"Invalid value {value!r}.")  # placeholders are refused (dossier 8.4)
    return _validate_value(value, field, field.kind, path)


# What an answer says for "nothing", which a request may not (dossier 8.4).
_PLACEHOLDERS: dict[str, tuple[object, ...]] = {"bid": (0,), "link": ("",), "pixel": (0,), "choice": (UNSET,)}


def _list(value: object, field: Field, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise bad_parameter(path, "Not a valid list.")
    if len(value) < field.fewest:
        raise bad_parameter(path, f"Shorter than minimum length {field.fewest}.")
    if field.most is not None and len(value) > field.most:
        raise bad_parameter(path, f"Longer than maximum length {field.most}.")
    return value


def _object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise bad_parameter(path, "Not a valid object.")
    return value


def _validate_value(value: object, field: Field, kind: str, path: str) -> object:
    found = KINDS[kind](value, path)
    if field.values:
        parse_choice(found, path, field.values)
    if field.longest is not None and isinstance(found, str) and len(found) > field.longest:
        raise bad_parameter(path, f"Longer than maximum length {field.longest}.")
    return found


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise bad_parameter(path, "Not a valid string.")
    return value


def _integer(value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_parameter(path, "Not a valid integer.")
    return value


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad_parameter(path, "Not a valid number.")
    if value < 0:
        raise bad_parameter(path, "Must be greater than or equal to 0.")
    return value


def _boolean(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise bad_parameter(path, "Not a valid boolean.")
    return value


def _json_object(value: object, path: str) -> Mapping[str, Any]:
    return _object(value, path)


KINDS: dict[str, Callable[[object, str], object]] = {
    "text": _text,
    "link": _text,
    "choice": _text,
    "id": parse_id,
    "time": parse_time,
    "integer": _integer,
    "pixel": _integer,
    "number": _number,
    "bid": _number,
    "flag": _boolean,
    "thing": _json_object,
}


def refuse_read_only(body: Mapping[str, Any], names: frozenset[str], path: str = "") -> None:
    """Raise 40002 for a key that only answers have (dossier 8.4)."""
    for name in body:
        if name in names:
            raise ApiError(40002, f"{path}{name}: Unknown field.")

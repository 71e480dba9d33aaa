"""Validate a JSON body against a schema (API notes 3.3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING, parse_choice, parse_id, parse_time

UNSET = "UNSET"


@dataclass(frozen=True)
class Field:
    """The schema of one field of a body.

    Attributes:
        kind: A key of `KINDS`, its plural for a list of it, "object" for an object of `schema`, or "objects" for a
            list of them.
        required: Whether the field must be present and not null.
        values: The allowed texts, of each item for a list; empty for any text.
        max_length: The maximum length of a text.
        min_items: The minimum length of a list.
        max_items: The maximum length of a list.
        schema: The fields of "object", and of each item of "objects".
    """

    kind: str
    required: bool = False
    values: tuple[str, ...] = ()
    max_length: int | None = None
    min_items: int = 0
    max_items: int | None = None
    schema: "Schema | None" = None


Schema = Mapping[str, Field]


def validate_body(
    body: Mapping[str, Any], schema: Schema, *, path: str = "", placeholders: bool = False
) -> dict[str, Any]:
    """Validate a body, and return its known fields without nulls.

    Args:
        body: The JSON object.
        schema: Its known fields; others are ignored.
        path: The prefix of field names in errors.
        placeholders: Whether placeholders of responses are accepted (API notes 8.4).

    Raises:
        ApiError: 40002 with the dotted path of the field that is missing or malformed.
    """
    valid = {}
    for name, field in schema.items():
        value, at = body.get(name), f"{path}{name}"
        if value is None:
            if field.required:
                raise bad_parameter(at, MISSING)
            continue
        valid[name] = _validate_field(value, field, at, placeholders=placeholders)
    return valid


def _validate_field(value: object, field: Field, path: str, *, placeholders: bool) -> object:
    """Validate the value of a field, which may be a list or an object."""
    if field.kind == "object":
        inner = field.schema or {}
        return validate_body(_object(value, path), inner, path=f"{path}.", placeholders=placeholders)
    if field.kind == "objects":
        return [
            validate_body(
                _object(item, f"{path}.{index}"),
                field.schema or {},
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
        raise bad_parameter(path, f"Invalid value {value!r}.")  # a placeholder (API notes 8.4)
    return _validate_value(value, field, field.kind, path)


# Values for "none" in responses, which requests may not contain (API notes 8.4).
_PLACEHOLDERS: dict[str, tuple[object, ...]] = {"bid": (0,), "link": ("",), "pixel": (0,), "choice": (UNSET,)}


def _list(value: object, field: Field, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise bad_parameter(path, "Not a valid list.")
    if len(value) < field.min_items:
        raise bad_parameter(path, f"Shorter than minimum length {field.min_items}.")
    if field.max_items is not None and len(value) > field.max_items:
        raise bad_parameter(path, f"Longer than maximum length {field.max_items}.")
    return value


def _object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise bad_parameter(path, "Not a valid object.")
    return value


def _validate_value(value: object, field: Field, kind: str, path: str) -> object:
    valid = KINDS[kind](value, path)
    if field.values:
        parse_choice(valid, path, field.values)
    if field.max_length is not None and isinstance(valid, str) and len(valid) > field.max_length:
        raise bad_parameter(path, f"Longer than maximum length {field.max_length}.")
    return valid


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
    "boolean": _boolean,
    "dict": _object,
}


def refuse_read_only(body: Mapping[str, Any], names: frozenset[str], path: str = "") -> None:
    """Raise ApiError 40002 for a read-only field (API notes 8.4)."""
    for name in body:
        if name in names:
            raise ApiError(40002, f"{path}{name}: Unknown field.")

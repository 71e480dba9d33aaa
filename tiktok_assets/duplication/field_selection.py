"""Select, by their classification, the fields of an object that creating a copy of it accepts.

An object of an Upgraded Smart+ campaign is nested, one of a manual campaign is flat. Both are read into a flat row
with the manual names, in which a field that manual campaigns lack has its dotted name; `build_fields` makes of it
what a campaign of either kind accepts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tiktok_assets.spec import CampaignKind, CreateField

JsonObject = Mapping[str, Any]

LIST = "[]"
UNKNOWN = "unknown, not copied"


@dataclass(frozen=True, slots=True)
class FieldNote:
    """What becomes of a field of the source that is not sent as it is.

    Attributes:
        name: dotted, as it was read.
        treatment: `left out`, `refused`, or `UNKNOWN`.
        reason: why; "" for an unknown field.
    """

    name: str
    treatment: str
    reason: str = ""


def is_placeholder(value: object) -> bool:
    """Return whether a value of a response means "no value": null, "", UNSET, an empty list, a bid of 0.

    >>> [is_placeholder(one) for one in (None, "", "UNSET", [], 0, "0", False, 0.5)]
    [True, True, True, True, True, False, False, False]
    """
    if value is None or value in ([], {}):
        return True
    if isinstance(value, str):
        return value in {"", "UNSET"} or value.endswith("_UNSET")
    return not isinstance(value, bool) and value == 0


def flatten_object(row: JsonObject, fields: Iterable[CreateField], kind: CampaignKind) -> dict[str, Any]:
    """Return the known fields of an object that was read, as a flat row; the first field of a name wins."""
    flat: dict[str, Any] = {}
    for field in fields:
        if name := field.name_in(kind):
            values = list(_read_values(row, name.split(".")))
            value = values if field.is_list and LIST in name else next(iter(values), None)
            if not is_placeholder(value):
                flat.setdefault(field.key, _select_parts(value, field))
    return flat


def build_fields(flat: JsonObject, fields: Iterable[CreateField], kind: CampaignKind) -> dict[str, Any]:
    """Return the fields of a flat row that creation in a kind of campaign accepts, nested as it expects them."""
    built: dict[str, Any] = {}
    for field in fields:
        value = flat.get(field.key)
        name = field.name_in(kind)
        treatment, _ = field.treatment_in(kind)
        if name and treatment in {"copied", "translated"} and not is_placeholder(value):
            _write_value(built, name.split("."), _select_parts(value, field), is_list=field.is_list)
    return built


def find_field_notes(
    row: JsonObject, fields: Iterable[CreateField], own: CampaignKind, target: CampaignKind
) -> list[FieldNote]:
    """Find the fields with a value that are unknown, refused, or left out because the other kind lacks them.

    Args:
        row: the object as it was read.
        fields: the classification.
        own: the kind of campaign it was read from.
        target: the kind of campaign it is copied into.
    """
    known = {name.replace(LIST, ""): field for field in fields if (name := field.name_in(own))}
    notes = []
    for name, value in _walk(row, known, ""):
        field = known.get(name)
        if field is None:
            notes.append(FieldNote(name, UNKNOWN))
            continue
        treatment, reason = field.treatment_in(target)
        is_lost = treatment == "left out" and field.treatment != "left out"
        if (is_lost and value is not False) or (treatment == "refused" and _has_value(value)):
            notes.append(FieldNote(name, treatment, reason))
    return list(dict.fromkeys(notes))


def _has_value(value: object) -> bool:
    return bool(value) and value not in ("UNSET", "0", "OFF")


def _walk(value: JsonObject, known: Mapping[str, CreateField], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and value of each field; objects are opened where a known name is inside them."""
    for key, one in value.items():
        name = f"{prefix}{key}"
        if is_placeholder(one):
            continue
        field = known.get(name)
        is_container = field is None and any(other.startswith(f"{name}.") for other in known)
        if not is_container:
            yield name, one
        inner = [item for item in (one if isinstance(one, list) else [one]) if isinstance(item, Mapping)]
        for item in inner if is_container else []:
            yield from _walk(item, known, f"{name}.")
        if field is not None and field.parts is not None:
            yield from ((f"{name}.{part}", item[part]) for item in inner for part in item.keys() - field.parts)


def _select_parts(value: Any, field: CreateField) -> Any:  # noqa: ANN401 - JSON is anything
    """Keep the known parts of a value that consists of objects."""
    if field.parts is None:
        return value
    if isinstance(value, Mapping):
        return {name: one for name, one in value.items() if name in field.parts}
    if isinstance(value, list):
        return [_select_parts(one, field) for one in value]
    return value


def _read_values(value: Any, path: list[str]) -> Iterator[Any]:  # noqa: ANN401 - JSON is anything
    if not path:
        yield value
    elif isinstance(value, Mapping):
        inner = value.get(path[0].removesuffix(LIST))
        several = inner if isinstance(inner, list) and path[0].endswith(LIST) else [inner]
        for one in several:
            yield from _read_values(one, path[1:])


def _write_value(target: dict[str, Any], path: list[str], value: Any, *, is_list: bool) -> None:  # noqa: ANN401 - JSON is anything
    name, rest = path[0], path[1:]
    if not rest:
        target.setdefault(name, value)
    elif not name.endswith(LIST):
        _write_value(target.setdefault(name, {}), rest, value, is_list=is_list)
    else:
        elements = target.setdefault(name.removesuffix(LIST), [])
        has_inner_list = any(one.endswith(LIST) for one in rest)
        values = value if is_list and not has_inner_list and isinstance(value, list) else [value]
        elements.extend({} for _ in range(len(values) - len(elements)))
        for element, one in zip(elements, values, strict=False):
            _write_value(element, rest, one, is_list=is_list)

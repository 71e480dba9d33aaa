"""Check JSON values against the models of TikTok's SDK, and build the models from JSON."""

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import business_api_client as sdk

Json = Any  # any JSON value

_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "date": (str,),
    "dict": (dict,),
    "object": (object,),
}
_BOOLEAN_NUMBERS = {(bool, "int"), (bool, "float")}  # Python's booleans are numbers, JSON's are not


@cache
def load_models() -> dict[str, Any]:
    """Return all models of the SDK by name; the package does not export some of them."""
    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(sdk.models.__path__):
        imported = importlib.import_module(f"business_api_client.models.{module.name}")
        found |= {name: one for name, one in vars(imported).items() if hasattr(one, "swagger_types")}
    return found


def _split(swagger_type: str) -> tuple[str, str]:
    """Split `list[str]` into `list` and `str`, and `dict(str, object)` into `dict` and `object`."""
    if match := re.fullmatch(r"list\[(.+)\]", swagger_type):
        return "list", match[1]
    if match := re.fullmatch(r"dict\([^,]+, (.+)\)", swagger_type):
        return "dict", match[1]
    return "", swagger_type


def build_value(value: Json, swagger_type: str) -> Any:  # noqa: ANN401 - a model of the SDK, or JSON
    """Build the SDK's models of a JSON value; unknown fields are an error of the SDK."""
    container, inner = _split(swagger_type)
    if container == "list" and isinstance(value, list):
        return [build_value(one, inner) for one in value]
    if container == "dict" and isinstance(value, dict):
        return {key: build_value(one, inner) for key, one in value.items()}
    if container or inner in _PYTHON_TYPES or not isinstance(value, dict):
        return value
    model, types = load_models()[inner], list_field_types(inner)
    attributes: dict[str, str] = {name: attribute for attribute, name in model.attribute_map.items()}
    fields: dict[str, Json] = value
    return model(
        **{attributes.get(name, name): build_value(one, types.get(name, "object")) for name, one in fields.items()}
    )


def find_objections(value: Json, swagger_type: str, at: str = "") -> list[str]:
    """Return a line for each part of a JSON value that does not fit a type of the SDK; null fits every type."""
    return sorted(set(_walk(value, swagger_type, at)))


def _walk(value: Json, swagger_type: str, at: str) -> Iterator[str]:
    container, inner = _split(swagger_type)
    if value is None:
        return
    if container == "list" and isinstance(value, list):
        for one in value:
            yield from _walk(one, inner, f"{at}[]")
    elif container == "dict" and isinstance(value, dict):
        for one in value.values():
            yield from _walk(one, inner, f"{at}.*")
    elif inner in _PYTHON_TYPES or container:
        if container or not isinstance(value, _PYTHON_TYPES[inner]) or (type(value), inner) in _BOOLEAN_NUMBERS:
            yield f"{at} is no {container or inner}"
    elif isinstance(value, dict):
        yield from _walk_model(value, inner, at)
    else:
        yield f"{at} is no object"


def _walk_model(value: Mapping[str, Json], name: str, at: str) -> Iterator[str]:
    types = list_field_types(name)
    for field, one in value.items():
        below = f"{at}.{field}" if at else field
        if field in types:
            yield from _walk(one, types[field], below)
        else:
            yield f"{below} is unknown"
    for field in list_required_fields(name):
        if field not in value:
            yield f"{at}.{field} is missing" if at else f"{field} is missing"


@cache
def list_field_types(name: str) -> dict[str, str]:
    """Return the types of the fields of a model, by their names in JSON."""
    model = load_models()[name]
    return {field: model.swagger_types[attribute] for attribute, field in model.attribute_map.items()}


@cache
def list_required_fields(name: str) -> frozenset[str]:
    """Return the fields that a model of the SDK requires: it refuses null for them."""
    model = load_models()[name]
    required = set()
    for attribute, field in model.attribute_map.items():
        blank = model.__new__(model)
        try:
            setattr(blank, attribute, None)
        except ValueError:
            required.add(field)
    return frozenset(required)


def list_field_names(swagger_type: str, at: str, parents: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the dotted names of all fields of a type, those in lists with `[]`."""
    container, inner = _split(swagger_type)
    if container == "list":
        yield from list_field_names(inner, f"{at}[]", parents)
    elif container == "" and inner not in _PYTHON_TYPES and inner not in parents:
        for field, type_of_field in list_field_types(inner).items():
            below = f"{at}.{field}" if at else field
            yield below
            yield from list_field_names(type_of_field, below, (*parents, inner))

"""Check the objects in a response against the bodies with which the SDK and the OpenAPI documents create them.

The SDK's response is an envelope around any data. But an object that is read has the fields with which it was
made, so each field of a response that the body of `…/create` or `…/update` has must have the type of that body.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from tiktok_assets_tests.official_sdk.models import find_objections, list_field_types
from tiktok_assets_tests.official_sdk.openapi import find_unknown_names, load_figures
from tiktok_assets_tests.official_sdk.operations import load_operations

Json = Any  # any JSON value


@cache
def list_models(operation: str) -> tuple[str, ...]:
    """Return the names of the SDK's models for the objects in a response, those of a creative included."""
    subject, _, verb_of_response = operation.rpartition("/")
    if verb_of_response not in {"get", "info", "create", "update"} or subject.endswith(("status", "task")):
        return ()
    bodies = (load_operations().get(f"{subject}/{verb}") for verb in ("create", "update"))
    found: list[str] = []
    for body in (one.body for one in bodies if one and one.body):
        inner = list_field_types(body).get("creatives", "")
        found += [body, *([inner.removeprefix("list[").removesuffix("]")] if inner else [])]
    return tuple(found)


def list_objects(data: Json) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield the objects of a response: the data itself and the rows of its lists, with the beginning of names."""
    yield "", data
    for name, rows in data.items():
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict):
                yield f"{name}[].", row


def find_answer_objections(operation: str, data: Json) -> list[str]:
    """Return what is different in the SDK or in OpenAPI: types of fields, names, values of enumerations."""
    found = set()
    for model in list_models(operation):
        types = list_field_types(model)
        for at, row in list_objects(data):
            for field in row.keys() & types.keys():
                lines = find_objections(row[field], types[field], f"{at}{field}")
                found |= {line for line in lines if " is no " in line}  # a response may have more names, and fewer
    if operation in load_figures().operations:
        found |= {f"{name} is unknown" for name in find_unknown_names(operation, data)}
    for enumerated in list_enumerations(operation):
        for at, row in list_objects(data):
            found |= {
                f"{at}{name} has the unknown value {value}"
                for name, value in list_values(row)
                if value is not None and name in enumerated and value not in enumerated[name]
            }
    return sorted(found)


@cache
def list_enumerations(operation: str) -> tuple[dict[str, list[str]], ...]:
    """Return the enumerations of OpenAPI by the dotted names of fields, for the bodies of a response's objects."""
    subject = operation.rpartition("/")[0]
    described = load_figures().operations
    bodies = [described[f"{subject}/{verb}"] for verb in ("create", "update") if f"{subject}/{verb}" in described]
    return tuple({name: rule.values for name, rule in one.request.items() if rule.values} for one in bodies)


def list_values(value: Json, at: str = "") -> Iterator[tuple[str, Json]]:
    """Yield dotted name and value of everything in a JSON value that is neither a list nor an object."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from list_values(one, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for one in value:
            yield from list_values(one, f"{at}[]")
    else:
        yield at, value

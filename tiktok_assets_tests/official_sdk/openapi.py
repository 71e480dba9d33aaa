"""Check requests and responses against TikTok's own OpenAPI documents, which have what the SDK lacks.

TikTok publishes the documents from which its SDKs are generated for about two hundred operations. They have
required parameters, enumerations, ranges and, for newer operations, the names in responses; `openapi.json` holds
these facts for the operations of this subject, in the form of the contracts, and the paths of all others. Write it
again with `python -m tiktok_assets_tests.official_sdk.openapi FILE COMMIT DATE`.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from tiktok_assets_tests.contracts.contract import (
    Contract,
    FieldRule,
    Request,
    Source,
    StrictStruct,
    find_request_violations,
)

Json = Any  # any JSON value

FILE = Path(__file__).parent / "openapi.json"
REPOSITORY = "api-evangelist/tiktok-ads"
DOCUMENT = "openapi/tiktok-ads-marketing-api-openapi.yml"
_IN_FULL = re.compile(
    r"/(smart_plus/(campaign|adgroup|ad)/(get|create|update|status/update)|smart_plus/material_report/\w+"
    r"|gmv_max/(report/get|store/list)|report/(integrated/get|task/\w+)|adgroup/quota|advertiser/info)/"
)
"""The operations whose parameters are kept."""
_LONG = 100


class Described(StrictStruct, frozen=True):
    """What the document says of one operation; `response` has the names in `data`."""

    method: Literal["GET", "POST"]
    request: dict[str, FieldRule]
    response: list[str]


class Figures(StrictStruct, frozen=True):
    """The content of `openapi.json`; `operations` has those in full, `others` the paths of the rest.

    A long enumeration is in `enumerations` once, and a rule names it: `["$0"]`.
    """

    source: Source
    enumerations: list[list[str]]
    operations: dict[str, Described]
    others: list[str]


@cache
def load_figures() -> Figures:
    """Load the facts taken from the documents."""
    figures = msgspec.json.decode(FILE.read_bytes(), type=Figures)
    named = {f"${index}": values for index, values in enumerate(figures.enumerations)}
    for described in figures.operations.values():
        for name, rule in described.request.items():
            if rule.values and rule.values[0] in named:
                described.request[name] = msgspec.structs.replace(rule, values=named[rule.values[0]])
    return figures


def is_described(operation: str) -> bool:
    """Return whether the documents have an operation."""
    return operation in load_figures().operations or operation in load_figures().others


def find_objections(operation: str, method: str, query: Mapping[str, str], body: Json) -> list[str]:
    """Return what the documents do not know or accept in a request, with `[]` for every element of a list."""
    described = load_figures().operations[operation]
    path = f"/open_api/v1.3/{operation}/"
    contract = Contract(
        operation=operation,
        version="v1.3",
        method=described.method,
        path=path,
        source=[load_figures().source],
        request=Request(headers={}, parameters=described.request),
        response={},
        open=[],
        marks=[],
        examples=[],
    )
    found = find_request_violations(contract, method, path, query=query, body=body, headers={})
    return sorted({re.sub(r"\[\d+\]", "[]", line) for line in found})


def list_required(operation: str) -> frozenset[str]:
    """Return the parameters, or the fields of the body, that the documents require."""
    described = load_figures().operations.get(operation)
    rules = described.request.items() if described else ()
    return frozenset(name for name, rule in rules if rule.required and "." not in name)


def find_unknown_names(operation: str, data: Json) -> list[str]:
    """Return the names in the data of a response that the documents do not have."""
    known = set(load_figures().operations[operation].response)
    parents = {name.rpartition(".")[0] for name in known}
    return sorted({name for name in list_names(data) if name not in known and name.rpartition(".")[0] in parents})


def list_names(value: Json, at: str = "") -> Iterator[str]:
    """Yield the dotted name of every key in a JSON value, with `[]` for every element of a list."""
    if isinstance(value, dict):
        for key, one in value.items():
            name = f"{at}.{key}" if at else key
            yield name
            yield from list_names(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from list_names(one, f"{at}[]")


def extract(document: Mapping[str, Any], source: Source) -> Figures:
    """Take the facts from the OpenAPI document."""
    operations = {}
    for path, methods in document["paths"].items():
        if _IN_FULL.fullmatch(path):
            ((method, described),) = methods.items()
            rule = described["x-open-rules"].get("response_rule") or {}
            operations[path.strip("/")] = Described(
                method=method.upper(),
                request=dict(_list_rules(described)),
                response=sorted(_list_response(rule, "")),
            )
    others = sorted(path.strip("/") for path in document["paths"] if path.strip("/") not in operations)
    return Figures(source=source, enumerations=[], operations=operations, others=others)


def _list_rules(described: Mapping[str, Any]) -> Iterator[tuple[str, FieldRule]]:
    for one in described.get("parameters", ()):
        if one["name"] not in {"Access-Token", "Content-Type"}:
            schema = one.get("schema") or one["content"]["application/json"]["schema"]
            yield from _list_schema_rules(one["name"], schema, required=one["required"])
    body = described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    for name, schema in body.get("properties", {}).items():
        yield from _list_schema_rules(name, schema, required=name in body.get("required", ()))


def _list_schema_rules(at: str, schema: Mapping[str, Any], *, required: bool) -> Iterator[tuple[str, FieldRule]]:
    enumerated = schema.get("x-open-enum", {})
    is_id = "int64(%s)" in schema.get("x-open-convert", ())
    yield (
        at,
        FieldRule(
            types=["null", schema["type"]] if schema.get("nullable") else [schema["type"]],
            required=required,
            values=[one["key"] for one in enumerated.get("enums", ()) if one["is_valid"]] or None,
            minimum=schema.get("minimum"),
            maximum=schema.get("maximum"),
            min_items=schema.get("minItems"),
            max_items=schema.get("maxItems"),
            max_length=schema.get("maxLength"),
            format="int64" if is_id and schema["type"] == "string" else None,
        ),
    )
    for name, inner in schema.get("properties", {}).items():
        yield from _list_schema_rules(f"{at}.{name}", inner, required=name in schema.get("required", ()))
    if "items" in schema:
        yield from _list_schema_rules(f"{at}[]", schema["items"], required=False)


def _list_response(rule: Mapping[str, Any], at: str) -> Iterator[str]:
    """Yield the names of a response: `list[][]` is a list of objects, `page_info[]` an object."""
    for key, inner in rule.items():
        name = f"{at}{key.split('[', maxsplit=1)[0]}"
        yield name
        if isinstance(inner, list):
            yield from _list_response(inner[0], f"{name}[]." if key.endswith("[][]") else f"{name}.")
        elif isinstance(inner, dict):
            yield from _list_response(inner, f"{name}.")


def main(file: str, commit: str, day: str) -> None:
    """Write `openapi.json` from a copy of the document."""
    import yaml  # type: ignore[import-untyped] # noqa: PLC0415 - for this command only

    source = Source(repository=REPOSITORY, path=DOCUMENT, commit=commit, date=day, kind="OpenAPI of TikTok's SDKs")
    figures = extract(yaml.load(Path(file).read_text("utf-8"), Loader=yaml.CSafeLoader), source)
    plain = msgspec.to_builtins(figures)
    for one in plain["operations"].values():
        one["request"] = {
            name: {key: value for key, value in rule.items() if value is not None and value is not False}
            for name, rule in one["request"].items()
        }
        for rule in one["request"].values():
            if len(values := rule.get("values", [])) > _LONG:
                if values not in plain["enumerations"]:
                    plain["enumerations"].append(values)
                rule["values"] = [f"${plain['enumerations'].index(values)}"]
    FILE.write_text(_format(plain), encoding="utf-8")


def _format(plain: Mapping[str, Any]) -> str:
    """Return JSON with a line for each parameter, so that changes can be read."""
    lines = [
        "{",
        *(f'"{key}": {json.dumps(plain[key])},' for key in ("source", "enumerations")),
        '"operations": {',
    ]
    for path, one in plain["operations"].items():
        lines.append(f'"{path}": {{"method": "{one["method"]}", "request": {{')
        lines.append(
            ",\n".join(f"{json.dumps(name)}: {json.dumps(rule)}" for name, rule in one["request"].items())
        )
        lines.append(f'}}, "response": {json.dumps(one["response"])}}},')
    lines[-1] = lines[-1].removesuffix(",")
    return "\n".join([*lines, "},", f'"others": {json.dumps(plain["others"])}', "}"]) + "\n"


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Load the contracts of the API, and check requests and responses against them.

There is one JSON file per operation, in a folder per API version. A file has two flat tables from dotted paths to
rules (`data.list[].budget`; `[]` is every element, `*` is every key that is not listed), its sources, and marks
for what is uncertain. Client and sandbox are both checked against these files.
"""

import json
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

Json = Any  # any JSON value


class StrictStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record that does not allow unknown keys."""


class FieldRule(StrictStruct, frozen=True):
    """The rule of one path."""

    types: list[Literal["string", "integer", "number", "boolean", "array", "object", "null"]]
    required: bool = False  # of a parameter: unconditionally
    required_when: dict[str, list[Json]] | None = None  # if another parameter has one of these values
    required_unless: dict[str, list[Json] | None] | None = None  # … has one of these, or (null) any value
    always: bool = False  # of a response: the key is always there
    conditional: bool = False  # required in cases that the source describes in prose; not checked
    deprecated: bool = False
    values: list[str] | None = None
    minimum: int | None = None
    maximum: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    max_length: int | None = None
    format: Literal["int64", "date"] | None = None
    default: Json = None


class Remark(StrictStruct, frozen=True):
    """A note on what is uncertain, on what sources disagree about, or on what was observed on the live API."""

    about: str
    mark: Literal["uncertain", "disagree", "observed"]
    note: str


class Source(StrictStruct, frozen=True):
    """A document by somebody else."""

    repository: str
    path: str
    commit: str | None
    date: str
    kind: str


class Request(StrictStruct, frozen=True):
    """Headers and parameters: of the query for GET, of the JSON body for POST."""

    headers: dict[str, FieldRule]
    parameters: dict[str, FieldRule]


class Call(StrictStruct, frozen=True):
    """One request as it is sent."""

    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    body: Json = None


class Example(StrictStruct, frozen=True):
    """A request and its response, with our own values."""

    name: str
    request: Call
    response: Json


class Contract(StrictStruct, frozen=True, eq=False):
    """The content of one file."""

    operation: str
    version: str
    method: Literal["GET", "POST"]
    path: str
    source: list[Source]
    request: Request
    response: dict[str, FieldRule]
    open: list[str]  # objects that may have more keys; `request.` before a parameter
    marks: list[Remark]
    examples: list[Example]
    rules: dict[str, Json] = {}  # rules across several parameters; for tests, not checked here


HERE = Path(__file__).parent
ENVELOPE = ("code", "message", "request_id", "data")
SUCCESS = (0, 20001)  # 20001: partial success, with the same data
PATTERNS = {"int64": r"^-?\d{1,19}$", "date": r"^\d{4}-\d{2}-\d{2}$"}


@cache
def load_contract(operation: str, version: str = "v1.3") -> Contract:
    """Load the contract of an operation, such as `campaign/get`.

    Raises:
        FileNotFoundError: if there is none.
    """
    file = HERE / version / f"{operation.replace('/', '.')}.json"
    return msgspec.json.decode(file.read_bytes(), type=Contract)


def list_contracts() -> list[tuple[str, str]]:
    """Return operation and version of every contract."""
    files = sorted(HERE.glob("v*/*.json"))
    return [(file.stem.replace(".", "/"), file.parent.name) for file in files]


def find_response_violations(
    contract: Contract, document: Json, *, fields: Collection[str] | None = None, without_nulls: bool = False
) -> list[str]:
    """Return a sentence for each violation of the contract in a response.

    A response that is not successful must have an empty `data`.

    Args:
        contract: the contract.
        document: the parsed response.
        fields: the field names that were requested; no others may be in `data.list[]`.
        without_nulls: whether the request asked to leave nulls out.
    """
    table = contract.response
    if not isinstance(document, dict) or document.get("code") not in SUCCESS:
        return _validate(
            "the response", {path: rule for path, rule in table.items() if path in ENVELOPE}, (), document
        )
    if fields is not None:
        row = "data.list[]."
        table = {p: f for p, f in table.items() if not p.startswith(row) or _first_name(p[len(row) :]) in fields}
    if without_nulls:
        table = {
            p: msgspec.structs.replace(f, always=f.always and "null" not in f.types) for p, f in table.items()
        }
    return _validate("the response", table, contract.open, document)


def find_request_violations(
    contract: Contract,
    method: str,
    path: str,
    *,
    query: Mapping[str, str],
    body: Json,
    headers: Mapping[str, str],
) -> list[str]:
    """Return a sentence for each violation of the contract in a request.

    Headers that the contract does not list are allowed.

    Args:
        contract: the contract.
        method: the HTTP method.
        path: the path of the URL.
        query: the query parameters, decoded as text.
        body: the parsed JSON body, or None.
        headers: the HTTP headers.
    """
    violations = [
        f"the {name} is {got!r}, not {wanted!r}."
        for name, got, wanted in (("method", method, contract.method), ("path", path, contract.path))
        if got != wanted
    ]
    lowered = {name.lower(): text.partition(";")[0].strip() for name, text in headers.items()}
    known = {name.lower(): rule for name, rule in contract.request.headers.items()}
    violations += _validate("headers", known, (), {name: text for name, text in lowered.items() if name in known})
    table = contract.request.parameters
    if contract.method == "GET":
        sent = {
            name: _decode_parameter(table[name], text) if name in table else text for name, text in query.items()
        }
        violations += ["a GET carries no body."] if body is not None else []
    else:
        sent = body
        violations += [f"{name} is in the query of a POST." for name in query]
    open_ = tuple(p.removeprefix("request.") for p in contract.open if p.startswith("request."))
    violations += _validate("the request", table, open_, sent)
    top = [(name, rule) for name, rule in table.items() if name == _first_name(name) and isinstance(sent, dict)]
    for name, rule in top:
        when = (rule.required_when or {}).items()
        unless = (rule.required_unless or {}).items()
        wanted = any(sent.get(other) in values for other, values in when) or bool(unless)
        excused = any(other in sent if values is None else sent.get(other) in values for other, values in unless)
        if name not in sent and wanted and not excused:
            violations.append(f"{name} is missing, which the other parameters require.")
    return violations


def _first_name(path: str) -> str:
    """Return the first name of a dotted path."""
    return path.partition(".")[0].removesuffix("[]")


def _decode_parameter(rule: FieldRule, text: str) -> Json:
    """Return the JSON value of a query parameter, or its text if it is not JSON."""
    if "string" in rule.types:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _validate(subject: str, table: Mapping[str, FieldRule], open_: Collection[str], value: Json) -> list[str]:
    """Validate a value against a table, and return a sentence for each violation."""
    schema = _build_object_schema("", table, open_)
    try:
        SchemaValidator(schema).validate_python(value, strict=True)
    except ValidationError as error:
        return [_format_violation(subject, one["type"], one["loc"], one["msg"]) for one in error.errors()]
    return []


def _format_violation(subject: str, kind: str, location: tuple[int | str, ...], message: str) -> str:
    path = (
        "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".") or subject
    )
    ending = {"missing": "is missing", "extra_forbidden": "is not known"}.get(kind)
    return f"{path} {ending}." if ending else f"{path}: {message[0].lower()}{message[1:]}."


def _build_object_schema(path: str, table: Mapping[str, FieldRule], open_: Collection[str]) -> CoreSchema:
    """Build the schema of the object at a path from the rows one level below it."""
    prefix = f"{path}." if path else ""
    nested = {p.removeprefix(prefix): rule for p, rule in table.items() if p.startswith(prefix)}
    rows = {name: rule for name, rule in nested.items() if "." not in name and not name.endswith("[]")}
    fields = {
        name: core_schema.typed_dict_field(
            _build_value_schema(prefix + name, rule, table, open_), required=rule.required or rule.always
        )
        for name, rule in rows.items()
        if name != "*"
    }
    rest = _build_value_schema(f"{prefix}*", rows["*"], table, open_) if "*" in rows else None
    # An object without rows may have any keys; but the `data` of a failure, and the parameters of an operation
    # without parameters, must be empty.
    free = rest is not None or path in open_ or (not rows and path not in {"data", ""})
    return core_schema.typed_dict_schema(fields, extra_behavior="allow" if free else "forbid", extras_schema=rest)


def _build_value_schema(
    path: str, rule: FieldRule, table: Mapping[str, FieldRule], open_: Collection[str]
) -> CoreSchema:
    """Build the schema of one path, with one choice per type."""
    item = table.get(f"{path}[]")
    choices: dict[str, Any] = {
        "array": lambda: core_schema.list_schema(
            _build_value_schema(f"{path}[]", item, table, open_) if item else None,
            min_length=rule.min_items,
            max_length=rule.max_items,
        ),
        "boolean": core_schema.bool_schema,
        "integer": lambda: core_schema.int_schema(ge=rule.minimum, le=rule.maximum),
        "null": core_schema.none_schema,
        "number": lambda: core_schema.float_schema(ge=rule.minimum, le=rule.maximum),
        "object": lambda: _build_object_schema(path, table, open_),
        "string": lambda: (
            core_schema.literal_schema(list(rule.values))
            if rule.values
            else core_schema.str_schema(max_length=rule.max_length, pattern=PATTERNS.get(rule.format or ""))
        ),
    }
    kinds = [kind for kind in rule.types if kind != "null"]
    schema = choices[kinds[0]]()
    if len(kinds) > 1:
        wanted = f"should be one of {', '.join(kinds)}"
        schema = core_schema.union_schema(
            [choices[kind]() for kind in kinds], custom_error_type="types", custom_error_message=wanted
        )
    return core_schema.nullable_schema(schema) if "null" in rule.types else schema

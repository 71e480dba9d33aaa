"""What a contract file is made of: an unknown key or a missing one fails the load."""

import json
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

Json = Any  # whatever JSON can hold


class StrictStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record in which an unknown key is an error."""


class FieldRule(StrictStruct, frozen=True):
    """What is known of one path."""

    types: list[Literal["string", "integer", "number", "boolean", "array", "object", "null"]]
    required: bool = False  # of a parameter: by itself
    required_when: dict[str, list[Json]] | None = None  # another parameter has one of these values
    required_unless: dict[str, list[Json] | None] | None = None  # … has one of these, or (null) is there at all
    always: bool = False  # of an answer: the key is in every answer
    conditional: bool = False  # required in cases the source tells in prose; not checked
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
    """Where a fact is uncertain, where sources disagree, or what was seen on the live API."""

    about: str
    mark: Literal["uncertain", "disagree", "observed"]
    note: str


class Source(StrictStruct, frozen=True):
    """A document that somebody else wrote."""

    repository: str
    path: str
    commit: str | None
    date: str
    kind: str


class Request(StrictStruct, frozen=True):
    """The headers and the parameters: of the query for GET, of the JSON body for POST."""

    headers: dict[str, FieldRule]
    parameters: dict[str, FieldRule]


class Call(StrictStruct, frozen=True):
    """One request as it goes over the wire."""

    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    body: Json = None


class Example(StrictStruct, frozen=True):
    """A request and its answer, in our own values."""

    name: str
    request: Call
    response: Json


class Contract(StrictStruct, frozen=True, eq=False):
    """Everything one file says."""

    operation: str
    version: str
    method: Literal["GET", "POST"]
    path: str
    source: list[Source]
    request: Request
    response: dict[str, FieldRule]
    open: list[str]  # objects that may hold more keys than the source shows; `request.` before a parameter
    marks: list[Remark]
    examples: list[Example]
    rules: dict[str, Json] = {}  # facts that span several parameters; read by tests, not checked here


HERE = Path(__file__).parent
ENVELOPE = ("code", "message", "request_id", "data")
SUCCESS = (0, 20001)  # 20001: done in part; the data are those of a success
PATTERNS = {"int64": r"^-?\d{1,19}$", "date": r"^\d{4}-\d{2}-\d{2}$"}


@cache
def load_contract(operation: str, version: str = "v1.3") -> Contract:
    """The contract of an operation (`campaign/get`); FileNotFoundError when there is none."""
    file = HERE / version / f"{operation.replace('/', '.')}.json"
    return msgspec.json.decode(file.read_bytes(), type=Contract)


def list_contracts() -> list[tuple[str, str]]:
    """Every (operation, version) that has a contract."""
    files = sorted(HERE.glob("v*/*.json"))
    return [(file.stem.replace(".", "/"), file.parent.name) for file in files]


def find_response_violations(
    contract: Contract, document: Json, *, fields: Collection[str] | None = None, without_nulls: bool = False
) -> list[str]:
    """What in an answer the contract does not allow, a sentence each; [] when nothing.

    `fields` are the names the request asked for: only those may be in `data.list[]`. `without_nulls` says that the
    request asked to leave nulls out. An answer that is not a success must hold an empty `data`.
    """
    table = contract.response
    if not isinstance(document, dict) or document.get("code") not in SUCCESS:
        return _check("the answer", {path: fact for path, fact in table.items() if path in ENVELOPE}, (), document)
    if fields is not None:
        row = "data.list[]."
        table = {p: f for p, f in table.items() if not p.startswith(row) or _head(p[len(row) :]) in fields}
    if without_nulls:
        table = {
            p: msgspec.structs.replace(f, always=f.always and "null" not in f.types) for p, f in table.items()
        }
    return _check("the answer", table, contract.open, document)


def find_request_violations(
    contract: Contract,
    method: str,
    path: str,
    *,
    query: Mapping[str, str],
    body: Json,
    headers: Mapping[str, str],
) -> list[str]:
    """What in a request the contract does not allow, a sentence each; [] when nothing.

    `query` holds the parameters as text, decoded from the URL; `body` the parsed JSON, None without one.
    Headers the contract does not name are allowed.
    """
    found = [
        f"the {name} is {got!r}, not {wanted!r}."
        for name, got, wanted in (("method", method, contract.method), ("path", path, contract.path))
        if got != wanted
    ]
    lowered = {name.lower(): text.partition(";")[0].strip() for name, text in headers.items()}
    known = {name.lower(): fact for name, fact in contract.request.headers.items()}
    found += _check("headers", known, (), {name: text for name, text in lowered.items() if name in known})
    table = contract.request.parameters
    if contract.method == "GET":
        sent = {name: _decoded(table[name], text) if name in table else text for name, text in query.items()}
        found += ["a GET carries no body."] if body is not None else []
    else:
        sent = body
        found += [f"{name} is in the query of a POST." for name in query]
    open_ = tuple(p.removeprefix("request.") for p in contract.open if p.startswith("request."))
    found += _check("the request", table, open_, sent)
    top = [(name, fact) for name, fact in table.items() if name == _head(name) and isinstance(sent, dict)]
    for name, fact in top:
        when = (fact.required_when or {}).items()
        unless = (fact.required_unless or {}).items()
        wanted = any(sent.get(other) in values for other, values in when) or bool(unless)
        excused = any(other in sent if values is None else sent.get(other) in values for other, values in unless)
        if name not in sent and wanted and not excused:
            found.append(f"{name} is missing, which the other parameters require.")
    return found


def _head(path: str) -> str:
    """The first name of a dotted path."""
    return path.partition(".")[0].removesuffix("[]")


def _decoded(fact: FieldRule, text: str) -> Json:
    """A query parameter as the JSON value its text stands for; the text itself when it stands for none."""
    if "string" in fact.types:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check(whole: str, table: Mapping[str, FieldRule], open_: Collection[str], value: Json) -> list[str]:
    """Validate a value against a table; every disagreement as a sentence."""
    schema = _object("", table, open_)
    try:
        SchemaValidator(schema).validate_python(value, strict=True)
    except ValidationError as error:
        return [_sentence(whole, one["type"], one["loc"], one["msg"]) for one in error.errors()]
    return []


def _sentence(whole: str, kind: str, location: tuple[int | str, ...], message: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".") or whole
    ending = {"missing": "is missing", "extra_forbidden": "is not known"}.get(kind)
    return f"{path} {ending}." if ending else f"{path}: {message[0].lower()}{message[1:]}."


def _object(path: str, table: Mapping[str, FieldRule], open_: Collection[str]) -> CoreSchema:
    """The schema of the object at a path, from the table's rows one step below it."""
    prefix = f"{path}." if path else ""
    below = {p.removeprefix(prefix): fact for p, fact in table.items() if p.startswith(prefix)}
    rows = {name: fact for name, fact in below.items() if "." not in name and not name.endswith("[]")}
    fields = {
        name: core_schema.typed_dict_field(
            _value(prefix + name, fact, table, open_), required=fact.required or fact.always
        )
        for name, fact in rows.items()
        if name != "*"
    }
    rest = _value(f"{prefix}*", rows["*"], table, open_) if "*" in rows else None
    # An object about which the source says nothing more may hold anything; but the `data` of a failure, and the
    # parameters of an operation that has none, may hold nothing.
    free = rest is not None or path in open_ or (not rows and path not in {"data", ""})
    return core_schema.typed_dict_schema(fields, extra_behavior="allow" if free else "forbid", extras_schema=rest)


def _value(path: str, fact: FieldRule, table: Mapping[str, FieldRule], open_: Collection[str]) -> CoreSchema:
    """The schema of one path: one choice per type."""
    item = table.get(f"{path}[]")
    choices: dict[str, Any] = {
        "array": lambda: core_schema.list_schema(
            _value(f"{path}[]", item, table, open_) if item else None,
            min_length=fact.min_items,
            max_length=fact.max_items,
        ),
        "boolean": core_schema.bool_schema,
        "integer": lambda: core_schema.int_schema(ge=fact.minimum, le=fact.maximum),
        "null": core_schema.none_schema,
        "number": lambda: core_schema.float_schema(ge=fact.minimum, le=fact.maximum),
        "object": lambda: _object(path, table, open_),
        "string": lambda: (
            core_schema.literal_schema(list(fact.values))
            if fact.values
            else core_schema.str_schema(max_length=fact.max_length, pattern=PATTERNS.get(fact.format or ""))
        ),
    }
    kinds = [kind for kind in fact.types if kind != "null"]
    schema = choices[kinds[0]]()
    if len(kinds) > 1:
        wanted = f"should be one of {', '.join(kinds)}"
        schema = core_schema.union_schema(
            [choices[kind]() for kind in kinds], custom_error_type="types", custom_error_message=wanted
        )
    return core_schema.nullable_schema(schema) if "null" in fact.types else schema

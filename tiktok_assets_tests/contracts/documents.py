"""What a contract file is made of: an unknown key or a missing one fails the load."""

from typing import Any, Literal

import msgspec

Json = Any  # whatever JSON can hold


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record in which an unknown key is an error."""


class Fact(_Closed, frozen=True):
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


class Mark(_Closed, frozen=True):
    """Where a fact is uncertain, where sources disagree, or what was seen on the live API."""

    about: str
    mark: Literal["uncertain", "disagree", "observed"]
    note: str


class Source(_Closed, frozen=True):
    """A document that somebody else wrote."""

    repository: str
    path: str
    commit: str | None
    date: str
    kind: str


class Request(_Closed, frozen=True):
    """The headers and the parameters: of the query for GET, of the JSON body for POST."""

    headers: dict[str, Fact]
    parameters: dict[str, Fact]


class Call(_Closed, frozen=True):
    """One request as it goes over the wire."""

    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    body: Json = None


class Example(_Closed, frozen=True):
    """A request and its answer, in our own values."""

    name: str
    request: Call
    response: Json


class Contract(_Closed, frozen=True, eq=False):
    """Everything one file says."""

    operation: str
    version: str
    method: Literal["GET", "POST"]
    path: str
    source: list[Source]
    request: Request
    response: dict[str, Fact]
    open: list[str]  # objects that may hold more keys than the source shows; `request.` before a parameter
    marks: list[Mark]
    examples: list[Example]
    rules: dict[str, Json] = {}  # facts that span several parameters; read by tests, not checked here

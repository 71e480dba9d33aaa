"""List the operations of TikTok's SDK with their parameters, and check values against the SDK's types.

Nothing is transcribed: each method of the SDK is called with a client that records what would be sent, so that
path, method and the place of each parameter are those of the installed version. Types are in the SDK's docstrings
and in its models. The SDK has no enumerations, and its responses are an envelope around any data.
"""

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import business_api_client as sdk

from tiktok_assets_tests.official_sdk.models import build_value, find_objections, list_field_names, load_models

Json = Any  # any JSON value
Place = Literal["query", "body", "header"]

PREFIX = "/open_api/v1.3/"
TOKEN = "access_token"
_PARAMETER = re.compile(r":param (\S.*?) (\w+):")


@dataclass(frozen=True)
class Parameter:
    """One argument of an SDK method: its name in the request, its type in the SDK, and where it is sent."""

    argument: str
    type: str
    place: Place
    required: bool


@dataclass(frozen=True)
class Operation:
    """One method of the SDK; the body is the parameter named `body`."""

    path: str
    method: str
    api_class: Any  # the SDK has no types
    function: str
    parameters: Mapping[str, Parameter]

    @property
    def body(self) -> str | None:
        """The type of the body, if it has one."""
        return next((one.type for one in self.parameters.values() if one.place == "body"), None)

    def call(self, client: Any, token: str, sent: Mapping[str, Json]) -> dict[str, Json]:  # noqa: ANN401 - has no types
        """Send a request through the SDK and return the data and request id of the response.

        Args:
            client: the SDK's `ApiClient`.
            token: the access token.
            sent: the parameters of the query, or the fields of the body.
        """
        arguments = {
            one.argument: build_value(self._value_of(name, one, sent), one.type)
            for name, one in self.parameters.items()
            if one.place != "header" and (one.place == "body" or name in sent)
        }
        if any(one.argument == TOKEN for one in self.parameters.values()):
            arguments[TOKEN] = token
        response: dict[str, Json] = getattr(self.api_class(client), self.function)(**arguments)
        return response

    @staticmethod
    def _value_of(name: str, parameter: Parameter, sent: Mapping[str, Json]) -> Json:
        return dict(sent) if parameter.place == "body" else sent[name]

    def find_objections(self, sent: Mapping[str, Json]) -> list[str]:
        """Return what the SDK does not know or accept in a request: unknown names, other types, missing ones."""
        if self.body:
            return find_objections(sent, self.body)
        known = {name: one for name, one in self.parameters.items() if one.place == "query"}
        found = [f"{name} is unknown" for name in sent.keys() - known.keys()]
        found += [f"{name} is missing" for name, one in known.items() if one.required and name not in sent]
        for name in sent.keys() & known.keys():
            found += find_objections(sent[name], known[name].type, name)
        return sorted(set(found))

    def decode_query(self, query: Mapping[str, str]) -> dict[str, Json]:
        """Return the values of a query; a parameter that is text for the SDK stays text."""
        types = {name: one.type for name, one in self.parameters.items()}
        return {
            name: text if types.get(name, "str") == "str" else json.loads(text) for name, text in query.items()
        }

    def list_names(self) -> set[str]:
        """Return the dotted names of all parameters and fields, those in lists with `[]`."""
        names: set[str] = set()
        for name, one in self.parameters.items():
            if one.place == "body":
                names |= set(list_field_names(one.type, ""))
            elif one.place == "query":
                names |= {name, *list_field_names(one.type, name)}
        return names


class _Recorder:
    """Stands in for the SDK's `ApiClient` and keeps what a method would send."""

    def __init__(self) -> None:
        self.request: tuple[str, str, list[tuple[str, Json]], dict[str, Json], Json] | None = None

    def select_header_accept(self, accepts: list[str]) -> str:
        return accepts[0]

    def select_header_content_type(self, types: list[str]) -> str:
        return types[0]

    def call_api(self, path: str, method: str, *given: Json, body: Json = None, **_: Json) -> None:
        _, query, headers = given
        self.request = (path, method, query, headers, body)


@cache
def load_operations() -> dict[str, Operation]:
    """Return all operations of the installed SDK, by path as in the contracts."""
    found = {}
    for module in pkgutil.iter_modules(sdk.api.__path__):
        imported = importlib.import_module(f"business_api_client.api.{module.name}")
        for class_name, one in vars(imported).items():
            if inspect.isclass(one) and class_name.endswith("Api") and one.__module__ == imported.__name__:
                for name in vars(one):
                    if name.endswith("_with_http_info"):
                        operation = _record(one, name.removesuffix("_with_http_info"))
                        found[operation.path] = operation
    return found


def _record(api_class: Any, function: str) -> Operation:  # noqa: ANN401 - a class of the SDK
    recorder = _Recorder()
    method = getattr(api_class(recorder), f"{function}_with_http_info")
    types = {name: kind for kind, name in _PARAMETER.findall(method.__doc__)}
    required = {name for name in inspect.signature(method).parameters if name != "kwargs"}
    method(**{name: name for name in types})  # each argument has its own name as value
    assert recorder.request
    path, verb, query, headers, body = recorder.request
    places: list[tuple[str, Json, Place]] = [
        *((name, value, "query") for name, value in query),
        *((name, value, "header") for name, value in headers.items()),
        *((value, value, "body") for value in (body,)),
    ]
    words = "".join(part.title() for part in function.split("_"))
    if types.get("filtering") == "list[object]" and f"Filtering{words}" in load_models():
        types["filtering"] = f"list[Filtering{words}]"  # the method of reports has lost the type of its filter
    parameters = {
        name: Parameter(value, types[value], place, value in required)
        for name, value, place in places
        if isinstance(value, str) and value in types
    }
    return Operation(path.removeprefix(PREFIX).strip("/"), verb, api_class, function, parameters)

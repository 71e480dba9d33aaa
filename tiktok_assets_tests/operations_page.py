"""Generate `docs/operations.md`: operation by operation, what uses it and which external sources confirm it."""

from collections.abc import Iterator, Mapping

from tiktok_assets.sandbox.routes import VERSIONS
from tiktok_assets_tests.api_sources import ASSUMPTIONS, SOURCE_KINDS, list_sent_names, load_witnesses
from tiktok_assets_tests.contracts.contract import list_contracts, load_contract
from tiktok_assets_tests.markdown import WRITTEN_BY, table
from tiktok_assets_tests.official_sdk.answers import list_models
from tiktok_assets_tests.official_sdk.differences import NOT_IN_THE_SDK, REQUESTS, RESPONSES
from tiktok_assets_tests.official_sdk.openapi import is_described, load_figures
from tiktok_assets_tests.official_sdk.operations import load_operations

HEAD = ("operation", "used", "sandbox", "page", "SDK", "OpenAPI", "other projects", "uncertain")
OTHER_PROJECTS = ("recorded", "probed", "client")

INTRODUCTION = """
Every operation of the API that the client uses or the sandbox has, with the external sources that it is checked
against. The names behind each operation are in [Sources of the API fields](contact.md).

- **page**: there is a contract, transcribed from a mirror of the official reference; client and sandbox keep it.
- **SDK**: TikTok's own SDK has the operation. Each kind of request that the client sends has the names and types
  of the SDK, and the SDK itself calls the sandbox over HTTP. *objects*: the fields of the objects in a response
  have the types with which the SDK creates and changes such objects. The SDK has neither enumerations nor types
  of responses.
- **OpenAPI**: the documents from which TikTok generates its SDKs have the operation. *parameters*: requests are
  checked against its types, required parameters, enumerations and ranges; *names*: so are the names in responses;
  *path*: these facts are not used here.
- **other projects**: sources of other connectors, as in [Sources of the API fields](contact.md#sources).
- **uncertain**: parts of the contract that its sources leave open, and our assumptions about its behaviour.
""".strip()


def operations_page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_render_lines()) + "\n"


def list_operations() -> list[str]:
    """Return all operations of v1.3 that the client or the sandbox has."""
    return sorted(list_sent_names().keys() | VERSIONS["v1.3"].keys())


def _render_lines() -> Iterator[str]:
    yield "# Operations"
    yield ""
    yield WRITTEN_BY
    yield ""
    yield INTRODUCTION
    yield ""
    yield from table(HEAD, (_build_row(operation) for operation in list_operations()))
    source, described = load_figures().source, len(load_figures().operations) + len(load_figures().others)
    yield ""
    yield (
        f"The SDK is that of `constraints.txt`; it has {len(load_operations())} operations. The OpenAPI documents"
        f" are those of {source.repository} of {source.date}, with {described}."
    )
    yield ""
    yield "## Differences"
    yield ""
    yield "What SDK or OpenAPI documents lack or contradict. A test fails if one of these appears or disappears."
    yield ""
    yield from table(("operation", "of", "difference", "reason"), _list_differences())


def _build_row(operation: str) -> tuple[str, ...]:
    has_page = (operation, "v1.3") in list_contracts()
    return (
        operation,
        _mark(operation in list_sent_names()),
        _mark(operation in VERSIONS["v1.3"]),
        _mark(has_page),
        _describe_sdk(operation),
        _describe_openapi(operation),
        ", ".join(_list_projects(operation)) or "-",
        ", ".join(_list_uncertain(operation, has_page=has_page)) or "-",
    )


def _mark(holds: bool) -> str:
    return "yes" if holds else "no"


def _describe_sdk(operation: str) -> str:
    if operation not in load_operations():
        return "-"
    return "requests, objects" if list_models(operation) else "requests"


def _describe_openapi(operation: str) -> str:
    described = load_figures().operations.get(operation)
    if described is None:
        return "path" if is_described(operation) else "-"
    return "parameters, names" if described.response else "parameters"


def _list_projects(operation: str) -> list[str]:
    witnesses = load_witnesses()
    return [
        kind
        for kind in SOURCE_KINDS
        if kind in OTHER_PROJECTS
        and operation in {*witnesses[kind].read, *witnesses[kind].sent, *witnesses[kind].calls}
    ]


def _list_uncertain(operation: str, *, has_page: bool) -> list[str]:
    marks = load_contract(operation).marks if has_page else []
    names = [f"`{mark.about}`" for mark in marks if mark.mark == "uncertain"]
    assumed = sum(1 for name, _, _ in ASSUMPTIONS if name == operation)
    link = f"[{assumed} assumption{'s' if assumed > 1 else ''}](contact.md#unconfirmed)"
    return [*dict.fromkeys(names), *([link] if assumed else [])]


def _list_differences() -> Iterator[tuple[str, str, str, str]]:
    differences: tuple[tuple[str, Mapping[str, Mapping[str, str]]], ...] = (
        ("requests", REQUESTS),
        ("responses", RESPONSES),
    )
    for operation, reason in sorted(NOT_IN_THE_SDK.items()):
        yield operation, "operation", "is unknown to the SDK", reason
    for what, listed in differences:
        for operation, lines in sorted(listed.items()):
            for line, reason in sorted(lines.items()):
                yield operation, what, line, reason

"""Tests of the contract files, and of the functions that check requests and responses against them."""

import copy
import json
from collections.abc import Iterator

import pytest

from tiktok_assets_tests.contracts.contract import (
    HERE,
    Contract,
    Example,
    Json,
    find_request_violations,
    find_response_violations,
    list_contracts,
    load_contract,
)

CONTRACTS = [load_contract(*name) for name in list_contracts()]
EXAMPLES = [
    pytest.param(contract, example, id=f"{contract.version} {contract.operation}: {example.name}")
    for contract in CONTRACTS
    for example in contract.examples
]
each_contract = pytest.mark.parametrize(
    "contract", CONTRACTS, ids=[f"{one.version} {one.operation}" for one in CONTRACTS]
)
each_example = pytest.mark.parametrize(("contract", "example"), EXAMPLES)


def _check_request(contract: Contract, example: Example, **changed: Json) -> list[str]:
    sent = {"query": example.request.query, "body": example.request.body, "headers": example.request.headers}
    return find_request_violations(contract, contract.method, contract.path, **{**sent, **changed})


def _walk(value: Json, path: str = "") -> Iterator[tuple[str, Json, Json]]:
    """Yield each place in a document: its path as in the contract, its container, and its key or index."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        here = f"{path}[]" if isinstance(step, int) else f"{path}.{step}".lstrip(".")
        yield here, value, step
        yield from _walk(inner, here)


@each_contract
def test_contract_has_its_name_and_sources(contract: Contract) -> None:
    """The name, version and path of a file agree, and it has dated sources."""
    assert f"/open_api/{contract.version}/{contract.operation}/" == contract.path
    assert (contract.operation, contract.version) in list_contracts()
    assert [source for source in contract.source if not source.date] == []
    assert contract.source


@each_contract
def test_every_path_has_a_parent(contract: Contract) -> None:
    """The parent of a key is an object, and the parent of `[]` is an array."""
    for table in (contract.response, contract.request.parameters):
        for path in table:
            parent, kind = (path[:-2], "array") if path.endswith("[]") else (path.rpartition(".")[0], "object")
            assert not parent or kind in table[parent].types, path


@each_contract
def test_marks_refer_to_existing_paths(contract: Contract) -> None:
    """A mark refers to a path of the tables, the path of the operation or the request."""
    known = {"path", "request", "request.parameters", *contract.response}
    known |= {f"request.parameters.{path}" for path in contract.request.parameters}
    lost = [m.about for m in contract.marks if not {m.about, f"{m.about.rpartition('.')[0]}.*"} & known]
    assert lost == []


@each_example
def test_examples_keep_their_contract(contract: Contract, example: Example) -> None:
    """Request and response of every example have no violations."""
    assert find_response_violations(contract, example.response) == []
    assert _check_request(contract, example) == []


@each_example
def test_missing_key_is_a_violation(contract: Contract, example: Example) -> None:
    """A response without a key that is always there is a violation with its path."""
    for path, _, _ in _walk(example.response):
        rule = contract.response.get(path)
        if rule is None or not rule.always or path.endswith("[]"):
            continue
        response = copy.deepcopy(example.response)
        container, key = next((h, k) for p, h, k in _walk(response) if p == path)
        del container[key]
        found = find_response_violations(contract, response)
        if path == "code":
            assert found
        else:
            assert [line for line in found if line.endswith(f"{key} is missing.")], path


@each_example
def test_wrong_type_is_a_violation(contract: Contract, example: Example) -> None:
    """A value of another type anywhere in a response is a violation."""
    for path, _, _ in _walk(example.response):
        response = copy.deepcopy(example.response)
        container, key = next((h, k) for p, h, k in _walk(response) if p == path)
        container[key] = "" if isinstance(container[key], dict) else {"surprise": 1}
        assert find_response_violations(contract, response), path


@each_example
def test_unknown_key_is_a_violation(contract: Contract, example: Example) -> None:
    """An unknown key in a response is a violation unless the object is open."""
    for path, container, _ in [("", {"": example.response}, ""), *_walk(example.response)]:
        inner = container[""] if path == "" else None
        response = copy.deepcopy(example.response)
        target = response if inner is not None else next(h[k] for p, h, k in _walk(response) if p == path)
        if not isinstance(target, dict) or path in contract.open or f"{path}.*" in contract.response:
            continue
        target["surprise"] = 1
        assert any("surprise is not known" in line for line in find_response_violations(contract, response)), path


@each_contract
def test_failure_has_empty_data(contract: Contract) -> None:
    """A response with an error code must have an empty `data`."""
    failure = {"code": 40002, "message": "example reason", "request_id": "1", "data": {}}
    assert find_response_violations(contract, failure) == []
    assert find_response_violations(contract, failure | {"data": {"list": []}}) == ["data.list is not known."]


@each_example
def test_unknown_parameter_is_a_violation(contract: Contract, example: Example) -> None:
    """An unknown parameter in a query or body is a violation."""
    if contract.method == "GET":
        assert _check_request(contract, example, query={**example.request.query, "surprise": "1"}) == [
            "surprise is not known."
        ]
    else:
        assert _check_request(contract, example, body={**example.request.body, "surprise": 1}) == [
            "surprise is not known."
        ]
        assert _check_request(contract, example, query={"surprise": "1"}) == [
            "surprise is in the query of a POST."
        ]


@each_example
def test_missing_parameter_is_a_violation(contract: Contract, example: Example) -> None:
    """A request without a required parameter or header is a violation."""
    part = "query" if contract.method == "GET" else "body"
    sent = getattr(example.request, part)
    for name, rule in contract.request.parameters.items():
        if rule.required and "." not in name:
            left = {key: value for key, value in sent.items() if key != name}
            assert f"{name} is missing." in _check_request(contract, example, **{part: left})
    expected_violations = [
        f"{name.lower()} is missing." for name, rule in contract.request.headers.items() if rule.required
    ]
    assert _check_request(contract, example, headers={}) == expected_violations


@each_contract
def test_wrong_method_or_path_is_a_violation(contract: Contract) -> None:
    """A wrong method, or a path without its last slash, is a violation."""
    call = contract.examples[0].request
    assert (
        len(
            find_request_violations(
                contract, "PUT", contract.path[:-1], query=call.query, body=call.body, headers=call.headers
            )
        )
        == 2
    )


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"page_size": "1001"}, "page_size: input should be less than or equal to 1000."),
        ({"page": "0"}, "page: input should be greater than or equal to 1."),
        ({"page": "one"}, "page: input should be a valid integer."),
        ({"dimensions": "ad_id"}, "dimensions: input should be a valid list."),
        ({"filtering": '[{"field_name":"ad_ids","filter_type":"IN"}]'}, "filtering[0].filter_value is missing."),
        ({"advertiser_id": "my account"}, "advertiser_id: string should match pattern '^-?\\d{1,19}$'."),
        ({"order_type": "UP"}, "order_type: input should be 'ASC' or 'DESC'."),
        ({"query_lifetime": "false"}, None),
        ({"query_lifetime": "True"}, "query_lifetime: input should be a valid boolean."),
    ],
)
def test_query_parameters_have_types_and_ranges(changed: dict[str, str], expected: str | None) -> None:
    """A query parameter is checked as the JSON value of its text."""
    contract = load_contract("report/integrated/get")
    found = _check_request(contract, contract.examples[0], query={**contract.examples[0].request.query, **changed})
    assert ([] if expected is None else [expected]) == found


def test_conditionally_required_parameters() -> None:
    """Parameters that other parameters require are checked."""
    contract = load_contract("report/integrated/get")
    query = dict(contract.examples[0].request.query)
    del query["start_date"], query["advertiser_id"]
    found = _check_request(contract, contract.examples[0], query=query)
    assert found == [
        "advertiser_id is missing, which the other parameters require.",
        "start_date is missing, which the other parameters require.",
    ]
    several = query | {"advertiser_ids": json.dumps(["7000000000000000001"]), "query_lifetime": "true"}
    assert _check_request(contract, contract.examples[0], query=several) == []


def test_every_level_has_a_daily_and_a_lifetime_report() -> None:
    """The examples of reports cover four levels, each daily and lifetime."""
    levels = {
        (call.query["data_level"], "query_lifetime" in call.query)
        for call in (example.request for example in load_contract("report/integrated/get").examples)
    }
    assert len(levels) == 8


def test_requested_fields_limit_the_response() -> None:
    """With `fields`, other field names are neither required nor allowed."""
    contract = load_contract("campaign/get")
    response = copy.deepcopy(contract.examples[0].response)
    row = response["data"]["list"][0]
    response["data"]["list"] = [{"campaign_id": row["campaign_id"]}]
    assert find_response_violations(contract, response, fields=["campaign_id"]) == []
    response["data"]["list"] = [row]
    assert find_response_violations(contract, response, fields=["campaign_id"])


def test_nulls_may_be_left_out() -> None:
    """With `without_nulls`, nullable keys may be missing, and others may not."""
    contract = load_contract("adgroup/get")
    response = copy.deepcopy(contract.examples[0].response)
    row = response["data"]["list"][0]
    response["data"]["list"] = [{key: value for key, value in row.items() if value is not None}]
    assert find_response_violations(contract, response)
    assert find_response_violations(contract, response, without_nulls=True) == []
    del response["data"]["list"][0]["adgroup_id"]
    assert find_response_violations(contract, response, without_nulls=True) == [
        "data.list[0].adgroup_id is missing."
    ]


@each_contract
def test_readme_lists_every_contract(contract: Contract) -> None:
    """README.md has a row for every contract and every disagreement between sources."""
    page = (HERE / "README.md").read_text()
    assert f"| [{contract.operation}]({contract.version}/{contract.operation.replace('/', '.')}.json) |" in page
    assert [mark.note for mark in contract.marks if mark.mark == "disagree" and mark.note not in page] == []

"""Laws of the contract files and of the two judges, so that a contract can be trusted as a witness."""

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


def _judge(contract: Contract, example: Example, **changed: Json) -> list[str]:
    sent = {"query": example.request.query, "body": example.request.body, "headers": example.request.headers}
    return find_request_violations(contract, contract.method, contract.path, **{**sent, **changed})


def _places(value: Json, path: str = "") -> Iterator[tuple[str, Json, Json]]:
    """Every place in a document: its path in the contract's spelling, what holds it, its key or index."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        here = f"{path}[]" if isinstance(step, int) else f"{path}.{step}".lstrip(".")
        yield here, value, step
        yield from _places(inner, here)


@each_contract
def test_a_contract_is_named_after_its_operation_and_says_whose_word_it_is(contract: Contract) -> None:
    """A file's name, version and path are one thing, and every file names a dated source."""
    assert f"/open_api/{contract.version}/{contract.operation}/" == contract.path
    assert (contract.operation, contract.version) in list_contracts()
    assert [source for source in contract.source if not source.date] == []
    assert contract.source


@each_contract
def test_every_path_hangs_on_a_path_that_can_hold_it(contract: Contract) -> None:
    """No fact is out of reach: the parent of a key is an object, the parent of `[]` an array."""
    for table in (contract.response, contract.request.parameters):
        for path in table:
            parent, kind = (path[:-2], "array") if path.endswith("[]") else (path.rpartition(".")[0], "object")
            assert not parent or kind in table[parent].types, path


@each_contract
def test_every_mark_is_about_something_in_the_contract(contract: Contract) -> None:
    """A mark points at a path of the tables, at the path of the operation or at the request as a whole."""
    known = {"path", "request", "request.parameters", *contract.response}
    known |= {f"request.parameters.{path}" for path in contract.request.parameters}
    lost = [m.about for m in contract.marks if not {m.about, f"{m.about.rpartition('.')[0]}.*"} & known]
    assert lost == []


@each_example
def test_an_example_keeps_its_own_contract(contract: Contract, example: Example) -> None:
    """The request and the answer of every example are without violations."""
    assert find_response_violations(contract, example.response) == []
    assert _judge(contract, example) == []


@each_example
def test_an_answer_without_an_always_key_is_a_violation(contract: Contract, example: Example) -> None:
    """Taking away any key that is always there is noticed, with its path."""
    for path, _, _ in _places(example.response):
        fact = contract.response.get(path)
        if fact is None or not fact.always or path.endswith("[]"):
            continue
        answer = copy.deepcopy(example.response)
        holder, key = next((h, k) for p, h, k in _places(answer) if p == path)
        del holder[key]
        found = find_response_violations(contract, answer)
        if path == "code":
            assert found
        else:
            assert [line for line in found if line.endswith(f"{key} is missing.")], path


@each_example
def test_a_value_of_another_type_is_a_violation(contract: Contract, example: Example) -> None:
    """No place of an answer accepts an object where the contract has none, nor text in place of an object."""
    for path, _, _ in _places(example.response):
        answer = copy.deepcopy(example.response)
        holder, key = next((h, k) for p, h, k in _places(answer) if p == path)
        holder[key] = "" if isinstance(holder[key], dict) else {"surprise": 1}
        assert find_response_violations(contract, answer), path


@each_example
def test_a_key_nobody_documented_is_a_violation(contract: Contract, example: Example) -> None:
    """Every object of an answer is closed, but for those the contract calls open or whose keys are free."""
    for path, holder, _ in [("", {"": example.response}, ""), *_places(example.response)]:
        inner = holder[""] if path == "" else None
        answer = copy.deepcopy(example.response)
        target = answer if inner is not None else next(h[k] for p, h, k in _places(answer) if p == path)
        if not isinstance(target, dict) or path in contract.open or f"{path}.*" in contract.response:
            continue
        target["surprise"] = 1
        assert any("surprise is not known" in line for line in find_response_violations(contract, answer)), path


@each_contract
def test_a_failure_has_empty_data(contract: Contract) -> None:
    """With a code that is not a success the envelope is whole and `data` is an empty object."""
    failure = {"code": 40002, "message": "example reason", "request_id": "1", "data": {}}
    assert find_response_violations(contract, failure) == []
    assert find_response_violations(contract, failure | {"data": {"list": []}}) == ["data.list is not known."]


@each_example
def test_a_parameter_nobody_documented_is_a_violation(contract: Contract, example: Example) -> None:
    """Neither a query nor a body may carry a name outside the contract."""
    if contract.method == "GET":
        assert _judge(contract, example, query={**example.request.query, "surprise": "1"}) == [
            "surprise is not known."
        ]
    else:
        assert _judge(contract, example, body={**example.request.body, "surprise": 1}) == [
            "surprise is not known."
        ]
        assert _judge(contract, example, query={"surprise": "1"}) == ["surprise is in the query of a POST."]


@each_example
def test_a_request_without_a_required_parameter_is_a_violation(contract: Contract, example: Example) -> None:
    """Leaving out any required parameter or header is noticed by name."""
    part = "query" if contract.method == "GET" else "body"
    sent = getattr(example.request, part)
    for name, fact in contract.request.parameters.items():
        if fact.required and "." not in name:
            left = {key: value for key, value in sent.items() if key != name}
            assert f"{name} is missing." in _judge(contract, example, **{part: left})
    demanded = [f"{name.lower()} is missing." for name, fact in contract.request.headers.items() if fact.required]
    assert _judge(contract, example, headers={}) == demanded


@each_contract
def test_the_wrong_door_is_a_violation(contract: Contract) -> None:
    """Another method, or a path without its last slash, is not this operation."""
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
def test_a_query_is_text_with_types_and_ranges(changed: dict[str, str], expected: str | None) -> None:
    """A GET parameter is judged as the JSON value its text stands for."""
    contract = load_contract("report/integrated/get")
    found = _judge(contract, contract.examples[0], query={**contract.examples[0].request.query, **changed})
    assert ([] if expected is None else [expected]) == found


def test_a_condition_between_parameters_is_checked() -> None:
    """Dates are needed unless the report is for the lifetime; an account unless several are named."""
    contract = load_contract("report/integrated/get")
    query = dict(contract.examples[0].request.query)
    del query["start_date"], query["advertiser_id"]
    found = _judge(contract, contract.examples[0], query=query)
    assert found == [
        "advertiser_id is missing, which the other parameters require.",
        "start_date is missing, which the other parameters require.",
    ]
    several = query | {"advertiser_ids": json.dumps(["7000000000000000001"]), "query_lifetime": "true"}
    assert _judge(contract, contract.examples[0], query=several) == []


def test_every_level_has_a_daily_and_a_lifetime_report() -> None:
    """The report's examples cover four levels, each by day and for the lifetime."""
    levels = {
        (call.query["data_level"], "query_lifetime" in call.query)
        for call in (example.request for example in load_contract("report/integrated/get").examples)
    }
    assert len(levels) == 8


def test_fields_narrow_an_answer() -> None:
    """With `fields`, other names are neither demanded nor allowed."""
    contract = load_contract("campaign/get")
    answer = copy.deepcopy(contract.examples[0].response)
    row = answer["data"]["list"][0]
    answer["data"]["list"] = [{"campaign_id": row["campaign_id"]}]
    assert find_response_violations(contract, answer, fields=["campaign_id"]) == []
    answer["data"]["list"] = [row]
    assert find_response_violations(contract, answer, fields=["campaign_id"])


def test_nulls_may_be_left_out_when_asked() -> None:
    """Without nulls, a key that may be null is not demanded; one that may not be null still is."""
    contract = load_contract("adgroup/get")
    answer = copy.deepcopy(contract.examples[0].response)
    row = answer["data"]["list"][0]
    answer["data"]["list"] = [{key: value for key, value in row.items() if value is not None}]
    assert find_response_violations(contract, answer)
    assert find_response_violations(contract, answer, without_nulls=True) == []
    del answer["data"]["list"][0]["adgroup_id"]
    assert find_response_violations(contract, answer, without_nulls=True) == [
        "data.list[0].adgroup_id is missing."
    ]


@each_contract
def test_the_page_about_the_contracts_leaves_none_out(contract: Contract) -> None:
    """README.md has a row for every contract and for every disagreement between sources."""
    page = (HERE / "README.md").read_text()
    assert f"| [{contract.operation}]({contract.version}/{contract.operation.replace('/', '.')}.json) |" in page
    assert [mark.note for mark in contract.marks if mark.mark == "disagree" and mark.note not in page] == []

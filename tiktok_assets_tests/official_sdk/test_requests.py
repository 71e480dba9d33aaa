"""Tests that TikTok's SDK and OpenAPI documents accept all requests of the client."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tiktok_assets_tests.api_sources import list_sent_names
from tiktok_assets_tests.full_payloads import build_full_payloads
from tiktok_assets_tests.official_sdk import openapi
from tiktok_assets_tests.official_sdk.differences import FULL_PAYLOADS, NOT_IN_THE_SDK, REQUESTS
from tiktok_assets_tests.official_sdk.operations import load_operations

OPERATIONS = sorted(list_sent_names())
IN_THE_SDK = [one for one in OPERATIONS if one not in NOT_IN_THE_SDK]
NOT_LOGGED = {"secret": "not-a-real-secret", "auth_code": "not-a-real-code"}
"""Parameters that the sandbox leaves out of its log."""


def add_secrets(operation: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Add the parameters that the log leaves out."""
    return {**{name: NOT_LOGGED[name] for name in list_sent_names()[operation] & NOT_LOGGED.keys()}, **sent}


def find_all_objections(request: Mapping[str, Any]) -> set[str]:
    """Return the objections of SDK and OpenAPI to a logged request."""
    path, method, body = request["path"], request["method"], request["body"]
    operation = load_operations()[path]
    assert operation.method == method
    sent = operation.decode_query(request["query"]) if method == "GET" else body
    found = set(operation.find_objections(add_secrets(path, sent)))
    if path in openapi.load_figures().operations:
        found |= set(openapi.find_objections(path, method, request["query"], body if method == "POST" else None))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("operation", IN_THE_SDK)
def test_sdk_accepts_requests(sent_requests: list[dict[str, Any]], operation: str) -> None:
    """Names, types and required parameters of all requests are those of the SDK, but for the listed ones."""
    sent = [one for one in sent_requests if one["path"] == operation]
    assert sent
    assert {line for one in sent for line in find_all_objections(one)} == REQUESTS.get(operation, {}).keys()


@pytest.mark.parametrize("operation", IN_THE_SDK)
def test_sdk_has_every_name(operation: str) -> None:
    """Every name that may be sent, also in a request no test sends, is in the SDK or listed."""
    names = {name for name in list_sent_names()[operation] if "=" not in name}
    other = names - load_operations()[operation].list_names()
    unknown = {f"{name} is unknown" for name in other if name.rpartition(".")[0] not in other}
    assert unknown <= REQUESTS.get(operation, {}).keys() | FULL_PAYLOADS.get(operation, {}).keys()


@pytest.mark.parametrize("operation", sorted(build_full_payloads(typed=True)))
def test_sdk_accepts_every_documented_field(operation: str) -> None:
    """A copy of an object with every documented field, each of its documented type, is accepted by the SDK."""
    bodies = json.loads(json.dumps(build_full_payloads(typed=True)[operation], default=float))
    found = {line for body in bodies for line in load_operations()[operation].find_objections(body)}
    assert found == FULL_PAYLOADS.get(operation, {}).keys()


def test_operations_not_in_the_sdk_are_listed() -> None:
    """An operation of the client that the SDK lacks is listed, and one that it has is not."""
    assert NOT_IN_THE_SDK.keys() & load_operations().keys() == set()
    assert set(OPERATIONS) - load_operations().keys() <= NOT_IN_THE_SDK.keys()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"page_size": "ten"}, {"page_size is no int"}),
        ({"colour": "red"}, {"colour is unknown"}),
        ({"filtering": {"campaign_ids": "1"}}, {"filtering.campaign_ids is no list"}),
        ({"filtering": {"campaign_ids": [1]}}, {"filtering.campaign_ids[] is no str"}),
        ({"filtering": {"colour": "red"}}, {"filtering.colour is unknown"}),
        ({"fields": ["campaign_id"], "page": 2}, set()),
    ],
)
def test_wrong_queries_are_refused(changed: dict[str, Any], expected: set[str]) -> None:
    """An unknown parameter, another type and a missing parameter are objections."""
    operation = load_operations()["campaign/get"]
    assert set(operation.find_objections({"advertiser_id": "1", **changed})) == expected
    assert operation.find_objections({}) == ["advertiser_id is missing"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"operation_status": "DISABLE"}, []),
        ({"operation_status": "OFF"}, ["operation_status: input should be 'DISABLE' or 'ENABLE'."]),
        ({"creative_list": []}, ["creative_list: list should have at least 1 item after validation, not 0."]),
        (
            {"ad_text_list": [{"text": "Try it"}]},
            ["ad_text_list[].ad_text is missing.", "ad_text_list[].text is not known."],
        ),
    ],
)
def test_wrong_bodies_are_refused(changed: dict[str, Any], expected: list[str]) -> None:
    """Enumerations and ranges, which the SDK has lost, are those of the OpenAPI documents."""
    body = {"advertiser_id": "1", "adgroup_id": "2", "ad_name": "One", **changed}
    assert openapi.find_objections("smart_plus/ad/create", "POST", {}, body) == expected
    sdk = load_operations()["smart_plus/ad/create"]
    assert bool(sdk.find_objections(body)) == ("text_list[].text" in str(expected))

"""Tests in which TikTok's SDK calls the sandbox over HTTP, and judges what it reads."""

import json
from typing import Any

import pytest

from tiktok_assets.sandbox.routes import VERSIONS
from tiktok_assets_tests.official_sdk import openapi
from tiktok_assets_tests.official_sdk.answers import find_answer_objections
from tiktok_assets_tests.official_sdk.conftest import NEW_NAME, Tour
from tiktok_assets_tests.official_sdk.differences import ACCEPTED, NOT_IN_THE_SDK, OPTIONAL, RESPONSES
from tiktok_assets_tests.official_sdk.operations import load_operations
from tiktok_assets_tests.sandbox.conftest import Api

ROUTES = VERSIONS["v1.3"]
IN_THE_SDK = sorted(ROUTES.keys() - NOT_IN_THE_SDK.keys())


@pytest.mark.slow
@pytest.mark.parametrize("operation", IN_THE_SDK)
def test_responses_fit_the_sdk(tour: Tour, operation: str) -> None:
    """Each operation succeeds through the SDK, with types and names of the SDK and of OpenAPI, or listed ones."""
    assert tour.data_of(operation)
    found = {line for data in tour.data_of(operation) for line in find_answer_objections(operation, data)}
    assert found == RESPONSES.get(operation, {}).keys()


@pytest.mark.slow
@pytest.mark.parametrize("operation", IN_THE_SDK)
def test_accepted_requests_fit_the_sdk(tour: Tour, operation: str) -> None:
    """The sandbox accepts nothing that the SDK or OpenAPI refuses, but for what is listed."""
    method = ROUTES[operation].method
    found: set[str] = set()
    for sent in (one.sent for one in tour.accepted(operation)):
        found |= set(load_operations()[operation].find_objections(sent))
        if operation in openapi.load_figures().operations:
            query = {name: one if isinstance(one, str) else json.dumps(one) for name, one in sent.items()}
            in_query, in_body = (query, None) if method == "GET" else ({}, sent)
            found |= set(openapi.find_objections(operation, method, in_query, in_body))
    assert found == ACCEPTED.get(operation, {}).keys()


@pytest.mark.parametrize("operation", IN_THE_SDK)
def test_what_the_sdk_requires_is_required(tour: Tour, operation: str) -> None:
    """The sandbox refuses a request without a parameter that the SDK or OpenAPI requires, but for listed ones."""
    required = load_operations()[operation].list_required() | openapi.list_required(operation)
    sent = dict(tour.accepted(operation)[0].sent)
    assert required <= sent.keys()
    plain = Api(tour.api.sandbox, tour.api.http)
    send = plain.get if ROUTES[operation].method == "GET" else plain.post
    without = {name: {key: value for key, value in sent.items() if key != name} for name in required}
    accepted = {name for name, incomplete in without.items() if send(operation, **incomplete)["code"] == 0}
    assert accepted == OPTIONAL.get(operation, {}).keys()


def test_sdk_reads_what_plain_http_reads(tour: Tour) -> None:
    """The SDK sends each kind of read the client sends, and reads the same data as plain HTTP."""
    for one in tour.compared:
        assert one.by_sdk["code"] == one.by_hand["code"], one
        assert one.by_sdk["data"] == one.by_hand["data"], one
    reads = {name for name in IN_THE_SDK if ROUTES[name].method == "GET"}
    assert {one.operation for one in tour.compared} == reads


CREATES = [one for one in IN_THE_SDK if one.endswith("/create") and ROUTES[one].is_write]


@pytest.mark.parametrize("operation", CREATES)
def test_sdk_reads_what_it_created(tour: Tour, operation: str) -> None:
    """What the SDK reads of an object is what it sent to create it, in lists and inner objects too."""
    sent, read = tour.created[operation]
    assert find_lost(sent, read) <= {"request_id"}


def find_lost(sent: Any, read: Any, at: str = "") -> set[str]:  # noqa: ANN401 - any JSON
    """Return the dotted names of what was sent and is not in what was read."""
    if isinstance(sent, dict) and isinstance(read, dict):
        names = ((f"{at}.{name}" if at else name, value, read.get(name)) for name, value in sent.items())
        return {lost for name, value, found in names for lost in find_lost(value, found, name)}
    if isinstance(sent, list) and isinstance(read, list) and len(sent) == len(read):
        return {lost for one, found in zip(sent, read, strict=True) for lost in find_lost(one, found, f"{at}[]")}
    return set() if sent == read else {at}


@pytest.mark.parametrize("prefix", ["", "smart_plus/"])
def test_sdk_changes_are_read(tour: Tour, prefix: str) -> None:
    """Objects that the SDK switched off and deleted with their campaign have these statuses in every list."""
    found = {
        level: {
            (row["secondary_status"], row["operation_status"])
            for data in tour.data_of(f"{prefix}{level}/get")
            for row in data["list"]
            # In ad/get an Upgraded Smart+ ad is its creatives, which have a status of their own.
            if row[f"{level}_name"] == NEW_NAME and (prefix or not row.get("smart_plus_ad_id"))
        }
        for level in ("campaign", "adgroup", "ad")
    }
    assert {status for status, _ in found["campaign"]} == {"CAMPAIGN_STATUS_DELETE"}
    assert found["adgroup"] == {("ADGROUP_STATUS_CAMPAIGN_DELETE", "DISABLE")}
    assert found["ad"] == {("AD_STATUS_CAMPAIGN_DELETE", "DISABLE")}


def test_routes_not_in_the_sdk_are_listed() -> None:
    """A route of the sandbox that the SDK lacks is listed, and no operation is listed that the SDK has."""
    assert ROUTES.keys() - load_operations().keys() <= NOT_IN_THE_SDK.keys()
    assert NOT_IN_THE_SDK.keys() & load_operations().keys() == set()
    assert NOT_IN_THE_SDK.keys() <= ROUTES.keys()


def test_lists_of_differences_name_known_operations() -> None:
    """Differences are listed for routes that the SDK has."""
    assert RESPONSES.keys() <= set(IN_THE_SDK)


@pytest.mark.parametrize(
    ("operation", "data", "expected"),
    [
        ("campaign/get", {"list": [{"budget": "50"}]}, ["list[].budget is no float"]),
        ("campaign/get", {"list": [{"budget": 50, "campaign_id": 1}]}, ["list[].campaign_id is no str"]),
        ("adgroup/create", {"placements": "PLACEMENT_TIKTOK"}, ["placements is no list"]),
        ("ad/create", {"creatives": [{"image_ids": [1]}]}, ["creatives[].image_ids[] is no str"]),
        ("adgroup/quota", {"used": 1}, ["used is unknown"]),
        (
            "smart_plus/ad/get",
            {"list": [{"creative_list": [{"creative_info": {"ad_format": "VIDEO", "video_id": "1"}}]}]},
            [
                "list[].creative_list[].creative_info.ad_format has the unknown value VIDEO",
                "list[].creative_list[].creative_info.video_id is unknown",
            ],
        ),
    ],
)
def test_wrong_responses_are_refused(operation: str, data: dict[str, Any], expected: list[str]) -> None:
    """Another type, an unknown name and an unknown value are objections."""
    assert find_answer_objections(operation, data) == expected

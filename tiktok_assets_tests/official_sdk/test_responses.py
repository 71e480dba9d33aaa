"""Tests in which TikTok's SDK calls the sandbox over HTTP, and judges what it reads."""

from typing import Any

import pytest

from tiktok_assets.sandbox.routes import VERSIONS
from tiktok_assets_tests.official_sdk.answers import find_answer_objections
from tiktok_assets_tests.official_sdk.conftest import NEW_NAME, Tour
from tiktok_assets_tests.official_sdk.differences import NOT_IN_THE_SDK, RESPONSES
from tiktok_assets_tests.official_sdk.operations import load_operations

ROUTES = VERSIONS["v1.3"]
IN_THE_SDK = sorted(ROUTES.keys() - NOT_IN_THE_SDK.keys())


@pytest.mark.parametrize("operation", IN_THE_SDK)
def test_responses_fit_the_sdk(tour: Tour, operation: str) -> None:
    """Each operation succeeds through the SDK, with types and names of the SDK and of OpenAPI, or listed ones."""
    assert tour.data_of(operation)
    found = {line for data in tour.data_of(operation) for line in find_answer_objections(operation, data)}
    assert found == RESPONSES.get(operation, {}).keys()


def test_sdk_reads_what_plain_http_reads(tour: Tour) -> None:
    """The SDK sends each kind of read the client sends, and reads the same data as plain HTTP."""
    for one in tour.compared:
        assert one.by_sdk["code"] == one.by_hand["code"], one
        assert one.by_sdk["data"] == one.by_hand["data"], one
    reads = {name for name in IN_THE_SDK if ROUTES[name].method == "GET"}
    assert {one.operation for one in tour.compared} == reads


@pytest.mark.parametrize("level", ["campaign", "adgroup", "ad"])
def test_sdk_reads_what_it_created(tour: Tour, level: str) -> None:
    """What the SDK reads of an object is what it sent to create it."""
    sent, read = tour.created[level]
    assert {name: read[name] for name in sent.keys() & read.keys()} == {
        name: value for name, value in sent.items() if name in read
    }
    assert sent.keys() - read.keys() <= {"video_id", "image_ids"}


def test_sdk_changes_are_read(tour: Tour) -> None:
    """Objects that the SDK renamed, switched off and deleted have the new name and status."""
    rows: dict[str, Any] = {
        level: [row for data in tour.data_of(f"{level}/get") for row in data["list"]] for level in tour.created
    }
    renamed = {level: [row for row in of if row[f"{level}_name"] == NEW_NAME] for level, of in rows.items()}
    assert {row["secondary_status"] for row in renamed["campaign"]} == {"CAMPAIGN_STATUS_DELETE"}
    assert {row["secondary_status"] for row in renamed["adgroup"]} == {"ADGROUP_STATUS_CAMPAIGN_DELETE"}
    assert {(row["secondary_status"], row["operation_status"]) for row in renamed["ad"]} == {
        ("AD_STATUS_CAMPAIGN_DELETE", "DISABLE")
    }


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

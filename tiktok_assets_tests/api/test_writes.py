"""Laws of a write: sent once, carried nowhere else, and a doubt about its outcome is always told as one."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.errors import (
    AdvertiserError,
    BannedError,
    CredentialsError,
    RequestError,
    RetryLaterError,
    ThrottledError,
    TikTokError,
    UnknownOutcomeError,
    suggest_fix,
)
from tiktok_assets.api.retry import encode_body
from tiktok_assets.api.writes import create_object, find_ids_by_marker, format_request
from tiktok_assets.spec.endpoints import AD_CREATE, AD_GROUP_CREATE, WRITES
from tiktok_assets_tests.api.conftest import FAST, SHORT_TIMEOUTS, SMALL, Host, Listener, assert_no_secret_leaks

BODY: dict[str, Any] = {"advertiser_id": "7001", "adgroup_name": "x", "budget": Decimal("49.90")}
MAY_BE_DONE = {
    "a lost answer": {"kind": "commit_then_cut"},
    "a lost request": {"kind": "cut_before"},
    "half an answer": {"kind": "cut"},
    "an answer cut to no JSON": {"kind": "truncated", "commit": True},
    "a page of a proxy": {"kind": "not_json"},
    "HTTP 502": {"kind": "http_status", "status": 502, "html": "<html>"},
    "HTTP 504": {"kind": "http_status", "status": 504, "html": "<html>"},
    "a system error": {"kind": "code", "code": 50000},
    "a time-out of theirs": {"kind": "code", "code": 50002},
    "a back end that failed": {"kind": "code", "code": 51022},
    "a request id seen before": {"kind": "code", "code": 40050},
    "a code nobody knows": {"kind": "code", "code": 49999},
    "a redirect": {"kind": "redirect", "location": "https://elsewhere.example/"},
}
SURELY_NOT_DONE: dict[str, tuple[dict[str, object], type[TikTokError]]] = {
    "a wrong body": ({"kind": "code", "code": 40002}, RequestError),
    "a check of TikTok's own": ({"kind": "code", "code": 40700}, RequestError),
    "no right": ({"kind": "code", "code": 40001}, AdvertiserError),
    "a banned address": ({"kind": "code", "code": 41000}, BannedError),
    "no token": ({"kind": "code", "code": 40105}, CredentialsError),
    "too fast, the app": ({"kind": "code", "code": 40100}, ThrottledError),
    "too fast, the account": ({"kind": "code", "code": 40133}, ThrottledError),
    "HTTP 429": ({"kind": "http_status", "status": 429, "html": "<html>"}, ThrottledError),
    "another write was first": ({"kind": "code", "code": 40202}, RetryLaterError),
}


@pytest.fixture(scope="module")
def own_host() -> Iterator[Host]:
    """A small world of our own: what is written here shall disturb nobody."""
    with Host.run(SMALL) as host:
        yield host


@pytest.fixture
def small(own_host: Host) -> Iterator[Host]:
    """The same, well-behaved before and after."""
    own_host.behave()
    yield own_host
    own_host.behave()


def posted(host: Host) -> int:
    """How many writes the host has seen."""
    return sum(one["method"] == "POST" for one in host.requests)


def write(client: Client, body: Mapping[str, Any] = BODY) -> object:
    """A write of an ad group."""
    return client.post(AD_GROUP_CREATE, body, RequestStats())


def good_body(host: Host) -> dict[str, Any]:
    """A body the host takes."""
    owner = next(iter(host.sandbox.world.advertisers.values()))
    return {
        "advertiser_id": owner.id,
        "campaign_id": owner.campaigns[0].id,
        "adgroup_name": "x",
        "promotion_type": "WEBSITE",
        "placement_type": "PLACEMENT_TYPE_AUTOMATIC",
        "location_ids": ["6252001"],
        "budget_mode": "BUDGET_MODE_DYNAMIC_DAILY_BUDGET",
        "budget": Decimal(50),
        "schedule_type": "SCHEDULE_FROM_NOW",
        "schedule_start_time": "2026-11-09 18:00:00",
        "optimization_goal": "CONVERT",
        "optimization_event": "SHOPPING",
        "pixel_id": "7",
        "billing_event": "OCPM",
        "pacing": "PACING_MODE_SMOOTH",
    }


@pytest.mark.parametrize("fault", MAY_BE_DONE.values(), ids=MAY_BE_DONE.keys())
def test_a_doubt_is_told_as_one(small: Host, fault: dict[str, object]) -> None:
    """Whatever leaves it open whether a write was done is an unknown outcome, and it is not sent again."""
    small.misbehave(path="adgroup/create", times=None, **fault)  # type: ignore[arg-type] # the kind is text

    with pytest.raises(UnknownOutcomeError, match="adgroup/create") as raised:
        write(small.client(), good_body(small))

    small.settle(1)
    assert posted(small) == 1
    assert "Look" in suggest_fix(raised.value)


@pytest.mark.parametrize(("fault", "kind"), SURELY_NOT_DONE.values(), ids=SURELY_NOT_DONE.keys())
def test_a_refusal_keeps_its_name(small: Host, fault: dict[str, object], kind: type[TikTokError]) -> None:
    """Where nothing can have been written the error says what to do next, and it is not sent again either."""
    small.misbehave(path="adgroup/create", times=None, **fault)  # type: ignore[arg-type] # the kind is text

    with pytest.raises(kind) as raised:
        write(small.client())

    assert not isinstance(raised.value, UnknownOutcomeError)
    assert posted(small) == 1


def test_no_answer_in_time_is_a_doubt(small: Host) -> None:
    """A write that hangs may still be done."""
    small.misbehave("hang", path="adgroup/create", seconds=0.7)

    with pytest.raises(UnknownOutcomeError):
        write(small.client(SHORT_TIMEOUTS))

    small.settle(1)


def test_without_a_connection_nothing_was_done() -> None:
    """A host that cannot be reached has written nothing."""
    with (
        Listener() as gone,
        Client(gone.url, "token", policy=FAST) as client,
    ):
        gone.__exit__()
        with pytest.raises(RetryLaterError, match="cannot reach"):
            write(client)


def test_what_keeps_a_request_back_keeps_it_back(small: Host) -> None:
    """What is called just before sending may raise, and nothing leaves."""

    def refuse() -> None:
        raise KeyError("held")

    with pytest.raises(KeyError):
        small.client().post(AD_GROUP_CREATE, BODY, RequestStats(), just_before=refuse)

    assert small.requests == []


def test_a_body_leaves_exactly_as_it_is_shown(everything_logged: pytest.LogCaptureFixture) -> None:
    """What a dry run shows is what is sent, byte for byte, with exact amounts; the token is only in its header."""
    with Listener(body=b'{"code":40002,"message":"no"}') as host, Client(host.url, "s3cret") as client:
        text = format_request(client, AD_GROUP_CREATE, BODY)
        with pytest.raises(RequestError) as raised:
            write(client)

    method, body = text.split("\n")
    assert method == f"POST {host.url}/open_api/v1.3/adgroup/create/"
    assert host.bodies == [body.encode()] == [encode_body(BODY)]
    assert b'"budget":49.90' in host.bodies[0]
    headers = host.heard[0][1]
    assert (headers["access-token"], headers["content-type"]) == ("s3cret", "application/json")
    assert_no_secret_leaks(("s3cret",), everything_logged, raised.value)


def test_an_answer_that_names_nothing_is_a_doubt() -> None:
    """A success without the id of what was made is no success we can build on."""
    with (
        Listener(body=b'{"code":0,"message":"OK","data":{"ad_ids":[]}}') as host,
        Client(host.url, "token", policy=FAST) as client,
        pytest.raises(UnknownOutcomeError, match="names no object"),
    ):
        create_object(client, AD_CREATE, BODY, lambda data: data["ad_ids"][0], lambda: None)


def test_a_redirect_is_not_followed() -> None:
    """A write is sent to nobody but the host it was meant for, not even on the same host."""
    with (
        Listener(status=307, headers={"Location": "/elsewhere"}) as host,
        Client(host.url, "token", policy=FAST) as client,
        pytest.raises(UnknownOutcomeError, match="redirects"),
    ):
        write(client)

    assert [path for path, _ in host.heard] == ["/open_api/v1.3/adgroup/create/"]


def test_markers_end_names() -> None:
    """An object is ours if its name ends with the marker; of several the oldest counts."""
    rows: list[dict[str, Any]] = [
        {"id": "20", "n": "b [m]"},
        {"id": "9", "n": "a [m]"},
        {"id": "1", "n": "[m] c"},
        {"id": "2", "n": None},
    ]
    assert find_ids_by_marker(rows, "id", "n", "[m]") == ["9", "20"]


def test_writes_are_few() -> None:
    """All this project can write are an ad group and an ad; it updates and deletes nothing."""
    assert [one.path for one in WRITES] == ["adgroup/create/", "ad/create/"]

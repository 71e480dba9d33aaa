"""Tests of writes: they are sent once, never redirected, and raise UnknownOutcomeError in case of doubt."""

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
UNCLEAR_FAILURES = {
    "lost response": {"kind": "commit_then_cut"},
    "lost request": {"kind": "cut_before"},
    "half a response": {"kind": "cut"},
    "response cut within its JSON": {"kind": "truncated", "commit": True},
    "page of a proxy": {"kind": "not_json"},
    "HTTP 502": {"kind": "http_status", "status": 502, "html": "<html>"},
    "HTTP 504": {"kind": "http_status", "status": 504, "html": "<html>"},
    "system error": {"kind": "code", "code": 50000},
    "timeout of TikTok": {"kind": "code", "code": 50002},
    "failed backend": {"kind": "code", "code": 51022},
    "repeated request id": {"kind": "code", "code": 40050},
    "unknown code": {"kind": "code", "code": 49999},
    "redirect": {"kind": "redirect", "location": "https://elsewhere.example/"},
}
REJECTIONS: dict[str, tuple[dict[str, object], type[TikTokError]]] = {
    "wrong body": ({"kind": "code", "code": 40002}, RequestError),
    "validation by TikTok": ({"kind": "code", "code": 40700}, RequestError),
    "missing permission": ({"kind": "code", "code": 40001}, AdvertiserError),
    "banned address": ({"kind": "code", "code": 41000}, BannedError),
    "no token": ({"kind": "code", "code": 40105}, CredentialsError),
    "rate limit of the app": ({"kind": "code", "code": 40100}, ThrottledError),
    "rate limit of the account": ({"kind": "code", "code": 40133}, ThrottledError),
    "HTTP 429": ({"kind": "http_status", "status": 429, "html": "<html>"}, ThrottledError),
    "conflict with another write": ({"kind": "code", "code": 40202}, RetryLaterError),
}


@pytest.fixture(scope="module")
def module_host() -> Iterator[Host]:
    """Run a host of a small world for this module, because its tests write."""
    with Host.run(SMALL) as host:
        yield host


@pytest.fixture
def small_host(module_host: Host) -> Iterator[Host]:
    """Return the host of this module, reset before and after the test."""
    module_host.reset()
    yield module_host
    module_host.reset()


def count_writes(host: Host) -> int:
    """Return how many writes the host has received."""
    return sum(one["method"] == "POST" for one in host.requests)


def send_write(client: Client, body: Mapping[str, Any] = BODY) -> object:
    """Send a request that creates an ad group."""
    return client.post(AD_GROUP_CREATE, body, RequestStats())


def build_valid_body(host: Host) -> dict[str, Any]:
    """Build a body that the host accepts."""
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


@pytest.mark.parametrize("fault", UNCLEAR_FAILURES.values(), ids=UNCLEAR_FAILURES.keys())
def test_unclear_failures_raise_unknown_outcome(small_host: Host, fault: dict[str, object]) -> None:
    """A failure after which a write may have been carried out raises UnknownOutcomeError, and is not retried."""
    small_host.inject_fault(path="adgroup/create", times=None, **fault)  # type: ignore[arg-type] # kind is text

    with pytest.raises(UnknownOutcomeError, match="adgroup/create") as raised:
        send_write(small_host.client(), build_valid_body(small_host))

    small_host.wait_for_requests(1)
    assert count_writes(small_host) == 1
    assert "Check whether it was carried out" in suggest_fix(raised.value)


@pytest.mark.parametrize(("fault", "kind"), REJECTIONS.values(), ids=REJECTIONS.keys())
def test_rejections_keep_their_error_class(
    small_host: Host, fault: dict[str, object], kind: type[TikTokError]
) -> None:
    """A failure after which nothing can have been written keeps its error class, and is not retried."""
    small_host.inject_fault(path="adgroup/create", times=None, **fault)  # type: ignore[arg-type] # kind is text

    with pytest.raises(kind) as raised:
        send_write(small_host.client())

    assert not isinstance(raised.value, UnknownOutcomeError)
    assert count_writes(small_host) == 1


def test_write_without_response_has_unknown_outcome(small_host: Host) -> None:
    """A write without a response in time may have been carried out."""
    small_host.inject_fault("hang", path="adgroup/create", seconds=0.7)

    with pytest.raises(UnknownOutcomeError):
        send_write(small_host.client(SHORT_TIMEOUTS))

    small_host.wait_for_requests(1)


def test_failed_connection_is_no_unknown_outcome() -> None:
    """A host that cannot be reached has written nothing."""
    with (
        Listener() as closed_server,
        Client(closed_server.url, "token", policy=FAST) as client,
    ):
        closed_server.__exit__()
        with pytest.raises(RetryLaterError, match="cannot reach"):
            send_write(client)


def test_exception_before_send_prevents_the_request(small_host: Host) -> None:
    """An exception from `before_send` prevents the request."""

    def refuse() -> None:
        raise KeyError("held")

    with pytest.raises(KeyError):
        small_host.client().post(AD_GROUP_CREATE, BODY, RequestStats(), before_send=refuse)

    assert small_host.requests == []


def test_sent_body_equals_the_shown_body(debug_log: pytest.LogCaptureFixture) -> None:
    """The body that a dry run shows is sent byte for byte, and the token only in its header."""
    with Listener(body=b'{"code":40002,"message":"no"}') as host, Client(host.url, "s3cret") as client:
        text = format_request(client, AD_GROUP_CREATE, BODY)
        with pytest.raises(RequestError) as raised:
            send_write(client)

    method, body = text.split("\n")
    assert method == f"POST {host.url}/open_api/v1.3/adgroup/create/"
    assert host.posted_bodies == [body.encode()] == [encode_body(BODY)]
    assert b'"budget":49.90' in host.posted_bodies[0]
    headers = host.received[0][1]
    assert (headers["access-token"], headers["content-type"]) == ("s3cret", "application/json")
    assert_no_secret_leaks(("s3cret",), debug_log, raised.value)


def test_response_without_id_has_unknown_outcome() -> None:
    """A successful response without the id of the new object is an unknown outcome."""
    with (
        Listener(body=b'{"code":0,"message":"OK","data":{"ad_ids":[]}}') as host,
        Client(host.url, "token", policy=FAST) as client,
        pytest.raises(UnknownOutcomeError, match="does not have the id"),
    ):
        create_object(client, AD_CREATE, BODY, lambda data: data["ad_ids"][0], lambda: None)


def test_redirect_of_a_write_is_not_followed() -> None:
    """A redirect of a write is not followed, not even within the host."""
    with (
        Listener(status=307, headers={"Location": "/elsewhere"}) as host,
        Client(host.url, "token", policy=FAST) as client,
        pytest.raises(UnknownOutcomeError, match="redirects"),
    ):
        send_write(client)

    assert [path for path, _ in host.received] == ["/open_api/v1.3/adgroup/create/"]


def test_find_ids_by_marker() -> None:
    """Objects whose name ends with the marker are found, the oldest first."""
    rows: list[dict[str, Any]] = [
        {"id": "20", "n": "b [m]"},
        {"id": "9", "n": "a [m]"},
        {"id": "1", "n": "[m] c"},
        {"id": "2", "n": None},
    ]
    assert find_ids_by_marker(rows, "id", "n", "[m]") == ["9", "20"]


def test_writes_are_limited_to_creating_ads() -> None:
    """The only writes create an ad group or an ad, or change its status to undo that; no campaign is written."""
    names = ("adgroup/create/", "ad/create/", "adgroup/status/update/", "ad/status/update/")
    assert {one.path for one in WRITES} == {*names, *(f"smart_plus/{name}" for name in names)}

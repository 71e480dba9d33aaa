"""Tests of single requests: retries, errors, redirects, and secrets that must not leak."""

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tiktok_assets.api.client import Client, Parameter, RequestStats
from tiktok_assets.api.errors import (
    AdvertiserError,
    BannedError,
    ContractError,
    CredentialsError,
    RequestError,
    RetryLaterError,
    ThrottledError,
    TikTokError,
    TimedOutError,
    TooLargeError,
)
from tiktok_assets.spec.endpoints import ADVERTISER_INFO, ADVERTISER_LIST, CAMPAIGN_LIST, REPORT, Endpoint
from tiktok_assets_tests.api.conftest import (
    ATTEMPTS,
    FAST,
    HANG_SECONDS,
    SHORT_TIMEOUTS,
    Host,
    Listener,
    assert_error_details,
    assert_no_secret_leaks,
)

RESPONSE_BODY = b'{"code": 0, "message": "OK", "request_id": "1", "data": {"list": []}}'

Case = tuple[str, dict[str, object], type[TikTokError], int | None]
"""A fault, its options, the resulting error class, and that error's code."""

TEMPORARY_FAILURES: list[Case] = [
    ("code", {"code": 40016}, ThrottledError, 40016),
    ("code", {"code": 40100}, ThrottledError, 40100),
    ("code", {"code": 40132}, ThrottledError, 40132),
    ("code", {"code": 40133}, ThrottledError, 40133),
    ("code", {"code": 50000}, RetryLaterError, 50000),
    ("code", {"code": 60001}, RetryLaterError, 60001),
    ("http_status", {"status": 429}, RetryLaterError, 50000),
    ("http_status", {"status": 429, "html": "<html>slow down</html>"}, ThrottledError, None),
    ("http_status", {"status": 500}, RetryLaterError, 50000),
    ("http_status", {"status": 500, "html": "<html>oh</html>"}, RetryLaterError, None),
    ("http_status", {"status": 502, "html": "<html>bad gateway</html>"}, RetryLaterError, None),
    ("http_status", {"status": 503, "html": ""}, RetryLaterError, None),
    ("http_status", {"status": 404, "html": "<html>lost</html>"}, RetryLaterError, None),
    ("not_json", {}, RetryLaterError, None),
    ("truncated", {}, RetryLaterError, None),
    ("cut", {}, RetryLaterError, None),
]
"""Failures that are retried, and raised only if they persist."""

PERMANENT_FAILURES: list[Case] = [
    ("code", {"code": 40001}, AdvertiserError, 40001),
    ("code", {"code": 40002}, RequestError, 40002),
    ("code", {"code": 40067}, TooLargeError, 40067),
    ("code", {"code": 40104}, CredentialsError, 40104),
    ("code", {"code": 40105}, CredentialsError, 40105),
    ("code", {"code": 40700}, RequestError, 40700),
    ("code", {"code": 41000}, BannedError, 41000),
    ("code", {"code": 49999}, RequestError, 49999),
    ("redirect", {"status": 302}, ContractError, None),
    ("redirect", {"status": 307, "location": "http://[broken"}, ContractError, None),
]
"""Failures that are not retried."""


def required_parameters(host: Host, endpoint: Endpoint) -> dict[str, Parameter]:
    """Return the parameters that an endpoint requires."""
    owner = host.advertiser_ids[0]
    parameters_by_endpoint: dict[Endpoint, dict[str, Parameter]] = {
        ADVERTISER_LIST: {"app_id": host.sandbox.app_id, "secret": host.sandbox.secret},
        ADVERTISER_INFO: {"advertiser_ids": [owner]},
        REPORT: {
            "advertiser_id": owner,
            "report_type": "BASIC",
            "data_level": "AUCTION_AD",
            "dimensions": ["ad_id"],
            "query_lifetime": "true",
        },
    }
    return parameters_by_endpoint.get(endpoint, {"advertiser_id": owner})


def get_data_or_error(
    host: Host, endpoint: Endpoint, client: Client, stats: RequestStats
) -> dict[str, object] | TikTokError:
    """Return the data of a response, or the error."""
    try:
        return client.get(endpoint, required_parameters(host, endpoint), stats).data
    except TikTokError as error:
        return error


each_endpoint = pytest.mark.parametrize(
    "endpoint", [ADVERTISER_LIST, CAMPAIGN_LIST, REPORT], ids=lambda endpoint: endpoint.path
)
"""One with the secret in its query, one with pages, one that must not be repeated; others differ in path only."""


@each_endpoint
@pytest.mark.parametrize("case", TEMPORARY_FAILURES, ids=repr)
def test_temporary_failures_are_retried(
    small_host: Host,
    debug_log: pytest.LogCaptureFixture,
    endpoint: Endpoint,
    case: Case,
) -> None:
    """A temporary failure costs one retry each time; one that persists is raised after the last attempt."""
    kind, options, error, code = case
    client = small_host.client()
    expected_data = get_data_or_error(small_host, endpoint, client, RequestStats())
    assert isinstance(expected_data, dict)
    for times in (1, 2):
        small_host.reset()
        small_host.inject_fault(kind, times=times, **options)
        stats = RequestStats()
        assert get_data_or_error(small_host, endpoint, client, stats) == expected_data
        assert (stats.requests, stats.retries) == (times + 1, times) == (len(small_host.requests), times)
    small_host.reset()
    small_host.inject_fault(kind, times=None, **options)
    stats = RequestStats()
    failed = get_data_or_error(small_host, endpoint, client, stats)
    assert type(failed) is error
    assert_error_details(failed, endpoint.path.strip("/"), code=code)
    assert (stats.requests, stats.retries) == (ATTEMPTS, ATTEMPTS - 1) == (len(small_host.requests), ATTEMPTS - 1)
    assert_no_secret_leaks(small_host.secrets, debug_log, failed)


@each_endpoint
@pytest.mark.parametrize("case", PERMANENT_FAILURES, ids=repr)
def test_permanent_failures_are_raised_at_once(
    small_host: Host,
    debug_log: pytest.LogCaptureFixture,
    endpoint: Endpoint,
    case: Case,
) -> None:
    """A failure that a retry cannot fix is raised after one request, and the next request succeeds."""
    kind, options, error, code = case
    client = small_host.client()
    small_host.inject_fault(kind, **options)
    stats = RequestStats()
    failed = get_data_or_error(small_host, endpoint, client, stats)
    assert isinstance(get_data_or_error(small_host, endpoint, client, RequestStats()), dict)
    assert type(failed) is error
    assert_error_details(failed, endpoint.path.strip("/"), code=code)
    assert (stats.requests, stats.retries) == (1, 0)
    assert_no_secret_leaks(small_host.secrets, debug_log, failed)


@each_endpoint
@pytest.mark.parametrize("code", [50002, 51001, 51010])
def test_timed_out_reports_are_not_retried(small_host: Host, endpoint: Endpoint, code: int) -> None:
    """A report that timed out at TikTok is not retried, because TikTok penalizes it; a list is retried."""
    client = small_host.client()
    small_host.inject_fault("code", code=code)
    stats = RequestStats()
    result = get_data_or_error(small_host, endpoint, client, stats)
    if endpoint is REPORT:
        assert type(result) is TimedOutError
        assert (stats.requests, stats.retries) == (1, 0)
    else:
        assert isinstance(result, dict)
        assert (stats.requests, stats.retries) == (2, 1)


@pytest.mark.parametrize("endpoint", [CAMPAIGN_LIST, REPORT], ids=lambda endpoint: endpoint.path)
@pytest.mark.parametrize("kind", ["hang", "gateway"])
def test_missing_response_is_a_timeout(
    small_host: Host,
    debug_log: pytest.LogCaptureFixture,
    endpoint: Endpoint,
    kind: str,
) -> None:
    """If the host or its gateway does not respond in time, a list is retried and a report is not."""
    error, sent = (TimedOutError, 1) if endpoint is REPORT else (RetryLaterError, SHORT_TIMEOUTS.max_attempts)
    if kind == "hang":
        small_host.inject_fault("hang", times=None, seconds=HANG_SECONDS)
    else:
        small_host.inject_fault("http_status", times=None, status=504, html="<html>gateway time-out</html>")
    client = small_host.client(SHORT_TIMEOUTS)
    stats = RequestStats()
    failed = get_data_or_error(small_host, endpoint, client, stats)
    small_host.wait_for_requests(stats.requests)
    assert type(failed) is error
    assert stats.requests == sent
    assert_error_details(failed, endpoint.path.strip("/"), code=None)
    assert_no_secret_leaks(small_host.secrets, debug_log, failed)


def test_failed_connection_is_retried(small_host: Host) -> None:
    """A failed connection is retried even for a report, and the error has the address."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        closed.listen(0)
        address = closed.getsockname()
        waiting_sockets = [socket.socket() for _ in range(4)]
        try:
            for one in waiting_sockets:
                one.setblocking(False)
                one.connect_ex(address)
            with Client(f"http://127.0.0.1:{address[1]}", "a-token", policy=SHORT_TIMEOUTS) as client:
                stats = RequestStats()
                failed = get_data_or_error(small_host, REPORT, client, stats)
        finally:
            for one in waiting_sockets:
                one.close()
    assert type(failed) is RetryLaterError
    assert stats.requests == SHORT_TIMEOUTS.max_attempts
    with Client(f"http://127.0.0.1:{address[1]}", "a-token", policy=FAST) as client:
        refused = get_data_or_error(small_host, REPORT, client, RequestStats())
    assert type(refused) is RetryLaterError
    assert str(address[1]) in str(refused)


@each_endpoint
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_token_is_not_sent_to_another_host(
    small_host: Host, debug_log: pytest.LogCaptureFixture, endpoint: Endpoint, status: int
) -> None:
    """A redirect to another host, port or scheme is an error, and no connection is made to its target."""
    client = small_host.client()
    with Listener(body=RESPONSE_BODY) as other:
        elsewhere = [
            f"{other.url}/open_api/v1.3/{endpoint.path}",
            other.url.replace("127.0.0.1", "localhost"),
            f"//127.0.0.1:{other.url.rpartition(':')[2]}/",
            small_host.sandbox.base_url.replace("http:", "https:"),  # another scheme is another host
        ]
        for location in elsewhere:
            small_host.inject_fault("redirect", status=status, location=location)
            stats = RequestStats()
            failed = get_data_or_error(small_host, endpoint, client, stats)
            assert type(failed) is ContractError
            assert stats.requests == 1
            assert_error_details(failed, endpoint.path.strip("/"), code=None)
            assert_no_secret_leaks(small_host.secrets, debug_log, failed)
        assert (other.connections, other.received) == (0, [])


@each_endpoint
@pytest.mark.parametrize("status", [307, 308])
def test_redirect_within_the_host_is_followed_once(
    small_host: Host, debug_log: pytest.LogCaptureFixture, endpoint: Endpoint, status: int
) -> None:
    """One 307 or 308 within the host is followed without a retry; two in a row are a contract error."""
    client = small_host.client()
    expected_data = get_data_or_error(small_host, endpoint, client, RequestStats())
    assert isinstance(expected_data, dict)
    small_host.inject_fault("redirect", status=status)
    stats = RequestStats()
    assert get_data_or_error(small_host, endpoint, client, stats) == expected_data
    assert (stats.requests, stats.retries) == (2, 0)
    small_host.inject_fault("redirect", status=status, times=2)
    stats = RequestStats()
    failed = get_data_or_error(small_host, endpoint, client, stats)
    assert type(failed) is ContractError
    assert stats.requests == 2
    assert_no_secret_leaks(small_host.secrets, debug_log, failed)


@pytest.mark.parametrize("secret_in", ["message", "log"])
def test_secrets_quoted_by_the_host_are_removed(
    small_host: Host, debug_log: pytest.LogCaptureFixture, secret_in: str
) -> None:
    """Token and secret are not shown even if the host quotes them in a message or a redirect."""
    token, secret = small_host.secrets
    quoted = f"The secret {secret} does not go with the token {token}."
    if secret_in == "message":
        small_host.inject_fault("code", code=40001, message=quoted)
    else:
        small_host.inject_fault("redirect", status=302)
    client = small_host.client()
    failed = get_data_or_error(small_host, ADVERTISER_LIST, client, RequestStats())
    assert isinstance(failed, TikTokError)
    assert token not in repr(client)
    assert_no_secret_leaks(small_host.secrets, debug_log, failed)


@pytest.mark.parametrize(
    ("token", "requests"),
    [
        ("", 0),
        (" ", 0),
        ("two words", 0),
        ("ends-in-a-line\n", 0),
        ("tab\tinside", 0),
        ("schlüssel", 0),
        ("not-the-right-one", 1),
    ],
)
@each_endpoint
def test_unusable_token_is_a_credentials_error(
    small_host: Host, debug_log: pytest.LogCaptureFixture, endpoint: Endpoint, token: str, requests: int
) -> None:
    """A missing, malformed or wrong token raises a CredentialsError of one line, without a request if possible."""
    with Client(small_host.sandbox.base_url, token, policy=FAST) as client:
        failed = get_data_or_error(small_host, endpoint, client, RequestStats())
    assert type(failed) is CredentialsError
    assert "\n" not in str(failed)
    assert "token" in str(failed).lower()
    assert len(small_host.requests) == requests
    if len(token) > 1:
        assert_no_secret_leaks((token, small_host.sandbox.secret), debug_log, failed)


def test_missing_token_sends_no_request(small_host: Host) -> None:
    """A client without a token sends no request; its error has the name of the missing variable."""
    with (
        Client(small_host.sandbox.base_url, None, policy=FAST) as client,
        pytest.raises(CredentialsError, match="TIKTOK_ACCESS_TOKEN"),
    ):
        client.get(CAMPAIGN_LIST, {}, RequestStats())
    assert small_host.requests == []


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"[]", ContractError),
        (200, b'"OK"', ContractError),
        (200, b"{}", ContractError),
        (200, b'{"code": "0", "data": {}}', ContractError),
        (200, b'{"code": 0, "message": "OK", "data": []}', ContractError),
        (200, b'{"code": 0, "message": "OK", "data": null}', ContractError),
        (200, b"", RetryLaterError),
        (200, b'{"code": 0, "data": {"a": 1e}}', RetryLaterError),
        (500, RESPONSE_BODY, RetryLaterError),
        (429, RESPONSE_BODY, ThrottledError),
        (403, b'{"code": 40006, "message": "no schema found", "data": {}}', RequestError),
    ],
)
def test_invalid_envelope_raises_an_error(
    small_host: Host, status: int, body: bytes, error: type[TikTokError]
) -> None:
    """A response that is not an envelope with data raises an error; its code takes precedence over the status."""
    with Listener(status=status, body=body) as host, Client(host.url, "a-token", policy=FAST) as client:
        failed = get_data_or_error(small_host, CAMPAIGN_LIST, client, RequestStats())
    assert type(failed) is error


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'{"code": 0, "message": "\xff\xfe", "data": {"a": "b\xff"}}', {"a": "b\ufffd"}),
        (b'{"code": 0, "message": null, "request_id": 5, "data": {"a": 1}}', {"a": 1}),
        (
            b'{"code": 0, "data": {"a": "Summer sale \\ud83d", "b": "\\ud83d\\ude00"}}',
            {"a": "Summer sale \ufffd", "b": "😀"},
        ),
        (b'{"code": 0, "data": {"a": "\\udE00 sale", "b": "\\\\ud83d"}}', {"a": "\ufffd sale", "b": "\\ud83d"}),
        (
            b'{"code": 0, "data": {"a": NaN, "b": -Infinity, "c": "NaN"}}',
            {"a": "NaN", "b": "-Infinity", "c": "NaN"},
        ),
        (
            b'{"code": 0, "data": {"a": ' + b"9" * 5000 + b', "b": -1E+99999999999}}',
            {"a": "9" * 5000, "b": "-1E+99999999999"},
        ),
        (b'{"code": 0, "data": {"a": "c:\\x\\\\y\\u12", "b": None}}', {"a": "c:\\x\\y\\u12", "b": "None"}),
        (b'{"code": 0, "data": {"a": "x\x01y\nz"}}', {"a": "x\x01y\nz"}),
    ],
)
def test_single_invalid_value_is_repaired(small_host: Host, body: bytes, data: dict[str, object]) -> None:
    """JSON that a strict parser refuses because of single values is repaired and read at the first attempt."""
    with Listener(body=body) as host, Client(host.url, "a-token", policy=FAST) as client:
        assert get_data_or_error(small_host, CAMPAIGN_LIST, client, RequestStats()) == data
    assert len(host.received) == 1


def test_deeply_nested_value_becomes_a_string(small_host: Host) -> None:
    """A value that is nested too deeply becomes a string; the values beside it are read."""
    deep = b"[" * 5000 + b'"\\ud83d"' + b"]" * 5000
    body = b'{"code": 0, "data": {"a": ' + deep + b', "b": 1}}'
    with Listener(body=body) as host, Client(host.url, "a-token", policy=FAST) as client:
        found = get_data_or_error(small_host, CAMPAIGN_LIST, client, RequestStats())
    assert isinstance(found, dict)
    assert found["b"] == 1
    assert "[[[[" in str(found["a"])


def test_retries_end_after_total_seconds(small_host: Host) -> None:
    """Retries of a request end after the total time of the policy, however many attempts it allows."""
    small_host.inject_fault("code", code=50000, times=None)
    policy = replace(
        FAST, max_attempts=10_000, total_seconds=0.3, min_backoff_seconds=0.05, max_backoff_seconds=0.05
    )
    client = small_host.client(policy)
    failed = get_data_or_error(small_host, CAMPAIGN_LIST, client, RequestStats())
    assert type(failed) is RetryLaterError
    assert 1 < len(small_host.requests) < 20


def test_total_is_the_sum_of_all_statistics(small_host: Host) -> None:
    """The total of a client is the sum of the statistics of its requests."""
    small_host.inject_fault("code", code=40100, times=1)
    client = small_host.client()
    all_stats = [RequestStats(), RequestStats()]
    for stats in all_stats:
        get_data_or_error(small_host, CAMPAIGN_LIST, client, stats)
    assert [stats.requests for stats in all_stats] == [2, 1]
    for name in ("requests", "retries", "bytes"):
        assert getattr(client.total, name) == sum(getattr(stats, name) for stats in all_stats)
    assert client.total.bytes > 0


def test_now_follows_the_date_header(small_host: Host) -> None:
    """After a response, `now` follows the Date header of the host; before it, the local clock."""
    with Client(small_host.sandbox.base_url, small_host.sandbox.token, policy=FAST) as client:
        assert abs(client.now() - datetime.now(UTC)) < timedelta(seconds=5)
        for instant in (datetime(2021, 2, 28, 23, 59, 58, tzinfo=UTC), small_host.sandbox.world.plan.anchor):
            small_host.control("POST", "clock", now=instant.isoformat())
            get_data_or_error(small_host, CAMPAIGN_LIST, client, RequestStats())
            assert timedelta() <= client.now() - instant < timedelta(seconds=5)
        assert client.now().tzinfo is UTC


@pytest.mark.parametrize("date_header", ["", "soon", "Tue, 99 Foo 2021 99:99:99 GMT"])
def test_invalid_date_header_is_ignored(small_host: Host, date_header: str) -> None:
    """A missing or invalid Date header leaves the local clock in use."""
    with (
        Listener(body=RESPONSE_BODY, headers={"Date": date_header}) as host,
        Client(host.url, "a-token", policy=FAST) as client,
    ):
        assert isinstance(get_data_or_error(small_host, CAMPAIGN_LIST, client, RequestStats()), dict)
        assert abs(client.now() - datetime.now(UTC)) < timedelta(seconds=60)

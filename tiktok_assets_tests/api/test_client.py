"""Laws of one request: it brings its answer, or a named error, and it never says the token to anybody else."""

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

ANSWER = b'{"code": 0, "message": "OK", "request_id": "1", "data": {"list": []}}'

Case = tuple[str, dict[str, object], type[TikTokError], int | None]
"""A fault, how, the error it ends in, and that error's code."""

PASSING: list[Case] = [
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
"""What passes by itself: asked again, and an error only if it never passes."""

STAYING: list[Case] = [
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
"""What stays as it is: asked once."""


def asked_of(host: Host, endpoint: Endpoint) -> dict[str, Parameter]:
    """The parameters an endpoint cannot do without."""
    owner = host.advertiser_ids[0]
    asked: dict[Endpoint, dict[str, Parameter]] = {
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
    return asked.get(endpoint, {"advertiser_id": owner})


def outcome(
    host: Host, endpoint: Endpoint, client: Client, tally: RequestStats
) -> dict[str, object] | TikTokError:
    """The data of an answer, or the error in its place."""
    try:
        return client.get(endpoint, asked_of(host, endpoint), tally).data
    except TikTokError as error:
        return error


each_endpoint = pytest.mark.parametrize(
    "endpoint", [ADVERTISER_LIST, CAMPAIGN_LIST, REPORT], ids=lambda endpoint: endpoint.path
)
"""One with the secret in its query, one with pages, one that must not be repeated; others differ only in path."""


@each_endpoint
@pytest.mark.parametrize("case", PASSING, ids=repr)
def test_what_passes_is_asked_again_and_what_never_passes_is_named(
    small: Host,
    everything_logged: pytest.LogCaptureFixture,
    endpoint: Endpoint,
    case: Case,
) -> None:
    """A passing failure costs a retry each time and no row; one that stays is the named error after the last."""
    kind, how, error, code = case
    client = small.client()
    whole = outcome(small, endpoint, client, RequestStats())
    assert isinstance(whole, dict)
    for times in (1, 2):
        small.behave()
        small.misbehave(kind, times=times, **how)
        tally = RequestStats()
        assert outcome(small, endpoint, client, tally) == whole
        assert (tally.requests, tally.retries) == (times + 1, times) == (len(small.requests), times)
    small.behave()
    small.misbehave(kind, times=None, **how)
    tally = RequestStats()
    failed = outcome(small, endpoint, client, tally)
    assert type(failed) is error
    assert_error_details(failed, endpoint.path.strip("/"), code=code)
    assert (tally.requests, tally.retries) == (ATTEMPTS, ATTEMPTS - 1) == (len(small.requests), ATTEMPTS - 1)
    assert_no_secret_leaks(small.secrets, everything_logged, failed)


@each_endpoint
@pytest.mark.parametrize("case", STAYING, ids=repr)
def test_what_stays_wrong_is_named_at_once(
    small: Host,
    everything_logged: pytest.LogCaptureFixture,
    endpoint: Endpoint,
    case: Case,
) -> None:
    """A failure that a repeat cannot mend is raised from its first answer, and the next question is answered."""
    kind, how, error, code = case
    client = small.client()
    small.misbehave(kind, **how)
    tally = RequestStats()
    failed = outcome(small, endpoint, client, tally)
    assert isinstance(outcome(small, endpoint, client, RequestStats()), dict)
    assert type(failed) is error
    assert_error_details(failed, endpoint.path.strip("/"), code=code)
    assert (tally.requests, tally.retries) == (1, 0)
    assert_no_secret_leaks(small.secrets, everything_logged, failed)


@each_endpoint
@pytest.mark.parametrize("code", [50002, 51001, 51010])
def test_a_timed_out_report_is_not_repeated_and_a_timed_out_list_is(
    small: Host, endpoint: Endpoint, code: int
) -> None:
    """The API punishes a report that times out again and again: it is too large; a list is simply asked again."""
    client = small.client()
    small.misbehave("code", code=code)
    tally = RequestStats()
    answered = outcome(small, endpoint, client, tally)
    if endpoint is REPORT:
        assert type(answered) is TimedOutError
        assert (tally.requests, tally.retries) == (1, 0)
    else:
        assert isinstance(answered, dict)
        assert (tally.requests, tally.retries) == (2, 1)


@pytest.mark.parametrize("endpoint", [CAMPAIGN_LIST, REPORT], ids=lambda endpoint: endpoint.path)
@pytest.mark.parametrize("kind", ["hang", "gateway"])
def test_silence_is_a_time_out(
    small: Host,
    everything_logged: pytest.LogCaptureFixture,
    endpoint: Endpoint,
    kind: str,
) -> None:
    """A host that is silent, or whose gateway says that it is, gets a list asked again and a report only once."""
    error, sent = (TimedOutError, 1) if endpoint is REPORT else (RetryLaterError, SHORT_TIMEOUTS.attempts)
    if kind == "hang":
        small.misbehave("hang", times=None, seconds=HANG_SECONDS)
    else:
        small.misbehave("http_status", times=None, status=504, html="<html>gateway time-out</html>")
    client = small.client(SHORT_TIMEOUTS)
    tally = RequestStats()
    failed = outcome(small, endpoint, client, tally)
    small.settle(tally.requests)
    assert type(failed) is error
    assert tally.requests == sent
    assert_error_details(failed, endpoint.path.strip("/"), code=None)
    assert_no_secret_leaks(small.secrets, everything_logged, failed)


def test_a_host_that_takes_no_connection_is_asked_again(small: Host) -> None:
    """A report that never reached the host was not too large: it is asked again, then named for that."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        closed.listen(0)
        address = closed.getsockname()
        crowd = [socket.socket() for _ in range(4)]
        try:
            for one in crowd:
                one.setblocking(False)
                one.connect_ex(address)
            with Client(f"http://127.0.0.1:{address[1]}", "a-token", policy=SHORT_TIMEOUTS) as client:
                tally = RequestStats()
                failed = outcome(small, REPORT, client, tally)
        finally:
            for one in crowd:
                one.close()
    assert type(failed) is RetryLaterError
    assert tally.requests == SHORT_TIMEOUTS.attempts
    with Client(f"http://127.0.0.1:{address[1]}", "a-token", policy=FAST) as client:
        refused = outcome(small, REPORT, client, RequestStats())
    assert type(refused) is RetryLaterError
    assert str(address[1]) in str(refused)


@each_endpoint
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_token_is_not_carried_to_another_host(
    small: Host, everything_logged: pytest.LogCaptureFixture, endpoint: Endpoint, status: int
) -> None:
    """Whatever kind of redirect names another host or port, nobody connects to it, and the error names it."""
    client = small.client()
    with Listener(body=ANSWER) as other:
        elsewhere = [
            f"{other.url}/open_api/v1.3/{endpoint.path}",
            other.url.replace("127.0.0.1", "localhost"),
            f"//127.0.0.1:{other.url.rpartition(':')[2]}/",
            small.sandbox.base_url.replace("http:", "https:"),  # another scheme is another host
        ]
        for location in elsewhere:
            small.misbehave("redirect", status=status, location=location)
            tally = RequestStats()
            failed = outcome(small, endpoint, client, tally)
            assert type(failed) is ContractError
            assert tally.requests == 1
            assert_error_details(failed, endpoint.path.strip("/"), code=None)
            assert_no_secret_leaks(small.secrets, everything_logged, failed)
        assert (other.connections, other.heard) == (0, [])


@each_endpoint
@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_within_the_host_is_followed_once(
    small: Host, everything_logged: pytest.LogCaptureFixture, endpoint: Endpoint, status: int
) -> None:
    """One 307 or 308 to the same host costs one request and no retry; two in a row are a broken contract."""
    client = small.client()
    whole = outcome(small, endpoint, client, RequestStats())
    assert isinstance(whole, dict)
    small.misbehave("redirect", status=status)
    tally = RequestStats()
    assert outcome(small, endpoint, client, tally) == whole
    assert (tally.requests, tally.retries) == (2, 0)
    small.misbehave("redirect", status=status, times=2)
    tally = RequestStats()
    failed = outcome(small, endpoint, client, tally)
    assert type(failed) is ContractError
    assert tally.requests == 2
    assert_no_secret_leaks(small.secrets, everything_logged, failed)


@pytest.mark.parametrize("secret_in", ["message", "log"])
def test_what_the_host_repeats_of_our_secrets_is_not_shown(
    small: Host, everything_logged: pytest.LogCaptureFixture, secret_in: str
) -> None:
    """Even a host that quotes token and secret back, in its message or in a redirect, does not get them shown."""
    token, secret = small.secrets
    quoted = f"The secret {secret} does not go with the token {token}."
    if secret_in == "message":
        small.misbehave("code", code=40001, message=quoted)
    else:
        small.misbehave("redirect", status=302)
    client = small.client()
    failed = outcome(small, ADVERTISER_LIST, client, RequestStats())
    assert isinstance(failed, TikTokError)
    assert token not in repr(client)
    assert_no_secret_leaks(small.secrets, everything_logged, failed)


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
def test_a_token_that_cannot_work_is_one_sentence(
    small: Host, everything_logged: pytest.LogCaptureFixture, endpoint: Endpoint, token: str, requests: int
) -> None:
    """A missing, mistyped or wrong token is a CredentialsError of one line, found without asking if it can be."""
    with Client(small.sandbox.base_url, token, policy=FAST) as client:
        failed = outcome(small, endpoint, client, RequestStats())
    assert type(failed) is CredentialsError
    assert "\n" not in str(failed)
    assert "token" in str(failed).lower()
    assert len(small.requests) == requests
    if len(token) > 1:
        assert_no_secret_leaks((token, small.sandbox.secret), everything_logged, failed)


def test_without_any_token_nothing_is_asked(small: Host) -> None:
    """A client can be made without a token; its first question says which variable is missing."""
    with (
        Client(small.sandbox.base_url, None, policy=FAST) as client,
        pytest.raises(CredentialsError, match="TIKTOK_ACCESS_TOKEN"),
    ):
        client.get(CAMPAIGN_LIST, {}, RequestStats())
    assert small.requests == []


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
        (500, ANSWER, RetryLaterError),
        (429, ANSWER, ThrottledError),
        (403, b'{"code": 40006, "message": "no schema found", "data": {}}', RequestError),
    ],
)
def test_an_answer_that_is_none_is_named(small: Host, status: int, body: bytes, error: type[TikTokError]) -> None:
    """Whatever a host sends in place of an envelope with data is a named error; the code outranks the status."""
    with Listener(status=status, body=body) as host, Client(host.url, "a-token", policy=FAST) as client:
        failed = outcome(small, CAMPAIGN_LIST, client, RequestStats())
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
def test_one_odd_value_costs_no_answer(small: Host, body: bytes, data: dict[str, object]) -> None:
    """Text that no strict parser of JSON takes is read all the same, at the first attempt."""
    with Listener(body=body) as host, Client(host.url, "a-token", policy=FAST) as client:
        assert outcome(small, CAMPAIGN_LIST, client, RequestStats()) == data
    assert len(host.heard) == 1


def test_what_is_nested_without_end_is_a_text(small: Host) -> None:
    """A value nested deeper than anything documented is kept as text, and costs nothing beside it."""
    deep = b"[" * 5000 + b'"\\ud83d"' + b"]" * 5000
    body = b'{"code": 0, "data": {"a": ' + deep + b', "b": 1}}'
    with Listener(body=body) as host, Client(host.url, "a-token", policy=FAST) as client:
        found = outcome(small, CAMPAIGN_LIST, client, RequestStats())
    assert isinstance(found, dict)
    assert found["b"] == 1
    assert "[[[[" in str(found["a"])


def test_retries_end_when_their_time_is_over(small: Host) -> None:
    """However many attempts there may be, one question does not take longer than the policy allows."""
    small.misbehave("code", code=50000, times=None)
    policy = replace(FAST, attempts=10_000, total_seconds=0.3, wait_initial_seconds=0.05, wait_max_seconds=0.05)
    client = small.client(policy)
    failed = outcome(small, CAMPAIGN_LIST, client, RequestStats())
    assert type(failed) is RetryLaterError
    assert 1 < len(small.requests) < 20


def test_the_total_counts_everything(small: Host) -> None:
    """A client's total is the sum of what each undertaking was told it cost."""
    small.misbehave("code", code=40100, times=1)
    client = small.client()
    tallies = [RequestStats(), RequestStats()]
    for tally in tallies:
        outcome(small, CAMPAIGN_LIST, client, tally)
    assert [tally.requests for tally in tallies] == [2, 1]
    for figure in ("requests", "retries", "bytes"):
        assert getattr(client.total, figure) == sum(getattr(tally, figure) for tally in tallies)
    assert client.total.bytes > 0


def test_the_clock_is_the_hosts(small: Host) -> None:
    """After an answer, now is what the host's Date says, be it years ago; before the first it is our own clock."""
    with Client(small.sandbox.base_url, small.sandbox.token, policy=FAST) as client:
        assert abs(client.now() - datetime.now(UTC)) < timedelta(seconds=5)
        for instant in (datetime(2021, 2, 28, 23, 59, 58, tzinfo=UTC), small.sandbox.world.plan.anchor):
            small.control("POST", "clock", now=instant.isoformat())
            outcome(small, CAMPAIGN_LIST, client, RequestStats())
            assert timedelta() <= client.now() - instant < timedelta(seconds=5)
        assert client.now().tzinfo is UTC


@pytest.mark.parametrize("told", ["", "soon", "Tue, 99 Foo 2021 99:99:99 GMT"])
def test_a_host_without_a_clock_leaves_us_ours(small: Host, told: str) -> None:
    """A Date that is none changes nothing and breaks nothing."""
    with Listener(body=ANSWER, headers={"Date": told}) as host, Client(host.url, "a-token", policy=FAST) as client:
        assert isinstance(outcome(small, CAMPAIGN_LIST, client, RequestStats()), dict)
        assert abs(client.now() - datetime.now(UTC)) < timedelta(seconds=60)

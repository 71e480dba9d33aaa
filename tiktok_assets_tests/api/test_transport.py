"""Laws of answers without a bound: each ends in a named error, soon, and takes little memory."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tiktok_assets.api.client import Client, RequestStats, RetryPolicy
from tiktok_assets.api.errors import ContractError, OversizedError, SlowResponseError, TikTokError
from tiktok_assets.api.paged_query import PagedQuery
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.transport import MAX_RESPONSE_BYTES
from tiktok_assets.spec.endpoints import CAMPAIGN_LIST, REPORT, Endpoint
from tiktok_assets_tests.api.conftest import FAST, Host, Listener
from tiktok_assets_tests.api.test_client import asked_of, outcome
from tiktok_assets_tests.environment import clean_environment

SOON = replace(FAST, answer_seconds=1.0)
"""Another deadline than a user's, for the same code."""

READ = """
import resource, sys
from tiktok_assets.api.client import Client, Tally
from tiktok_assets.api.errors import TikTokError
from tiktok_assets.spec.endpoints import CAMPAIGN_LIST
scale = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
with Client(sys.argv[1], "token-of-the-test") as client:
    try:
        client.get(CAMPAIGN_LIST, {"advertiser_id": "1"}, Tally())
    except TikTokError as error:
        taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale - before
        print(type(error).__name__, taken)
"""


@pytest.mark.parametrize("kind", ["gzip_bomb", "endless"])
@pytest.mark.parametrize("endpoint", [CAMPAIGN_LIST, REPORT], ids=lambda one: one.path)
def test_an_answer_without_end_is_named_and_asked_for_once(small: Host, kind: str, endpoint: Endpoint) -> None:
    """A gzip bomb and an endless body end in an error that names them, after one request."""
    small.misbehave(kind, times=None)
    tally = RequestStats()
    failed = outcome(small, endpoint, small.client(), tally)
    assert isinstance(failed, OversizedError)
    assert tally.requests == 1
    assert f"{MAX_RESPONSE_BYTES // 1024 // 1024} MB" in str(failed)


@pytest.mark.parametrize("kind", ["gzip_bomb", "endless"])
def test_an_answer_without_end_takes_little_memory(small: Host, kind: str) -> None:
    """Whatever a host sends, the process that reads it grows by less than 100 MB."""
    small.misbehave(kind, times=None)
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", READ, small.sandbox.base_url],
        env=clean_environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    error, taken = done.stdout.split()
    assert error == "OversizedError"
    assert int(taken) < 100_000_000


@pytest.mark.parametrize("kind", ["drip", "drip_headers"])
@pytest.mark.parametrize("endpoint", [CAMPAIGN_LIST, REPORT], ids=lambda one: one.path)
def test_a_slow_drip_ends_at_the_deadline(small: Host, kind: str, endpoint: Endpoint) -> None:
    """A body or headers that come byte by byte end in an error that names it, after one request."""
    small.misbehave(kind, seconds=0.05, times=None)
    tally, began = RequestStats(), time.monotonic()
    failed = outcome(small, endpoint, small.client(SOON), tally)
    assert isinstance(failed, SlowResponseError)
    assert tally.requests == 1
    assert 0.9 < time.monotonic() - began < 10
    assert "1 second" in str(failed)
    small.behave()
    assert isinstance(outcome(small, CAMPAIGN_LIST, small.client(SOON), RequestStats()), dict)


def test_a_users_deadline_is_within_a_minute() -> None:
    """The default of the client lets no answer take a minute, and no silence longer than the whole answer."""
    assert RetryPolicy().read_seconds <= RetryPolicy().answer_seconds < 60


@pytest.mark.parametrize(
    ("body", "packing"),
    [
        (b'{"code": 0, "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "identity"),
        (b'{"code": ' + b"9" * 100_000 + b"}", "identity"),
        (b"not gzip at all", "gzip"),
        (b"packed as nobody asked", "br"),
    ],
    ids=["deep", "a number of 100,000 digits", "not gzip", "another packing"],
)
@pytest.mark.parametrize("endpoint", [CAMPAIGN_LIST, REPORT], ids=lambda one: one.path)
def test_an_odd_answer_is_named(small: Host, body: bytes, packing: str, endpoint: Endpoint) -> None:
    """Nesting, numbers and packings no answer has end in a named error, never in a crash."""
    with Listener(body=body, headers={"Content-Encoding": packing}) as host:
        client = small.client()
        client.base_url, was = host.url, client.base_url
        try:
            with pytest.raises(TikTokError):
                client.get(endpoint, asked_of(small, endpoint), RequestStats())
        finally:
            client.base_url = was


def test_more_pages_than_any_account_has_are_not_asked_for() -> None:
    """A listing that announces billions of rows is refused after its first page."""
    body = b'{"code": 0, "data": {"list": [], "page_info": {"total_number": 1000000000000}}}'
    listing = PagedQuery(CAMPAIGN_LIST, {"advertiser_id": "1"}, str, lambda rows, _: rows)
    with Listener(body=body) as host, Client(host.url, "token-of-the-test", policy=FAST) as client:
        fetcher = Fetcher(client)
        try:
            with pytest.raises(ContractError, match="1000000000000 rows are announced"):
                fetcher.fetch(listing)
        finally:
            fetcher.close()
        assert len(host.heard) == 1

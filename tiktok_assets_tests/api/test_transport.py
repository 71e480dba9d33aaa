"""Tests of responses that are too large, too slow or malformed: each ends soon in an error, with little memory."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.errors import ContractError, OversizedError, SlowResponseError, TikTokError
from tiktok_assets.api.paged_query import PagedQuery
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.retry import RetryPolicy
from tiktok_assets.api.transport import MAX_RESPONSE_BYTES
from tiktok_assets.spec.endpoints import CAMPAIGN_LIST, REPORT, Endpoint
from tiktok_assets_tests.api.conftest import FAST, Host, Listener
from tiktok_assets_tests.api.test_client import get_data_or_error, required_parameters
from tiktok_assets_tests.environment import clean_environment

SHORT_DEADLINE = replace(FAST, response_timeout_seconds=1.0)
"""A shorter deadline than the default."""

READ_AND_MEASURE_MEMORY = """
import resource, sys
from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.errors import TikTokError
from tiktok_assets.spec.endpoints import CAMPAIGN_LIST
scale = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
with Client(sys.argv[1], "token-of-the-test") as client:
    try:
        client.get(CAMPAIGN_LIST, {"advertiser_id": "1"}, RequestStats())
    except TikTokError as error:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale - before
        print(type(error).__name__, used)
"""


@pytest.mark.parametrize("kind", ["gzip_bomb", "endless"])
@pytest.mark.parametrize("endpoint", [CAMPAIGN_LIST, REPORT], ids=lambda one: one.path)
def test_endless_response_is_an_error_after_one_request(small_host: Host, kind: str, endpoint: Endpoint) -> None:
    """A gzip bomb and an endless body raise OversizedError after one request."""
    small_host.inject_fault(kind, times=None)
    stats = RequestStats()
    failed = get_data_or_error(small_host, endpoint, small_host.client(), stats)
    assert isinstance(failed, OversizedError)
    assert stats.requests == 1
    assert f"{MAX_RESPONSE_BYTES // 1024 // 1024} MB" in str(failed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gzip_bomb", "endless"])
def test_endless_response_uses_little_memory(small_host: Host, kind: str) -> None:
    """A process that reads an endless response grows by less than 100 MB."""
    small_host.inject_fault(kind, times=None)
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", READ_AND_MEASURE_MEMORY, small_host.sandbox.base_url],
        env=clean_environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    error, used_bytes = done.stdout.split()
    assert error == "OversizedError"
    assert int(used_bytes) < 100_000_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["drip", "drip_headers"])
@pytest.mark.parametrize("endpoint", [CAMPAIGN_LIST, REPORT], ids=lambda one: one.path)
def test_slow_response_ends_at_the_deadline(small_host: Host, kind: str, endpoint: Endpoint) -> None:
    """A body or headers that arrive byte by byte raise SlowResponseError at the deadline, after one request."""
    small_host.inject_fault(kind, seconds=0.05, times=None)
    stats, began = RequestStats(), time.monotonic()
    failed = get_data_or_error(small_host, endpoint, small_host.client(SHORT_DEADLINE), stats)
    assert isinstance(failed, SlowResponseError)
    assert stats.requests == 1
    assert 0.9 < time.monotonic() - began < 10
    assert "1 second" in str(failed)
    small_host.reset()
    assert isinstance(
        get_data_or_error(small_host, CAMPAIGN_LIST, small_host.client(SHORT_DEADLINE), RequestStats()), dict
    )


def test_default_deadline_is_below_a_minute() -> None:
    """The default deadline of a response is below a minute, and not below the read timeout."""
    assert RetryPolicy().read_timeout_seconds <= RetryPolicy().response_timeout_seconds < 60


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b'{"code": 0, "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "identity"),
        (b'{"code": ' + b"9" * 100_000 + b"}", "identity"),
        (b"not gzip at all", "gzip"),
        (b"br is not supported", "br"),
    ],
    ids=["deep", "number with 100,000 digits", "not gzip", "unsupported encoding"],
)
@pytest.mark.parametrize("endpoint", [CAMPAIGN_LIST, REPORT], ids=lambda one: one.path)
def test_malformed_response_raises_an_error(
    small_host: Host, body: bytes, encoding: str, endpoint: Endpoint
) -> None:
    """Extreme nesting or numbers and wrong encodings raise an error of ours."""
    with Listener(body=body, headers={"Content-Encoding": encoding}) as host:
        client = small_host.client()
        client.base_url, original_url = host.url, client.base_url
        try:
            with pytest.raises(TikTokError):
                client.get(endpoint, required_parameters(small_host, endpoint), RequestStats())
        finally:
            client.base_url = original_url


def test_impossible_row_count_is_refused() -> None:
    """A query that announces billions of rows fails after its first page."""
    body = b'{"code": 0, "data": {"list": [], "page_info": {"total_number": 1000000000000}}}'
    query = PagedQuery(CAMPAIGN_LIST, {"advertiser_id": "1"}, str, lambda rows, _: rows)
    with Listener(body=body) as host, Client(host.url, "token-of-the-test", policy=FAST) as client:
        fetcher = Fetcher(client)
        try:
            with pytest.raises(ContractError, match="1000000000000 rows are announced"):
                fetcher.fetch(query)
        finally:
            fetcher.close()
        assert len(host.received) == 1

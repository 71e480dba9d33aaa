"""Tests of slowing down: the app after code 40100, a path after 40016, an account at a path after 40133."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tiktok_assets.api.client import Client, Parameter, RequestStats
from tiktok_assets.api.errors import RequestError, ThrottledError, TooLargeError
from tiktok_assets.api.rate_limit.backoff import MAX_TIMEOUTS_IN_WINDOW
from tiktok_assets.api.rate_limit.rate_limiter import PathBudgets, SqliteBudget
from tiktok_assets.api.retry import RetryPolicy
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.endpoints import AD_CREATE, AD_LIST, CAMPAIGN_LIST, PATH_RATE_LIMITS, REPORT
from tiktok_assets_tests.api.conftest import FAST, Host
from tiktok_assets_tests.processes import run_together

SHORT_COOLDOWNS = replace(
    FAST, max_attempts=6, first_cooldown_seconds=0.3, long_cooldown_seconds=0.9, cooldown_memory_seconds=20.0
)
"""The cooldowns of the default policy in the same order, as fractions of a second."""

READING_PROCESS = """
import sys, time
from pathlib import Path
from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.rate_limit.rate_limiter import SqliteBudget
from tiktok_assets.api.retry import RetryPolicy
from tiktok_assets.spec.endpoints import CAMPAIGN_LIST

url, token, owner, path, per_second, seconds, cooldown = sys.argv[1:]
budget = SqliteBudget(Path(path), float(per_second), 600)
policy = RetryPolicy(first_cooldown_seconds=float(cooldown), long_cooldown_seconds=float(cooldown) * 2)
with Client(url, token, budget=budget, policy=policy) as client:
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.time() + float(seconds)
    responses = []
    while time.time() < until:
        began, before = time.time(), client.total.retries
        client.get(CAMPAIGN_LIST, {"advertiser_id": owner}, RequestStats())
        responses.append(f"{time.time()}:{time.time() - began}")
print(*responses)
"""


@contextmanager
def rate_limits(host: Host, **limits: object) -> Iterator[None]:
    """Set the rate limits of a host, and remove them afterwards."""
    host.sandbox.state.limiter.reset()
    host.control("POST", "limits", **limits)
    try:
        yield
    finally:
        off = dict.fromkeys(("qps", "qpm", "advertiser_qps", "path_qps", "path_qpm"))
        host.control("POST", "limits", **off)
        host.sandbox.state.limiter.reset()


@contextmanager
def open_client(host: Host, folder: Path, policy: RetryPolicy = SHORT_COOLDOWNS) -> Iterator[Client]:
    """Open a client that shares the budget file of a folder."""
    budget = SqliteBudget(
        folder / "budget.sqlite", 1000, 60_000, max_cooldown_wait_seconds=policy.max_cooldown_wait_seconds
    )
    with Client(host.sandbox.base_url, host.sandbox.token, budget=budget, policy=policy) as client:
        yield client


def send_request(client: Client, host: Host, endpoint: Any = CAMPAIGN_LIST, account: int = 0) -> float:  # noqa: ANN401
    """Send one request, and return how many seconds it took."""
    began = time.monotonic()
    client.get(endpoint, {"advertiser_id": host.advertiser_ids[account]}, RequestStats())
    return time.monotonic() - began


def read_from_processes(
    host: Host, path: Path, *, per_second: float, seconds: float, cooldown: float
) -> list[list[tuple[float, float]]]:
    """Return the times and durations of the responses to four processes that send requests without a break."""
    arguments = [
        host.sandbox.base_url,
        host.sandbox.token,
        host.advertiser_ids[0],
        path,
        per_second,
        seconds,
        cooldown,
    ]
    # Retries may be printed before the last line.
    outputs = run_together(READING_PROCESS, [arguments] * 4)
    pairs = [[pair.split(":") for pair in output.splitlines()[-1].split()] for output in outputs]
    return [[(float(at), float(seconds)) for at, seconds in responses] for responses in pairs]


@pytest.mark.slow
def test_processes_are_not_throttled_at_the_basic_tier(small_host: Host, tmp_path: Path) -> None:
    """Four processes that share a budget file stay within the host's limit of ten requests per second."""
    with rate_limits(small_host, qps=10, qpm=600):
        responses_by_process = read_from_processes(
            small_host, tmp_path / "budget.sqlite", per_second=10, seconds=3, cooldown=5
        )
        requests = small_host.requests
    assert {one["code"] for one in requests} == {0}
    assert len(requests) == sum(map(len, responses_by_process)) >= 15
    assert sum(bool(responses) for responses in responses_by_process) > 1


@pytest.mark.slow
def test_cooldown_stops_all_processes(small_host: Host, tmp_path: Path) -> None:
    """After one 40100 no process gets a response until the cooldown is over, and then all continue."""
    cooldown = 1.5
    small_host.inject_fault("code", code=40100, after=8)
    responses_by_process = read_from_processes(
        small_host, tmp_path / "budget.sqlite", per_second=20, seconds=3.5, cooldown=cooldown
    )
    assert [one["code"] for one in small_host.requests].count(40100) == 1
    times = sorted(at for responses in responses_by_process for at, _ in responses)
    gaps = sorted((later - earlier for earlier, later in pairwise(times)), reverse=True)
    assert gaps[0] >= cooldown * 0.9
    assert gaps[1] < cooldown / 2
    assert all(responses[-1][0] > times[0] + cooldown for responses in responses_by_process if responses)


@pytest.mark.parametrize("fault", [("code", {"code": 40100}), ("http_status", {"status": 429, "html": "slow"})])
def test_second_breach_is_a_long_cooldown_and_third_an_error(
    small_host: Host, tmp_path: Path, fault: tuple[str, dict[str, Any]]
) -> None:
    """A short cooldown, then a long one, then an error with the retry delay: three requests in total."""
    kind, options = fault
    small_host.inject_fault(kind, times=None, **options)
    with open_client(small_host, tmp_path) as client:
        began = time.monotonic()
        with pytest.raises(ThrottledError) as caught:
            send_request(client, small_host)
        waited = time.monotonic() - began
    assert len(small_host.requests) == 3
    cooldown_seconds = SHORT_COOLDOWNS.first_cooldown_seconds + SHORT_COOLDOWNS.long_cooldown_seconds
    assert cooldown_seconds <= waited < cooldown_seconds + 2
    assert caught.value.retry_after_seconds == SHORT_COOLDOWNS.long_cooldown_seconds


def test_other_processes_fail_at_once_after_the_third_breach(small_host: Host, tmp_path: Path) -> None:
    """After the third breach other processes send nothing and fail at once with the remaining seconds."""
    policy = replace(SHORT_COOLDOWNS, long_cooldown_seconds=1.2)
    small_host.inject_fault("code", code=40100, times=3)
    with open_client(small_host, tmp_path, policy) as client, open_client(small_host, tmp_path, policy) as other:
        with pytest.raises(ThrottledError):
            send_request(client, small_host)
        began = time.monotonic()
        with pytest.raises(ThrottledError) as caught:
            send_request(other, small_host)
        assert time.monotonic() - began < 0.5
        remaining = caught.value.retry_after_seconds
        assert remaining is not None
        assert 0 < remaining <= policy.long_cooldown_seconds
        assert len(small_host.requests) == 3
        time.sleep(remaining)
        assert send_request(other, small_host) < 0.5


def test_concurrent_rejections_are_one_breach(small_host: Host, tmp_path: Path) -> None:
    """Eight requests that are rejected at the same time start one short cooldown."""
    policy = replace(SHORT_COOLDOWNS, long_cooldown_seconds=60.0)
    small_host.control("POST", "latency", seconds=0.2)
    small_host.inject_fault("code", code=40100, times=8)
    try:
        with open_client(small_host, tmp_path, policy) as client, ThreadPoolExecutor(8) as threads:
            durations = [
                one.result() for one in [threads.submit(send_request, client, small_host) for _ in range(8)]
            ]
    finally:
        small_host.control("POST", "latency", seconds=0)
    assert [one["code"] for one in small_host.requests] == [40100] * 8 + [0] * 8
    assert policy.first_cooldown_seconds <= min(durations)
    assert max(durations) < 10


def test_breach_after_the_memory_is_a_first_one(small_host: Host, tmp_path: Path) -> None:
    """A breach long after the last one starts a short cooldown again."""
    policy = replace(
        SHORT_COOLDOWNS, first_cooldown_seconds=0.05, long_cooldown_seconds=60.0, cooldown_memory_seconds=0.1
    )
    with open_client(small_host, tmp_path, policy) as client:
        for _ in range(4):
            small_host.inject_fault("code", code=40100)
            assert send_request(client, small_host) < 10
            time.sleep(0.2)


def test_throttled_account_slows_only_itself(small_host: Host, tmp_path: Path) -> None:
    """After a 40133 only that account at that path waits."""
    policy = replace(SHORT_COOLDOWNS, first_cooldown_seconds=1.0)
    small_host.inject_fault("code", code=40133, path="campaign/get", advertiser_id=small_host.advertiser_ids[0])
    with open_client(small_host, tmp_path, policy) as client, ThreadPoolExecutor(1) as thread:
        throttled = thread.submit(send_request, client, small_host)
        while not small_host.requests:
            time.sleep(0.01)
        assert send_request(client, small_host, AD_LIST) < 0.5
        assert send_request(client, small_host, CAMPAIGN_LIST, account=1) < 0.5
        assert throttled.result() >= policy.first_cooldown_seconds
    assert [one["code"] for one in small_host.requests] == [40133, 0, 0, 0]


def test_throttled_path_slows_all_accounts(small_host: Host, tmp_path: Path) -> None:
    """After a 40016 all accounts wait at that path, and none at another."""
    policy = replace(SHORT_COOLDOWNS, first_cooldown_seconds=1.0)
    small_host.inject_fault("code", code=40016, path="campaign/get", advertiser_id=small_host.advertiser_ids[0])
    with open_client(small_host, tmp_path, policy) as client, ThreadPoolExecutor(1) as thread:
        throttled = thread.submit(send_request, client, small_host)
        while not small_host.requests:
            time.sleep(0.01)
        time.sleep(0.05)
        assert send_request(client, small_host, AD_LIST) < 0.5
        assert send_request(client, small_host, CAMPAIGN_LIST, account=1) > 0.5
        assert throttled.result() >= policy.first_cooldown_seconds
    assert [one["code"] for one in small_host.requests][:2] == [40016, 0]
    assert {one["code"] for one in small_host.requests} == {40016, 0}


def test_path_limit_per_minute(small_host: Host, tmp_path: Path) -> None:
    """With TIKTOK_PATH_QPM the sessions of a state folder stay within the host's limit per path and minute."""
    settings = load_settings(
        base_url=small_host.sandbox.base_url,
        access_token=small_host.sandbox.token,
        app_id=small_host.sandbox.app_id,
        qps=1000,
        path_qpm=120,
        data_dir=str(tmp_path / "data"),
        state_dir=tmp_path / "state",
    )
    with rate_limits(
        small_host, qps=None, qpm=None, path_qps=3, path_qpm=120
    ):  # two per second, and one for a delayed request
        with (
            closing(Session(settings)) as one,
            closing(Session(settings)) as other,
            ThreadPoolExecutor(4) as threads,
        ):
            requests = [
                threads.submit(send_request, session.client, small_host, endpoint)
                for session in (one, other)
                for endpoint in (CAMPAIGN_LIST, CAMPAIGN_LIST, AD_LIST)
            ]
            for each in requests:
                each.result()
        assert [request["code"] for request in small_host.requests] == [0] * 6


@pytest.mark.slow
@pytest.mark.parametrize("has_path_budget", [True, False])
def test_path_budget_of_ad_create(small_host: Host, tmp_path: Path, *, has_path_budget: bool) -> None:
    """With the documented limit of `/ad/create/` no request is rejected; without it some are."""
    # On a busy machine two requests arrive closer together than they were sent.
    (second, minute), slack = PATH_RATE_LIMITS[AD_CREATE.path]["basic"], 2
    budgets = PathBudgets(lambda _: SqliteBudget(tmp_path / "ads.sqlite", second - slack, minute))
    with (
        rate_limits(small_host, qps=10, qpm=600),
        Client(
            small_host.sandbox.base_url,
            small_host.sandbox.token,
            budget=SqliteBudget(tmp_path / "app.sqlite", 10, 600),
            policy=SHORT_COOLDOWNS,
            path_budgets=budgets if has_path_budget else None,
        ) as client,
        ThreadPoolExecutor(4) as threads,
    ):
        body = {"advertiser_id": small_host.advertiser_ids[0]}
        sent = [threads.submit(client.post, AD_CREATE, body, RequestStats()) for _ in range(9)]
        errors = [type(one.exception()) for one in sent]
    budgets.close()
    codes = {one["code"] for one in small_host.requests}
    assert codes == ({40002} if has_path_budget else {40002, 40016})
    assert set(errors) == ({RequestError} if has_path_budget else {RequestError, ThrottledError})


@pytest.mark.slow
def test_limit_per_account_and_path(small_host: Host, tmp_path: Path) -> None:
    """If the host limits each account at a path, all requests succeed in the end."""
    with (
        rate_limits(small_host, qps=None, qpm=None, advertiser_qps=5),
        open_client(small_host, tmp_path) as client,
    ):
        with ThreadPoolExecutor(4) as threads:
            for one in [threads.submit(send_request, client, small_host) for _ in range(12)]:
                one.result()
        codes = [one["code"] for one in small_host.requests]
    assert codes.count(0) == 12
    assert set(codes) == {0, 40133}


@pytest.mark.slow
def test_timeouts_stay_below_the_penalty(small_host: Host) -> None:
    """Concurrent reports that all time out are held back before TikTok's penalty begins."""
    policy = replace(FAST, timeout_window_seconds=RetryPolicy().timeout_window_seconds)
    small_host.inject_fault("code", code=50002, times=None)

    def report(day: int) -> None:
        requests: dict[str, Parameter] = {
            "advertiser_id": small_host.advertiser_ids[0],
            "report_type": "BASIC",
            "data_level": "AUCTION_AD",
            "dimensions": ["ad_id"],
            "start_date": f"2026-11-{day:02}",
            "end_date": f"2026-11-{day:02}",
        }
        with pytest.raises(TooLargeError):
            client.get(REPORT, requests, RequestStats())

    began = time.monotonic()
    with (
        Client(small_host.sandbox.base_url, small_host.sandbox.token, policy=policy) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        for one in [threads.submit(report, day) for day in range(1, MAX_TIMEOUTS_IN_WINDOW + 4)]:
            one.result()
    assert time.monotonic() - began >= policy.timeout_window_seconds
    assert [one["code"] for one in small_host.requests] == [50002] * (MAX_TIMEOUTS_IN_WINDOW + 3)


def test_cooldown_longer_than_the_maximum_wait_is_an_error(small_host: Host, tmp_path: Path) -> None:
    """A cooldown longer than the maximum wait raises an error at once, in any process."""
    policy = replace(SHORT_COOLDOWNS, long_cooldown_seconds=60.0, max_cooldown_wait_seconds=1.0)
    small_host.inject_fault("code", code=40100, times=None)
    began = time.monotonic()
    for sent in (2, 2):
        with open_client(small_host, tmp_path, policy) as client, pytest.raises(ThrottledError) as caught:
            send_request(client, small_host)
        assert len(small_host.requests) == sent
        assert caught.value.retry_after_seconds
        assert 50 < caught.value.retry_after_seconds <= 60
    assert time.monotonic() - began < 10


def test_close_ends_waits(tmp_path: Path) -> None:
    """A thread that waits for a cooldown is released when the budget is closed."""
    budget = SqliteBudget(tmp_path / "budget.sqlite", 1000, 60_000)
    budget.acquire()
    budget.record_breach(first_seconds=60.0, long_seconds=60.0, memory_seconds=0.0)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(budget.acquire)
        time.sleep(0.2)
        assert not waiting.done()
        began = time.monotonic()
        budget.close()
        with pytest.raises(RuntimeError, match="closed"):
            waiting.result(timeout=10)
    assert time.monotonic() - began < 5

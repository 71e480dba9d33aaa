"""Tests of the request budget in Redis, which several hosts share."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
import redis
from fakeredis import TcpFakeServer
from pyrate_limiter.buckets.redis_bucket import LuaScript

from tiktok_assets.api.errors import BudgetUnavailableError, RetryLaterError, ThrottledError
from tiktok_assets.api.rate_limit.redis_rate_limiter import KEY_PREFIX, PUT_ITEM_SCRIPT, RedisBudget
from tiktok_assets.ingest.account_reader import read_accounts
from tiktok_assets.session import open_session
from tiktok_assets.settings import load_settings
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.api.rate_limit.test_rate_limiter import BUDGET_CLIENT, max_in_a_second
from tiktok_assets_tests.processes import run_together

OPEN_REDIS = """
from tiktok_assets.api.rate_limit.redis_rate_limiter import RedisBudget
budget = RedisBudget(sys.argv[1], "app", float(sys.argv[2]), 600)
"""
COOLDOWN = {"first_seconds": 0.4, "long_seconds": 60.0, "memory_seconds": 20.0}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Return the URL of a fake Redis over TCP, or of the real one in `REDIS_URL`."""
    if real_url := os.environ.get("REDIS_URL"):
        yield real_url
        return
    fake_server = TcpFakeServer(("127.0.0.1", 0))
    thread = Thread(target=fake_server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{fake_server.server_address[1]}/0"
    fake_server.shutdown()
    fake_server.server_close()
    thread.join()


@pytest.fixture
def url(server: str) -> str:
    """Return the URL of a Redis without budgets."""
    with redis.Redis.from_url(server) as client:
        for key in client.keys(f"{KEY_PREFIX}:*"):
            client.delete(key)
    return server


@pytest.mark.slow
def test_processes_share_the_budget_in_redis(url: str) -> None:
    """Three processes get no more requests per second than the rate, and not much less."""
    outputs = [
        output.split() for output in run_together(BUDGET_CLIENT.format(open_budget=OPEN_REDIS), [(url, 10, 2)] * 3)
    ]
    times = sorted(float(instant) for output in outputs for instant in output)
    assert max_in_a_second(times) <= 10
    assert len(times) >= 12
    assert sum(bool(output) for output in outputs) > 1


def test_put_item_script_is_patched() -> None:
    """The library's script still has the line we change, and ours has the changed bound."""
    assert PUT_ITEM_SCRIPT != LuaScript.PUT_ITEM
    assert "window_start, now" not in PUT_ITEM_SCRIPT


def test_each_app_has_its_own_budget(url: str) -> None:
    """The requests of one app do not count for another, and their keys differ."""
    for app in ("one", "other"):
        budget = RedisBudget(url, app, 0.1, 600)
        began = time.monotonic()
        budget.acquire()
        assert time.monotonic() - began < 2
        budget.close()
    with redis.Redis.from_url(url) as client:
        assert len(client.keys(f"{KEY_PREFIX}:*:requests")) == 2


def test_breach_starts_a_cooldown_on_all_hosts(url: str) -> None:
    """A first breach makes all hosts wait; after a second, budgets with a short maximum wait raise an error."""
    one, other = (RedisBudget(url, "app", 1000, 60_000, max_cooldown_wait_seconds=5) for _ in range(2))
    one.acquire()
    assert one.record_breach(**COOLDOWN) is None
    began = time.monotonic()
    other.acquire()
    assert 0.1 < time.monotonic() - began < 5
    assert other.record_breach(**COOLDOWN) == 60.0
    with pytest.raises(ThrottledError) as caught:
        one.acquire()
    assert caught.value.retry_after_seconds
    assert 50 < caught.value.retry_after_seconds <= 60
    one.close()
    other.close()


def test_close_ends_waits(url: str) -> None:
    """A thread that waits for a cooldown is released when the budget is closed."""
    budget = RedisBudget(url, "app", 1000, 60_000)
    budget.acquire()
    budget.record_breach(first_seconds=60.0, long_seconds=60.0, memory_seconds=0.0)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(budget.acquire)
        time.sleep(0.2)
        assert not waiting.done()
        budget.close()
        with pytest.raises(RuntimeError, match="closed"):
            waiting.result(timeout=10)


def test_lost_script_is_loaded_again(url: str) -> None:
    """The script is loaded again after Redis was restarted."""
    budget = RedisBudget(url, "app", 1000, 60_000)
    budget.acquire()
    with redis.Redis.from_url(url) as client:
        client.script_flush()
    budget.acquire()
    budget.close()


@contextmanager
def serve_redis(port: int = 0) -> Iterator[int]:
    """Run a fake Redis of the test's own, and yield its port."""
    fake_server = TcpFakeServer(("127.0.0.1", port))
    fake_server.daemon_threads = True
    thread = Thread(target=fake_server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield int(fake_server.server_address[1])
    finally:
        fake_server.shutdown()
        fake_server.server_close()
        thread.join()


def open_on_stopped_redis(outage_seconds: float) -> tuple[int, RedisBudget]:
    """Open a budget in a Redis that is then stopped, and return its port and the budget."""
    with serve_redis() as port:
        budget = RedisBudget(f"redis://127.0.0.1:{port}/0", "app", 1000, 60_000, outage_seconds=outage_seconds)
        budget.acquire()
    budget._redis.connection_pool.disconnect()  # noqa: SLF001 - the fake server leaves its connections open
    return port, budget


def test_requests_wait_for_redis_to_come_back() -> None:
    """All requests wait while Redis restarts, and are sent once it is back."""
    port, budget = open_on_stopped_redis(outage_seconds=30)
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(budget.acquire) for _ in range(3)]
        time.sleep(0.3)
        assert not any(one.done() for one in waiting)
        with serve_redis(port):
            for one in waiting:
                one.result(timeout=20)
    budget.close()


@pytest.mark.slow
def test_requests_fail_together_if_redis_stays_away(caplog: pytest.LogCaptureFixture) -> None:
    """However many requests there are, they wait once, with a warning; they go on if Redis is back."""
    port, budget = open_on_stopped_redis(outage_seconds=1)
    began = time.monotonic()
    for _ in range(200):
        with pytest.raises(BudgetUnavailableError, match="TIKTOK_LIMITER_URL"):
            budget.acquire()
    assert time.monotonic() - began < 10
    (message,) = [record.message for record in caplog.records if "wait" in record.message]
    assert message.endswith("check TIKTOK_LIMITER_URL. Requests wait for it for up to 1 seconds.")
    with serve_redis(port):
        time.sleep(0.6)
        budget.acquire()
    budget.close()


def test_unreachable_redis_error_hides_the_url(url: str) -> None:
    """The error of an unreachable Redis has the setting, and neither password nor host."""
    assert url
    for bad_url in ("redis://:hush@127.0.0.1:9/0", "rediss://nobody:hush@127.0.0.1:9"):
        with pytest.raises(RetryLaterError, match="TIKTOK_LIMITER_URL") as caught:
            RedisBudget(bad_url, "app", 10, 600)
        assert "hush" not in f"{caught.value!r} {caught.value.__cause__} {caught.value.__suppress_context__}"
        assert caught.value.__suppress_context__


def test_session_uses_redis_if_configured(small_host: Host, url: str, tmp_path: Path) -> None:
    """With TIKTOK_LIMITER_URL, requests are counted in Redis, and no budget file is created."""
    settings = load_settings(
        base_url=small_host.sandbox.base_url,
        access_token=small_host.sandbox.token,
        advertiser_ids=small_host.advertiser_ids,
        qps=1000,
        limiter_url=url,
        data_dir=str(tmp_path / "data"),
        state_dir=tmp_path / "state",
    )
    with open_session(settings) as session:
        assert read_accounts(session.reader, small_host.advertiser_ids).refused == {}
    with redis.Redis.from_url(url) as client:
        (key,) = client.keys(f"{KEY_PREFIX}:*:requests")
        assert client.zcard(key) == len(small_host.requests) == 1
    assert not list(tmp_path.rglob("*.sqlite"))

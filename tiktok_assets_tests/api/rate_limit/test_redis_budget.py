"""Laws of the budget in Redis, for several hosts: counted, paused and told as in a file."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest
import redis
from fakeredis import TcpFakeServer
from pyrate_limiter.buckets.redis_bucket import LuaScript

from tiktok_assets.api.errors import RetryLaterError, ThrottledError
from tiktok_assets.api.rate_limit.redis_budget import KEY_PREFIX, PUT_ITEM_SCRIPT, RedisBudget
from tiktok_assets.ingest.account_reader import read_accounts
from tiktok_assets.session import open_session
from tiktok_assets.settings import load_settings
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.api.rate_limit.test_budget import max_in_a_second

BUDGET_CLIENT = """
import sys, time
from tiktok_assets.api.rate_limit.redis_budget import RedisBudget

url, per_second, seconds = sys.argv[1], *map(float, sys.argv[2:])
budget = RedisBudget(url, "app", per_second, 600)
print("ready", flush=True)
sys.stdin.readline()
until = time.monotonic() + seconds
times = []
while time.monotonic() < until:
    budget.acquire()
    times.append(time.monotonic())
budget.close()
print(*times)
"""
PAUSE = {"first_seconds": 0.4, "then_seconds": 60.0, "memory_seconds": 20.0}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an imitation of Redis, over real TCP; or of the real one that `REDIS_URL` names."""
    if real := os.environ.get("REDIS_URL"):
        yield real
        return
    imitation = TcpFakeServer(("127.0.0.1", 0))
    thread = Thread(target=imitation.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{imitation.server_address[1]}/0"
    imitation.shutdown()
    imitation.server_close()
    thread.join()


@pytest.fixture
def url(server: str) -> str:
    """The same, without budgets."""
    with redis.Redis.from_url(server) as client:
        for key in client.keys(f"{KEY_PREFIX}:*"):
            client.delete(key)
    return server


def test_processes_that_share_a_redis_share_the_budget(url: str) -> None:
    """Three greedy processes are together never given more than the rate in any second, nor much less."""
    askers = [
        subprocess.Popen(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-c", BUDGET_CLIENT, url, "10", "2"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for asker in askers:
        assert asker.stdout
        assert asker.stdout.readline() == "ready\n"
    answers = []
    for asker in askers:
        assert asker.stdin
        asker.stdin.write("go\n")
        asker.stdin.flush()
    answers = [asker.communicate(timeout=60)[0].split() for asker in askers]
    assert [asker.returncode for asker in askers] == [0, 0, 0]
    together = sorted(float(instant) for answer in answers for instant in answer)
    assert max_in_a_second(together) <= 10
    assert len(together) >= 12
    assert sum(bool(answer) for answer in answers) > 1


def test_the_script_that_counts_is_ours() -> None:
    """The library's script still has the line we change, and no longer the bound that let two pass at once."""
    assert PUT_ITEM_SCRIPT != LuaScript.PUT_ITEM
    assert "window_start, now" not in PUT_ITEM_SCRIPT


def test_another_app_has_a_budget_of_its_own(url: str) -> None:
    """What one app has spent another may still ask, and their notes lie beside each other."""
    for app in ("one", "other"):
        budget = RedisBudget(url, app, 0.1, 600)
        began = time.monotonic()
        budget.acquire()
        assert time.monotonic() - began < 2
        budget.close()
    with redis.Redis.from_url(url) as client:
        assert len(client.keys(f"{KEY_PREFIX}:*:requests")) == 2


def test_a_refusal_makes_the_other_hosts_wait(url: str) -> None:
    """The first refusal is a short pause for all; after the second the impatient are told when to come back."""
    one, other = (RedisBudget(url, "app", 1000, 60_000, patience_seconds=5) for _ in range(2))
    one.acquire()
    assert one.breached(**PAUSE) is None
    began = time.monotonic()
    other.acquire()
    assert 0.1 < time.monotonic() - began < 5
    assert other.breached(**PAUSE) == 60.0
    with pytest.raises(ThrottledError) as caught:
        one.acquire()
    assert caught.value.retry_after_seconds
    assert 50 < caught.value.retry_after_seconds <= 60
    one.close()
    other.close()


def test_a_closed_budget_lets_go_of_who_waits(url: str) -> None:
    """Whoever waits out a pause is released when the budget is closed."""
    budget = RedisBudget(url, "app", 1000, 60_000)
    budget.acquire()
    budget.breached(first_seconds=60.0, then_seconds=60.0, memory_seconds=0.0)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(budget.acquire)
        time.sleep(0.2)
        assert not waiting.done()
        budget.close()
        with pytest.raises(RuntimeError, match="closed"):
            waiting.result(timeout=10)


def test_a_redis_that_forgot_its_scripts_goes_on(url: str) -> None:
    """A Redis that was started anew knows no script; the budget tells it and goes on."""
    budget = RedisBudget(url, "app", 1000, 60_000)
    budget.acquire()
    with redis.Redis.from_url(url) as client:
        client.script_flush()
    budget.acquire()
    budget.close()


def test_a_redis_that_is_not_there_is_named_without_its_address(url: str) -> None:
    """One sentence names the variable and what happened, and neither password nor host."""
    assert url
    for address in ("redis://:hush@127.0.0.1:9/0", "rediss://nobody:hush@127.0.0.1:9"):
        with pytest.raises(RetryLaterError, match="TIKTOK_LIMITER_URL") as caught:
            RedisBudget(address, "app", 10, 600)
        assert "hush" not in f"{caught.value!r} {caught.value.__cause__} {caught.value.__suppress_context__}"
        assert caught.value.__suppress_context__


def test_a_session_counts_where_the_settings_say(small: Host, url: str, tmp_path: Path) -> None:
    """With TIKTOK_LIMITER_URL every request is counted in Redis, and no budget file is made."""
    settings = load_settings(
        base_url=small.sandbox.base_url,
        access_token=small.sandbox.token,
        advertiser_ids=small.advertiser_ids,
        qps=1000,
        limiter_url=url,
        data_dir=str(tmp_path / "data"),
        state_dir=tmp_path / "state",
    )
    with open_session(settings) as session:
        assert read_accounts(session.reader, small.advertiser_ids).refused == {}
    with redis.Redis.from_url(url) as client:
        (key,) = client.keys(f"{KEY_PREFIX}:*:requests")
        assert client.zcard(key) == len(small.requests) == 1
    assert not list(tmp_path.rglob("*.sqlite"))

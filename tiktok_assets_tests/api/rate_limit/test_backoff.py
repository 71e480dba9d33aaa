"""Laws of refusals: after a 40100 the app waits, after 40016 a path, after 40133 an account at one."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tiktok_assets.api.client import Client, Parameter, RequestStats, RetryPolicy
from tiktok_assets.api.errors import RequestError, ThrottledError, TooLargeError
from tiktok_assets.api.rate_limit.backoff import MAX_TIMEOUTS_IN_WINDOW
from tiktok_assets.api.rate_limit.budget import PathBudgets, SqliteBudget
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.endpoints import AD_CREATE, AD_LIST, CAMPAIGN_LIST, PATH_RATE_LIMITS, REPORT
from tiktok_assets_tests.api.conftest import FAST, Host

PATIENT = replace(FAST, attempts=6, throttle_seconds=0.3, shared_pause_seconds=0.9, breach_memory_seconds=20.0)
"""The pauses of the default policy in the same order, as fractions of a second."""

READER = """
import sys, time
from pathlib import Path
from tiktok_assets.api.client import Client, Policy, Tally
from tiktok_assets.api.rate_limit.budget import SharedBudget
from tiktok_assets.spec.endpoints import CAMPAIGN_LIST

url, token, owner, path, per_second, seconds, pause = sys.argv[1:]
budget = SharedBudget(Path(path), float(per_second), 600)
policy = Policy(throttle_seconds=float(pause), shared_pause_seconds=float(pause) * 2)
with Client(url, token, budget=budget, policy=policy) as client:
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.time() + float(seconds)
    told = []
    while time.time() < until:
        began, before = time.time(), client.total.retries
        client.get(CAMPAIGN_LIST, {"advertiser_id": owner}, Tally())
        told.append(f"{time.time()}:{time.time() - began}")
print(*told)
"""


@contextmanager
def limited(host: Host, **limits: object) -> Iterator[None]:
    """Give a host the limiter of a tier, as if nothing had been asked of it, and take it away again."""
    host.sandbox.state.limiter.reset()
    host.control("POST", "limits", **limits)
    try:
        yield
    finally:
        off = dict.fromkeys(("qps", "qpm", "advertiser_qps", "path_qps", "path_qpm"))
        host.control("POST", "limits", **off)
        host.sandbox.state.limiter.reset()


@contextmanager
def client_at(host: Host, folder: Path, policy: RetryPolicy = PATIENT) -> Iterator[Client]:
    """A client that shares the budget file of a folder."""
    budget = SqliteBudget(folder / "budget.sqlite", 1000, 60_000, patience_seconds=policy.patience_seconds)
    with Client(host.sandbox.base_url, host.sandbox.token, budget=budget, policy=policy) as client:
        yield client


def ask(client: Client, host: Host, endpoint: Any = CAMPAIGN_LIST, account: int = 0) -> float:  # noqa: ANN401
    """Ask once; how long it took."""
    began = time.monotonic()
    client.get(endpoint, {"advertiser_id": host.advertiser_ids[account]}, RequestStats())
    return time.monotonic() - began


def read_from_processes(
    host: Host, path: Path, *, per_second: float, seconds: float, pause: float
) -> list[list[tuple[float, float]]]:
    """The answers four greedy processes got: when, and after how many seconds."""
    given = [host.sandbox.base_url, host.sandbox.token, host.advertiser_ids[0], path, per_second, seconds, pause]
    readers = [
        subprocess.Popen(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-c", READER, *map(str, given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for reader in readers:
        assert reader.stdout
        assert reader.stdout.readline() == "ready\n"
    for reader in readers:
        assert reader.stdin
        reader.stdin.write("go\n")
        reader.stdin.flush()
    answers = [reader.communicate(timeout=60)[0] for reader in readers]  # retries are told before the last line
    assert [reader.returncode for reader in readers] == [0] * len(readers)
    pairs = [[pair.split(":") for pair in answer.splitlines()[-1].split()] for answer in answers]
    return [[(float(at), float(took)) for at, took in told] for told in pairs]


def test_four_processes_are_never_refused_at_the_basic_tier(small: Host, tmp_path: Path) -> None:
    """Four greedy processes that share a file stay within the host's own ten a second: not one refusal."""
    with limited(small, qps=10, qpm=600):
        answers = read_from_processes(small, tmp_path / "budget.sqlite", per_second=10, seconds=3, pause=5)
        asked = small.requests
    assert {one["code"] for one in asked} == {0}
    assert len(asked) == sum(map(len, answers)) >= 15
    assert sum(bool(told) for told in answers) > 1


def test_a_refusal_of_one_process_makes_the_others_wait(small: Host, tmp_path: Path) -> None:
    """After one 40100 no process of the app gets an answer until the pause is over, and then all go on."""
    pause = 1.5
    small.misbehave("code", code=40100, after=8)
    answers = read_from_processes(small, tmp_path / "budget.sqlite", per_second=20, seconds=3.5, pause=pause)
    assert [one["code"] for one in small.requests].count(40100) == 1
    together = sorted(at for told in answers for at, _ in told)
    gaps = sorted((later - earlier for earlier, later in pairwise(together)), reverse=True)
    assert gaps[0] >= pause * 0.9
    assert gaps[1] < pause / 2
    assert all(told[-1][0] > together[0] + pause for told in answers if told)


@pytest.mark.parametrize("fault", [("code", {"code": 40100}), ("http_status", {"status": 429, "html": "slow"})])
def test_the_second_refusal_is_a_longer_pause_and_the_third_an_error(
    small: Host, tmp_path: Path, fault: tuple[str, dict[str, Any]]
) -> None:
    """Seconds, then the long pause, then an error that says when to come back: three requests in all."""
    kind, how = fault
    small.misbehave(kind, times=None, **how)
    with client_at(small, tmp_path) as client:
        began = time.monotonic()
        with pytest.raises(ThrottledError) as caught:
            ask(client, small)
        waited = time.monotonic() - began
    assert len(small.requests) == 3
    pauses = PATIENT.throttle_seconds + PATIENT.shared_pause_seconds
    assert pauses <= waited < pauses + 2
    assert caught.value.retry_after_seconds == PATIENT.shared_pause_seconds


def test_who_comes_while_the_app_gave_up_is_told_when_to_return(small: Host, tmp_path: Path) -> None:
    """After the third refusal another process asks nothing and fails at once with the rest of the pause."""
    policy = replace(PATIENT, shared_pause_seconds=1.2)
    small.misbehave("code", code=40100, times=3)
    with client_at(small, tmp_path, policy) as client, client_at(small, tmp_path, policy) as other:
        with pytest.raises(ThrottledError):
            ask(client, small)
        began = time.monotonic()
        with pytest.raises(ThrottledError) as caught:
            ask(other, small)
        assert time.monotonic() - began < 0.5
        left = caught.value.retry_after_seconds
        assert left is not None
        assert 0 < left <= policy.shared_pause_seconds
        assert len(small.requests) == 3
        time.sleep(left)
        assert ask(other, small) < 0.5


def test_refusals_that_were_under_way_together_are_one_breach(small: Host, tmp_path: Path) -> None:
    """Eight requests refused at the same moment cost the short pause once, not the long one."""
    policy = replace(PATIENT, shared_pause_seconds=60.0)
    small.control("POST", "latency", seconds=0.2)
    small.misbehave("code", code=40100, times=8)
    try:
        with client_at(small, tmp_path, policy) as client, ThreadPoolExecutor(8) as threads:
            took = [one.result() for one in [threads.submit(ask, client, small) for _ in range(8)]]
    finally:
        small.control("POST", "latency", seconds=0)
    assert [one["code"] for one in small.requests] == [40100] * 8 + [0] * 8
    assert policy.throttle_seconds <= min(took)
    assert max(took) < 10


def test_a_refusal_long_after_the_last_is_a_first_one(small: Host, tmp_path: Path) -> None:
    """What is longer ago than the memory does not count: each time it is the short pause."""
    policy = replace(PATIENT, throttle_seconds=0.05, shared_pause_seconds=60.0, breach_memory_seconds=0.1)
    with client_at(small, tmp_path, policy) as client:
        for _ in range(4):
            small.misbehave("code", code=40100)
            assert ask(client, small) < 10
            time.sleep(0.2)


def test_an_account_too_fast_at_a_path_slows_nobody_else(small: Host, tmp_path: Path) -> None:
    """After a 40133 only that account at that path waits; others of the app go on."""
    policy = replace(PATIENT, throttle_seconds=1.0)
    small.misbehave("code", code=40133, path="campaign/get", advertiser_id=small.advertiser_ids[0])
    with client_at(small, tmp_path, policy) as client, ThreadPoolExecutor(1) as thread:
        slowed = thread.submit(ask, client, small)
        while not small.requests:
            time.sleep(0.01)
        assert ask(client, small, AD_LIST) < 0.5
        assert ask(client, small, CAMPAIGN_LIST, account=1) < 0.5
        assert slowed.result() >= policy.throttle_seconds
    assert [one["code"] for one in small.requests] == [40133, 0, 0, 0]


def test_an_app_too_fast_at_a_path_slows_every_account_there(small: Host, tmp_path: Path) -> None:
    """After a 40016 every account waits at that path, and nobody at another."""
    policy = replace(PATIENT, throttle_seconds=1.0)
    small.misbehave("code", code=40016, path="campaign/get", advertiser_id=small.advertiser_ids[0])
    with client_at(small, tmp_path, policy) as client, ThreadPoolExecutor(1) as thread:
        slowed = thread.submit(ask, client, small)
        while not small.requests:
            time.sleep(0.01)
        time.sleep(0.05)
        assert ask(client, small, AD_LIST) < 0.5
        assert ask(client, small, CAMPAIGN_LIST, account=1) > 0.5
        assert slowed.result() >= policy.throttle_seconds
    assert [one["code"] for one in small.requests][:2] == [40016, 0]
    assert {one["code"] for one in small.requests} == {40016, 0}


def test_a_limit_a_minute_and_path_is_kept(small: Host, tmp_path: Path) -> None:
    """With TIKTOK_PATH_QPM a host with such a limit refuses nothing, over all sessions of a state folder."""
    settings = load_settings(
        base_url=small.sandbox.base_url,
        access_token=small.sandbox.token,
        app_id=small.sandbox.app_id,
        qps=1000,
        path_qpm=120,
        data_dir=str(tmp_path / "data"),
        state_dir=tmp_path / "state",
    )
    with limited(small, qps=None, qpm=None, path_qps=3, path_qpm=120):  # two a second, and one that came late
        with (
            closing(Session(settings)) as one,
            closing(Session(settings)) as other,
            ThreadPoolExecutor(4) as threads,
        ):
            asked = [
                threads.submit(ask, session.client, small, endpoint)
                for session in (one, other)
                for endpoint in (CAMPAIGN_LIST, CAMPAIGN_LIST, AD_LIST)
            ]
            for each in asked:
                each.result()
        assert [request["code"] for request in small.requests] == [0] * 6


@pytest.mark.parametrize("knows", [True, False])
def test_ads_are_made_no_faster_than_their_endpoint_takes_them(
    small: Host, tmp_path: Path, *, knows: bool
) -> None:
    """`/ad/create/` takes five a second of a basic app, which may send ten: who knows is never refused."""
    (second, minute), slack = (
        PATH_RATE_LIMITS[AD_CREATE.path]["basic"],
        1,
    )  # a busy machine is late by fits and starts
    budgets = PathBudgets(lambda _: SqliteBudget(tmp_path / "ads.sqlite", second - slack, minute))
    with (
        limited(small, qps=10, qpm=600),
        Client(
            small.sandbox.base_url,
            small.sandbox.token,
            budget=SqliteBudget(tmp_path / "app.sqlite", 10, 600),
            policy=PATIENT,
            path_budgets=budgets if knows else None,
        ) as client,
        ThreadPoolExecutor(4) as threads,
    ):
        body = {"advertiser_id": small.advertiser_ids[0]}
        sent = [threads.submit(client.post, AD_CREATE, body, RequestStats()) for _ in range(9)]
        errors = [type(one.exception()) for one in sent]
    budgets.close()
    codes = {one["code"] for one in small.requests}
    assert codes == ({40002} if knows else {40002, 40016})
    assert set(errors) == ({RequestError} if knows else {RequestError, ThrottledError})


def test_an_accounts_own_limit_is_met(small: Host, tmp_path: Path) -> None:
    """Where the host lets an account ask a path five times a second, forty questions are all answered."""
    with limited(small, qps=None, qpm=None, advertiser_qps=5), client_at(small, tmp_path) as client:
        with ThreadPoolExecutor(4) as threads:
            for one in [threads.submit(ask, client, small) for _ in range(12)]:
                one.result()
        codes = [one["code"] for one in small.requests]
    assert codes.count(0) == 12
    assert set(codes) == {0, 40133}


def test_no_run_times_out_ten_times_in_ten_seconds(small: Host) -> None:
    """Where every report times out, greedy threads are held back before the host's own penalty begins."""
    policy = replace(FAST, timeouts_within_seconds=RetryPolicy().timeouts_within_seconds)
    small.misbehave("code", code=50002, times=None)

    def report(day: int) -> None:
        asked: dict[str, Parameter] = {
            "advertiser_id": small.advertiser_ids[0],
            "report_type": "BASIC",
            "data_level": "AUCTION_AD",
            "dimensions": ["ad_id"],
            "start_date": f"2026-11-{day:02}",
            "end_date": f"2026-11-{day:02}",
        }
        with pytest.raises(TooLargeError):
            client.get(REPORT, asked, RequestStats())

    began = time.monotonic()
    with (
        Client(small.sandbox.base_url, small.sandbox.token, policy=policy) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        for one in [threads.submit(report, day) for day in range(1, MAX_TIMEOUTS_IN_WINDOW + 4)]:
            one.result()
    assert time.monotonic() - began >= policy.timeouts_within_seconds
    assert [one["code"] for one in small.requests] == [50002] * (MAX_TIMEOUTS_IN_WINDOW + 3)


def test_who_has_little_patience_is_told_when_to_return(small: Host, tmp_path: Path) -> None:
    """A pause longer than one's patience is not waited for, be it one's own or another's; a shorter one is."""
    brief = replace(PATIENT, shared_pause_seconds=60.0, patience_seconds=1.0)
    small.misbehave("code", code=40100, times=None)
    began = time.monotonic()
    for sent in (2, 2):
        with client_at(small, tmp_path, brief) as client, pytest.raises(ThrottledError) as caught:
            ask(client, small)
        assert len(small.requests) == sent
        assert caught.value.retry_after_seconds
        assert 50 < caught.value.retry_after_seconds <= 60
    assert time.monotonic() - began < 10


def test_a_closed_budget_lets_go_of_who_waits(tmp_path: Path) -> None:
    """Whoever waits out a pause is released when the budget is closed, long before the pause is over."""
    budget = SqliteBudget(tmp_path / "budget.sqlite", 1000, 60_000)
    budget.acquire()
    budget.breached(first_seconds=60.0, then_seconds=60.0, memory_seconds=0.0)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(budget.acquire)
        time.sleep(0.2)
        assert not waiting.done()
        began = time.monotonic()
        budget.close()
        with pytest.raises(RuntimeError, match="closed"):
            waiting.result(timeout=10)
    assert time.monotonic() - began < 5

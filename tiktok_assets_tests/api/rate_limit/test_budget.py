"""Laws of the request budget: no window of a second holds more than the tier allows, whoever asks."""

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiktok_assets.api.rate_limit.budget import SqliteBudget, UnlimitedBudget
from tiktok_assets.settings import TIER_LIMITS, Tier, load_settings

BUDGET_CLIENT = """
import sys, time
from pathlib import Path
from tiktok_assets.api.rate_limit.budget import SharedBudget

path, per_second, per_minute, seconds = Path(sys.argv[1]), *map(float, sys.argv[2:])
budget = SharedBudget(path, per_second, int(per_minute))
print("ready", flush=True)
sys.stdin.readline()
until = time.monotonic() + seconds
times = []
while time.monotonic() < until:
    budget.acquire()
    times.append(time.monotonic())
print(*times)
"""


def acquire_from_processes(path: Path, *, processes: int, per_second: float, seconds: float) -> list[list[float]]:
    """The instants at which each of several greedy processes was given leave."""
    askers = [
        subprocess.Popen(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-c", BUDGET_CLIENT, str(path), str(per_second), "600", str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for asker in askers:
        assert asker.stdout
        assert asker.stdout.readline() == "ready\n"
    for asker in askers:
        assert asker.stdin
        asker.stdin.write("go\n")
        asker.stdin.flush()
    answers = [asker.communicate(timeout=60)[0] for asker in askers]
    assert [asker.returncode for asker in askers] == [0] * processes
    return [[float(instant) for instant in answer.split()] for answer in answers]


def max_in_a_second(times: list[float]) -> int:
    """The most instants any window of one second holds, wherever it begins."""
    return max(sum(start <= instant < start + 1 for instant in times) for start in times)


def test_four_processes_together_stay_within_the_budget_of_one(tmp_path: Path) -> None:
    """Four greedy processes that share a file are never given more than the rate in any second, nor much less."""
    leave = acquire_from_processes(tmp_path / "budget.sqlite", processes=4, per_second=10, seconds=2)
    together = sorted(instant for times in leave for instant in times)
    assert max_in_a_second(together) <= 10
    assert len(together) >= 12  # 2 seconds at 10 a second less the headroom, on a busy machine
    assert sum(bool(times) for times in leave) > 1


def test_threads_of_one_process_share_the_budget_and_are_spaced(tmp_path: Path) -> None:
    """Threads are given leave one after the other, evenly, so that no burst meets the next second's."""
    budget = SqliteBudget(tmp_path / "new" / "budget.sqlite", 25, 1500)
    times: list[float] = []

    def ask() -> None:
        for _ in range(5):
            budget.acquire()
            times.append(time.monotonic())

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    assert len(times) == 20
    assert times[-1] - times[0] >= 19 / 25
    gaps = sorted(later - earlier for earlier, later in pairwise(times))
    assert gaps[len(gaps) // 2] >= 1 / 25


def test_a_budget_outlives_the_process_that_spent_it(tmp_path: Path) -> None:
    """Whoever opens the file later waits for what was spent before."""
    path = tmp_path / "budget.sqlite"
    SqliteBudget(path, 2, 120).acquire()
    began = time.monotonic()
    SqliteBudget(path, 2, 120).acquire()
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("per_second", [10, 100])
def test_a_minute_has_its_own_limit(tmp_path: Path, per_second: float) -> None:
    """When the minute's requests are spent, the second's no longer count; fast tiers are held to it as well."""
    budget = SqliteBudget(tmp_path / "budget.sqlite", per_second, 3)
    began = time.monotonic()
    for _ in range(2):  # three less the headroom of five percent
        budget.acquire()
    assert time.monotonic() - began < 1
    waiting = Thread(target=budget.acquire, daemon=True)
    waiting.start()
    waiting.join(0.4)
    assert waiting.is_alive()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.floats(0.01, 200), st.sampled_from(list(TIER_LIMITS)))
def test_every_wish_for_requests_makes_a_budget(tmp_path: Path, qps: float, tier: Tier) -> None:
    """Whatever TIKTOK_QPS and tier are set to, there is a budget, and its first request may go at once."""
    chosen = load_settings(qps=qps, api_tier=tier)
    path = tmp_path / f"{uuid4().hex}.sqlite"
    began = time.monotonic()
    SqliteBudget(path, chosen.requests_per_second, chosen.requests_per_minute).acquire()
    assert time.monotonic() - began < 1


def test_without_a_limit_nobody_waits() -> None:
    """The unlimited budget gives leave at once."""
    began = time.monotonic()
    for _ in range(1000):
        UnlimitedBudget().acquire()
    assert time.monotonic() - began < 0.5

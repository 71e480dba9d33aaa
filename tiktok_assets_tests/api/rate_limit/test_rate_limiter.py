"""Tests of the request budget in a file: no window of a second has more requests than the tier allows."""

import sqlite3
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiktok_assets.api.rate_limit.rate_limiter import SqliteBudget, UnlimitedBudget
from tiktok_assets.setting_types import TIER_LIMITS, Tier
from tiktok_assets.settings import load_settings
from tiktok_assets_tests.processes import run_together

BUDGET_CLIENT = """
import sys, time
{open_budget}
print("ready", flush=True)
sys.stdin.readline()
until = time.monotonic() + float(sys.argv[3])
times = []
while time.monotonic() < until:
    budget.acquire()
    times.append(time.monotonic())
budget.close()
print(*times)
"""
"""A process that acquires without a break; `open_budget` opens a budget with the path and rate in sys.argv."""

OPEN_FILE = """
from pathlib import Path
from tiktok_assets.api.rate_limit.rate_limiter import SqliteBudget
budget = SqliteBudget(Path(sys.argv[1]), float(sys.argv[2]), 600)
"""


def acquire_from_processes(path: Path, *, processes: int, per_second: float, seconds: float) -> list[list[float]]:
    """Return the times at which each of several processes that acquire without a break was permitted a request."""
    outputs = run_together(BUDGET_CLIENT.format(open_budget=OPEN_FILE), [(path, per_second, seconds)] * processes)
    return [[float(instant) for instant in output.split()] for output in outputs]


def max_in_a_second(times: list[float]) -> int:
    """Return the most times in any window of one second."""
    return max(sum(start <= instant < start + 1 for instant in times) for start in times)


@pytest.mark.slow
def test_processes_share_one_budget(tmp_path: Path) -> None:
    """Four processes that share a file get no more requests per second than the rate, and not much less."""
    times_by_process = acquire_from_processes(tmp_path / "budget.sqlite", processes=4, per_second=10, seconds=2)
    together = sorted(instant for times in times_by_process for instant in times)
    assert max_in_a_second(together) <= 10
    assert len(together) >= 12  # 2 seconds at 10 a second less the headroom, on a busy machine
    assert sum(bool(times) for times in times_by_process) > 1


def test_requests_of_threads_are_evenly_spaced(tmp_path: Path) -> None:
    """Threads get requests one by one and evenly spaced."""
    budget = SqliteBudget(tmp_path / "new" / "budget.sqlite", 25, 1500)
    times: list[float] = []

    def acquire_five() -> None:
        for _ in range(5):
            budget.acquire()
            times.append(time.monotonic())

    threads = [Thread(target=acquire_five) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    assert len(times) == 20
    assert times[-1] - times[0] >= 19 / 25
    gaps = sorted(later - earlier for earlier, later in pairwise(times))
    assert gaps[len(gaps) // 2] >= 1 / 25


def test_budget_persists_in_its_file(tmp_path: Path) -> None:
    """A budget that is opened later counts the earlier requests."""
    path = tmp_path / "budget.sqlite"
    SqliteBudget(path, 2, 120).acquire()
    began = time.monotonic()
    SqliteBudget(path, 2, 120).acquire()
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("per_second", [10, 100])
def test_limit_per_minute(tmp_path: Path, per_second: float) -> None:
    """The limit per minute holds in addition to the limit per second."""
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
def test_every_rate_setting_makes_a_budget(tmp_path: Path, qps: float, tier: Tier) -> None:
    """Every TIKTOK_QPS and tier makes a budget whose first request is permitted at once."""
    chosen = load_settings(qps=qps, api_tier=tier)
    path = tmp_path / f"{uuid4().hex}.sqlite"
    began = time.monotonic()
    SqliteBudget(path, chosen.requests_per_second, chosen.requests_per_minute).acquire()
    assert time.monotonic() - began < 1


def test_unlimited_budget_does_not_wait() -> None:
    """The unlimited budget permits requests at once."""
    began = time.monotonic()
    for _ in range(1000):
        UnlimitedBudget().acquire()
    assert time.monotonic() - began < 0.5


def test_requests_outside_every_window_are_deleted(tmp_path: Path) -> None:
    """The file does not grow: a process deletes what others counted before the last minute."""
    path = tmp_path / "budget.sqlite"
    SqliteBudget(path, 10, 600).close()
    with closing(sqlite3.connect(path)) as file, file:
        old = round((time.time() - 3600) * 1000)
        file.executemany("insert into rate_bucket values ('app', ?)", [(old + number,) for number in range(500)])
    budget = SqliteBudget(path, 10, 600)
    budget.acquire()
    budget.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("select count(*) from rate_bucket").fetchone() == (1,)

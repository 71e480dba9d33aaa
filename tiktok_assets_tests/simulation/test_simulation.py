"""Tests that the simulation lives a world by its seed, and that it sees a planted fault."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tiktok_assets_tests.mutations.table import ROOT, Mutation
from tiktok_assets_tests.simulation.__main__ import ENVIRONMENT
from tiktok_assets_tests.simulation.mutations import (
    copy_repository,
    find_by_simulation,
    load_planted_faults,
)

SEED, DAYS = 14, 8
PLANTED = load_planted_faults()


def live_seed(seed: int, days: int) -> dict[str, Any]:
    """Live the first days of a seed in a process of its own, and return its figures."""
    command = [sys.executable, "-m", "tiktok_assets_tests.simulation", "--worker"]
    ran = subprocess.run(  # noqa: S603 - our own module
        [*command, "--seed", str(seed), "--days", str(days)],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        check=True,
    )
    figures: dict[str, Any] = json.loads(ran.stdout)
    return figures


@pytest.mark.slow
def test_nothing_is_lost_in_the_first_days_of_a_seed() -> None:
    """With every kind of fault, all assertions of a short simulation hold."""
    figures = live_seed(SEED, DAYS)
    assert figures["failures"] == []
    assert figures["seeds"] == 1
    assert sum(figures["faults"].values()) > 5
    assert sum(figures["assertions"].values()) > 3000


@pytest.mark.slow
def test_planted_fault_is_found(tmp_path: Path) -> None:
    """The simulation finds a ranking by id instead of spend on the first day."""
    (mutation,) = [one for one in PLANTED if "smallest id" in one.bug]
    violation = find_by_simulation(mutation, copy_repository(str(tmp_path)), days=1)
    assert violation
    assert "each recorded leader led" in violation


@pytest.mark.parametrize("mutation", PLANTED, ids=lambda one: one.bug)
def test_fault_can_be_planted(mutation: Mutation) -> None:
    """The text to replace occurs once in its file, and the result is valid Python."""
    compile(mutation.apply((ROOT / mutation.file).read_text(encoding="utf-8")), mutation.file, "exec")


def test_twenty_faults_are_planted() -> None:
    """At least twenty different faults are planted."""
    assert len({one.bug for one in PLANTED}) == len(PLANTED) >= 20

"""Test that a simulated kill leaves the same files and the same state as a SIGKILL."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tiktok_assets.storage.state import TABLES
from tiktok_assets_tests.mutations.table import ROOT
from tiktok_assets_tests.simulation.__main__ import ENVIRONMENT

SEED = 27
RANDOM_COLUMNS = {"owner", "key", "approval_id", "message"}
"""Different in each run, whatever the seed: drawn from the system, or derived from such a value."""


def start_until_killed(folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Start a process that lives a seed until its first kill."""
    folder.mkdir()
    command = [sys.executable, "-m", "tiktok_assets_tests.simulation", "--seed", str(SEED)]
    command += ["--until-killed", str(folder), *options]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **ENVIRONMENT})  # noqa: S603 - our own module


def read_tables(folder: Path) -> dict[str, bytes]:
    """Return the content of every stored partition."""
    base = folder / "host" / "data"
    return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*.parquet")}


def read_state(folder: Path) -> dict[str, list[Any]]:
    """Return the rows of every table of the state."""
    engine = sa.create_engine(f"sqlite:///{folder}/host/state/state.sqlite")
    with engine.begin() as connection:
        return {
            name: sorted(
                str({key: value for key, value in row.items() if key not in RANDOM_COLUMNS})
                for row in connection.execute(sa.select(table)).mappings()
            )
            for name, table in TABLES.tables.items()
        }


@pytest.mark.slow
def test_simulated_kill_leaves_what_sigkill_leaves(tmp_path: Path) -> None:
    """A process that an exception ends leaves the same tables, leftovers and state as one that SIGKILL ends."""
    simulated, real = tmp_path / "simulated", tmp_path / "real"
    running = [start_until_killed(simulated), start_until_killed(real, "--for-real")]
    assert [process.wait(timeout=120) for process in running] == [0, -signal.SIGKILL]
    tables = read_tables(simulated)
    assert tables == read_tables(real)
    assert len(tables) > 10
    assert read_state(simulated) == read_state(real)
    leftovers = [len(list((one / "host" / "data" / "_writing").iterdir())) for one in (simulated, real)]
    assert leftovers[0] == leftovers[1]

"""Kill a process at a checkpoint by SIGKILL, and expire the leases that it leaves behind."""

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path

import sqlalchemy as sa

from tiktok_assets.duplication.ledger import Checkpoint
from tiktok_assets.storage.state import State, leases

Task = Callable[[Checkpoint], None]
"""What a process does, with the checkpoints it passes; picklable."""

WAIT_SECONDS = 60


class CheckpointTrace:
    """Records the checkpoints passed, and kills the process the first time it reaches one of them.

    Args:
        kill_at: the name of that checkpoint; None for no kill.
        proof: the file to create just before.
    """

    def __init__(self, kill_at: str | None = None, proof: Path | None = None) -> None:
        self.passed: list[str] = []
        self._kill_at = kill_at
        self._proof = proof

    def __call__(self, name: str) -> None:
        """Pass a checkpoint."""
        self.passed.append(name)
        if name == self._kill_at and self._proof:
            self._proof.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    @property
    def names(self) -> list[str]:
        """The names of the checkpoints in the order in which each was first passed."""
        return list(dict.fromkeys(self.passed))


def open_forkserver(*modules: str) -> ForkServerContext:
    """Return a context for processes that start with these modules imported."""
    context = get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    return context


def run_and_kill(forkserver: ForkServerContext, task: Task, point: str, proof: Path) -> bool:
    """Run a task in a process that kills itself at a checkpoint, and return whether it did.

    Args:
        forkserver: starts the process.
        task: to run.
        point: the checkpoint.
        proof: a file that does not exist. The exit code is no proof: another thread may have read it.
    """
    process = forkserver.Process(target=_run, args=(task, point, proof))
    process.start()
    process.join(WAIT_SECONDS)
    return proof.exists()


def _run(task: Task, point: str, proof: Path) -> None:
    task(CheckpointTrace(point, proof))


def expire_leases(state_url: str) -> None:
    """Delete all leases, as if the time a killed process holds its account had passed."""
    with closing(State(state_url)) as state, state.transaction() as connection:
        connection.execute(sa.delete(leases))


def select_after_and_requests(names: Sequence[str]) -> list[str]:
    """Select the checkpoints with an effect of their own.

    An uncommitted transaction has no effect, a renewed lease changes nothing, and between two checkpoints without
    a request nothing happens.
    """
    return [
        name
        for name in names
        if " lease" not in name and (" after " in name or "before lookup" in name or name.endswith("create/"))
    ]

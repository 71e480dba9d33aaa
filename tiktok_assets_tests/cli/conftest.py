"""A sandbox and a way to run a command against it as a user does: another process, its own folder."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.environment import clean_environment


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    exit_code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    """A world of this morning without limits."""
    anchor = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    with RunningSandbox(WorldPlan(anchor=anchor), limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture(scope="session")
def live(sandbox: RunningSandbox) -> Mapping[str, str]:
    """The variables that point a command at the sandbox."""
    return variables_of(sandbox)


def variables_of(sandbox: RunningSandbox) -> dict[str, str]:
    """The variables a user would export."""
    start = sandbox.clock.now().date() - timedelta(days=40)
    return {
        "TIKTOK_BASE_URL": sandbox.base_url,
        "TIKTOK_ACCESS_TOKEN": sandbox.token,
        "TIKTOK_APP_ID": sandbox.app_id,
        "TIKTOK_APP_SECRET": sandbox.secret,
        "TIKTOK_START_DATE": start.isoformat(),
        "TIKTOK_QPS": "1000",
    }


@pytest.fixture
def run(tmp_path: Path, live: Mapping[str, str]) -> Run:
    """Run `tiktok-assets` with arguments, in a folder of its own; `variables` add to those of the sandbox."""

    def _run(*arguments: str, variables: Mapping[str, str] | None = None, folder: Path | None = None) -> Ran:
        return run_command(*arguments, variables={**live, **(variables or {})}, folder=folder or tmp_path)

    return _run


def run_command(*arguments: str, variables: Mapping[str, str], folder: Path, entered: str = "") -> Ran:
    """Run `tiktok-assets` as another process with nothing of ours in its environment but these variables.

    Args:
        arguments: of the command line.
        variables: of the environment.
        folder: the working directory.
        entered: standard input.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "tiktok_assets", *arguments],
        cwd=folder,
        env=clean_environment(variables),
        capture_output=True,
        input=entered,
        text=True,
        timeout=240,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)

"""Fixtures that run a command against a sandbox as a user does: in another process, in a folder of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.command_server import CAN_FORK, CommandServer
from tiktok_assets_tests.environment import clean_environment

TIMEOUT_SECONDS = 240

_COMMANDS = CommandServer()


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code and the output of a command."""

    exit_code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error message; a failed command prints exactly one, without a traceback."""
        assert "Traceback" not in self.err
        (message,) = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        return message


RunCommand = Callable[..., CommandResult]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    """A sandbox with today's data and no rate limits."""
    anchor = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    with RunningSandbox(WorldPlan(anchor=anchor), limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture(scope="session")
def live(sandbox: RunningSandbox) -> Mapping[str, str]:
    """The environment variables that point a command to the sandbox."""
    return build_variables(sandbox)


def build_variables(sandbox: RunningSandbox) -> dict[str, str]:
    """Return the environment variables that a user would export for a sandbox."""
    days = min(40, sandbox.world.plan.days + 1)  # a sync writes every day since the start, also without delivery
    start = sandbox.clock.now().date() - timedelta(days=days)
    return {
        "TIKTOK_BASE_URL": sandbox.base_url,
        "TIKTOK_ACCESS_TOKEN": sandbox.token,
        "TIKTOK_APP_ID": sandbox.app_id,
        "TIKTOK_APP_SECRET": sandbox.secret,
        "TIKTOK_START_DATE": start.isoformat(),
        "TIKTOK_QPS": "1000",
    }


@pytest.fixture
def run(tmp_path: Path, live: Mapping[str, str]) -> RunCommand:
    """A function that runs `tiktok-assets` in a temporary folder; `variables` add to those of the sandbox."""

    def _run(
        *arguments: str, variables: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> CommandResult:
        return run_command(*arguments, variables={**live, **(variables or {})}, folder=folder or tmp_path)

    return _run


def run_command(*arguments: str, variables: Mapping[str, str], folder: Path, entered: str = "") -> CommandResult:
    """Run `tiktok-assets` in a process of its own that has imported its modules already; see `command_server`.

    Args:
        arguments: The command line after the program's name.
        variables: The environment variables, beside those of this process that are not settings.
        folder: The working directory.
        entered: The text of standard input.
    """
    if not CAN_FORK:
        return run_program(*arguments, variables=variables, folder=folder, entered=entered)
    with TemporaryFile() as stdin, TemporaryFile() as stdout, TemporaryFile() as stderr:
        stdin.write(entered.encode())
        stdin.seek(0)
        streams = (stdin.fileno(), stdout.fileno(), stderr.fileno())
        code = _COMMANDS.run(arguments, clean_environment(variables), folder, streams, TIMEOUT_SECONDS)
        stdout.seek(0)
        stderr.seek(0)
        return CommandResult(code, stdout.read().decode(), stderr.read().decode())


def run_program(*arguments: str, variables: Mapping[str, str], folder: Path, entered: str = "") -> CommandResult:
    """Run `tiktok-assets` in a new Python interpreter, which takes seconds longer; arguments as `run_command`."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "tiktok_assets", *arguments],
        cwd=folder,
        env=clean_environment(variables),
        capture_output=True,
        input=entered,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)

"""Fixtures: a stopwatch that prints, and a project of `examples` in an environment of its own."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tiktok_assets_tests.versions.environments import ROOT, Environment

Stopwatch = Callable[[str], AbstractContextManager[None]]
IGNORED = shutil.ignore_patterns(".*", "__pycache__", "target", "data", "delta", "logs")


@dataclass(frozen=True, slots=True)
class Project:
    """A project in a folder, and the environment it is installed in."""

    folder: Path
    environment: Environment

    def run(self, *command: object, **variables: str) -> str:
        """Run a program in the folder of the project, with a Dagster instance of its own."""
        home = self.folder / ".dagster"
        home.mkdir(exist_ok=True)
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        return self.environment.run(
            *command, folder=self.folder, variables={"DAGSTER_HOME": str(home), **variables}
        )


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Stopwatch:
    """Return a context manager that prints how long its block took."""

    @contextmanager
    def _measure(step: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"  {step}: {time.monotonic() - started:.1f} s", flush=True)  # noqa: T201 - the figures of the check

    return _measure


@pytest.fixture
def install(tmp_path: Path, measure: Stopwatch) -> Callable[[str], Project]:
    """Return a function that copies a project of `examples` and installs it with this package."""

    def _install(name: str) -> Project:
        folder = shutil.copytree(ROOT / "examples" / name, tmp_path / name, ignore=IGNORED)
        environment = Environment(
            tmp_path / "environment", options=("--constraint", str(ROOT / "examples/constraints.txt"))
        )
        with measure(f"{name}: install"):
            environment.create()
            if os.environ.get("INSTALL_WITH") == "pip":
                options = ("--quiet", "--disable-pip-version-check", *environment.options)
                environment.run("python", "-m", "pip", "install", *options, ROOT, "--editable", folder)
            else:
                environment.install(str(ROOT), "--editable", str(folder))
        return Project(folder, environment)

    return _install

"""Build virtual environments beside the one of the tests, with `uv`, which needs seconds."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tiktok_assets_tests.environment import clean_environment

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
SUPPORTED = ("python3.11", "python3.12", "python3.13")


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment in a folder, built with this Python and these options of `uv pip install`."""

    folder: Path
    python: str = sys.executable
    options: Sequence[str] = field(default=("--constraint", str(CONSTRAINTS)))

    def create(self) -> None:
        """Make the environment anew, without packages but `pip`."""
        run(
            [
                *UV,
                "venv",
                "--quiet",
                "--clear",
                "--seed",
                "--no-python-downloads",
                "--python",
                self.python,
                self.folder,
            ]
        )

    def install(self, *requirements: str) -> float:
        """Install requirements and return the seconds it took."""
        started = time.monotonic()
        run([*UV, "pip", "install", "--quiet", "--python", self.program("python"), *self.options, *requirements])
        return time.monotonic() - started

    def program(self, name: str) -> str:
        """Return the path of a program of the environment."""
        return str(self.folder / "bin" / name)

    def run(self, *command: object, folder: Path = ROOT, variables: Mapping[str, str] | None = None) -> str:
        """Run a program of the environment as if the environment were activated, and return what it printed."""
        return run(
            [self.program(str(command[0])), *command[1:]], folder=folder, variables=self.variables(variables)
        )

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables of a shell in which the environment is activated, with some more."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "VIRTUAL_ENV": str(self.folder), **(more or {})}

    def version(self, package: str) -> str:
        """Return the version of an installed package."""
        code = f"import importlib.metadata as m; print(m.version({package!r}))"
        return self.run("python", "-c", code).strip()


UV = (sys.executable, "-m", "uv")


def run(command: Iterable[object], *, folder: Path = ROOT, variables: Mapping[str, str] | None = None) -> str:
    """Run a program without the settings of the user and return what it printed.

    Raises:
        RuntimeError: if it fails, with all that it printed.
    """
    words = [str(word) for word in command]
    ran = subprocess.run(  # noqa: S603 - our own commands
        words, cwd=folder, env=clean_environment(variables), capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")
    return ran.stdout


def find_python(name: str) -> str | None:
    """Return the path of a Python such as `python3.12`, on PATH or among those of pyenv, or None."""
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [
        shutil.which(name),
        *sorted(folder.glob(f"{name.removeprefix('python')}.*/bin/{name}"), reverse=True),
    ]
    return next((str(candidate) for candidate in candidates if candidate and _starts(candidate)), None)


def _starts(python: str | Path) -> bool:
    """Return whether a Python starts: pyenv has a shim of each version on PATH, which starts chosen ones only."""
    return subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0  # noqa: S603

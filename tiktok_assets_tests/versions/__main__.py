"""Run the smoke suite with other versions: the newest allowed, the oldest, other Pythons, another Dagster.

`python -m tiktok_assets_tests.versions newest oldest python3.12 dagster==1.13.28`: each word is one
environment, in a folder `.venv-WORD`. `pythons` stands for every supported Python that is found. `--all` runs the
whole suite. The exit code is 1 if one fails.
"""

import re
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tiktok_assets_tests.versions.environments import CONSTRAINTS, ROOT, SUPPORTED, Environment, find_python
from tiktok_assets_tests.versions.smoke import DG_TESTS, SMOKE_TESTS

NOT_NEEDED = frozenset(
    [
        "dagster-dg-cli",
        "celery",
        "dagster-celery",
        "dagster-postgres",
        "psycopg2-binary",
        "dagster-delta",
        "ruff",
        "mypy",
        "types-html5lib",
        "uv",
    ],
)
"""What the short suite does not import, and `dg`, which is installed after it.

Each package of Dagster demands the Dagster of its release, and the newest Dagster has fewer of them.
"""

DG = "dagster-dg-cli>=1.13.27,<1.14"
TESTS = Path(__file__).parents[1]
SHOWN = ("dagster", "dagster-webserver", "polars", "duckdb", "pydantic")
PYTEST = ("python", "-m", "pytest", "-q", "--numprocesses", "2", "-p", "no:cacheprovider")


@dataclass(frozen=True, slots=True)
class Result:
    """What ran in an environment, and how long it took."""

    word: str
    versions: str
    outcome: str
    failed: bool


def main(words: Sequence[str]) -> int:
    """Run the suite in each environment and return the exit code."""
    chosen = [word for word in words if word != "--all"]
    tests = [] if "--all" in words else [str(TESTS / test) for test in SMOKE_TESTS]
    results = [try_versions(word, tests) for word in expand(chosen)]
    for result in results:
        write(f"{result.word:<18} {'FAILED' if result.failed else 'passed'}  {result.versions}; {result.outcome}")
    return int(any(result.failed for result in results))


def expand(words: Sequence[str]) -> list[str]:
    """Replace `pythons` by each supported Python that is found, and say which are not."""
    found: list[str] = []
    for word in words:
        for name in SUPPORTED if word == "pythons" else (word,):
            if name in SUPPORTED and not find_python(name):
                write(f"{name} was not found, neither on PATH nor in pyenv; it is left out.")
            else:
                found.append(name)
    return found


def try_versions(word: str, tests: Sequence[str]) -> Result:
    """Build the environment that a word means, and run tests and `dg` in it; no tests stands for all."""
    environment = Environment(ROOT / f".venv-{word}", find_python(word) or sys.executable, choose_options(word))
    versions, seconds, failed = "not installed", [], False
    try:
        environment.create()
        installed = environment.install("--editable", str(ROOT), *read_test_requirements(whole=not tests))
        versions = ", ".join(f"{name} {environment.version(name)}" for name in SHOWN)
        seconds.append(f"install {installed:.0f} s")
        started = time.monotonic()
        output = environment.run(*PYTEST, *tests)
        seconds.append(f"{find_summary(output)} in {time.monotonic() - started:.0f} s")
        started = time.monotonic()
        # `dg` demands the Dagster of its release too, and shares code with it; so it is installed with that.
        options = [] if word.startswith("dagster==") else environment.options
        Environment(environment.folder, options=options).install(DG)
        environment.run("dg", "check", "defs")
        environment.run(*PYTEST[:4], *(TESTS / test for test in DG_TESTS))
        dagster = environment.version("dagster")
        seconds.append(f"dg with dagster {dagster} in {time.monotonic() - started:.0f} s")
    except RuntimeError as error:
        write(str(error))
        failed = True
    return Result(word, versions, ", ".join(seconds), failed)


def choose_options(word: str) -> list[str]:
    """Return the options of `uv pip install` that a word means."""
    if word == "newest":
        return ["--upgrade"]
    if word == "oldest":
        return ["--resolution", "lowest-direct"]
    if word.startswith("dagster=="):
        # The webserver demands the Dagster of its release, which it may not have.
        file = ROOT / f".venv-{word}.txt"
        file.write_text(f"{word}\n{word.replace('dagster', 'dagster-graphql')}\n", encoding="utf-8")
        return ["--override", str(file)]
    return ["--constraint", str(CONSTRAINTS)]


def read_test_requirements(*, whole: bool = False) -> list[str]:
    """Return what the short or the whole suite needs beside the package, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines: list[str] = project["optional-dependencies"]["dev"]
    return [line for line in lines if whole or re.split(r"[^\w-]", line)[0] not in NOT_NEEDED]


def find_summary(output: str) -> str:
    """Return how many tests passed."""
    passed = re.search(r"\d+ passed", output)
    return passed[0] if passed else "no test"


def write(line: str) -> None:
    """Write a line at once, also to a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

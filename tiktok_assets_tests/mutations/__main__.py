"""Put each fixed bug back into a copy of the repository and print whether its quick tests fail.

`make mutations` runs all of them; `python -m tiktok_assets_tests.mutations escape` runs those whose bug, file or
commit contains the word. The exit code is 1 if a bug is not caught.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tiktok_assets_tests.mutations.table import ROOT, Mutation, load_mutations

IGNORED = shutil.ignore_patterns(".*", "__pycache__")
PYTEST = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow"]
TESTS_FAILED = 1


def main(words: list[str]) -> int:
    """Run the chosen mutations one after the other and return the exit code."""
    chosen = [one for one in load_mutations() if all(word in str(one) for word in words)]
    caught = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "repository")
        shutil.copytree(ROOT, copy, ignore=IGNORED)
        for mutation in chosen:
            started = time.monotonic()
            try:
                failed_test = find_failing_test(mutation, copy)
                result = f"caught by {failed_test}" if failed_test else "NOT CAUGHT"
                caught += failed_test is not None
            except (RuntimeError, ValueError) as error:
                result = f"NOT TRIED: {error}"
            write(f"{mutation.fixed_in} {mutation.bug}\n    {result} ({time.monotonic() - started:.0f} s)")
    write(f"{caught} of {len(chosen)} bugs are caught.")
    return 0 if caught == len(chosen) else 1


def write(line: str) -> None:
    """Write a line at once, also to a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_mutated(mutation: Mutation, copy: Path, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Apply a mutation to the copy, run a command in it, and undo the mutation.

    Raises:
        ValueError: If the mutation does not apply.
    """
    file = copy / mutation.file
    original = file.read_text(encoding="utf-8")
    file.write_text(mutation.apply(original), encoding="utf-8")
    try:
        return subprocess.run(  # noqa: S603 - our own modules and tests
            command,
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        file.write_text(original, encoding="utf-8")


def find_failing_test(mutation: Mutation, copy: Path) -> str | None:
    """Apply a mutation to the copy, run its tests, undo it, and return the first test that failed.

    Raises:
        RuntimeError: If the tests could not be run.
        ValueError: If the mutation does not apply.
    """
    ran = run_mutated(mutation, copy, [*PYTEST, *mutation.tests])
    if ran.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", ran.stdout, re.MULTILINE)
    if ran.returncode != TESTS_FAILED or not found:
        raise RuntimeError(f"{mutation.bug}\n{ran.stdout}\n{ran.stderr}")
    return found.group(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

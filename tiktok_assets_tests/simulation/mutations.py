"""Plant each fault of `mutations.toml` in a copy of the repository, and print when the simulation sees it.

`make simulate-mutations` runs all of them; words choose those whose text or file contains them. The exit code is 1
if more than one is not found.
"""

import re
import shutil
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tiktok_assets_tests.mutations.__main__ import IGNORED, run_mutated, write
from tiktok_assets_tests.mutations.table import ROOT, Mutation

TABLE = Path(__file__).with_name("mutations.toml")
SECONDS = 300
"""For how long new seeds are begun with one fault, on one processor core."""
SIMULTANEOUS = 2
"""How many faults are searched for at the same time, each in a copy of its own."""
FIRST_SEED = 1
MAX_MISSED = 1


def load_planted_faults() -> list[Mutation]:
    """Load the faults to plant."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["mutation"]
    return [Mutation(**row, fixed_in="", tests=()) for row in rows]


def find_by_simulation(
    mutation: Mutation, copy: Path, *, seconds: float | None = None, days: int | None = None
) -> str | None:
    """Plant a fault in the copy, simulate, remove it, and return the first violation, or None.

    Raises:
        RuntimeError: If the simulation could not run.
        ValueError: If the fault cannot be planted.
    """
    command = [sys.executable, "-m", "tiktok_assets_tests.simulation", "--stop-at-failure"]
    command += ["--seed", str(FIRST_SEED), "--workers", "1"]
    command += ["--seconds", str(seconds)] if seconds else []
    command += ["--days", str(days)] if days else []
    ran = run_mutated(mutation, copy, command)
    if ran.returncode == 0:
        return None
    found = re.search(r"^  seed (.*)$", ran.stdout, re.MULTILINE)
    if not found:
        raise RuntimeError(f"{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}")
    return found[1][:230]


def copy_repository(folder: str, name: str = "repository") -> Path:
    """Copy the repository into a folder, and return the copy."""
    copy = Path(folder, name)
    shutil.copytree(ROOT, copy, ignore=IGNORED)
    return copy


def main(words: list[str]) -> int:
    """Plant the chosen faults, a few at a time, and return the exit code."""
    chosen = [one for one in load_planted_faults() if all(word in str(one) for word in words)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(SIMULTANEOUS) as pool:
        copies = SimpleQueue[Path]()
        for number in range(SIMULTANEOUS):
            copies.put(copy_repository(folder, f"repository-{number}"))

        def search(mutation: Mutation) -> bool:
            copy, started = copies.get(), time.monotonic()
            try:
                violation = find_by_simulation(mutation, copy, seconds=SECONDS)
            finally:
                copies.put(copy)
            write(f"{mutation.bug}\n    {violation or 'NOT FOUND'} ({time.monotonic() - started:.0f} s)")
            return violation is not None

        found = sum(pool.map(search, chosen))
    write(f"{found} of {len(chosen)} planted faults are found, in {(time.monotonic() - began) / 60:.0f} minutes.")
    return 0 if found >= len(chosen) - MAX_MISSED else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Live seed after seed in two processes for some time, and print the figures.

`make simulate` does this. SEED is the first seed, SECONDS how long new seeds are begun; with SEED alone only that
seed is lived. The exit code is 1 if something was not as promised.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tiktok_assets_tests.simulation.figures import Figures

WORKERS = 2
ENVIRONMENT = {"POLARS_MAX_THREADS": "1", "PYTHONHASHSEED": "0", "TZ": "UTC"}
"""One thread for each worker; and sets in the same order each time, so that a seed can be replayed."""


def seed_of_today() -> int:
    """Return a seed that changes by the day."""
    return int(f"{datetime.now(UTC):%Y%m%d}") * 1000


def main(arguments: list[str]) -> int:
    """Run as asked, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--days", type=int, default=None)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--worker", action="store_true")
    parser.add_argument("--until-killed", type=Path, default=None, help="keep the files of the first kill here")
    parser.add_argument("--for-real", action="store_true", help="kill by SIGKILL")
    parser.add_argument("--stop-at-failure", action="store_true")
    parser.add_argument("--workers", type=int, default=WORKERS)
    options = parser.parse_args(arguments)
    seed = seed_of_today() if options.seed is None else options.seed
    if options.until_killed:
        _work_until_killed(seed, options.until_killed, for_real=options.for_real)
        return 0
    if options.worker:
        _work(seed, options.step, options.seconds, options.days, stops=options.stop_at_failure)
        return 0
    if options.seconds is None and options.seed is None:
        options.seconds = 60.0
    _write(f"seed {seed}; replay one with `make simulate SEED=…`")
    figures = _run_workers(seed, options)
    _write(str(figures))
    return 1 if figures.failures else 0


def _run_workers(seed: int, options: argparse.Namespace) -> Figures:
    """Run the workers, each with every second seed, and return all figures; without seconds, one seed."""
    workers = options.workers if options.seconds is not None else 1
    command = [sys.executable, "-m", "tiktok_assets_tests.simulation", "--worker", "--step", str(workers)]
    command += ["--seconds", str(options.seconds)] if options.seconds is not None else []
    command += ["--days", str(options.days)] if options.days else []
    command += ["--stop-at-failure"] if options.stop_at_failure else []
    started = time.monotonic()
    running = [
        subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, "--seed", str(seed + number)],
            stdout=subprocess.PIPE,
            env={**os.environ, **ENVIRONMENT},
        )
        for number in range(workers)
    ]
    figures = Figures()
    while options.stop_at_failure and not any(worker.poll() is not None for worker in running):
        time.sleep(0.2)
    for worker in sorted(running, key=lambda one: one.poll() is None):
        if figures.failures and options.stop_at_failure:
            worker.kill()
            continue
        output, _ = worker.communicate()
        if worker.returncode:
            raise SystemExit(f"a worker of the simulation ended with {worker.returncode}")
        figures.add(Figures.from_json(json.loads(output)))
    figures.seconds = time.monotonic() - started
    return figures


def _work(seed: int, step: int, seconds: float | None, days: int | None, *, stops: bool) -> None:
    """Live seeds until the time is over, and print their figures as JSON."""
    from tiktok_assets_tests.simulation.simulation import DAYS, Simulation  # noqa: PLC0415 - only a worker needs it

    deadline, figures = time.monotonic() + (seconds or 0), Figures()
    while True:
        simulation = Simulation(seed, days=days or DAYS)
        simulation.run()
        figures.add(simulation.figures)
        for failure in simulation.figures.failures:
            sys.stderr.write(f"seed {seed}, day {failure['day']}, {failure['step']}: {failure['text'][:2000]}\n")
        seed += step
        if time.monotonic() + simulation.figures.seconds > deadline or (stops and figures.failures):
            break  # the next seed would take about as long as this one
    figures.most_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps(figures.to_json()))
    sys.stdout.flush()
    os._exit(0)  # at another exit DuckDB prints forty lines about what it did not free


def _work_until_killed(seed: int, folder: Path, *, for_real: bool) -> None:
    """Live a seed until its first kill."""
    from tiktok_assets_tests.simulation.simulation import Simulation  # noqa: PLC0415 - as above

    Simulation(seed, folder=folder, dies_for_real=for_real).run()


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

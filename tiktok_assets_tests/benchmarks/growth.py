"""Measure what grows with accounts and years: planning, pages and memory, on a disk and an object store."""

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tiktok_assets.settings import load_settings
from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.growth_seed import Seed, owners_of
from tiktok_assets_tests.benchmarks.programs import Measured, measure
from tiktok_assets_tests.benchmarks.served_folder import BUCKET, ServedStore, serve_folder

TOPIC = "Growth: accounts and years"
ACCOUNTS = tuple(int(one) for one in os.environ.get("GROWTH_ACCOUNTS", "10,100,300,1000").split(","))
YEARS = tuple(int(one) for one in os.environ.get("GROWTH_YEARS", "1,2,3").split(","))
WHATS = tuple(os.environ.get("GROWTH_WHAT", "planning,ticks,top,overview,nothing").split(","))
CALL_SECONDS = 0.02
DISK, OBJECTS = "on a disk", "on an object store"
PLANNED_ACCOUNTS, PLANNING_SECONDS = 300, 5


def figures() -> Iterator[Figure]:
    """Measure each number of accounts with one year of days, with two and with three."""
    now = datetime.now(UTC)
    for accounts in ACCOUNTS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "data" / "tables").mkdir(parents=True)
            variables = _variables(folder, accounts, now)
            os.environ.update(variables)
            seed = Seed(folder / "data" / "tables", load_settings(), accounts, now)
            seed.write_accounts()
            written = now.date()
            for years in YEARS:
                first = now.date() - timedelta(365 * years)
                seed.write_months(first, written - timedelta(1))
                seed.write_events(first, written - timedelta(1))
                written = first
                for place in (DISK, OBJECTS):
                    yield from _measure(folder, variables, accounts, years, place)


def _variables(folder: Path, accounts: int, now: datetime) -> dict[str, str]:
    start = now.date() - timedelta(365 * max(YEARS))
    return {
        "DAGSTER_HOME": str(folder / "home"),
        "TIKTOK_DATA_DIR": str(folder / "data" / "tables"),
        "TIKTOK_STATE_DIR": str(folder / "state"),
        "TIKTOK_START_DATE": start.isoformat(),
        "TIKTOK_BASE_URL": "http://127.0.0.1:9",
        "TIKTOK_ACCESS_TOKEN": "none",
        "TIKTOK_ADVERTISER_IDS": ",".join(owners_of(accounts)),
    }


def _measure(
    folder: Path, variables: Mapping[str, str], accounts: int, years: int, place: str
) -> Iterator[Figure]:
    """Measure everything with one store; each in a process, and as a host without copies."""
    with ExitStack() as stack:
        served = stack.enter_context(serve_folder(folder / "data", CALL_SECONDS)) if place == OBJECTS else None
        for what in WHATS:
            settings = dict(variables)
            if served:
                state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                for file in (folder / "state").glob("*.sqlite*"):
                    (state / file.name).write_bytes(file.read_bytes())
                settings |= {
                    **served.environment,
                    "TIKTOK_DATA_DIR": f"s3://{BUCKET}/tables",
                    "TIKTOK_STATE_DIR": str(state),
                }
            for figure in _run(folder, settings, what, served, accounts):
                yield replace(figure, accounts=accounts, years=years, place=place)


def _run(
    folder: Path, settings: Mapping[str, str], what: str, served: ServedStore | None, accounts: int
) -> Iterator[Figure]:
    run: Measured = measure([sys.executable, "-m", f"{__package__}.growth_measure", what], folder, settings)
    found = json.loads(run.printed.splitlines()[-1])
    note = f"load {os.getloadavg()[0]:.1f}"
    if served:
        calls = served.take_calls()
        note += "".join(f", {count} {kind}" for kind, count in sorted(calls.items()))
        yield Figure(TOPIC, f"{what}: calls", calls.total(), "calls", note=note)
    for name, seconds in found["seconds"].items():
        is_goal = what == "planning" and served and accounts == PLANNED_ACCOUNTS
        target = PLANNING_SECONDS if is_goal else None
        yield Figure(TOPIC, name, statistics.median(seconds), "s", target=target, note=note)
    yield Figure(TOPIC, f"{what}: CPU of the process", found["cpu"], "s", note=note)
    yield Figure(TOPIC, f"{what}: peak memory", run.megabytes, "MB", note=note)

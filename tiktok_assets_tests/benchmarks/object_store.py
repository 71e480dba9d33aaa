"""Count the calls to an object store that refreshes take, on this host and on one without local copies."""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.programs import Measured, Served, measure, sandbox
from tiktok_assets_tests.storage.object_store import ObjectStore

TOPIC = "Object store on loopback, two accounts of ten days"
ACCOUNTS, DAYS, HISTORY_DAYS = 2, 10, 90
WORLD = ("--advertisers", str(ACCOUNTS), "--campaigns", "3", "--ad-groups", "6", "--ads", "12")


def figures() -> Iterator[Figure]:
    """Count the calls of a first refresh, of the next one, and of one on a host without copies."""
    with (
        sandbox(*WORLD, "--days", str(HISTORY_DAYS), "--qps", "0") as served,
        ObjectStore() as store,
        tempfile.TemporaryDirectory() as folder,
    ):
        for what, host in (
            ("first refresh", "first"),
            ("next refresh", "first"),
            ("next refresh on another host", "second"),
        ):
            store.calls.clear()
            store.puts.clear()
            run = _sync(served, store, Path(folder), host)
            calls, written = Counter(store.calls), sum(store.puts.values())
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(calls.items()))
            yield Figure(TOPIC, f"calls of a {what}", calls.total(), "calls", note=kinds)
            yield Figure(TOPIC, f"calls per written file, {what}", calls.total() / written, "calls", target=2)
            yield Figure(TOPIC, f"seconds of a {what}", run.seconds, "s")


def _sync(served: Served, store: ObjectStore, folder: Path, host: str) -> Measured:
    """Run `tiktok-assets sync` on a host with a state folder of its own."""
    (folder / host).mkdir(exist_ok=True)
    start = (served.anchor - timedelta(days=DAYS)).date().isoformat()
    settings = {
        "TIKTOK_DATA_DIR": "s3://bucket/data",
        "TIKTOK_STATE_DIR": str(folder / host / "state"),
        "TIKTOK_START_DATE": start,
    }
    command = [sys.executable, "-m", "tiktok_assets", "sync", "--json"]
    return measure(command, folder / host, {**served.settings, **store.environment, **settings})

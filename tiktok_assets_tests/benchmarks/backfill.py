"""Measure backfills of one account and of fourteen over a year; peak memory must not grow with the range."""

import json
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.programs import Served, measure, sandbox
from tiktok_assets_tests.benchmarks.workload_a import THIRTEEN

TOPIC = "A backfill with Dagster, 13 metrics, no limit"
ACCOUNTS = (1, 14)
DAYS = 365
SIZES = ("--campaigns", "20", "--ad-groups", "200", "--ads", "2000", "--days", str(DAYS + 2))
WORLD = (*SIZES, "--dense", "--qps", "0")


def figures() -> Iterator[Figure]:
    """Measure each range in a process of its own; the last one has ten million rows."""
    peaks = {}
    # The fourth account of a world has no campaigns, the fifth no grant.
    with sandbox("--advertisers", str(max(ACCOUNTS) + 2), *WORLD) as served:
        for accounts in ACCOUNTS:
            rows, seconds, peaks[accounts] = _backfill(served, accounts)
            what = f"{rows:,} rows of {accounts} {'account' if accounts == 1 else 'accounts'}"
            target = 1000 if accounts == max(ACCOUNTS) else None
            yield Figure(TOPIC, f"{what}: peak memory", peaks[accounts], "MB", target=target)
            yield Figure(TOPIC, f"{what}: rows a second, the sandbox's own pace in it", rows / seconds, "rows/s")
    growth = peaks[max(ACCOUNTS)] / peaks[1]
    yield Figure(TOPIC, "peak of the largest beside that of the smallest", growth, "times")


def _backfill(served: Served, accounts: int) -> tuple[int, float, float]:
    last = (served.anchor - timedelta(days=1)).date()
    first = last - timedelta(days=DAYS - 1)
    chosen = (*served.advertiser_ids[:3], *served.advertiser_ids[5:])[:accounts]
    variables = served.settings | {
        "TIKTOK_ADVERTISER_IDS": ",".join(chosen),
        "TIKTOK_START_DATE": first.isoformat(),
        "TIKTOK_METRICS": THIRTEEN,
    }
    days = ["--from", first.isoformat(), "--to", last.isoformat()]
    command = [sys.executable, "-m", "tiktok_assets", "sync", "--json", "--select", "advertisers,ad_report_daily"]
    with tempfile.TemporaryDirectory() as folder:
        run = measure([*command, *days], Path(folder), variables)
    summary = json.loads(run.printed)
    return summary["rows"]["ad_report_daily"], summary["seconds"], run.megabytes

"""Test that a sync killed at any moment leaves complete partitions, and the next one reads the rest."""

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import httpx
import polars as pl
import pytest

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets_tests.cli.conftest import build_variables, run_command
from tiktok_assets_tests.end_to_end.conftest import Cell, report_truth, stored, stored_numbers

SELECT = "advertisers,ad_report_daily"


@pytest.mark.slow
@pytest.mark.parametrize("after_files", [1, 20, 60])
def test_killed_sync_leaves_complete_partitions(tmp_path: Path, after_files: int) -> None:
    """A sync killed while it writes leaves only complete, correct partitions; run again, it reads the rest."""
    with RunningSandbox(limits=Limits(qps=None, qpm=None)) as sandbox:
        last = sandbox.clock.now().date() - timedelta(days=2)
        first = last - timedelta(days=39)
        info = httpx.get(f"{sandbox.base_url}/sandbox/info").json()["advertisers"]
        delivering = [one["advertiser_id"] for one in info if one["granted"] and one["campaigns"]]
        variables = {
            **build_variables(sandbox),
            "TIKTOK_START_DATE": first.isoformat(),
            "TIKTOK_ADVERTISER_IDS": ",".join(delivering),
        }
        arguments = ["sync", "--select", SELECT, "--from", first.isoformat(), "--to", last.isoformat()]
        table = tmp_path / "data" / "ad_report_daily"
        with subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "tiktok_assets", *arguments],
            cwd=tmp_path,
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            deadline = time.monotonic() + 60
            while len(list(table.rglob("*.parquet"))) < after_files and time.monotonic() < deadline:
                time.sleep(0.002)
            process.kill()
        killed = [pl.read_parquet(path, hive_partitioning=False) for path in table.rglob("*.parquet")]
        again = run_command(*arguments, variables=variables, folder=tmp_path)

        assert after_files <= len(killed)
        assert again.exit_code == 0, again.err
        report = REPORTS_BY_TABLE["ad_report_daily"]
        settings = load_settings(data_dir=str(tmp_path / "data"))
        whole = stored_numbers(stored(settings, "ad_report_daily").to_dicts(), report)
        truth: dict[tuple[str, ...], dict[str, Cell]] = {}
        for owner in delivering:
            truth |= report_truth(sandbox.base_url, report, owner, (first, last))
        partial = stored_numbers((row for frame in killed for row in frame.to_dicts()), report)
        assert truth == whole
        assert partial
        assert all(truth[key] == numbers for key, numbers in partial.items())

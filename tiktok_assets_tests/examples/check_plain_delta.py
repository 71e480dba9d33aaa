"""Run the project with Delta tables from a clean environment."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.examples.conftest import Project, Stopwatch

READ = """
import polars as pl
for table in ("spend_by_day", "spend_by_week"):
    print(pl.read_delta(f"delta/marketing/{table}")["spend"].sum())
"""


def test_delta_tables_hold_the_spend_of_our_table(install: Callable[[str], Project], measure: Stopwatch) -> None:
    """Both Delta tables have the spend of our table to the cent."""
    project = install("plain_delta")
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    limits = Limits(qps=None, qpm=None)
    with RunningSandbox(WorldPlan(anchor=now, advertisers=2), now=now, limits=limits) as sandbox:
        variables = {
            "TIKTOK_BASE_URL": sandbox.base_url,
            "TIKTOK_ACCESS_TOKEN": sandbox.token,
            "TIKTOK_APP_ID": sandbox.app_id,
            "TIKTOK_APP_SECRET": sandbox.secret,
            "TIKTOK_QPS": "1000",
        }
        with measure("plain_delta: load"):
            project.run("dagster", "definitions", "validate", "-m", "marketing", **variables)
        with measure("plain_delta: tiktok-assets sync"):
            project.run("tiktok-assets", "sync", **variables)
        with measure("plain_delta: materialize"):
            selection = 'key:"marketing/spend_by_day"+'
            project.run("dagster", "asset", "materialize", "-m", "marketing", "--select", selection, **variables)
    stored = pl.read_parquet(project.folder / "data/advertiser_report_daily/*/*/*.parquet")["spend"].sum()
    assert [Decimal(line) for line in project.run("python", "-c", READ).split()] == [stored, stored]
    assert stored > 0

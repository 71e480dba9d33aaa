"""The cluster at a small size: nothing is lost, doubled or over the limit. `make cluster-check` runs it."""

from pathlib import Path

from tiktok_assets_tests.cluster.scenario import run_scenario
from tiktok_assets_tests.cluster.services import Size


def test_nothing_is_lost_doubled_or_over_the_limit(tmp_path: Path) -> None:
    """A worker, the daemon and Redis are killed in a backfill; afterwards every row is that of the truth."""
    assert run_scenario(tmp_path, Size(accounts=4, days=10), with_outages=True, say=print) == []

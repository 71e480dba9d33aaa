"""Measure the time of small commands from start to end, and the loading time of the code location."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.programs import figure_of, measure, sandbox

TOPIC = "Start-up"
RUNS = 9
ONE_ASSET = (
    "import dagster as dg\n@dg.asset\ndef one() -> None: ...\n"
    "dg.Definitions.validate_loadable(dg.Definitions([one]))"
)
OURS = "import dagster as dg\nfrom tiktok_assets.definitions import defs\ndg.Definitions.validate_loadable(defs())"


def figures() -> Iterator[Figure]:
    """Measure whole processes."""
    program = [sys.executable, "-m", "tiktok_assets"]
    with sandbox("--qps", "0", "--advertisers", "1") as served, tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def seconds(command: list[str]) -> list[float]:
            measure(command, folder, served.settings)  # fills the file cache
            return [measure(command, folder, served.settings).seconds for _ in range(RUNS)]

        yield figure_of(TOPIC, "tiktok-assets --help", seconds([*program, "--help"]), "s", target=0.3)
        get = [*program, "get", "campaigns", "--advertiser", served.advertiser_ids[0]]
        yield figure_of(TOPIC, "tiktok-assets get campaigns, over local HTTP", seconds(get), "s", target=0.6)
        yield figure_of(TOPIC, "the code location, loaded", seconds([sys.executable, "-c", OURS]), "s")
        bare = [sys.executable, "-c", ONE_ASSET]
        yield figure_of(TOPIC, "a code location of one empty asset, loaded", seconds(bare), "s")

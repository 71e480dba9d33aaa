"""Run the cluster: `make cluster`, or `python -m tiktok_assets_tests.cluster --accounts 4 --days 10`."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tiktok_assets_tests.cluster.scenario import run_scenario
from tiktok_assets_tests.cluster.services import MissingProgramError, Size
from tiktok_assets_tests.processes import ServiceError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cluster and return the exit code: 1 if something was lost, doubled or over the limit."""
    parser = argparse.ArgumentParser(prog="python -m tiktok_assets_tests.cluster", description=__doc__)
    parser.add_argument("--accounts", type=int, default=Size.accounts, help="half of them in each code location")
    parser.add_argument("--days", type=int, default=Size.days, help="of the backfill")
    parser.add_argument("--ads", type=int, default=Size.ads, help="of each account")
    parser.add_argument("--qps", type=int, default=Size.per_second, help="requests a second that TikTok permits")
    parser.add_argument("--without-outages", action="store_true", help="kill nothing")
    parser.add_argument("--folder", type=Path, help="keep all folders and logs here; by default they are removed")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # every service is ended
        signal.signal(number, lambda *_: sys.exit(1))
    size = Size(options.accounts, options.days, options.ads, options.qps)
    with tempfile.TemporaryDirectory(prefix="cluster-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            violations = run_scenario(folder.resolve(), size, with_outages=not options.without_outages, say=_say)
        except (MissingProgramError, ServiceError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
    for violation in violations:
        _say(f"VIOLATED: {violation}")
    _say("Nothing was lost, doubled or over the limit." if not violations else f"{len(violations)} violations.")
    return bool(violations)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # Polars and s3fs hold threads that would wait for the stores that are gone

"""Run the sandbox: `python -m tiktok_assets.sandbox`."""

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import SandboxError, serve
from tiktok_assets.sandbox.world.clock import ClockError
from tiktok_assets.sandbox.world.model import DEFAULT_ANCHOR, WorldPlan


def parse_instant(text: str) -> datetime:
    """Return an ISO instant; without a zone it is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    options = argparse.ArgumentParser(prog="python -m tiktok_assets.sandbox", description=__doc__)
    options.add_argument("--port", type=int, default=0, help="0 takes a free one")
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--days", type=int, default=180, help="history before the anchor")
    options.add_argument("--anchor", type=parse_instant, default=DEFAULT_ANCHOR, help="the story's now, ISO")
    options.add_argument("--advertisers", type=int, default=5)
    options.add_argument("--campaigns", type=int, help="of each live advertiser")
    options.add_argument("--ad-groups", type=int, help="of each live advertiser")
    options.add_argument("--ads", type=int, help="of each live advertiser")
    options.add_argument("--dense", action="store_true", help="every ad delivers every day; no story")
    options.add_argument("--qps", type=int, default=10, help="requests a second; 0 lifts every limit")
    options.add_argument("--now", type=parse_instant, help="where the world's clock starts; the anchor by default")
    options.add_argument("--run-clock", action="store_true", help="the clock follows the wall clock")
    options.add_argument("--latency", type=float, default=0.0, help="seconds before every answer")
    options.add_argument("--json", action="store_true", help="announce on one line of JSON")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal; return the exit code."""
    given = build_parser().parse_args(arguments)

    def announce(told: dict[str, Any]) -> None:
        said = json.dumps(told) if given.json else f"{told['base_url']}  token {told['token']}"
        sys.stdout.write(said + "\n")
        sys.stdout.flush()

    try:
        plan = WorldPlan(
            seed=given.seed,
            anchor=given.anchor,
            days=given.days,
            advertisers=given.advertisers,
            campaigns=given.campaigns,
            ad_groups=given.ad_groups,
            ads=given.ads,
            dense=given.dense,
        )
        limits = Limits(qps=given.qps, qpm=given.qps * 60) if given.qps else Limits(qps=None, qpm=None)
        serve(
            plan,
            announce,
            now=given.now,
            clock_runs=given.run_clock,
            port=given.port,
            limits=limits,
            latency_seconds=given.latency,
        )
    except (SandboxError, ClockError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

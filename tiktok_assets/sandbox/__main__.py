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
    """Parse an ISO instant; without a time zone it is UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tiktok_assets.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for a free port")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--days", type=int, default=180, help="days of history before the anchor")
    parser.add_argument("--anchor", type=parse_instant, default=DEFAULT_ANCHOR, help="the scenario's now, ISO")
    parser.add_argument("--advertisers", type=int, default=5)
    parser.add_argument("--campaigns", type=int, help="of each account that has any")
    parser.add_argument("--ad-groups", type=int, help="of each account that has any")
    parser.add_argument("--ads", type=int, help="of each account that has any")
    parser.add_argument("--dense", action="store_true", help="every ad delivers on every day; no scenario")
    parser.add_argument("--qps", type=int, default=10, help="requests a second; 0 for no limits")
    parser.add_argument("--now", type=parse_instant, help="the start of the world's clock; by default the anchor")
    parser.add_argument("--run-clock", action="store_true", help="the clock follows the wall clock")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds of delay of every response")
    parser.add_argument("--json", action="store_true", help="print the connection details as one line of JSON")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal, and return the exit code."""
    options = build_parser().parse_args(arguments)

    def announce(details: dict[str, Any]) -> None:
        line = json.dumps(details) if options.json else f"{details['base_url']}  token {details['token']}"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    try:
        plan = WorldPlan(
            seed=options.seed,
            anchor=options.anchor,
            days=options.days,
            advertisers=options.advertisers,
            campaigns=options.campaigns,
            ad_groups=options.ad_groups,
            ads=options.ads,
            dense=options.dense,
        )
        limits = Limits(qps=options.qps, qpm=options.qps * 60) if options.qps else Limits(qps=None, qpm=None)
        serve(
            plan,
            announce,
            now=options.now,
            clock_runs=options.run_clock,
            port=options.port,
            limits=limits,
            latency_seconds=options.latency,
        )
    except (SandboxError, ClockError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Run the `sandbox` command: serve the imitation API until Ctrl-C."""

from collections.abc import Callable
from datetime import UTC, datetime

from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import SandboxError, serve
from tiktok_assets.sandbox.world.model import WorldPlan


def serve_sandbox(
    *,
    port: int,
    seed: int,
    advertisers: int,
    ads: int | None,
    qps: int,
    now: str | None,
    announce: Callable[[dict[str, str]], None],
) -> None:
    """Serve a world until the process is told to stop; announces address, token, app and secret once it answers.

    Raises:
        WrongUsage: if an option makes no sense.
        Problem: if the port is in use.
    """
    try:
        instant = datetime.fromisoformat(now) if now else datetime.now(UTC)
    except ValueError:
        raise UsageError(f"--now {now!r} is no instant; write it as 2026-11-06T18:00:00Z.") from None
    if instant.tzinfo is None:
        raise UsageError(f"--now {now!r} names no zone; end it with Z for UTC.")
    limits = Limits(qps=qps, qpm=qps * 60) if qps else Limits(qps=None, qpm=None)
    anchor = instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)

    try:
        plan = WorldPlan(seed=seed, anchor=anchor, advertisers=advertisers, ads=ads)
        serve(plan, announce, now=instant, clock_runs=True, port=port, limits=limits)
    except SandboxError as error:
        raise CommandError(str(error)) from error
    except ValueError as error:
        raise UsageError(str(error)) from error


def format_exports(facts: dict[str, str]) -> str:
    """The variables that point a client at a sandbox, as a shell takes them."""
    variables = {
        "TIKTOK_BASE_URL": facts["base_url"],
        "TIKTOK_ACCESS_TOKEN": facts["token"],
        "TIKTOK_APP_ID": facts["app_id"],
        "TIKTOK_APP_SECRET": facts["secret"],
    }
    return "\n".join(
        (
            f"The sandbox answers at {facts['base_url']} until Ctrl-C. Point a client at it with:",
            *(f"export {name}={value}" for name, value in variables.items()),
        )
    )

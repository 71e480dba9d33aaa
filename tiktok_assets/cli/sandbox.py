"""Run the `sandbox` command: serve the imitation API until Ctrl-C."""

from collections.abc import Callable
from datetime import UTC, datetime

from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.sandbox import Limits, SandboxError, build_demo_plan, serve


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
    """Serve a sandbox until Ctrl-C or SIGTERM.

    Args:
        port: the port to listen on; 0 for a free one.
        seed: the seed of the generated data.
        advertisers: the number of ad accounts.
        ads: ads in each account; None for the default.
        qps: requests a second and app; 0 for no limits.
        now: the start time of the sandbox's clock in ISO 8601 with a time zone; None for the current time.
        announce: receives base URL, token, app id and secret once the server responds.

    Raises:
        UsageError: if an option is invalid.
        CommandError: if the port is in use.
    """
    try:
        start = datetime.fromisoformat(now) if now else datetime.now(UTC)
    except ValueError:
        raise UsageError(f"--now {now!r} is not a time; write it as 2026-11-06T18:00:00Z.") from None
    if start.tzinfo is None:
        raise UsageError(f"--now {now!r} has no time zone; end it with Z for UTC.")
    limits = Limits(qps=qps, qpm=qps * 60) if qps else Limits(qps=None, qpm=None)
    anchor = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)

    try:
        plan = build_demo_plan(anchor, seed=seed, advertisers=advertisers, ads=ads)
        serve(plan, announce, now=start, clock_runs=True, port=port, limits=limits)
    except SandboxError as error:
        raise CommandError(str(error)) from error
    except ValueError as error:
        raise UsageError(str(error)) from error


def format_exports(facts: dict[str, str]) -> str:
    """Return the shell commands that point a client to a sandbox."""
    variables = {
        "TIKTOK_BASE_URL": facts["base_url"],
        "TIKTOK_ACCESS_TOKEN": facts["token"],
        "TIKTOK_APP_ID": facts["app_id"],
        "TIKTOK_APP_SECRET": facts["secret"],
    }
    return "\n".join(
        (
            f"The sandbox is running at {facts['base_url']}; press Ctrl-C to stop it. Point a client to it with:",
            *(f"export {name}={value}" for name, value in variables.items()),
        )
    )

"""Run the `dev` command: Dagster's webserver behind the guard, its daemon and one code server."""

from tiktok_assets.cli.arguments import require_free_port
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.settings import Settings
from tiktok_assets.webserver import DaemonStoppedError, is_loopback, run_dagster


def run_dev(settings: Settings, host: str, port: int) -> None:
    """Serve Dagster until Ctrl-C or SIGTERM.

    Raises:
        UsageError: if the address is not loopback and no password is set.
        CommandError: if the port is in use or the daemon stops by itself.
    """
    if not is_loopback(host) and settings.ui_password is None:
        raise UsageError(
            f"{host} can be reached from other machines: set TIKTOK_UI_PASSWORD, or omit --host and use a reverse"
            " proxy with a login."
        )
    require_free_port(port)
    try:
        run_dagster(settings, host, port)
    except DaemonStoppedError as error:
        raise CommandError(str(error)) from None

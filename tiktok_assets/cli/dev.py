"""Run the `dev` command: Dagster's webserver behind the guard, its daemon and one code server."""

from tiktok_assets.cli.arguments import require_free_port
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.settings import Settings
from tiktok_assets.webserver.guard import is_loopback
from tiktok_assets.webserver.server import DaemonStoppedError, run_dagster


def run_dev(settings: Settings, host: str, port: int) -> None:
    """Serve until a signal.

    Raises:
        WrongUsage: if the address is not loopback and no password is set.
        Problem: if the port is taken or the daemon ends by itself.
    """
    if not is_loopback(host) and settings.ui_password is None:
        raise UsageError(
            f"{host} can be reached from other machines: set TIKTOK_UI_PASSWORD, or leave --host out and put a"
            " proxy with a login in front."
        )
    require_free_port(port)
    try:
        run_dagster(settings, host, port)
    except DaemonStoppedError as error:
        raise CommandError(str(error)) from None

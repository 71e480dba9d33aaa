"""Run Dagster's webserver behind the guard, with its daemon and one code server.

This starts what `dagster dev` starts, but the webserver runs in this process with the guard around it. Dagster
modules with an underscore in their path are not public; the tests in `tiktok_assets_tests/webserver/` fail when
one of them disappears.
"""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import uvicorn
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._utils.log import configure_loggers
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from tiktok_assets.instance import open_instance
from tiktok_assets.settings import Settings
from tiktok_assets.webserver.guard import AllowedHosts, Guard, Login, parse_allowed_hosts
from tiktok_assets.webserver.pages import create_pages_app
from tiktok_assets.webserver.signals import interrupt_on_signals

PAGES_PATH = "/tiktok-assets"
"""The path of the overview page; alert pages are below it at `/tiktok-assets/alerts/<id>.html`."""

ALERTS_FOLDER = "alerts"
STOP_TIMEOUT_SECONDS = 30
STATEMENT_TIMEOUT_MILLISECONDS, POOL_RECYCLE_SECONDS, POOL_OVERFLOW = 15_000, 3600, 20
"""The defaults of `dagster-webserver` for its database connections."""


class DaemonStoppedError(Exception):
    """Dagster's daemon stopped by itself, so no schedule, sensor or queued run would be processed."""


def run_dagster(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM, then stop the daemon and the code server.

    Args:
        settings: the settings of this process; child processes read the same environment.
        host: the address to listen on.
        port: the port of the webserver.

    Raises:
        DaemonStoppedError: if the daemon stops first.
        StoreError: if the Dagster instance cannot be created.
    """
    configure_loggers(formatter="colored", log_level="INFO")
    with (
        suppress(KeyboardInterrupt),
        interrupt_on_signals(),
        open_instance(settings) as instance,
        tempfile.TemporaryDirectory() as folder,
        ProxyServerManager(instance, _workspace_target(instance), code_server_log_level="warning") as code_servers,
    ):
        workspace = Path(folder) / "workspace.yaml"  # JSON is valid YAML
        workspace.write_text(json.dumps({"load_from": code_servers.get_code_server_specs()}))
        instance.optimize_for_webserver(STATEMENT_TIMEOUT_MILLISECONDS, POOL_RECYCLE_SECONDS, POOL_OVERFLOW)
        with (
            WorkspaceProcessContext(instance, WorkspaceFileTarget([str(workspace)])) as context,
            _daemon_process(workspace) as daemon,
        ):
            application = create_guarded_app(
                create_app_from_workspace_process_context(context), settings, host, port
            )
            # No access log: a URL may hold an approval code.
            server = uvicorn.Server(
                uvicorn.Config(application, host=host, port=port, log_level="warning", access_log=False)
            )
            threading.Thread(target=_stop_server_with_daemon, args=(daemon, server), daemon=True).start()
            server.run()
            if (code := daemon.poll()) is not None:
                raise DaemonStoppedError(f"Dagster's daemon stopped by itself with exit code {code}.")


def create_guarded_app(dagster: ASGIApp, settings: Settings, host: str, port: int) -> ASGIApp:
    """Create an application of Dagster's webserver and the pages of this package, behind the guard.

    Args:
        dagster: Dagster's application, for all paths except those of the pages.
        settings: the settings with allowed hosts, password and folders.
        host: the address the server listens on, which is an allowed host; a wildcard such as 0.0.0.0 allows none.
        port: the port the server listens on.
    """
    hosts = AllowedHosts(port, parse_allowed_hosts([*settings.allowed_hosts, f"{host}:{port}"], settings.ui_url))
    password = settings.ui_password
    routes = [Mount("/", dagster)]
    if urlsplit(settings.data_dir).scheme == "":
        pages = create_pages_app(Path(settings.data_dir), settings.state_dir / ALERTS_FOLDER)
        routes.insert(0, Mount(PAGES_PATH, pages))
    login = Login(password.get_secret_value()) if password else None
    return Guard(Starlette(routes=routes), hosts, login)


def _workspace_target(instance: dg.DagsterInstance) -> WorkspaceFileTarget:
    return WorkspaceFileTarget([str(Path(instance.root_directory) / "workspace.yaml")])


@contextmanager
def _daemon_process(workspace: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the daemon in a child process, and stop it at the end."""
    command = [sys.executable, "-m", "dagster._daemon", "run", "--log-level", "info", "-w", str(workspace)]
    process = subprocess.Popen(command)  # noqa: S603 - our own interpreter
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _stop_server_with_daemon(daemon: "subprocess.Popen[bytes]", server: uvicorn.Server) -> None:
    daemon.wait()
    server.should_exit = True

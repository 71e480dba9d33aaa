"""Run a sandbox in a thread of this process, or in the foreground until a signal."""

import socket
import threading
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import uvicorn

from tiktok_assets.sandbox.http.context import Switches
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.server import make_app
from tiktok_assets.sandbox.state import State, new_state
from tiktok_assets.sandbox.world.clock import Clock
from tiktok_assets.sandbox.world.generator import build_world
from tiktok_assets.sandbox.world.model import WorldPlan

HOST = "127.0.0.1"
START_SECONDS, STOP_SECONDS = 10.0, 10.0


class SandboxError(Exception):
    """The sandbox cannot start; the message is one sentence with the reason."""


def build_demo_plan(anchor: datetime, **options: Any) -> WorldPlan:  # noqa: ANN401 - of `WorldPlan`
    """Build the plan of the world that newcomers see: Smart+ campaigns, GMV Max and creatives that wear out.

    Args:
        anchor: The moment up to which there is history.
        **options: Other fields of the plan.
    """
    return WorldPlan(anchor=anchor, smart_plus_story=True, gmv_max=True, worn_creatives=True, **options)


class RunningSandbox:
    """A sandbox that serves on loopback in a thread, from `__enter__` to `__exit__`.

    Args:
        plan: The plan of the world.
        now: The start of its clock; by default the plan's anchor.
        clock_runs: Whether its clock follows the wall clock.
        port: The port; 0 for a free one.
        limits: The rate limits; by default those of the basic tier. `Limits(qps=None, qpm=None)` for none.
        switches: The uncertain rules.
        latency_seconds: The delay of every response of the API.

    Attributes:
        base_url: Scheme, host and port, for `TIKTOK_BASE_URL`.
        token: A valid access token.
        app_id: The app's id.
        secret: The app's secret.
        world: The world.
        clock: The world's clock.
        state: The state of the server.

    Raises:
        SandboxError: In `__enter__`, the port is in use or the server does not start.
    """

    def __init__(
        self,
        plan: WorldPlan | None = None,
        *,
        now: datetime | None = None,
        clock_runs: bool = False,
        port: int = 0,
        limits: Limits | None = None,
        switches: Switches | None = None,
        latency_seconds: float = 0.0,
    ) -> None:
        self.world = build_world(plan or WorldPlan())
        self.clock = Clock(now or self.world.plan.anchor, running=clock_runs)
        self.state: State = new_state(
            self.world, self.clock, limits=limits, switches=switches, latency_seconds=latency_seconds
        )
        self.token, self.app_id, self.secret = self.world.token, self.world.app_id, self.world.secret
        self.base_url = ""
        self._port = port
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        listener = _listen(self._port)
        self.base_url = f"http://{HOST}:{listener.getsockname()[1]}"
        self._server = _Server(_uvicorn_config(self.state))
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="tiktok-sandbox", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(START_SECONDS):
            raise SandboxError(f"The sandbox did not start within {START_SECONDS:.0f} seconds.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(STOP_SECONDS)


def serve(
    plan: WorldPlan,
    announce: Callable[[dict[str, Any]], None],
    *,
    now: datetime | None = None,
    clock_runs: bool = False,
    port: int = 0,
    limits: Limits | None = None,
    latency_seconds: float = 0.0,
) -> None:
    """Run a sandbox in the foreground until a signal ends it.

    Args:
        plan: The plan of the world.
        announce: Called when it listens, with base_url, token, app_id, secret, seed and now.
        now: The start of its clock; by default the plan's anchor.
        clock_runs: Whether its clock follows the wall clock.
        port: The port; 0 for a free one.
        limits: The rate limits; by default those of the basic tier.
        latency_seconds: The delay of every response of the API.

    Raises:
        SandboxError: The port is in use.
        ClockError: The clock would start after the wall clock.
    """
    listener = _listen(port)
    with listener:
        world = build_world(plan)
        clock = Clock(now or plan.anchor, running=clock_runs)
        state = new_state(world, clock, limits=limits, latency_seconds=latency_seconds)
        details = {
            "base_url": f"http://{HOST}:{listener.getsockname()[1]}",
            "token": world.token,
            "app_id": world.app_id,
            "secret": world.secret,
            "seed": plan.seed,
            "now": clock.now().isoformat(),
        }
        _Server(_uvicorn_config(state), started=lambda: announce(details)).run([listener])


class _Server(uvicorn.Server):
    """Uvicorn with a callback and an event for when it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None] | None = None) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then notify the caller."""
        await super().startup(sockets)
        if self._started is not None:
            self._started()
        self.ready.set()


def _uvicorn_config(state: State) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(state),
        http=state.connections.protocol_class(),  # type: ignore[arg-type]  # uvicorn accepts a class
        date_header=False,  # server.py sets it from the world's clock
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise SandboxError(f"Port {port} on {HOST} is in use; choose another with --port.") from error
    listener.listen(512)
    return listener

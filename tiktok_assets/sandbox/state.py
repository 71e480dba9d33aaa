"""The state of one running sandbox: world, clock, rate limits, faults and request log."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from tiktok_assets.sandbox.http.access import Auth
from tiktok_assets.sandbox.http.broken_responses import Connections
from tiktok_assets.sandbox.http.context import Cache, Switches
from tiktok_assets.sandbox.http.errors import RequestIds
from tiktok_assets.sandbox.http.faults import Faults
from tiktok_assets.sandbox.http.rate_limits import Limiter, Limits, Penalties
from tiktok_assets.sandbox.http.report_tasks import ReportTasks
from tiktok_assets.sandbox.world.clock import Clock
from tiktok_assets.sandbox.world.facts import Facts
from tiktok_assets.sandbox.world.ground_truth import GroundTruth
from tiktok_assets.sandbox.world.model import World
from tiktok_assets.sandbox.writes.steps import WriteLocks

MAX_LOGGED_REQUESTS = 50_000


def tiktok_sandbox_limits() -> Limits:
    """Return the limits of TikTok's own sandbox, by endpoint (api-evangelist/tiktok-ads sandbox/, rate-limits/).

    Its limit of 1,000 requests a day and endpoint is not imitated.
    """
    return Limits(qps=None, qpm=None, path_qps=1, path_qpm=30)


@dataclass(kw_only=True)
class State:
    """The state of one sandbox, shared by all its requests."""

    world: World
    clock: Clock
    facts: Facts
    truth: GroundTruth
    limiter: Limiter
    faults: Faults
    request_ids: RequestIds
    switches: Switches
    auth: Auth
    penalties: Penalties
    monotonic: Callable[[], float]
    locks: WriteLocks = field(default_factory=WriteLocks)
    connections: Connections = field(default_factory=Connections)
    cache: Cache = field(default_factory=Cache)
    tasks: ReportTasks = field(default_factory=ReportTasks)
    latency_seconds: float = 0.0
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_LOGGED_REQUESTS))
    _hidden: dict[str, tuple[float, bool]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def now(self) -> int:
        """Return the current instant of the world in epoch seconds."""
        return int(self.clock.now().timestamp())

    def hide(self, ids: list[str], seconds: float, *, world: bool) -> None:
        """Hide objects from reads for some seconds of the world's clock or of real time."""
        start = self.clock.now().timestamp() if world else self.monotonic()
        self._hidden.update(dict.fromkeys(ids, (start + seconds, world)))

    def hidden_ids(self) -> frozenset[str]:
        """Return the ids that are hidden now."""
        if not self._hidden:
            return frozenset()
        world, wall = self.clock.now().timestamp(), self.monotonic()
        return frozenset(
            one
            for one, (until, by_world_clock) in self._hidden.items()
            if (world if by_world_clock else wall) < until
        )

    def run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine independently of the current request."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def new_state(
    world: World,
    clock: Clock,
    *,
    limits: Limits | None = None,
    switches: Switches | None = None,
    latency_seconds: float = 0.0,
    monotonic: Callable[[], float] = time.monotonic,
) -> State:
    """Create the state of a new sandbox for a world."""
    facts = Facts(world)
    switches = switches or Switches()
    if limits is None:
        limits = tiktok_sandbox_limits() if switches.tiktok_sandbox else Limits()
    return State(
        world=world,
        clock=clock,
        facts=facts,
        truth=GroundTruth(world, facts),
        limiter=Limiter(limits, monotonic, lambda: clock.now().astimezone(UTC).date()),
        faults=Faults(world.plan.seed),
        request_ids=RequestIds(world.plan.seed),
        switches=switches,
        auth=Auth(
            world.plan.seed,
            apps={world.app_id: world.secret, world.other_app_id: world.other_secret},
            tokens={world.token: world.app_id, world.other_token: world.other_app_id},
        ),
        penalties=Penalties(monotonic),
        monotonic=monotonic,
        latency_seconds=latency_seconds,
    )

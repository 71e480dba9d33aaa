"""Everything one running sandbox holds: the world, its clock, and how it is told to misbehave."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tiktok_assets.sandbox.clock import Clock
from tiktok_assets.sandbox.context import Cache, Switches
from tiktok_assets.sandbox.envelope import RequestIds
from tiktok_assets.sandbox.facts import Facts
from tiktok_assets.sandbox.faults import Faults
from tiktok_assets.sandbox.limits import Limiter, Limits
from tiktok_assets.sandbox.truth import Truth
from tiktok_assets.sandbox.world import World

KEPT_REQUESTS = 50_000


@dataclass(kw_only=True)
class State:
    """One sandbox."""

    world: World
    clock: Clock
    facts: Facts
    truth: Truth
    limiter: Limiter
    faults: Faults
    request_ids: RequestIds
    switches: Switches
    cache: Cache = field(default_factory=Cache)
    latency_seconds: float = 0.0
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))

    @property
    def now(self) -> int:
        """Return the world's instant as epoch seconds."""
        return int(self.clock.now().timestamp())


def new_state(
    world: World,
    clock: Clock,
    *,
    limits: Limits | None = None,
    switches: Switches | None = None,
    latency_seconds: float = 0.0,
    monotonic: Callable[[], float] = time.monotonic,
) -> State:
    """Return the state of a fresh sandbox over a world."""
    facts = Facts(world)
    return State(
        world=world,
        clock=clock,
        facts=facts,
        truth=Truth(world, facts),
        limiter=Limiter(limits or Limits(), monotonic),
        faults=Faults(world.plan.seed),
        request_ids=RequestIds(world.plan.seed),
        switches=switches or Switches(),
        latency_seconds=latency_seconds,
    )

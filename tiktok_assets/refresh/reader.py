"""What it takes to read: the connection, the clock, the metrics and what was learned."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from tiktok_assets.api.fetch import Fetcher
from tiktok_assets.refresh.lessons import Lessons
from tiktok_assets.spec.entities import HiddenKind
from tiktok_assets.spec.metrics import Metric


@dataclass(frozen=True, slots=True)
class Reader:
    """What it takes to read: the connection, the clock and the metrics.

    Attributes:
        fetcher: an open one.
        now: the aware instant by the host's clock.
        metrics: those every report asks for.
        lessons: what its reports were refused so far.
        hidden_kinds: the kinds its lists ask for beside what TikTok shows; none in v1.2, which has no such filter.
        held_kinds: those each account was found to have, while this reader lives.
        kinds_listed: the accounts whose campaigns were listed.
        refused_kinds: why TikTok refused to tell of a kind, by its name; such a kind is left out.
    """

    fetcher: Fetcher
    now: Callable[[], datetime]
    metrics: tuple[Metric, ...]
    lessons: Lessons = field(default_factory=Lessons)
    hidden_kinds: tuple[HiddenKind, ...] = ()
    held_kinds: dict[str, tuple[HiddenKind, ...]] = field(default_factory=dict)
    kinds_listed: set[str] = field(default_factory=set)
    refused_kinds: dict[str, str] = field(default_factory=dict)

"""The connection, clock, metrics and remembered limits that every read needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.ingest.refused_metrics import ReportLimits
from tiktok_assets.spec.entities import SpecialCampaignType
from tiktok_assets.spec.metric_catalogue import Metric


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
    lessons: ReportLimits = field(default_factory=ReportLimits)
    hidden_kinds: tuple[SpecialCampaignType, ...] = ()
    held_kinds: dict[str, tuple[SpecialCampaignType, ...]] = field(default_factory=dict)
    kinds_listed: set[str] = field(default_factory=set)
    refused_kinds: dict[str, str] = field(default_factory=dict)

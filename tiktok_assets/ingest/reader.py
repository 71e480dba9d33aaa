"""Define the reader: the connection, clock, metrics and per-run state that every read needs."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from tiktok_assets.api import Fetcher, ReportTaskClient
from tiktok_assets.ingest.refused_metrics import ReportLimits
from tiktok_assets.spec import AccountCondition, Metric, SpecialCampaignType


@dataclass(slots=True)
class TaskReading:
    """How long histories are read by report tasks, and what this run has found out about them.

    Attributes:
        client: creates and downloads the tasks.
        requests_per_second: how many requests the app can send a second, the limit per minute included.
        unavailable: why no more tasks are created in this run; "" while they are.
        refused: by report table, why TikTok refused a task; its days are read in pages.
        notices: sentences about days that were read in pages instead; whoever logs them removes them.
    """

    client: ReportTaskClient
    requests_per_second: float
    unavailable: str = ""
    refused: dict[str, str] = field(default_factory=dict)
    notices: deque[str] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Reader:
    """The connection, the clock, the metrics and what this run has found out so far.

    Attributes:
        fetcher: an open fetcher.
        now: returns the current aware instant by the clock of the API host.
        metrics: the metrics every report requests.
        limits: the limits of reports found so far in this run.
        special_types: TopView and Promote, if each must be requested by a filter of its own; empty in v1.2, which
            has no such filter.
        account_types: by account, the special types of which it has campaigns; filled during the run.
        listed_accounts: the accounts whose campaigns were listed during the run.
        known_conditions: by condition of a table and account, whether the API says that the account meets it.
        refused_types: by name of a special type, why TikTok refused to list it; such a type is skipped.
        tasks: how long histories are read by report tasks; None if all reports are read in pages.
    """

    fetcher: Fetcher
    now: Callable[[], datetime]
    metrics: tuple[Metric, ...]
    limits: ReportLimits = field(default_factory=ReportLimits)
    special_types: tuple[SpecialCampaignType, ...] = ()
    account_types: dict[str, tuple[SpecialCampaignType, ...]] = field(default_factory=dict)
    listed_accounts: set[str] = field(default_factory=set)
    known_conditions: dict[tuple[AccountCondition, str], bool] = field(default_factory=dict)
    refused_types: dict[str, str] = field(default_factory=dict)
    tasks: TaskReading | None = None

"""Define the options of a `sync`, what it reports, and who listens to its progress."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """The options of a `sync`; an empty value selects everything.

    Attributes:
        advertisers: the advertiser ids of --advertiser.
        first: the value of --from.
        last: the value of --to.
        select: the value of --select.
        missing_columns: whether the stored days that lack a selected column are read, and nothing else.
    """

    advertisers: Sequence[str] = ()
    first: str | None = None
    last: str | None = None
    select: str | None = None
    missing_columns: bool = False


@dataclass(slots=True)
class SyncResult:
    """What a `sync` stored and what it cost.

    Attributes:
        rows: rows by table.
        partitions: materialized partitions by table.
        runs: Dagster runs.
        requests: API requests, including retries.
        retries: requests that were sent again.
        megabytes: the size of all responses.
        seconds: the duration.
        failures: one sentence for each failure.
        warnings: one sentence for each check that warns, and for each limit of the host.
        not_passed: checks of the refresh runs that did not pass.
    """

    rows: dict[str, int] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    requests: int = 0
    retries: int = 0
    megabytes: float = 0.0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    not_passed: int = 0


class ProgressListener:
    """A listener to the stages and runs of a sync; this one ignores them."""

    def start_stage(self, stage: str, runs: int) -> None:
        """Handle the start of a stage with this number of runs."""

    def finish_run(self) -> None:
        """Handle the end of one run of the stage."""


NO_PROGRESS = ProgressListener()

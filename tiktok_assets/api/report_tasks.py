"""Create, check and cancel the report tasks of TikTok, and download their files (API notes 6.7).

A task is a report that TikTok prepares in the background, of any number of days and rows, as one file. The file is
on another host; it is downloaded without the access token.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, repeat
from typing import Any, BinaryIO, Literal, Protocol

import stamina

from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.errors import (
    ContractError,
    ReportTaskError,
    RetryLaterError,
    ThrottledError,
    UnknownOutcomeError,
)
from tiktok_assets.api.report_files import ExpiredLinkError, download_report_file
from tiktok_assets.spec import (
    REPORT_TASK_CANCEL,
    REPORT_TASK_CHECK,
    REPORT_TASK_CREATE,
    REPORT_TASK_DOWNLOAD,
)

TaskStatus = Literal["QUEUING", "PROCESSING", "SUCCESS", "FAILED", "CANCELED"]
UNFINISHED: tuple[TaskStatus, ...] = ("QUEUING", "PROCESSING")

OUTPUT_FORMAT = "CSV_DOWNLOAD"
"""The file comes from a file server, which gives its length; CSV_STRING would come through the API itself."""

MAX_ATTEMPTS = 3
"""How often a task is created if the response is lost, and how often its file is downloaded."""


class TaskLog(Protocol):
    """Counts the tasks of the app, for the limits per day and per hour."""

    def reserve(self, advertiser_id: str) -> str:
        """Count a task that is about to be created; return why it may not be, or ""."""


class _NoTaskLog:
    def reserve(self, advertiser_id: str) -> str:  # noqa: ARG002 - counts nothing
        return ""


NO_TASK_LOG: TaskLog = _NoTaskLog()
"""Counts nothing, for hosts without a limit."""


@dataclass(frozen=True, slots=True)
class TaskPolicy:
    """When a task is checked, and how long it may take. How long TikTok's take is not documented.

    Attributes:
        first_check_seconds: after its creation; the interval doubles after each check.
        max_check_interval_seconds: the longest interval between two checks.
        max_seconds: how long a task may take; then it is canceled.
        assumed_seconds: how long a task is assumed to take when both ways of reading are compared.
    """

    first_check_seconds: float = 5.0
    max_check_interval_seconds: float = 30.0
    max_seconds: float = 900.0
    assumed_seconds: float = 60.0

    def check_times(self) -> Iterator[float]:
        """Yield the times of the checks in seconds after the creation.

        >>> from itertools import islice
        >>> list(islice(TaskPolicy().check_times(), 5))
        [5.0, 15.0, 35.0, 65.0, 95.0]
        """
        intervals = accumulate(
            repeat(2),
            lambda seconds, factor: min(seconds * factor, self.max_check_interval_seconds),
            initial=self.first_check_seconds,
        )
        yield from accumulate(intervals)

    @property
    def assumed_checks(self) -> int:
        """How many checks a task takes if it takes `assumed_seconds`.

        >>> TaskPolicy().assumed_checks
        4
        """
        return next(number for number, at in enumerate(self.check_times(), 1) if at >= self.assumed_seconds)


@dataclass(frozen=True, slots=True)
class ReportTask:
    """A task that was created; `created_at` is by the host's clock."""

    task_id: str
    advertiser_id: str
    created_at: datetime

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters that identify it in requests."""
        return {"advertiser_id": self.advertiser_id, "task_id": self.task_id}


class ReportTaskClient:
    """Creates, checks, downloads and cancels report tasks.

    Args:
        client: sends the requests; one that must wait for the limit of one creation a second waits.
        log: counts the tasks.
        policy: when tasks are checked.
    """

    def __init__(self, client: Client, log: TaskLog = NO_TASK_LOG, policy: TaskPolicy | None = None) -> None:
        self._client = client
        self._log = log
        self.policy = policy or TaskPolicy()

    def create(self, body: Mapping[str, Any], stats: RequestStats) -> ReportTask:
        """Create a task; after a lost response it is created again, which costs one more of the tasks of the day.

        Args:
            body: the report as its endpoint takes it, without pages.
            stats: the cost of the request is added to it.

        Raises:
            ReportTaskError: if no more tasks may be created now; nothing is sent.
            TikTokError: if the request failed.
        """
        advertiser_id = str(body["advertiser_id"])
        policy = self._client.policy
        for attempt in stamina.retry_context(
            on=_may_create_again,
            attempts=MAX_ATTEMPTS,
            wait_initial=policy.min_backoff_seconds,
            wait_max=policy.max_backoff_seconds,
            wait_jitter=policy.min_backoff_seconds,
        ):
            with attempt:
                if reason := self._log.reserve(advertiser_id):
                    raise ReportTaskError(reason, endpoint=REPORT_TASK_CREATE.path)
                response = self._client.post(REPORT_TASK_CREATE, body, stats)
                task_id = response.data.get("task_id")
                if not isinstance(task_id, str) or not task_id.isascii() or not task_id.isdigit():
                    raise ContractError(
                        "task_id is not an id", endpoint=REPORT_TASK_CREATE.path, request_id=response.request_id
                    )
                return ReportTask(task_id, advertiser_id, response.read_at)
        raise AssertionError("stamina either returns or raises")  # pragma: no cover

    def is_finished(self, task: ReportTask, stats: RequestStats) -> bool:
        """Check a task, and return whether its file can be downloaded.

        Raises:
            ReportTaskError: if it failed or was canceled.
            TikTokError: if the request failed.
        """
        response = self._client.get(REPORT_TASK_CHECK, task.parameters, stats)
        status, message = response.data.get("status"), response.data.get("message")
        if status in UNFINISHED:
            return False
        if status != "SUCCESS":
            reason = f": {message}" if isinstance(message, str) and message else ""
            raise ReportTaskError(
                f"report task {task.task_id} has the status {status}{reason}",
                endpoint=REPORT_TASK_CHECK.path,
                request_id=response.request_id,
            )
        return True

    def download(self, task: ReportTask, file: BinaryIO, stats: RequestStats) -> None:
        """Write the file of a finished task; a link that has expired is replaced by a new one.

        Args:
            task: the task.
            file: an open file; its content is replaced.
            stats: the cost is added to it.

        Raises:
            ReportTaskError: if the file cannot be downloaded.
            TikTokError: if the request failed.
        """
        policy = self._client.policy
        for attempt in stamina.retry_context(
            on=ExpiredLinkError,
            attempts=MAX_ATTEMPTS,
            wait_initial=policy.min_backoff_seconds,
            wait_max=policy.max_backoff_seconds,
            wait_jitter=policy.min_backoff_seconds,
        ):
            with attempt:
                response = self._client.get(REPORT_TASK_DOWNLOAD, task.parameters, stats)
                url = response.data.get("download_url")
                if not isinstance(url, str):
                    raise ContractError(
                        "there is no download_url",
                        endpoint=REPORT_TASK_DOWNLOAD.path,
                        request_id=response.request_id,
                    )
                stats.add(size=download_report_file(url, file, self._client.base_url))

    def cancel(self, task: ReportTask, stats: RequestStats) -> None:
        """Cancel a task that takes too long, so that it does not hold up others.

        Raises:
            TikTokError: if the request failed.
        """
        self._client.post(REPORT_TASK_CANCEL, task.parameters, stats)


def _may_create_again(error: Exception) -> bool:
    """Return whether creating a task again may work; after a throttled request it would be throttled again."""
    return isinstance(error, UnknownOutcomeError | RetryLaterError) and not isinstance(error, ThrottledError)

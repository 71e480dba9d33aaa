"""Keep the asynchronous report tasks and their files (API notes 6.7; sources: `reads/report_tasks.py`)."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

Status = Literal["QUEUING", "PROCESSING", "SUCCESS", "FAILED", "CANCELED"]

FILE_PATH = "/wsos_v2/statistics/object/"  # as in the example of download_the_output_of_an_async_report_task
LINK_SECONDS = 3600  # a URL is valid for one hour, by the world's clock
VALID_SECONDS = 30 * 86_400  # "a task is valid for 30 days", by the world's clock
MAX_TASKS_PER_HOUR = 500  # "500 asynchronous report creations per ad account every hour" and user
FIRST_ID = 7_400_000_000_000_000_000


@dataclass(kw_only=True)
class ReportTask:
    """A report task.

    Attributes:
        task_id: Its id.
        advertiser_id: The account.
        token: The access token that created it.
        values: The parameters of the report, as those of a synchronous one.
        output_format: The format of the file.
        file_name: The name of the file.
        translates_titles: Whether the title row is translated.
        created: When it was created, in epoch seconds of the world.
        started: The same in real seconds.
        fault: "failed" or "stuck" for a task that never succeeds.
        reason: Why it failed.
        is_canceled: Whether it was canceled.
        content: The file, once it was downloaded.
    """

    task_id: str
    advertiser_id: str
    token: str
    values: Mapping[str, str]
    output_format: str
    file_name: str
    translates_titles: bool
    created: int
    started: float
    fault: str = ""
    reason: str = ""
    is_canceled: bool = False
    content: bytes | None = None


@dataclass
class ReportTasks:
    """All report tasks. How long TikTok's take is not documented; these two times are our choice.

    Attributes:
        queue_seconds: How long a task is QUEUING, in real seconds.
        processing_seconds: How long it is PROCESSING afterwards.
        by_id: The tasks by their ids.
    """

    queue_seconds: float = 1.0
    processing_seconds: float = 2.0
    by_id: dict[str, ReportTask] = field(default_factory=dict)
    _files: dict[str, bytes] = field(default_factory=dict)
    _created: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    def count_creation(self, token: str, advertiser_id: str, now: float) -> bool:
        """Count a creation, and return whether the limit per account and hour allows it; `now` in real seconds."""
        seen = self._created.setdefault((token, advertiser_id), deque())
        while seen and now - seen[0] >= 3600:
            seen.popleft()
        if len(seen) >= MAX_TASKS_PER_HOUR:
            return False
        seen.append(now)
        return True

    def add(self, task: ReportTask) -> None:
        """Add a task under its id."""
        self.by_id[task.task_id] = task

    def next_id(self) -> str:
        """Return the id of the next task."""
        return str(FIRST_ID + len(self.by_id))

    def status_of(self, task: ReportTask, now: float) -> Status:
        """Return the status of a task; `now` is real seconds."""
        passed = now - task.started
        if task.is_canceled:
            return "CANCELED"
        if passed < self.queue_seconds:
            return "QUEUING"
        if passed < self.queue_seconds + self.processing_seconds or task.fault == "stuck":
            return "PROCESSING"
        return "FAILED" if task.fault == "failed" else "SUCCESS"

    def add_file(self, task: ReportTask, content: bytes, base_url: str, expires: int) -> str:
        """Return a URL of a file that is good until an instant, in epoch seconds of the world."""
        name = f"wsos{task.task_id}"
        self._files[name] = content
        times = f"expire={expires}&skipCookie=true&timeStamp={expires - LINK_SECONDS}"
        return f"{base_url}{FILE_PATH}{name}?{times}&sign={_sign(name, str(expires))}"

    def open_file(self, name: str, query: Mapping[str, str], now: int) -> bytes | None:
        """Return the file of a URL; None if it has expired or was not made by `add_file`."""
        expires = query.get("expire", "")
        if not expires.isdigit() or query.get("sign") != _sign(name, expires) or now >= int(expires):
            return None
        return self._files.get(name)


def _sign(name: str, expires: str) -> str:
    return sha256(f"{name}:{expires}".encode()).hexdigest()

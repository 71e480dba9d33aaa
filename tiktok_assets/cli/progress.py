"""Show the progress of `sync`: a progress bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from tiktok_assets.cli.sync import run_sync
from tiktok_assets.cli.sync_result import ProgressListener, SyncRequest, SyncResult
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings

LogLine = Callable[[str], None]


class _CostColumn(TextColumn):
    """A column with the requests and megabytes of the session so far."""

    def __init__(self, session: Session) -> None:
        super().__init__("")
        self._session = session

    def render(self, task: Task) -> Text:  # noqa: ARG002 - the same for every task
        total = self._session.total
        return Text(f"{total.requests:,} requests, {total.bytes / 1e6:,.1f} MB")


class ProgressBar(ProgressListener):
    """A progress bar of the runs of the current stage; invisible without a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def start_stage(self, stage: str, runs: int) -> None:
        """Reset the bar for a stage with this number of runs."""
        self._progress.reset(self._task, total=runs, description=stage.replace("_", " "))

    def finish_run(self) -> None:
        """Advance the bar by one run."""
        self._progress.advance(self._task)


def sync_with_progress(settings: Settings, session: Session, request: SyncRequest, log: LogLine) -> SyncResult:
    """Run a sync and show its progress on standard error; see `run_sync` for the errors it raises."""
    with _progress_bar(session, log) as (bar, log_above):
        return run_sync(settings, session, request, log_above, bar)


@contextmanager
def _progress_bar(session: Session, log: LogLine) -> Iterator[tuple[ProgressBar, LogLine]]:
    """Yield a progress bar, and a function that logs a line above it."""
    console = Console(stderr=True)
    is_visible = sys.stderr.isatty() and console.is_terminal
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _CostColumn(session),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not is_visible,
    )

    def _log_above(line: str) -> None:
        console.print(Text(escape_control_characters(line)), soft_wrap=True)

    with progress:
        yield ProgressBar(progress), _log_above if is_visible else log

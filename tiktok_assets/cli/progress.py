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

from tiktok_assets.cli.sync import ProgressListener, SyncRequest, SyncResult, run_sync
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings

LogLine = Callable[[str], None]


class _CostColumn(TextColumn):
    """What the session has cost so far."""

    def __init__(self, session: Session) -> None:
        super().__init__("")
        self._session = session

    def render(self, task: Task) -> Text:  # noqa: ARG002 - the same for every task
        total = self._session.total
        return Text(f"{total.requests:,} requests, {total.bytes / 1e6:,.1f} MB")


class ProgressBar(ProgressListener):
    """A bar over the runs of the stage under way; does nothing where there is no terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def begin(self, stage: str, runs: int) -> None:
        """A stage of so many runs begins."""
        self._progress.reset(self._task, total=runs, description=stage.replace("_", " "))

    def advance(self) -> None:
        """One of them ended."""
        self._progress.advance(self._task)


def sync_with_progress(settings: Settings, session: Session, asked: SyncRequest, tell: LogLine) -> SyncResult:
    """`sync`, shown on standard error; raises what it raises."""
    with _progress_bar(session, tell) as (bar, shown):
        return run_sync(settings, session, asked, shown, bar)


@contextmanager
def _progress_bar(session: Session, tell: LogLine) -> Iterator[tuple[ProgressBar, LogLine]]:
    console = Console(stderr=True)
    is_shown = sys.stderr.isatty() and console.is_terminal
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _CostColumn(session),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not is_shown,
    )

    def _above(line: str) -> None:
        console.print(Text(escape_control_characters(line)), soft_wrap=True)

    with progress:
        yield ProgressBar(progress), _above if is_shown else tell

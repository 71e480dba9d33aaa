"""`sync` while it runs: a bar on a terminal, plain lines elsewhere."""

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

from tiktok_assets.commands.sync import Asked, Synced, Watcher, sync
from tiktok_assets.escaping import visible
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings

Tell = Callable[[str], None]


class _Cost(TextColumn):
    """What the session has cost so far."""

    def __init__(self, session: Session) -> None:
        super().__init__("")
        self._session = session

    def render(self, task: Task) -> Text:  # noqa: ARG002 - the same for every task
        total = self._session.total
        return Text(f"{total.requests:,} requests, {total.bytes / 1e6:,.1f} MB")


class Bar(Watcher):
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


def sync_with_progress(settings: Settings, session: Session, asked: Asked, tell: Tell) -> Synced:
    """`sync`, shown on standard error; raises what it raises."""
    with _bar(session, tell) as (bar, shown):
        return sync(settings, session, asked, shown, bar)


@contextmanager
def _bar(session: Session, tell: Tell) -> Iterator[tuple[Bar, Tell]]:
    console = Console(stderr=True)
    is_shown = sys.stderr.isatty() and console.is_terminal
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Cost(session),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not is_shown,
    )

    def _above(line: str) -> None:
        console.print(Text(visible(line)), soft_wrap=True)

    with progress:
        yield Bar(progress), _above if is_shown else tell

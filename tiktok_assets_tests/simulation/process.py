"""Simulated processes, which can be killed at any request, file operation, SQL statement or commit.

A simulated process is a function that runs in this process. A kill raises `SimulatedKill` at a seam, and every
further operation of the dead process raises it too, on all its threads: nothing that Python does while the
exception travels up, no `finally` and no context manager, can change a file, the state or the host any more.
"""

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import sqlalchemy as sa

Seam = Literal["request", "response", "file", "statement", "commit", "committed", "send", "sent"]
SEAMS: tuple[Seam, ...] = ("request", "response", "file", "statement", "commit", "committed", "send", "sent")
"""Before and after a request, before a file operation, before a statement, before and after a commit, before and
after a message is sent."""

WRITE_FLAGS = os.O_WRONLY | os.O_RDWR
FILE_EVENTS = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link"})

Result = TypeVar("Result")


class SimulatedKill(BaseException):
    """The simulated process was killed; nothing of the product catches it."""


MAX_OPERATIONS = 10_000
"""Of a process at one seam; a refresh of five accounts has some hundreds."""


class EndlessError(BaseException):
    """A world does not end; nothing of the product catches it."""


@dataclass
class Kill:
    """Where a process is killed: at the n-th operation of a seam."""

    seam: Seam
    number: int

    def __str__(self) -> str:
        return f"{self.seam} {self.number}"


@dataclass
class Process:
    """One simulated process.

    Attributes:
        name: for the log.
        folder: below which its file operations count.
        kill: where it is killed; None for never.
        full_disk_at: from which file operation on the disk is full; None for never.
        passed: the number of operations so far by seam.
        written: files opened for writing, and targets of renames.
        unfinished: the file that was opened for writing last, unless it was renamed or deleted since.
        is_dead: whether it was killed.
        is_endless: whether it was killed because it did the same again and again.
        dies_for_real: whether the kill is a SIGKILL of this interpreter.
    """

    name: str
    folder: str
    kill: Kill | None = None
    full_disk_at: int | None = None
    passed: Counter[str] = field(default_factory=Counter)
    written: list[str] = field(default_factory=list)
    unfinished: str | None = None
    refused_for_space: int = 0
    is_dead: bool = False
    is_endless: bool = False
    dies_for_real: bool = False

    def reach(self, seam: Seam) -> None:
        """Pass an operation, or die there.

        Raises:
            SimulatedKill: if the process is killed here, or is dead.
        """
        if self.is_dead:
            raise SimulatedKill
        self.passed[seam] += 1
        if self.passed[seam] > MAX_OPERATIONS:
            self.is_dead = self.is_endless = True
            raise SimulatedKill
        if self.kill and self.kill.seam == seam and self.passed[seam] == self.kill.number:
            if self.dies_for_real:
                os.kill(os.getpid(), signal.SIGKILL)
            self.is_dead = True
            raise SimulatedKill

    def reach_file(self, path: str) -> None:
        """Pass a file operation that changes the disk.

        Raises:
            SimulatedKill: as in `reach`.
            OSError: if the disk is full.
        """
        self.reach("file")
        if self.full_disk_at is not None and self.passed["file"] >= self.full_disk_at:
            self.refused_for_space += 1
            raise OSError(28, "No space left on device", path)


_stack: list[Process] = []
_hidden = threading.local()
OnRename = Callable[[str, str], None]
on_rename: list[OnRename] = []
"""Called before each rename of a simulated process, with source and target."""


def current_process() -> Process | None:
    """Return the innermost simulated process, or None outside of any, or while the simulator itself acts."""
    return _stack[-1] if _stack and not getattr(_hidden, "depth", 0) else None


@contextmanager
def as_simulator() -> Iterator[None]:
    """Do something that is not the simulated process's."""
    _hidden.depth = getattr(_hidden, "depth", 0) + 1
    try:
        yield
    finally:
        _hidden.depth -= 1


def run_process(process: Process, work: Callable[[], Result]) -> Result | None:
    """Run a simulated process, and return its result, or None if it was killed.

    Another process may run meanwhile, in the middle of one of its requests, as on another host.
    """
    depth, _hidden.depth = getattr(_hidden, "depth", 0), 0
    _stack.append(process)
    try:
        return work()
    except SimulatedKill:
        return None
    finally:
        _stack.pop()
        _hidden.depth = depth


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Pass the file operations of the current process; runs for every audited operation of this interpreter."""
    if not _stack or not (event == "open" or event in FILE_EVENTS):
        return
    path = arguments[0]
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITE_FLAGS):
        return
    process = current_process()
    if process is None or not isinstance(path, str | os.PathLike):
        return
    text = str(os.fspath(path))
    if text.startswith(process.folder):
        process.reach_file(text)
        _record_file(process, event, text, arguments)


def _record_file(process: Process, event: str, path: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        process.written.append(path)
        process.unfinished = path
    elif path == process.unfinished:
        process.unfinished = None
    if event == "os.rename":
        target = str(os.fspath(arguments[1]))
        process.written.append(target)
        for notify in on_rename:
            with as_simulator():
                notify(path, target)


def _before_statement(*_: object) -> None:
    if process := current_process():
        process.reach("statement")


def _before_commit(*_: object) -> None:
    if process := current_process():
        process.reach("commit")
        if process.full_disk_at is not None and process.passed["file"] >= process.full_disk_at:
            process.refused_for_space += 1
            raise sa.exc.OperationalError("COMMIT", {}, Exception("database or disk is full"))


def _submit_now(_: ThreadPoolExecutor, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:  # noqa: ANN401 - as in the standard library
    """Run what is submitted to a pool at once, in the calling thread, so that a seed gives one order."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    try:
        future.set_result(work(*args, **options))
    except Exception as error:  # noqa: BLE001 - whatever it is belongs to the future
        future.set_exception(error)
    return future


_start_thread = threading.Thread.start


def _start_and_join(thread: threading.Thread) -> None:
    """Start a thread and wait for it, for the same reason."""
    _start_thread(thread)
    if _stack:
        thread.join()


_is_installed: list[bool] = []


def install_hooks() -> None:
    """Install the audit hook and SQLAlchemy's events, once for the life of this interpreter."""
    if _is_installed:
        return
    _is_installed.append(True)
    sys.addaudithook(_audit)
    sa.event.listen(sa.engine.Engine, "before_cursor_execute", _before_statement)
    sa.event.listen(sa.engine.Engine, "commit", _before_commit)


@contextmanager
def in_sequence(sleep: Callable[[float], None]) -> Iterator[None]:
    """Run threads one after the other in this context.

    Nothing can wake a thread that waits then, so a wait with a time limit is a sleep.
    """
    submit, wait = ThreadPoolExecutor.submit, threading.Condition.wait

    def wait_in_sequence(condition: threading.Condition, timeout: float | None = None) -> bool:
        if timeout is None or not _stack:
            return wait(condition, timeout)
        sleep(timeout)
        return False

    threading.Condition.wait = wait_in_sequence  # type: ignore[assignment,method-assign] # the standard library's
    ThreadPoolExecutor.submit = _submit_now  # type: ignore[assignment,method-assign] # the standard library's, see `_submit_now`
    threading.Thread.start = _start_and_join  # type: ignore[assignment,method-assign] # the same
    try:
        yield
    finally:
        threading.Condition.wait = wait  # type: ignore[method-assign] # restored
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign] # restored
        threading.Thread.start = _start_thread  # type: ignore[method-assign] # restored

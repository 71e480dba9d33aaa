"""Start processes: several that begin their work at the same moment, and services that run until a stop."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_SECONDS = 60


def run_together(program: str, argument_lists: Iterable[Sequence[object]]) -> list[str]:
    """Run a program once for each list of arguments and return what each process printed.

    Args:
        program: Python source. It prints "ready", waits for a line on standard input, and then does its work.
        argument_lists: the command line arguments of each process.
    """
    processes = [
        subprocess.Popen(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-c", program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for arguments in argument_lists
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=TIMEOUT_SECONDS)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return outputs


class ServiceError(Exception):
    """A service did not start; the message has the end of its log."""


@dataclass
class Service:
    """A program that runs until it is stopped, in a process group and a folder of its own.

    Attributes:
        name: shown in messages; also the name of the log.
        command: the program and its arguments.
        folder: its working directory, which is created.
        environment: all its environment variables.
        is_ready: returns whether it can be used; called until it does.
    """

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    _process: "subprocess.Popen[bytes] | None" = None
    _log_start: int = 0

    @property
    def log(self) -> Path:
        """The file with what it prints."""
        return self.folder / f"{self.name}.log"

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_seconds: float = TIMEOUT_SECONDS) -> float:
        """Start it, wait until it is ready, and return the seconds that took.

        Raises:
            ServiceError: if it ends, or is not ready in time.
        """
        began = time.monotonic()
        self.launch()
        self.wait_until_ready(timeout_seconds)
        return time.monotonic() - began

    def wait_until_ready(self, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Wait until it is ready after `launch`.

        Raises:
            ServiceError: if it ends, or is not ready in time.
        """
        began = time.monotonic()
        while not self.is_ready():
            if not self.is_running:
                raise ServiceError(f"{self.name} ended: {self.read_log_end()}")
            if time.monotonic() - began > timeout_seconds:
                raise ServiceError(f"{self.name} was not ready in {timeout_seconds} s: {self.read_log_end()}")
            time.sleep(0.1)

    def launch(self) -> None:
        """Start it without waiting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - programs that a test names
                self.command,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill it and its children, as a machine that loses its power would."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self, signal_number: int = signal.SIGTERM, timeout_seconds: float = 20) -> None:
        """Ask it to end, and kill what is left of its group."""
        if self._process and self.is_running:
            self._process.send_signal(signal_number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_seconds)
        self.kill()

    def holds(self, process: int) -> bool:
        """Return whether a process belongs to its group."""
        with suppress(ProcessLookupError):
            return bool(self._process) and os.getpgid(process) == self._process.pid  # type: ignore[union-attr]
        return False

    def has_said(self, words: str) -> bool:
        """Return whether it has printed these words since it was started."""
        return words.encode() in self.log.read_bytes()[self._log_start :]

    def read_log_end(self) -> str:
        """Return the last lines of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:] if self.log.exists() else ""


def find_free_port() -> int:
    """Return a port on loopback that no program listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

"""Send messages to one channel from a separate process, so that memory and time are bounded.

Apprise reads a whole response, whatever its size, and a thread cannot be stopped. Run as a module, this reads one
JSON object a line from standard input and writes one outcome a line; the channel's URL is never an argument.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from tiktok_assets.alerts.channels import SendOutcome, send_message

MAX_MEMORY_BYTES = 100_000_000
"""What one process may allocate beyond what it has when it starts."""
MESSAGE_TIMEOUT_SECONDS = 45
"""After so long with one message the process ends itself, also when the one that started it is gone."""

NO_OUTCOME = SendOutcome("unknown", "its answer did not end in time")


class SenderProcess:
    """Sends messages to one receiver through a process of its own, started with the first message.

    Args:
        url: as Apprise writes them.
        target: which of the URL's recipients; None for a URL that has one.
        seconds: how long one message may take, whole seconds.
    """

    def __init__(self, url: SecretStr, target: int | None, seconds: int = MESSAGE_TIMEOUT_SECONDS) -> None:
        self._url, self._target, self._seconds = url, target, seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def send(self, message: Mapping[str, Any], *, repeat: bool = False) -> SendOutcome:
        """Send one message and wait for its outcome; see `receivers.send` for the arguments."""
        process = self._process = self._process or _start_process()
        asked = {
            "url": self._url.get_secret_value(),
            "target": self._target,
            "message": dict(message),
            "repeat": repeat,
            "seconds": self._seconds,
        }
        line = b""
        if process.stdin and process.stdout:
            with suppress(OSError):  # it has ended
                process.stdin.write(json.dumps(asked).encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
        if not line.endswith(b"\n"):
            self._end()
            return NO_OUTCOME
        return SendOutcome(*json.loads(line))

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            with suppress(OSError):
                self._process.communicate()
            self._process = None


def _start_process() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in a terminal is for the one who waits for the outcome
    )


def _limit_memory() -> None:
    """Limit what this process may allocate; where the system has no such limit, time alone is bounded."""
    try:
        import resource  # noqa: PLC0415 - Windows has none

        status = Path("/proc/self/status").read_text(encoding="ascii")
        (used,) = (int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:"))
        resource.setrlimit(resource.RLIMIT_DATA, (used + MAX_MEMORY_BYTES, used + MAX_MEMORY_BYTES))
    except (ImportError, OSError, ValueError):
        return


def _serve() -> None:
    """Answer each line of standard input with the outcome of one message."""
    import apprise  # noqa: F401, PLC0415 - before the limit, which is for what a receiver answers

    _limit_memory()
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if hasattr(signal, "alarm"):  # Windows has none
            signal.alarm(asked["seconds"])
        outcome = send_message(SecretStr(asked["url"]), asked["target"], asked["message"], repeat=asked["repeat"])
        os.write(sys.stdout.fileno(), json.dumps([outcome.result, outcome.reason]).encode() + b"\n")
        if hasattr(signal, "alarm"):
            signal.alarm(0)


if __name__ == "__main__":
    _serve()

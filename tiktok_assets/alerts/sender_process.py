"""Send messages from a separate process, so that memory and time are bounded.

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

from tiktok_assets.alerts.channels import SendOutcome, send_message, send_picture

MAX_MEMORY_BYTES = 100_000_000
"""What the process may allocate beyond what it has when it starts."""
MESSAGE_TIMEOUT_SECONDS = 45
"""After so long with one message the process ends itself, also when its parent has ended."""

NO_OUTCOME = SendOutcome("unknown", "the response did not end in time")


class SenderProcess:
    """A process that sends one message after the other; started with the first message.

    Args:
        timeout_seconds: how long one message may take, whole seconds.
    """

    def __init__(self, timeout_seconds: int = MESSAGE_TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()

    def send(
        self,
        url: SecretStr,
        recipient_index: int | None,
        payload: Mapping[str, Any],
        *,
        repeat: bool = False,
        picture: Path | None = None,
    ) -> SendOutcome:
        """Send one message and wait for its outcome; see `channels.send_message` for the arguments."""
        return self._send("message", url, recipient_index, payload, repeat=repeat, picture=picture)

    def send_picture(
        self, url: SecretStr, recipient_index: int | None, payload: Mapping[str, Any], picture: Path | None
    ) -> SendOutcome:
        """Send the picture of a message that was delivered; see `channels.send_picture`."""
        return self._send("picture", url, recipient_index, payload, repeat=False, picture=picture)

    def _send(
        self,
        what: str,
        url: SecretStr,
        recipient_index: int | None,
        payload: Mapping[str, Any],
        *,
        repeat: bool,
        picture: Path | None,
    ) -> SendOutcome:
        process = self._process = self._process or _start_process()
        task = {
            "what": what,
            "url": url.get_secret_value(),
            "recipient_index": recipient_index,
            "payload": dict(payload),
            "repeat": repeat,
            "picture": str(picture) if picture else None,
            "timeout_seconds": self._timeout_seconds,
        }
        line = b""
        if process.stdin and process.stdout:
            with suppress(OSError):  # the process has ended
                process.stdin.write(json.dumps(task).encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
        if not line.endswith(b"\n"):
            self._kill()
            return NO_OUTCOME
        return SendOutcome(*json.loads(line))

    def _kill(self) -> None:
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
        start_new_session=True,  # Ctrl-C in a terminal is for the parent, which waits for the outcome
    )


def _limit_memory() -> None:
    """Limit what this process may allocate; where the system has no such limit, only the time is bounded."""
    try:
        import resource  # noqa: PLC0415 - not available on Windows

        status = Path("/proc/self/status").read_text(encoding="ascii")
        (used,) = (int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:"))
        resource.setrlimit(resource.RLIMIT_DATA, (used + MAX_MEMORY_BYTES, used + MAX_MEMORY_BYTES))
    except (ImportError, OSError, ValueError):
        return


def _serve() -> None:
    """Write the outcome of one message for each line of standard input."""
    import apprise  # noqa: F401, PLC0415 - before the memory limit, which is meant for responses

    _limit_memory()
    for line in sys.stdin.buffer:
        task = json.loads(line)
        if hasattr(signal, "alarm"):  # not available on Windows
            signal.alarm(task["timeout_seconds"])
        url = SecretStr(task["url"])
        picture = Path(task["picture"]) if task["picture"] else None
        recipient_index, payload = task["recipient_index"], task["payload"]
        if task["what"] == "picture":
            outcome = send_picture(url, recipient_index, payload, picture)
        else:
            outcome = send_message(url, recipient_index, payload, repeat=task["repeat"], picture=picture)
        response = json.dumps([outcome.result, outcome.reason, outcome.picture_waits])
        os.write(sys.stdout.fileno(), response.encode() + b"\n")
        if hasattr(signal, "alarm"):
            signal.alarm(0)


if __name__ == "__main__":
    _serve()

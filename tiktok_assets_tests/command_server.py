"""Run `tiktok-assets` in processes forked from one that has already imported it.

Importing Polars, Dagster and the commands costs each command a second or two, bundling the JavaScript of a page
two more, and the suite runs hundreds of commands. A forked child has an environment, a folder, standard streams
and an exit code of its own, as a program started from a shell has. Tests of start-up, memory and command lines
start a new interpreter instead.

Protocol: the client connects to a Unix socket and sends its three standard streams (SCM_RIGHTS) with the length of
a JSON list of arguments, environment and folder, then that list. The server forks, waits and sends the exit code
as a four-byte integer. It kills the child of a client that disconnects early.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from weakref import finalize

import tiktok_assets
from tiktok_assets.overview.charts import build_time_series_chart, load_vega_javascript
from tiktok_assets_tests.environment import clean_environment

CAN_FORK = sys.platform == "linux"
"""On macOS a process that has loaded the system's frameworks cannot be forked safely, and Windows has no fork."""

_LENGTH = struct.Struct("!I")
_EXIT_CODE = struct.Struct("!i")
_STREAMS = 3


class CommandServer:
    """A server process, started by the first command and stopped at the end of the process that uses it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._address: str | None = None

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        streams: tuple[int, int, int],
        timeout_seconds: float,
    ) -> int:
        """Run one command and return its exit code; a negative one is the signal that ended it.

        Args:
            arguments: The command line after the program's name.
            environment: All environment variables of the command.
            folder: The working directory.
            streams: The file descriptors of standard input, output and error.
            timeout_seconds: The command is killed after this time.

        Raises:
            TimeoutError: If the command takes longer.
        """
        request = json.dumps([list(arguments), dict(environment), str(folder)]).encode()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_seconds)
            connection.connect(self._started())
            socket.send_fds(connection, [_LENGTH.pack(len(request))], list(streams))
            connection.sendall(request)
            (code,) = _EXIT_CODE.unpack(_receive(connection, _EXIT_CODE.size))
        return int(code)

    def _started(self) -> str:
        """Return the address of the server, which is started first if it is not running."""
        with self._lock:
            if self._address is None:
                folder = tempfile.TemporaryDirectory(prefix="commands-")
                address = str(Path(folder.name, "socket"))
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
                    listener.bind(address)
                    listener.listen()
                    process = subprocess.Popen(  # noqa: S603 - our own program
                        [sys.executable, "-m", __name__, str(listener.fileno())],
                        env=clean_environment(),
                        pass_fds=[listener.fileno()],
                        stdin=subprocess.PIPE,  # its end tells the server that this process has ended
                        start_new_session=True,
                    )
                finalize(self, _stop, process, folder)
                self._address = address
            return self._address


def _stop(process: "subprocess.Popen[bytes]", folder: "tempfile.TemporaryDirectory[str]") -> None:
    process.kill()
    process.wait()
    folder.cleanup()


def _receive(connection: socket.socket, size: int) -> bytes:
    """Receive exactly this many bytes.

    Raises:
        EOFError: If the other side closes the connection first.
    """
    content = b""
    while len(content) < size:
        received = connection.recv(size - len(content))
        if not received:
            raise EOFError
        content += received
    return content


def _import_everything() -> None:
    """Import every module, and build what a process builds once, the charts and their JavaScript."""
    for module in pkgutil.walk_packages(tiktok_assets.__path__, f"{tiktok_assets.__name__}."):
        # No command uses the modules for Celery, which need its extra, and one opens the Dagster instance.
        if not module.name.endswith((".__main__", ".celery_launcher", ".celery_worker")):
            importlib.import_module(module.name)
    build_time_series_chart("spend", "Spend", many=False)  # imports Altair
    with tempfile.TemporaryDirectory() as folder:
        load_vega_javascript(Path(folder))


def _serve(listener: socket.socket) -> None:
    """Fork a child for each request until standard input ends; return in each child, to run its command."""
    connections: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    child = _fork(connection)
                    if child == 0:
                        return
                    process = os.pidfd_open(child)
                    connections[process] = connection
                    selector.register(process, selectors.EVENT_READ, child)
                    selector.register(connection, selectors.EVENT_READ, child)
                elif key.fd in connections:
                    connection = connections.pop(key.fd)
                    selector.unregister(key.fd)
                    with suppress(KeyError):  # the client may have disconnected already
                        selector.unregister(connection)
                    os.close(key.fd)
                    code = os.waitstatus_to_exitcode(os.waitpid(key.data, 0)[1])
                    with connection, suppress(OSError):
                        connection.sendall(_EXIT_CODE.pack(code))
                elif key.data is None:
                    os._exit(0)
                else:  # the client has disconnected
                    os.kill(key.data, signal.SIGKILL)
                    selector.unregister(key.fileobj)


def _fork(connection: socket.socket) -> int:
    """Fork a child with what a request asks for; return its process id, 0 in the child."""
    head, streams, *_ = socket.recv_fds(connection, _LENGTH.size, _STREAMS)
    (size,) = _LENGTH.unpack(head)
    arguments, environment, folder = json.loads(_receive(connection, size))
    child = os.fork()
    if child == 0:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["tiktok-assets", *arguments]
    for stream in streams:
        os.close(stream)
    return child


def _main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    _import_everything()
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page of what was imported
    _serve(listener)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for the whole process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    code = _run_command()
    # All that an interpreter does at its end, except freeing every object, which copies most of the memory.
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run_command() -> int:
    from tiktok_assets.cli.commands import main  # noqa: PLC0415 - imported before, by the server

    try:
        main()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - printed as the interpreter prints it
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


if __name__ == "__main__":
    _main()

"""A Postgres server of a test's own: in a temporary folder, on a free port, with a password."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PASSWORD = "pass-%-word"
_SERVER_USER = "postgres"


def find_programs() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`; Debian keeps it out of PATH."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    return installed[-1].parent if installed else None


class PostgresServer:
    """A running server.

    Attributes:
        port: its port on loopback.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._data, self.port = programs, folder / "data", _find_free_port()
        password_file = folder / "password"
        password_file.write_text(PASSWORD, encoding="utf-8")
        _give_away(folder, password_file)
        options = ["--auth=scram-sha-256", "--username=postgres", f"--pwfile={password_file}", "--encoding=UTF8"]
        self._run("initdb", "-D", str(self._data), *options, "--locale=C", "--no-sync")
        self.start()

    def url(self, user: str = "postgres", password: str = PASSWORD, database: str = "postgres") -> str:
        """Return the URL of a database for a user."""
        return f"postgresql://{user}:{password.replace('%', '%25')}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        settings = f"-p {self.port} -k '' -c listen_addresses=127.0.0.1 -c fsync=off"
        log = str(self._data.parent / "log")
        self._run("pg_ctl", "-D", str(self._data), "-o", settings, "-l", log, "-w", "start")

    def stop(self) -> None:
        """Stop the server at once, as a crash does."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        # A server refuses to run as root, which containers use.
        as_user = ["runuser", "-u", _SERVER_USER, "--"] if os.geteuid() == 0 else []
        command: Sequence[str] = [*as_user, str(self._programs / program), *arguments]
        done = subprocess.run(  # noqa: S603 - the server's own programs
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/"
        )
        assert done.returncode == 0, done.stdout


def _give_away(*paths: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam(_SERVER_USER)
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid)


def _find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def run_postgres() -> Iterator[PostgresServer]:
    """Run a server.

    Raises:
        AssertionError: if Postgres is not installed.
    """
    programs = find_programs()
    assert programs, "Postgres is not installed; on Debian: apt-get install postgresql"
    with tempfile.TemporaryDirectory(prefix="tiktok_assets_postgres_") as folder:
        server = PostgresServer(programs, Path(folder))
        try:
            yield server
        finally:
            with suppress(AssertionError):  # a test has stopped it
                server.stop()

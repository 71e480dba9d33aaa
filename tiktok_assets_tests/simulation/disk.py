"""The disk under a simulated process: what survives a kill, and what survives a power failure.

A kill can leave a file that was half written, under its temporary name. A power failure can also lose what is not
on the disk yet: the content of a file that was not flushed by `fsync`, and the last renames, unless their folder
was flushed after them; a journal keeps the order of renames. After a while the system writes everything by itself.
"""

import os
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tiktok_assets_tests.simulation.process import Process, as_simulator, current_process, on_rename

DATABASE_SUFFIXES = (".sqlite", "-wal", "-shm", "-journal", ".lock", ".pause", ".new")
"""SQLite flushes its own files (`synchronous=FULL` for the state); the request budget may be lost."""


@dataclass
class Disk:
    """Remembers what a power failure could lose.

    Attributes:
        random: decides what is lost.
        folder: the root of the files.
        moved: inodes that were renamed since then.
        flushed: inodes whose content is on the disk.
        renames: renames since the last flush of their folder: target, and a link to the file before it, or None.
    """

    random: Random
    folder: str
    moved: set[int] = field(default_factory=set)
    flushed: set[int] = field(default_factory=set)
    renames: list[tuple[str, str | None]] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    links: int = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch renames and flushes in this context."""
        backups = tempfile.mkdtemp(prefix="before-", dir=self.folder + "-links")
        flush = os.fsync

        def remember(source: str, target: str) -> None:
            self.moved.add(os.stat(source).st_ino)  # noqa: PTH116 - fast
            self.links += 1
            link: str | None = f"{backups}/{self.links}"
            try:
                os.link(target, str(link))
            except FileNotFoundError:
                link = None
            self.renames.append((target, link))

        def fsync(descriptor: int) -> None:
            flush(descriptor)
            if current_process() is None:
                return
            with as_simulator():
                status = os.fstat(descriptor)
                self.flushed.add(status.st_ino)
                if stat.S_ISDIR(status.st_mode):
                    path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
                    # A journal keeps the order of renames: with this one, all before it are on the disk.
                    last = max(
                        (n for n, one in enumerate(self.renames) if one[0].rpartition("/")[0] == path), default=-1
                    )
                    self._forget_renames(last + 1)

        on_rename.append(remember)
        os.fsync = fsync  # type: ignore[assignment] # the standard library's, which takes files too
        try:
            yield
        finally:
            os.fsync = flush
            on_rename.remove(remember)
            self.flushed.clear()
            self.renames.clear()

    def forget(self) -> None:
        """Write everything to the disk, as the system does after a while."""
        self.flushed.clear()
        self.moved.clear()
        self._forget_renames(len(self.renames))

    def _forget_renames(self, count: int) -> None:
        """Drop the oldest renames, which are on the disk, with the files that were there before them."""
        for _, link in self.renames[:count]:
            if link:
                with suppress(FileNotFoundError):
                    Path(link).unlink()
        del self.renames[:count]

    def fail_power(self, process: Process) -> None:
        """Lose what is not on the disk, after the process has died."""
        kept = self.random.randint(0, len(self.renames))
        for target, before in reversed(self.renames[kept:]):
            with suppress(FileNotFoundError):
                Path(target).unlink()
            if before:
                Path(before).replace(target)
            self.lost["rename"] += 1
        for path in dict.fromkeys(process.written):
            self._tear(path)

    def _tear(self, path: str) -> None:
        """Truncate a file whose content may not be on the disk."""
        file = Path(path)
        if path.endswith(DATABASE_SUFFIXES) or not file.is_file():
            return
        if file.stat().st_ino not in self.moved - self.flushed:
            return
        if self.random.random() < 0.5:  # the system has written it meanwhile
            return
        size = file.stat().st_size
        os.truncate(path, self.random.choice((0, self.random.randint(0, size))))
        self.lost["content"] += 1


def tear_unfinished(process: Process, random: Random) -> None:
    """Leave the file that a killed process was writing half written."""
    path = process.unfinished
    if path and path.endswith((".unfinished", ".parquet")) and Path(path).is_file():
        os.truncate(path, random.randint(0, Path(path).stat().st_size))

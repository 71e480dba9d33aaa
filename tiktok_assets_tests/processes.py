"""Start several processes that begin their work at the same moment."""

import subprocess
import sys
from collections.abc import Iterable, Sequence

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

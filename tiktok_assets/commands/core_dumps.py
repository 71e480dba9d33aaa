"""Forbid core dumps: the memory of this program, and of those it starts, holds the token."""

import sys


def forbid_core_dumps() -> None:
    """Set the limit of core files to nothing, for child processes too: a crash leaves no memory on disk."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Windows has none

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))

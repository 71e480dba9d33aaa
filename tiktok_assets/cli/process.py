"""Set up the process: garbage collection, no core dumps, and freed memory returned to the system early."""

import gc
import os
import sys
from contextlib import suppress

GC_THRESHOLDS = (20_000, 20, 20)
"""Reference counting frees rows; at Python's default of 700 the cycle collector scans Dagster again and again."""

_POLARS_ALLOCATOR_OPTIONS = "narenas:2,tcache:false,dirty_decay_ms:100,muzzy_decay_ms:0"

# Parameters of mallopt in <malloc.h>; other systems have no such parameters.
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3
_MAX_ARENAS, _MMAP_THRESHOLD_BYTES = 2, 128 * 1024


def set_up_process() -> None:
    """Set the garbage collection thresholds and disable core dumps."""
    gc.set_threshold(*GC_THRESHOLDS)
    _disable_core_dumps()


def skip_collection_at_exit() -> None:
    """Keep the interpreter from collecting garbage at exit; the memory is freed with the process.

    DuckDB prints an error if its objects are not collected, so nothing is skipped once it is loaded.
    """
    if "_duckdb" not in sys.modules:
        gc.freeze()


def _disable_core_dumps() -> None:
    """Set the core file size limit to 0, for child processes too: the memory of a crash holds the token."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - missing on Windows

    _, hard_limit = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard_limit))


def return_freed_memory_early() -> None:
    """Configure the allocators to keep little freed memory; call it before Polars is imported.

    A sync reads pages in waves on many threads, and memory kept from one wave adds to that of the next. With these
    options the allocator of Polars keeps freed pages for 0.1 seconds instead of 10, and the C library returns
    large blocks, such as responses, at once.
    """
    import ctypes  # noqa: PLC0415 - only `sync` needs it

    os.environ.setdefault("_RJEM_MALLOC_CONF", _POLARS_ALLOCATOR_OPTIONS)
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, _MAX_ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)

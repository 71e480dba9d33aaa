"""How soon memory that was let go of returns to the machine."""

import os

_POLARS_ALLOCATOR = "_RJEM_MALLOC_CONF"
_AT_ONCE = "dirty_decay_ms:0,muzzy_decay_ms:0"


def return_memory_at_once() -> None:
    """Have Polars' allocator keep nothing it may need again; before Polars is loaded.

    A sync reads pages in waves: what the allocator keeps of one (10 seconds, by default) stands beside the next,
    30 MB in workload A, for a twentieth of the processor's time.
    """
    os.environ.setdefault(_POLARS_ALLOCATOR, _AT_ONCE)

"""How soon memory that was let go of returns to the machine."""

import ctypes
import os
from contextlib import suppress

_POLARS = "narenas:2,tcache:false,dirty_decay_ms:100,muzzy_decay_ms:0"

# Of <malloc.h>; other systems have no such knobs.
_MOST_ARENAS, _OWN_PAGES_FROM = -8, -3
_ARENAS, _BYTES = 2, 128 * 1024


def return_memory_soon() -> None:
    """Have the allocators keep little of what was let go of; before Polars is loaded.

    A sync reads pages in waves and by many threads, and what is kept of one wave stands beside the next. Polars'
    allocator keeps a tenth of a second what it may need again, not ten; the C library gives answers back at once.
    """
    os.environ.setdefault("_RJEM_MALLOC_CONF", _POLARS)
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MOST_ARENAS, _ARENAS)
        mallopt(_OWN_PAGES_FROM, _BYTES)

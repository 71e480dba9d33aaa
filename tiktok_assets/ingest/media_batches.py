"""Read objects by their ids in batches, and find the ids for which TikTok refuses a whole request."""

from collections.abc import Callable, Sequence
from typing import Any

from tiktok_assets.api import NotOfferedError, RequestError

_MAX_SPLITS = 16
"""How often a refused request of one account is halved to find the refused ids; the others wait for a week."""

Rows = list[dict[str, Any]]


def read_in_batches(ids: Sequence[str], max_ids: int, read: Callable[[list[str]], Rows]) -> Rows:
    """Return the objects of all batches; those that are refused, or with one that is, are left out.

    Args:
        ids: what to read.
        max_ids: how many ids a request can have.
        read: sends one request.

    Raises:
        TikTokError: any error that is not about the ids.
    """
    splits = 0
    waiting = [list(ids[start : start + max_ids]) for start in range(0, len(ids), max_ids)]
    rows: Rows = []
    while waiting:
        batch = waiting.pop(0)
        try:
            rows += read(batch)
        except NotOfferedError:
            raise
        except RequestError:
            # A single id that is not in the library may have the whole request refused (get_info_about_images).
            if len(batch) > 1 and splits < _MAX_SPLITS:
                splits += 1
                middle = len(batch) // 2
                waiting = [batch[:middle], batch[middle:], *waiting]
    return rows

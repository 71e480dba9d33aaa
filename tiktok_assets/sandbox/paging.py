"""Cuts one page out of a list, and misbehaves as a fault asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class PageTrick:
    """What a fault does to paging.

    Attributes:
        back: Serve the page that many pages earlier instead.
        shift: Rows that came in before this page since the last call; negative: rows that went.
        shuffle: A seed: rows of equal rank come in an order of their own.
    """

    back: int = 0
    shift: int = 0
    shuffle: int | None = None


HONEST = PageTrick()


def cut(
    rows: Sequence[T], page: int, page_size: int, trick: PageTrick = HONEST
) -> tuple[Sequence[T], dict[str, int]]:
    """Return a page of rows and its page_info; an empty list has total_page 0 (dossier 3.1)."""
    start = max((page - 1 - trick.back) * page_size - trick.shift, 0)
    total = max(len(rows) + trick.shift, 0)
    info = {
        "page": page,
        "page_size": page_size,
        "total_number": total,
        "total_page": -(-total // page_size),
    }
    return rows[start : start + page_size], info

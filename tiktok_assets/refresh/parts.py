"""A report that was cut to its newest ads, or whose pages move, read again in parts that are small enough."""

from collections.abc import Callable, Sequence

import polars as pl

from tiktok_assets.api.client import Tally
from tiktok_assets.api.errors import MovingPagesError, TikTokError, TruncatedError
from tiktok_assets.api.fetch import Fetched, Fetcher
from tiktok_assets.api.pages import Listing
from tiktok_assets.api.plan import batches_of


def count_in_parts(
    fetcher: Fetcher, ids: Sequence[str], listing_of: Callable[[Sequence[str]], Listing[pl.DataFrame]]
) -> int:
    """How many rows all parts have together; arguments as in `read_in_parts`.

    Raises:
        TruncatedError: if the part of a single id is cut too.
        TikTokError: whatever a request raised.
    """
    total, waiting = 0, list(batches_of(ids))
    while waiting:
        batch = waiting.pop()
        try:
            total += fetcher.count(listing_of(batch))
        except TruncatedError:
            if len(batch) == 1:
                raise
            waiting += batches_of(batch, (len(batch) + 1) // 2)
    return total


def read_in_parts(
    fetcher: Fetcher, ids: Sequence[str], listing_of: Callable[[Sequence[str]], Listing[pl.DataFrame]]
) -> Fetched[pl.DataFrame] | TikTokError:
    """All parts together, or the first error.

    Args:
        fetcher: what reads.
        ids: what the parts are cut by; each row belongs to one of them. A hundred go into one filter.
        listing_of: the question about some of them.

    Returns:
        One listing, as if it had been read at once; the error of the part of a single id that is cut or moves too.
    """
    waiting: list[Sequence[str]] = list(batches_of(ids))
    done: list[Fetched[pl.DataFrame]] = []
    while waiting:
        halves: list[Sequence[str]] = []
        listings = [listing_of(batch) for batch in waiting]
        for batch, (_, fetched) in zip(waiting, fetcher.fetch_each(listings), strict=True):
            if isinstance(fetched, TruncatedError | MovingPagesError) and len(batch) > 1:
                halves += batches_of(batch, (len(batch) + 1) // 2)
            elif isinstance(fetched, TikTokError):
                return fetched
            else:
                done.append(fetched)
        waiting = halves
    return together(done)


def together(done: Sequence[Fetched[pl.DataFrame]]) -> Fetched[pl.DataFrame]:
    """Return several listings as if they had been one."""
    tally = Tally()
    for one in done:
        cost = one.tally
        tally.add(requests=cost.requests, pages=cost.pages, retries=cost.retries, size=cost.bytes)
        tally.unknown_fields.update(cost.unknown_fields)
    return Fetched(
        [page for one in done for page in one.pages],
        sum(one.rows for one in done),
        min(one.read_at for one in done),
        tally,
        sum(one.seconds for one in done),
        done[0].request_id,
    )

"""How far ahead listings are read: many small ones together, few large ones, so that memory has a bound."""

from concurrent.futures import CancelledError
from threading import Condition

LISTINGS_AHEAD = 2
"""Listings read at once whatever their size; with the one being written, all of the large ones in memory."""

LISTINGS_IN_FLIGHT = 16
"""Listings read at once where they are small: thirty requests a second, each half a second under way."""

PAGES_AHEAD = 32
"""Pages that listings further ahead may hold together."""


class Room:
    """The pages that a sequence of listings holds; safe to share between threads.

    Each listing has a position, counted from 0 in the order in which they are handed out.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._handed_out = 0
        self._pages: dict[int, int] = {}
        self._usual = PAGES_AHEAD  # until one is known
        self._is_closed = False
        self._changed = Condition()

    def place(self) -> int | None:
        """The position of the next listing that may begin; None while memory has no room for another."""
        with self._changed:
            ahead = self._begun - self._handed_out
            usual = max(self._usual, *self._pages.values()) if self._pages else self._usual
            small_enough = ahead < LISTINGS_IN_FLIGHT and (ahead + 1) * usual <= PAGES_AHEAD
            if ahead >= LISTINGS_AHEAD and not small_enough:
                return None
            self._begun += 1
            return self._begun - 1

    def take(self, position: int, pages: int) -> None:
        """Wait until a listing may read its further pages, now that its first has told how many there are.

        The few next in turn never wait, so nobody waits for one that does.

        Raises:
            CancelledError: if nobody will take the listing any more.
        """
        with self._changed:
            self._pages[position] = pages
            self._changed.wait_for(lambda: self._is_closed or pages == 1 or self._fits(position))
            if self._is_closed:
                raise CancelledError

    def hand_out(self) -> None:
        """The next listing in turn is handed out, and what it held is somebody else's."""
        with self._changed:
            self._usual = self._pages.pop(self._handed_out, self._usual)
            self._handed_out += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let everyone go who waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _fits(self, position: int) -> bool:
        return position - self._handed_out < LISTINGS_AHEAD or sum(self._pages.values()) <= PAGES_AHEAD

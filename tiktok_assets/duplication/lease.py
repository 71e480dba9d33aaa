"""Lease an account to one writing process at a time; overlapping writes to a campaign fail (API notes 8.5)."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tiktok_assets.storage.state import State, leases

_LOOK_AGAIN_SECONDS = 0.5
"""How often one who waits looks whether a lease is free."""


class LeaseError(Exception):
    """Another process is at work on the same account; one sentence says what to do."""


class LeaseLostError(LeaseError):
    """The lease ran out while its holder was held up; nothing more may be sent under it."""


class LeaseStore(Protocol):
    """What a lease is kept by: the ledger."""

    @property
    def state(self) -> State:
        """Where leases are kept."""

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock they are counted by."""

    def writing(self, what: str) -> AbstractContextManager[sa.Connection]:
        """One transaction."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was ours when it was last renewed."""

    keeper: LeaseStore
    name: str
    owner: str
    seconds: float

    def renew(self) -> None:
        """Hold it for its whole time from now on.

        Raises:
            LeaseLostError: if it ran out.
        """
        with self.keeper.writing("renew lease") as connection:
            self.renew_in(connection)

    def renew_in(self, connection: sa.Connection) -> None:
        """The same, within a transaction.

        Raises:
            LeaseLostError: if it ran out, even if nobody has taken it: what was read under it may be old.
        """
        now = self.keeper.now()
        mine = sa.update(leases).where(leases.c.name == self.name, leases.c.owner == self.owner)
        renewed = connection.execute(mine.where(leases.c.until > now).values(until=self._until(now)))
        if renewed.rowcount != 1:
            raise LeaseLostError("this process was held up for so long that another may have taken over")

    def taken(self, stale: datetime | None = None) -> bool:
        """Take it if it is free or ran out; tells whether it is ours now.

        Args:
            stale: an `until` that nobody has moved for as long as a lease holds; it counts as run out.
        """
        now = self.keeper.now()
        over = leases.c.until <= now
        if stale is not None:
            over |= leases.c.until == stale
        free = sa.update(leases).where(leases.c.name == self.name, over)
        try:
            with self.keeper.writing("take lease") as connection:
                if connection.execute(free.values(owner=self.owner, until=self._until(now))).rowcount == 1:
                    return True
                known = sa.select(leases.c.owner).where(leases.c.name == self.name)
                if connection.scalar(known) is not None:
                    return False
                row = {"name": self.name, "owner": self.owner, "until": self._until(now)}
                connection.execute(sa.insert(leases).values(**row))
        except IntegrityError:  # another was first
            return False
        return True

    def held_until(self) -> datetime | None:
        """When it runs out by the clock of whoever holds it; None if nobody does."""
        with self.keeper.state.transaction() as connection:
            return connection.scalar(sa.select(leases.c.until).where(leases.c.name == self.name))

    def release(self) -> None:
        """Give it back, if it is still ours."""
        with self.keeper.writing("release lease") as connection:
            connection.execute(sa.delete(leases).where(leases.c.name == self.name, leases.c.owner == self.owner))

    def _until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.seconds)


@contextmanager
def hold_lease(keeper: LeaseStore, name: str, *, seconds: float, wait_seconds: float) -> Iterator[Lease]:
    """A lease for as long as the block takes, if it renews it in time.

    One that was not renewed for `seconds` while we looked is taken whatever clocks say: its holder's may be ahead.

    Args:
        keeper: the ledger.
        name: of the lease.
        seconds: how long it holds without being renewed; after a kill others wait that long.
        wait_seconds: how long to wait while another holds it.

    Raises:
        LeaseError: if another holds it all that time.
    """
    lease = Lease(keeper, name, uuid4().hex, seconds)
    patience = time.monotonic() + wait_seconds
    seen, seen_at = lease.held_until(), time.monotonic()
    while not lease.taken(seen if time.monotonic() > seen_at + seconds else None):
        until = lease.held_until()
        if until != seen:
            seen, seen_at = until, time.monotonic()
        if time.monotonic() >= patience:
            raise LeaseError(
                "another duplication of this account is under way; try again in a few minutes, or look at"
                " `tiktok-assets duplicate --status`"
            )
        time.sleep(min(_LOOK_AGAIN_SECONDS, seconds / 4))
    try:
        yield lease
    finally:
        lease.release()

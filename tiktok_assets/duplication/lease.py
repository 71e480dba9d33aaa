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

from tiktok_assets.storage import State, leases

_POLL_SECONDS = 0.5
"""The interval between two attempts to take a lease."""


class LeaseError(Exception):
    """Another process works on the same account; the message says what to do."""


class LeaseLostError(LeaseError):
    """The lease expired while its holder was delayed; nothing more may be sent under it."""


class LeaseStore(Protocol):
    """What stores leases: the ledger."""

    @property
    def state(self) -> State:
        """The state database."""

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock for expiry."""

    def write_transaction(self, what: str) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that writes."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease on a name.

    Attributes:
        store: where it is stored.
        name: what is leased.
        owner: a random id of the holder.
        seconds: how long it lasts without being renewed.
    """

    store: LeaseStore
    name: str
    owner: str
    seconds: float

    def renew(self) -> None:
        """Extend the lease to its full duration from now on.

        Raises:
            LeaseLostError: if it expired.
        """
        with self.store.write_transaction("renew lease") as connection:
            self.renew_in(connection)

    def renew_in(self, connection: sa.Connection) -> None:
        """Extend the lease within the caller's transaction.

        Raises:
            LeaseLostError: if it expired, even if no other process took it: what was read under it may be stale.
        """
        now = self.store.now()
        own = sa.update(leases).where(leases.c.name == self.name, leases.c.owner == self.owner)
        renewed = connection.execute(own.where(leases.c.until > now).values(until=self._expiry(now)))
        if renewed.rowcount != 1:
            raise LeaseLostError("this process was delayed for so long that another may have taken over")

    def try_acquire(self, stale: datetime | None = None) -> bool:
        """Take the lease if it is free or expired, and return whether it was taken.

        Args:
            stale: an `until` that has not changed for a lease's full duration; it counts as expired.
        """
        now = self.store.now()
        is_expired = leases.c.until <= now
        if stale is not None:
            is_expired |= leases.c.until == stale
        expired = sa.update(leases).where(leases.c.name == self.name, is_expired)
        try:
            with self.store.write_transaction("take lease") as connection:
                if connection.execute(expired.values(owner=self.owner, until=self._expiry(now))).rowcount == 1:
                    return True
                holder = sa.select(leases.c.owner).where(leases.c.name == self.name)
                if connection.scalar(holder) is not None:
                    return False
                row = {"name": self.name, "owner": self.owner, "until": self._expiry(now)}
                connection.execute(sa.insert(leases).values(**row))
        except IntegrityError:  # another process inserted its row first
            return False
        return True

    def read_expiry(self) -> datetime | None:
        """Read when the lease expires by its holder's clock; None if there is no holder."""
        with self.store.state.transaction() as connection:
            return connection.scalar(sa.select(leases.c.until).where(leases.c.name == self.name))

    def release(self) -> None:
        """Release the lease if this process still holds it."""
        with self.store.write_transaction("release lease") as connection:
            connection.execute(sa.delete(leases).where(leases.c.name == self.name, leases.c.owner == self.owner))

    def _expiry(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.seconds)


@contextmanager
def hold_lease(store: LeaseStore, name: str, *, seconds: float, wait_seconds: float) -> Iterator[Lease]:
    """Hold a lease during a block, which must renew it in time.

    A lease that is not renewed during `seconds` of waiting is taken even if it has not expired by this machine's
    clock, because its holder's clock may be ahead.

    Args:
        store: the ledger.
        name: of the lease.
        seconds: how long it lasts without being renewed; after a kill other processes wait that long.
        wait_seconds: how long to wait while another process holds it.

    Raises:
        LeaseError: if another process holds it all that time.
    """
    lease = Lease(store, name, uuid4().hex, seconds)
    deadline = time.monotonic() + wait_seconds
    seen, seen_at = lease.read_expiry(), time.monotonic()
    while not lease.try_acquire(seen if time.monotonic() > seen_at + seconds else None):
        until = lease.read_expiry()
        if until != seen:
            seen, seen_at = until, time.monotonic()
        if time.monotonic() >= deadline:
            raise LeaseError(
                "another duplication of this account is in progress; try again in a few minutes, or see"
                " `tiktok-assets duplicate --status`"
            )
        time.sleep(min(_POLL_SECONDS, seconds / 4))
    try:
        yield lease
    finally:
        lease.release()

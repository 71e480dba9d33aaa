"""Record each duplication in the state database: request, steps, what was sent and when, and the result."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from tiktok_assets.duplication.approvals import Approval, Decision, NotApprovedError, decide_approval
from tiktok_assets.duplication.lease import Lease, hold_lease
from tiktok_assets.duplication.models import (
    AD_STEP,
    DONE,
    REFUSED,
    STARTED,
    DuplicationRequest,
    LedgerEntry,
    PlannedStep,
    Step,
    build_marker,
)
from tiktok_assets.storage.state import State, duplication_steps, duplications, leases, utc_now

Checkpoint = Callable[[str], None]
"""Called at every line a process could be killed at; tests end the process there."""


def ignore_checkpoint(_: str) -> None:
    """Go on."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The duplications of a state. Each method is one transaction.

    Attributes:
        state: where they are kept.
        now: the clock of this machine.
        checkpoint: called before, within and after every transaction that writes.
    """

    state: State
    now: Callable[[], datetime] = utc_now
    checkpoint: Checkpoint = ignore_checkpoint

    def find(self, key: str) -> LedgerEntry | None:
        """A duplication by its key."""
        return next(iter(self.entries(key=key)), None)

    def entries(
        self, advertiser_ids: Sequence[str] | None = None, *, key: str | None = None, status: str | None = None
    ) -> list[LedgerEntry]:
        """Every duplication, of some accounts or all, the oldest first."""
        wanted = sa.select(duplications).order_by(duplications.c.started_at, duplications.c.duplication_key)
        if advertiser_ids is not None:
            wanted = wanted.where(duplications.c.advertiser_id.in_(advertiser_ids))
        if key is not None:
            wanted = wanted.where(duplications.c.duplication_key == key)
        if status is not None:
            wanted = wanted.where(duplications.c.status == status)
        with self.state.transaction() as connection:
            rows = connection.execute(wanted).mappings().all()
            keys = [row["duplication_key"] for row in rows]
            asked = sa.select(duplication_steps).where(duplication_steps.c.duplication_key.in_(keys))
            found = connection.execute(asked).mappings().all() if keys else []
        steps: dict[str, list[Step]] = {}
        for row in sorted(found, key=lambda one: one["step"], reverse=True):  # the ad group before the ad
            facts = dict(row)
            steps.setdefault(facts.pop("duplication_key"), []).append(Step(**facts))
        return [LedgerEntry(**row, steps=tuple(steps.get(row["duplication_key"], ()))) for row in rows]

    @contextmanager
    def lease(self, advertiser_id: str, *, seconds: float, wait_seconds: float) -> Iterator[Lease]:
        """The right to write to an account; see `leases.hold`."""
        with hold_lease(self, _lease_name(advertiser_id), seconds=seconds, wait_seconds=wait_seconds) as lease:
            yield lease

    def is_held(self, advertiser_id: str) -> bool:
        """Whether a process is at work on an account."""
        name = sa.select(leases.c.until).where(leases.c.name == _lease_name(advertiser_id))
        with self.state.transaction() as connection:
            until = connection.scalar(name)
        return until is not None and until > self.now()

    def begin(self, lease: Lease, wish: DuplicationRequest, approval: Approval) -> LedgerEntry:
        """The row of an approved wish, made before its first request; one that was refused begins anew.

        The approval is decided on and used in the transaction that writes the row, so whatever is begun stays
        approved: who goes on with it needs none. One of which something was sent keeps what was wanted then.

        Raises:
            NotApprovedError: if it is not approved; only a wrong code is recorded.
            LeaseLostError: if the lease is not ours any more.
        """
        before = self.find(wish.key)
        was_sent = before is not None and before.was_sent
        if before and (before.status == DONE or (was_sent and before.status == STARTED)):
            return before
        covered = before is not None and before.covers(wish)
        wanted = before.wish if before and (was_sent or covered) else wish
        facts: dict[str, Any] = {"status": STARTED, "reason": None}
        if not was_sent:
            own = {"enable": wanted.enable, "budget": wanted.budget, "flag_id": wanted.flag_id}
            facts |= {**own, "added_budget": None, "started_at": self.now()}
        key = {
            "duplication_key": wish.key,
            "advertiser_id": wish.advertiser_id,
            "ad_id": wish.ad_id,
            "campaign_id": wish.campaign_id,
            "ad_group_id": wish.ad_group_id,
            "again": wish.again,
        }
        with self.writing("begin" if before is None else "resume" if was_sent else "begin again") as connection:
            lease.renew_in(connection)
            decision = Decision() if covered else decide_approval(connection, wanted, approval, self.now())
            if before is None and not decision.refusal:
                connection.execute(sa.insert(duplications).values(**key, **facts, **decision.recorded))
            elif not decision.refusal:
                chosen = sa.update(duplications).where(duplications.c.duplication_key == wish.key)
                connection.execute(chosen.values(**facts, **decision.recorded))
        if decision.refusal:
            raise NotApprovedError(decision.refusal)
        return self._entry(wish.key)

    def plan(
        self, lease: Lease, key: str, steps: Sequence[PlannedStep], *, currency: str, added_budget: Decimal
    ) -> LedgerEntry:
        """Keep the requests of a duplication, before the first of them leaves.

        Raises:
            LeaseLostError: if the lease is not ours any more; another's plan stays as it is.
        """
        with self.writing("plan") as connection:
            lease.renew_in(connection)
            connection.execute(sa.delete(duplication_steps).where(duplication_steps.c.duplication_key == key))
            for step in steps:
                facts = {"step": step.step, "target": step.target, "request": step.request, "attempts": 0}
                row = {"duplication_key": key, "marker": build_marker(key), **facts}
                connection.execute(sa.insert(duplication_steps).values(**row))
            chosen = sa.update(duplications).where(duplications.c.duplication_key == key)
            connection.execute(chosen.values(currency=currency, added_budget=added_budget))
        return self._entry(key)

    def sending(self, lease: Lease, key: str, step: str, *, target: str, request: str) -> None:
        """Note a request that leaves now; in the same transaction the lease is found to be ours still.

        Raises:
            LeaseLostError: if it is not; the request must not leave.
        """
        with self.writing(f"sending {step}") as connection:
            lease.renew_in(connection)
            chosen = _step(key, step).values(
                target=target, request=request, sent_at=self.now(), attempts=duplication_steps.c.attempts + 1
            )
            connection.execute(chosen)

    def not_made(self, lease: Lease, key: str, step: str) -> None:
        """Note that the last request of a step was surely not done.

        Raises:
            LeaseLostError: if the lease is not ours any more; the last request may be another's.
        """
        with self.writing(f"not made {step}") as connection:
            lease.renew_in(connection)
            connection.execute(_step(key, step).values(sent_at=None))

    def made(self, key: str, step: str, object_id: str, request_id: str) -> None:
        """Note the object a step made; the first to say so is right."""
        with self.writing(f"made {step}") as connection:
            chosen = _step(key, step).where(duplication_steps.c.object_id.is_(None))
            facts = {"object_id": object_id, "request_id": request_id or None, "made_at": self.now()}
            connection.execute(chosen.values(**facts))

    def finish(self, key: str) -> LedgerEntry:
        """Note that everything of a duplication is made."""
        self._set("finish", key, None, status=DONE, reason=None, done_at=self.now())
        return self._entry(key)

    def refuse(self, lease: Lease, key: str, reason: str) -> LedgerEntry:
        """Note why a duplication cannot be; what it has not made counts against no cap.

        Raises:
            LeaseLostError: if the lease is not ours any more; another may be making it.
        """
        made = self._entry(key).was_sent
        freed = {} if made else {"added_budget": None}
        self._set("refuse", key, lease, status=REFUSED, reason=reason, **freed)
        return self._entry(key)

    def hold_up(self, key: str, reason: str) -> None:
        """Note why a duplication is not finished yet."""
        with self.writing("hold up") as connection:
            mine = (duplications.c.duplication_key == key, duplications.c.status == STARTED)
            connection.execute(sa.update(duplications).where(*mine).values(reason=reason))

    def added_budget(self, advertiser_id: str, since: datetime, *, but_for: str) -> dict[str, Decimal]:
        """What duplications have added to an account's budgets since an instant, but for one of them, by currency.

        One that was begun before and made since counts.
        """
        added: dict[str, Decimal] = {}
        for one in self.entries([advertiser_id]):
            if one.touched_at >= since and one.duplication_key != but_for and one.added_budget:
                currency = one.currency or ""
                added[currency] = added.get(currency, Decimal(0)) + one.added_budget
        return added

    def original_of(self, advertiser_id: str, ad_id: str) -> str | None:
        """Of which ad an ad is a copy, if it is one of ours."""
        return next((one.ad_id for one in self.entries([advertiser_id]) if one.made(AD_STEP) == ad_id), None)

    @contextmanager
    def writing(self, what: str) -> Iterator[sa.Connection]:
        """One transaction, with the lines around it a process could be killed at."""
        self.checkpoint(f"ledger: before {what}")
        with self.state.transaction() as connection:
            yield connection
            self.checkpoint(f"ledger: within {what}")
        self.checkpoint(f"ledger: after {what}")

    def _set(self, what: str, key: str, lease: Lease | None, **values: object) -> None:
        with self.writing(what) as connection:
            if lease:
                lease.renew_in(connection)
            chosen = sa.update(duplications).where(duplications.c.duplication_key == key)
            connection.execute(chosen.values(**values))

    def _entry(self, key: str) -> LedgerEntry:
        entry = self.find(key)
        if entry is None:
            raise LookupError(f"the ledger has no duplication {key}")
        return entry


def _lease_name(advertiser_id: str) -> str:
    return f"duplicate:{advertiser_id}"


def _step(key: str, step: str) -> sa.Update:
    chosen = sa.update(duplication_steps).where(duplication_steps.c.duplication_key == key)
    return chosen.where(duplication_steps.c.step == step)

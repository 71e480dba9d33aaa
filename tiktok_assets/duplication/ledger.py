"""Record each duplication in the state database: request, steps, what was sent and when, and the result."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from tiktok_assets.api import encode_body
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
    RecordedObject,
    Step,
    build_marker,
)
from tiktok_assets.spec import CampaignKind
from tiktok_assets.storage import State, duplication_snapshots, duplication_steps, duplications, leases, utc_now

Checkpoint = Callable[[str], None]
"""Called at every point where a process could be killed; tests kill the process there."""


def ignore_checkpoint(_: str) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The duplications of a state database. Each method is one transaction.

    Attributes:
        state: the state database.
        now: the clock of this machine.
        checkpoint: called before, within and after every transaction that writes.
    """

    state: State
    now: Callable[[], datetime] = utc_now
    checkpoint: Checkpoint = ignore_checkpoint

    def find(self, key: str) -> LedgerEntry | None:
        """Find a duplication by its key."""
        return next(iter(self.entries(key=key)), None)

    def entries(
        self, advertiser_ids: Sequence[str] | None = None, *, key: str | None = None, status: str | None = None
    ) -> list[LedgerEntry]:
        """List the duplications of some accounts or of all, the oldest first."""
        query = sa.select(duplications).order_by(duplications.c.started_at, duplications.c.duplication_key)
        if advertiser_ids is not None:
            query = query.where(duplications.c.advertiser_id.in_(advertiser_ids))
        if key is not None:
            query = query.where(duplications.c.duplication_key == key)
        if status is not None:
            query = query.where(duplications.c.status == status)
        with self.state.transaction() as connection:
            rows = connection.execute(query).mappings().all()
            keys = [row["duplication_key"] for row in rows]
            steps_query = sa.select(duplication_steps).where(duplication_steps.c.duplication_key.in_(keys))
            step_rows = connection.execute(steps_query).mappings().all() if keys else []
        steps: dict[str, list[Step]] = {}
        for row in sorted(step_rows, key=lambda one: one["step"], reverse=True):  # the ad group before the ad
            values = dict(row)
            steps.setdefault(values.pop("duplication_key"), []).append(Step(**values))
        return [LedgerEntry(**row, steps=tuple(steps.get(row["duplication_key"], ()))) for row in rows]

    @contextmanager
    def lease(self, advertiser_id: str, *, seconds: float, wait_seconds: float) -> Iterator[Lease]:
        """Hold the lease on an account; see `lease.hold_lease`."""
        with hold_lease(self, _lease_name(advertiser_id), seconds=seconds, wait_seconds=wait_seconds) as lease:
            yield lease

    def is_leased(self, advertiser_id: str) -> bool:
        """Return whether a process works on an account."""
        name = sa.select(leases.c.until).where(leases.c.name == _lease_name(advertiser_id))
        with self.state.transaction() as connection:
            until = connection.scalar(name)
        return until is not None and until > self.now()

    def start(self, lease: Lease, request: DuplicationRequest, approval: Approval) -> LedgerEntry:
        """Insert or restart the entry of an approved request, before anything is sent for it.

        The approval is checked and used in the transaction that writes the entry, so continuing an entry needs no
        approval. An entry of which something was sent keeps its original request. A refused entry is restarted.

        Raises:
            NotApprovedError: if it is not approved; only a wrong code is recorded.
            LeaseLostError: if the lease was lost.
        """
        before = self.find(request.key)
        was_sent = before is not None and before.was_sent
        if before and (before.status == DONE or (was_sent and before.status == STARTED)):
            return before
        is_approved = before is not None and before.is_approved_for(request)
        kept = before.request if before and (was_sent or is_approved) else request
        values: dict[str, Any] = {"status": STARTED, "reason": None}
        if not was_sent:
            options = {"enable": kept.enable, "budget": kept.budget, "flag_id": kept.flag_id}
            values |= {**options, "added_budget": None, "started_at": self.now()}
        key = {
            "duplication_key": request.key,
            "advertiser_id": request.advertiser_id,
            "ad_id": request.ad_id,
            "campaign_id": request.campaign_id,
            "ad_group_id": request.ad_group_id,
            "again": request.again,
        }
        what = "start" if before is None else "resume" if was_sent else "restart"
        with self.write_transaction(what) as connection:
            lease.renew_in(connection)
            decision = Decision() if is_approved else decide_approval(connection, kept, approval, self.now())
            if before is None and not decision.refusal:
                connection.execute(sa.insert(duplications).values(**key, **values, **decision.columns))
            elif not decision.refusal:
                update = sa.update(duplications).where(duplications.c.duplication_key == request.key)
                connection.execute(update.values(**values, **decision.columns))
        if decision.refusal:
            raise NotApprovedError(decision.refusal)
        return self._entry(request.key)

    def plan(
        self,
        lease: Lease,
        key: str,
        steps: Sequence[PlannedStep],
        *,
        kind: CampaignKind,
        currency: str,
        added_budget: Decimal,
        sources: Sequence[RecordedObject] = (),
    ) -> LedgerEntry:
        """Store the create requests of a duplication before the first is sent, and the objects that were read.

        Raises:
            LeaseLostError: if the lease was lost; another process's plan stays as it is.
        """
        with self.write_transaction("plan") as connection:
            lease.renew_in(connection)
            connection.execute(sa.delete(duplication_steps).where(duplication_steps.c.duplication_key == key))
            for step in steps:
                step_values = {"step": step.step, "target": step.target, "request": step.request, "attempts": 0}
                row = {"duplication_key": key, "marker": build_marker(key), **step_values}
                connection.execute(sa.insert(duplication_steps).values(**row))
            for source in sources:
                _record_object(connection, key, source)
            update = sa.update(duplications).where(duplications.c.duplication_key == key)
            values: dict[str, object] = {"currency": currency, "added_budget": added_budget, "target_kind": kind}
            connection.execute(update.values(**values))
        return self._entry(key)

    def record_sending(self, lease: Lease, key: str, step: str, *, target: str, request: str) -> None:
        """Record a request that is sent now, in a transaction that also renews the lease.

        Raises:
            LeaseLostError: if the lease was lost; the request must not be sent.
        """
        with self.write_transaction(f"sending {step}") as connection:
            lease.renew_in(connection)
            update = _update_step(key, step).values(
                target=target, request=request, sent_at=self.now(), attempts=duplication_steps.c.attempts + 1
            )
            connection.execute(update)

    def record_not_created(self, lease: Lease, key: str, step: str) -> None:
        """Record that the last request of a step surely created nothing.

        Raises:
            LeaseLostError: if the lease was lost; the last request may be another process's.
        """
        with self.write_transaction(f"not created {step}") as connection:
            lease.renew_in(connection)
            connection.execute(_update_step(key, step).values(sent_at=None))

    def record_created(
        self, key: str, step: str, object_id: str, request_id: str, content: Mapping[str, Any]
    ) -> None:
        """Record the object that a step created, as TikTok returned it, unless one is recorded already."""
        with self.write_transaction(f"created {step}") as connection:
            update = _update_step(key, step).where(duplication_steps.c.object_id.is_(None))
            values = {"object_id": object_id, "request_id": request_id or None, "made_at": self.now()}
            if connection.execute(update.values(**values)).rowcount:
                text = encode_body(content).decode()
                _record_object(connection, key, RecordedObject(f"created {step}", object_id, self.now(), text))

    def objects(self, key: str) -> list[RecordedObject]:
        """List the objects kept with a duplication, by role."""
        columns = (one for one in duplication_snapshots.c if one.name != "duplication_key")
        query = sa.select(*columns).where(duplication_snapshots.c.duplication_key == key)
        with self.state.transaction() as connection:
            rows = connection.execute(query.order_by(duplication_snapshots.c.role)).mappings().all()
        return [RecordedObject(**row) for row in rows]

    def start_undo(self, lease: Lease, key: str, undone_by: str) -> LedgerEntry:
        """Record that a duplication is being undone; from now on nothing more is created for it.

        Raises:
            LeaseLostError: if the lease was lost.
        """
        with self.write_transaction("start undo") as connection:
            lease.renew_in(connection)
            own = sa.update(duplications).where(duplications.c.duplication_key == key)
            first = own.where(duplications.c.undo_started_at.is_(None))
            connection.execute(first.values(undo_started_at=self.now(), undone_by=undone_by))
            unfinished = own.where(duplications.c.status == STARTED)
            connection.execute(unfinished.values(status=REFUSED, reason="it was undone before it was finished"))
        return self._entry(key)

    def finish_undo(self, lease: Lease, key: str, result: str, *, is_budget_free: bool) -> LedgerEntry:
        """Record what became of the objects of a duplication that was undone.

        Args:
            lease: on the account.
            key: of the duplication.
            result: what was done.
            is_budget_free: whether what it added no longer counts against the budget limit.

        Raises:
            LeaseLostError: if the lease was lost.
        """
        freed = {"added_budget": None} if is_budget_free else {}
        self._update("finish undo", key, lease, undone_at=self.now(), undo_result=result, **freed)
        return self._entry(key)

    def finish(self, key: str) -> LedgerEntry:
        """Record that all objects of a duplication exist."""
        self._update("finish", key, None, status=DONE, reason=None, done_at=self.now())
        return self._entry(key)

    def refuse(self, lease: Lease, key: str, reason: str) -> LedgerEntry:
        """Record why a duplication is refused; if nothing was sent it no longer counts against the budget limit.

        Raises:
            LeaseLostError: if the lease was lost; another process may be working on it.
        """
        was_sent = self._entry(key).was_sent
        freed = {} if was_sent else {"added_budget": None}
        self._update("refuse", key, lease, status=REFUSED, reason=reason, **freed)
        return self._entry(key)

    def record_delay(self, key: str, reason: str) -> None:
        """Record why a duplication is not finished yet."""
        with self.write_transaction("delay") as connection:
            is_started = (duplications.c.duplication_key == key, duplications.c.status == STARTED)
            connection.execute(sa.update(duplications).where(*is_started).values(reason=reason))

    def added_budget(self, advertiser_id: str, since: datetime, *, excluded_key: str) -> dict[str, Decimal]:
        """Sum what duplications with activity since an instant add to an account's budgets, by currency.

        One that was sent and is not finished counts whenever it was sent: to finish it creates what is missing.

        Args:
            advertiser_id: the account.
            since: aware.
            excluded_key: of a duplication that does not count.
        """
        added: dict[str, Decimal] = {}
        for entry in self.entries([advertiser_id]):
            is_recent = entry.last_activity_at >= since
            counts = is_recent or (entry.status == STARTED and entry.was_sent)
            if counts and entry.duplication_key != excluded_key and entry.added_budget:
                currency = entry.currency or ""
                added[currency] = added.get(currency, Decimal(0)) + entry.added_budget
        return added

    def find_original(self, advertiser_id: str, ad_id: str) -> str | None:
        """Return the id of the ad that an ad is a copy of, or None if no duplication created it."""
        entries = self.entries([advertiser_id])
        return next((entry.ad_id for entry in entries if entry.created_id(AD_STEP) == ad_id), None)

    @contextmanager
    def write_transaction(self, what: str) -> Iterator[sa.Connection]:
        """Open a transaction that writes, with checkpoints before, within and after it."""
        self.checkpoint(f"ledger: before {what}")
        with self.state.transaction() as connection:
            yield connection
            self.checkpoint(f"ledger: within {what}")
        self.checkpoint(f"ledger: after {what}")

    def _update(self, what: str, key: str, lease: Lease | None, **values: object) -> None:
        with self.write_transaction(what) as connection:
            if lease:
                lease.renew_in(connection)
            update = sa.update(duplications).where(duplications.c.duplication_key == key)
            connection.execute(update.values(**values))

    def _entry(self, key: str) -> LedgerEntry:
        entry = self.find(key)
        if entry is None:
            raise LookupError(f"the ledger has no duplication {key}")
        return entry


def _lease_name(advertiser_id: str) -> str:
    return f"duplicate:{advertiser_id}"


def _record_object(connection: sa.Connection, key: str, recorded: RecordedObject) -> None:
    """Store an object instead of an earlier one of the same role."""
    own = (duplication_snapshots.c.duplication_key == key, duplication_snapshots.c.role == recorded.role)
    connection.execute(sa.delete(duplication_snapshots).where(*own))
    row = {name: getattr(recorded, name) for name in RecordedObject.__slots__}
    connection.execute(sa.insert(duplication_snapshots).values(duplication_key=key, **row))


def _update_step(key: str, step: str) -> sa.Update:
    update = sa.update(duplication_steps).where(duplication_steps.c.duplication_key == key)
    return update.where(duplication_steps.c.step == step)

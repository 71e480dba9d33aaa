"""Undo a duplication: switch off what it created, and delete what has no spend.

Every step sets a state that it reads first, so an undo that was killed ends the same when it is repeated. The
ledger records the start before the first request, and from then on nothing more is created for the duplication.
"""

from dataclasses import dataclass
from decimal import Decimal

from tiktok_assets.api import (
    DELETE,
    DISABLE,
    Client,
    Fetcher,
    RetryLaterError,
    TikTokError,
    UnknownOutcomeError,
    list_objects,
    read_lifetime_spend,
    suggest_fix,
    update_status,
)
from tiktok_assets.duplication.ad_kinds import is_deleted
from tiktok_assets.duplication.executor import STEP_SPECS, ExecutionPolicy, StepExecutor, UnfinishedError
from tiktok_assets.duplication.lease import Lease
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import AD_GROUP_STEP, AD_STEP, LedgerEntry, Step


class UnknownDuplicationError(Exception):
    """The ledger has no duplication with this key."""


@dataclass(frozen=True, slots=True)
class CreatedObjectState:
    """An object that a duplication created, as TikTok has it now.

    Attributes:
        step: `ad_group` or `ad`.
        object_id: its id.
        name: its name; "" if TikTok does not list it.
        status: the status its owner set; `DELETE` if it or a parent is deleted, "" if TikTok does not list it.
        spend: its lifetime spend.
        other_ads: ads in it that this duplication did not create, if it is an ad group.
    """

    step: str
    object_id: str
    name: str
    status: str
    spend: Decimal
    other_ads: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether nothing can be changed any more."""
        return self.status in {"", DELETE}

    @property
    def is_kept(self) -> bool:
        """Whether it stays as it is, because others use it."""
        return self.other_ads > 0

    @property
    def result(self) -> str:
        """What an undo does with it, or did."""
        if self.is_kept:
            return "kept"
        return "deleted" if self.is_gone or not self.spend else "switched off"


@dataclass(frozen=True, slots=True)
class UndoPreview:
    """What an undo would change: a duplication and its objects as they are now, the ad first."""

    entry: LedgerEntry
    objects: tuple[CreatedObjectState, ...]


@dataclass(frozen=True, slots=True)
class Undoer:
    """Undoes duplications.

    Attributes:
        client: sends the requests.
        fetcher: reads objects.
        ledger: has the duplications.
        policy: timeouts and retries.
    """

    client: Client
    fetcher: Fetcher
    ledger: Ledger
    policy: ExecutionPolicy

    def preview(self, key: str) -> UndoPreview:
        """Read what a duplication created, and change nothing.

        Raises:
            UnknownDuplicationError: if there is none with this key.
            TikTokError: if something cannot be read.
        """
        entry = self._find(key)
        return UndoPreview(entry, tuple(self._read_objects(entry)))

    def undo(self, key: str, undone_by: str) -> UndoPreview:
        """Switch off what a duplication created, then delete what has no spend; one that is undone stays so.

        Raises:
            UnknownDuplicationError: if there is none with this key.
            UnfinishedError: if it cannot be finished now; try again.
            LeaseError: if another process works on the account; try again.
            TikTokError: if something cannot be read; try again.
        """
        entry, policy = self._find(key), self.policy
        owner = entry.advertiser_id
        seconds, wait_seconds = policy.lease_seconds, policy.lease_wait_seconds
        with self.ledger.lease(owner, seconds=seconds, wait_seconds=wait_seconds) as lease:
            entry = self.ledger.start_undo(lease, key, undone_by)
            entry = self._find_lost(lease, entry)
            objects = self._read_objects(entry)
            if not entry.undone_at:
                for status in (DISABLE, DELETE):
                    for one in objects:
                        if not one.is_kept and (status == DISABLE or not one.spend):
                            self._set_status(lease, entry, one.step, one.object_id, status)
                    objects = self._read_objects(entry)  # what was spent until it was switched off counts too
                entry = self.ledger.finish_undo(
                    lease, key, format_undo_result(objects), is_budget_free=all(one.is_gone for one in objects)
                )
        return UndoPreview(entry, tuple(objects))

    def _find(self, key: str) -> LedgerEntry:
        entry = self.ledger.find(key)
        if entry is None:
            raise UnknownDuplicationError(f"the ledger has no duplication {key}")
        return entry

    def _find_lost(self, lease: Lease, entry: LedgerEntry) -> LedgerEntry:
        """Look for objects whose creation was requested and never confirmed."""
        executor = StepExecutor(self.client, self.fetcher, self.ledger, self.policy, entry.kind)
        target = entry.campaign_id
        for step in entry.steps:
            found = executor.find_sent(
                lease, entry.duplication_key, entry.advertiser_id, step, step.target or target
            )
            target = found or target
        return self._find(entry.duplication_key)

    def _read_objects(self, entry: LedgerEntry) -> list[CreatedObjectState]:
        """Read the created objects, the ad before the ad group it is in."""
        steps = [step for step in reversed(entry.steps) if step.object_id]
        return [self._read_object(entry, step, str(step.object_id)) for step in steps]

    def _read_object(self, entry: LedgerEntry, step: Step, object_id: str) -> CreatedObjectState:
        spec, owner = STEP_SPECS[step.step][entry.kind], entry.advertiser_id
        rows = list_objects(self.fetcher, spec, owner, {f"{spec.key}s": [object_id]})
        row = next((one for one in rows if str(one[spec.key]) == object_id), None)
        # The report of Upgraded Smart+ ads has no filter by their id, so it is read for their ad group.
        is_smart_plus_ad = spec.key == "smart_plus_ad_id"
        filters = {"adgroup_ids": [str(step.target)]} if is_smart_plus_ad else {f"{spec.key}s": [object_id]}
        spend = read_lifetime_spend(self.client, spec, owner, filters).get(object_id, Decimal(0))
        is_gone = row is not None and is_deleted(row)
        status = DELETE if is_gone else str((row or {}).get("operation_status") or "")
        name = str((row or {}).get(spec.name_field) or "")
        others = self._count_other_ads(entry, object_id) if step.step == AD_GROUP_STEP else 0
        return CreatedObjectState(step.step, object_id, name, status, spend, others)

    def _count_other_ads(self, entry: LedgerEntry, ad_group_id: str) -> int:
        spec, own = STEP_SPECS[AD_STEP][entry.kind], entry.created_id(AD_STEP)
        rows = list_objects(self.fetcher, spec, entry.advertiser_id, {"adgroup_ids": [ad_group_id]})
        return sum(not is_deleted(row) and str(row[spec.key]) != own for row in rows)

    def _set_status(self, lease: Lease, entry: LedgerEntry, step: str, object_id: str, status: str) -> None:
        """Give an object a status, unless it has it or is deleted; repeated until it is known to have it."""
        spec, owner = STEP_SPECS[step][entry.kind], entry.advertiser_id
        error: TikTokError | None = None
        for _ in range(self.policy.max_attempts):
            rows = list_objects(self.fetcher, spec, owner, {f"{spec.key}s": [object_id]})
            row = next((one for one in rows if str(one[spec.key]) == object_id), None)
            if row is None or is_deleted(row) or row.get("operation_status") == status:
                return
            lease.renew()
            self.ledger.checkpoint(f"request: before {spec.status.path} {status}")
            try:
                update_status(self.client, spec, owner, object_id, status)
            except (UnknownOutcomeError, RetryLaterError) as failure:
                error = failure
                StepExecutor(self.client, self.fetcher, self.ledger, self.policy).sleep(
                    lease, self.policy.retry_seconds
                )
            except TikTokError as failure:
                raise UnfinishedError(
                    f"TikTok refuses to {_VERBS[status]} {step.replace('_', ' ')} {object_id}: {failure}"
                ) from failure
            else:
                return
            finally:
                self.ledger.checkpoint(f"request: after {spec.status.path} {status}")
        raise UnfinishedError(
            f"{step.replace('_', ' ')} {object_id} could not be changed in {self.policy.max_attempts} attempts:"
            f" {error} {suggest_fix(error) if error else ''}"
        )


_VERBS = {DISABLE: "switch off", DELETE: "delete"}


def format_undo_result(objects: list[CreatedObjectState]) -> str:
    """Format what an undo did with each object, in one line."""
    done = [f"{one.step.replace('_', ' ')} {one.object_id} {one.result}" for one in objects]
    return ", ".join(done) or "nothing had been created"

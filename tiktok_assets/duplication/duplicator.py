"""Duplicate an ad into another campaign: read, validate, plan in the ledger, send, and never create twice."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from tiktok_assets.api import Client, Fetcher, Identity, RequestError, TikTokError, encode_body, format_request
from tiktok_assets.duplication.approvals import ENABLE_NOT_ALLOWED, NO_APPROVAL, Approval
from tiktok_assets.duplication.executor import (
    STEP_SPECS,
    ExecutionPolicy,
    StepExecutor,
    StepRejectedError,
    UnfinishedError,
)
from tiktok_assets.duplication.field_selection import FieldNote
from tiktok_assets.duplication.lease import Lease
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import AD_GROUP_STEP, DONE, DuplicationRequest, LedgerEntry, PlannedStep
from tiktok_assets.duplication.planning import build_payloads, format_added_budget, list_sources
from tiktok_assets.duplication.snapshot import AccountContext, Snapshot
from tiktok_assets.duplication.snapshot_loading import load_snapshot
from tiktok_assets.duplication.validation import MEDIA_CHECK, ValidationResult, list_refusals, validate

ADDED_BUDGET_WINDOW = timedelta(hours=24)
"""The period that TIKTOK_MAX_ADDED_BUDGET limits."""

AD_GROUP_ID_PLACEHOLDER = "<the id of the ad group above>"
"""The ad group's id in the ad payload of a dry run."""


class RefusedError(Exception):
    """A duplication is refused and nothing more is created for it; the message has every reason."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a live run would do now.

    Attributes:
        request: the duplication.
        entry: its ledger entry; None if there is none.
        results: of every check; empty if the duplication is done or was sent, and is not validated again.
        requests: the create requests in order, as they would be sent; empty if a check refuses.
        added_budget: what it would add to the account's budgets, as text; "" if it is not validated.
        field_notes: the fields of the source that would not be copied, and why.
    """

    request: DuplicationRequest
    entry: LedgerEntry | None
    results: tuple[ValidationResult, ...]
    requests: tuple[str, ...]
    added_budget: str = ""
    field_notes: tuple[FieldNote, ...] = ()

    @property
    def refusals(self) -> list[str]:
        """The reasons of the checks that refuse."""
        return list_refusals(self.results)


@dataclass(frozen=True, slots=True)
class Duplicator:
    """Duplicates ads.

    Attributes:
        client: sends the create requests.
        fetcher: reads objects.
        ledger: records everything.
        currency_of: returns the currency of an account.
        max_added_budget: the limit on what is added to an account's budgets within 24 hours; None for none.
        policy: timeouts and retries.
        approval: of the launch; without one it can only continue what was started.
        identities: by account, for copies of ads whose own identity cannot be used again.
    """

    client: Client
    fetcher: Fetcher
    ledger: Ledger
    currency_of: Callable[[str], str]
    max_added_budget: Decimal | None = None
    policy: ExecutionPolicy = field(default_factory=ExecutionPolicy)
    approval: Approval = NO_APPROVAL
    identities: Mapping[str, Identity] = field(default_factory=dict)

    def dry_run(self, request: DuplicationRequest) -> DryRun:
        """Read and validate, write nothing anywhere, and return what would be sent.

        Raises:
            TikTokError: if something cannot be read.
        """
        entry = self.ledger.find(request.key)
        if entry and entry.status == DONE:
            return DryRun(request, entry, (), ())
        if entry and entry.was_sent:
            missing = [step for step in entry.steps if not step.object_id]
            creates = {step.step: STEP_SPECS[step.step][entry.kind].create for step in missing}
            urls = {name: self.client.build_url(endpoint) for name, endpoint in creates.items()}
            return DryRun(request, entry, (), tuple(f"POST {urls[s.step]}\n{s.request}" for s in missing))
        snapshot = self._load_snapshot(request)
        results = tuple(validate(snapshot))
        if request.enable:
            reason = "" if self.approval.may_enable else ENABLE_NOT_ALLOWED
            results += (ValidationResult("enable_allowed", reason),)
        notes = () if _is_missing(results) else tuple(snapshot.field_notes)
        if list_refusals(results):
            return DryRun(request, entry, results, (), field_notes=notes)
        payloads = build_payloads(request, snapshot, placeholder=AD_GROUP_ID_PLACEHOLDER)
        requests = tuple(
            format_request(self.client, STEP_SPECS[step][snapshot.kind].create, payload)
            for step, payload in payloads.items()
        )
        return DryRun(request, entry, results, requests, format_added_budget(snapshot), notes)

    def duplicate(self, request: DuplicationRequest) -> LedgerEntry:
        """Duplicate an ad, or continue what was started; a duplication that is done stays as it is.

        Raises:
            NotApprovedError: if nothing allows it to start; nothing was read or sent for it.
            RefusedError: if a check or the API refuses; the ledger has the reasons.
            UnfinishedError: if it cannot be finished now; try again.
            LeaseError: if another process works on the account; try again.
            TikTokError: if something cannot be read before anything is sent; try again.
        """
        before = self.ledger.find(request.key)
        _require_not_undone(before)
        if before and before.status == DONE:
            return before
        policy = self.policy
        with self.ledger.lease(
            request.advertiser_id, seconds=policy.lease_seconds, wait_seconds=policy.lease_wait_seconds
        ) as lease:
            before = self.ledger.find(request.key)
            _require_not_undone(before)
            if before and before.was_sent and before.status != DONE:
                _require_same_options(request, before)
            entry = self.ledger.start(lease, request, self.approval)
            if entry.status == DONE:
                return entry
            if not entry.was_sent:
                entry = self._plan(lease, request)
            return self._finish(lease, entry)

    def _plan(self, lease: Lease, request: DuplicationRequest) -> LedgerEntry:
        self.ledger.checkpoint("request: before reading the snapshot")
        try:
            snapshot = self._load_processed(lease, request)
        except RequestError as error:  # permanent: the API will not accept such an id later
            self.ledger.refuse(lease, request.key, str(error))
            raise RefusedError(str(error)) from error
        except (TikTokError, UnfinishedError) as error:
            self.ledger.record_delay(request.key, str(error))
            raise
        self.ledger.checkpoint("request: after reading the snapshot")
        if reasons := list_refusals(validate(snapshot)):
            self.ledger.refuse(lease, request.key, "; ".join(reasons))
            raise RefusedError("; ".join(reasons))
        payloads = build_payloads(request, snapshot, placeholder=None)
        targets = {
            step: payload.get(STEP_SPECS[step][snapshot.kind].parent_field) for step, payload in payloads.items()
        }
        steps = [
            PlannedStep(step, targets[step], encode_body(payload).decode()) for step, payload in payloads.items()
        ]
        return self.ledger.plan(
            lease,
            request.key,
            steps,
            kind=snapshot.kind,
            sources=list_sources(snapshot, self.ledger.now()),
            currency=snapshot.account.currency,
            added_budget=snapshot.budget_to_add,
        )

    def _finish(self, lease: Lease, entry: LedgerEntry) -> LedgerEntry:
        executor = StepExecutor(self.client, self.fetcher, self.ledger, self.policy, entry.kind)
        key, target = entry.duplication_key, entry.campaign_id
        try:
            for step in entry.steps:
                target = executor.execute(lease, key, entry.advertiser_id, step, step.target or target)
        except StepRejectedError as error:
            refused = self.ledger.refuse(lease, key, str(error))
            ad_group_id = refused.created_id(AD_GROUP_STEP)
            note = f"; ad group {ad_group_id} was created and is empty" if ad_group_id else ""
            raise RefusedError(f"{error}{note}") from error
        except UnfinishedError as error:
            self.ledger.record_delay(key, str(error))
            raise
        return self.ledger.finish(key)

    def _load_processed(self, lease: Lease, request: DuplicationRequest) -> Snapshot:
        """Load the snapshot; wait while the video that the copy needs is still processed by TikTok.

        Raises:
            UnfinishedError: if it is not processed within the policy; nothing was sent.
            TikTokError: if something cannot be read.
        """
        policy = self.policy
        until = time.monotonic() + policy.processing_seconds
        while True:
            snapshot = self._load_snapshot(request)
            others = [one for one in validate(snapshot) if one.check != MEDIA_CHECK and one.reason]
            if not snapshot.is_video_processing or others:
                return snapshot
            if time.monotonic() >= until:
                minutes = f"{policy.processing_seconds / 60:g}"
                raise UnfinishedError(
                    f"TikTok did not process the ad's video within {minutes} minutes; nothing was created."
                )
            executor = StepExecutor(self.client, self.fetcher, self.ledger, policy)
            executor.sleep(lease, policy.processing_poll_seconds)

    def _load_snapshot(self, request: DuplicationRequest) -> Snapshot:
        owner, since = request.advertiser_id, self.ledger.now() - ADDED_BUDGET_WINDOW
        added = self.ledger.added_budget(owner, since, excluded_key=request.key)
        account = AccountContext(self.currency_of(owner), added, self.max_added_budget, self.identities.get(owner))
        return load_snapshot(self.client, self.fetcher, self.ledger, request, account)


def _is_missing(results: tuple[ValidationResult, ...]) -> bool:
    """Return whether an object is missing, so that nothing else was checked."""
    return any(result.check == "objects_exist" and result.reason for result in results)


def _require_not_undone(entry: LedgerEntry | None) -> None:
    """Refuse to continue a duplication that was undone, or whose undo was started.

    Raises:
        RefusedError: with the way to request another copy.
    """
    if entry and entry.undo_started_at:
        raise RefusedError(
            f"it was undone on {entry.undo_started_at:%Y-%m-%d %H:%M} UTC; request another copy with --again"
        )


def _require_same_options(request: DuplicationRequest, started: LedgerEntry) -> None:
    """Refuse to continue a duplication that was started with `enable`, or with another budget, than requested.

    Raises:
        RefusedError: with the options it was started with; the ledger stays as it is.
    """
    if started.enable and not request.enable:
        raise RefusedError(
            "it was started with --enable and is partly created; add --enable (in the launchpad `enable: true`) to"
            " finish it so, or request another copy with --again"
        )
    if request.budget is not None and request.budget != started.budget:
        budget = "the budget of the source" if started.budget is None else f"a budget of {started.budget:f}"
        raise RefusedError(
            f"it was started with {budget} and is partly created; leave --budget out to finish it so, or request"
            " another copy with --again"
        )

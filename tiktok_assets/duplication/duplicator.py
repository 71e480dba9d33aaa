"""Duplicate an ad into another campaign: read, validate, plan in the ledger, send, and never create twice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from tiktok_assets.api.client import Client
from tiktok_assets.api.creatives import Identity
from tiktok_assets.api.errors import RequestError, TikTokError
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.retry import encode_body
from tiktok_assets.api.writes import format_request
from tiktok_assets.duplication.approvals import ENABLE_NOT_ALLOWED, NO_APPROVAL, Approval
from tiktok_assets.duplication.executor import (
    STEP_SPECS,
    ExecutionPolicy,
    StepExecutor,
    StepRejectedError,
    UnfinishedError,
)
from tiktok_assets.duplication.lease import Lease
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import (
    AD_GROUP_STEP,
    AD_STEP,
    DONE,
    DuplicationRequest,
    LedgerEntry,
    PlannedStep,
    build_marker,
)
from tiktok_assets.duplication.payloads import AdGroupPlacement, Payload, build_ad_group_payload, build_ad_payload
from tiktok_assets.duplication.snapshot import AccountContext, Snapshot, load_snapshot
from tiktok_assets.duplication.validation import ValidationResult, list_refusals, validate
from tiktok_assets.spec.money import BUDGET_RULES, MIN_AD_GROUP_BUDGET, TOTAL_BUDGET, format_amount

ADDED_BUDGET_WINDOW = timedelta(hours=24)
"""The stretch TIKTOK_MAX_ADDED_BUDGET is about."""

AD_GROUP_ID_PLACEHOLDER = "<the id of the ad group above>"
"""Stands in a dry run for what the request before it makes."""


class RefusedError(Exception):
    """A duplication cannot be, and nothing was made for it now; the message holds every reason."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a live run would do now.

    Attributes:
        entry: what the ledger has of it already; None for nothing.
        verdicts: of every check; empty where the duplication is done or begun, and nothing is checked again.
        requests: what would be sent, in order, as it would be sent; empty where a check refuses.
        amount: what it would add to the account's budgets, in words; "" where nothing is checked.
    """

    wish: DuplicationRequest
    entry: LedgerEntry | None
    verdicts: tuple[ValidationResult, ...]
    requests: tuple[str, ...]
    amount: str = ""

    @property
    def refusals(self) -> list[str]:
        """The reasons of the checks that refuse."""
        return list_refusals(self.verdicts)


@dataclass(frozen=True, slots=True)
class Duplicator:
    """What duplicates.

    Attributes:
        client: what sends.
        fetcher: what reads.
        ledger: what remembers.
        currency_of: the currency of an account.
        max_added_budget: the cap on what is added to an account's budgets within 24 hours; None for none.
        patience: how long to wait.
        approval: what whoever launches brings with it; without one only what was begun is finished.
        identities: by account, for copies of ads whose own identity cannot be used again.
    """

    client: Client
    fetcher: Fetcher
    ledger: Ledger
    currency_of: Callable[[str], str]
    max_added_budget: Decimal | None = None
    patience: ExecutionPolicy = field(default_factory=ExecutionPolicy)
    approval: Approval = NO_APPROVAL
    identities: Mapping[str, Identity] = field(default_factory=dict)

    def rehearse(self, wish: DuplicationRequest) -> DryRun:
        """Read and check, write nothing anywhere, and tell what would be sent.

        Raises:
            TikTokError: if something cannot be read.
        """
        entry = self.ledger.find(wish.key)
        if entry and entry.status == DONE:
            return DryRun(wish, entry, (), ())
        if entry and entry.was_sent:
            left = [step for step in entry.steps if not step.object_id]
            address = {step.step: self.client.address(STEP_SPECS[step.step].create) for step in left}
            return DryRun(wish, entry, (), tuple(f"POST {address[s.step]}\n{s.request}" for s in left))
        sources = self._read(wish)
        verdicts = tuple(validate(sources))
        if wish.enable:
            allowed = "" if self.approval.may_enable else ENABLE_NOT_ALLOWED
            verdicts += (ValidationResult("enable_allowed", allowed),)
        if list_refusals(verdicts):
            return DryRun(wish, entry, verdicts, ())
        bodies = self._bodies(wish, sources, placeholder=AD_GROUP_ID_PLACEHOLDER)
        requests = tuple(
            format_request(self.client, STEP_SPECS[step].create, body) for step, body in bodies.items()
        )
        return DryRun(wish, entry, verdicts, requests, _amount(sources))

    def carry_out(self, wish: DuplicationRequest) -> LedgerEntry:
        """Duplicate, or finish what was begun; what is done already is left as it is.

        Raises:
            NotApprovedError: if nothing allows it to begin; nothing was read or sent for it.
            RefusedError: if a check or the API refuses; the ledger has the reasons.
            UnfinishedError: if it cannot be finished now; ask again.
            LeaseError: if another process is at work on the account; ask again.
            TikTokError: if something cannot be read before anything is sent; ask again.
        """
        before = self.ledger.find(wish.key)
        if before and before.status == DONE:
            return before
        patience = self.patience
        with self.ledger.lease(
            wish.advertiser_id, seconds=patience.lease_seconds, wait_seconds=patience.lease_wait_seconds
        ) as lease:
            before = self.ledger.find(wish.key)
            if before and before.was_sent and before.status != DONE:
                _require_same(wish, before)
            entry = self.ledger.begin(lease, wish, self.approval)
            if entry.status == DONE:
                return entry
            if not entry.was_sent:
                entry = self._planned(lease, wish)
            return self._finished(lease, entry)

    def _planned(self, lease: Lease, wish: DuplicationRequest) -> LedgerEntry:
        self.ledger.checkpoint("request: before reading the sources")
        try:
            sources = self._read(wish)
        except RequestError as error:  # an id TikTok does not take will not become one
            self.ledger.refuse(lease, wish.key, str(error))
            raise RefusedError(str(error)) from error
        except TikTokError as error:
            self.ledger.hold_up(wish.key, str(error))
            raise
        self.ledger.checkpoint("request: after reading the sources")
        if reasons := list_refusals(validate(sources)):
            self.ledger.refuse(lease, wish.key, "; ".join(reasons))
            raise RefusedError("; ".join(reasons))
        bodies = self._bodies(wish, sources, placeholder=None)
        targets = {step: body.get(STEP_SPECS[step].parent) for step, body in bodies.items()}
        steps = [PlannedStep(step, targets[step], encode_body(body).decode()) for step, body in bodies.items()]
        return self.ledger.plan(
            lease, wish.key, steps, currency=sources.account.currency, added_budget=sources.adds_budget
        )

    def _finished(self, lease: Lease, entry: LedgerEntry) -> LedgerEntry:
        maker = StepExecutor(self.client, self.fetcher, self.ledger, self.patience)
        key, target = entry.duplication_key, entry.campaign_id
        try:
            for step in entry.steps:
                target = maker.object_of(lease, key, entry.advertiser_id, step, step.target or target)
        except StepRejectedError as error:
            refused = self.ledger.refuse(lease, key, str(error))
            left = refused.made(AD_GROUP_STEP)
            beside = f"; ad group {left} was made and stands empty" if left else ""
            raise RefusedError(f"{error}{beside}") from error
        except UnfinishedError as error:
            self.ledger.hold_up(key, str(error))
            raise
        return self.ledger.finish(key)

    def _read(self, wish: DuplicationRequest) -> Snapshot:
        since = self.ledger.now() - ADDED_BUDGET_WINDOW
        added = self.ledger.added_budget(wish.advertiser_id, since, but_for=wish.key)
        owner = wish.advertiser_id
        account = AccountContext(self.currency_of(owner), added, self.max_added_budget, self.identities.get(owner))
        return load_snapshot(self.client, self.fetcher, self.ledger, wish, account)

    def _bodies(
        self, wish: DuplicationRequest, sources: Snapshot, *, placeholder: str | None
    ) -> dict[str, Payload]:
        """The request of each step; the ad's names its ad group where there is one already."""
        marker = build_marker(wish.key)
        owner = {"advertiser_id": wish.advertiser_id}
        ad = build_ad_payload(
            {**(sources.ad or {}), **owner},
            wish.ad_group_id or placeholder,
            marker,
            sources.shown,
            enable=wish.enable,
            plain_text=wish.without_emoji,
        )
        if not sources.copies_ad_group:
            return {AD_STEP: ad}
        placed = AdGroupPlacement(
            campaign_id=wish.campaign_id,
            key=wish.key,
            marker=marker,
            mode=sources.mode,
            budget=self._budget(sources),
            enable=wish.enable,
            now=sources.now,
        )
        return {AD_GROUP_STEP: build_ad_group_payload({**(sources.ad_group or {}), **owner}, placed), AD_STEP: ad}

    @staticmethod
    def _budget(sources: Snapshot) -> Decimal:
        """The copy's budget; one must be named even where the campaign's own makes it ignored (dossier 8.2)."""
        rules = BUDGET_RULES.get(sources.account.currency)
        return sources.budget or MIN_AD_GROUP_BUDGET * (rules.ratio if rules else 1)


def _amount(sources: Snapshot) -> str:
    """Say what is added to the account's budgets."""
    if not sources.copies_ad_group:
        return "no budget: the ad group is there"
    if sources.is_spread:
        return "no budget: the campaign spreads its own"
    currency, budget = sources.account.currency, sources.adds_budget
    span = "for its whole schedule" if sources.mode == TOTAL_BUDGET else "a day"
    return f"{format_amount(budget, currency)} {currency} {span}"


def _require_same(wish: DuplicationRequest, begun: LedgerEntry) -> None:
    """Refuse to finish what was begun to deliver, or with another budget, for who asks for something else.

    Raises:
        RefusedError: saying how it was begun; the ledger stays as it is.
    """
    if begun.enable and not wish.enable:
        raise RefusedError(
            "it was begun to be switched on and is half made; ask with --enable (in the launchpad `enable: true`)"
            " to finish it so, or for another copy with --again"
        )
    if wish.budget is not None and wish.budget != begun.budget:
        told = "the budget of the source" if begun.budget is None else f"a budget of {begun.budget:f}"
        raise RefusedError(
            f"it was begun with {told} and is half made; leave --budget out to finish it so, or ask for another"
            " copy with --again"
        )

"""Define duplication requests, ledger entries and their steps, and the key and marker that identify them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

STARTED, DONE, REFUSED = "started", "done", "refused"
AD_GROUP_STEP, AD_STEP = "ad_group", "ad"


@dataclass(frozen=True, slots=True)
class DuplicationRequest:
    """What shall be duplicated into what.

    Attributes:
        ad_group_id: an ad group of the campaign; None for a copy of the source's.
        budget: of that copy, in the account's currency; None for the source's.
        again: 0 for the first copy; another number asks for another copy.
        enable: whether what is made shall deliver at once.
        flag_id: of the flag that asked for it by itself.
        without_emoji: whether emoji are cut from the ad's texts; not part of the identity.
    """

    advertiser_id: str
    ad_id: str
    campaign_id: str
    ad_group_id: str | None = None
    budget: Decimal | None = None
    again: int = 0
    enable: bool = False
    flag_id: str | None = None
    without_emoji: bool = False

    @property
    def key(self) -> str:
        """The identity of the duplication: the same wish has the same key on every machine, for ever."""
        parts = (self.advertiser_id, self.ad_id, self.campaign_id, self.ad_group_id or "copy", str(self.again))
        return sha256("\n".join(parts).encode()).hexdigest()[:12]


def build_marker(key: str) -> str:
    """What the name of everything a duplication makes ends with."""
    return f"[tta-{key}]"


@dataclass(frozen=True, slots=True)
class Step:
    """One object of a duplication: what is asked for, and what came of it."""

    step: str
    target: str | None
    marker: str
    request: str
    sent_at: datetime | None
    attempts: int
    object_id: str | None
    made_at: datetime | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One duplication with its steps, in the order they are made."""

    duplication_key: str
    advertiser_id: str
    ad_id: str
    campaign_id: str
    ad_group_id: str | None
    again: int
    enable: bool
    budget: Decimal | None
    currency: str | None
    added_budget: Decimal | None
    status: str
    reason: str | None
    flag_id: str | None
    started_at: datetime
    done_at: datetime | None
    steps: tuple[Step, ...]
    approved_how: str | None = None
    approved_by: str | None = None
    approved_at: datetime | None = None
    approval_id: str | None = None

    @property
    def wish(self) -> DuplicationRequest:
        """What was wanted."""
        return DuplicationRequest(
            self.advertiser_id,
            self.ad_id,
            self.campaign_id,
            self.ad_group_id,
            self.budget,
            self.again,
            self.enable,
            self.flag_id,
        )

    @property
    def was_sent(self) -> bool:
        """Whether a request that writes may have left for it."""
        return any(step.sent_at or step.object_id for step in self.steps)

    def covers(self, wish: DuplicationRequest) -> bool:
        """Whether a launch needs no approval of its own: it is done, or goes on with what was approved."""
        if self.status == STARTED and not self.was_sent:
            return (self.budget, self.enable) == (wish.budget, wish.enable)
        return self.status != REFUSED

    @property
    def touched_at(self) -> datetime:
        """When something was last begun, sent or made for it."""
        told = (instant for step in self.steps for instant in (step.sent_at, step.made_at) if instant)
        return max([self.started_at, *told])

    def step(self, name: str) -> Step | None:
        """A step by its name."""
        return next((step for step in self.steps if step.step == name), None)

    def made(self, name: str) -> str | None:
        """The id of what a step made."""
        step = self.step(name)
        return step.object_id if step else None


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step before it is sent; `target` is None where the step before it makes it."""

    step: str
    target: str | None
    request: str

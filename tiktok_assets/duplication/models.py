"""Define duplication requests, ledger entries and their steps, and the key and marker that identify them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from tiktok_assets.spec import CampaignKind

STARTED, DONE, REFUSED = "started", "done", "refused"
AD_GROUP_STEP, AD_STEP = "ad_group", "ad"


@dataclass(frozen=True, slots=True)
class DuplicationRequest:
    """A request to duplicate an ad into a campaign.

    Attributes:
        advertiser_id: the ad account.
        ad_id: the ad to duplicate.
        campaign_id: the campaign to duplicate it into.
        ad_group_id: an existing ad group of that campaign; None to copy the ad's own ad group.
        budget: of the copied ad group, in the account's currency; None to copy the budget.
        again: 0 for the first copy; another number requests another copy.
        enable: whether the copy is switched on at once.
        flag_id: of the flag that triggered the request in mode `execute`.
        without_emoji: whether emoji are removed from the ad's texts; not part of the key.
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
        """The idempotency key: twelve hex digits, the same for the same request on any machine."""
        parts = (self.advertiser_id, self.ad_id, self.campaign_id, self.ad_group_id or "copy", str(self.again))
        return sha256("\n".join(parts).encode()).hexdigest()[:12]


def build_marker(key: str) -> str:
    """Build the marker that ends the name of everything a duplication creates."""
    return f"[tta-{key}]"


@dataclass(frozen=True, slots=True)
class Step:
    """One object that a duplication creates: a row of the table `duplication_steps`.

    Attributes:
        step: `ad_group` or `ad`.
        target: the campaign or ad group the object is created in; None until it is known.
        marker: ends the object's name.
        request: the body of the create request as JSON text.
        sent_at: when the request was last sent; None if it surely created nothing.
        attempts: how often the request was sent.
        object_id: the id of the created object.
        made_at: when the object was found or created.
        request_id: TikTok's id of the response that created it.
    """

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
    """One duplication, a row of the table `duplications`, with its steps in the order of creation."""

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
    target_kind: str | None = None
    undo_started_at: datetime | None = None
    undone_at: datetime | None = None
    undone_by: str | None = None
    undo_result: str | None = None

    @property
    def kind(self) -> CampaignKind:
        """The kind of campaign it creates objects in; of an earlier version always manual."""
        return "smart_plus" if self.target_kind == "smart_plus" else "manual"

    @property
    def request(self) -> DuplicationRequest:
        """The request as it was started."""
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
        """Whether any create request may have been sent."""
        return any(step.sent_at or step.object_id for step in self.steps)

    def is_approved_for(self, request: DuplicationRequest) -> bool:
        """Return whether a request needs no new approval: it is done, or continues what was approved."""
        if self.status == STARTED and not self.was_sent:
            return (self.budget, self.enable) == (request.budget, request.enable)
        return self.status != REFUSED

    @property
    def last_activity_at(self) -> datetime:
        """When it was started, or its last request sent or object created."""
        activity = (instant for step in self.steps for instant in (step.sent_at, step.made_at) if instant)
        return max([self.started_at, *activity])

    def find_step(self, name: str) -> Step | None:
        """Find a step by its name."""
        return next((step for step in self.steps if step.step == name), None)

    def created_id(self, name: str) -> str | None:
        """Return the id of the object that a step created, or None."""
        step = self.find_step(name)
        return step.object_id if step else None


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step before it is sent; `target` is None where the step before it creates the target."""

    step: str
    target: str | None
    request: str


@dataclass(frozen=True, slots=True)
class RecordedObject:
    """An object as TikTok returned it, kept with a duplication: a row of the table `duplication_snapshots`.

    Attributes:
        role: `source ad`, `source ad_group`, ..., `created ad`, `created ad_group`.
        object_id: its id.
        taken_at: when.
        content: as JSON text.
    """

    role: str
    object_id: str | None
    taken_at: datetime
    content: str

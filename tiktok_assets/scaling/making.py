"""Makes one object of a duplication, once: look before create, note before send, wait before look."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tiktok_assets.api.client import Client
from tiktok_assets.api.errors import RetryLaterError, TikTokError, UnknownOutcomeError, mend_of
from tiktok_assets.api.fetch import Fetcher
from tiktok_assets.api.outcomes import encoded
from tiktok_assets.api.writes import made, marked, objects
from tiktok_assets.scaling.ad_formats import kept_off_profiles
from tiktok_assets.scaling.drafts import decoded, starting
from tiktok_assets.scaling.duplication import AD_GROUP_STEP, AD_STEP, Step
from tiktok_assets.scaling.leases import Lease
from tiktok_assets.scaling.ledger import Ledger
from tiktok_assets.spec.endpoints import AD_CREATE, AD_GROUP_CREATE, Endpoint
from tiktok_assets.spec.entities import AD_GROUPS, ADS, Entity


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a duplication waits and how often it tries.

    Attributes:
        request_seconds: after so long a request that was sent is no longer under way: connecting and reading.
        settle_seconds: after so long more, what it made is seen, and what it did not make will not be made.
        look_every_seconds: between two looks until then.
        attempts: how often one object is asked for at most.
        pause_seconds: after a refusal that may pass.
        held_up_seconds: a request noted so long ago does not leave any more; less than settling takes, so that
            whoever took over cannot have given up waiting for it.
        lease_seconds: how long an account stays ours without a sign of life; longer than a request may take.
        lease_wait_seconds: how long to wait while another holds it.
    """

    request_seconds: float = 75.0
    settle_seconds: float = 90.0
    look_every_seconds: float = 5.0
    attempts: int = 3
    pause_seconds: float = 5.0
    held_up_seconds: float = 45.0
    lease_seconds: float = 180.0
    lease_wait_seconds: float = 400.0


class NotMadeError(Exception):
    """The API refuses an object for good; one sentence says why."""


class UnfinishedError(Exception):
    """It cannot be said or done now; asked for again, the duplication goes on where it is."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one step asks for its object, and where and by what it looks for it."""

    create: Endpoint
    id_of: Callable[[Any], object]
    entity: Entity
    parent: str
    filter: str
    name: str


KINDS = {
    AD_GROUP_STEP: _Kind(
        AD_GROUP_CREATE, lambda data: data["adgroup_id"], AD_GROUPS, "campaign_id", "campaign_ids", "adgroup_name"
    ),
    AD_STEP: _Kind(AD_CREATE, lambda data: data["ad_ids"][0], ADS, "adgroup_id", "adgroup_ids", "ad_name"),
}


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the objects of duplications.

    Attributes:
        client: what sends.
        fetcher: what looks.
        ledger: what remembers.
        patience: how long to wait.
    """

    client: Client
    fetcher: Fetcher
    ledger: Ledger
    patience: Patience

    def object_of(self, lease: Lease, key: str, advertiser_id: str, step: Step, target: str) -> str:
        """The id of the object of a step: known, found or made now.

        Args:
            lease: on the account.
            key: of the duplication.
            advertiser_id: the account.
            step: as the ledger has it.
            target: the campaign or ad group it goes into.

        Raises:
            NotMadeError: if the API refuses it for good.
            UnfinishedError: if it is neither found nor made within our patience.
            LeaseLostError: if another process may have taken over.
        """
        if step.object_id:
            return step.object_id
        sent = step.sent_at is not None
        for _ in range(self.patience.attempts):
            if sent:
                if found := self._found(lease, key, advertiser_id, step, target):
                    return found
                sent = False
            try:
                return self._made(lease, key, step, target)
            except UnknownOutcomeError as error:
                trouble: TikTokError = error
                sent = True
            except RetryLaterError as error:
                trouble = error
                self.ledger.not_made(lease, key, step.step)
                self._pause(lease, max(self.patience.pause_seconds, error.retry_after_seconds or 0))
            except TikTokError as error:
                self.ledger.not_made(lease, key, step.step)
                raise NotMadeError(f"TikTok refuses the {_words(step)}: {error}") from error
        if sent and (found := self._found(lease, key, advertiser_id, step, target)):
            return found
        tried = f"{self.patience.attempts} attempts"
        raise UnfinishedError(f"the {_words(step)} could not be made in {tried}: {trouble} {mend_of(trouble)}")

    def _made(self, lease: Lease, key: str, step: Step, target: str) -> str:
        kind = KINDS[step.step]
        body = decoded(step.request) | {kind.parent: target}
        if "schedule_start_time" in body:  # it may have passed since
            body["schedule_start_time"] = starting(body["schedule_start_time"], self.client.now())
        if "creatives" in body:
            body["creatives"] = [kept_off_profiles(creative) for creative in body["creatives"]]
        text = encoded(body).decode()

        def note() -> None:
            before = time.time(), time.monotonic()
            self.ledger.sending(lease, key, step.step, target=target, request=text)
            self.ledger.checkpoint(f"request: before {kind.create.path}")
            # One clock stands still while the machine sleeps, the other may be set.
            if max(time.time() - before[0], time.monotonic() - before[1]) > self.patience.held_up_seconds:
                raise UnfinishedError(f"this process was held up before it asked for the {_words(step)}.")

        try:
            new = made(self.client, kind.create, body, kind.id_of, note)
        finally:
            self.ledger.checkpoint(f"request: after {kind.create.path}")
        self.ledger.made(key, step.step, new.object_id, new.request_id)
        return new.object_id

    def _found(self, lease: Lease, key: str, advertiser_id: str, step: Step, target: str) -> str | None:
        """The object, if its marker is seen before whatever was sent for it must have settled.

        The wait is counted from now, whenever it was sent: the clock that noted it may be another's, or may have
        been set, or the one it was taken over from may be in the middle of it.
        """
        kind, patience = KINDS[step.step], self.patience
        settled_at = time.monotonic() + patience.request_seconds + patience.settle_seconds
        while True:
            is_settled = time.monotonic() >= settled_at
            self.ledger.checkpoint(f"request: before look at {kind.entity.endpoint.path}")
            try:
                rows = objects(self.fetcher, kind.entity, advertiser_id, {kind.filter: [target]})
            except TikTokError as error:
                raise UnfinishedError(
                    f"whether the {_words(step)} was made cannot be seen: {error} {mend_of(error)}"
                ) from error
            self.ledger.checkpoint(f"request: after look at {kind.entity.endpoint.path}")
            if ids := marked(rows, kind.entity.key, kind.name, step.marker):
                self.ledger.made(key, step.step, ids[0], "")
                return ids[0]
            if is_settled:
                return None
            self._pause(lease, min(patience.look_every_seconds, max(settled_at - time.monotonic(), 0.0)))

    def _pause(self, lease: Lease, seconds: float) -> None:
        """Wait without losing the account."""
        until = time.monotonic() + seconds
        lease.renew()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, self.patience.lease_seconds / 4))
            lease.renew()


def _words(step: Step) -> str:
    return step.step.replace("_", " ")

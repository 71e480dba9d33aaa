"""Create one object of a duplication exactly once: look it up, record the request, send it, confirm it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tiktok_assets.api.client import Client
from tiktok_assets.api.errors import RetryLaterError, TikTokError, UnknownOutcomeError, suggest_fix
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.retry import encode_body
from tiktok_assets.api.writes import create_object, find_ids_by_marker, list_objects
from tiktok_assets.duplication.ad_formats import hide_new_post_from_profiles
from tiktok_assets.duplication.lease import Lease
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import AD_GROUP_STEP, AD_STEP, Step
from tiktok_assets.duplication.payloads import compute_start_time, decode_payload
from tiktok_assets.spec.endpoints import AD_CREATE, AD_GROUP_CREATE, Endpoint
from tiktok_assets.spec.entities import AD_GROUPS, ADS, Entity


@dataclass(frozen=True, slots=True)
class ExecutionPolicy:
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


class StepRejectedError(Exception):
    """The API refuses an object for good; one sentence says why."""


class UnfinishedError(Exception):
    """It cannot be said or done now; asked for again, the duplication goes on where it is."""


@dataclass(frozen=True, slots=True)
class _StepSpec:
    """How one step asks for its object, and where and by what it looks for it."""

    create: Endpoint
    id_of: Callable[[Any], object]
    entity: Entity
    parent: str
    filter: str
    name: str


STEP_SPECS = {
    AD_GROUP_STEP: _StepSpec(
        AD_GROUP_CREATE, lambda data: data["adgroup_id"], AD_GROUPS, "campaign_id", "campaign_ids", "adgroup_name"
    ),
    AD_STEP: _StepSpec(AD_CREATE, lambda data: data["ad_ids"][0], ADS, "adgroup_id", "adgroup_ids", "ad_name"),
}


@dataclass(frozen=True, slots=True)
class StepExecutor:
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
    patience: ExecutionPolicy

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
                raise StepRejectedError(f"TikTok refuses the {_words(step)}: {error}") from error
        if sent and (found := self._found(lease, key, advertiser_id, step, target)):
            return found
        tried = f"{self.patience.attempts} attempts"
        raise UnfinishedError(f"the {_words(step)} could not be made in {tried}: {trouble} {suggest_fix(trouble)}")

    def _made(self, lease: Lease, key: str, step: Step, target: str) -> str:
        kind = STEP_SPECS[step.step]
        body = decode_payload(step.request) | {kind.parent: target}
        if "schedule_start_time" in body:  # it may have passed since
            body["schedule_start_time"] = compute_start_time(body["schedule_start_time"], self.client.now())
        if "creatives" in body:
            body["creatives"] = [hide_new_post_from_profiles(creative) for creative in body["creatives"]]
        text = encode_body(body).decode()

        def note() -> None:
            before = time.time(), time.monotonic()
            self.ledger.sending(lease, key, step.step, target=target, request=text)
            self.ledger.checkpoint(f"request: before {kind.create.path}")
            # One clock stands still while the machine sleeps, the other may be set.
            if max(time.time() - before[0], time.monotonic() - before[1]) > self.patience.held_up_seconds:
                raise UnfinishedError(f"this process was held up before it asked for the {_words(step)}.")

        try:
            new = create_object(self.client, kind.create, body, kind.id_of, note)
        finally:
            self.ledger.checkpoint(f"request: after {kind.create.path}")
        self.ledger.made(key, step.step, new.object_id, new.request_id)
        return new.object_id

    def _found(self, lease: Lease, key: str, advertiser_id: str, step: Step, target: str) -> str | None:
        """The object, if its marker is seen before whatever was sent for it must have settled.

        The wait is counted from now, whenever it was sent: the clock that noted it may be another's, or may have
        been set, or the one it was taken over from may be in the middle of it.
        """
        kind, patience = STEP_SPECS[step.step], self.patience
        settled_at = time.monotonic() + patience.request_seconds + patience.settle_seconds
        while True:
            is_settled = time.monotonic() >= settled_at
            self.ledger.checkpoint(f"request: before look at {kind.entity.endpoint.path}")
            try:
                rows = list_objects(self.fetcher, kind.entity, advertiser_id, {kind.filter: [target]})
            except TikTokError as error:
                raise UnfinishedError(
                    f"whether the {_words(step)} was made cannot be seen: {error} {suggest_fix(error)}"
                ) from error
            self.ledger.checkpoint(f"request: after look at {kind.entity.endpoint.path}")
            if ids := find_ids_by_marker(rows, kind.entity.key, kind.name, step.marker):
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

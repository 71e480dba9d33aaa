"""Create one object of a duplication exactly once: look it up, record the request, send it, confirm it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tiktok_assets.api import (
    Client,
    Fetcher,
    RetryLaterError,
    TikTokError,
    UnknownOutcomeError,
    create_object,
    encode_body,
    find_ids_by_marker,
    list_objects,
    suggest_fix,
)
from tiktok_assets.duplication.copy_rules import hide_new_post_from_profiles
from tiktok_assets.duplication.lease import Lease
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import AD_GROUP_STEP, AD_STEP, Step
from tiktok_assets.duplication.payloads import compute_start_time, decode_payload
from tiktok_assets.spec import AD_CREATE, AD_GROUP_CREATE, AD_GROUPS, ADS, Endpoint, Entity


@dataclass(frozen=True, slots=True)
class ExecutionPolicy:
    """Timeouts and retries of a duplication, all in seconds but `max_attempts`.

    Attributes:
        request_seconds: after so long a request that was sent has ended, connecting and reading included.
        settle_seconds: after so long more, what it created is visible, and nothing more is created by it.
        poll_seconds: between two lookups until then.
        max_attempts: how often one object is requested.
        retry_seconds: the delay after an error that may pass.
        max_send_delay_seconds: a request recorded longer ago is not sent any more; shorter than `settle_seconds`,
            so that another process that took over is still waiting for it.
        lease_seconds: how long an account stays leased without renewal; longer than a request may take.
        lease_wait_seconds: how long to wait while another process holds the lease.
    """

    request_seconds: float = 75.0
    settle_seconds: float = 90.0
    poll_seconds: float = 5.0
    max_attempts: int = 3
    retry_seconds: float = 5.0
    max_send_delay_seconds: float = 45.0
    lease_seconds: float = 180.0
    lease_wait_seconds: float = 400.0


class StepRejectedError(Exception):
    """The API rejects an object permanently; the message says why."""


class UnfinishedError(Exception):
    """The duplication cannot be finished now; requested again, it continues where it stopped."""


@dataclass(frozen=True, slots=True)
class _StepSpec:
    """How a step creates its object and looks it up.

    Attributes:
        create: the endpoint.
        read_id: returns the id from the data of the response.
        entity: for lookups.
        parent_field: the field of the parent's id in the payload.
        parent_filter: the filter by the parent's id in lookups.
        name_field: the field of the object's name.
    """

    create: Endpoint
    read_id: Callable[[Any], object]
    entity: Entity
    parent_field: str
    parent_filter: str
    name_field: str


STEP_SPECS = {
    AD_GROUP_STEP: _StepSpec(
        AD_GROUP_CREATE, lambda data: data["adgroup_id"], AD_GROUPS, "campaign_id", "campaign_ids", "adgroup_name"
    ),
    AD_STEP: _StepSpec(AD_CREATE, lambda data: data["ad_ids"][0], ADS, "adgroup_id", "adgroup_ids", "ad_name"),
}


@dataclass(frozen=True, slots=True)
class StepExecutor:
    """Creates the objects of duplications.

    Attributes:
        client: sends the create requests.
        fetcher: looks objects up.
        ledger: records requests and objects.
        policy: timeouts and retries.
    """

    client: Client
    fetcher: Fetcher
    ledger: Ledger
    policy: ExecutionPolicy

    def execute(self, lease: Lease, key: str, advertiser_id: str, step: Step, target: str) -> str:
        """Return the id of a step's object: recorded, found or created now.

        Args:
            lease: on the account.
            key: of the duplication.
            advertiser_id: the account.
            step: as recorded in the ledger.
            target: the campaign or ad group to create it in.

        Raises:
            StepRejectedError: if the API rejects it permanently.
            UnfinishedError: if it is neither found nor created within the policy.
            LeaseLostError: if another process may have taken over.
        """
        if step.object_id:
            return step.object_id
        may_exist = step.sent_at is not None
        for _ in range(self.policy.max_attempts):
            if may_exist:
                if found := self._find(lease, key, advertiser_id, step, target):
                    return found
                may_exist = False
            try:
                return self._create(lease, key, step, target)
            except UnknownOutcomeError as error:
                last_error: TikTokError = error
                may_exist = True
            except RetryLaterError as error:
                last_error = error
                self.ledger.record_not_created(lease, key, step.step)
                self._sleep(lease, max(self.policy.retry_seconds, error.retry_after_seconds or 0))
            except TikTokError as error:
                self.ledger.record_not_created(lease, key, step.step)
                raise StepRejectedError(f"TikTok refuses the {_format_step(step)}: {error}") from error
        if may_exist and (found := self._find(lease, key, advertiser_id, step, target)):
            return found
        attempts = f"{self.policy.max_attempts} attempts"
        raise UnfinishedError(
            f"the {_format_step(step)} could not be created in {attempts}: {last_error} {suggest_fix(last_error)}"
        )

    def _create(self, lease: Lease, key: str, step: Step, target: str) -> str:
        spec = STEP_SPECS[step.step]
        payload = decode_payload(step.request) | {spec.parent_field: target}
        if "schedule_start_time" in payload:  # the planned time may be in the past by now
            payload["schedule_start_time"] = compute_start_time(payload["schedule_start_time"], self.client.now())
        if "creatives" in payload:
            payload["creatives"] = [hide_new_post_from_profiles(creative) for creative in payload["creatives"]]
        text = encode_body(payload).decode()

        def record_sending() -> None:
            before = time.time(), time.monotonic()
            self.ledger.record_sending(lease, key, step.step, target=target, request=text)
            self.ledger.checkpoint(f"request: before {spec.create.path}")
            # The monotonic clock stops while the machine sleeps, and the other may be set.
            delay = max(time.time() - before[0], time.monotonic() - before[1])
            if delay > self.policy.max_send_delay_seconds:
                raise UnfinishedError(f"this process was delayed before it requested the {_format_step(step)}.")

        try:
            created = create_object(self.client, spec.create, payload, spec.read_id, record_sending)
        finally:
            self.ledger.checkpoint(f"request: after {spec.create.path}")
        self.ledger.record_created(key, step.step, created.object_id, created.request_id)
        return created.object_id

    def _find(self, lease: Lease, key: str, advertiser_id: str, step: Step, target: str) -> str | None:
        """Look the object up by its marker until a request sent before must have settled.

        The wait starts now, whenever the request was sent: the recorded time may be of another machine's clock,
        the clock may have been set, and a process that lost its lease may be sending still.
        """
        spec, policy = STEP_SPECS[step.step], self.policy
        settled_at = time.monotonic() + policy.request_seconds + policy.settle_seconds
        while True:
            is_settled = time.monotonic() >= settled_at
            self.ledger.checkpoint(f"request: before lookup at {spec.entity.endpoint.path}")
            try:
                rows = list_objects(self.fetcher, spec.entity, advertiser_id, {spec.parent_filter: [target]})
            except TikTokError as error:
                raise UnfinishedError(
                    f"the {_format_step(step)} may have been created, but cannot be looked up: {error}"
                    f" {suggest_fix(error)}"
                ) from error
            self.ledger.checkpoint(f"request: after lookup at {spec.entity.endpoint.path}")
            if ids := find_ids_by_marker(rows, spec.entity.key, spec.name_field, step.marker):
                self.ledger.record_created(key, step.step, ids[0], "")
                return ids[0]
            if is_settled:
                return None
            self._sleep(lease, min(policy.poll_seconds, max(settled_at - time.monotonic(), 0.0)))

    def _sleep(self, lease: Lease, seconds: float) -> None:
        """Sleep while renewing the lease."""
        until = time.monotonic() + seconds
        lease.renew()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, self.policy.lease_seconds / 4))
            lease.renew()


def _format_step(step: Step) -> str:
    return step.step.replace("_", " ")

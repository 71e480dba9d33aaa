"""Create one object of a duplication exactly once: look it up, record the request, send it, confirm it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from tiktok_assets.api import (
    AdvertiserError,
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
from tiktok_assets.spec import AD_GROUPS_BY_KIND, ADS_BY_KIND, CampaignKind, CreatableObject


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
        processing_seconds: how long to wait for a video that TikTok still processes, up to five minutes after its
            upload (get_suggested_thumbnails_for_a_video).
        processing_poll_seconds: between two looks at it.
    """

    request_seconds: float = 75.0
    settle_seconds: float = 90.0
    poll_seconds: float = 5.0
    max_attempts: int = 3
    retry_seconds: float = 5.0
    max_send_delay_seconds: float = 45.0
    lease_seconds: float = 180.0
    lease_wait_seconds: float = 400.0
    processing_seconds: float = 300.0
    processing_poll_seconds: float = 30.0


class StepRejectedError(Exception):
    """The API rejects an object permanently; the message says why."""


class UnfinishedError(Exception):
    """The duplication cannot be finished now; requested again, it continues where it stopped."""


STEP_SPECS: Mapping[str, Mapping[CampaignKind, CreatableObject]] = {
    AD_GROUP_STEP: AD_GROUPS_BY_KIND,
    AD_STEP: ADS_BY_KIND,
}
"""What each step creates, by the kind of its campaign; a list of the other kind's endpoint would not show it.

An ad group of Upgraded Smart+ is in `adgroup/get` too, but its ads are there as creatives only.
"""


@dataclass(frozen=True, slots=True)
class StepExecutor:
    """Creates the objects of duplications.

    Attributes:
        client: sends the create requests.
        fetcher: looks objects up.
        ledger: records requests and objects.
        policy: timeouts and retries.
        kind: the kind of the campaign that objects are created in.
    """

    client: Client
    fetcher: Fetcher
    ledger: Ledger
    policy: ExecutionPolicy
    kind: CampaignKind = "manual"

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
        # The ledger may be older than the object: a restored backup of it does not know what was sent later.
        if not may_exist and (found := self._look_up(key, advertiser_id, step, target)):
            return found
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
                self.sleep(lease, max(self.policy.retry_seconds, error.retry_after_seconds or 0))
            except TikTokError as error:
                self.ledger.record_not_created(lease, key, step.step)
                raise StepRejectedError(self._explain_rejection(step, advertiser_id, error)) from error
        if may_exist and (found := self._find(lease, key, advertiser_id, step, target)):
            return found
        attempts = f"{self.policy.max_attempts} attempts"
        raise UnfinishedError(
            f"the {_format_step(step)} could not be created in {attempts}: {last_error} {suggest_fix(last_error)}"
        )

    def _create(self, lease: Lease, key: str, step: Step, target: str) -> str:
        spec = STEP_SPECS[step.step][self.kind]
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
        self.ledger.record_created(key, step.step, created.object_id, created.request_id, created.content)
        return created.object_id

    def find_sent(self, lease: Lease, key: str, advertiser_id: str, step: Step, target: str) -> str | None:
        """Return the id of the object of a step that was sent, or None if it surely does not exist.

        Raises:
            UnfinishedError: if it cannot be looked up now.
            LeaseLostError: if another process may have taken over.
        """
        if step.object_id or step.sent_at is None:
            return step.object_id
        return self._find(lease, key, advertiser_id, step, target)

    def _explain_rejection(self, step: Step, advertiser_id: str, error: TikTokError) -> str:
        reason = f"TikTok refuses the {_format_step(step)}: {error}"
        if self.kind == "smart_plus" and _is_about_allowlist(error):
            return (
                f"{reason}; creating in Upgraded Smart+ campaigns needs TikTok's allow-list: ask your TikTok"
                f" representative to add account {advertiser_id}, or choose a manual campaign"
            )
        return reason

    def _find(self, lease: Lease, key: str, advertiser_id: str, step: Step, target: str) -> str | None:
        """Look the object up by its marker until a request sent before must have settled.

        The wait starts now, whenever the request was sent: the recorded time may be of another machine's clock,
        the clock may have been set, and a process that lost its lease may be sending still.
        """
        policy = self.policy
        settled_at = time.monotonic() + policy.request_seconds + policy.settle_seconds
        while True:
            is_settled = time.monotonic() >= settled_at
            if found := self._look_up(key, advertiser_id, step, target):
                return found
            if is_settled:
                return None
            self.sleep(lease, min(policy.poll_seconds, max(settled_at - time.monotonic(), 0.0)))

    def _look_up(self, key: str, advertiser_id: str, step: Step, target: str) -> str | None:
        """Look the object up by its marker once, and record it if it is found."""
        spec = STEP_SPECS[step.step][self.kind]
        self.ledger.checkpoint(f"request: before lookup at {spec.endpoint.path}")
        try:
            rows = list_objects(self.fetcher, spec, advertiser_id, {f"{spec.parent_field}s": [target]})
        except TikTokError as error:
            raise UnfinishedError(
                f"the {_format_step(step)} may have been created, but cannot be looked up: {error}"
                f" {suggest_fix(error)}"
            ) from error
        self.ledger.checkpoint(f"request: after lookup at {spec.endpoint.path}")
        ids = find_ids_by_marker(rows, spec.key, spec.name_field, step.marker)
        if not ids:
            return None
        row = next(one for one in rows if str(one[spec.key]) == ids[0])
        self.ledger.record_created(key, step.step, ids[0], "", row)
        return ids[0]

    def sleep(self, lease: Lease, seconds: float) -> None:
        """Sleep while renewing the lease."""
        until = time.monotonic() + seconds
        lease.renew()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, self.policy.lease_seconds / 4))
            lease.renew()


def _is_about_allowlist(error: TikTokError) -> bool:
    """Return whether an error says that the account may not write to Upgraded Smart+ campaigns.

    The pages name the allow-list (upgraded_smart_campaign) but no code for it, so a missing permission counts too.
    """
    text = str(error).lower().replace("-", "").replace(" ", "")
    return isinstance(error, AdvertiserError) or "allowlist" in text or "whitelist" in text


def _format_step(step: Step) -> str:
    return step.step.replace("_", " ")

"""A harness for tests of duplications: a sandbox, a ledger in a file, and timeouts of fractions of a second."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tiktok_assets.api.client import Client
from tiktok_assets.api.creatives import Identity
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.duplication.approvals import BY_TERMINAL, Approval
from tiktok_assets.duplication.duplicator import Duplicator
from tiktok_assets.duplication.executor import ExecutionPolicy
from tiktok_assets.duplication.ledger import Checkpoint, Ledger, ignore_checkpoint
from tiktok_assets.duplication.models import DuplicationRequest, LedgerEntry, build_marker
from tiktok_assets.duplication.undo import Undoer, UndoPreview
from tiktok_assets.sandbox.world.model import Ad, AdGroup, Advertiser, Campaign, WorldPlan
from tiktok_assets.storage.state import State
from tiktok_assets_tests.api.conftest import FAST, Host

PLAN = WorldPlan(advertisers=3, campaigns=5, days=80)
"""Los Angeles with the scenario, Tokyo, and Berlin with a Smart+ campaign."""

SMART_PLUS_PLAN = WorldPlan(advertisers=1, campaigns=3, days=80, smart_plus_story=True)
"""Los Angeles with the scenario, and with Upgraded Smart+ campaigns with creatives of every format."""

POLICY = ExecutionPolicy(
    request_seconds=0.1,
    settle_seconds=0.5,
    poll_seconds=0.06,
    max_attempts=3,
    retry_seconds=0.02,
    max_send_delay_seconds=10.0,
    lease_seconds=5.0,
    lease_wait_seconds=15.0,
    processing_seconds=0.3,
    processing_poll_seconds=0.1,
)
RETRY_POLICY = replace(FAST, max_attempts=2)
APPROVED_ON_TERMINAL = Approval("ann@workstation", BY_TERMINAL, may_enable=True)
"""A person's approval on a terminal, with settings that allow `enable`."""


@dataclass(frozen=True)
class DuplicatorConfig:
    """The configuration of a duplicator as plain values, so that another process can open the same."""

    base_url: str
    token: str
    state_url: str
    max_added_budget: Decimal | None = None
    policy: ExecutionPolicy = field(default_factory=lambda: POLICY)
    approval: Approval = APPROVED_ON_TERMINAL
    identities: Mapping[str, Identity] = field(default_factory=dict)

    @contextmanager
    def open(self, checkpoint: Checkpoint = ignore_checkpoint) -> Iterator[Duplicator]:
        """Open a duplicator with connections of its own."""
        client = Client(self.base_url, self.token, policy=RETRY_POLICY)
        fetcher = Fetcher(client)
        state = State(self.state_url)
        ledger = Ledger(state, checkpoint=checkpoint)
        try:
            yield Duplicator(
                client,
                fetcher,
                ledger,
                lambda _: "USD",
                self.max_added_budget,
                self.policy,
                self.approval,
                self.identities,
            )
        finally:
            fetcher.close()
            client.close()
            state.close()


@dataclass
class DuplicationHarness:
    """One sandbox and one ledger."""

    host: Host
    config: DuplicatorConfig

    @property
    def owner(self) -> Advertiser:
        """The account of the scenario."""
        return next(iter(self.host.sandbox.world.advertisers.values()))

    @property
    def winner(self) -> Ad:
        """The scenario's new top spender."""
        scenario = self.host.sandbox.world.scenario
        assert scenario
        return next(ad for ad in self.owner.ads if ad.id == scenario.new_leader_ad_id)

    @property
    def scaling_campaign(self) -> Campaign:
        """The scaling campaign."""
        scenario = self.host.sandbox.world.scenario
        assert scenario
        return next(one for one in self.owner.campaigns if one.id == scenario.scaling_campaign_id)

    @property
    def scaling_ad_group(self) -> AdGroup:
        """The first ad group of the scaling campaign."""
        return self.scaling_campaign.ad_groups[0]

    @property
    def smart_plus_campaign(self) -> Campaign:
        """The Upgraded Smart+ scaling campaign of `SMART_PLUS_PLAN`."""
        scenario = self.host.sandbox.world.smart_plus_scenario
        assert scenario
        return next(one for one in self.owner.campaigns if one.id == scenario.scaling_campaign_id)

    def request(self, **changes: Any) -> DuplicationRequest:  # noqa: ANN401 - any field of a request
        """Build a request to duplicate the winner into the scaling campaign."""
        request = DuplicationRequest(self.owner.id, self.winner.id, self.scaling_campaign.id)
        return replace(request, **changes)

    def duplicate(self, request: DuplicationRequest, **changes: Any) -> LedgerEntry:  # noqa: ANN401 - any field of the config
        """Duplicate in this process."""
        with replace(self.config, **changes).open() as duplicator:
            return duplicator.duplicate(request)

    def undo(self, request: DuplicationRequest, *, enabled_first: bool = False) -> UndoPreview:
        """Undo in this process.

        Args:
            request: of the duplication.
            enabled_first: switch the created objects on before, as a person in Ads Manager would.
        """
        if enabled_first:
            for one in (*self.owner.ad_groups, *self.owner.ads, *self.owner.smart_plus_ads):
                if build_marker(request.key) in one.name:
                    one.status_changes.append((one.created, True))
        with self.config.open() as duplicator:
            return Undoer(duplicator.client, duplicator.fetcher, duplicator.ledger, duplicator.policy).undo(
                request.key, "ann@workstation"
            )

    def created_objects(self, request: DuplicationRequest) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the ad groups and ads with the marker from the ground truth, deleted and hidden ones too.

        Of Upgraded Smart+ these are the ads, not their creatives.
        """
        marker = build_marker(request.key)
        owner = request.advertiser_id
        groups, ads, smart_plus_ads = (
            self.host.ground_truth(kind, advertiser_id=owner) for kind in ("ad_groups", "ads", "smart_plus_ads")
        )
        ads = [row for row in ads if not row["smart_plus_ad_id"]] + smart_plus_ads
        return [row for row in groups if marker in row["adgroup_name"]], [
            row for row in ads if marker in row["ad_name"]
        ]

    @property
    def write_requests(self) -> list[dict[str, Any]]:
        """The requests that write, since the host was last reset."""
        return [one for one in self.host.requests if one["method"] == "POST"]


@contextmanager
def open_harness(host: Host, folder: Path) -> Iterator[DuplicationHarness]:
    """Open a harness on a host, with a ledger of its own; resets the host before and after."""
    host.reset()
    sandbox = host.sandbox
    config = DuplicatorConfig(sandbox.base_url, sandbox.token, f"sqlite:///{folder}/state.sqlite")
    yield DuplicationHarness(host, config)
    host.reset()


class SimulatedKill(BaseException):
    """Raised where a simulated process ends; nothing catches it."""


def call_once_at(point: str, act: Callable[[], None]) -> Checkpoint:
    """Call a function the first time a checkpoint is reached."""
    done: list[str] = []

    def reached(name: str) -> None:
        if name == point and not done:
            done.append(name)
            act()

    return reached


def simulate_kill() -> None:
    """End as a killed process does."""
    raise SimulatedKill


def duplicate_until(harness: DuplicationHarness, request: DuplicationRequest, point: str) -> None:
    """Duplicate in a simulated process that ends at a checkpoint."""
    with harness.config.open(call_once_at(point, simulate_kill)) as duplicator, pytest.raises(SimulatedKill):
        duplicator.duplicate(request)

"""A bench for duplications: a sandbox, a ledger in a file, and patience of a fraction of a second."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tiktok_assets.api.client import Client
from tiktok_assets.api.creatives import Identity
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.duplication.approvals import BY_TERMINAL, Approval
from tiktok_assets.duplication.duplicator import Duplicator
from tiktok_assets.duplication.executor import ExecutionPolicy
from tiktok_assets.duplication.ledger import Checkpoint, Ledger, ignore_checkpoint
from tiktok_assets.duplication.models import DuplicationRequest, LedgerEntry, build_marker
from tiktok_assets.sandbox.world.model import Ad, AdGroup, Advertiser, Campaign, WorldPlan
from tiktok_assets.storage.state import State
from tiktok_assets_tests.api.conftest import FAST, Host

PLAN = WorldPlan(advertisers=3, campaigns=5, days=80)
"""Los Angeles with its story, Tokyo, and Berlin with a Smart+ campaign."""

POLICY = ExecutionPolicy(
    request_seconds=0.1,
    settle_seconds=0.5,
    look_every_seconds=0.06,
    attempts=3,
    pause_seconds=0.02,
    held_up_seconds=10.0,
    lease_seconds=5.0,
    lease_wait_seconds=15.0,
)
QUICK_RETRIES = replace(FAST, attempts=2)
APPROVED_ON_TERMINAL = Approval("somebody@somewhere", BY_TERMINAL, may_enable=True)
"""A person who answers on a terminal, where the settings allow to switch on."""


@dataclass(frozen=True)
class RecordingConnection:
    """All it takes to duplicate, as plain values, so that another process can open the same."""

    base_url: str
    token: str
    state_url: str
    max_added_budget: Decimal | None = None
    patience: ExecutionPolicy = field(default_factory=lambda: POLICY)
    approval: Approval = APPROVED_ON_TERMINAL
    identities: Mapping[str, Identity] = field(default_factory=dict)

    @contextmanager
    def open(self, checkpoint: Checkpoint = ignore_checkpoint) -> Iterator[Duplicator]:
        """A duplicator with connections of its own."""
        client = Client(self.base_url, self.token, policy=QUICK_RETRIES)
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
                self.patience,
                self.approval,
                self.identities,
            )
        finally:
            fetcher.close()
            client.close()
            state.close()


@dataclass
class DuplicationHarness:
    """One sandbox, one ledger."""

    host: Host
    connection: RecordingConnection

    @property
    def owner(self) -> Advertiser:
        """The account of the story."""
        return next(iter(self.host.sandbox.world.advertisers.values()))

    @property
    def winner(self) -> Ad:
        """The ad that overtakes."""
        story = self.host.sandbox.world.story
        assert story
        return next(ad for ad in self.owner.ads if ad.id == story.new_leader_ad_id)

    @property
    def scaling(self) -> Campaign:
        """The scaling campaign."""
        story = self.host.sandbox.world.story
        assert story
        return next(one for one in self.owner.campaigns if one.id == story.scaling_campaign_id)

    @property
    def scaling_group(self) -> AdGroup:
        """The ad group the scaling campaign has had from the beginning."""
        return self.scaling.ad_groups[0]

    def wish(self, **other: Any) -> DuplicationRequest:  # noqa: ANN401 - any field of a wish
        """The story's wish: the winner into the scaling campaign."""
        wish = DuplicationRequest(self.owner.id, self.winner.id, self.scaling.id)
        return replace(wish, **other)

    def carry_out(self, wish: DuplicationRequest, **other: Any) -> LedgerEntry:  # noqa: ANN401 - any field of the connection
        """Duplicate, in this process."""
        with replace(self.connection, **other).open() as duplicator:
            return duplicator.carry_out(wish)

    def made(self, wish: DuplicationRequest) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The ad groups and the ads that carry a wish's marker in truth, deleted and hidden ones too."""
        marker = build_marker(wish.key)
        owner = wish.advertiser_id
        groups = [
            row for row in self.host.truth("ad_groups", advertiser_id=owner) if marker in row["adgroup_name"]
        ]
        return groups, [row for row in self.host.truth("ads", advertiser_id=owner) if marker in row["ad_name"]]

    @property
    def writes(self) -> list[dict[str, Any]]:
        """The requests that write, since the host was last told to behave."""
        return [one for one in self.host.requests if one["method"] == "POST"]


@contextmanager
def open_harness(host: Host, folder: Path) -> Iterator[DuplicationHarness]:
    """A bench over a host, with a ledger of its own; the host behaves before and after."""
    host.behave()
    sandbox = host.sandbox
    yield DuplicationHarness(
        host, RecordingConnection(sandbox.base_url, sandbox.token, f"sqlite:///{folder}/state.sqlite")
    )
    host.behave()

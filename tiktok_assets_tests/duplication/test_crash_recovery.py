"""Tests of crash recovery: a duplication killed at any point, with any server behaviour, ends as one copy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Literal

import httpx
import pytest

from tiktok_assets.duplication.approvals import BY_CODE, NO_APPROVAL, Approval, NotApprovedError, issue_code
from tiktok_assets.duplication.ledger import Checkpoint
from tiktok_assets.duplication.models import AD_GROUP_STEP, AD_STEP, DONE, DuplicationRequest
from tiktok_assets.sandbox.world.api_objects import ad_source
from tiktok_assets.sandbox.world.model import Advertiser
from tiktok_assets.sandbox.writes.budgets import BUDGET_RATIOS
from tiktok_assets.storage.state import State
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.duplication.harness import (
    PLAN,
    POLICY,
    DuplicationHarness,
    DuplicatorConfig,
    open_harness,
)
from tiktok_assets_tests.duplication.kills import (
    CheckpointTrace,
    expire_leases,
    open_forkserver,
    run_and_kill,
    select_after_and_requests,
)
from tiktok_assets_tests.sandbox.conftest import Api, factory_for
from tiktok_assets_tests.sandbox.smart_plus_factory import SmartPlusFactory

Winner = Literal["manual ad into manual", "manual ad into Smart+", "creative into Smart+"]
"""What is duplicated, and into which kind of campaign; its ad group is copied each time."""

CREATE_PATHS: Mapping[str, tuple[str, str]] = {
    "manual": ("adgroup/create", "ad/create"),
    "Smart+": ("smart_plus/adgroup/create", "smart_plus/ad/create"),
}
KINDS: Mapping[Winner, str] = {
    "manual ad into manual": "manual",
    "manual ad into Smart+": "Smart+",
    "creative into Smart+": "Smart+",
}
"""The kind of the target campaign."""

LATE_SECONDS, HIDDEN_SECONDS = 0.15, 0.2
LONG_POLICY = replace(POLICY, lease_seconds=30.0, settle_seconds=1.5)
"""The test expires leases itself; late writes of the server settle well within this policy."""

BEHAVIOURS: Mapping[str, Sequence[Mapping[str, object]]] = {
    "well-behaved": (),
    "invisible": ({"kind": "invisible", "seconds": HIDDEN_SECONDS},),
    "late": ({"kind": "commit_late", "seconds": LATE_SECONDS},),
    "cut after, invisible": (
        {"kind": "commit_then_cut", "stack": True},
        {"kind": "invisible", "seconds": HIDDEN_SECONDS, "stack": True},
    ),
    "cut before": ({"kind": "cut_before"},),
}
"""The faults of the first create request of each kind, by server behaviour."""

TESTED: Mapping[Winner, Sequence[str]] = {
    "manual ad into manual": tuple(BEHAVIOURS),
    "manual ad into Smart+": ("well-behaved", "late", "cut before"),
    "creative into Smart+": ("well-behaved", "invisible", "cut after, invisible"),
}
"""The behaviours by winner; once the requests are planned, nothing depends on the winner."""

DUPLICATING = "tiktok_assets_tests.duplication.harness"


@dataclass(frozen=True)
class Case:
    """A duplication, the server's behaviour, and where a process is killed, then where the one that continues."""

    winner: Winner
    behaviour: str
    points: tuple[str, ...]


@dataclass(frozen=True)
class CrashResult:
    """What exists in the end: objects with the marker, how many deliver, and whether the ledger has their ids."""

    case: Case
    killed: int
    ad_groups: int
    ads: int
    delivering: int
    is_recorded: bool
    status: str

    @property
    def is_one_copy(self) -> bool:
        """Whether each process was killed where it should be, and there is one copy, switched off and recorded."""
        return (self.killed, self.ad_groups, self.ads, self.delivering, self.is_recorded, self.status) == (
            len(self.case.points),
            1,
            1,
            0,
            True,
            DONE,
        )


def duplicate(config: DuplicatorConfig, request: DuplicationRequest, checkpoint: Checkpoint) -> None:
    """Duplicate in this process."""
    with config.open(checkpoint) as duplicator:
        assert duplicator.duplicate(request).status == DONE


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Run one world for all kill points; cases mostly wait, so several accounts run at once."""
    with Host.run(replace(PLAN, advertisers=8)) as running:
        yield running


def find_manual_ad(owner: Advertiser) -> str:
    """Return the id of an ad of an account's first campaign."""
    ads = owner.campaigns[0].ad_groups[0].ads
    return next(ad.id for ad in ads if ad.deleted is None and ad_source(ad) != "custom")


def create_smart_plus_ad(host: Host, owner: Advertiser) -> tuple[str, str]:
    """Create an Upgraded Smart+ campaign with one ad, and return the ids of the campaign and the ad's creative."""
    with httpx.Client(base_url=host.sandbox.base_url) as http:
        factory = SmartPlusFactory(factory_for(Api(host.sandbox, http), owner.id))
        campaign_id = factory.campaign(budget=None, budget_optimize_on=False)
        budget = 50 * BUDGET_RATIOS.get(owner.account.currency, 1)
        mode = "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"
        ad_id = factory.ad(factory.ad_group(campaign_id, budget_mode=mode, budget=budget))
    return campaign_id, next(ad.id for ad in owner.ads if ad.smart_plus_ad_id == ad_id)


@dataclass
class CrashRunner:
    """Kills duplications into one campaign of an account, one after the other.

    Attributes:
        harness: of the sandbox.
        forkserver: starts processes.
        folder: of the state databases.
        owner: the account.
        kind: of the campaign.
        campaign_id: the campaign.
        ad_id: the ad to duplicate.
        numbers: for duplications of the same ad.
    """

    harness: DuplicationHarness
    forkserver: ForkServerContext
    folder: Path
    owner: Advertiser
    kind: str
    campaign_id: str
    ad_id: str
    numbers: Iterator[int]

    def prepare(self, behaviour: str) -> tuple[DuplicatorConfig, DuplicationRequest]:
        """Inject the faults of a server behaviour, and return an approved request with a state of its own."""
        number = next(self.numbers)
        request = DuplicationRequest(self.owner.id, self.ad_id, self.campaign_id, again=number)
        state_url = f"sqlite:///{self.folder}/{number}.sqlite"
        for path in CREATE_PATHS[self.kind]:
            for fault in BEHAVIOURS[behaviour]:
                self.harness.host.inject_fault(path=path, advertiser_id=self.owner.id, **fault)  # type: ignore[arg-type]  # kinds are text
        config = replace(self.harness.config, state_url=state_url, policy=LONG_POLICY)
        return with_code(config, request), request

    def remove_faults(self) -> None:
        """Remove the faults that did not fire."""
        declared, paths = self.harness.host.sandbox.state.faults.declared, CREATE_PATHS[self.kind]
        declared[:] = [one for one in declared if one.advertiser_id != self.owner.id or one.path not in paths]

    def trace(self, behaviour: str, *points: str) -> list[str]:
        """Return the checkpoints of a process that continues after these kills."""
        config, request = self.prepare(behaviour)
        self.kill(config, request, points)
        trace = CheckpointTrace()
        duplicate(config, request, trace)
        self.remove_faults()
        return trace.names

    def kill(self, config: DuplicatorConfig, request: DuplicationRequest, points: Sequence[str]) -> int:
        """Kill a duplication at these checkpoints, one process each, and return how many were killed."""
        killed = 0
        for number, point in enumerate(points):
            proof = self.folder / f"{request.key}.{number}"
            killed += run_and_kill(self.forkserver, partial(duplicate, config, request), point, proof)
            expire_leases(config.state_url)
        return killed

    def run(self, case: Case) -> CrashResult:
        """Kill a duplication at the checkpoints of a case, then let one process finish.

        The last process has no code, like the sensor that finishes duplications; if nothing was started it sends
        nothing, and the code is still valid.
        """
        config, request = self.prepare(case.behaviour)
        killed = self.kill(config, request, case.points)
        with replace(config, approval=NO_APPROVAL).open() as duplicator:
            if duplicator.ledger.find(request.key) is None:
                with pytest.raises(NotApprovedError):
                    duplicator.duplicate(request)
                assert self.harness.created_objects(request) == ([], [])
                duplicator = replace(duplicator, approval=config.approval)  # noqa: PLW2901 - the same, approved
            entry = duplicator.duplicate(request)
        self.remove_faults()
        ad_groups, ads = self.harness.created_objects(request)
        ids = (
            [row["adgroup_id"] for row in ad_groups],
            [row.get("smart_plus_ad_id") or row["ad_id"] for row in ads],
        )
        recorded = [entry.created_id(AD_GROUP_STEP)], [entry.created_id(AD_STEP)]
        delivering = sum(row["operation_status"] != "DISABLE" for row in (*ad_groups, *ads))
        return CrashResult(case, killed, len(ad_groups), len(ads), delivering, ids == recorded, entry.status)


def with_code(config: DuplicatorConfig, request: DuplicationRequest) -> DuplicatorConfig:
    """Return a configuration with the code of an alert for a request."""
    with closing(State(config.state_url)) as state, state.transaction() as transaction:
        code = issue_code(transaction, request, "alert", datetime.now(UTC))
    return replace(config, approval=Approval("run", BY_CODE, code.text))


def choose_cases(runner: CrashRunner, winner: Winner) -> list[Case]:
    """Choose where to kill: each checkpoint once; before the first request only with a well-behaved server.

    A process that continues what another started is killed too, while the server executes requests late.
    """
    ad_group_path, ad_path = (f"request: after {path}/" for path in CREATE_PATHS[runner.kind])
    cases = []
    for behaviour in TESTED[winner]:
        names = runner.trace(behaviour)
        if behaviour != "well-behaved":
            names = select_after_and_requests(names[names.index("ledger: before sending ad_group") :])
        cases += [Case(winner, behaviour, (name,)) for name in names]
    for first in (ad_group_path, ad_path) if "late" in TESTED[winner] else ():
        names = select_after_and_requests(runner.trace("late", first))
        cases += [Case(winner, "late", (first, name)) for name in names]
    return cases


def format_table(results: Sequence[CrashResult]) -> str:
    """Format the kill points and what was created as text."""
    lines = [f"{'duplicated':<23}{'the server':<22}{'killed at':<96}{'ad groups':>10}{'ads':>5}"]
    lines += [
        f"{one.case.winner:<23}{one.case.behaviour:<22}{', then '.join(one.case.points):<96}{one.ad_groups:>10}"
        f"{one.ads:>5}"
        for one in results
    ]
    return "\n".join(lines)


def run_cases(
    host: Host, folder: Path, winner: Winner, choose: Callable[[CrashRunner, Winner], list[Case]]
) -> list[CrashResult]:
    """Run the chosen cases in all accounts at once, print them as a table, and return their results in order."""
    numbers, forkserver, kind = count(1), open_forkserver(DUPLICATING, __name__), KINDS[winner]
    runners: list[CrashRunner] = []
    with open_harness(host, folder) as harness:
        for owner in [one for one in host.sandbox.world.advertisers.values() if one.granted and one.campaigns]:
            campaign_id, winner_id = owner.campaigns[0].id, find_manual_ad(owner)
            if kind == "Smart+":
                campaign_id, creative = create_smart_plus_ad(host, owner)
                winner_id = creative if winner == "creative into Smart+" else winner_id
            runners.append(CrashRunner(harness, forkserver, folder, owner, kind, campaign_id, winner_id, numbers))

        def work(runner: CrashRunner, own_cases: Sequence[Case]) -> list[CrashResult]:
            return [runner.run(case) for case in own_cases]

        cases = choose(runners[0], winner)
        with ThreadPoolExecutor(len(runners)) as pool:
            shares = [
                pool.submit(work, runner, cases[index :: len(runners)]) for index, runner in enumerate(runners)
            ]
            results = [row for share in shares for row in share.result()]

    results.sort(key=lambda one: cases.index(one.case))
    print(format_table(results))  # noqa: T201 - shown with `pytest -s`
    assert [one.case for one in results] == cases
    return results


def choose_create_requests(runner: CrashRunner, winner: Winner) -> list[Case]:
    """Choose to kill before and after each create request."""
    paths = CREATE_PATHS[runner.kind]
    points = [f"request: {when} {path}/" for path in paths for when in ("before", "after")]
    return [Case(winner, "well-behaved", (point,)) for point in points]


def test_one_copy_after_a_kill_at_each_create_request(host: Host, tmp_path: Path) -> None:
    """Killed before or after a create request, there is one ad group and one ad."""
    results = run_cases(host, tmp_path, "manual ad into manual", choose_create_requests)
    assert [one for one in results if not one.is_one_copy] == []


# Hundreds of processes are started and killed, which takes minutes where other tests keep both cores busy.
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("winner", TESTED)
def test_one_copy_after_a_kill_at_any_point(host: Host, tmp_path: Path, winner: Winner) -> None:
    """Killed at every request and ledger write, with every server behaviour, there is one ad group and one ad."""
    results = run_cases(host, tmp_path, winner, choose_cases)
    assert [one for one in results if not one.is_one_copy] == []
    reached = {point for one in results for point in one.case.points}
    for line in (
        "start",
        "plan",
        "sending ad_group",
        "created ad_group",
        "sending ad",
        "created ad",
        "finish",
    ):
        assert {f"ledger: {when} {line}" for when in ("before", "within", "after")} <= reached
    for when in ("before", "after"):
        for path in CREATE_PATHS[KINDS[winner]]:
            assert f"request: {when} {path}/" in reached
            assert f"request: {when} lookup at {path.replace('create', 'get')}/" in reached

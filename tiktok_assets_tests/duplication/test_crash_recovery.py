"""Tests of crash recovery: a duplication killed at any point, with any server behaviour, ends as one copy."""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import sqlalchemy as sa

from tiktok_assets.duplication.approvals import BY_CODE, NO_APPROVAL, Approval, NotApprovedError, issue_code
from tiktok_assets.duplication.models import DONE, DuplicationRequest
from tiktok_assets.sandbox.world.api_objects import ad_source
from tiktok_assets.sandbox.world.model import Advertiser
from tiktok_assets.storage.state import State, leases
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.duplication.harness import (
    PLAN,
    POLICY,
    DuplicationHarness,
    DuplicatorConfig,
    open_harness,
)

CREATE_PATHS = ("adgroup/create", "ad/create")
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

FORKSERVER = "tiktok_assets_tests.duplication.harness"


@dataclass(frozen=True)
class CrashResult:
    """The result of one case: server behaviour, kill points, and what exists in the end."""

    behaviour: str
    killed_at: tuple[str, ...]
    ad_groups: int
    ads: int
    delivering: int
    status: str


class CheckpointTrace:
    """Records the checkpoints passed, and kills the process at one of them."""

    def __init__(self, kill_at: int | None, path: str) -> None:
        self.passed: list[str] = []
        self._kill_at = kill_at
        self._path = path

    def __call__(self, name: str) -> None:
        """Pass a checkpoint."""
        self.passed.append(name)
        if len(self.passed) - 1 == self._kill_at:
            Path(self._path).write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)


def duplicate_and_kill(
    config: DuplicatorConfig, request: DuplicationRequest, kill_at: int | None, path: str
) -> None:
    """Duplicate in this process, which kills itself at the checkpoint with that number."""
    with config.open(CheckpointTrace(kill_at, path)) as duplicator:
        duplicator.duplicate(request)


@pytest.fixture(scope="module")
def forkserver() -> ForkServerContext:
    """Return a context for processes that start with everything imported."""
    context = get_context("forkserver")
    context.set_forkserver_preload([FORKSERVER])
    return context


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Run one world for all kill points; cases mostly wait, so several accounts run at once."""
    with Host.run(replace(PLAN, advertisers=14)) as running:
        yield running


def build_request(owner: Advertiser, again: int) -> DuplicationRequest:
    """Build a request to duplicate an ad of an account's first campaign into that campaign."""
    campaign = owner.campaigns[0]
    ad = next(ad for ad in campaign.ad_groups[0].ads if ad.deleted is None and ad_source(ad) != "custom")
    return DuplicationRequest(owner.id, ad.id, campaign.id, again=again)


@dataclass
class CrashRunner:
    """Kills duplications in one account, one after the other."""

    harness: DuplicationHarness
    forkserver: ForkServerContext
    folder: Path
    owner: Advertiser
    numbers: Iterator[int]

    def build_config(self, number: int) -> DuplicatorConfig:
        """Build the configuration of a duplication with a state database of its own."""
        return replace(
            self.harness.config, state_url=f"sqlite:///{self.folder}/{number}.sqlite", policy=LONG_POLICY
        )

    def inject_faults(self, behaviour: str) -> None:
        """Inject the faults of a server behaviour into the account's next create requests."""
        for path in CREATE_PATHS:
            for fault in BEHAVIOURS[behaviour]:
                self.harness.host.inject_fault(path=path, advertiser_id=self.owner.id, **fault)  # type: ignore[arg-type]  # kinds are text

    def trace_checkpoints(self, behaviour: str) -> list[str]:
        """Run a duplication without a kill and return its checkpoints."""
        number = next(self.numbers)
        trace = CheckpointTrace(None, "")
        request = build_request(self.owner, number)
        self.inject_faults(behaviour)
        with with_code(self.build_config(number), request).open(trace) as duplicator:
            assert duplicator.duplicate(request).status == DONE
        return trace.passed

    def run_case(self, behaviour: str, points: Sequence[int]) -> CrashResult:
        """Kill a duplication at these checkpoints, one process each, then let one finish.

        The last process has no code, like the sensor that finishes duplications; if nothing was started it sends
        nothing, and the code is still valid.
        """
        number = next(self.numbers)
        request = build_request(self.owner, number)
        config = with_code(self.build_config(number), request)
        self.inject_faults(behaviour)
        killed_at: list[str] = []
        for point in points:
            path = self.folder / f"{number}.{len(killed_at)}"
            process = self.forkserver.Process(target=duplicate_and_kill, args=(config, request, point, str(path)))
            process.start()
            process.join(60)
            killed_at.append(path.read_text() if path.exists() else "not reached")
            expire_leases(config.state_url)
        with replace(config, approval=NO_APPROVAL).open() as duplicator:
            if duplicator.ledger.find(request.key) is None:
                with pytest.raises(NotApprovedError):
                    duplicator.duplicate(request)
                assert self.harness.created_objects(request) == ([], [])
                duplicator = replace(duplicator, approval=config.approval)  # noqa: PLW2901 - the same, approved
            status = duplicator.duplicate(request).status
        self.harness.host.sandbox.state.faults.declared[:] = [
            fault
            for fault in self.harness.host.sandbox.state.faults.declared
            if fault.advertiser_id != self.owner.id
        ]
        ad_groups, ads = self.harness.created_objects(request)
        delivering = sum(row["operation_status"] != "DISABLE" for row in (*ad_groups, *ads))
        return CrashResult(behaviour, tuple(killed_at), len(ad_groups), len(ads), delivering, status)


def with_code(config: DuplicatorConfig, request: DuplicationRequest) -> DuplicatorConfig:
    """Return a configuration with the code of an alert for a request."""
    with closing(State(config.state_url)) as state, state.transaction() as transaction:
        code = issue_code(transaction, request, "alert", datetime.now(UTC))
    return replace(config, approval=Approval("run", BY_CODE, code.text))


def expire_leases(state_url: str) -> None:
    """Delete all leases, as if the time a killed process holds its account had passed."""
    state = State(state_url)
    with state.transaction() as connection:
        connection.execute(sa.delete(leases))
    state.close()


def choose_kill_points(passed: Sequence[str], behaviour: str) -> list[int]:
    """Choose the checkpoints to kill at: each once; before the first request only with a well-behaved server.

    An uncommitted transaction has no effect, a renewed lease changes nothing, and between two checkpoints without
    a request nothing happens, so those are covered once.
    """
    if behaviour == "well-behaved":
        return list(range(len(passed)))
    started = passed.index("ledger: before sending ad_group")
    first = {name: passed.index(name, started) for name in dict.fromkeys(passed[started:])}
    relevant = {name: point for name, point in first.items() if " after " in name or "before lookup" in name}
    relevant |= {name: point for name, point in first.items() if name.endswith("create/")}
    return sorted(point for name, point in relevant.items() if " lease" not in name)


def format_table(results: Sequence[CrashResult]) -> str:
    """Format the kill points and what was created as text."""
    lines = [f"{'the server':<22}{'killed at':<64}{'ad groups':>10}{'ads':>5}"]
    lines += [
        f"{one.behaviour:<22}{', then '.join(one.killed_at):<64}{one.ad_groups:>10}{one.ads:>5}" for one in results
    ]
    return "\n".join(lines)


def test_one_copy_after_a_kill_at_any_point(host: Host, forkserver: ForkServerContext, tmp_path: Path) -> None:
    """Killed at every request and ledger write, with every server behaviour, there is one ad group and one ad."""
    numbers = count(1)
    with open_harness(host, tmp_path) as harness:
        owners = [one for one in host.sandbox.world.advertisers.values() if one.granted and one.campaigns]
        runners = [CrashRunner(harness, forkserver, tmp_path, owner, numbers) for owner in owners]
        cases: list[tuple[str, tuple[int, ...]]] = []
        for behaviour in BEHAVIOURS:
            cases += [
                (behaviour, (point,))
                for point in choose_kill_points(runners[0].trace_checkpoints(behaviour), behaviour)
            ]
        # A process that finishes what another started is killed too.
        cases += [
            ("late", (point, second)) for point, second in zip(range(8, 36, 4), range(3, 31, 4), strict=True)
        ]

        def work(runner: CrashRunner, own_cases: Sequence[tuple[str, tuple[int, ...]]]) -> list[CrashResult]:
            return [runner.run_case(behaviour, points) for behaviour, points in own_cases]

        with ThreadPoolExecutor(len(runners)) as pool:
            shares = [cases[index :: len(runners)] for index in range(len(runners))]
            results = [row for rows in pool.map(work, runners, shares) for row in rows]

    print(format_table(sorted(results, key=lambda one: (one.behaviour, one.killed_at))))  # noqa: T201 - shown with `pytest -s`
    assert len(results) == len(cases)
    assert [
        one for one in results if (one.ad_groups, one.ads, one.delivering, one.status) != (1, 1, 0, DONE)
    ] == []
    reached = {point for one in results for point in one.killed_at}
    for line in ("start", "plan", "sending ad_group", "created ad_group", "sending ad", "created ad", "finish"):
        assert {f"ledger: {when} {line}" for when in ("before", "within", "after")} <= reached
    assert {f"request: {when} {path}/" for when in ("before", "after") for path in CREATE_PATHS} <= reached

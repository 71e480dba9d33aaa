"""A duplication killed at any line, with the server in any mood, ends as exactly one ad group and one ad."""

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
    RecordingConnection,
    open_harness,
)

CREATES = ("adgroup/create", "ad/create")
LATE_SECONDS, HIDDEN_SECONDS = 0.15, 0.2
PATIENT = replace(POLICY, lease_seconds=30.0, settle_seconds=1.5)
"""The test lets leases run out by itself; what the server does late, it does well within this patience."""

MOODS: Mapping[str, Sequence[Mapping[str, object]]] = {
    "obliging": (),
    "invisible": ({"kind": "invisible", "seconds": HIDDEN_SECONDS},),
    "late": ({"kind": "commit_late", "seconds": LATE_SECONDS},),
    "cut after, invisible": (
        {"kind": "commit_then_cut", "stack": True},
        {"kind": "invisible", "seconds": HIDDEN_SECONDS, "stack": True},
    ),
    "cut before": ({"kind": "cut_before"},),
}
"""What each creation meets the first time it is asked for."""

FORKSERVER = "tiktok_assets_tests.duplication.harness"


@dataclass(frozen=True)
class Tried:
    """One row of the table of kill points."""

    mood: str
    killed_at: tuple[str, ...]
    ad_groups: int
    ads: int
    delivering: int
    status: str


class Trace:
    """Notes the checkpoints passed, and ends the process at one of them."""

    def __init__(self, kill_at: int | None, told: str) -> None:
        self.passed: list[str] = []
        self._kill_at = kill_at
        self._told = told

    def __call__(self, name: str) -> None:
        """Pass a checkpoint."""
        self.passed.append(name)
        if len(self.passed) - 1 == self._kill_at:
            Path(self._told).write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)


def duplicate_until(
    connection: RecordingConnection, wish: DuplicationRequest, kill_at: int | None, told: str
) -> None:
    """Duplicate in this process, which does not survive the checkpoint of that number."""
    with connection.open(Trace(kill_at, told)) as duplicator:
        duplicator.carry_out(wish)


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that begin with everything imported."""
    context = get_context("forkserver")
    context.set_forkserver_preload([FORKSERVER])
    return context


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """One world for all kill points; most of their time is waiting, so six accounts are at it at once."""
    with Host.run(replace(PLAN, advertisers=8)) as running:
        yield running


def wish_of(owner: Advertiser, again: int) -> DuplicationRequest:
    """An ad of an account's first campaign into that campaign: all a duplication needs."""
    campaign = owner.campaigns[0]
    ad = next(ad for ad in campaign.ad_groups[0].ads if ad.deleted is None and ad_source(ad) != "custom")
    return DuplicationRequest(owner.id, ad.id, campaign.id, again=again)


@dataclass
class Killing:
    """Kills duplications in one account, one after the other."""

    bench: DuplicationHarness
    processes: ForkServerContext
    folder: Path
    owner: Advertiser
    numbers: Iterator[int]

    def connection(self, number: int) -> RecordingConnection:
        """Each duplication has a state of its own, as if nothing had been before."""
        return replace(
            self.bench.connection, state_url=f"sqlite:///{self.folder}/{number}.sqlite", patience=PATIENT
        )

    def in_mood(self, mood: str) -> None:
        """Have the server misbehave at the next creations in this account."""
        for path in CREATES:
            for fault in MOODS[mood]:
                self.bench.host.misbehave(path=path, advertiser_id=self.owner.id, **fault)  # type: ignore[arg-type]  # kinds are text

    def unharmed(self, mood: str) -> list[str]:
        """The checkpoints of a duplication that nobody kills."""
        number = next(self.numbers)
        trace = Trace(None, "")
        wish = wish_of(self.owner, number)
        self.in_mood(mood)
        with approved(self.connection(number), wish).open(trace) as duplicator:
            assert duplicator.carry_out(wish).status == DONE
        return trace.passed

    def killed(self, mood: str, points: Sequence[int]) -> Tried:
        """Kill a duplication at these checkpoints, a process each, then let one finish.

        The last one has no code, as the sensor that finishes has none; where nothing was begun it sends nothing,
        and the code is good still.
        """
        number = next(self.numbers)
        wish = wish_of(self.owner, number)
        connection = approved(self.connection(number), wish)
        self.in_mood(mood)
        died: list[str] = []
        for point in points:
            told = self.folder / f"{number}.{len(died)}"
            process = self.processes.Process(target=duplicate_until, args=(connection, wish, point, str(told)))
            process.start()
            process.join(60)
            died.append(told.read_text() if told.exists() else "not reached")
            expire_leases(connection.state_url)
        with replace(connection, approval=NO_APPROVAL).open() as duplicator:
            if duplicator.ledger.find(wish.key) is None:
                with pytest.raises(NotApprovedError):
                    duplicator.carry_out(wish)
                assert self.bench.made(wish) == ([], [])
                duplicator = replace(duplicator, approval=connection.approval)  # noqa: PLW2901 - the same, approved
            status = duplicator.carry_out(wish).status
        self.bench.host.sandbox.state.faults.declared[:] = [
            fault
            for fault in self.bench.host.sandbox.state.faults.declared
            if fault.advertiser_id != self.owner.id
        ]
        ad_groups, ads = self.bench.made(wish)
        delivering = sum(row["operation_status"] != "DISABLE" for row in (*ad_groups, *ads))
        return Tried(mood, tuple(died), len(ad_groups), len(ads), delivering, status)


def approved(connection: RecordingConnection, wish: DuplicationRequest) -> RecordingConnection:
    """A connection that brings the code of an alert for a wish."""
    with closing(State(connection.state_url)) as state, state.transaction() as transaction:
        code = issue_code(transaction, wish, "alert", datetime.now(UTC))
    return replace(connection, approval=Approval("run", BY_CODE, code.text))


def expire_leases(state_url: str) -> None:
    """Let the time pass that a killed process holds its account."""
    state = State(state_url)
    with state.transaction() as connection:
        connection.execute(sa.delete(leases))
    state.close()


def points_of(passed: Sequence[str], mood: str) -> list[int]:
    """The checkpoints to kill at: each line once; before anything is sent the server's mood is all the same.

    A transaction that is not committed is as none, a lease as before, and between one thing and the next nothing
    happens: shown once, not shown again.
    """
    if mood == "obliging":
        return list(range(len(passed)))
    began = passed.index("ledger: before sending ad_group")
    first = {name: passed.index(name, began) for name in dict.fromkeys(passed[began:])}
    telling = {name: point for name, point in first.items() if " after " in name or "before look" in name}
    telling |= {name: point for name, point in first.items() if name.endswith("create/")}
    return sorted(point for name, point in telling.items() if " lease" not in name)


def table(tried: Sequence[Tried]) -> str:
    """The kill points and what was made, as text."""
    lines = [f"{'the server':<22}{'killed at':<64}{'ad groups':>10}{'ads':>5}"]
    lines += [f"{one.mood:<22}{', then '.join(one.killed_at):<64}{one.ad_groups:>10}{one.ads:>5}" for one in tried]
    return "\n".join(lines)


def test_one_copy_whatever_is_killed_and_when(host: Host, processes: ForkServerContext, tmp_path: Path) -> None:
    """Killed at every request and ledger line, in every mood of the server, there is one ad group and one ad."""
    numbers = count(1)
    with open_harness(host, tmp_path) as bench:
        owners = [one for one in host.sandbox.world.advertisers.values() if one.granted and one.campaigns]
        killings = [Killing(bench, processes, tmp_path, owner, numbers) for owner in owners]
        cases: list[tuple[str, tuple[int, ...]]] = []
        for mood in MOODS:
            cases += [(mood, (point,)) for point in points_of(killings[0].unharmed(mood), mood)]
        # A process that finishes what another left is killed too.
        cases += [
            ("late", (point, second)) for point, second in zip(range(8, 36, 4), range(3, 31, 4), strict=True)
        ]

        def work(killing: Killing, mine: Sequence[tuple[str, tuple[int, ...]]]) -> list[Tried]:
            return [killing.killed(mood, points) for mood, points in mine]

        with ThreadPoolExecutor(len(killings)) as pool:
            shares = [cases[index :: len(killings)] for index in range(len(killings))]
            tried = [row for rows in pool.map(work, killings, shares) for row in rows]

    print(table(sorted(tried, key=lambda one: (one.mood, one.killed_at))))  # noqa: T201 - shown with `pytest -s`
    assert len(tried) == len(cases)
    assert [one for one in tried if (one.ad_groups, one.ads, one.delivering, one.status) != (1, 1, 0, DONE)] == []
    reached = {point for one in tried for point in one.killed_at}
    for line in ("begin", "plan", "sending ad_group", "made ad_group", "sending ad", "made ad", "finish"):
        assert {f"ledger: {when} {line}" for when in ("before", "within", "after")} <= reached
    assert {f"request: {when} {path}/" for when in ("before", "after") for path in CREATES} <= reached

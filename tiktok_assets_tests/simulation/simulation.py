"""The scheduler: lives the days of one world by its seed, with refreshes, people, faults and assertions."""

import gc
import os
import random as random_module
import shutil
import signal
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from tiktok_assets.duplication import DuplicationRequest
from tiktok_assets.duplication.models import DONE
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.storage import State, duplications
from tiktok_assets_tests.simulation.agency import Agency, first_start
from tiktok_assets_tests.simulation.budget_limit import choose_requests_near_limit
from tiktok_assets_tests.simulation.disk import Disk, tear_unfinished
from tiktok_assets_tests.simulation.fault_plan import (
    DELIVERY_SEAMS,
    DUPLICATION_SEAMS,
    HOST_FAULTS,
    LOST_AND_INVISIBLE,
    NEW_COLUMNS,
    REFRESH_SEAMS,
    Seams,
)
from tiktok_assets_tests.simulation.figures import Figures
from tiktok_assets_tests.simulation.judge import Judge
from tiktok_assets_tests.simulation.network import NETWORK_FAULTS
from tiktok_assets_tests.simulation.process import (
    EndlessError,
    Kill,
    Process,
    SimulatedKill,
    in_sequence,
    install_hooks,
    run_process,
)
from tiktok_assets_tests.simulation.publication import publish
from tiktok_assets_tests.simulation.receivers import APPROVAL_CODE, Receivers, connect
from tiktok_assets_tests.simulation.simulated_world import SimulatedWorld
from tiktok_assets_tests.simulation.table_judge import ViolationError
from tiktok_assets_tests.simulation.virtual_time import real_seconds

ACCOUNTS = (3, 5, 6)
DAYS = 90
HTTP_INTERVAL = 100
"""One seed in so many lives over real HTTP."""
MAX_SECONDS = 200
"""Processor seconds after which a world counts as one that never ends; it takes about forty."""
NEAR_LIMIT_RATE = 0.1
"""The probability of a day on which a person duplicates several ads of an account, up to the budget limit."""
PUBLISH_RATE = 0.08
"""The probability of a day on which the tables are published to a database."""
KILLED_PUBLICATION_RATE = 0.6
OTHER_HOST_RATE = 0.3
"""The probability that a second host looks for unfinished duplications during one."""
INVISIBLE_RATE = 0.15
"""The probability that a create request of a duplication fails, while its object exists but is not listed yet."""
MAX_PUBLICATION_STATEMENTS = 250
GARBAGE_THRESHOLDS = (50_000, 20, 10)
CALM_DAYS = 4
"""The last days have no faults, so that everything that is promised to happen in the end can."""


@dataclass
class Simulation:
    """One seed.

    Attributes:
        seed: decides everything.
        days: how many to live.
        folder: keeps the files of a world that ends with its first kill, before the disk loses anything; None for
            a temporary folder and a world that lives on.
        dies_for_real: whether that kill is a SIGKILL.
        step: what is being done.
    """

    seed: int
    days: int = DAYS
    folder: Path | None = None
    dies_for_real: bool = False
    figures: Figures = field(default_factory=Figures)
    faults: Counter[str] = field(default_factory=Counter)
    day: int = 0
    step: str = "start"
    processes_killed: int = 0
    has_failed: bool = False

    def run(self) -> None:
        """Live all days, and record the figures; a violation ends the world."""
        install_hooks()
        _collect_rarely()
        started, processor = real_seconds(), time.process_time()
        watchdog = signal.signal(signal.SIGPROF, _stop_hanging)
        signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
        excepthook, threading.excepthook = threading.excepthook, _ignore_kills
        random_module.seed(self.seed)
        root = self.folder or Path(tempfile.mkdtemp(prefix=f"simulation-{self.seed}-", dir=_memory_folder()))
        try:
            self._open(root)
            with self.world.clock.running(), in_sequence(self.world.clock.sleep), self.disk.watching():
                try:
                    self._live()
                except _KilledError:
                    return
                except (ViolationError, EndlessError) as violation:
                    self._fail(str(violation))
                except Exception:  # noqa: BLE001 - an error that escapes the product is a violation too
                    self._fail(traceback.format_exc(limit=-12))
        finally:
            threading.excepthook = excepthook
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, watchdog)
            self.server.close()
            if self.folder is None:
                shutil.rmtree(root, ignore_errors=True)
        self._record(real_seconds() - started, time.process_time() - processor)

    def _fail(self, text: str) -> None:
        self.has_failed = True
        failure = {"seed": self.seed, "day": self.day, "step": self.step, "text": text}
        self.figures.failures.append(failure)

    def _open(self, root: Path) -> None:
        self.random = Random(f"{self.seed}:schedule")  # noqa: S311 - repeatable
        self.budgets = Random(f"{self.seed}:budgets")  # noqa: S311 - repeatable
        self.publications = Random(f"{self.seed}:publications")  # noqa: S311 - repeatable
        accounts = self.random.choice(ACCOUNTS)
        is_served = self.seed % HTTP_INTERVAL == HTTP_INTERVAL // 2
        self.faults["a world over HTTP"] += is_served
        self.server = ExitStack()
        self.world = SimulatedWorld.build(self.seed, accounts=accounts, server=self.server if is_served else None)
        (root / "host").mkdir(mode=0o700)
        (root / "host-links").mkdir(mode=0o700)
        self.root = root
        self.disk = Disk(Random(f"{self.seed}:disk"), str(root / "host"))  # noqa: S311 - repeatable
        self.receivers = Receivers(Random(f"{self.seed}:receivers"), self.world.clock)  # noqa: S311 - repeatable
        connect(self.receivers)
        self.agency = Agency.open(
            root / "host",
            self.world.network,
            targets=self.world.targets,
            start=first_start(self.world.clock.now().date()),
            max_added_budget=self.random.choice((None, Decimal(300), Decimal(20000))),
        )
        self.judge = Judge(self.world, self.agency, self.receivers)
        self.backup: tuple[datetime, Path] | None = None
        self.is_ranked = False

    def _live(self) -> None:
        for day in range(self.days):
            self.day, self.is_ranked = day, False
            is_calm = self.day >= self.days - CALM_DAYS
            self.figures.account_days += len(self.world.accounts)
            if is_calm:
                self._calm_down()
            else:
                self._disturb()
            for number in range(1 if is_calm else self.random.choice((0, 0, 1, 1, 1, 1, 2))):
                self._refresh(is_calm=is_calm)
                if number:
                    self._pass_time(hours=self.random.uniform(0.2, 5))
            self._work_on_duplications(is_calm=is_calm)
            if not is_calm and self.budgets.random() < NEAR_LIMIT_RATE:
                self._come_near_limit()
            is_over = self.day == self.days - 1
            self._assert_day(is_over=is_over)
            if is_over or self.publications.random() < PUBLISH_RATE:
                self._publish(is_calm=is_calm)
            self._pass_time(hours=24)
            self._deliver(is_calm=is_calm)

    def _pass_time(self, hours: float) -> None:
        self.world.clock.advance(hours * 3600)
        self.world.network.execute_late()

    def _calm_down(self) -> None:
        network = self.world.network
        network.rates, self.receivers.rates = {}, {}
        self._collect_faults()
        self.world.clock.set_skew(timedelta())
        self.world.grant_all()
        network.interruptions.clear()

    def _collect_faults(self) -> None:
        faults = self.world.state.faults
        for fault in faults.declared:
            self.faults[f"host: {fault.kind}"] += fault.fired
        faults.declared.clear()
        self.world.state.penalties.reset()

    def _disturb(self) -> None:
        """Let people and the world do what they do, and choose the faults of the day."""
        random, world = self.random, self.world
        self._collect_faults()
        for probability, act in (
            (0.25, world.add_hit),
            (0.5, world.change_something),
            (0.03 if not world.withdrawn else 0.2, world.withdraw_or_grant),
            (0.008, world.change_zone_or_currency),
            (0.02, self._renew_token),
            (0.04, self._jump_clock),
            (0.03, self._make_backup),
            (0.03, self._restore_backup),
            (0.02, self._downgrade_state),
        ):
            if random.random() < probability:
                act()
        is_bad = random.random() < 0.3
        world.network.rates = (
            {fault: random.choice((0.0, 0.005, 0.02)) for fault in NETWORK_FAULTS} if is_bad else {}
        )
        self.receivers.rates = (
            {"refuse": 0.3, "lose": 0.15, "keep without answer": 0.15} if random.random() < 0.3 else {}
        )
        for _ in range(random.choice((0, 0, 0, 1, 2, 3))):
            after = random.randrange(25)
            world.state.faults.declared.append(Fault(**{"after": after, **random.choice(HOST_FAULTS)}))

    @property
    def _token(self) -> str:
        token = self.agency.settings.access_token
        assert token
        return token.get_secret_value()

    def _renew_token(self) -> None:
        """Revoke the token; the next refresh fails, and the one after has a new one."""
        auth, world = self.world.state.auth, self.world.world
        auth.revoke(self._token)
        self.faults["token revoked"] += 1
        self._run("a refresh with a revoked token", self.agency.refresh)
        code = auth.issue_code(world.app_id, self.world.state.now)
        token = auth.exchange_code(world.app_id, code, self.world.state.now, 40110)
        self.agency.settings = self.agency.settings.model_copy(update={"access_token": SecretStr(token)})

    def _jump_clock(self) -> None:
        self.faults["clock jumps"] += 1
        hours = self.random.choice((0, 0, -2, -0.01, 0.01, 3, 30, -30))
        self.world.clock.set_skew(timedelta(hours=hours))

    def _make_backup(self) -> None:
        if self.backup:
            shutil.rmtree(self.backup[1])
        target = self.root / "backup"
        shutil.copytree(self.root / "host", target)
        self.backup = self.world.clock.now(), target

    def _restore_backup(self) -> None:
        """Restore data and state of an earlier day; what was told after it may be told again."""
        if not self.backup or self.world.clock.now() - self.backup[0] > timedelta(20):
            return
        made_at, source = self.backup
        shutil.rmtree(self.root / "host")
        shutil.copytree(source, self.root / "host")
        self.faults["backup restored"] += 1
        self.judge.forget_after(made_at)
        self.judge.known_accounts.clear()
        self.receivers.messages[:] = [one for one in self.receivers.messages if one.at <= made_at]

    def _downgrade_state(self) -> None:
        """Make the state that of an earlier version, which lacks columns, so that the next process upgrades it."""
        with closing(State(self.agency.settings.state_database_url)) as state, state.transaction() as connection:
            for column in NEW_COLUMNS:
                used = sa.select(sa.func.count()).where(duplications.c[column].is_not(None))
                if not connection.scalar(used):
                    connection.exec_driver_sql(f"ALTER TABLE duplications DROP COLUMN {column}")
                    self.faults["a column of the state is of an earlier version"] += 1

    def _run(
        self,
        name: str,
        work: Callable[[], object],
        seams: Seams = (),
        *,
        full_disk: bool = False,
    ) -> Process:
        """Run a simulated process, which may be killed, and judge the files it wrote."""
        self.step = name
        process = Process(name, f"{self.root}/host", dies_for_real=self.dies_for_real)
        if seams:
            seam, most = self.random.choice(seams)
            process.kill = Kill(seam, self.random.randint(1, most))
            self.step = f"{name}, killed at {process.kill}"
        if full_disk:
            process.full_disk_at = self.random.randint(1, 600)
            self.step = f"{name}, with a full disk from operation {process.full_disk_at}"
        run_process(process, work)
        if process.is_endless:
            raise ViolationError(f"a process ends: {process.passed}")
        if process.is_dead:
            assert process.kill
            if self.folder:
                raise _KilledError
            self.faults[f"killed at a {process.kill.seam}"] += 1
            self.processes_killed += 1
            if self.random.random() < 0.5:
                self.step += ", by a power failure"
                self.faults["power failure"] += 1
                self.disk.fail_power(process)
            else:
                tear_unfinished(process, self.random)
            self._age_files()
        self.faults["disk full"] += bool(process.refused_for_space)
        self.disk.forget()
        self.judge.judge_files(process)
        return process

    def _age_files(self) -> None:
        """Give the leftover files of a dead process the virtual time, by which they are deleted a day later."""
        now = self.world.clock.now().timestamp()
        for path in (self.root / "host" / "data" / "_writing").glob("*"):
            with suppress(FileNotFoundError):
                os.utime(path, (now, now))

    def _refresh(self, *, is_calm: bool) -> None:
        random, network = self.random, self.world.network
        self.figures.refreshes += 1
        fills_gaps = is_calm or self.day % 7 == 0
        self.is_ranked = False

        def refresh() -> None:
            self.is_ranked = self.agency.refresh(fills_gaps=fills_gaps)

        killed = not is_calm and random.random() < 0.3
        if not is_calm and random.random() < 0.25:
            self._interrupt(self.world.change_something)
        if not is_calm and random.random() < 0.08:
            self._interrupt(self._act_as_other_host)
        full_disk = not killed and not is_calm and random.random() < 0.05
        self._run("a refresh", refresh, REFRESH_SEAMS if killed else (), full_disk=full_disk)
        network.interruptions.clear()
        if is_calm and not self.is_ranked:
            raise ViolationError(f"a refresh without faults succeeds: {self.agency.refusals[-3:]}")

    def _interrupt(self, act: Callable[[], None], within: int = 40) -> None:
        network = self.world.network
        network.interruptions.append((network.requests + self.random.randint(1, within), act))

    def _let_other_host_finish(self) -> None:
        """Let a second host look for unfinished duplications at some request of the next one, or as it creates."""
        self.faults["second host"] += 1
        if self.random.random() < 0.5:
            self.world.network.before_creation = self._finish_on_other_host
        else:
            self._interrupt(self._finish_on_other_host, within=12)

    def _lose_and_hide_creation(self) -> None:
        """Declare a create request whose response is an error, and whose object is listed a minute later."""
        path = self.random.choice(("adgroup/create", "ad/create"))
        for fault in LOST_AND_INVISIBLE:
            self.world.state.faults.declared.append(Fault(path=path, **fault))

    def _finish_on_other_host(self) -> None:
        """Let a second host find the unfinished duplication, whose lease the first host holds."""
        run_process(
            Process("other host", f"{self.root}/host"), lambda: self.agency.finish_all(lease_wait_seconds=10.0)
        )

    def _act_as_other_host(self) -> None:
        """Run a process of a second host that shares the folder, in the middle of a request of the first."""
        self.faults["second host"] += 1
        work = self.random.choice(
            (self.agency.refresh, self.agency.deliver_alone, self.agency.finish_duplications)
        )
        name, other = self.step, Process("other host", f"{self.root}/host")
        run_process(other, work)
        self.judge.judge_files(other)
        self.step = name

    def _deliver(self, *, is_calm: bool) -> None:
        killed = not is_calm and self.random.random() < 0.1
        self._run("a delivery", self.agency.deliver_alone, DELIVERY_SEAMS if killed else ())

    def _work_on_duplications(self, *, is_calm: bool) -> None:
        """Approve some of the alerts, finish what was started, and undo some of it."""
        random = self.random
        for message in list(self.receivers.messages):
            code = APPROVAL_CODE.search(message.text)
            if message.is_handled or code is None:
                continue
            message.is_handled = random.random() < 0.7
            request = self._find_request(message.text)
            if request and message.is_handled and random.random() < 0.6:
                killed = not is_calm and random.random() < 0.5
                duplicate = partial(self.agency.duplicate, request, code[0])
                self._duplicate("a duplication", duplicate, random, killed=killed, is_calm=is_calm)
                if killed:
                    self._pass_time(hours=random.choice((0.01, 0.2)))
        killed = not is_calm and random.random() < 0.1
        self._run("finishing duplications", self.agency.finish_duplications, DUPLICATION_SEAMS if killed else ())
        if random.random() < 0.05:
            self._undo(is_calm=is_calm)

    def _duplicate(
        self, name: str, duplicate: Callable[[], None], random: Random, *, killed: bool, is_calm: bool
    ) -> None:
        """Duplicate an ad, which may be killed, while a second host or an invisible object disturbs it."""
        network = self.world.network
        if not is_calm and random.random() < OTHER_HOST_RATE:
            self._let_other_host_finish()
        if not is_calm and random.random() < INVISIBLE_RATE:
            self._lose_and_hide_creation()
        self._run(name, duplicate, DUPLICATION_SEAMS if killed else ())
        network.interruptions.clear()
        network.before_creation = None

    def _come_near_limit(self) -> None:
        """Let a person duplicate several ads of an account on one day, up to the limit and over it."""
        random, limit = self.budgets, self.agency.settings.max_added_budget
        if limit is None:
            return
        number = 10 * (self.day + 1)
        for request in choose_requests_near_limit(random, self.world, limit, number):
            self.world.events["a duplication near the limit of added budgets"] += 1
            name = "a duplication near the limit of added budgets"
            duplicate = partial(self.agency.duplicate, request)
            self._duplicate(name, duplicate, random, killed=random.random() < 0.2, is_calm=False)
            self._pass_time(hours=random.uniform(0.01, 3))
        self._run("finishing duplications near the limit", self.agency.finish_duplications)

    def _publish(self, *, is_calm: bool) -> None:
        """Publish to a database on another machine, in two attempts if the first is killed, and judge it."""
        self.step, file = "a publication", self.root / "published.duckdb"
        process = Process(self.step, f"{self.root}/host")
        if not is_calm and self.publications.random() < KILLED_PUBLICATION_RATE:
            process.kill = Kill("statement", self.publications.randint(1, MAX_PUBLICATION_STATEMENTS))
        failures = run_process(process, lambda: publish(self.agency.settings, file))
        if process.is_dead:
            self.faults["killed in a publication"] += 1
            self.step += f", after one killed at {process.kill}"
            failures = publish(self.agency.settings, file)
        self.judge.judge_publication(file, failures or [])

    def _find_request(self, text: str) -> DuplicationRequest | None:
        for owner in self.world.accounts:
            if owner.id in text:
                for ad in owner.ads:
                    if f"{ad.id}" in text and ad.name in text:
                        return DuplicationRequest(owner.id, ad.id, self.world.targets[owner.id])
        return None

    def _undo(self, *, is_calm: bool) -> None:
        done = self._read_state(
            lambda connection: connection.scalars(
                sa.select(duplications.c.duplication_key).where(duplications.c.status == DONE)
            ).all()
        )
        if done:
            key = self.random.choice(sorted(done))
            killed = not is_calm and self.random.random() < 0.3
            self._run("an undo", lambda: self.agency.undo(key), DUPLICATION_SEAMS if killed else ())
            self.figures.undone += 1

    def _read_state(self, read: Callable[[sa.Connection], Any]) -> Any:  # noqa: ANN401 - whatever is read
        with closing(State(self.agency.settings.state_database_url)) as state, state.transaction() as connection:
            return read(connection)

    def _assert_day(self, *, is_over: bool) -> None:
        name, self.step = self.step, f"assertions after {self.step}"
        judge = self.judge
        judge.judge_accounts(is_over=is_over)
        with closing(State(self.agency.settings.state_database_url)) as state:
            judge.judge_state(state, is_ranked=self.is_ranked)
            judge.judge_messages(state, is_over=False)
            judge.judge_duplications(state, is_over=is_over)
        if self.is_ranked:
            judge.judge_coverage()
        if self.day % 10 == 9 or is_over:
            judge.judge_histories()
            judge.judge_settled_days()
            judge.judge_bounds()
        if is_over:
            judge.judge_reconciliation()
            self._deliver(is_calm=True)
            self._pass_time(hours=24 * 4)
            self._deliver(is_calm=True)
            with closing(State(self.agency.settings.state_database_url)) as state:
                judge.judge_messages(state, is_over=True)
            world = self.world.world
            judge.judge_secrets([world.secret, world.token, self._token])
        self.step = name

    def _record(self, seconds: float, processor: float) -> None:
        figures, network = self.figures, self.world.network
        self._collect_faults()
        figures.seeds += 1
        figures.seconds += seconds
        figures.processor_seconds += processor
        figures.requests += network.requests
        figures.faults.update(self.faults)
        figures.faults.update({f"network: {name}": count for name, count in network.fired.items()})
        figures.faults.update(self.receivers.fired)
        figures.faults.update({f"power failure lost a {name}": count for name, count in self.disk.lost.items()})
        figures.events.update(self.world.events)
        figures.assertions.update(self.judge.evaluated)
        figures.messages += len(self.receivers.messages)
        figures.flagged += self.judge.flagged
        figures.duplicated += self.judge.duplicated
        figures.faults = Counter({name: count for name, count in figures.faults.items() if count})


def _collect_rarely() -> None:
    """Keep the modules that are loaded out of garbage collections, which would take a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _stop_hanging(*_: object) -> None:
    raise EndlessError(f"a world ends: it has taken {MAX_SECONDS} processor seconds")


class _KilledError(Exception):
    """The world ends with its first kill."""


def _ignore_kills(arguments: threading.ExceptHookArgs) -> None:
    """Print what ended a thread, unless it was killed with its process."""
    if not issubclass(arguments.exc_type, SimulatedKill):
        threading.__excepthook__(arguments)


def _memory_folder() -> str | None:
    folder = Path("/dev/shm")  # noqa: S108 - Linux keeps its files in memory
    return str(folder) if os.access(folder, os.W_OK) else None

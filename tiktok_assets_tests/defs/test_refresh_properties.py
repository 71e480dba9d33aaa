"""Test that each stage runs once per refresh and none is skipped, whatever the daemon misses."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus
from hypothesis import example, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from tiktok_assets.defs.refresh_stages import REFRESH_STAGES
from tiktok_assets.defs.run_tags import REFRESH_TAG, STAGE_RUN_COUNT_TAG, SUPERSEDES_TAG
from tiktok_assets.defs.schedules import HUNG_AFTER
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import PLAN, WEDNESDAY, Deployment, copy_instance, open_deployment
from tiktok_assets_tests.defs.daemon import ENDS, Daemon, age_runs, settings_arguments
from tiktok_assets_tests.defs.test_automation import evaluate_sensor

EVERY = (*REFRESH_STAGES, "check_tables")
CRONS = ("30 * * * *", "*/20 * * * *", "15 */3 * * *")


@dataclass
class DaemonSimulation:
    """A daemon that is stepped over two accounts, whose stages have two runs each."""

    deployment: Deployment
    daemon: Daemon
    now: datetime = WEDNESDAY - timedelta(minutes=1)
    cursor: str | None = None
    left: list[dg.RunRequest] = field(default_factory=list)
    changed: datetime = WEDNESDAY

    def start(self) -> None:
        """Let the scheduler see the schedule for the first time."""
        self.daemon.schedule(self.now)

    def stop_for(self, minutes: int) -> None:
        """Let time pass without any step, as when the daemon is down."""
        self.now += timedelta(minutes=minutes)
        age_runs(self.deployment.instance, timedelta(minutes=minutes))

    def fire_schedule(self, minutes: int = 0) -> None:
        """Let time pass and run the scheduler once; ticks between are missed."""
        self.stop_for(minutes)
        before = {run.tags[REFRESH_TAG] for run in self.refresh_runs()}
        unfinished, unchanged_for = self.daemon.unfinished, self.now - self.changed
        self.daemon.schedule(self.now)
        if {run.tags[REFRESH_TAG] for run in self.refresh_runs()} - before:
            assert not unfinished or unchanged_for > HUNG_AFTER
            self.changed = self.now

    def end_runs(self, number: int, how: str = "success") -> None:
        """End some of the waiting runs."""
        if number < len(unfinished := self.daemon.unfinished):
            self.daemon.end_run(unfinished[number], how)
            self.changed = self.now

    def evaluate_sensor(self, submitted: int = 99) -> bool:
        """Evaluate the sensor; a daemon killed after some submissions submits the others first."""
        for request in self.left:
            self.daemon.submit(request)
        self.changed = self.now if self.left else self.changed
        before = self.refresh_runs()
        requested, _, self.cursor = evaluate_sensor(self.deployment, "refresh_sequence", self.cursor)
        for request in requested:
            refresh, stage = request.tags[REFRESH_TAG], str(request.job_name)
            earlier = EVERY[: EVERY.index(stage)]
            assert all(self.has_ended(run) for run in before if run.tags[REFRESH_TAG] == refresh)
            assert {run.job_name for run in before if run.tags[REFRESH_TAG] == refresh} == set(earlier)
        for request in requested[:submitted]:
            self.daemon.submit(request)
        self.left = list(requested[submitted:])
        self.changed = self.now if requested[:submitted] else self.changed
        return bool(requested)

    def end_all_runs(self) -> None:
        """End every run with success."""
        while self.daemon.unfinished:
            self.end_runs(0)

    def refresh_runs(self) -> list[dg.DagsterRun]:
        """Return the runs of every refresh, oldest first."""
        return [run for run in self.deployment.instance.get_runs(ascending=True) if REFRESH_TAG in run.tags]

    @staticmethod
    def has_ended(run: dg.DagsterRun) -> bool:
        """Return whether a run has ended."""
        return run.is_finished

    def run_until_idle(self) -> None:
        """End every run and evaluate the sensor until it requests nothing more."""
        for _ in range(len(EVERY) + 3):
            requested = self.evaluate_sensor()
            if not requested and not self.daemon.unfinished:
                return
            self.end_all_runs()
        raise AssertionError([run.tags for run in self.daemon.unfinished])

    def assert_each_stage_ran_once(self) -> None:
        """Assert that each refresh ran each stage once and in order, or is superseded by name."""
        runs = self.refresh_runs()
        keys = Counter(run.tags["dagster/run_key"] for run in runs)
        assert set(keys.values()) <= {1}
        refreshes = list(dict.fromkeys(run.tags[REFRESH_TAG] for run in runs))
        assert refreshes == sorted(refreshes)
        superseded = {run.tags[SUPERSEDES_TAG] for run in runs if SUPERSEDES_TAG in run.tags}
        for refresh in refreshes:
            own_runs = [run for run in runs if run.tags[REFRESH_TAG] == refresh]
            stages = list(dict.fromkeys(run.job_name for run in own_runs))
            assert stages == list(EVERY[: len(stages)])
            is_complete = all(
                len([run for run in own_runs if run.job_name == stage])
                == int(next(run for run in own_runs if run.job_name == stage).tags.get(STAGE_RUN_COUNT_TAG, 1))
                for stage in stages
            )
            assert (len(stages) == len(EVERY) and is_complete) != (refresh in superseded), (refresh, stages)
        ticks = self.daemon.ticks()
        started = [datetime.fromtimestamp(one.timestamp, UTC).isoformat() for one in ticks if one.run_ids]
        assert sorted(set(started)) == refreshes
        for tick in ticks:
            assert (tick.status == TickStatus.SUCCESS) == bool(tick.run_ids)
            assert tick.run_ids or "is still in progress" in str(tick.tick_data.skip_reason)


@pytest.fixture(scope="module")
def host_with_accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Path]]:
    """Run a host, and return it with a folder in which the accounts are stored."""
    folder = tmp_path_factory.mktemp("accounts")
    with Host.run(PLAN) as host, open_deployment(host, folder) as deployment:
        assert deployment.run("refresh_accounts", tables=["advertisers"]).success
        yield host, folder


@contextmanager
def open_simulation(host_with_accounts: tuple[Host, Path], home: Path, folder: Path) -> Iterator[DaemonSimulation]:
    """Open a simulation over its own instance."""
    host, data = host_with_accounts
    copy_instance(home, folder / "home")
    owners = ",".join(host.advertiser_ids[:3:2])
    with (
        dg.DagsterInstance.from_config(str(folder / "home")) as instance,
        open_deployment(host, data, instance, advertiser_ids=owners, start_date="2026-10-05") as deployment,
    ):
        deployment.add_partitions(host.advertiser_ids)
        arguments = [
            settings_arguments(deployment.settings, host.sandbox.token, refresh_cron=cron) for cron in CRONS
        ]
        with Daemon.open(instance, data, *arguments) as daemon:
            yield DaemonSimulation(deployment, daemon)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fire"), st.sampled_from([1, 5, 30, 60, 200])),
        st.tuples(st.just("sense"), st.sampled_from([1, 99, 99])),
        st.tuples(st.just("lose"), st.just(0)),
        st.tuples(st.just("success"), st.integers(0, 3)),
        st.tuples(st.just("failure"), st.integers(0, 3)),
        st.tuples(st.just("canceled"), st.integers(0, 3)),
        st.tuples(st.just("end all"), st.just(0)),
        st.tuples(st.just("down"), st.sampled_from([60, 360, 1800])),
        st.tuples(st.just("reload"), st.integers(0, len(CRONS) - 1)),
    ),
    max_size=16,
)


STALLED = [("fire", 5), ("end all", 0), ("fire", 200)]
LOST = [("sense", 1), ("lose", 0), ("end all", 0), ("sense", 99)]
HALF_SUBMITTED = [("fire", 5), ("end all", 0), *LOST, ("fire", 200)]
STUCK_IN_THE_QUEUE = [("fire", 5), ("down", 1800), ("fire", 1), ("sense", 99), ("end all", 0)]
OVERLAPPING = [
    ("fire", 5),
    ("fire", 60),
    ("sense", 99),
    ("success", 0),
    ("sense", 99),
    ("fire", 60),
    ("end all", 0),
]


def run_steps(host_with_accounts: tuple[Host, Path], fresh_home: Path, steps: Sequence[tuple[str, int]]) -> None:
    """Run the steps and two refreshes after them, and assert that each stage ran once."""
    with (
        TemporaryDirectory() as folder,
        open_simulation(host_with_accounts, fresh_home, Path(folder)) as simulation,
    ):
        simulation.start()
        for step, number in steps:
            if step == "fire":
                simulation.fire_schedule(number)
            elif step == "sense":
                simulation.evaluate_sensor(number)
            elif step == "lose":
                simulation.left.clear()  # as if the location did not load
            elif step in ENDS:
                simulation.end_runs(number, step)
            elif step == "end all":
                simulation.end_all_runs()
            elif step == "down":
                simulation.stop_for(number)
            elif step == "reload":
                simulation.daemon.chosen = number
        simulation.run_until_idle()
        simulation.fire_schedule(200)
        simulation.run_until_idle()
        simulation.assert_each_stage_ran_once()
        newest = simulation.refresh_runs()[-1]
        assert newest.job_name == "check_tables"
        assert simulation.now - datetime.fromisoformat(newest.tags[REFRESH_TAG]) < timedelta(hours=3)


@pytest.mark.parametrize("steps", [HALF_SUBMITTED, OVERLAPPING], ids=["half submitted", "overlapping"])
def test_each_stage_runs_once_per_refresh(
    host_with_accounts: tuple[Host, Path], fresh_home: Path, steps: list[tuple[str, int]]
) -> None:
    """With a killed submission, a missed tick and a schedule that fires during a refresh each stage runs once."""
    run_steps(host_with_accounts, fresh_home, steps)


@pytest.mark.slow
@hypothesis(max_examples=25, deadline=None)
@example(STALLED)
@example(HALF_SUBMITTED)
@example(STUCK_IN_THE_QUEUE)
@example(OVERLAPPING)
@given(STEPS)
def test_each_stage_runs_once_per_refresh_whatever_happens(
    host_with_accounts: tuple[Host, Path], fresh_home: Path, steps: list[tuple[str, int]]
) -> None:
    """With missed ticks, a full queue, failed runs, killed submissions and cron reloads each stage runs once."""
    run_steps(host_with_accounts, fresh_home, steps)


@pytest.mark.slow
def test_cron_change_while_ticks_are_missed(
    host_with_accounts: tuple[Host, Path], fresh_home: Path, tmp_path: Path
) -> None:
    """A daemon that restarts with another cron runs only the newest tick of the new one."""
    with open_simulation(host_with_accounts, fresh_home, tmp_path) as simulation:
        simulation.start()
        simulation.fire_schedule(2)
        simulation.run_until_idle()
        simulation.daemon.chosen = 2
        simulation.fire_schedule(7 * 60)  # six ticks of the old cron and two of the new one were missed
        simulation.run_until_idle()
        started = [datetime.fromtimestamp(one.timestamp, UTC) for one in simulation.daemon.ticks()]
        assert started == [WEDNESDAY, WEDNESDAY.replace(hour=18, minute=15)]
        simulation.assert_each_stage_ran_once()


@pytest.mark.slow
def test_cron_shorter_than_a_refresh(
    host_with_accounts: tuple[Host, Path], fresh_home: Path, tmp_path: Path
) -> None:
    """Of twelve ticks during a refresh each is skipped with the reason; the next one starts a refresh."""
    with open_simulation(host_with_accounts, fresh_home, tmp_path) as simulation:
        simulation.daemon.chosen = 1
        simulation.start()
        simulation.fire_schedule(11)
        for _ in range(12):
            simulation.now += timedelta(minutes=20)
            simulation.fire_schedule()
        ticks = simulation.daemon.ticks()
        assert [one.status for one in ticks] == [TickStatus.SUCCESS, *[TickStatus.SKIPPED] * 12]
        assert all("'*/20 * * * *'" in str(one.tick_data.skip_reason) for one in ticks[1:])
        simulation.run_until_idle()
        for run in simulation.refresh_runs():  # the next ticks measure two hours
            simulation.daemon.end_run(run, took=timedelta(hours=2))
        simulation.fire_schedule(20)
        simulation.now += timedelta(minutes=20)
        simulation.fire_schedule()
        known = (
            "a refresh takes about 120 minutes, and TIKTOK_REFRESH_CRON, '*/20 * * * *', fires after 20 minutes"
        )
        assert known in str(simulation.daemon.ticks()[-1].tick_data.skip_reason)
        simulation.run_until_idle()
        assert len({run.tags[REFRESH_TAG] for run in simulation.refresh_runs()}) == 2
        simulation.assert_each_stage_ran_once()


@pytest.mark.slow
def test_full_run_queue_delays_and_loses_nothing(
    host_with_accounts: tuple[Host, Path], fresh_home: Path, tmp_path: Path
) -> None:
    """While the runs of a stage are queued, nothing further is requested and nothing is requested twice."""
    with open_simulation(host_with_accounts, fresh_home, tmp_path) as simulation:
        simulation.start()
        simulation.fire_schedule(2)
        first = [run.run_id for run in simulation.daemon.unfinished]
        assert len(first) == 2
        for _ in range(4):
            simulation.evaluate_sensor()
            simulation.fire_schedule(60)
        assert [run.run_id for run in simulation.daemon.unfinished] == first
        simulation.end_runs(1)  # one ends, the other is still queued
        simulation.evaluate_sensor()
        assert [run.run_id for run in simulation.daemon.unfinished] == first[:1]
        simulation.run_until_idle()
        simulation.assert_each_stage_ran_once()


@pytest.mark.slow
def test_schedule_and_sensor_at_the_same_tick(
    host_with_accounts: tuple[Host, Path], fresh_home: Path, tmp_path: Path
) -> None:
    """If schedule and sensor run at the same time, a tick starts one refresh and no run exists twice."""
    with (
        open_simulation(host_with_accounts, fresh_home, tmp_path) as simulation,
        ThreadPoolExecutor(2) as threads,
    ):
        simulation.start()
        for minutes in (2, 60, 60, 60, 60, 60):
            simulation.now += timedelta(minutes=minutes)
            sensor, schedule = threads.submit(simulation.evaluate_sensor), threads.submit(simulation.fire_schedule)
            sensor.result()
            schedule.result()
            simulation.fire_schedule()  # a scheduler that was killed runs again
            simulation.end_all_runs()
        simulation.run_until_idle()
        simulation.assert_each_stage_ran_once()

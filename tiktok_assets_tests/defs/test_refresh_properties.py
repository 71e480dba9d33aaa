"""Laws of refreshes whatever the daemon misses: each stage's work runs once a refresh, and no stage starves."""

import shutil
from collections import Counter
from collections.abc import Iterator
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
from tiktok_assets.defs.runs import REFRESH_TAG, STAGE_RUN_COUNT_TAG, SUPERSEDES_TAG
from tiktok_assets.defs.schedules import HUNG_AFTER
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import PLAN, WEDNESDAY, Desk, desk_at
from tiktok_assets_tests.defs.daemon import ENDS, Daemon, let_pass, settings_told
from tiktok_assets_tests.defs.test_automation import sensed

EVERY = (*REFRESH_STAGES, "check_tables")
CRONS = ("30 * * * *", "*/20 * * * *", "15 */3 * * *")


@dataclass
class Shift:
    """A daemon that works in steps over the two accounts of a desk, whose stages have two runs each."""

    desk: Desk
    daemon: Daemon
    now: datetime = WEDNESDAY - timedelta(minutes=1)
    cursor: str | None = None
    left: list[dg.RunRequest] = field(default_factory=list)
    changed: datetime = WEDNESDAY

    def begin(self) -> None:
        """The scheduler sees the schedule for the first time, and fires from here on."""
        self.daemon.schedule(self.now)

    def let_pass(self, minutes: int) -> None:
        """Nobody does anything for a while, as when the daemon is down."""
        self.now += timedelta(minutes=minutes)
        let_pass(self.desk.instance, timedelta(minutes=minutes))

    def fire(self, minutes: int = 0) -> None:
        """Time passes, and the scheduler looks, once: ticks between are missed."""
        self.let_pass(minutes)
        before = {run.tags[REFRESH_TAG] for run in self.of_refreshes()}
        waiting, quiet = self.daemon.unfinished, self.now - self.changed
        self.daemon.schedule(self.now)
        if {run.tags[REFRESH_TAG] for run in self.of_refreshes()} - before:
            assert not waiting or quiet > HUNG_AFTER
            self.changed = self.now

    def end(self, number: int, how: str = "success") -> None:
        """Let one of the waiting runs end, if there are so many."""
        if number < len(waiting := self.daemon.unfinished):
            self.daemon.end(waiting[number], how)
            self.changed = self.now

    def sense(self, submitted: int = 99) -> bool:
        """The sensor's tick; a daemon that is killed after some submissions makes the others first."""
        for request in self.left:
            self.daemon.submit(request)
        self.changed = self.now if self.left else self.changed
        before = self.of_refreshes()
        asked, _, self.cursor = sensed(self.desk, "refresh_sequence", self.cursor)
        for request in asked:
            refresh, stage = request.tags[REFRESH_TAG], str(request.job_name)
            earlier = EVERY[: EVERY.index(stage)]
            assert all(self.has_ended(run) for run in before if run.tags[REFRESH_TAG] == refresh)
            assert {run.job_name for run in before if run.tags[REFRESH_TAG] == refresh} == set(earlier)
        for request in asked[:submitted]:
            self.daemon.submit(request)
        self.left = list(asked[submitted:])
        self.changed = self.now if asked[:submitted] else self.changed
        return bool(asked)

    def end_all(self) -> None:
        """Let every run end well."""
        while self.daemon.unfinished:
            self.end(0)

    def of_refreshes(self) -> list[dg.DagsterRun]:
        """The runs of every refresh, the oldest first."""
        return [run for run in self.desk.instance.get_runs(ascending=True) if REFRESH_TAG in run.tags]

    @staticmethod
    def has_ended(run: dg.DagsterRun) -> bool:
        """Whether a run is over."""
        return run.is_finished

    def rest(self) -> None:
        """A quiet time: every run ends, and the sensor looks on, until it asks for nothing more."""
        for _ in range(len(EVERY) + 3):
            asked = self.sense()
            if not asked and not self.daemon.unfinished:
                return
            self.end_all()
        raise AssertionError([run.tags for run in self.daemon.unfinished])

    def assert_law(self) -> None:
        """Each refresh had each stage once and in order, or is named by the one that took its place."""
        runs = self.of_refreshes()
        keys = Counter(run.tags["dagster/run_key"] for run in runs)
        assert set(keys.values()) <= {1}
        refreshes = list(dict.fromkeys(run.tags[REFRESH_TAG] for run in runs))
        assert refreshes == sorted(refreshes)
        superseded = {run.tags[SUPERSEDES_TAG] for run in runs if SUPERSEDES_TAG in run.tags}
        for refresh in refreshes:
            mine = [run for run in runs if run.tags[REFRESH_TAG] == refresh]
            stages = list(dict.fromkeys(run.job_name for run in mine))
            assert stages == list(EVERY[: len(stages)])
            whole = all(
                len([run for run in mine if run.job_name == stage])
                == int(next(run for run in mine if run.job_name == stage).tags.get(STAGE_RUN_COUNT_TAG, 1))
                for stage in stages
            )
            assert (len(stages) == len(EVERY) and whole) != (refresh in superseded), (refresh, stages)
        ticks = self.daemon.ticks()
        begun = [datetime.fromtimestamp(one.timestamp, UTC).isoformat() for one in ticks if one.run_ids]
        assert sorted(set(begun)) == refreshes
        for tick in ticks:
            assert (tick.status == TickStatus.SUCCESS) == bool(tick.run_ids)
            assert tick.run_ids or "is still under way" in str(tick.tick_data.skip_reason)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Path]]:
    """A host, and a folder with the accounts stored."""
    folder = tmp_path_factory.mktemp("laws")
    with Host.run(PLAN) as host, desk_at(host, folder) as desk:
        assert desk.run("refresh_accounts", tables=["advertisers"]).success
        yield host, folder


@contextmanager
def shift_at(filled: tuple[Host, Path], home: Path, folder: Path) -> Iterator[Shift]:
    """A shift over an instance of its own."""
    host, data = filled
    shutil.copytree(home, folder / "home")
    owners = ",".join(host.advertiser_ids[:3:2])
    with (
        dg.DagsterInstance.from_config(str(folder / "home")) as instance,
        desk_at(host, data, instance, advertiser_ids=owners, start_date="2026-10-05") as desk,
    ):
        desk.know(host.advertiser_ids)
        told = [settings_told(desk.settings, host.sandbox.token, refresh_cron=cron) for cron in CRONS]
        with Daemon.over(instance, data, *told) as daemon:
            yield Shift(desk, daemon)


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
IMPATIENT = [("fire", 5), ("fire", 60), ("sense", 99), ("success", 0), ("sense", 99), ("fire", 60), ("end all", 0)]


@hypothesis(max_examples=25, deadline=None)
@example(STALLED)
@example(HALF_SUBMITTED)
@example(STUCK_IN_THE_QUEUE)
@example(IMPATIENT)
@given(STEPS)
def test_each_stage_runs_once_a_refresh_and_none_starves(
    filled: tuple[Host, Path], fresh_home: Path, steps: list[tuple[str, int]]
) -> None:
    """Missed and quiet ticks, a full queue, failed runs, kills between submissions, reloads with another cron."""
    with TemporaryDirectory() as folder, shift_at(filled, fresh_home, Path(folder)) as shift:
        shift.begin()
        for step, number in steps:
            if step == "fire":
                shift.fire(number)
            elif step == "sense":
                shift.sense(number)
            elif step == "lose":
                shift.left.clear()  # what could not be submitted: its location did not load
            elif step in ENDS:
                shift.end(number, step)
            elif step == "end all":
                shift.end_all()
            elif step == "down":
                shift.let_pass(number)
            elif step == "reload":
                shift.daemon.chosen = number
        shift.rest()
        shift.fire(200)
        shift.rest()
        shift.assert_law()
        newest = shift.of_refreshes()[-1]
        assert newest.job_name == "check_tables"
        assert shift.now - datetime.fromisoformat(newest.tags[REFRESH_TAG]) < timedelta(hours=3)


def test_a_cron_changed_while_ticks_are_missed(
    filled: tuple[Host, Path], fresh_home: Path, tmp_path: Path
) -> None:
    """A daemon that was down, and is back with another cron, makes the newest tick of the new one only."""
    with shift_at(filled, fresh_home, tmp_path) as shift:
        shift.begin()
        shift.fire(2)
        shift.rest()
        shift.daemon.chosen = 2
        shift.fire(7 * 60)  # six ticks of the old cron and two of the new one were missed
        shift.rest()
        begun = [datetime.fromtimestamp(one.timestamp, UTC) for one in shift.daemon.ticks()]
        assert begun == [WEDNESDAY, WEDNESDAY.replace(hour=18, minute=15)]
        shift.assert_law()


def test_a_cron_shorter_than_a_refresh(filled: tuple[Host, Path], fresh_home: Path, tmp_path: Path) -> None:
    """Of twelve ticks while a refresh is under way none begins another; each says why; the next one does."""
    with shift_at(filled, fresh_home, tmp_path) as shift:
        shift.daemon.chosen = 1
        shift.begin()
        shift.fire(11)
        for _ in range(12):
            shift.now += timedelta(minutes=20)
            shift.fire()
        ticks = shift.daemon.ticks()
        assert [one.status for one in ticks] == [TickStatus.SUCCESS, *[TickStatus.SKIPPED] * 12]
        assert all("'*/20 * * * *'" in str(one.tick_data.skip_reason) for one in ticks[1:])
        shift.rest()
        for run in shift.of_refreshes():  # it took two hours, as the next ticks know
            shift.daemon.end(run, took=timedelta(hours=2))
        shift.fire(20)
        shift.now += timedelta(minutes=20)
        shift.fire()
        known = (
            "a refresh takes about 120 minutes, and TIKTOK_REFRESH_CRON, '*/20 * * * *', fires after 20 minutes"
        )
        assert known in str(shift.daemon.ticks()[-1].tick_data.skip_reason)
        shift.rest()
        assert len({run.tags[REFRESH_TAG] for run in shift.of_refreshes()}) == 2
        shift.assert_law()


def test_a_full_run_queue_holds_up_and_loses_nothing(
    filled: tuple[Host, Path], fresh_home: Path, tmp_path: Path
) -> None:
    """While the runs of a stage wait in the queue nothing further is asked for, and nothing is asked for twice."""
    with shift_at(filled, fresh_home, tmp_path) as shift:
        shift.begin()
        shift.fire(2)
        first = [run.run_id for run in shift.daemon.unfinished]
        assert len(first) == 2
        for _ in range(4):
            shift.sense()
            shift.fire(60)
        assert [run.run_id for run in shift.daemon.unfinished] == first
        shift.end(1)  # one comes through, the other still waits
        shift.sense()
        assert [run.run_id for run in shift.daemon.unfinished] == first[:1]
        shift.rest()
        shift.assert_law()


def test_schedule_and_sensor_at_the_same_tick(filled: tuple[Host, Path], fresh_home: Path, tmp_path: Path) -> None:
    """Both at once, again and again: a tick begins one refresh, and no run is there twice."""
    with (
        shift_at(filled, fresh_home, tmp_path) as shift,
        ThreadPoolExecutor(2) as threads,
    ):
        shift.begin()
        for minutes in (2, 60, 60, 60, 60, 60):
            shift.now += timedelta(minutes=minutes)
            sensing, firing = threads.submit(shift.sense), threads.submit(shift.fire)
            sensing.result()
            firing.result()
            shift.fire()  # a scheduler that was killed at its end looks again
            shift.end_all()
        shift.rest()
        shift.assert_law()

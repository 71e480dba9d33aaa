"""What `doctor` says of the schedule: the cron, held against the refreshes Dagster has recorded."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.utils import make_new_run_id  # Dagster exports no name for it
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.defs.checks import CHECK_TABLES
from tiktok_assets.defs.refresh_times import REFRESH_TAG, shortest_pause, usual_refresh
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets_tests.commands.test_doctor import doctor, present_day

NOW = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)


def record(instance: dg.DagsterInstance, number: int, minutes: float, *, whole: bool = True) -> None:
    """Note a refresh that took so long; one that is not whole never came to its checks."""
    for job in ("refresh_accounts", *([CHECK_TABLES] if whole else [])):
        run = dg.DagsterRun(job, make_new_run_id(), tags={REFRESH_TAG: (NOW + timedelta(days=number)).isoformat()})
        instance.add_run(run)
        event = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, job)
        ended = datetime.now(UTC) + timedelta(minutes=minutes)
        instance.run_storage.handle_run_event(run.run_id, event, ended)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of an instance that exists."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return folder


def test_a_cron_that_is_too_short_is_told_with_both_times(tmp_path: Path, home: Path) -> None:
    """Not before a refresh is whole; then it is ok or a fault, by the middle one of the last five."""
    with present_day() as host:
        assert state(host, tmp_path, home, "*/10 * * * *") == "not checked"
        with dg.DagsterInstance.from_config(str(home)) as instance:
            record(instance, 0, 500, whole=False)
        assert state(host, tmp_path, home, "*/10 * * * *") == "not checked"
        with dg.DagsterInstance.from_config(str(home)) as instance:
            for number, minutes in enumerate((999, 999, 999, 14, 13, 700, 15, 14)):  # the first are long ago
                record(instance, number + 1, minutes)
        assert state(host, tmp_path, home, "30 12 * * *") == "ok"
        told = doctor(host, tmp_path, DAGSTER_HOME=str(home), TIKTOK_REFRESH_CRON="*/10 * * * *")
        assert set(told.faults) == {"schedule"}
        assert told.faults["schedule"] == (
            "a refresh takes about 14 minutes, and TIKTOK_REFRESH_CRON, '*/10 * * * *', fires after 10 minutes:"
            " ticks between are skipped Choose a longer one, such as '30 12 * * *'."
        )


def state(host: RunningSandbox, folder: Path, home: Path, cron: str) -> str:
    """What becomes of the check."""
    return doctor(host, folder, DAGSTER_HOME=str(home), TIKTOK_REFRESH_CRON=cron).states["schedule"]


def test_an_instance_that_cannot_be_read_is_a_fault(tmp_path: Path, home: Path) -> None:
    """One sentence names the file that says where its storage is."""
    (home / "dagster.yaml").write_text("storage:\n  sqlite:\n    base_dir: /proc/none\n")
    with present_day() as host:
        told = doctor(host, tmp_path, DAGSTER_HOME=str(home))
    assert set(told.faults) == {"schedule"}
    assert str(home / "dagster.yaml") in told.faults["schedule"]


def test_without_an_instance_none_is_made(tmp_path: Path) -> None:
    """Looking does not create what `dev` would."""
    with present_day() as host:
        assert doctor(host, tmp_path).states["schedule"] == "not checked"
    assert list(tmp_path.rglob("dagster.yaml")) == []


@given(st.integers(1, 30), st.integers(0, 23))
def test_the_shortest_pause_of_a_cron(minutes: int, hour: int) -> None:
    """Of even ticks it is their distance, within an hour; of two ticks a day the shorter way between them."""
    even = shortest_pause(f"*/{minutes} * * * *", NOW)
    assert even == timedelta(minutes=min(minutes, 60 % minutes or minutes))
    other = (hour + 7) % 24
    hours = ",".join(map(str, sorted((hour, other))))
    assert shortest_pause(f"0 {hours} * * *", NOW) == timedelta(hours=7)
    assert shortest_pause("30 12 * * *", NOW) == timedelta(days=1)


def test_no_refresh_has_no_duration() -> None:
    """An instance without runs of a schedule knows nothing."""
    with dg.DagsterInstance.ephemeral() as instance:
        assert usual_refresh(instance) is None
        record(instance, 1, 10)
        found = usual_refresh(instance)
        assert found
        assert timedelta(minutes=10) <= found < timedelta(minutes=11)

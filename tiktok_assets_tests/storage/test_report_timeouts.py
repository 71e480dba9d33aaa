"""Tests of report timeouts: a report that timed out twice in ten minutes is not sent again."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.api.rate_limit.backoff import MAX_TIMEOUTS_PER_REPORT, TIMEOUT_MEMORY_SECONDS, hash_request
from tiktok_assets.storage.report_timeouts import StoredTimeouts
from tiktok_assets.storage.state import State, report_timeouts

ONE, OTHER = hash_request("https://host/report/", {"day": "1"}), hash_request("https://host/report/", {"day": "2"})
PROCESSES = 3
sends = st.lists(
    st.tuples(st.integers(0, PROCESSES - 1), st.sampled_from([ONE, OTHER]), st.booleans()), max_size=12
)


@contextmanager
def processes(folder: Path) -> Iterator[list[StoredTimeouts]]:
    """Open the store of timeouts as several processes with one state."""
    address = f"sqlite:///{folder}/state.sqlite"
    states = [State(address) for _ in range(PROCESSES)]
    try:
        yield [StoredTimeouts(address, lambda state=state: state) for state in states]  # type: ignore[misc] # bound to this state
    finally:
        for state in states:
            state.close()


def no_state() -> State:
    """Fail if the state is opened."""
    raise AssertionError("the state was opened")


@settings(max_examples=25, deadline=None)
@given(sends)
def test_report_is_blocked_after_two_timeouts(
    tmp_path_factory: pytest.TempPathFactory, sends: list[tuple[int, str, bool]]
) -> None:
    """Whichever processes send a report, it is permitted until it has timed out twice, and not after."""
    timeouts = {ONE: 0, OTHER: 0}
    with processes(tmp_path_factory.mktemp("state")) as stores:
        for process, identity, timed_out in sends:
            wait = stores[process].begin(identity)
            assert (wait is None) == (timeouts[identity] < MAX_TIMEOUTS_PER_REPORT)
            if wait is None:
                timeouts[identity] += timed_out
                blocked_seconds = stores[process].end(identity, timed_out=timed_out)
                assert (blocked_seconds is not None) == (
                    timed_out and timeouts[identity] == MAX_TIMEOUTS_PER_REPORT
                )
            else:
                assert TIMEOUT_MEMORY_SECONDS - 60 < wait <= TIMEOUT_MEMORY_SECONDS


def test_only_one_process_retries_at_a_time(tmp_path: Path) -> None:
    """After a timeout one process at a time can retry the report; after a success the next one can."""
    with processes(tmp_path) as (first, second, _):
        assert first.begin(ONE) is None
        first.end(ONE, timed_out=True)
        assert second.begin(ONE) is None
        assert first.begin(ONE)
        assert first.begin(OTHER) is None
        second.end(ONE, timed_out=False)
        assert first.begin(ONE) is None


def test_report_of_a_killed_process_counts_as_timed_out(tmp_path: Path) -> None:
    """A permitted retry that was never ended counts as a timeout for other processes."""
    with processes(tmp_path) as (first, second, third):
        first.end(ONE, timed_out=True)
        assert second.begin(ONE) is None
        assert third.begin(ONE)


def test_timeouts_expire_after_ten_minutes(tmp_path: Path) -> None:
    """Timeouts count for ten minutes, the returned seconds are what is left of them, and old ones are deleted."""
    now = datetime.now(UTC)
    ages = timedelta(seconds=TIMEOUT_MEMORY_SECONDS + 1), timedelta(seconds=TIMEOUT_MEMORY_SECONDS - 30)
    with processes(tmp_path) as (store, _, _):
        state = State(f"sqlite:///{tmp_path}/state.sqlite")
        with state.transaction() as connection:
            for age in ages:
                connection.execute(report_timeouts.insert().values(query=ONE, at=now - age))
        assert store.begin(ONE) is None
        wait = store.end(ONE, timed_out=True)
        assert wait
        assert 0 < wait <= 30
        with state.transaction() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(report_timeouts)) == 2
        state.close()


@pytest.mark.parametrize("age", [None, TIMEOUT_MEMORY_SECONDS + 5])
def test_state_without_recent_writes_is_not_opened(tmp_path: Path, age: float | None) -> None:
    """A missing state, or one without writes in the last ten minutes, is not opened for a report that succeeds."""
    file = tmp_path / "state.sqlite"
    if age is not None:
        State(f"sqlite:///{file}").close()
        os.utime(file, (time.time() - age, time.time() - age))
    store = StoredTimeouts(f"sqlite:///{file}", no_state)
    assert store.begin(ONE) is None
    assert store.end(ONE, timed_out=False) is None
    assert file.exists() == (age is not None)


def test_database_server_is_always_queried() -> None:
    """A database on a server is always queried, because its last write is unknown."""
    with pytest.raises(AssertionError, match="opened"):
        StoredTimeouts("postgresql+psycopg2://somewhere/state", no_state).begin(ONE)


def test_timeouts_of_concurrent_threads_are_all_stored(tmp_path: Path) -> None:
    """The timeouts that eight threads report at once are all stored."""
    identities = [hash_request("u", {"n": str(number)}) for number in range(8)]
    with processes(tmp_path) as (store, _, _):
        threads = [Thread(target=store.end, args=(one,), kwargs={"timed_out": True}) for one in identities * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(store.begin(one) for one in identities)

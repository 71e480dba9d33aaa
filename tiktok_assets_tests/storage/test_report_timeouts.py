"""Laws of time-outs: what timed out twice in ten minutes is not sent again, and looking costs next to nothing."""

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
    """What several processes hold of one state."""
    address = f"sqlite:///{folder}/state.sqlite"
    states = [State(address) for _ in range(PROCESSES)]
    try:
        yield [StoredTimeouts(address, lambda state=state: state) for state in states]  # type: ignore[misc] # bound
    finally:
        for state in states:
            state.close()


def no_state() -> State:
    """Nobody may open the state."""
    raise AssertionError("the state was opened")


@settings(max_examples=25, deadline=None)
@given(sends)
def test_leave_is_refused_after_two_time_outs_and_not_before(
    tmp_path_factory: pytest.TempPathFactory, sends: list[tuple[int, str, bool]]
) -> None:
    """Whichever processes send which reports, one has leave until it has timed out twice, and none after."""
    seen = {ONE: 0, OTHER: 0}
    with processes(tmp_path_factory.mktemp("state")) as books:
        for process, identity, timed_out in sends:
            wait = books[process].begin(identity)
            assert (wait is None) == (seen[identity] < MAX_TIMEOUTS_PER_REPORT)
            if wait is None:
                seen[identity] += timed_out
                told = books[process].end(identity, timed_out=timed_out)
                assert (told is not None) == (timed_out and seen[identity] == MAX_TIMEOUTS_PER_REPORT)
            else:
                assert TIMEOUT_MEMORY_SECONDS - 60 < wait <= TIMEOUT_MEMORY_SECONDS


def test_of_two_who_ask_at_once_one_is_sent(tmp_path: Path) -> None:
    """Once a report has timed out, one process at a time may try it again; when that went well, the next may."""
    with processes(tmp_path) as (first, second, _):
        assert first.begin(ONE) is None
        first.end(ONE, timed_out=True)
        assert second.begin(ONE) is None
        assert first.begin(ONE)
        assert first.begin(OTHER) is None
        second.end(ONE, timed_out=False)
        assert first.begin(ONE) is None


def test_a_report_somebody_was_killed_over_counts_as_timed_out(tmp_path: Path) -> None:
    """Who had leave for a second try and never came back has left his mark for the others."""
    with processes(tmp_path) as (first, second, third):
        first.end(ONE, timed_out=True)
        assert second.begin(ONE) is None
        assert third.begin(ONE)


def test_ten_minutes_later_it_may_be_sent(tmp_path: Path) -> None:
    """Time-outs count for ten minutes, the seconds told are those that are left, and old ones are removed."""
    now = datetime.now(UTC)
    ages = timedelta(seconds=TIMEOUT_MEMORY_SECONDS + 1), timedelta(seconds=TIMEOUT_MEMORY_SECONDS - 30)
    with processes(tmp_path) as (book, _, _):
        state = State(f"sqlite:///{tmp_path}/state.sqlite")
        with state.transaction() as connection:
            for age in ages:
                connection.execute(report_timeouts.insert().values(query=ONE, at=now - age))
        assert book.begin(ONE) is None
        wait = book.end(ONE, timed_out=True)
        assert wait
        assert 0 < wait <= 30
        with state.transaction() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(report_timeouts)) == 2
        state.close()


@pytest.mark.parametrize("age", [None, TIMEOUT_MEMORY_SECONDS + 5])
def test_a_state_that_cannot_know_is_not_opened(tmp_path: Path, age: float | None) -> None:
    """No state, or one that nobody wrote to for ten minutes, is not opened for a report that goes well."""
    file = tmp_path / "state.sqlite"
    if age is not None:
        State(f"sqlite:///{file}").close()
        os.utime(file, (time.time() - age, time.time() - age))
    book = StoredTimeouts(f"sqlite:///{file}", no_state)
    assert book.begin(ONE) is None
    assert book.end(ONE, timed_out=False) is None
    assert file.exists() == (age is not None)


def test_a_database_elsewhere_is_always_asked() -> None:
    """Of a server nobody can tell from here whether it knows something."""
    with pytest.raises(AssertionError, match="opened"):
        StoredTimeouts("postgresql+psycopg2://somewhere/state", no_state).begin(ONE)


def test_threads_share_what_they_know(tmp_path: Path) -> None:
    """Eight threads that report different time-outs at once are all heard."""
    identities = [hash_request("u", {"n": str(number)}) for number in range(8)]
    with processes(tmp_path) as (book, _, _):
        threads = [Thread(target=book.end, args=(one,), kwargs={"timed_out": True}) for one in identities * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(book.begin(one) for one in identities)

"""Tests of the count of report tasks: TikTok's limits hold over all processes that share a state."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from tiktok_assets.storage.report_task_log import StoredTaskLog
from tiktok_assets.storage.state import State, report_tasks


def test_limits_hold_over_processes(tmp_path: Path) -> None:
    """Two processes together create no more tasks than one may, per account and hour and per day."""
    address = f"sqlite:///{tmp_path}/state.sqlite"
    states = [State(address), State(address)]
    logs = [StoredTaskLog(lambda state=state: state, per_day=5, per_hour=2) for state in states]  # type: ignore[misc] # bound to this state
    try:
        reasons = [logs[number % 2].reserve("7001") for number in range(3)]
        assert reasons[:2] == ["", ""]
        assert reasons[2] == (
            "2 report tasks were created for account 7001 within an hour, which is TikTok's limit"
        )
        assert [logs[0].reserve(owner) for owner in ("7002", "7003", "7004")] == ["", "", ""]
        assert logs[1].reserve("7005") == "the app has created 5 report tasks today, which is TikTok's limit"
    finally:
        for state in states:
            state.close()


def test_tasks_of_earlier_days_do_not_count(tmp_path: Path) -> None:
    """Tasks of the day before and of the hour before do not count, and rows that count no more are deleted."""
    state = State(f"sqlite:///{tmp_path}/state.sqlite")
    log = StoredTaskLog(lambda: state, per_day=1, per_hour=1)
    earlier = datetime.now(UTC) - timedelta(days=2)
    try:
        with state.transaction() as connection:
            connection.execute(report_tasks.insert().values(advertiser_id="7001", created_at=earlier))
        assert log.reserve("7001") == ""
        with state.transaction() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(report_tasks)) == 1
    finally:
        state.close()

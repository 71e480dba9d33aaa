"""A flood of real runs that fail over a host in trouble: one message, with what to do."""

from contextlib import closing
from datetime import UTC, datetime

import dagster as dg
import sqlalchemy as sa

from tiktok_assets.defs.alerting import deliver_alerts_sensor, run_failure_alert_sensor
from tiktok_assets.storage.state import State, outbox
from tiktok_assets_tests.defs.conftest import Desk, DeskMaker
from tiktok_assets_tests.scaling.receiving import webhook


def tick(desk: Desk, sensor: dg.SensorDefinition, cursor: str | None = None) -> tuple[str, str | None]:
    """What a sensor says, and its cursor."""
    context = dg.build_sensor_context(instance=desk.instance, cursor=cursor)
    told = sensor.evaluate_tick(context)
    return told.skip_message or "", told.cursor


def test_twelve_failing_runs_are_one_message(make_desk: DeskMaker, lasting: dg.DagsterInstance) -> None:
    """Twelve runs of two stages fail over a host that refuses: one message counts them by job and says why."""
    with webhook() as hook:
        desk = make_desk(lasting, alert_urls=f"json://127.0.0.1:{hook.port}/hook", start_date="2026-10-06")
        ids = desk.know()
        desk.host.misbehave("code", code=40001, message="No permission to do this.", times=None)
        runs = [desk.run_range("refresh_accounts", [one]) for one in ids]
        runs += [desk.run_range("refresh_lifetime", [one]) for one in ids for _ in range(2)]
        assert [run.success for run in runs] == [False] * 12
        look, drain = run_failure_alert_sensor(desk.settings), deliver_alerts_sensor(desk.settings)
        assert tick(desk, look)[0] == "Told of: 12 runs failed."
        assert tick(desk, look)[0] == "No new failure."
        with closing(State(desk.settings.state_address)) as state, state.transaction() as connection:
            connection.execute(sa.update(outbox).values(next_at=datetime.now(UTC)))  # the minute has passed
        tick(desk, drain)
        (body,) = hook.bodies
    assert body["title"] == "12 runs failed"
    assert ": 8 of refresh_lifetime, 4 of refresh_accounts." in body["message"]
    assert "No permission to do this." in body["message"]
    assert sum(f"/runs/{run.run_id}" in body["message"] for run in runs) == 5

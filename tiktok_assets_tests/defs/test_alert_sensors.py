"""Laws of the sensors that tell a person: once per failed run and check that begins to fail, with reason."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.utils import make_new_run_id  # Dagster exports no name for it
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from tiktok_assets.alerts.dagster_urls import DUPLICATE_JOB, build_launchpad_config
from tiktok_assets.alerts.outbox import FOLDER_KEY
from tiktok_assets.definitions import build_definitions
from tiktok_assets.defs.alert_sensors import (
    build_deliver_alerts_sensor,
    build_run_failure_alert_sensor,
    extract_first_sentence,
    queue_and_deliver_failures,
)
from tiktok_assets.defs.scaling_jobs import duplicate_ad
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.state import State, outbox
from tiktok_assets_tests.alerts.fake_channels import Webhook, run_webhook
from tiktok_assets_tests.defs.conftest import Desk, DeskMaker


@dataclass
class Office:
    """An instance whose runs fail, and the two sensors."""

    settings: Settings
    instance: dg.DagsterInstance
    hook: Webhook

    def run(
        self,
        *,
        fails: bool = False,
        passed: bool = True,
        severity: str = "ERROR",
        tags: dict[str, str] | None = None,
    ) -> str:
        """A run of one asset with one check; returns its id."""

        @dg.asset_check(asset="numbers", name="adds_up")
        def _adds_up() -> dg.AssetCheckResult:
            level = dg.AssetCheckSeverity[severity]
            return dg.AssetCheckResult(
                passed=passed, severity=level, description="2 found; the first: day 1. More."
            )

        @dg.asset(name="numbers")
        def _numbers() -> None:
            if fails:
                raise dg.Failure("The host is closed. Ask again tomorrow.")

        job = dg.Definitions(assets=[_numbers], asset_checks=[_adds_up]).resolve_implicit_global_asset_job_def()
        return job.execute_in_process(instance=self.instance, tags=tags, raise_on_error=False).run_id

    def look(self, cursor: str | None = None) -> tuple[str, str | None]:
        """One tick of `run_failure_alert`: what it says, and its cursor."""
        context = dg.build_sensor_context(instance=self.instance, cursor=cursor)
        told = build_run_failure_alert_sensor(self.settings).evaluate_tick(context)
        return told.skip_message or "", told.cursor

    def wait(self) -> None:
        """Let the time pass in which the message about failed runs waits for further ones."""
        with closing(State(self.settings.state_address)) as state, state.transaction() as connection:
            connection.execute(sa.update(outbox).values(next_at=datetime.now(UTC)))

    def fail(self, job: str = "refresh_daily") -> str:
        """A run of a job that failed before its first step, as when its process cannot be started."""
        run = dg.DagsterRun(job_name=job, run_id=make_new_run_id())
        self.instance.add_run(run)
        self.instance.report_run_failed(run, message="The host is full. Come later.")
        return run.run_id

    def told(self) -> list[set[str]]:
        """The runs of each message about failed runs that was written as a file."""
        folder = self.settings.state_dir / "alerts"
        facts = [json.loads(path.read_text("utf-8"))["facts"] for path in sorted(folder.glob("run*.json"))]
        return [{run["run_id"] for run in one.get("runs", [one])} for one in facts]

    def drain(self) -> str:
        """One tick of `deliver_alerts`: what it says."""
        context = dg.build_sensor_context(instance=self.instance)
        return build_deliver_alerts_sensor(self.settings).evaluate_tick(context).skip_message or ""

    def alerts(self) -> list[tuple[str, str, str]]:
        """Id, kind and title of every alert in the outbox."""
        rows = sa.select(outbox.c.alert_id, outbox.c.kind, outbox.c.message).where(
            outbox.c.destination == FOLDER_KEY
        )
        with closing(State(self.settings.state_address)) as state, state.transaction() as connection:
            return [(row.alert_id, row.kind, row.message["title"]) for row in connection.execute(rows)]


@contextmanager
def office_at(folder: Path) -> Iterator[Office]:
    """An office with one receiver."""
    with run_webhook() as hook, dg.DagsterInstance.ephemeral() as instance:
        settings = load_settings(state_dir=folder / "state", alert_urls=f"json://127.0.0.1:{hook.port}/s3cr3t")
        yield Office(settings, instance, hook)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """An office with one receiver."""
    with office_at(tmp_path) as one:
        yield one


def test_a_failed_run_is_told_of_once_with_its_reason_and_link(office: Office) -> None:
    """The first sentence of the reason and the run's page; with the cursor, without it, and looked at again."""
    run_id = office.run(fails=True)
    said, cursor = office.look()
    assert said == "Told of: A run of __ASSET_JOB failed."
    for again in (cursor, None):
        assert office.look(again)[0] == "No new failure."
    assert office.drain() == "Alerts: 0 delivered, 2 waiting."
    office.wait()
    assert office.drain() == "Alerts: 2 delivered."
    (body,) = office.hook.bodies
    assert body["title"] == "A run of __ASSET_JOB failed"
    assert "The host is closed.\n" in body["message"]
    assert "Ask again" not in body["message"]
    assert f"http://localhost:3000/runs/{run_id}" in body["message"]
    assert f"Alert run-{run_id}." in body["message"]
    assert office.drain() == "No alert is due."


def test_runs_that_fail_together_are_one_message(office: Office) -> None:
    """Of twelve runs that end between two ticks one message tells, and names jobs, reason and the first runs."""
    ids = {office.fail() for _ in range(8)} | {office.fail("refresh_lifetime") for _ in range(4)}
    assert office.look()[0] == "Told of: 12 runs failed."
    office.wait()
    office.drain()
    (body,) = office.hook.bodies
    assert ": 8 of refresh_daily, 4 of refresh_lifetime." in body["message"]
    assert "12 runs: The host is full." in body["message"]
    assert office.told() == [ids]


STEPS = st.lists(st.sampled_from(["fail", "fail", "look", "again", "lost", "wait", "drain"]), max_size=20)


@hypothesis(max_examples=25, deadline=None)
@given(STEPS)
def test_each_failed_run_is_told_once_whatever_the_cursor(steps: list[str]) -> None:
    """Ticks with the cursor kept, an earlier one (killed before it was saved) or none: no run twice, none lost."""
    with TemporaryDirectory() as folder, office_at(Path(folder)) as office:
        failed, cursors = set(), list[str | None]([None])
        for step in [*steps, "look", "wait", "drain"]:
            if step == "fail":
                failed.add(office.fail())
            elif step == "wait":
                office.wait()
            elif step == "drain":
                office.drain()
            else:
                cursor = {"look": cursors[-1], "again": cursors[len(cursors) // 2], "lost": None}[step]
                cursors.append(office.look(cursor)[1])
        told = office.told()
        assert sum(map(len, told)) == len(failed)
        assert set().union(*told) == failed
        assert len(office.hook.bodies) == len(told)


def test_a_run_that_dagster_launches_again_is_not_told_of(office: Office) -> None:
    """Only the last of a run's retries is news."""
    office.run(fails=True, tags={"dagster/will_retry": "true"})
    assert office.look()[0] == "No new failure."


def test_a_check_is_told_of_each_time_it_begins_to_fail(office: Office) -> None:
    """Failing, still failing, passing, failing: two alerts; one that warned and now fails is news too."""
    titles: list[str] = []
    story = [
        (False, "ERROR"),
        (False, "ERROR"),
        (True, "ERROR"),
        (False, "WARN"),
        (False, "WARN"),
        (False, "ERROR"),
    ]
    for passed, severity in story:
        office.run(passed=passed, severity=severity)
        titles.append(office.look()[0])
    news = "Told of: The check adds_up of numbers {}."
    quiet = "No new failure."
    assert titles == [news.format("fails"), quiet, quiet, news.format("warns"), quiet, news.format("fails")]
    office.drain()
    assert len(office.hook.bodies) == 3
    assert "2 found; the first: day 1. More." in office.hook.bodies[0]["message"]
    assert "http://localhost:3000/assets/numbers?view=checks" in office.hook.bodies[0]["message"]


def test_a_lost_cursor_looks_back_one_day_only(office: Office) -> None:
    """Runs are taken up from a day ago, whatever the cursor says; a cursor of the future is not moved back."""
    office.run(fails=True)
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert office.look(ahead) == ("No new failure.", ahead)
    assert office.look("2020-01-01T00:00:00+00:00")[0] == "Told of: A run of __ASSET_JOB failed."


def test_a_process_without_a_daemon_tells_by_itself(office: Office) -> None:
    """`sync` puts the failures of its own runs into the outbox and drains it; the sensors add nothing."""
    office.run(fails=True)
    since = datetime.now(UTC) - timedelta(minutes=1)
    with closing(State(office.settings.state_address)) as state:
        assert queue_and_deliver_failures(office.settings, state, office.instance, since) == "Alerts: 2 delivered."
        assert queue_and_deliver_failures(office.settings, state, office.instance, since) is None
    assert office.look()[0] == "No new failure."


def test_the_sensors_are_registered_and_need_no_token(office: Office) -> None:
    """Both stand in the definitions, running by default."""
    sensors = {one.name: one for one in build_definitions(office.settings).sensors or []}
    for name in ("deliver_alerts", "run_failure_alert"):
        assert sensors[name].default_status == dg.DefaultSensorStatus.RUNNING
    assert office.drain() == "No alert is due."


def test_a_state_that_cannot_be_opened_is_said_not_raised(tmp_path: Path) -> None:
    """Both ticks name what to check."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    settings = load_settings(state_dir=tmp_path / "file" / "below")
    with dg.DagsterInstance.ephemeral() as instance:
        for sensor in (build_deliver_alerts_sensor(settings), build_run_failure_alert_sensor(settings)):
            told = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
            assert "TIKTOK_STATE_DIR" in (told.skip_message or "")


def test_the_launchpad_link_holds_a_configuration_the_job_takes() -> None:
    """What an alert fills in is what `duplicate_ad` asks for, and it is a dry run."""
    config = dg.config_from_yaml_strings([build_launchpad_config("7001", "77", "555")])
    assert dg.validate_run_config(duplicate_ad, config)
    assert duplicate_ad.name == DUPLICATE_JOB
    asked = config["ops"][DUPLICATE_JOB]["config"]
    assert (asked["live"], asked.keys() & {"enable", "approval"}) == (False, set())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "tiktok_assets.api.errors.RenewCredentials: The token is expired. Run `auth`.\n",
            "The token is expired.",
        ),
        ("KeyError: 'spend'\n", "KeyError: 'spend'"),
        ("polars.exceptions.SchemaError: no 7.5 here\nat line 3", "SchemaError: no 7.5 here"),
        ("", ""),
    ],
)
def test_a_reason_is_a_sentence(text: str, sentence: str) -> None:
    """Our errors speak for themselves; others keep their name; a trace stays in the run."""
    assert extract_first_sentence(text) == sentence


def tick(desk: Desk, sensor: dg.SensorDefinition, cursor: str | None = None) -> tuple[str, str | None]:
    """What a sensor says, and its cursor."""
    context = dg.build_sensor_context(instance=desk.instance, cursor=cursor)
    told = sensor.evaluate_tick(context)
    return told.skip_message or "", told.cursor


def test_twelve_failing_runs_are_one_message(make_desk: DeskMaker, lasting: dg.DagsterInstance) -> None:
    """Twelve runs of two stages fail over a host that refuses: one message counts them by job and says why."""
    with run_webhook() as hook:
        desk = make_desk(lasting, alert_urls=f"json://127.0.0.1:{hook.port}/hook", start_date="2026-10-06")
        ids = desk.know()
        desk.host.misbehave("code", code=40001, message="No permission to do this.", times=None)
        runs = [desk.run_range("refresh_accounts", [one]) for one in ids]
        runs += [desk.run_range("refresh_lifetime", [one]) for one in ids for _ in range(2)]
        assert [run.success for run in runs] == [False] * 12
        look, drain = build_run_failure_alert_sensor(desk.settings), build_deliver_alerts_sensor(desk.settings)
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

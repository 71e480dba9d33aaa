"""Test that failed runs and newly failing checks are reported once, with the reason."""

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
    OwnRuns,
    build_deliver_alerts_sensor,
    build_run_failure_alert_sensor,
    extract_first_sentence,
    queue_and_deliver_failures,
)
from tiktok_assets.defs.scaling_jobs import build_duplicate_job
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.state import State, outbox
from tiktok_assets_tests.alerts.fake_channels import Webhook, run_webhook
from tiktok_assets_tests.defs.conftest import Deployment, DeploymentFactory


@dataclass
class AlertDeployment:
    """An instance with failing runs, and the two alert sensors."""

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
        """Run one asset with one check and return the id of the run."""

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

    def evaluate(self, cursor: str | None = None) -> tuple[str, str | None]:
        """Run one tick of `run_failure_alert` and return its message and its cursor."""
        context = dg.build_sensor_context(instance=self.instance, cursor=cursor)
        tick = build_run_failure_alert_sensor(self.settings).evaluate_tick(context)
        return tick.skip_message or "", tick.cursor

    def pass_grouping_delay(self) -> None:
        """Let the delay pass in which the message about failed runs waits for further ones."""
        with closing(State(self.settings.state_database_url)) as state, state.transaction() as connection:
            connection.execute(sa.update(outbox).values(next_at=datetime.now(UTC)))

    def add_failed_run(self, job: str = "refresh_daily") -> str:
        """Add a run that failed before its first step, as when its process cannot be started."""
        run = dg.DagsterRun(job_name=job, run_id=make_new_run_id())
        self.instance.add_run(run)
        self.instance.report_run_failed(run, message="The host is full. Come later.")
        return run.run_id

    def reported_runs(self) -> list[set[str]]:
        """Return the runs of each message about failed runs that was written as a file."""
        folder = self.settings.state_dir / "alerts"
        facts = [json.loads(path.read_text("utf-8"))["facts"] for path in sorted(folder.glob("run*.json"))]
        return [{run["run_id"] for run in one.get("runs", [one])} for one in facts]

    def deliver(self) -> str:
        """Run one tick of `deliver_alerts` and return its message."""
        context = dg.build_sensor_context(instance=self.instance)
        return build_deliver_alerts_sensor(self.settings).evaluate_tick(context).skip_message or ""

    def list_alerts(self) -> list[tuple[str, str, str]]:
        """Return id, kind and title of every alert in the outbox."""
        rows = sa.select(outbox.c.alert_id, outbox.c.kind, outbox.c.message).where(
            outbox.c.destination == FOLDER_KEY
        )
        with closing(State(self.settings.state_database_url)) as state, state.transaction() as connection:
            return [(row.alert_id, row.kind, row.message["title"]) for row in connection.execute(rows)]


@contextmanager
def open_alert_deployment(folder: Path) -> Iterator[AlertDeployment]:
    """Open a deployment with one alert channel."""
    with run_webhook() as hook, dg.DagsterInstance.ephemeral() as instance:
        settings = load_settings(state_dir=folder / "state", alert_urls=f"json://127.0.0.1:{hook.port}/s3cr3t")
        yield AlertDeployment(settings, instance, hook)


@pytest.fixture
def alerts_deployment(tmp_path: Path) -> Iterator[AlertDeployment]:
    """Open a deployment with one alert channel."""
    with open_alert_deployment(tmp_path) as one:
        yield one


def test_failed_run_is_reported_once_with_reason_and_link(alerts_deployment: AlertDeployment) -> None:
    """The alert has the first sentence of the reason and the URL of the run, and is never repeated."""
    run_id = alerts_deployment.run(fails=True)
    message, cursor = alerts_deployment.evaluate()
    assert message == "Queued alerts: A run of __ASSET_JOB failed."
    for again in (cursor, None):
        assert alerts_deployment.evaluate(again)[0] == "No new failure."
    assert alerts_deployment.deliver() == "Alerts: 0 delivered, 2 waiting."
    alerts_deployment.pass_grouping_delay()
    assert alerts_deployment.deliver() == "Alerts: 2 delivered."
    (body,) = alerts_deployment.hook.bodies
    assert body["title"] == "A run of __ASSET_JOB failed"
    assert "The host is closed.\n" in body["message"]
    assert "Ask again" not in body["message"]
    assert f"http://localhost:3000/runs/{run_id}" in body["message"]
    assert f"Alert run-{run_id}." in body["message"]
    assert alerts_deployment.deliver() == "No alert is due."


def test_runs_that_fail_together_share_one_message(alerts_deployment: AlertDeployment) -> None:
    """Twelve runs that fail between two ticks give one message with the jobs, the reason and the first runs."""
    ids = {alerts_deployment.add_failed_run() for _ in range(8)} | {
        alerts_deployment.add_failed_run("refresh_lifetime") for _ in range(4)
    }
    assert alerts_deployment.evaluate()[0] == "Queued alerts: 12 runs failed."
    alerts_deployment.pass_grouping_delay()
    alerts_deployment.deliver()
    (body,) = alerts_deployment.hook.bodies
    assert ": 8 of refresh_daily, 4 of refresh_lifetime." in body["message"]
    assert "12 runs: The host is full." in body["message"]
    assert alerts_deployment.reported_runs() == [ids]


STEPS = st.lists(st.sampled_from(["fail", "fail", "look", "again", "lost", "wait", "drain"]), max_size=20)


@pytest.mark.slow
@hypothesis(max_examples=25, deadline=None)
@given(STEPS)
def test_each_failed_run_is_reported_once_with_any_cursor(steps: list[str]) -> None:
    """With a kept, an outdated or a lost cursor no failed run is reported twice and none is missed."""
    with (
        TemporaryDirectory() as folder,
        open_alert_deployment(Path(folder)) as alerts_deployment,
    ):
        failed, cursors = set(), list[str | None]([None])
        for step in [*steps, "look", "wait", "drain"]:
            if step == "fail":
                failed.add(alerts_deployment.add_failed_run())
            elif step == "wait":
                alerts_deployment.pass_grouping_delay()
            elif step == "drain":
                alerts_deployment.deliver()
            else:
                cursor = {"look": cursors[-1], "again": cursors[len(cursors) // 2], "lost": None}[step]
                cursors.append(alerts_deployment.evaluate(cursor)[1])
        reported = alerts_deployment.reported_runs()
        assert sum(map(len, reported)) == len(failed)
        assert set().union(*reported) == failed
        assert len(alerts_deployment.hook.bodies) == len(reported)


def test_retried_run_is_not_reported(alerts_deployment: AlertDeployment) -> None:
    """Only the last of a run's retries is reported."""
    alerts_deployment.run(fails=True, tags={"dagster/will_retry": "true"})
    assert alerts_deployment.evaluate()[0] == "No new failure."


@pytest.mark.slow
def test_check_is_reported_each_time_it_starts_to_fail(alerts_deployment: AlertDeployment) -> None:
    """Each start of failing gives an alert, also when a check that warned fails."""
    titles: list[str] = []
    evaluations = [
        (False, "ERROR"),
        (False, "ERROR"),
        (True, "ERROR"),
        (False, "WARN"),
        (False, "WARN"),
        (False, "ERROR"),
    ]
    for passed, severity in evaluations:
        alerts_deployment.run(passed=passed, severity=severity)
        titles.append(alerts_deployment.evaluate()[0])
    started = "Queued alerts: The check adds_up of numbers {}."
    unchanged = "No new failure."
    assert titles == [
        started.format("fails"),
        unchanged,
        unchanged,
        started.format("warns"),
        unchanged,
        started.format("fails"),
    ]
    alerts_deployment.deliver()
    assert len(alerts_deployment.hook.bodies) == 3
    assert "2 found; the first: day 1. More." in alerts_deployment.hook.bodies[0]["message"]
    assert "http://localhost:3000/assets/numbers?view=checks" in alerts_deployment.hook.bodies[0]["message"]


def test_lost_cursor_looks_back_one_day(alerts_deployment: AlertDeployment) -> None:
    """Runs older than a day are not reported with any cursor, and a cursor in the future is not moved back."""
    alerts_deployment.run(fails=True)
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert alerts_deployment.evaluate(ahead) == ("No new failure.", ahead)
    assert (
        alerts_deployment.evaluate("2020-01-01T00:00:00+00:00")[0] == "Queued alerts: A run of __ASSET_JOB failed."
    )


def test_process_without_daemon_delivers_alerts(alerts_deployment: AlertDeployment) -> None:
    """`sync` queues the failures of its runs and delivers them; the sensors add nothing."""
    alerts_deployment.run(fails=True)
    since = datetime.now(UTC) - timedelta(minutes=1)
    with closing(State(alerts_deployment.settings.state_database_url)) as state:
        assert (
            queue_and_deliver_failures(alerts_deployment.settings, state, alerts_deployment.instance, since)
            == "Alerts: 2 delivered."
        )
        assert (
            queue_and_deliver_failures(alerts_deployment.settings, state, alerts_deployment.instance, since)
            is None
        )
    assert alerts_deployment.evaluate()[0] == "No new failure."


def test_sensors_are_registered_without_a_token(alerts_deployment: AlertDeployment) -> None:
    """Both sensors are in the definitions and run by default."""
    sensors = {one.name: one for one in build_definitions(alerts_deployment.settings).sensors or []}
    for name in ("deliver_alerts", "run_failure_alert"):
        assert sensors[name].default_status == dg.DefaultSensorStatus.RUNNING
    assert alerts_deployment.deliver() == "No alert is due."


def test_unreadable_state_is_a_skip_reason(tmp_path: Path) -> None:
    """If the state database cannot be opened, both ticks are skipped with what to check."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    settings = load_settings(state_dir=tmp_path / "file" / "below")
    with dg.DagsterInstance.ephemeral() as instance:
        for sensor in (build_deliver_alerts_sensor(settings), build_run_failure_alert_sensor(settings)):
            tick = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
            assert "TIKTOK_STATE_DIR" in (tick.skip_message or "")


def test_launchpad_link_holds_a_valid_configuration() -> None:
    """The configuration in the link of an alert is valid for `duplicate_ad` and is a dry run."""
    config = dg.config_from_yaml_strings([build_launchpad_config("7001", "77", "555")])
    job = build_duplicate_job(load_settings())
    assert dg.validate_run_config(job, config)
    assert job.name == DUPLICATE_JOB
    requested = config["ops"][DUPLICATE_JOB]["config"]
    assert (requested["live"], requested.keys() & {"enable", "approval"}) == (False, set())


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
def test_failure_reason_is_one_sentence(text: str, sentence: str) -> None:
    """Errors of this project have no class name, other errors keep theirs, and tracebacks are removed."""
    assert extract_first_sentence(text) == sentence


def evaluate_sensor(
    deployment: Deployment, sensor: dg.SensorDefinition, cursor: str | None = None
) -> tuple[str, str | None]:
    """Evaluate a sensor and return its message and its cursor."""
    context = dg.build_sensor_context(instance=deployment.instance, cursor=cursor)
    tick = sensor.evaluate_tick(context)
    return tick.skip_message or "", tick.cursor


def test_only_runs_with_our_assets_are_reported_in_another_project(
    make_deployment: DeploymentFactory, alerts_deployment: AlertDeployment
) -> None:
    """In a project of somebody else a failing job or check of theirs sends nothing through our channels."""
    deployment = make_deployment(alerts_deployment.instance, key_prefix="one")

    @dg.asset_check(asset="theirs", name="adds_up")
    def _adds_up() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False)

    @dg.asset(name="theirs")
    def _theirs() -> None: ...

    @dg.asset(name="failing")
    def _failing() -> None:
        raise dg.Failure("Theirs.")

    @dg.op
    def failing_op() -> None:
        raise dg.Failure("Theirs.")

    @dg.job
    def job_of_ops() -> None:
        failing_op()

    theirs = dg.Definitions(
        assets=[_theirs, _failing],
        asset_checks=[_adds_up],
        jobs=[
            job_of_ops,
            dg.define_asset_job("their_job", selection=["failing"]),
            dg.define_asset_job("mixed", selection=["theirs", "failing", "one/advertisers"]),
        ],
        executor=dg.in_process_executor,
    )
    merged = dg.Definitions.merge(deployment.definitions, theirs)
    (sensor,) = [one for one in merged.sensors or [] if one.name == "one_run_failure_alert"]
    assert isinstance(sensor, dg.SensorDefinition)

    def run(job: str) -> None:
        found = merged.resolve_job_def(job)
        assert not found.execute_in_process(instance=deployment.instance, raise_on_error=False).success

    for job in ("job_of_ops", "their_job"):
        run(job)
    whole = merged.resolve_implicit_global_asset_job_def()
    of_theirs = whole.get_subset(asset_selection={dg.AssetKey("failing")})
    assert not of_theirs.execute_in_process(instance=deployment.instance, raise_on_error=False).success
    assert evaluate_sensor(deployment, sensor)[0] == "No new failure."
    since, own = datetime.now(UTC) - timedelta(minutes=5), OwnRuns.find(deployment.definitions)
    with closing(State(deployment.settings.state_database_url)) as state:
        assert queue_and_deliver_failures(deployment.settings, state, deployment.instance, since, own) is None
    deployment.host.inject_fault("code", code=40001, message="No permission to do this.", times=None)
    run("mixed")
    ids = deployment.add_partitions()
    assert not deployment.run_range("refresh_lifetime", ids[:1]).success
    # Their check failed in the mixed run as well, and is not named.
    assert evaluate_sensor(deployment, sensor)[0] == "Queued alerts: 2 runs failed."


@pytest.mark.slow
def test_twelve_failing_runs_share_one_message(
    make_deployment: DeploymentFactory, disk_instance: dg.DagsterInstance
) -> None:
    """Twelve runs of two stages fail on one host: one message counts them by job with the reason."""
    with run_webhook() as hook:
        deployment = make_deployment(
            disk_instance, alert_urls=f"json://127.0.0.1:{hook.port}/hook", start_date="2026-10-06"
        )
        ids = deployment.add_partitions()
        deployment.host.inject_fault("code", code=40001, message="No permission to do this.", times=None)
        runs = [deployment.run_range("refresh_accounts", [one]) for one in ids]
        runs += [deployment.run_range("refresh_lifetime", [one]) for one in ids for _ in range(2)]
        assert [run.success for run in runs] == [False] * 12
        failure_sensor, delivery_sensor = (
            build_run_failure_alert_sensor(deployment.settings),
            build_deliver_alerts_sensor(deployment.settings),
        )
        assert evaluate_sensor(deployment, failure_sensor)[0] == "Queued alerts: 12 runs failed."
        assert evaluate_sensor(deployment, failure_sensor)[0] == "No new failure."
        with closing(State(deployment.settings.state_database_url)) as state, state.transaction() as connection:
            connection.execute(sa.update(outbox).values(next_at=datetime.now(UTC)))  # as if the minute had passed
        evaluate_sensor(deployment, delivery_sensor)
        (body,) = hook.bodies
    assert body["title"] == "12 runs failed"
    assert ": 8 of refresh_lifetime, 4 of refresh_accounts." in body["message"]
    assert "No permission to do this." in body["message"]
    assert sum(f"/runs/{run.run_id}" in body["message"] for run in runs) == 5

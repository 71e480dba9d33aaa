"""Test the schedule and the sensors, with the runs they request executed for real."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.runs.schema import RunsTable  # Dagster exports no name for it

from tiktok_assets.defs.jobs import UNPARTITIONED_DERIVED_TABLES, get_derived_tables
from tiktok_assets.defs.refresh_stages import get_advertiser_keys
from tiktok_assets.defs.run_tags import REFRESH_TAG, SUPERSEDES_TAG
from tiktok_assets.storage.state import utc_now
from tiktok_assets_tests.defs.conftest import DAILY, LIFETIME, WEDNESDAY, Deployment, DeploymentFactory

AT = WEDNESDAY.isoformat()


def evaluate_schedule(deployment: Deployment, at: datetime = WEDNESDAY) -> tuple[list[dg.RunRequest], str | None]:
    """Return the run requests and the skip reason of `daily_refresh` at an instant."""
    repository = deployment.definitions.get_repository_def()
    with dg.build_schedule_context(
        instance=deployment.instance, scheduled_execution_time=at, repository_def=repository
    ) as context:
        tick = repository.get_schedule_def("daily_refresh").evaluate_tick(context)
    return list(tick.run_requests or ()), tick.skip_message


def evaluate_sensor(
    deployment: Deployment, name: str, cursor: str | None = None
) -> tuple[list[dg.RunRequest], str | None, str | None]:
    """Return the run requests, the skip reason and the cursor of a sensor."""
    repository = deployment.definitions.get_repository_def()
    with dg.build_sensor_context(
        instance=deployment.instance, cursor=cursor, repository_def=repository
    ) as context:
        tick = repository.get_sensor_def(name).evaluate_tick(context)
    return list(tick.run_requests or ()), tick.skip_message, tick.cursor


def job_names(requests: Sequence[dg.RunRequest]) -> set[str]:
    """Return the requested jobs."""
    return {str(request.job_name) for request in requests}


def assert_executable(deployment: Deployment, requests: Sequence[dg.RunRequest]) -> None:
    """Assert that each request names an existing job, its assets and existing keys, and has its own run key."""
    repository = deployment.definitions.get_repository_def()
    for request in requests:
        assert request.job_name
        job = repository.get_job(request.job_name)
        job_assets = set(job.asset_layer.executable_asset_keys)
        assert set(request.asset_selection or ()) <= job_assets
        dg.validate_run_config(job, request.run_config)
        assert all(isinstance(value, str) for value in request.tags.values())
        ends = [request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
        assert {end.split("|")[0] for end in ends} <= set(
            get_advertiser_keys(deployment.instance, deployment.settings)
        )
    assert len({request.run_key for request in requests}) == len(requests)


@pytest.mark.slow
def test_schedule_requests_the_accounts_stage_in_few_runs(disk_deployment: Deployment) -> None:
    """The schedule requests the first stage as one range run, which reads accounts and entities."""
    ids = disk_deployment.add_partitions()
    requests, skipped = evaluate_schedule(disk_deployment)
    assert skipped is None
    assert job_names(requests) == {"refresh_accounts"}
    assert_executable(disk_deployment, requests)
    (request,) = requests
    assert request.tags[REFRESH_TAG] == AT
    assert disk_deployment.launch(request).success
    assert disk_deployment.read_table("advertisers").height == len(ids)
    assert {
        table: disk_deployment.stored_keys(table) for table in ("campaigns", "ad_groups", "ads")
    } == dict.fromkeys(("campaigns", "ad_groups", "ads"), ids)


@pytest.mark.slow
def test_schedule_repeats_the_same_run_keys(
    make_deployment: DeploymentFactory, disk_instance: dg.DagsterInstance
) -> None:
    """The run keys of a tick are always the same, so Dagster launches them once; another day has other keys."""
    deployment = make_deployment(disk_instance, advertiser_ids=",".join(make_deployment().advertiser_ids[::2]))
    deployment.add_partitions(make_deployment().advertiser_ids)
    first, _ = evaluate_schedule(deployment)
    again, _ = evaluate_schedule(deployment)
    assert len(first) == 2  # the third account between the two named ones splits the range
    assert_executable(deployment, first)
    assert [one.run_key for one in first] == [one.run_key for one in again]
    tomorrow, _ = evaluate_schedule(deployment, WEDNESDAY + timedelta(1))
    assert {one.run_key for one in first}.isdisjoint(one.run_key for one in tomorrow)
    accounts = [dg.AssetKey("advertisers") in (one.asset_selection or ()) for one in first]
    assert accounts == [True, False]  # the table of accounts is read once for all runs


def test_schedule_without_accounts_is_skipped(disk_deployment: Deployment) -> None:
    """Without accounts the tick is skipped and names the sensor that adds them."""
    requests, skipped = evaluate_schedule(disk_deployment)
    assert requests == []
    assert skipped == "There are no advertisers yet; the sensor advertiser_partitions adds them."


@pytest.mark.slow
def test_sequence_requests_the_stages_in_order(
    make_deployment: DeploymentFactory, disk_instance: dg.DagsterInstance
) -> None:
    """The sensor requests the daily stage, the lifetime stage, then the checks, and then nothing more."""
    deployment = make_deployment(disk_instance, start_date="2026-10-05")
    ids = deployment.add_partitions()
    assert evaluate_sensor(deployment, "refresh_sequence")[:2] == ([], "No refresh is in progress.")
    accounts, _ = evaluate_schedule(deployment)
    for request in accounts:
        assert deployment.launch(request).success
    seen = []
    for stage in ("refresh_daily", "refresh_lifetime"):
        requests, skipped, cursor = evaluate_sensor(deployment, "refresh_sequence")
        assert (job_names(requests), skipped, cursor) == ({stage}, None, None)
        assert_executable(deployment, requests)
        again, _, _ = evaluate_sensor(deployment, "refresh_sequence")
        assert [one.run_key for one in again] == [one.run_key for one in requests]
        for request in requests:
            assert request.tags[REFRESH_TAG] == AT
            assert deployment.launch(request).success
        seen += requests
    assert len(seen) == 2
    for table in DAILY:
        assert {key.split("|")[0] for key in deployment.stored_keys(table)} == set(ids)
    for table in LIFETIME:
        assert deployment.stored_keys(table) == ids
    requests, skipped, cursor = evaluate_sensor(deployment, "refresh_sequence")
    assert (job_names(requests), skipped, cursor) == ({"check_tables"}, None, AT)
    assert [one.run_key for one in requests] == [f"{AT}:check_tables"]
    assert evaluate_sensor(deployment, "refresh_sequence", cursor)[:2] == ([], "No refresh is in progress.")


@pytest.mark.slow
def test_sequence_waits_for_every_run_of_a_stage(
    make_deployment: DeploymentFactory, disk_instance: dg.DagsterInstance
) -> None:
    """While a run of the stage is queued or canceling, the next stage is not requested."""
    deployment = make_deployment(
        disk_instance, advertiser_ids=",".join(make_deployment().advertiser_ids[::2]), reports="ad_report_daily"
    )
    deployment.add_partitions(make_deployment().advertiser_ids)
    one, other = evaluate_schedule(deployment)[0]
    assert deployment.launch(one).success
    job = deployment.definitions.resolve_job_def("refresh_accounts")
    queued_run = deployment.instance.create_run_for_job(job, tags=dict(other.tags))
    assert evaluate_sensor(deployment, "refresh_sequence")[:2] == (
        [],
        f"Runs of refresh {AT} are still in progress.",
    )
    deployment.instance.report_run_canceling(queued_run)
    assert evaluate_sensor(deployment, "refresh_sequence")[:2] == (
        [],
        f"Runs of refresh {AT} are still in progress.",
    )
    deployment.instance.report_run_canceled(queued_run)
    assert job_names(evaluate_sensor(deployment, "refresh_sequence")[0]) == {"refresh_daily"}


def test_sequence_waits_for_a_run_that_will_be_run_again(
    make_deployment: DeploymentFactory, disk_instance: dg.DagsterInstance
) -> None:
    """Between the failure of a run and the run in its place, as `run_retries` makes it, no stage is requested."""
    deployment = make_deployment(disk_instance, reports="ad_report_daily")
    deployment.add_partitions()
    (accounts,), _ = evaluate_schedule(deployment)
    job = deployment.definitions.resolve_job_def("refresh_accounts")
    run = deployment.instance.create_run_for_job(job, tags={**accounts.tags, "dagster/run_key": "first"})
    deployment.instance.report_run_failed(run)
    deployment.instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    assert evaluate_sensor(deployment, "refresh_sequence")[:2] == (
        [],
        f"Runs of refresh {AT} are still in progress.",
    )
    deployment.instance.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": "another"})
    assert job_names(evaluate_sensor(deployment, "refresh_sequence")[0]) == {"refresh_daily"}


@pytest.mark.slow
def test_failed_runs_do_not_stop_the_sequence(
    make_deployment: DeploymentFactory, disk_instance: dg.DagsterInstance
) -> None:
    """With one lost account every stage fails in part, and the other accounts still get all three stages."""
    deployment = make_deployment(
        disk_instance, start_date="2026-10-05", reports="ad_report_daily,ad_report_lifetime"
    )
    ids = deployment.add_partitions()
    deployment.revoke(ids[1])
    (accounts,), _ = evaluate_schedule(deployment)
    assert not deployment.launch(accounts).success
    for stage in ("refresh_daily", "refresh_lifetime"):
        requests, _, _ = evaluate_sensor(deployment, "refresh_sequence")
        assert job_names(requests) == {stage}
        assert_executable(deployment, requests)
        for request in requests:
            deployment.launch(request)
    rest = sorted(set(ids) - {ids[1]})
    assert {key.split("|")[0] for key in deployment.stored_keys("ad_report_daily")} == set(rest)
    assert deployment.stored_keys("ad_report_lifetime") == rest
    assert evaluate_sensor(deployment, "refresh_sequence")[2] == AT


@pytest.mark.slow
def test_overlapping_refreshes_run_one_after_another(
    make_deployment: DeploymentFactory, disk_instance: dg.DagsterInstance
) -> None:
    """However often the schedule fires, the refresh in progress runs all stages; later ticks are skipped."""
    deployment = make_deployment(
        disk_instance, start_date="2026-10-05", advertiser_ids=make_deployment().advertiser_ids[1]
    )
    deployment.add_partitions(deployment.settings.advertiser_ids)
    at, cursor, done = WEDNESDAY, None, list[tuple[str, str]]()
    for _ in range(6):  # the cron fires before each tick of the sensor
        requests, skipped = evaluate_schedule(deployment, at)
        assert bool(requests) != bool(skipped)
        assert not skipped or "still in progress" in skipped
        assert not skipped or "shorter than a refresh" in skipped
        requested, _, cursor = (
            evaluate_sensor(deployment, "refresh_sequence", cursor) if skipped else ([], None, cursor)
        )
        for request in [*requests, *requested]:
            deployment.launch(request)
            done.append((request.tags[REFRESH_TAG], str(request.job_name)))
        at += timedelta(minutes=1)
    every = ["refresh_accounts", "refresh_daily", "refresh_lifetime", "check_tables"]
    assert [job for refresh, job in done if refresh == AT] == every
    later = (WEDNESDAY + timedelta(minutes=4)).isoformat()
    assert [job for refresh, job in done if refresh == later] == every[:2]
    assert len(done) == len(every) + 2


def age_runs(deployment: Deployment, hours: int) -> None:
    """Move the last update of every run into the past, as after a stop of the daemon."""
    storage = deployment.instance.run_storage
    with storage.connect() as connection:  # type: ignore[attr-defined]  # of the SQL storage
        connection.execute(sa.update(RunsTable).values(update_timestamp=utc_now() - timedelta(hours=hours)))


@pytest.mark.slow
def test_stopped_refresh_is_superseded(
    make_deployment: DeploymentFactory, disk_instance: dg.DagsterInstance
) -> None:
    """After six hours without a daemon the next refresh names the one it supersedes."""
    deployment = make_deployment(
        disk_instance, start_date="2026-10-05", advertiser_ids=make_deployment().advertiser_ids[1]
    )
    deployment.add_partitions(deployment.settings.advertiser_ids)
    (first,), _ = evaluate_schedule(deployment)
    queued_run = deployment.instance.create_run_for_job(
        deployment.definitions.resolve_job_def("refresh_accounts"), tags=dict(first.tags)
    )
    age_runs(deployment, 6)
    assert "still in progress" in str(evaluate_schedule(deployment, WEDNESDAY + timedelta(hours=6))[1])
    deployment.instance.report_run_canceled(queued_run)
    age_runs(deployment, 6)
    later = WEDNESDAY + timedelta(hours=6)
    (second,), skipped = evaluate_schedule(deployment, later)
    assert skipped is None
    assert second.tags[SUPERSEDES_TAG] == AT
    assert deployment.launch(second).success
    cursor = None
    for stage in ("refresh_daily", "refresh_lifetime", "check_tables"):
        requested, _, cursor = evaluate_sensor(deployment, "refresh_sequence", cursor)
        assert {(one.job_name, one.tags[REFRESH_TAG]) for one in requested} == {(stage, later.isoformat())}
        for request in requested:
            deployment.launch(request)
    assert evaluate_schedule(deployment, later + timedelta(hours=1))[1] is None


@pytest.mark.slow
def test_reload_with_another_cron_continues_the_refresh(
    make_deployment: DeploymentFactory, disk_instance: dg.DagsterInstance
) -> None:
    """A location reloaded with another cron finishes the refresh in progress first."""
    chosen = {"start_date": "2026-10-05", "advertiser_ids": make_deployment().advertiser_ids[1]}
    before = make_deployment(disk_instance, **chosen)
    before.add_partitions(before.settings.advertiser_ids)
    (accounts,), _ = evaluate_schedule(before)
    assert before.launch(accounts).success
    after = make_deployment(disk_instance, refresh_cron="15 * * * *", **chosen)
    later, cursor = WEDNESDAY + timedelta(minutes=45), None
    for stage in ("refresh_daily", "refresh_lifetime", "check_tables"):
        assert "15 * * * *" in str(evaluate_schedule(after, later)[1])
        requested, _, cursor = evaluate_sensor(after, "refresh_sequence", cursor)
        assert {(one.job_name, one.tags[REFRESH_TAG]) for one in requested} == {(stage, AT)}
        for request in requested:
            after.launch(request)
    (following,), _ = evaluate_schedule(after, later)
    assert following.tags[REFRESH_TAG] == later.isoformat()
    assert SUPERSEDES_TAG not in following.tags


def test_sensor_adds_granted_accounts_and_removes_none(deployment: Deployment) -> None:
    """Each granted account is added as a partition once, also if granted later; a lost one stays."""
    ids = deployment.advertiser_ids
    deployment.revoke(ids[3])
    _, message, _ = evaluate_sensor(deployment, "advertiser_partitions")
    assert message == f"3 advertisers are granted or configured. Added {', '.join(ids[:3])}."
    assert list(get_advertiser_keys(deployment.instance, deployment.settings)) == ids[:3]
    assert (
        evaluate_sensor(deployment, "advertiser_partitions")[1]
        == "3 advertisers are granted or configured. None is new."
    )
    deployment.revoke(ids[0])
    deployment.host.control("POST", "grants", advertiser_id=ids[3], granted=True)
    assert (
        evaluate_sensor(deployment, "advertiser_partitions")[1]
        == f"3 advertisers are granted or configured. Added {ids[3]}."
    )
    assert sorted(get_advertiser_keys(deployment.instance, deployment.settings)) == ids


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "fix"),
    [
        ({"access_token": None}, "no token: run `tiktok-assets auth`, or set TIKTOK_ACCESS_TOKEN"),
        ({"access_token": "wrong-token-5e1f"}, "Check TIKTOK_ACCESS_TOKEN"),
        ({"app_secret": "wrong-secret-5e1f"}, "The app_id or the secret is incorrect."),
        ({"app_id": None}, "set TIKTOK_APP_ID and TIKTOK_APP_SECRET"),
    ],
)
def test_sensor_that_cannot_list_accounts_is_skipped(
    make_deployment: DeploymentFactory, overrides: dict[str, str], fix: str
) -> None:
    """Without a valid token or app the tick is skipped with the fix, shows no secret, and adds no account."""
    deployment = make_deployment(**overrides)
    requests, message, _ = evaluate_sensor(deployment, "advertiser_partitions")
    assert requests == []
    assert message
    assert message.startswith("Listing the accounts failed. ")
    assert fix in message
    assert "\n" not in message
    assert not any(secret in message for secret in (*deployment.host.secrets, *filter(None, overrides.values())))
    assert list(get_advertiser_keys(deployment.instance, deployment.settings)) == []


RequestedPartitions = dict[str, AbstractSet[str | None]]
"""The requested partitions by table; a table without partitions has the key None."""


class Automation:
    """The automation conditions of a deployment, evaluated tick by tick."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._cursor: object = None

    def tick(self) -> RequestedPartitions:
        """Evaluate the conditions once and return the requested partitions."""
        result = dg.evaluate_automation_conditions(
            self._deployment.definitions,
            self._deployment.instance,
            cursor=self._cursor,  # type: ignore[arg-type]  # Dagster exports no name for it
        )
        self._cursor = result.cursor
        keys = (dg.AssetKey(table) for table in get_derived_tables(self._deployment.settings))
        found = {
            key.path[-1]: result.get_requested_partitions(key) for key in keys if result.get_num_requested(key)
        }
        assert result.total_requested == sum(map(len, found.values()))
        return found

    def run_until_idle(self) -> list[RequestedPartitions]:
        """Run what each tick requests until nothing is requested, and return the requests by tick."""
        requested = []
        while found := self.tick():
            requested.append(found)
            assert len(requested) < 6, requested
            unpartitioned = [table for table, keys in found.items() if None in keys]
            for table, keys in found.items():
                owners = [
                    key
                    for key in get_advertiser_keys(self._deployment.instance, self._deployment.settings)
                    if key in keys
                ]
                if owners:
                    assert self._deployment.run_range("refresh_derived", owners, tables=[table]).success
            if unpartitioned:
                assert self._deployment.run("refresh_derived", tables=unpartitioned).success
        return requested


@pytest.mark.slow
def test_derived_assets_are_rebuilt_once_after_updates(deployment: Deployment) -> None:
    """Ranking and candidates of the updated accounts are rebuilt, then the warehouse once, then nothing."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_accounts", ids).success
    assert deployment.run_range("refresh_lifetime", ids).success
    automation = Automation(deployment)
    automation.tick()
    assert deployment.run_range("refresh_lifetime", ids[1:3]).success
    by_account = ("top_spenders", "duplication_candidates", "creatives", "creative_daily", "creative_declines")
    assert automation.tick() == {key: set(ids[1:3]) for key in by_account}
    assert deployment.run_range("refresh_derived", ids[1:3], tables=by_account).success
    assert automation.tick() == {key: {None} for key in UNPARTITIONED_DERIVED_TABLES}
    assert deployment.run("refresh_derived", tables=UNPARTITIONED_DERIVED_TABLES).success
    assert automation.tick() == {}
    assert automation.tick() == {}


@pytest.mark.slow
def test_daily_reports_do_not_rebuild_the_ranking(deployment: Deployment) -> None:
    """An update of daily reports rebuilds the creatives, then page and warehouse once, and not the ranking."""
    ids = deployment.add_partitions()
    automation = Automation(deployment)
    automation.tick()
    assert deployment.run("refresh_daily", {"dagster/partition": f"{ids[1]}|2026-10-02"}).success
    requested = automation.run_until_idle()
    assert not any(one.keys() & {"top_spenders", "duplication_candidates"} for one in requested)
    assert requested[0] == {
        key: {ids[1]} for key in ("creatives", "creative_daily", "creative_declines", "duplication_results")
    }
    assert requested[1:] == [{key: {None} for key in UNPARTITIONED_DERIVED_TABLES}]


@pytest.mark.slow
def test_failed_ranking_does_not_block_the_warehouse(deployment: Deployment) -> None:
    """The warehouse waits for a requested ranking, but is built after the ranking failed."""
    ids = deployment.add_partitions()
    automation = Automation(deployment)
    automation.tick()
    assert deployment.run_range("refresh_lifetime", ids[:1]).success
    by_account = ("top_spenders", "duplication_candidates", "creatives", "creative_daily", "creative_declines")
    assert automation.tick() == {key: {ids[0]} for key in by_account}
    assert automation.tick() == {key: {None} for key in UNPARTITIONED_DERIVED_TABLES}


def test_conditions_are_serializable(deployment: Deployment) -> None:
    """Each automation condition can be serialized for the daemon of a deployment."""
    graph = deployment.definitions.resolve_asset_graph()
    for table in get_derived_tables(deployment.settings):
        condition = graph.get(dg.AssetKey(table)).automation_condition
        assert condition
        assert condition.is_serializable
        assert condition.get_label()


def test_schedule_and_sensors_run_by_default(deployment: Deployment) -> None:
    """The daily schedule and the sensors are running in a new deployment, and compaction is not."""
    repository = deployment.definitions.get_repository_def()
    schedules = {one.name: one.default_status for one in repository.schedule_defs}
    sensors = {one.name: one.default_status for one in repository.sensor_defs}
    assert schedules == {
        "daily_refresh": dg.DefaultScheduleStatus.RUNNING,
        "monthly_compaction": dg.DefaultScheduleStatus.STOPPED,
    }
    ours = {"advertiser_partitions", "refresh_sequence", "derived_assets", "new_top_spender"}
    alert_sensors = {"deliver_alerts", "run_failure_alert"}
    assert sensors == dict.fromkeys(ours | alert_sensors, dg.DefaultSensorStatus.RUNNING)


def test_schedule_uses_the_cron_setting_in_utc(make_deployment: DeploymentFactory) -> None:
    """The schedule fires after TikTok's correction at noon UTC, or at the time of the setting."""
    for cron, deployment in {
        "30 12 * * *": make_deployment(),
        "15 14 * * 1": make_deployment(refresh_cron="15 14 * * 1"),
    }.items():
        schedule = deployment.definitions.get_repository_def().get_schedule_def("daily_refresh")
        assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "UTC")

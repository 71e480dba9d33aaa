"""Test that a new top spender is requested until it is flagged, and flagged once, whatever is lost."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
import sqlalchemy as sa

from tiktok_assets.defs.jobs import UNPARTITIONED_DERIVED_TABLES
from tiktok_assets.defs.run_tags import FLAG_ATTEMPT_TAG, FLAG_TAG
from tiktok_assets.defs.scaling_jobs import FLAG_JOB
from tiktok_assets.defs.scaling_sensors import (
    INITIAL_RETRY_DELAY,
    MAX_REPORTED_ADS,
    MAX_RETRY_DELAY,
    RANKINGS_PER_PAGE,
    evaluate_rankings,
    get_next_attempt,
)
from tiktok_assets.overview.page import PAGE_FILE_NAME
from tiktok_assets.sandbox.world.model import Scenario, WorldPlan
from tiktok_assets.storage.state import flags, outbox, top_spender_changes
from tiktok_assets.top_spenders.flags import compute_flag_id
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import Deployment, open_deployment
from tiktok_assets_tests.defs.test_automation import Automation

PLAN = WorldPlan(days=90, advertisers=1, campaigns=1, ad_groups=2, ads=2)
"""One account with the scenario: between T1 and T2 an ad overtakes the top spender of its campaign."""

REPORTS = "ad_report_lifetime,campaign_report_lifetime"
Opener = Callable[..., Deployment]


def refresh(deployment: Deployment, at: datetime) -> None:
    """Refresh account tables, lifetime reports, ranking and candidates."""
    deployment.host.sandbox.clock.set(at)
    deployment.add_partitions()
    for stage in ("refresh_accounts", "refresh_lifetime"):
        for result in deployment.refresh(stage):
            assert result.success
    assert deployment.run_range("refresh_derived", deployment.advertiser_ids, tables=TABLES).success


TABLES = ("top_spenders", "duplication_candidates")


@pytest.fixture(scope="module")
def scenario_host() -> Iterator[Host]:
    """Run the account of the scenario over real HTTP."""
    with Host.run(PLAN) as host:
        yield host


@pytest.fixture(scope="module")
def scenario(scenario_host: Host) -> Scenario:
    """Return which ad overtakes which, and when."""
    found = scenario_host.sandbox.world.scenario
    assert found
    return found


@pytest.fixture(scope="module")
def overtaken_folder(scenario_host: Host, scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two refreshes, in which the ad has overtaken_folder and is not flagged yet."""
    folder = tmp_path_factory.mktemp("overtaken")
    with open_deployment(scenario_host, folder, reports=REPORTS) as deployment:
        refresh(deployment, scenario.t1)
        refresh(deployment, scenario.t2)
    return folder


@pytest.fixture
def open_copy(scenario_host: Host, overtaken_folder: Path, tmp_path: Path) -> Iterator[Opener]:
    """Return a factory of deployments on one copy of that folder, each with a new instance."""
    folder = tmp_path / "copy"
    shutil.copytree(overtaken_folder, folder)
    with ExitStack() as stack:
        yield lambda instance=None, **overrides: stack.enter_context(
            open_deployment(scenario_host, folder, instance, **{"reports": REPORTS, **overrides})
        )


def evaluate_sensor(
    deployment: Deployment, cursor: str | None = None
) -> tuple[list[dg.RunRequest], str, str | None]:
    """Return the sensor's run requests, its message and its cursor."""
    repository = deployment.definitions.get_repository_def()
    with dg.build_sensor_context(
        instance=deployment.instance, cursor=cursor, repository_def=repository
    ) as context:
        found = repository.get_sensor_def("new_top_spender").evaluate_tick(context)
    return list(found.run_requests or ()), found.skip_message or "", found.cursor


def run_request(deployment: Deployment, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """Run a request of the sensor, exactly as requested."""
    assert request.job_name == FLAG_JOB
    job = deployment.definitions.get_repository_def().get_job(FLAG_JOB)
    dg.validate_run_config(job, request.run_config)
    return job.execute_in_process(
        instance=deployment.instance, run_config=request.run_config, tags=dict(request.tags), raise_on_error=False
    )


def count_flags_and_alerts(deployment: Deployment) -> tuple[int, int]:
    """Return the number of flags and of alerts in the state."""
    with deployment.session.state.transaction() as connection:
        rows = [connection.scalar(sa.select(sa.func.count()).select_from(table)) for table in (flags, outbox)]
    return int(rows[0] or 0), int(rows[1] or 0)


def get_flag_id(scenario: Scenario) -> str:
    """Return the id of the scenario's flag."""
    return compute_flag_id(scenario.advertiser_id, scenario.campaign_id, scenario.new_leader_ad_id)


@pytest.mark.slow
def test_overtaking_ad_is_flagged_once(scenario_host: Host, scenario: Scenario, tmp_path: Path) -> None:
    """The first evaluation requests nothing, the second one run, which flags and queues an alert."""
    with open_deployment(scenario_host, tmp_path, reports=REPORTS) as deployment:
        refresh(deployment, scenario.t1)
        requests, message, cursor = evaluate_sensor(deployment)
        assert (requests, message) == (
            [],
            "1 ranking since the last evaluation.\nNo campaign has a new top spender.",
        )
        refresh(deployment, scenario.t2)
        (request,), _, cursor = evaluate_sensor(deployment, cursor)
        assert request.run_key == f"{get_flag_id(scenario)}:0"
        assert deployment.read_table("duplication_candidates").get_column("status").to_list() == ["due"]
        assert run_request(deployment, request).success
        assert count_flags_and_alerts(deployment) == (1, 1)
        (row,) = deployment.read_table("duplication_candidates").to_dicts()
        assert (row["ad_id"], row["status"], row["flag_id"]) == (
            scenario.new_leader_ad_id,
            "flagged",
            get_flag_id(scenario),
        )
        assert row["previous_ad_id"] == scenario.old_leader_ad_id
        assert [key for key, _ in deployment.materializations("duplication_candidates")] == [
            scenario.advertiser_id
        ] * 3
        assert evaluate_sensor(deployment, cursor)[:2] == (
            [],
            "0 rankings since the last evaluation.\nNo campaign has a new top spender.",
        )
        assert deployment.run_range("refresh_derived", deployment.advertiser_ids, tables=TABLES).success
        assert evaluate_sensor(deployment, cursor)[:2] == (
            [],
            "1 ranking since the last evaluation.\nNo campaign has a new top spender.",
        )
        assert deployment.read_table("duplication_candidates").to_dicts() == [row]
        assert count_flags_and_alerts(deployment) == (1, 1)


@pytest.mark.slow
def test_evaluation_has_no_side_effects(open_copy: Opener) -> None:
    """An evaluation leaves the state, the tables and the instance unchanged."""
    deployment = open_copy()
    before = (
        count_flags_and_alerts(deployment),
        deployment.read_bytes("duplication_candidates", deployment.advertiser_ids[0]),
    )
    first, again = evaluate_sensor(deployment), evaluate_sensor(deployment)
    assert [one.run_key for one in first[0]] == [one.run_key for one in again[0]]
    assert (
        count_flags_and_alerts(deployment),
        deployment.read_bytes("duplication_candidates", deployment.advertiser_ids[0]),
    ) == before
    assert deployment.instance.get_runs() == []


@pytest.mark.slow
def test_killed_daemon_requests_the_same_run_again(open_copy: Opener) -> None:
    """A tick whose run was never created requests it again with the same key, also with the saved cursor."""
    deployment = open_copy()
    (request,), _, cursor = evaluate_sensor(deployment)
    (again,), _, _ = evaluate_sensor(deployment, cursor)
    assert (again.run_key, again.run_config) == (request.run_key, request.run_config)
    assert run_request(deployment, again).success
    assert evaluate_sensor(deployment, cursor)[0] == []
    assert count_flags_and_alerts(deployment) == (1, 1)


def add_unfinished_run(deployment: Deployment, scenario: Scenario, attempt: int, ago: timedelta) -> str:
    """Add a run for the flag that was created and never ended."""
    tags = {FLAG_TAG: get_flag_id(scenario), FLAG_ATTEMPT_TAG: str(attempt)}
    run = dg.DagsterRun(job_name=FLAG_JOB, run_id=str(uuid4()), tags=tags, status=dg.DagsterRunStatus.STARTED)
    deployment.instance.run_storage.add_historical_run(run, datetime.now(UTC) - ago)
    return run.run_id


def test_lost_run_does_not_block_its_flag(open_copy: Opener, scenario: Scenario) -> None:
    """A run that never ended is waited for a while; then another is requested with a new key."""
    deployment = open_copy()
    run_id = add_unfinished_run(deployment, scenario, 0, INITIAL_RETRY_DELAY - timedelta(minutes=1))
    requests, message, _ = evaluate_sensor(deployment)
    assert requests == []
    assert f"Already requested: Unboxing UGC | v4 ({scenario.new_leader_ad_id})" in message
    assert run_id in message
    add_unfinished_run(deployment, scenario, 1, INITIAL_RETRY_DELAY * 2)
    (request,), _, _ = evaluate_sensor(deployment)
    assert request.run_key == f"{get_flag_id(scenario)}:2"
    assert request.tags[FLAG_ATTEMPT_TAG] == "2"
    assert run_request(deployment, request).success
    assert count_flags_and_alerts(deployment) == (1, 1)


def test_failed_run_leaves_nothing_and_is_retried(open_copy: Opener, scenario: Scenario) -> None:
    """A run that cannot write fails as a whole; a later one with another key flags."""
    deployment = open_copy()
    (request,), _, _ = evaluate_sensor(deployment)
    with deployment.session.state.transaction() as connection:
        connection.execute(sa.text("ALTER TABLE outbox RENAME TO away"))
    assert not run_request(deployment, request).success
    with deployment.session.state.transaction() as connection:
        connection.execute(sa.text("ALTER TABLE away RENAME TO outbox"))
    assert count_flags_and_alerts(deployment) == (0, 0)
    assert "Already requested" in evaluate_sensor(deployment)[1]
    add_unfinished_run(deployment, scenario, 1, INITIAL_RETRY_DELAY * 2)
    (again,), _, _ = evaluate_sensor(deployment)
    assert again.run_key == f"{get_flag_id(scenario)}:2"
    assert run_request(deployment, again).success
    assert count_flags_and_alerts(deployment) == (1, 1)


def test_lost_cursor_or_instance_flags_nothing_twice(open_copy: Opener, scenario: Scenario) -> None:
    """A new instance requests only the flags that the state does not have."""
    first, second, third = open_copy(), open_copy(), open_copy()
    (request,), _, cursor = evaluate_sensor(first)
    assert cursor is None  # this instance has no ranking
    assert run_request(first, request).success
    for deployment in (second, third):
        assert evaluate_sensor(deployment)[0] == []
        assert evaluate_sensor(deployment, "not a number")[0] == []
        assert evaluate_sensor(deployment, str(10**9))[0] == []
    assert run_request(second, request).success  # a run that was queued twice
    assert count_flags_and_alerts(third) == (1, 1)
    assert get_flag_id(scenario) in request.tags.values()


def test_two_sensors_at_once_flag_once(open_copy: Opener) -> None:
    """Two daemons that run the same request leave one flag and one alert."""
    one, other = open_copy(), open_copy()
    requested = [evaluate_sensor(deployment)[0] for deployment in (one, other)]
    assert [request.run_key for (request,) in requested] == [requested[0][0].run_key] * 2
    for deployment, (request,) in zip((one, other), requested, strict=True):
        assert run_request(deployment, request).success
    assert count_flags_and_alerts(one) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"min_spend": "5000"}, "less than TIKTOK_MIN_SPEND of 5000 USD"),
        ({"min_lead": "0.5"}, "less than TIKTOK_MIN_LEAD of 50.00 %"),
        ({"exclude_names": "UGC"}, "TIKTOK_EXCLUDE_NAMES finds 'UGC' in its name"),
        ({"flags_per_day": 0}, "TIKTOK_FLAGS_PER_DAY is 0"),
    ],
)
def test_held_back_ad_is_reported_with_its_reason(
    open_copy: Opener, scenario: Scenario, overrides: dict[str, Any], reason: str
) -> None:
    """The tick's message, the table and the log of a run launched by hand name the ad and the reason."""
    deployment = open_copy(**overrides)
    requests, message, _ = evaluate_sensor(deployment)
    assert requests == []
    (line,) = [line for line in message.splitlines() if line.startswith("Held back: ")]
    assert f"Unboxing UGC | v4 ({scenario.new_leader_ad_id}) in campaign {scenario.campaign_id}: " in line
    assert reason in line
    assert deployment.run_range("refresh_derived", deployment.add_partitions(), tables=TABLES[1:]).success
    (row,) = deployment.read_table("duplication_candidates").to_dicts()
    assert (row["status"], row["flagged_at"]) == ("held", None)
    assert reason in row["reason"]
    ids = {
        "advertiser_id": scenario.advertiser_id,
        "campaign_id": scenario.campaign_id,
        "ad_id": scenario.new_leader_ad_id,
    }
    by_hand = dg.RunRequest(job_name=FLAG_JOB, run_config={"ops": {"flag_ad": {"config": ids}}})
    assert run_request(deployment, by_hand).success
    assert count_flags_and_alerts(deployment) == (0, 0)


def test_ad_that_never_led_is_refused(open_copy: Opener, scenario: Scenario) -> None:
    """A run launched by hand with other ids fails and says what is wrong."""
    deployment = open_copy()
    ids = {"advertiser_id": scenario.advertiser_id, "campaign_id": scenario.campaign_id, "ad_id": "7"}
    result = run_request(
        deployment, dg.RunRequest(job_name=FLAG_JOB, run_config={"ops": {"flag_ad": {"config": ids}}})
    )
    assert not result.success
    (event,) = [one for one in result.all_events if one.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data
    assert data.description == (
        f"ad 7 never began to lead campaign {scenario.campaign_id} of advertiser {scenario.advertiser_id};"
        " check the three ids"
    )
    assert count_flags_and_alerts(deployment) == (0, 0)


def test_every_ranking_since_the_cursor_is_counted(open_copy: Opener) -> None:
    """More rankings than a page are all counted, and the cursor is after the last."""
    deployment = open_copy()
    few = RANKINGS_PER_PAGE + 3
    for number in range(few):
        deployment.instance.report_runless_asset_event(
            dg.AssetMaterialization("top_spenders", partition=str(number))
        )
    newest = deployment.materializations("top_spenders")
    assert RANKINGS_PER_PAGE < len(newest) == few
    evaluation = evaluate_rankings(deployment.instance, deployment.session, None)
    assert evaluation.messages[0] == f"{few} rankings since the last evaluation."
    assert (
        evaluate_rankings(deployment.instance, deployment.session, evaluation.cursor).messages[0]
        == "0 rankings since the last evaluation."
    )
    assert (
        evaluate_rankings(deployment.instance, deployment.session, evaluation.cursor).cursor == evaluation.cursor
    )


def test_long_message_is_truncated(open_copy: Opener, scenario: Scenario) -> None:
    """With many held back ads the message is truncated, starts with new top spenders, and names the table."""
    deployment = open_copy()
    with deployment.session.state.transaction() as connection:
        row = connection.execute(sa.select(top_spender_changes)).mappings().first()
        assert row
        more = [
            {**row, "change_id": None, "campaign_id": str(number), "previous_ad_id": "1"}
            for number in range(MAX_REPORTED_ADS + 5)
        ]
        connection.execute(sa.insert(top_spender_changes), more)
    evaluation = evaluate_rankings(deployment.instance, deployment.session, None)
    assert (
        evaluation.messages[1]
        == f"New top spender: Unboxing UGC | v4 ({scenario.new_leader_ad_id}) in campaign {scenario.campaign_id}."
    )
    assert len(evaluation.messages) == MAX_REPORTED_ADS + 2
    assert evaluation.messages[-1] == "And 6 more; see duplication_candidates."


def test_retry_delay_doubles_up_to_its_maximum() -> None:
    """The first attempt has no delay; the delay of each next one doubles up to its maximum."""
    now = datetime(2026, 10, 7, tzinfo=UTC)
    assert get_next_attempt(None, now) == 0
    for attempt in (0, 1, 5, 500):
        wait = min(INITIAL_RETRY_DELAY * 2**attempt, MAX_RETRY_DELAY) if attempt < 10 else MAX_RETRY_DELAY
        assert get_next_attempt((attempt, now - wait), now) == attempt + 1
        assert get_next_attempt((attempt, now - wait + timedelta(seconds=1)), now) is None


def test_no_ranking_no_sensor(open_copy: Opener) -> None:
    """Without the lifetime reports there is no sensor, no job and no table."""
    deployment = open_copy(reports="ad_report_daily")
    repository = deployment.definitions.get_repository_def()
    assert "new_top_spender" not in {sensor.name for sensor in repository.sensor_defs}
    assert FLAG_JOB not in repository.job_names


@pytest.mark.slow
def test_flag_rebuilds_page_and_warehouse_once(open_copy: Opener) -> None:
    """Page and warehouse are rebuilt once for a flag that came right after they were built."""
    deployment = open_copy()
    deployment.add_partitions()
    automation = Automation(deployment)
    assert deployment.run_range("refresh_derived", deployment.advertiser_ids, tables=TABLES).success
    automation.tick()
    assert deployment.run("refresh_derived", tables=UNPARTITIONED_DERIVED_TABLES).success
    (request,), _, _ = evaluate_sensor(deployment)
    assert run_request(deployment, request).success
    assert automation.run_until_idle() == [{key: {None} for key in UNPARTITIONED_DERIVED_TABLES}]
    assert "flagged" in Path(str(deployment.store.base), PAGE_FILE_NAME).read_text(encoding="utf-8")

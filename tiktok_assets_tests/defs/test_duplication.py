"""Test duplication in Dagster: it needs approval, runs once, leaves the copy switched off, and is reported."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml  # type: ignore[import-untyped]  # ships no types

from tiktok_assets.alerts.dagster_urls import build_launchpad_config
from tiktok_assets.definitions import build_definitions
from tiktok_assets.defs.run_tags import DUPLICATION_ATTEMPT_TAG, DUPLICATION_KEY_TAG
from tiktok_assets.defs.scaling_sensors import (
    MAX_FLAG_AGE,
    build_duplication_runs,
    find_flagged_requests,
    find_unfinished_requests,
)
from tiktok_assets.duplication import approvals
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.settings import load_settings
from tiktok_assets.storage.state import flags
from tiktok_assets_tests.cli.conftest import run_command
from tiktok_assets_tests.defs.conftest import Deployment, open_deployment
from tiktok_assets_tests.duplication.harness import APPROVED_ON_TERMINAL, DuplicationHarness

JOB = "duplicate_ad"


@pytest.fixture
def execute_deployment(harness: DuplicationHarness, tmp_path: Path) -> Iterator[Deployment]:
    """Open a deployment in mode `execute` with the scaling campaign of the scenario."""
    campaigns = {harness.owner.id: harness.scaling_campaign.id}
    with open_deployment(
        harness.host, tmp_path, scaling_mode="execute", scaling_campaigns=campaigns
    ) as deployment:
        yield deployment


def issue_alert_code(deployment: Deployment, request: DuplicationRequest) -> str:
    """Return the approval code of an alert for a request."""
    with deployment.session.state.transaction() as connection:
        return approvals.issue_code(connection, request, "alert", datetime.now(UTC)).text


def approved_config(deployment: Deployment, request: DuplicationRequest, **other: Any) -> dict[str, Any]:  # noqa: ANN401 - any value
    """Return the run configuration of a live run with its approval code."""
    budget = {} if request.budget is None else {"budget": str(request.budget)}
    return build_config(request, live=True, approval=issue_alert_code(deployment, request), **budget, **other)


def build_config(request: DuplicationRequest, **other: Any) -> dict[str, Any]:  # noqa: ANN401 - any value
    """Return the run configuration of a request."""
    own = {"advertiser_id": request.advertiser_id, "ad_id": request.ad_id, "campaign_id": request.campaign_id}
    return {"ops": {JOB: {"config": {**own, "again": request.again, **other}}}}


def launch(
    deployment: Deployment, config: Mapping[str, Any], tags: Mapping[str, str] | None = None
) -> dg.ExecuteInProcessResult:
    """Run the job as the launchpad does."""
    return deployment.definitions.resolve_job_def(JOB).execute_in_process(
        run_config=dict(config), instance=deployment.instance, tags=dict(tags or {}), raise_on_error=False
    )


def get_metadata(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    """Return the output metadata of the op."""
    (event,) = [one for one in result.all_events if one.is_successful_output]
    return {name: value.value for name, value in event.step_output_data.metadata.items()}


def get_op_failure(result: dg.ExecuteInProcessResult) -> str:
    """Return the error message of the failed op."""
    (event,) = [one for one in result.all_events if one.is_step_failure]
    failure_data = event.step_failure_data.user_failure_data
    assert failure_data
    return str(failure_data.description)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "sensors"),
    [
        ("alert", {}),
        ("propose", {"finish_duplications": "RUNNING"}),
        ("execute", {"finish_duplications": "RUNNING", "execute_duplications": "STOPPED"}),
    ],
)
def test_scaling_mode_decides_what_is_registered(tmp_path: Path, mode: str, sensors: dict[str, str]) -> None:
    """In `alert` nothing that writes is registered; `execute_duplications` is stopped by default."""
    settings = load_settings(scaling_mode=mode, state_dir=tmp_path, data_dir=str(tmp_path))
    definitions = build_definitions(settings)
    jobs = {job.name for job in definitions.resolve_all_job_defs()}
    assert (JOB in jobs) is (mode != "alert")
    found = {
        sensor.name: sensor.default_status.name for sensor in definitions.sensors or () if "dupl" in sensor.name
    }
    assert found == sensors


def test_alert_link_is_a_dry_run_that_shows_every_request(
    harness: DuplicationHarness, execute_deployment: Deployment
) -> None:
    """The configuration in an alert's link runs, writes nothing, and shows the requests that would be sent."""
    request = harness.request()
    config = yaml.safe_load(build_launchpad_config(request.advertiser_id, request.ad_id, request.campaign_id))
    result = launch(execute_deployment, config)
    assert result.success
    text = str(get_metadata(result)["dry_run"])
    for path in ("adgroup/create", "ad/create"):
        assert f"POST {harness.host.sandbox.base_url}/open_api/v1.3/{path}/\n{{" in text
    assert "source_copyable: passed" in text
    assert harness.host.sandbox.token not in text
    assert harness.write_requests == []
    assert Ledger(execute_deployment.session.state).entries() == []


def test_live_launch_with_code_duplicates_once(
    harness: DuplicationHarness, execute_deployment: Deployment
) -> None:
    """A live run creates the copy switched off and exports it; launched again it sends nothing."""
    request = harness.request(again=1, budget=Decimal(45))
    config = approved_config(execute_deployment, request)
    first = launch(execute_deployment, config, {"dagster/from_ui": "true", "user": "ann\x1b[2J"})
    assert first.success, get_op_failure(first)
    assert get_metadata(first)["sent"] is True
    (group,), (ad,) = harness.created_objects(request)
    assert (group["operation_status"], ad["operation_status"], group["budget"]) == ("DISABLE", "DISABLE", 45)
    sent = len(harness.write_requests)
    again = launch(execute_deployment, config)
    assert get_metadata(again)["sent"] is False
    assert "nothing was sent" in str(get_metadata(again)["duplication"])
    assert len(harness.write_requests) == sent
    (row,) = execute_deployment.read_table("ad_duplications").to_dicts()
    assert (row["status"], row["copy_ad_id"], row["duplication_key"]) == ("done", ad["ad_id"], request.key)
    who = f"run {first.run_id} (user=ann\\x1b[2J, dagster/from_ui=true)"
    assert (row["approved_how"], row["approved_by"]) == ("code", who)
    assert row["approved_at"]
    code = config["ops"][JOB]["config"]["approval"]
    for run in (first, again):
        assert code not in repr(execute_deployment.instance.all_logs(run.run_id))
    assert [key for key, _ in execute_deployment.materializations("ad_duplications")] == [
        request.advertiser_id
    ] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ad_id": "12345"}, "ad 12345 is not in account"),
        ({"budget": "5"}, "at least 20 USD"),
        ({"budget": "dear"}, "is not an amount"),
        ({"budget": "-5"}, "more than 0"),
        ({"campaign_id": "x"}, "is not an id"),
        ({"again": -1}, "below 0"),
    ],
)
def test_refused_run_fails_with_its_reason(
    harness: DuplicationHarness, execute_deployment: Deployment, change: dict[str, object], reason: str
) -> None:
    """An impossible duplication fails the run with the reason and writes nothing."""
    request = harness.request(again=2)
    budget = Decimal(5) if change.get("budget") == "5" else None
    approved_request = replace(request, ad_id=str(change.get("ad_id", request.ad_id)), budget=budget)
    result = launch(
        execute_deployment,
        build_config(
            request, live=True, **{"approval": issue_alert_code(execute_deployment, approved_request), **change}
        ),
    )
    assert not result.success
    assert reason in get_op_failure(result)
    assert harness.write_requests == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["propose", "execute"])
@pytest.mark.parametrize("enable", [False, True])
def test_launch_without_code_sends_nothing(
    harness: DuplicationHarness, tmp_path: Path, mode: str, *, enable: bool
) -> None:
    """Without the approval code a live run fails with one sentence; nothing is requested, created or stored."""
    request = harness.request(again=7)
    campaigns = {harness.owner.id: harness.scaling_campaign.id}
    with open_deployment(harness.host, tmp_path, scaling_mode=mode, scaling_campaigns=campaigns) as deployment:
        code = issue_alert_code(deployment, request)
        for guessed, reason in (
            (None, "setting" if enable else "needs the approval code of its alert"),
            ("", "needs the approval code"),
            ("A" * 24, "not issued here"),
            (code.replace("-", "")[:-1], "not issued here"),
        ):
            result = launch(deployment, build_config(request, live=True, enable=enable, approval=guessed or ""))
            text = get_op_failure(result)
            assert ("TIKTOK_SCALING_ENABLE" if enable else reason) in text
            assert code not in text
            assert "\n" not in text
            step = next(event for event in result.all_events if event.is_step_failure)
            assert step.step_failure_data.user_failure_data
        assert harness.host.requests == []
        assert Ledger(deployment.session.state).entries() == []
        assert deployment.materializations("ad_duplications") == []


def test_code_in_a_dry_run_is_warned_about(harness: DuplicationHarness, execute_deployment: Deployment) -> None:
    """A dry run needs no code; it warns that the code in its configuration can be read, and does not use it."""
    request = harness.request(again=8)
    config = approved_config(execute_deployment, request)
    config["ops"][JOB]["config"]["live"] = False
    result = launch(execute_deployment, config)
    assert result.success
    text = [entry.user_message for entry in execute_deployment.instance.all_logs(result.run_id)]
    assert [line for line in text if "everyone who can see this run can read the code" in line]
    config["ops"][JOB]["config"]["live"] = True
    assert launch(execute_deployment, config).success


@pytest.mark.slow
def test_job_and_command_at_once_create_one_copy(
    harness: DuplicationHarness, execute_deployment: Deployment, tmp_path: Path
) -> None:
    """The job and the command, run at the same time in two processes, create one copy."""
    request = harness.request(again=3)
    sandbox = harness.host.sandbox
    variables = {
        "TIKTOK_BASE_URL": sandbox.base_url,
        "TIKTOK_ACCESS_TOKEN": sandbox.token,
        "TIKTOK_ADVERTISER_IDS": request.advertiser_id,
        "TIKTOK_STATE_DIR": str(execute_deployment.settings.state_dir),
        "TIKTOK_DATA_DIR": execute_deployment.settings.data_dir,
        "TIKTOK_SCALING_MODE": "propose",
    }
    requested = [
        "duplicate",
        request.ad_id,
        "--to",
        request.campaign_id,
        "--again",
        "3",
        "--live",
        "--yes",
        "--json",
    ]
    config = approved_config(execute_deployment, request)
    harness.host.control("POST", "latency", seconds=0.2)  # so that both run at the same time
    with ThreadPoolExecutor(1) as pool:
        command = pool.submit(run_command, *requested, variables=variables, folder=tmp_path)
        results = [launch(execute_deployment, config) for _ in range(2)]
        ran = command.result()
    harness.host.control("POST", "latency", seconds=0)
    assert [result.success for result in results] == [True, True]
    assert ran.exit_code == 0, ran.err
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]
    assert json.loads(ran.out)["copy_ad_id"] == harness.created_objects(request)[1][0]["ad_id"]


def insert_flag(
    deployment: Deployment,
    request: DuplicationRequest,
    flagged_at: datetime,
    campaign_id: str = "1",
    **facts: str,
) -> None:
    """Insert a flag as the job that flags writes it."""
    row = {"flag_id": f"flag{request.ad_id}", "advertiser_id": request.advertiser_id, "campaign_id": campaign_id}
    with deployment.session.state.transaction() as connection:
        connection.execute(sa.insert(flags).values(**row, ad_id=request.ad_id, flagged_at=flagged_at, facts=facts))


def test_execute_duplicates_a_new_flag_once_switched_off(
    harness: DuplicationHarness, execute_deployment: Deployment
) -> None:
    """A new flag is requested until the ledger has it; an old one, or one of an ad without copies, never."""
    request = harness.request()
    assert launch(
        execute_deployment, build_config(request)
    ).success  # the session reads the host's clock from here on
    state, settings, now = execute_deployment.session.state, execute_deployment.settings, execute_deployment.now
    insert_flag(execute_deployment, request, now - timedelta(hours=1))
    insert_flag(execute_deployment, harness.request(ad_id="71"), now - MAX_FLAG_AGE - timedelta(minutes=1))
    insert_flag(execute_deployment, harness.request(ad_id="72"), now, campaign_id=harness.scaling_campaign.id)
    insert_flag(execute_deployment, harness.request(ad_id="73"), now, duplicable="by hand")
    (requested,) = find_flagged_requests(state, settings, now)
    assert requested == harness.request(flag_id=f"flag{request.ad_id}")
    foreign = launch(execute_deployment, build_config(request, live=True))
    assert "needs the approval code" in get_op_failure(foreign)
    (run_request,) = evaluate_sensor(execute_deployment, "execute_duplications")
    assert isinstance(run_request, dg.RunRequest)
    assert run_request.run_config["ops"][JOB]["config"]["enable"] is False
    code = run_request.run_config["ops"][JOB]["config"]["approval"]
    # A launch without the run's code sends nothing, and the code approves no other configuration.
    assert "needs the approval code" in get_op_failure(
        launch(execute_deployment, build_config(request, live=True), run_request.tags)
    )
    for other in ({"budget": "500"}, {"again": 1}, {"enable": True}):
        changed = build_config(request, **{"live": True, "approval": code, **other})
        assert "not approved" in get_op_failure(launch(execute_deployment, changed))
    assert harness.write_requests == []
    result = launch(execute_deployment, run_request.run_config, run_request.tags)
    assert result.success, get_op_failure(result)
    (group,), (ad,) = harness.created_objects(request)
    assert (group["operation_status"], ad["operation_status"]) == ("DISABLE", "DISABLE")
    assert list(find_flagged_requests(state, settings, now)) == []
    (entry,) = Ledger(state).entries()
    assert entry.flag_id == f"flag{request.ad_id}"
    assert (entry.approved_how, entry.approved_by) == (
        "execute",
        f"run {result.run_id} (dagster/sensor_name=execute_duplications)",
    )
    (skip,) = evaluate_sensor(execute_deployment, "execute_duplications")
    assert isinstance(skip, dg.SkipReason)


def evaluate_sensor(deployment: Deployment, name: str) -> list[object]:
    """Return the run requests of a sensor, or its skip reason."""
    sensor = next(one for one in deployment.definitions.sensors or () if one.name == name)
    data = sensor.evaluate_tick(
        dg.build_sensor_context(instance=deployment.instance, definitions=deployment.definitions)
    )
    return [*(data.run_requests or ()), *([dg.SkipReason(data.skip_message)] if data.skip_message else [])]


def test_interrupted_duplication_is_requested_again(
    harness: DuplicationHarness, execute_deployment: Deployment
) -> None:
    """An unfinished live duplication is requested again with its configuration, unless its lease is held."""
    request = harness.request(again=4)
    ledger = Ledger(execute_deployment.session.state)
    with ledger.lease(request.advertiser_id, seconds=30, wait_seconds=0) as lease:
        ledger.start(lease, request, APPROVED_ON_TERMINAL)
        assert list(find_unfinished_requests(execute_deployment.session.state)) == []
    (run_request,) = evaluate_sensor(execute_deployment, "finish_duplications")
    assert isinstance(run_request, dg.RunRequest)
    config = run_request.run_config["ops"][JOB]["config"]
    assert (config["again"], config["live"], config["enable"]) == (4, True, False)
    result = launch(execute_deployment, run_request.run_config, run_request.tags)
    assert result.success, get_op_failure(result)
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]
    assert list(find_unfinished_requests(execute_deployment.session.state)) == []
    # After a recent run none is requested, whatever its status.
    assert list(build_duplication_runs(execute_deployment.instance, execute_deployment.settings, [request])) == []


def test_killed_run_does_not_block_the_next(harness: DuplicationHarness, execute_deployment: Deployment) -> None:
    """A run that stays in progress forever is waited for a few hours; then another is requested."""
    request = harness.request(again=6)
    for hours, attempts in ((1, []), (5, ["1"])):
        lost = dg.DagsterRun(
            job_name=JOB,
            run_id=str(uuid4()),
            tags={DUPLICATION_KEY_TAG: request.key},
            status=dg.DagsterRunStatus.STARTED,
        )
        execute_deployment.instance.run_storage.add_historical_run(
            lost, datetime.now(UTC) - timedelta(hours=hours)
        )
        requested = list(
            build_duplication_runs(execute_deployment.instance, execute_deployment.settings, [request])
        )
        assert [run_request.tags[DUPLICATION_ATTEMPT_TAG] for run_request in requested] == attempts
        execute_deployment.instance.delete_run(lost.run_id)


def test_results_match_the_stored_days(
    harness: DuplicationHarness, execute_deployment: Deployment, tmp_path: Path
) -> None:
    """Ten days later the copy has its first complete days, with the spend of the sandbox."""
    request = harness.request(again=5, enable=True)
    (approval,) = [approved_config(execute_deployment, request, enable=True)]
    assert "TIKTOK_SCALING_ENABLE=allow" in get_op_failure(launch(execute_deployment, approval))
    assert harness.write_requests == []
    allowed = {"scaling_mode": "execute", "scaling_enable": "allow", "scaling_campaigns": {}}
    with open_deployment(harness.host, tmp_path, execute_deployment.instance, **allowed) as allowing:
        result = launch(allowing, approval)
    assert result.success, get_op_failure(result)
    copy = str(execute_deployment.read_table("ad_duplications").to_dicts()[0]["copy_ad_id"])
    harness.host.advance(days=6)
    owner = request.advertiser_id
    execute_deployment.add_partitions([owner])
    start = execute_deployment.settings.start_date
    days = [start + timedelta(number) for number in range((execute_deployment.now.date() - start).days + 1)]
    recent = [day for day in days if day >= execute_deployment.now.date() - timedelta(8)]
    key = f"{owner}|{recent[0]}", f"{owner}|{recent[-1]}"
    span = {"dagster/asset_partition_range_start": key[0], "dagster/asset_partition_range_end": key[1]}
    assert execute_deployment.run("refresh_daily", span, ["ad_report_daily"]).success
    assert execute_deployment.run("refresh_derived", {"dagster/partition": owner}, ["duplication_results"]).success
    rows = {row["days"]: row for row in execute_deployment.read_table("duplication_results").to_dicts()}
    three = rows[3]
    assert three["copy_ad_id"] == copy
    span = {"start_date": str(three["first_day"]), "end_date": str(three["last_day"])}
    facts = harness.host.ground_truth("report", level="ad", advertiser_id=owner, **span)
    for ad_id, spend in ((request.ad_id, three["spend"]), (copy, three["copy_spend"])):
        assert spend == sum(Decimal(fact["metrics"]["spend"]) for fact in facts if str(fact["id"]) == ad_id) > 0
    assert three["copy_cpm"] > 0
    assert rows[14]["spend"] is None

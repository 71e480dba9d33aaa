"""Laws of duplication in Dagster: approved before it writes, once, switched off, and told of afterwards."""

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
from tiktok_assets.defs.runs import DUPLICATION_ATTEMPT_TAG, DUPLICATION_KEY_TAG
from tiktok_assets.defs.scaling_sensors import (
    MAX_FLAG_AGE,
    build_duplication_runs,
    find_flagged_requests,
    find_unfinished_requests,
)
from tiktok_assets.duplication.approvals import issue_code
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.settings import load_settings
from tiktok_assets.storage.state import flags
from tiktok_assets_tests.cli.conftest import run_command
from tiktok_assets_tests.defs.conftest import Desk, desk_at
from tiktok_assets_tests.duplication.harness import APPROVED_ON_TERMINAL, DuplicationHarness

JOB = "duplicate_ad"


@pytest.fixture
def approving(bench: DuplicationHarness, tmp_path: Path) -> Iterator[Desk]:
    """A desk in mode `execute`, whose scaling campaign is the story's."""
    campaigns = {bench.owner.id: bench.scaling.id}
    with desk_at(bench.host, tmp_path, scaling_mode="execute", scaling_campaigns=campaigns) as desk:
        yield desk


def coded(desk: Desk, wish: DuplicationRequest) -> str:
    """The approval code of an alert for a wish."""
    with desk.session.state.transaction() as connection:
        return issue_code(connection, wish, "alert", datetime.now(UTC)).text


def approved(desk: Desk, wish: DuplicationRequest, **other: Any) -> dict[str, Any]:  # noqa: ANN401 - any value
    """The run configuration of a live run with the code issued for just that."""
    budget = {} if wish.budget is None else {"budget": str(wish.budget)}
    return config_of(wish, live=True, approval=coded(desk, wish), **budget, **other)


def config_of(wish: DuplicationRequest, **other: Any) -> dict[str, Any]:  # noqa: ANN401 - any value
    """The run configuration of a wish."""
    own = {"advertiser_id": wish.advertiser_id, "ad_id": wish.ad_id, "campaign_id": wish.campaign_id}
    return {"ops": {JOB: {"config": {**own, "again": wish.again, **other}}}}


def launch(
    desk: Desk, config: Mapping[str, Any], tags: Mapping[str, str] | None = None
) -> dg.ExecuteInProcessResult:
    """Run the job as the launchpad does."""
    return desk.definitions.resolve_job_def(JOB).execute_in_process(
        run_config=dict(config), instance=desk.instance, tags=dict(tags or {}), raise_on_error=False
    )


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    """What the op says of itself."""
    (event,) = [one for one in result.all_events if one.is_successful_output]
    return {name: value.value for name, value in event.step_output_data.metadata.items()}


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """Why the op failed."""
    (event,) = [one for one in result.all_events if one.is_step_failure]
    told = event.step_failure_data.user_failure_data
    assert told
    return str(told.description)


@pytest.mark.parametrize(
    ("mode", "sensors"),
    [
        ("alert", {}),
        ("propose", {"finish_duplications": "RUNNING"}),
        ("execute", {"finish_duplications": "RUNNING", "execute_duplications": "STOPPED"}),
    ],
)
def test_what_writes_is_there_only_where_the_mode_allows_it(
    tmp_path: Path, mode: str, sensors: dict[str, str]
) -> None:
    """In `alert` nothing that writes is registered; what begins by itself is off until a person switches it on."""
    settings = load_settings(scaling_mode=mode, state_dir=tmp_path, data_dir=str(tmp_path))
    definitions = build_definitions(settings)
    jobs = {job.name for job in definitions.resolve_all_job_defs()}
    assert (JOB in jobs) is (mode != "alert")
    found = {
        sensor.name: sensor.default_status.name for sensor in definitions.sensors or () if "dupl" in sensor.name
    }
    assert found == sensors


def test_the_alerts_link_is_a_dry_run_that_shows_every_request(bench: DuplicationHarness, approving: Desk) -> None:
    """The configuration an alert links to runs as it is, writes nothing, and shows what would be sent."""
    request = bench.request()
    config = yaml.safe_load(build_launchpad_config(wish.advertiser_id, wish.ad_id, wish.campaign_id))
    result = launch(approving, config)
    assert result.success
    told = str(metadata_of(result)["dry_run"])
    for path in ("adgroup/create", "ad/create"):
        assert f"POST {bench.host.sandbox.base_url}/open_api/v1.3/{path}/\n{{" in told
    assert "source_copyable: fine" in told
    assert bench.host.sandbox.token not in told
    assert bench.writes == []
    assert Ledger(approving.session.state).entries() == []


def test_a_live_launch_with_the_code_is_the_approval(bench: DuplicationHarness, approving: Desk) -> None:
    """Launched live it is made, switched off, and exported; launched again it says so and sends nothing."""
    request = bench.request(again=1, budget=Decimal(45))
    config = approved(approving, wish)
    first = launch(approving, config, {"dagster/from_ui": "true", "user": "ann\x1b[2J"})
    assert first.success, failure_of(first)
    assert metadata_of(first)["sent"] is True
    (group,), (ad,) = bench.created_objects(wish)
    assert (group["operation_status"], ad["operation_status"], group["budget"]) == ("DISABLE", "DISABLE", 45)
    sent = len(bench.writes)
    again = launch(approving, config)
    assert metadata_of(again)["sent"] is False
    assert "nothing was sent" in str(metadata_of(again)["duplication"])
    assert len(bench.writes) == sent
    (row,) = approving.table("ad_duplications").to_dicts()
    assert (row["status"], row["copy_ad_id"], row["duplication_key"]) == ("done", ad["ad_id"], wish.key)
    who = f"run {first.run_id} (user=ann\\x1b[2J, dagster/from_ui=true)"
    assert (row["approved_how"], row["approved_by"]) == ("code", who)
    assert row["approved_at"]
    code = config["ops"][JOB]["config"]["approval"]
    for run in (first, again):
        assert code not in repr(approving.instance.all_logs(run.run_id))
    assert [key for key, _ in approving.recorded("ad_duplications")] == [wish.advertiser_id] * 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ad_id": "12345"}, "ad 12345 is not in account"),
        ({"budget": "5"}, "begins at 20 USD"),
        ({"budget": "dear"}, "is no amount"),
        ({"budget": "-5"}, "more than 0"),
        ({"campaign_id": "x"}, "is no id"),
        ({"again": -1}, "below 0"),
    ],
)
def test_a_refused_run_fails_with_its_reason(
    bench: DuplicationHarness, approving: Desk, change: dict[str, object], reason: str
) -> None:
    """What cannot be is a failed run that says why, so that it is told of like any failure; nothing is written."""
    request = bench.request(again=2)
    told = Decimal(5) if change.get("budget") == "5" else None
    meant = replace(wish, ad_id=str(change.get("ad_id", wish.ad_id)), budget=told)
    result = launch(approving, config_of(wish, live=True, **{"approval": coded(approving, meant), **change}))
    assert not result.success
    assert reason in failure_of(result)
    assert bench.writes == []


@pytest.mark.parametrize("mode", ["propose", "execute"])
@pytest.mark.parametrize("enable", [False, True])
def test_a_launch_without_the_code_sends_nothing(
    bench: DuplicationHarness, tmp_path: Path, mode: str, *, enable: bool
) -> None:
    """Whoever can launch the job and was not told the code gets one sentence; nothing is asked, made or stored."""
    request = bench.request(again=7)
    campaigns = {bench.owner.id: bench.scaling.id}
    with desk_at(bench.host, tmp_path, scaling_mode=mode, scaling_campaigns=campaigns) as desk:
        code = coded(desk, wish)
        for guessed, reason in (
            (None, "setting" if enable else "needs the approval code of its alert"),
            ("", "needs the approval code"),
            ("A" * 24, "none that was issued here"),
            (code.replace("-", "")[:-1], "none that was issued here"),
        ):
            result = launch(desk, config_of(wish, live=True, enable=enable, approval=guessed or ""))
            told = failure_of(result)
            assert ("TIKTOK_SCALING_ENABLE" if enable else reason) in told
            assert code not in told
            assert "\n" not in told
            step = next(event for event in result.all_events if event.is_step_failure)
            assert step.step_failure_data.user_failure_data
        assert bench.host.requests == []
        assert Ledger(desk.session.state).entries() == []
        assert desk.recorded("ad_duplications") == []


def test_a_code_in_a_dry_run_is_warned_of(bench: DuplicationHarness, approving: Desk) -> None:
    """A dry run does without; it says that a code in its configuration can be read, and does not use it."""
    request = bench.request(again=8)
    config = approved(approving, wish)
    config["ops"][JOB]["config"]["live"] = False
    result = launch(approving, config)
    assert result.success
    told = [entry.user_message for entry in approving.instance.all_logs(result.run_id)]
    assert [line for line in told if "whoever sees this run can read it" in line]
    config["ops"][JOB]["config"]["live"] = True
    assert launch(approving, config).success


def test_the_job_and_the_command_at_once_make_one(
    bench: DuplicationHarness, approving: Desk, tmp_path: Path
) -> None:
    """The launchpad and the command line, at the same time and in two processes, make one copy between them."""
    request = bench.request(again=3)
    sandbox = bench.host.sandbox
    variables = {
        "TIKTOK_BASE_URL": sandbox.base_url,
        "TIKTOK_ACCESS_TOKEN": sandbox.token,
        "TIKTOK_ADVERTISER_IDS": wish.advertiser_id,
        "TIKTOK_STATE_DIR": str(approving.settings.state_dir),
        "TIKTOK_DATA_DIR": approving.settings.data_dir,
        "TIKTOK_SCALING_MODE": "propose",
    }
    asked = ["duplicate", wish.ad_id, "--to", wish.campaign_id, "--again", "3", "--live", "--yes", "--json"]
    config = approved(approving, wish)
    bench.host.control("POST", "latency", seconds=0.2)  # so that they meet
    with ThreadPoolExecutor(1) as pool:
        command = pool.submit(run_command, *asked, variables=variables, folder=tmp_path)
        results = [launch(approving, config) for _ in range(2)]
        ran = command.result()
    bench.host.control("POST", "latency", seconds=0)
    assert [result.success for result in results] == [True, True]
    assert ran.exit_code == 0, ran.err
    assert [len(rows) for rows in bench.created_objects(wish)] == [1, 1]
    assert json.loads(ran.out)["copy_ad_id"] == bench.created_objects(wish)[1][0]["ad_id"]


def put_flag(desk: Desk, wish: DuplicationRequest, flagged_at: datetime, campaign_id: str = "1") -> None:
    """A flag, as the job that flags writes it."""
    row = {"flag_id": f"flag{wish.ad_id}", "advertiser_id": wish.advertiser_id, "campaign_id": campaign_id}
    with desk.session.state.transaction() as connection:
        connection.execute(sa.insert(flags).values(**row, ad_id=wish.ad_id, flagged_at=flagged_at, facts={}))


def test_execute_duplicates_a_fresh_flag_once_and_switched_off(bench: DuplicationHarness, approving: Desk) -> None:
    """A fresh flag is asked for until the ledger has it; an old one, or one in the scaling campaign, never."""
    request = bench.request()
    assert launch(approving, config_of(wish)).success  # from here on the session knows the host's clock
    state, settings, now = approving.session.state, approving.settings, approving.now
    put_flag(approving, wish, now - timedelta(hours=1))
    put_flag(approving, bench.request(ad_id="71"), now - MAX_FLAG_AGE - timedelta(minutes=1))
    put_flag(approving, bench.request(ad_id="72"), now, campaign_id=bench.scaling.id)
    (asked,) = find_flagged_requests(state, settings, now)
    assert asked == bench.request(flag_id=f"flag{wish.ad_id}")
    foreign = launch(approving, config_of(wish, live=True))
    assert "needs the approval code" in failure_of(foreign)
    (request,) = _evaluated(approving, "execute_duplications")
    assert isinstance(request, dg.RunRequest)
    assert request.run_config["ops"][JOB]["config"]["enable"] is False
    code = request.run_config["ops"][JOB]["config"]["approval"]
    # Whoever launches the same without the run's code gets nothing, and its code is good for nothing else.
    assert "needs the approval code" in failure_of(launch(approving, config_of(wish, live=True), request.tags))
    for other in ({"budget": "500"}, {"again": 1}, {"enable": True}):
        changed = config_of(wish, **{"live": True, "approval": code, **other})
        assert "not approved" in failure_of(launch(approving, changed))
    assert bench.writes == []
    result = launch(approving, request.run_config, request.tags)
    assert result.success, failure_of(result)
    (group,), (ad,) = bench.created_objects(wish)
    assert (group["operation_status"], ad["operation_status"]) == ("DISABLE", "DISABLE")
    assert list(find_flagged_requests(state, settings, now)) == []
    (entry,) = Ledger(state).entries()
    assert entry.flag_id == f"flag{wish.ad_id}"
    assert (entry.approved_how, entry.approved_by) == (
        "execute",
        f"run {result.run_id} (dagster/sensor_name=execute_duplications)",
    )
    (skip,) = _evaluated(approving, "execute_duplications")
    assert isinstance(skip, dg.SkipReason)


def _evaluated(desk: Desk, name: str) -> list[object]:
    sensor = next(one for one in desk.definitions.sensors or () if one.name == name)
    data = sensor.evaluate_tick(dg.build_sensor_context(instance=desk.instance, definitions=desk.definitions))
    return [*(data.run_requests or ()), *([dg.SkipReason(data.skip_message)] if data.skip_message else [])]


def test_what_was_interrupted_is_asked_for_again(bench: DuplicationHarness, approving: Desk) -> None:
    """A live duplication that was begun and not finished is launched again as it was wanted, unless held."""
    request = bench.request(again=4)
    ledger = Ledger(approving.session.state)
    with ledger.lease(wish.advertiser_id, seconds=30, wait_seconds=0) as lease:
        ledger.begin(lease, wish, APPROVED_ON_TERMINAL)
        assert list(find_unfinished_requests(approving.session.state)) == []
    (request,) = _evaluated(approving, "finish_duplications")
    assert isinstance(request, dg.RunRequest)
    config = request.run_config["ops"][JOB]["config"]
    assert (config["again"], config["live"], config["enable"]) == (4, True, False)
    result = launch(approving, request.run_config, request.tags)
    assert result.success, failure_of(result)
    assert [len(rows) for rows in bench.created_objects(wish)] == [1, 1]
    assert list(find_unfinished_requests(approving.session.state)) == []
    # A run a short while ago is not followed by another at once, whatever became of it.
    assert list(build_duplication_runs(approving.instance, [wish])) == []


def test_a_run_that_was_killed_does_not_block_the_next(bench: DuplicationHarness, approving: Desk) -> None:
    """A run that says for ever that it is under way is waited for a few hours; then another is asked for."""
    request = bench.request(again=6)
    for hours, attempts in ((1, []), (5, ["1"])):
        lost = dg.DagsterRun(
            job_name=JOB,
            run_id=str(uuid4()),
            tags={DUPLICATION_KEY_TAG: wish.key},
            status=dg.DagsterRunStatus.STARTED,
        )
        approving.instance.run_storage.add_historical_run(lost, datetime.now(UTC) - timedelta(hours=hours))
        asked = list(build_duplication_runs(approving.instance, [wish]))
        assert [request.tags[DUPLICATION_ATTEMPT_TAG] for request in asked] == attempts
        approving.instance.delete_run(lost.run_id)


def test_results_are_those_of_the_stored_days(bench: DuplicationHarness, approving: Desk, tmp_path: Path) -> None:
    """Ten days later the copy has its first complete days, with the spend the world knows."""
    request = bench.request(again=5, enable=True)
    (approval,) = [approved(approving, wish, enable=True)]
    assert "TIKTOK_SCALING_ENABLE=allow" in failure_of(launch(approving, approval))
    assert bench.writes == []
    allowed = {"scaling_mode": "execute", "scaling_enable": "allow", "scaling_campaigns": {}}
    with desk_at(bench.host, tmp_path, approving.instance, **allowed) as allowing:
        result = launch(allowing, approval)
    assert result.success, failure_of(result)
    copy = str(approving.table("ad_duplications").to_dicts()[0]["copy_ad_id"])
    bench.host.advance(days=6)
    owner = wish.advertiser_id
    approving.know([owner])
    start = approving.settings.start_date
    days = [start + timedelta(number) for number in range((approving.now.date() - start).days + 1)]
    recent = [day for day in days if day >= approving.now.date() - timedelta(8)]
    key = f"{owner}|{recent[0]}", f"{owner}|{recent[-1]}"
    span = {"dagster/asset_partition_range_start": key[0], "dagster/asset_partition_range_end": key[1]}
    assert approving.run("refresh_daily", span, ["ad_report_daily"]).success
    assert approving.run("refresh_derived", {"dagster/partition": owner}, ["duplication_results"]).success
    rows = {row["days"]: row for row in approving.table("duplication_results").to_dicts()}
    three = rows[3]
    assert three["copy_ad_id"] == copy
    span = {"start_date": str(three["first_day"]), "end_date": str(three["last_day"])}
    facts = bench.host.truth("report", level="ad", advertiser_id=owner, **span)
    for ad_id, spend in ((wish.ad_id, three["spend"]), (copy, three["copy_spend"])):
        assert spend == sum(Decimal(fact["metrics"]["spend"]) for fact in facts if str(fact["id"]) == ad_id) > 0
    assert three["copy_cpm"] > 0
    assert rows[14]["spend"] is None

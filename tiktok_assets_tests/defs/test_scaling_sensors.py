"""Laws of the sensor and the run that flags: asked for until it is done, and done once, whatever is lost."""

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
from tiktok_assets.defs.runs import FLAG_ATTEMPT_TAG, FLAG_TAG
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
from tiktok_assets_tests.defs.conftest import Desk, desk_at
from tiktok_assets_tests.defs.test_automation import Automation

PLAN = WorldPlan(days=90, advertisers=1, campaigns=1, ad_groups=2, ads=2)
"""One account with the story: an ad overtakes in the testing campaign between T1 and T2."""

REPORTS = "ad_report_lifetime,campaign_report_lifetime"
Opener = Callable[..., Desk]


def refresh(desk: Desk, at: datetime) -> None:
    """What a morning leaves: account tables, lifetime reports, ranking and candidates."""
    desk.host.sandbox.clock.set(at)
    desk.know()
    for stage in ("refresh_accounts", "refresh_lifetime"):
        for result in desk.refresh(stage):
            assert result.success
    assert desk.run_range("refresh_derived", desk.advertiser_ids, tables=TABLES).success


TABLES = ("top_spenders", "duplication_candidates")


@pytest.fixture(scope="module")
def story_host() -> Iterator[Host]:
    """The account of the story, over real HTTP."""
    with Host.run(PLAN) as host:
        yield host


@pytest.fixture(scope="module")
def story(story_host: Host) -> Scenario:
    """Who overtakes whom, and when."""
    told = story_host.sandbox.world.scenario
    assert told
    return told


@pytest.fixture(scope="module")
def overtaken(story_host: Host, story: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as two mornings left it: the ad has overtaken, and nobody has flagged it yet."""
    folder = tmp_path_factory.mktemp("overtaken")
    with desk_at(story_host, folder, reports=REPORTS) as desk:
        refresh(desk, story.t1)
        refresh(desk, story.t2)
    return folder


@pytest.fixture
def opened(story_host: Host, overtaken: Path, tmp_path: Path) -> Iterator[Opener]:
    """Opens desks on one copy of that folder, each with an instance that knows nothing of it."""
    folder = tmp_path / "copy"
    shutil.copytree(overtaken, folder)
    with ExitStack() as stack:
        yield lambda instance=None, **overrides: stack.enter_context(
            desk_at(story_host, folder, instance, **{"reports": REPORTS, **overrides})
        )


def tick(desk: Desk, cursor: str | None = None) -> tuple[list[dg.RunRequest], str, str | None]:
    """What the sensor asks for and says, and its cursor, as the daemon sees them."""
    repository = desk.definitions.get_repository_def()
    with dg.build_sensor_context(instance=desk.instance, cursor=cursor, repository_def=repository) as context:
        found = repository.get_sensor_def("new_top_spender").evaluate_tick(context)
    return list(found.run_requests or ()), found.skip_message or "", found.cursor


def run(desk: Desk, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """Run what the sensor asked for, exactly as it asked."""
    assert request.job_name == FLAG_JOB
    job = desk.definitions.get_repository_def().get_job(FLAG_JOB)
    dg.validate_run_config(job, request.run_config)
    return job.execute_in_process(
        instance=desk.instance, run_config=request.run_config, tags=dict(request.tags), raise_on_error=False
    )


def told(desk: Desk) -> tuple[int, int]:
    """Flags and alerts in the state."""
    with desk.session.state.transaction() as connection:
        rows = [connection.scalar(sa.select(sa.func.count()).select_from(table)) for table in (flags, outbox)]
    return int(rows[0] or 0), int(rows[1] or 0)


def flag_of(story: Scenario) -> str:
    """The id of the story's one flag."""
    return compute_flag_id(story.advertiser_id, story.campaign_id, story.new_leader_ad_id)


def test_the_ad_that_overtakes_is_flagged_once(story_host: Host, story: Scenario, tmp_path: Path) -> None:
    """The first look asks for nothing, the second for one run, which flags and tells; then all is quiet."""
    with desk_at(story_host, tmp_path, reports=REPORTS) as desk:
        refresh(desk, story.t1)
        requests, said, cursor = tick(desk)
        assert (requests, said) == ([], "1 ranking since the last look.\nNobody new leads a campaign.")
        refresh(desk, story.t2)
        (request,), _, cursor = tick(desk, cursor)
        assert request.run_key == f"{flag_of(story)}:0"
        assert desk.table("duplication_candidates").get_column("status").to_list() == ["due"]
        assert run(desk, request).success
        assert told(desk) == (1, 1)
        (row,) = desk.table("duplication_candidates").to_dicts()
        assert (row["ad_id"], row["status"], row["flag_id"]) == (story.new_leader_ad_id, "flagged", flag_of(story))
        assert row["previous_ad_id"] == story.old_leader_ad_id
        assert [key for key, _ in desk.recorded("duplication_candidates")] == [story.advertiser_id] * 3
        assert tick(desk, cursor)[:2] == ([], "0 rankings since the last look.\nNobody new leads a campaign.")
        assert desk.run_range("refresh_derived", desk.advertiser_ids, tables=TABLES).success
        assert tick(desk, cursor)[:2] == ([], "1 ranking since the last look.\nNobody new leads a campaign.")
        assert desk.table("duplication_candidates").to_dicts() == [row]
        assert told(desk) == (1, 1)


def test_a_tick_changes_nothing(opened: Opener) -> None:
    """A look, real or a preview, leaves the state, the tables and the instance as they were."""
    desk = opened()
    before = (told(desk), desk.bytes_of("duplication_candidates", desk.advertiser_ids[0]))
    first, again = tick(desk), tick(desk)
    assert [one.run_key for one in first[0]] == [one.run_key for one in again[0]]
    assert (told(desk), desk.bytes_of("duplication_candidates", desk.advertiser_ids[0])) == before
    assert desk.instance.get_runs() == []


def test_a_daemon_killed_between_tick_and_run_asks_again(opened: Opener) -> None:
    """A tick whose run was never made is asked again with the same key, also with the cursor it had saved."""
    desk = opened()
    (request,), _, cursor = tick(desk)
    (again,), _, _ = tick(desk, cursor)
    assert (again.run_key, again.run_config) == (request.run_key, request.run_config)
    assert run(desk, again).success
    assert tick(desk, cursor)[0] == []
    assert told(desk) == (1, 1)


def made(desk: Desk, story: Scenario, attempt: int, ago: timedelta) -> str:
    """A run for the flag that was made and never ended."""
    tags = {FLAG_TAG: flag_of(story), FLAG_ATTEMPT_TAG: str(attempt)}
    lost = dg.DagsterRun(job_name=FLAG_JOB, run_id=str(uuid4()), tags=tags, status=dg.DagsterRunStatus.STARTED)
    desk.instance.run_storage.add_historical_run(lost, datetime.now(UTC) - ago)
    return lost.run_id


def test_a_lost_run_does_not_block_its_flag(opened: Opener, story: Scenario) -> None:
    """A run that was made and never ended is waited for a while; then another is asked for, under a new key."""
    desk = opened()
    run_id = made(desk, story, 0, INITIAL_RETRY_DELAY - timedelta(minutes=1))
    requests, said, _ = tick(desk)
    assert requests == []
    assert f"Asked for already: Unboxing UGC | v4 ({story.new_leader_ad_id})" in said
    assert run_id in said
    made(desk, story, 1, INITIAL_RETRY_DELAY * 2)
    (request,), _, _ = tick(desk)
    assert request.run_key == f"{flag_of(story)}:2"
    assert request.tags[FLAG_ATTEMPT_TAG] == "2"
    assert run(desk, request).success
    assert told(desk) == (1, 1)


def test_a_run_that_fails_leaves_nothing_and_is_asked_for_again(opened: Opener, story: Scenario) -> None:
    """A run that cannot write fails as a whole; a later one under another key flags."""
    desk = opened()
    (request,), _, _ = tick(desk)
    with desk.session.state.transaction() as connection:
        connection.execute(sa.text("ALTER TABLE outbox RENAME TO away"))
    assert not run(desk, request).success
    with desk.session.state.transaction() as connection:
        connection.execute(sa.text("ALTER TABLE away RENAME TO outbox"))
    assert told(desk) == (0, 0)
    assert "Asked for already" in tick(desk)[1]
    made(desk, story, 1, INITIAL_RETRY_DELAY * 2)
    (again,), _, _ = tick(desk)
    assert again.run_key == f"{flag_of(story)}:2"
    assert run(desk, again).success
    assert told(desk) == (1, 1)


def test_a_lost_cursor_or_instance_flags_nobody_twice(opened: Opener, story: Scenario) -> None:
    """An instance that knows of nothing asks for what the state lacks, and for nothing that the state has."""
    first, second, third = opened(), opened(), opened()
    (request,), _, cursor = tick(first)
    assert cursor is None  # this instance never saw a ranking
    assert run(first, request).success
    for desk in (second, third):
        assert tick(desk)[0] == []
        assert tick(desk, "not a number")[0] == []
        assert tick(desk, str(10**9))[0] == []
    assert run(second, request).success  # a run that was queued twice
    assert told(third) == (1, 1)
    assert flag_of(story) in request.tags.values()


def test_two_sensors_at_once_flag_once(opened: Opener) -> None:
    """Two daemons that see the same and both run what they asked for leave one flag and one alert."""
    one, other = opened(), opened()
    asked = [tick(desk)[0] for desk in (one, other)]
    assert [request.run_key for (request,) in asked] == [asked[0][0].run_key] * 2
    for desk, (request,) in zip((one, other), asked, strict=True):
        assert run(desk, request).success
    assert told(one) == (1, 1)


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"min_spend": "5000"}, "less than TIKTOK_MIN_SPEND of 5000 USD"),
        ({"min_lead": "0.5"}, "less than TIKTOK_MIN_LEAD of 50.00 %"),
        ({"exclude_names": "UGC"}, "TIKTOK_EXCLUDE_NAMES finds 'UGC' in its name"),
        ({"flags_per_day": 0}, "TIKTOK_FLAGS_PER_DAY is 0"),
    ],
)
def test_what_is_held_back_is_said_with_its_reason(
    opened: Opener, story: Scenario, overrides: dict[str, Any], reason: str
) -> None:
    """The tick's message, the table and the log of a run launched by hand name the ad and the reason."""
    desk = opened(**overrides)
    requests, said, _ = tick(desk)
    assert requests == []
    (line,) = [line for line in said.splitlines() if line.startswith("Held back: ")]
    assert f"Unboxing UGC | v4 ({story.new_leader_ad_id}) in campaign {story.campaign_id}: " in line
    assert reason in line
    assert desk.run_range("refresh_derived", desk.know(), tables=TABLES[1:]).success
    (row,) = desk.table("duplication_candidates").to_dicts()
    assert (row["status"], row["flagged_at"]) == ("held", None)
    assert reason in row["reason"]
    ids = {"advertiser_id": story.advertiser_id, "campaign_id": story.campaign_id, "ad_id": story.new_leader_ad_id}
    by_hand = dg.RunRequest(job_name=FLAG_JOB, run_config={"ops": {"flag_ad": {"config": ids}}})
    assert run(desk, by_hand).success
    assert told(desk) == (0, 0)


def test_an_ad_that_never_led_is_refused_in_one_sentence(opened: Opener, story: Scenario) -> None:
    """A run launched by hand with other ids fails and says what is wrong."""
    desk = opened()
    ids = {"advertiser_id": story.advertiser_id, "campaign_id": story.campaign_id, "ad_id": "7"}
    result = run(desk, dg.RunRequest(job_name=FLAG_JOB, run_config={"ops": {"flag_ad": {"config": ids}}}))
    assert not result.success
    (event,) = [one for one in result.all_events if one.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data
    assert data.description == (
        f"ad 7 never began to lead campaign {story.campaign_id} of advertiser {story.advertiser_id};"
        " check the three ids"
    )
    assert told(desk) == (0, 0)


def test_every_ranking_since_the_cursor_is_read(opened: Opener) -> None:
    """More of them than a page holds are all counted, and the cursor ends behind the last."""
    desk = opened()
    few = RANKINGS_PER_PAGE + 3
    for number in range(few):
        desk.instance.report_runless_asset_event(dg.AssetMaterialization("top_spenders", partition=str(number)))
    newest = desk.recorded("top_spenders")
    assert RANKINGS_PER_PAGE < len(newest) == few
    seen = evaluate_rankings(desk.instance, desk.session, None)
    assert seen.told[0] == f"{few} rankings since the last look."
    assert evaluate_rankings(desk.instance, desk.session, seen.cursor).told[0] == "0 rankings since the last look."
    assert evaluate_rankings(desk.instance, desk.session, seen.cursor).cursor == seen.cursor


def test_a_long_story_is_cut(opened: Opener, story: Scenario) -> None:
    """With many held back the message stays short, names the news first, and says where the rest is."""
    desk = opened()
    with desk.session.state.transaction() as connection:
        row = connection.execute(sa.select(top_spender_changes)).mappings().first()
        assert row
        more = [
            {**row, "change_id": None, "campaign_id": str(number), "previous_ad_id": "1"}
            for number in range(MAX_REPORTED_ADS + 5)
        ]
        connection.execute(sa.insert(top_spender_changes), more)
    seen = evaluate_rankings(desk.instance, desk.session, None)
    assert (
        seen.told[1]
        == f"New top spender: Unboxing UGC | v4 ({story.new_leader_ad_id}) in campaign {story.campaign_id}."
    )
    assert len(seen.told) == MAX_REPORTED_ADS + 2
    assert seen.told[-1] == "And 6 more; see duplication_candidates."


def test_attempts_follow_each_other_at_growing_distances() -> None:
    """The first at once; each next a while after the last was made, the while doubling up to its bound."""
    now = datetime(2026, 10, 7, tzinfo=UTC)
    assert get_next_attempt(None, now) == 0
    for attempt in (0, 1, 5, 500):
        wait = min(INITIAL_RETRY_DELAY * 2**attempt, MAX_RETRY_DELAY) if attempt < 10 else MAX_RETRY_DELAY
        assert get_next_attempt((attempt, now - wait), now) == attempt + 1
        assert get_next_attempt((attempt, now - wait + timedelta(seconds=1)), now) is None


def test_without_a_ranking_there_is_nothing_to_flag(opened: Opener) -> None:
    """Where the lifetime reports were not chosen there is no sensor, no job and no table."""
    desk = opened(reports="ad_report_daily")
    repository = desk.definitions.get_repository_def()
    assert "new_top_spender" not in {sensor.name for sensor in repository.sensor_defs}
    assert FLAG_JOB not in repository.job_names


def test_a_flag_is_on_the_page_however_soon_it_comes(opened: Opener) -> None:
    """Page and warehouse are made again for a flag that came before anybody looked at the page, and once only."""
    desk = opened()
    desk.know()
    automation = Automation(desk)
    assert desk.run_range("refresh_derived", desk.advertiser_ids, tables=TABLES).success
    automation.tick()
    assert desk.run("refresh_derived", tables=UNPARTITIONED_DERIVED_TABLES).success
    (request,), _, _ = tick(desk)
    assert run(desk, request).success
    assert automation.until_quiet() == [{key: {None} for key in UNPARTITIONED_DERIVED_TABLES}]
    assert "flagged" in Path(str(desk.store.base), PAGE_FILE_NAME).read_text(encoding="utf-8")

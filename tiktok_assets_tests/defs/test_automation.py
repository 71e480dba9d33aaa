"""Laws of what happens by itself: schedule and sensors, with the runs they ask for run for real."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.runs.schema import RunsTable  # Dagster exports no name for it

from tiktok_assets.defs.jobs import UNPARTITIONED_DERIVED_TABLES, get_derived_tables
from tiktok_assets.defs.refresh_stages import get_advertiser_keys
from tiktok_assets.defs.runs import REFRESH_TAG, SUPERSEDES_TAG
from tiktok_assets.storage.state import utc_now
from tiktok_assets_tests.defs.conftest import DAILY, LIFETIME, WEDNESDAY, Desk, DeskMaker

AT = WEDNESDAY.isoformat()


def scheduled(desk: Desk, at: datetime = WEDNESDAY) -> tuple[list[dg.RunRequest], str | None]:
    """What `daily_refresh` asks for at an instant, as the daemon sees it."""
    repository = desk.definitions.get_repository_def()
    with dg.build_schedule_context(
        instance=desk.instance, scheduled_execution_time=at, repository_def=repository
    ) as context:
        tick = repository.get_schedule_def("daily_refresh").evaluate_tick(context)
    return list(tick.run_requests or ()), tick.skip_message


def sensed(desk: Desk, name: str, cursor: str | None = None) -> tuple[list[dg.RunRequest], str | None, str | None]:
    """What a sensor asks for, its skip reason and its cursor, as the daemon sees them."""
    repository = desk.definitions.get_repository_def()
    with dg.build_sensor_context(instance=desk.instance, cursor=cursor, repository_def=repository) as context:
        tick = repository.get_sensor_def(name).evaluate_tick(context)
    return list(tick.run_requests or ()), tick.skip_message, tick.cursor


def jobs_of(requests: Sequence[dg.RunRequest]) -> set[str]:
    """The jobs asked for."""
    return {str(request.job_name) for request in requests}


def assert_executable(desk: Desk, requests: Sequence[dg.RunRequest]) -> None:
    """Each request names a job that exists, assets of that job, and keys that exist; each is its own."""
    repository = desk.definitions.get_repository_def()
    for request in requests:
        assert request.job_name
        job = repository.get_job(request.job_name)
        held = set(job.asset_layer.executable_asset_keys)
        assert set(request.asset_selection or ()) <= held
        dg.validate_run_config(job, request.run_config)
        assert all(isinstance(value, str) for value in request.tags.values())
        ends = [request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
        assert {end.split("|")[0] for end in ends} <= set(get_advertiser_keys(desk.instance))
    assert len({request.run_key for request in requests}) == len(requests)


def test_the_schedule_asks_for_the_accounts_in_few_runs(lasting_desk: Desk) -> None:
    """At half past noon it asks for the first stage in one range run, which reads accounts and objects."""
    ids = lasting_desk.know()
    requests, skipped = scheduled(lasting_desk)
    assert skipped is None
    assert jobs_of(requests) == {"refresh_accounts"}
    assert_executable(lasting_desk, requests)
    (request,) = requests
    assert request.tags[REFRESH_TAG] == AT
    assert lasting_desk.launch(request).success
    assert lasting_desk.table("advertisers").height == len(ids)
    assert {table: lasting_desk.keys(table) for table in ("campaigns", "ad_groups", "ads")} == dict.fromkeys(
        ("campaigns", "ad_groups", "ads"), ids
    )


def test_asked_twice_the_schedule_asks_for_the_same_runs(
    make_desk: DeskMaker, lasting: dg.DagsterInstance
) -> None:
    """An instant's run keys are always the same, so that Dagster launches them once; another day has others."""
    desk = make_desk(lasting, advertiser_ids=",".join(make_desk().advertiser_ids[::2]))
    desk.know(make_desk().advertiser_ids)
    first, _ = scheduled(desk)
    again, _ = scheduled(desk)
    assert len(first) == 2  # the third account between the two named ones parts the range
    assert_executable(desk, first)
    assert [one.run_key for one in first] == [one.run_key for one in again]
    tomorrow, _ = scheduled(desk, WEDNESDAY + timedelta(1))
    assert {one.run_key for one in first}.isdisjoint(one.run_key for one in tomorrow)
    accounts = [dg.AssetKey("advertisers") in (one.asset_selection or ()) for one in first]
    assert accounts == [True, False]  # the table of accounts is read once for all


def test_without_accounts_the_schedule_says_so(lasting_desk: Desk) -> None:
    """Before the first account there is nothing to run, and the tick says who adds them."""
    requests, skipped = scheduled(lasting_desk)
    assert requests == []
    assert skipped == "No advertisers yet: the sensor advertiser_partitions adds them."


def test_the_sequence_goes_from_stage_to_stage(make_desk: DeskMaker, lasting: dg.DagsterInstance) -> None:
    """Daily after the accounts, lifetime after daily, then the checks with the refresh as cursor; then quiet."""
    desk = make_desk(lasting, start_date="2026-10-05")
    ids = desk.know()
    assert sensed(desk, "refresh_sequence")[:2] == ([], "No refresh is under way.")
    accounts, _ = scheduled(desk)
    for request in accounts:
        assert desk.launch(request).success
    seen = []
    for stage in ("refresh_daily", "refresh_lifetime"):
        requests, skipped, cursor = sensed(desk, "refresh_sequence")
        assert (jobs_of(requests), skipped, cursor) == ({stage}, None, None)
        assert_executable(desk, requests)
        again, _, _ = sensed(desk, "refresh_sequence")
        assert [one.run_key for one in again] == [one.run_key for one in requests]
        for request in requests:
            assert request.tags[REFRESH_TAG] == AT
            assert desk.launch(request).success
        seen += requests
    assert len(seen) == 2
    for table in DAILY:
        assert {key.split("|")[0] for key in desk.keys(table)} == set(ids)
    for table in LIFETIME:
        assert desk.keys(table) == ids
    requests, skipped, cursor = sensed(desk, "refresh_sequence")
    assert (jobs_of(requests), skipped, cursor) == ({"check_tables"}, None, AT)
    assert [one.run_key for one in requests] == [f"{AT}:check_tables"]
    assert sensed(desk, "refresh_sequence", cursor)[:2] == ([], "No refresh is under way.")


def test_the_sequence_waits_for_every_run_of_a_stage(make_desk: DeskMaker, lasting: dg.DagsterInstance) -> None:
    """While one of the stage's runs has not started, or is being cancelled, nothing further is asked for."""
    desk = make_desk(lasting, advertiser_ids=",".join(make_desk().advertiser_ids[::2]), reports="ad_report_daily")
    desk.know(make_desk().advertiser_ids)
    one, other = scheduled(desk)[0]
    assert desk.launch(one).success
    job = desk.definitions.resolve_job_def("refresh_accounts")
    waiting = desk.instance.create_run_for_job(job, tags=dict(other.tags))
    assert sensed(desk, "refresh_sequence")[:2] == ([], f"The runs of refresh {AT} have not all ended.")
    desk.instance.report_run_canceling(waiting)
    assert sensed(desk, "refresh_sequence")[:2] == ([], f"The runs of refresh {AT} have not all ended.")
    desk.instance.report_run_canceled(waiting)
    assert jobs_of(sensed(desk, "refresh_sequence")[0]) == {"refresh_daily"}


def test_failed_runs_do_not_stop_the_sequence(make_desk: DeskMaker, lasting: dg.DagsterInstance) -> None:
    """With one account lost every stage fails in part, and the others still get all three."""
    desk = make_desk(lasting, start_date="2026-10-05", reports="ad_report_daily,ad_report_lifetime")
    ids = desk.know()
    desk.revoke(ids[1])
    (accounts,), _ = scheduled(desk)
    assert not desk.launch(accounts).success
    for stage in ("refresh_daily", "refresh_lifetime"):
        requests, _, _ = sensed(desk, "refresh_sequence")
        assert jobs_of(requests) == {stage}
        assert_executable(desk, requests)
        for request in requests:
            desk.launch(request)
    rest = sorted(set(ids) - {ids[1]})
    assert {key.split("|")[0] for key in desk.keys("ad_report_daily")} == set(rest)
    assert desk.keys("ad_report_lifetime") == rest
    assert sensed(desk, "refresh_sequence")[2] == AT


def test_refreshes_that_overlap_are_finished_one_by_one(make_desk: DeskMaker, lasting: dg.DagsterInstance) -> None:
    """However often the schedule fires, the refresh under way passes all stages; later ones say they wait."""
    desk = make_desk(lasting, start_date="2026-10-05", advertiser_ids=make_desk().advertiser_ids[1])
    desk.know(desk.settings.advertiser_ids)
    at, cursor, done = WEDNESDAY, None, list[tuple[str, str]]()
    for _ in range(6):  # quiet ticks of the sensor; the cron fires before each of them
        requests, skipped = scheduled(desk, at)
        assert bool(requests) != bool(skipped)
        assert not skipped or "still under way" in skipped
        assert not skipped or "shorter than a refresh" in skipped
        asked, _, cursor = sensed(desk, "refresh_sequence", cursor) if skipped else ([], None, cursor)
        for request in [*requests, *asked]:
            desk.launch(request)
            done.append((request.tags[REFRESH_TAG], str(request.job_name)))
        at += timedelta(minutes=1)
    every = ["refresh_accounts", "refresh_daily", "refresh_lifetime", "check_tables"]
    assert [job for refresh, job in done if refresh == AT] == every
    later = (WEDNESDAY + timedelta(minutes=4)).isoformat()
    assert [job for refresh, job in done if refresh == later] == every[:2]
    assert len(done) == len(every) + 2


def age(desk: Desk, hours: int) -> None:
    """Let every run of the instance have changed so many hours ago, as after a stop of the daemon."""
    storage = desk.instance.run_storage
    with storage.connect() as connection:  # type: ignore[attr-defined]  # of the SQL storage
        connection.execute(sa.update(RunsTable).values(update_timestamp=utc_now() - timedelta(hours=hours)))


def test_a_refresh_that_nobody_carries_on_is_superseded_openly(
    make_desk: DeskMaker, lasting: dg.DagsterInstance
) -> None:
    """After six hours without a daemon the next refresh names the one it supersedes, once no run is under way."""
    desk = make_desk(lasting, start_date="2026-10-05", advertiser_ids=make_desk().advertiser_ids[1])
    desk.know(desk.settings.advertiser_ids)
    (first,), _ = scheduled(desk)
    waiting = desk.instance.create_run_for_job(
        desk.definitions.resolve_job_def("refresh_accounts"), tags=dict(first.tags)
    )
    age(desk, 6)
    assert "still under way" in str(scheduled(desk, WEDNESDAY + timedelta(hours=6))[1])
    desk.instance.report_run_canceled(waiting)
    age(desk, 6)
    later = WEDNESDAY + timedelta(hours=6)
    (second,), skipped = scheduled(desk, later)
    assert skipped is None
    assert second.tags[SUPERSEDES_TAG] == AT
    assert desk.launch(second).success
    cursor = None
    for stage in ("refresh_daily", "refresh_lifetime", "check_tables"):
        asked, _, cursor = sensed(desk, "refresh_sequence", cursor)
        assert {(one.job_name, one.tags[REFRESH_TAG]) for one in asked} == {(stage, later.isoformat())}
        for request in asked:
            desk.launch(request)
    assert scheduled(desk, later + timedelta(hours=1))[1] is None


def test_a_reload_with_another_cron_carries_the_refresh_on(
    make_desk: DeskMaker, lasting: dg.DagsterInstance
) -> None:
    """A code location loaded anew in mid refresh, its cron changed, ends that refresh and then begins the next."""
    chosen = {"start_date": "2026-10-05", "advertiser_ids": make_desk().advertiser_ids[1]}
    before = make_desk(lasting, **chosen)
    before.know(before.settings.advertiser_ids)
    (accounts,), _ = scheduled(before)
    assert before.launch(accounts).success
    after = make_desk(lasting, refresh_cron="15 * * * *", **chosen)
    later, cursor = WEDNESDAY + timedelta(minutes=45), None
    for stage in ("refresh_daily", "refresh_lifetime", "check_tables"):
        assert "15 * * * *" in str(scheduled(after, later)[1])
        asked, _, cursor = sensed(after, "refresh_sequence", cursor)
        assert {(one.job_name, one.tags[REFRESH_TAG]) for one in asked} == {(stage, AT)}
        for request in asked:
            after.launch(request)
    (following,), _ = scheduled(after, later)
    assert following.tags[REFRESH_TAG] == later.isoformat()
    assert SUPERSEDES_TAG not in following.tags


def test_the_sensor_adds_granted_accounts_once_and_removes_none(desk: Desk) -> None:
    """Each granted account becomes a partition once; a lost one stays, one granted later is added."""
    ids = desk.advertiser_ids
    desk.revoke(ids[3])
    _, said, _ = sensed(desk, "advertiser_partitions")
    assert said == f"3 advertisers are granted or named. Added {', '.join(ids[:3])}."
    assert list(get_advertiser_keys(desk.instance)) == ids[:3]
    assert sensed(desk, "advertiser_partitions")[1] == "3 advertisers are granted or named. Nothing new."
    desk.revoke(ids[0])
    desk.host.control("POST", "grants", advertiser_id=ids[3], granted=True)
    assert sensed(desk, "advertiser_partitions")[1] == f"3 advertisers are granted or named. Added {ids[3]}."
    assert sorted(get_advertiser_keys(desk.instance)) == ids


@pytest.mark.parametrize(
    ("overrides", "mend"),
    [
        ({"access_token": None}, "no token: run `tiktok-assets auth`, or set TIKTOK_ACCESS_TOKEN"),
        ({"access_token": "wrong-token-5e1f"}, "Check TIKTOK_ACCESS_TOKEN"),
        ({"app_secret": "wrong-secret-5e1f"}, "The app_id or the secret is incorrect."),
        ({"app_id": None}, "set TIKTOK_APP_ID and TIKTOK_APP_SECRET"),
    ],
)
def test_a_sensor_that_cannot_list_says_why(make_desk: DeskMaker, overrides: dict[str, str], mend: str) -> None:
    """Without the right token or app the tick is skipped with the mend, shows no secret, and adds nobody."""
    desk = make_desk(**overrides)
    requests, said, _ = sensed(desk, "advertiser_partitions")
    assert requests == []
    assert said
    assert said.startswith("The accounts cannot be listed. ")
    assert mend in said
    assert "\n" not in said
    assert not any(secret in said for secret in (*desk.host.secrets, *filter(None, overrides.values())))
    assert list(get_advertiser_keys(desk.instance)) == []


Asked = dict[str, AbstractSet[str | None]]
"""The partitions asked for, by table; a table without partitions has the key None."""


class Automation:
    """The automation of a desk, evaluated tick by tick."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._cursor: object = None

    def tick(self) -> Asked:
        """What is asked for now."""
        result = dg.evaluate_automation_conditions(
            self._desk.definitions,
            self._desk.instance,
            cursor=self._cursor,  # type: ignore[arg-type]  # Dagster exports no name for it
        )
        self._cursor = result.cursor
        keys = (dg.AssetKey(table) for table in get_derived_tables(self._desk.settings))
        found = {
            key.path[-1]: result.get_requested_partitions(key) for key in keys if result.get_num_requested(key)
        }
        assert result.total_requested == sum(map(len, found.values()))
        return found

    def until_quiet(self) -> list[Asked]:
        """What is asked for tick by tick, each run as the daemon would, until nothing is."""
        asked = []
        while found := self.tick():
            asked.append(found)
            assert len(asked) < 6, asked
            whole = [table for table, keys in found.items() if None in keys]
            for table, keys in found.items():
                owners = [key for key in get_advertiser_keys(self._desk.instance) if key in keys]
                if owners:
                    assert self._desk.run_range("refresh_derived", owners, tables=[table]).success
            if whole:
                assert self._desk.run("refresh_derived", tables=whole).success
        return asked


def test_the_derived_assets_follow_what_was_updated_and_then_rest(desk: Desk) -> None:
    """The ranking and the candidates of exactly the updated accounts, then the warehouse once, then nothing."""
    ids = desk.know()
    assert desk.run_range("refresh_accounts", ids).success
    assert desk.run_range("refresh_lifetime", ids).success
    automation = Automation(desk)
    automation.tick()
    assert desk.run_range("refresh_lifetime", ids[1:3]).success
    ranked = ("top_spenders", "duplication_candidates")
    assert automation.tick() == {key: set(ids[1:3]) for key in ranked}
    assert desk.run_range("refresh_derived", ids[1:3], tables=ranked).success
    assert automation.tick() == {key: {None} for key in UNPARTITIONED_DERIVED_TABLES}
    assert desk.run("refresh_derived", tables=UNPARTITIONED_DERIVED_TABLES).success
    assert automation.tick() == {}
    assert automation.tick() == {}


def test_daily_reports_rebuild_the_warehouse_alone(desk: Desk) -> None:
    """What the ranking only shows beside does not rank anew; the warehouse is built once for it, last."""
    ids = desk.know()
    automation = Automation(desk)
    automation.tick()
    assert desk.run("refresh_daily", {"dagster/partition": f"{ids[1]}|2026-10-02"}).success
    asked = automation.until_quiet()
    assert not any(one.keys() & {"top_spenders", "duplication_candidates"} for one in asked)
    assert asked[-1] == {"warehouse": {None}}
    assert [table for one in asked for table in one if table in UNPARTITIONED_DERIVED_TABLES] == list(
        UNPARTITIONED_DERIVED_TABLES
    )


def test_a_ranking_that_fails_does_not_keep_the_warehouse_from_being_built(desk: Desk) -> None:
    """The warehouse waits for the ranking that was asked for, not for one that never came."""
    ids = desk.know()
    automation = Automation(desk)
    automation.tick()
    assert desk.run_range("refresh_lifetime", ids[:1]).success
    assert automation.tick() == {key: {ids[0]} for key in ("top_spenders", "duplication_candidates")}
    assert automation.tick() == {key: {None} for key in UNPARTITIONED_DERIVED_TABLES}


def test_the_conditions_can_be_evaluated_by_the_daemon(desk: Desk) -> None:
    """Each condition can be written down and sent, as the daemon of a deployment needs it."""
    graph = desk.definitions.resolve_asset_graph()
    for table in get_derived_tables(desk.settings):
        condition = graph.get(dg.AssetKey(table)).automation_condition
        assert condition
        assert condition.is_serializable
        assert condition.get_label()


def test_schedule_and_sensors_run_by_default(desk: Desk) -> None:
    """Nobody has to switch them on: a fresh deployment refreshes itself."""
    repository = desk.definitions.get_repository_def()
    schedules = {one.name: one.default_status for one in repository.schedule_defs}
    sensors = {one.name: one.default_status for one in repository.sensor_defs}
    assert schedules == {"daily_refresh": dg.DefaultScheduleStatus.RUNNING}
    ours = {"advertiser_partitions", "refresh_sequence", "derived_assets", "new_top_spender"}
    told = {"deliver_alerts", "run_failure_alert"}
    assert sensors == dict.fromkeys(ours | told, dg.DefaultSensorStatus.RUNNING)


def test_the_schedule_fires_at_the_chosen_time_in_utc(make_desk: DeskMaker) -> None:
    """It fires after the API's daily correction at noon, or whenever the setting says."""
    for cron, desk in {"30 12 * * *": make_desk(), "15 14 * * 1": make_desk(refresh_cron="15 14 * * 1")}.items():
        schedule = desk.definitions.get_repository_def().get_schedule_def("daily_refresh")
        assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "UTC")

"""Laws of what a run says: its plan first, which costs nothing and comes true, then how far it is."""

import re
from datetime import timedelta
from pathlib import Path

import dagster as dg

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.refresh_stages import REFRESH_STAGES
from tiktok_assets.spec.entities import LISTED_ENTITIES
from tiktok_assets.storage.files import PARTITION_FILE_NAME
from tiktok_assets_tests.defs.conftest import DAILY, LIFETIME, Desk, DeskMaker


def lines_of(desk: Desk, result: dg.ExecuteInProcessResult) -> list[str]:
    """What a run logged in words, in order."""
    entries = desk.instance.all_logs(result.run_id)
    return [entry.user_message for entry in entries if not entry.is_dagster_event]


def test_the_plan_of_each_stage_comes_first_and_comes_true(make_desk: DeskMaker) -> None:
    """On an ordinary morning the first line of each run names the requests and rows that follow, exactly."""
    desk = make_desk(advertiser_ids=",".join(make_desk().advertiser_ids))
    desk.know()
    for stage in REFRESH_STAGES:
        assert [run.success for run in desk.refresh(stage)] == [True]
    for stage in REFRESH_STAGES:
        desk.host.behave()
        (result,) = desk.refresh(stage)
        first, *others = lines_of(desk, result)
        assert not any(line.startswith("Plan:") for line in others)
        told = re.fullmatch(
            r"Plan: about (\d+) requests, [\d.]+ minutes at 1000 a second \(TIKTOK_QPS\);"
            r" 4 accounts(?: and \d+ days of theirs)?; ([\d,]+) rows by what is stored\.",
            first,
        )
        assert told, first
        assert int(told[1]) == len(desk.host.requests)
        assert int(told[2]) == rows_of(result)


def rows_of(result: dg.ExecuteInProcessResult) -> int:
    """The rows a run has read, by the metadata of what it recorded."""
    read = {"advertisers", *(entity.table for entity in LISTED_ENTITIES), *DAILY, *LIFETIME}
    events = [event for event in result.all_events if event.is_step_materialization]
    facts = [event.materialization for event in events if event.asset_key and event.asset_key.path[-1] in read]
    return sum(fact.metadata["rows"].value for fact in facts)  # type: ignore[misc] # a number


def test_what_nobody_has_read_is_said_to_be_unknown(desk: Desk) -> None:
    """The first reading of an account is planned with one request a question, and says that it may be more."""
    ids = desk.know()
    result = desk.run_range("refresh_lifetime", ids)
    assert lines_of(desk, result)[0] == (
        "Plan: at least 16 requests, 0.1 minutes at 1000 a second (TIKTOK_QPS); 4 accounts;"
        " 0 rows by what is stored, 16 of the readings never made before."
    )


def test_each_step_says_at_its_end_what_was_done_and_at_what_cost(desk: Desk) -> None:
    """Done, left, requests, refusals and repeats are those of the step: one refusal is one request sent again."""
    ids = desk.know()
    desk.host.misbehave("code", code=40100, message="Too many requests.", times=1)
    result = desk.run_range("refresh_lifetime", ids, tables=["ad_report_lifetime"])
    assert result.success
    last = lines_of(desk, result)[-1]
    assert re.fullmatch(
        r"ad_report_lifetime: 4 of 4 partitions done, 0 left; \d+ requests, [\d.]+ a second;"
        r" 1 refused for speed, 1 sent again\.",
        last,
    ), last


def test_partitions_that_fail_are_done_with_too(desk: Desk) -> None:
    """With one account lost nothing is left at the end, and the failure is told beside."""
    ids = desk.know()
    desk.revoke(ids[1])
    result = desk.run_range("refresh_lifetime", ids, tables=["ad_report_lifetime"])
    assert not result.success
    assert any(
        line.startswith("ad_report_lifetime: 4 of 4 partitions done, 0 left;") for line in lines_of(desk, result)
    )


def test_a_stored_file_that_cannot_be_read_stops_no_run(desk: Desk) -> None:
    """A damaged partition counts as never read, and the run that begins with the plan replaces it."""
    (owner, *_) = desk.know()
    assert desk.run_range("refresh_lifetime", [owner], tables=["ad_report_lifetime"]).success
    rows = desk.table("ad_report_lifetime").drop("fetched_at")
    path = Path(str(desk.store.base), "ad_report_lifetime", f"advertiser_id={owner}", PARTITION_FILE_NAME)
    path.write_bytes(b"damaged")
    result = desk.run_range("refresh_lifetime", [owner], tables=["ad_report_lifetime"])
    assert result.success
    assert lines_of(desk, result)[0].endswith("0 rows by what is stored, 1 of the readings never made before.")
    assert desk.table("ad_report_lifetime").drop("fetched_at").equals(rows)


def test_the_history_of_accounts_is_planned_by_the_days_each_lacks(make_desk: DeskMaker) -> None:
    """An account of which one day is missing is planned with that day, whatever the others lack."""
    desk = make_desk(
        start_date="2026-08-31", reports="ad_report_daily", advertiser_ids=make_desk().advertiser_ids[0]
    )
    (owner,) = desk.know(desk.settings.advertiser_ids)
    yesterday = desk.now.date() - timedelta(1)
    assert desk.run_range(
        "refresh_daily", [owner], DateWindow(desk.settings.start_date, yesterday - timedelta(1))
    ).success
    more = make_desk(
        desk.instance,
        start_date="2026-08-31",
        reports="ad_report_daily",
        advertiser_ids=",".join(desk.advertiser_ids),
    )
    more.know()
    more.host.behave()
    result = more.run("backfill_history")
    assert result.success
    first = lines_of(more, result)[0]
    counted = len(more.report_requests())
    assert first.startswith(f"Plan: at least {counted} requests"), first
    assert " 4 accounts and 112 days of theirs; " in first

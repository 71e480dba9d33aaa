"""Laws of ranges: a run holds the keys it was asked for or fails, whatever the order they were added in."""

from collections import Counter
from datetime import date

import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.jobs import build_run_requests
from tiktok_assets.defs.refresh_stages import (
    RANGE_END_TAG,
    RANGE_START_TAG,
    REFRESH_STAGES,
    get_advertiser_keys,
    plan_stage_ranges,
    split_into_ranges,
)
from tiktok_assets.defs.runs import INTENDED_PARTITIONS_TAG
from tiktok_assets_tests.defs.conftest import DAILY, LIFETIME, Desk, DeskMaker, failure_in, keys_of

WINDOW = DateWindow(date(2026, 10, 3), date(2026, 10, 4))
MEND = "launch it again with its keys in the order they were added, or one advertiser at a time"


@pytest.mark.parametrize("job", ["refresh_lifetime", "refresh_daily"])
def test_a_range_against_the_order_fails_with_one_sentence(desk: Desk, job: str) -> None:
    """From a key added later to one added earlier a range holds nothing: the run fails and says how to go on."""
    ids = desk.advertiser_ids
    desk.know([ids[2]])
    desk.know([ids[0]])
    day = f"|{WINDOW.first}" if job == "refresh_daily" else ""
    tables = LIFETIME if job == "refresh_lifetime" else DAILY
    result = desk.run(job, {RANGE_START_TAG: f"{ids[0]}{day}", RANGE_END_TAG: f"{ids[2]}{day}"})
    assert not result.success
    for table in tables:
        assert failure_in(result, table).endswith(MEND)
        assert "\n" not in failure_in(result, table)
        assert desk.recorded(table) == []
        assert desk.keys(table) == []
    assert desk.report_requests() == []


def test_a_range_that_holds_more_than_was_meant_fails_before_it_asks(desk: Desk) -> None:
    """An account added between the cutting of a chunk and its run is not read by surprise."""
    ids = desk.advertiser_ids
    desk.know([ids[0], ids[2]])
    (chunk,) = split_into_ranges(get_advertiser_keys(desk.instance), dict.fromkeys([ids[0], ids[2]], WINDOW))
    wrong = {**chunk.tags, INTENDED_PARTITIONS_TAG: chunk.tags[INTENDED_PARTITIONS_TAG].replace(ids[2], ids[1])}
    result = desk.run("refresh_daily", wrong)
    assert not result.success
    said = failure_in(result, "ad_report_daily")
    assert (
        said
        == f"this run holds {chunk.tags[INTENDED_PARTITIONS_TAG]}, not {wrong[INTENDED_PARTITIONS_TAG]}; {MEND}"
    )
    assert desk.report_requests() == []


def test_a_range_over_other_days_than_were_meant_fails(desk: Desk) -> None:
    """The days are held to the intention as the accounts are."""
    ids = desk.know()
    (chunk,) = split_into_ranges(ids, {ids[0]: WINDOW})
    result = desk.run("refresh_daily", {**chunk.tags, RANGE_END_TAG: f"{ids[0]}|{WINDOW.first}"}, DAILY[:1])
    assert failure_in(result, DAILY[0]).endswith(MEND)
    assert desk.report_requests() == []


def test_a_range_launched_by_hand_needs_no_intention(desk: Desk) -> None:
    """A range from the launch dialog, in the order of its keys, is run as it stands."""
    ids = desk.know()
    tags = {RANGE_START_TAG: f"{ids[0]}|{WINDOW.first}", RANGE_END_TAG: f"{ids[1]}|{WINDOW.last}"}
    assert desk.run("refresh_daily", tags, ["ad_report_daily"]).success
    assert desk.keys("ad_report_daily") == keys_of(ids[:2], WINDOW)


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_a_refresh_reads_every_account_whatever_the_order_of_insertion(
    make_desk: DeskMaker, order: tuple[int, ...]
) -> None:
    """All three stages give each account's partitions exactly once, in whatever order the keys were added."""
    ids = make_desk().advertiser_ids[1:]
    desk = make_desk(
        advertiser_ids=",".join(ids), reports="ad_report_daily,ad_report_lifetime", start_date="2026-10-05"
    )
    for place in order:
        desk.know([ids[place]])
    for stage in REFRESH_STAGES:
        for result in desk.refresh(stage):
            assert result.success
    for table in ("campaigns", "ad_groups", "ads", "ad_report_lifetime"):
        assert Counter(key for key, _ in desk.recorded(table)) == Counter(ids)
    daily = Counter(key for key, _ in desk.recorded("ad_report_daily"))
    assert set(daily.values()) == {1}
    assert {key.split("|")[0] for key in daily} == set(ids)
    # At half past noon UTC it is the seventh everywhere, so yesterday is the sixth.
    assert sorted(daily) == keys_of(ids, DateWindow(date(2026, 10, 5), date(2026, 10, 6)))


def test_an_account_that_is_left_out_parts_the_range(make_desk: DeskMaker) -> None:
    """Where the settings name two accounts with a third between them, the third is not read."""
    desk = make_desk(advertiser_ids=",".join(make_desk().advertiser_ids[1:4:2]))
    ids = desk.know(desk.advertiser_ids)
    chunks = plan_stage_ranges("refresh_lifetime", desk.instance, desk.store, desk.settings, desk.now)
    assert [chunk.advertiser_ids for chunk in chunks] == [(ids[1],), (ids[3],)]
    for request in build_run_requests("refresh_lifetime", "r", chunks):
        assert desk.launch(request).success
    assert desk.keys("ad_report_lifetime") == [ids[1], ids[3]]


def test_an_account_known_as_lost_is_not_asked_for(make_desk: DeskMaker) -> None:
    """After the accounts were read, a refresh leaves those out that lost their grant."""
    desk = make_desk()
    ids = desk.know()
    assert desk.run("refresh_accounts", tables=["advertisers"]).success
    desk.revoke(ids[2])
    later = make_desk(desk.instance)
    assert later.run("refresh_accounts", tables=["advertisers"]).success
    for stage in REFRESH_STAGES:
        chunks = plan_stage_ranges(stage, later.instance, later.store, later.settings, later.now)
        assert [one for chunk in chunks for one in chunk.advertiser_ids] == [ids[0], ids[1], ids[3]]

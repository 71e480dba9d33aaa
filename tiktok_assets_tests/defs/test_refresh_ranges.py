"""Test that a run holds the intended keys or fails, in whatever order the keys were added."""

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
from tiktok_assets.defs.run_tags import INTENDED_PARTITIONS_TAG
from tiktok_assets_tests.defs.conftest import (
    DAILY,
    LIFETIME,
    Deployment,
    DeploymentFactory,
    format_keys,
    get_failure,
)

WINDOW = DateWindow(date(2026, 10, 3), date(2026, 10, 4))
FIX = "launch it again with the partition keys in the order they were added, or one advertiser at a time"


@pytest.mark.parametrize("job", ["refresh_lifetime", "refresh_daily"])
def test_range_against_the_key_order_fails(deployment: Deployment, job: str) -> None:
    """A range from a key added later to one added earlier holds nothing: the run fails and says what to do."""
    ids = deployment.advertiser_ids
    deployment.add_partitions([ids[2]])
    deployment.add_partitions([ids[0]])
    day = f"|{WINDOW.first}" if job == "refresh_daily" else ""
    tables = LIFETIME if job == "refresh_lifetime" else DAILY
    result = deployment.run(job, {RANGE_START_TAG: f"{ids[0]}{day}", RANGE_END_TAG: f"{ids[2]}{day}"})
    assert not result.success
    for table in tables:
        assert get_failure(result, table).endswith(FIX)
        assert "\n" not in get_failure(result, table)
        assert deployment.materializations(table) == []
        assert deployment.stored_keys(table) == []
    assert deployment.report_requests() == []


def test_range_with_unintended_accounts_fails_before_a_request(deployment: Deployment) -> None:
    """A run whose range gained an account since it was planned fails without a request."""
    ids = deployment.advertiser_ids
    deployment.add_partitions([ids[0], ids[2]])
    (chunk,) = split_into_ranges(
        get_advertiser_keys(deployment.instance, deployment.settings), dict.fromkeys([ids[0], ids[2]], WINDOW)
    )
    wrong = {**chunk.tags, INTENDED_PARTITIONS_TAG: chunk.tags[INTENDED_PARTITIONS_TAG].replace(ids[2], ids[1])}
    result = deployment.run("refresh_daily", wrong)
    assert not result.success
    message = get_failure(result, "ad_report_daily")
    assert (
        message
        == f"this run holds {chunk.tags[INTENDED_PARTITIONS_TAG]}, not {wrong[INTENDED_PARTITIONS_TAG]}; {FIX}"
    )
    assert deployment.report_requests() == []


def test_range_over_unintended_days_fails(deployment: Deployment) -> None:
    """A run over other days than intended fails."""
    ids = deployment.add_partitions()
    (chunk,) = split_into_ranges(ids, {ids[0]: WINDOW})
    result = deployment.run("refresh_daily", {**chunk.tags, RANGE_END_TAG: f"{ids[0]}|{WINDOW.first}"}, DAILY[:1])
    assert get_failure(result, DAILY[0]).endswith(FIX)
    assert deployment.report_requests() == []


def test_range_launched_by_hand_needs_no_tag(deployment: Deployment) -> None:
    """A range from the launch dialog, in the order of its keys, runs without the tag of intended partitions."""
    ids = deployment.add_partitions()
    tags = {RANGE_START_TAG: f"{ids[0]}|{WINDOW.first}", RANGE_END_TAG: f"{ids[1]}|{WINDOW.last}"}
    assert deployment.run("refresh_daily", tags, ["ad_report_daily"]).success
    assert deployment.stored_keys("ad_report_daily") == format_keys(ids[:2], WINDOW)


@pytest.mark.slow
@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_refresh_reads_every_account_in_any_key_order(
    make_deployment: DeploymentFactory, order: tuple[int, ...]
) -> None:
    """All three stages materialize each account's partitions exactly once, in whatever order keys were added."""
    ids = make_deployment().advertiser_ids[1:]
    deployment = make_deployment(
        advertiser_ids=",".join(ids), reports="ad_report_daily,ad_report_lifetime", start_date="2026-10-05"
    )
    for place in order:
        deployment.add_partitions([ids[place]])
    for stage in REFRESH_STAGES:
        for result in deployment.refresh(stage):
            assert result.success
    for table in ("campaigns", "ad_groups", "ads", "ad_report_lifetime"):
        assert Counter(key for key, _ in deployment.materializations(table)) == Counter(ids)
    daily = Counter(key for key, _ in deployment.materializations("ad_report_daily"))
    assert set(daily.values()) == {1}
    assert {key.split("|")[0] for key in daily} == set(ids)
    # At 12:30 UTC it is the seventh in all time zones of the sandbox, so yesterday is the sixth.
    assert sorted(daily) == format_keys(ids, DateWindow(date(2026, 10, 5), date(2026, 10, 6)))


@pytest.mark.slow
def test_skipped_account_splits_the_range(make_deployment: DeploymentFactory) -> None:
    """If the settings name two accounts with a third between them, the third is not read."""
    deployment = make_deployment(advertiser_ids=",".join(make_deployment().advertiser_ids[1:4:2]))
    ids = deployment.add_partitions(deployment.advertiser_ids)
    chunks = plan_stage_ranges(
        "refresh_lifetime", deployment.instance, deployment.store, deployment.settings, deployment.now
    )
    assert [chunk.advertiser_ids for chunk in chunks] == [(ids[1],), (ids[3],)]
    for request in build_run_requests(deployment.settings, "refresh_lifetime", "r", chunks):
        assert deployment.launch(request).success
    assert deployment.stored_keys("ad_report_lifetime") == [ids[1], ids[3]]


def test_lost_account_is_not_requested(make_deployment: DeploymentFactory) -> None:
    """After the accounts were read, a refresh skips those that lost their grant."""
    deployment = make_deployment()
    ids = deployment.add_partitions()
    assert deployment.run("refresh_accounts", tables=["advertisers"]).success
    deployment.revoke(ids[2])
    later = make_deployment(deployment.instance)
    assert later.run("refresh_accounts", tables=["advertisers"]).success
    for stage in REFRESH_STAGES:
        chunks = plan_stage_ranges(stage, later.instance, later.store, later.settings, later.now)
        assert [one for chunk in chunks for one in chunk.advertiser_ids] == [ids[0], ids[1], ids[3]]

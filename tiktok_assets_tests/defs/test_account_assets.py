"""Laws of the account group: what is granted, what was lost, and which accounts become partitions."""

import dagster as dg

from tiktok_assets.defs.account_assets import ALL_GRANTED_CHECK, add_advertiser_partitions
from tiktok_assets.defs.refresh_stages import get_advertiser_keys
from tiktok_assets_tests.defs.conftest import Desk, DeskMaker, failure_in


def _check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == ALL_GRANTED_CHECK]
    return check


def test_reading_the_accounts_makes_each_a_partition(desk: Desk) -> None:
    """The first reading of the accounts adds every granted one as a partition and passes its check."""
    result = desk.run("refresh_accounts", tables=["advertisers"])
    assert result.success
    assert list(get_advertiser_keys(desk.instance)) == desk.advertiser_ids
    assert desk.table("advertisers").get_column("advertiser_id").to_list() == desk.advertiser_ids
    assert _check(result).passed


def test_an_account_that_lost_its_grant_keeps_its_row_and_fails_the_check(make_desk: DeskMaker) -> None:
    """The others are read, the lost one is marked and named by a failing check; the run succeeds."""
    desk = make_desk()
    ids = desk.advertiser_ids
    assert desk.run("refresh_accounts", tables=["advertisers"]).success
    desk.revoke(ids[1])
    later = make_desk(desk.instance)  # a run of a later day lists the accounts anew
    result = later.run("refresh_accounts", tables=["advertisers"])
    assert result.success
    check = _check(result)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert list(check.metadata) == [ids[1]]
    table = later.table("advertisers")
    assert table.filter(is_granted=False).get_column("advertiser_id").to_list() == [ids[1]]
    assert table.height == len(ids)
    assert list(get_advertiser_keys(desk.instance)) == ids


def test_a_named_account_that_is_not_granted_hides_no_other(make_desk: DeskMaker, desk: Desk) -> None:
    """An id in the settings that may not be read fails the check by name; the other named ones are read."""
    first, second, *_ = desk.advertiser_ids
    desk.revoke(second)
    named = make_desk(advertiser_ids=f"{second},{first}")
    result = named.run("refresh_accounts", tables=["advertisers"])
    assert result.success
    check = _check(result)
    assert not check.passed
    assert second in check.metadata
    assert named.table("advertisers").get_column("advertiser_id").to_list() == [first]


def test_a_wrong_token_fails_the_run_with_its_mend(make_desk: DeskMaker) -> None:
    """Without a valid token the step says in one sentence what to check; nothing is stored."""
    desk = make_desk(access_token="not-the-token")
    result = desk.run("refresh_accounts", tables=["advertisers"])
    assert not result.success
    said = failure_in(result, "advertisers")
    assert said.endswith("Check TIKTOK_ACCESS_TOKEN, and that it was issued by this app for this host.")
    assert "not-the-token" not in said
    assert desk.keys("advertisers") == []


def test_a_missing_token_is_named(make_desk: DeskMaker) -> None:
    """A run without a token fails and names the variable to set."""
    desk = make_desk(access_token=None)
    result = desk.run("refresh_accounts", tables=["advertisers"])
    assert "run `tiktok-assets auth`, or set TIKTOK_ACCESS_TOKEN" in failure_in(result, "advertisers")


def test_the_listed_tables_hold_what_the_world_holds(desk: Desk) -> None:
    """Campaigns, ad groups and ads are the world's own, each under its account; an empty one is stored empty."""
    ids = desk.know()
    assert desk.run_range("refresh_accounts", ids).success
    for table, key in {"campaigns": "campaign_id", "ad_groups": "adgroup_id", "ads": "ad_id"}.items():
        truth = sorted((str(row["advertiser_id"]), str(row[key])) for row in desk.host.truth(table))
        own = key.replace("adgroup", "ad_group")
        assert sorted(desk.table(table).select("advertiser_id", own).rows()) == truth
        assert desk.keys(table) == ids


def test_adding_accounts_twice_adds_nothing(desk: Desk) -> None:
    """Only new accounts are added, behind the others, and the answer names just them."""
    assert add_advertiser_partitions(desk.instance, ["7002", "7001"]) == ["7002", "7001"]
    assert add_advertiser_partitions(desk.instance, ["7001", "7003"]) == ["7003"]
    assert add_advertiser_partitions(desk.instance, ["7003"]) == []
    assert sorted(get_advertiser_keys(desk.instance)) == ["7001", "7002", "7003"]

"""Test the account group: granted and lost accounts, and the partitions added for them."""

import dagster as dg

from tiktok_assets.defs.account_assets import ALL_GRANTED_CHECK, add_advertiser_partitions
from tiktok_assets.defs.refresh_stages import get_advertiser_keys
from tiktok_assets_tests.defs.conftest import Deployment, DeploymentFactory, get_failure


def get_granted_check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    """Return the evaluation of the check on granted accounts."""
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == ALL_GRANTED_CHECK]
    return check


def test_reading_accounts_adds_partitions(deployment: Deployment) -> None:
    """The first refresh of the accounts adds a partition for every granted one and passes the check."""
    result = deployment.run("refresh_accounts", tables=["advertisers"])
    assert result.success
    assert list(get_advertiser_keys(deployment.instance, deployment.settings)) == deployment.advertiser_ids
    assert deployment.read_table("advertisers").get_column("advertiser_id").to_list() == deployment.advertiser_ids
    assert get_granted_check(result).passed


def test_lost_account_keeps_its_row_and_fails_the_check(make_deployment: DeploymentFactory) -> None:
    """An account that lost its grant keeps its row as not granted, and the check names it; the run succeeds."""
    deployment = make_deployment()
    ids = deployment.advertiser_ids
    assert deployment.run("refresh_accounts", tables=["advertisers"]).success
    deployment.revoke(ids[1])
    later = make_deployment(deployment.instance)  # a later run lists the accounts again
    result = later.run("refresh_accounts", tables=["advertisers"])
    assert result.success
    check = get_granted_check(result)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert list(check.metadata) == [ids[1]]
    table = later.read_table("advertisers")
    assert table.filter(is_granted=False).get_column("advertiser_id").to_list() == [ids[1]]
    assert table.height == len(ids)
    assert list(get_advertiser_keys(deployment.instance, deployment.settings)) == ids


def test_configured_account_without_grant_does_not_hide_others(
    make_deployment: DeploymentFactory, deployment: Deployment
) -> None:
    """A configured account that cannot be read fails the check by id; the other configured accounts are read."""
    first, second, *_ = deployment.advertiser_ids
    deployment.revoke(second)
    named = make_deployment(advertiser_ids=f"{second},{first}")
    result = named.run("refresh_accounts", tables=["advertisers"])
    assert result.success
    check = get_granted_check(result)
    assert not check.passed
    assert second in check.metadata
    assert named.read_table("advertisers").get_column("advertiser_id").to_list() == [first]


def test_invalid_token_fails_the_run_with_a_fix(make_deployment: DeploymentFactory) -> None:
    """With an invalid token the step fails with one sentence that says what to check, and stores nothing."""
    deployment = make_deployment(access_token="not-the-token")
    result = deployment.run("refresh_accounts", tables=["advertisers"])
    assert not result.success
    message = get_failure(result, "advertisers")
    assert message.endswith("Check TIKTOK_ACCESS_TOKEN, and that it was issued by this app for this host.")
    assert "not-the-token" not in message
    assert deployment.stored_keys("advertisers") == []


def test_missing_token_names_the_variable(make_deployment: DeploymentFactory) -> None:
    """A run without a token fails and names the variable to set."""
    deployment = make_deployment(access_token=None)
    result = deployment.run("refresh_accounts", tables=["advertisers"])
    assert "run `tiktok-assets auth`, or set TIKTOK_ACCESS_TOKEN" in get_failure(result, "advertisers")


def test_entity_tables_match_the_sandbox(deployment: Deployment) -> None:
    """Campaigns, ad groups and ads are those of the sandbox under their account; empty lists are stored empty."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_accounts", ids).success
    for table, key in {"campaigns": "campaign_id", "ad_groups": "adgroup_id", "ads": "ad_id"}.items():
        truth = sorted((str(row["advertiser_id"]), str(row[key])) for row in deployment.host.ground_truth(table))
        own = key.replace("adgroup", "ad_group")
        assert sorted(deployment.read_table(table).select("advertiser_id", own).rows()) == truth
        assert deployment.stored_keys(table) == ids


def test_adding_accounts_twice_adds_nothing(deployment: Deployment) -> None:
    """Only new accounts are added, after the others, and only they are returned."""
    assert add_advertiser_partitions(deployment.instance, ["7002", "7001"], deployment.settings) == [
        "7002",
        "7001",
    ]
    assert add_advertiser_partitions(deployment.instance, ["7001", "7003"], deployment.settings) == ["7003"]
    assert add_advertiser_partitions(deployment.instance, ["7003"], deployment.settings) == []
    assert sorted(get_advertiser_keys(deployment.instance, deployment.settings)) == ["7001", "7002", "7003"]

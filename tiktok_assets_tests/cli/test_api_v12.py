"""Tests of commands with `TIKTOK_API_VERSION=v1.2`: reads work as in v1.3, and storing is refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tiktok_assets.definitions import build_definitions
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.settings import SettingsError, load_settings
from tiktok_assets_tests.cli.conftest import RunCommand

pytestmark = pytest.mark.slow  # each test runs several commands in both versions

V12 = {"TIKTOK_API_VERSION": "v1.2"}
COMPARED_COLUMNS = ("id", "name", "status", "spend", "impressions", "currency")
STORING_COMMANDS = (("sync",), ("sync", "--plan"), ("plan",), ("dev",))


def read_rows(run: RunCommand, version: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a command with a version of the API and return the rows it prints."""
    result = run(*arguments, "--json", variables={"TIKTOK_API_VERSION": version})
    assert (result.exit_code, result.err) == (0, "")
    printed: list[dict[str, Any]] = json.loads(result.out)
    return printed


def read_tutorial(run: RunCommand, sandbox: RunningSandbox, version: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each step of the tutorial, with ids, names, statuses, spend and impressions only."""
    scenario = sandbox.world.scenario
    assert scenario
    account = ("--advertiser", scenario.advertiser_id)
    of_campaign = (*account, "--campaign", scenario.campaign_id)
    ad_groups = read_rows(run, version, "get", "ad-groups", *of_campaign)
    steps = [
        read_rows(run, version, "get", "advertisers"),
        read_rows(run, version, "get", "campaigns", *account),
        ad_groups,
        read_rows(run, version, "get", "ads", *account, "--ad-group", ad_groups[0]["ad_group_id"]),
        read_rows(run, version, "get", "report", "--lifetime", *of_campaign),
        read_rows(run, version, "top", "--live", *account),
    ]
    for step in steps:
        assert step
        yield [{key: one[key] for key in one if key.rpartition("_")[2] in COMPARED_COLUMNS} for one in step]


def test_both_versions_return_the_same_rows(run: RunCommand, sandbox: RunningSandbox) -> None:
    """Ids, names, statuses, spend and impressions of each step of the tutorial are the same in both versions."""
    scenario = sandbox.world.scenario
    assert scenario
    old, new = (list(read_tutorial(run, sandbox, version)) for version in ("v1.2", "v1.3"))
    newer = {"smart_plus_ad_id"}  # v1.2 does not have it
    for step, expected in zip(old, new, strict=True):
        assert [{k: v for k, v in one.items() if k not in newer} for one in expected] == [
            {k: v for k, v in one.items() if k not in newer} for one in step
        ]
    *_, report, top = old
    assert scenario.new_leader_ad_id == report[0]["ad_id"]
    assert scenario.new_leader_ad_id in {one["ad_id"] for one in top if one["campaign_id"] == scenario.campaign_id}
    assert {"spend", "impressions"} <= report[0].keys()


def test_all_requests_use_v12(run: RunCommand, sandbox: RunningSandbox) -> None:
    """With v1.2 no step of the tutorial sends a request to v1.3."""
    sandbox.state.requests.clear()
    list(read_tutorial(run, sandbox, "v1.2"))
    assert {request["version"] for request in sandbox.state.requests} == {"v1.2"}


def test_report_of_v12_as_a_table(run: RunCommand, sandbox: RunningSandbox) -> None:
    """A report of v1.2 is printed as a table with its columns."""
    scenario = sandbox.world.scenario
    assert scenario
    command = (
        "get",
        "report",
        "--lifetime",
        "--advertiser",
        scenario.advertiser_id,
        "--campaign",
        scenario.campaign_id,
    )
    result = run(*command, variables=V12)
    assert result.exit_code == 0, result.err
    assert scenario.new_leader_ad_id in result.out
    assert "impressions" in result.out


@pytest.mark.parametrize("command", STORING_COMMANDS, ids=" ".join)
def test_storing_commands_refuse_v12(run: RunCommand, sandbox: RunningSandbox, command: tuple[str, ...]) -> None:
    """Commands that store data end with a message to set v1.3, before any request."""
    sandbox.state.requests.clear()
    result = run(*command, variables=V12)
    assert result.exit_code == 2, result.err
    (message,) = result.err.splitlines()
    assert message.startswith("Error: TIKTOK_API_VERSION=v1.2 ")
    assert "set v1.3" in message
    assert list(sandbox.state.requests) == []


def test_definitions_refuse_v12() -> None:
    """Building the Dagster definitions with v1.2 fails with a message to set v1.3."""
    with pytest.raises(SettingsError, match=r"TIKTOK_API_VERSION=v1\.2 .* set v1\.3"):
        build_definitions(load_settings(api_version="v1.2"))

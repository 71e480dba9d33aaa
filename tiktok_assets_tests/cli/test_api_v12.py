"""The tutorial's walk with `TIKTOK_API_VERSION=v1.2`, as a user takes it, and what v1.2 is refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tiktok_assets.definitions import build_definitions
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.settings import SettingsError, load_settings
from tiktok_assets_tests.cli.conftest import RunCommand

V12 = {"TIKTOK_API_VERSION": "v1.2"}
SHOWN = ("id", "name", "status", "spend", "impressions", "currency")
REFUSED = (("sync",), ("sync", "--plan"), ("plan",), ("dev",))


def rows(run: RunCommand, version: str, *arguments: str) -> list[dict[str, Any]]:
    """What a command prints in a version of the API."""
    ran = run(*arguments, "--json", variables={"TIKTOK_API_VERSION": version})
    assert (ran.exit_code, ran.err) == (0, "")
    printed: list[dict[str, Any]] = json.loads(ran.out)
    return printed


def walk(run: RunCommand, sandbox: RunningSandbox, version: str) -> Iterator[list[dict[str, Any]]]:
    """The steps of the tutorial, each with ids, names, statuses, spend and impressions."""
    story = sandbox.world.scenario
    assert story
    account = ("--advertiser", story.advertiser_id)
    of_campaign = (*account, "--campaign", story.campaign_id)
    ad_groups = rows(run, version, "get", "ad-groups", *of_campaign)
    steps = [
        rows(run, version, "get", "advertisers"),
        rows(run, version, "get", "campaigns", *account),
        ad_groups,
        rows(run, version, "get", "ads", *account, "--ad-group", ad_groups[0]["ad_group_id"]),
        rows(run, version, "get", "report", "--lifetime", *of_campaign),
        rows(run, version, "top", "--live", *account),
    ]
    for step in steps:
        assert step
        yield [{key: one[key] for key in one if key.rpartition("_")[2] in SHOWN} for one in step]


def test_the_walk_tells_the_same_in_both_versions(run: RunCommand, sandbox: RunningSandbox) -> None:
    """Ids, names, statuses, spend and impressions of every step agree, to the top-spending ad of the campaign."""
    story = sandbox.world.scenario
    assert story
    old, new = (list(walk(run, sandbox, version)) for version in ("v1.2", "v1.3"))
    newer = {"smart_plus_ad_id"}  # a name v1.2 never had
    for step, expected in zip(old, new, strict=True):
        assert [{k: v for k, v in one.items() if k not in newer} for one in expected] == [
            {k: v for k, v in one.items() if k not in newer} for one in step
        ]
    *_, report, top = old
    assert story.new_leader_ad_id == report[0]["ad_id"]
    assert story.new_leader_ad_id in {one["ad_id"] for one in top if one["campaign_id"] == story.campaign_id}
    assert {"spend", "impressions"} <= report[0].keys()


def test_the_walk_is_spoken_in_v12_alone(run: RunCommand, sandbox: RunningSandbox) -> None:
    """No step of the walk in v1.2 sends a request to v1.3."""
    sandbox.state.requests.clear()
    list(walk(run, sandbox, "v1.2"))
    assert {request["version"] for request in sandbox.state.requests} == {"v1.2"}


def test_the_walk_prints_tables(run: RunCommand, sandbox: RunningSandbox) -> None:
    """A person sees the report of v1.2 as a table, with the columns it has."""
    story = sandbox.world.scenario
    assert story
    asked = ("get", "report", "--lifetime", "--advertiser", story.advertiser_id, "--campaign", story.campaign_id)
    ran = run(*asked, variables=V12)
    assert ran.exit_code == 0, ran.err
    assert story.new_leader_ad_id in ran.out
    assert "impressions" in ran.out


@pytest.mark.parametrize("command", REFUSED, ids=" ".join)
def test_what_stores_refuses_v12(run: RunCommand, sandbox: RunningSandbox, command: tuple[str, ...]) -> None:
    """Planning, syncing and serving end with one sentence that says to use v1.3, before anything is asked."""
    sandbox.state.requests.clear()
    ran = run(*command, variables=V12)
    assert ran.exit_code == 2, ran.err
    (said,) = ran.err.splitlines()
    assert said.startswith("Error: TIKTOK_API_VERSION=v1.2 ")
    assert "use v1.3" in said
    assert list(sandbox.state.requests) == []


def test_the_assets_refuse_v12() -> None:
    """No definitions are built for v1.2: one sentence says to use v1.3."""
    with pytest.raises(SettingsError, match=r"TIKTOK_API_VERSION=v1\.2 .* use v1\.3"):
        build_definitions(load_settings(api_version="v1.2"))

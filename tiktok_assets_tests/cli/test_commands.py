"""The law of malformed values as a user of the command line meets it."""

import csv
import io
import json
from decimal import Decimal

import httpx
import pytest

from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets_tests.cli.conftest import RunCommand


@pytest.mark.parametrize(
    ("path", "field", "raw"),
    [
        ("campaign/get", "campaign_name", r'"Summer sale \ud83d"'),
        ("campaign/get", "campaign_name", '"Summer \xff sale"'),
        ("campaign/get", "budget", '"much"'),
    ],
)
def test_one_odd_value_ends_no_sync(
    run: RunCommand, sandbox: RunningSandbox, path: str, field: str, raw: str
) -> None:
    """`sync` ends with exit code 0 and asks nothing again, whatever one value says."""
    account = next(one.id for one in sandbox.world.advertisers.values() if one.granted)
    with httpx.Client(base_url=f"{sandbox.base_url}/sandbox/") as control:
        control.delete("requests")
        control.post("faults", json={"kind": "raw_value", "path": path, "field": field, "raw": raw, "times": None})
        try:
            ran = run("sync", "--select", "campaigns", "--advertiser", account)
            asked = [(one["path"], str(one["query"])) for one in control.get("requests").json()]
        finally:
            control.delete("faults")
    assert ran.exit_code == 0, ran.err
    assert path in {one for one, _ in asked}
    assert len(set(asked)) == len(asked)


def truth(sandbox: RunningSandbox, what: str, **query: str) -> list[dict[str, object]]:
    """The world's own rows."""
    answer = httpx.get(f"{sandbox.base_url}/sandbox/truth/{what}", params=query)
    rows: list[dict[str, object]] = answer.raise_for_status().json()
    return rows


def test_get_walks_the_account_as_the_tutorial_does(run: RunCommand, sandbox: RunningSandbox) -> None:
    """Campaigns, the ad groups of one, the ads of one and their lifetime report lead to the top-spending ad."""
    story = sandbox.world.scenario
    assert story
    account = ("--advertiser", story.advertiser_id, "--json")
    campaigns = json.loads(run("get", "campaigns", *account).out)
    ad_groups = json.loads(run("get", "ad-groups", *account, "--campaign", story.campaign_id).out)
    ads = json.loads(run("get", "ads", *account, "--ad-group", ad_groups[0]["ad_group_id"]).out)
    report = json.loads(run("get", "report", *account, "--lifetime", "--campaign", story.campaign_id).out)

    assert len(truth(sandbox, "campaigns", advertiser_id=story.advertiser_id)) == len(campaigns)
    assert {story.campaign_id} == {row["campaign_id"] for row in ad_groups}
    assert {ad_groups[0]["ad_group_id"]} == {row["ad_group_id"] for row in ads}
    assert story.new_leader_ad_id == report[0]["ad_id"]
    assert sorted((Decimal(row["spend"]) for row in report), reverse=True) == [
        Decimal(row["spend"]) for row in report
    ]


def test_a_daily_report_is_printed_as_table_json_and_csv(run: RunCommand, sandbox: RunningSandbox) -> None:
    """The same report comes as a table, as JSON with exact text amounts, and as CSV."""
    story = sandbox.world.scenario
    assert story
    last = story.t2.date().fromordinal(story.t2.date().toordinal() - 3).isoformat()
    asked = ("get", "report", "--advertiser", story.advertiser_id, "--from", last, "--to", last, "--level", "ad")
    table, as_json, as_csv = run(*asked), run(*asked, "--json"), run(*asked, "--csv")
    rows = json.loads(as_json.out)
    lines = list(csv.DictReader(io.StringIO(as_csv.out)))
    query = {"level": "ad", "advertiser_id": story.advertiser_id, "start_date": last, "end_date": last}
    facts = {row["id"]: row["metrics"] for row in truth(sandbox, "report", **query)}

    assert {row["ad_id"]: Decimal(row["spend"]) for row in rows} == {
        key: Decimal(metrics["spend"])  # type: ignore[index]
        for key, metrics in facts.items()
    }
    assert [row["spend"] for row in rows] == [line["spend"] for line in lines]
    assert rows[0]["ad_id"] in table.out


def test_sync_stores_what_plan_foresaw_and_top_ranks_it(run: RunCommand, sandbox: RunningSandbox) -> None:
    """`sync` sends exactly the requests `plan` names, and `top` then knows each leader that `sync` counted."""
    story = sandbox.world.scenario
    assert story
    first = story.t2.date().fromordinal(story.t2.date().toordinal() - 8).isoformat()
    last = story.t2.date().fromordinal(story.t2.date().toordinal() - 2).isoformat()
    days = ("--from", first, "--to", last)
    plan = json.loads(run("plan", *days, "--json").out)
    synced = run("sync", *days, "--json")
    result = json.loads(synced.out)
    again = run("top", "--json")
    live = run("top", "--live", "--json")

    assert synced.exit_code == 0, synced.err
    assert plan["requests"] == result["requests"]
    assert result["failures"] == []
    assert "Warning" not in synced.err  # of Dagster's to itself
    assert result["rows"]["top_spenders"] == len(json.loads(again.out))
    by_campaign = {row["campaign_id"]: row["ad_id"] for row in json.loads(again.out)}
    assert by_campaign[story.campaign_id] == story.new_leader_ad_id
    assert by_campaign == {row["campaign_id"]: row["ad_id"] for row in json.loads(live.out)}


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("demo",),
        ("dev",),
        ("sandbox",),
        ("get",),
        ("get", "report"),
        ("top",),
        ("plan",),
        ("sync",),
        ("auth",),
        ("doctor",),
        ("overview",),
        ("duplicate",),
    ],
)
def test_every_command_explains_itself(run: RunCommand, command: tuple[str, ...]) -> None:
    """`--help` of every command exits 0 and needs no settings."""
    ran = run(*command, "--help", variables={"TIKTOK_BASE_URL": "nonsense"})

    assert ran.exit_code == 0
    assert "Usage" in ran.out


def test_one_lost_advertiser_leaves_the_others_complete(run: RunCommand, sandbox: RunningSandbox) -> None:
    """`sync` fails by name for an account that lost its grant, stores all others whole, and counts what landed."""
    accounts = httpx.get(f"{sandbox.base_url}/sandbox/info").json()["advertisers"]
    lost = next(one["advertiser_id"] for one in accounts if not one["granted"])
    kept = sorted(one["advertiser_id"] for one in accounts if one["granted"])
    tables = "advertisers,campaigns,campaign_report_lifetime"
    variables = {"TIKTOK_ADVERTISER_IDS": ",".join([*kept[:2], lost, *kept[2:]])}
    ran = run("sync", "--select", tables, "--json", variables=variables)
    result = json.loads(ran.out)

    assert ran.exit_code == 1
    assert "Traceback" not in ran.err
    assert lost in ran.err
    assert not [one for one in kept if one in ran.err.split("Error: ")[1]]
    whole = dict.fromkeys(("campaigns", "campaigns_history", "campaign_report_lifetime"), len(kept))
    assert result["partitions"] == {"advertisers": 1} | whole


def test_a_short_list_of_reports_still_syncs(run: RunCommand) -> None:
    """With only one report chosen, `sync` refreshes that one and derives what it can."""
    ran = run("sync", "--json", variables={"TIKTOK_REPORTS": "campaign_report_lifetime"})
    result = json.loads(ran.out)

    assert ran.exit_code == 0, ran.err
    entities = {"campaigns", "ad_groups", "ads"}
    derived = {"ad_duplications", "account_overview", "warehouse"}
    histories = {f"{entity}_history" for entity in entities}
    assert set(result["partitions"]) == entities | histories | derived | {
        "advertisers",
        "campaign_report_lifetime",
    }


def test_the_plan_of_an_empty_store_is_that_of_its_first_refresh(run: RunCommand) -> None:
    """Without days asked for, `plan` counts the thirty the first refresh reads, with a row a day and account."""
    told = json.loads(run("plan", "--select", "advertiser_report_daily", "--json").out)
    known, line = told["lines"]

    assert known == {"table": "accounts, to know of them", "requests": known["requests"], "rows": 0}
    assert line["table"] == "advertiser_report_daily"
    assert line["rows"] > 0
    assert line["rows"] % 30 == 0


def test_a_mistyped_command_is_answered_with_the_nearest(run: RunCommand) -> None:
    """A command that does not exist ends with exit code 2 and names the nearest, once."""
    ran = run("snyc")

    assert ran.exit_code == 2
    assert ran.err.count("'sync'") == 1
    assert "\x1b" not in ran.err

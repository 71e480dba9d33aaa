"""Tests of `get`, `top`, `plan` and `sync` against a sandbox, as a user runs them."""

import csv
import io
import json
import zipfile
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets_tests.cli.conftest import RunCommand


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "field", "raw"),
    [
        ("campaign/get", "campaign_name", r'"Summer sale \ud83d"'),
        ("campaign/get", "campaign_name", '"Summer \xff sale"'),
        ("campaign/get", "budget", '"much"'),
    ],
)
def test_invalid_value_does_not_fail_a_sync(
    run: RunCommand, sandbox: RunningSandbox, path: str, field: str, raw: str
) -> None:
    """`sync` ends with exit code 0 and sends no request twice if one value is invalid."""
    account = next(one.id for one in sandbox.world.advertisers.values() if one.granted)
    with httpx.Client(base_url=f"{sandbox.base_url}/sandbox/") as control:
        control.delete("requests")
        control.post("faults", json={"kind": "raw_value", "path": path, "field": field, "raw": raw, "times": None})
        try:
            result = run("sync", "--select", "campaigns", "--advertiser", account)
            requests = [(one["path"], str(one["query"])) for one in control.get("requests").json()]
        finally:
            control.delete("faults")
    assert result.exit_code == 0, result.err
    assert path in {one for one, _ in requests}
    assert len(set(requests)) == len(requests)


def read_ground_truth(sandbox: RunningSandbox, what: str, **query: str) -> list[dict[str, object]]:
    """Return the rows of the sandbox's ground truth."""
    response = httpx.get(f"{sandbox.base_url}/sandbox/truth/{what}", params=query)
    rows: list[dict[str, object]] = response.raise_for_status().json()
    return rows


def test_get_from_campaigns_to_the_top_ad(run: RunCommand, sandbox: RunningSandbox) -> None:
    """The `get` commands lead from campaigns to ad groups, ads, and the top-spending ad of a lifetime report."""
    scenario = sandbox.world.scenario
    assert scenario
    account = ("--advertiser", scenario.advertiser_id, "--json")
    campaigns = json.loads(run("get", "campaigns", *account).out)
    ad_groups = json.loads(run("get", "ad-groups", *account, "--campaign", scenario.campaign_id).out)
    ads = json.loads(run("get", "ads", *account, "--ad-group", ad_groups[0]["ad_group_id"]).out)
    report = json.loads(run("get", "report", *account, "--lifetime", "--campaign", scenario.campaign_id).out)

    assert len(read_ground_truth(sandbox, "campaigns", advertiser_id=scenario.advertiser_id)) == len(campaigns)
    assert {scenario.campaign_id} == {row["campaign_id"] for row in ad_groups}
    assert {ad_groups[0]["ad_group_id"]} == {row["ad_group_id"] for row in ads}
    assert scenario.new_leader_ad_id == report[0]["ad_id"]
    assert sorted((Decimal(row["spend"]) for row in report), reverse=True) == [
        Decimal(row["spend"]) for row in report
    ]


@pytest.mark.parametrize(("table", "key"), [("videos", "video_id"), ("images", "image_id")])
def test_get_files_of_the_ads(run: RunCommand, sandbox: RunningSandbox, table: str, key: str) -> None:
    """`get videos` and `get images` print each file of an account's ads once, and those of a campaign alone."""
    scenario = sandbox.world.scenario
    assert scenario
    account = ("--advertiser", scenario.advertiser_id, "--json")
    ads = json.loads(run("get", "ads", *account).out)
    files = json.loads(run("get", table, *account).out)
    used = {row["video_id"] for row in ads if row["video_id"]}
    if table == "images":
        lists = [json.loads(row["image_ids"] or "[]") for row in ads if not row["video_id"]]
        used = {one for row in lists for one in row}
    assert len(files) == len({row[key] for row in files})
    assert {row[key] for row in files} <= used
    assert table == "images" or len(files) > 1
    some = json.loads(run("get", table, *account, "--campaign", scenario.campaign_id).out)
    assert {row[key] for row in some} <= {row[key] for row in files}
    assert "thumbnail" not in (files[0] if files else {})


def test_daily_report_as_table_json_and_csv(run: RunCommand, sandbox: RunningSandbox) -> None:
    """A report is printed as a table, as JSON with exact amounts, and as CSV with the same amounts."""
    scenario = sandbox.world.scenario
    assert scenario
    last = scenario.t2.date().fromordinal(scenario.t2.date().toordinal() - 3).isoformat()
    command = (
        "get",
        "report",
        "--advertiser",
        scenario.advertiser_id,
        "--from",
        last,
        "--to",
        last,
        "--level",
        "ad",
    )
    table, as_json, as_csv = run(*command), run(*command, "--json"), run(*command, "--csv")
    rows = json.loads(as_json.out)
    lines = list(csv.DictReader(io.StringIO(as_csv.out)))
    query = {"level": "ad", "advertiser_id": scenario.advertiser_id, "start_date": last, "end_date": last}
    expected = {row["id"]: row["metrics"] for row in read_ground_truth(sandbox, "report", **query)}

    assert {row["ad_id"]: Decimal(row["spend"]) for row in rows} == {
        key: Decimal(metrics["spend"])  # type: ignore[index]
        for key, metrics in expected.items()
    }
    assert [row["spend"] for row in rows] == [line["spend"] for line in lines]
    assert rows[0]["ad_id"] in table.out


@pytest.mark.slow
def test_plan_counts_the_requests_of_sync(run: RunCommand, sandbox: RunningSandbox, tmp_path: Path) -> None:
    """`sync` sends what `plan` counts, for files at most; `top` and `creatives` print what it stored."""
    scenario = sandbox.world.scenario
    assert scenario
    first = scenario.t2.date().fromordinal(scenario.t2.date().toordinal() - 8).isoformat()
    last = scenario.t2.date().fromordinal(scenario.t2.date().toordinal() - 2).isoformat()
    days = ("--from", first, "--to", last)
    plan = json.loads(run("plan", *days, "--json").out)
    sandbox.state.requests.clear()
    synced = run("sync", *days, "--json")
    for_files, for_posts = (
        sum(path in one["path"] for one in sandbox.state.requests) for path in ("/ad/info", "identity/video/info")
    )
    result = json.loads(synced.out)
    stored = run("top", "--json")
    live = run("top", "--live", "--json")
    creatives = run("creatives", "--json", "--by", "hook")
    workbook = run("creatives", "--xlsx", str(tmp_path / "creatives.xlsx"))
    compared = run(
        *("compare", "--this", "2d", "--by", "account", "--json"),
        variables={"TIKTOK_BASE_URL": "http://127.0.0.1:9"},  # no request is sent
    )

    assert synced.exit_code == 0, synced.err
    assert compared.exit_code == 0, compared.err
    accounts = [row for row in json.loads(compared.out) if not row["is_total"]]
    assert accounts
    for row in accounts:
        query = {"start_date": row["first_day"], "end_date": row["last_day"], "level": "ad"}
        truth = read_ground_truth(sandbox, "report", advertiser_id=row["advertiser_id"], **query)
        spend = [Decimal(one["metrics"]["spend"]) for one in truth]  # type: ignore[index]
        assert sum(spend) == Decimal(row["spend"])
    planned = {line["table"]: line["requests"] for line in plan["lines"]}
    planned_for_files = sum(planned.get(table, 0) for table in ("videos", "images"))
    # Whether an ad that is not stored shows a post is not known, so the plan has no requests for posts.
    assert plan["requests"] - planned_for_files + for_files + for_posts == result["requests"]
    assert 0 < for_files <= planned_for_files  # an ad that is not stored counts with a file of its own
    assert result["failures"] == []
    assert "Warning" not in synced.err  # such as a deprecation in Dagster
    assert result["rows"]["top_spenders"] == len(json.loads(stored.out))
    by_campaign = {row["campaign_id"]: row["ad_id"] for row in json.loads(stored.out)}
    assert by_campaign[scenario.campaign_id] == scenario.new_leader_ad_id
    assert by_campaign == {row["campaign_id"]: row["ad_id"] for row in json.loads(live.out)}
    rates = {row["ad_id"]: (row["hook_rate"], row["hold_rate"]) for row in json.loads(stored.out)}
    assert rates == {row["ad_id"]: (row["hook_rate"], row["hold_rate"]) for row in json.loads(live.out)}
    owner = scenario.advertiser_id
    for row in read_ground_truth(sandbox, "report", level="ad", advertiser_id=owner, lifetime="true"):
        if row["id"] in rates:
            shown, seconds2, seconds6 = (
                int(row["metrics"][name])  # type: ignore[index]
                for name in ("impressions", "video_watched_2s", "video_watched_6s")
            )
            assert rates[str(row["id"])] == pytest.approx((100 * seconds2 / shown, 100 * seconds6 / seconds2))
    rows = json.loads(creatives.out)
    assert result["rows"]["creatives"] == len(rows)
    hooks = [row["hook_rate_7d"] for row in rows if row["currency"] == rows[0]["currency"] and row["hook_rate_7d"]]
    assert hooks
    assert workbook.exit_code == 0, workbook.err
    with zipfile.ZipFile(tmp_path / "creatives.xlsx") as opened:
        names = opened.read("xl/sharedStrings.xml").decode()
        pictures = {name for name in opened.namelist() if name.startswith("xl/media/")}
    assert all(row["creative_id"] in names for row in rows)
    assert len(pictures) == len({row["thumbnail"] for row in rows if row["thumbnail"]}) > 0


@pytest.mark.slow
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
        ("creatives",),
        ("compare",),
        ("plan",),
        ("sync",),
        ("auth",),
        ("doctor",),
        ("overview",),
        ("duplicate",),
    ],
)
def test_help_of_every_command(run: RunCommand, command: tuple[str, ...]) -> None:
    """`--help` of every command ends with exit code 0 and needs no valid settings."""
    result = run(*command, "--help", variables={"TIKTOK_BASE_URL": "nonsense"})

    assert result.exit_code == 0
    assert "Usage" in result.out


def test_failed_account_does_not_affect_the_others(run: RunCommand, sandbox: RunningSandbox) -> None:
    """`sync` reports an account without grant, and stores and counts all tables of the others."""
    accounts = httpx.get(f"{sandbox.base_url}/sandbox/info").json()["advertisers"]
    failed = next(one["advertiser_id"] for one in accounts if not one["granted"])
    granted = sorted(one["advertiser_id"] for one in accounts if one["granted"])
    tables = "advertisers,campaigns,campaign_report_lifetime"
    variables = {"TIKTOK_ADVERTISER_IDS": ",".join([*granted[:2], failed, *granted[2:]])}
    result = run("sync", "--select", tables, "--json", variables=variables)
    summary = json.loads(result.out)

    assert result.exit_code == 1
    assert "Traceback" not in result.err
    assert failed in result.err
    assert not [one for one in granted if one in result.err.split("Error: ")[1]]
    partitions = dict.fromkeys(("campaigns", "campaigns_history", "campaign_report_lifetime"), len(granted))
    assert summary["partitions"] == {"advertisers": 1} | partitions


@pytest.mark.slow
def test_sync_with_one_report(run: RunCommand) -> None:
    """With one configured report, `sync` refreshes it and the derived tables that need no other."""
    result = run("sync", "--json", variables={"TIKTOK_REPORTS": "campaign_report_lifetime"})
    summary = json.loads(result.out)

    assert result.exit_code == 0, result.err
    entities = {"campaigns", "ad_groups", "ads", "smart_plus_ads"}
    derived = {"videos", "images", "posts", "ad_duplications", "account_overview", "warehouse"}
    histories = {f"{entity}_history" for entity in entities}
    assert set(summary["partitions"]) == entities | histories | derived | {
        "advertisers",
        "campaign_report_lifetime",
    }


def test_plan_of_an_empty_store(run: RunCommand) -> None:
    """With an empty store and no days given, `plan` counts the thirty days of the first refresh."""
    plan = json.loads(run("plan", "--select", "advertiser_report_daily", "--json").out)
    details, line = plan["lines"]

    assert details == {"table": "account details", "requests": details["requests"], "rows": 0}
    assert line["table"] == "advertiser_report_daily"
    assert line["rows"] > 0
    assert line["rows"] % 30 == 0


def test_mistyped_command(run: RunCommand) -> None:
    """A mistyped command ends with exit code 2 and suggests the nearest one once."""
    result = run("snyc")

    assert result.exit_code == 2
    assert result.err.count("'sync'") == 1
    assert "\x1b" not in result.err

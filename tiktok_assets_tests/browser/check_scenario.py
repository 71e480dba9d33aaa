"""The law the project was made for: the winner is told of, looked at, approved and copied, once."""

import json
import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tiktok_assets_tests.browser.conftest import Demo, Watch, keep

pytestmark = pytest.mark.timeout(900)  # the demo starts in a minute, on a busy machine in five

PATIENCE = 90_000


def test_the_winner_is_told_of_approved_and_copied_once(demo: Demo, watch: Watch) -> None:
    """The alert's code makes one paused ad; a dry run, and a launch without it or changed, writes nothing."""
    page, _, complaints = watch(demo.alert, width=800, height=1000)
    dry = page.get_by_role("link", name="Try it first: a dry run").get_attribute("href") or ""
    live = page.get_by_role("link", name="Duplicate it: the launchpad, live").get_attribute("href") or ""
    shown = re.search(r"([A-Z2-7]{6}(?:-[A-Z2-7]{6}){3}), once, until ", page.inner_text("body"))
    assert shown
    code = shown[1].replace("-", "")
    assert (code in dry, code in live) == (False, True)
    keep(page, "story_alert.png", full_page=True)
    assert complaints == []
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()

    page.set_viewport_size({"width": 1500, "height": 950})
    page.goto(live)
    page.get_by_text("No errors").first.wait_for(timeout=PATIENCE)
    page.wait_for_timeout(1000)
    keep(page, "story_approval.png")
    told = _launched(page, dry, "story_launchpad.png")
    keep(page, "story_dry_run.png")
    assert "adgroup/create/" in told
    assert "ad/create/" in told

    without_code = dry.replace("live:+false", "live:+true")
    assert without_code != dry
    assert "needs the approval code" in _launched(page, without_code, "story_no_code.png", status="FAILURE")
    (config,) = parse_qs(urlsplit(live).query)["config"]
    asked = yaml.safe_load(config)["ops"]["duplicate_ad"]["config"]
    del asked["approval"]
    for more in ({}, {"enable": True}, {"approval": "A" * 24}, {"approval": code, "budget": "5000"}):
        status, told = _launched_by_graphql(demo, {**asked, **more})
        assert status == "FAILURE"
        assert "not approved, nothing was sent" in told
        assert code not in told
    _launched(page, f"{live}+++budget:+%225000%22%0A", "story_other_budget.png", status="FAILURE")
    page.get_by_text("the approval code is for another budget").first.wait_for(timeout=PATIENCE)
    keep(page, "story_refused.png")
    assert _writes(demo) == []

    told = _launched(page, live, "story_live_launchpad.png")
    keep(page, "story_live_run.png")
    assert code not in told
    assert [one["path"].strip("/").split("/")[-2:] for one in _writes(demo)] == [
        ["adgroup", "create"],
        ["ad", "create"],
    ]
    (copy,) = _copies(demo)
    assert copy["operation_status"] == "DISABLE"

    assert "nothing was sent" in _launched(page, live, "story_again.png")
    status, told = _launched_by_graphql(demo, {**asked, "again": 1, "approval": code})
    assert status == "FAILURE"
    assert "another number of `again`" in told
    assert len(_writes(demo)) == 2
    assert _copies(demo) == [copy]


def _launched(page: Page, link: str, picture: str, *, status: str = "SUCCESS") -> str:
    """Open the launchpad, launch what stands in it, wait for the run to end so; returns what its log says."""
    page.goto(link)
    page.get_by_text("No errors").first.wait_for(timeout=PATIENCE)
    keep(page, picture)
    page.get_by_role("button", name="Launch run").click()
    page.wait_for_url(re.compile("/runs/"), timeout=PATIENCE)
    run_id = page.url.rsplit("/runs/", 1)[1].split("?")[0]
    graphql = f"{page.url.split('/runs/')[0].split('/locations/')[0]}/graphql"
    ended, told = _ended(graphql, run_id)
    page.wait_for_timeout(3000)  # the page shows it too
    assert ended == status, told
    return told


def _launched_by_graphql(demo: Demo, config: dict[str, Any]) -> tuple[str, str]:
    """Launch the job as any program that reaches the webserver can; returns how it ended and what its log says."""
    mutation = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
                    __typename ... on LaunchRunSuccess { run { runId } } } }"""
    selector = {"repositoryName": "__repository__", "repositoryLocationName": "tiktok_assets"}
    variables = {
        "selector": {**selector, "jobName": "duplicate_ad"},
        "runConfigData": {"ops": {"duplicate_ad": {"config": config}}},
        "mode": "default",
    }
    graphql = f"{demo.dagster}/graphql"
    answer = httpx.post(graphql, json={"query": mutation, "variables": {"p": variables}}, timeout=60).json()
    launched = answer["data"]["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", answer
    return _ended(graphql, launched["run"]["runId"])


def _ended(graphql: str, run_id: str) -> tuple[str, str]:
    """How a run ended, once it has, and what its log says."""
    deadline = time.monotonic() + PATIENCE / 1000
    status, told = "", ""
    while status not in {"SUCCESS", "FAILURE"} and time.monotonic() < deadline:
        time.sleep(1)
        status, told = _run(graphql, run_id)
    return status, told


def _run(graphql: str, run_id: str) -> tuple[str, str]:
    query = """query($r: ID!) { logsForRun(runId: $r, limit: 500) { ... on EventConnection { events {
                 ... on MessageEvent { message } ... on ErrorEvent { error { message stack } } } } }
                 runOrError(runId: $r) { ... on Run { status } } }"""
    answer = httpx.post(graphql, json={"query": query, "variables": {"r": run_id}}, timeout=60).json()["data"]
    events: list[dict[str, Any]] = answer["logsForRun"]["events"]
    return answer["runOrError"]["status"], "\n".join(json.dumps(one) for one in events)


def _writes(demo: Demo) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = httpx.get(f"{demo.sandbox}/sandbox/requests", timeout=60).json()
    return [one for one in asked if one["method"] == "POST"]


def _copies(demo: Demo) -> list[dict[str, Any]]:
    """The ads of the world that carry a marker of ours."""
    info = httpx.get(f"{demo.sandbox}/sandbox/info", timeout=60).json()
    story = info["story"]
    answer = httpx.get(
        f"{demo.sandbox}/open_api/v1.3/ad/get/",
        headers={"Access-Token": info["token"]},
        params={
            "advertiser_id": story["advertiser_id"],
            "page_size": 1000,
            "filtering": f'{{"campaign_ids":["{story["scaling_campaign_id"]}"],"primary_status":"STATUS_ALL"}}',
        },
        timeout=60,
    ).json()
    return [one for one in answer["data"]["list"] if "[tta-" in one["ad_name"]]

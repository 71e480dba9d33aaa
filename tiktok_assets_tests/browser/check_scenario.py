"""Test the scenario in a browser: the new top spender is reported, approved and duplicated once."""

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

from tiktok_assets_tests.browser.conftest import Demo, Watch, save_screenshot

pytestmark = pytest.mark.timeout(900)  # the demo starts in a minute, on a busy machine in five

TIMEOUT_MS = 90_000


def test_top_spender_is_reported_approved_and_duplicated_once(demo: Demo, watch: Watch) -> None:
    """The alert's code creates one paused ad; a dry run, and a launch without the code, write nothing."""
    page, _, errors = watch(demo.alert, width=800, height=1000)
    dry = page.get_by_role("link", name="Try it first: a dry run").get_attribute("href") or ""
    live = page.get_by_role("link", name="Duplicate it: the launchpad, live").get_attribute("href") or ""
    shown = re.search(r"([A-Z2-7]{6}(?:-[A-Z2-7]{6}){3}), once, until ", page.inner_text("body"))
    assert shown
    code = shown[1].replace("-", "")
    assert (code in dry, code in live) == (False, True)
    save_screenshot(page, "story_alert.png", full_page=True)
    assert errors == []
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()

    page.set_viewport_size({"width": 1500, "height": 950})
    page.goto(live)
    page.get_by_text("No errors").first.wait_for(timeout=TIMEOUT_MS)
    page.wait_for_timeout(1000)
    save_screenshot(page, "story_approval.png")
    text = _launch(page, dry, "story_launchpad.png")
    save_screenshot(page, "story_dry_run.png")
    assert "adgroup/create/" in text
    assert "ad/create/" in text

    without_code = dry.replace("live:+false", "live:+true")
    assert without_code != dry
    assert "needs the approval code" in _launch(page, without_code, "story_no_code.png", status="FAILURE")
    (config,) = parse_qs(urlsplit(live).query)["config"]
    requested = yaml.safe_load(config)["ops"]["duplicate_ad"]["config"]
    del requested["approval"]
    for more in ({}, {"enable": True}, {"approval": "A" * 24}, {"approval": code, "budget": "5000"}):
        status, text = _launch_by_graphql(demo, {**requested, **more})
        assert status == "FAILURE"
        assert "not approved, nothing was sent" in text
        assert code not in text
    _launch(page, f"{live}+++budget:+%225000%22%0A", "story_other_budget.png", status="FAILURE")
    page.get_by_text("the approval code is for another budget").first.wait_for(timeout=TIMEOUT_MS)
    save_screenshot(page, "story_refused.png")
    assert _writes(demo) == []

    text = _launch(page, live, "story_live_launchpad.png")
    save_screenshot(page, "story_live_run.png")
    assert code not in text
    assert [one["path"].strip("/").split("/")[-2:] for one in _writes(demo)] == [
        ["adgroup", "create"],
        ["ad", "create"],
    ]
    (copy,) = _copies(demo)
    assert copy["operation_status"] == "DISABLE"

    assert "nothing was sent" in _launch(page, live, "story_again.png")
    status, text = _launch_by_graphql(demo, {**requested, "again": 1, "approval": code})
    assert status == "FAILURE"
    assert "another number of `again`" in text
    assert len(_writes(demo)) == 2
    assert _copies(demo) == [copy]


def _launch(page: Page, link: str, screenshot: str, *, status: str = "SUCCESS") -> str:
    """Launch the configuration of the launchpad, wait until the run ends with `status`, and return its log."""
    page.goto(link)
    page.get_by_text("No errors").first.wait_for(timeout=TIMEOUT_MS)
    save_screenshot(page, screenshot)
    page.get_by_role("button", name="Launch run").click()
    page.wait_for_url(re.compile("/runs/"), timeout=TIMEOUT_MS)
    run_id = page.url.rsplit("/runs/", 1)[1].split("?")[0]
    graphql = f"{page.url.split('/runs/')[0].split('/locations/')[0]}/graphql"
    ended, text = _wait_for_end(graphql, run_id)
    page.wait_for_timeout(3000)  # until the page shows the status
    assert ended == status, text
    return text


def _launch_by_graphql(demo: Demo, config: dict[str, Any]) -> tuple[str, str]:
    """Launch the job over GraphQL, as any program can, and return the final status and the log."""
    mutation = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
                    __typename ... on LaunchRunSuccess { run { runId } } } }"""
    selector = {"repositoryName": "__repository__", "repositoryLocationName": "tiktok_assets"}
    variables = {
        "selector": {**selector, "jobName": "duplicate_ad"},
        "runConfigData": {"ops": {"duplicate_ad": {"config": config}}},
        "mode": "default",
    }
    graphql = f"{demo.dagster}/graphql"
    response = httpx.post(graphql, json={"query": mutation, "variables": {"p": variables}}, timeout=60).json()
    launched = response["data"]["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", response
    return _wait_for_end(graphql, launched["run"]["runId"])


def _wait_for_end(graphql: str, run_id: str) -> tuple[str, str]:
    """Wait until a run ends, and return its status and its log."""
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    status, text = "", ""
    while status not in {"SUCCESS", "FAILURE"} and time.monotonic() < deadline:
        time.sleep(1)
        status, text = _get_run(graphql, run_id)
    return status, text


def _get_run(graphql: str, run_id: str) -> tuple[str, str]:
    query = """query($r: ID!) { logsForRun(runId: $r, limit: 500) { ... on EventConnection { events {
                 ... on MessageEvent { message } ... on ErrorEvent { error { message stack } } } } }
                 runOrError(runId: $r) { ... on Run { status } } }"""
    response = httpx.post(graphql, json={"query": query, "variables": {"r": run_id}}, timeout=60).json()["data"]
    events: list[dict[str, Any]] = response["logsForRun"]["events"]
    return response["runOrError"]["status"], "\n".join(json.dumps(one) for one in events)


def _writes(demo: Demo) -> list[dict[str, Any]]:
    requested: list[dict[str, Any]] = httpx.get(f"{demo.sandbox}/sandbox/requests", timeout=60).json()
    return [one for one in requested if one["method"] == "POST"]


def _copies(demo: Demo) -> list[dict[str, Any]]:
    """Return the ads of the sandbox that have this project's marker."""
    info = httpx.get(f"{demo.sandbox}/sandbox/info", timeout=60).json()
    scenario = info["story"]
    response = httpx.get(
        f"{demo.sandbox}/open_api/v1.3/ad/get/",
        headers={"Access-Token": info["token"]},
        params={
            "advertiser_id": scenario["advertiser_id"],
            "page_size": 1000,
            "filtering": f'{{"campaign_ids":["{scenario["scaling_campaign_id"]}"],"primary_status":"STATUS_ALL"}}',
        },
        timeout=60,
    ).json()
    return [one for one in response["data"]["list"] if "[tta-" in one["ad_name"]]

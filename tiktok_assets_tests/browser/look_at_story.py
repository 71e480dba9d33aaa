"""The law the project was made for: the winner is told of, looked at, approved and copied, once."""

import re
import time
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tiktok_assets_tests.browser.conftest import Demo, Watch, keep

pytestmark = pytest.mark.timeout(900)  # the demo starts in a minute, on a busy machine in five

PATIENCE = 90_000


def test_the_winner_is_told_of_approved_and_copied_once(demo: Demo, watch: Watch) -> None:
    """One alert leads to the filled-in launchpad; a dry run writes nothing, a live run makes one paused ad."""
    page, _, complaints = watch(demo.alert, width=800, height=900)
    link = page.get_by_role("link", name=re.compile("dry run")).get_attribute("href") or ""
    live = page.get_by_role("link", name=re.compile("Duplicate it")).get_attribute("href") or ""
    keep(page, "story_alert.png")
    assert complaints == []
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()

    page.set_viewport_size({"width": 1500, "height": 950})
    told = _launched(page, link, "story_launchpad.png")
    keep(page, "story_dry_run.png")
    assert "adgroup/create/" in told
    assert "ad/create/" in told
    assert _writes(demo) == []

    without_code = re.sub(r"live:\+?false", "live:+true", link)
    assert without_code != link
    assert "needs the approval code" in _launched(page, without_code, "story_no_code.png", status="FAILURE")
    assert _writes(demo) == []

    _launched(page, live, "story_live_launchpad.png")
    keep(page, "story_live_run.png")
    assert [one["path"].strip("/").split("/")[-2:] for one in _writes(demo)] == [
        ["adgroup", "create"],
        ["ad", "create"],
    ]
    (copy,) = _copies(demo)
    assert copy["operation_status"] == "DISABLE"

    assert "nothing was sent" in _launched(page, live, "story_again.png")
    assert len(_writes(demo)) == 2
    assert _copies(demo) == [copy]


def _launched(page: Page, link: str, picture: str, status: str = "SUCCESS") -> str:
    """Open the launchpad, launch what stands in it, wait for the run to end so; returns what its log says."""
    page.goto(link)
    page.get_by_text("No errors").first.wait_for(timeout=PATIENCE)
    keep(page, picture)
    page.get_by_role("button", name="Launch run").click()
    page.wait_for_url(re.compile("/runs/"), timeout=PATIENCE)
    run_id = page.url.rsplit("/runs/", 1)[1].split("?")[0]
    graphql = f"{page.url.split('/runs/')[0].split('/locations/')[0]}/graphql"
    deadline = time.monotonic() + PATIENCE / 1000
    ended, told = "", ""
    while ended not in {"SUCCESS", "FAILURE"} and time.monotonic() < deadline:
        time.sleep(1)
        ended, told = _run(graphql, run_id)
    page.wait_for_timeout(3000)  # the page shows it too
    assert ended == status, told
    return told


def _run(graphql: str, run_id: str) -> tuple[str, str]:
    query = """query($r: ID!) {
      logsForRun(runId: $r, limit: 500) { ... on EventConnection { events {
        ... on MessageEvent { message }
        ... on ExecutionStepFailureEvent { failureMetadata { description } } } } }
      runOrError(runId: $r) { ... on Run { status } } }"""
    answer = httpx.post(graphql, json={"query": query, "variables": {"r": run_id}}, timeout=60).json()["data"]
    events: list[dict[str, Any]] = answer["logsForRun"]["events"]
    return answer["runOrError"]["status"], "\n".join(
        one.get("message", "") + ((one.get("failureMetadata") or {}).get("description") or "") for one in events
    )


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

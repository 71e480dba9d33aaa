"""Laws of what a newcomer sees in Dagster: the demo's graph, a partition, plots, pictures and the launchpad."""

import re
import time

import httpx
import pytest

from tiktok_assets_tests.browser.conftest import Demo, Watch, keep

pytestmark = pytest.mark.timeout(900)  # the demo starts in a minute, on a busy machine in five

PATIENCE = 60_000
"""Milliseconds: Dagster's first page loads slowly."""


GROUPS = ("account", "reports", "insights", "scaling", "serving")

WHERE = """(group) => Math.max(...[...document.querySelectorAll('body *')]
  .filter((one) => !one.children.length && one.textContent.trim() === group)
  .map((one) => one.getBoundingClientRect().left))"""


def test_the_graph_shows_the_groups_in_reading_order(demo: Demo, watch: Watch) -> None:
    """From the left to the right: the account, its reports, what they say, what follows, what is served."""
    page, _, _ = watch(f"{demo.dagster}/asset-groups", width=1600, height=1000)
    page.locator("text=serving").locator("visible=true").first.wait_for(timeout=PATIENCE)
    page.wait_for_timeout(4000)  # the graph is laid out and zoomed
    places = [page.evaluate(WHERE, group) for group in GROUPS]
    assert places == sorted(set(places))


def test_the_way_to_a_ranking_can_be_read(demo: Demo, watch: Watch) -> None:
    """Each asset on it has its name in full, its state, and the signs of what it is made of and with."""
    page, _, _ = watch(f"{demo.dagster}/asset-groups", width=1500, height=870)
    page.get_by_text("Hide navigation").click()
    page.goto(f"{demo.dagster}/assets/top_spenders?view=lineage&lineageScope=upstream&lineageDepth=5")
    page.get_by_text("campaign_report_lifetime").first.wait_for(timeout=PATIENCE)
    page.wait_for_timeout(4000)
    shown = page.inner_text("body")
    for word in ("advertisers", "ads", "ad_report_daily", "ad_report_lifetime", "TikTok", "Polars", "Passed"):
        assert word in shown
    keep(page, "asset_graph.png")


def test_a_report_shows_its_first_rows(demo: Demo, watch: Watch) -> None:
    """The newest reading of an account that delivers has a table of what spent most."""
    page, _, _ = watch(f"{demo.dagster}/assets/ad_report_lifetime?view=events", width=1280, height=1000)
    page.get_by_text("ads_manager").first.wait_for(timeout=PATIENCE)
    events = page.locator("text=/^\\d{19}$/")
    for index in range(4):  # in no order; one of the accounts has no ads
        events.nth(index).click()
        page.wait_for_timeout(1500)
        if page.locator("td table").count():
            break
    assert page.locator("td table tbody tr").count() >= 4
    keep(page, "preview.png")


def test_a_ranking_shows_its_picture_and_its_table(demo: Demo, watch: Watch) -> None:
    """An account's ranking has bars that are drawn at once, a table, and a link to Ads Manager."""
    page, _, _ = watch(f"{demo.dagster}/assets/top_spenders?view=events", width=1280, height=1180)
    page.get_by_text("ads_manager").first.wait_for(timeout=PATIENCE)
    events = page.locator("text=/^\\d{19}$/")
    for index in range(4):  # in no order; one of the accounts has no campaigns
        events.nth(index).click()
        page.wait_for_timeout(1500)
        if page.locator("td img").count():
            break
    assert page.evaluate("document.querySelector('td img').naturalWidth") > 300
    assert page.locator("td table").count() >= 1
    assert page.locator("a[href^='https://ads.tiktok.com/']").count() >= 1
    page.get_by_text("Hide navigation").click()
    page.set_viewport_size({"width": 1250, "height": 900})
    page.wait_for_timeout(1000)
    keep(page, "top_spenders.png")


def test_a_report_shows_its_days_and_plots(demo: Demo, watch: Watch) -> None:
    """A partition of a daily report has its spend, and the plots draw one point a partition."""
    page, _, _ = watch(f"{demo.dagster}/assets/advertiser_report_daily?view=events", width=1600, height=1000)
    page.get_by_text(re.compile("^spend_[A-Z]{3}$")).first.wait_for(timeout=PATIENCE)
    page.get_by_text("Hide navigation").click()
    page.set_viewport_size({"width": 1250, "height": 960})
    page.wait_for_timeout(1000)
    keep(page, "partition.png")
    page.goto(f"{demo.dagster}/assets/advertiser_report_daily")
    plots = page.get_by_text("Plots", exact=True).first
    plots.wait_for(timeout=PATIENCE)
    plots.click()
    page.locator("canvas").first.wait_for(timeout=PATIENCE)
    spend = page.get_by_text(re.compile("^spend_USD$")).first
    spend.scroll_into_view_if_needed()
    drawn = (
        "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v)"
    )
    page.wait_for_timeout(1000)
    assert page.locator("canvas").last.evaluate(drawn)


def test_the_overview_is_linked_and_served(demo: Demo, watch: Watch) -> None:
    """The asset's page links to the served overview, whose charts are drawn."""
    page, _, _ = watch(f"{demo.dagster}/assets/account_overview", width=1600, height=1000)
    link = page.locator(f"a[href^='{demo.overview.rstrip('/')}']").first
    link.wait_for(timeout=PATIENCE)
    page.goto(demo.overview)
    page.wait_for_function("document.querySelectorAll('[data-drawn]').length >= 2")
    page.set_viewport_size({"width": 1280, "height": 1180})
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(500)
    keep(page, "overview.png")


def test_the_launchpad_is_filled_in_by_a_link(demo: Demo, watch: Watch) -> None:
    """A link with a configuration opens the launchpad of a job with it, as the alerts promise."""
    path = "locations/__repository__@tiktok_assets/jobs/duplicate_ad/playground/setup"
    page, _, _ = watch(f"{demo.dagster}/{path}?config=%23%20written%20by%20a%20link", width=1600, height=1000)
    page.get_by_text("written by a link").first.wait_for(timeout=PATIENCE)


def test_sensors_say_in_words_what_they_saw(demo: Demo, watch: Watch) -> None:
    """The newest tick of the sensor for new accounts has a sentence."""
    sensor = "locations/tiktok_assets/sensors/advertiser_partitions"
    page, _, _ = watch(f"{demo.dagster}/{sensor}", width=1600, height=1000)
    ticks = page.get_by_text("0 runs requested")
    ticks.first.wait_for(timeout=PATIENCE)
    ticks.last.click()
    page.get_by_text("advertisers are granted or named").first.wait_for(timeout=PATIENCE)
    keep(page, "sensor.png")


def test_the_ui_works_unchanged_behind_the_guard(demo: Demo, watch: Watch) -> None:
    """A backfill is launched by clicks and its log is followed over the websocket; nothing of it is refused."""
    page, _, complaints = watch(f"{demo.dagster}/assets/campaigns?view=partitions", width=1600, height=1000)
    refused: list[str] = []
    frames: list[str] = []
    page.on(
        "response",
        lambda answer: refused.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    page.get_by_role("button", name=re.compile("Materialize")).first.click(timeout=PATIENCE)
    launch = page.get_by_role("button", name=re.compile("Launch (backfill|run|\\d+ runs)"))
    launch.first.wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="All", exact=True).click()
    keep(page, "guard_launch.png")
    launch.first.click()
    page.wait_for_timeout(5000)
    keep(page, "guard_launched.png")
    run_id = _run_of_a_backfill(demo)
    page.goto(f"{demo.dagster}/runs/{run_id}")
    page.get_by_text(re.compile("^(RUN|STEP)_[A-Z]+")).first.wait_for(timeout=PATIENCE)
    page.wait_for_timeout(2000)
    keep(page, "guard_run.png")
    assert frames
    assert refused == []
    assert [said for said in complaints if "Content Security Policy" in said or "403" in said] == []


def _run_of_a_backfill(demo: Demo) -> str:
    """The id of the newest run that a backfill made, once there is one."""
    query = "{ runsOrError(limit: 9) { ... on Runs { results { id tags { key } } } } }"
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        answer = httpx.post(f"{demo.dagster}/graphql", json={"query": query}, timeout=60).json()
        for run in answer["data"]["runsOrError"]["results"]:
            if any(tag["key"] == "dagster/backfill" for tag in run["tags"]):
                return str(run["id"])
        time.sleep(1)
    raise AssertionError("no run of a backfill")

"""Test what a user sees in Dagster: the asset graph, partitions, plots, previews and the launchpad."""

import re
import time

import httpx
import pytest

from tiktok_assets_tests.browser.conftest import Demo, Watch, save_screenshot

pytestmark = pytest.mark.timeout(900)  # the demo starts in a minute, on a busy machine in five

TIMEOUT_MS = 60_000
"""In milliseconds; Dagster's first page loads slowly."""


GROUPS = ("account", "reports", "insights", "scaling", "serving")

WHERE = """(group) => Math.max(...[...document.querySelectorAll('body *')]
  .filter((one) => !one.children.length && one.textContent.trim() === group)
  .map((one) => one.getBoundingClientRect().left))"""


def test_graph_shows_the_groups_in_order(demo: Demo, watch: Watch) -> None:
    """From left to right the groups are account, reports, insights, scaling and serving."""
    page, _, _ = watch(f"{demo.dagster}/asset-groups", width=1600, height=1000)
    page.locator("text=serving").locator("visible=true").first.wait_for(timeout=TIMEOUT_MS)
    page.wait_for_timeout(4000)  # the graph is laid out and zoomed
    places = [page.evaluate(WHERE, group) for group in GROUPS]
    assert places == sorted(set(places))


def test_lineage_of_the_ranking_is_readable(demo: Demo, watch: Watch) -> None:
    """Each upstream asset of the ranking shows its full name, its kinds and its check status."""
    page, _, _ = watch(f"{demo.dagster}/asset-groups", width=1500, height=870)
    page.get_by_text("Hide navigation").click()
    page.goto(f"{demo.dagster}/assets/top_spenders?view=lineage&lineageScope=upstream&lineageDepth=5")
    page.get_by_text("campaign_report_lifetime").first.wait_for(timeout=TIMEOUT_MS)
    page.wait_for_timeout(4000)
    shown = page.inner_text("body")
    for word in ("advertisers", "ads", "ad_report_daily", "ad_report_lifetime", "TikTok", "Polars", "Passed"):
        assert word in shown
    save_screenshot(page, "asset_graph.png")


def test_report_shows_a_preview(demo: Demo, watch: Watch) -> None:
    """The newest materialization of an account with delivery has a preview table."""
    page, _, _ = watch(f"{demo.dagster}/assets/ad_report_lifetime?view=events", width=1280, height=1000)
    page.get_by_text("ads_manager").first.wait_for(timeout=TIMEOUT_MS)
    events = page.locator("text=/^\\d{19}$/")
    for index in range(4):  # in no order; one of the accounts has no ads
        events.nth(index).click()
        page.wait_for_timeout(1500)
        if page.locator("td table").count():
            break
    assert page.locator("td table tbody tr").count() >= 4
    save_screenshot(page, "preview.png")


def test_ranking_shows_plot_and_table(demo: Demo, watch: Watch) -> None:
    """An account's ranking has a plot, a table, and a link to Ads Manager."""
    page, _, _ = watch(f"{demo.dagster}/assets/top_spenders?view=events", width=1280, height=1180)
    page.get_by_text("ads_manager").first.wait_for(timeout=TIMEOUT_MS)
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
    save_screenshot(page, "top_spenders.png")


@pytest.mark.parametrize("table", ["creatives", "top_spenders"])
def test_wall_shows_thumbnails(table: str, demo: Demo, watch: Watch) -> None:
    """The wall of an account opens with a click, and its thumbnails are drawn, each with its name."""
    page, _, errors = watch(f"{demo.dagster}/assets/{table}?view=events", width=1280, height=1180)
    events = page.locator("text=/^\\d{19}$/")
    events.first.wait_for(timeout=TIMEOUT_MS)
    for index in range(4):  # in no order; one of the accounts has no ads
        events.nth(index).click()
        page.wait_for_timeout(1500)
        if page.locator("tr", has_text="wall").get_by_text("[Show Markdown]").count():
            break
    page.locator("tr", has_text="wall").get_by_text("[Show Markdown]").click()
    pictures = page.locator("img[src^='data:image/webp']")
    pictures.first.wait_for(timeout=TIMEOUT_MS)
    sizes = pictures.evaluate_all("(all) => all.map((one) => one.naturalHeight)")
    assert len(sizes) >= 2
    assert set(sizes) == {96}
    names = pictures.evaluate_all("(all) => all.map((one) => one.alt)")
    assert all(name.startswith("Cover of ") and len(name) > 10 for name in names)
    assert [message for message in errors if "Content Security Policy" in message] == []
    page.wait_for_timeout(500)
    save_screenshot(page, f"{table}_wall.png")


def test_report_shows_partitions_and_plots(demo: Demo, watch: Watch) -> None:
    """A partition of a daily report has its spend, and the plots draw one point per partition."""
    page, _, _ = watch(f"{demo.dagster}/assets/advertiser_report_daily?view=events", width=1600, height=1000)
    page.get_by_text(re.compile("^spend_[A-Z]{3}$")).first.wait_for(timeout=TIMEOUT_MS)
    page.get_by_text("Hide navigation").click()
    page.set_viewport_size({"width": 1250, "height": 960})
    page.wait_for_timeout(1000)
    save_screenshot(page, "partition.png")
    page.goto(f"{demo.dagster}/assets/advertiser_report_daily")
    plots = page.get_by_text("Plots", exact=True).first
    plots.wait_for(timeout=TIMEOUT_MS)
    plots.click()
    page.locator("canvas").first.wait_for(timeout=TIMEOUT_MS)
    spend = page.get_by_text(re.compile("^spend_USD$")).first
    spend.scroll_into_view_if_needed()
    drawn = (
        "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v)"
    )
    page.wait_for_timeout(1000)
    assert page.locator("canvas").last.evaluate(drawn)


def test_overview_is_linked_and_served(demo: Demo, watch: Watch) -> None:
    """The asset's page links to the served overview, whose charts are drawn."""
    page, _, _ = watch(f"{demo.dagster}/assets/account_overview", width=1600, height=1000)
    link = page.locator(f"a[href^='{demo.overview.rstrip('/')}']").first
    link.wait_for(timeout=TIMEOUT_MS)
    page.goto(demo.overview)
    page.wait_for_function("document.querySelectorAll('[data-drawn]').length >= 2")
    page.set_viewport_size({"width": 1280, "height": 1180})
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(500)
    save_screenshot(page, "overview.png")


def test_launchpad_is_filled_in_by_a_link(demo: Demo, watch: Watch) -> None:
    """A URL with a configuration opens the launchpad of a job with it, as the links of alerts do."""
    path = "locations/__repository__@tiktok_assets/jobs/duplicate_ad/playground/setup"
    page, _, _ = watch(f"{demo.dagster}/{path}?config=%23%20written%20by%20a%20link", width=1600, height=1000)
    page.get_by_text("written by a link").first.wait_for(timeout=TIMEOUT_MS)


def test_sensor_tick_has_a_message(demo: Demo, watch: Watch) -> None:
    """The newest tick of the sensor `advertiser_partitions` has a message."""
    sensor = "locations/tiktok_assets/sensors/advertiser_partitions"
    page, _, _ = watch(f"{demo.dagster}/{sensor}", width=1600, height=1000)
    ticks = page.get_by_text("0 runs requested")
    ticks.first.wait_for(timeout=TIMEOUT_MS)
    ticks.last.click()
    page.get_by_text("advertisers are granted or configured").first.wait_for(timeout=TIMEOUT_MS)
    save_screenshot(page, "sensor.png")


def test_ui_works_behind_the_guard(demo: Demo, watch: Watch) -> None:
    """A backfill is launched by clicks and its log follows over the websocket, without a refused request."""
    page, _, errors = watch(f"{demo.dagster}/assets/campaigns?view=partitions", width=1600, height=1000)
    refused: list[str] = []
    frames: list[str] = []
    page.on(
        "response",
        lambda response: refused.append(f"{response.status} {response.url}") if response.status >= 400 else None,
    )
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    page.get_by_role("button", name=re.compile("Materialize")).first.click(timeout=TIMEOUT_MS)
    launch = page.get_by_role("button", name=re.compile("Launch (backfill|run|\\d+ runs)"))
    launch.first.wait_for(timeout=TIMEOUT_MS)
    page.get_by_role("button", name="All", exact=True).click()
    save_screenshot(page, "guard_launch.png")
    launch.first.click()
    page.wait_for_timeout(5000)
    save_screenshot(page, "guard_launched.png")
    run_id = _wait_for_backfill_run(demo)
    page.goto(f"{demo.dagster}/runs/{run_id}")
    page.get_by_text(re.compile("^(RUN|STEP)_[A-Z]+")).first.wait_for(timeout=TIMEOUT_MS)
    page.wait_for_timeout(2000)
    save_screenshot(page, "guard_run.png")
    assert frames
    assert refused == []
    assert [message for message in errors if "Content Security Policy" in message or "403" in message] == []


def _wait_for_backfill_run(demo: Demo) -> str:
    """Return the id of the newest run of a backfill, once there is one."""
    query = "{ runsOrError(limit: 9) { ... on Runs { results { id tags { key } } } } }"
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while time.monotonic() < deadline:
        response = httpx.post(f"{demo.dagster}/graphql", json={"query": query}, timeout=60).json()
        for run in response["data"]["runsOrError"]["results"]:
            if any(tag["key"] == "dagster/backfill" for tag in run["tags"]):
                return str(run["id"])
        time.sleep(1)
    raise AssertionError("no run of a backfill")

"""Test the overview page in a browser: charts are drawn in every colour scheme, and nothing is fetched."""

import csv
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tiktok_assets_tests.browser.conftest import Watch, save_screenshot
from tiktok_assets_tests.overview.conftest import write_creatives
from tiktok_assets_tests.overview.sample_store import TODAY, YESTERDAY, SampleStore

DRAWN = """() => [...document.querySelectorAll('[data-chart]')].map((place) => {
  const marks = [...place.querySelectorAll('svg .mark-symbol path, svg .mark-line path, svg .mark-rect path')];
  return marks.filter((one) => one.getBoundingClientRect().width > 0).length;
})"""


def build_page_url(sample: SampleStore) -> str:
    """Build the page and return its file URL."""
    sample.build()
    return Path(str(sample.store.base), "account_overview.html").as_uri()


def scroll_through_page(page: Page) -> None:
    """Scroll through the page so that every chart is drawn."""
    height = page.evaluate("document.documentElement.scrollHeight")
    for down in range(0, height, 500):
        page.evaluate("(down) => window.scrollTo(0, down)", down)
        page.wait_for_timeout(50)
    page.wait_for_function(
        "document.querySelectorAll('[data-drawn]').length === document.querySelectorAll('[data-chart]').length"
    )
    page.evaluate("window.scrollTo(0, 0)")


@pytest.mark.parametrize(
    ("color_scheme", "width", "height"),
    [("light", 1280, 900), ("dark", 1280, 900), ("light", 360, 740), ("dark", 320, 600)],
)
def test_every_chart_is_drawn(
    agency: SampleStore, watch: Watch, color_scheme: Literal["light", "dark"], width: int, height: int
) -> None:
    """Opened from disk, each chart has a mark per day, nothing else is requested, and nothing overflows."""
    address = build_page_url(agency)
    page, requested, errors = watch(address, width=width, height=height, color_scheme=color_scheme)
    scroll_through_page(page)
    marks = page.evaluate(DRAWN)
    assert len(marks) == 8
    assert all(count >= 21 for count in marks), marks  # twenty days and a line
    assert requested == [address]
    assert errors == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    save_screenshot(page, f"overview-{color_scheme}-{width}.png", full_page=True)


@pytest.mark.parametrize(
    ("color_scheme", "width"),
    [(scheme, width) for scheme in ("light", "dark") for width in (1440, 768, 390, 360)],
)
def test_page_is_accessible(
    agency: SampleStore, watch: Watch, color_scheme: Literal["light", "dark"], width: int
) -> None:
    """Deque's axe finds no violation of contrast, landmarks, headings, labels or scrolling by keyboard."""
    page, _, _ = watch(build_page_url(agency), width=width, color_scheme=color_scheme)
    scroll_through_page(page)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 20  # the checks ran


def test_table_is_sorted_by_any_column(agency: SampleStore, watch: Watch) -> None:
    """A click or Enter on a heading sorts by exact figures, says so to screen readers, and again reverses it."""
    page, _, errors = watch(build_page_url(agency))
    table = page.locator('[data-file="campaigns-USD"] table')
    head = table.locator("th", has_text="Spend, USD")
    names = "(table) => [...table.tBodies[0].rows].map((row) => row.cells[2].dataset.v)"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(one) for one in table.evaluate(names)] == [280, 280, 21.875, 21.875]
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(one) for one in table.evaluate(names)] == [21.875, 21.875, 280, 280]
    assert table.locator("[aria-sort]").count() == 1
    assert errors == []


def test_rows_are_found_by_text(sample: SampleStore, watch: Watch) -> None:
    """A search shows the accounts whose text has every word, says how many, and nothing else is exported."""
    for number in range(12):
        sample.account(str(number), "USD", f"Brand {number}")
        sample.day(str(number), "USD", YESTERDAY, spend=Decimal(number))
    page, _, _ = watch(build_page_url(sample))
    page.get_by_role("searchbox").first.fill("brand 11")
    accounts = page.locator('[data-file="accounts"]')
    assert accounts.locator("tbody tr:visible").count() == 1
    assert page.get_by_role("status").first.inner_text() == "1 of 12"
    assert [row[0] for row in save_csv(page, "All accounts")] == ["Account", "Brand 11"]


def test_saved_table_has_exact_figures_and_no_formula(agency: SampleStore, watch: Watch) -> None:
    """The CSV has unrounded figures without separators, and quotes text that a spreadsheet would run."""
    page, requested, errors = watch(build_page_url(agency))
    head, *rows = save_csv(page, "Campaigns in USD")
    assert head[:5] == ["Campaign", "Account", "Spend, USD", "Spend, USD, week before", "Change"]
    by_name = {row[0]: row for row in rows}
    assert by_name.keys() == {"Shoes 1", "Shoes 2", "'=HYPERLINK(1)", "'=HYPERLINK(2)"}
    assert Decimal(by_name["'=HYPERLINK(1)"][2]) == Decimal("21.875")
    assert len(requested) == 1
    assert errors == []


def test_copied_table_is_that_of_the_file(agency: SampleStore, watch: Watch) -> None:
    """The clipboard gets the same cells as the file, between tabs."""
    page, _, errors = watch(build_page_url(agency))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy: Campaigns in USD").click()
    page.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert [line.split("\t") for line in copied.split("\n")] == save_csv(page, "Campaigns in USD")
    assert errors == []


def test_creatives_are_found_and_sorted(sample: SampleStore, watch: Watch) -> None:
    """The first twelve creatives are shown, all on request; a search looks at all; orders are by exact figures."""
    sample.account("1", "USD")
    sample.day("1", "USD", YESTERDAY, spend=Decimal(1))
    write_creatives(sample, "1", "USD", count=16)
    page, _, errors = watch(build_page_url(sample), width=390)
    cards = page.locator(".wall > li:visible")
    assert cards.count() == 12
    page.get_by_role("button", name="Show all 16").click()
    assert cards.count() == 16
    page.get_by_role("button", name="Show the first 12").click()
    page.get_by_role("searchbox", name="Find a creative or account: Creatives in USD").fill("unboxing 13")
    assert cards.all_inner_texts()[0].startswith("Unboxing 13")
    assert cards.count() == 1
    page.get_by_role("searchbox", name="Find a creative or account: Creatives in USD").fill("")
    page.get_by_role("combobox", name="Order: Creatives in USD").select_option("By hook rate")
    spends = page.locator(".wall > li").evaluate_all("(all) => all.map((one) => Number(one.dataset.hook))")
    assert spends == sorted(spends, reverse=True)
    cards.first.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert errors == []


def test_page_is_complete_without_its_scripts(agency: SampleStore, browser: Browser) -> None:
    """Without JavaScript every table stands in its stored order, and no button without effect is shown."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(build_page_url(agency))
    assert page.locator('[data-file="campaigns-USD"] tbody tr').count() == 4
    assert page.locator("button, input").count() == 0
    context.close()


def save_csv(page: Page, label: str) -> list[list[str]]:
    """Save a table as CSV and return its rows."""
    with page.expect_download() as saved:
        page.get_by_role("button", name=f"Save as CSV: {label}", exact=True).click()
    return list(csv.reader(saved.value.path().read_text(encoding="utf-8-sig").splitlines()))


def test_charts_follow_the_color_scheme(agency: SampleStore, watch: Watch) -> None:
    """If the colour scheme changes while the page is open, its charts are drawn again in the new colours."""
    page, _, errors = watch(build_page_url(agency))
    scroll_through_page(page)
    colour = "document.querySelector('[data-chart] svg .role-axis-label text').getAttribute('fill')"
    before = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{colour} !== '{before}'")
    assert errors == []


def test_keyboard_navigation(agency: SampleStore, watch: Watch) -> None:
    """The first tab stop is the skip link, which becomes visible and leads to the accounts."""
    page, _, _ = watch(build_page_url(agency))
    page.keyboard.press("Tab")
    focused = "document.activeElement.className"
    assert page.evaluate(focused) == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_name_with_markup_is_text_in_a_chart(sample: SampleStore, watch: Watch) -> None:
    """A name with markup is text in a legend and a tooltip, and runs no script."""
    for owner in ("1", "2"):
        sample.account(owner, "USD", f"<img src=x onerror=document.title='owned'> {owner}")
        for back in (1, 2):
            sample.day(owner, "USD", TODAY - timedelta(back), spend=back * int(owner), conversion=1)
    page, requested, errors = watch(build_page_url(sample))
    scroll_through_page(page)
    page.locator("[data-chart] svg .mark-symbol path").last.hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert page.locator("#vg-tooltip-element img").count() == 0
    assert "onerror" in page.locator("#vg-tooltip-element").inner_text()
    assert page.title() == "TikTok Ads: account overview"
    assert len(requested) == 1
    assert errors == []

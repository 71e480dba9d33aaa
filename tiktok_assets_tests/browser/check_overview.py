"""Laws of the page in a browser: charts are drawn, in every light and width, and nothing is fetched."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tiktok_assets_tests.browser.conftest import Watch, keep
from tiktok_assets_tests.overview.sample_store import TODAY, SampleStore

DRAWN = """() => [...document.querySelectorAll('[data-chart]')].map((place) => {
  const marks = [...place.querySelectorAll('svg .mark-symbol path, svg .mark-line path, svg .mark-rect path')];
  return marks.filter((one) => one.getBoundingClientRect().width > 0).length;
})"""


def address_of(sample: SampleStore) -> str:
    """The page as a person opens it: from the disk."""
    sample.build()
    return Path(str(sample.store.base), "account_overview.html").as_uri()


def scroll_through(page: Page) -> None:
    """Look at everything once: charts are drawn when they come near."""
    height = page.evaluate("document.documentElement.scrollHeight")
    for down in range(0, height, 500):
        page.evaluate("(down) => window.scrollTo(0, down)", down)
        page.wait_for_timeout(50)
    page.wait_for_function(
        "document.querySelectorAll('[data-drawn]').length === document.querySelectorAll('[data-chart]').length"
    )
    page.evaluate("window.scrollTo(0, 0)")


@pytest.mark.parametrize(
    ("light", "width", "height"),
    [("light", 1280, 900), ("dark", 1280, 900), ("light", 360, 740), ("dark", 320, 600)],
)
def test_every_chart_is_drawn(
    agency: SampleStore, watch: Watch, light: Literal["light", "dark"], width: int, height: int
) -> None:
    """Opened from disk, each chart has a visible mark a day; nothing else is asked for; nothing overflows."""
    address = address_of(agency)
    page, asked, complaints = watch(address, width=width, height=height, light=light)
    scroll_through(page)
    marks = page.evaluate(DRAWN)
    assert len(marks) == 8
    assert all(count >= 21 for count in marks), marks  # twenty days and a line
    assert asked == [address]
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    keep(page, f"overview-{light}-{width}.png", full_page=True)


@pytest.mark.parametrize(("light", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])
def test_nothing_is_hard_to_reach_or_to_hear(
    agency: SampleStore, watch: Watch, light: Literal["light", "dark"], width: int
) -> None:
    """Deque's axe finds no fault: contrast, landmarks, headings, labels, what the keyboard cannot scroll."""
    page, _, _ = watch(address_of(agency), width=width, light=light)
    scroll_through(page)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 20  # it looked


def test_charts_follow_the_light(agency: SampleStore, watch: Watch) -> None:
    """When the system turns dark while the page is open, its charts are drawn anew in the colours of the dark."""
    page, _, complaints = watch(address_of(agency))
    scroll_through(page)
    colour = "document.querySelector('[data-chart] svg .role-axis-label text').getAttribute('fill')"
    before = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{colour} !== '{before}'")
    assert complaints == []


def test_the_keyboard_reaches_everything(agency: SampleStore, watch: Watch) -> None:
    """The first stop is the skip link, which becomes visible; then come the accounts."""
    page, _, _ = watch(address_of(agency))
    page.keyboard.press("Tab")
    focused = "document.activeElement.className"
    assert page.evaluate(focused) == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_hostile_name_stays_text_in_a_chart(sample: SampleStore, watch: Watch) -> None:
    """A name with markup in a legend or under the pointer is text, and nothing in it runs."""
    for owner in ("1", "2"):
        sample.account(owner, "USD", f"<img src=x onerror=document.title='owned'> {owner}")
        for back in (1, 2):
            sample.day(owner, "USD", TODAY - timedelta(back), spend=back * int(owner), conversion=1)
    page, asked, complaints = watch(address_of(sample))
    scroll_through(page)
    page.locator("[data-chart] svg .mark-symbol path").last.hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert page.locator("#vg-tooltip-element img").count() == 0
    assert "onerror" in page.locator("#vg-tooltip-element").inner_text()
    assert page.title() == "TikTok Ads: account overview"
    assert len(asked) == 1
    assert complaints == []

"""Laws of the page: it opens alone, asks nobody, shows names as text, and never mixes currencies."""

import json
import re
from base64 import b64encode
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import html5lib
import pytest
from hypothesis import example, given, settings
from upath import UPath

from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.overview.formatting import NO_VALUE, format_change, format_money, format_percent, format_status
from tiktok_assets.overview.models import Overview
from tiktok_assets.overview.page import build_overview, render_page
from tiktok_assets.spec.ads_manager import ads_manager_campaigns_url
from tiktok_assets.storage.hive_store import HiveStore, StoreError
from tiktok_assets_tests.hostile_names import ALL_FRAGMENTS, HOSTILE_NAMES, control_characters_in, visible_text
from tiktok_assets_tests.overview.sample_store import NOW, YESTERDAY, Page, Shop

HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!-- <script> -->",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "& &amp; &#60;b&#62;",
    "\u202egnp.exe\u2028\u2029",
    "' onmouseover='alert(1)",
    "]]>\\u003cscript\\u003e",
)


def scriptless(document: str) -> str:
    """The document without Vega, which a strict parser reads slowly and which is not ours."""
    return re.sub(r"<script>.*?</script>", "", document, flags=re.DOTALL)


def policy_of(page: Page) -> str:
    """The content security policy of a page."""
    (policy,) = [one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    return policy


def page_of(shop: Shop) -> Page:
    """The page of a shop as a browser's parser sees it."""
    return Page(shop.build()[1])


def test_a_store_without_tables_gives_a_page_that_says_what_to_do(shop: Shop) -> None:
    """Before anything was read the page is whole, runs no script, and names the next step."""
    contents, document = shop.build()
    page = Page(document)
    html5lib.HTMLParser(strict=True).parse(document)
    assert not contents.accounts
    assert "tiktok-assets sync" in page.text
    assert page.scripts == []
    assert policy_of(page).startswith("default-src 'none'; script-src 'none';")


def test_the_page_is_valid_html(agency: Shop) -> None:
    """A strict parser of the standard finds no error, whatever the store holds."""
    html5lib.HTMLParser(strict=True).parse(scriptless(agency.build()[1]))


def test_the_page_asks_nobody_for_anything(agency: Shop) -> None:
    """No element or style loads from outside; the only addresses are links a person may follow to Ads Manager."""
    page = page_of(agency)
    for name, attributes in page.elements:
        for attribute in ("src", "srcset", "href", "action", "data", "poster", "formaction", "xlink:href"):
            if attribute in attributes:
                address = attributes[attribute]
                assert name == "a", (name, attributes)
                assert address.startswith(("#", "https://ads.tiktok.com/")), address
    links = {one["href"] for one in page.all("a") if not one["href"].startswith("#")}
    assert links == {ads_manager_campaigns_url(f"700{number}") for number in range(1, 5)}
    assert page.styles
    assert not any(re.search(r"@import|url\(", style) for style in page.styles)


def test_only_our_own_scripts_may_run(agency: Shop) -> None:
    """The policy allows exactly the scripts of the page, by their hashes, and no connection."""
    page = page_of(agency)
    policy = policy_of(page)
    running = [text for kind, text in page.scripts if kind == ""]
    hashes = {f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in running}
    assert len(running) == 2
    assert set(re.findall(r"'sha256-[^']+'", policy)) == hashes
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-inline" not in policy.split("style-src")[0]


def test_hostile_names_are_text(shop: Shop) -> None:
    """A name with markup, script or template signs is shown as it is and makes no element, attribute or value."""
    for number, name in enumerate(HOSTILE):
        owner = str(8000 + number)
        shop.account(owner, "USD", name)
        shop.day(owner, "USD", YESTERDAY, spend=number + 1, conversion=1)
        row = {"campaign_name": name, "spend": 5, "conversion": 1}
        shop.lifetime(owner, "USD", "campaign", [row])
        shop.lifetime(owner, "USD", "ad", [row | {"ad_name": name}])
    page = page_of(shop)
    assert {name for name, _ in page.elements} & {"img", "b", "iframe", "object"} == set()
    assert len(page.all("script")) == 3
    assert not any(attribute.startswith("on") for _, attributes in page.elements for attribute in attributes)
    for name in HOSTILE:
        assert page.text.count(escape_control_characters(name)) >= 4
    ((_, drawings),) = [one for one in page.scripts if one[0] == "application/json"]
    drawn = {row["series"] for chart in json.loads(drawings)["charts"].values() for row in chart["rows"]}
    assert {name for name in HOSTILE if escape_control_characters(name) not in drawn} <= {
        HOSTILE[0],
        HOSTILE[1],
    }  # beyond the lines drawn


@settings(max_examples=25, deadline=None)
@example(name=ALL_FRAGMENTS)
@given(name=HOSTILE_NAMES)
def test_any_name_is_text(name: str) -> None:
    """Whatever an advertiser calls an ad, the elements are those of a plain name, and the text holds the name."""
    with TemporaryDirectory() as folder:
        pages = []
        for number, called in enumerate((name, "plain")):
            shop = Shop(Path(folder, str(number)))
            shop.account("1", "USD")
            shop.lifetime("1", "USD", "ad", [{"ad_name": called, "spend": 1}])
            pages.append(page_of(shop))
    assert [element for element, _ in pages[0].elements] == [element for element, _ in pages[1].elements]
    assert visible_text(escape_control_characters(name)) in visible_text(pages[0].text)
    assert control_characters_in(pages[0].text, allowed="\n") == set()


def test_currencies_are_never_mixed(agency: Shop) -> None:
    """Each currency has a section with its own accounts; sums add up within it, and none is a sum of several."""
    contents, document = agency.build()
    assert [(one.currency, len(one.accounts)) for one in contents.currencies] == [
        ("JPY", 1),
        ("USD", 2),
        ("EUR", 1),
    ]
    for currency in contents.currencies:
        assert {account.currency for account in currency.accounts} == {currency.currency}
        weeks = [account.week.spend for account in currency.accounts if account.week.spend is not None]
        assert currency.week.spend == (sum(weeks) if weeks else None)
        assert {row.advertiser_name for row in currency.campaigns} <= {one.name for one in currency.accounts}
    everything = sum(one.week.spend for one in contents.currencies if one.week.spend is not None)
    assert f"{everything:,.2f}" not in document
    assert "Campaigns of all USD accounts" in document


def test_what_is_stored_is_on_the_page(agency: Shop) -> None:
    """Ranks, leaders, newcomers with their reason, budget use and restatements all appear."""
    page = page_of(agency)
    for words in (
        "Ad of Campaign 10",
        "Winner",
        "held back",
        "it spent too little",
        "50%",  # 900 of a budget of 1800
        "Days that changed after they were first read: 1",
        "+1.50",
        "No delivery was reported",
        f"complete to {YESTERDAY}",
    ):
        assert words in page.text


def test_a_reader_without_eyes_or_mouse_finds_the_way(agency: Shop) -> None:
    """Language, landmarks, a skip link, headings without gaps, captions, scopes, and words for each chart."""
    _, document = agency.build()
    page = Page(document)
    names = [name for name, _ in page.elements]
    assert page.all("html") == [{"lang": "en"}]
    assert [names.count(one) for one in ("header", "nav", "main", "footer", "h1", "title")] == [1] * 6
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {one["href"][1:] for one in page.all("a") if one["href"].startswith("#")}
    targets |= {
        attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes
    }
    assert targets <= set(ids)
    assert page.all("a")[0]["class"] == "skip"
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    assert names.count("table") == names.count("caption") == document.count('<div class="wide" role="group"')
    assert all("scope" in one for one in page.all("th"))
    charts = [attributes for _, attributes in page.elements if "data-chart" in attributes]
    assert len(charts) == names.count("figcaption") == 8
    assert all(one["role"] == "img" and "from 2026-11-" in one["aria-label"] for one in charts)


@pytest.mark.parametrize(("accounts", "own_links", "is_open"), [(12, True, True), (13, False, False)])
def test_an_agency_of_tens_is_found_by_currency(
    shop: Shop, accounts: int, *, own_links: bool, is_open: bool
) -> None:
    """Up to twelve accounts each has a link at the top and its tables open; of more, the currencies have links."""
    for number in range(accounts):
        owner, currency = str(7000 + number), ("EUR", "USD")[number % 2]
        shop.account(owner, currency, f"Account {number}")
        shop.day(owner, currency, YESTERDAY, spend=Decimal(5))
        shop.lifetime(owner, currency, "campaign", [{"campaign_name": "One", "spend": Decimal(5)}])
    page = page_of(shop)
    targets = [one["href"] for one in page.all("a")]
    assert targets.count("#account-7000-EUR") == (2 if own_links else 1)  # the table of all accounts links to each
    assert targets.count("#currency-EUR") == (not own_links)
    folded = ["open" not in one for one in page.all("details")]
    assert folded.count(False) == (accounts if is_open else 0)


def test_the_page_follows_the_light_and_the_window(agency: Shop) -> None:
    """It has colours for dark and light, a viewport for a telephone, and tables that scroll by themselves."""
    page = page_of(agency)
    assert any(one.get("name") == "viewport" for one in page.all("meta"))
    assert "prefers-color-scheme: dark" in page.styles[0]
    assert ".wide { overflow-x: auto" in page.styles[0]


def test_twice_gives_the_same_page(agency: Shop) -> None:
    """The same store at the same instant gives the same bytes, and leaves nothing half made."""
    assert agency.build()[1] == agency.build()[1]
    left = [path.name for path in Path(str(agency.store.base)).glob("*.unfinished")]
    assert left == []


def test_the_page_is_small_enough_to_send(agency: Shop) -> None:
    """Besides Vega's own 900 kB, an account takes less than 40 kB."""
    document = agency.build()[1]
    assert len(document) < 1_000_000
    assert len(scriptless(document)) < 4 * 40_000


def test_a_page_that_cannot_be_put_in_place_is_a_store_error(shop: Shop) -> None:
    """A folder that cannot be written is one sentence with its path and the mend."""
    (shop.folder / "data").write_text("a file where the tables should be")
    with pytest.raises(StoreError, match=r"cannot build .*account_overview.html.*make that place writable"):
        shop.build()


def test_the_page_goes_to_an_object_store(tmp_path: Path) -> None:
    """Where the tables lie in an object store, so does the page, in one PUT."""
    built = build_overview(HiveStore("memory://bucket/tables"), tmp_path, NOW)
    assert UPath("memory://bucket/tables/account_overview.html").read_bytes().startswith(b"<!DOCTYPE html>")
    assert built.bytes > 1000


def test_an_overview_of_nothing_is_drawn_without_scripts(tmp_path: Path) -> None:
    """A page without charts bundles no Vega."""
    assert "<script" not in render_page(Overview(NOW, []), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_numbers_read_as_a_person_writes_them() -> None:
    """Yen have no cents, a missing number is a dash and not a zero, and TikTok's statuses are words."""
    assert format_money(Decimal("1234567.6"), "JPY") == "1,234,568 JPY"
    assert format_money(Decimal("0.005"), "USD") == "0.01 USD"
    assert format_money(None, "USD") == NO_VALUE
    assert format_change(None) == NO_VALUE
    assert format_change(Decimal("-0.125")) == "\N{MINUS SIGN}12%"
    assert format_change(99.0) == "over +999%"
    assert format_change(-0.001) == "0%"
    assert (format_percent(0.004), format_percent(0), format_percent(0.00004, 2)) == ("<1%", "0%", "<0.01%")
    assert format_status("ADGROUP_STATUS_CAMPAIGN_DISABLE") == "campaign off"
    assert format_status("AD_STATUS_SOMETHING_NEW") == "something new"
    assert format_status(None) == NO_VALUE

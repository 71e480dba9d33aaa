"""Test that the page is self-contained, valid and accessible, escapes names, and never mixes currencies."""

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
from tiktok_assets.storage.parquet_store import HiveStore, StoreError
from tiktok_assets_tests.hostile_names import ALL_FRAGMENTS, HOSTILE_NAMES, control_characters_in, visible_text
from tiktok_assets_tests.overview.sample_store import NOW, YESTERDAY, ParsedPage, SampleStore

MARKUP_NAMES = (
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


def remove_scripts(document: str) -> str:
    """Return the document without scripts, because a strict parser reads Vega slowly."""
    return re.sub(r"<script>.*?</script>", "", document, flags=re.DOTALL)


def get_policy(page: ParsedPage) -> str:
    """Return the content security policy of a page."""
    (policy,) = [one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    return policy


def parse_page(sample: SampleStore) -> ParsedPage:
    """Build and parse the page of a sample store."""
    return ParsedPage(sample.build()[1])


def test_page_of_an_empty_store_names_the_next_step(sample: SampleStore) -> None:
    """Before anything was read, the page is valid, allows no script, and names the next command."""
    contents, document = sample.build()
    page = ParsedPage(document)
    html5lib.HTMLParser(strict=True).parse(document)
    assert not contents.accounts
    assert "tiktok-assets sync" in page.text
    assert page.scripts == []
    assert get_policy(page).startswith("default-src 'none'; script-src 'none';")


def test_page_is_valid_html(agency: SampleStore) -> None:
    """A strict HTML5 parser finds no error in the page."""
    html5lib.HTMLParser(strict=True).parse(remove_scripts(agency.build()[1]))


def test_page_loads_no_external_resource(agency: SampleStore) -> None:
    """No element or style loads an external resource; the only external URLs are links to Ads Manager."""
    page = parse_page(agency)
    for name, attributes in page.elements:
        for attribute in ("src", "srcset", "href", "action", "data", "poster", "formaction", "xlink:href"):
            if attribute in attributes:
                address = attributes[attribute]
                if name == "img":
                    assert address.startswith("data:image/webp;base64,")
                    continue
                assert name == "a", (name, attributes)
                assert address.startswith(("#", "https://ads.tiktok.com/")), address
    links = {one["href"] for one in page.all("a") if not one["href"].startswith("#")}
    assert links == {ads_manager_campaigns_url(f"700{number}") for number in range(1, 5)}
    assert page.styles
    assert not any(re.search(r"@import|url\(", style) for style in page.styles)


def test_policy_allows_only_the_scripts_of_the_page(agency: SampleStore) -> None:
    """The content security policy allows exactly the scripts of the page, by hash, and no connection."""
    page = parse_page(agency)
    policy = get_policy(page)
    running = [text for kind, text in page.scripts if kind == ""]
    hashes = {f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in running}
    assert len(running) == 4
    assert set(re.findall(r"'sha256-[^']+'", policy)) == hashes
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-inline" not in policy.split("style-src")[0]


def test_names_with_markup_are_shown_as_text(sample: SampleStore) -> None:
    """A name with markup, script or template syntax is shown as text and creates no element or attribute."""
    for number, name in enumerate(MARKUP_NAMES):
        owner = str(8000 + number)
        sample.account(owner, "USD", name)
        sample.day(owner, "USD", YESTERDAY, spend=number + 1, conversion=1)
        row = {"campaign_name": name, "spend": 5, "conversion": 1}
        sample.lifetime(owner, "USD", "campaign", [row])
        sample.lifetime(owner, "USD", "ad", [row | {"ad_name": name}])
    page = parse_page(sample)
    assert {name for name, _ in page.elements} & {"img", "b", "iframe", "object"} == set()
    assert len(page.all("script")) == 4
    assert not any(attribute.startswith("on") for _, attributes in page.elements for attribute in attributes)
    for name in MARKUP_NAMES:
        assert page.text.count(escape_control_characters(name)) >= 4
    ((_, drawings),) = [one for one in page.scripts if one[0] == "application/json"]
    drawn = {name for chart in json.loads(drawings)["charts"].values() for name in chart["series"]}
    assert {name for name in MARKUP_NAMES if escape_control_characters(name) not in drawn} <= {
        MARKUP_NAMES[0],
        MARKUP_NAMES[1],
    }  # beyond the charted series


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@example(name=ALL_FRAGMENTS)
@given(name=HOSTILE_NAMES)
def test_any_name_is_shown_as_text(name: str) -> None:
    """For any ad name the elements are those of a plain name, and the text contains the name."""
    with TemporaryDirectory() as folder:
        pages = []
        for number, ad_name in enumerate((name, "plain")):
            sample = SampleStore(Path(folder, str(number)))
            sample.account("1", "USD")
            sample.lifetime("1", "USD", "ad", [{"ad_name": ad_name, "spend": 1}])
            pages.append(parse_page(sample))
    assert [element for element, _ in pages[0].elements] == [element for element, _ in pages[1].elements]
    assert visible_text(escape_control_characters(name)) in visible_text(pages[0].text)
    assert control_characters_in(pages[0].text, allowed="\n") == set()


def test_page_of_one_account_holds_nothing_of_the_others(agency: SampleStore) -> None:
    """The bytes of a page for one account contain no id and no name of another account or its campaigns."""
    target = UPath(agency.folder / "client.html")
    built = build_overview(agency.store, agency.folder / "state", NOW, advertiser_id="7002", target=target)
    document = remove_scripts(target.read_text(encoding="utf-8"))
    assert built.path == str(target)
    assert not (agency.store.base / "account_overview.html").exists()
    for number in (1, 3, 4):
        for other in (
            f"700{number}",
            f"Account {number}",
            f"Campaign {number}0",
            f"Shoes {number}",
            f"of 700{number}",
        ):
            assert other not in document
    assert "Account 2" in document
    assert "Shoes 2" in document
    assert "Unboxing 0 of 7002" in document


def test_page_of_an_unknown_account_is_refused(agency: SampleStore) -> None:
    """For an account of which nothing is stored no page is written, and the error names the account."""
    target = UPath(agency.folder / "client.html")
    with pytest.raises(StoreError, match="nothing is stored of the account 7009"):
        build_overview(agency.store, agency.folder / "state", NOW, advertiser_id="7009", target=target)
    assert not target.exists()


@pytest.mark.slow
def test_currencies_are_never_mixed(agency: SampleStore) -> None:
    """Each currency has a section with its own accounts and totals, and no total mixes currencies."""
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


def test_stored_rows_are_on_the_page(agency: SampleStore) -> None:
    """Rankings, top spenders, held back ads with their reason, budget usage and restatements are on the page."""
    page = parse_page(agency)
    for words in (
        "Ad of Campaign 10",
        "Winner",
        "held back",
        "it spent too little",
        "Upgraded Smart+ creative, deleted",
        "of the Smart+ ad Smart+ hooks, 75% of it",
        "its video is in 3 creatives, 41% of the campaign",
        "cannot be duplicated from here: it is made from a catalogue; by hand: copy it in Ads Manager",
        "50%",  # 900 of a budget of 1800
        "Days that changed after they were first read: 1",
        "+1.50",
        "No delivery was reported",
        f"complete to {YESTERDAY}",
        "Shoes 1",
        "new leader",
    ):
        assert words in page.text


def test_page_is_accessible(agency: SampleStore) -> None:
    """The page has language, landmarks, skip link, ordered headings, captions, scopes and chart descriptions."""
    _, document = agency.build()
    page = ParsedPage(document)
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


@pytest.mark.parametrize(
    ("accounts", "own_links", "is_open"), [(1, True, True), (12, True, False), (13, False, False)]
)
def test_navigation_links_currencies_for_many_accounts(
    sample: SampleStore, accounts: int, *, own_links: bool, is_open: bool
) -> None:
    """Up to twelve accounts are linked at the top, then the currencies; the tables of an only account are open."""
    for number in range(accounts):
        owner, currency = str(7000 + number), ("EUR", "USD")[number % 2]
        sample.account(owner, currency, f"Account {number}")
        sample.day(owner, currency, YESTERDAY, spend=Decimal(5))
        sample.lifetime(owner, currency, "campaign", [{"campaign_name": "One", "spend": Decimal(5)}])
    page = parse_page(sample)
    targets = [one["href"] for one in page.all("a")]
    assert targets.count("#account-7000-EUR") == (2 if own_links else 1)  # the table of all accounts links to each
    assert targets.count("#currency-EUR") == (not own_links)
    folded = ["open" not in one for one in page.all("details")]
    assert folded.count(False) == (accounts if is_open else 0)


def test_page_supports_dark_mode_and_small_screens(agency: SampleStore) -> None:
    """The page has colours for dark mode, a viewport for phones, and tables that scroll horizontally."""
    page = parse_page(agency)
    assert any(one.get("name") == "viewport" for one in page.all("meta"))
    assert "prefers-color-scheme: dark" in page.styles[0]
    assert ".wide { overflow-x: auto" in page.styles[0]


def test_building_twice_gives_the_same_page(agency: SampleStore) -> None:
    """The same store at the same time gives the same bytes and leaves no temporary file."""
    assert agency.build()[1] == agency.build()[1]
    left = [path.name for path in Path(str(agency.store.base)).glob("*.unfinished")]
    assert left == []


def test_page_is_small(agency: SampleStore) -> None:
    """The page is below 1.2 MB with Vega, and an account with three creatives takes less than 60 kB."""
    document = agency.build()[1]
    assert len(document) < 1_200_000
    assert len(remove_scripts(document)) < 4 * 60_000


def test_write_failure_is_a_store_error(sample: SampleStore) -> None:
    """If the folder is not writable, the error names the path and the fix."""
    (sample.folder / "data").write_text("a file where the tables should be")
    with pytest.raises(StoreError, match=r"cannot build .*account_overview.html.*make its folder writable"):
        sample.build()


def test_page_is_written_to_an_object_store(tmp_path: Path) -> None:
    """If the tables are in an object store, the page is written there too."""
    built = build_overview(HiveStore("memory://bucket/tables"), tmp_path, NOW)
    assert UPath("memory://bucket/tables/account_overview.html").read_bytes().startswith(b"<!DOCTYPE html>")
    assert built.bytes > 1000


def test_page_without_charts_has_no_scripts(tmp_path: Path) -> None:
    """A page without charts does not bundle Vega."""
    assert "<script" not in render_page(Overview(NOW, []), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_amounts_changes_and_statuses_are_formatted_for_people() -> None:
    """JPY has no minor unit, a missing value is a dash and not zero, and TikTok's statuses are words."""
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
